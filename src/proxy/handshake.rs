//! The handshakes on both sides of the relay, and what can go wrong in them.

use super::buffers;
use super::relay::{End, tls_error};
use super::tap::TapFlow;
use crate::model::Direction;
use rustls::{AlertDescription, CertificateError, Error};
use std::io;

/// Most bytes of one side of a handshake; certificate chains and post-quantum shares are far smaller.
const HANDSHAKE_MAX: usize = 512 << 10;
/// Most plaintext a client can send along with the end of its handshake before the relay begins.
const EARLY_MAX: usize = 256 << 10;

/// Why a handshake failed.
#[derive(Debug)]
pub(super) enum Failed {
    /// The peer sent a fatal alert.
    Alert(AlertDescription),
    /// The peer ended the connection.
    Closed,
    /// The connection broke.
    Io(io::Error),
    /// We do not accept what the peer sent; of a server mostly its certificate.
    Tls(Error),
}

impl Failed {
    /// In words, for a report.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Alert(alert) => format!("sent the alert {}", alert_name(*alert)),
            Self::Closed => "closed the connection during the TLS handshake".to_owned(),
            Self::Io(error) => format!("TLS handshake broken off: {error}"),
            Self::Tls(error) => tls_words(error),
        }
    }

    /// Whether the certificate was not accepted.
    pub(super) fn is_certificate(&self) -> bool {
        matches!(self, Self::Tls(Error::InvalidCertificate(_) | Error::NoCertificatesPresented))
    }
}

/// What a TLS error says, in words.
pub(super) fn tls_words(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(reason) => certificate_words(reason),
        Error::NoCertificatesPresented => "showed no certificate".to_owned(),
        Error::AlertReceived(alert) => format!("sent the alert {}", alert_name(*alert)),
        other => format!("TLS: {other}"),
    }
}

/// Why a certificate is not accepted.
pub(super) fn certificate_words(reason: &CertificateError) -> String {
    match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "certificate expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "certificate not valid yet".to_owned()
        }
        CertificateError::UnknownIssuer => "certificate of an unknown issuer or self-signed".to_owned(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "certificate is for another host".to_owned()
        }
        CertificateError::Revoked => "certificate revoked".to_owned(),
        CertificateError::BadSignature => "certificate with a wrong signature".to_owned(),
        other => format!("certificate not accepted: {other}"),
    }
}

/// Whether an alert says that a certificate was not accepted (RFC 8446 §6.2, RFC 9849 for encrypted hellos).
pub(super) fn is_about_certificate(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::EncryptedClientHelloRequired
    )
}

/// The name of an alert as in RFC 8446 §6.
fn alert_name(alert: AlertDescription) -> String {
    let mut name = String::new();
    for letter in format!("{alert:?}").chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name.replace("c_a", "ca")
}

/// What came with the end of a handshake.
#[derive(Debug, Default)]
pub(super) struct Early {
    /// Plaintext.
    pub(super) plain: Vec<u8>,
    /// Whether the peer said already that no more follows.
    pub(super) closed: bool,
}

/// Runs the handshake of a side that has a session, beginning with what was `read` of it already. Tells `flow`, where
/// that side is the client's.
pub(super) async fn complete(
    end: &mut End,
    mut read: Vec<u8>,
    mut flow: Option<&mut TapFlow>,
) -> Result<Early, Failed> {
    let mut early = Vec::new();
    let mut total = read.len();
    loop {
        let Some(session) = &mut end.session else { return Err(Failed::Closed) };
        let mark = end.out.mark();
        let absorbed = session.absorb(&mut read, &mut end.out, &mut |plain| {
            if early.len() + plain.len() > EARLY_MAX {
                return Err(Error::General("too much data during the handshake".to_owned()));
            }
            early.extend_from_slice(plain);
            Ok(())
        });
        let done = !session.common().is_handshaking();
        if let Some(flow) = &mut flow {
            flow.data(Direction::ToClient, end.out.since(mark));
        }
        // The alert of a failure leaves too; that it may not arrive changes nothing.
        let flushed = end.flush().await;
        let absorbed = match absorbed {
            Ok(absorbed) => absorbed,
            Err(Error::AlertReceived(alert)) => return Err(Failed::Alert(alert)),
            Err(error) => return Err(Failed::Tls(error)),
        };
        flushed.map_err(Failed::Io)?;
        read.drain(..absorbed.used);
        if absorbed.closed && !done {
            return Err(Failed::Closed);
        }
        if done {
            end.keep(&read);
            return Ok(Early { plain: early, closed: absorbed.closed });
        }
        let taken = match buffers::read(&end.socket, buffers::READ_SIZE, |bytes| read.extend_from_slice(bytes)).await {
            Ok(0) => return Err(Failed::Closed),
            Ok(taken) => taken,
            Err(error) => return Err(Failed::Io(error)),
        };
        if let Some(flow) = &mut flow {
            flow.data(Direction::ToServer, &read[read.len() - taken..]);
        }
        total += taken;
        if total > HANDSHAKE_MAX {
            return Err(Failed::Io(tls_error(Error::General("handshake without end".to_owned()))));
        }
    }
}
