//! Exchanges → a HAR 1.2 log (softwareishard.com/blog/har-12-spec), entry by entry as they end, so that a run of any
//! length needs little memory. It is the traffic itself: no value in it is redacted. What HAR has no member for goes
//! into members that begin with `_`, under the names other tools use where there are such; `capture` reads them back.

use super::escape::{push_json_bytes, push_json_fragment, push_json_str};
use super::har_parts::{put_cookies, put_fields, put_query, put_set_cookies, text_or_base64};
use crate::model::{Body, Exchange, ExchangeId, FlowId, Headers, Protocol, Request, Response, Timestamp};
use crate::pipeline::{Event, undo_encodings};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// WebSocket messages are listed in the entry of the request that opened the socket, so they are held until its flow
/// ends; beyond so many bytes what is held is written, and later messages go into an entry of their own.
pub const HELD_MAX: usize = 64 << 20;
/// Largest body that is written with its content encodings undone; a larger one is written as sent.
const DECODED_MAX: usize = 64 << 20;

/// The place of a WebSocket: flow, authority and target of its opening request.
type Place = (FlowId, Option<String>, Box<[u8]>);

/// A WebSocket whose flow goes on.
#[derive(Default)]
struct Held {
    /// The opening entry without its closing brace; empty where it has not come or was written.
    entry: Vec<u8>,
    messages: Vec<u8>,
    first: Option<Box<Exchange>>,
}

/// Writes a HAR log.
pub struct HarWriter<'w> {
    out: &'w mut dyn Write,
    entries: u64,
    held: BTreeMap<Place, Held>,
    held_bytes: usize,
    entry: Vec<u8>,
}

impl<'w> HarWriter<'w> {
    /// Begins a log.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(out: &'w mut dyn Write) -> io::Result<Self> {
        let version = env!("CARGO_PKG_VERSION");
        write!(
            out,
            "{{\"log\":{{\"version\":\"1.2\",\"creator\":{{\"name\":\"divulge\",\"version\":\"{version}\"}},\"pages\":[],\"entries\":["
        )?;
        Ok(Self { out, entries: 0, held: BTreeMap::new(), held_bytes: 0, entry: Vec::new() })
    }

    /// Takes an event; writes the entries that are ready.
    ///
    /// # Errors
    /// Those of the output.
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::Exchange(exchange) => self.exchange(exchange),
            Event::Flow(flow) => self.flow_ended(flow.id),
            _ => Ok(()),
        }
    }

    /// Hands what was written to the system.
    ///
    /// # Errors
    /// Those of the output.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Ends the log.
    ///
    /// # Errors
    /// Those of the output.
    pub fn finish(mut self) -> io::Result<()> {
        self.write_held()?;
        self.out.write_all(b"\n]}}\n")?;
        self.out.flush()
    }

    fn exchange(&mut self, exchange: &Exchange) -> io::Result<()> {
        let mut entry = std::mem::take(&mut self.entry);
        entry.clear();
        if exchange.protocol == Protocol::WebSocket {
            put_message(exchange, &mut entry);
            self.hold(exchange, &entry, |held, message| {
                if !held.messages.is_empty() {
                    held.messages.push(b',');
                }
                held.messages.extend_from_slice(message);
            });
        } else {
            put_entry(exchange, &mut entry);
            if opens_websocket(exchange) {
                self.hold(exchange, &entry, |held, entry| held.entry.extend_from_slice(entry));
            } else {
                entry.push(b'}');
                self.write(&entry)?;
            }
        }
        self.entry = entry;
        if self.held_bytes > HELD_MAX { self.write_held() } else { Ok(()) }
    }

    fn hold(&mut self, exchange: &Exchange, bytes: &[u8], add: impl FnOnce(&mut Held, &[u8])) {
        let request = exchange.request.as_deref();
        let place = (
            exchange.id.flow,
            request.and_then(|request| request.authority.clone()),
            request.map(|request| request.target.clone()).unwrap_or_default(),
        );
        let held = self.held.entry(place).or_default();
        if held.first.is_none() {
            // Only where it was, not what was in it.
            let request = request.map(|request| Request {
                headers: Headers::default(),
                body: Body::default(),
                ..request.clone()
            });
            held.first =
                Some(Box::new(Exchange { request: request.map(Into::into), response: None, ..exchange.clone() }));
        }
        add(held, bytes);
        self.held_bytes += bytes.len();
    }

    fn flow_ended(&mut self, flow: FlowId) -> io::Result<()> {
        let begin: Place = (flow, None, Box::default());
        let places: Vec<Place> =
            self.held.range(begin..).take_while(|(place, _)| place.0 == flow).map(|(place, _)| place.clone()).collect();
        for place in places {
            if let Some(held) = self.held.remove(&place) {
                self.held_bytes = self.held_bytes.saturating_sub(held.entry.len() + held.messages.len());
                self.write_socket(held)?;
            }
        }
        Ok(())
    }

    fn write_held(&mut self) -> io::Result<()> {
        self.held_bytes = 0;
        for held in std::mem::take(&mut self.held).into_values() {
            self.write_socket(held)?;
        }
        Ok(())
    }

    fn write_socket(&mut self, held: Held) -> io::Result<()> {
        let Held { mut entry, messages, first } = held;
        if entry.is_empty() {
            let Some(first) = first else { return Ok(()) };
            put_entry(&Exchange { protocol: Protocol::Http11, ..*first }, &mut entry);
            put(&mut entry, r#","_webSocketOnly":true"#);
        }
        put(&mut entry, r#","_resourceType":"websocket","_webSocketMessages":["#);
        entry.extend_from_slice(&messages);
        put(&mut entry, "]}");
        self.write(&entry)
    }

    fn write(&mut self, entry: &[u8]) -> io::Result<()> {
        self.out.write_all(if self.entries > 0 { b",\n" } else { b"\n" })?;
        self.entries += 1;
        self.out.write_all(entry)
    }
}

/// Whether WebSocket messages may follow: an upgrade (RFC 6455 §4), or an extended CONNECT, whose target is a path
/// (RFC 8441 §4).
fn opens_websocket(exchange: &Exchange) -> bool {
    let (Some(request), Some(response)) = (&exchange.request, &exchange.response) else { return false };
    let upgrade = response.headers.get("upgrade").is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"));
    let extended = request.method == "CONNECT" && request.target.starts_with(b"/") && response.status == 200;
    (response.status == 101 && upgrade) || extended
}

/// An entry without its closing brace.
fn put_entry(exchange: &Exchange, out: &mut Vec<u8>) {
    put(out, r#"{"startedDateTime":""#);
    put_display(out, exchange.ts);
    put(out, r#"","time":0,"request":"#);
    put_request(exchange, out);
    put(out, r#","response":"#);
    put_response(exchange, out);
    // The time of the answer is not kept; the three may not be negative (HAR 1.2, timings).
    put(out, r#","cache":{},"timings":{"send":0,"wait":0,"receive":0,"comment":"not known"}"#);
    let server = exchange.server;
    if !server.ip().is_unspecified() {
        put(out, r#","serverIPAddress":""#);
        put_display(out, server.ip());
        put(out, "\"");
    }
    put(out, r#","connection":""#);
    put_display(out, exchange.id.flow);
    put(out, r#"","_serverPort":"#);
    put_display(out, server.port());
    put(out, r#","_clientAddress":""#);
    put_display(out, exchange.client.ip());
    put(out, r#"","_clientPort":"#);
    put_display(out, exchange.client.port());
    put_id(exchange.id, out);
    put_app(exchange, out);
    put_tls(exchange, out);
}

fn put_id(id: ExchangeId, out: &mut Vec<u8>) {
    put(out, r#","_id":""#);
    put_display(out, id);
    put(out, "\"");
}

fn put_request(exchange: &Exchange, out: &mut Vec<u8>) {
    let none = Request::default();
    let request = exchange.request.as_deref();
    put(out, r#"{"method":"#);
    push_json_str(out, &request.unwrap_or(&none).method);
    put(out, r#","url":"#);
    let url = url(exchange, request.unwrap_or(&none));
    push_json_str(out, &url.text);
    if !url.exact {
        put(out, r#","_target":"#);
        push_json_bytes(out, &request.unwrap_or(&none).target);
    }
    if request.is_some_and(|request| request.authority.is_none()) {
        put(out, r#","_authority":"""#);
    }
    put(out, r#","httpVersion":"#);
    push_json_str(out, version(exchange));
    let Some(request) = request else {
        let rest = r#","cookies":[],"headers":[],"queryString":[],"headersSize":-1,"bodySize":-1,"_missing":true}"#;
        return put(out, rest);
    };
    put(out, r#","cookies":"#);
    put_cookies(&request.headers, out);
    put(out, r#","headers":"#);
    put_fields(&request.headers, out);
    put(out, r#","queryString":"#);
    put_query(&request.target, out);
    put(out, r#","headersSize":-1,"bodySize":"#);
    put_display(out, request.body.bytes);
    if request.body.complete && !request.body.cut() {
        put(out, r#","_complete":true"#);
    }
    put_complete(&request.body, out);
    if !request.body.data.is_empty() {
        put(out, r#","postData":{"mimeType":"#);
        push_json_str(out, request.body.content_type.as_deref().unwrap_or_default());
        put_text(&request.body.data, out);
        put(out, "}");
    }
    put(out, "}");
}

fn put_response(exchange: &Exchange, out: &mut Vec<u8>) {
    let Some(Response { status, headers, body }) = &exchange.response else {
        let nothing = r#"{"status":0,"statusText":"","httpVersion":"","cookies":[],"headers":[],"content":{"size":0,"mimeType":""},"redirectURL":"","headersSize":-1,"bodySize":-1,"_error":"no answer in the capture"}"#;
        return put(out, nothing);
    };
    put(out, r#"{"status":"#);
    put_display(out, status);
    put(out, r#","statusText":"","httpVersion":"#);
    push_json_str(out, version(exchange));
    put(out, r#","cookies":"#);
    put_set_cookies(headers, out);
    put(out, r#","headers":"#);
    put_fields(headers, out);
    put(out, r#","content":"#);
    put_content(body, out);
    put(out, r#","redirectURL":"#);
    push_json_bytes(out, headers.get("location").unwrap_or_default());
    put(out, r#","headersSize":-1,"bodySize":"#);
    put_display(out, body.bytes);
    put_complete(body, out);
    put(out, "}");
}

/// The body as browsers export it: content encodings undone.
fn put_content(body: &Body, out: &mut Vec<u8>) {
    let whole = !body.encodings.is_empty() && body.complete && !body.cut();
    let decoded = whole.then(|| undo_encodings(&body.data, &body.encodings, DECODED_MAX)).flatten();
    put(out, r#"{"size":"#);
    match &decoded {
        Some(decoded) => {
            put_display(out, decoded.len());
            put(out, r#","compression":"#);
            let gain = i128::try_from(decoded.len()).unwrap_or(i128::MAX) - i128::from(body.bytes);
            put_display(out, gain);
        }
        None => put_display(out, body.bytes),
    }
    put(out, r#","mimeType":"#);
    push_json_str(out, body.content_type.as_deref().unwrap_or_default());
    let data = decoded.as_deref().unwrap_or(&body.data);
    if !data.is_empty() {
        put_text(data, out);
    }
    put(out, "}");
}

/// `text`, and how it is encoded. HAR knows no encoding of request bodies; other tools write it in this way too.
fn put_text(data: &[u8], out: &mut Vec<u8>) {
    let (text, is_base64) = text_or_base64(data);
    put(out, r#","text":"#);
    push_json_str(out, &text);
    if is_base64 {
        put(out, r#","encoding":"base64""#);
    }
}

fn put_complete(body: &Body, out: &mut Vec<u8>) {
    if body.cut() {
        put(out, r#","comment":"only the beginning of the body was kept","_complete":false"#);
    } else if !body.complete {
        put(out, r#","comment":"not all of it is in the capture","_complete":false"#);
    }
}

struct Url {
    text: String,
    /// Whether the target can be read back from it as it was sent.
    exact: bool,
}

fn url(exchange: &Exchange, request: &Request) -> Url {
    let authority = request.authority.as_deref().filter(|authority| !authority.is_empty());
    let address = exchange.server.to_string();
    let base = format!("{}://{}", exchange.scheme(), authority.unwrap_or(&address));
    let target = std::str::from_utf8(&request.target);
    let plain_authority = !base[exchange.scheme().len() + 3..].contains(['/', '?', '#']);
    match target {
        Ok(target) if target.starts_with('/') => Url {
            text: format!("{base}{target}"),
            exact: plain_authority && !target.contains('#') && request.method != "CONNECT",
        },
        Ok(target) if target.starts_with("http://") || target.starts_with("https://") => {
            Url { text: target.to_owned(), exact: false }
        }
        Ok(_) | Err(_) => {
            // What is no text is escaped, as a URL must be; the target stands beside it.
            let escaped = request.target.iter().fold(String::new(), |mut text, &byte| {
                if byte.is_ascii_graphic() {
                    text.push(char::from(byte));
                } else {
                    text.push_str(&format!("%{byte:02X}"));
                }
                text
            });
            let text = if escaped.starts_with('/') { format!("{base}{escaped}") } else { format!("{base}/") };
            Url { text, exact: false }
        }
    }
}

fn version(exchange: &Exchange) -> &'static str {
    let alpn = exchange.tls.as_ref().and_then(|tls| tls.alpn.as_deref());
    match exchange.protocol {
        Protocol::Http10 => "HTTP/1.0",
        Protocol::Http11 | Protocol::WebSocket => "HTTP/1.1",
        Protocol::Grpc if alpn.is_some_and(|alpn| alpn.starts_with("h3")) => "HTTP/3",
        Protocol::H2 | Protocol::Grpc => "HTTP/2",
        Protocol::H3 => "HTTP/3",
    }
}

/// A message as Chrome writes it.
fn put_message(exchange: &Exchange, out: &mut Vec<u8>) {
    let (kind, body) = match &exchange.response {
        Some(response) => ("receive", Some(&response.body)),
        None => ("send", exchange.request.as_deref().map(|request| &request.body)),
    };
    put(out, r#"{"type":""#);
    put(out, kind);
    put(out, r#"","time":"#);
    put_seconds(exchange.ts, out);
    let data = body.map(|body| body.data.as_slice()).unwrap_or_default();
    let (text, is_base64) = text_or_base64(data);
    put(out, if is_base64 { r#","opcode":2,"data":"# } else { r#","opcode":1,"data":"# });
    push_json_str(out, &text);
    if let Some(body) = body {
        put_complete(body, out);
    }
    put(out, "}");
}

fn put_seconds(ts: Timestamp, out: &mut Vec<u8>) {
    let micros = ts.nanos().div_euclid(1_000);
    put_display(out, format_args!("{}.{:06}", micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000)));
}

fn put_app(exchange: &Exchange, out: &mut Vec<u8>) {
    let Some(app) = &exchange.app else { return };
    put(out, r#","_app":{"uid":"#);
    match app.uid {
        Some(uid) => put_display(out, uid),
        None => put(out, "null"),
    }
    for (key, value) in [(r#","package":"#, &app.package), (r#","name":"#, &app.name)] {
        if let Some(value) = value {
            put(out, key);
            push_json_str(out, value);
        }
    }
    put(out, "}");
}

fn put_tls(exchange: &Exchange, out: &mut Vec<u8>) {
    let Some(tls) = &exchange.tls else { return };
    put(out, r#","_tls":{"#);
    let mut first = true;
    for (key, value) in [("version", &tls.version), ("cipher", &tls.cipher), ("sni", &tls.sni), ("alpn", &tls.alpn)] {
        if let Some(value) = value {
            put(out, if std::mem::take(&mut first) { "\"" } else { ",\"" });
            push_json_fragment(out, key);
            put(out, "\":");
            push_json_str(out, value);
        }
    }
    put(out, "}");
}

pub(super) fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn put_display(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    write!(out, "{value}").expect("a vector takes all");
}

#[cfg(test)]
mod tests {
    use super::HarWriter;
    use crate::model::{Body, Exchange, Headers, Protocol, Request, Response};
    use crate::pipeline::Event;
    use crate::report::sample;
    use serde_json::{Value, json};
    use std::sync::Arc;

    /// The entries of a log of these exchanges.
    fn entries(exchanges: &[Exchange]) -> Vec<Value> {
        let mut out = Vec::new();
        let mut writer = HarWriter::new(&mut out).expect("memory takes all");
        for exchange in exchanges {
            writer.event(&Event::Exchange(Box::new(exchange.clone()))).expect("memory takes all");
        }
        writer.finish().expect("memory takes all");
        let read: Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!(read["log"]["version"], "1.2");
        read["log"]["entries"].as_array().expect("a list").clone()
    }

    fn with(request: Request, response: Option<Response>) -> Exchange {
        Exchange { request: Some(Arc::new(request)), response, protocol: Protocol::Http11, ..sample::nasty_exchange() }
    }

    fn fields(list: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::default();
        list.iter().for_each(|(name, value)| headers.push(name.as_bytes(), value.as_bytes()));
        headers
    }

    fn body(data: &[u8], encodings: &[&str]) -> Body {
        let encodings = encodings.iter().map(|&token| token.to_owned()).collect();
        Body { bytes: data.len() as u64, complete: true, data: data.to_vec(), encodings, ..Body::default() }
    }

    #[test]
    fn an_entry_has_every_member_har_asks_for() {
        for exchange in [sample::nasty_exchange(), Exchange { response: None, ..sample::nasty_exchange() }] {
            let entry = &entries(&[exchange])[0];
            let has = |value: &Value, names: &str| {
                for name in names.split(' ') {
                    assert!(!value[name].is_null(), "{name} in {value}");
                }
            };
            has(entry, "startedDateTime time request response cache timings connection");
            has(&entry["request"], "method url httpVersion cookies headers queryString headersSize bodySize");
            let response = "status statusText httpVersion cookies headers content redirectURL headersSize bodySize";
            has(&entry["response"], response);
            has(&entry["response"]["content"], "size mimeType");
            has(&entry["timings"], "send wait receive");
        }
    }

    #[test]
    fn bodies_that_are_no_text_are_base64_and_answers_are_decoded() {
        let gzip = flate2::read::GzEncoder::new(&b"{\"ok\":1}"[..], flate2::Compression::default());
        let packed = std::io::Read::bytes(gzip).collect::<Result<Vec<u8>, _>>().expect("gzip");
        let request =
            Request { body: body(b"\x00\xff", &[]), authority: Some("a.example".into()), ..Request::default() };
        let response = Response { body: body(&packed, &["gzip"]), ..Response::default() };
        let entry = &entries(&[with(request, Some(response))])[0];
        assert_eq!(entry["request"]["postData"], json!({"mimeType": "", "text": "AP8=", "encoding": "base64"}));
        let content = &entry["response"]["content"];
        assert_eq!((&content["text"], &content["size"]), (&json!("{\"ok\":1}"), &json!(8)));
        assert_eq!(content["compression"], 8 - i64::try_from(packed.len()).expect("small"));
    }

    #[test]
    fn cookies_and_queries_are_listed() {
        let request = Request {
            target: b"/p?a=1%2B2&b=x+y&c".to_vec().into(),
            headers: fields(&[("Cookie", "s=1; t=\"2\"")]),
            ..Request::default()
        };
        let headers = fields(&[("Set-Cookie", "u=3; Path=/; HttpOnly; Max-Age=9"), ("Location", "/q")]);
        let entry = &entries(&[with(request, Some(Response { status: 302, headers, ..Response::default() }))])[0];
        let query = json!([{"name": "a", "value": "1+2"}, {"name": "b", "value": "x y"}, {"name": "c", "value": ""}]);
        assert_eq!(entry["request"]["queryString"], query);
        assert_eq!(entry["request"]["cookies"], json!([{"name": "s", "value": "1"}, {"name": "t", "value": "\"2\""}]));
        assert_eq!(entry["response"]["cookies"], json!([{"name": "u", "value": "3", "path": "/", "httpOnly": true}]));
        assert_eq!(entry["response"]["redirectURL"], "/q");
    }

    #[test]
    fn messages_stand_in_the_entry_that_opened_their_socket() {
        let place = Request { method: "GET".into(), target: b"/ws".to_vec().into(), ..Request::default() };
        let upgrade = Response { status: 101, headers: fields(&[("Upgrade", "WebSocket")]), ..Response::default() };
        let message =
            |request: Request, response| Exchange { protocol: Protocol::WebSocket, ..with(request, response) };
        let sent = message(Request { method: String::new(), body: body(b"hi", &[]), ..place.clone() }, None);
        let answer = Response { body: body(b"\xff", &[]), ..Response::default() };
        let got = message(Request { method: String::new(), ..place.clone() }, Some(answer));
        let other = with(Request { target: b"/other".to_vec().into(), ..Request::default() }, None);
        let read = entries(&[with(place, Some(upgrade)), sent.clone(), other, got]);
        assert_eq!((read.len(), read[1]["request"]["method"].as_str()), (2, Some("GET")));
        let messages = read[1]["_webSocketMessages"].as_array().expect("a list");
        assert_eq!(
            (&messages[0]["type"], &messages[0]["opcode"], &messages[0]["data"]),
            (&json!("send"), &json!(1), &json!("hi"))
        );
        assert_eq!(
            (&messages[1]["type"], &messages[1]["opcode"], &messages[1]["data"]),
            (&json!("receive"), &json!(2), &json!("/w=="))
        );
        assert_eq!(entries(&[sent])[0]["_webSocketOnly"], true);
    }
}
