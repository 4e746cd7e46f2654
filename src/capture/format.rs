//! The pcap and pcapng formats, one step at a time over whatever bytes are at hand: no file, no buffer of its own.
//! pcap: draft-ietf-opsawg-pcap; pcapng: draft-ietf-opsawg-pcapng; UID blocks: PCAPdroid's custom block;
//! marks and incidents: journal entries.

use super::journal::{self, Entry};
use crate::model::{App, LinkType, Timestamp};
use pcap_parser::{
    Block, LegacyPcapBlock, OptionCode, PcapHeader, SecretsType, parse_block_be, parse_block_le, parse_pcap_frame,
    parse_pcap_frame_be, parse_pcap_frame_modified, parse_pcap_header,
};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Largest frame or block that is believed; a larger length means a damaged file. Wireshark's limit for frames on
/// real links is 256 KiB; USB and loopback super packets are larger.
pub const FRAME_MAX: usize = 16 << 20;
/// Largest pcapng block that is read whole (key logs can be large); larger ones are passed over.
const BLOCK_MAX: usize = 256 << 20;

const PCAPNG_SHB: u32 = 0x0A0D_0D0A;
const OBSOLETE_PACKET_BLOCK: u32 = 2;
/// PCAPdroid's private enterprise number.
const PCAPDROID_PEN: u32 = 62_652;

/// Where and why a capture can't be read on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Byte offset in the (decompressed) capture.
    pub offset: u64,
    /// What was found and what was expected.
    pub message: String,
}

/// One step through a capture. `len` is what to advance by.
pub(super) enum Step {
    /// A frame whose bytes are at `start..start + captured` from the current place.
    Frame {
        len: usize,
        start: usize,
        captured: usize,
        original_len: u32,
        ts: Timestamp,
        link: LinkType,
        app: Option<Arc<App>>,
    },
    /// A key log at `start..end`.
    Secrets { len: usize, start: usize, end: usize },
    /// A mark or an incident of a recording.
    Entry { len: usize, entry: Box<Entry> },
    /// Nothing of interest.
    Skip { len: usize },
    /// Something odd that was passed over.
    Odd { len: usize, problem: Problem },
    /// At least so many bytes from the current place are needed.
    Need(usize),
}

#[derive(Clone, Copy)]
struct Interface {
    link: LinkType,
    /// Units a second.
    resolution: u64,
    /// Seconds to add.
    offset: i64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Endian {
    Little,
    Big,
}

enum Kind {
    Unknown,
    Pcap { header: PcapHeader, link: LinkType },
    PcapNg { endian: Endian, interfaces: Vec<Interface> },
}

/// State carried from step to step.
pub(super) struct Format {
    kind: Kind,
    apps: FxHashMap<i32, Arc<App>>,
}

impl Format {
    pub(super) fn new() -> Self {
        Self { kind: Kind::Unknown, apps: FxHashMap::default() }
    }

    /// Whether the capture is pcapng, once its first bytes have been read.
    pub(super) fn is_pcapng(&self) -> bool {
        matches!(self.kind, Kind::PcapNg { .. })
    }

    /// Takes one step over `data`, which stands at `offset` of the capture.
    pub(super) fn step(&mut self, data: &[u8], offset: u64) -> Result<Step, Problem> {
        match &self.kind {
            Kind::Unknown => self.first(data, offset),
            Kind::Pcap { header, link } => pcap_record(header, *link, data, offset),
            Kind::PcapNg { endian, .. } => self.block(*endian, data, offset),
        }
    }

    fn first(&mut self, data: &[u8], offset: u64) -> Result<Step, Problem> {
        let Some(magic) = data.first_chunk::<4>() else { return Ok(Step::Need(4)) };
        if u32::from_le_bytes(*magic) == PCAPNG_SHB {
            self.kind = Kind::PcapNg { endian: Endian::Little, interfaces: Vec::new() };
            return Ok(Step::Skip { len: 0 });
        }
        match magic {
            [0xd4 | 0x4d | 0x34, 0xc3 | 0x3c | 0xcd, 0xb2, 0xa1]
            | [0xa1, 0xb2, 0xc3 | 0x3c | 0xcd, 0xd4 | 0x4d | 0x34] => {}
            _ => {
                let message = format!(
                    "not a capture: begins with {:02x} {:02x} {:02x} {:02x}, expected a pcap or pcapng magic number",
                    magic[0], magic[1], magic[2], magic[3]
                );
                return Err(Problem { offset, message });
            }
        }
        if data.len() < 24 {
            return Ok(Step::Need(24));
        }
        let Ok((_, header)) = parse_pcap_header(data) else {
            return Err(Problem { offset, message: "unreadable pcap file header".to_owned() });
        };
        // The upper bits say whether frames end with a frame check sequence.
        let network = u32::try_from(header.network.0).unwrap_or(header.network.0.cast_unsigned());
        self.kind = Kind::Pcap { link: LinkType(network & 0x03ff_ffff), header };
        Ok(Step::Skip { len: 24 })
    }

    fn block(&mut self, endian: Endian, data: &[u8], offset: u64) -> Result<Step, Problem> {
        let Some(head) = data.first_chunk::<12>() else { return Ok(Step::Need(12)) };
        let endian = match block_endian(head, endian) {
            Some(endian) => endian,
            None => {
                return Err(Problem { offset, message: "section header without a byte-order magic number".to_owned() });
            }
        };
        let kind = read_u32(endian, head, 0);
        let total = read_u32(endian, head, 4) as usize;
        if total < 12 || !total.is_multiple_of(4) {
            let message =
                format!("block length {total} is not possible (type {kind:#010x}), expected a multiple of 4 from 12");
            return Err(Problem { offset, message });
        }
        if total > BLOCK_MAX {
            return Err(Problem { offset, message: format!("block length {total} is larger than {BLOCK_MAX}") });
        }
        if data.len() < total {
            return Ok(Step::Need(total));
        }
        let block = &data[..total];
        if kind == OBSOLETE_PACKET_BLOCK {
            return Ok(self.obsolete_packet(endian, block, offset));
        }
        let parsed = match endian {
            Endian::Little => parse_block_le(block),
            Endian::Big => parse_block_be(block),
        };
        let Ok((_, parsed)) = parsed else {
            let problem = Problem { offset, message: format!("unreadable block of type {kind:#010x} passed over") };
            return Ok(Step::Odd { len: total, problem });
        };
        Ok(self.parsed(endian, &parsed, block, offset))
    }

    fn parsed(&mut self, endian: Endian, parsed: &Block<'_>, block: &[u8], offset: u64) -> Step {
        let len = block.len();
        match parsed {
            Block::SectionHeader(_) => {
                self.kind = Kind::PcapNg { endian, interfaces: Vec::new() };
                Step::Skip { len }
            }
            Block::InterfaceDescription(interface) => {
                let link = LinkType(interface.linktype.0.cast_unsigned());
                let offset = interface.options.iter().find(|option| option.code == OptionCode::IfTsoffset);
                let offset =
                    offset.and_then(|option| option.value.first_chunk::<8>()).map_or(0, |&bytes| match endian {
                        Endian::Little => i64::from_le_bytes(bytes),
                        Endian::Big => i64::from_be_bytes(bytes),
                    });
                if let Kind::PcapNg { interfaces, .. } = &mut self.kind {
                    interfaces.push(Interface { link, resolution: resolution(interface.if_tsresol), offset });
                }
                Step::Skip { len }
            }
            Block::EnhancedPacket(packet) => {
                let uid = packet.options.iter().find(|option| option.code == OptionCode::Comment).and_then(|comment| {
                    let text = comment.as_str().ok()?;
                    text.strip_prefix("u-")?.parse().ok()
                });
                let units = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                let place = Place { start: 28, captured: packet.caplen as usize, original_len: packet.origlen };
                self.frame(packet.if_id as usize, Some(units), place, uid, len, offset)
            }
            Block::SimplePacket(packet) => {
                let captured = (packet.origlen as usize).min(len - 16);
                let place = Place { start: 12, captured, original_len: packet.origlen };
                self.frame(0, None, place, None, len, offset)
            }
            Block::DecryptionSecrets(secrets) => {
                if secrets.secrets_type == SecretsType::TlsKeyLog {
                    let end = 16 + (secrets.secrets_len as usize).min(secrets.data.len());
                    Step::Secrets { len, start: 16, end }
                } else {
                    Step::Skip { len }
                }
            }
            Block::Custom(custom) => {
                self.uid_block(custom.data, block);
                Step::Skip { len }
            }
            Block::SystemdJournalExport(journal) => match journal::read(journal.data) {
                Ok(Some(entry)) => Step::Entry { len, entry: Box::new(entry) },
                Ok(None) => Step::Skip { len },
                Err(message) => {
                    Step::Odd { len, problem: Problem { offset, message: format!("{message} passed over") } }
                }
            },
            Block::NameResolution(_)
            | Block::InterfaceStatistics(_)
            | Block::ProcessInformation(_)
            | Block::Unknown(_) => Step::Skip { len },
        }
    }

    fn frame(
        &self,
        interface: usize,
        units: Option<u64>,
        place: Place,
        uid: Option<i32>,
        len: usize,
        offset: u64,
    ) -> Step {
        let Kind::PcapNg { interfaces, .. } = &self.kind else { return Step::Skip { len } };
        let Some(interface) = interfaces.get(interface) else {
            let message = format!("packet of interface {interface}, which has no description, passed over");
            return Step::Odd { len, problem: Problem { offset, message } };
        };
        let app = uid.map(|uid| self.app(uid));
        let ts = units.map_or(Timestamp::default(), |units| timestamp(units, interface));
        let Place { start, captured, original_len } = place;
        Step::Frame { len, start, captured, original_len, ts, link: interface.link, app }
    }

    fn app(&self, uid: i32) -> Arc<App> {
        let known = self.apps.get(&uid).cloned();
        known.unwrap_or_else(|| Arc::new(App { uid: (uid >= 0).then_some(uid), package: None, name: None }))
    }

    /// The Packet Block that the Enhanced Packet Block replaced: interface and drop count are 16 bits wide.
    fn obsolete_packet(&self, endian: Endian, block: &[u8], offset: u64) -> Step {
        let len = block.len();
        if len < 32 {
            let problem = Problem { offset, message: "packet block shorter than its header passed over".to_owned() };
            return Step::Odd { len, problem };
        }
        let interface = match endian {
            Endian::Little => u16::from_le_bytes([block[8], block[9]]),
            Endian::Big => u16::from_be_bytes([block[8], block[9]]),
        };
        let units = u64::from(read_u32(endian, block, 12)) << 32 | u64::from(read_u32(endian, block, 16));
        let captured = (read_u32(endian, block, 20) as usize).min(len - 32);
        let place = Place { start: 28, captured, original_len: read_u32(endian, block, 24) };
        self.frame(usize::from(interface), Some(units), place, None, len, offset)
    }

    /// A PCAPdroid UID map block: version 1, type 1, uid, lengths, package and app name. Its fields are in the byte
    /// order of the phone, which need not be the section's, so number and version tell it.
    fn uid_block(&mut self, data: &[u8], block: &[u8]) {
        let Some(pen) = block.get(8..12).and_then(|bytes| bytes.first_chunk::<4>()) else { return };
        let Some(body) = data.get(..10) else { return };
        let little = u32::from_le_bytes(*pen) == PCAPDROID_PEN && u16::from_le_bytes([body[0], body[1]]) == 1;
        let big = u32::from_be_bytes(*pen) == PCAPDROID_PEN && u16::from_be_bytes([body[0], body[1]]) == 1;
        if !(little || big) || body[2] != 1 {
            return;
        }
        let uid = [body[4], body[5], body[6], body[7]];
        let uid = if little { i32::from_le_bytes(uid) } else { i32::from_be_bytes(uid) };
        let (package_len, name_len) = (usize::from(body[8]), usize::from(body[9]));
        let text = |range: std::ops::Range<usize>| -> Option<Arc<str>> {
            let bytes = data.get(range)?;
            (!bytes.is_empty()).then(|| Arc::from(String::from_utf8_lossy(bytes).as_ref()))
        };
        let package = text(10..10 + package_len);
        let name = text(10 + package_len..10 + package_len + name_len);
        if self.apps.len() < APPS_MAX {
            self.apps.insert(uid, Arc::new(App { uid: (uid >= 0).then_some(uid), package, name }));
        }
    }
}

/// Most apps remembered from UID blocks; a phone has a few hundred.
const APPS_MAX: usize = 65_536;

struct Place {
    start: usize,
    captured: usize,
    original_len: u32,
}

fn pcap_record(header: &PcapHeader, link: LinkType, data: &[u8], offset: u64) -> Result<Step, Problem> {
    let header_len = if header.is_modified_format() { 24 } else { 16 };
    if data.len() < header_len {
        return Ok(Step::Need(header_len));
    }
    let endian = if header.is_bigendian() { Endian::Big } else { Endian::Little };
    let captured = read_u32(endian, data, 8) as usize;
    if captured > FRAME_MAX {
        let message = format!("record says {captured} captured bytes, more than any frame has ({FRAME_MAX})");
        return Err(Problem { offset, message });
    }
    let len = header_len + captured;
    if data.len() < len {
        return Ok(Step::Need(len));
    }
    let parsed = match (header.is_modified_format(), endian) {
        (true, _) => parse_pcap_frame_modified(&data[..len]),
        (false, Endian::Little) => parse_pcap_frame(&data[..len]),
        (false, Endian::Big) => parse_pcap_frame_be(&data[..len]),
    };
    let Ok((_, record)) = parsed else {
        return Err(Problem { offset, message: "unreadable record header".to_owned() });
    };
    let LegacyPcapBlock { ts_sec, ts_usec, origlen, .. } = record;
    let fraction = i64::from(ts_usec) * if header.is_nanosecond_precision() { 1 } else { 1_000 };
    let ts = Timestamp::from_nanos(i64::from(ts_sec) * 1_000_000_000 + fraction);
    Ok(Step::Frame { len, start: header_len, captured, original_len: origlen, ts, link, app: None })
}

/// The byte order a block is in: a section header says its own, any other block has its section's.
fn block_endian(head: &[u8; 12], section: Endian) -> Option<Endian> {
    if u32::from_le_bytes([head[0], head[1], head[2], head[3]]) != PCAPNG_SHB {
        return Some(section);
    }
    match [head[8], head[9], head[10], head[11]] {
        [0x4d, 0x3c, 0x2b, 0x1a] => Some(Endian::Little),
        [0x1a, 0x2b, 0x3c, 0x4d] => Some(Endian::Big),
        _ => None,
    }
}

fn read_u32(endian: Endian, data: &[u8], at: usize) -> u32 {
    let bytes = data.get(at..at + 4).and_then(|bytes| bytes.first_chunk::<4>()).copied().unwrap_or_default();
    match endian {
        Endian::Little => u32::from_le_bytes(bytes),
        Endian::Big => u32::from_be_bytes(bytes),
    }
}

/// Units a second for an `if_tsresol` option: a power of 10, or of 2 where the highest bit is set
/// (draft-ietf-opsawg-pcapng, Interface Description Block). Microseconds where it asks for more than fits.
fn resolution(option: u8) -> u64 {
    let (base, exponent) = if option & 0x80 == 0 { (10u64, option) } else { (2, option & 0x7f) };
    base.checked_pow(u32::from(exponent)).unwrap_or(1_000_000)
}

fn timestamp(units: u64, interface: &Interface) -> Timestamp {
    let seconds = units / interface.resolution;
    let rest = u128::from(units % interface.resolution) * 1_000_000_000 / u128::from(interface.resolution);
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_add(interface.offset);
    // The rest is below one second, so it fits.
    Timestamp::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(i64::try_from(rest).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::{Format, Step};

    /// A big-endian capture of one empty packet at `ticks`, whose interface has the given clock.
    fn big_endian(tsresol: u8, tsoffset: i64, ticks: u64) -> Vec<u8> {
        let mut out = Vec::new();
        let mut block = |kind: u32, body: &[u8]| {
            let total = u32::try_from(12 + body.len()).unwrap().to_be_bytes();
            out.extend([&kind.to_be_bytes(), &total[..], body, &total].concat());
        };
        block(0x0a0d_0d0a, &[&[0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0], &[0xff; 8][..]].concat());
        let resolution = [0, 9, 0, 1, tsresol, 0, 0, 0];
        let offset = [&[0, 14, 0, 8], &tsoffset.to_be_bytes()[..]].concat();
        block(1, &[&[0, 101, 0, 0, 0, 0, 0, 0], &resolution[..], &offset, &[0; 4]].concat());
        block(6, &[&[0; 4], &ticks.to_be_bytes()[..], &[0; 8]].concat());
        out
    }

    fn nanos(file: &[u8]) -> i64 {
        let (mut format, mut at) = (Format::new(), 0);
        loop {
            match format.step(&file[at..], 0).unwrap() {
                Step::Frame { ts, .. } => return ts.nanos(),
                Step::Skip { len } => at += len,
                _ => panic!("neither a packet nor a block before it"),
            }
        }
    }

    #[test]
    fn clocks_of_interfaces_may_tick_in_powers_of_two_and_start_late() {
        assert_eq!(nanos(&big_endian(0x8a, 0, 5 << 10 | 512)), 5_500_000_000);
        assert_eq!(nanos(&big_endian(0xa0, 0, 5 << 32 | 1 << 31)), 5_500_000_000);
        assert_eq!(nanos(&big_endian(9, 7, 5)), 7_000_000_005);
        assert_eq!(nanos(&big_endian(6, -2, 5_000_000)), 3_000_000_000);
    }
}
