//! From the SDK's errors to reasons: error code, status, request id; never a message of the service.

use std::error::Error;

use aws_sdk_kms::config::http::HttpResponse;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::operation::RequestId;
use aws_sdk_kms::operation::decrypt::DecryptError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;

use super::process::ProcessError;
use super::profile::Remark;
use crate::keys::RefusedReason;
use crate::keys::exec::ProgramError;
use crate::keys::net::{CallError, TOO_MANY_REQUESTS, denied, is_code, is_temporary, not_mine, unavailable};

/// What the operator may do for want of credentials.
const HINT: &str = "give this process AWS credentials: a role for its service account or instance, AWS_PROFILE, or \
                    AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";

/// The reason for the operator; `profile` is the one that the file names, `remark` what there is to say about it or the
/// operator's.
pub(super) fn refusal(
    error: &SdkError<DecryptError, HttpResponse>,
    profile: Option<&str>,
    remark: Option<Remark>,
) -> RefusedReason {
    match error {
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            of_service(service.err().code(), service.err().request_id(), status)
        }
        SdkError::TimeoutError(_) => unavailable("no answer in time"),
        SdkError::ResponseError(response) => {
            let status = response.raw().status().as_u16();
            match status {
                300..=399 => {
                    denied(&format!("the service answered with a redirect (HTTP {status}), which is not followed"))
                }
                TOO_MANY_REQUESTS => unavailable(&format!("too many requests (HTTP {status})")),
                _ if is_temporary(status) => unavailable(&format!("the service is unavailable (HTTP {status})")),
                _ => denied(&format!("the answer (HTTP {status}) is not one of KMS")),
            }
        }
        _ => of_chain(error, profile, remark),
    }
}

fn of_service(code: Option<&str>, request: Option<&str>, status: u16) -> RefusedReason {
    let code = code.filter(|code| is_code(code));
    let named = match (code, request.filter(|id| is_code(id))) {
        (Some(code), Some(request)) => format!("{code}, request {request}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => format!("HTTP {status}"),
    };
    match code.unwrap_or_default() {
        "AccessDeniedException" | "AccessDenied" => {
            denied(&format!("access denied ({named})")).with_hint("allow kms:Decrypt on the key for this role or user")
        }
        "InvalidCiphertextException" => {
            denied(&format!("the ciphertext is damaged, or its encryption context was changed ({named})"))
        }
        "IncorrectKeyException" => denied(&format!("the ciphertext was made with another key ({named})")),
        "NotFoundException" => denied(&format!("there is no such key in this region ({named})")),
        "DisabledException" => denied(&format!("the key is disabled ({named})")),
        "KMSInvalidStateException" => denied(&format!("the key is disabled or to be deleted ({named})")),
        "ExpiredTokenException" | "ExpiredToken" => {
            denied(&format!("the AWS credentials have expired ({named})")).with_hint(HINT)
        }
        "InvalidSignatureException" | "RequestExpired" | "RequestTimeTooSkewed" => {
            denied(&format!("AWS does not accept the signature ({named})"))
                .with_hint("the secret key is wrong, or the clock of this machine")
        }
        "UnrecognizedClientException" | "InvalidClientTokenId" => {
            denied(&format!("AWS does not know the access key ({named})")).with_hint(HINT)
        }
        "ThrottlingException" | "Throttling" | "RequestLimitExceeded" | "LimitExceededException" => {
            unavailable(&format!("too many requests ({named})"))
        }
        "DependencyTimeoutException" | "KMSInternalException" | "KeyUnavailableException" => {
            unavailable(&format!("the service is unavailable ({named})"))
        }
        _ if status == TOO_MANY_REQUESTS => unavailable(&format!("too many requests ({named})")),
        _ if is_temporary(status) => unavailable(&format!("the service is unavailable ({named})")),
        _ if (300..400).contains(&status) => {
            denied(&format!("the service answered with a redirect (HTTP {status}), which is not followed"))
        }
        _ if code.is_none() => denied(&format!("the answer (HTTP {status}) is not one of KMS")),
        _ => denied(&format!("the service refused ({named})")),
    }
}

/// No answer of KMS: the connection failed, or there are no credentials to sign with.
fn of_chain(
    error: &SdkError<DecryptError, HttpResponse>,
    profile: Option<&str>,
    remark: Option<Remark>,
) -> RefusedReason {
    use aws_credential_types::provider::error::CredentialsError as Credentials;

    let mut credentials: Option<&Credentials> = None;
    let mut source: Option<&(dyn Error + 'static)> = error.source();
    while let Some(cause) = source {
        if let Some(failure) = cause.downcast_ref::<CallError>() {
            let refusal = failure.refusal();
            return if credentials.is_some() { refusal.while_getting("AWS credentials") } else { refusal };
        }
        if let Some(reason) =
            of_sts::<AssumeRoleError>(cause).or_else(|| of_sts::<AssumeRoleWithWebIdentityError>(cause))
        {
            return reason;
        }
        if let Some(failure) = cause.downcast_ref::<ProcessError>() {
            return match failure {
                ProcessError::Program(ProgramError::TimedOut) => unavailable(&failure.to_string()),
                _ => not_mine(&format!("no AWS credentials: {failure}")).with_hint(HINT),
            };
        }
        credentials = credentials.or(cause.downcast_ref());
        source = cause.source();
    }
    match credentials {
        Some(Credentials::ProviderTimedOut(_)) => unavailable("the source of AWS credentials does not answer"),
        Some(_) if remark == Some(Remark::Login) => not_mine(
            "no AWS credentials: the profile has those of `aws login`, which are not supported",
        )
        .with_hint("let another profile have credential_process = aws configure export-credentials --profile NAME --format process"),
        Some(_) if remark == Some(Remark::Sso) => {
            not_mine("no AWS credentials: the profile's SSO session is not valid any more, or gives none for its role")
                .with_hint("run `aws sso login`")
        }
        Some(_) if remark == Some(Remark::Missing) && profile.is_none() => {
            not_mine("no AWS credentials: AWS_PROFILE, or a source_profile, names a profile that does not exist")
                .with_hint("add the profile to ~/.aws/config, or name another one")
        }
        Some(Credentials::CredentialsNotLoaded(_) | Credentials::InvalidConfiguration(_)) if profile.is_some() => {
            not_mine("no AWS credentials in the profile that the file names")
                .with_hint("add the profile to ~/.aws/config")
        }
        Some(Credentials::CredentialsNotLoaded(_)) => not_mine(
            "no AWS credentials (environment, web identity, shared config files, container and instance metadata)",
        )
        .with_hint(HINT),
        Some(Credentials::InvalidConfiguration(_)) => {
            not_mine("the AWS configuration has no usable credentials: check the profile and ~/.aws/config")
                .with_hint(HINT)
        }
        Some(_) => not_mine("the AWS credentials could not be obtained").with_hint(HINT),
        None => unavailable("no connection could be made"),
    }
}

/// The reason of STS for not giving credentials.
fn of_sts<E>(cause: &(dyn Error + 'static)) -> Option<RefusedReason>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let error = cause.downcast_ref::<SdkError<E, HttpResponse>>()?;
    let service = match error {
        SdkError::ServiceError(service) => service,
        SdkError::TimeoutError(_) => return Some(unavailable("no answer of STS in time")),
        _ => return None,
    };
    let status = service.raw().status().as_u16();
    let code = service.err().code().filter(|code| is_code(code)).unwrap_or("no error code");
    Some(match status {
        300..=399 => denied(&format!("STS answered with a redirect (HTTP {status}), which is not followed")),
        _ if is_temporary(status) => unavailable(&format!("STS is unavailable (HTTP {status}, {code})")),
        _ => denied(&format!("STS gave no credentials for the role ({code})"))
            .with_hint("allow sts:AssumeRole, and this principal in the trust policy of the role"),
    })
}
