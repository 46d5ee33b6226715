//! JSON as sops reads and prints it (`stores/json/store.go`, on Go's `encoding/json`).

mod reader;
mod writer;

pub(super) use reader::load;
pub(super) use writer::emit;

#[cfg(test)]
mod tests;
