//! ClientHello, ServerHello and EncryptedExtensions bodies to the facts a passive reader needs (RFC 8446 §4.1, RFC
//! 5246 §7.4.1). Reusable for QUIC, whose CRYPTO stream carries the same messages. A message cut by the capture
//! gives what is there; framing and state are left to `handshake` and `session`.

use super::ja4::{Transport, ja4};
use super::reader::Reader;
use crate::model::{EncryptedHello, TlsInfo};

/// Longest host name kept from a server_name extension (RFC 1035 §2.3.4 allows 253 characters).
pub const SERVER_NAME_MAX: usize = 1024;

/// The ServerHello random that marks a HelloRetryRequest (RFC 8446 §4.1.3).
const HELLO_RETRY_RANDOM: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11,
    0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

const EXTENSION_SERVER_NAME: u16 = 0;
const EXTENSION_SIGNATURE_ALGORITHMS: u16 = 13;
const EXTENSION_ALPN: u16 = 16;
const EXTENSION_ENCRYPT_THEN_MAC: u16 = 22;
const EXTENSION_EXTENDED_MASTER_SECRET: u16 = 23;
const EXTENSION_EARLY_DATA: u16 = 42;
const EXTENSION_SUPPORTED_VERSIONS: u16 = 43;
const EXTENSION_ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;

/// What a ClientHello says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// The legacy version field.
    pub legacy_version: u16,
    /// The client random, by which key logs name the session.
    pub random: [u8; 32],
    /// The (legacy) session id.
    pub session_id: Vec<u8>,
    /// The cipher suites offered, in order.
    pub suites: Vec<u16>,
    /// The extensions' types in order.
    pub extensions: Vec<u16>,
    /// The host name asked for, as sent but without a final dot.
    pub server_name: Option<String>,
    /// The application protocols offered, in order.
    pub alpn: Vec<Vec<u8>>,
    /// The versions of the supported_versions extension.
    pub versions: Vec<u16>,
    /// The signature algorithms of the extension of that name, in order.
    pub signature_algorithms: Vec<u16>,
    /// Whether early data (0-RTT) is announced.
    pub early_data: bool,
    /// Whether an encrypted inner hello is carried (or greased).
    pub encrypted_hello: bool,
    /// Whether the message was read to its end.
    pub complete: bool,
}

impl ClientHello {
    /// Notes in `info` what the hello tells of a session: name, first offer of a protocol, JA4, encrypted hello.
    pub fn describe(&self, transport: Transport, info: &mut TlsInfo) {
        info.sni.clone_from(&self.server_name);
        info.alpn = self.first_alpn();
        info.ja4 = self.complete.then(|| ja4(self, transport));
        info.ech = self.encrypted_hello.then_some(EncryptedHello::Offered);
    }

    /// The first application protocol offered that is no GREASE value (RFC 8701).
    #[must_use]
    pub fn first_alpn(&self) -> Option<String> {
        let grease = |name: &[u8]| matches!(name, [a, b] if a == b && a & 0x0f == 0x0a);
        self.alpn.iter().find(|name| !grease(name)).map(|name| text(name))
    }
}

/// What a ServerHello says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerHello {
    /// The version chosen, from supported_versions where sent.
    pub version: u16,
    /// The server random.
    pub random: [u8; 32],
    /// The (echoed) session id.
    pub session_id: Vec<u8>,
    /// The cipher suite chosen.
    pub suite: u16,
    /// The application protocol chosen, where the answer is in the clear.
    pub alpn: Option<String>,
    /// Whether records are to be encrypted before they are authenticated (RFC 7366).
    pub encrypt_then_mac: bool,
    /// Whether the master secret is made from the whole handshake (RFC 7627).
    pub extended_master_secret: bool,
    /// Whether this is a HelloRetryRequest.
    pub retry: bool,
}

/// Reads the body of a ClientHello. None where not even random and suites are there.
#[must_use]
pub fn client_hello(body: &[u8]) -> Option<ClientHello> {
    let mut reader = Reader::new(body);
    let legacy_version = reader.u16()?;
    let random = reader.array::<32>()?;
    let session_id = reader.sub8()?.rest().to_vec();
    let (mut suite_list, _) = reader.sub16_lenient()?;
    let mut hello = ClientHello { legacy_version, random, session_id, ..ClientHello::default() };
    while let Some(suite) = suite_list.u16() {
        hello.suites.push(suite);
    }
    if reader.sub8().is_none() {
        return Some(hello);
    }
    if reader.is_empty() {
        hello.complete = true;
        return Some(hello);
    }
    let Some((extensions, whole)) = reader.sub16_lenient() else { return Some(hello) };
    let to_end = for_each_extension(extensions, |kind, data| hello.extension(kind, data));
    hello.complete = whole && to_end;
    Some(hello)
}

/// Reads a ClientHello in the form of SSL 2.0, by which old clients offer what is newer (RFC 5246 appendix E.2), from
/// the beginning of a stream. Gives its length too. None where it is none, or not whole.
#[must_use]
pub fn ssl2_client_hello(bytes: &[u8]) -> Option<(ClientHello, usize)> {
    let [high, low, rest @ ..] = bytes else { return None };
    let len = usize::from(high & 0x7f) << 8 | usize::from(*low);
    let mut reader = Reader::new(rest.get(..len).filter(|_| high & 0x80 != 0)?);
    if reader.u8()? != 1 {
        return None;
    }
    let legacy_version = reader.u16().filter(|version| version >> 8 == 3)?;
    let (suites, session_id, challenge) = (reader.u16()?, reader.u16()?, reader.u16()?);
    let mut suite_list = Reader::new(reader.take(usize::from(suites)).filter(|_| suites % 3 == 0)?);
    let session_id = reader.take(usize::from(session_id))?.to_vec();
    let challenge =
        reader.take(usize::from(challenge)).filter(|c| (16..=32).contains(&c.len()) && reader.is_empty())?;
    let mut hello = ClientHello { legacy_version, session_id, complete: true, ..ClientHello::default() };
    while let (Some(first), Some(suite)) = (suite_list.u8(), suite_list.u16()) {
        // Others are suites of SSL 2.0 itself.
        if first == 0 {
            hello.suites.push(suite);
        }
    }
    hello.random.iter_mut().rev().zip(challenge.iter().rev()).for_each(|(slot, &byte)| *slot = byte);
    Some((hello, 2 + len))
}

impl ClientHello {
    fn extension(&mut self, kind: u16, data: Reader<'_>) {
        self.extensions.push(kind);
        match kind {
            EXTENSION_SERVER_NAME if self.server_name.is_none() => self.server_name = server_name(data),
            EXTENSION_ALPN => self.alpn = protocol_names(data),
            EXTENSION_SIGNATURE_ALGORITHMS => self.signature_algorithms = signature_algorithms(data),
            EXTENSION_SUPPORTED_VERSIONS => self.versions = client_versions(data),
            EXTENSION_EARLY_DATA => self.early_data = true,
            EXTENSION_ENCRYPTED_CLIENT_HELLO => self.encrypted_hello = true,
            _ => {}
        }
    }
}

/// Reads the body of a ServerHello. None where random or suite is missing.
#[must_use]
pub fn server_hello(body: &[u8]) -> Option<ServerHello> {
    let mut reader = Reader::new(body);
    let mut hello = ServerHello { version: reader.u16()?, random: reader.array()?, ..ServerHello::default() };
    // Drafts before 22 of TLS 1.3 left the session id and the compression out.
    if !matches!(hello.version, 0x7f00..=0x7f15) {
        hello.session_id = reader.sub8()?.rest().to_vec();
    }
    hello.suite = reader.u16()?;
    if !matches!(hello.version, 0x7f00..=0x7f15) {
        reader.u8();
    }
    hello.retry = hello.random == HELLO_RETRY_RANDOM;
    if let Some((extensions, _)) = reader.sub16_lenient() {
        for_each_extension(extensions, |kind, mut data| match kind {
            EXTENSION_ALPN => hello.alpn = chosen_protocol(data),
            EXTENSION_ENCRYPT_THEN_MAC => hello.encrypt_then_mac = true,
            EXTENSION_EXTENDED_MASTER_SECRET => hello.extended_master_secret = true,
            EXTENSION_SUPPORTED_VERSIONS => hello.version = data.u16().unwrap_or(hello.version),
            _ => {}
        });
    }
    Some(hello)
}

/// What EncryptedExtensions say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EncryptedExtensions {
    /// The application protocol chosen.
    pub alpn: Option<String>,
    /// Whether keys for encrypted hellos are given, which a server does that could not read the one it was sent.
    pub retry_configs: bool,
}

/// Reads the body of EncryptedExtensions.
#[must_use]
pub fn encrypted_extensions(body: &[u8]) -> EncryptedExtensions {
    let mut told = EncryptedExtensions::default();
    if let Some((extensions, _)) = Reader::new(body).sub16_lenient() {
        for_each_extension(extensions, |kind, data| match kind {
            EXTENSION_ALPN => told.alpn = chosen_protocol(data),
            EXTENSION_ENCRYPTED_CLIENT_HELLO => told.retry_configs = true,
            _ => {}
        });
    }
    told
}

/// The application protocol an EncryptedExtensions body chose.
#[must_use]
pub fn encrypted_extensions_alpn(body: &[u8]) -> Option<String> {
    encrypted_extensions(body).alpn
}

/// Calls `visit` with each whole extension; whether all were whole.
fn for_each_extension(mut list: Reader<'_>, mut visit: impl FnMut(u16, Reader<'_>)) -> bool {
    while !list.is_empty() {
        let (Some(kind), Some(data)) = (list.u16(), list.sub16()) else { return false };
        visit(kind, data);
    }
    true
}

/// The first host name of a server_name extension (RFC 6066 §3).
fn server_name(mut data: Reader<'_>) -> Option<String> {
    let mut list = data.sub16()?;
    while let (Some(kind), Some(name)) = (list.u8(), list.sub16()) {
        let name = name.rest();
        let name = name.strip_suffix(b".").unwrap_or(name);
        if kind == 0 && !name.is_empty() && name.len() <= SERVER_NAME_MAX {
            return Some(text(name));
        }
    }
    None
}

fn protocol_names(mut data: Reader<'_>) -> Vec<Vec<u8>> {
    let mut names = Vec::new();
    if let Some(mut list) = data.sub16() {
        while let Some(name) = list.sub8() {
            names.push(name.rest().to_vec());
        }
    }
    names
}

fn chosen_protocol(data: Reader<'_>) -> Option<String> {
    protocol_names(data).first().map(|name| text(name))
}

fn client_versions(mut data: Reader<'_>) -> Vec<u16> {
    let mut versions = Vec::new();
    if let Some(mut list) = data.sub8() {
        while let Some(version) = list.u16() {
            versions.push(version);
        }
    }
    versions
}

fn signature_algorithms(mut data: Reader<'_>) -> Vec<u16> {
    let mut algorithms = Vec::new();
    if let Some(mut list) = data.sub16() {
        while let Some(algorithm) = list.u16() {
            algorithms.push(algorithm);
        }
    }
    algorithms
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{client_hello, encrypted_extensions_alpn, server_hello, ssl2_client_hello};
    use proptest::prelude::*;

    fn sized16(body: &[u8]) -> Vec<u8> {
        [&u16::try_from(body.len()).expect("short").to_be_bytes()[..], body].concat()
    }

    fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &sized16(body)].concat()
    }

    fn sample() -> Vec<u8> {
        let host = b"Api.Example.COM.";
        let name = sized16(&[&[0][..], &sized16(host)].concat());
        let alpn = sized16(b"\x02\x1a\x1a\x02h2\x08http/1.1");
        let extensions =
            [extension(0x2a2a, b""), extension(0, &name), extension(16, &alpn), extension(43, b"\x04\x03\x04\x03\x03")];
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.push(0);
        body.extend(sized16(&[0x13, 0x01, 0xc0, 0x2f]));
        body.extend([1, 0]);
        body.extend(sized16(&extensions.concat()));
        body
    }

    #[test]
    fn a_client_hello_gives_name_protocols_and_versions() {
        let hello = client_hello(&sample()).expect("a hello");
        assert_eq!(hello.server_name.as_deref(), Some("Api.Example.COM"));
        assert_eq!(hello.first_alpn().as_deref(), Some("h2"), "the GREASE offer is passed over");
        assert_eq!(hello.versions, [0x0304, 0x0303]);
        assert_eq!(hello.suites, [0x1301, 0xc02f]);
        assert_eq!(hello.random, [7; 32]);
        assert!(hello.complete);
    }

    #[test]
    fn a_hello_of_ssl_2_gives_its_challenge_as_the_random() {
        let mut bytes = vec![0x80, 0x1f, 1, 3, 1, 0, 6, 0, 0, 0, 16, 0, 0, 0x2f, 1, 0, 0x80];
        bytes.extend([0xab; 16]);
        bytes.push(0x16);
        let (hello, len) = ssl2_client_hello(&bytes).expect("a hello");
        assert_eq!((len, hello.legacy_version, hello.suites), (33, 0x0301, vec![0x002f]));
        assert_eq!(hello.random, std::array::from_fn(|at| if at < 16 { 0 } else { 0xab }));
        assert_eq!(ssl2_client_hello(&bytes[..32]), None);
        assert_eq!(ssl2_client_hello(b"GET / HTTP/1.1\r\n"), None);
    }

    #[test]
    fn a_cut_client_hello_still_gives_the_name_before_the_cut() {
        let whole = sample();
        let hello = client_hello(&whole[..whole.len() - 12]).expect("a hello");
        assert_eq!(hello.server_name.as_deref(), Some("Api.Example.COM"));
        assert!(!hello.complete);
        assert!(hello.alpn.is_empty());
    }

    #[test]
    fn a_server_hello_gives_the_version_of_its_extension() {
        let mut body = vec![3, 3];
        body.extend([9; 32]);
        body.extend([0, 0x13, 0x02, 0]);
        body.extend(sized16(&extension(43, &[3, 4])));
        let hello = server_hello(&body).expect("a hello");
        assert_eq!((hello.version, hello.suite, hello.retry), (0x0304, 0x1302, false));
    }

    #[test]
    fn encrypted_extensions_give_the_protocol_agreed_on() {
        let body = sized16(&extension(16, &sized16(b"\x08http/1.1")));
        assert_eq!(encrypted_extensions_alpn(&body).as_deref(), Some("http/1.1"));
        assert_eq!(encrypted_extensions_alpn(&[0, 0]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let hello = client_hello(&bytes);
            prop_assert!(hello.is_none_or(|hello| hello.suites.len() * 2 <= bytes.len()));
            prop_assert!(server_hello(&bytes).is_none_or(|hello| !hello.retry));
            prop_assert!(encrypted_extensions_alpn(&bytes).is_none_or(|name| name.len() <= bytes.len() * 3));
        }
    }
}
