//! The proxy between real TLS clients and servers on loopback: what arrives, what is tapped, and what goes wrong.

#![allow(clippy::unwrap_used, reason = "a test ends where it can't go on")]

mod faithful;
mod faults;
mod modes;
mod origin;
mod pinned;
mod program;
mod setting;
