//! The Huffman code of HPACK and QPACK (RFC 7541 §5.2 and Appendix B): coded strings → bytes.
//!
//! The code is canonical, so the lengths of its words are all there is to write down; the tables are derived from them.

/// Length in bits of each byte's word, and of the end-of-string symbol's.
const LENGTHS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
    28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12,
    10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6,
    5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22,
    22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20,
    22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28,
    27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28,
    27, 27, 27, 27, 27, 26, 30,
];
/// All bytes and the end of the string.
const SYMBOLS: usize = 257;
const END_OF_STRING: u16 = 256;
const LENGTH_MAX: usize = 30;
/// Words up to this length are found by one look.
const FAST_BITS: usize = 8;

static TABLES: Tables = Tables::derive();

struct Tables {
    /// Symbol and length of the word that a byte begins with; length 0 where it is longer.
    fast: [(u8, u8); 1 << FAST_BITS],
    /// Symbols in the order of their words.
    symbols: [u16; SYMBOLS],
    /// By length: the first word of it, and how many shorter ones there are.
    first: [(u32, u16); LENGTH_MAX + 1],
    /// By length: the least 32 bits that begin with no word of this length or a shorter one.
    limit: [u64; LENGTH_MAX + 1],
}

impl Tables {
    const fn derive() -> Self {
        let (fast, symbols) = ([(0, 0); 1 << FAST_BITS], [0; SYMBOLS]);
        let mut tables = Self { fast, symbols, first: [(0, 0); LENGTH_MAX + 1], limit: [0; LENGTH_MAX + 1] };
        let (mut word, mut known, mut length) = (0u32, 0usize, 1usize);
        while length <= LENGTH_MAX {
            word <<= 1;
            tables.first[length] = (word, known as u16);
            let mut symbol = 0;
            while symbol < SYMBOLS {
                if LENGTHS[symbol] as usize == length {
                    tables.symbols[known] = symbol as u16;
                    tables.fill(word, length, symbol as u8);
                    known += 1;
                    word += 1;
                }
                symbol += 1;
            }
            tables.limit[length] = (word as u64) << (32 - length);
            length += 1;
        }
        tables
    }

    const fn fill(&mut self, word: u32, length: usize, symbol: u8) {
        if length <= FAST_BITS {
            let spread = 1 << (FAST_BITS - length);
            let mut low = 0;
            while low < spread {
                self.fast[word as usize * spread + low] = (symbol, length as u8);
                low += 1;
            }
        }
    }

    /// Symbol and length of the word that these bits begin with.
    fn find(&self, top: u32) -> (u16, usize) {
        let mut length = FAST_BITS + 1;
        while u64::from(top) >= self.limit[length] {
            length += 1;
        }
        let (first, before) = self.first[length];
        let at = (top >> (32 - length)) - first + u32::from(before);
        (self.symbols[at as usize], length)
    }
}

/// The bytes are no Huffman-coded string: they hold the end-of-string symbol or end in no padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Appends what `coded` stands for; at most 8⁄5 of its length.
pub(super) fn decode(coded: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    out.reserve(coded.len() * 8 / 5);
    // `bits` bits stand at the top of `window`.
    let (mut window, mut bits) = (0u64, 0usize);
    let mut bytes = coded.iter();
    loop {
        while bits <= 56
            && let Some(&byte) = bytes.next()
        {
            window |= u64::from(byte) << (56 - bits);
            bits += 8;
        }
        let top = (window >> 32) as u32;
        let (symbol, length) = match TABLES.fast[(top >> 24) as usize] {
            (_, 0) => TABLES.find(top),
            (symbol, length) => (u16::from(symbol), usize::from(length)),
        };
        if length > bits {
            break;
        }
        if symbol == END_OF_STRING {
            return Err(Malformed);
        }
        out.push(symbol as u8);
        window <<= length;
        bits -= length;
    }
    // What is left is fewer than eight bits of the end-of-string symbol.
    let padding = u64::MAX.checked_shl(64 - bits as u32).unwrap_or(0);
    if bits < 8 && window == padding { Ok(()) } else { Err(Malformed) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::{LENGTHS, TABLES, decode};
    use proptest::prelude::*;

    /// Codes bytes; an encoder from the words alone.
    pub(in crate::http) fn encode(bytes: &[u8]) -> Vec<u8> {
        let mut bits = String::new();
        for &byte in bytes {
            let length = usize::from(LENGTHS[usize::from(byte)]);
            let (first, before) = TABLES.first[length];
            let place = TABLES.symbols.iter().position(|&symbol| symbol == u16::from(byte)).expect("a known symbol");
            let word = first + place as u32 - u32::from(before);
            bits.push_str(&format!("{word:0length$b}"));
        }
        while !bits.len().is_multiple_of(8) {
            bits.push('1');
        }
        let byte = |at| u8::from_str_radix(&bits[at..at + 8], 2).expect("eight bits");
        (0..bits.len()).step_by(8).map(byte).collect()
    }

    fn decoded(coded: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        decode(coded, &mut out).ok().map(|()| out)
    }

    #[test]
    fn the_strings_of_rfc_7541_appendix_c_are_read() {
        for (coded, text) in [
            ("f1e3c2e5f23a6ba0ab90f4ff", "www.example.com"),
            ("a8eb10649cbf", "no-cache"),
            ("25a849e95ba97d7f", "custom-key"),
            ("25a849e95bb8e8b4bf", "custom-value"),
            ("6402", "302"),
            ("d07abe941054d444a8200595040b8166e082a62d1bff", "Mon, 21 Oct 2013 20:13:21 GMT"),
            ("9d29ad171863c78f0b97c8e9ae82ae43d3", "https://www.example.com"),
            ("9bd9ab", "gzip"),
        ] {
            let coded: Vec<u8> = (0..coded.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&coded[at..at + 2], 16).expect("hex"))
                .collect();
            assert_eq!(decoded(&coded).as_deref(), Some(text.as_bytes()));
            assert_eq!(encode(text.as_bytes()), coded);
        }
    }

    #[test]
    fn wrong_padding_and_the_end_of_string_symbol_are_refused() {
        assert_eq!(decoded(&[]), Some(Vec::new()));
        // `0` is 00000: padding of zeros, of a whole byte, and none where a word breaks off.
        for coded in [&[0b0000_0000][..], &[0b0000_0111, 0xff], &[0xff, 0xff], &[0xff, 0xff, 0xff, 0xff], &[0xfe]] {
            assert_eq!(decoded(coded), None, "{coded:?}");
        }
        assert_eq!(decoded(&[0b0000_0111]).as_deref(), Some(&b"0"[..]));
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(decoded(&encode(&bytes)), Some(bytes));
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(text) = decoded(&bytes) {
                prop_assert_eq!(encode(&text), bytes);
            }
        }
    }
}
