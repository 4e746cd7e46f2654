//! One TLS session read passively: the ciphertext of both directions in, plaintext and what is known of the session
//! out. Follows hellos, key changes and closure; records, keys and numbers are left to `record` and `keyring`.

use super::cbc::MacOrder;
use super::cipher::Role;
use super::handshake::{Handshake, Step, kind};
use super::hello;
use super::keylog::KeyLog;
use super::keyring::{Epoch, Keyring, Numbering, Success, TRIAL_BYTES_MAX};
use super::output::Output;
use super::premaster::Transcript;
use super::record::{Deframer, Found, HEADER_LEN, Loss, Place, RecordHeader, content};
use super::suite::Suite;
use crate::model::{Direction, Layer, OpaqueReason, StreamChunk, Timestamp, TlsInfo, Weird};
use std::sync::Arc;

/// Most sessions of a key log that are tried where the client's random value is encrypted.
pub const INNER_HELLOS_MAX: usize = 256;
/// Records in a row that no key opens before a direction is given up.
pub const MISSES_MAX: u64 = 64;

mod keys;
mod messages;

use keys::InnerSearch;
use messages::version_name;

const TLS_1_3: u16 = 0x0304;

/// How the records of a direction are read.
enum Protection {
    /// In the clear; whether a ChangeCipherSpec was seen whose meaning is not known yet.
    Clear { change_cipher_spec: bool },
    /// Encrypted, with keys to try.
    Sealed(Box<Keyring>),
    /// Encrypted, and not to be read.
    Opaque,
}

/// One direction.
struct Side {
    deframer: Deframer,
    handshake: Handshake,
    protection: Protection,
    /// Plaintext lost since the last piece handed on.
    plain_gap: u64,
    /// Where a loss across records began.
    hole: Option<u64>,
    /// Bytes of records that stayed closed and are no part of the handshake, as far as the keys tell.
    closed: u64,
}

impl Side {
    fn new() -> Self {
        Self {
            deframer: Deframer::default(),
            handshake: Handshake::default(),
            protection: Protection::Clear { change_cipher_spec: false },
            plain_gap: 0,
            hole: None,
            closed: 0,
        }
    }
}

/// What of a ClientHello is used later.
struct Client {
    random: [u8; 32],
    early_data: bool,
}

/// What of a ServerHello is used later.
struct Server {
    random: [u8; 32],
    session_id: Vec<u8>,
    extended_master_secret: bool,
    suite: Option<Suite>,
    order: MacOrder,
}

/// A TLS session of one flow.
pub struct TlsSession {
    keys: Arc<KeyLog>,
    info: Arc<TlsInfo>,
    client: Option<Client>,
    server: Option<Server>,
    /// What the handshake said, where premaster secrets are known.
    transcript: Option<Transcript>,
    /// By which random value the key log names the session, where an encrypted hello was accepted.
    inner: Option<[u8; 32]>,
    inner_search: Option<Box<InnerSearch>>,
    /// The version agreed on, as soon as a ServerHello or HelloRetryRequest tells it.
    version: Option<u16>,
    /// Which way the client's records go; a flow's opener is not always the TLS client.
    client_direction: Direction,
    sides: [Side; 2],
    opaque: Option<OpaqueReason>,
    /// Encrypted bytes are missing.
    truncated: bool,
    readable: bool,
    budget: u64,
    reported: Vec<&'static str>,
    last_ts: Timestamp,
}

/// The record at hand.
#[derive(Clone, Copy)]
struct Record<'a> {
    direction: Direction,
    ts: Timestamp,
    header: RecordHeader,
    body: &'a [u8],
    offset: u64,
    /// Whether its place is a guess after a loss.
    guessed: bool,
}

impl TlsSession {
    /// A session of which nothing was seen yet, to be opened with `keys`.
    #[must_use]
    pub fn new(keys: Arc<KeyLog>) -> Self {
        let transcript = (keys.premasters() > 0).then(Transcript::default);
        Self {
            keys,
            transcript,
            info: Arc::default(),
            client: None,
            server: None,
            inner: None,
            inner_search: None,
            version: None,
            client_direction: Direction::ToServer,
            sides: [Side::new(), Side::new()],
            opaque: None,
            truncated: false,
            readable: false,
            budget: TRIAL_BYTES_MAX,
            reported: Vec::new(),
            last_ts: Timestamp::default(),
        }
    }

    /// The same session from its start, to be opened with other keys; what was reported is not reported again.
    #[must_use]
    pub fn again(&self, keys: Arc<KeyLog>) -> Self {
        Self { reported: self.reported.clone(), inner: self.inner, ..Self::new(keys) }
    }

    /// What is known of the session so far.
    #[must_use]
    pub fn info(&self) -> Arc<TlsInfo> {
        Arc::clone(&self.info)
    }

    /// Bytes kept of unfinished records and messages.
    #[must_use]
    pub fn held(&self) -> usize {
        self.sides.iter().map(|side| side.deframer.held() + side.handshake.held()).sum()
    }

    /// The random value of the ClientHello, by which key logs name the session; none before it was seen.
    #[must_use]
    pub fn client_random(&self) -> Option<[u8; 32]> {
        self.client.as_ref().map(|client| client.random)
    }

    /// How many secrets `keys` has that may open the session; more than before make another attempt worth it.
    #[must_use]
    pub fn secrets_in(&self, keys: &KeyLog) -> usize {
        let named = [self.client.as_ref().map(|client| client.random), self.inner];
        let by_random: usize = named.iter().flatten().map(|random| keys.secrets_of(random)).sum();
        let by_session = self.server.as_ref().map_or(0, |server| keys.session_masters(&server.session_id).count());
        let premasters = if self.version == Some(TLS_1_3) { 0 } else { keys.premasters() };
        by_random + by_session + premasters
    }

    /// The keys it is opened with.
    #[must_use]
    pub const fn keys(&self) -> &Arc<KeyLog> {
        &self.keys
    }

    /// Goes on with keys of a later time, which hold no more for it than those before.
    pub fn renew_keys(&mut self, keys: &Arc<KeyLog>) {
        self.keys = Arc::clone(keys);
    }

    /// Lets go of keys that are to be forgotten in time, where both directions have what they need of them.
    pub fn forget_passing_keys(&mut self) {
        if self.sides.iter().all(|side| !matches!(side.protection, Protection::Clear { .. })) {
            self.keys = self.keys.lasting();
        }
    }

    /// Whether application data was opened.
    #[must_use]
    pub const fn readable(&self) -> bool {
        self.readable
    }

    /// Which way the client's records go; from client to server until told otherwise.
    #[must_use]
    pub const fn client_direction(&self) -> Direction {
        self.client_direction
    }

    /// Bytes of application data of a direction that stayed closed. Before a key has opened anything, what it does not
    /// open may be of a handshake or of early data whose own keys are not known: those are logged earlier, if at all.
    #[must_use]
    pub fn closed_bytes(&self, direction: Direction) -> u64 {
        self.sides[direction.index()].closed
    }

    /// Why encrypted records stayed closed, if some did; also told where others were opened.
    #[must_use]
    pub fn opaque_reason(&self) -> Option<OpaqueReason> {
        self.opaque.or(self.truncated.then_some(OpaqueReason::Truncated))
    }

    /// Takes the next ciphertext of a direction.
    pub fn chunk(&mut self, chunk: StreamChunk<'_>, out: &mut Output) {
        let direction = chunk.direction;
        self.last_ts = chunk.ts;
        let mut deframer = std::mem::take(&mut self.side(direction).deframer);
        if chunk.gap > 0 {
            self.lose(direction, chunk.gap, &mut deframer, out);
        }
        let mut at = 0;
        if deframer.is_at_start()
            && let Some((hello, len)) = hello::ssl2_client_hello(chunk.bytes)
        {
            self.client_hello(direction, &hello, out);
            deframer.pass(len);
            at = len;
        }
        loop {
            if matches!(self.side(direction).protection, Protection::Opaque) {
                let rest = chunk.bytes.len().saturating_sub(at) as u64;
                out.opaque_bytes += rest;
                self.side(direction).closed += rest;
                break;
            }
            let Some(found) = deframer.next(chunk.bytes, &mut at) else { break };
            let confirmed = self.found(&found, &deframer, chunk, out);
            deframer.resolve(&found, confirmed);
        }
        self.side(direction).deframer = deframer;
    }

    /// A direction ended; what was not whole is used as far as it goes.
    pub fn close(&mut self, direction: Direction, out: &mut Output) {
        self.scan_rest(direction, out);
        let side = self.side(direction);
        let clear = matches!(side.protection, Protection::Clear { .. });
        let deframer = std::mem::take(&mut side.deframer);
        let handshake = std::mem::take(&mut side.handshake);
        let Some((header, part)) = deframer.unfinished() else {
            self.cut_hello(direction, &handshake, out);
            return;
        };
        if !clear {
            out.opaque_bytes += (HEADER_LEN + part.len()) as u64;
            self.truncated = true;
            self.weird(out, "the stream ends within a TLS record");
        } else if header.kind == content::HANDSHAKE && self.client.is_none() {
            self.handshake_cut_in_record(direction, handshake, part, out);
        }
    }

    /// What was kept while a record was looked for may hold whole ones behind a header that was none.
    fn scan_rest(&mut self, direction: Direction, out: &mut Output) {
        let mut deframer = std::mem::take(&mut self.side(direction).deframer);
        let nothing = StreamChunk { direction, ts: self.last_ts, bytes: &[], gap: 0 };
        while deframer.pass_candidate() {
            while let Some(found) = deframer.next(nothing.bytes, &mut 0) {
                let confirmed = self.found(&found, &deframer, nothing, out);
                deframer.resolve(&found, confirmed);
            }
        }
        self.side(direction).deframer = deframer;
    }

    /// A ClientHello of which only the beginning was captured still has its name.
    fn handshake_cut_in_record(
        &mut self,
        direction: Direction,
        mut handshake: Handshake,
        part: &[u8],
        out: &mut Output,
    ) {
        let mut rest = part;
        while let Step::Message(..) | Step::TooLong = handshake.step(&mut rest) {}
        self.cut_hello(direction, &handshake, out);
    }

    fn cut_hello(&mut self, direction: Direction, handshake: &Handshake, out: &mut Output) {
        let cut = handshake.unfinished().filter(|&(kind, _)| kind == kind::CLIENT_HELLO && self.client.is_none());
        if let Some(hello) = cut.and_then(|(_, body)| hello::client_hello(body)) {
            self.client_hello(direction, &hello, out);
        }
    }

    fn side(&mut self, direction: Direction) -> &mut Side {
        let [to_server, to_client] = &mut self.sides;
        match direction {
            Direction::ToServer => to_server,
            Direction::ToClient => to_client,
        }
    }

    fn role(&self, direction: Direction) -> Role {
        if direction == self.client_direction { Role::Client } else { Role::Server }
    }

    fn weird(&mut self, out: &mut Output, reason: &'static str) {
        if !self.reported.contains(&reason) {
            self.reported.push(reason);
            out.weirds.push(Weird::new(Layer::Tls, reason));
        }
    }

    /// Bytes of the stream are missing.
    fn lose(&mut self, direction: Direction, lost: u64, deframer: &mut Deframer, out: &mut Output) {
        let start = deframer.offset();
        let loss = deframer.lose(lost);
        let hole_before = self.side(direction).hole;
        match loss {
            Loss::Same => return,
            Loss::Within(header) if hole_before.is_none() => self.lose_record(direction, header),
            Loss::Within(_) | Loss::Across => self.side(direction).hole = Some(hole_before.unwrap_or(start)),
        }
        self.truncated |= !matches!(self.side(direction).protection, Protection::Clear { .. });
        self.weird(out, "bytes of a TLS stream are missing");
    }

    /// One record, whose header was seen, is damaged.
    fn lose_record(&mut self, direction: Direction, header: RecordHeader) {
        let side = self.side(direction);
        let len = u64::from(header.len);
        match &mut side.protection {
            Protection::Clear { .. } if header.kind == content::HANDSHAKE => side.handshake.lose(len),
            Protection::Clear { .. } | Protection::Opaque => {}
            Protection::Sealed(ring) => {
                if header.kind == content::APPLICATION_DATA && ring.epoch() != Some(Epoch::Handshake) {
                    side.plain_gap += len.saturating_sub(ring.overhead() as u64);
                }
                ring.pass_one();
                side.handshake.lose(len);
            }
        }
    }

    /// Handles a record; false where its place was guessed wrong.
    fn found(&mut self, found: &Found, deframer: &Deframer, chunk: StreamChunk<'_>, out: &mut Output) -> bool {
        let body = match &found.place {
            Place::Chunk(range) => chunk.bytes.get(range.clone()).unwrap_or_default(),
            Place::Kept => deframer.kept_body(found.header),
        };
        let guessed = deframer.is_scanning();
        if guessed {
            self.weird(out, "TLS records were looked for");
        }
        let side = self.side(chunk.direction);
        if guessed && side.hole.is_none() {
            side.hole = Some(found.offset);
        }
        let record = Record {
            direction: chunk.direction,
            ts: chunk.ts,
            header: found.header,
            body,
            offset: found.offset,
            guessed,
        };
        match &self.side(chunk.direction).protection {
            Protection::Clear { change_cipher_spec } => {
                let change_cipher_spec = *change_cipher_spec;
                self.clear_record(record, change_cipher_spec, out)
            }
            Protection::Sealed(_) => self.sealed_record(record, out),
            Protection::Opaque => {
                self.stays_closed(record, out);
                true
            }
        }
    }

    fn stays_closed(&mut self, record: Record<'_>, out: &mut Output) {
        out.opaque_bytes += record_len(record);
        self.side(record.direction).closed += record_len(record);
    }

    fn clear_record(&mut self, record: Record<'_>, change_cipher_spec: bool, out: &mut Output) -> bool {
        let direction = record.direction;
        let known_version = self.version;
        let before_tls13 = known_version.is_some_and(|version| version < TLS_1_3);
        match record.header.kind {
            content::CHANGE_CIPHER_SPEC if before_tls13 => self.seal12(direction),
            content::CHANGE_CIPHER_SPEC if known_version.is_none() => {
                self.side(direction).protection = Protection::Clear { change_cipher_spec: true };
            }
            content::CHANGE_CIPHER_SPEC => {}
            content::ALERT => self.alert(record, record.body, out),
            content::HANDSHAKE
                if change_cipher_spec
                    && known_version != Some(TLS_1_3)
                    && !self.side(direction).handshake.goes_on_with(kind::CLIENT_HELLO, record.body) =>
            {
                self.seal12(direction);
                return self.sealed_record(record, out);
            }
            content::HANDSHAKE => {
                if record.guessed {
                    self.side(direction).handshake.lose(u64::MAX);
                }
                if !self.side(direction).handshake.begins_message(record.body) {
                    if before_tls13 {
                        self.seal12(direction);
                        return self.sealed_record(record, out);
                    }
                } else {
                    self.handshake(direction, record.body, out);
                }
                self.side(direction).hole = None;
            }
            content::APPLICATION_DATA => {
                self.look_for_inner_hello(record);
                if before_tls13 {
                    self.seal12(direction)
                } else {
                    self.seal13(direction)
                }
                return self.sealed_record(record, out);
            }
            _ => {}
        }
        true
    }

    fn sealed_record(&mut self, record: Record<'_>, out: &mut Output) -> bool {
        let Record { direction, header, body, .. } = record;
        let mut budget = self.budget;
        let side = self.side(direction);
        let Protection::Sealed(ring) = &mut side.protection else {
            self.stays_closed(record, out);
            return true;
        };
        let tls13 = ring.numbering() == Numbering::Epochs;
        if tls13 && header.kind != content::APPLICATION_DATA {
            return self.clear_in_tls13(record, out);
        }
        if let Some(start) = side.hole.filter(|_| record.guessed) {
            ring.pass_bytes(record.offset.saturating_sub(start));
        }
        let success = ring.open(header, body, out.room(body.len()), &mut budget);
        self.budget = budget;
        match success {
            Some(success) => {
                self.opened(record, success, out);
                true
            }
            None => self.missed(record, out),
        }
    }

    /// TLS 1.3 leaves alerts before the keys, a second ClientHello and compatibility records in the clear.
    fn clear_in_tls13(&mut self, record: Record<'_>, out: &mut Output) -> bool {
        match record.header.kind {
            content::HANDSHAKE if !record.guessed => self.handshake(record.direction, record.body, out),
            content::ALERT if record.body.len() == 2 => self.alert(record, record.body, out),
            _ => {}
        }
        !record.guessed
    }

    fn missed(&mut self, record: Record<'_>, out: &mut Output) -> bool {
        let spent = self.budget == 0;
        if record.guessed && !spent {
            return false;
        }
        out.opaque_bytes += record_len(record);
        // Early data has a key of its own, which many logs leave out.
        let may_be_early =
            self.role(record.direction) == Role::Client && self.client.as_ref().is_some_and(|client| client.early_data);
        let side = self.side(record.direction);
        let Protection::Sealed(ring) = &mut side.protection else { return true };
        ring.miss(record.body);
        let complete = ring.numbering() == Numbering::Continuous || ring.has(Epoch::Handshake);
        let has_application = ring.has(Epoch::Application);
        let proven = ring.is_proven();
        let may_be_early = may_be_early && !proven && !ring.has(Epoch::Early);
        let give_up = spent || ring.misses() >= MISSES_MAX;
        if proven || give_up || !has_application || ring.numbering() == Numbering::Continuous {
            side.closed += record_len(record);
        }
        if ring.epoch() == Some(Epoch::Application) && proven && record.header.kind == content::APPLICATION_DATA {
            side.plain_gap += u64::from(record.header.len).saturating_sub(ring.overhead() as u64);
        }
        if give_up {
            side.protection = Protection::Opaque;
        }
        if !has_application || may_be_early && !give_up {
            self.opaque.get_or_insert(OpaqueReason::NoKey);
        } else if proven {
            self.opaque.get_or_insert(if spent { OpaqueReason::Truncated } else { OpaqueReason::WrongKey });
            self.weird(out, "a TLS record could not be opened");
        } else if complete || give_up {
            self.opaque.get_or_insert(OpaqueReason::WrongKey);
            self.weird(out, "the keys given do not open the TLS session");
        }
        true
    }

    fn opened(&mut self, record: Record<'_>, success: Success, out: &mut Output) {
        let direction = record.direction;
        if self.info.keys.is_none() || self.info.cipher.is_none() {
            let info = Arc::make_mut(&mut self.info);
            info.keys = Some(success.source);
            info.cipher.get_or_insert_with(|| success.suite.name.to_owned());
            if success.suite.is_tls13() {
                info.version.get_or_insert_with(|| version_name(TLS_1_3));
            }
        }
        let len = success.opened.len;
        let side = self.side(direction);
        if let Some(start) = side.hole.take() {
            let sealed = record.offset.saturating_sub(start);
            let overhead = success.skipped.saturating_mul((success.overhead + HEADER_LEN) as u64);
            side.plain_gap += sealed.saturating_sub(overhead).max(1);
            side.handshake.lose(u64::MAX);
        }
        match success.opened.kind {
            content::APPLICATION_DATA if len > 0 => {
                let gap = std::mem::take(&mut side.plain_gap);
                out.push_plaintext(direction, record.ts, gap, len);
                self.readable = true;
            }
            content::HANDSHAKE => out.with_room(len, |body, out| self.sealed_handshake(direction, body, out)),
            content::ALERT => out.with_room(len, |body, out| self.alert(record, body, out)),
            content::CHANGE_CIPHER_SPEC if success.epoch == Epoch::Application => self.seal12(direction),
            _ => {}
        }
    }

    fn sealed_handshake(&mut self, direction: Direction, body: &[u8], out: &mut Output) {
        if self.side(direction).handshake.begins_message(body) {
            self.handshake(direction, body, out);
        }
    }
}

fn record_len(record: Record<'_>) -> u64 {
    (HEADER_LEN + record.body.len()) as u64
}
