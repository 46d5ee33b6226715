//! Who may do what at AWS: ministack checks signatures, policies, trust policies and the states of keys, which moto does
//! not. Its keys are random, so files are encrypted by the real sops afresh.

use std::process::Command;

use serde_json::Value;

use super::real::{self, Server, plain};
use super::{python_tool, stand_in::token};
use crate::harness::{Case, Run, tool};

/// Makes keys, users and roles; prints their names as JSON. boto3 comes with moto.
const SETUP: &str = r#"
import base64, boto3, json, sys
where = dict(endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id="rootkey", aws_secret_access_key="rootsecret")
kms, iam = boto3.client("kms", **where), boto3.client("iam", **where)
def policy(action, resource, **more):
    who = {"Resource": resource} if resource else {}
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, **who, **more}]})
made = {name: kms.create_key(Description=name)["KeyMetadata"]["Arn"] for name in ("good", "disabled", "pending")}
def user(name, *policies):
    iam.create_user(UserName=name)
    for number, text in enumerate(policies):
        iam.put_user_policy(UserName=name, PolicyName=f"p{number}", PolicyDocument=text)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    made[name] = [key["AccessKeyId"], key["SecretAccessKey"]]
user("writer", policy(["kms:Encrypt", "kms:Decrypt"], "*"), policy("sts:AssumeRole", "*"))
user("reader", policy("kms:Decrypt", made["good"]), policy("sts:AssumeRole", "*"))
user("nobody")
issuer = iam.create_open_id_connect_provider(Url="https://oidc.test.example", ClientIDList=["sts.amazonaws.com"], ThumbprintList=["0" * 40])
issuer = issuer["OpenIDConnectProviderArn"]
account = "system:serviceaccount:argocd:argocd-repo-server"
is_ours = {"StringEquals": {"oidc.test.example:sub": account, "oidc.test.example:aud": "sts.amazonaws.com"}}
trust = {
    "irsa": policy("sts:AssumeRoleWithWebIdentity", None, Principal={"Federated": issuer}, Condition=is_ours),
    "team": policy("sts:AssumeRole", None, Principal={"AWS": [f"arn:aws:iam::123456789012:user/{name}" for name in ("reader", "writer")]}),
}
for name, text in trust.items():
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=text)
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy(["kms:Encrypt", "kms:Decrypt"], made["good"]))
def jwt(subject):
    part = lambda fields: base64.urlsafe_b64encode(json.dumps(fields).encode()).rstrip(b"=").decode()
    return part({"alg": "none"}) + "." + part({"iss": "https://oidc.test.example", "aud": "sts.amazonaws.com", "sub": subject}) + ".c2ln"
made["token"], made["token_of_another"] = jwt(account), jwt("system:serviceaccount:default:x")
print(json.dumps(made))
"#;

/// After files are encrypted.
const END: &str = r#"
import boto3, sys
where = dict(endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id="rootkey", aws_secret_access_key="rootsecret")
kms = boto3.client("kms", **where)
kms.disable_key(KeyId=sys.argv[2])
kms.schedule_key_deletion(KeyId=sys.argv[3], PendingWindowInDays=7)
"#;

struct World {
    server: Server,
    made: Value,
}

impl World {
    fn start() -> Option<Self> {
        let (python, ministack) = (python_tool("python")?, tool("ministack/bin/ministack")?);
        let state = tempfile::tempdir().expect("a directory");
        let variables = |port: u16| {
            vec![
                ("AUTH", "true".to_owned()),
                ("BIND_HOST", "127.0.0.1".to_owned()),
                ("GATEWAY_PORT", port.to_string()),
                ("SERVICES", "kms,sts,iam".to_owned()),
                ("MINISTACK_ACCOUNT_ID", "123456789012".to_owned()),
                ("AWS_ACCESS_KEY_ID", "rootkey".to_owned()),
                ("AWS_SECRET_ACCESS_KEY", "rootsecret".to_owned()),
                ("STATE_DIR", state.path().join("state").display().to_string()),
                ("PATH", "/usr/bin:/bin".to_owned()),
            ]
        };
        let server = Server::start_with(&ministack, |_| Vec::new(), variables);
        let output = run_python(&python, SETUP, &[&server.url()]);
        let made = serde_json::from_slice(&output).expect("JSON");
        Some(Self { server, made })
    }

    fn text(&self, name: &str) -> String {
        self.made[name].as_str().expect(name).to_owned()
    }

    fn places(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", self.server.url()),
            ("AWS_ENDPOINT_URL_STS", self.server.url()),
            ("AWS_EC2_METADATA_DISABLED", "true".into()),
        ]
    }

    /// The variables of a user.
    fn user(&self, name: &str) -> Vec<(&'static str, String)> {
        let part = |at: usize| self.made[name][at].as_str().expect(name).to_owned();
        let mut variables = self.places();
        variables.extend([("AWS_ACCESS_KEY_ID", part(0)), ("AWS_SECRET_ACCESS_KEY", part(1))]);
        variables
    }

    /// The variables of a service account in EKS.
    fn service_account(&self, case: Case, token: &str) -> Case {
        let path = case.root().join("token");
        case.file("token", self.text(token))
            .env("AWS_WEB_IDENTITY_TOKEN_FILE", path)
            .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/irsa")
    }
}

fn run_python(python: &std::path::Path, script: &str, args: &[&str]) -> Vec<u8> {
    let output = Command::new(python).env_clear().arg("-c").arg(script).args(args).output().expect("Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn open(file: &str, variables: &[(&str, String)]) -> Run {
    real::generator(file, variables).run()
}

#[test]
fn policies_and_key_states_decide_and_are_named() {
    let Some(sops) = tool("sops") else { return };
    let Some(world) = World::start() else { return };
    let writer = world.user("writer");
    let encrypt = |key: &str| real::encrypt(&sops, &writer, &["--kms", key]);
    let good = encrypt(&world.text("good"));
    let of_role = encrypt(&format!("{}+arn:aws:iam::123456789012:role/team", world.text("good")));
    let (disabled, pending) = (encrypt(&world.text("disabled")), encrypt(&world.text("pending")));
    let python = python_tool("python").expect("it set up the keys");
    run_python(&python, END, &[&world.server.url(), &world.text("disabled"), &world.text("pending")]);

    let reader = world.user("reader");
    assert_eq!(open(&good, &reader).text(), plain());
    assert_eq!(open(&of_role, &reader).text(), plain());
    let account = |token: &str| world.service_account(real::generator(&good, &world.places()), token).run();
    assert_eq!(account("token").text(), plain());

    let with = |name: &'static str, value: &str| {
        let mut variables = reader.clone();
        variables.retain(|(known, _)| *known != name);
        variables.push((name, value.to_owned()));
        variables
    };
    for (run, reason) in [
        (open(&good, &world.user("nobody")), "access denied (AccessDeniedException"),
        (open(&of_role, &world.user("nobody")), "STS gave no credentials for the role (AccessDenied"),
        (account("token_of_another"), "STS gave no credentials for the role (AccessDenied"),
        (
            open(&good, &with("AWS_SECRET_ACCESS_KEY", &token())),
            "does not accept the signature (InvalidSignatureException",
        ),
        (
            open(&good, &with("AWS_ACCESS_KEY_ID", "AKIANOBODY")),
            "does not know the access key (UnrecognizedClientException",
        ),
        (open(&good, &with("AWS_SESSION_TOKEN", &token())), "(UnrecognizedClientException"),
        (open(&disabled, &world.user("writer")), "the key is disabled (DisabledException"),
        (open(&pending, &world.user("writer")), "disabled or to be deleted (KMSInvalidStateException"),
    ] {
        let message = run.failure(6);
        assert!(message.contains(reason), "{reason}: {message}");
    }
    // Where the real sops is let in, and where not.
    let sops_opens = |file: &str, variables: &[(&str, String)]| {
        let case = real::generator(file, variables).only_args(["decrypt", "secret.enc.yaml"]);
        case.run_unchecked(&sops).status == Some(0)
    };
    assert!(sops_opens(&good, &reader) && sops_opens(&of_role, &reader));
    assert!(!sops_opens(&good, &world.user("nobody")) && !sops_opens(&disabled, &world.user("writer")));
}
