//! `ENC[AES256_GCM,…]` values.
//!
//! Source: getsops/sops v3.13, `aes/cipher.go`. Stricter than Go where no release differs (`sops-format.md` 1.2):
//! nothing stands after the `]`, base64 has one spelling, the iv has 32 bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use unsops_gcm::{Gcm, Tampered};

use super::data_key::DataKey;
use super::fields::parse_bool;
use super::tree::{Comment, Value};
use crate::secret::Secret;
use crate::yaml::timestamp::Timestamp;

/// A token taken apart.
pub struct EncryptedValue {
    data: Vec<u8>,
    seal: Seal,
}

/// What stands in a token beside its data.
struct Seal {
    iv: [u8; 32],
    tag: [u8; 16],
    kind: Kind,
}

/// What a token holds. The kind is not authenticated: editing it is not noticed unless the value does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `True` or `False`.
    Bool,
    /// Written by Python sops only; read as a string.
    Bytes,
    /// A comment.
    Comment,
    /// A 64-bit float.
    Float,
    /// A signed integer.
    Int,
    /// Text or bytes.
    Str,
    /// A point in time.
    Time,
}

/// What the walk through a tree puts in the place of a token.
pub(super) trait Unseal {
    /// Gives the value for a token at a place (`additional`: the path with `:` after each key), of the token's kind.
    ///
    /// # Errors
    /// See [`CipherError`].
    fn unseal(&self, token: &[u8], additional: &[u8]) -> Result<Value, CipherError>;

    /// As [`Unseal::unseal`], of a token that is needed no more.
    ///
    /// # Errors
    /// See [`CipherError`].
    fn unseal_owned(&self, token: Vec<u8>, additional: &[u8]) -> Result<Value, CipherError> {
        self.unseal(&token, additional)
    }
}

/// Why a value does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CipherError {
    /// Not a token, or not one that sops writes.
    Malformed(&'static str),
    /// Not encrypted with this key at this place, or changed since.
    Tampered(&'static str),
}

/// The cipher of one file: AES-256-GCM with the data key.
pub struct Cipher {
    aes: Box<Gcm>,
}

impl Cipher {
    /// Sets the key up.
    pub fn new(key: &DataKey) -> Self {
        Self { aes: Gcm::new(key.expose()) }
    }

    /// Opens a token: authenticates it with its place (`additional`, the path with `:` after each key) and gives
    /// back the typed value.
    ///
    /// # Errors
    /// See [`CipherError`].
    pub fn open(&self, token: &[u8], additional: &[u8]) -> Result<Value, CipherError> {
        let EncryptedValue { mut data, seal } = EncryptedValue::parse(token).map_err(CipherError::Malformed)?;
        self.decrypt(&mut data, &seal, additional)?;
        typed(data, seal.kind)
    }

    /// As [`Cipher::open`], in the token's own memory: another buffer for megabytes costs more than to decrypt them.
    ///
    /// # Errors
    /// See [`CipherError`].
    fn open_in_place(&self, mut token: Vec<u8>, additional: &[u8]) -> Result<Value, CipherError> {
        let (data, seal) = Seal::parse(&token).map_err(CipherError::Malformed)?;
        let data = data.len();
        decode_in_place(&mut token, PREFIX.len(), data).ok_or(CipherError::Malformed(NOT_BASE64))?;
        self.decrypt(&mut token, &seal, additional)?;
        typed(token, seal.kind)
    }

    fn decrypt(&self, data: &mut [u8], seal: &Seal, additional: &[u8]) -> Result<(), CipherError> {
        self.aes.open(&seal.iv, additional, data, &seal.tag).map_err(|Tampered| {
            CipherError::Tampered("does not decrypt: it was changed, moved, or encrypted with another key")
        })
    }
}

impl Unseal for Cipher {
    fn unseal(&self, token: &[u8], additional: &[u8]) -> Result<Value, CipherError> {
        self.open(token, additional)
    }

    fn unseal_owned(&self, token: Vec<u8>, additional: &[u8]) -> Result<Value, CipherError> {
        if token.len() < IN_PLACE_BYTES { self.open(&token, additional) } else { self.open_in_place(token, additional) }
    }
}

/// From this size on, a token gives its memory to its plaintext, which needs three quarters of it. Of smaller ones there
/// may be many at a time.
const IN_PLACE_BYTES: usize = 64 << 10;

impl EncryptedValue {
    /// Takes a token apart. `Err` says in fixed words what is wrong with it.
    pub fn parse(token: &[u8]) -> Result<Self, &'static str> {
        let (data, seal) = Seal::parse(token)?;
        Ok(Self { data: STANDARD.decode(data).map_err(|_| NOT_BASE64)?, seal })
    }
}

/// What every token begins with.
const PREFIX: &[u8] = b"ENC[AES256_GCM,data:";

const NOT_BASE64: &str = "data of the ENC[…] token is not base64";

impl Seal {
    /// Takes a token apart, and gives its data as they stand there, in base64.
    fn parse(token: &[u8]) -> Result<(&[u8], Self), &'static str> {
        const SHAPE: &str = "not in the form ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]";
        let rest = token.strip_prefix(PREFIX).ok_or(SHAPE)?;
        let (data, rest) = split_once(rest, b",iv:").ok_or(SHAPE)?;
        let (iv, rest) = split_once(rest, b",tag:").ok_or(SHAPE)?;
        let (tag, rest) = split_once(rest, b",type:").ok_or(SHAPE)?;
        let kind = rest.strip_suffix(b"]").ok_or(SHAPE)?;
        let kind = Kind::parse(kind).ok_or("unknown type of encrypted value")?;
        if data.is_empty() {
            return Err("no data in the ENC[…] token");
        }
        let seal = Self {
            iv: decode_exactly(iv).ok_or("iv of the ENC[…] token is not 32 bytes of base64")?,
            tag: decode_exactly(tag).ok_or("tag of the ENC[…] token is not 16 bytes of base64")?,
            kind,
        };
        Ok((data, seal))
    }
}

/// Splits at the separator.
fn split_once<'a>(text: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    // Base64 has no comma, so in a real token the separator begins at the first one; and what follows the data is short.
    let skipped = text.len().saturating_sub(TAIL_BYTES);
    let comma = text.get(skipped..)?.iter().position(|byte| *byte == b',')?;
    let (before, rest) = text.split_at_checked(skipped + comma)?;
    Some((before, rest.strip_prefix(separator)?))
}

/// More than iv, tag and type have, with the words around them: 44, 24 and 7 characters.
const TAIL_BYTES: usize = 128;

/// A multiple of the four characters that stand for three bytes.
const PIECE_BYTES: usize = 4096;

/// Decodes the base64 that stands at an offset into the beginning of its own buffer. `None` where it is none.
fn decode_in_place(buffer: &mut Vec<u8>, at: usize, length: usize) -> Option<()> {
    let end = at.checked_add(length)?;
    let (mut read, mut written) = (at, 0);
    let mut piece = [0; PIECE_BYTES];
    while read < end {
        let text = piece.get_mut(..PIECE_BYTES.min(end - read))?;
        text.copy_from_slice(buffer.get(read..read + text.len())?);
        // Three bytes for four characters: what is written never reaches what is still to be read.
        let room = text.len().div_ceil(4) * 3;
        let count = STANDARD.decode_slice(&*text, buffer.get_mut(written..written + room)?).ok()?;
        read += text.len();
        written += count;
        // Padding ends the text.
        if read < end && count < room {
            return None;
        }
    }
    buffer.truncate(written);
    Some(())
}

fn decode_exactly<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    // The engine wants room for whole groups of three.
    let mut buffer = [0; 36];
    let length = STANDARD.decode_slice(text, &mut buffer).ok()?;
    bytes.copy_from_slice(buffer.get(..length).filter(|decoded| decoded.len() == N)?);
    Some(bytes)
}

impl EncryptedValue {
    /// The declared type.
    pub fn kind(&self) -> Kind {
        self.seal.kind
    }

    /// Bytes of ciphertext; the plaintext has as many.
    pub fn size_bytes(&self) -> usize {
        self.data.len()
    }
}

impl Kind {
    /// The word in the token.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Bytes => "bytes",
            Self::Comment => "comment",
            Self::Float => "float",
            Self::Int => "int",
            Self::Str => "str",
            Self::Time => "time",
        }
    }

    fn parse(word: &[u8]) -> Option<Self> {
        Some(match word {
            b"bool" => Self::Bool,
            b"bytes" => Self::Bytes,
            b"comment" => Self::Comment,
            b"float" => Self::Float,
            b"int" => Self::Int,
            b"str" => Self::Str,
            b"time" => Self::Time,
            _ => return None,
        })
    }
}

/// Gives decrypted bytes their type.
fn typed(plaintext: Vec<u8>, kind: Kind) -> Result<Value, CipherError> {
    const UNFIT: CipherError = CipherError::Tampered("does not fit its type: the type was changed");
    let text = || std::str::from_utf8(&plaintext).map_err(|_| UNFIT);
    match kind {
        Kind::Bool => parse_bool(&plaintext).map(Value::Bool).ok_or(UNFIT),
        Kind::Bytes | Kind::Str => Ok(Value::Str(Secret::new(plaintext))),
        Kind::Comment => Ok(Value::Comment(Comment { text: Secret::new(plaintext), is_inline: false })),
        Kind::Float => parse_float(text()?).map(Value::Float).ok_or(UNFIT),
        Kind::Int => match text()?.parse() {
            Ok(number) => Ok(Value::Int(number)),
            // Python sops wrote integers of any size.
            Err(_) if is_integer(text()?) => Err(CipherError::Malformed("encrypted integer beyond 64 bits")),
            Err(_) => Err(UNFIT),
        },
        Kind::Time => Timestamp::parse_rfc3339(text()?).map(Value::Time).ok_or(UNFIT),
    }
}

/// Go `strconv.ParseFloat` of what sops writes: decimal, or a name of infinity or NaN; out of range is an error.
fn parse_float(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    let has_digit = text.bytes().any(|byte| byte.is_ascii_digit());
    let is_signed_nan = number.is_nan() && text.starts_with(['+', '-']);
    let is_out_of_range = number.is_infinite() && has_digit;
    (!is_signed_nan && !is_out_of_range).then_some(number)
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integer_beyond_64_bits_is_not_called_tampering() {
        let open = |text: &str| typed(text.into(), Kind::Int).err();
        for text in ["9223372036854775808", "-9223372036854775809", "+99999999999999999999"] {
            assert_eq!(open(text), Some(CipherError::Malformed("encrypted integer beyond 64 bits")), "{text}");
        }
        for text in ["", "+", "-", "1.5", "x", "99999999999999999999x", "--99999999999999999999"] {
            assert!(matches!(open(text), Some(CipherError::Tampered(_))), "{text}");
        }
        assert_eq!(open("-9223372036854775808"), None);
    }

    #[test]
    fn floats_are_those_that_go_reads() {
        let float = |text: &str| match typed(text.into(), Kind::Float) {
            Ok(Value::Float(number)) => Some(number),
            _ => None,
        };
        for (text, number) in [("0.5", 0.5), ("-1e300", -1e300), ("+Inf", f64::INFINITY), ("-inf", f64::NEG_INFINITY)] {
            assert_eq!(float(text), Some(number), "{text}");
        }
        assert!(float("NaN").is_some_and(f64::is_nan));
        for text in ["1e400", "-1e400", "+NaN", "-NaN", "", "0.5x", "0x1p-2x"] {
            assert_eq!(float(text), None, "{text}");
        }
    }

    fn in_place(text: &[u8]) -> Option<Vec<u8>> {
        let mut buffer = [PREFIX, text, b",iv:"].concat();
        decode_in_place(&mut buffer, PREFIX.len(), text.len()).map(|()| buffer)
    }

    #[test]
    fn decodes_in_place_what_the_engine_decodes() {
        let bytes: Vec<u8> = (0..10_000_u32).map(|n| (n * 7 % 251) as u8).collect();
        for length in (0..40).chain(3060..3090).chain(6130..6150).chain([9216, 9999, 10_000]) {
            let text = STANDARD.encode(&bytes[..length]);
            assert_eq!(in_place(text.as_bytes()).as_deref(), Some(&bytes[..length]), "{length}");
        }
    }

    #[test]
    fn refuses_in_place_what_the_engine_refuses() {
        let good = STANDARD.encode([7; 6000]).into_bytes();
        for place in [0, 1, 4091, 4092, 4094, 4095, 4096, 7998, 7999] {
            for byte in [b'=', b'-', b' ', b'\n', 0x80] {
                let mut bad = good.clone();
                bad[place] = byte;
                assert_eq!(in_place(&bad).is_some(), STANDARD.decode(&bad).is_ok(), "{byte} at {place}");
            }
        }
        for length in 7990..8000 {
            assert_eq!(in_place(&good[..length]).is_some(), STANDARD.decode(&good[..length]).is_ok(), "{length}");
        }
        // Each half would do by itself.
        let halves = [STANDARD.encode([7; 3070]), STANDARD.encode([7; 10])].concat();
        assert!(in_place(halves.as_bytes()).is_none());
    }
}
