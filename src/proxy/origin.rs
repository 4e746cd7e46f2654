//! TLS towards origins: what we offer them, whom we trust, and which certificate of ours they may ask for.

use super::config::{ClientCertificate, Config, ConfigError};
use super::host::HostPattern;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientSessionMemoryCache, Resumption, UnbufferedClientConnection, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Configurations kept, by what a client offered; apps offer few different lists.
const CONFIGS_MAX: usize = 256;
/// Sessions kept for resumption.
const SESSIONS_MAX: usize = 4_096;

/// What is needed to open TLS sessions with origins.
pub(super) struct Origins {
    base: ClientConfig,
    verifier: Arc<WebPkiServerVerifier>,
    insecure: Vec<HostPattern>,
    /// By host, the configuration that has its certificate.
    certified: Vec<(HostPattern, ClientConfig)>,
    configs: Mutex<HashMap<Wanted, Arc<ClientConfig>>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Wanted {
    alpn: Vec<Vec<u8>>,
    sni: bool,
    certified: Option<usize>,
}

/// A session to be opened, and what a lenient verification turned a blind eye to.
pub(super) struct Opening {
    pub(super) connection: UnbufferedClientConnection,
    pub(super) overlooked: Option<Arc<Mutex<Option<Error>>>>,
}

impl Origins {
    pub(super) fn new(config: &Config, provider: &Arc<CryptoProvider>) -> Result<Self, ConfigError> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let system = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(system.certs);
        for file in &config.upstream_ca {
            for certificate in certificates(file)? {
                roots.add(certificate).map_err(|error| ConfigError::file(file, &error.to_string()))?;
            }
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .build()
            .map_err(|error| ConfigError::Tls(error.to_string()))?;
        let builder = || {
            ClientConfig::builder_with_provider(Arc::clone(provider))
                .with_safe_default_protocol_versions()
                .map(|builder| {
                    builder
                        .dangerous()
                        .with_custom_certificate_verifier(Arc::clone(&verifier) as Arc<dyn ServerCertVerifier>)
                })
                .map_err(|error| ConfigError::Tls(error.to_string()))
        };
        let mut base = builder()?.with_no_client_auth();
        base.resumption = Resumption::store(Arc::new(ClientSessionMemoryCache::new(SESSIONS_MAX)));
        let mut certified = Vec::new();
        for ClientCertificate { host, file } in &config.client_certificates {
            let chain = certificates(file)?;
            let key = PrivateKeyDer::from_pem_file(file)
                .map_err(|error| ConfigError::file(file, &format!("no private key: {error}")))?;
            let mut with = builder()?
                .with_client_auth_cert(chain, key)
                .map_err(|error| ConfigError::file(file, &error.to_string()))?;
            with.resumption = Resumption::store(Arc::new(ClientSessionMemoryCache::new(64)));
            certified.push((host.clone(), with));
        }
        Ok(Self { base, verifier, insecure: config.insecure.clone(), certified, configs: Mutex::default() })
    }

    /// Begins a session with the origin of `host`, offering what its client offered.
    pub(super) fn open(&self, host: &str, sni: bool, alpn: Vec<Vec<u8>>) -> Result<Opening, Error> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Error::General(format!("\"{host}\" is no name a certificate can be for")))?;
        let certified = self.certified.iter().position(|(pattern, _)| pattern.fits(host));
        let wanted = Wanted { alpn, sni, certified };
        if !self.is_insecure(host) {
            let connection = UnbufferedClientConnection::new(self.config(&wanted), name)?;
            return Ok(Opening { connection, overlooked: None });
        }
        self.open_leniently(&wanted, name)
    }

    /// As [`Origins::open`], where nobody said what the origin is called: only its address is known.
    pub(super) fn open_nameless(&self, address: &str, alpn: Vec<Vec<u8>>) -> Result<Opening, Error> {
        let name = ServerName::try_from(address.to_owned()).map_err(|error| Error::General(error.to_string()))?;
        let certified = self.certified.iter().position(|(pattern, _)| pattern.fits(address));
        self.open_leniently(&Wanted { alpn, sni: false, certified }, name)
    }

    /// Whether the certificate of a host is taken as it is.
    pub(super) fn is_insecure(&self, host: &str) -> bool {
        self.insecure.iter().any(|pattern| pattern.fits(host))
    }

    fn open_leniently(&self, wanted: &Wanted, name: ServerName<'static>) -> Result<Opening, Error> {
        let overlooked = Arc::new(Mutex::new(None));
        let lenient = Lenient { strict: Arc::clone(&self.verifier), overlooked: Arc::clone(&overlooked) };
        let mut config = self.make(wanted);
        config.dangerous().set_certificate_verifier(Arc::new(lenient));
        // A resumed session would show no certificate, and so hide what is wrong with it.
        config.resumption = Resumption::disabled();
        let connection = UnbufferedClientConnection::new(Arc::new(config), name)?;
        Ok(Opening { connection, overlooked: Some(overlooked) })
    }

    fn config(&self, wanted: &Wanted) -> Arc<ClientConfig> {
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = configs.get(wanted) {
            return Arc::clone(config);
        }
        if configs.len() >= CONFIGS_MAX {
            configs.clear();
        }
        let config = Arc::new(self.make(wanted));
        configs.insert(wanted.clone(), Arc::clone(&config));
        config
    }

    fn make(&self, wanted: &Wanted) -> ClientConfig {
        let certified = wanted.certified.and_then(|at| self.certified.get(at));
        let mut config = certified.map_or(&self.base, |(_, config)| config).clone();
        config.alpn_protocols.clone_from(&wanted.alpn);
        config.enable_sni = wanted.sni;
        config
    }
}

/// The certificates of a PEM file.
fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let read = read.map_err(|error| ConfigError::file(file, &error.to_string()))?;
    if read.is_empty() {
        return Err(ConfigError::file(file, "holds no certificate, expected PEM"));
    }
    Ok(read)
}

/// Takes any certificate, and remembers what a strict verification would have said.
#[derive(Debug)]
struct Lenient {
    strict: Arc<WebPkiServerVerifier>,
    overlooked: Arc<Mutex<Option<Error>>>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.strict.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        *self.overlooked.lock().unwrap_or_else(PoisonError::into_inner) = verified.err();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.strict.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.strict.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.strict.supported_verify_schemes()
    }
}
