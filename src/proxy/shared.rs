//! What all connections share.

use super::authority::Authority;
use super::client::Client;
use super::config::{Config, ConfigError};
use super::dial::Dialer;
use super::origin::Origins;
use super::pins::{Pins, Who};
use super::tap::{KeyLog, Tap};
use crate::model::{App, IncidentKind};
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert, ServerSessionMemoryCache};
use rustls::sign::CertifiedKey;
use std::net::SocketAddr;
use std::sync::Arc;

/// Sessions of clients kept for resumption.
const SESSIONS_MAX: usize = 4_096;

/// What all connections share.
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) dialer: Dialer,
    pub(super) origins: Origins,
    pub(super) authority: Arc<Authority>,
    pub(super) pins: Arc<Pins>,
    pub(super) tap: Arc<Tap>,
    server: ServerConfig,
}

impl Shared {
    /// `own` are the addresses the proxy listens on.
    pub(super) fn new(
        config: Config,
        authority: Arc<Authority>,
        tap: Arc<Tap>,
        own: Vec<SocketAddr>,
    ) -> Result<Self, ConfigError> {
        let provider = Arc::new(provider());
        let origins = Origins::new(&config, &provider)?;
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| ConfigError::Tls(error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Leaf(None)));
        server.session_storage = ServerSessionMemoryCache::new(SESSIONS_MAX);
        server.send_tls13_tickets = 1;
        if config.tap {
            server.key_log = Arc::new(KeyLog(Arc::clone(&tap)));
        }
        let dialer = Dialer::new(&config, own);
        Ok(Self { config, dialer, origins, authority, pins: Arc::default(), tap, server })
    }

    /// How to answer a client: with this certificate and this application protocol.
    pub(super) fn server_config(&self, leaf: Arc<CertifiedKey>, alpn: Option<Vec<u8>>) -> Arc<ServerConfig> {
        let mut config = self.server.clone();
        config.cert_resolver = Arc::new(Leaf(Some(leaf)));
        config.alpn_protocols = alpn.into_iter().collect();
        Arc::new(config)
    }

    /// Tells of something that befell a connection or the proxy.
    pub(super) fn incident(
        &self,
        kind: IncidentKind,
        host: &str,
        connection: Option<(SocketAddr, SocketAddr)>,
        text: String,
    ) {
        self.tap.incident(kind, host, connection, text);
    }

    pub(super) fn app_of(&self, peer: SocketAddr) -> Option<Arc<App>> {
        self.config.app_of.as_ref().and_then(|app_of| app_of(peer))
    }

    /// Who a client is.
    pub(super) fn who(&self, peer: SocketAddr) -> (Who, Option<Arc<App>>) {
        let app = self.app_of(peer);
        let who = app.as_ref().and_then(|app| app.uid).map_or(Who::Address(peer.ip().to_canonical(), 0), Who::App);
        (who, app)
    }

    /// Says more exactly who a client is, by its TLS stack; its app may not have been known when it connected.
    pub(super) fn attribute(&self, client: &mut Client, stack: u64) {
        if let Who::Address(..) = client.who {
            let (who, app) = self.who(client.peer);
            client.who = match who {
                Who::Address(address, _) => Who::Address(address, stack),
                app => app,
            };
            if let (Some(flow), Some(app)) = (&mut client.flow, app) {
                flow.set_app(Some(app), None);
            }
        }
    }
}

/// The cryptography of both sides. Key shares of post-quantum groups come last: they cost much, and what is protected
/// here is a test phone's traffic on its way through our own hands.
fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups.sort_by_key(|group| !matches!(group.name(), rustls::NamedGroup::X25519));
    provider
}

/// Shows one certificate, whatever name is asked for.
#[derive(Debug)]
struct Leaf(Option<Arc<CertifiedKey>>);

impl ResolvesServerCert for Leaf {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }
}
