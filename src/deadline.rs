//! One deadline for the whole run.

use std::time::{Duration, Instant};

use crate::environment::Environment;
use crate::limits;

/// When the run must be over. Everything that waits, waits at most until then.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// Starts the clock: [`limits::DEADLINE_ARGOCD`] under Argo CD, else [`limits::DEADLINE`].
    pub fn start(env: &Environment) -> Self {
        let is_argocd = env.var_os("ARGOCD_APP_NAME").is_some();
        Self(Instant::now() + if is_argocd { limits::DEADLINE_ARGOCD } else { limits::DEADLINE })
    }

    /// What is left of it; zero once it has passed.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// The point in time.
    pub fn instant(self) -> Instant {
        self.0
    }
}
