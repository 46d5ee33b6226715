//! `ENC[AES256_GCM,…]` values.
