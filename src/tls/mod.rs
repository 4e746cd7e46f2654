//! Passive TLS: the ciphertext of both directions of a flow to plaintext, with the secrets of key logs, and without
//! them to the names and protocols a handshake tells. Reassembly of the stream is left to `flow`, what the plaintext
//! means to `http`. Sans-IO: no clock, file or socket.

mod aead;
mod block;
mod cbc;
mod certificate;
mod cipher;
mod handshake;
pub mod hello;
mod ja4;
mod keylog;
mod keyring;
mod mac;
mod output;
mod premaster;
mod probe;
mod reader;
mod record;
#[cfg(test)]
mod refusal_tests;
mod schedule;
mod session;
mod stream;
mod suite;
mod suite_names;
#[cfg(test)]
mod tests;

pub use aead::{AeadKey, CcmKey, NONCE_LEN, key_len as aead_key_len};
pub use block::Block;
pub use certificate::{
    CERTIFICATE_NAMES_MAX, CertificateForm, certificate, certificate_message, compressed_certificate_message,
};
pub use handshake::{HANDSHAKE_MESSAGE_MAX, Handshake, Step as HandshakeStep, kind as handshake_kind};
pub use ja4::{Transport, ja4};
pub use keylog::*;
pub use keyring::{SEQUENCE_SEARCH_MAX, TRIAL_BYTES_MAX};
pub use output::Output;
pub use premaster::TRANSCRIPT_MAX;
pub use probe::{Probe, find_hello, probe};
pub use reader::Reader;
pub use record::{RECORD_BODY_MAX, RECORD_MAX, RECORD_SCAN_MAX};
pub use schedule::{EXPAND_MAX, expand_label};
pub use session::{INNER_HELLOS_MAX, MISSES_MAX, TlsSession};
pub use suite::{Bulk, Hash, Suite, suite_name};
