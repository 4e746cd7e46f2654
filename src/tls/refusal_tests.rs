//! Clients that refuse the certificate they are shown: whoever listens is to know that this, not a missing key, is why
//! nothing was said. And sessions that outlive the keys they were opened with.

use super::tests::{Ends, Heard, Wire, ends, feed};
use super::{KeyLog, TlsSession};
use crate::model::{Direction, KeySource, OpaqueReason};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::cipher_suite;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme, SupportedCipherSuite};
use std::sync::Arc;

/// Accepts no certificate, for one reason.
#[derive(Debug)]
struct Refusing(CertificateError);

impl ServerCertVerifier for Refusing {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Err(Error::InvalidCertificate(self.0.clone()))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_tls12_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// A handshake that the client breaks off.
fn refused(suite: SupportedCipherSuite, why: CertificateError) -> (Ends, Wire) {
    let ends = ends(suite, |client, _| client.dangerous().set_certificate_verifier(Arc::new(Refusing(why))));
    let mut link = ends.link();
    let mut wire = Wire::default();
    loop {
        let mut sent = Vec::new();
        while link.client.wants_write() {
            link.client.write_tls(&mut sent).expect("in memory");
        }
        let mut rest = &sent[..];
        while !rest.is_empty() {
            link.server.read_tls(&mut rest).expect("in memory");
            // It is told of the refusal as an error.
            if link.server.process_new_packets().is_err() {
                break;
            }
        }
        let mut answered = Vec::new();
        while link.server.wants_write() {
            link.server.write_tls(&mut answered).expect("in memory");
        }
        let mut rest = &answered[..];
        while !rest.is_empty() {
            link.client.read_tls(&mut rest).expect("in memory");
            if link.client.process_new_packets().is_err() {
                break;
            }
        }
        if sent.is_empty() && answered.is_empty() {
            return (ends, wire);
        }
        wire.flights.extend([(Direction::ToServer, sent), (Direction::ToClient, answered)]);
    }
}

fn reason(wire: &Wire, keys: &Arc<KeyLog>) -> Option<OpaqueReason> {
    let (mut session, mut heard) = (TlsSession::new(Arc::clone(keys)), Heard::default());
    for (direction, bytes) in &wire.flights {
        feed(&mut session, &mut heard, *direction, 0, bytes);
    }
    assert!(!session.readable());
    session.opaque_reason()
}

#[test]
fn a_client_that_refuses_the_certificate_is_told_from_one_whose_keys_are_missing() {
    let none = Arc::new(KeyLog::new());
    for why in [
        CertificateError::UnknownIssuer,
        CertificateError::Expired,
        CertificateError::Revoked,
        CertificateError::NotValidForName,
        CertificateError::InvalidPurpose,
        CertificateError::ApplicationVerificationFailure,
        CertificateError::Other(rustls::OtherError(Arc::new(std::fmt::Error))),
    ] {
        let (ends, wire) = refused(cipher_suite::TLS13_AES_128_GCM_SHA256, why.clone());
        assert_eq!(reason(&wire, &ends.keys()), Some(OpaqueReason::Pinned), "TLS 1.3, {why:?}");
        assert_eq!(reason(&wire, &none), Some(OpaqueReason::NoKey), "the alert itself is encrypted");
        let (_, wire) = refused(cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, why.clone());
        assert_eq!(reason(&wire, &none), Some(OpaqueReason::Pinned), "TLS 1.2, {why:?}");
    }
}

#[test]
fn alerts_of_the_server_or_about_something_else_refuse_no_certificate() {
    let (_, wire) = refused(cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, CertificateError::UnknownIssuer);
    let alert = |description| vec![21, 3, 3, 0, 2, 2, description];
    let hellos = &wire.flights[..2];
    for (direction, description, expected) in [
        (Direction::ToServer, 48, Some(OpaqueReason::Pinned)),
        (Direction::ToClient, 48, None),
        (Direction::ToServer, 80, None),
    ] {
        let mut wire = Wire::default();
        wire.flights = [hellos, &[(direction, alert(description))]].concat();
        assert_eq!(reason(&wire, &Arc::new(KeyLog::new())), expected, "{direction:?} {description}");
    }
}

#[test]
fn a_session_that_is_open_needs_no_keys_that_pass() {
    for suite in [cipher_suite::TLS13_AES_128_GCM_SHA256, cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256] {
        let ends = ends(suite, |_, _| {});
        let mut link = ends.link();
        link.settle();
        let opened = link.wire.flights.len();
        link.say(Direction::ToServer, b"request");
        link.say(Direction::ToClient, b"answer");
        let mut keys = KeyLog::new();
        assert_eq!(keys.add_text(KeySource::Proxy, ends.log_text().as_bytes()), []);
        let (mut session, mut heard) = (TlsSession::new(Arc::new(keys)), Heard::default());
        for (at, (direction, bytes)) in link.wire.flights.iter().enumerate() {
            session.forget_passing_keys();
            let random = session.client_random();
            let kept = random.is_some_and(|random| session.keys().knows(&random));
            assert!(kept || at == 0 || at >= opened - 1, "forgotten before flight {at} though still needed");
            feed(&mut session, &mut heard, *direction, 0, bytes);
        }
        session.forget_passing_keys();
        assert!(session.keys().is_empty());
        assert_eq!(heard.plain, [b"request".to_vec(), b"answer".to_vec()]);
    }
}
