//! Values that must not be seen: no `Debug`, `Display`, `Clone`, `Serialize` or `PartialEq`.

use std::borrow::Cow;

/// A value that leaves the process only as part of the answer.
///
/// The type has meaning, not machinery: freed heap is wiped by the global allocator (`main.rs`), so copies
/// that libraries make are covered too. Every `expose()` is a place for a reviewer to look at.
pub struct Secret<T>(T);

/// Plaintext or key material.
pub type SecretBytes = Secret<Vec<u8>>;

/// Plaintext that may still stand where it was decrypted: megabytes are not copied for whoever only looks at them.
pub type SecretSlice<'a> = Secret<Cow<'a, [u8]>>;

/// Stack that [`wipe_stack`] overwrites, in bytes. What decrypts a file leaves keys at most 37 KiB deep (unoptimized; 7 KiB
/// in a release).
const WIPED_BYTES: usize = 64 << 10;

/// Overwrites the stack below the caller, where functions that have returned left copies of keys and plaintext. For the end
/// of a thread that decrypts, since the C library keeps its stack for the next one, and for the end of the work.
#[inline(never)]
pub fn wipe_stack() {
    let mut below = [0_u8; WIPED_BYTES];
    // Nobody reads it: without this it would not be written.
    std::hint::black_box(&mut below);
}

impl<T> Secret<T> {
    /// Wraps a value at the place where it is born.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// Shows the value to code that works on it.
    pub fn expose(&self) -> &T {
        &self.0
    }

    /// Gives the value up, for code that turns it into the answer.
    pub fn into_exposed(self) -> T {
        self.0
    }
}

impl<T: Clone> Secret<T> {
    /// Copies the value; a method instead of `Clone`, so that a copy is seen where it is made.
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }
}

impl SecretSlice<'_> {
    /// The bytes on their own; copies them unless they are already.
    pub fn into_owned(self) -> SecretBytes {
        Secret(self.0.into_owned())
    }
}

impl From<&str> for SecretBytes {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}
