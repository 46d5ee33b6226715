//! page
use super::report::Report;
pub fn page(_: &Report) -> String {
    String::new()
}
