//! Listening, and what becomes of a new connection: limits, who may connect, and by which mode it came.

use super::client::Client;
use super::config::{Config, ConfigError, Mode};
use super::explicit;
use super::hello;
use super::host::split_authority;
use super::http::{self, Parsed};
use super::shared::Shared;
use super::socks::{self, Asked, Reply};
use super::tunnel::{self, Target};
use crate::model::IncidentKind;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Connections the kernel keeps until they are accepted.
const BACKLOG: i32 = 4_096;
/// Longest wait for a client to say what it wants.
const FIRST_WAIT: Duration = Duration::from_secs(15);
/// Pause after the system refused another connection (no descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Opens a listening socket.
pub(super) fn bind(address: SocketAddr, config: &Config) -> Result<TcpListener, ConfigError> {
    let open = || -> io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            // One address, one family; both are listened on where both are named.
            socket.set_only_v6(address.ip().to_canonical().is_ipv6() && !address.ip().is_unspecified())?;
        }
        #[cfg(target_os = "linux")]
        if config.has(Mode::Tproxy) {
            if address.is_ipv6() { socket.set_ip_transparent_v6(true)? } else { socket.set_ip_transparent_v4(true)? }
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    open().map_err(|source| ConfigError::Listen { address, source })
}

/// Connections at a time, in all and by client.
#[derive(Default)]
pub(super) struct Counts {
    all: AtomicUsize,
    by_client: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection that is counted until it is dropped.
struct Counted {
    counts: Arc<Counts>,
    client: IpAddr,
}

impl Counts {
    fn admit(self: &Arc<Self>, client: IpAddr, config: &Config) -> Result<Counted, &'static str> {
        if self.all.fetch_add(1, Ordering::Relaxed) >= config.connections_max {
            self.all.fetch_sub(1, Ordering::Relaxed);
            return Err("too many connections in all");
        }
        let mut by_client = self.by_client.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_client.entry(client).or_default();
        *count += 1;
        let counted = Counted { counts: Arc::clone(self), client };
        let over = *count > config.connections_per_client_max;
        drop(by_client);
        if over { Err("too many connections of one client") } else { Ok(counted) }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.counts.all.fetch_sub(1, Ordering::Relaxed);
        let mut by_client = self.counts.by_client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = by_client.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                by_client.remove(&self.client);
            }
        }
    }
}

/// Accepts connections for ever.
pub(super) async fn accept(shared: Arc<Shared>, listener: tokio::net::TcpListener, counts: Arc<Counts>) {
    let mut refused = false;
    loop {
        let (socket, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // It may be one client's fault or a lack that passes; either is told once.
                if !std::mem::replace(&mut refused, true) {
                    shared.incident(
                        IncidentKind::Refused,
                        "proxy",
                        None,
                        format!("cannot accept connections: {error}"),
                    );
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let client = peer.ip().to_canonical();
        let allowed = shared.config.allow.is_empty() || shared.config.allow.iter().any(|net| net.contains(&client));
        let counted = if allowed { counts.admit(client, &shared.config) } else { Err("not among those allowed") };
        match counted {
            Ok(counted) => {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    serve(&shared, socket, peer).await;
                    drop(counted);
                });
            }
            Err(why) => shared.incident(IncidentKind::Refused, &client.to_string(), None, why.to_owned()),
        }
    }
}

/// Serves one connection.
async fn serve(shared: &Arc<Shared>, socket: TcpStream, peer: SocketAddr) {
    // Small messages must not wait for the acknowledgement of earlier ones.
    let (Ok(()), Ok(local)) = (socket.set_nodelay(true), socket.local_addr()) else { return };
    let meant = original_destination(&shared.config, &socket, local);
    let (who, app) = shared.who(peer);
    let flow = shared.config.tap.then(|| {
        let mut flow = shared.tap.open(peer, meant.unwrap_or(local));
        flow.set_app(app, shared.config.app_of.as_ref());
        flow
    });
    let mut client = Client::new(socket, peer, who, Arc::clone(&shared.tap), flow);
    if let Some(meant) = meant {
        let target = Target { host: meant.ip().to_canonical().to_string(), port: meant.port() };
        return reach(shared, client, target).await;
    }
    match timeout(FIRST_WAIT, client.need(1)).await {
        Ok(Ok(())) => {}
        // It looked whether somebody is there.
        Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return,
        Ok(Err(error)) => {
            return client.tell(
                IncidentKind::ClientFailed,
                &peer.ip().to_string(),
                format!("client broke off: {error}"),
            );
        }
        Err(_) => {
            let text = format!("client sent nothing within {} s", FIRST_WAIT.as_secs());
            return client.tell(IncidentKind::ClientFailed, &peer.ip().to_string(), text);
        }
    }
    let config = &shared.config;
    let first = client.held[0];
    match first {
        5 if config.has(Mode::Socks5) => by_socks(shared, client).await,
        hello::HANDSHAKE_RECORD if config.has(Mode::Transparent) => by_hello(shared, client).await,
        _ if config.has(Mode::Transparent) && is_plain_request(&mut client).await => {
            by_host_header(shared, client).await
        }
        _ if config.has(Mode::Regular) => explicit::run(shared, client).await,
        byte => {
            let text = format!("client speaks none of the modes that are on (its first byte is {byte:#04x})");
            client.tell(IncidentKind::Refused, &peer.ip().to_string(), text);
        }
    }
}

/// Where a redirected connection was meant to go; none where the client meant us.
fn original_destination(config: &Config, socket: &TcpStream, local: SocketAddr) -> Option<SocketAddr> {
    if config.has(Mode::Tproxy) && !config.listen.iter().any(|own| own.port() == local.port()) {
        return Some(local);
    }
    if !config.has(Mode::Transparent) {
        return None;
    }
    let socket = SockRef::from(socket);
    let asked = if local.ip().to_canonical().is_ipv4() { socket.original_dst_v4() } else { socket.original_dst_v6() };
    // Without netfilter's help there is no answer: nothing was redirected here.
    let meant = asked.ok()?.as_socket()?;
    let same = meant.port() == local.port() && meant.ip().to_canonical() == local.ip().to_canonical();
    (!same).then_some(meant)
}

/// Connects to a target and relays; a client that knows of no proxy learns of a failure by a reset.
async fn reach(shared: &Arc<Shared>, client: Client, target: Target) {
    match Box::pin(shared.dialer.dial(&target.host, target.port)).await {
        Ok(origin) => tunnel::run(shared, client, target, origin).await,
        Err(error) => {
            client.tell(IncidentKind::OriginFailed, &target.host, format!("origin: {error}"));
            tunnel::reset(client);
        }
    }
}

async fn by_socks(shared: &Arc<Shared>, mut client: Client) {
    let peer = client.peer.ip().to_string();
    let asked = timeout(FIRST_WAIT, Box::pin(socks::ask(&mut client, shared.config.auth.as_ref()))).await;
    let (host, port) = match asked {
        Ok(Ok(Asked::Target(host, port))) => (host, port),
        Ok(Ok(Asked::Refused(why))) => return client.tell(IncidentKind::Refused, &peer, why.to_owned()),
        Ok(Err(error)) => {
            return client.tell(
                IncidentKind::ClientFailed,
                &peer,
                format!("client broke off its SOCKS request: {error}"),
            );
        }
        Err(_) => {
            return client.tell(IncidentKind::ClientFailed, &peer, "client stalled in its SOCKS request".to_owned());
        }
    };
    match Box::pin(shared.dialer.dial(&host, port)).await {
        Ok(origin) => {
            if socks::answer(&mut client, Reply::Succeeded).await.is_ok() {
                tunnel::run(shared, client, Target { host, port }, origin).await;
            }
        }
        Err(error) => {
            let kind = match Reply::from(&error) {
                Reply::NotAllowed => IncidentKind::Refused,
                _ => IncidentKind::OriginFailed,
            };
            client.tell(kind, &host, format!("origin: {error}"));
            // Whether it is read is the client's matter.
            let _: io::Result<()> = socks::answer(&mut client, Reply::from(&error)).await;
        }
    }
}

/// A TLS client that was led here by something that kept no record of where it wanted to go: its hello says the host.
async fn by_hello(shared: &Arc<Shared>, mut client: Client) {
    match timeout(FIRST_WAIT, Box::pin(hello::read(&mut client))).await {
        Ok(Ok(hello::Hello::Read { sni: Some(host), .. })) => {
            reach(shared, client, Target { host, port: 443 }).await;
        }
        _ => {
            let text = "TLS without a server name: where it was to go is not known".to_owned();
            client.tell(IncidentKind::Refused, &client.peer.ip().to_string(), text);
        }
    }
}

/// Whether a client sends a request as to a server, with a path for its target.
async fn is_plain_request(client: &mut Client) -> bool {
    let reading = async {
        loop {
            match http::request(&client.held) {
                Parsed::Whole(head) => return head.target.starts_with('/'),
                Parsed::Wrong(_) => return false,
                Parsed::More if matches!(client.fill().await, Ok(true)) => {}
                Parsed::More => return false,
            }
        }
    };
    timeout(FIRST_WAIT, reading).await.unwrap_or(false)
}

/// As [`by_hello`], for plain HTTP: its `Host` says the host. Requests to the proxy itself are answered.
async fn by_host_header(shared: &Arc<Shared>, client: Client) {
    let host = match http::request(&client.held) {
        Parsed::Whole(head) => head.host().map(str::to_owned),
        Parsed::More | Parsed::Wrong(_) => None,
    };
    let split = host.as_deref().and_then(|host| split_authority(host, Some(80)));
    match split {
        Some((host, port)) if !explicit::is_ours(shared, &host, port) => {
            reach(shared, client, Target { host, port }).await;
        }
        Some(_) | None => explicit::run(shared, client).await,
    }
}
