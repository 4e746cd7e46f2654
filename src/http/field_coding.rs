//! The primitives that HPACK (RFC 7541 §5) and QPACK (RFC 9204 §4.1) share: prefixed integers and string literals.

use super::huffman;

/// Why a primitive could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CodingError {
    /// The bytes end within it; nothing is taken. In a stream, more bytes may follow.
    Short,
    /// An integer above 62 bits; nothing after it can be read.
    Overflow,
    /// A string that its Huffman code does not give; the string is taken, and reading may go on after it.
    Huffman,
}

/// Reads primitives one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Begins with the first of `bytes`.
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The bytes not read yet.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next byte, which stays.
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// An integer whose first byte holds it in its low `prefix` bits (1 to 8); the bits above are ignored.
    pub(super) fn integer(&mut self, prefix: u32) -> Result<u64, CodingError> {
        let (&first, mut rest) = self.rest.split_first().ok_or(CodingError::Short)?;
        let mask = (1u64 << prefix) - 1;
        let mut value = u64::from(first) & mask;
        if value == mask {
            let mut shift = 0;
            loop {
                let (&byte, after) = rest.split_first().ok_or(CodingError::Short)?;
                rest = after;
                let part = u64::from(byte & 0x7f);
                // Zeros beyond the last bit are wasteful, not wrong; a bound keeps them from going on for ever.
                if shift > 56 && (part != 0 || shift > 126) {
                    return Err(CodingError::Overflow);
                }
                value += part.checked_shl(shift).unwrap_or(0);
                shift += 7;
                if byte & 0x80 == 0 {
                    break;
                }
            }
        }
        self.rest = rest;
        Ok(value)
    }

    /// A string whose length is an integer with that prefix; the bit above the prefix says that it is Huffman-coded.
    /// What is decoded stands in `scratch`.
    pub(super) fn string<'s>(&mut self, prefix: u32, scratch: &'s mut Vec<u8>) -> Result<&'s [u8], CodingError>
    where
        'a: 's,
    {
        let mut reader = *self;
        let coded = reader.peek().ok_or(CodingError::Short)? >> prefix & 1 == 1;
        let length = reader.integer(prefix)?;
        let length = usize::try_from(length).map_err(|_| CodingError::Overflow)?;
        let (text, rest) = reader.rest.split_at_checked(length).ok_or(CodingError::Short)?;
        self.rest = rest;
        if !coded {
            return Ok(text);
        }
        scratch.clear();
        match huffman::decode(text, scratch) {
            Ok(()) => Ok(scratch),
            Err(huffman::Malformed) => Err(CodingError::Huffman),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CodingError, Reader};

    #[test]
    fn the_integers_of_rfc_7541_appendix_c_are_read() {
        for (bytes, prefix, value) in
            [(&[0b1110_1010][..], 5, 10), (&[0b0001_1111, 0x9a, 0x0a], 5, 1_337), (&[42], 8, 42)]
        {
            let mut reader = Reader::new(bytes);
            assert_eq!(reader.integer(prefix), Ok(value));
            assert!(reader.rest().is_empty());
        }
    }

    #[test]
    fn integers_end_somewhere() {
        assert_eq!(Reader::new(&[]).integer(5), Err(CodingError::Short));
        assert_eq!(Reader::new(&[0x1f, 0x80]).integer(5), Err(CodingError::Short));
        assert_eq!(Reader::new(&[0xff; 40]).integer(5), Err(CodingError::Overflow));
        let zeros = [&[0x1f][..], &[0x80; 12], &[0]].concat();
        assert_eq!(Reader::new(&zeros).integer(5), Ok(31));
        let endless = [&[0x1f][..], &[0x80; 40]].concat();
        assert_eq!(Reader::new(&endless).integer(5), Err(CodingError::Overflow));
    }

    #[test]
    fn strings_are_read_plain_and_coded() {
        let mut scratch = Vec::new();
        let mut reader = Reader::new(b"\x03abc\x83\x9b\xd9\xab\x81\x00\x01x");
        assert_eq!(reader.string(7, &mut scratch), Ok(&b"abc"[..]));
        assert_eq!(reader.string(7, &mut scratch), Ok(&b"gzip"[..]));
        assert_eq!(reader.string(7, &mut scratch), Err(CodingError::Huffman));
        assert_eq!(reader.string(7, &mut scratch), Ok(&b"x"[..]));
        assert_eq!(reader.string(7, &mut scratch), Err(CodingError::Short));
        let mut reader = Reader::new(b"\x05ab");
        assert_eq!(reader.string(7, &mut scratch), Err(CodingError::Short));
        assert_eq!(reader.rest().len(), 3);
    }
}
