//! Which refusals are asked about again, beside those that the SDK knows by AWS' error codes: a load balancer or a proxy
//! says 429 without one, and may name the time to stay away. The rules are those of all our services.

use std::error::Error;

use aws_sdk_kms::config::http::HttpResponse;
use aws_sdk_kms::error::SdkError;
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction, RetryClassifierPriority};
use aws_smithy_types::retry::ErrorKind;

use crate::keys::net::{TOO_MANY_REQUESTS, is_temporary, random_pause, seconds_to_wait};
use crate::limits;

/// Statuses for which the SDK asks again without a rule of ours.
const KNOWN: [u16; 4] = [500, 502, 503, 504];

/// Judges answers of KMS by status and `Retry-After`, and those of STS that the SDK has given up on.
#[derive(Debug)]
pub(super) struct TemporaryStatus;

impl ClassifyRetry for TemporaryStatus {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(Err(error)) = context.output_or_error() else { return RetryAction::NoActionIndicated };
        if let Some(response) = context.response() {
            return judge(response);
        }
        let mut source = error.source();
        while let Some(cause) = source {
            let answer = of_sts::<AssumeRoleError>(cause).or_else(|| of_sts::<AssumeRoleWithWebIdentityError>(cause));
            if let Some(response) = answer {
                // The others were repeated by the SDK's own client for STS.
                let is_known = KNOWN.contains(&response.status().as_u16());
                return if is_known { RetryAction::NoActionIndicated } else { judge(response) };
            }
            source = cause.source();
        }
        RetryAction::NoActionIndicated
    }

    fn name(&self) -> &'static str {
        "Temporary status"
    }

    /// Has the last word.
    fn priority(&self) -> RetryClassifierPriority {
        RetryClassifierPriority::run_after(RetryClassifierPriority::transient_error_classifier())
    }
}

fn of_sts<'a, E: Error + 'static>(cause: &'a (dyn Error + 'static)) -> Option<&'a HttpResponse> {
    cause.downcast_ref::<SdkError<E, HttpResponse>>()?.raw_response()
}

fn judge(response: &HttpResponse) -> RetryAction {
    let status = response.status().as_u16();
    if !is_temporary(status) {
        return RetryAction::NoActionIndicated;
    }
    let kind = if status == TOO_MANY_REQUESTS { ErrorKind::ThrottlingError } else { ErrorKind::TransientError };
    match response.headers().get("retry-after").and_then(seconds_to_wait) {
        Some(wait) if wait > limits::NETWORK_RETRY_AFTER => RetryAction::RetryForbidden,
        Some(wait) => {
            RetryAction::retryable_error_with_explicit_delay(kind, wait + random_pause(limits::NETWORK_PAUSE))
        }
        None => RetryAction::retryable_error(kind),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_smithy_runtime_api::client::retries::classifiers::RetryReason;
    use aws_smithy_types::body::SdkBody;

    use super::*;

    fn judged(status: u16, wait: Option<&str>) -> RetryAction {
        let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::empty());
        if let Some(wait) = wait {
            response.headers_mut().insert("Retry-After", wait.to_owned());
        }
        judge(&response)
    }

    #[test]
    fn repeats_what_is_temporary_and_nothing_else() {
        for status in [200, 301, 400, 401, 403, 404, 409] {
            assert_eq!(judged(status, Some("1")), RetryAction::NoActionIndicated, "{status}");
        }
        assert_eq!(judged(429, None), RetryAction::throttling_error());
        for status in [408, 500, 501, 503, 529] {
            assert_eq!(judged(status, None), RetryAction::transient_error(), "{status}");
        }
    }

    #[test]
    fn stays_away_as_long_as_asked_for_or_for_good() {
        for status in [429, 503] {
            let RetryAction::RetryIndicated(RetryReason::RetryableError { retry_after: Some(wait), .. }) =
                judged(status, Some("2"))
            else {
                panic!("no delay")
            };
            assert!((Duration::from_secs(2)..=Duration::from_millis(2400)).contains(&wait), "{wait:?}");
            assert_eq!(judged(status, Some("6")), RetryAction::RetryForbidden);
            assert_eq!(judged(status, Some("86400")), RetryAction::RetryForbidden);
        }
        assert_eq!(judged(503, Some("Fri, 31 Dec 1999 23:59:59 GMT")), RetryAction::transient_error());
    }
}
