//! Behaviour through the real executable.
