//! What the shared config files say about a profile that gave no credentials: the SDK's errors are texts, with names in
//! them, and do not tell what to do.

use std::borrow::Cow;

use aws_config::profile::ProfileSet;
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};

/// Something about a profile that explains why it gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remark {
    /// Its credentials are those of `aws login`, for which the SDK's part is not built in.
    Login,
    /// It does not exist, or one that it stands on.
    Missing,
    /// Its credentials are those of IAM Identity Center.
    Sso,
}

impl Remark {
    /// Looks at the profile that a file names, or at the operator's.
    pub(super) async fn find(profile: Option<&str>) -> Option<Self> {
        let selected = profile.map(|profile| Cow::Owned(profile.to_owned()));
        let (fs, env, files) = (Fs::real(), Env::real(), EnvConfigFiles::default());
        Self::of(&aws_config::profile::load(&fs, &env, &files, selected).await.ok()?)
    }

    fn of(profiles: &ProfileSet) -> Option<Self> {
        let mut name = profiles.selected_profile();
        let mut visited = Vec::new();
        while !visited.contains(&name) {
            visited.push(name);
            // Who has no files has named no profile.
            let Some(profile) = profiles.get_profile(name) else { return (name != "default").then_some(Self::Missing) };
            if profile.get("sso_session").or(profile.get("sso_start_url")).is_some() {
                return Some(Self::Sso);
            }
            if profile.get("login_session").is_some() {
                return Some(Self::Login);
            }
            name = profile.get("source_profile").filter(|_| profile.get("role_arn").is_some())?;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use aws_runtime::env_config::file::EnvConfigFileKind;

    use super::*;

    #[test]
    fn says_what_a_profile_begins_with() {
        let config = "
[profile sso]
sso_session = s
[profile old-sso]
sso_start_url = https://example.test
[profile login]
login_session = arn:aws:iam::123456789012:user/me
[profile role]
role_arn = arn:r1
source_profile = login
[profile role-of-nobody]
role_arn = arn:r1
source_profile = nobody
[profile source-without-role]
source_profile = nobody
[profile keys]
aws_access_key_id = a
[profile loop]
role_arn = arn:r1
source_profile = loop
";
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let remark = |profile: &str| {
            let files = EnvConfigFiles::builder().with_contents(EnvConfigFileKind::Config, config).build();
            let (fs, env) = (Fs::from_slice(&[]), Env::from_slice(&[]));
            let load = aws_config::profile::load(&fs, &env, &files, Some(Cow::Owned(profile.to_owned())));
            Remark::of(&runtime.block_on(load).unwrap())
        };
        for (profile, want) in [
            ("sso", Some(Remark::Sso)),
            ("old-sso", Some(Remark::Sso)),
            ("login", Some(Remark::Login)),
            ("role", Some(Remark::Login)),
            ("role-of-nobody", Some(Remark::Missing)),
            ("nobody", Some(Remark::Missing)),
            ("default", None),
            ("source-without-role", None),
            ("keys", None),
            ("loop", None),
        ] {
            assert_eq!(remark(profile), want, "{profile}");
        }
    }
}
