//! S-expressions of libgcrypt, canonical and advanced: the form of GnuPG's `private-keys-v1.d` files.
//!
//! Source: GnuPG `agent/keyformat.txt`; libgcrypt manual, "S-expressions".

use crate::secret::SecretBytes;

/// Deepest nesting that is read; GnuPG writes 5.
const NESTING: usize = 16;

/// A list or an atom. No `Debug`: atoms hold key material.
pub enum Sexp {
    /// Bytes.
    Atom(SecretBytes),
    /// Elements in order.
    List(Vec<Sexp>),
}

impl Sexp {
    /// Reads one expression; what follows it is ignored. `None` if malformed.
    pub fn parse(text: &[u8]) -> Option<Self> {
        Reader { rest: text }.expression(0)
    }

    /// The bytes of an atom.
    pub fn atom(&self) -> Option<&[u8]> {
        match self {
            Self::Atom(bytes) => Some(bytes.expose()),
            Self::List(_) => None,
        }
    }

    /// The elements of a list.
    pub fn list(&self) -> Option<&[Sexp]> {
        match self {
            Self::Atom(_) => None,
            Self::List(elements) => Some(elements),
        }
    }

    /// The name of a list: its first element.
    pub fn name(&self) -> Option<&[u8]> {
        self.list()?.first()?.atom()
    }

    /// The elements behind the name of the sub-list with this name.
    pub fn child(&self, name: &str) -> Option<&[Sexp]> {
        self.list()?.iter().find(|e| e.name() == Some(name.as_bytes()))?.list()?.get(1..)
    }

    /// The value of the sub-list `(name value)`.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        self.child(name)?.first()?.atom()
    }

    /// The canonical form, leaving out sub-lists with this name: what GnuPG authenticates beside the protected part.
    pub fn canonical_without(&self, left_out: &str, out: &mut Vec<u8>) {
        match self {
            Self::Atom(bytes) => {
                out.extend_from_slice(bytes.expose().len().to_string().as_bytes());
                out.push(b':');
                out.extend_from_slice(bytes.expose());
            }
            Self::List(elements) => {
                out.push(b'(');
                for element in elements.iter().filter(|e| e.name() != Some(left_out.as_bytes())) {
                    element.canonical_without(left_out, out);
                }
                out.push(b')');
            }
        }
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn expression(&mut self, depth: usize) -> Option<Sexp> {
        self.skip_space();
        if self.take_if(b'(') {
            if depth == NESTING {
                return None;
            }
            let mut elements = Vec::new();
            loop {
                self.skip_space();
                if self.take_if(b')') {
                    return Some(Sexp::List(elements));
                }
                elements.push(self.expression(depth + 1)?);
            }
        }
        self.atom().map(|bytes| Sexp::Atom(SecretBytes::new(bytes)))
    }

    fn atom(&mut self) -> Option<Vec<u8>> {
        match self.rest.first()? {
            b'#' => self.hex(),
            b'"' => self.quoted(),
            b'0'..=b'9' => self.verbatim().or_else(|| self.token()),
            _ => self.token(),
        }
    }

    /// `3:abc`
    fn verbatim(&mut self) -> Option<Vec<u8>> {
        let colon = self.rest.iter().take(9).position(|b| !b.is_ascii_digit())?;
        let (length, after) = self.rest.split_at_checked(colon)?;
        let after = after.strip_prefix(b":")?;
        let length: usize = std::str::from_utf8(length).ok()?.parse().ok()?;
        let (bytes, rest) = after.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes.to_vec())
    }

    /// `#0aF1#`, blanks inside allowed.
    fn hex(&mut self) -> Option<Vec<u8>> {
        let inside = self.rest.strip_prefix(b"#")?;
        let end = inside.iter().position(|b| *b == b'#')?;
        let (digits, rest) = inside.split_at_checked(end)?;
        let nibbles: Option<Vec<u8>> = digits
            .iter()
            .filter(|b| !b.is_ascii_whitespace())
            .map(|b| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok()))
            .collect();
        self.rest = rest.get(1..)?;
        let nibbles = nibbles?;
        if nibbles.len() % 2 == 1 {
            return None;
        }
        Some(nibbles.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, nibble| byte << 4 | nibble)).collect())
    }

    /// `"NIST P-256"`. libgcrypt prints any value like that which happens to look like text, one key in hundreds, with
    /// C's escapes in it (libgcrypt `src/sexp.c`, `convert_to_string`, `unquote_string`).
    fn quoted(&mut self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        self.rest = self.rest.strip_prefix(b"\"")?;
        loop {
            match self.next()? {
                b'"' => return Some(out),
                b'\\' => out.extend(self.escape()?),
                byte => out.push(byte),
            }
        }
    }

    /// What stands behind a backslash; nothing for a line that goes on below.
    fn escape(&mut self) -> Option<Option<u8>> {
        Some(Some(match self.next()? {
            b'b' => 0x08,
            b't' => b'\t',
            b'v' => 0x0b,
            b'n' => b'\n',
            b'f' => 0x0c,
            b'r' => b'\r',
            b'x' => self.number(2, 16)?,
            first @ b'0'..=b'7' => {
                let rest = self.number(2, 8)?;
                (first - b'0').checked_mul(64)?.checked_add(rest)?
            }
            quoted @ (b'"' | b'\'' | b'\\') => quoted,
            b'\n' => {
                _ = self.take_if(b'\r');
                return Some(None);
            }
            b'\r' => {
                _ = self.take_if(b'\n');
                return Some(None);
            }
            _ => return None,
        }))
    }

    /// Exactly this many digits.
    fn number(&mut self, digits: usize, radix: u32) -> Option<u8> {
        let mut number = 0;
        for _ in 0..digits {
            number = number * radix + char::from(self.next()?).to_digit(radix)?;
        }
        u8::try_from(number).ok()
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn token(&mut self) -> Option<Vec<u8>> {
        let end =
            self.rest.iter().position(|b| b.is_ascii_whitespace() || b"()#\"".contains(b)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        (!token.is_empty() && !token.contains(&b':')).then(|| token.to_vec())
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    fn take_if(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_and_advanced_forms_are_the_same() {
        let canonical =
            Sexp::parse(b"(11:private-key(3:ecc(5:curve10:NIST P-256)(1:q3:\x04\x01\x02)))").expect("canonical");
        let advanced = Sexp::parse(b"(private-key\n (ecc (curve \"NIST P-256\")(q #04 0102#)))").expect("advanced");
        let (mut a, mut b) = (Vec::new(), Vec::new());
        canonical.canonical_without("x", &mut a);
        advanced.canonical_without("x", &mut b);
        assert!(a == b && a.starts_with(b"(11:private-key(3:ecc"));
        assert_eq!(
            advanced.list().and_then(|l| l.get(1)).and_then(|ecc| ecc.value("q")),
            Some(b"\x04\x01\x02".as_slice())
        );
    }

    #[test]
    fn left_out_list_is_not_in_the_canonical_form() {
        let mut out = Vec::new();
        Sexp::parse(b"(rsa (n #01#)(protected x y)(e #03#))").expect("good").canonical_without("protected", &mut out);
        assert_eq!(out, b"(3:rsa(1:n1:\x01)(1:e1:\x03))");
    }

    /// A key of gpg 2.2 whose scalar looked like text to it.
    #[test]
    fn quoted_value_may_hold_any_byte() {
        let read = |text: &[u8]| Sexp::parse(text).and_then(|sexp| sexp.atom().map(<[u8]>::to_vec));
        assert_eq!(
            read(b"\"9\xa87*\\'\xdf^ $C\xf1\\b\\t\\v\\n\\f\\r\\\"\\\\\\x0a\\351\\\r\nz\"").expect("quoted"),
            b"9\xa87*'\xdf^ $C\xf1\x08\t\x0b\n\x0c\r\"\\\x0a\xe9z"
        );
        for bad in [&b"\"\\"[..], b"\"\\x0\"", b"\"\\777\"", b"\"\\18\"", b"\"\\q\""] {
            assert!(read(bad).is_none());
        }
    }

    #[test]
    fn malformed_text_is_refused() {
        for bad in [&b"("[..], b"(a", b"(a #0#)", b"(a #0g#)", b"(9:abc)", b"(\"abc)", b"", b"(99999999999999999999:a)"]
        {
            assert!(Sexp::parse(bad).is_none());
        }
        assert!(Sexp::parse(&vec![b'('; 100_000]).is_none());
    }
}
