//! Writes packets as pcap and pcapng files (draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng).

use super::Order;
use super::link::Link;
use super::packet::Packet;

/// Precision of a pcap file's times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resolution {
    Micros,
    Nanos,
}

/// A whole pcap file.
pub(crate) fn pcap(order: Order, resolution: Resolution, link: Link, app: &str, packets: &[Packet]) -> Vec<u8> {
    let mut out = Vec::new();
    let (magic, unit) = match resolution {
        Resolution::Micros => (0xa1b2_c3d4, 1_000),
        Resolution::Nanos => (0xa1b2_3c4d, 1),
    };
    out.extend(order.u32(magic));
    out.extend(order.u16(2));
    out.extend(order.u16(4));
    for value in [0, 0, 262_144, link.number()] {
        out.extend(order.u32(value));
    }
    for packet in packets {
        let data = link.frame(packet, app);
        let seconds = u32::try_from(packet.ts / 1_000_000_000).expect("before 2106");
        let fraction = u32::try_from(packet.ts % 1_000_000_000 / unit).expect("less than a second");
        let len = u32::try_from(data.len()).expect("one frame");
        for value in [seconds, fraction, len, len] {
            out.extend(order.u32(value));
        }
        out.extend(data);
    }
    out
}

/// A pcapng file that grows block by block.
#[derive(Debug)]
pub(crate) struct PcapNg {
    order: Order,
    /// Link type and nanoseconds per tick of the section's interfaces.
    interfaces: Vec<(Link, i64)>,
    out: Vec<u8>,
}

impl PcapNg {
    /// Opens the first section.
    pub(crate) fn new(order: Order) -> Self {
        let mut file = Self { order, interfaces: Vec::new(), out: Vec::new() };
        file.section(order);
        file
    }

    /// Begins a section; its interfaces count from 0 again.
    pub(crate) fn section(&mut self, order: Order) {
        self.order = order;
        self.interfaces.clear();
        let mut body = Vec::new();
        body.extend(order.u32(0x1a2b_3c4d));
        body.extend(order.u16(1));
        body.extend(order.u16(0));
        body.extend([0xff; 8]);
        body.extend(self.option(4, b"divulge capture generator"));
        body.extend(self.option(0, &[]));
        self.block(0x0a0d_0d0a, &body);
    }

    /// Describes an interface; `tsresol` is option 9 (`None`: microseconds), as a power of ten or, with the high bit
    /// set, of two.
    pub(crate) fn interface(&mut self, link: Link, tsresol: Option<u8>) -> u32 {
        let mut body = Vec::new();
        body.extend(self.order.u16(u16::try_from(link.number()).expect("16 bits")));
        body.extend(self.order.u16(0));
        body.extend(self.order.u32(262_144));
        let nanos_per_tick = match tsresol {
            None | Some(6) => 1_000,
            Some(9) => 1,
            Some(3) => 1_000_000,
            Some(other) => panic!("resolution {other} is not made here"),
        };
        if let Some(value) = tsresol {
            body.extend(self.option(2, b"tun0"));
            body.extend(self.option(9, &[value]));
            body.extend(self.option(0, &[]));
        }
        self.block(1, &body);
        self.interfaces.push((link, nanos_per_tick));
        u32::try_from(self.interfaces.len() - 1).expect("a few interfaces")
    }

    /// Embeds a TLS key log (a Decryption Secrets Block).
    pub(crate) fn secrets(&mut self, key_log: &str) {
        let mut body = Vec::new();
        body.extend(self.order.u32(0x544c_534b));
        body.extend(self.order.u32(u32::try_from(key_log.len()).expect("a small log")));
        body.extend(padded(key_log.as_bytes()));
        self.block(0x0a, &body);
    }

    /// PCAPdroid's block that names the app of a uid.
    pub(crate) fn uid_map(&mut self, uid: i32, package: &str, name: &str) {
        let mut body = Vec::new();
        body.extend(self.order.u32(62_652));
        body.extend(self.order.u16(1));
        body.extend([1, 0]);
        body.extend(self.order.u32(uid.cast_unsigned()));
        body.push(u8::try_from(package.len()).expect("at most 63 bytes"));
        body.push(u8::try_from(name.len()).expect("at most 63 bytes"));
        body.extend(package.as_bytes());
        body.extend(name.as_bytes());
        self.block(0x0bad, &padded(&body));
    }

    /// A block no reader knows.
    pub(crate) fn unknown_block(&mut self) {
        self.block(0x7fff_1234, b"skip me!");
    }

    /// One Enhanced Packet Block; a uid becomes the comment `u-<uid>`, as PCAPdroid writes it.
    pub(crate) fn packet(&mut self, interface: u32, packet: &Packet) {
        let (link, nanos_per_tick) = self.interfaces[interface as usize];
        let data = link.frame(packet, "");
        let ticks = u64::try_from(packet.ts / nanos_per_tick).expect("after 1970").to_be_bytes();
        let len = u32::try_from(data.len()).expect("one frame");
        let mut body = Vec::new();
        body.extend(self.order.u32(interface));
        body.extend(self.order.u32(u32::from_be_bytes([ticks[0], ticks[1], ticks[2], ticks[3]])));
        body.extend(self.order.u32(u32::from_be_bytes([ticks[4], ticks[5], ticks[6], ticks[7]])));
        body.extend(self.order.u32(len));
        body.extend(self.order.u32(len));
        body.extend(padded(&data));
        if let Some(uid) = packet.uid {
            body.extend(self.option(1, format!("u-{uid}").as_bytes()));
            body.extend(self.option(0, &[]));
        }
        self.block(6, &body);
    }

    /// What was added since the last call, to be streamed.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// The file.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    fn option(&self, code: u16, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(self.order.u16(code));
        out.extend(self.order.u16(u16::try_from(value.len()).expect("a short option")));
        out.extend(padded(value));
        out
    }

    fn block(&mut self, kind: u32, body: &[u8]) {
        let total = self.order.u32(u32::try_from(12 + body.len()).expect("a small block"));
        self.out.extend(self.order.u32(kind));
        self.out.extend(total);
        self.out.extend(body);
        self.out.extend(total);
    }
}

fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    out.resize(out.len().next_multiple_of(4), 0);
    out
}
