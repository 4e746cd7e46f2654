//! Marks and incidents as journal entries: a systemd Journal Export Block of pcapng holds one entry in the Journal
//! Export Format, so that other programs show it among the packets, as a message of `divulge`.

use crate::model::{Incident, IncidentKind, Mark, MarkKind, Timestamp};

/// Longest text written of a mark or an incident, bytes: Wireshark gives up a file with an entry of 256 KiB.
pub const JOURNAL_TEXT_MAX: usize = 64 << 10;

/// What an entry of ours says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A moment of the tester's.
    Mark(Mark),
    /// What befell a connection.
    Incident(Incident),
}

/// Appends the entry of a mark.
pub(super) fn write_mark(out: &mut Vec<u8>, mark: &Mark) {
    let Mark { ts, mark, text } = mark;
    let text = text.as_deref().map(capped);
    let kind = mark.as_str();
    begin(out, *ts, &[kind, text.unwrap_or_default()]);
    field(out, "DIVULGE_MARK", kind);
    if let Some(text) = text {
        field(out, "DIVULGE_TEXT", text);
    }
}

/// Appends the entry of an incident.
pub(super) fn write_incident(out: &mut Vec<u8>, incident: &Incident) {
    let Incident { ts, kind, host, connection, text } = incident;
    let (host, text) = (capped(host), capped(text));
    begin(out, *ts, &[host, text]);
    field(out, "DIVULGE_INCIDENT", kind.as_str());
    field(out, "DIVULGE_HOST", host);
    if let Some((client, server)) = connection {
        field(out, "DIVULGE_CLIENT", &client.to_string());
        field(out, "DIVULGE_SERVER", &server.to_string());
    }
    field(out, "DIVULGE_TEXT", text);
}

/// What every entry has. Its time must stand first and in microseconds for others; ours says it in nanoseconds.
fn begin(out: &mut Vec<u8>, ts: Timestamp, words: &[&str]) {
    field(out, "__REALTIME_TIMESTAMP", &(ts.nanos().max(0) / 1_000).to_string());
    let words: Vec<_> = words.iter().copied().filter(|word| !word.is_empty()).collect();
    field(out, "MESSAGE", &format!("divulge: {}", words.join(": ")).replace(char::is_control, " "));
    field(out, "SYSLOG_IDENTIFIER", "divulge");
    field(out, "DIVULGE_TS", &ts.nanos().to_string());
}

/// A field: as text where that can't be misread, else with its length.
fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    if value.bytes().all(|byte| byte >= b' ' || byte == b'\t') {
        out.push(b'=');
    } else {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    }
    out.extend_from_slice(value.as_bytes());
    out.push(b'\n');
}

fn capped(text: &str) -> &str {
    &text[..text.floor_char_boundary(JOURNAL_TEXT_MAX)]
}

/// Reads the entry of a block; none where it is another program's.
///
/// # Errors
/// What is wrong with one of ours.
pub(super) fn read(data: &[u8]) -> Result<Option<Entry>, String> {
    let fields = Fields::read(data);
    let entry = match (fields.mark, fields.incident) {
        (None, None) => return Ok(None),
        (Some(word), _) => {
            let word = String::from_utf8_lossy(word);
            let mark = MarkKind::parse(&word).ok_or_else(|| format!("journal entry with no mark `{word}`"))?;
            let text = fields.text.map(|text| String::from_utf8_lossy(text).into_owned());
            Entry::Mark(Mark { ts: fields.ts()?, mark, text })
        }
        (None, Some(word)) => {
            let word = String::from_utf8_lossy(word);
            let kind = IncidentKind::parse(&word).ok_or_else(|| format!("journal entry with no incident `{word}`"))?;
            let connection = match (fields.client, fields.server) {
                (Some(client), Some(server)) => Some((number(client, "client")?, number(server, "server")?)),
                (None, _) | (_, None) => None,
            };
            let host = String::from_utf8_lossy(fields.host.unwrap_or_default()).into();
            let text = String::from_utf8_lossy(fields.text.unwrap_or_default()).into_owned();
            Entry::Incident(Incident { ts: fields.ts()?, kind, host, connection, text })
        }
    };
    Ok(Some(entry))
}

/// The fields that are ours, as they stand in an entry.
#[derive(Default)]
struct Fields<'d> {
    microseconds: Option<&'d [u8]>,
    nanoseconds: Option<&'d [u8]>,
    mark: Option<&'d [u8]>,
    incident: Option<&'d [u8]>,
    host: Option<&'d [u8]>,
    client: Option<&'d [u8]>,
    server: Option<&'d [u8]>,
    text: Option<&'d [u8]>,
}

impl<'d> Fields<'d> {
    /// Reads one entry, as far as it makes sense.
    fn read(data: &'d [u8]) -> Self {
        let mut fields = Self::default();
        let mut rest = data;
        // An entry ends with an empty line, or with what fills its block up.
        while let Some((name, value, after)) = next_field(rest) {
            rest = after;
            let slot = match name {
                b"__REALTIME_TIMESTAMP" => &mut fields.microseconds,
                b"DIVULGE_TS" => &mut fields.nanoseconds,
                b"DIVULGE_MARK" => &mut fields.mark,
                b"DIVULGE_INCIDENT" => &mut fields.incident,
                b"DIVULGE_HOST" => &mut fields.host,
                b"DIVULGE_CLIENT" => &mut fields.client,
                b"DIVULGE_SERVER" => &mut fields.server,
                b"DIVULGE_TEXT" => &mut fields.text,
                _ => continue,
            };
            slot.get_or_insert(value);
        }
        fields
    }

    fn ts(&self) -> Result<Timestamp, String> {
        if let Some(nanoseconds) = self.nanoseconds {
            return number(nanoseconds, "time").map(Timestamp::from_nanos);
        }
        let microseconds: i64 = number(self.microseconds.unwrap_or_default(), "time")?;
        Ok(Timestamp::from_nanos(microseconds.saturating_mul(1_000)))
    }
}

/// Name and value of the first field, and what follows it.
fn next_field(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let end = memchr::memchr(b'\n', data)?;
    let (line, after) = (&data[..end], &data[end + 1..]);
    if line.is_empty() || line[0] == 0 {
        return None;
    }
    if let Some(equals) = memchr::memchr(b'=', line) {
        return Some((&line[..equals], &line[equals + 1..], after));
    }
    let (len, after) = after.split_first_chunk::<8>()?;
    let len = usize::try_from(u64::from_le_bytes(*len)).ok()?;
    let (value, after) = after.split_at_checked(len)?;
    Some((line, value, after.strip_prefix(b"\n")?))
}

fn number<T: std::str::FromStr>(value: &[u8], what: &str) -> Result<T, String> {
    let text = std::str::from_utf8(value).ok();
    text.and_then(|text| text.parse().ok()).ok_or_else(|| {
        let value = String::from_utf8_lossy(&value[..value.len().min(64)]);
        format!("journal entry whose {what} is `{value}`")
    })
}

#[cfg(test)]
mod tests {
    use super::{Entry, JOURNAL_TEXT_MAX, read, write_incident, write_mark};
    use crate::model::{Incident, IncidentKind, Mark, MarkKind, Timestamp};
    use proptest::prelude::*;

    fn mark(text: Option<&str>) -> Mark {
        let ts = Timestamp::from_nanos(1_700_000_000_123_456_789);
        Mark { ts, mark: MarkKind::Agree, text: text.map(str::to_owned) }
    }

    fn written(mark: &Mark) -> Vec<u8> {
        let mut out = Vec::new();
        write_mark(&mut out, mark);
        out
    }

    #[test]
    fn an_entry_begins_as_others_expect_it() {
        assert_eq!(
            String::from_utf8(written(&mark(Some("after the dialog")))).unwrap(),
            "__REALTIME_TIMESTAMP=1700000000123456\nMESSAGE=divulge: agree: after the dialog\n\
             SYSLOG_IDENTIFIER=divulge\nDIVULGE_TS=1700000000123456789\nDIVULGE_MARK=agree\n\
             DIVULGE_TEXT=after the dialog\n"
        );
    }

    #[test]
    fn incidents_keep_their_connection() {
        for connection in [None, Some(("10.0.0.2:40000".parse().unwrap(), "[2001:db8::1]:443".parse().unwrap()))] {
            let incident = Incident {
                ts: Timestamp::from_nanos(7),
                kind: IncidentKind::OriginUntrusted,
                host: "api.example.com".into(),
                connection,
                text: "origin certificate expired".to_owned(),
            };
            let mut out = Vec::new();
            write_incident(&mut out, &incident);
            assert_eq!(read(&out), Ok(Some(Entry::Incident(incident))));
        }
    }

    #[test]
    fn other_programs_entries_are_none_and_odd_ones_are_told() {
        assert_eq!(read(b"__REALTIME_TIMESTAMP=5\nMESSAGE=hello\n\0\0"), Ok(None));
        assert_eq!(read(b""), Ok(None));
        let micros = read(b"__REALTIME_TIMESTAMP=5\nDIVULGE_MARK=launch\n");
        let launch = Mark { ts: Timestamp::from_nanos(5_000), mark: MarkKind::Launch, text: None };
        assert_eq!(micros, Ok(Some(Entry::Mark(launch))));
        for (entry, why) in [
            (&b"DIVULGE_TS=5\nDIVULGE_MARK=accept\n"[..], "journal entry with no mark `accept`"),
            (b"DIVULGE_TS=x\nDIVULGE_MARK=agree\n", "journal entry whose time is `x`"),
            (b"DIVULGE_MARK=agree\n", "journal entry whose time is ``"),
            (b"DIVULGE_TS=5\nDIVULGE_INCIDENT=odd\n", "journal entry with no incident `odd`"),
            (
                b"DIVULGE_TS=5\nDIVULGE_INCIDENT=pinned\nDIVULGE_CLIENT=1\nDIVULGE_SERVER=2\n",
                "journal entry whose client is `1`",
            ),
        ] {
            assert_eq!(read(entry), Err(why.to_owned()));
        }
    }

    #[test]
    fn a_text_without_end_is_cut() {
        let long = "é".repeat(JOURNAL_TEXT_MAX);
        let Ok(Some(Entry::Mark(read))) = read(&written(&mark(Some(&long)))) else { panic!("a mark") };
        assert_eq!(read.text.map(|text| text.len()), Some(JOURNAL_TEXT_MAX));
    }

    proptest! {
        #[test]
        fn whatever_a_text_holds_comes_back(text in any::<String>(), padding in 0_usize..4) {
            let mark = mark(Some(&text));
            let mut entry = written(&mark);
            entry.resize(entry.len() + padding, 0);
            prop_assert_eq!(read(&entry), Ok(Some(Entry::Mark(mark))));
        }

        #[test]
        fn whatever_stands_in_an_entry_is_survived(data in any::<Vec<u8>>()) {
            let _ = read(&[b"DIVULGE_MARK\n", &data[..]].concat());
            let _ = read(&data);
        }
    }
}
