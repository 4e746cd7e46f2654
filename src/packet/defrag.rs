//! IP fragments → datagrams (RFC 791 §3.2, RFC 8200 §4.5), on etherparse's buffers with caps of our own.

use crate::model::{Layer, Weird};
use etherparse::defrag::IpDefragBuf;
use etherparse::{IpFragOffset, IpNumber, Ipv6ExtensionSlice, LaxIpSlice};
use rustc_hash::FxHashMap;
use std::net::IpAddr;

/// Most datagrams that wait for fragments at a time; the one that waits longest makes room.
const WAITING_MAX: usize = 4_096;
/// Frames after which an unfinished datagram is given up.
const FRAMES_WAIT: u64 = 100_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    src: IpAddr,
    dst: IpAddr,
    identification: u32,
    protocol: u8,
}

/// One fragment's place in its datagram.
pub(super) struct Fragment {
    key: Key,
    protocol: IpNumber,
    offset: IpFragOffset,
    more: bool,
}

impl Fragment {
    /// Reads the fragment fields; none where the packet is no fragment.
    pub(super) fn of(ip: &LaxIpSlice<'_>) -> Option<Self> {
        let (src, dst, protocol) = (ip.source_addr(), ip.destination_addr(), ip.payload_ip_number());
        let key = |identification| Key { src, dst, identification, protocol: protocol.0 };
        match ip {
            LaxIpSlice::Ipv4(v4) => {
                let header = v4.header();
                let (offset, more) = (header.fragments_offset(), header.more_fragments());
                Some(Self { key: key(u32::from(header.identification())), protocol, offset, more })
            }
            LaxIpSlice::Ipv6(v6) => v6.extensions().clone().into_iter().find_map(|extension| match extension {
                Ipv6ExtensionSlice::Fragment(fragment) => {
                    let header = fragment.to_header();
                    let (offset, more) = (header.fragment_offset, header.more_fragments);
                    Some(Self { key: key(header.identification), protocol, offset, more })
                }
                _ => None,
            }),
        }
    }
}

/// Datagrams that wait for the rest of their fragments.
#[derive(Default)]
pub(super) struct Defragmenter {
    waiting: FxHashMap<Key, (IpDefragBuf, u64)>,
}

impl Defragmenter {
    /// Adds a fragment; gives the payload of the datagram it completes.
    pub(super) fn add(
        &mut self,
        fragment: Fragment,
        payload: &[u8],
        frame: u64,
        weird: &mut dyn FnMut(Weird),
    ) -> Option<Vec<u8>> {
        let Fragment { key, protocol, offset, more } = fragment;
        if self.waiting.len() >= WAITING_MAX && !self.waiting.contains_key(&key) {
            self.make_room(frame, weird);
        }
        let fresh = || (IpDefragBuf::new(protocol, Vec::new(), Vec::new()), frame);
        let entry = self.waiting.entry(key).or_insert_with(fresh);
        if frame.saturating_sub(entry.1) > FRAMES_WAIT {
            // The identification has come round again: the old datagram will not be finished.
            weird(Weird::new(Layer::Packet, "datagram with missing fragments"));
            *entry = fresh();
        }
        entry.1 = frame;
        if entry.0.add(offset, more, payload).is_err() {
            weird(Weird::new(Layer::Packet, "fragment that does not fit its datagram"));
            return None;
        }
        if !entry.0.is_complete() {
            return None;
        }
        let (buffer, _) = self.waiting.remove(&key)?;
        Some(buffer.take_bufs().0)
    }

    fn make_room(&mut self, frame: u64, weird: &mut dyn FnMut(Weird)) {
        let before = self.waiting.len();
        self.waiting.retain(|_, (_, last)| frame.saturating_sub(*last) <= FRAMES_WAIT);
        if self.waiting.len() == before
            && let Some(oldest) = self.waiting.iter().map(|(key, (_, last))| (*last, *key)).min()
        {
            self.waiting.remove(&oldest.1);
        }
        weird(Weird::new(Layer::Packet, "datagram with missing fragments"));
    }
}
