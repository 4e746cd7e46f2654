//! The certificates shown to clients: made as they are asked for, alike to the origin's, and kept for a while.

use super::authority::{AuthorityError, BACKDATED, set_validity, unix_now};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// Most certificates kept; half of them, the oldest, go at once when it is reached.
pub const LEAVES_MAX: usize = 4_096;
/// How long a certificate is valid in all: Android and Chromium refuse long ones.
const VALID_FOR: Duration = Duration::from_secs(197 * 86_400);
/// A certificate that was made longer ago is made anew.
const KEPT_FOR: Duration = Duration::from_secs(86_400);
/// Most names taken over from an origin's certificate.
const NAMES_MAX: usize = 100;
/// Longest common name (RFC 5280, upper bound).
const COMMON_NAME_MAX: usize = 64;

/// Makes and keeps certificates, all with one key.
pub(super) struct Leaves {
    issuer: Issuer<'static, KeyPair>,
    authority: CertificateDer<'static>,
    /// When the authority ends, seconds since 1970.
    expires: u64,
    key: KeyPair,
    signing: Arc<dyn SigningKey>,
    hasher: RandomState,
    kept: Mutex<HashMap<(u64, u64), Kept>>,
}

struct Kept {
    host: Box<str>,
    made: Duration,
    certified: Arc<CertifiedKey>,
}

impl Leaves {
    pub(super) fn new(
        issuer: Issuer<'static, KeyPair>,
        authority: Vec<u8>,
        expires: u64,
    ) -> Result<Self, AuthorityError> {
        let failed = |message: String| AuthorityError::Certificate { host: "clients".to_owned(), message };
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| failed(error.to_string()))?;
        let der = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let signing = any_supported_type(&der).map_err(|error| failed(error.to_string()))?;
        let kept = Mutex::default();
        Ok(Self { issuer, authority: authority.into(), expires, key, signing, hasher: RandomState::new(), kept })
    }

    /// The certificate for a host whose origin shows `origin` (DER).
    pub(super) fn get(
        &self,
        host: &str,
        origin: Option<&[u8]>,
        permitted: &[String],
    ) -> Result<Arc<CertifiedKey>, AuthorityError> {
        let now = unix_now();
        let key = (self.hasher.hash_one(host), self.hasher.hash_one(origin));
        let is_good = |kept: &&Kept| &*kept.host == host && now.saturating_sub(kept.made) < KEPT_FOR;
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = kept.get(&key).filter(is_good) {
            return Ok(Arc::clone(&kept.certified));
        }
        // Several may make the same at once; the lock is not held for as long as that takes.
        drop(kept);
        let certified = Arc::new(self.make(host, origin, permitted, now)?);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= LEAVES_MAX {
            let mut ages: Vec<Duration> = kept.values().map(|kept| kept.made).collect();
            let middle = ages.len() / 2;
            let (_, &mut oldest, _) = ages.select_nth_unstable(middle);
            kept.retain(|_, kept| kept.made > oldest);
        }
        kept.insert(key, Kept { host: host.into(), made: now, certified: Arc::clone(&certified) });
        Ok(certified)
    }

    fn make(
        &self,
        host: &str,
        origin: Option<&[u8]>,
        permitted: &[String],
        now: Duration,
    ) -> Result<CertifiedKey, AuthorityError> {
        let failed = |message: String| AuthorityError::Certificate { host: host.escape_default().to_string(), message };
        let mut params = CertificateParams::default();
        params.subject_alt_names = names_of(origin);
        // A name the authority may not speak for would spoil the others.
        params.subject_alt_names.retain(|name| match name {
            SanType::DnsName(name) => {
                permitted.is_empty() || permitted.iter().any(|domain| name.as_str().ends_with(domain.as_str()))
            }
            _ => permitted.is_empty(),
        });
        if !params.subject_alt_names.iter().any(|name| covers(name, host)) {
            let name = match host.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(
                    host.to_owned().try_into().map_err(|error: rcgen::Error| failed(error.to_string()))?,
                ),
            };
            params.subject_alt_names.insert(0, name);
        }
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, host.chars().take(COMMON_NAME_MAX).collect::<String>());
        params.distinguished_name = subject;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(serial()?);
        let from = now.saturating_sub(BACKDATED);
        set_validity(&mut params, from, (from + VALID_FOR).min(Duration::from_secs(self.expires)));
        let certificate = params.signed_by(&self.key, &self.issuer).map_err(|error| failed(error.to_string()))?;
        Ok(CertifiedKey::new(vec![certificate.der().clone(), self.authority.clone()], Arc::clone(&self.signing)))
    }
}

/// A serial number of 16 random bytes, positive (RFC 5280 §4.1.2.2).
fn serial() -> Result<SerialNumber, AuthorityError> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| AuthorityError::Certificate {
        host: "clients".to_owned(),
        message: "the system gives no random numbers".to_owned(),
    })?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

/// The names of an origin's certificate; none where it can't be read.
fn names_of(origin: Option<&[u8]>) -> Vec<SanType> {
    let Some(Ok((_, certificate))) = origin.map(X509Certificate::from_der) else { return Vec::new() };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let names = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => (*name).to_owned().try_into().ok().map(SanType::DnsName),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|octets| SanType::IpAddress(octets.into())),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|octets| SanType::IpAddress(octets.into())),
            _ => None,
        },
        _ => None,
    });
    names.take(NAMES_MAX).collect()
}

/// Whether a name of a certificate is good for a host; a star is good for one label (RFC 9525 §6.3).
fn covers(name: &SanType, host: &str) -> bool {
    match name {
        SanType::IpAddress(address) => host.parse::<IpAddr>().is_ok_and(|host| host == *address),
        SanType::DnsName(name) => match name.as_str().strip_prefix("*.") {
            Some(domain) => {
                host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest.eq_ignore_ascii_case(domain))
            }
            None => name.as_str().eq_ignore_ascii_case(host),
        },
        _ => false,
    }
}
