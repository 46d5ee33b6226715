//! Age plugins: `AGE-PLUGIN-NAME-1…` is opened by the program `age-plugin-NAME` on PATH.
//!
//! The client is ours, not the `age` crate's, which has no time limit, leaves the program running, makes a directory for
//! it, and prints file keys to stderr when `AGEDEBUG=plugin` is set.
//!
//! Source: <https://c2sp.org/age-plugin>, state machine `identity-v1`; filippo.io/age v1.3.1, `plugin/client.go`.

use std::collections::VecDeque;
use std::path::Path;

use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use age_core::primitives::bech32_decode;
use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;

use super::identities::{Context, Unwrapped};
use crate::keys::exec::{self, Program, ProgramError, Start};
use crate::keys::terminal::{self, Echo};
use crate::limits;
use crate::secret::Secret;
use crate::text::Printable;

/// Body bytes of a full line of a stanza: 64 characters.
const LINE_CHARS: usize = 64;

/// An identity that only its plugin understands.
pub(super) struct PluginIdentity {
    name: String,
    encoded: Secret<String>,
}

impl PluginIdentity {
    /// Reads `AGE-PLUGIN-NAME-1…`; none where its checksum does not match or the name could be more than a file name.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let name = bech32_decode(
            text,
            |_| (),
            |_| Ok(()),
            |hrp, _| {
                let hrp = hrp.to_string();
                let name = hrp.strip_prefix("AGE-PLUGIN-").and_then(|name| name.strip_suffix('-')).ok_or(())?;
                Ok::<_, ()>(name.to_ascii_lowercase())
            },
        );
        let name = name.ok().filter(|name| !name.is_empty())?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_');
        name.chars().all(allowed).then(|| Self { name, encoded: Secret::new(text.to_owned()) })
    }

    /// The plugin's program.
    pub(super) fn program(&self) -> String {
        format!("age-plugin-{}", self.name)
    }

    pub(super) fn unwrap(&self, stanzas: &[Stanza], context: &Context<'_>) -> Unwrapped {
        if !cfg!(feature = "age-plugin") {
            return Unwrapped::Failed("needs an age plugin, which this build has no support for".into());
        }
        let program = self.program();
        let failed = |words: String| Unwrapped::Failed(Printable::new(&format!("needs {program}, which {words}")));
        match self.converse(&program, stanzas, context) {
            Ok(Some(file_key)) => Unwrapped::FileKey(file_key),
            Ok(None) => Unwrapped::NoMatch,
            Err(PluginError::Program(ProgramError::NotFound)) => failed("is not on PATH".to_owned()),
            Err(PluginError::Program(ProgramError::TimedOut)) => {
                Unwrapped::TimedOut(Printable::new(&format!("needs {program}, which did not answer in time")))
            }
            Err(PluginError::Program(error)) => failed(error.words()),
            Err(PluginError::Protocol) => failed("does not keep to the age plugin protocol".to_owned()),
            Err(PluginError::Says(message)) => failed(format!("says: {message}")),
        }
    }

    fn converse(&self, name: &str, stanzas: &[Stanza], context: &Context<'_>) -> Result<Option<FileKey>, PluginError> {
        if !context.policy.allow_exec {
            return Err(ProgramError::Forbidden.into());
        }
        let program = exec::find(name, context.environment).ok_or(ProgramError::NotFound)?;
        let directory = context.environment.non_empty("TMPDIR").map_or(Path::new("/tmp"), Path::new);
        let start = Start {
            program: &program,
            arguments: &["--age-plugin=identity-v1".to_owned()],
            variable: None,
            directory: Some(if directory.is_dir() { directory } else { Path::new("/") }),
            with_stdin: true,
        };
        let program = Program::start(&start, context.environment, context.policy)?;
        let mut plugin = Conversation { program, unread: VecDeque::new() };
        plugin.send("add-identity", &[self.encoded.expose()], &[])?;
        for stanza in stanzas {
            let arguments: Vec<&str> =
                ["0", &stanza.tag].into_iter().chain(stanza.args.iter().map(String::as_str)).collect();
            plugin.send("recipient-stanza", &arguments, &stanza.body)?;
        }
        plugin.send("done", &[], &[])?;
        let file_key = plugin.listen(name, context)?;
        plugin.program.finish();
        Ok(file_key)
    }
}

/// Why a plugin gave no file key.
enum PluginError {
    Program(ProgramError),
    Protocol,
    Says(Printable),
}

impl From<ProgramError> for PluginError {
    fn from(error: ProgramError) -> Self {
        Self::Program(error)
    }
}

struct Conversation {
    program: Program,
    unread: VecDeque<u8>,
}

impl Conversation {
    /// Answers the plugin until it is done.
    fn listen(&mut self, name: &str, context: &Context<'_>) -> Result<Option<FileKey>, PluginError> {
        let policy = context.policy;
        let mut file_key = None;
        for _ in 0..limits::PLUGIN_MESSAGES {
            let stanza = self.receive()?;
            let text = || Printable::new(&format!("{name}: {}", String::from_utf8_lossy(&stanza.body)));
            let reply = match stanza.tag.as_str() {
                "done" => return Ok(file_key),
                "file-key" => {
                    let key = <[u8; FILE_KEY_BYTES]>::try_from(stanza.body.as_slice());
                    match (stanza.args.as_slice(), key, &file_key) {
                        ([index], Ok(key), None) if index == "0" => file_key = Some(FileKey::new(Box::new(key))),
                        _ => return Err(PluginError::Protocol),
                    }
                    Some(Vec::new())
                }
                "error" => return Err(PluginError::Says(error_text(&stanza.body))),
                "msg" => terminal::tell(policy, &text()).then(Vec::new),
                "request-public" => answer(terminal::ask(policy, &text(), Echo::Shown)),
                "request-secret" => answer(terminal::ask(policy, &text(), Echo::Hidden)),
                "confirm" => match confirm(&stanza, &text(), context)? {
                    Some(yes) => {
                        self.send("ok", &[if yes { "yes" } else { "no" }], &[])?;
                        continue;
                    }
                    None => None,
                },
                _ => {
                    self.send("unsupported", &[], &[])?;
                    continue;
                }
            };
            match reply {
                Some(body) => self.send("ok", &[], &body)?,
                None => self.send("fail", &[], &[])?,
            }
        }
        Err(PluginError::Protocol)
    }

    fn send(&mut self, tag: &str, arguments: &[&str], body: &[u8]) -> Result<(), PluginError> {
        let mut text = format!("-> {tag}");
        for argument in arguments {
            text.push(' ');
            text.push_str(argument);
        }
        text.push('\n');
        let encoded = BASE64_STANDARD_NO_PAD.encode(body);
        // The last line is shorter than a full one, if need be empty.
        let mut chars = encoded.chars().peekable();
        loop {
            let line: String = chars.by_ref().take(LINE_CHARS).collect();
            text.push_str(&line);
            text.push('\n');
            if line.len() < LINE_CHARS {
                break;
            }
        }
        Ok(self.program.write(text.as_bytes())?)
    }

    fn receive(&mut self) -> Result<Stanza, PluginError> {
        let head = self.line()?;
        let mut words = head.strip_prefix("-> ").ok_or(PluginError::Protocol)?.split(' ').map(str::to_owned);
        let tag = words.next().ok_or(PluginError::Protocol)?;
        let mut encoded = String::new();
        loop {
            let line = self.line()?;
            encoded.push_str(&line);
            if line.len() > LINE_CHARS || encoded.len() > limits::PLUGIN_MESSAGE_BYTES {
                return Err(PluginError::Protocol);
            }
            if line.len() < LINE_CHARS {
                break;
            }
        }
        let body = BASE64_STANDARD_NO_PAD.decode(encoded).map_err(|_| PluginError::Protocol)?;
        Ok(Stanza { tag, args: words.collect(), body })
    }

    fn line(&mut self) -> Result<String, PluginError> {
        let mut searched = 0;
        loop {
            if let Some(end) = self.unread.iter().skip(searched).position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.unread.drain(..=searched.saturating_add(end)).collect();
                line.pop();
                return String::from_utf8(line).map_err(|_| PluginError::Protocol);
            }
            searched = self.unread.len();
            if searched > limits::PLUGIN_MESSAGE_BYTES {
                return Err(PluginError::Protocol);
            }
            let mut chunk = [0; 4096];
            match self.program.read(&mut chunk)? {
                0 => return Err(ProgramError::Hung.into()),
                count => self.unread.extend(chunk.iter().take(count)),
            }
        }
    }
}

fn answer(answer: Result<Secret<String>, terminal::NoAnswer>) -> Option<Vec<u8>> {
    answer.ok().map(|text| text.into_exposed().into_bytes())
}

/// Asks yes or no in the plugin's words; none where nobody answers.
fn confirm(stanza: &Stanza, question: &Printable, context: &Context<'_>) -> Result<Option<bool>, PluginError> {
    let choice = |index: usize| {
        let encoded = stanza.args.get(index)?;
        Some(BASE64_STANDARD_NO_PAD.decode(encoded).map(|text| Printable::from_bytes(&text)))
    };
    let yes = choice(0).and_then(Result::ok).ok_or(PluginError::Protocol)?;
    let no = choice(1).transpose().map_err(|_| PluginError::Protocol)?.unwrap_or_else(|| "cancel".into());
    let question = Printable::reason(&format!("{question} [y: {yes}, n: {no}]"));
    let answer = terminal::ask(context.policy, &question, Echo::Shown).ok();
    Ok(answer.map(|answer| answer.expose().trim().eq_ignore_ascii_case("y")))
}

/// A plugin's own words, unless they may repeat an identity.
fn error_text(body: &[u8]) -> Printable {
    let text = String::from_utf8_lossy(body);
    let upper = text.to_ascii_uppercase();
    if upper.contains("AGE-PLUGIN-") || upper.contains("AGE-SECRET-KEY-") {
        return "(its message names an identity and is not shown)".into();
    }
    Printable::new(&text)
}

#[cfg(test)]
#[cfg(feature = "age-plugin")]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::environment::Environment;
    use crate::keys::KeyPolicy;

    const IDENTITY: &str = "AGE-PLUGIN-TEST-1";

    fn identity() -> PluginIdentity {
        let hrp = bech32::Hrp::parse("AGE-PLUGIN-TEST-").unwrap();
        let text = age_core::primitives::bech32_encode(hrp, b"CANARY-7f3a").to_uppercase();
        assert!(text.starts_with(IDENTITY));
        PluginIdentity::parse(&text).unwrap()
    }

    fn stanza() -> Stanza {
        Stanza { tag: "test".into(), args: vec!["a".into(), "b".into()], body: vec![7; 48] }
    }

    /// Runs a plugin that reads what it is sent and then does what the script says. `$SENT` is what it was sent.
    fn run(script: &str, policy: KeyPolicy) -> Unwrapped {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("age-plugin-test");
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(path).unwrap();
        let read = "SENT=; while read -r line; do SENT=\"$SENT$line|\"; [ \"$line\" = '-> done' ] && break; done; read -r line";
        write!(file, "#!/bin/sh\n[ \"$1\" = --age-plugin=identity-v1 ] || exit 1\n{read}\n{script}\n").unwrap();
        drop(file);
        let path = format!("{}:/usr/bin:/bin", dir.path().display());
        let environment = Environment::new([("PATH".into(), path.into())], None);
        identity().unwrap(&[stanza()], &Context { environment: &environment, policy: &policy })
    }

    fn allowed() -> KeyPolicy {
        KeyPolicy { allow_exec: true, terminal: false, deadline: Some(Instant::now() + Duration::from_secs(20)) }
    }

    fn why(script: &str) -> String {
        match run(script, allowed()) {
            Unwrapped::Failed(why) | Unwrapped::TimedOut(why) => why.to_string(),
            Unwrapped::NoMatch => "no match".to_owned(),
            Unwrapped::FileKey(_) => "file key".to_owned(),
            Unwrapped::Damaged => "damaged".to_owned(),
        }
    }

    const FILE_KEY: &str = "printf -- '-> file-key 0\\nBwcHBwcHBwcHBwcHBwcHBw\\n'; read -r reply; read -r reply";
    const DONE: &str = "printf -- '-> done\\n\\n'";

    #[test]
    fn takes_the_file_key() {
        let Unwrapped::FileKey(key) = run(&format!("{FILE_KEY}; {DONE}"), allowed()) else { panic!("no file key") };
        assert_eq!(age::secrecy::ExposeSecret::expose_secret(&key), &[7; 16]);
    }

    #[test]
    fn sends_identity_and_stanzas() {
        let body = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH";
        let sent =
            format!("-> add-identity {}||-> recipient-stanza 0 test a b|{body}||-> done|", identity().encoded.expose());
        assert_eq!(why(&format!("[ \"$SENT\" = '{sent}' ] && {{ {FILE_KEY}; {DONE}; }}")), "file key");
    }

    #[test]
    fn answers_what_it_does_not_know_and_what_it_may_not_ask() {
        let ask = |message: &str, reply: &str| {
            format!(
                "printf -- '-> {message}\\n\\n'; read -r reply; [ \"$reply\" = '-> {reply}' ] || exit 1; read -r reply\n"
            )
        };
        let script = [
            ask("grease-1 2", "unsupported"),
            ask("msg", "fail"),
            ask("request-secret", "fail"),
            ask("request-public", "fail"),
            ask("confirm eWVz bm8", "fail"),
        ];
        assert_eq!(why(&format!("{}{FILE_KEY}; {DONE}", script.concat())), "file key");
    }

    #[test]
    fn says_what_went_wrong() {
        assert_eq!(why(DONE), "no match");
        assert_eq!(why("exit 0"), "needs age-plugin-test, which ended before it had answered");
        assert_eq!(why("echo hello; echo"), "needs age-plugin-test, which does not keep to the age plugin protocol");
        assert_eq!(
            why("printf -- '-> file-key 0\\nBwcH\\n'"),
            "needs age-plugin-test, which does not keep to the age plugin protocol"
        );
        assert_eq!(why("printf -- '-> error identity 0\\naGVsbG8\\n'"), "needs age-plugin-test, which says: hello");
        assert_eq!(
            why("printf -- '-> error identity 0\\nQUdFLVBMVUdJTi1URVNULTE\\n'"),
            "needs age-plugin-test, which says: (its message names an identity and is not shown)"
        );
    }

    #[test]
    fn bounds_what_a_plugin_sends_and_how_long_it_takes() {
        let protocol = "needs age-plugin-test, which does not keep to the age plugin protocol";
        assert_eq!(why("head -c 1000000 /dev/zero | tr '\\0' a"), protocol);
        assert_eq!(why("while :; do printf -- '-> x\\n\\n'; done"), protocol);
        let policy = KeyPolicy { deadline: Some(Instant::now() + Duration::from_millis(300)), ..allowed() };
        assert!(matches!(run("sleep 20", policy), Unwrapped::TimedOut(_)));
    }

    #[test]
    fn starts_nothing_when_programs_are_forbidden() {
        let Unwrapped::Failed(why) = run(FILE_KEY, KeyPolicy::default()) else { panic!("not refused") };
        assert_eq!(why.as_str(), "needs age-plugin-test, which was not run (key programs are switched off)");
    }

    #[test]
    fn refuses_names_that_could_be_a_path() {
        for name in ["AGE-PLUGIN-../X-", "AGE-PLUGIN-/-", "AGE-PLUGIN--", "AGE-PLUGIN-"] {
            let text = age_core::primitives::bech32_encode(bech32::Hrp::parse_unchecked(name), b"x").to_uppercase();
            assert!(PluginIdentity::parse(&text).is_none(), "{name}");
        }
    }
}
