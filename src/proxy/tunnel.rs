//! From a connection whose target is known to the relay: who speaks first, whether it is TLS, whether it is to be opened,
//! and the handshakes of both sides, the origin's first.

use super::buffers::Outgoing;
use super::client::Client;
use super::handshake::{self, Early, Failed};
use super::hello::{self, Hello};
use super::origin::Opening;
use super::pins::Why;
use super::relay::{Broken, End, Relay};
use super::session::Session;
use super::shared::Shared;
use crate::model::IncidentKind;
use rustls::server::UnbufferedServerConnection;
use rustls::{CertificateError, Error};
use socket2::SockRef;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// Longest wait for a hello that has begun, and for either handshake.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(15);
/// A client that ends a session it has used for nothing within this time of its handshake did not like what it saw.
const SECOND_THOUGHTS: Duration = Duration::from_secs(10);
/// A record with a fatal alert `access_denied` (RFC 8446 §6), for clients whose origin we do not trust.
const ACCESS_DENIED: [u8; 7] = [21, 3, 3, 0, 2, 2, 49];

/// What a client wants to reach.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
}

/// Relays a client to an origin that is connected.
pub(super) async fn run(shared: &Arc<Shared>, mut client: Client, target: Target, origin: TcpStream) {
    if client.held.is_empty() {
        let mut first = [0];
        tokio::select! {
            read = client.fill() => match read {
                Ok(_) => {}
                Err(error) => {
                    client.tell(IncidentKind::ClientFailed, &target.host, format!("client broke off: {error}"));
                    return;
                }
            },
            // The server speaks first, or ends.
            peeked = origin.peek(&mut first) => {
                if matches!(peeked, Ok(0) | Err(_)) {
                    let text = "origin ended the connection before anything was sent".to_owned();
                    client.tell(IncidentKind::OriginFailed, &target.host, text);
                }
            }
            () = tokio::time::sleep(shared.config.idle) => {
                let text = Broken::Idle(shared.config.idle).to_string();
                client.tell(IncidentKind::ClientFailed, &target.host, text);
                return;
            }
        }
    }
    if client.held.first() != Some(&hello::HANDSHAKE_RECORD) {
        return relay(shared, client, &target, origin).await;
    }
    let hello = match timeout(HANDSHAKE_WAIT, Box::pin(hello::read(&mut client))).await {
        Ok(Ok(hello)) => hello,
        Ok(Err(error)) => {
            client.tell(IncidentKind::ClientFailed, &target.host, format!("client broke off: {error}"));
            return;
        }
        // What begins like TLS and then waits may be something else, and its server's turn.
        Err(_) => Hello::NotTls,
    };
    match hello {
        Hello::Read { sni, alpn, stack } => {
            shared.attribute(&mut client, stack);
            let name = sni.clone().unwrap_or_else(|| target.host.clone());
            Opened { shared, target, name, sni: sni.is_some(), alpn }.run(client, origin).await;
        }
        Hello::Unreadable(why) => {
            client.tell(
                IncidentKind::NotIntercepted,
                &target.host,
                format!("passed through: client's TLS hello: {why}"),
            );
            relay(shared, client, &target, origin).await;
        }
        Hello::NotTls => relay(shared, client, &target, origin).await,
    }
}

/// Relays without opening anything.
async fn relay(shared: &Arc<Shared>, client: Client, target: &Target, origin: TcpStream) {
    Box::pin(finish(shared, client, &target.host, (origin, Vec::new()))).await;
}

/// A connection that speaks TLS.
struct Opened<'s> {
    shared: &'s Arc<Shared>,
    target: Target,
    /// What the origin is called: by the client, else as the target was given.
    name: String,
    sni: bool,
    alpn: Vec<Vec<u8>>,
}

impl Opened<'_> {
    async fn run(self, mut client: Client, origin: TcpStream) {
        let Self { shared, target, name, .. } = &self;
        if [name, &target.host].into_iter().any(|host| shared.config.passthrough.iter().any(|glob| glob.fits(host))) {
            client.tell(IncidentKind::PassedThrough, name, "passed through untouched, as told".to_owned());
            return relay(shared, client, target, origin).await;
        }
        match shared.pins.passed(&client.who, name) {
            Some(Why::Refused) => {
                let text = "pinned: passed through, since the client refused our certificate".to_owned();
                client.tell(IncidentKind::Pinned, name, text);
                return relay(shared, client, target, origin).await;
            }
            Some(Why::Incompatible) => {
                client.tell(IncidentKind::NotIntercepted, name, "passed through, as before".to_owned());
                return relay(shared, client, target, origin).await;
            }
            None => {}
        }
        let (origin, certificate, first) = match Box::pin(self.open_origin(&client, origin)).await {
            Ok(opened) => opened,
            Err(Refusal::Turned) => {
                // Nothing can be done for a client that is gone.
                let _: std::io::Result<()> = client.write(&ACCESS_DENIED).await;
                return;
            }
            Err(Refusal::Broken) => return reset(client),
            Err(Refusal::Incompatible(why)) => return Box::pin(self.pass_after_all(client, &why)).await,
        };
        let alpn = origin.session.as_ref().and_then(|session| session.common().alpn_protocol()).map(<[u8]>::to_vec);
        let leaf = match shared.authority.leaf(name, certificate.as_deref()) {
            Ok(leaf) => leaf,
            Err(error) => {
                drop(origin);
                return Box::pin(self.pass_after_all(client, &format!("no certificate can be made: {error}"))).await;
            }
        };
        let server = match UnbufferedServerConnection::new(shared.server_config(leaf, alpn)) {
            Ok(server) => server,
            Err(error) => return client.tell(IncidentKind::ClientFailed, name, format!("TLS: {error}")),
        };
        let mut session = Session::Server(Box::new(server));
        let mut hello = client.held.clone();
        let mut out = Outgoing::default();
        let absorbed = match session.absorb(&mut hello, &mut out, &mut |_| Ok(())) {
            Ok(absorbed) => absorbed,
            Err(error) => {
                drop(origin);
                return Box::pin(self.pass_after_all(client, &format!("client: {}", handshake::tls_words(&error))))
                    .await;
            }
        };
        let rest = hello.split_off(absorbed.used);
        self.answer(client, (session, out, rest), (origin, first)).await;
    }

    /// Completes the client's handshake, whose first answer is made, and relays.
    async fn answer(&self, client: Client, begun: (Session, Outgoing, Vec<u8>), origin: (End, Early)) {
        let Self { shared, name, .. } = self;
        let (session, out, rest) = begun;
        let Client { socket, flow, who, peer, .. } = client;
        let mut flow = flow;
        if let Some(flow) = &mut flow {
            flow.data(crate::model::Direction::ToClient, out.bytes());
        }
        let mut end = End::new(socket, Some(session));
        end.out = out;
        let done = timeout(HANDSHAKE_WAIT, Box::pin(handshake::complete(&mut end, rest, flow.as_mut()))).await;
        let connection = flow.as_ref().map(super::tap::TapFlow::addresses);
        let tell = |kind, text: String| shared.incident(kind, name, connection.or(Some((peer, peer))), text);
        let early = match done {
            Ok(Ok(early)) => early,
            Ok(Err(failed)) => {
                let trusted = shared.pins.is_trusted(&who, name);
                let refused = match &failed {
                    Failed::Alert(alert) => !trusted || handshake::is_about_certificate(*alert),
                    // It sent its hello and got our certificate: whatever it does now is about that.
                    Failed::Closed | Failed::Io(_) => !trusted,
                    Failed::Tls(_) => false,
                };
                match failed {
                    Failed::Alert(_) | Failed::Closed | Failed::Io(_) if refused => {
                        match failed {
                            Failed::Alert(_) => shared.pins.pass(who, name, Why::Refused),
                            _ => shared.pins.suspect(who, name),
                        }
                        tell(
                            IncidentKind::ClientRefused,
                            format!("client refused our certificate: {}", failed.words()),
                        );
                    }
                    Failed::Tls(ref error) => {
                        shared.pins.pass(who, name, Why::Incompatible);
                        tell(IncidentKind::NotIntercepted, format!("client: {}", handshake::tls_words(error)));
                    }
                    Failed::Alert(_) | Failed::Closed | Failed::Io(_) => {
                        tell(IncidentKind::ClientFailed, format!("client {}", failed.words()));
                    }
                }
                return;
            }
            Err(_) => return tell(IncidentKind::ClientFailed, "client stalled in the TLS handshake".to_owned()),
        };
        let began = Instant::now();
        let (origin, first) = origin;
        let mut relay = Relay::new(end, origin, flow, shared.config.idle);
        let (pins, trusting, host) = (Arc::clone(&shared.pins), who.clone(), name.clone());
        relay.when_used(move || pins.trust(trusting, &host));
        let ended = match relay.send_to_client(&first).and_then(|()| relay.send_to_origin(&early)) {
            Ok(()) => Box::pin(relay.run()).await,
            Err(broken) => Err(broken),
        };
        if relay.ends[0].received == 0
            && !matches!(ended, Err(Broken::Origin(_) | Broken::Idle(_)))
            && began.elapsed() < SECOND_THOUGHTS
            && !shared.pins.is_trusted(&who, name)
        {
            // Some check a pin only once the handshake is complete (OkHttp's CertificatePinner does).
            shared.pins.suspect(who, name);
            return tell(
                IncidentKind::ClientRefused,
                "client refused our certificate: ended the session without using it".to_owned(),
            );
        }
        tell_broken(ended, tell);
    }

    /// Opens the session with the origin; gives its certificate too.
    async fn open_origin(&self, client: &Client, origin: TcpStream) -> Result<(End, Option<Vec<u8>>, Early), Refusal> {
        let Self { shared, name, .. } = self;
        let nameless = !self.sni && name.parse::<IpAddr>().is_ok();
        let opening = if nameless {
            shared.origins.open_nameless(name, self.alpn.clone())
        } else {
            shared.origins.open(name, self.sni, self.alpn.clone())
        };
        let Opening { connection, overlooked } = match opening {
            Ok(opening) => opening,
            Err(error) => return Err(Refusal::Incompatible(handshake::tls_words(&error))),
        };
        let mut end = End::new(origin, Some(Session::Client(Box::new(connection))));
        let early = match timeout(HANDSHAKE_WAIT, handshake::complete(&mut end, Vec::new(), None)).await {
            Ok(Ok(early)) => early,
            Ok(Err(failed)) if failed.is_certificate() => {
                client.tell(IncidentKind::OriginUntrusted, name, format!("origin: {}", failed.words()));
                return Err(Refusal::Turned);
            }
            Ok(Err(failed @ (Failed::Alert(_) | Failed::Tls(_)))) => {
                return Err(Refusal::Incompatible(format!("origin {}", failed.words())));
            }
            Ok(Err(failed @ (Failed::Closed | Failed::Io(_)))) => {
                client.tell(IncidentKind::OriginFailed, name, format!("origin: {}", failed.words()));
                return Err(Refusal::Broken);
            }
            Err(_) => {
                let text = format!("origin: no TLS handshake within {} s", HANDSHAKE_WAIT.as_secs());
                client.tell(IncidentKind::OriginFailed, name, text);
                return Err(Refusal::Broken);
            }
        };
        let overlooked = overlooked.and_then(|seen| seen.lock().unwrap_or_else(PoisonError::into_inner).take());
        // The client believes every name we show it, so only a certificate that was verified may bring any.
        let is_verified = overlooked.is_none();
        match overlooked {
            None => {}
            Some(error) if nameless && !shared.origins.is_insecure(name) && !is_about_the_name(&error) => {
                client.tell(IncidentKind::OriginUntrusted, name, format!("origin: {}", handshake::tls_words(&error)));
                return Err(Refusal::Turned);
            }
            Some(error) => {
                let text = format!("origin not verified, as told: {}", handshake::tls_words(&error));
                let text = if nameless { "origin not verified: no name was asked for".to_owned() } else { text };
                client.tell(IncidentKind::OriginUnverified, name, text);
            }
        }
        let certificates = end.session.as_ref().and_then(|session| session.common().peer_certificates());
        let certificate =
            certificates.and_then(<[_]>::first).filter(|_| is_verified).map(|certificate| certificate.to_vec());
        Ok((end, certificate, early))
    }

    /// Passes a connection through that can't be opened: nothing has been said to the client yet.
    async fn pass_after_all(&self, client: Client, why: &str) {
        let Self { shared, target, name, .. } = self;
        shared.pins.pass(client.who.clone(), name, Why::Incompatible);
        client.tell(IncidentKind::NotIntercepted, name, format!("passed through: {why}"));
        match shared.dialer.dial(&target.host, target.port).await {
            Ok(origin) => relay(shared, client, target, origin).await,
            Err(error) => {
                client.tell(IncidentKind::OriginFailed, name, format!("origin: {error}"));
                reset(client);
            }
        }
    }
}

/// Why there is no session with an origin.
enum Refusal {
    /// We do not trust it.
    Turned,
    /// It is gone.
    Broken,
    /// It speaks a TLS that we do not.
    Incompatible(String),
}

fn is_about_the_name(error: &Error) -> bool {
    use CertificateError::{NotValidForName, NotValidForNameContext};
    matches!(error, Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }))
}

/// Relays plain bytes until both sides have ended. `origin` may have bytes to send first.
pub(super) async fn finish(shared: &Arc<Shared>, client: Client, name: &str, origin: (TcpStream, Vec<u8>)) {
    let Client { socket, held, flow, peer, .. } = client;
    let connection = flow.as_ref().map_or((peer, peer), super::tap::TapFlow::addresses);
    let (origin, first) = origin;
    let mut relay = Relay::new(End::new(socket, None), End::new(origin, None), flow, shared.config.idle);
    let plain = |plain| Early { plain, closed: false };
    let ended = match relay.send_to_client(&plain(first)).and_then(|()| relay.send_to_origin(&plain(held))) {
        Ok(()) => Box::pin(relay.run()).await,
        Err(broken) => Err(broken),
    };
    tell_broken(ended, |kind, text| shared.incident(kind, name, Some(connection), text));
}

fn tell_broken(ended: Result<(), Broken>, tell: impl Fn(IncidentKind, String)) {
    match ended {
        Ok(()) => {}
        Err(broken @ Broken::Client(_)) => tell(IncidentKind::ClientFailed, format!("client broke off: {broken}")),
        Err(broken @ Broken::Origin(_)) => tell(IncidentKind::OriginFailed, format!("origin broke off: {broken}")),
        Err(broken @ Broken::Idle(_)) => tell(IncidentKind::ClientFailed, broken.to_string()),
    }
}

/// Ends a client's connection as its origin ended ours.
pub(super) fn reset(mut client: Client) {
    if let Err(error) = SockRef::from(&client.socket).set_linger(Some(Duration::ZERO)) {
        debug_assert!(false, "{error}");
    }
    if let Some(flow) = &mut client.flow {
        flow.reset(crate::model::Direction::ToClient);
    }
}
