//! The proxy's certificate authority as Android's stores name it.

use md5::{Digest, Md5};
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A certificate to be trusted, without any key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    pem: String,
    file: String,
    subject: String,
}

impl Certificate {
    /// Takes the first certificate of a PEM file. Whatever else is in it (such as the private key) is left there.
    ///
    /// # Errors
    /// There is none, it can't be read, or it is no authority's.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let found = Pem::iter_from_buffer(text).find_map(|pem| pem.ok().filter(|pem| pem.label == "CERTIFICATE"));
        let found = found.ok_or("holds no certificate in PEM")?;
        let (_, parsed) = X509Certificate::from_der(&found.contents).map_err(|error| format!("{error}"))?;
        if !parsed.is_ca() {
            return Err("the certificate is no certificate authority's; Android would not trust it".to_owned());
        }
        let subject = parsed.subject();
        Ok(Self {
            pem: as_pem(&found.contents),
            file: format!("{:08x}.0", subject_hash_old(subject.as_raw())),
            subject: subject.to_string(),
        })
    }

    /// The certificate alone, in PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Its name in a store of Android: `<subject_hash_old>.0`.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Whom it names.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }
}

/// OpenSSL's `-subject_hash_old`: the first four bytes of the MD5 of the subject as it is encoded, little-endian.
fn subject_hash_old(subject: &[u8]) -> u32 {
    let digest = Md5::digest(subject);
    u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]])
}

fn as_pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `openssl x509 -subject_hash_old` of it says 0aa8cfd5.
    const AUTHORITY: &str = include_str!("../../tests/support/authority.pem");

    #[test]
    fn the_file_is_named_as_openssl_names_it() {
        let found = Certificate::parse(AUTHORITY.as_bytes()).expect("a certificate");
        assert_eq!(found.file(), "0aa8cfd5.0");
        assert_eq!(found.pem(), AUTHORITY);
    }

    #[test]
    fn a_key_beside_it_stays_behind() {
        let text = format!("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\nnote\n{AUTHORITY}");
        let found = Certificate::parse(text.as_bytes()).expect("a certificate");
        assert_eq!(found.pem(), AUTHORITY);
    }

    #[test]
    fn what_is_no_authority_is_refused() {
        assert!(Certificate::parse(b"").is_err());
        assert!(Certificate::parse(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err());
    }
}
