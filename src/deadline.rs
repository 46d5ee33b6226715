//! One deadline for the whole run.

use std::time::{Duration, Instant};

use crate::environment::Environment;
use crate::limits;

/// When the run must be over. Everything that waits, waits at most until then.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// Starts the clock: `UNSOPS_DEADLINE` seconds, where the operator sets it; else [`limits::DEADLINE_ARGOCD`] under
    /// Argo CD, and [`limits::DEADLINE`] elsewhere.
    pub fn start(env: &Environment) -> Self {
        let is_argocd = env.var_os("ARGOCD_APP_NAME").is_some();
        let usual = if is_argocd { limits::DEADLINE_ARGOCD } else { limits::DEADLINE };
        Self(Instant::now() + chosen(env).unwrap_or(usual))
    }

    /// The same deadline, or `longest` from now on, if that is earlier. `UNSOPS_DEADLINE` has the last word.
    pub fn at_most(self, longest: Duration, env: &Environment) -> Self {
        if chosen(env).is_some() { self } else { Self(self.0.min(Instant::now() + longest)) }
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

/// What the operator chose: whole seconds from 1 to [`limits::DEADLINE_LONGEST`]. Anything else counts as not set.
fn chosen(env: &Environment) -> Option<Duration> {
    let chosen = Duration::from_secs(env.non_empty("UNSOPS_DEADLINE")?.parse().ok()?);
    (Duration::from_secs(1)..=limits::DEADLINE_LONGEST).contains(&chosen).then_some(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(variables: &[(&str, &str)]) -> u64 {
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Deadline::start(&Environment::new(variables, None)).left().as_secs() + 1
    }

    #[test]
    fn argocd_shortens_it_and_the_operator_sets_it() {
        assert_eq!(started(&[]), 120);
        assert_eq!(started(&[("ARGOCD_APP_NAME", "x")]), 45);
        assert_eq!(started(&[("ARGOCD_APP_NAME", "x"), ("UNSOPS_DEADLINE", "80")]), 80);
        for nonsense in ["0", "-1", "1h", "999999999999999999999", "3601"] {
            assert_eq!(started(&[("UNSOPS_DEADLINE", nonsense)]), 120, "{nonsense}");
        }
        println!("figure: 120 s, under Argo CD 45 s");
    }

    #[test]
    fn at_most_never_lengthens_and_yields_to_the_operator() {
        let env = Environment::new([], None);
        let long = Deadline::start(&env);
        assert_eq!(long.at_most(Duration::from_secs(10), &env).left().as_secs() + 1, 10);
        assert_eq!(long.at_most(Duration::from_secs(999), &env).instant(), long.instant());
        let env = Environment::new([("UNSOPS_DEADLINE".into(), "90".into())], None);
        let chosen = Deadline::start(&env);
        assert_eq!(chosen.at_most(Duration::from_secs(10), &env).instant(), chosen.instant());
    }
}
