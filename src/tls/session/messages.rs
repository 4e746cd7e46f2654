//! What handshake messages and alerts change in a session: names, version, suite, keys in use, closure.

use super::super::cbc::MacOrder;
use super::super::certificate::{CertificateForm, certificate_message, compressed_certificate_message};
use super::super::cipher::Role;
use super::super::handshake::{Step, kind};
use super::super::hello::{self, ClientHello, ServerHello};
use super::super::ja4::Transport;
use super::super::keyring::{Epoch, Numbering};
use super::super::output::Output;
use super::super::suite::{Suite, suite_name};
use super::{Client, Protection, Record, Server, TLS_1_3, TlsSession};
use crate::model::{Certificate, Direction, EncryptedHello, OpaqueReason};
use std::sync::Arc;

impl TlsSession {
    pub(super) fn handshake(&mut self, direction: Direction, payload: &[u8], out: &mut Output) {
        let clear = matches!(self.side(direction).protection, Protection::Clear { .. });
        if let Some(transcript) = self.transcript.as_mut().filter(|_| clear) {
            transcript.push(payload);
        }
        let mut handshake = std::mem::take(&mut self.side(direction).handshake);
        let mut rest = payload;
        loop {
            match handshake.step(&mut rest) {
                Step::Message(kind, body) => self.message(direction, kind, body, out),
                Step::TooLong => self.weird(out, "a TLS handshake message is too long"),
                Step::Done => break,
            }
        }
        self.side(direction).handshake = handshake;
    }

    pub(super) fn message(&mut self, direction: Direction, kind: u8, body: &[u8], out: &mut Output) {
        match kind {
            kind::CLIENT_HELLO => match hello::client_hello(body) {
                Some(hello) => self.client_hello(direction, &hello, out),
                None => self.weird(out, "a ClientHello is malformed"),
            },
            kind::SERVER_HELLO => match hello::server_hello(body) {
                Some(hello) => self.server_hello(direction, &hello),
                None => self.weird(out, "a ServerHello is malformed"),
            },
            kind::ENCRYPTED_EXTENSIONS if self.is_tls13_epoch(direction, Epoch::Handshake) => {
                let told = hello::encrypted_extensions(body);
                let info = Arc::make_mut(&mut self.info);
                info.alpn = told.alpn;
                if told.retry_configs && info.ech.is_some() {
                    info.ech = Some(EncryptedHello::Rejected);
                }
            }
            kind::CERTIFICATE if self.role(direction) == Role::Server => {
                let form = if self.version == Some(TLS_1_3) { CertificateForm::Tls13 } else { CertificateForm::Tls12 };
                self.certificate(certificate_message(body, form), out);
            }
            kind::COMPRESSED_CERTIFICATE if self.role(direction) == Role::Server => {
                self.certificate(compressed_certificate_message(body), out);
            }
            kind::END_OF_EARLY_DATA if self.is_tls13_epoch(direction, Epoch::Early) => {
                self.advance(direction, Epoch::Handshake);
            }
            kind::FINISHED if self.is_tls13_epoch(direction, Epoch::Handshake) => {
                self.advance(direction, Epoch::Application);
            }
            kind::KEY_UPDATE if self.is_tls13_epoch(direction, Epoch::Application) => {
                if let Protection::Sealed(ring) = &mut self.side(direction).protection {
                    ring.update();
                }
            }
            _ => {}
        }
    }

    pub(super) fn is_tls13_epoch(&mut self, direction: Direction, epoch: Epoch) -> bool {
        match &self.side(direction).protection {
            Protection::Sealed(ring) => ring.numbering() == Numbering::Epochs && ring.epoch() == Some(epoch),
            Protection::Clear { .. } | Protection::Opaque => false,
        }
    }

    pub(super) fn advance(&mut self, direction: Direction, epoch: Epoch) {
        if let Protection::Sealed(ring) = &mut self.side(direction).protection {
            ring.advance(epoch);
        }
    }

    pub(super) fn client_hello(&mut self, direction: Direction, hello: &ClientHello, out: &mut Output) {
        self.client_direction = direction;
        if let Some(name) = &hello.server_name
            && self.info.sni.as_ref() != Some(name)
        {
            out.names.push(name.clone());
        }
        let retried = self.client.as_ref().is_some_and(|before| before.random == hello.random);
        let info = Arc::make_mut(&mut self.info);
        // A hello that is sent again differs a little; the first one is the client's own.
        let first_print = info.ja4.take().filter(|_| retried);
        hello.describe(Transport::Tcp, info);
        info.ja4 = first_print.or(info.ja4.take());
        self.client = Some(Client { random: hello.random, early_data: hello.early_data });
        self.server = None;
        if !hello.complete {
            self.weird(out, "a ClientHello was cut");
        }
    }

    pub(super) fn server_hello(&mut self, direction: Direction, hello: &ServerHello) {
        self.client_direction = direction.reversed();
        let tls13 = hello.version >= TLS_1_3;
        let info = Arc::make_mut(&mut self.info);
        info.version = Some(version_name(hello.version));
        info.cipher = Some(suite_name(hello.suite));
        self.version = Some(if tls13 { TLS_1_3 } else { hello.version });
        if hello.retry {
            return;
        }
        if !tls13 {
            info.alpn.clone_from(&hello.alpn);
        }
        let order = if hello.encrypt_then_mac { MacOrder::EncryptThenMac } else { MacOrder::MacThenEncrypt };
        self.server = Some(Server {
            random: hello.random,
            session_id: hello.session_id.clone(),
            extended_master_secret: hello.extended_master_secret,
            suite: Suite::by_id(hello.suite),
            order,
        });
    }

    fn certificate(&mut self, found: Option<Certificate>, out: &mut Output) {
        match found {
            Some(found) => Arc::make_mut(&mut self.info).certificate = Some(Arc::new(found)),
            None => self.weird(out, "a certificate could not be read"),
        }
    }

    pub(super) fn alert(&mut self, record: Record<'_>, body: &[u8], out: &mut Output) {
        const FATAL: u8 = 2;
        const CLOSE_NOTIFY: u8 = 0;
        let Some(&[level, description]) = body.first_chunk::<2>() else { return };
        if description == CLOSE_NOTIFY {
            out.closed.push(record.direction);
            return;
        }
        if level == FATAL {
            self.weird(out, "a fatal TLS alert");
        }
        // TLS 1.3 gives the level no meaning (RFC 8446 §6).
        let is_fatal = level == FATAL || self.version == Some(TLS_1_3);
        if is_fatal && refuses_certificate(description) && self.role(record.direction) == Role::Client && !self.readable
        {
            self.opaque = Some(OpaqueReason::Pinned);
        }
    }
}

/// Whether a client that says this refuses who answered, as pinning apps do: bad_certificate, unsupported_certificate,
/// certificate_revoked, certificate_expired, certificate_unknown, unknown_ca, access_denied and
/// bad_certificate_status_response.
const fn refuses_certificate(description: u8) -> bool {
    matches!(description, 42..=46 | 48 | 49 | 113)
}

/// The name of a version number; drafts of TLS 1.3 count as it.
pub(super) fn version_name(version: u16) -> String {
    match version {
        0x0300 => "SSL 3.0".to_owned(),
        0x0301 => "TLS 1.0".to_owned(),
        0x0302 => "TLS 1.1".to_owned(),
        0x0303 => "TLS 1.2".to_owned(),
        TLS_1_3 | 0x7f00..=0x7fff => "TLS 1.3".to_owned(),
        other => format!("0x{other:04x}"),
    }
}
