//! Connections to origins: names to addresses, other proxies on the way, and which places must not be reached.

use super::config::{Config, Credentials, Upstream, UpstreamKind};
use super::host::join_authority;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// Longest wait for one address to answer, and for the answers of a proxy on the way.
const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// Longest wait for a name to be resolved.
const RESOLVE_WAIT: Duration = Duration::from_secs(10);
/// After this long the next address is tried beside the one that does not answer (RFC 8305 §5).
const STAGGER: Duration = Duration::from_millis(250);
/// Most addresses of a name that are tried.
const ADDRESSES_MAX: usize = 8;
/// Most bytes of another proxy's answer.
const ANSWER_MAX: usize = 16 << 10;

/// Why an origin was not reached.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    /// It is a place that must not be reached.
    #[error("{0} is this machine itself or link-local: not reached through the proxy without --allow-local")]
    Local(IpAddr),
    /// It would be ourselves.
    #[error("leads back to the proxy itself")]
    Loop,
    /// No address.
    #[error("name not found: {0}")]
    Name(io::Error),
    /// No answer.
    #[error("no answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// Refused, unreachable, broken off.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// A proxy on the way did not do as it was asked.
    #[error("upstream proxy: {0}")]
    Upstream(String),
}

/// Reaches origins.
pub(super) struct Dialer {
    allow_local: bool,
    upstream: Option<Upstream>,
    resolve: Vec<(String, IpAddr)>,
    mark: Option<u32>,
    own: Vec<SocketAddr>,
}

impl Dialer {
    /// `own` are the addresses the proxy listens on.
    pub(super) fn new(config: &Config, own: Vec<SocketAddr>) -> Self {
        Self {
            allow_local: config.allow_local,
            upstream: config.upstream.clone(),
            resolve: config.resolve.clone(),
            mark: config.mark,
            own,
        }
    }

    /// Connects to a host, by name or address.
    pub(super) async fn dial(&self, host: &str, port: u16) -> Result<TcpStream, DialError> {
        let known = self.resolve.iter().find(|(name, _)| name.eq_ignore_ascii_case(host.trim_end_matches('.')));
        let literal = host.parse::<IpAddr>().ok().or(known.map(|&(_, address)| address));
        let Some(upstream) = &self.upstream else {
            let addresses = match literal {
                Some(address) => vec![SocketAddr::new(address, port)],
                None => look_up(host, port).await?,
            };
            let allowed = self.allowed(addresses)?;
            return self.connect(&allowed).await;
        };
        if let Some(address) = literal {
            self.allowed(vec![SocketAddr::new(address, port)])?;
        }
        let addresses = match upstream.host.parse() {
            Ok(address) => vec![SocketAddr::new(address, upstream.port)],
            Err(_) => look_up(&upstream.host, upstream.port).await?,
        };
        let mut stream = self.connect(&addresses).await?;
        let target = literal.map_or_else(|| host.to_owned(), |address| address.to_string());
        let asked = async {
            match upstream.kind {
                UpstreamKind::Http => ask_http(&mut stream, upstream.credentials.as_ref(), &target, port).await,
                UpstreamKind::Socks5 => ask_socks(&mut stream, upstream.credentials.as_ref(), &target, port).await,
            }
        };
        match timeout(CONNECT_WAIT, asked).await {
            Ok(Ok(())) => Ok(stream),
            Ok(Err(reason)) => Err(DialError::Upstream(reason)),
            Err(_) => Err(DialError::Timeout(CONNECT_WAIT)),
        }
    }

    /// Drops the addresses that must not be reached; an error where none is left.
    fn allowed(&self, addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, DialError> {
        let mut refused = None;
        let mut allowed = Vec::new();
        for address in addresses {
            if self.is_own(address) {
                refused = Some(DialError::Loop);
            } else if !self.allow_local && is_local(address.ip()) {
                refused = Some(DialError::Local(address.ip()));
            } else if allowed.len() < ADDRESSES_MAX {
                allowed.push(address);
            }
        }
        match refused {
            Some(error) if allowed.is_empty() => Err(error),
            Some(_) | None => Ok(allowed),
        }
    }

    fn is_own(&self, address: SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        self.own.iter().any(|own| {
            let at = own.ip().to_canonical();
            own.port() == address.port()
                && (at == ip || (at.is_unspecified() && (ip.is_loopback() || ip.is_unspecified())))
        })
    }

    /// Connects to the first of the addresses that answers.
    async fn connect(&self, addresses: &[SocketAddr]) -> Result<TcpStream, DialError> {
        let mut failed = None;
        let mut trying = Vec::new();
        let mut rest = addresses.iter();
        let deadline = tokio::time::Instant::now() + CONNECT_WAIT;
        loop {
            if let Some(&address) = rest.next() {
                trying.push(Box::pin(self.connect_one(address)));
            } else if trying.is_empty() {
                let error = failed.unwrap_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable));
                return Err(DialError::Connect(error));
            }
            let until = if rest.len() > 0 { tokio::time::Instant::now() + STAGGER } else { deadline };
            let next = std::future::poll_fn(|context| {
                for at in 0..trying.len() {
                    if let std::task::Poll::Ready(done) = trying[at].as_mut().poll(context) {
                        drop(trying.swap_remove(at));
                        return std::task::Poll::Ready(done);
                    }
                }
                std::task::Poll::Pending
            });
            match tokio::time::timeout_at(until.min(deadline), next).await {
                Ok(Ok(stream)) => return Ok(stream),
                // The next address need not wait for one that refused.
                Ok(Err(error)) => failed = Some(error),
                Err(_) if tokio::time::Instant::now() >= deadline => return Err(DialError::Timeout(CONNECT_WAIT)),
                Err(_) => {}
            }
        }
    }

    async fn connect_one(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        #[cfg(target_os = "linux")]
        if let Some(mark) = self.mark {
            socket2::SockRef::from(&socket).set_mark(mark)?;
        }
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

async fn look_up(host: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
    match timeout(RESOLVE_WAIT, tokio::net::lookup_host((host, port))).await {
        Ok(Ok(addresses)) => {
            let addresses: Vec<_> = addresses.collect();
            if addresses.is_empty() {
                return Err(DialError::Name(io::Error::other("no address")));
            }
            Ok(addresses)
        }
        Ok(Err(error)) => Err(DialError::Name(error)),
        Err(_) => Err(DialError::Timeout(RESOLVE_WAIT)),
    }
}

/// Whether an address is this machine's own, or one whose services trust whoever is near: link-local ones, of which the
/// metadata services of clouds are some, and their cousins elsewhere.
fn is_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            v4.is_loopback()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.octets()[0] == 0
                || v4.is_broadcast()
                || v4.is_multicast()
                || v4 == Ipv4Addr::new(100, 100, 100, 200)
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_unicast_link_local()
                || v6.is_multicast()
                || v6 == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)
                // What a translator makes of an IPv4 address (RFC 6052).
                || (v6.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0] && {
                    let [.., a, b, c, d] = v6.octets();
                    is_local(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
                })
        }
    }
}

/// Asks an HTTP proxy for a tunnel (RFC 9110 §9.3.6).
async fn ask_http(
    stream: &mut TcpStream,
    credentials: Option<&Credentials>,
    host: &str,
    port: u16,
) -> Result<(), String> {
    let authority = join_authority(host, port);
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
    if let Some(Credentials { user, password }) = credentials {
        request.push_str(&format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(format!("{user}:{password}"))));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    // Byte by byte: what follows the head belongs to the tunnel.
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= ANSWER_MAX {
            return Err("answer too long".to_owned());
        }
        answer.push(stream.read_u8().await.map_err(|error| error.to_string())?);
    }
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    response.parse(&answer).map_err(|error| error.to_string())?;
    match response.code {
        Some(200..=299) => Ok(()),
        code => Err(format!("answered {} {}", code.unwrap_or(0), response.reason.unwrap_or_default())),
    }
}

/// Asks a SOCKS5 proxy for a connection (RFC 1928, RFC 1929).
async fn ask_socks(
    stream: &mut TcpStream,
    credentials: Option<&Credentials>,
    host: &str,
    port: u16,
) -> Result<(), String> {
    let io = |error: io::Error| error.to_string();
    let greeting: &[u8] = if credentials.is_some() { &[5, 2, 0, 2] } else { &[5, 1, 0] };
    stream.write_all(greeting).await.map_err(io)?;
    let mut answer = [0; 2];
    stream.read_exact(&mut answer).await.map_err(io)?;
    match (answer, credentials) {
        ([5, 0], _) => {}
        ([5, 2], Some(Credentials { user, password })) => {
            let length = |part: &str| u8::try_from(part.len()).map_err(|_| "credentials too long".to_owned());
            let mut login = vec![1, length(user)?];
            login.extend_from_slice(user.as_bytes());
            login.push(length(password)?);
            login.extend_from_slice(password.as_bytes());
            stream.write_all(&login).await.map_err(io)?;
            stream.read_exact(&mut answer).await.map_err(io)?;
            if answer[1] != 0 {
                return Err("turned down the credentials".to_owned());
            }
        }
        _ => return Err("wants another way to log in".to_owned()),
    }
    let mut request = vec![5, 1, 0];
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(v4)) => {
            request.push(1);
            request.extend_from_slice(&v4.octets());
        }
        Ok(IpAddr::V6(v6)) => {
            request.push(4);
            request.extend_from_slice(&v6.octets());
        }
        Err(_) => {
            request.extend_from_slice(&[3, u8::try_from(host.len()).map_err(|_| "name too long".to_owned())?]);
            request.extend_from_slice(host.as_bytes());
        }
    }
    request.extend_from_slice(&port.to_be_bytes());
    stream.write_all(&request).await.map_err(io)?;
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.map_err(io)?;
    if head[1] != 0 {
        return Err(format!("answered {}", super::socks::reply_words(head[1])));
    }
    let rest = match head[3] {
        1 => 4,
        4 => 16,
        3 => usize::from(stream.read_u8().await.map_err(io)?),
        other => return Err(format!("answered with an address of type {other}")),
    };
    let mut bound = [0; 257];
    stream.read_exact(&mut bound[..rest + 2]).await.map_err(io)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn this_machine_and_metadata_services_are_local_in_every_spelling() {
        for local in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "0.0.0.0",
            "::",
            "169.254.169.254",
            "fe80::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "100.100.100.200",
            "fd00:ec2::254",
            "0.1.2.3",
            "224.0.0.1",
        ] {
            assert!(is_local(local.parse().unwrap()), "{local}");
        }
        for other in ["10.0.0.1", "192.168.1.1", "203.0.113.9", "2001:db8::1", "64:ff9b::cb00:7109"] {
            assert!(!is_local(other.parse().unwrap()), "{other}");
        }
    }
}
