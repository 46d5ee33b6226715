//! Keys without `?`: only the `:` behind a token tells that it was one.
//!
//! Source: go.yaml.in/yaml/v3 v3.0.4, `scannerc.go`, `yaml_simple_key_is_valid` and its neighbours.

use std::collections::VecDeque;

use super::YamlError;
use super::source::Mark;

/// Tokens that may turn out to be keys: one for each flow level.
pub(super) struct SimpleKeys {
    /// The last possible key of each level.
    levels: Vec<SimpleKey>,
    /// Token number and level of keys, ascending. As in yaml.v3, a key that has become impossible stays until its token
    /// is taken: how far the scanner looks ahead depends on it, and on that the kind of a comment.
    numbers: VecDeque<(usize, usize)>,
}

#[derive(Clone, Copy, Default)]
struct SimpleKey {
    is_possible: bool,
    /// Nothing but a key can stand here.
    is_required: bool,
    token_number: usize,
    mark: Mark,
}

/// Furthest a `:` may stand behind the beginning of its key, in characters (YAML 1.2, 7.4).
const SIMPLE_KEY_CHARS: i32 = 1024;

impl SimpleKeys {
    pub fn new() -> Self {
        Self { levels: vec![SimpleKey::default()], numbers: VecDeque::new() }
    }

    /// Whether the token of that number, the next to be taken, may still become a key.
    pub fn may_begin_at(&mut self, token_number: usize, here: Mark) -> Result<bool, YamlError> {
        while self.numbers.front().is_some_and(|(number, _)| *number < token_number) {
            self.numbers.pop_front();
        }
        match self.numbers.front() {
            Some((number, level)) if *number == token_number => self.is_valid(*level, here),
            _ => Ok(false),
        }
    }

    /// Whether a possible key still can be one: it must lie on this line, and not too far back.
    fn is_valid(&mut self, level: usize, here: Mark) -> Result<bool, YamlError> {
        let Some(key) = self.levels.get_mut(level).filter(|key| key.is_possible) else { return Ok(false) };
        if key.mark.line < here.line || key.mark.column.saturating_add(SIMPLE_KEY_CHARS) < here.column {
            if key.is_required {
                return Err(key.mark.error(NO_COLON));
            }
            key.is_possible = false;
            return Ok(false);
        }
        Ok(true)
    }

    /// Notes a possible key, which takes the place of the one before on this level.
    pub fn save(&mut self, is_required: bool, token_number: usize, mark: Mark) -> Result<(), YamlError> {
        self.give_up()?;
        let level = self.levels.len().saturating_sub(1);
        if let Some(key) = self.levels.last_mut() {
            *key = SimpleKey { is_possible: true, is_required, token_number, mark };
        }
        self.forget(token_number);
        self.numbers.push_back((token_number, level));
        Ok(())
    }

    /// Gives up the possible key of this level.
    pub fn give_up(&mut self) -> Result<(), YamlError> {
        let Some(key) = self.levels.last_mut().filter(|key| key.is_possible) else { return Ok(()) };
        if key.is_required {
            return Err(key.mark.error(NO_COLON));
        }
        key.is_possible = false;
        let number = key.token_number;
        self.forget(number);
        Ok(())
    }

    /// At a `:`: number and place of the key that it belongs to, if that can be one.
    pub fn take(&mut self, here: Mark) -> Result<Option<(usize, Mark)>, YamlError> {
        if !self.is_valid(self.levels.len().saturating_sub(1), here)? {
            return Ok(None);
        }
        let Some(key) = self.levels.last_mut() else { return Ok(None) };
        key.is_possible = false;
        let SimpleKey { token_number, mark, .. } = *key;
        self.forget(token_number);
        Ok(Some((token_number, mark)))
    }

    pub fn enter_flow(&mut self, token_number: usize) {
        self.levels.push(SimpleKey { token_number, ..SimpleKey::default() });
    }

    pub fn leave_flow(&mut self) {
        if let Some(key) = self.levels.pop() {
            self.forget(key.token_number);
        }
    }

    fn forget(&mut self, token_number: usize) {
        // Keys are given up innermost first, so that it is near the back.
        if let Some(place) = self.numbers.iter().rposition(|(number, _)| *number <= token_number)
            && self.numbers.get(place).is_some_and(|(number, _)| *number == token_number)
        {
            self.numbers.remove(place);
        }
    }
}

const NO_COLON: &str = "a key without its ':'";
