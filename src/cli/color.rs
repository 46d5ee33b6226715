//! Colours of reports: an argument that they share.

use clap::Args;

use crate::color::ColorChoice;

/// When a report is coloured.
#[derive(Args, Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColorArgs {
    /// When to use colours
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    pub color: ColorChoice,
}
