//! What a file may say about AWS: pure functions, no network. The SDK makes the host name from the region, so that the
//! region's grammar decides where a signed request goes.

use crate::keys::RefusedReason;
use crate::keys::net::denied;

/// The region of a key or alias ARN: `arn:aws:kms:eu-west-1:111122223333:key/…`.
///
/// Source: getsops/sops v3.13, `kms/keysource.go`, `arnRegex`; ours is stricter: AWS's own grammar.
pub(super) fn region(arn: &str) -> Result<&str, RefusedReason> {
    let refuse = || denied("its arn is not the ARN of an AWS KMS key");
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [_arn, partition, service, region, account, resource] = parts.as_slice() else { return Err(refuse()) };
    let name = resource.strip_prefix("key/").or_else(|| resource.strip_prefix("alias/"));
    let is_valid = *_arn == "arn"
        && is_partition(partition)
        && *service == "kms"
        && is_region(region)
        && is_number(account)
        && name.is_some_and(|name| {
            (1..=256).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_-:".contains(&byte))
        });
    if is_valid { Ok(region) } else { Err(refuse()) }
}

/// The ARN of an IAM role: `arn:aws:iam::111122223333:role/name`.
pub(super) fn role(arn: &str) -> Result<&str, RefusedReason> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let is_valid = matches!(parts.as_slice(), ["arn", partition, "iam", "", account, resource]
        if is_partition(partition) && is_number(account) && resource.len() <= 1024
            && resource.strip_prefix("role/").is_some_and(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic())));
    if is_valid { Ok(arn) } else { Err(denied("its role is not the ARN of an IAM role")) }
}

/// The session name that sops gives: `sops@` and the host name without what IAM does not take, 64 characters at most.
/// Hyphens go too: the `@-_` of sops' pattern is a range.
pub(super) fn session_name(hostname: &str) -> String {
    let kept = hostname.chars().filter(|c| c.is_ascii_alphanumeric() || "=,.@".contains(*c) || ('@'..='_').contains(c));
    let name: String = "sops@".chars().chain(kept).take(64).collect();
    // IAM's own grammar is narrower than that range.
    name.chars().filter(|c| c.is_ascii_alphanumeric() || "=,.@_".contains(*c)).collect()
}

/// `aws`, `aws-cn`, `aws-us-gov`
fn is_partition(text: &str) -> bool {
    text.len() <= 16
        && text.strip_prefix("aws").is_some_and(|rest| {
            rest.is_empty() || (rest.starts_with('-') && rest.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
        })
}

/// `^[a-z]{2,5}(-[a-z]+){1,3}-[0-9]{1,2}$`
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let [first, middle @ .., last] = parts.as_slice() else { return false };
    text.len() <= 32
        && (2..=5).contains(&first.len())
        && is_word(first)
        && (1..=3).contains(&middle.len())
        && middle.iter().all(is_word)
        && (1..=2).contains(&last.len())
        && last.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_number(text: &str) -> bool {
    (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_region_of_a_key_arn_and_of_nothing_else() {
        for (arn, want) in [
            ("arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab", Some("eu-west-1")),
            ("arn:aws:kms:us-east-1:111122223333:alias/a/b_c", Some("us-east-1")),
            ("arn:aws:kms:us-east-1:111122223333:key/mrk-1234", Some("us-east-1")),
            ("arn:aws-cn:kms:cn-north-1:111122223333:key/1", Some("cn-north-1")),
            ("arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/1", Some("us-gov-west-1")),
            ("arn:aws-eusc:kms:eusc-de-east-1:111122223333:key/1", Some("eusc-de-east-1")),
            ("arn:aws:kms:us-east-1.evil.test/:111122223333:key/1", None),
            ("arn:aws:kms:evil.test/x?us-east-1:1:key/1", None),
            ("arn:aws:kms:us-east-1@evil:1:key/1", None),
            ("arn:aws:kms:US-EAST-1:1:key/1", None),
            ("arn:aws:kms:us-east-1\n:1:key/1", None),
            ("arn:aws:kms::1:key/1", None),
            ("arn:aws:kms:us-east-1:x:key/1", None),
            ("arn:aws:kms:us-east-1:1:other/1", None),
            ("arn:aws:kms:us-east-1:1:key/", None),
            ("arn:aws:s3:us-east-1:1:key/1", None),
            ("arn:evil:kms:us-east-1:1:key/1", None),
            ("arn:aws.evil:kms:us-east-1:1:key/1", None),
            ("", None),
        ] {
            assert_eq!(region(arn).ok(), want, "{arn}");
        }
    }

    #[test]
    fn takes_the_arn_of_a_role_and_nothing_else() {
        assert!(role("arn:aws:iam::111122223333:role/path/name").is_ok());
        for text in ["", "name", "arn:aws:iam::1:user/x", "arn:aws:sts::1:role/x", "arn:aws:iam::1:role/a b"] {
            assert!(role(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_the_session_as_sops_does() {
        assert_eq!(session_name("my-host.example"), "sops@myhost.example");
        assert_eq!(session_name(&"a".repeat(100)).len(), 64);
    }
}
