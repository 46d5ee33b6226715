//! What must not outlive the process when a signal ends it: programs that it started, and private directories.
//!
//! Nothing is set up before the first of them is there, so a run that needs none pays nothing. SIGKILL cannot be
//! answered: programs then end by their closed pipes, and a directory stays.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

/// Keeps one thing in mind; dropped once that has ended or is gone. During an interruption, dropping waits for the end
/// of the process, so that nobody reports the consequences of it as failures.
#[derive(Debug)]
pub struct Guard(u64);

/// Starts a program in a process group of its own, which an interruption stops as a whole.
///
/// # Errors
/// Those of `spawn`.
pub fn start(spawn: impl FnOnce() -> io::Result<Child>) -> io::Result<(Child, Guard)> {
    watch();
    // An interruption waits for the lock, so that no program starts unnoticed.
    let mut held = lock();
    let child = spawn()?;
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let guard = held.add(group.map(Thing::Group));
    Ok((child, guard))
}

/// Makes a directory, which an interruption removes with everything in it.
///
/// # Errors
/// Those of `create`.
pub fn make_dir(path: &Path, create: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<Guard> {
    watch();
    let mut held = lock();
    create(path)?;
    Ok(held.add(Some(Thing::Directory(path.to_owned()))))
}

/// Stops and removes what is kept in mind, where the process ends otherwise than by returning from `main`.
pub fn clean_up() {
    if let Ok(held) = HELD.try_lock() {
        held.clean_up();
    }
}

enum Thing {
    /// The process group of a program that was started.
    Group(Pid),
    Directory(PathBuf),
}

struct Held {
    things: Vec<(u64, Thing)>,
    next: u64,
}

static HELD: Mutex<Held> = Mutex::new(Held { things: Vec::new(), next: 0 });

/// How often the removal of a directory is begun anew: threads that still run may add to it meanwhile.
const REMOVALS: u32 = 10;

impl Held {
    fn add(&mut self, thing: Option<Thing>) -> Guard {
        self.next += 1;
        self.things.extend(thing.map(|thing| (self.next, thing)));
        Guard(self.next)
    }

    /// Programs first: they might still write to the directories.
    fn clean_up(&self) {
        for (_, thing) in &self.things {
            if let Thing::Group(group) = thing {
                _ = kill_process_group(*group, Signal::KILL);
                // One that stays in the group of this process.
                _ = kill_process(*group, Signal::KILL);
            }
        }
        for (_, thing) in &self.things {
            let Thing::Directory(path) = thing else { continue };
            for _ in 0..REMOVALS {
                match std::fs::remove_dir_all(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {}
                    _ => break,
                }
            }
        }
    }
}

fn lock() -> MutexGuard<'static, Held> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Guard {
    fn drop(&mut self) {
        lock().things.retain(|(id, _)| *id != self.0);
    }
}

/// Waits for signals on a thread of its own; best effort.
fn watch() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        let ignored = ignored_signals();
        let signals = [SIGHUP, SIGINT, SIGTERM].into_iter().filter(|signal| ignored & (1 << (signal - 1)) == 0);
        let Ok(mut signals) = Signals::new(signals) else { return };
        _ = thread::Builder::new().spawn(move || {
            if let Some(signal) = signals.forever().next() {
                // Kept to the end: see `Guard`.
                let held = lock();
                held.clean_up();
                _ = emulate_default_handler(signal);
            }
        });
    });
}

/// Signals that whoever started us wants to be ignored (`nohup`), a bit for each. None where the system does not tell.
#[expect(clippy::disallowed_methods, reason = "a file of the kernel's, about this process")]
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_exists_is_not_kept_in_mind() {
        let taken = tempfile::tempdir().expect("a directory");
        let made = make_dir(taken.path(), |path| std::fs::create_dir(path));
        assert_eq!(made.expect_err("it exists").kind(), io::ErrorKind::AlreadyExists);
        clean_up();
        assert!(taken.path().exists());
    }

    #[test]
    fn a_guard_that_is_gone_is_forgotten() {
        let parent = tempfile::tempdir().expect("a directory");
        let path = parent.path().join("made");
        drop(make_dir(&path, |path| std::fs::create_dir(path)).expect("made"));
        clean_up();
        assert!(path.exists());
        assert_eq!(ignored_signals() & (1 << (SIGTERM - 1)), 0);
    }
}
