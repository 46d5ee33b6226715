//! One file per sub-command; [`generate`] is the plugin path, the only place where the parts meet.

mod decrypt;
pub mod generate;
mod records;
