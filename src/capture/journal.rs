//! Marks and incidents in a pcapng file: systemd Journal Export Blocks (draft-ietf-opsawg-pcapng), which other programs
//! show among the packets with their time and message. Ours have fields of their own; foreign ones are passed over.

use crate::model::{CaptureItem, Incident, IncidentKind, Mark, MarkKind, Timestamp};
use std::net::SocketAddr;
use std::sync::Arc;

/// Type of the block.
pub(super) const BLOCK: u32 = 9;

const MARK: &str = "DIVULGE_MARK";
const INCIDENT: &str = "DIVULGE_INCIDENT";
const TS: &str = "DIVULGE_TS";
const TEXT: &str = "DIVULGE_TEXT";
const HOST: &str = "DIVULGE_HOST";
const CLIENT: &str = "DIVULGE_CLIENT";
const SERVER: &str = "DIVULGE_SERVER";

/// The entry of a mark.
pub(super) fn mark(mark: &Mark) -> Vec<u8> {
    let text = mark.text.as_deref().unwrap_or_default();
    let mut out = entry(mark.ts, format!("divulge mark: {} {text}", mark.mark.as_str()).trim_end());
    field(&mut out, MARK, mark.mark.as_str());
    if let Some(text) = &mark.text {
        field(&mut out, TEXT, text);
    }
    out
}

/// The entry of an incident.
pub(super) fn incident(incident: &Incident) -> Vec<u8> {
    let mut out = entry(incident.ts, &format!("divulge: {}: {}", incident.host, incident.text));
    field(&mut out, INCIDENT, incident.kind.as_str());
    field(&mut out, HOST, &incident.host);
    field(&mut out, TEXT, &incident.text);
    if let Some((client, server)) = incident.connection {
        field(&mut out, CLIENT, &client.to_string());
        field(&mut out, SERVER, &server.to_string());
    }
    out
}

fn entry(ts: Timestamp, message: &str) -> Vec<u8> {
    let mut out = Vec::new();
    field(&mut out, "__REALTIME_TIMESTAMP", &(ts.nanos() / 1_000).to_string());
    field(&mut out, "MESSAGE", message);
    field(&mut out, "SYSLOG_IDENTIFIER", "divulge");
    // The journal's own time has microseconds only.
    field(&mut out, TS, &ts.nanos().to_string());
    out
}

/// One field in the form of systemd's Journal Export Format: a line, or with its length where it has line ends.
fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend_from_slice(value.as_bytes());
    out.push(b'\n');
}

/// What an entry says; none where it is not ours, or makes no sense.
pub(super) fn read(mut entry: &[u8]) -> Option<CaptureItem> {
    let (mut mark, mut kind, mut ts, mut text, mut host) = (None, None, None, None, None);
    let (mut client, mut server) = (None, None);
    while let Some((name, value)) = next_field(&mut entry) {
        let value = || std::str::from_utf8(value).ok();
        match name {
            name if name == MARK.as_bytes() => mark = Some(MarkKind::parse(value()?)?),
            name if name == INCIDENT.as_bytes() => kind = Some(IncidentKind::parse(value()?)?),
            name if name == TS.as_bytes() => ts = Some(Timestamp::from_nanos(value()?.parse().ok()?)),
            name if name == TEXT.as_bytes() => text = Some(value()?.to_owned()),
            name if name == HOST.as_bytes() => host = Some(Arc::from(value()?)),
            name if name == CLIENT.as_bytes() => client = Some(value()?.parse::<SocketAddr>().ok()?),
            name if name == SERVER.as_bytes() => server = Some(value()?.parse::<SocketAddr>().ok()?),
            _ => {}
        }
    }
    let ts = ts?;
    match (mark, kind) {
        (Some(mark), None) => Some(CaptureItem::Mark(Mark { ts, mark, text })),
        (None, Some(kind)) => {
            let connection = client.zip(server);
            Some(CaptureItem::Incident(Incident { ts, kind, host: host?, connection, text: text? }))
        }
        (Some(_), Some(_)) | (None, None) => None,
    }
}

fn next_field<'e>(entry: &mut &'e [u8]) -> Option<(&'e [u8], &'e [u8])> {
    let end = memchr::memchr(b'\n', entry)?;
    let line = &entry[..end];
    let rest = &entry[end + 1..];
    if let Some(equals) = memchr::memchr(b'=', line) {
        *entry = rest;
        return Some((&line[..equals], &line[equals + 1..]));
    }
    let (len, rest) = rest.split_first_chunk::<8>()?;
    let len = usize::try_from(u64::from_le_bytes(*len)).ok()?;
    let value = rest.get(..len)?;
    *entry = rest.get(len + 1..)?;
    Some((line, value))
}

#[cfg(test)]
mod tests {
    use super::{incident, mark, read};
    use crate::model::{CaptureItem, Incident, IncidentKind, Mark, MarkKind, Timestamp};
    use proptest::prelude::*;
    use std::sync::Arc;

    proptest! {
        #[test]
        fn what_is_written_is_read_again(text in ".{0,40}", lines in "[a-z\n=]{0,20}", nanos in 0i64..i64::MAX / 2) {
            let ts = Timestamp::from_nanos(nanos);
            let noted = Mark { ts, mark: MarkKind::Note, text: Some(format!("{text}{lines}")) };
            let Some(CaptureItem::Mark(found)) = read(&mark(&noted)) else { panic!("no mark") };
            prop_assert_eq!(found, noted);
            let connection = Some(("192.0.2.1:7".parse().unwrap(), "[2001:db8::1]:443".parse().unwrap()));
            let befell = Incident { ts, kind: IncidentKind::Pinned, host: Arc::from(lines.as_str()), connection, text };
            let Some(CaptureItem::Incident(found)) = read(&incident(&befell)) else { panic!("no incident") };
            prop_assert_eq!(found, befell);
        }

        #[test]
        fn other_entries_are_passed_over(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(read(&bytes).is_none());
        }
    }

    #[test]
    fn an_entry_that_makes_no_sense_is_no_mark() {
        assert!(read(b"MESSAGE=hello\n__REALTIME_TIMESTAMP=1\n").is_none());
        assert!(read(b"DIVULGE_TS=1\nDIVULGE_MARK=accept\n").is_none());
        assert!(read(b"DIVULGE_MARK=agree\n").is_none());
        assert!(read(b"DIVULGE_TS=1\nDIVULGE_TEXT\n\xff\xff\xff\xff\xff\xff\xff\xffx\n").is_none());
    }
}
