//! What a command says of its own work, on standard error: each step and its time where that is asked for (`--verbose`),
//! notes unless they are unwanted (`--quiet`), and how far it has come, while a person waits at a terminal.
//!
//! ```text
//! unsops: info: 48 files listed below /home/me/shop, the git work tree (0.004 s)
//! unsops: debug: apps/db/secret.enc.yaml: opened (0.001 s)
//! ```
//!
//! Names, counts and times only: nothing here is ever given a value. A line stays a line, whatever a name holds.

use std::fmt::Display;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::cli::{VerboseArgs, VerbosityArgs};
use crate::environment::Environment;
use crate::keys::{KeySource, KeySourceState};
use crate::process;
use crate::text::Printable;

/// How long a command works before it shows how far it has come.
const PROGRESS_AFTER: Duration = Duration::from_secs(1);

/// How often that is shown anew.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// Most public keys that are named for one place.
const MOST_KEYS_SHOWN: usize = 5;

/// Says what a command does. It is shared by the threads of a run.
pub struct Narrator {
    level: Level,
    shows_progress: bool,
}

/// Says nothing at all: plugin calls, Argo CD.
pub static SILENT: Narrator = Narrator { level: Level::Quiet, shows_progress: false };

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Quiet,
    Usual,
    /// `-v`
    Steps,
    /// `-vv`
    Files,
}

impl Narrator {
    /// As the arguments say. Progress is drawn where standard error is a terminal that can erase a line, and nothing else
    /// is written there all the time.
    pub fn new(verbosity: VerbosityArgs, env: &Environment) -> Self {
        let level = match (verbosity.quiet, verbosity.more.verbose) {
            (true, _) => Level::Quiet,
            (false, 0) => Level::Usual,
            (false, 1) => Level::Steps,
            (false, _) => Level::Files,
        };
        let can_erase = env.var("TERM").is_some_and(|terminal| terminal != "dumb");
        Self { level, shows_progress: level == Level::Usual && can_erase && process::stderr_is_terminal() }
    }

    /// As the arguments of a command whose `--quiet` has a meaning of its own.
    pub fn of(more: VerboseArgs, quiet: bool, env: &Environment) -> Self {
        Self::new(VerbosityArgs { more, quiet }, env)
    }

    /// As this one, but without progress: somebody may be asked for a passphrase at the terminal.
    pub fn without_progress(self) -> Self {
        Self { shows_progress: false, ..self }
    }

    /// Says something that the user should know, whatever the result.
    pub fn note(&self, text: impl Display) {
        if self.level >= Level::Usual {
            write("note", &text.to_string());
        }
    }

    /// Says what was done, if steps are asked for.
    pub fn info(&self, text: impl FnOnce() -> String) {
        if self.level >= Level::Steps {
            write("info", &text());
        }
    }

    /// As [`Self::info`], with the time since `start`.
    pub fn took(&self, start: Instant, text: impl FnOnce() -> String) {
        self.info(|| format!("{} ({})", text(), seconds(start)));
    }

    /// Says what became of one file, if that is asked for.
    pub fn debug(&self, text: impl FnOnce() -> String) {
        if self.level >= Level::Files {
            write("debug", &text());
        }
    }

    /// As [`Self::debug`], with the time since `start`.
    pub fn debug_took(&self, start: Instant, text: impl FnOnce() -> String) {
        self.debug(|| format!("{} ({})", text(), seconds(start)));
    }

    /// Says where keys were looked for and what was there, by public halves. Only then are the places described.
    pub fn keys(&self, sources: impl FnOnce() -> Vec<KeySource>) {
        if self.level >= Level::Steps {
            let (mut absent, mut on_demand) = (Vec::new(), Vec::new());
            for source in sources() {
                match &source.found {
                    KeySourceState::Absent => absent.push(source.name.to_string()),
                    KeySourceState::OnDemand => on_demand.push(source.name.to_string()),
                    KeySourceState::Keys(_) | KeySourceState::Unusable(_) => write("info", &key_source(&source)),
                }
            }
            for (words, names) in [("nothing in", absent), ("if a file needs them", on_demand)] {
                if !names.is_empty() {
                    write("info", &format!("keys: {words}: {}", names.join(", ")));
                }
            }
        }
    }

    /// Begins to show how far a command has come; `total` is 0 where that is not known. Nothing is shown before it has
    /// taken [`PROGRESS_AFTER`], and nothing is left of it when it is dropped.
    pub fn progress(&self, doing: &'static str, total: usize) -> Progress {
        let state = Arc::new(State { doing, total, ..State::default() });
        let shown = Arc::clone(&state);
        // Where no thread can be had, there is no progress to see; that is all.
        let start = || thread::Builder::new().spawn(move || shown.show()).ok();
        let thread = if self.shows_progress { start() } else { None };
        Progress { state, thread }
    }
}

fn write(word: &str, text: &str) {
    process::write_stderr(&format!("unsops: {word}: {}\n", Printable::reason(text)));
}

fn seconds(start: Instant) -> String {
    format!("{:.3} s", start.elapsed().as_secs_f64())
}

/// `keys: SOPS_AGE_KEY_FILE=keys.txt: age1…`
fn key_source(source: &KeySource) -> String {
    let found = match &source.found {
        KeySourceState::Absent => "nothing there".to_owned(),
        KeySourceState::Keys(keys) if keys.is_empty() => "no key in it".to_owned(),
        KeySourceState::Keys(keys) => {
            let shown: Vec<&str> = keys.iter().take(MOST_KEYS_SHOWN).map(Printable::as_str).collect();
            let more = keys.len().saturating_sub(shown.len());
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("{}{more}", shown.join(", "))
        }
        KeySourceState::OnDemand => "looked at if a file needs it".to_owned(),
        KeySourceState::Unusable(why) => format!("of no use: {why}"),
    };
    format!("keys: {}: {found}", source.name)
}

/// How far a command has come.
pub struct Progress {
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    doing: &'static str,
    total: usize,
    done: AtomicUsize,
    is_over: Mutex<bool>,
    over: Condvar,
}

impl Progress {
    /// One more is done.
    pub fn step(&self) {
        self.state.done.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        *self.state.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.state.over.notify_all();
        // The line is erased before anything else is written.
        _ = self.thread.take().map(JoinHandle::join);
    }
}

impl State {
    fn show(&self) {
        let start = Instant::now();
        let mut is_drawn = false;
        let mut wait = PROGRESS_AFTER;
        while !self.is_over_after(wait) {
            process::write_stderr(&format!("\r\x1b[K{}", self.line(start.elapsed())));
            is_drawn = true;
            wait = PROGRESS_EVERY;
        }
        if is_drawn {
            process::write_stderr("\r\x1b[K");
        }
    }

    fn is_over_after(&self, wait: Duration) -> bool {
        let is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.over.wait_timeout_while(is_over, wait, |is_over| !*is_over);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Short, so that it fits on one line of any terminal.
    fn line(&self, since: Duration) -> String {
        let (done, seconds) = (self.done.load(Ordering::Relaxed), since.as_secs());
        match (done, self.total) {
            (0, 0) => format!("unsops: {} ({seconds} s)", self.doing),
            (done, 0) => format!("unsops: {}: {done} ({seconds} s)", self.doing),
            (done, total) => format!("unsops: {}: {done} of {total} ({seconds} s)", self.doing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn narrator(verbose: u8, quiet: bool) -> Narrator {
        let verbosity = VerbosityArgs { more: VerboseArgs { verbose }, quiet };
        Narrator::new(verbosity, &Environment::new([("TERM".into(), "xterm".into())], None))
    }

    #[test]
    fn nothing_is_made_that_is_not_said() {
        let unwanted = || panic!("made for nothing");
        narrator(0, false).info(unwanted);
        narrator(1, false).debug(unwanted);
        narrator(9, true).debug(unwanted);
        narrator(0, false).keys(|| panic!("described for nothing"));
        SILENT.took(Instant::now(), unwanted);
    }

    #[test]
    fn places_of_keys_are_told_by_public_halves() {
        let of =
            |found| key_source(&KeySource { name: "SOPS_AGE_KEY_FILE=k".into(), found, is_readable_by_all: false });
        let many = (0..7).map(|number| Printable::new(&format!("age1{number}"))).collect();
        assert_eq!(
            of(KeySourceState::Keys(many)),
            "keys: SOPS_AGE_KEY_FILE=k: age10, age11, age12, age13, age14 and 2 more"
        );
        assert_eq!(of(KeySourceState::Absent), "keys: SOPS_AGE_KEY_FILE=k: nothing there");
    }

    #[test]
    fn progress_counts_and_ends_at_once() {
        let state = State { doing: "files", total: 3, ..State::default() };
        assert_eq!(state.line(Duration::from_secs(2)), "unsops: files: 0 of 3 (2 s)");
        let progress = Narrator { level: Level::Usual, shows_progress: true }.progress("files", 0);
        progress.step();
        assert_eq!(progress.state.line(Duration::ZERO), "unsops: files: 1 (0 s)");
        let start = Instant::now();
        drop(progress);
        assert!(start.elapsed() < PROGRESS_AFTER, "dropping does not wait for the next drawing");
    }
}
