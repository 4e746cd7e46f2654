//! A handshake's Certificate message to the names in the server's own certificate (RFC 5246 §7.4.2, RFC 8446 §4.4.2,
//! RFC 8879, RFC 5280). Only names are read and nothing is verified: whom a certificate speaks for is evidence, and
//! whether the client believed it shows in what it sent afterwards.

use super::reader::Reader;
use crate::model::Certificate;
use std::borrow::Cow;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Most names kept of one certificate.
pub const CERTIFICATE_NAMES_MAX: usize = 64;
/// Longest name kept, in bytes.
const NAME_LEN_MAX: usize = 256;
/// Longest Certificate message after decompression that is read.
const MESSAGE_MAX: u64 = 256 * 1024;

/// How a Certificate message is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateForm {
    /// TLS 1.2 and before: a list of certificates.
    Tls12,
    /// TLS 1.3: a request context, and extensions beside each certificate.
    Tls13,
}

/// The names of the first certificate in the body of a Certificate message. None where there is none to be read.
#[must_use]
pub fn certificate_message(body: &[u8], form: CertificateForm) -> Option<Certificate> {
    let mut reader = Reader::new(body);
    if form == CertificateForm::Tls13 {
        reader.sub8()?;
    }
    reader.u24()?;
    let len = usize::try_from(reader.u24()?).ok()?;
    certificate(reader.take(len)?)
}

/// The same of a CompressedCertificate message, which TLS 1.3 alone has (RFC 8879 §4).
#[must_use]
pub fn compressed_certificate_message(body: &[u8]) -> Option<Certificate> {
    const ZLIB: u16 = 1;
    const BROTLI: u16 = 2;
    const ZSTD: u16 = 3;
    let mut reader = Reader::new(body);
    let algorithm = reader.u16()?;
    let plain_len = u64::from(reader.u24()?).min(MESSAGE_MAX);
    let len = usize::try_from(reader.u24()?).ok()?;
    let packed = reader.take(len)?;
    let mut plain = Vec::new();
    let read = match algorithm {
        ZLIB => flate2::read::ZlibDecoder::new(packed).take(plain_len).read_to_end(&mut plain),
        BROTLI => brotli_decompressor::Decompressor::new(packed, 4096).take(plain_len).read_to_end(&mut plain),
        ZSTD => {
            zstd::stream::read::Decoder::new(packed).and_then(|decoder| decoder.take(plain_len).read_to_end(&mut plain))
        }
        _ => return None,
    };
    read.ok()?;
    certificate_message(&plain, CertificateForm::Tls13)
}

/// The names of an X.509 certificate (RFC 5280 §4.1) in DER.
#[must_use]
pub fn certificate(der: &[u8]) -> Option<Certificate> {
    let mut outer = Der(der);
    let mut to_sign = Der(Der(outer.expect(tag::SEQUENCE)?).expect(tag::SEQUENCE)?);
    if to_sign.peek() == Some(tag::CONTEXT_0) {
        to_sign.next()?;
    }
    to_sign.expect(tag::INTEGER)?;
    to_sign.expect(tag::SEQUENCE)?;
    let issuer = to_sign.expect(tag::SEQUENCE)?;
    to_sign.expect(tag::SEQUENCE)?;
    let subject = to_sign.expect(tag::SEQUENCE)?;
    let mut found = Certificate {
        subject: attribute(subject, oid::COMMON_NAME),
        organisation: attribute(subject, oid::ORGANISATION),
        issuer: attribute(issuer, oid::COMMON_NAME),
        issuer_organisation: attribute(issuer, oid::ORGANISATION),
        ..Certificate::default()
    };
    to_sign.expect(tag::SEQUENCE)?;
    while let Some((kind, value)) = to_sign.next() {
        if kind == tag::CONTEXT_3 {
            alternative_names(value, &mut found);
        }
    }
    Some(found)
}

mod tag {
    pub(super) const BOOLEAN: u8 = 0x01;
    pub(super) const INTEGER: u8 = 0x02;
    pub(super) const OCTET_STRING: u8 = 0x04;
    pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const SET: u8 = 0x31;
    pub(super) const CONTEXT_0: u8 = 0xa0;
    pub(super) const CONTEXT_3: u8 = 0xa3;
    pub(super) const DNS_NAME: u8 = 0x82;
    pub(super) const IP_ADDRESS: u8 = 0x87;
}

mod oid {
    pub(super) const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
    pub(super) const ORGANISATION: &[u8] = &[0x55, 0x04, 0x0a];
    pub(super) const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
}

/// The values of DER (X.690 §8) one after the other.
#[derive(Clone, Copy)]
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn peek(self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next value with its tag. Tags of several bytes do not occur in certificates.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&kind, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (len, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (bytes.iter().fold(0, |len, &byte| len << 8 | usize::from(byte)), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(len)?;
        self.0 = rest;
        Some((kind, value))
    }

    fn expect(&mut self, kind: u8) -> Option<&'a [u8]> {
        self.next().filter(|&(found, _)| found == kind).map(|(_, value)| value)
    }
}

/// The last value of an attribute of a distinguished name, which is the most specific one.
fn attribute(name: &[u8], wanted: &[u8]) -> Option<String> {
    let mut found = None;
    let mut sets = Der(name);
    while let Some((tag::SET, set)) = sets.next() {
        let mut pairs = Der(set);
        while let Some((tag::SEQUENCE, pair)) = pairs.next() {
            let mut pair = Der(pair);
            if pair.expect(tag::OBJECT_IDENTIFIER) == Some(wanted)
                && let Some((kind, value)) = pair.next()
            {
                found = text(kind, value).or(found);
            }
        }
    }
    found
}

/// A string of a distinguished name (RFC 5280 §4.1.2.4).
fn text(kind: u8, value: &[u8]) -> Option<String> {
    const UTF8: u8 = 12;
    const BMP: u8 = 30;
    const UNIVERSAL: u8 = 28;
    let value = value.get(..value.len().min(NAME_LEN_MAX))?;
    let text = match kind {
        UTF8 => String::from_utf8_lossy(value),
        BMP => Cow::Owned(
            char::decode_utf16(value.as_chunks().0.iter().map(|&pair| u16::from_be_bytes(pair)))
                .map(|read| read.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect(),
        ),
        UNIVERSAL => Cow::Owned(
            value
                .as_chunks()
                .0
                .iter()
                .map(|&four| char::from_u32(u32::from_be_bytes(four)).unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect(),
        ),
        // Printable and IA5 are ASCII; Teletex is Latin-1 in practice, or UTF-8 against the rules.
        18 | 19 | 20 | 22 | 26 => match str::from_utf8(value) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(value.iter().map(|&byte| char::from(byte)).collect()),
        },
        _ => return None,
    };
    (!text.is_empty()).then(|| text.into_owned())
}

/// The DNS names and addresses of the subjectAltName extension (RFC 5280 §4.2.1.6).
fn alternative_names(extensions: &[u8], found: &mut Certificate) {
    let mut list = Der(Der(extensions).expect(tag::SEQUENCE).unwrap_or_default());
    while let Some((tag::SEQUENCE, extension)) = list.next() {
        let mut extension = Der(extension);
        if extension.expect(tag::OBJECT_IDENTIFIER) != Some(oid::SUBJECT_ALT_NAME) {
            continue;
        }
        if extension.peek() == Some(tag::BOOLEAN) {
            extension.next();
        }
        let mut names =
            Der(Der(extension.expect(tag::OCTET_STRING).unwrap_or_default()).expect(tag::SEQUENCE).unwrap_or_default());
        while let Some((kind, value)) = names.next() {
            if found.names.len() + found.addresses.len() >= CERTIFICATE_NAMES_MAX {
                return;
            }
            match kind {
                tag::DNS_NAME if !value.is_empty() && value.len() <= NAME_LEN_MAX => {
                    found.names.push(String::from_utf8_lossy(value).into_owned());
                }
                tag::IP_ADDRESS => found.addresses.extend(address(value)),
                _ => {}
            }
        }
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return Some(Ipv4Addr::from(octets).into());
    }
    <[u8; 16]>::try_from(octets).ok().map(|octets| Ipv6Addr::from(octets).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn issued() -> Vec<u8> {
        let names = ["api.example.com".to_owned(), "*.example.org".to_owned(), "192.0.2.7".to_owned()];
        let mut params = rcgen::CertificateParams::new(names).expect("names");
        params.distinguished_name.push(rcgen::DnType::CommonName, "api.example.com");
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "示例公司");
        let key = rcgen::KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("a certificate").der().to_vec()
    }

    fn sized24(body: &[u8]) -> Vec<u8> {
        let len = u32::try_from(body.len()).expect("short").to_be_bytes();
        [&len[1..], body].concat()
    }

    fn message13() -> Vec<u8> {
        [&[0][..], &sized24(&[&sized24(&issued())[..], &[0, 0]].concat())].concat()
    }

    #[test]
    fn the_names_of_the_leaf_are_read_in_either_form() {
        let twelve = sized24(&[sized24(&issued()), sized24(b"another")].concat());
        for found in [
            certificate_message(&twelve, CertificateForm::Tls12).expect("a certificate"),
            certificate_message(&message13(), CertificateForm::Tls13).expect("a certificate"),
        ] {
            assert_eq!(found.subject.as_deref(), Some("api.example.com"));
            assert_eq!(found.organisation.as_deref(), Some("示例公司"));
            assert_eq!(found.issuer_organisation.as_deref(), Some("示例公司"));
            assert_eq!(found.names, ["api.example.com", "*.example.org"]);
            assert_eq!(found.addresses, ["192.0.2.7".parse::<IpAddr>().expect("an address")]);
        }
    }

    #[test]
    fn a_compressed_message_is_read() {
        let plain = message13();
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        zlib.write_all(&plain).expect("in memory");
        let zstd = zstd::stream::encode_all(&plain[..], 3).expect("in memory");
        for (algorithm, packed) in [(1_u16, zlib.finish().expect("in memory")), (3, zstd)] {
            let len = u32::try_from(plain.len()).expect("short").to_be_bytes();
            let body = [&algorithm.to_be_bytes()[..], &len[1..], &sized24(&packed)].concat();
            let found = compressed_certificate_message(&body).expect("a certificate");
            assert_eq!(found.subject.as_deref(), Some("api.example.com"));
            assert_eq!(compressed_certificate_message(&body[..body.len() - 1]), None);
        }
    }

    #[test]
    fn strings_of_two_bytes_a_character_are_read() {
        assert_eq!(text(30, &[0x79, 0x3a, 0x4f, 0x8b]).as_deref(), Some("示例"));
        assert_eq!(text(20, &[0xe9]).as_deref(), Some("é"));
    }

    proptest! {
        #[test]
        fn damage_is_survived(at in 0_usize..400, bytes in proptest::collection::vec(any::<u8>(), 0..20), cut in 0_usize..800) {
            let mut der = issued();
            let at = at.min(der.len());
            der.splice(at.., bytes);
            der.truncate(cut);
            let found = certificate(&der);
            prop_assert!(found.is_none_or(|found| found.names.len() <= CERTIFICATE_NAMES_MAX));
        }
    }
}
