//! The real sops, kept running: `tests/oracle` answers requests over a pipe.
//!
//! Requests are sent ahead and answered in order, so that both programs work at the same time.

use std::collections::VecDeque;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};

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

/// What sops says: bytes, or why not.
pub type Answer = Result<Vec<u8>, String>;

/// A file that sops wrote, and what it reads in it.
pub struct Encrypted {
    pub file: Vec<u8>,
    pub decrypted: Answer,
}

/// An answer that will come.
#[must_use]
pub struct Ticket(u64);

#[derive(Serialize)]
struct Request<'a> {
    op: &'a str,
    format: &'a str,
    seed: u64,
    options: &'a Options,
}

#[derive(Deserialize)]
struct Part {
    error: String,
    length: usize,
}

/// A running oracle with the test-only identities.
pub struct Oracle {
    program: PathBuf,
    running: Running,
    /// Requests that are not answered yet.
    pending: VecDeque<Vec<u8>>,
    /// Answers that nobody has asked for yet.
    answers: VecDeque<(u64, Vec<Answer>)>,
    asked: u64,
    answered: u64,
}

struct Running {
    child: Child,
    stdin: BufWriter<ChildStdin>,
    answers: Receiver<Vec<u8>>,
}

impl Oracle {
    /// `None` where the oracle is not built; says so.
    pub fn start() -> Option<Self> {
        let program = tool("oracle")?;
        let running = Running::start(&program);
        let (pending, answers) = (VecDeque::new(), VecDeque::new());
        Some(Self { program, running, pending, answers, asked: 0, answered: 0 })
    }

    /// Asks for the file that sops makes of a plaintext.
    pub fn ask_encrypt(&mut self, format: Format, plain: &[u8], options: &Options, seed: u64) -> Ticket {
        self.send("encrypt", format, plain, options, seed)
    }

    /// Asks for what `sops -d` makes of a file.
    pub fn ask_decrypt(&mut self, format: Format, file: &[u8]) -> Ticket {
        self.send("decrypt", format, file, &Options::default(), 0)
    }

    /// Asks for what the reader and the printer of a format make of a text that is not encrypted.
    pub fn ask_print(&mut self, format: Format, text: &[u8]) -> Ticket {
        self.send("print", format, text, &Options::default(), 0)
    }

    /// Asks for the variables of a dotenv file, as JSON.
    pub fn ask_godotenv(&mut self, text: &[u8]) -> Ticket {
        self.send("godotenv", Format::Dotenv, text, &Options::default(), 0)
    }

    /// The answer to anything but [`Self::ask_encrypt`].
    pub fn answer(&mut self, ticket: Ticket) -> Answer {
        self.parts(ticket).swap_remove(0)
    }

    /// The answer to [`Self::ask_encrypt`].
    ///
    /// # Errors
    /// Why sops does not encrypt the plaintext.
    pub fn encrypted(&mut self, ticket: Ticket) -> Result<Encrypted, String> {
        let mut parts = self.parts(ticket).into_iter();
        let file = parts.next().expect("a part")?;
        Ok(Encrypted { file, decrypted: parts.next().expect("a second part") })
    }

    /// The file that sops makes of a plaintext, and what it reads in it.
    ///
    /// # Errors
    /// Why sops does not encrypt the plaintext.
    pub fn encrypt(&mut self, format: Format, plain: &[u8], options: &Options, seed: u64) -> Result<Encrypted, String> {
        let ticket = self.ask_encrypt(format, plain, options, seed);
        self.encrypted(ticket)
    }

    /// What `sops -d` makes of a file.
    pub fn decrypt(&mut self, format: Format, file: &[u8]) -> Answer {
        let ticket = self.ask_decrypt(format, file);
        self.answer(ticket)
    }

    /// What the reader and the printer of a format make of a text that is not encrypted.
    pub fn print(&mut self, format: Format, text: &[u8]) -> Answer {
        let ticket = self.ask_print(format, text);
        self.answer(ticket)
    }

    /// An encrypted file as sops would have written it: see `tests/oracle/canonical.go`.
    pub fn canonical(&mut self, format: Format, file: &[u8]) -> Answer {
        let ticket = self.send("canonical", format, file, &Options::default(), 0);
        self.answer(ticket)
    }

    /// Whether two encrypted files hold the same, comments aside.
    pub fn holds_same(&mut self, format: Format, one: &[u8], other: &[u8]) -> bool {
        let one = self.send("opened", format, one, &Options::default(), 0);
        let other = self.send("opened", format, other, &Options::default(), 0);
        let one = self.answer(one);
        one.is_ok() & (one == self.answer(other))
    }

    /// Whether a text says what an encrypted file holds, comments aside.
    pub fn is_true_to(&mut self, format: Format, file: &[u8], text: &[u8]) -> bool {
        let opened = self.send("opened", format, file, &Options::default(), 0);
        let tree = self.send("tree", format, text, &Options::default(), 0);
        let opened = self.answer(opened);
        opened.is_ok() & (opened == self.answer(tree))
    }

    /// Whether two texts that are not encrypted say the same, comments aside.
    pub fn is_same(&mut self, format: Format, one: &[u8], other: &[u8]) -> bool {
        let one = self.send("tree", format, one, &Options::default(), 0);
        let other = self.send("tree", format, other, &Options::default(), 0);
        let one = self.answer(one);
        one.is_ok() & (one == self.answer(other))
    }

    /// The version of the sops that answers.
    pub fn version(&mut self) -> String {
        let ticket = self.send("version", Format::Binary, &[], &Options::default(), 0);
        String::from_utf8(self.answer(ticket).expect("a version")).expect("UTF-8")
    }

    fn send(&mut self, op: &str, format: Format, data: &[u8], options: &Options, seed: u64) -> Ticket {
        let format = format.name().to_lowercase();
        let mut frame = serde_json::to_vec(&Request { op, format: &format, seed, options }).expect("JSON");
        frame.push(b'\n');
        frame.extend(data);
        // Where it died, the answer says so.
        let _ = self.running.send(&frame);
        self.pending.push_back(frame);
        self.asked += 1;
        Ticket(self.asked)
    }

    fn parts(&mut self, ticket: Ticket) -> Vec<Answer> {
        while self.answered < ticket.0 {
            match self.running.answers.recv() {
                Ok(frame) => {
                    let _ = self.pending.pop_front();
                    self.keep(parse(&frame));
                }
                Err(_) => self.repeat_pending(),
            }
        }
        let at = self.answers.iter().position(|(number, _)| *number == ticket.0).expect("asked for once");
        self.answers.remove(at).expect("it is there").1
    }

    fn keep(&mut self, parts: Vec<Answer>) {
        self.answered += 1;
        self.answers.push_back((self.answered, parts));
    }

    /// Some documents overflow the stack of sops (an anchor that holds itself), which ends the process. Asked one by one,
    /// the others are answered.
    fn repeat_pending(&mut self) {
        self.running = Running::start(&self.program);
        while let Some(frame) = self.pending.pop_front() {
            let answer = if self.running.send(&frame).is_ok() { self.running.answers.recv().ok() } else { None };
            match answer {
                Some(frame) => self.keep(parse(&frame)),
                None => {
                    self.keep(vec![Err("died".to_owned())]);
                    self.running = Running::start(&self.program);
                }
            }
        }
    }
}

fn parse(frame: &[u8]) -> Vec<Answer> {
    let end = frame.iter().position(|&byte| byte == b'\n').expect("a header");
    let parts: Vec<Part> = serde_json::from_slice(&frame[..end]).expect("JSON");
    let mut data = &frame[end + 1..];
    let take = |Part { error, length }: Part| {
        let (own, rest) = data.split_at(length);
        data = rest;
        if error.is_empty() { Ok(own.to_vec()) } else { Err(error) }
    };
    parts.into_iter().map(take).collect()
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
        let stdin = BufWriter::with_capacity(1 << 20, child.stdin.take().expect("piped"));
        let mut stdout = BufReader::with_capacity(1 << 20, child.stdout.take().expect("piped"));
        let (sender, answers) = mpsc::channel();
        std::thread::spawn(move || {
            while let Ok(frame) = receive(&mut stdout) {
                if sender.send(frame).is_err() {
                    break;
                }
            }
        });
        Self { child, stdin, answers }
    }

    fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        let length = u32::try_from(frame.len()).expect("a frame below 4 GiB");
        self.stdin.write_all(&length.to_be_bytes())?;
        self.stdin.write_all(frame)?;
        self.stdin.flush()
    }
}

fn receive(stdout: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stdout.read_exact(&mut length)?;
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    stdout.read_exact(&mut frame)?;
    Ok(frame)
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
