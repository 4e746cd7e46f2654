//! Connections driven by rustls in memory and read passively, and the test vectors of the standards.

mod dialogues;
mod losses;
pub(crate) mod peer;
mod vectors;
