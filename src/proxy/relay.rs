//! The relay itself: bytes of each side to the other, opened and sealed on the way where both ends speak TLS with us,
//! otherwise untouched. It reads from one side only what the other has taken, so what it holds is bounded, and it passes
//! on ends (FIN, `close_notify`) and resets as they come.

use super::buffers::{self, Outgoing};
use super::handshake::Early;
use super::session::Session;
use super::tap::TapFlow;
use crate::model::Direction;
use socket2::SockRef;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// One side of a relay.
pub(super) struct End {
    pub(super) socket: TcpStream,
    pub(super) session: Option<Session>,
    /// The beginning of a record that is not whole yet.
    rest: Vec<u8>,
    pub(super) out: Outgoing,
    /// Nothing more can be read.
    read_ended: bool,
    /// The peer said that nothing more comes, if it speaks TLS.
    said_close: bool,
    /// The other side ended, so this one is to be told behind what still waits.
    end_wanted: bool,
    end_sent: bool,
    /// Plaintext bytes that came from here.
    pub(super) received: u64,
}

impl End {
    pub(super) fn new(socket: TcpStream, session: Option<Session>) -> Self {
        Self {
            socket,
            session,
            rest: Vec::new(),
            out: Outgoing::default(),
            read_ended: false,
            said_close: false,
            end_wanted: false,
            end_sent: false,
            received: 0,
        }
    }

    /// Keeps ciphertext that was read and not yet taken.
    pub(super) fn keep(&mut self, rest: &[u8]) {
        self.rest = rest.to_vec();
    }

    /// Writes what waits; pending while the peer does not take it.
    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let written = ready!(Pin::new(&mut self.socket).poll_write(context, self.out.bytes()))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.written(written);
        }
        Poll::Ready(Ok(()))
    }

    /// Writes all that waits.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|context| self.poll_flush(context)).await
    }
}

/// Why a relay ended otherwise than by both sides ending.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// The phone's side.
    #[error("{0}")]
    Client(io::Error),
    /// The origin's side.
    #[error("{0}")]
    Origin(io::Error),
    /// Nothing went either way for so long.
    #[error("nothing was sent either way for {} s", .0.as_secs())]
    Idle(Duration),
}

/// Both sides, client first.
pub(super) struct Relay {
    pub(super) ends: [End; 2],
    pub(super) flow: Option<TapFlow>,
    idle: Duration,
    last: Instant,
    /// Called when the client sends its first byte.
    used: Option<Box<dyn FnOnce() + Send>>,
}

const CLIENT: usize = 0;
const ORIGIN: usize = 1;

impl Relay {
    pub(super) fn new(client: End, origin: End, flow: Option<TapFlow>, idle: Duration) -> Self {
        Self { ends: [client, origin], flow, idle, last: Instant::now(), used: None }
    }

    /// Has something called when the client sends its first byte.
    pub(super) fn when_used(&mut self, used: impl FnOnce() + Send + 'static) {
        self.used = Some(Box::new(used));
    }

    /// Sends on what was read of the client before the relay began.
    pub(super) fn send_to_origin(&mut self, early: &Early) -> Result<(), Broken> {
        let [client, origin] = &mut self.ends;
        client.received += early.plain.len() as u64;
        if !early.plain.is_empty()
            && let Some(used) = self.used.take()
        {
            used();
        }
        begin_with(client, origin, early).map_err(|error| Broken::Origin(tls_error(error)))
    }

    /// Sends on what was read of the origin before the relay began.
    pub(super) fn send_to_client(&mut self, early: &Early) -> Result<(), Broken> {
        let [client, origin] = &mut self.ends;
        let mark = client.out.mark();
        origin.received += early.plain.len() as u64;
        let begun = begin_with(origin, client, early).map_err(|error| Broken::Client(tls_error(error)));
        if let Some(flow) = &mut self.flow {
            flow.data(Direction::ToClient, client.out.since(mark));
        }
        begun
    }

    /// Relays until both sides have ended.
    pub(super) async fn run(&mut self) -> Result<(), Broken> {
        let mut timer = std::pin::pin!(tokio::time::sleep(self.idle));
        let ended = poll_fn(|context| self.poll(context, timer.as_mut())).await;
        if let Err(broken) = &ended {
            // As much as goes at once.
            poll_fn(|context| {
                for end in &mut self.ends {
                    let _: Poll<io::Result<()>> = end.poll_flush(context);
                }
                Poll::Ready(())
            })
            .await;
            self.break_off(broken);
        }
        ended
    }

    fn poll(&mut self, context: &mut Context<'_>, mut timer: Pin<&mut Sleep>) -> Poll<Result<(), Broken>> {
        loop {
            let mut moved = false;
            for from in [CLIENT, ORIGIN] {
                moved |= self.pump(context, from)?;
            }
            if self.ends.iter().all(|end| end.read_ended && end.end_sent) {
                return Poll::Ready(Ok(()));
            }
            if moved {
                self.last = Instant::now();
                if self.ends[CLIENT].received > 0
                    && let Some(used) = self.used.take()
                {
                    used();
                }
                continue;
            }
            // The timer is set anew only when it fires: bytes then cost it nothing.
            while timer.as_mut().poll(context).is_ready() {
                let until = self.last + self.idle;
                if until <= Instant::now() {
                    return Poll::Ready(Err(Broken::Idle(self.idle)));
                }
                timer.as_mut().reset(until);
            }
            return Poll::Pending;
        }
    }

    /// Moves what is there from one side to the other; whether that was anything.
    fn pump(&mut self, context: &mut Context<'_>, from: usize) -> Result<bool, Broken> {
        let broken =
            |side: usize| move |error| if side == CLIENT { Broken::Client(error) } else { Broken::Origin(error) };
        let to = 1 - from;
        // What a session has to say itself (tickets, key updates) goes out before more is read from its peer.
        let free = self.ends[to].poll_flush(context).map_err(broken(to))?.is_ready()
            && self.ends[from].poll_flush(context).map_err(broken(from))?.is_ready();
        let mut moved = false;
        if free && !self.ends[from].read_ended {
            let mut input = buffers::take();
            let read = self.read(context, from, &mut input);
            buffers::give(input);
            moved = read?.is_ready();
            if moved && self.ends[to].poll_flush(context).map_err(broken(to))?.is_pending() {
                return Ok(true);
            }
        }
        let end = &mut self.ends[to];
        if end.end_wanted && !end.end_sent && end.out.is_empty() {
            match Pin::new(&mut end.socket).poll_shutdown(context) {
                Poll::Ready(Ok(())) => {}
                // It is gone already, which is what it would have been told.
                Poll::Ready(Err(_)) => {}
                Poll::Pending => return Ok(moved),
            }
            end.end_sent = true;
            moved = true;
            if to == CLIENT
                && let Some(flow) = &mut self.flow
            {
                flow.end(Direction::ToClient);
            }
        }
        Ok(moved)
    }

    /// Reads once from a side, and turns that into bytes for the other.
    fn read(&mut self, context: &mut Context<'_>, from: usize, input: &mut [u8]) -> Result<Poll<()>, Broken> {
        let Self { ends, flow, .. } = self;
        let [client, origin] = ends;
        let (source, sink) = if from == CLIENT { (client, origin) } else { (origin, client) };
        let failed = |error| if from == CLIENT { Broken::Client(error) } else { Broken::Origin(error) };
        let kept = source.rest.len();
        input[..kept].copy_from_slice(&source.rest);
        let mut buffer = ReadBuf::new(&mut input[kept..]);
        let read = match Pin::new(&mut source.socket).poll_read(context, &mut buffer) {
            Poll::Pending => return Ok(Poll::Pending),
            Poll::Ready(Err(error)) => return Err(failed(error)),
            Poll::Ready(Ok(())) => buffer.filled().len(),
        };
        let input = &mut input[..kept + read];
        if from == CLIENT
            && let Some(flow) = flow
        {
            flow.data(Direction::ToServer, &input[kept..]);
        }
        if read == 0 {
            source.read_ended = true;
            if from == CLIENT
                && let Some(flow) = flow
            {
                flow.end(Direction::ToServer);
            }
            // Without it the other side is told as this one told us: by the end of the connection alone.
            sink.end_wanted = true;
            return Ok(Poll::Ready(()));
        }
        let marks = (source.out.mark(), sink.out.mark());
        let Some(session) = &mut source.session else {
            source.received += input.len() as u64;
            seal(sink, input).map_err(|error| failed(tls_error(error)))?;
            tell(flow, from, source, sink, marks);
            return Ok(Poll::Ready(()));
        };
        let mut received = 0;
        let absorbed = session.absorb(input, &mut source.out, &mut |plain| {
            received += plain.len() as u64;
            seal(sink, plain)
        });
        source.received += received;
        let absorbed = match absorbed {
            Ok(absorbed) => absorbed,
            Err(error) => {
                tell(flow, from, source, sink, marks);
                return Err(failed(tls_error(error)));
            }
        };
        let rest = &input[absorbed.used..];
        // Behind a close nothing counts (RFC 8446 §6.1).
        if rest.is_empty() || absorbed.closed || source.said_close {
            source.rest = Vec::new();
        } else {
            source.rest.clear();
            source.rest.extend_from_slice(rest);
        }
        if absorbed.closed && !source.said_close {
            source.said_close = true;
            if let Some(session) = &mut sink.session {
                session.close(&mut sink.out).map_err(|error| failed(tls_error(error)))?;
            }
        }
        tell(flow, from, source, sink, marks);
        Ok(Poll::Ready(()))
    }

    /// Passes a reset on, and tells the tap.
    fn break_off(&mut self, broken: &Broken) {
        let is_tls = |error: &io::Error| error.kind() == io::ErrorKind::InvalidData;
        for (side, end) in self.ends.iter().enumerate() {
            // Whoever broke the rules of TLS is told so by an alert, which a reset would overtake.
            match broken {
                Broken::Client(error) if side == CLIENT && is_tls(error) => continue,
                Broken::Origin(error) if side == ORIGIN && is_tls(error) => continue,
                _ => {}
            }
            // Closing then sends a reset instead of an end (RFC 9293 §3.10.4).
            if let Err(error) = SockRef::from(&end.socket).set_linger(Some(Duration::ZERO)) {
                debug_assert!(false, "{error}");
            }
        }
        let direction = match broken {
            Broken::Client(_) => Direction::ToServer,
            Broken::Origin(_) | Broken::Idle(_) => Direction::ToClient,
        };
        if let Some(flow) = &mut self.flow {
            flow.reset(direction);
        }
    }
}

fn begin_with(source: &mut End, sink: &mut End, early: &Early) -> Result<(), rustls::Error> {
    seal(sink, &early.plain)?;
    source.said_close = early.closed;
    match &mut sink.session {
        Some(session) if early.closed => session.close(&mut sink.out),
        _ => Ok(()),
    }
}

/// Tells the tap what was added to the client's side.
fn tell(flow: &mut Option<TapFlow>, from: usize, source: &End, sink: &End, marks: (usize, usize)) {
    let Some(flow) = flow else { return };
    let added = if from == CLIENT { source.out.since(marks.0) } else { sink.out.since(marks.1) };
    flow.data(Direction::ToClient, added);
}

/// Appends plaintext to what a side is to be sent.
fn seal(end: &mut End, plain: &[u8]) -> Result<(), rustls::Error> {
    match &mut end.session {
        Some(session) => session.encrypt(plain, &mut end.out),
        None => {
            end.out.extend(plain);
            Ok(())
        }
    }
}

pub(super) fn tls_error(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
