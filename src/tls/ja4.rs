//! JA4: the fingerprint of a TLS client, from its ClientHello (FoxIO's specification `JA4: TLS Client Fingerprinting`,
//! BSD-3-Clause). The order of suites and extensions does not matter to it; GREASE values (RFC 8701) are left out.

use super::hello::ClientHello;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// What carries a ClientHello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// TLS over TCP.
    Tcp,
    /// QUIC.
    Quic,
    /// DTLS over UDP.
    Dtls,
}

const EXTENSION_SERVER_NAME: u16 = 0;
const EXTENSION_ALPN: u16 = 16;
/// A part without values.
const NOTHING: &str = "000000000000";

/// The JA4 fingerprint of a client.
#[must_use]
pub fn ja4(hello: &ClientHello, transport: Transport) -> String {
    let mut suites: Vec<u16> = hello.suites.iter().copied().filter(|&suite| !is_grease(suite)).collect();
    let mut extensions: Vec<u16> = hello.extensions.iter().copied().filter(|&kind| !is_grease(kind)).collect();
    let mut out = String::with_capacity(36);
    out.push(match transport {
        Transport::Tcp => 't',
        Transport::Quic => 'q',
        Transport::Dtls => 'd',
    });
    out.push_str(version(hello));
    out.push(if extensions.contains(&EXTENSION_SERVER_NAME) { 'd' } else { 'i' });
    let alpn = alpn_ends(hello.alpn.first().map(Vec::as_slice).unwrap_or_default());
    write!(out, "{:02}{:02}{}{}_", suites.len().min(99), extensions.len().min(99), alpn[0], alpn[1])
        .expect("a string takes all");
    suites.sort_unstable();
    extensions.retain(|kind| !matches!(*kind, EXTENSION_SERVER_NAME | EXTENSION_ALPN));
    extensions.sort_unstable();
    out.push_str(&digest(&list(&suites)));
    out.push('_');
    let mut of_extensions = list(&extensions);
    if !extensions.is_empty() && !hello.signature_algorithms.is_empty() {
        let algorithms: Vec<u16> =
            hello.signature_algorithms.iter().copied().filter(|&algorithm| !is_grease(algorithm)).collect();
        of_extensions.push('_');
        of_extensions.push_str(&list(&algorithms));
    }
    out.push_str(&digest(&of_extensions));
    out
}

/// Whether a value is one clients send to see that it is ignored (RFC 8701).
const fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

/// The highest version offered.
fn version(hello: &ClientHello) -> &'static str {
    let offered = hello.versions.iter().copied().filter(|&version| !is_grease(version));
    // Numbers of DTLS count downwards.
    let highest = if hello.legacy_version >= 0xfe00 { offered.min() } else { offered.max() };
    match highest.unwrap_or(hello.legacy_version) {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        0xfeff => "d1",
        0xfefd => "d2",
        0xfefc => "d3",
        _ => "00",
    }
}

/// First and last character of a protocol name; of its hexadecimal digits where one is neither letter nor digit.
fn alpn_ends(name: &[u8]) -> [char; 2] {
    let (Some(&first), Some(&last)) = (name.first(), name.last()) else { return ['0', '0'] };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [char::from(first), char::from(last)];
    }
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    [digit(first >> 4), digit(last & 0x0f)]
}

fn list(values: &[u16]) -> String {
    let mut text = String::with_capacity(values.len() * 5);
    for (at, value) in values.iter().enumerate() {
        write!(text, "{}{value:04x}", if at > 0 { "," } else { "" }).expect("a string takes all");
    }
    text
}

/// The first twelve hexadecimal digits of the SHA-256.
fn digest(text: &str) -> String {
    if text.is_empty() {
        return NOTHING.to_owned();
    }
    Sha256::digest(text.as_bytes()).iter().take(6).fold(String::with_capacity(12), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a string takes all");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::{Transport, alpn_ends, ja4};
    use crate::tls::hello::ClientHello;

    /// The example of the specification, out of order and with GREASE.
    fn sample() -> ClientHello {
        ClientHello {
            legacy_version: 0x0303,
            suites: vec![
                0x0a0a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c,
                0x009d, 0x002f, 0x0035,
            ],
            extensions: vec![
                0x1a1a, 0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023, 0x0012, 0x002b,
                0xff01, 0x000b, 0x000a, 0x0015, 0x2a2a,
            ],
            alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            versions: vec![0x3a3a, 0x0304, 0x0303],
            signature_algorithms: vec![0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601],
            complete: true,
            ..ClientHello::default()
        }
    }

    #[test]
    fn the_example_of_the_specification_comes_out() {
        assert_eq!(ja4(&sample(), Transport::Tcp), "t13d1516h2_8daaf6152771_e5627efa2ab1");
        assert!(ja4(&sample(), Transport::Quic).starts_with("q13d1516h2_"));
    }

    #[test]
    fn a_hello_without_extensions_has_zeros_in_their_place() {
        let hello = ClientHello { legacy_version: 0x0301, suites: vec![0x002f], ..ClientHello::default() };
        let print = ja4(&hello, Transport::Tcp);
        assert!(print.starts_with("t10i010000_"), "{print}");
        assert!(print.ends_with("_000000000000"), "{print}");
        assert_eq!(ja4(&ClientHello::default(), Transport::Tcp), "t00i000000_000000000000_000000000000");
    }

    #[test]
    fn odd_protocol_names_give_hexadecimal_digits() {
        assert_eq!(alpn_ends(b""), ['0', '0']);
        assert_eq!(alpn_ends(b"x"), ['x', 'x']);
        assert_eq!(alpn_ends(&[0xab]), ['a', 'b']);
        assert_eq!(alpn_ends(&[0xab, 0xcd]), ['a', 'd']);
        assert_eq!(alpn_ends(&[0x30, 0xab]), ['3', 'b']);
        assert_eq!(alpn_ends(&[0x30, 0xab, 0xcd, 0x31]), ['0', '1']);
    }
}
