//! Keys of a session: from what the hellos told and the key log knows to the keyring of a direction.

use super::super::cipher::{Opener, Role, Session12};
use super::super::handshake::Handshake;
use super::super::keylog::{KeyLog, KnownSecret, SecretLabel};
use super::super::keyring::{Epoch, Keyring, Numbering};
use super::super::premaster::Exchange;
use super::super::record::RecordHeader;
use super::super::suite::Suite;
use super::{Client, INNER_HELLOS_MAX, Protection, Record, Server, TLS_1_3, TlsSession};
use crate::model::{Direction, EncryptedHello, KeySource, OpaqueReason};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The server's first record, and which sessions' keys do not open it.
pub(super) struct InnerSearch {
    header: RecordHeader,
    body: Vec<u8>,
    tried: BTreeSet<[u8; 32]>,
    /// The keys looked through last.
    keys: Arc<KeyLog>,
}

impl InnerSearch {
    fn find(&mut self, session: &TlsSession, keys: &Arc<KeyLog>) -> Option<[u8; 32]> {
        self.keys = Arc::clone(keys);
        let mut room = vec![0; self.body.len()];
        for random in keys.client_randoms(INNER_HELLOS_MAX).unwrap_or_default() {
            if self.tried.contains(&random) {
                continue;
            }
            let openers = session.openers13(keys, &random, SecretLabel::ServerHandshakeTraffic);
            if openers.iter().any(|opener| opener.open(0, self.header, &self.body, &mut room).is_some()) {
                return Some(random);
            }
            if !openers.is_empty() {
                self.tried.insert(random);
            }
        }
        None
    }
}

impl TlsSession {
    /// Keys for TLS 1.2 and before, from the hellos seen last.
    pub(super) fn seal12(&mut self, direction: Direction) {
        let protection = match self.ring12(self.role(direction)) {
            Ok(ring) => Protection::Sealed(Box::new(ring)),
            Err(reason) => {
                self.opaque.get_or_insert(reason);
                Protection::Opaque
            }
        };
        let lost_since = self.side(direction).hole;
        self.side(direction).protection = protection;
        if lost_since.is_some() {
            self.side(direction).handshake = Handshake::default();
        }
    }

    pub(super) fn ring12(&self, role: Role) -> Result<Keyring, OpaqueReason> {
        let client = self.client.as_ref().ok_or(OpaqueReason::NoHandshake)?;
        let Some(server) = self.server.as_ref() else {
            let known = self.keys.knows(&client.random);
            return Err(if known { OpaqueReason::NoHandshake } else { OpaqueReason::NoKey });
        };
        let suite = server.suite.filter(|&suite| Opener::supports(suite));
        let version = self.version.filter(|version| (0x0300..=0x0303).contains(version));
        let masters = match (suite.or(server.suite), version) {
            (Some(suite), Some(version)) => self.masters(client, server, suite, version),
            _ => self.known_masters(client, server).map(owned).collect(),
        };
        if masters.is_empty() {
            return Err(OpaqueReason::NoKey);
        }
        let (Some(suite), Some(version)) = (suite, version) else { return Err(OpaqueReason::UnsupportedCipher) };
        let session = Session12 {
            version,
            suite,
            client_random: &client.random,
            server_random: &server.random,
            order: server.order,
        };
        let openers =
            masters.iter().filter_map(|(source, master)| Opener::tls12(session, role, *source, master)).collect();
        Keyring::new(Numbering::Continuous, [(Epoch::Application, openers)]).ok_or(OpaqueReason::UnsupportedCipher)
    }

    /// The master secrets the key log has for the session.
    fn known_masters<'s>(
        &'s self,
        client: &Client,
        server: &Server,
    ) -> impl Iterator<Item = KnownSecret<'s>> + use<'s> {
        let by_random = self.keys.secrets(&client.random, SecretLabel::MasterSecret);
        by_random.chain(self.keys.session_masters(&server.session_id))
    }

    /// The same, else those made from premaster secrets.
    fn masters(&self, client: &Client, server: &Server, suite: Suite, version: u16) -> Vec<(KeySource, Vec<u8>)> {
        let known: Vec<_> = self.known_masters(client, server).map(owned).collect();
        let Some(transcript) = self.transcript.as_ref().filter(|_| known.is_empty()) else { return known };
        let exchange = Exchange {
            version,
            suite,
            client_random: &client.random,
            server_random: &server.random,
            extended: server.extended_master_secret,
            transcript,
        };
        // The encrypted premaster secret stands behind its length.
        let encrypted = transcript.key_exchange().and_then(|body| body.get(2..)).unwrap_or_default();
        let premasters = self.keys.secrets(&client.random, SecretLabel::Premaster);
        premasters
            .chain(self.keys.rsa_premasters(encrypted))
            .filter_map(|secret| Some((secret.source, exchange.master(secret.bytes)?)))
            .collect()
    }

    /// Whether the keys for a direction's application data are known; whether they fit is another question.
    #[must_use]
    pub fn is_keyed(&self, direction: Direction) -> bool {
        match &self.sides[direction.index()].protection {
            Protection::Sealed(ring) => ring.has(Epoch::Application),
            Protection::Opaque => false,
            Protection::Clear { .. } if self.version == Some(TLS_1_3) => {
                self.ring13(self.role(direction)).is_ok_and(|ring| ring.has(Epoch::Application))
            }
            Protection::Clear { .. } => self.ring12(self.role(direction)).is_ok(),
        }
    }

    /// Keys for TLS 1.3, as many epochs as are known.
    pub(super) fn seal13(&mut self, direction: Direction) {
        self.side(direction).protection = match self.ring13(self.role(direction)) {
            Ok(ring) => Protection::Sealed(Box::new(ring)),
            Err(reason) => {
                self.opaque.get_or_insert(reason);
                Protection::Opaque
            }
        };
    }

    pub(super) fn ring13(&self, role: Role) -> Result<Keyring, OpaqueReason> {
        let client = self.client.as_ref().ok_or(OpaqueReason::NoHandshake)?;
        if self.server.as_ref().is_some_and(|server| !server.suite.is_some_and(Opener::supports)) {
            return Err(OpaqueReason::UnsupportedCipher);
        }
        let early = client.early_data && role == Role::Client;
        let labels = match role {
            Role::Client => [
                (Epoch::Early, SecretLabel::ClientEarlyTraffic),
                (Epoch::Handshake, SecretLabel::ClientHandshakeTraffic),
                (Epoch::Application, SecretLabel::ClientTraffic0),
            ]
            .as_slice(),
            Role::Server => [
                (Epoch::Handshake, SecretLabel::ServerHandshakeTraffic),
                (Epoch::Application, SecretLabel::ServerTraffic0),
            ]
            .as_slice(),
        };
        let epochs = labels
            .iter()
            .filter(|&&(epoch, _)| early || epoch != Epoch::Early)
            .map(|&(epoch, label)| (epoch, self.openers13(&self.keys, &client.random, label)));
        Keyring::new(Numbering::Epochs, epochs).ok_or(OpaqueReason::NoKey)
    }

    /// Where an encrypted hello was accepted, key logs name the session by the random value inside it (RFC 9850 §2), which
    /// is not to be seen: the server's first record tells which of the sessions known it is.
    pub(super) fn look_for_inner_hello(&mut self, record: Record<'_>) {
        let offered = self.info.ech == Some(EncryptedHello::Offered) && self.version == Some(TLS_1_3);
        let Some(outer) = self.client.as_ref().map(|client| client.random).filter(|_| offered) else { return };
        if self.role(record.direction) != Role::Server || self.server.is_none() || self.keys.knows(&outer) {
            return;
        }
        let keys = Arc::clone(&self.keys);
        let body = record.body.to_vec();
        let mut search = InnerSearch { header: record.header, body, tried: BTreeSet::new(), keys: Arc::clone(&keys) };
        self.inner = self.inner.or_else(|| search.find(self, &keys));
        let Some(inner) = self.inner else {
            self.inner_search = Some(Box::new(search));
            return;
        };
        if let Some(client) = &mut self.client {
            client.random = inner;
            Arc::make_mut(&mut self.info).ech = Some(EncryptedHello::Accepted);
            // What the client sent before was taken for closed.
            let other = self.side(record.direction.reversed());
            if matches!(other.protection, Protection::Opaque) {
                other.protection = Protection::Clear { change_cipher_spec: false };
            }
        }
    }

    /// Looks among the sessions that `keys` has by now for the one inside the encrypted hello, where that is not known.
    pub fn look_for_inner_hello_in(&mut self, keys: &Arc<KeyLog>) {
        let outer_known = self.client.as_ref().is_some_and(|client| keys.knows(&client.random));
        let Some(mut search) = self.inner_search.take().filter(|_| !outer_known) else { return };
        if !Arc::ptr_eq(&search.keys, keys) {
            self.inner = search.find(self, keys);
        }
        self.inner_search = self.inner.is_none().then_some(search);
    }

    /// The keys of a label; of every suite the secret may belong to where the ServerHello was not seen.
    fn openers13(&self, keys: &KeyLog, client_random: &[u8; 32], label: SecretLabel) -> Vec<Opener> {
        let agreed = self.server.as_ref().and_then(|server| server.suite);
        let mut openers = Vec::new();
        for secret in keys.secrets(client_random, label) {
            let suites = Suite::tls13_with_secret_len(secret.bytes.len());
            let suites = suites.filter(|&suite| agreed.is_none_or(|agreed| agreed == suite));
            openers.extend(suites.filter_map(|suite| Opener::tls13(suite, secret.source, secret.bytes)));
        }
        openers
    }
}

fn owned(secret: KnownSecret<'_>) -> (KeySource, Vec<u8>) {
    (secret.source, secret.bytes.to_vec())
}
