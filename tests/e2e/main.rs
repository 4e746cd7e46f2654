//! End-to-end tests: captures built from scratch, replayed through the whole of divulge.

mod cli;
mod demo;
mod device;
mod formats;
mod har;
mod http2;
mod marks;
mod names;
mod pinned;
mod run;
mod running;
mod starttls;
mod stream;
mod streams;
#[path = "../support/mod.rs"]
mod support;
mod websocket;
