//! Record protection by RC4, or by no cipher at all, with a separate MAC (RFC 5246 §6.2.3.1). The key stream goes on
//! from record to record, so what follows a loss of unknown length stays closed.

use super::mac::MacKey;
use super::record::RecordHeader;
use super::suite::Bulk;
use std::cell::RefCell;

/// Keys of one direction.
pub(super) struct StreamKey {
    cipher: Option<RefCell<Rc4>>,
    mac: MacKey,
}

/// Bytes of the key of a cipher; none where it is no such one.
pub(super) const fn key_len(bulk: Bulk) -> Option<usize> {
    match bulk {
        Bulk::Rc4 => Some(16),
        Bulk::Null => Some(0),
        _ => None,
    }
}

impl StreamKey {
    /// Keys from their parts of the key block.
    pub(super) fn new(key: &[u8], mac: MacKey) -> Self {
        let cipher = (!key.is_empty()).then(|| RefCell::new(Rc4::new(key)));
        Self { cipher, mac }
    }

    /// Bytes a record body has more than its content.
    pub(super) fn overhead(&self) -> usize {
        self.mac.tag_len()
    }

    /// A record went by, opened or not: the key stream went on with it.
    pub(super) fn passed(&self, body: &[u8]) {
        if let Some(cipher) = &self.cipher {
            let mut cipher = cipher.borrow_mut();
            for _ in body {
                cipher.next();
            }
        }
    }

    /// Opens a record into the beginning of `out` and says how much it is.
    pub(super) fn open(&self, seq: u64, header: RecordHeader, body: &[u8], out: &mut [u8]) -> Option<usize> {
        let out = out.get_mut(..body.len())?;
        out.copy_from_slice(body);
        if let Some(cipher) = &self.cipher {
            let mut ahead = cipher.borrow().clone();
            out.iter_mut().for_each(|byte| *byte ^= ahead.next());
        }
        let len = body.len().checked_sub(self.mac.tag_len())?;
        let (content, tag) = out.split_at_checked(len)?;
        self.mac.verify(seq, header, content, tag)?;
        Some(len)
    }
}

/// The key stream (RFC 7465 says why nobody should use it).
#[derive(Clone)]
struct Rc4 {
    state: [u8; 256],
    i: u8,
    j: u8,
}

impl Rc4 {
    fn new(key: &[u8]) -> Self {
        let mut state: [u8; 256] = std::array::from_fn(|at| at.to_le_bytes()[0]);
        let mut j = 0_u8;
        for (i, &part) in (0..=255_u8).zip(key.iter().cycle()) {
            j = j.wrapping_add(state[usize::from(i)]).wrapping_add(part);
            state.swap(usize::from(i), usize::from(j));
        }
        Self { state, i: 0, j: 0 }
    }

    fn next(&mut self) -> u8 {
        self.i = self.i.wrapping_add(1);
        let a = self.state[usize::from(self.i)];
        self.j = self.j.wrapping_add(a);
        let b = self.state[usize::from(self.j)];
        self.state.swap(usize::from(self.i), usize::from(self.j));
        self.state[usize::from(a.wrapping_add(b))]
    }
}

#[cfg(test)]
mod tests {
    use super::Rc4;

    #[test]
    fn the_key_stream_is_that_of_rfc_6229() {
        let key: Vec<u8> = (1..=16).collect();
        let mut cipher = Rc4::new(&key);
        let stream: Vec<u8> = (0..16).map(|_| cipher.next()).collect();
        let expected = [0x9a, 0xc7, 0xcc, 0x9a, 0x60, 0x9d, 0x1e, 0xf7, 0xb2, 0x93, 0x28, 0x99, 0xcd, 0xe4, 0x1b, 0x97];
        assert_eq!(stream, expected);
    }
}
