//! The little of DER that a PKCS#12 file is made of: elements of a definite length, one after the other.
//!
//! Source: ITU-T X.690, 8.1 and 10.1.

/// Tags.
pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const IDENTIFIER: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
/// `[0]` around an element.
pub(super) const EXPLICIT: u8 = 0xa0;
/// `[0]` in the place of the tag of an octet string.
pub(super) const IMPLICIT: u8 = 0x80;

/// What is left to read.
#[derive(Clone, Copy)]
pub(super) struct Der<'a>(pub(super) &'a [u8]);

impl<'a> Der<'a> {
    /// Whether everything was read.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The content of the next element, which has to have this tag.
    pub(super) fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let ([found, length], rest) = self.0.split_first_chunk()?;
        let (length, rest) = match length {
            0..=0x7f => (usize::from(*length), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(length - 0x80))?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        if *found != tag {
            return None;
        }
        self.0 = rest;
        Some(content)
    }

    /// The elements of a sequence.
    pub(super) fn sequence(&mut self) -> Option<Self> {
        self.take(SEQUENCE).map(Self)
    }

    /// What `[0]` stands around.
    pub(super) fn explicit(&mut self) -> Option<Self> {
        self.take(EXPLICIT).map(Self)
    }

    /// A number from 0 to 2^32 - 1; whatever is larger counts as that.
    pub(super) fn number(&mut self) -> Option<u32> {
        let bytes = self.take(INTEGER)?;
        let is_negative = bytes.first()? & 0x80 != 0;
        let value = bytes.iter().fold(0_u64, |value, byte| (value << 8 | u64::from(*byte)).min(u64::from(u32::MAX)));
        if is_negative { None } else { u32::try_from(value).ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_elements_of_short_and_long_length() {
        let mut der = Der(&[4, 1, 7, 4, 0x81, 1, 8, 4, 0x82, 0, 1, 9, 2, 2, 8, 0]);
        let taken: Vec<_> = (0..3).map(|_| der.take(OCTETS).unwrap().to_vec()).collect();
        assert_eq!(taken, [[7], [8], [9]]);
        assert_eq!((der.number(), der.is_empty()), (Some(2048), true));
    }

    #[test]
    fn takes_nothing_beyond_the_end_nor_of_another_kind() {
        for bytes in [
            &[][..],
            &[4],
            &[4, 1],
            &[4, 0x80, 0, 0],
            &[4, 0x81],
            &[4, 0x84, 0xff, 0xff, 0xff, 0xff, 1],
            &[4, 0x85, 0, 0, 0, 0, 0],
            &[4, 0xff, 1],
            &[5, 0],
        ] {
            let mut der = Der(bytes);
            assert!(der.take(OCTETS).is_none() && der.0 == bytes, "{bytes:?}");
        }
    }

    #[test]
    fn numbers_are_neither_negative_nor_without_end() {
        assert_eq!(Der(&[2, 1, 0x80]).number(), None);
        assert_eq!(Der(&[2, 0]).number(), None);
        assert_eq!(Der(&[2, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0]).number(), Some(u32::MAX));
    }
}
