//! Recipients.
