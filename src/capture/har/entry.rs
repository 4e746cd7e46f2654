//! One entry of a HAR log → the exchange it tells of, and one for each WebSocket message that followed it. Generous in
//! what it takes: a member that is missing or of another kind leaves out what it would say, never the entry.

use super::body::{self, Content, of_params, text_of, undo_base64};
use super::json::Node;
use super::url::{self, Url};
use crate::model::{
    App, Body, Exchange, ExchangeId, FlowId, Headers, Protocol, ReadyExchange, Request, Response, Timestamp, TlsInfo,
    host_of_authority,
};
use std::net::SocketAddr;
use std::sync::Arc;

/// Most fields of one header.
const FIELDS_MAX: usize = 20_000;

/// Names under which exporters list the messages of a WebSocket.
const MESSAGES: &[&str] = &[
    "_webSocketMessages",
    "webSocketMessages",
    "_websocketMessages",
    "_webSocketFrames",
    "webSocketFrames",
    "_websocket_messages",
];

/// Why an entry tells of no traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsent {
    /// The browser answered it itself, or refused it.
    Local,
    /// It is no entry.
    NoEntry,
}

/// What all exchanges of an entry share.
struct Common {
    connection: Arc<str>,
    client: SocketAddr,
    server: SocketAddr,
    app: Option<Arc<App>>,
    tls: Option<Arc<TlsInfo>>,
}

impl Common {
    fn exchange(&self, ts: Timestamp, protocol: Protocol, request: Request, response: Option<Response>) -> Exchange {
        Exchange {
            id: ExchangeId { flow: FlowId(0), index: 0 },
            ts,
            protocol,
            client: self.client,
            server: self.server,
            app: self.app.clone(),
            tls: self.tls.clone(),
            request: Some(Arc::new(request)),
            response,
        }
    }

    fn ready(&self, exchange: Exchange, missing: u64, odd: Vec<&'static str>) -> ReadyExchange {
        ReadyExchange { connection: Arc::clone(&self.connection), exchange, missing, odd }
    }
}

/// The exchanges of an entry, in order. `file` tells connections of different inputs apart.
pub(super) fn exchanges(
    entry: &Node<'_>,
    file: &str,
    ts: Timestamp,
    found: &mut Vec<ReadyExchange>,
) -> Result<(), Unsent> {
    let request = entry.get("request").ok_or(Unsent::NoEntry)?;
    let raw_url = request.get("url").and_then(Node::bytes).unwrap_or_default();
    let url = Url::parse(&raw_url);
    if !url.is_network() || was_local(entry) {
        return Err(Unsent::Local);
    }
    let (asked, missing, odd) = read_request(request, &url);
    let protocol = protocol_of(entry, &asked);
    let common = common(entry, file, &url, protocol, &asked);
    let response = entry.get("response").and_then(|response| read_response(response, &asked.method));
    let is = |node: &Node<'_>, name: &str| matches!(node.get(name), Some(Node::Word(b"true")));
    let place = Request { target: asked.target.clone(), authority: asked.authority.clone(), ..Request::default() };
    if !is(entry, "_webSocketOnly") {
        let mut exchange = common.exchange(ts, protocol, asked, response);
        if is(request, "_missing") {
            exchange.request = None;
        }
        found.push(common.ready(exchange, missing, odd));
    }
    let messages = MESSAGES.iter().find_map(|name| entry.get(name)).map(Node::elements).unwrap_or_default();
    found.extend(messages.iter().filter_map(|node| message(node, &common, &place, ts)));
    Ok(())
}

/// Whether the request never left the browser: answered from a cache, or by a service worker (whose own request is
/// another entry), or blocked.
fn was_local(entry: &Node<'_>) -> bool {
    let cached = entry.text_of("_fromCache").is_some_and(|cache| matches!(cache.as_str(), "memory" | "disk"));
    let is_true = |node: Option<&Node<'_>>| matches!(node, Some(Node::Word(b"true")));
    let error = |node: Option<&Node<'_>>| node.and_then(|node| node.text_of("_error")).unwrap_or_default();
    cached
        || is_true(entry.get("_fetchedViaServiceWorker"))
        || is_true(entry.get("response").and_then(|response| response.get("_fetchedViaServiceWorker")))
        || error(entry.get("response")).starts_with("net::ERR_BLOCKED_BY_CLIENT")
}

fn read_request(node: &Node<'_>, url: &Url<'_>) -> (Request, u64, Vec<&'static str>) {
    let mut fields = Fields::read(node);
    let method = node.text_of("method").or_else(|| fields.pseudo(":method")).unwrap_or_default();
    fields.add_cookies(node);
    let host = fields.headers.get("host").map(text);
    let of_url = (!url.authority.is_empty()).then(|| text(url.authority));
    let noted = node.get("_authority").and_then(Node::text);
    let authority = noted.or_else(|| fields.pseudo(":authority")).or(host).or(of_url);
    let authority = authority.filter(|authority| !authority.is_empty());
    let target = target(node, url, &method, fields.pseudo(":path"));
    let (body, missing, odd) = request_body(node, &fields.headers);
    (Request { method, target: target.into(), authority, headers: fields.headers, body }, missing, odd)
}

/// The request target: the pseudo field, or our own note of it, or what the URL says.
fn target(node: &Node<'_>, url: &Url<'_>, method: &str, path: Option<String>) -> Vec<u8> {
    if let Some(noted) = node.get("_target").and_then(Node::bytes) {
        return noted.into_owned();
    }
    if method == "CONNECT" {
        return if url.authority.is_empty() { url.target.clone() } else { url.authority.to_vec() };
    }
    if let Some(path) = path.filter(|path| !path.is_empty()) {
        return path.into_bytes();
    }
    let mut target = url.target.clone();
    if !target.contains(&b'?') {
        for (index, pair) in node.get("queryString").map(Node::elements).unwrap_or_default().iter().enumerate() {
            target.push(if index == 0 { b'?' } else { b'&' });
            body::escape(&pair.get("name").and_then(Node::bytes).unwrap_or_default(), &mut target);
            target.push(b'=');
            body::escape(&pair.get("value").and_then(Node::bytes).unwrap_or_default(), &mut target);
        }
    }
    target
}

fn request_body(node: &Node<'_>, headers: &Headers) -> (Body, u64, Vec<&'static str>) {
    let post = node.get("postData");
    let mime = post.and_then(|post| post.text_of("mimeType"));
    let said = node.get("_complete").map(|said| matches!(said, Node::Word(b"true")));
    let length = headers.get("content-length").filter(|_| said.is_none() && headers.get("transfer-encoding").is_none());
    let length = length.and_then(|value| std::str::from_utf8(value).ok()?.trim().parse().ok());
    let size = node.get("bodySize").and_then(Node::count);
    let discarded = node.text_of("_requestBodyStatus").is_some_and(|status| status.starts_with("discarded"));
    let extra = || [node.get("_content"), node.get("content")].into_iter().flatten().find_map(|n| text_of(n, size));
    let posted = post.and_then(|post| text_of(post, size));
    // A placeholder may stand in the text where the bytes are kept beside it.
    let content = if discarded { extra().or(posted) } else { posted.or_else(extra) };
    let content = content.or_else(|| {
        let params = post.and_then(|post| post.get("params")).map(Node::elements).unwrap_or_default();
        let form = mime.clone().or_else(|| headers.get("content-type").map(text)).unwrap_or_default();
        of_params(params, &form, size).map(|bytes| Content { bytes, rebuilt: true, ..Content::default() })
    });
    let sent = size.filter(|&size| size > 0).or(length).unwrap_or(0);
    let mut odd = Vec::new();
    let (bytes, missing, complete) = match content {
        Some(Content { bytes, lossy, odd: wrong, rebuilt }) => {
            odd.extend(wrong);
            if lossy {
                odd.push("request body with bytes replaced by the exporter");
            }
            // Where no encoding was undone, what is shorter than what was sent was cut.
            let unknown = rebuilt || headers.get("content-encoding").is_some();
            let sent = if unknown { 0 } else { sent.max(length.unwrap_or(0)) };
            let missing = sent.saturating_sub(bytes.len() as u64);
            if missing > 0 {
                odd.push("request body cut by the exporter");
            }
            (bytes, missing, !lossy && missing == 0 && said.unwrap_or(true))
        }
        None if sent > 0 => {
            odd.push("request body left out by the exporter");
            (Vec::new(), sent, false)
        }
        None => (Vec::new(), 0, said.unwrap_or(true)),
    };
    (body::body(bytes, headers, mime, complete, Body::KEEP_MAX), missing, odd)
}

fn read_response(node: &Node<'_>, method: &str) -> Option<Response> {
    let mut fields = Fields::read(node);
    let status = node.get("status").and_then(Node::count).or_else(|| fields.pseudo(":status")?.parse().ok());
    let status = status.and_then(|status| u16::try_from(status).ok()).unwrap_or(0);
    let content = node.get("content");
    let size = content.and_then(|content| content.get("size")).and_then(Node::count);
    let read = content.and_then(|content| text_of(content, size));
    if status == 0 && fields.headers.is_empty() && read.is_none() {
        return None;
    }
    let mime = content.and_then(|content| content.text_of("mimeType")).filter(|mime| !mime.ends_with("x-unknown"));
    let bodiless = method == "HEAD" || matches!(status, 100..=199 | 204 | 304);
    let (bytes, complete) = match read {
        Some(content) => {
            // mitmproxy gives the size before the content encoding is undone.
            let compression = node.get("content").and_then(|node| node.get("compression")).and_then(Node::number);
            let length = content.bytes.len() as u64;
            let whole = size.is_none_or(|size| size <= length) || compression.is_some_and(|gain| gain < 0.0);
            let said = !matches!(node.get("_complete"), Some(Node::Word(b"false")));
            (content.bytes, whole && said && !content.lossy)
        }
        None => (Vec::new(), bodiless || size.unwrap_or(0) == 0),
    };
    let body = body::body(bytes, &fields.headers, mime, complete, Body::RESPONSE_KEEP_MAX);
    Some(Response { status, headers: fields.headers, body })
}

/// Header fields, the pseudo fields of HTTP/2 and HTTP/3 apart.
#[derive(Default)]
struct Fields {
    headers: Headers,
    pseudo: Vec<(String, String)>,
}

impl Fields {
    fn read(message: &Node<'_>) -> Self {
        let mut fields = Self::default();
        match message.get("headers") {
            Some(Node::Array(list)) => {
                for field in list.iter().take(FIELDS_MAX) {
                    let name = field.get("name").and_then(Node::bytes).unwrap_or_default();
                    fields.push(&name, &field.get("value").and_then(Node::bytes).unwrap_or_default());
                }
            }
            Some(Node::Object(members)) => {
                for (name, value) in members.iter().take(FIELDS_MAX) {
                    for value in std::iter::once(value).chain(value.elements()) {
                        if let Some(value) = value.bytes() {
                            fields.push(&name.bytes(), &value);
                        }
                    }
                }
            }
            _ => {}
        }
        fields
    }

    fn push(&mut self, name: &[u8], value: &[u8]) {
        if name.is_empty() {
            return;
        }
        if name.starts_with(b":") {
            self.pseudo.push((text(name).to_ascii_lowercase(), text(value)));
            return;
        }
        // Browsers join fields of one name over lines.
        for line in value.split(|&byte| byte == b'\n') {
            self.headers.push(name, line.trim_ascii());
        }
    }

    fn pseudo(&mut self, name: &str) -> Option<String> {
        self.pseudo.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    }

    /// Cookies that are listed but not in the header.
    fn add_cookies(&mut self, message: &Node<'_>) {
        let cookies = message.get("cookies").map(Node::elements).unwrap_or_default();
        if cookies.is_empty() || self.headers.get("cookie").is_some() {
            return;
        }
        let mut value = Vec::new();
        for cookie in cookies.iter().take(FIELDS_MAX) {
            if !value.is_empty() {
                value.extend_from_slice(b"; ");
            }
            value.extend_from_slice(&cookie.get("name").and_then(Node::bytes).unwrap_or_default());
            value.push(b'=');
            value.extend_from_slice(&cookie.get("value").and_then(Node::bytes).unwrap_or_default());
        }
        self.headers.push(b"Cookie", &value);
    }
}

/// The version, of which browsers often know only the answer's; gRPC by its content type, as in captures of packets.
fn protocol_of(entry: &Node<'_>, request: &Request) -> Protocol {
    let version = |message: &str| entry.get(message).and_then(|message| message.text_of("httpVersion"));
    let known = |version: &String| version.chars().any(|character| character.is_ascii_digit());
    let version = version("request").filter(known).or_else(|| version("response").filter(known)).unwrap_or_default();
    let protocol = url::protocol(&version);
    let is_grpc = request.body.content_type.as_deref().is_some_and(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        kind == "application/grpc" || kind.starts_with("application/grpc+")
    });
    if is_grpc && matches!(protocol, Protocol::H2 | Protocol::H3) { Protocol::Grpc } else { protocol }
}

fn common(entry: &Node<'_>, file: &str, url: &Url<'_>, protocol: Protocol, request: &Request) -> Common {
    let port = |name: &str| entry.get(name).and_then(Node::count).and_then(|port| u16::try_from(port).ok());
    let server_port = port("_serverPort").filter(|&port| port != 0).unwrap_or(url.port());
    let server = entry.text_of("serverIPAddress").or_else(|| entry.text_of("_serverAddress"));
    let server = url::address(server.as_deref(), server_port);
    let client = entry.text_of("_clientAddress").or_else(|| entry.text_of("clientIPAddress"));
    let client = url::address(client.as_deref(), port("_clientPort").unwrap_or(0));
    let name = entry.get("connection").and_then(Node::text).unwrap_or_default();
    let host = request.authority.as_deref().map(host_of_authority).unwrap_or_default().to_ascii_lowercase();
    let connection = format!("{file}\0{name}\0{client}\0{server}\0{}\0{host}", url.is_secure());
    Common {
        connection: Arc::from(connection),
        client,
        server,
        app: app(entry),
        tls: url.is_secure().then(|| Arc::new(tls(entry, protocol, &host))),
    }
}

fn app(entry: &Node<'_>) -> Option<Arc<App>> {
    let app = entry.get("_app");
    let of_app = |name: &str| app.and_then(|app| app.text_of(name));
    let name = of_app("name").or_else(|| entry.text_of("_clientName"));
    let package = of_app("package");
    let uid = app.and_then(|app| app.get("uid")).and_then(Node::count).and_then(|uid| i32::try_from(uid).ok());
    let known = name.is_some() || package.is_some() || uid.is_some();
    known.then(|| Arc::new(App { uid, package: package.map(Arc::from), name: name.map(Arc::from) }))
}

/// The session the exporter had opened; what it does not tell stays unknown.
fn tls(entry: &Node<'_>, protocol: Protocol, host: &str) -> TlsInfo {
    let details = ["_securityDetails", "_tls"].iter().find_map(|name| entry.get(name));
    let detail = |names: &[&str]| details.and_then(|details| names.iter().find_map(|name| details.text_of(name)));
    let alpn = match protocol {
        Protocol::H2 | Protocol::Grpc => Some("h2".to_owned()),
        Protocol::H3 => Some("h3".to_owned()),
        Protocol::Http10 | Protocol::Http11 | Protocol::WebSocket => None,
    };
    let is_name = !host.is_empty() && host.parse::<std::net::IpAddr>().is_err();
    TlsInfo {
        version: detail(&["protocol", "version"]),
        cipher: detail(&["cipher"]),
        sni: detail(&["sni"]).or_else(|| is_name.then(|| host.to_owned())),
        alpn: detail(&["alpn"]).or(alpn),
        ..TlsInfo::default()
    }
}

/// A WebSocket message: its `place` in the request, its body, and the answer's body where the server sent it.
fn message(node: &Node<'_>, common: &Common, place: &Request, opened: Timestamp) -> Option<ReadyExchange> {
    let kind = node.text_of("type").or_else(|| node.text_of("direction")).unwrap_or_default().to_ascii_lowercase();
    let from_client = match kind.as_str() {
        "send" | "sent" | "request" | "outgoing" | "client" | "out" => true,
        "receive" | "received" | "response" | "incoming" | "server" | "in" => false,
        // Chrome lists errors among the messages.
        _ => return None,
    };
    let opcode = node.get("opcode").or_else(|| node.get("opCode")).and_then(Node::number).unwrap_or(1.0);
    let data = node.get("data").or_else(|| node.get("payload")).or_else(|| node.get("content"));
    let text = data.and_then(Node::bytes).unwrap_or_default().into_owned();
    let mut odd = Vec::new();
    let is_binary = (1.5..2.5).contains(&opcode);
    let (bytes, lossy) = if is_binary || is_marked_base64(node) {
        match undo_base64(&text) {
            Some(bytes) => (bytes, false),
            None => {
                odd.push("binary WebSocket message that is not base64");
                (text, true)
            }
        }
    } else {
        let lossy = memchr::memmem::find(&text, "\u{fffd}".as_bytes()).is_some();
        (text, lossy)
    };
    let lossy = lossy || matches!(node.get("_complete"), Some(Node::Word(b"false")));
    let keep = if from_client { Body::KEEP_MAX } else { Body::RESPONSE_KEEP_MAX };
    let body = body::body(bytes, &Headers::default(), None, !lossy, keep);
    let ts = node.get("time").or_else(|| node.get("timestamp"));
    let ts = ts.and_then(|ts| url::time(&ts.text()?)).unwrap_or(opened);
    let (request, response) = if from_client {
        (Request { body, ..place.clone() }, None)
    } else {
        (place.clone(), Some(Response { body, ..Response::default() }))
    };
    Some(common.ready(common.exchange(ts, Protocol::WebSocket, request, response), 0, odd))
}

fn is_marked_base64(node: &Node<'_>) -> bool {
    node.text_of("encoding").is_some_and(|encoding| encoding.eq_ignore_ascii_case("base64"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
