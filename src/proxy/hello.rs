//! The hello of a TLS client, as far as the proxy has to know it.

use super::client::{Client, HELD_MAX};
use rustc_hash::FxHasher;
use rustls::server::{Acceptor, ClientHello};
use std::hash::Hasher;
use std::io;

/// Content type of a record with a handshake message (RFC 8446 §5.1).
pub(super) const HANDSHAKE_RECORD: u8 = 22;

/// A client's hello.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Hello {
    /// What it asked for.
    Read {
        /// The host.
        sni: Option<String>,
        /// The application protocols it offered, by preference.
        alpn: Vec<Vec<u8>>,
        /// What tells its TLS stack from others: a hash of the suites, groups and signatures it offered.
        stack: u64,
    },
    /// It is TLS, but not such as we can answer.
    Unreadable(String),
    /// It is something else.
    NotTls,
}

/// Reads until a whole hello is held; it stays held.
///
/// # Errors
/// Where the client breaks off in the middle.
pub(super) async fn read(client: &mut Client) -> io::Result<Hello> {
    loop {
        // Major version 3, and a first message that is a hello.
        let is_tls =
            client.held.get(1).is_none_or(|&major| major == 3) && client.held.get(5).is_none_or(|&kind| kind == 1);
        if !is_tls {
            return Ok(Hello::NotTls);
        }
        if let Some(hello) = parse(&client.held) {
            return Ok(hello);
        }
        if client.held.len() >= HELD_MAX {
            return Ok(Hello::Unreadable("longer than 64 KiB".to_owned()));
        }
        if !client.fill().await? {
            return Ok(Hello::NotTls);
        }
    }
}

/// Reads a hello; none where it is not whole yet.
fn parse(mut bytes: &[u8]) -> Option<Hello> {
    let mut acceptor = Acceptor::default();
    while !bytes.is_empty() {
        match acceptor.read_tls(&mut bytes) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) => return Some(Hello::Unreadable(error.to_string())),
        }
        match acceptor.accept() {
            Ok(None) => {}
            Ok(Some(accepted)) => {
                let hello = accepted.client_hello();
                return Some(Hello::Read {
                    sni: hello.server_name().map(str::to_owned),
                    alpn: hello.alpn().map(|names| names.map(<[u8]>::to_vec).collect()).unwrap_or_default(),
                    stack: stack(&hello),
                });
            }
            Err((error, _)) => return Some(Hello::Unreadable(error.to_string())),
        }
    }
    None
}

/// Apps of one phone come from one address, but mostly with TLS stacks of their own.
fn stack(hello: &ClientHello<'_>) -> u64 {
    // Values some stacks choose at random (RFC 8701) say nothing.
    let counts = |value: &u16| value & 0x0f0f != 0x0a0a || value >> 8 != value & 0xff;
    let mut hasher = FxHasher::default();
    let suites = hello.cipher_suites().iter().map(|&suite| u16::from(suite));
    suites.filter(counts).for_each(|value| hasher.write_u16(value));
    let groups = hello.named_groups().unwrap_or_default().iter().map(|&group| u16::from(group));
    groups.filter(counts).for_each(|value| hasher.write_u16(value));
    let schemes = hello.signature_schemes().iter().map(|&scheme| u16::from(scheme));
    schemes.filter(counts).for_each(|value| hasher.write_u16(value));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::{Hello, parse};
    use rustls::client::UnbufferedClientConnection;
    use rustls::unbuffered::ConnectionState;
    use rustls::{ClientConfig, RootCertStore};
    use std::sync::Arc;

    fn hello(alpn: &[&str]) -> Vec<u8> {
        let mut config = ClientConfig::builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = "api.example.com".try_into().unwrap();
        let mut connection = UnbufferedClientConnection::new(Arc::new(config), name).unwrap();
        let ConnectionState::EncodeTlsData(mut data) = connection.process_tls_records(&mut []).state.unwrap() else {
            panic!("no hello");
        };
        let mut bytes = vec![0; 4096];
        let len = data.encode(&mut bytes).unwrap();
        bytes.truncate(len);
        bytes
    }

    #[test]
    fn a_hello_is_read_once_it_is_whole_also_in_several_records() {
        let bytes = hello(&["h2", "http/1.1"]);
        assert_eq!(parse(&bytes[..bytes.len() - 1]), None);
        let Some(Hello::Read { sni, alpn, stack }) = parse(&bytes) else { panic!("no hello") };
        assert_eq!(sni.as_deref(), Some("api.example.com"));
        assert_eq!(alpn, [b"h2".to_vec(), b"http/1.1".to_vec()]);
        let Some(Hello::Read { stack: again, .. }) = parse(&hello(&[])) else { panic!("no hello") };
        assert_eq!(stack, again, "one stack, also where it offers other protocols");
        let (one, two) = bytes[5..].split_at(100);
        let record = |part: &[u8]| [&[22, 3, 1][..], &u16::try_from(part.len()).unwrap().to_be_bytes(), part].concat();
        let cut = [record(one), record(two)].concat();
        assert_eq!(parse(&record(one)), None);
        assert!(matches!(parse(&cut), Some(Hello::Read { .. })));
    }

    #[test]
    fn a_hello_that_cannot_be_answered_is_told_apart() {
        let mut broken = hello(&[]);
        // The length of the session id, which is 32 at most.
        broken[43] = 255;
        assert!(matches!(parse(&broken), Some(Hello::Unreadable(_))), "{:?}", parse(&broken));
    }
}
