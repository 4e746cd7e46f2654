//! One stream: what came of its request and of its response so far.

use super::super::Digests;
use super::super::body::BodySink;
use super::grpc::{self, Message, Messages};
use super::{FieldSection, Role};
use crate::model::{Body, Headers, Protocol, Request, Response, Timestamp};
use std::sync::Arc;

/// Most bytes kept of a tunnel that is not open yet.
const EARLY_MAX: usize = 64 << 10;

/// How far a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing of it came.
    Awaited,
    /// It is on its way.
    Begun,
    /// It ended, or was given up.
    Done,
    /// There is none, or it was not captured.
    Absent,
}

/// One message of a stream.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) state: State,
    head: Option<FieldSection>,
    body: BodySink,
    /// Something of it is missing.
    broken: bool,
}

impl Side {
    fn new(keep: usize, digests: Digests) -> Self {
        Self { state: State::Awaited, head: None, body: BodySink::new(0, keep, digests), broken: false }
    }

    pub(super) const fn is_settled(&self) -> bool {
        matches!(self.state, State::Done | State::Absent)
    }

    /// Takes what was collected: the fields, and the body, whole if `complete`.
    fn take(&mut self) -> (FieldSection, Body) {
        let whole = self.head.is_some() && !self.broken;
        let mut head = self.head.take().unwrap_or_default();
        let (content_type, encodings) = head.take_content();
        let body = std::mem::take(&mut self.body).into_body(content_type, encodings, whole);
        (head, body)
    }
}

/// A request for a tunnel that is not answered yet.
#[derive(Debug)]
pub(super) struct Opening {
    /// `:protocol`.
    pub(super) protocol: Option<String>,
    /// What the client sent without waiting for the answer.
    pub(super) early: Vec<u8>,
}

/// A stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) index: u32,
    pub(super) ts: Timestamp,
    pub(super) protocol: Protocol,
    pub(super) request: Side,
    pub(super) response: Side,
    /// The request once it ended.
    asked: Option<Arc<Request>>,
    /// The request, or what is left of it, for the search; taken once.
    to_ask: Option<Arc<Request>>,
    /// The response if no other comes.
    interim: Option<Response>,
    /// The messages of a gRPC request, and how many fields were given with them.
    messages: Option<(Messages, usize)>,
    /// The request asks for a tunnel.
    pub(super) tunnel: Option<Opening>,
    /// What of [`Stream::kept`] the connection has counted.
    pub(super) counted: usize,
}

impl Stream {
    pub(super) fn new(index: u32, ts: Timestamp, protocol: Protocol, digests: Digests) -> Self {
        Self {
            index,
            ts,
            protocol,
            request: Side::new(Body::KEEP_MAX, digests),
            response: Side::new(Body::RESPONSE_KEEP_MAX, digests),
            asked: None,
            to_ask: None,
            interim: None,
            messages: None,
            tunnel: None,
            counted: 0,
        }
    }

    /// A stream whose request came another way.
    pub(super) fn adopted(
        index: u32,
        ts: Timestamp,
        protocol: Protocol,
        digests: Digests,
        request: Option<Arc<Request>>,
        response: Option<Response>,
    ) -> Self {
        let mut stream = Self::new(index, ts, protocol, digests);
        stream.request.state = State::Done;
        stream.asked = request;
        stream.interim = response;
        stream
    }

    fn side(&mut self, role: Role) -> &mut Side {
        match role {
            Role::Request => &mut self.request,
            Role::Response => &mut self.response,
        }
    }

    /// Something of a message came.
    pub(super) fn begin(&mut self, role: Role) {
        let side = self.side(role);
        if side.state == State::Awaited {
            side.state = State::Begun;
        }
    }

    /// Bytes of heads and bodies kept.
    pub(super) fn kept(&self) -> usize {
        let of_side = |side: &Side| side.head.as_ref().map_or(0, FieldSection::held) + side.body.kept();
        let asked = self.asked.as_ref().map_or(0, |request| request.kept());
        let partial = self.messages.as_ref().map_or(0, |(messages, _)| messages.kept());
        let early = self.tunnel.as_ref().map_or(0, |opening| opening.early.len());
        of_side(&self.request) + of_side(&self.response) + asked + partial + early
    }

    pub(super) fn fields(&mut self, role: Role, section: FieldSection) {
        let side = self.side(role);
        if side.state != State::Begun {
            return;
        }
        match &mut side.head {
            Some(head) => head.append(&section),
            head @ None => {
                // A body whose beginning was not captured has its length wrong.
                if side.body.kept() == 0 {
                    let keep = if role == Role::Request { Body::KEEP_MAX } else { Body::RESPONSE_KEEP_MAX };
                    side.body = BodySink::new(section.length_hint(), keep, side.body.digests());
                }
                let is_grpc = section.content_type().is_some_and(grpc::is_grpc);
                *head = Some(section);
                if is_grpc {
                    self.protocol = Protocol::Grpc;
                    if role == Role::Request && self.messages.is_none() {
                        self.messages = Some((Messages::default(), 0));
                    }
                }
                self.note_tunnel(role);
            }
        }
    }

    /// What follows the heads of a tunnel is no body (RFC 9113 §8.5).
    fn note_tunnel(&mut self, role: Role) {
        let Some(head) = self.side(role).head.as_ref() else { return };
        let (status, protocol) = (head.status, head.protocol.clone());
        match role {
            Role::Request if head.method.as_deref() == Some("CONNECT") => {
                self.tunnel = Some(Opening { protocol, early: Vec::new() });
                self.end(Role::Request);
            }
            Role::Response if self.tunnel.is_some() => match status {
                Some(200..=299) => self.end(Role::Response),
                Some(_) | None => self.tunnel = None,
            },
            Role::Request | Role::Response => {}
        }
    }

    /// Takes body bytes; gives the gRPC messages that became whole in a request.
    pub(super) fn data(&mut self, role: Role, bytes: &[u8]) -> Option<Vec<Request>> {
        if role == Role::Request
            && let Some(Opening { early, .. }) = &mut self.tunnel
        {
            let room = EARLY_MAX - early.len();
            early.extend_from_slice(&bytes[..bytes.len().min(room)]);
            return None;
        }
        let side = self.side(role);
        if side.state != State::Begun {
            return None;
        }
        side.body.push(bytes);
        if role == Role::Response {
            return None;
        }
        let (messages, _) = self.messages.as_mut()?;
        let mut whole = Vec::new();
        messages.feed(bytes, |message| whole.push(message));
        if whole.is_empty() {
            return None;
        }
        Some(whole.into_iter().map(|message| self.message(message)).collect())
    }

    /// A gRPC message as a request of its own; the fields that were not given yet come with it, else those alone that
    /// say how to read it.
    fn message(&mut self, message: Message) -> Request {
        let given = self.messages.as_mut().map_or(0, |(_, given)| std::mem::take(given));
        let Message { bytes, complete } = message;
        let (mut request, fields) = match &self.request.head {
            Some(head) => (request_of(head), &head.headers),
            None => return Request::default(),
        };
        let says_how = |name: &[u8]| name == b"content-type" || name == b"grpc-encoding";
        for (place, (name, value)) in fields.iter().enumerate() {
            if place >= given || says_how(name) {
                request.headers.push(name, value);
            }
        }
        if let Some((_, given)) = &mut self.messages {
            *given = fields.len();
        }
        let content_type = self.request.head.as_ref().and_then(|head| head.content_type().map(str::to_owned));
        request.body = Body { bytes: bytes.len() as u64, content_type, complete, data: bytes, ..Body::default() };
        request
    }

    pub(super) fn lost(&mut self, role: Role) {
        self.side(role).broken = true;
        if role == Role::Request
            && let Some((messages, _)) = &mut self.messages
        {
            messages.lost();
        }
    }

    /// The message ended as it should.
    pub(super) fn end(&mut self, role: Role) {
        let side = self.side(role);
        if side.state != State::Begun {
            return;
        }
        side.state = State::Done;
        if role == Role::Request {
            self.end_request();
        }
    }

    /// No more of the message comes.
    pub(super) fn cut(&mut self, role: Role) {
        let side = self.side(role);
        match side.state {
            State::Begun => {
                side.broken = true;
                self.end(role);
            }
            State::Awaited => side.state = State::Absent,
            State::Done | State::Absent => {}
        }
    }

    fn end_request(&mut self) {
        let given = self.messages.as_ref().map_or(0, |(_, given)| *given);
        let rest = self.messages.as_mut().and_then(|(messages, _)| messages.rest());
        let fields = self.request.head.as_ref().map_or(0, |head| head.headers.len());
        if given > 0 && (rest.is_some() || fields > given) {
            let rest = rest.unwrap_or(Message { bytes: Vec::new(), complete: true });
            self.to_ask = Some(Arc::new(self.message(rest)));
        }
        self.messages = None;
        let (head, body) = self.request.take();
        let request = Arc::new(whole_request(head, body));
        if given == 0 {
            self.to_ask = Some(Arc::clone(&request));
        }
        self.asked = Some(request);
    }

    /// Whether its request was given to be searched.
    pub(super) const fn is_asked(&self) -> bool {
        self.asked.is_some() && self.to_ask.is_none()
    }

    /// What is to be searched of a request that ended; once.
    pub(super) fn take_asked(&mut self) -> Option<Arc<Request>> {
        self.to_ask.take()
    }

    /// The request and the response as far as there are any.
    pub(super) fn into_messages(mut self) -> (Option<Arc<Request>>, Option<Response>) {
        let (head, body) = self.response.take();
        let response = match head.status {
            Some(status) => Some(Response { status, headers: head.headers, body }),
            None => self.interim,
        };
        (self.asked, response)
    }
}

/// The request that a head and a body make.
fn whole_request(mut head: FieldSection, body: Body) -> Request {
    let authority = head.take_authority();
    let method = head.method.take().unwrap_or_default();
    let target = target_of(head.path.take(), &method, authority.as_deref());
    Request { method, target, authority, headers: head.headers, body }
}

/// Method, target and authority of a request.
fn request_of(head: &FieldSection) -> Request {
    let authority = head.authority().map(str::to_owned);
    let method = head.method.clone().unwrap_or_default();
    let target = target_of(head.path.clone(), &method, authority.as_deref());
    Request { method, target, authority, headers: Headers::default(), body: Body::default() }
}

/// `:path`; a tunnel's target is its authority (RFC 9112 §3.2.3).
fn target_of(path: Option<Box<[u8]>>, method: &str, authority: Option<&str>) -> Box<[u8]> {
    match (path, authority) {
        (Some(path), _) => path,
        (None, Some(authority)) if method == "CONNECT" => authority.as_bytes().into(),
        (None, _) => Box::default(),
    }
}
