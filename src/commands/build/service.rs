//! Answers the plugin calls of one build, and remembers which there were.

use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use super::relay::{self, Call, Message};
use crate::deadline::Deadline;
use crate::error::{Error, Failure, Record};

use crate::secret::SecretBytes;
use crate::yaml::{self, fields};

/// The build's end of the socket.
pub(super) struct Service {
    listener: UnixListener,
    socket: PathBuf,
    is_closed: AtomicBool,
    done: Mutex<Done>,
}

/// What was asked and answered.
#[derive(Default)]
pub(super) struct Done {
    /// Calls that were answered.
    pub calls: Vec<Answered>,
    /// Why others were not.
    pub failed: Vec<Record>,
}

/// A plugin call that was answered.
pub(super) struct Answered {
    /// The directory of the kustomization that lists the plugin.
    pub dir: PathBuf,
    pub api_version: String,
    pub kind: String,
    pub answer: SecretBytes,
}

impl Answered {
    fn new(call: Call, answer: SecretBytes) -> Self {
        let documents = yaml::parse(&call.config).unwrap_or_default();
        let get = |name| documents.first().and_then(|config| fields::text(&config.root, name)).unwrap_or_default();
        Self { dir: call.dir, api_version: get("apiVersion").to_owned(), kind: get("kind").to_owned(), answer }
    }
}

impl Service {
    /// Listens at a place that only this user can reach.
    pub(super) fn listen(socket: &Path) -> Result<Self, Record> {
        let refuse = |_| {
            Record::new(Failure::Internal, "no socket for plugin calls can be made in the temporary directory")
                .hint("set TMPDIR to a directory with a shorter path, on a file system that has sockets")
        };
        let listener = UnixListener::bind(socket).map_err(refuse)?;
        Ok(Self { listener, socket: socket.to_owned(), is_closed: AtomicBool::new(false), done: Mutex::default() })
    }

    /// Answers calls and looks at clones, one after the other as kustomize makes them, until [`Self::close`].
    pub(super) fn serve(
        &self,
        deadline: Deadline,
        answer: &dyn Fn(&Call) -> Result<SecretBytes, Error>,
        look_at: &dyn Fn(&Path) -> Result<(), Error>,
    ) {
        for stream in self.listener.incoming() {
            if self.is_closed.load(Ordering::Acquire) {
                return;
            }
            let Ok(mut stream) = stream else { continue };
            // Whoever breaks off half-way fails by itself, and kustomize with it.
            match Message::read(&mut stream, deadline) {
                Ok(Message::Call(call)) => match answer(&call) {
                    Ok(answer) => {
                        if relay::respond(&mut stream, Ok(&answer)).is_ok() {
                            self.done().calls.push(Answered::new(call, answer));
                        }
                    }
                    Err(error) => self.refuse(&mut stream, error),
                },
                Ok(Message::Clone(dir)) => match look_at(&dir) {
                    Ok(()) => _ = relay::respond(&mut stream, Ok(&SecretBytes::from(""))),
                    Err(error) => self.refuse(&mut stream, error),
                },
                Err(_) => {}
            }
        }
    }

    fn refuse(&self, stream: &mut UnixStream, error: Error) {
        _ = relay::respond(stream, Err(error.failure()));
        self.done().failed.extend(error.into_records());
    }

    fn done(&self) -> MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Ends [`Self::serve`].
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        _ = UnixStream::connect(&self.socket);
    }

    /// What was done.
    pub(super) fn finish(self) -> Done {
        self.done.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
