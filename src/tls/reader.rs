//! A bounded cursor over a message: every read is checked, every length field opens a sub-reader, and nothing is
//! indexed. A short read gives `None` and consumes nothing.

/// The cursor.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the first of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether all is read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is left.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    /// A one-byte number.
    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// A two-byte number, big-endian.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// A three-byte number, big-endian.
    pub fn u24(&mut self) -> Option<u32> {
        self.array().map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
    }

    /// What a one-byte length announces.
    pub fn sub8(&mut self) -> Option<Reader<'a>> {
        let mut ahead = *self;
        let len = ahead.u8()?;
        self.commit(ahead, usize::from(len))
    }

    /// What a two-byte length announces.
    pub fn sub16(&mut self) -> Option<Reader<'a>> {
        let mut ahead = *self;
        let len = ahead.u16()?;
        self.commit(ahead, usize::from(len))
    }

    /// What a two-byte length announces, or all that is left where the message was cut; the flag tells which.
    pub fn sub16_lenient(&mut self) -> Option<(Reader<'a>, bool)> {
        let len = usize::from(self.u16()?);
        let whole = len <= self.rest.len();
        let body = self.take(len.min(self.rest.len()))?;
        Some((Reader::new(body), whole))
    }

    fn commit(&mut self, mut ahead: Self, len: usize) -> Option<Reader<'a>> {
        let body = ahead.take(len)?;
        *self = ahead;
        Some(Reader::new(body))
    }
}

#[cfg(test)]
mod tests {
    use super::Reader;

    #[test]
    fn a_short_read_gives_nothing_and_consumes_nothing() {
        let mut reader = Reader::new(&[0, 5, 1, 2]);
        assert!(reader.sub16().is_none());
        assert_eq!(reader.rest(), [0, 5, 1, 2]);
        assert_eq!(reader.u16(), Some(5));
        assert!(reader.u24().is_none());
        assert_eq!(reader.rest(), [1, 2]);
    }
}
