//! The certificate authority that phones are told to trust: made once, kept in the user's own folder, and never sent
//! anywhere but in its public half.

use super::leaf::Leaves;
use md5::{Digest, Md5};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, GeneralSubtree, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::CertifiedKey;
use sha2::Sha256;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate};

/// Names of the files in an authority's folder.
const CERTIFICATE_FILE: &str = "ca.pem";
const KEY_FILE: &str = "ca.key";
/// How long a new authority is valid.
const VALID_FOR: Duration = Duration::from_secs(10 * 365 * 86_400);
/// Clocks of phones may be behind ours.
pub(super) const BACKDATED: Duration = Duration::from_secs(86_400);
/// Largest file taken for a certificate or key.
const FILE_MAX: u64 = 1 << 20;

/// What is wrong with an authority, or with what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file can't be read or written.
    #[error("{file}: {source}")]
    Io {
        /// The file.
        file: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("{file}: {message}")]
    File {
        /// The file.
        file: String,
        /// What is wrong, and what was expected.
        message: String,
    },
    /// There is one already.
    #[error("{file}: there is an authority already; phones trust it. --force makes a new one")]
    Exists {
        /// Its key or certificate.
        file: String,
    },
    /// The user has no folder for it.
    #[error("neither XDG_DATA_HOME nor HOME says where to keep the authority: name a folder with --dir")]
    NoFolder,
    /// It may not speak for a host.
    #[error("the authority is limited to other names than {0}")]
    NotPermitted(String),
    /// A certificate can't be made.
    #[error("certificate for {host}: {message}")]
    Certificate {
        /// Whom it would be for.
        host: String,
        /// What is wrong.
        message: String,
    },
}

/// How to make an authority.
#[derive(Debug, Clone, Default)]
pub struct CreateOptions {
    /// Domains it is limited to (RFC 5280 §4.2.1.10), so that a stolen key is good for nothing else; any where empty.
    pub permitted: Vec<String>,
    /// Takes the place of one that is there.
    pub force: bool,
}

/// An authority with its key.
pub struct Authority {
    pem: String,
    der: Vec<u8>,
    subject: Vec<u8>,
    permitted: Vec<String>,
    warnings: Vec<String>,
    leaves: Leaves,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("fingerprint", &self.fingerprint()).finish_non_exhaustive()
    }
}

impl Authority {
    /// The user's own folder: `$XDG_DATA_HOME/divulge`, else `~/.local/share/divulge`.
    ///
    /// # Errors
    /// Where neither is known.
    pub fn default_folder() -> Result<PathBuf, AuthorityError> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let data = set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local/share")));
        data.map(|data| data.join("divulge")).ok_or(AuthorityError::NoFolder)
    }

    /// The certificate file of a folder's authority.
    #[must_use]
    pub fn certificate_file(folder: &Path) -> PathBuf {
        folder.join(CERTIFICATE_FILE)
    }

    /// The key file of a folder's authority.
    #[must_use]
    pub fn key_file(folder: &Path) -> PathBuf {
        folder.join(KEY_FILE)
    }

    /// Loads the authority of a folder.
    ///
    /// # Errors
    /// As [`Authority::load`].
    pub fn open(folder: &Path) -> Result<Self, AuthorityError> {
        Self::load(&Self::certificate_file(folder), &Self::key_file(folder))
    }

    /// Makes an authority in a folder, which is made too: the folder 0700, the key 0600 from its first byte on.
    ///
    /// # Errors
    /// Where one is there and `force` is not set, and where files can't be written.
    pub fn create(folder: &Path, options: &CreateOptions) -> Result<Self, AuthorityError> {
        let (certificate, key) = (Self::certificate_file(folder), Self::key_file(folder));
        for file in [&certificate, &key] {
            if file.exists() && !options.force {
                return Err(AuthorityError::Exists { file: file.display().to_string() });
            }
        }
        make_folder(folder).map_err(|source| AuthorityError::Io { file: folder.display().to_string(), source })?;
        let (pem, key_pem) = generate(options)?;
        // A key without its certificate is found to be one; the other way round phones might be told to trust nothing.
        write_new(&key, key_pem.as_bytes(), 0o600, options.force)?;
        write_new(&certificate, pem.as_bytes(), 0o644, options.force)?;
        Self::load(&certificate, &key)
    }

    /// Loads an authority from PEM files; the key may be EC, RSA or Ed25519, as PKCS#8, SEC1 or PKCS#1.
    ///
    /// # Errors
    /// Files that can't be read, that hold something else, that do not belong together, and authorities that are none
    /// or have expired.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, AuthorityError> {
        let wrong = |file: &Path, message: String| AuthorityError::File { file: file.display().to_string(), message };
        let pem = read(certificate)?;
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| wrong(certificate, format!("no certificate in PEM: {error}")))?;
        let (_, parsed) = X509Certificate::from_der(&der)
            .map_err(|error| wrong(certificate, format!("no X.509 certificate: {error}")))?;
        if !parsed.is_ca() {
            return Err(wrong(
                certificate,
                "not the certificate of an authority (basicConstraints CA:TRUE)".to_owned(),
            ));
        }
        let expires = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
        if expires <= unix_now().as_secs() {
            return Err(wrong(
                certificate,
                "the authority has expired; `divulge ca init --force` makes a new one".to_owned(),
            ));
        }
        let key_pem = read(key)?;
        let pair = KeyPair::from_pem(&key_pem)
            // The reason could quote the key.
            .map_err(|_| wrong(key, "no private key in PEM (PKCS#8, SEC1 or PKCS#1)".to_owned()))?;
        if pair.public_key_raw() != parsed.public_key().subject_public_key.data.as_ref() {
            return Err(wrong(key, format!("not the key of {}", certificate.display())));
        }
        let issuer = Issuer::from_ca_cert_der(&der, pair)
            .map_err(|error| wrong(certificate, format!("cannot sign with it: {error}")))?;
        let warnings = too_open(key).into_iter().collect();
        Ok(Self {
            subject: parsed.subject().as_raw().to_vec(),
            permitted: permitted_names(&parsed),
            leaves: Leaves::new(issuer, der.to_vec(), expires)?,
            der: der.to_vec(),
            pem,
            warnings,
        })
    }

    /// The certificate and key to show a client that wants `host` (a DNS name or an address), with the names of the
    /// origin's certificate (DER) where there is one. Kept, and made anew only now and then.
    ///
    /// # Errors
    /// Hosts the authority is not permitted to speak for, or that can't stand in a certificate.
    pub fn leaf(&self, host: &str, origin: Option<&[u8]>) -> Result<Arc<CertifiedKey>, AuthorityError> {
        let host = host.trim_end_matches('.');
        let permitted = |domain: &String| {
            let end = host.len().checked_sub(domain.len()).filter(|&at| host.is_char_boundary(at));
            end.is_some_and(|at| {
                host[at..].eq_ignore_ascii_case(domain)
                    && (at == 0 || domain.starts_with('.') || host[..at].ends_with('.'))
            })
        };
        if !self.permitted.is_empty() && !self.permitted.iter().any(permitted) {
            return Err(AuthorityError::NotPermitted(host.to_owned()));
        }
        self.leaves.get(host, origin, &self.permitted)
    }

    /// The certificate as PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The certificate as DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// What is not as it should be.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// SHA-256 of the certificate, as pairs of upper-case hexadecimal digits with colons between.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        Sha256::digest(&self.der).iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
    }

    /// The name Android's system store knows it by, without the `.0`: OpenSSL's `subject_hash_old`, the first four
    /// bytes of the MD5 of the subject, as a little-endian number.
    #[must_use]
    pub fn subject_hash_old(&self) -> String {
        let hash = Md5::digest(&self.subject);
        format!("{:08x}", u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]]))
    }
}

/// A new certificate and its key, as PEM.
fn generate(options: &CreateOptions) -> Result<(String, String), AuthorityError> {
    let failed = |error: rcgen::Error| AuthorityError::Certificate {
        host: "the authority itself".to_owned(),
        message: error.to_string(),
    };
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let mut params = CertificateParams::default();
    // Tells two authorities apart, in a phone's list and by the hash of the subject.
    let tag: String = Sha256::digest(key.public_key_raw()).iter().take(3).map(|byte| format!("{byte:02x}")).collect();
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, format!("divulge {tag} CA"));
    name.push(DnType::OrganizationName, "divulge");
    params.distinguished_name = name;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let now = unix_now();
    set_validity(&mut params, now.saturating_sub(BACKDATED), now + VALID_FOR);
    if !options.permitted.is_empty() {
        let subtrees =
            options.permitted.iter().map(|domain| GeneralSubtree::DnsName(domain.trim_start_matches("*.").into()));
        params.name_constraints =
            Some(NameConstraints { permitted_subtrees: subtrees.collect(), excluded_subtrees: Vec::new() });
    }
    let certificate = params.self_signed(&key).map_err(failed)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// The DNS names a certificate limits itself to.
fn permitted_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let constraints = certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::NameConstraints(constraints) => Some(constraints),
        _ => None,
    });
    let subtrees = constraints.and_then(|constraints| constraints.permitted_subtrees.as_ref());
    let names = subtrees.into_iter().flatten().filter_map(|subtree| match subtree.base {
        GeneralName::DNSName(name) => Some(name.to_owned()),
        _ => None,
    });
    names.collect()
}

/// Sets when a certificate begins and ends to be valid.
pub(super) fn set_validity(params: &mut CertificateParams, from: Duration, until: Duration) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + from;
    params.not_after = epoch + until;
}

pub(super) fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn read(file: &Path) -> Result<String, AuthorityError> {
    let failed = |source| AuthorityError::Io { file: file.display().to_string(), source };
    if fs::metadata(file).map_err(failed)?.len() > FILE_MAX {
        let message = format!("larger than {FILE_MAX} bytes, expected PEM");
        return Err(AuthorityError::File { file: file.display().to_string(), message });
    }
    fs::read_to_string(file).map_err(failed)
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Writes a file that is not there yet, with its mode from the start. With `force` one that is there is removed first.
fn write_new(file: &Path, bytes: &[u8], mode: u32, force: bool) -> Result<(), AuthorityError> {
    let write = || -> io::Result<()> {
        if force
            && let Err(error) = fs::remove_file(file)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        #[cfg(not(unix))]
        let _ = mode;
        let mut out = options.open(file)?;
        out.write_all(bytes)?;
        out.sync_all()
    };
    write().map_err(|source| AuthorityError::Io { file: file.display().to_string(), source })
}

/// Whether others than the user may read a key.
#[cfg(unix)]
fn too_open(key: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(key).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then(|| {
        format!(
            "{}: others may read this key (mode {mode:03o}); whoever has it can read every phone that trusts it",
            key.display()
        )
    })
}

#[cfg(not(unix))]
fn too_open(_key: &Path) -> Option<String> {
    None
}
