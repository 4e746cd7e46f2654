//! One DNS message (RFC 1035 §4): its questions, and the addresses its answers give for them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Most resource records read of one message.
const RECORDS_MAX: usize = 512;
/// Most names kept of one announcement.
const ANNOUNCED_MAX: usize = 64;
/// Longest name on the wire (RFC 1035 §2.3.4).
const NAME_MAX: usize = 255;
/// Longest chain of aliases followed.
const ALIASES_MAX: usize = 16;

const TYPE_A: u16 = 1;
const TYPE_CNAME: u16 = 5;
const TYPE_PTR: u16 = 12;
const TYPE_AAAA: u16 = 28;
const TYPE_SRV: u16 = 33;
const TYPE_OPT: u16 = 41;
const TYPE_NSEC: u16 = 47;
/// Priority, weight and port before the target of a service.
const SRV_FIXED: usize = 6;
const CLASS_IN: u16 = 1;

/// What is read of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsMessage {
    /// The identifier that joins query and response.
    pub id: u16,
    /// Whether it is a response.
    pub response: bool,
    /// Names asked for and their query types. Names are as sent, without the final dot (the root is `.`); bytes
    /// other than printable are written `\ddd`.
    pub questions: Vec<(String, u16)>,
    /// Addresses, each under the name asked for, aliases followed.
    pub addresses: Vec<(String, IpAddr)>,
}

/// The fixed header (RFC 1035 §4.1.1).
#[derive(Debug, Clone, Copy)]
struct Header {
    id: u16,
    flags: u16,
    questions: u16,
    answers: u16,
    authorities: u16,
    additional: u16,
}

impl Header {
    const LENGTH: usize = 12;

    fn read(payload: &[u8]) -> Option<Self> {
        let word = |at: usize| u16_at(payload, at);
        Some(Self {
            id: word(0)?,
            flags: word(2)?,
            questions: word(4)?,
            answers: word(6)?,
            authorities: word(8)?,
            additional: word(10)?,
        })
    }

    const fn is_response(self) -> bool {
        self.flags & 0x8000 != 0
    }

    const fn opcode(self) -> u16 {
        self.flags >> 11 & 0xf
    }
}

/// Whether a datagram is a DNS message to the last byte: for ports that are not DNS's own. At least one question is
/// required, its class must be one in use, and every record must end inside.
#[must_use]
pub fn probe(payload: &[u8]) -> bool {
    strict(payload).is_some()
}

fn strict(payload: &[u8]) -> Option<()> {
    let header = Header::read(payload)?;
    let reserved = header.flags & 0x0040 != 0;
    let plausible = header.questions == 1 && matches!(header.opcode(), 0 | 4 | 5) && !reserved;
    let query_with_answers = !header.is_response() && (header.answers > 0 || header.flags & 0x000f != 0);
    if !plausible || query_with_answers {
        return None;
    }
    let (_, after) = name_at(payload, Header::LENGTH)?;
    let class = u16_at(payload, after + 2)?;
    if u16_at(payload, after)? == 0 || !matches!(class & 0x7fff, 1 | 3 | 4 | 255) {
        return None;
    }
    let mut at = after + 4;
    let records = usize::from(header.answers) + usize::from(header.authorities) + usize::from(header.additional);
    for _ in 0..records {
        at = Record::read(payload, at)?.end;
    }
    (at == payload.len()).then_some(())
}

/// Reads a message; one that was cut gives what was read. None where not even a header and a question, or a header
/// without questions, can be read.
#[must_use]
pub fn message(payload: &[u8]) -> Option<DnsMessage> {
    let header = Header::read(payload)?;
    let mut at = Header::LENGTH;
    let mut questions = Vec::new();
    for _ in 0..header.questions {
        let Some((name, after)) = name_at(payload, at) else { break };
        let Some(kind) = u16_at(payload, after) else { break };
        if questions.len() == RECORDS_MAX {
            break;
        }
        questions.push((name, kind));
        at = after + 4;
    }
    if questions.is_empty() && header.questions > 0 {
        return None;
    }
    let whole = questions.len() == usize::from(header.questions);
    let records = if whole { usize::from(header.answers).min(RECORDS_MAX) } else { 0 };
    let addresses = addresses(payload, at, records, &questions);
    Some(DnsMessage { id: header.id, response: header.is_response(), questions, addresses })
}

/// Reads what a multicast response announces (RFC 6762 §6), which asks for nothing: the owners of its records and the
/// names they lead to stand for the names asked for. None where no header can be read.
#[must_use]
pub fn announcement(payload: &[u8]) -> Option<DnsMessage> {
    let header = Header::read(payload)?;
    let mut at = Header::LENGTH;
    for _ in 0..header.questions {
        at = name_at(payload, at)?.1 + 4;
    }
    let mut told = DnsMessage { id: header.id, response: true, questions: Vec::new(), addresses: Vec::new() };
    let records = usize::from(header.answers) + usize::from(header.authorities) + usize::from(header.additional);
    for _ in 0..records.min(RECORDS_MAX) {
        let Some(record) = Record::read(payload, at) else { break };
        at = record.end;
        let data_at = record.end - record.data.len();
        let target = match record.kind {
            TYPE_PTR => name_at(payload, data_at),
            TYPE_SRV => name_at(payload, data_at + SRV_FIXED),
            TYPE_OPT | TYPE_NSEC => continue,
            _ => None,
        };
        let address = match record.kind {
            TYPE_A => <[u8; 4]>::try_from(record.data).ok().map(|octets| Ipv4Addr::from(octets).into()),
            TYPE_AAAA => <[u8; 16]>::try_from(record.data).ok().map(|octets| Ipv6Addr::from(octets).into()),
            _ => None,
        };
        told.addresses.extend(address.map(|address| (record.name.clone(), address)));
        for name in [Some(record.name), target.map(|(name, _)| name)].into_iter().flatten() {
            if told.questions.len() < ANNOUNCED_MAX && !told.questions.iter().any(|(known, _)| *known == name) {
                told.questions.push((name, record.kind));
            }
        }
    }
    Some(told)
}

/// The addresses of the answers, under the names asked for.
fn addresses(payload: &[u8], mut at: usize, records: usize, questions: &[(String, u16)]) -> Vec<(String, IpAddr)> {
    let mut aliases: Vec<(String, String)> = Vec::new();
    let mut found: Vec<(String, IpAddr)> = Vec::new();
    for _ in 0..records {
        let Some(record) = Record::read(payload, at) else { break };
        at = record.end;
        match (record.kind, record.data) {
            (TYPE_A, data) if record.class == CLASS_IN => {
                if let Ok(octets) = <[u8; 4]>::try_from(data) {
                    found.push((record.name, Ipv4Addr::from(octets).into()));
                }
            }
            (TYPE_AAAA, data) if record.class == CLASS_IN => {
                if let Ok(octets) = <[u8; 16]>::try_from(data) {
                    found.push((record.name, Ipv6Addr::from(octets).into()));
                }
            }
            (TYPE_CNAME, data) => {
                if let Some((target, _)) = name_at(payload, record.end - data.len()) {
                    aliases.push((record.name, target));
                }
            }
            _ => {}
        }
    }
    let mut addresses: Vec<(String, IpAddr)> = Vec::new();
    for (name, _) in questions {
        if addresses.iter().any(|(before, _)| before.eq_ignore_ascii_case(name)) {
            continue;
        }
        let owners = owners(name, &aliases);
        let of_it = found.iter().filter(|(owner, _)| owners.iter().any(|name| name.eq_ignore_ascii_case(owner)));
        addresses.extend(of_it.map(|(_, address)| (name.clone(), *address)));
    }
    addresses
}

/// A name and the names it is an alias of, in turn.
fn owners<'a>(name: &'a str, aliases: &'a [(String, String)]) -> Vec<&'a str> {
    let mut owners = vec![name];
    while let Some(&last) = owners.last()
        && owners.len() <= ALIASES_MAX
        && let Some((_, target)) = aliases.iter().find(|(owner, _)| owner.eq_ignore_ascii_case(last))
    {
        owners.push(target);
    }
    owners
}

/// A resource record (RFC 1035 §4.1.3).
#[derive(Debug)]
struct Record<'a> {
    name: String,
    kind: u16,
    class: u16,
    data: &'a [u8],
    /// Where the next one begins.
    end: usize,
}

impl<'a> Record<'a> {
    fn read(payload: &'a [u8], at: usize) -> Option<Self> {
        let (name, fixed) = name_at(payload, at)?;
        let data_start = fixed + 10;
        let end = data_start + usize::from(u16_at(payload, fixed + 8)?);
        Some(Self {
            name,
            kind: u16_at(payload, fixed)?,
            class: u16_at(payload, fixed + 2)?,
            data: payload.get(data_start..end)?,
            end,
        })
    }
}

fn u16_at(payload: &[u8], at: usize) -> Option<u16> {
    let bytes = payload.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}

/// A name, compressed or not, and where what follows it begins. Pointers must lead backwards (RFC 1035 §4.1.4), so that
/// following them ends.
fn name_at(payload: &[u8], start: usize) -> Option<(String, usize)> {
    let mut name = String::new();
    let (mut at, mut lowest, mut wire, mut after) = (start, start, 0usize, None);
    loop {
        let length = *payload.get(at)?;
        match length {
            0 if name.is_empty() => return Some((".".to_owned(), after.unwrap_or(at + 1))),
            0 => return Some((name, after.unwrap_or(at + 1))),
            1..=63 => {
                let end = at + 1 + usize::from(length);
                wire += 1 + usize::from(length);
                if wire >= NAME_MAX {
                    return None;
                }
                if !name.is_empty() {
                    name.push('.');
                }
                push_label(&mut name, payload.get(at + 1..end)?);
                at = end;
            }
            192..=255 => {
                let target = usize::from(u16_at(payload, at)? & 0x3fff);
                after.get_or_insert(at + 2);
                if target >= lowest {
                    return None;
                }
                (at, lowest) = (target, target);
            }
            64..=191 => return None,
        }
    }
}

fn push_label(name: &mut String, label: &[u8]) {
    let digit = |value: u8| char::from(b'0' + value);
    for &byte in label {
        match byte {
            b'.' | b'\\' => name.extend(['\\', char::from(byte)]),
            b'!'..=b'~' => name.push(char::from(byte)),
            _ => name.extend(['\\', digit(byte / 100), digit(byte / 10 % 10), digit(byte % 10)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{announcement, message, probe};
    use proptest::prelude::*;
    use std::net::IpAddr;

    fn response() -> Vec<u8> {
        let mut bytes = b"\x12\x34\x81\x80\0\x01\0\x03\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01".to_vec();
        bytes.extend_from_slice(b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x06\x03cdn\xc0\x10");
        bytes.extend_from_slice(b"\xc0\x2d\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x01");
        bytes.extend_from_slice(b"\xc0\x2d\0\x1c\0\x01\0\0\0\x3c\0\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01");
        bytes
    }

    #[test]
    fn answers_are_given_under_the_name_asked_for() {
        let read = message(&response()).expect("a message");
        assert_eq!((read.id, read.response), (0x1234, true));
        assert_eq!(read.questions, [("www.example.com".to_owned(), 1)]);
        let addresses: Vec<IpAddr> = vec!["10.0.0.1".parse().expect("v4"), "2001:db8::1".parse().expect("v6")];
        let expected: Vec<_> = addresses.into_iter().map(|address| ("www.example.com".to_owned(), address)).collect();
        assert_eq!(read.addresses, expected);
        assert!(probe(&response()));
    }

    #[test]
    fn an_announcement_tells_owners_targets_and_addresses() {
        let mut bytes = b"\0\0\x84\0\0\0\0\x02\0\0\0\x01".to_vec();
        bytes.extend_from_slice(b"\x05_cast\x04_tcp\x05local\0\0\x0c\0\x01\0\0\0\x78\0\x0a\x07Pixel 7\xc0\x0c");
        bytes.extend_from_slice(b"\xc0\x28\0\x21\x80\x01\0\0\0\x78\0\x10\0\0\0\0\x1f\x90\x07android\xc0\x17");
        bytes.extend_from_slice(b"\xc0\x44\0\x01\x80\x01\0\0\0\x78\0\x04\xc0\xa8\x01\x07");
        let read = announcement(&bytes).expect("a message");
        let names: Vec<_> = read.questions.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["_cast._tcp.local", "Pixel\\0327._cast._tcp.local", "android.local"]);
        let address: IpAddr = "192.168.1.7".parse().expect("v4");
        assert_eq!(read.addresses, [("android.local".to_owned(), address)]);
    }

    #[test]
    fn a_message_cut_short_gives_what_was_read() {
        let bytes = response();
        assert_eq!(message(&bytes[..bytes.len() - 3]).expect("a message").addresses.len(), 1);
        assert!(!probe(&bytes[..bytes.len() - 3]));
        assert_eq!(message(&bytes[..20]), None);
    }

    #[test]
    fn odd_bytes_in_names_are_escaped() {
        let read = message(b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x04a\xff.\\\x02b \0\0\x01\0\x01").expect("a message");
        assert_eq!(read.questions[0].0, "a\\255\\.\\\\.b\\032");
    }

    #[test]
    fn the_root_is_a_dot() {
        let read = message(b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\0\0\x02\0\x01").expect("a message");
        assert_eq!(read.questions, [(".".to_owned(), 2)]);
    }

    #[test]
    fn pointer_loops_end() {
        assert_eq!(message(b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\xc0\x0c\0\x01\0\x01"), None);
        assert_eq!(message(b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x01a\xc0\x0c\0\x01\0\x01"), None);
    }

    #[test]
    fn other_datagrams_are_refused() {
        assert!(!probe(b"M-SEARCH * HTTP/1.1\r\nHost: 239.255.255.250:1900\r\n\r\n"));
        assert!(!probe(&[0; 48]));
        assert!(!probe(b""));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..100) {
            let mut damaged = response();
            let end = at.min(damaged.len());
            damaged.splice(end.., bytes.iter().copied());
            for payload in [&bytes, &damaged] {
                if probe(payload) {
                    prop_assert!(message(payload).is_some());
                }
            }
        }
    }
}
