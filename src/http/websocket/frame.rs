//! WebSocket frame headers (RFC 6455 §5.2) and masking (§5.3).

/// Longest header: two bytes, a 64-bit length and a masking key.
pub(super) const HEAD_MAX: usize = 14;

/// The opcodes of RFC 6455 §5.2.
pub(super) const CONTINUATION: u8 = 0;
pub(super) const TEXT: u8 = 1;
pub(super) const BINARY: u8 = 2;
pub(super) const CLOSE: u8 = 8;
pub(super) const PING: u8 = 9;
pub(super) const PONG: u8 = 10;

/// The header of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Last frame of its message.
    pub(super) fin: bool,
    /// RSV1, RSV2 and RSV3 as the bits 4, 2 and 1.
    pub(super) rsv: u8,
    /// Opcode.
    pub(super) opcode: u8,
    /// Masking key, where the payload is masked.
    pub(super) mask: Option<[u8; 4]>,
    /// Payload length.
    pub(super) len: u64,
    /// Whether a shorter form of the length would have done.
    pub(super) long_form: bool,
}

/// RSV1: the message is compressed (RFC 7692 §6).
pub(super) const RSV1: u8 = 4;

impl Head {
    /// Whether it is a control frame (RFC 6455 §5.5).
    pub(super) const fn is_control(&self) -> bool {
        self.opcode & 8 != 0
    }
}

/// The header at the start of `bytes` and its length; none if it isn't all there.
pub(super) fn head(bytes: &[u8]) -> Option<(Head, usize)> {
    let &[first, second, ..] = bytes else { return None };
    let (len, long_form, at) = match second & 0x7f {
        126 => {
            let len = u64::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]));
            (len, len < 126, 4)
        }
        127 => {
            let len = u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?);
            (len, len <= u64::from(u16::MAX), 10)
        }
        len => (u64::from(len), false, 2),
    };
    let (mask, at) = match second & 0x80 {
        0 => (None, at),
        _ => (Some(*bytes.get(at..)?.first_chunk()?), at + 4),
    };
    let (fin, rsv, opcode) = (first & 0x80 != 0, first >> 4 & 7, first & 15);
    Some((Head { fin, rsv, opcode, mask, len, long_form }, at))
}

/// Masks or unmasks `bytes`, which stand at `offset` in their payload.
pub(super) fn mask(bytes: &mut [u8], key: [u8; 4], offset: u64) {
    let mut turned = key;
    turned.rotate_left(usize::try_from(offset % 4).unwrap_or_default());
    let word = u32::from_ne_bytes(turned);
    let (words, rest) = bytes.as_chunks_mut::<4>();
    for four in words {
        *four = (u32::from_ne_bytes(*four) ^ word).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(turned) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::{Head, head, mask};

    #[test]
    fn headers_of_all_three_length_forms_are_read() {
        let frame = |fin, opcode, mask, len| Head { fin, rsv: 0, opcode, mask, len, long_form: false };
        let masked: &[u8] = &[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f];
        for (bytes, expected) in [
            (&[0x81, 0x05][..], (frame(true, 1, None, 5), 2)),
            (masked, (frame(true, 1, Some([0x37, 0xfa, 0x21, 0x3d]), 5), 6)),
            (&[0x01, 0x03], (frame(false, 1, None, 3), 2)),
            (&[0x82, 0x7e, 0x01, 0x00], (frame(true, 2, None, 256), 4)),
            (&[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0], (frame(true, 2, None, 65_536), 10)),
        ] {
            assert_eq!(head(bytes), Some(expected), "{bytes:x?}");
            for cut in 0..expected.1 {
                assert_eq!(head(&bytes[..cut]), None, "{bytes:x?} cut at {cut}");
            }
        }
        let (head, _) = head(&[0xc1, 0x7e, 0, 5]).expect("a whole header");
        assert_eq!((head.rsv, head.long_form), (4, true));
    }

    #[test]
    fn masking_goes_on_where_it_stopped() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        let whole = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
        for cut in 0..=5 {
            let mut bytes = whole;
            let (front, back) = bytes.split_at_mut(cut);
            mask(front, key, 0);
            mask(back, key, cut as u64);
            assert_eq!(&bytes, b"Hello", "cut at {cut}");
        }
    }
}
