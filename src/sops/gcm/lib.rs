//! AES-256-GCM with nonces of 32 bytes, as sops uses it. `Cargo.toml` says why this is a package.

#![forbid(unsafe_code)]

use aes_gcm::aead::AeadInPlace;
use aes_gcm::aead::generic_array::GenericArray;
use aes_gcm::aead::generic_array::typenum::U32;
use aes_gcm::aes::Aes256;
use aes_gcm::{AesGcm, KeyInit};

/// A key that is set up.
pub struct Gcm(AesGcm<Aes256, U32>);

/// The text, its additional data or its tag was changed, or it was encrypted with another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tampered;

impl Gcm {
    /// Sets a key up. Boxed: the program's allocator wipes the key schedule when it is freed.
    pub fn new(key: &[u8; 32]) -> Box<Self> {
        Box::new(Self(AesGcm::new(GenericArray::from_slice(key))))
    }

    /// Authenticates a text and its additional data, and only then decrypts it, in its place.
    ///
    /// # Errors
    /// [`Tampered`]; the text is as it was.
    pub fn open(&self, nonce: &[u8; 32], additional: &[u8], text: &mut [u8], tag: &[u8; 16]) -> Result<(), Tampered> {
        let (nonce, tag) = (GenericArray::from_slice(nonce), GenericArray::from_slice(tag));
        self.0.decrypt_in_place_detached(nonce, additional, text, tag).map_err(|_| Tampered)
    }
}
