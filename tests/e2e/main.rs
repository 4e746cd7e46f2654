//! End-to-end tests: captures built from scratch, replayed through the whole of divulge.

mod demo;
mod formats;
#[path = "../support/mod.rs"]
mod support;
