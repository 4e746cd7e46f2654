//! Finds the key that opens a packet: by trial where the session, suite, version, generation or packet number are not
//! certain; the authenticated cipher tells. What was tried in vain is taken off a budget.

use super::super::keys::{Keys, PacketKey, Unmasked};
use super::super::packet::{CID_LEN_MAX, ConnectionId};
use super::super::version::{Labels, Version};
use super::{Connection, InitialKeys, Level};
use crate::model::{Direction, KeySource, OpaqueReason};
use crate::tls::{SecretLabel, Suite};
use std::sync::Arc;

pub use crate::tls::TRIAL_BYTES_MAX;

/// Most sessions a key log may have for all of them to be tried where the ClientHello was not captured.
pub const ORPHAN_SESSIONS_MAX: usize = 16;
/// The same where the ClientHello was captured, and may have another one inside (RFC 9849).
pub const INNER_SESSIONS_MAX: usize = 256;
/// Bytes that may be decrypted in vain in one connection for that.
pub const ORPHAN_BYTES_MAX: u64 = 16 << 20;
/// Most key updates that are tried at once where the capture began in the middle.
pub const GENERATIONS_MAX: u32 = 8;

/// Most Initial keys of one connection: they change with Retry and with the version.
const INITIAL_KEYS_MAX: usize = 8;
/// Most steps of the bits sent by which a packet number is looked for beside the likeliest.
const WINDOWS_MAX: u64 = 64;
/// A trial costs at least as much as this many bytes.
const TRIAL_COST_MIN: u64 = 256;
/// Part of the orphans' budget one packet may spend.
const ORPHAN_SHARE: u64 = 4;

/// The keys of one direction and level; several until the first packet tells which fits.
#[derive(Default)]
pub(super) struct Ring {
    candidates: Vec<Candidate>,
    proven: bool,
    /// Up to which news the candidates are.
    built: Option<u64>,
    /// Generations of keys that were used up to now (RFC 9001 §6).
    generation: u32,
    /// First packet number of the generation in use.
    generation_start: u64,
    previous: Option<PacketKey>,
    next: Option<PacketKey>,
}

struct Candidate {
    session: [u8; 32],
    from_client: bool,
    keys: Keys,
}

/// A packet to be opened.
#[derive(Clone, Copy)]
pub(super) struct Sealed<'a> {
    pub(super) direction: Direction,
    pub(super) level: Level,
    pub(super) bytes: &'a [u8],
    /// Where the packet number is; several where the length of the connection ID is not known.
    pub(super) number_at: &'a [usize],
}

/// A packet that was opened into the connection's buffer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opened {
    pub(super) len: usize,
    /// Where its packet number was.
    pub(super) number_at: usize,
    /// Whether a packet of its number was opened before.
    pub(super) repeated: bool,
}

/// How hard to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// The likeliest packet number only.
    Likeliest,
    /// Others too.
    Search,
}

/// One way to open a packet.
struct Way {
    candidate: usize,
    number_at: usize,
    unmasked: Unmasked,
    number: u64,
}

impl Ring {
    pub(super) fn is_proven(&self) -> bool {
        self.proven
    }

    pub(super) fn has_keys(&self) -> bool {
        !self.candidates.is_empty()
    }

    /// Tries a way with the generations that may fit; which one did, and the length.
    fn try_way(&mut self, way: &Way, packet: &[u8], level: Level, buffers: (&mut Vec<u8>, &mut [u8])) -> Option<usize> {
        let (head, out) = buffers;
        let candidate = self.candidates.get_mut(way.candidate)?;
        let mut open = |key: &PacketKey| key.open(packet, way.number_at, way.unmasked, way.number, head, out);
        if level != Level::Application {
            return open(candidate.keys.packet());
        }
        let same_phase = way.unmasked.phase() == (self.generation % 2 == 1);
        if same_phase {
            if let Some(len) = open(candidate.keys.packet()) {
                return Some(len);
            }
        } else if let Some(previous) = &self.previous
            && let Some(len) = open(previous)
        {
            return Some(len);
        }
        // Key updates since: the next generation, or where the beginning is unknown any later one.
        if self.proven && !same_phase && way.number >= self.generation_start {
            if self.next.is_none() {
                self.next = candidate.keys.packet().updated();
            }
            let len = open(self.next.as_ref()?)?;
            self.advance(way.candidate, 1, way.number);
            return Some(len);
        }
        None
    }

    /// Tries generations further ahead: the capture began in the middle, or lost much.
    fn try_ahead(&mut self, way: &Way, packet: &[u8], buffers: (&mut Vec<u8>, &mut [u8])) -> Option<usize> {
        let (head, out) = buffers;
        let mut key = self.candidates.get(way.candidate)?.keys.packet().updated()?;
        for ahead in 1..=GENERATIONS_MAX {
            if way.unmasked.phase() == ((self.generation + ahead) % 2 == 1)
                && let Some(len) = key.open(packet, way.number_at, way.unmasked, way.number, head, out)
            {
                self.next = Some(key);
                self.advance(way.candidate, ahead, way.number);
                return Some(len);
            }
            key = key.updated()?;
        }
        None
    }

    /// Goes on to the generation in `next`.
    fn advance(&mut self, candidate: usize, by: u32, number: u64) {
        let (Some(next), Some(candidate)) = (self.next.take(), self.candidates.get_mut(candidate)) else { return };
        let old = candidate.keys.replace(next);
        self.previous = (by == 1).then_some(old);
        self.generation += by;
        self.generation_start = number;
    }
}

impl Connection {
    /// Opens an Initial packet into the buffer; whose it is turns out with it.
    pub(super) fn open_initial(
        &mut self,
        direction: Direction,
        version: Version,
        dcid: ConnectionId,
        bytes: &[u8],
        number_at: usize,
    ) -> Option<Opened> {
        let roles: &[usize] = match self.client {
            Some(client) if client == direction => &[0],
            Some(_) => &[1],
            None => &[0, 1],
        };
        let mut known: Vec<ConnectionId> = Vec::new();
        for set in self.initial.iter().rev() {
            if !known.contains(&set.dcid) {
                known.push(set.dcid);
            }
        }
        for &dcid in &known {
            for &role in roles {
                if let Some(opened) = self.try_initial(direction, version, dcid, role, bytes, number_at) {
                    return Some(opened);
                }
            }
        }
        if roles[0] != 0 || known.contains(&dcid) {
            return None;
        }
        // A new beginning, after a Retry or a version negotiation that was not captured.
        if !known.is_empty() && !self.answered {
            let before = std::mem::take(&mut self.side(direction).spaces[0]);
            let opened = self.try_initial(direction, version, dcid, 0, bytes, number_at);
            match opened {
                Some(_) => self.side(direction).crypto[0] = super::Crypto::default(),
                None => self.side(direction).spaces[0] = before,
            }
            return opened;
        }
        self.try_initial(direction, version, dcid, 0, bytes, number_at)
    }

    /// The server turned the version down: the client begins anew.
    pub(super) fn restart(&mut self) {
        if self.answered {
            return;
        }
        for side in &mut self.sides {
            side.spaces[0] = super::Space::default();
            side.crypto[0] = super::Crypto::default();
        }
        self.alias = None;
    }

    fn try_initial(
        &mut self,
        direction: Direction,
        version: Version,
        dcid: ConnectionId,
        role: usize,
        bytes: &[u8],
        number_at: usize,
    ) -> Option<Opened> {
        let at = self.initial.iter().position(|set| set.version == version && set.dcid == dcid);
        let made = match at {
            Some(_) => None,
            None => Some(InitialKeys { version, dcid, keys: Keys::initial(version, dcid.as_bytes())? }),
        };
        let set = at.and_then(|at| self.initial.get(at)).or(made.as_ref())?;
        let keys = set.keys.get(role)?;
        let unmasked = keys.unmask(bytes, number_at)?;
        let space = &mut self.sides[direction.index()].spaces[0];
        let number = unmasked.number(space.largest());
        self.plain.resize(bytes.len().max(self.plain.len()), 0);
        let len = keys.packet().open(bytes, number_at, unmasked, number, &mut self.head, &mut self.plain)?;
        let repeated = !space.saw(number);
        if let Some(made) = made {
            if self.initial.len() == INITIAL_KEYS_MAX {
                self.initial.remove(0);
            }
            self.initial.push(made);
        }
        self.client = Some(if role == 0 { direction } else { direction.reversed() });
        Some(Opened { len, number_at, repeated })
    }

    /// Opens a packet of another level into the buffer.
    pub(super) fn open(&mut self, sealed: Sealed<'_>, version: Option<Version>, effort: Effort) -> Option<Opened> {
        if self.is_orphan() && self.orphan_bytes == 0 {
            return None;
        }
        let mut ring = std::mem::take(self.ring(sealed.direction, sealed.level));
        if !ring.proven && ring.built != Some(self.news) {
            ring.candidates = self.candidates(sealed.direction, sealed.level, version);
            ring.built = Some(self.news);
        }
        let opened = self.open_with(&mut ring, sealed, effort);
        *self.ring(sealed.direction, sealed.level) = ring;
        opened
    }

    fn open_with(&mut self, ring: &mut Ring, sealed: Sealed<'_>, effort: Effort) -> Option<Opened> {
        let Sealed { direction, level, bytes, .. } = sealed;
        let orphan = self.is_orphan();
        let mut ways = self.ways(ring, sealed);
        let (mut head, mut plain) = (std::mem::take(&mut self.head), std::mem::take(&mut self.plain));
        plain.resize(bytes.len().max(plain.len()), 0);
        let budget = if orphan { &mut self.orphan_bytes } else { &mut self.trial_bytes };
        let floor = if orphan { *budget - *budget / ORPHAN_SHARE } else { 0 };
        let cost = (bytes.len() as u64).max(TRIAL_COST_MIN);
        let mut found = None;
        'search: for step in 0..=if effort == Effort::Search { 2 * WINDOWS_MAX } else { 0 } {
            for way in &mut ways {
                // The likeliest way of a key that is certain is no search.
                if *budget <= floor && (step > 0 || !ring.proven) {
                    break 'search;
                }
                let Some(number) = beside(way.number, way.unmasked.window(), step) else { continue };
                let way = Way { number, ..*way };
                let len = ring.try_way(&way, bytes, level, (&mut head, &mut plain));
                let ahead = effort == Effort::Search && level == Level::Application && len.is_none() && step <= 2;
                let len = if ahead { ring.try_ahead(&way, bytes, (&mut head, &mut plain)) } else { len };
                if let Some(len) = len {
                    found = Some((way, len));
                    break 'search;
                }
                *budget = budget.saturating_sub(cost);
            }
        }
        (self.head, self.plain) = (head, plain);
        let (way, len) = found?;
        if !ring.proven {
            self.prove(ring, &way, direction);
        }
        let space = &mut self.side(direction).spaces[level.space()];
        let begins_late = space.largest().is_none() && level == Level::Application;
        let repeated = !space.saw(way.number);
        if begins_late && self.hello.is_none() {
            self.side(direction).spaces[level.space()].begins_at(way.number);
        }
        Some(Opened { len, number_at: way.number_at, repeated })
    }

    /// The ways in which a packet may be opened, with the likeliest packet number.
    fn ways(&self, ring: &Ring, sealed: Sealed<'_>) -> Vec<Way> {
        let largest = self.sides[sealed.direction.index()].spaces[sealed.level.space()].largest();
        let mut ways = Vec::new();
        for &number_at in sealed.number_at {
            for (candidate, keys) in ring.candidates.iter().map(|candidate| &candidate.keys).enumerate() {
                if let Some(unmasked) = keys.unmask(sealed.bytes, number_at) {
                    ways.push(Way { candidate, number_at, unmasked, number: unmasked.number(largest) });
                }
            }
        }
        ways
    }

    /// A candidate has opened its first packet: it is the one, and tells what else is not known yet.
    fn prove(&mut self, ring: &mut Ring, way: &Way, direction: Direction) {
        ring.candidates.swap(0, way.candidate);
        ring.candidates.truncate(1);
        ring.proven = true;
        let Some(candidate) = ring.candidates.first() else { return };
        if self.session != Some(candidate.session) {
            self.session = Some(candidate.session);
            self.news += 1;
        }
        if self.client.is_none() {
            self.client = Some(if candidate.from_client { direction } else { direction.reversed() });
        }
        let (suite, source) = (candidate.keys.suite, candidate.keys.source);
        self.know_keys(suite, source);
    }

    fn know_keys(&mut self, suite: Suite, source: Option<KeySource>) {
        if self.info.keys.is_some() && self.info.cipher.is_some() {
            return;
        }
        let info = Arc::make_mut(&mut self.info);
        info.keys = info.keys.or(source);
        info.cipher.get_or_insert_with(|| suite.name.to_owned());
        info.version.get_or_insert_with(|| "TLS 1.3".to_owned());
    }

    /// The keys that may fit packets of a direction and level.
    fn candidates(&self, direction: Direction, level: Level, version: Option<Version>) -> Vec<Candidate> {
        let labels: &[Labels] = match version.or(self.version) {
            Some(version) => &[version.labels()],
            None => &[Labels::V1, Labels::V2],
        };
        let roles: &[bool] = match self.client {
            Some(client) if client == direction => &[true],
            Some(_) => &[false],
            None => &[true, false],
        };
        // The early secret may be of another suite than the one agreed on later.
        let agreed = self.suite.filter(|_| level != Level::Early);
        let mut candidates = Vec::new();
        for session in self.sessions() {
            for &from_client in roles {
                let Some(label) = secret_label(level, from_client) else { continue };
                for secret in self.keys.secrets(&session, label) {
                    let suites = Suite::tls13_with_secret_len(secret.bytes.len());
                    for suite in suites.filter(|&suite| agreed.is_none_or(|agreed| agreed == suite)) {
                        let keys = labels
                            .iter()
                            .filter_map(|&labels| Keys::new(suite, labels, Some(secret.source), secret.bytes));
                        candidates.extend(keys.map(|keys| Candidate { session, from_client, keys }));
                    }
                }
            }
        }
        candidates
    }

    /// The sessions of the key log that may be this one.
    fn sessions(&self) -> Vec<[u8; 32]> {
        if let Some(session) = self.session {
            return vec![session];
        }
        match &self.hello {
            Some(hello) if self.keys.knows(&hello.random) => vec![hello.random],
            // The ClientHello was not captured, or its inner one, encrypted, is what the log goes by. The suite makes the
            // search short.
            _ => {
                let inner = self.info.ech.is_some() && self.suite.is_some();
                let most = if inner { INNER_SESSIONS_MAX } else { ORPHAN_SESSIONS_MAX };
                self.keys.client_randoms(most).unwrap_or_default()
            }
        }
    }

    /// Whether it is not certain which session of the key log this is.
    fn is_orphan(&self) -> bool {
        self.session.is_none() && !self.hello.as_ref().is_some_and(|hello| self.keys.knows(&hello.random))
    }

    /// Why packets of a level do not open.
    pub(super) fn why_closed(&self, direction: Direction, level: Level) -> OpaqueReason {
        let Some(hello) = &self.hello else {
            let known = self.session.is_some() && level != Level::Initial;
            return if known { OpaqueReason::WrongKey } else { OpaqueReason::NoHandshake };
        };
        if self.info.cipher.is_some() && self.answered && self.suite.is_none() {
            return OpaqueReason::UnsupportedCipher;
        }
        let session = self.session.unwrap_or(hello.random);
        let label = secret_label(level, self.is_client(direction));
        let known = label.is_some_and(|label| self.keys.secrets(&session, label).next().is_some());
        if known { OpaqueReason::WrongKey } else { OpaqueReason::NoKey }
    }

    pub(super) fn ring(&mut self, direction: Direction, level: Level) -> &mut Ring {
        let at = match level {
            Level::Initial | Level::Early => 0,
            Level::Handshake => 1,
            Level::Application => 2,
        };
        &mut self.sides[direction.index()].rings[at]
    }

    /// Where the packet number of a short header packet may be, the likeliest place first.
    pub(super) fn short_number_at(&self, direction: Direction, packet: &[u8]) -> Vec<usize> {
        if let Some(len) = self.short_cid_len(direction, packet) {
            return vec![1 + len];
        }
        if let Some(len) = self.sides[direction.index()].cid_len {
            return vec![1 + len];
        }
        let usual = [8, 0, 20, 16, 4, 5, 12, 18];
        usual.into_iter().chain((0..=CID_LEN_MAX).filter(|len| !usual.contains(len))).map(|len| 1 + len).collect()
    }
}

/// Which secret protects what one side sends; none where it sends nothing of that level.
const fn secret_label(level: Level, from_client: bool) -> Option<SecretLabel> {
    Some(match (level, from_client) {
        (Level::Early, true) => SecretLabel::ClientEarlyTraffic,
        (Level::Handshake, true) => SecretLabel::ClientHandshakeTraffic,
        (Level::Handshake, false) => SecretLabel::ServerHandshakeTraffic,
        (Level::Application, true) => SecretLabel::ClientTraffic0,
        (Level::Application, false) => SecretLabel::ServerTraffic0,
        (Level::Initial, _) | (Level::Early, false) => return None,
    })
}

/// The packet number some steps beside the likeliest: 0, 1 up, 1 down, 2 up …
fn beside(number: u64, window: u64, step: u64) -> Option<u64> {
    let distance = step.div_ceil(2) * window;
    if step.is_multiple_of(2) {
        number.checked_sub(distance)
    } else {
        number.checked_add(distance).filter(|&n| n < 1 << 62)
    }
}
