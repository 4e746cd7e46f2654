//! Which kinds of characters some bytes hold: one look at a value that both decoders and detectors go by.

/// Kinds of characters, a bit for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kinds(pub u16);

impl Kinds {
    /// Something that is no hexadecimal digit.
    pub const NOT_HEX: u16 = 1;
    /// Something that base64 (either alphabet, padded or wrapped) does not hold.
    pub const NOT_BASE64: u16 = 2;
    /// `%`.
    pub const PERCENT: u16 = 4;
    /// `=` or `&`.
    pub const PAIR: u16 = 8;
    /// A control character that is no white space.
    pub const CONTROL: u16 = 16;
    /// White space.
    pub const BLANK: u16 = 32;
    /// `.`
    pub const POINT: u16 = 64;
    /// Something that does not stand in a list of whole numbers.
    pub const NOT_NUMBERS: u16 = 128;

    /// Signs that few values hold, each with a bit of its own.
    const SIGNS: &[(u8, u16)] =
        &[(b'@', 1 << 8), (b':', 1 << 9), (b'-', 1 << 10), (b'_', 1 << 11), (b'/', 1 << 12), (b'+', 1 << 13)];

    /// The kinds of all of `bytes` together.
    #[must_use]
    #[inline]
    pub fn of(bytes: &[u8]) -> Self {
        Self(bytes.iter().fold(0, |kinds, &byte| kinds | KINDS[usize::from(byte)]))
    }

    /// The bit of a sign that has one; none for other bytes.
    #[must_use]
    pub fn sign(byte: u8) -> u16 {
        Self::SIGNS.iter().find(|&&(sign, _)| sign == byte).map_or(0, |&(_, bit)| bit)
    }

    /// Whether any of `kinds` was seen.
    #[must_use]
    #[inline]
    pub fn any(self, kinds: u16) -> bool {
        self.0 & kinds != 0
    }
}

/// The kinds of each byte.
static KINDS: [u16; 256] = kinds();

const fn kinds() -> [u16; 256] {
    let mut table = [0u16; 256];
    let mut byte = 0u8;
    loop {
        let mut kinds = 0;
        if !byte.is_ascii_hexdigit() {
            kinds |= Kinds::NOT_HEX;
        }
        if !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'=' | b' ' | b'\r' | b'\n')) {
            kinds |= Kinds::NOT_BASE64;
        }
        if !(byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b',' | b';' | b'|' | b' ')) {
            kinds |= Kinds::NOT_NUMBERS;
        }
        kinds |= match byte {
            b'%' => Kinds::PERCENT,
            b'=' | b'&' => Kinds::PAIR,
            b'.' => Kinds::POINT,
            b' ' | b'\t' | b'\r' | b'\n' => Kinds::BLANK,
            0..=0x1f | 0x7f => Kinds::CONTROL,
            _ => 0,
        };
        table[byte as usize] = kinds;
        if byte == 255 {
            break;
        }
        byte += 1;
    }
    let mut at = 0;
    while at < Kinds::SIGNS.len() {
        table[Kinds::SIGNS[at].0 as usize] |= Kinds::SIGNS[at].1;
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::Kinds;

    #[test]
    fn each_value_shows_its_kinds() {
        assert_eq!(Kinds::of(b"12,-3"), Kinds(Kinds::NOT_HEX | Kinds::NOT_BASE64 | Kinds::sign(b'-')));
        assert!(!Kinds::of(b"deadBEEF").any(Kinds::NOT_HEX | Kinds::NOT_BASE64));
        assert!(Kinds::of(b"a=b").any(Kinds::PAIR) && Kinds::of(b"%41").any(Kinds::PERCENT));
        assert!(Kinds::of(b"a\0").any(Kinds::CONTROL) && !Kinds::of(b"a\t\xff").any(Kinds::CONTROL));
        assert!(Kinds::of(b"a@b").any(Kinds::sign(b'@')) && Kinds::sign(b'a') == 0);
    }
}
