//! Key logs (RFC 9850, NSS `SSLKEYLOGFILE`): text lines to secrets by client random. Filled once, then shared
//! read-only; a session costs about its secrets' bytes. Which secret opens what is left to `schedule`.

use crate::model::KeySource;
use std::collections::HashMap;

/// Most bytes of secrets and randoms kept, so that offsets fit 32 bits.
pub const KEY_LOG_BYTES_MAX: usize = u32::MAX as usize;
/// Longest secret a line may give, in bytes (SHA-512 output, with room).
pub const SECRET_MAX: usize = 64;
/// Most different secrets kept for one label and client random; a log that gives more is broken.
pub const SECRETS_PER_LABEL_MAX: usize = 4;

/// What a secret is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SecretLabel {
    /// The master secret of TLS 1.2 and before.
    MasterSecret,
    /// TLS 1.3 early data (0-RTT), also of QUIC.
    ClientEarlyTraffic,
    /// The client's TLS 1.3 handshake.
    ClientHandshakeTraffic,
    /// The server's TLS 1.3 handshake.
    ServerHandshakeTraffic,
    /// The client's TLS 1.3 application data, before any key update.
    ClientTraffic0,
    /// The server's TLS 1.3 application data, before any key update.
    ServerTraffic0,
}

/// A line of a key log that could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLogProblem {
    /// Line number from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

/// A secret and where it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownSecret<'a> {
    /// The secret.
    pub bytes: &'a [u8],
    /// The file or block that gave it.
    pub source: KeySource,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    offset: u32,
    next: Option<u32>,
    len: u8,
    label: SecretLabel,
    source: KeySource,
}

/// All secrets known, by client random.
#[derive(Debug, Clone, Default)]
pub struct KeyLog {
    first: HashMap<[u8; 32], u32>,
    entries: Vec<Entry>,
    bytes: Vec<u8>,
}

impl KeyLog {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the lines of `text`; lines end with LF, CRLF or CR. Lines that cannot be used are returned, the others count.
    pub fn add_text(&mut self, source: KeySource, text: &[u8]) -> Vec<KeyLogProblem> {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let mut problems = Vec::new();
        let mut line_number = 0;
        let mut rest = text;
        while !rest.is_empty() {
            line_number += 1;
            let end = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
            let (line, after) = rest.split_at(end);
            rest = after.strip_prefix(b"\r\n").or_else(|| after.get(1..)).unwrap_or_default();
            if let Err(message) = self.add_line(source, line) {
                problems.push(KeyLogProblem { line: line_number, message });
            }
        }
        problems
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// How many client randoms have secrets.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.first.len()
    }

    /// Whether any secret is known for a client random.
    #[must_use]
    pub fn knows(&self, client_random: &[u8; 32]) -> bool {
        self.first.contains_key(client_random)
    }

    /// The secrets of a label; more than one only where sources disagree.
    pub fn secrets(&self, client_random: &[u8; 32], label: SecretLabel) -> impl Iterator<Item = KnownSecret<'_>> {
        self.chain(client_random).filter(move |entry| entry.label == label).filter_map(|entry| self.known(entry))
    }

    fn chain(&self, client_random: &[u8; 32]) -> impl Iterator<Item = &Entry> {
        let entry = |at: u32| self.entries.get(at as usize);
        std::iter::successors(self.first.get(client_random).and_then(|&at| entry(at)), move |last| {
            last.next.and_then(entry)
        })
    }

    fn known(&self, entry: &Entry) -> Option<KnownSecret<'_>> {
        let start = entry.offset as usize;
        let bytes = self.bytes.get(start..start + usize::from(entry.len))?;
        Some(KnownSecret { bytes, source: entry.source })
    }

    fn add_line(&mut self, source: KeySource, line: &[u8]) -> Result<(), String> {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            return Ok(());
        }
        let mut words = line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
        let name = words.next().unwrap_or_default();
        let Some(label) = label_of(name)? else { return Ok(()) };
        let (Some(random), Some(secret), None) = (words.next(), words.next(), words.next()) else {
            return Err("expected LABEL, client random and secret".to_owned());
        };
        let mut client_random = [0; 32];
        if hex(random, &mut client_random) != Some(32) {
            return Err("the client random is not 64 hexadecimal digits".to_owned());
        }
        let mut buffer = [0; SECRET_MAX];
        let secret = hex(secret, &mut buffer).and_then(|len| buffer.get(..len));
        let secret = secret.ok_or_else(|| format!("the secret is not hexadecimal of at most {SECRET_MAX} bytes"))?;
        let len_fits = match label {
            SecretLabel::MasterSecret => secret.len() == 48,
            _ => matches!(secret.len(), 32 | 48),
        };
        if !len_fits {
            return Err(format!("a secret of {} bytes does not fit its label", secret.len()));
        }
        if secret.iter().all(|&byte| byte == 0) {
            return Ok(());
        }
        self.insert(source, label, client_random, secret)
    }

    fn insert(
        &mut self,
        source: KeySource,
        label: SecretLabel,
        client_random: [u8; 32],
        secret: &[u8],
    ) -> Result<(), String> {
        let same_label = self.secrets(&client_random, label);
        let mut alternatives = 0;
        for known in same_label {
            if known.bytes == secret {
                return Ok(());
            }
            alternatives += 1;
        }
        if alternatives >= SECRETS_PER_LABEL_MAX {
            return Err(format!("more than {SECRETS_PER_LABEL_MAX} secrets for one label and client random"));
        }
        let full = || format!("more than {KEY_LOG_BYTES_MAX} bytes of secrets");
        if self.bytes.len() + secret.len() > KEY_LOG_BYTES_MAX {
            return Err(full());
        }
        let offset = u32::try_from(self.bytes.len()).map_err(|_| full())?;
        let len = u8::try_from(secret.len()).map_err(|_| full())?;
        let at = u32::try_from(self.entries.len()).map_err(|_| full())?;
        self.bytes.extend_from_slice(secret);
        self.entries.push(Entry { offset, next: None, len, label, source });
        let Some(&first) = self.first.get(&client_random) else {
            self.first.insert(client_random, at);
            return Ok(());
        };
        // Chains hold at most a few entries a label, so walking to the end stays cheap.
        let mut last = first;
        while let Some(next) = self.entries.get(last as usize).and_then(|entry| entry.next) {
            last = next;
        }
        if let Some(entry) = self.entries.get_mut(last as usize) {
            entry.next = Some(at);
        }
        Ok(())
    }
}

/// The label of a line's first word; none for labels that open no traffic.
fn label_of(name: &[u8]) -> Result<Option<SecretLabel>, String> {
    let bare = name.strip_prefix(b"QUIC_").unwrap_or(name);
    Ok(Some(match bare {
        b"CLIENT_RANDOM" => SecretLabel::MasterSecret,
        b"CLIENT_EARLY_TRAFFIC_SECRET" => SecretLabel::ClientEarlyTraffic,
        b"CLIENT_HANDSHAKE_TRAFFIC_SECRET" => SecretLabel::ClientHandshakeTraffic,
        b"SERVER_HANDSHAKE_TRAFFIC_SECRET" => SecretLabel::ServerHandshakeTraffic,
        b"CLIENT_TRAFFIC_SECRET_0" => SecretLabel::ClientTraffic0,
        b"SERVER_TRAFFIC_SECRET_0" => SecretLabel::ServerTraffic0,
        b"EXPORTER_SECRET" | b"EARLY_EXPORTER_SECRET" | b"ECH_SECRET" | b"ECH_CONFIG" => return Ok(None),
        b"RSA" | b"PMS_CLIENT_RANDOM" => return Err("premaster secrets are not supported".to_owned()),
        _ => {
            let shown: String = String::from_utf8_lossy(name).chars().filter(|c| !c.is_control()).take(40).collect();
            return Err(format!("unknown label {shown:?}"));
        }
    }))
}

/// Decodes hexadecimal digits of either case into `out` and says how many bytes; none if malformed or too long.
fn hex(digits: &[u8], out: &mut [u8]) -> Option<usize> {
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let out = out.get_mut(..pairs.len())?;
    for (slot, &[high, low]) in out.iter_mut().zip(pairs) {
        *slot = digit(high)? << 4 | digit(low)?;
    }
    Some(pairs.len())
}

#[cfg(test)]
mod tests {
    use super::{KeyLog, SecretLabel};
    use crate::model::KeySource;

    fn line(label: &str, random: u8, secret: u8, len: usize) -> String {
        format!("{label} {} {}", format!("{random:02x}").repeat(32), format!("{secret:02X}").repeat(len))
    }

    #[test]
    fn lines_of_any_ending_are_read_and_bad_ones_are_named() {
        let text = [
            "# a comment\r\n",
            "\r",
            &line("CLIENT_RANDOM", 1, 2, 48),
            "\n\n",
            "CLIENT_RANDOM 00 11\r\n",
            &line("CLIENT_TRAFFIC_SECRET_0", 3, 4, 32),
            "\r",
            "garbage\n",
            &line("QUIC_CLIENT_TRAFFIC_SECRET_0", 3, 4, 32),
        ]
        .concat();
        let mut log = KeyLog::new();
        let problems = log.add_text(KeySource::Keylog, text.as_bytes());
        assert_eq!(problems.iter().map(|problem| problem.line).collect::<Vec<_>>(), [5, 7]);
        assert_eq!(log.sessions(), 2);
        let secrets: Vec<_> = log.secrets(&[3; 32], SecretLabel::ClientTraffic0).collect();
        assert_eq!(secrets.len(), 1, "the QUIC_ duplicate is the same secret");
        assert_eq!(secrets[0].bytes, [4; 32]);
        assert_eq!(secrets[0].source, KeySource::Keylog);
        assert!(log.secrets(&[3; 32], SecretLabel::MasterSecret).next().is_none());
    }

    #[test]
    fn all_zero_keys_and_secrets_of_a_wrong_length_are_not_kept() {
        let mut log = KeyLog::new();
        let zero = line("CLIENT_RANDOM", 1, 0, 48);
        let short = line("CLIENT_RANDOM", 1, 5, 32);
        assert!(log.add_text(KeySource::Dsb, zero.as_bytes()).is_empty());
        assert_eq!(log.add_text(KeySource::Dsb, short.as_bytes()).len(), 1);
        assert!(log.is_empty());
    }

    #[test]
    fn sources_that_disagree_are_both_kept() {
        let mut log = KeyLog::new();
        log.add_text(KeySource::Keylog, line("CLIENT_RANDOM", 1, 7, 48).as_bytes());
        log.add_text(KeySource::Dsb, line("CLIENT_RANDOM", 1, 8, 48).as_bytes());
        let sources: Vec<_> = log.secrets(&[1; 32], SecretLabel::MasterSecret).map(|secret| secret.source).collect();
        assert_eq!(sources, [KeySource::Keylog, KeySource::Dsb]);
    }
}
