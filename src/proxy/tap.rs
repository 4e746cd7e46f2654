//! What passes the relay → frames, session keys and incidents, in batches. The relay hands bytes over and goes on: it
//! never waits for whoever takes them, and what does not fit under the cap is left out and counted.

use super::config::AppOf;
use super::packet::{self, Kind, Place};
use crate::model::{
    App, CaptureItem, Direction, FrameBatch, FrameMeta, Incident, IncidentKind, KeySource, LinkType, Segment, Timestamp,
};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Most bytes of frames that wait to be taken.
pub const TAP_MAX: usize = 64 << 20;
/// Most incidents that wait to be taken; more of them in a batch are counted only.
const INCIDENTS_WAITING_MAX: usize = 10_000;
/// How long frames gather before they are taken, so that a batch is worth its price.
const GATHER: Duration = Duration::from_millis(4);
/// Nanoseconds between two questions for the app of a connection.
const ASK_EVERY: i64 = 100_000_000;
/// Bytes of frames in one piece of memory; a little more where the last frame is large.
const PIECE: usize = 256 << 10;
/// Pieces kept for further use.
const SPARE_PIECES: usize = 32;

/// Where what passes is gathered.
pub struct Tap {
    waiting: Mutex<Waiting>,
    filled: Condvar,
    spare: Spare,
}

/// Pieces of memory that nobody uses, to be used again.
type Spare = Arc<Mutex<Vec<Vec<u8>>>>;

#[derive(Default)]
struct Waiting {
    secrets: Vec<u8>,
    incidents: Vec<Incident>,
    incidents_left_out: u64,
    /// Pieces that are full, with their frames.
    full: Vec<Piece>,
    /// The piece that is being filled.
    piece: Piece,
    /// Bytes in all pieces.
    len: usize,
    /// Bytes of payload that did not fit.
    unread: u64,
    numbered: u64,
    closed: bool,
}

/// Frames and the memory they stand in.
#[derive(Default)]
struct Piece {
    bytes: Vec<u8>,
    frames: Vec<FrameMeta>,
}

/// What was gathered, in the order to be read: keys stand before the frames they open.
#[derive(Default)]
pub struct Gathered {
    /// The items.
    pub items: Vec<CaptureItem>,
    /// Whether nothing will follow.
    pub ended: bool,
}

impl Tap {
    /// An empty one.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self { waiting: Mutex::default(), filled: Condvar::new(), spare: Arc::default() })
    }

    /// Begins a connection between the addresses, as the client sees them.
    #[must_use]
    pub(super) fn open(self: &Arc<Self>, client: SocketAddr, server: SocketAddr) -> TapFlow {
        let (client, server) = one_family(client, server);
        let mut flow =
            TapFlow { tap: Arc::clone(self), client, server, next: [0, 0], app: None, asked: None, ended: [false; 2] };
        flow.frame(Direction::ToServer, Kind::Open, &[]);
        flow.next[0] = 1;
        flow.frame(Direction::ToClient, Kind::OpenAnswer, &[]);
        flow.next[1] = 1;
        flow
    }

    /// Adds lines of a key log (RFC 9850).
    pub(super) fn secrets(&self, lines: &[u8]) {
        self.lock().secrets.extend_from_slice(lines);
        // Frames follow at once, and they wake whoever waits.
    }

    /// Adds an incident.
    pub(super) fn incident(
        &self,
        kind: IncidentKind,
        host: &str,
        connection: Option<(SocketAddr, SocketAddr)>,
        text: String,
    ) {
        let connection = connection.map(|(client, server)| one_family(client, server));
        let incident = Incident { ts: now(), kind, host: Arc::from(host), connection, text };
        let mut waiting = self.lock();
        if waiting.incidents.len() < INCIDENTS_WAITING_MAX {
            waiting.incidents.push(incident);
        } else {
            waiting.incidents_left_out += 1;
        }
        drop(waiting);
        self.filled.notify_one();
    }

    /// No more will come.
    pub fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }

    /// Waits, at most so long, for something to be there, lets it gather for a moment and takes it.
    pub fn take(&self, wait: Duration) -> Gathered {
        let mut waiting = self.lock();
        if waiting.is_empty() && !waiting.closed {
            waiting = self.filled.wait_timeout(waiting, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
        if waiting.is_empty() {
            return Gathered { ended: waiting.closed, ..Gathered::default() };
        }
        if !waiting.closed {
            drop(waiting);
            std::thread::sleep(GATHER);
            waiting = self.lock();
        }
        let mut pieces = std::mem::take(&mut waiting.full);
        pieces.push(std::mem::take(&mut waiting.piece));
        waiting.len = 0;
        let secrets = std::mem::take(&mut waiting.secrets);
        let incidents = std::mem::take(&mut waiting.incidents);
        let unread = std::mem::take(&mut waiting.unread);
        let left_out = std::mem::take(&mut waiting.incidents_left_out);
        drop(waiting);

        let mut gathered = Gathered::default();
        if !secrets.is_empty() {
            gathered.items.push(CaptureItem::Secrets(KeySource::Proxy, secrets));
        }
        gathered.items.extend(incidents.into_iter().map(CaptureItem::Incident));
        if unread > 0 {
            let text = format!("{unread} bytes went by faster than they could be taken in: neither recorded nor read");
            gathered.items.push(CaptureItem::Incident(about_the_proxy(text)));
        }
        if left_out > 0 {
            let text = format!("{left_out} more incidents in a moment than are told one by one");
            gathered.items.push(CaptureItem::Incident(about_the_proxy(text)));
        }
        for Piece { bytes, mut frames } in pieces {
            let segment: Segment = Arc::new(Buffer { bytes, home: Arc::downgrade(&self.spare) });
            while !frames.is_empty() {
                let rest = frames.split_off(frames.len().min(FrameBatch::FRAMES_MAX));
                gathered.items.push(CaptureItem::Frames(FrameBatch { segment: Arc::clone(&segment), frames }));
                frames = rest;
            }
        }
        gathered
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // What is inside is whole between calls, also after a panic elsewhere.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.len == 0 && self.incidents.is_empty() && self.secrets.is_empty() && self.unread == 0
    }
}

fn about_the_proxy(text: String) -> Incident {
    Incident { ts: now(), kind: IncidentKind::Unread, host: Arc::from("proxy"), connection: None, text }
}

/// Bytes of frames, which go back to where they came from when nobody needs them any more.
struct Buffer {
    bytes: Vec<u8>,
    home: Weak<Mutex<Vec<Vec<u8>>>>,
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(home) = self.home.upgrade() else { return };
        let mut spare = home.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE_PIECES {
            let mut bytes = std::mem::take(&mut self.bytes);
            bytes.clear();
            spare.push(bytes);
        }
    }
}

/// One connection that is tapped. Dropping it ends what has not been ended.
pub(super) struct TapFlow {
    tap: Arc<Tap>,
    client: SocketAddr,
    server: SocketAddr,
    /// The next sequence number of each direction.
    next: [u32; 2],
    app: Option<Arc<App>>,
    /// Who knows the app, and when to ask again: a phone is looked at only so often.
    asked: Option<(AppOf, Timestamp)>,
    ended: [bool; 2],
}

impl TapFlow {
    /// Tells the app, or who may come to know it.
    pub(super) fn set_app(&mut self, app: Option<Arc<App>>, app_of: Option<&AppOf>) {
        self.asked = app_of.filter(|_| app.is_none()).map(|app_of| (Arc::clone(app_of), now()));
        self.app = app;
    }

    /// Asks again for the app that is not known yet.
    fn look_for_app(&mut self, ts: Timestamp) {
        let Some((app_of, next)) = &mut self.asked else { return };
        if ts < *next {
            return;
        }
        *next = Timestamp::from_nanos(ts.nanos().saturating_add(ASK_EVERY));
        self.app = app_of(self.client);
        if self.app.is_some() {
            self.asked = None;
        }
    }

    /// Client and server, as the frames have them.
    pub(super) fn addresses(&self) -> (SocketAddr, SocketAddr) {
        (self.client, self.server)
    }

    /// Bytes went by.
    pub(super) fn data(&mut self, direction: Direction, bytes: &[u8]) {
        for part in bytes.chunks(packet::SEGMENT_MAX) {
            self.frame(direction, Kind::Data, part);
            let next = &mut self.next[direction.index()];
            *next = next.wrapping_add(u32::try_from(part.len()).unwrap_or(0));
        }
    }

    /// One direction ended.
    pub(super) fn end(&mut self, direction: Direction) {
        if !std::mem::replace(&mut self.ended[direction.index()], true) {
            self.frame(direction, Kind::End, &[]);
            let next = &mut self.next[direction.index()];
            *next = next.wrapping_add(1);
        }
    }

    /// One side broke off.
    pub(super) fn reset(&mut self, direction: Direction) {
        if self.ended != [true; 2] {
            self.frame(direction, Kind::Reset, &[]);
            self.ended = [true; 2];
        }
    }

    fn frame(&mut self, direction: Direction, kind: Kind, payload: &[u8]) {
        let (from, to) = match direction {
            Direction::ToServer => (self.client, self.server),
            Direction::ToClient => (self.server, self.client),
        };
        let (seq, ack) = (self.next[direction.index()], self.next[direction.reversed().index()]);
        let ts = now();
        self.look_for_app(ts);
        let mut waiting = self.tap.lock();
        if waiting.len > TAP_MAX {
            waiting.unread += payload.len() as u64;
            return;
        }
        let Waiting { full, piece, len, numbered, .. } = &mut *waiting;
        if piece.bytes.len() + payload.len() + packet::HEADERS_MAX > piece.bytes.capacity() {
            let spare = self.tap.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let bytes = spare.unwrap_or_else(|| Vec::with_capacity(PIECE));
            let filled = std::mem::replace(piece, Piece { bytes, frames: Vec::new() });
            if !filled.frames.is_empty() {
                full.push(filled);
            }
        }
        let (start, was_empty) = (piece.bytes.len(), *len == 0);
        packet::append(&mut piece.bytes, &Place { from, to, seq, ack }, kind, payload);
        let size = piece.bytes.len() - start;
        *len += size;
        *numbered += 1;
        piece.frames.push(FrameMeta {
            number: *numbered,
            ts,
            link: LinkType(packet::LINKTYPE_RAW),
            start,
            len: size,
            original_len: u32::try_from(size).unwrap_or(u32::MAX),
            app: self.app.clone(),
        });
        drop(waiting);
        if was_empty {
            self.tap.filled.notify_one();
        }
    }
}

impl Drop for TapFlow {
    fn drop(&mut self) {
        self.end(Direction::ToServer);
        self.end(Direction::ToClient);
    }
}

/// Both addresses in one family, so that they fit into one header.
fn one_family(client: SocketAddr, server: SocketAddr) -> (SocketAddr, SocketAddr) {
    let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let mapped = |address: SocketAddr| match address.ip() {
        IpAddr::V4(v4) => SocketAddr::new(IpAddr::V6(v4.to_ipv6_mapped()), address.port()),
        IpAddr::V6(_) => address,
    };
    let (client, server) = (plain(client), plain(server));
    if client.is_ipv4() == server.is_ipv4() { (client, server) } else { (mapped(client), mapped(server)) }
}

/// The time of day.
pub(super) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// Tells the tap of session secrets, in the form of RFC 9850.
#[derive(Debug)]
pub(super) struct KeyLog(pub(super) Arc<Tap>);

impl std::fmt::Debug for Tap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What it holds are the phone's bytes and session secrets.
        f.debug_struct("Tap").finish_non_exhaustive()
    }
}

impl rustls::KeyLog for KeyLog {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        // Nobody exports keys from a relayed session.
        if label == "EXPORTER_SECRET" {
            return;
        }
        let mut line = Vec::with_capacity(label.len() + 2 * (client_random.len() + secret.len()) + 3);
        line.extend_from_slice(label.as_bytes());
        for part in [client_random, secret] {
            line.push(b' ');
            for byte in part {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                line.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
        }
        line.push(b'\n');
        self.0.secrets(&line);
    }
}
