//! Clients that know the proxy as an HTTP proxy: tunnels (CONNECT), plain requests in absolute form, and the page for
//! those that only look.

use super::client::Client;
use super::config::Credentials;
use super::dial::DialError;
use super::forward;
use super::host::{join_authority, split_authority};
use super::http::{self, Parsed, RequestHead};
use super::portal::{self, PortalRequest};
use super::shared::Shared;
use super::socks::same;
use super::tunnel::{self, Target};
use crate::model::IncidentKind;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

/// The name under which the proxy itself answers.
pub const PORTAL_HOST: &str = "divulge.internal";
/// Longest wait for the head of a request that has begun.
const HEAD_WAIT: Duration = Duration::from_secs(15);
/// How much, and how long, is read of a client that has got its last answer.
const DRAIN_MAX: usize = 1 << 20;
const DRAIN_WAIT: Duration = Duration::from_secs(2);
/// A client that asks nothing more is let go after this long.
const NEXT_WAIT: Duration = Duration::from_secs(300);

/// Serves a client until it asks for a tunnel or has enough.
pub(super) async fn run(shared: &Arc<Shared>, mut client: Client) {
    let head = match Box::pin(read_head(&mut client, HEAD_WAIT)).await {
        Ok(Some(head)) => head,
        Ok(None) => return,
        Err(why) => return turn_down(&mut client, "proxy", "400 Bad Request", &why, IncidentKind::ClientFailed).await,
    };
    if !may_ask(shared, &head) {
        return ask_for_credentials(&mut client).await;
    }
    if head.method == "CONNECT" {
        return connect(shared, client, &head).await;
    }
    if is_for_us(shared, &head) {
        return Box::pin(answer_ourselves(shared, &mut client, &head)).await;
    }
    if head.absolute().is_none() {
        let why = "expected CONNECT or a target that begins with http://";
        return turn_down(&mut client, "proxy", "400 Bad Request", why, IncidentKind::ClientFailed).await;
    }
    Box::pin(forward::run(shared, client, head, NEXT_WAIT)).await;
}

/// Whether a request needs no credentials, or has the right ones.
pub(super) fn may_ask(shared: &Shared, head: &RequestHead) -> bool {
    let authorized = |credentials| is_authorized(head, credentials);
    shared.config.auth.as_ref().is_none_or(authorized) || is_for_us(shared, head)
}

/// Tells a client that it has to say who it is.
pub(super) async fn ask_for_credentials(client: &mut Client) {
    let text = "wrong or no proxy credentials";
    client.tell(IncidentKind::Refused, &client.peer.ip().to_string(), text.to_owned());
    let body = "divulge: this proxy wants a user name and a password\n";
    let answer = format!(
        "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"divulge\"\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    say_last(client, answer.as_bytes()).await;
}

/// Reads the head of a request; it stays held. None at the end of what the client sends.
pub(super) async fn read_head(client: &mut Client, wait: Duration) -> Result<Option<RequestHead>, String> {
    let reading = async {
        loop {
            match http::request(&client.held) {
                Parsed::Whole(head) => return Ok(Some(head)),
                Parsed::Wrong(why) => return Err(why.to_owned()),
                Parsed::More => {}
            }
            match client.fill().await {
                Ok(true) => {}
                Ok(false) if client.held.is_empty() => return Ok(None),
                Ok(false) => return Err("the request ended in its head".to_owned()),
                Err(error) => return Err(error.to_string()),
            }
        }
    };
    match timeout(wait, reading).await {
        Ok(read) => read,
        Err(_) => Err(format!("no whole request within {} s", wait.as_secs())),
    }
}

/// Whether a request is for the proxy itself: by its reserved name, or because it was sent to it as to a server.
pub(super) fn is_for_us(shared: &Shared, head: &RequestHead) -> bool {
    match head.absolute() {
        Some((authority, _)) => {
            let split = split_authority(authority, Some(80));
            split.is_some_and(|(host, port)| host.eq_ignore_ascii_case(PORTAL_HOST) && port == 80)
        }
        None => {
            let host = head.host().and_then(|host| split_authority(host, Some(80)));
            head.target.starts_with('/') && host.is_some_and(|(host, port)| is_ours(shared, &host, port))
        }
    }
}

/// Whether a host and port name the proxy itself.
pub(super) fn is_ours(shared: &Shared, host: &str, port: u16) -> bool {
    let listens = || shared.config.listen.iter().any(|at| at.port() == port);
    host.eq_ignore_ascii_case(PORTAL_HOST)
        || ((host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok()) && listens())
}

fn is_authorized(head: &RequestHead, credentials: &Credentials) -> bool {
    let Some((scheme, token)) = head.authorization().and_then(|value| value.split_once(' ')) else { return false };
    let expected = STANDARD.encode(format!("{}:{}", credentials.user, credentials.password));
    scheme.eq_ignore_ascii_case("basic") && same(token.trim().as_bytes(), expected.as_bytes())
}

pub(super) async fn answer_ourselves(shared: &Shared, client: &mut Client, head: &RequestHead) {
    let target = head.absolute().map_or(head.target.as_str(), |(_, path)| path);
    let request = PortalRequest { method: &head.method, target, accept_language: head.accept_language() };
    let address = client.socket.local_addr().ok();
    let answer = portal::answer(&shared.authority, &request, address);
    say_last(client, &answer).await;
}

async fn connect(shared: &Arc<Shared>, mut client: Client, head: &RequestHead) {
    let Some((host, port)) = split_authority(&head.target, None) else {
        let why = "CONNECT wants host:port";
        return turn_down(&mut client, "proxy", "400 Bad Request", why, IncidentKind::ClientFailed).await;
    };
    client.held.drain(..head.len);
    if host.eq_ignore_ascii_case(PORTAL_HOST) {
        let why = "the set-up page is at http://divulge.internal/, without TLS";
        return turn_down(&mut client, &host, "403 Forbidden", why, IncidentKind::Refused).await;
    }
    match Box::pin(shared.dialer.dial(&host, port)).await {
        Ok(origin) => {
            if client.write(b"HTTP/1.1 200 Connection established\r\n\r\n").await.is_ok() {
                tunnel::run(shared, client, Target { host, port }, origin).await;
            }
        }
        Err(error) => refuse(&mut client, &join_authority(&host, port), &host, &error).await,
    }
}

/// Tells a client that, and why, its origin was not reached.
pub(super) async fn refuse(client: &mut Client, authority: &str, host: &str, error: &DialError) {
    let (status, kind) = match error {
        DialError::Local(_) | DialError::Loop => ("403 Forbidden", IncidentKind::Refused),
        DialError::Timeout(_) => ("504 Gateway Timeout", IncidentKind::OriginFailed),
        DialError::Name(_) | DialError::Connect(_) | DialError::Upstream(_) => {
            ("502 Bad Gateway", IncidentKind::OriginFailed)
        }
    };
    client.tell(kind, host, format!("origin: {error}"));
    say(client, status, &format!("{authority}: {error}")).await;
}

/// Answers with an error and tells of it.
pub(super) async fn turn_down(client: &mut Client, host: &str, status: &str, why: &str, kind: IncidentKind) {
    client.tell(kind, host, why.to_owned());
    say(client, status, why).await;
}

async fn say(client: &mut Client, status: &str, why: &str) {
    let body = format!("divulge: {why}\n");
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    say_last(client, answer.as_bytes()).await;
}

/// Sends a last answer, and reads on for a while: closing on bytes that were not read would reset the connection before
/// the answer is (RFC 9112 §9.6).
async fn say_last(client: &mut Client, answer: &[u8]) {
    if client.write(answer).await.is_err() || client.socket.shutdown().await.is_err() {
        return;
    }
    let drained = async {
        let mut left = DRAIN_MAX;
        while left > 0 {
            client.held.clear();
            match client.fill().await {
                Ok(true) => left = left.saturating_sub(client.held.len()),
                Ok(false) | Err(_) => return,
            }
        }
    };
    // Whoever sends longer than that does not listen.
    let _: Result<(), tokio::time::error::Elapsed> = timeout(DRAIN_WAIT, drained).await;
}
