//! Plain requests in absolute form (RFC 9112 §3.2.2): each goes to the origin its target names, with the target in origin
//! form and all else as it was. One after another, each until its response ends; bodies are passed on as they come.

use super::client::Client;
use super::explicit::{answer_ourselves, ask_for_credentials, is_for_us, may_ask, read_head, refuse, turn_down};
use super::host::split_authority;
use super::http::{self, Framer, Parsed, RequestHead, ResponseHead};
use super::shared::Shared;
use super::tunnel;
use crate::model::IncidentKind;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Bytes read of an origin at a time.
const READ_SIZE: usize = 64 << 10;

/// Where requests go now.
struct Origin {
    authority: (String, u16),
    socket: TcpStream,
    /// Read, and not yet passed on: the beginning of a head.
    held: Vec<u8>,
}

/// How an exchange ended.
enum Ended {
    /// Both connections can be used again.
    Whole,
    /// Nothing more can follow.
    Last,
    /// The origin changed the protocol; what it sent behind that is held.
    Switched,
}

/// Serves requests until the client has enough; `head` is held.
pub(super) async fn run(shared: &Arc<Shared>, mut client: Client, head: RequestHead, wait: Duration) {
    let mut head = head;
    let mut origin: Option<Origin> = None;
    loop {
        if !may_ask(shared, &head) {
            return ask_for_credentials(&mut client).await;
        }
        if is_for_us(shared, &head) {
            return answer_ourselves(shared, &mut client, &head).await;
        }
        let Some((authority, path)) = head
            .absolute()
            .and_then(|(authority, path)| Some((split_authority(authority, Some(80))?, path.to_owned())))
        else {
            let why = "expected a target that begins with http:// and names a host";
            return turn_down(&mut client, "proxy", "400 Bad Request", why, IncidentKind::ClientFailed).await;
        };
        // A kept connection may have been ended meanwhile; a new one is not asked twice.
        let mut current = match origin.take().filter(|origin| origin.authority == authority && origin.is_alive()) {
            Some(kept) => kept,
            None => match shared.dialer.dial(&authority.0, authority.1).await {
                Ok(socket) => Origin { authority: authority.clone(), socket, held: Vec::new() },
                Err(error) => {
                    let shown = super::host::join_authority(&authority.0, authority.1);
                    return refuse(&mut client, &shown, &authority.0, &error).await;
                }
            },
        };
        let rewritten = head.in_origin_form(&client.held, &path);
        client.held.drain(..head.len);
        match exchange(&mut client, &mut current, (&head, &rewritten), shared.config.idle).await {
            Ok(Ended::Whole) => origin = Some(current),
            Ok(Ended::Last) => return,
            Ok(Ended::Switched) => {
                let Origin { authority, socket, held } = current;
                return tunnel::finish(shared, client, &authority.0, (socket, held)).await;
            }
            Err((Side::Client, error)) => {
                return client.tell(IncidentKind::ClientFailed, &authority.0, format!("client broke off: {error}"));
            }
            Err((Side::Origin, error)) => {
                client.tell(IncidentKind::OriginFailed, &authority.0, format!("origin broke off: {error}"));
                return;
            }
        }
        head = match read_head(&mut client, wait).await {
            Ok(Some(next)) => next,
            Ok(None) => return,
            // A client that falls silent between requests has enough.
            Err(_) if client.held.is_empty() => return,
            Err(why) => {
                return turn_down(&mut client, "proxy", "400 Bad Request", &why, IncidentKind::ClientFailed).await;
            }
        };
    }
}

impl Origin {
    /// Whether nothing has come that nobody asked for, such as the end.
    fn is_alive(&self) -> bool {
        let nothing = self.socket.try_read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        self.held.is_empty() && nothing
    }
}

#[derive(Debug, Clone, Copy)]
enum Side {
    Client,
    Origin,
}

type Broken = (Side, io::Error);

/// Passes one request, with its head as it came and as it goes on, and its response back, both as they come. Neither side
/// may be idle for longer than `idle`.
async fn exchange(
    client: &mut Client,
    origin: &mut Origin,
    head: (&RequestHead, &[u8]),
    idle: Duration,
) -> Result<Ended, Broken> {
    let on_origin = |error| (Side::Origin, error);
    let on_client = |error| (Side::Client, error);
    let (head, rewritten) = head;
    in_time(idle, origin.socket.write_all(rewritten)).await.map_err(on_origin)?;
    let mut body = head.body();
    // The request's own end, or that of what the client sends at all.
    let mut request_over = false;
    let mut response = Response { method: &head.method, state: State::Head, last: false };
    let mut buffer = vec![0; READ_SIZE];
    loop {
        if !request_over {
            let taken = match body.feed(&client.held) {
                Some(taken) => taken,
                None => return Err(on_client(io::Error::new(io::ErrorKind::InvalidData, "body in no valid chunks"))),
            };
            if taken > 0 {
                // An origin that has answered need not take the rest.
                in_time(idle, origin.socket.write_all(&client.held[..taken])).await.map_err(on_origin)?;
                client.held.drain(..taken);
            }
            request_over = body.is_done();
        }
        tokio::select! {
            read = client.fill(), if !request_over => {
                if !read.map_err(on_client)? {
                    request_over = true;
                    if !body.is_done() && body != Framer::UntilEnd {
                        return Err(on_client(io::ErrorKind::UnexpectedEof.into()));
                    }
                    origin.socket.shutdown().await.map_err(on_origin)?;
                }
            }
            read = origin.socket.read(&mut buffer) => {
                let read = read.map_err(on_origin)?;
                origin.held.extend_from_slice(&buffer[..read]);
                let passed = response.feed(&mut origin.held).map_err(on_origin)?;
                in_time(idle, client.write(&passed)).await.map_err(on_client)?;
                match response.state {
                    State::Switched => return Ok(Ended::Switched),
                    State::Over if response.last || !request_over => return Ok(Ended::Last),
                    State::Over => return Ok(Ended::Whole),
                    State::Body(Framer::UntilEnd) if read == 0 => return Ok(Ended::Last),
                    State::Head | State::Body(_) if read == 0 => {
                        return Err(on_origin(io::Error::new(io::ErrorKind::UnexpectedEof, "ended in the middle of a response")));
                    }
                    State::Head | State::Body(_) => {}
                }
            }
            () = tokio::time::sleep(idle) => return Err(on_origin(io::ErrorKind::TimedOut.into())),
        }
    }
}

/// What does not end in time has failed.
async fn in_time<T>(idle: Duration, action: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(idle, action).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// How far a response has come.
struct Response<'r> {
    method: &'r str,
    state: State,
    last: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Head,
    Body(Framer),
    Over,
    Switched,
}

impl Response<'_> {
    /// Takes what it can of `held` and gives it to be passed on.
    fn feed(&mut self, held: &mut Vec<u8>) -> io::Result<Vec<u8>> {
        let wrong = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
        let mut passed = Vec::new();
        loop {
            match &mut self.state {
                State::Head => match http::response(held, self.method) {
                    Parsed::More => return Ok(passed),
                    Parsed::Wrong(why) => return Err(wrong(why)),
                    Parsed::Whole(head) => {
                        passed.extend(held.drain(..head.len));
                        self.begin(&head);
                    }
                },
                State::Body(framer) => {
                    let taken = framer.feed(held).ok_or_else(|| wrong("body in no valid chunks"))?;
                    passed.extend(held.drain(..taken));
                    if !framer.is_done() {
                        return Ok(passed);
                    }
                    self.state = State::Over;
                }
                State::Over | State::Switched => return Ok(passed),
            }
        }
    }

    fn begin(&mut self, head: &ResponseHead) {
        self.state = match head.status {
            101 => State::Switched,
            // An interim response is followed by the real one.
            100..=199 => State::Head,
            _ => {
                self.last = head.last;
                State::Body(head.body())
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::{Response, State};

    #[test]
    fn interim_responses_come_before_the_real_one_and_what_follows_stays() {
        let mut response = Response { method: "POST", state: State::Head, last: false };
        let mut held = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1".to_vec();
        let passed = response.feed(&mut held).unwrap();
        assert!(passed.ends_with(b"\r\n\r\nok"), "{}", String::from_utf8_lossy(&passed));
        assert_eq!((response.state, held.as_slice()), (State::Over, &b"HTTP/1.1"[..]));
        let mut response = Response { method: "GET", state: State::Head, last: false };
        let mut held = b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x00".to_vec();
        response.feed(&mut held).unwrap();
        assert_eq!((response.state, held.as_slice()), (State::Switched, &b"\x81\x00"[..]));
    }
}
