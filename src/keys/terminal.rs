//! Asking the person at the controlling terminal. Never through stdin or stdout, which belong to the manifests.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::sync::Mutex;
use std::time::Instant;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};

use super::KeyPolicy;
use super::local::wait_readable;
use super::order::lock;
use crate::limits;
use crate::secret::Secret;
use crate::text::Printable;

/// One question at a time, whatever thread asks.
static TERMINAL: Mutex<()> = Mutex::new(());

/// Longest answer, in bytes.
const ANSWER_BYTES: usize = 1024;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// Asking is not allowed, or there is nobody to ask.
    NoTerminal,
    /// The person pressed Ctrl-C or Ctrl-D.
    Cancelled,
    TimedOut,
    TooLong,
}

impl NoAnswer {
    /// The reason, to be read after what was asked for.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::NoTerminal => "and there is no terminal to ask for it",
            Self::Cancelled => "and asking for it was cancelled",
            Self::TimedOut => "and nobody gave it in time",
            Self::TooLong => "and what was given is too long",
        }
    }
}

/// How an answer is shown while it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Echo {
    Hidden,
    Shown,
}

/// Asks one question and reads one line.
pub(super) fn ask(policy: &KeyPolicy, question: &Printable, echo: Echo) -> Result<Secret<String>, NoAnswer> {
    let _one_at_a_time = lock(&TERMINAL);
    let mut terminal = Terminal::open(policy)?;
    terminal.write(&format!("{question}: "))?;
    terminal.read_line(policy, echo)
}

/// Shows a message; whether it was shown.
pub(super) fn tell(policy: &KeyPolicy, message: &Printable) -> bool {
    let _one_at_a_time = lock(&TERMINAL);
    Terminal::open(policy).and_then(|mut terminal| terminal.write(&format!("{message}\n"))).is_ok()
}

/// The controlling terminal without echo and line editing of its own. Restored when dropped.
struct Terminal {
    file: File,
    before: Termios,
}

impl Terminal {
    fn open(policy: &KeyPolicy) -> Result<Self, NoAnswer> {
        if !policy.terminal {
            return Err(NoAnswer::NoTerminal);
        }
        let no_terminal = |_| NoAnswer::NoTerminal;
        let file = OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(|_| NoAnswer::NoTerminal)?;
        // Asking from the background would stop the process.
        if tcgetpgrp(&file).map_err(no_terminal)? != rustix::process::getpgrp() {
            return Err(NoAnswer::NoTerminal);
        }
        let before = tcgetattr(&file).map_err(no_terminal)?;
        let mut quiet = before.clone();
        // Ctrl-C arrives as a character, so that the terminal is never left without echo.
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(&file, OptionalActions::Flush, &quiet).map_err(no_terminal)?;
        Ok(Self { file, before })
    }

    fn write(&mut self, text: &str) -> Result<(), NoAnswer> {
        self.file.write_all(text.as_bytes()).map_err(|_| NoAnswer::NoTerminal)
    }

    fn read_line(&mut self, policy: &KeyPolicy, echo: Echo) -> Result<Secret<String>, NoAnswer> {
        let deadline = policy.deadline.unwrap_or_else(|| Instant::now() + limits::DEADLINE);
        let mut line = Vec::with_capacity(ANSWER_BYTES);
        let mut byte = [0];
        loop {
            if !wait_readable(&self.file, deadline) {
                return Err(NoAnswer::TimedOut);
            }
            match self.file.read(&mut byte) {
                Ok(0) => return Err(NoAnswer::Cancelled),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Err(NoAnswer::NoTerminal),
            }
            match byte {
                [b'\r' | b'\n'] => break,
                // Ctrl-C, Ctrl-D.
                [3 | 4] => {
                    _ = self.write("\n");
                    return Err(NoAnswer::Cancelled);
                }
                // Backspace takes away one character, which may be several bytes.
                [8 | 127] => {
                    let mut removed = line.pop();
                    while removed.is_some_and(|byte: u8| byte & 0xc0 == 0x80) {
                        removed = line.pop();
                    }
                    if removed.is_some() && echo == Echo::Shown {
                        self.write("\u{8} \u{8}")?;
                    }
                }
                // Ctrl-U takes away the line.
                [0x15] => line.clear(),
                [byte] if line.len() < ANSWER_BYTES => {
                    line.push(byte);
                    if echo == Echo::Shown {
                        self.file.write_all(&[byte]).map_err(|_| NoAnswer::NoTerminal)?;
                    }
                }
                [_] => return Err(NoAnswer::TooLong),
            }
        }
        self.write("\n")?;
        // What is not UTF-8 cannot be what age, SSH or a plugin was given.
        String::from_utf8(line).map(Secret::new).map_err(|_| NoAnswer::Cancelled)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        _ = tcsetattr(&self.file, OptionalActions::Flush, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_nobody_unless_allowed() {
        let policy = KeyPolicy::default();
        assert_eq!(ask(&policy, &"Passphrase".into(), Echo::Hidden).err(), Some(NoAnswer::NoTerminal));
        assert!(!tell(&policy, &"touch it".into()));
    }
}
