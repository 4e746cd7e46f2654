//! Tests of the authority: what a client makes of its certificates, and how its files are kept.

use super::authority::{Authority, AuthorityError, CreateOptions};
use super::leaf::LEAVES_MAX;
use rcgen::{CertificateParams, IsCa, KeyPair, SanType};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{ServerName, UnixTime};
use std::path::Path;
use std::sync::Arc;
use x509_parser::prelude::{FromDer, X509Certificate};

fn made(options: &CreateOptions) -> (tempfile::TempDir, Authority) {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::create(&folder.path().join("data"), options).unwrap();
    (folder, authority)
}

/// Whether a client that trusts the authority takes the certificate made for `host` as one of `name`.
fn accepts(authority: &Authority, host: &str, origin: Option<&[u8]>, name: &str) -> bool {
    let leaf = authority.leaf(host, origin).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().to_vec().into()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    verifier.verify_server_cert(&leaf.cert[0], &leaf.cert[1..], &name, &[], UnixTime::now()).is_ok()
}

#[test]
fn clients_that_trust_it_take_its_certificates_for_their_host_and_no_other() {
    let (_folder, authority) = made(&CreateOptions::default());
    assert!(accepts(&authority, "api.example.com", None, "api.example.com"));
    assert!(!accepts(&authority, "api.example.com", None, "www.example.com"));
    assert!(accepts(&authority, "192.0.2.7", None, "192.0.2.7"));
    assert!(accepts(&authority, "2001:db8::7", None, "2001:db8::7"));
    assert!(accepts(&authority, "under_score.example.com.", None, "under_score.example.com"));
}

#[test]
fn a_certificate_has_the_names_of_the_origins() {
    let (_folder, authority) = made(&CreateOptions::default());
    let mut params = CertificateParams::new(vec!["*.example.com".to_owned(), "example.org".to_owned()]).unwrap();
    params.subject_alt_names.push(SanType::IpAddress([192, 0, 2, 1].into()));
    let origin = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    for name in ["api.example.com", "example.org", "192.0.2.1"] {
        assert!(accepts(&authority, "api.example.com", Some(origin.der()), name), "{name}");
    }
    assert!(accepts(&authority, "other.example.net", Some(origin.der()), "other.example.net"));
    assert!(!accepts(&authority, "api.example.com", Some(origin.der()), "a.b.example.com"));
    assert!(accepts(&authority, "api.example.com", Some(b"no certificate"), "api.example.com"));
}

#[test]
fn certificates_are_short_lived_and_unlike_each_other() {
    let (_folder, authority) = made(&CreateOptions::default());
    let (one, two) = (authority.leaf("a.example", None).unwrap(), authority.leaf("b.example", None).unwrap());
    let (_, first) = X509Certificate::from_der(&one.cert[0]).unwrap();
    let (_, second) = X509Certificate::from_der(&two.cert[0]).unwrap();
    let validity = first.validity();
    assert!(validity.not_after.timestamp() - validity.not_before.timestamp() <= 197 * 86_400);
    assert_ne!(first.raw_serial(), second.raw_serial());
    assert!(Arc::ptr_eq(&one, &authority.leaf("a.example", None).unwrap()), "kept");
}

#[test]
fn what_is_kept_is_bounded_and_odd_names_are_no_panic() {
    let (_folder, authority) = made(&CreateOptions::default());
    let first = authority.leaf("h.example", None).unwrap();
    for number in 0..=LEAVES_MAX {
        authority.leaf(&format!("h{number}.example"), None).unwrap();
    }
    assert!(!Arc::ptr_eq(&first, &authority.leaf("h.example", None).unwrap()), "the oldest is gone");
    for odd in ["", "例子.example", "a b", &"x".repeat(300), "a..b", "\u{0}"] {
        match authority.leaf(odd, None) {
            Ok(leaf) => assert!(!leaf.cert.is_empty()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

#[cfg(unix)]
#[test]
fn files_are_the_users_alone_and_never_written_over() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, authority) = made(&CreateOptions::default());
    let data = folder.path().join("data");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&data), mode(&Authority::key_file(&data))), (0o700, 0o600));
    assert!(matches!(Authority::create(&data, &CreateOptions::default()), Err(AuthorityError::Exists { .. })));
    assert_eq!(Authority::open(&data).unwrap().fingerprint(), authority.fingerprint());
    assert_eq!(authority.warnings(), [""; 0]);
    std::fs::set_permissions(Authority::key_file(&data), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(Authority::open(&data).unwrap().warnings()[0].contains("mode 644"));
    let again = Authority::create(&data, &CreateOptions { force: true, ..CreateOptions::default() }).unwrap();
    assert_ne!(again.fingerprint(), authority.fingerprint());
    assert_eq!(mode(&Authority::key_file(&data)), 0o600);
}

#[test]
fn files_that_are_something_else_are_named() {
    let (folder, _) = made(&CreateOptions::default());
    let data = folder.path().join("data");
    let (certificate, key) = (Authority::certificate_file(&data), Authority::key_file(&data));
    let said = |certificate: &Path, key: &Path| Authority::load(certificate, key).unwrap_err().to_string();
    assert!(said(&key, &key).contains("no certificate in PEM"));
    assert!(said(&certificate, &certificate).contains("no private key in PEM"));
    let (other, _) = made(&CreateOptions::default());
    let foreign = Authority::key_file(&other.path().join("data"));
    assert!(said(&certificate, &foreign).contains("not the key of"));
    let pair = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["x.example".to_owned()]).unwrap();
    params.is_ca = IsCa::NoCa;
    let leaf = folder.path().join("leaf.pem");
    std::fs::write(&leaf, params.self_signed(&pair).unwrap().pem()).unwrap();
    std::fs::write(folder.path().join("leaf.key"), pair.serialize_pem()).unwrap();
    assert!(said(&leaf, &folder.path().join("leaf.key")).contains("CA:TRUE"));
}

#[test]
fn a_limited_authority_speaks_for_its_domains_only() {
    let (_folder, authority) = made(&CreateOptions { permitted: vec!["example.com".to_owned()], force: false });
    assert!(accepts(&authority, "api.example.com", None, "api.example.com"));
    assert!(accepts(&authority, "example.com", None, "example.com"));
    for host in ["example.org", "badexample.com", "192.0.2.1"] {
        assert!(matches!(authority.leaf(host, None), Err(AuthorityError::NotPermitted(_))), "{host}");
    }
}

/// Made with `openssl req -x509 -newkey ec …`; the hash is what `openssl x509 -subject_hash_old` prints.
#[test]
fn androids_name_for_it_is_openssls_old_hash() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("ca.pem"), folder.path().join("ca.key"));
    std::fs::write(&certificate, include_str!("../../tests/data/openssl-ca.pem")).unwrap();
    std::fs::write(&key, include_str!("../../tests/data/openssl-ca.key")).unwrap();
    let authority = Authority::load(&certificate, &key).unwrap();
    assert_eq!(authority.subject_hash_old(), include_str!("../../tests/data/openssl-ca.hash").trim());
    assert!(accepts(&authority, "api.example.com", None, "api.example.com"), "an RSA key signs as well");
}
