//! The targets: one file and one line in `ALL` each.

mod body;
mod dns;
mod har;
mod hpack;
mod http1;
mod http2;
mod http3;
mod keylog;
mod link;
mod pcap;
mod pcapng;
mod pipeline;
mod protobuf;
mod qpack;
mod quic;
mod socks;
mod tcp;
mod tls;
mod websocket;

/// Each by its name.
pub const ALL: &[(&str, fn(&[u8]))] = &[
    ("body", body::target),
    ("dns", dns::target),
    ("hpack", hpack::target),
    ("har", har::target),
    ("http1", http1::target),
    ("http2", http2::target),
    ("http3", http3::target),
    ("keylog", keylog::target),
    ("link", link::target),
    ("pcap", pcap::target),
    ("pcapng", pcapng::target),
    ("pipeline", pipeline::target),
    ("protobuf", protobuf::target),
    ("qpack", qpack::target),
    ("quic", quic::target),
    ("socks", socks::target),
    ("tcp", tcp::target),
    ("tls", tls::target),
    ("websocket", websocket::target),
];
