//! The intercepting proxy: a byte relay between a phone and the internet that ends TLS on both sides, and taps what
//! passes as frames and session keys. It rewrites nothing and parses no protocol; reading is left to the pipeline.
//!
//! A connection goes through `listen` (limits, mode), `explicit`, `socks` or a redirection (its target), `dial` (the
//! origin), `tunnel` (is it TLS, is it to be opened, both handshakes) and stays in `relay`. What the phone's side of it
//! carried goes to the `tap`, as ciphertext with its keys: just what a capture beside the phone would hold.

mod authority;
#[cfg(test)]
mod authority_tests;
mod buffers;
mod client;
mod config;
mod dial;
mod explicit;
mod forward;
mod handshake;
mod hello;
mod host;
mod http;
mod leaf;
mod listen;
mod origin;
mod packet;
mod pins;
mod portal;
mod relay;
mod running;
mod session;
mod shared;
mod socks;
mod tap;
mod tunnel;

pub use authority::*;
pub use config::*;
pub use explicit::PORTAL_HOST;
pub use host::HostPattern;
pub use leaf::LEAVES_MAX;
pub use portal::{PortalRequest, answer, portal_url, qr};
pub use running::Proxy;
pub use tap::{Gathered, TAP_MAX, Tap};
