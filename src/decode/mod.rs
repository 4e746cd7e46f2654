//! Turns an exchange, or the bytes of an unknown stream, into fields: target, headers, cookies and body, with every
//! encoding that can be recognised undone, recursively, up to named caps. Each decoder is one file and one line in
//! `DECODERS`. What a field means is for the detectors.

mod base64;
mod compressed;
mod engine_io;
mod event_stream;
mod form;
mod grpc;
mod gzip;
mod hex;
mod json;
mod message;
mod multipart;
mod ndjson;
mod percent;
mod protobuf;
mod shape;
mod stream;
mod url;
mod walker;
mod wire;
mod zlib;
mod zstandard;

pub use message::{fields, undo_encodings};
pub use stream::{EMBEDDED_MAX, stream_fields};

use shape::Input;
use walker::Walker;

/// Most steps undone on the way to one value.
pub const DEPTH_MAX: usize = 8;
/// Most bytes all decodings of one side of an exchange may produce.
pub const DECODED_MAX: usize = 32 << 20;
/// Decompression may always produce this much …
pub const INFLATED_FREE: usize = 4 << 20;
/// … and beyond it at most this many bytes for each byte of input.
pub const RATIO_MAX: usize = 250;
/// Most fields of one side of an exchange.
pub const FIELDS_MAX: usize = 500_000;
/// Containers of one JSON text inside each other that still get a pointer.
pub const NEST_MAX: usize = 256;
/// Messages of protocol buffers inside each other that are read.
pub const PROTOBUF_DEPTH_MAX: usize = 32;
/// Longest pointer, bytes; what is deeper is reported at that place.
pub const POINTER_MAX: usize = 4096;

/// How sure a decoder is that bytes are in its format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Probe {
    /// They are: no other decoder need look.
    Certain,
    /// They may be: decoding will tell.
    Unsure,
    /// They aren't.
    No,
}

/// One encoding that can be undone.
trait Decoder: Sync {
    /// Whether the content type names its format and the bytes do not say otherwise: then no other decoder is asked.
    fn is_announced(&self, _input: &Input<'_>) -> bool {
        false
    }
    /// Whether the bytes are in its format, from a cheap look.
    fn probe(&self, input: &Input<'_>) -> Probe;
    /// Undoes it and hands what was inside to the walker; nothing if the bytes turn out not to be in its format.
    fn decode(&self, input: &Input<'_>, walker: &mut Walker<'_>);
}

/// All decoders, sorted by name.
const DECODERS: &[&dyn Decoder] = &[
    &base64::Base64,
    &engine_io::EngineIo,
    &event_stream::EventStream,
    &form::Form,
    &grpc::Grpc,
    &gzip::Gzip,
    &hex::Hex,
    &json::Json,
    &multipart::Multipart,
    &ndjson::Ndjson,
    &percent::Percent,
    &protobuf::Protobuf,
    &url::Url,
    &zlib::Zlib,
    &zstandard::Zstandard,
];

/// Those among them whose encoding is written as one word of letters, digits, `+`, `/`, `-` and `_`.
const WORDS: &[&dyn Decoder] = &[&base64::Base64, &hex::Hex];

#[cfg(test)]
mod tests;
