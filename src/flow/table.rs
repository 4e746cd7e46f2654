//! Five-tuples → flows. A tuple that is used again, by a new SYN, is a new flow.

use crate::model::{Direction, FlowId, FlowKey, Packet, TcpFlags, Timestamp, Transport, TransportProtocol};
use rustc_hash::FxHashMap;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};

/// Most flows followed at a time; beyond it the ones idle longest are ended.
pub const FLOWS_MAX: usize = 65_536;
/// Bytes after a SYN within which the first data seen before it is taken as its own.
const LATE_SYN_MAX: u32 = 1 << 16;
/// Packets between two looks for flows to end.
const SWEEP_EVERY: u32 = 65_536;
/// Time between two looks, however few packets came: whoever watches live waits for the flows that ended.
const SWEEP_EVERY_NS: i64 = 10 * 1_000_000_000;
/// Idle time after which a TCP connection is taken as gone. Push connections are silent for half an hour and more.
const TCP_IDLE_NS: i64 = 4 * 3_600 * 1_000_000_000;
/// Idle time after which a closed connection is forgotten; late retransmissions come within seconds.
const CLOSED_IDLE_NS: i64 = 60 * 1_000_000_000;
/// Idle time after which a UDP conversation is ended (RFC 4787 §4.3 asks NATs for two minutes at least).
const UDP_IDLE_NS: i64 = 300 * 1_000_000_000;

/// A five-tuple without direction. As numbers, because it is hashed and compared for every packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pair {
    transport: TransportProtocol,
    low: End,
    high: End,
}

impl Hash for Pair {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Whatever else differs is told apart by comparing.
        let fold = |ip: u128| (ip as u64) ^ ((ip >> 64) as u64).rotate_left(32);
        state.write_u64(fold(self.low.ip));
        state.write_u64(fold(self.high.ip));
        state.write_u64(u64::from(self.low.port) << 32 | u64::from(self.high.port) << 16 | self.transport as u64);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct End {
    is_v6: bool,
    ip: u128,
    port: u16,
}

impl End {
    fn of(address: SocketAddr) -> Self {
        let (is_v6, ip) = match address.ip() {
            IpAddr::V4(ip) => (false, u128::from(ip.to_bits())),
            IpAddr::V6(ip) => (true, ip.to_bits()),
        };
        Self { is_v6, ip, port: address.port() }
    }
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    id: FlowId,
    client_is_low: bool,
    /// Initial sequence numbers seen, by direction.
    syn: [Option<u32>; 2],
    /// FIN or RST seen, by direction.
    closed: [bool; 2],
    /// Lowest sequence number of data, by direction.
    data: [Option<u32>; 2],
    last: Timestamp,
}

/// Where a packet belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The flow.
    pub id: FlowId,
    /// Which way the packet went.
    pub direction: Direction,
    /// Its key, where this packet opened it.
    pub opened: Option<FlowKey>,
    /// Whether the flow was seen from its first packet (always so for UDP).
    pub from_start: bool,
    /// The flow that had the five-tuple before and ends here.
    pub replaced: Option<FlowId>,
}

/// The flows that are open.
#[derive(Default)]
pub struct FlowTable {
    flows: FxHashMap<Pair, Entry>,
    last_id: u64,
    since_sweep: u32,
    last_sweep: Timestamp,
}

impl FlowTable {
    /// The next flow id, for a flow that has no packets.
    pub fn allot(&mut self) -> FlowId {
        self.last_id += 1;
        FlowId(self.last_id)
    }

    /// Finds or opens the flow of a packet; none where it is neither TCP nor UDP.
    pub fn packet(&mut self, packet: &Packet<'_>) -> Option<Seen> {
        let (transport, src_port, dst_port, tcp) = match &packet.transport {
            Transport::Tcp(segment) => (
                TransportProtocol::Tcp,
                segment.src_port,
                segment.dst_port,
                Some((segment.flags, segment.seq, !segment.payload.is_empty())),
            ),
            Transport::Udp(datagram) => (TransportProtocol::Udp, datagram.src_port, datagram.dst_port, None),
            Transport::Other(_) => return None,
        };
        let (src, dst) = (SocketAddr::new(packet.src, src_port), SocketAddr::new(packet.dst, dst_port));
        let (from, to) = (End::of(src), End::of(dst));
        let src_is_low = from <= to;
        let (low, high) = if src_is_low { (from, to) } else { (to, from) };
        let pair = Pair { transport, low, high };
        self.since_sweep += 1;
        let mut replaced = None;
        if let Some(entry) = self.flows.get_mut(&pair) {
            let direction = direction(entry.client_is_low, src_is_low);
            if !tcp.is_some_and(|(flags, seq, _)| entry.is_reused(flags, seq, direction)) {
                entry.note(tcp, direction, packet.ts);
                return Some(Seen { id: entry.id, direction, opened: None, from_start: true, replaced: None });
            }
            replaced = Some(entry.id);
        }
        let id = self.allot();
        let client_is_src = match tcp {
            Some((flags, ..)) if flags.syn => !flags.ack,
            Some(_) | None => is_client(src_port, dst_port),
        };
        let direction = if client_is_src { Direction::ToServer } else { Direction::ToClient };
        let mut entry = Entry {
            id,
            client_is_low: client_is_src == src_is_low,
            syn: [None; 2],
            closed: [false; 2],
            data: [None; 2],
            last: packet.ts,
        };
        entry.note(tcp, direction, packet.ts);
        self.flows.insert(pair, entry);
        let (client, server) = if client_is_src { (src, dst) } else { (dst, src) };
        let from_start = tcp.is_none_or(|(flags, ..)| flags.syn);
        Some(Seen {
            id: entry.id,
            direction,
            opened: Some(FlowKey { transport, client, server }),
            from_start,
            replaced,
        })
    }

    /// Ends flows that have been idle too long at `now`, or are too many; call it after each packet. The second value
    /// says how many of them were ended only because there were too many.
    pub fn expire(&mut self, now: Timestamp) -> (Vec<FlowId>, usize) {
        let too_many = self.flows.len() > FLOWS_MAX;
        let quiet = now.nanos().saturating_sub(self.last_sweep.nanos()) < SWEEP_EVERY_NS;
        if self.since_sweep < SWEEP_EVERY && quiet && !too_many {
            return (Vec::new(), 0);
        }
        self.since_sweep = 0;
        self.last_sweep = self.last_sweep.max(now);
        let mut ended = Vec::new();
        self.flows.retain(|pair, entry| {
            let idle = now.nanos().saturating_sub(entry.last.nanos());
            let keep = idle
                <= match pair.transport {
                    TransportProtocol::Udp => UDP_IDLE_NS,
                    TransportProtocol::Tcp if entry.closed == [true; 2] => CLOSED_IDLE_NS,
                    TransportProtocol::Tcp => TCP_IDLE_NS,
                };
            if !keep {
                ended.push(entry.id);
            }
            keep
        });
        let mut forced = 0;
        if self.flows.len() > FLOWS_MAX {
            // Closed ones first, then those idle longest; a quarter at a time so that this stays cheap per packet.
            let mut order: Vec<_> = self
                .flows
                .iter()
                .map(|(pair, entry)| (entry.closed != [true; 2], entry.last, entry.id, *pair))
                .collect();
            order.sort_unstable_by_key(|&(open, last, id, _)| (open, last, id));
            for (open, _, id, pair) in order.into_iter().take(FLOWS_MAX / 4) {
                self.flows.remove(&pair);
                forced += usize::from(open);
                ended.push(id);
            }
        }
        ended.sort_unstable();
        (ended, forced)
    }
}

impl Entry {
    /// Whether a SYN on this five-tuple opens another connection.
    fn is_reused(&self, flags: TcpFlags, seq: u32, direction: Direction) -> bool {
        if !flags.syn || self.syn[direction.index()] == Some(seq) {
            return false;
        }
        let known = self.syn[direction.index()].is_some();
        let over = self.closed != [false; 2];
        if flags.ack {
            // The answer to a SYN: another connection only if this one was answered before and is over.
            return known && over;
        }
        // A first SYN from the other side before any data is a simultaneous open; one after data was captured late if
        // the data follows it, or if it was answered.
        let late = match self.data[direction.index()] {
            Some(first) => first.wrapping_sub(seq.wrapping_add(1)) < LATE_SYN_MAX,
            None => self.syn[direction.reversed().index()].is_some(),
        };
        known || over || (self.data != [None; 2] && !late)
    }

    fn note(&mut self, tcp: Option<(TcpFlags, u32, bool)>, direction: Direction, ts: Timestamp) {
        self.last = self.last.max(ts);
        let Some((flags, seq, data)) = tcp else { return };
        if flags.syn {
            self.syn[direction.index()] = Some(seq);
        }
        if flags.fin {
            self.closed[direction.index()] = true;
        }
        if flags.rst {
            self.closed = [true; 2];
        }
        let lowest = &mut self.data[direction.index()];
        if data && lowest.is_none_or(|lowest| seq.wrapping_sub(lowest).cast_signed() < 0) {
            *lowest = Some(seq.wrapping_add(u32::from(flags.syn)));
        }
    }
}

fn direction(client_is_low: bool, src_is_low: bool) -> Direction {
    if client_is_low == src_is_low { Direction::ToServer } else { Direction::ToClient }
}

/// Whether the sender is likelier the client, going by ports alone: services mostly stand at a lower port than the
/// ephemeral one of the client.
fn is_client(src_port: u16, dst_port: u16) -> bool {
    src_port >= dst_port
}

#[cfg(test)]
mod tests {
    use super::FlowTable;
    use crate::model::{Direction, FlowId, Packet, TcpFlags, TcpSegment, Timestamp, Transport};
    use std::borrow::Cow;

    fn packet(from_client: bool, seq: u32, flags: &str, payload: &'static [u8]) -> Packet<'static> {
        let (a, b) = ("10.0.0.2".parse().unwrap(), "1.2.3.4".parse().unwrap());
        let (src, dst, src_port, dst_port) = if from_client { (a, b, 40_000, 443) } else { (b, a, 443, 40_000) };
        let has = |letter| flags.contains(letter);
        let flags = TcpFlags { syn: has('s'), ack: has('a'), fin: has('f'), rst: has('r') };
        let segment =
            TcpSegment { src_port, dst_port, seq, ack: 0, flags, payload: Cow::Borrowed(payload), missing: 0 };
        Packet { number: 1, ts: Timestamp::default(), app: None, src, dst, transport: Transport::Tcp(segment) }
    }

    #[test]
    fn a_five_tuple_used_again_is_a_new_flow() {
        let mut table = FlowTable::default();
        let ids: Vec<_> = [
            packet(true, 1, "s", b""),
            packet(true, 1, "s", b""),
            packet(false, 9, "sa", b""),
            packet(true, 2, "a", b"x"),
            packet(true, 3, "fa", b""),
            packet(false, 10, "fa", b""),
            packet(true, 700, "s", b""),
            packet(false, 800, "sa", b""),
        ]
        .iter()
        .map(|packet| table.packet(packet).unwrap().id.0)
        .collect();
        assert_eq!(ids, [1, 1, 1, 1, 1, 1, 2, 2]);
    }

    #[test]
    fn a_syn_that_was_captured_late_opens_nothing() {
        let ids = |packets: &[Packet<'static>]| {
            let mut table = FlowTable::default();
            packets.iter().map(|packet| table.packet(packet).unwrap().id.0).collect::<Vec<_>>()
        };
        assert_eq!(
            ids(&[packet(true, 8, "a", b"x"), packet(true, 7, "s", b""), packet(false, 9, "sa", b"")]),
            [1, 1, 1]
        );
        assert_eq!(
            ids(&[packet(false, 9, "sa", b""), packet(false, 10, "a", b"x"), packet(true, 7, "s", b"")]),
            [1, 1, 1]
        );
        assert_eq!(ids(&[packet(true, 8, "a", b"x"), packet(true, 900_000, "s", b"")]), [1, 2]);
        assert_eq!(
            ids(&[packet(true, 8, "a", b"x"), packet(false, 9, "a", b"y"), packet(false, 7, "s", b"")]),
            [1, 1, 1]
        );
    }

    #[test]
    fn the_sender_of_a_syn_is_the_client_and_ports_tell_it_without_one() {
        let mut table = FlowTable::default();
        let seen = table.packet(&packet(false, 9, "sa", b"")).unwrap();
        assert_eq!((seen.id, seen.direction), (FlowId(1), Direction::ToClient));
        let mut table = FlowTable::default();
        let seen = table.packet(&packet(false, 9, "a", b"data")).unwrap();
        assert_eq!((seen.direction, seen.from_start), (Direction::ToClient, false));
        assert_eq!(seen.opened.unwrap().server.port(), 443);
    }
}
