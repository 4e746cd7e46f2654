//! Frames of opened packets to what they tell: bytes of streams, handshake messages, connection IDs, losses, closure.

use super::super::frame::{Ack, Frame, Frames, Problem};
use super::super::gquic;
use super::super::output::{Close, Output};
use super::super::packet::{ConnectionId, varint};
use super::super::streams::Piece;
use super::super::version::Version;
use super::opening::Opened;
use super::{Connection, Hello, Level};
use crate::model::{Certificate, Direction, EncryptedHello, OpaqueReason, Timestamp};
use crate::tls::hello::{self, ClientHello, ServerHello};
use crate::tls::{
    Bulk, CertificateForm, HandshakeStep, Reader, Suite, Transport, certificate_message,
    compressed_certificate_message, handshake_kind as kind, suite_name,
};
use std::sync::Arc;

/// Most bytes of a CRYPTO stream that wait for what is before them.
pub const CRYPTO_PENDING_MAX: usize = 64 << 10;

/// Most tokens of stateless resets remembered for one direction.
const RESET_TOKENS_MAX: usize = 64;
/// CONNECTION_CLOSE codes that carry a TLS alert (RFC 9001 §4.8).
const CRYPTO_ERROR: u64 = 0x0100;
const PREFERRED_ADDRESS: u64 = 0x0d;
const STATELESS_RESET_TOKEN: u64 = 0x02;
const GREASE_QUIC_BIT: u64 = 0x2ab2;
/// The extension of transport parameters, and what the drafts had (RFC 9001 §8.2).
const TRANSPORT_PARAMETERS: [u16; 2] = [0x39, 0xffa5];

/// Whence a frame came.
#[derive(Clone, Copy)]
struct Origin {
    direction: Direction,
    ts: Timestamp,
    level: Level,
    version: Version,
}

impl Connection {
    /// Reads what was opened into the buffer.
    pub(super) fn opened(
        &mut self,
        direction: Direction,
        ts: Timestamp,
        level: Level,
        opened: Opened,
        version: Version,
        out: &mut Output,
    ) {
        self.answered |= !self.is_client(direction);
        self.foreign = version.is_google_handshake();
        if opened.repeated {
            return;
        }
        let plain = std::mem::take(&mut self.plain);
        let mut frames = Frames::new(plain.get(..opened.len).unwrap_or_default());
        let origin = Origin { direction, ts, level, version };
        while let Some(frame) = frames.next() {
            match frame {
                Ok(frame) => self.frame(origin, frame, out),
                Err(Problem::Unknown) => self.weird(out, "a QUIC frame is of an unknown type"),
                Err(Problem::Malformed) => self.weird(out, "a QUIC frame is malformed"),
            }
        }
        self.plain = plain;
    }

    fn frame(&mut self, origin: Origin, frame: Frame<'_>, out: &mut Output) {
        let Origin { direction, ts, level, .. } = origin;
        let data_level = matches!(level, Level::Early | Level::Application);
        let round = self.side(direction).spaces[Level::Application.space()].round();
        let weird = match frame {
            Frame::Crypto { offset, data } => {
                self.crypto(origin, offset, data, out);
                None
            }
            Frame::Ack(ack) => {
                self.acknowledged(origin, &ack, out);
                None
            }
            Frame::Stream { id, offset, fin, data } if data_level => {
                self.readable = true;
                self.streams.piece(&Piece { id, direction, ts, offset, fin, data }, round, out)
            }
            Frame::ResetStream { id, code, reliable } if data_level => {
                self.streams.reset((id, direction), ts, (code, reliable), round, out)
            }
            Frame::Datagram { data } if data_level => {
                self.readable = true;
                out.push_datagram(direction, ts, data);
                None
            }
            Frame::NewConnectionId { cid, reset_token } => {
                self.learn_cid(direction.reversed(), cid);
                self.learn_reset_token(direction, reset_token);
                None
            }
            Frame::Close { code, application } => {
                self.close(origin, code, application, out);
                None
            }
            Frame::Stream { .. } | Frame::ResetStream { .. } | Frame::Datagram { .. } => {
                Some("a QUIC frame is where it must not be")
            }
            Frame::Other => None,
        };
        if let Some(reason) = weird {
            self.weird(out, reason);
        }
    }

    /// The other side's packets arrived: bytes they carried that were never seen are lost to the capture.
    fn acknowledged(&mut self, origin: Origin, ack: &Ack<'_>, out: &mut Output) {
        let direction = origin.direction.reversed();
        let space = &mut self.sides[direction.index()].spaces[origin.level.space()];
        if space.acknowledged(ack) && origin.level == Level::Application {
            self.streams.round(direction, space, origin.ts, out);
        }
    }

    fn learn_reset_token(&mut self, direction: Direction, token: [u8; 16]) {
        let tokens = &mut self.side(direction).reset_tokens;
        if tokens.len() < RESET_TOKENS_MAX && !tokens.contains(&token) {
            tokens.push(token);
        }
    }

    fn close(&mut self, origin: Origin, code: u64, application: bool, out: &mut Output) {
        let Origin { direction, ts, .. } = origin;
        out.closes.push(Close { direction, ts, code, application });
        // bad_certificate … unknown_ca of the client: it refuses who answered, as pinning apps do.
        let alert = code.checked_sub(CRYPTO_ERROR).filter(|_| !application);
        if matches!(alert, Some(42..=46 | 48)) && self.is_client(direction) && !self.readable {
            self.opaque = Some(OpaqueReason::Pinned);
            self.weird(out, "the client refused the server's certificate");
        }
    }

    fn crypto(&mut self, origin: Origin, offset: u64, data: &[u8], out: &mut Output) {
        let Origin { direction, ts, level, version } = origin;
        if version.is_google_handshake() {
            if let Some(name) = gquic::server_name(data) {
                self.name(name, out);
            }
            return;
        }
        let at = level.space();
        let Some(slot) = self.side(direction).crypto.get_mut(at) else { return };
        let mut crypto = std::mem::take(slot);
        let mut pieces = Vec::new();
        let mut take = |gap, bytes: &[u8], _| pieces.push((gap, bytes.to_vec()));
        crypto.assembler.insert(offset, data, ts, &mut take);
        if crypto.assembler.pending_bytes() > CRYPTO_PENDING_MAX || crypto.assembler.is_full() {
            crypto.assembler.skip_hole(&mut take);
            self.weird(out, "too many bytes of a QUIC handshake wait for missing ones");
        }
        self.messages(direction, level, &mut crypto, &pieces, out);
        if let Some(slot) = self.side(direction).crypto.get_mut(at) {
            *slot = crypto;
        }
    }

    fn messages(
        &mut self,
        direction: Direction,
        level: Level,
        crypto: &mut super::Crypto,
        pieces: &[(u64, Vec<u8>)],
        out: &mut Output,
    ) {
        for (gap, bytes) in pieces {
            if *gap > 0 {
                crypto.messages.lose(*gap);
            }
            let mut rest = &bytes[..];
            if !crypto.messages.begins_message(rest) {
                continue;
            }
            loop {
                match crypto.messages.step(&mut rest) {
                    HandshakeStep::Message(kind, body) => self.message(direction, level, kind, body, out),
                    HandshakeStep::TooLong => self.weird(out, "a TLS handshake message is too long"),
                    HandshakeStep::Done => break,
                }
            }
        }
    }

    fn message(&mut self, direction: Direction, level: Level, kind: u8, body: &[u8], out: &mut Output) {
        match (level, kind) {
            (Level::Initial, kind::CLIENT_HELLO) => match hello::client_hello(body) {
                Some(hello) => {
                    self.took_hello(&hello, body, out);
                    if let Some(extensions) = client_extensions(body) {
                        self.transport_parameters(direction, extensions);
                    }
                }
                None => self.weird(out, "a ClientHello is malformed"),
            },
            (Level::Initial, kind::SERVER_HELLO) => match hello::server_hello(body) {
                Some(hello) => self.server_hello(&hello),
                None => self.weird(out, "a ServerHello is malformed"),
            },
            (Level::Handshake, kind::ENCRYPTED_EXTENSIONS) => {
                let told = hello::encrypted_extensions(body);
                let info = Arc::make_mut(&mut self.info);
                info.alpn = told.alpn;
                if told.retry_configs && info.ech.is_some() {
                    info.ech = Some(EncryptedHello::Rejected);
                }
                if let Some(extensions) = Reader::new(body).sub16() {
                    self.transport_parameters(direction, extensions);
                }
            }
            (Level::Handshake, kind::CERTIFICATE) if !self.is_client(direction) => {
                self.certificate(certificate_message(body, CertificateForm::Tls13), out);
            }
            (Level::Handshake, kind::COMPRESSED_CERTIFICATE) if !self.is_client(direction) => {
                self.certificate(compressed_certificate_message(body), out);
            }
            _ => {}
        }
    }

    pub(super) fn name(&mut self, name: String, out: &mut Output) {
        if self.info.sni.as_ref() != Some(&name) {
            Arc::make_mut(&mut self.info).sni = Some(name.clone());
            out.names.push(name);
        }
    }

    fn took_hello(&mut self, hello: &ClientHello, body: &[u8], out: &mut Output) {
        // A second hello, after a HelloRetryRequest, tells nothing new; the end of a cut one does.
        let known = self.hello.as_ref().filter(|known| known.random == hello.random);
        if known.is_some_and(|known| known.whole || known.body.len() >= body.len()) {
            return;
        }
        let news = known.is_none();
        let alpn = self.info.alpn.clone().filter(|_| !news && self.suite.is_some());
        if let Some(name) = &hello.server_name
            && self.info.sni.as_ref() != Some(name)
        {
            out.names.push(name.clone());
        }
        let info = Arc::make_mut(&mut self.info);
        hello.describe(Transport::Quic, info);
        info.alpn = alpn.or(info.alpn.take());
        self.hello = Some(Hello { random: hello.random, body: body.to_vec(), whole: hello.complete });
        self.news += u64::from(news);
    }

    fn certificate(&mut self, found: Option<Certificate>, out: &mut Output) {
        match found {
            Some(found) => Arc::make_mut(&mut self.info).certificate = Some(Arc::new(found)),
            None => self.weird(out, "a certificate could not be read"),
        }
    }

    fn server_hello(&mut self, hello: &ServerHello) {
        // The server has the whole hello of the client, so what has not come by now may never.
        if self.hello.is_none() {
            self.cut_hello(None);
        }
        let info = Arc::make_mut(&mut self.info);
        info.version = Some("TLS 1.3".to_owned());
        info.cipher = Some(suite_name(hello.suite));
        if !hello.retry {
            self.suite = Suite::by_id(hello.suite).filter(|suite| suite.is_tls13() && suite.bulk != Bulk::Unsupported);
            self.news += 1;
        }
    }

    /// Takes what there is of a ClientHello that is not whole; its name only counts where there is no more to come.
    fn cut_hello(&mut self, out: Option<&mut Output>) {
        let crypto = self.sides.iter().filter_map(|side| side.crypto.first());
        let bodies = crypto.filter_map(|crypto| crypto.messages.unfinished());
        let body = bodies.filter(|&(kind, _)| kind == kind::CLIENT_HELLO).map(|(_, body)| body.to_vec()).next();
        let Some(body) = body else { return };
        let Some(hello) = hello::client_hello(&body) else { return };
        match out {
            Some(out) => self.took_hello(&hello, &body, out),
            None => self.hello = Some(Hello { random: hello.random, body, whole: false }),
        }
    }

    /// No more of the handshake comes.
    pub(super) fn finish_crypto(&mut self, out: &mut Output) {
        let unfinished = |crypto: &super::Crypto| {
            crypto.messages.unfinished().is_some_and(|(kind, _)| kind == kind::CLIENT_HELLO)
                || crypto.assembler.has_hole()
        };
        if self.sides.iter().any(|side| unfinished(&side.crypto[0])) {
            self.cut_hello(Some(out));
            self.weird(out, "a QUIC handshake was cut");
        }
    }

    /// Where an end says how else it can be addressed, and more (RFC 9000 §18.2).
    fn transport_parameters(&mut self, direction: Direction, mut extensions: Reader<'_>) {
        while let (Some(kind), Some(data)) = (extensions.u16(), extensions.sub16()) {
            if !TRANSPORT_PARAMETERS.contains(&kind) {
                continue;
            }
            let mut parameters = data;
            while let (Some(id), Some(len)) = (varint(&mut parameters), varint(&mut parameters)) {
                let value = usize::try_from(len).ok().and_then(|len| parameters.take(len));
                let Some(value) = value else { break };
                match id {
                    PREFERRED_ADDRESS => self.preferred_address(direction, value),
                    GREASE_QUIC_BIT => self.side(direction.reversed()).greased = true,
                    STATELESS_RESET_TOKEN => {
                        if let Ok(token) = value.try_into() {
                            self.learn_reset_token(direction, token);
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    fn preferred_address(&mut self, direction: Direction, value: &[u8]) {
        let mut reader = Reader::new(value);
        // An IPv4 and an IPv6 address, each with a port.
        let cid = reader.take(4 + 2 + 16 + 2).and_then(|_| reader.sub8()).map(|cid| ConnectionId::new(cid.rest()));
        if let Some(Some(cid)) = cid {
            self.learn_cid(direction.reversed(), cid);
            if let Some(token) = reader.array() {
                self.learn_reset_token(direction, token);
            }
        }
    }
}

/// The extensions of a ClientHello.
fn client_extensions(body: &[u8]) -> Option<Reader<'_>> {
    let mut reader = Reader::new(body);
    // Version, random, session id, suites, compression.
    reader.take(2 + 32)?;
    reader.sub8()?;
    reader.sub16()?;
    reader.sub8()?;
    reader.sub16()
}
