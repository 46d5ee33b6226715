//! The real sops, kept running: `tests/oracle` answers requests over a pipe.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use unsops::sops::Format;

use crate::fixtures::identities;
use crate::harness::tool;

/// Encryption rules and age recipients of a new file. The names are those of sops' metadata.
#[derive(Clone, Debug, Default, Serialize, PartialEq, Eq)]
pub struct Options {
    pub unencrypted_suffix: String,
    pub encrypted_suffix: String,
    pub unencrypted_regex: String,
    pub encrypted_regex: String,
    pub unencrypted_comment_regex: String,
    pub encrypted_comment_regex: String,
    pub mac_only_encrypted: bool,
    pub groups: Vec<Vec<String>>,
    pub shamir_threshold: usize,
}

#[derive(Serialize)]
struct Request<'a> {
    op: &'a str,
    format: &'a str,
    data: String,
    options: &'a Options,
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    data: Option<String>,
    error: String,
}

/// A running oracle with the test-only identities.
pub struct Oracle {
    program: PathBuf,
    running: Running,
}

struct Running {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
}

impl Oracle {
    /// `None` where the oracle is not built; says so.
    pub fn start() -> Option<Self> {
        let program = tool("oracle")?;
        let running = Running::start(&program);
        Some(Self { program, running })
    }

    /// The file that sops makes of a plaintext.
    ///
    /// # Errors
    /// What sops says.
    pub fn encrypt(&mut self, format: Format, plain: &[u8], options: &Options) -> Result<Vec<u8>, String> {
        self.ask("encrypt", format, plain, options)
    }

    /// What `sops -d` makes of a file.
    ///
    /// # Errors
    /// What sops says.
    pub fn decrypt(&mut self, format: Format, file: &[u8]) -> Result<Vec<u8>, String> {
        self.ask("decrypt", format, file, &Options::default())
    }

    /// Whether a text says what an encrypted file holds, comments aside.
    pub fn is_true_to(&mut self, format: Format, file: &[u8], text: &[u8]) -> bool {
        let opened = self.ask("opened", format, file, &Options::default());
        opened.is_ok() && opened == self.ask("tree", format, text, &Options::default())
    }

    /// The version of the sops that answers.
    pub fn version(&mut self) -> String {
        let answer = self.ask("version", Format::Binary, &[], &Options::default()).expect("a version");
        String::from_utf8(answer).expect("UTF-8")
    }

    fn ask(&mut self, op: &str, format: Format, data: &[u8], options: &Options) -> Result<Vec<u8>, String> {
        let format = format.name().to_lowercase();
        let request = Request { op, format: &format, data: STANDARD.encode(data), options };
        let frame = serde_json::to_vec(&request).expect("JSON");
        // Some documents overflow the stack of sops (an anchor that holds itself), which ends the process.
        let Ok(frame) = self.running.exchange(&frame) else {
            self.running = Running::start(&self.program);
            return Err("died".to_owned());
        };
        let response: Response = serde_json::from_slice(&frame).expect("JSON");
        match response.error.as_str() {
            "" => Ok(STANDARD.decode(response.data.unwrap_or_default()).expect("base64")),
            error => Err(error.to_owned()),
        }
    }
}

impl Running {
    fn start(program: &Path) -> Self {
        let mut child = Command::new(program)
            .env_clear()
            .env("SOPS_AGE_KEY", identities(&["age.txt", "age-2.txt", "age-3.txt"]))
            .env("HOME", "/nonexistent")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the oracle starts");
        let (stdin, stdout) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        Self { child, stdin, stdout }
    }

    fn exchange(&mut self, frame: &[u8]) -> std::io::Result<Vec<u8>> {
        let length = u32::try_from(frame.len()).expect("a frame below 4 GiB");
        self.stdin.write_all(&length.to_be_bytes())?;
        self.stdin.write_all(frame)?;
        let mut length = [0; 4];
        self.stdout.read_exact(&mut length)?;
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.stdout.read_exact(&mut frame)?;
        Ok(frame)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
