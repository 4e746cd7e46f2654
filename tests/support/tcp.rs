//! A TCP connection as its packets: handshake, segments with acknowledgements, end. Loss and disorder are made
//! afterwards from the list of packets.

use super::packet::{Packet, TCP, ip_packet};
use super::{MS, Way};
use std::net::SocketAddr;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;

/// Largest payload of one segment.
const MSS: usize = 1400;

/// An open connection; `packets` grows with everything that is done to it.
#[derive(Debug)]
pub(crate) struct Connection {
    client: SocketAddr,
    server: SocketAddr,
    uid: Option<i32>,
    next_seq: [u32; 2],
    /// Time of the next packet, nanoseconds since the epoch.
    pub(crate) clock: i64,
    /// What went over the wire so far.
    pub(crate) packets: Vec<Packet>,
}

impl Connection {
    /// Opens a connection with the three-way handshake.
    pub(crate) fn open(client: SocketAddr, server: SocketAddr, uid: Option<i32>, at: i64) -> Self {
        // Both start near the top, so that sequence numbers wrap within the first few segments of some connections.
        let start = u32::MAX - u32::from(client.port()) / 8;
        let mut connection =
            Self { client, server, uid, next_seq: [start, start ^ 0x5555_0000], clock: at, packets: Vec::new() };
        connection.segment(Way::ToServer, SYN, &[]);
        connection.clock += 18 * MS;
        connection.segment(Way::ToClient, SYN | ACK, &[]);
        connection.clock += MS / 2;
        connection.segment(Way::ToServer, ACK, &[]);
        connection
    }

    /// Sends bytes in segments of at most [`MSS`], and acknowledges them.
    pub(crate) fn send(&mut self, way: Way, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.clock += 9 * MS;
        for part in bytes.chunks(MSS) {
            self.segment(way, PSH | ACK, part);
            self.clock += MS / 10;
        }
        let back = if way == Way::ToServer { Way::ToClient } else { Way::ToServer };
        self.segment(back, ACK, &[]);
    }

    /// Lets time pass.
    pub(crate) fn wait(&mut self, nanos: i64) {
        self.clock += nanos;
    }

    /// Ends both directions and gives the packets.
    pub(crate) fn close(mut self) -> Vec<Packet> {
        self.clock += 5 * MS;
        self.segment(Way::ToServer, FIN | ACK, &[]);
        self.clock += 9 * MS;
        self.segment(Way::ToClient, FIN | ACK, &[]);
        self.clock += MS;
        self.segment(Way::ToServer, ACK, &[]);
        self.packets
    }

    /// The server ends first, as it does after a body without a length.
    pub(crate) fn close_by_server(mut self) -> Vec<Packet> {
        self.clock += 5 * MS;
        self.segment(Way::ToClient, FIN | ACK, &[]);
        self.clock += 9 * MS;
        self.segment(Way::ToServer, FIN | ACK, &[]);
        self.packets
    }

    /// The client refuses to go on.
    pub(crate) fn reset(mut self) -> Vec<Packet> {
        self.clock += MS;
        self.segment(Way::ToServer, RST | ACK, &[]);
        self.packets
    }

    fn segment(&mut self, way: Way, flags: u8, payload: &[u8]) {
        let (src, dst, own, other) = match way {
            Way::ToServer => (self.client, self.server, 0, 1),
            Way::ToClient => (self.server, self.client, 1, 0),
        };
        let mut tcp = Vec::new();
        tcp.extend(src.port().to_be_bytes());
        tcp.extend(dst.port().to_be_bytes());
        tcp.extend(self.next_seq[own].to_be_bytes());
        tcp.extend(if flags & ACK == 0 { 0 } else { self.next_seq[other] }.to_be_bytes());
        tcp.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        tcp.extend(payload);
        let taken = u32::try_from(payload.len()).expect("one segment") + u32::from(flags & (SYN | FIN) != 0);
        self.next_seq[own] = self.next_seq[own].wrapping_add(taken);
        let ip = ip_packet(src.ip(), dst.ip(), TCP, tcp, 16);
        self.packets.push(Packet { ts: self.clock, ip, uid: self.uid, way });
    }
}

/// Bytes of TCP payload a packet carries.
pub(crate) fn payload_len(packet: &Packet) -> usize {
    let head = if packet.ip[0] >> 4 == 4 { 20 } else { 40 };
    packet.ip.len() - head - 20
}

/// Swaps each two neighbouring data segments and sends every third one twice: what reassembly must undo.
pub(crate) fn disordered(packets: &[Packet]) -> Vec<Packet> {
    let mut out: Vec<Packet> = Vec::new();
    let mut held: Option<Packet> = None;
    let mut count = 0usize;
    for packet in packets {
        if payload_len(packet) == 0 {
            // Pure control segments stay where they are; data held back must not cross a FIN.
            out.extend(held.take());
            out.push(packet.clone());
            continue;
        }
        count += 1;
        match held.take() {
            Some(earlier) if earlier.way == packet.way => {
                out.push(packet.clone());
                out.push(earlier);
            }
            earlier => {
                out.extend(earlier);
                held = Some(packet.clone());
            }
        }
        if count.is_multiple_of(3) {
            out.push(packet.clone());
        }
    }
    out.extend(held);
    let mut times: Vec<i64> = out.iter().map(|packet| packet.ts).collect();
    times.sort_unstable();
    for (packet, ts) in out.iter_mut().zip(times) {
        packet.ts = ts;
    }
    out
}

/// Leaves out the `index`-th data segment of one direction, as a lossy capture does.
pub(crate) fn without_data_segment(packets: &[Packet], way: Way, index: usize) -> Vec<Packet> {
    let mut seen = 0usize;
    let keep = |packet: &&Packet| {
        if packet.way != way || payload_len(packet) == 0 {
            return true;
        }
        seen += 1;
        seen - 1 != index
    };
    packets.iter().filter(keep).cloned().collect()
}

/// Keeps only one direction, as an asymmetric tap does.
pub(crate) fn one_sided(packets: &[Packet], way: Way) -> Vec<Packet> {
    packets.iter().filter(|packet| packet.way == way).cloned().collect()
}
