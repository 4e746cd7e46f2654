//! A proxy that runs, its clients, and what it tapped.

use crate::origin::{World, client};
use divulge::model::{CaptureItem, Frame, Incident, IncidentKind};
use divulge::pipeline::{Event, Pipeline, Settings};
use divulge::proxy::{Authority, Config, CreateOptions, Proxy};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest wait for anything that is to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A client's end of a TLS connection.
pub(crate) type Client = StreamOwned<ClientConnection, TcpStream>;

/// A proxy with an authority of its own, in a world whose authority it trusts.
pub(crate) struct Setting {
    pub(crate) world: World,
    pub(crate) proxy: Proxy,
    pub(crate) authority: Arc<Authority>,
    _folder: tempfile::TempDir,
}

impl Setting {
    pub(crate) fn new() -> Self {
        Self::with(|_, _| {})
    }

    /// `change` gets the configuration, and a folder for files.
    pub(crate) fn with(change: impl FnOnce(&mut Config, &World)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = World::new();
        let file = folder.path().join("world.pem");
        std::fs::write(&file, &world.pem).unwrap();
        let authority = Arc::new(Authority::create(&folder.path().join("ca"), &CreateOptions::default()).unwrap());
        let mut config = Config {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            allow_local: true,
            upstream_ca: vec![file],
            resolve: vec![("origin.test".to_owned(), [127, 0, 0, 1].into())],
            ..Config::default()
        };
        change(&mut config, &world);
        let proxy = Proxy::start(config, Arc::clone(&authority)).unwrap();
        Self { world, proxy, authority, _folder: folder }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.proxy.addresses()[0]
    }

    pub(crate) fn socket(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address()).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    /// A tunnel to `origin.test` at a port.
    pub(crate) fn tunnel(&self, port: u16) -> TcpStream {
        let (socket, answer) = self.connect(&format!("origin.test:{port}"));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        socket
    }

    /// Asks for a tunnel; gives the answer's head too.
    pub(crate) fn connect(&self, authority: &str) -> (TcpStream, String) {
        let mut socket = self.socket();
        write!(socket, "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n").unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            assert_eq!(socket.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&head));
            head.push(byte[0]);
        }
        (socket, String::from_utf8(head).unwrap())
    }

    pub(crate) fn trusting(&self, alpn: &[&str]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().to_vec().into()).unwrap();
        client(roots, alpn)
    }

    /// A client that knows nothing of the proxy's authority.
    pub(crate) fn untrusting(&self) -> ClientConfig {
        client(self.world.roots(), &[])
    }

    pub(crate) fn client(&self, config: &ClientConfig, port: u16) -> Client {
        tls(config, "origin.test", self.tunnel(port))
    }

    /// Stops the proxy; gives all it tapped.
    pub(crate) fn tapped(mut self) -> Tapped {
        self.proxy.stop();
        let tap = self.proxy.tap();
        let mut items = Vec::new();
        loop {
            let gathered = tap.take(Duration::from_millis(10));
            items.extend(gathered.items);
            if gathered.ended {
                return Tapped(items);
            }
        }
    }

    /// Waits until an incident of a kind has been tapped; gives all so far.
    pub(crate) fn wait_for(&self, kind: IncidentKind) -> Vec<Incident> {
        let (tap, began) = (self.proxy.tap(), Instant::now());
        let mut seen = Vec::new();
        while !seen.iter().any(|incident: &Incident| incident.kind == kind) {
            assert!(began.elapsed() < PATIENCE, "no {kind:?}, but {seen:?}");
            seen.extend(tap.take(Duration::from_millis(50)).items.into_iter().filter_map(|item| match item {
                CaptureItem::Incident(incident) => Some(incident),
                _ => None,
            }));
        }
        seen
    }
}

pub(crate) fn tls(config: &ClientConfig, name: &str, socket: TcpStream) -> Client {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config.clone()), name).unwrap(), socket)
}

/// What a proxy tapped.
pub(crate) struct Tapped(pub(crate) Vec<CaptureItem>);

impl Tapped {
    pub(crate) fn incidents(&self) -> Vec<(IncidentKind, String)> {
        let told = self.0.iter().filter_map(|item| match item {
            CaptureItem::Incident(incident) => Some((incident.kind, format!("{}: {}", incident.host, incident.text))),
            _ => None,
        });
        told.collect()
    }

    /// The exchanges that a pipeline reads in it: method, target, status, and whether TLS was opened.
    pub(crate) fn exchanges(&self) -> Vec<String> {
        let mut pipeline = Pipeline::new(&Settings::default());
        for item in &self.0 {
            match item {
                CaptureItem::Frames(batch) => batch.iter().for_each(|frame: Frame<'_>| pipeline.handle_frame(&frame)),
                CaptureItem::Secrets(source, text) => assert_eq!(pipeline.handle_keys(*source, text), []),
                _ => {}
            }
        }
        pipeline.finish();
        let mut told = Vec::new();
        while let Some(event) = pipeline.poll_event() {
            if let Event::Exchange(exchange) = event {
                let request = exchange
                    .request
                    .as_ref()
                    .map(|request| format!("{} {}", request.method, String::from_utf8_lossy(&request.target)));
                let status = exchange.response.as_ref().map_or(0, |response| response.status);
                let opened = exchange.tls.as_ref().and_then(|tls| tls.keys);
                told.push(format!("{} {status} {opened:?}", request.unwrap_or_default()));
            }
        }
        told
    }
}
