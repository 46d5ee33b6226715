//! The message authentication code over all values.

/// Proof that a file's MAC was compared and equal. Only this module makes one.
pub struct MacVerified(());
