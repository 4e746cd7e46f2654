//! Key logs (RFC 9850, NSS `SSLKEYLOGFILE`): text lines to secrets by client random. A session costs about its secrets'
//! bytes, and a copy of a log next to nothing: copies share what they had in common, however often a log grows. Secrets of
//! our own proxy are forgotten in time. Which secret opens what is left to `schedule`.

mod levels;
mod line;
mod table;

use crate::model::KeySource;
use levels::Levels;
use line::Line;
use std::sync::Arc;
use table::Table;

/// Most bytes of secrets and randoms kept, so that offsets fit 32 bits.
pub const KEY_LOG_BYTES_MAX: usize = u32::MAX as usize;
/// Most sessions of our own proxy whose secrets are kept; half as many are always there. Their secrets come right before
/// their traffic and open it then, while a file's may be about anything.
pub const PROXY_SESSIONS_MAX: usize = 65_536;
/// Longest secret a line may give, in bytes (a premaster secret of an 8192-bit Diffie-Hellman group).
pub const SECRET_MAX: usize = 1024;
/// Most different secrets kept for one label and client random; a log that gives more is broken.
pub const SECRETS_PER_LABEL_MAX: usize = 4;
/// Bytes of an encrypted premaster secret by which a line names it.
pub(super) const ENCRYPTED_PREFIX_LEN: usize = 8;

/// What a secret is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SecretLabel {
    /// The master secret of TLS 1.2 and before.
    MasterSecret,
    /// The premaster secret of TLS 1.2 and before, by client random.
    Premaster,
    /// The premaster secret of an RSA key exchange, by the first bytes of its encryption.
    RsaPremaster,
    /// The master secret of TLS 1.2 and before, by session id.
    SessionMaster,
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

/// All secrets known, by client random. A clone shares all of its tables.
#[derive(Debug, Clone, Default)]
pub struct KeyLog {
    /// Of files and captures.
    lasting: Levels,
    /// Of the proxy: an older and a newer generation. The older is dropped as a whole when the newer is full.
    passing: [Levels; 2],
    /// Sessions of the newer generation.
    passing_sessions: usize,
    /// How often a generation was dropped.
    dropped: u64,
    /// How many sessions were ever named.
    sessions: usize,
}

impl KeyLog {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the lines of `text`; lines end with LF, CRLF or CR. Lines that cannot be used are returned, the others count.
    pub fn add_text(&mut self, source: KeySource, text: &[u8]) -> Vec<KeyLogProblem> {
        let mut problems = Vec::new();
        let mut line_number = 0;
        let mut rest = text;
        while !rest.is_empty() {
            line_number += 1;
            let end = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
            let (line, after) = rest.split_at(end);
            rest = after.strip_prefix(b"\r\n").or_else(|| after.get(1..)).unwrap_or_default();
            let added = line::read(line).and_then(|line| line.map_or(Ok(()), |line| self.insert(source, &line)));
            if let Err(message) = added {
                problems.push(KeyLogProblem { line: line_number, message });
            }
        }
        problems
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables().all(|table| table.ids() == 0)
    }

    /// How many client randoms have secrets, or had them before they were forgotten.
    #[must_use]
    pub const fn sessions(&self) -> usize {
        self.sessions
    }

    /// Whether any secret is known for a client random.
    #[must_use]
    pub fn knows(&self, client_random: &[u8; 32]) -> bool {
        self.tables().any(|table| table.has(client_random))
    }

    /// The client randoms that have secrets, sorted; none where they are more than `most`.
    #[must_use]
    pub fn client_randoms(&self, most: usize) -> Option<Vec<[u8; 32]>> {
        let mut randoms: Vec<_> =
            self.tables().flat_map(|table| table.each_id()).take(most.saturating_add(1)).copied().collect();
        if randoms.len() > most {
            return None;
        }
        randoms.sort_unstable();
        randoms.dedup();
        Some(randoms)
    }

    /// How many secrets are known for a client random.
    #[must_use]
    pub fn secrets_of(&self, client_random: &[u8; 32]) -> usize {
        self.tables().map(|table| table.secrets_of(client_random)).sum()
    }

    /// How many premaster secrets there are, for which a session has to keep what its handshake said.
    #[must_use]
    pub fn premasters(&self) -> usize {
        self.tables().map(|table| table.premasters()).sum()
    }

    /// The secrets of a label; more than one only where sources disagree.
    pub fn secrets<'s>(
        &'s self,
        client_random: &[u8; 32],
        label: SecretLabel,
    ) -> impl Iterator<Item = KnownSecret<'s>> + use<'s> {
        let id = *client_random;
        self.tables().flat_map(move |table| table.secrets(&id, label))
    }

    /// The premaster secrets of an RSA key exchange, by what the client sent of it.
    pub(super) fn rsa_premasters<'s>(&'s self, encrypted: &[u8]) -> impl Iterator<Item = KnownSecret<'s>> + use<'s> {
        let id = encrypted.get(..ENCRYPTED_PREFIX_LEN).map(padded);
        id.into_iter().flat_map(|id| self.secrets(&id, SecretLabel::RsaPremaster))
    }

    /// The master secrets of a session id.
    pub(super) fn session_masters<'s>(&'s self, session_id: &[u8]) -> impl Iterator<Item = KnownSecret<'s>> + use<'s> {
        let id = (!session_id.is_empty() && session_id.len() <= 32).then(|| padded(session_id));
        id.into_iter().flat_map(|id| self.secrets(&id, SecretLabel::SessionMaster))
    }

    fn insert(&mut self, source: KeySource, line: &Line) -> Result<(), String> {
        let mut alternatives = 0;
        for known in self.secrets(&line.id, line.label) {
            if known.bytes == line.secret() {
                return Ok(());
            }
            alternatives += 1;
        }
        if alternatives >= SECRETS_PER_LABEL_MAX {
            return Err(format!("more than {SECRETS_PER_LABEL_MAX} secrets for one label and client random"));
        }
        if self.tables().map(|table| table.bytes()).sum::<usize>() + line.secret().len() > KEY_LOG_BYTES_MAX {
            return Err(format!("more than {KEY_LOG_BYTES_MAX} bytes of secrets"));
        }
        let new = !self.knows(&line.id);
        if source == KeySource::Proxy {
            if new && self.passing_sessions >= PROXY_SESSIONS_MAX / 2 {
                self.drop_generation();
            }
            let [_, newer] = &mut self.passing;
            newer.insert(source, line)?;
            self.passing_sessions += usize::from(new);
        } else {
            self.lasting.insert(source, line)?;
        }
        self.sessions += usize::from(new);
        Ok(())
    }

    /// How often secrets were forgotten: copies from before keep them, and had better be replaced.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.dropped
    }

    /// The log without what will be forgotten in time: enough for a session that the proxy's secrets have opened.
    #[must_use]
    pub fn lasting(self: &Arc<Self>) -> Arc<Self> {
        if self.passing.iter().all(|levels| levels.tables().is_empty()) {
            return Arc::clone(self);
        }
        Arc::new(Self { passing: Default::default(), passing_sessions: 0, ..Self::clone(self) })
    }

    fn drop_generation(&mut self) {
        let [older, newer] = &mut self.passing;
        *older = std::mem::take(newer);
        self.passing_sessions = 0;
        self.dropped += 1;
    }

    fn tables(&self) -> impl Iterator<Item = &Table> {
        let [older, newer] = &self.passing;
        [&self.lasting, older, newer].into_iter().flat_map(|levels| levels.tables()).map(|table| &**table)
    }
}

/// An identifier as long as all are here.
fn padded(bytes: &[u8]) -> [u8; 32] {
    let mut id = [0; 32];
    id.iter_mut().zip(bytes).for_each(|(slot, &byte)| *slot = byte);
    id
}

#[cfg(test)]
mod tests {
    use super::{KeyLog, PROXY_SESSIONS_MAX, SecretLabel, Table};
    use crate::model::KeySource;
    use std::sync::Arc;

    fn line(label: &str, random: u8, secret: u8, len: usize) -> String {
        format!("{label} {} {}", format!("{random:02x}").repeat(32), format!("{secret:02X}").repeat(len))
    }

    #[test]
    fn logs_with_byte_order_marks_may_be_joined() {
        let log_of = |random| [b"\xef\xbb\xbf", line("CLIENT_RANDOM", random, 2, 48).as_bytes(), b"\n"].concat();
        let mut log = KeyLog::new();
        assert!(log.add_text(KeySource::Keylog, &[log_of(1), log_of(3)].concat()).is_empty());
        assert_eq!(log.sessions(), 2);
        assert_eq!(log.client_randoms(usize::MAX).map(|randoms| randoms.len()), Some(2));
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
    fn a_log_that_grows_line_by_line_shares_what_its_copies_have() {
        let mut log = KeyLog::new();
        let mut copies = Vec::new();
        for n in 0..1_000_u32 {
            let random: String = n.to_be_bytes().iter().cycle().take(32).map(|byte| format!("{byte:02x}")).collect();
            let text = format!("CLIENT_RANDOM {random} {}\n", "ab".repeat(48));
            assert!(log.add_text(KeySource::Keylog, text.as_bytes()).is_empty());
            copies.push(log.clone());
            assert!(log.tables().count() <= 12, "{} tables", log.tables().count());
        }
        for (n, copy) in (1_usize..).zip(&copies) {
            assert_eq!(copy.sessions(), n, "a copy does not change with its original");
        }
        let last = 999_u32.to_be_bytes();
        let random: [u8; 32] = std::array::from_fn(|at| last[at % 4]);
        assert!(log.knows(&random) && !copies[998].knows(&random));
    }

    #[test]
    fn secrets_of_the_proxy_are_forgotten_in_time_and_those_of_files_are_not() {
        let id = |n: usize| -> [u8; 32] {
            let mut id = [0; 32];
            id[24..].copy_from_slice(&(n as u64).to_be_bytes());
            id
        };
        let lines = |n: usize| {
            let random = format!("{n:064x}");
            let secret = "ab".repeat(32);
            format!("CLIENT_TRAFFIC_SECRET_0 {random} {secret}\nSERVER_TRAFFIC_SECRET_0 {random} {secret}\n")
        };
        let mut log = KeyLog::new();
        let of_file = usize::MAX;
        assert!(log.add_text(KeySource::Keylog, lines(of_file).as_bytes()).is_empty());
        let mut copy = Arc::new(log.clone());
        let mut most = 0;
        let count = PROXY_SESSIONS_MAX * 2 + 10;
        for n in 0..count {
            assert!(log.add_text(KeySource::Proxy, lines(n).as_bytes()).is_empty());
            if n % 100 == 0 {
                copy = Arc::new(log.clone());
                most = most.max(log.tables().map(Table::ids).sum());
            }
        }
        assert!(most <= PROXY_SESSIONS_MAX + 100, "{most} sessions at once");
        assert_eq!((log.sessions(), log.generation()), (count + 1, 4));
        assert!(!log.knows(&id(0)) && !log.knows(&id(count - PROXY_SESSIONS_MAX - 1)));
        assert!(log.knows(&id(count - 1)) && log.knows(&id(count - PROXY_SESSIONS_MAX / 2)));
        assert!(log.knows(&id(of_file)));
        assert_eq!(log.secrets_of(&id(count - 1)), 2);
        let lasting = copy.lasting();
        assert!(lasting.knows(&id(of_file)) && !lasting.knows(&id(count - 100)));
        assert!(Arc::ptr_eq(&lasting, &lasting.lasting()), "nothing is left to be forgotten");
    }

    #[test]
    fn premaster_and_session_lines_are_kept_under_their_own_names() {
        let premaster = "cd".repeat(48);
        let text = [
            format!("RSA 0102030405060708 {premaster}\n"),
            format!("PMS_CLIENT_RANDOM {} {}\n", "05".repeat(32), "ef".repeat(256)),
            format!("RSA Session-ID:{} Master-Key:{premaster}\n", "0A".repeat(32)),
            format!("[*] client_random {} {premaster}\n", "06".repeat(32)),
        ]
        .concat();
        let mut log = KeyLog::new();
        assert_eq!(log.add_text(KeySource::Keylog, text.as_bytes()), []);
        assert_eq!((log.premasters(), log.secrets_of(&[5; 32]), log.secrets_of(&[9; 32])), (2, 1, 0));
        assert_eq!(log.rsa_premasters(&[1, 2, 3, 4, 5, 6, 7, 8, 9]).count(), 1);
        assert_eq!(log.rsa_premasters(&[1, 2, 3]).count(), 0);
        assert_eq!(log.secrets(&[5; 32], SecretLabel::Premaster).map(|secret| secret.bytes.len()).next(), Some(256));
        assert_eq!(log.session_masters(&[10; 32]).count(), 1);
        assert_eq!(log.session_masters(&[]).count(), 0);
        assert_eq!(log.secrets(&[6; 32], SecretLabel::MasterSecret).count(), 1);
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
