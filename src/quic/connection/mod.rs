//! One QUIC connection read passively: datagrams of both directions in, bytes of streams and what is known of the
//! connection out. Here is what is known and asked; `packets` walks over datagrams, `opening` finds the keys, `payload`
//! reads frames and handshake messages.

mod opening;
mod packets;
mod payload;

use super::assembler::Assembler;
use super::gquic;
use super::keys::Keys;
use super::output::Output;
use super::packet::{ConnectionId, is_long, long_header, long_packet};
use super::space::Space;
use super::streams::Streams;
use super::version::{LongType, Version};
use crate::model::{Direction, Layer, OpaqueReason, Timestamp, TlsInfo, Weird};
use crate::tls::{Handshake, KeyLog, Suite};
use opening::Ring;
use std::sync::Arc;

pub use opening::{GENERATIONS_MAX, INNER_SESSIONS_MAX, ORPHAN_BYTES_MAX, ORPHAN_SESSIONS_MAX, TRIAL_BYTES_MAX};
pub use packets::{HELD_BYTES_MAX, HELD_PACKETS_MAX};
pub use payload::CRYPTO_PENDING_MAX;

/// Most connection IDs of one direction remembered; the oldest are forgotten.
const CIDS_MAX: usize = 64;

/// Whether keys may still come after the packets they open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LateKeys {
    /// All keys are known from the start.
    #[default]
    Never,
    /// They may: closed packets are kept, up to a cap, to be tried again.
    Possible,
}

/// How sure it is that a datagram belongs to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// It belongs to another one.
    No,
    /// Nothing speaks against it.
    Possible,
    /// A connection ID or a key tells it.
    Certain,
}

/// An encryption level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Initial,
    Early,
    Handshake,
    Application,
}

impl Level {
    /// Its packet number space.
    const fn space(self) -> usize {
        match self {
            Self::Initial => 0,
            Self::Handshake => 1,
            Self::Early | Self::Application => 2,
        }
    }
}

/// The packets that go one way.
#[derive(Default)]
struct Side {
    /// The connection IDs they are addressed by.
    cids: Vec<ConnectionId>,
    /// Length of the one the receiver chose in the handshake.
    cid_len: Option<usize>,
    spaces: [Space; 3],
    crypto: [Crypto; 2],
    /// Keys of 0-RTT, handshake and 1-RTT packets.
    rings: [Ring; 3],
    /// Lengths of the datagrams seen last, the newest first.
    sizes: Vec<usize>,
    /// Whether their receiver lets the fixed bit be anything (RFC 9287).
    greased: bool,
    /// Ends of stateless resets that may come.
    reset_tokens: Vec<[u8; 16]>,
}

/// A CRYPTO stream.
#[derive(Default)]
struct Crypto {
    assembler: Assembler,
    messages: Handshake,
}

/// Initial keys, by what they were made from.
struct InitialKeys {
    version: Version,
    dcid: ConnectionId,
    /// The client's and the server's.
    keys: [Keys; 2],
}

/// What of the ClientHello is used later.
struct Hello {
    random: [u8; 32],
    body: Vec<u8>,
    /// Whether that is all of it.
    whole: bool,
}

/// A QUIC connection.
pub struct Connection {
    keys: Arc<KeyLog>,
    late_keys: LateKeys,
    info: Arc<TlsInfo>,
    /// Which way the client's packets go; a flow's opener is not always the QUIC client.
    client: Option<Direction>,
    initial: Vec<InitialKeys>,
    /// The version the handshake goes on with, once the server has told.
    version: Option<Version>,
    /// What a version of an unknown number turned out to be like.
    alias: Option<Version>,
    hello: Option<Hello>,
    /// Whether a packet of the server's was opened.
    answered: bool,
    suite: Option<Suite>,
    /// The session of the key log that fits.
    session: Option<[u8; 32]>,
    sides: [Side; 2],
    streams: Streams,
    held: packets::Held,
    /// Counts what may make closed packets open.
    news: u64,
    trial_bytes: u64,
    orphan_bytes: u64,
    opaque: Option<OpaqueReason>,
    readable: bool,
    /// It is of a version that is not opened.
    foreign: bool,
    seen: bool,
    /// The datagram at hand is cut.
    cut: bool,
    last_ts: Timestamp,
    reported: Vec<&'static str>,
    /// Room for a header and a payload in the clear.
    head: Vec<u8>,
    plain: Vec<u8>,
}

impl Connection {
    /// Bytes kept of streams and packets that wait for others, or for keys.
    #[must_use]
    pub fn held(&self) -> usize {
        size_of::<Self>() + self.streams.pending() + self.held.bytes
    }

    /// A connection of which nothing was seen yet, to be opened with `keys`.
    #[must_use]
    pub fn new(keys: Arc<KeyLog>, late_keys: LateKeys) -> Self {
        Self {
            keys,
            late_keys,
            info: Arc::default(),
            client: None,
            initial: Vec::new(),
            version: None,
            alias: None,
            hello: None,
            answered: false,
            suite: None,
            session: None,
            sides: Default::default(),
            streams: Streams::default(),
            held: packets::Held::default(),
            news: 0,
            trial_bytes: TRIAL_BYTES_MAX,
            orphan_bytes: ORPHAN_BYTES_MAX,
            opaque: None,
            readable: false,
            foreign: false,
            seen: false,
            cut: false,
            last_ts: Timestamp::default(),
            reported: Vec::new(),
            head: Vec::new(),
            plain: Vec::new(),
        }
    }

    /// Takes the beginning of the next datagram, the rest of which was not captured. Its last packet cannot be opened, as
    /// the tag is missing.
    pub fn cut_datagram(&mut self, direction: Direction, ts: Timestamp, bytes: &[u8], out: &mut Output) {
        self.cut = true;
        self.datagram(direction, ts, bytes, out);
        self.cut = false;
    }

    /// Takes the next datagram.
    pub fn datagram(&mut self, direction: Direction, ts: Timestamp, bytes: &[u8], out: &mut Output) {
        let news = self.news;
        self.seen = true;
        self.last_ts = self.last_ts.max(ts);
        self.walk(direction, ts, bytes, out);
        if self.news != news {
            self.retry_held(out);
        }
    }

    /// More keys are known: packets that were kept are tried again.
    pub fn set_keys(&mut self, keys: Arc<KeyLog>, out: &mut Output) {
        let news = match &self.hello {
            Some(hello) if keys.knows(&hello.random) => {
                keys.secrets_of(&hello.random) != self.keys.secrets_of(&hello.random)
            }
            // Keys of other sessions, and none of them can be meant.
            Some(hello) if hello.whole && self.info.ech.is_none() && self.session.is_none() => false,
            _ => true,
        };
        self.keys = keys;
        if news && !self.held.is_empty() {
            self.news += 1;
            self.retry_held(out);
        }
    }

    /// Nothing comes any more: what waits is handed on with its gaps, what stayed closed is counted.
    pub fn finish(&mut self, out: &mut Output) {
        self.finish_crypto(out);
        self.retry_held(out);
        self.drop_held(out);
        self.streams.flush(self.last_ts, out);
    }

    /// Keys that come from now on are too late: what was kept for them counts as closed.
    pub fn stop_waiting(&mut self, out: &mut Output) {
        self.late_keys = LateKeys::Never;
        if self.hello.is_some() {
            self.drop_held(out);
        }
    }

    /// Whether packets are kept for keys that may come.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.late_keys == LateKeys::Possible && !self.held.is_empty()
    }

    /// What is known of its TLS session so far.
    #[must_use]
    pub fn info(&self) -> Arc<TlsInfo> {
        Arc::clone(&self.info)
    }

    /// The random value of the ClientHello, by which key logs name the session; none before it was seen.
    #[must_use]
    pub fn client_random(&self) -> Option<[u8; 32]> {
        self.hello.as_ref().map(|hello| hello.random)
    }

    /// The body of the ClientHello; none before it was whole.
    #[must_use]
    pub fn client_hello(&self) -> Option<&[u8]> {
        self.hello.as_ref().filter(|hello| hello.whole).map(|hello| &hello.body[..])
    }

    /// Which way the client's packets go; none before that is known.
    #[must_use]
    pub const fn client_direction(&self) -> Option<Direction> {
        self.client
    }

    /// The version in use; none before the server has told or where it is not known.
    #[must_use]
    pub const fn version(&self) -> Option<Version> {
        self.version
    }

    /// Whether data of streams was opened.
    #[must_use]
    pub const fn readable(&self) -> bool {
        self.readable
    }

    /// Why packets stayed closed, if some did; also told where others were opened.
    #[must_use]
    pub const fn opaque_reason(&self) -> Option<OpaqueReason> {
        match self.opaque {
            // What came before the hello was captured is not the hello's fault after all.
            Some(OpaqueReason::NoHandshake) if self.hello.is_some() => Some(OpaqueReason::NoKey),
            reason => reason,
        }
    }

    /// The connection IDs by which packets that go `direction` may be addressed, those not empty: by them the
    /// connection is known again when the client's address changes (RFC 9000 §9).
    pub fn issued_cids(&self, direction: Direction) -> impl Iterator<Item = ConnectionId> + '_ {
        self.sides[direction.index()].cids.iter().copied().filter(|cid| !cid.is_empty())
    }

    /// Whether a datagram belongs to this connection; several may share their addresses and ports.
    #[must_use]
    pub fn claims(&self, direction: Direction, datagram: &[u8]) -> Claim {
        let Some(&first) = datagram.first() else { return Claim::Possible };
        if !self.seen {
            return Claim::Possible;
        }
        if self.foreign {
            return if is_long(first) { Claim::Possible } else { Claim::Certain };
        }
        if !is_long(first) {
            if first & 0x40 == 0 && self.sides[direction.index()].greased {
                return Claim::Certain;
            }
            return match self.short_cid_len(direction, datagram) {
                Some(len) if len > 0 => Claim::Certain,
                _ => Claim::Possible,
            };
        }
        let Some(header) = long_header(datagram) else { return Claim::Possible };
        let (to, from) = (&self.sides[direction.index()].cids, &self.sides[direction.reversed().index()].cids);
        let knows = |cids: &[ConnectionId], cid: ConnectionId| !cid.is_empty() && cids.contains(&cid);
        if knows(to, header.dcid) || knows(from, header.scid) {
            return Claim::Certain;
        }
        let version = Version::by_number(header.version);
        let begins = version.is_none_or(|version| version.long_type(header.first) == LongType::Initial);
        if header.version == 0 || gquic::is_version(&header.version.to_be_bytes()) || !begins {
            return Claim::Possible;
        }
        if self.client.is_some_and(|client| client != direction) {
            return Claim::Possible;
        }
        // The client's next Initial packets are addressed by what the server chose, and that may not have been captured.
        let packet = version.and_then(|version| long_packet(datagram, &header, version));
        let opens = |set: &InitialKeys| {
            let packet = packet.as_ref()?;
            let unmasked = set.keys[0].unmask(packet.bytes, packet.number_at)?;
            let number = unmasked.number(self.sides[direction.index()].spaces[0].largest());
            let (mut head, mut room) = (Vec::new(), vec![0; packet.bytes.len()]);
            set.keys[0].packet().open(packet.bytes, packet.number_at, unmasked, number, &mut head, &mut room)
        };
        if self.initial.iter().any(|set| opens(set).is_some()) {
            return Claim::Certain;
        }
        if self.hello.is_some() { Claim::No } else { Claim::Possible }
    }

    /// The role in the handshake of who sends this way; the client's until told otherwise.
    fn is_client(&self, direction: Direction) -> bool {
        self.client.unwrap_or(Direction::ToServer) == direction
    }

    fn side(&mut self, direction: Direction) -> &mut Side {
        &mut self.sides[direction.index()]
    }

    /// Remembers by which ID packets that go `direction` may be addressed.
    fn learn_cid(&mut self, direction: Direction, cid: ConnectionId) {
        let cids = &mut self.side(direction).cids;
        if !cids.contains(&cid) {
            if cids.len() == CIDS_MAX {
                cids.remove(0);
            }
            cids.push(cid);
        }
    }

    /// The length of the ID a short header begins with, where it is one that is known.
    fn short_cid_len(&self, direction: Direction, packet: &[u8]) -> Option<usize> {
        let after = packet.get(1..)?;
        let known = self.sides[direction.index()].cids.iter().filter(|cid| after.starts_with(cid.as_bytes()));
        known.map(ConnectionId::len).max()
    }

    fn weird(&mut self, out: &mut Output, reason: &'static str) {
        if !self.reported.contains(&reason) {
            self.reported.push(reason);
            out.weirds.push(Weird::new(Layer::Quic, reason));
        }
    }
}
