//! The server's side of SOCKS5 (RFC 1928), with user name and password (RFC 1929). Only CONNECT is served.

use super::client::Client;
use super::config::Credentials;
use super::dial::DialError;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const VERSION: u8 = 5;
const NO_AUTH: u8 = 0;
const PASSWORD: u8 = 2;
const NONE_FITS: u8 = 0xff;
const CONNECT: u8 = 1;
const UDP_ASSOCIATE: u8 = 3;

/// `REP` of an answer (RFC 1928 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    Succeeded = 0,
    Failed = 1,
    NotAllowed = 2,
    HostUnreachable = 4,
    Refused = 5,
    Expired = 6,
    CommandNotSupported = 7,
    AddressNotSupported = 8,
}

/// The meaning of an answer.
pub(super) const fn reply_words(reply: u8) -> &'static str {
    match reply {
        0 => "succeeded",
        2 => "not allowed",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "TTL expired",
        7 => "command not supported",
        8 => "address type not supported",
        _ => "general failure",
    }
}

impl From<&DialError> for Reply {
    fn from(error: &DialError) -> Self {
        match error {
            DialError::Local(_) | DialError::Loop => Self::NotAllowed,
            DialError::Name(_) => Self::HostUnreachable,
            DialError::Timeout(_) => Self::Expired,
            DialError::Connect(error) if error.kind() == io::ErrorKind::ConnectionRefused => Self::Refused,
            DialError::Connect(_) => Self::HostUnreachable,
            DialError::Upstream(_) => Self::Failed,
        }
    }
}

/// What a client asked for.
#[derive(Debug)]
pub(super) enum Asked {
    /// A connection.
    Target(String, u16),
    /// Something else, or in a way that is not served; it has been told.
    Refused(&'static str),
}

/// Reads greeting, credentials and request.
///
/// # Errors
/// Where the client breaks off or speaks something else.
pub(super) async fn ask(client: &mut Client, auth: Option<&Credentials>) -> io::Result<Asked> {
    client.need(2).await?;
    let methods = usize::from(client.held[1]);
    client.need(2 + methods).await?;
    let offered: Vec<u8> = client.held.drain(..2 + methods).skip(2).collect();
    let method = if auth.is_some() { PASSWORD } else { NO_AUTH };
    if !offered.contains(&method) {
        client.write(&[VERSION, NONE_FITS]).await?;
        return Ok(Asked::Refused("SOCKS: no user name and password offered"));
    }
    client.write(&[VERSION, method]).await?;
    if let Some(credentials) = auth {
        client.need(2).await?;
        let user_len = usize::from(client.held[1]);
        client.need(3 + user_len).await?;
        let password_len = usize::from(client.held[2 + user_len]);
        client.need(3 + user_len + password_len).await?;
        let login: Vec<u8> = client.held.drain(..3 + user_len + password_len).collect();
        let (user, password) = (&login[2..2 + user_len], &login[3 + user_len..]);
        let fits = same(user, credentials.user.as_bytes()) & same(password, credentials.password.as_bytes());
        client.write(&[1, u8::from(!fits)]).await?;
        if !fits {
            return Ok(Asked::Refused("SOCKS: wrong user name or password"));
        }
    }
    client.need(5).await?;
    let (version, command, kind) = (client.held[0], client.held[1], client.held[3]);
    if version != VERSION {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no SOCKS5 request"));
    }
    let address_len = match kind {
        1 => 4,
        3 => 1 + usize::from(client.held[4]),
        4 => 16,
        _ => {
            answer(client, Reply::AddressNotSupported).await?;
            return Ok(Asked::Refused("SOCKS: unknown type of address"));
        }
    };
    client.need(4 + address_len + 2).await?;
    let request: Vec<u8> = client.held.drain(..4 + address_len + 2).skip(4).collect();
    let (address, port) = request.split_at(address_len);
    let port = u16::from_be_bytes([port[0], port[1]]);
    if command != CONNECT {
        answer(client, Reply::CommandNotSupported).await?;
        return Ok(Asked::Refused(match command {
            UDP_ASSOCIATE => "SOCKS: UDP is not proxied",
            _ => "SOCKS: only CONNECT is served",
        }));
    }
    let host = match (kind, address) {
        (1, &[a, b, c, d]) => Ipv4Addr::new(a, b, c, d).to_string(),
        (4, address) => match <[u8; 16]>::try_from(address) {
            Ok(octets) => IpAddr::V6(Ipv6Addr::from(octets)).to_canonical().to_string(),
            Err(_) => String::new(),
        },
        (_, name) => String::from_utf8_lossy(&name[1..]).into_owned(),
    };
    // Some clients send addresses as names.
    let fits = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic() || byte >= 0x80);
    if !fits {
        answer(client, Reply::AddressNotSupported).await?;
        return Ok(Asked::Refused("SOCKS: no name of a host"));
    }
    Ok(Asked::Target(host, port))
}

/// Answers a request.
pub(super) async fn answer(client: &mut Client, reply: Reply) -> io::Result<()> {
    // Which address we use towards the origin is nobody's business.
    client.write(&[VERSION, reply as u8, 0, 1, 0, 0, 0, 0, 0, 0]).await
}

/// Compares without telling by its time where they differ.
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}
