//! Builds captures from scratch: real TLS sessions, wrapped into TCP segments and datagrams, framed for any link type
//! and written as pcap or pcapng. What the bytes mean to divulge is left to the tests that use it.

pub(crate) mod demo;
pub(crate) mod file;
pub(crate) mod http;
pub(crate) mod http2;
pub(crate) mod link;
pub(crate) mod packet;
pub(crate) mod phone;
pub(crate) mod tcp;
pub(crate) mod tls;

/// Byte order of a capture file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Little,
    Big,
}

impl Order {
    pub(crate) fn u16(self, value: u16) -> [u8; 2] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    pub(crate) fn u32(self, value: u32) -> [u8; 4] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    ToServer,
    ToClient,
}

/// Milliseconds in nanoseconds.
pub(crate) const MS: i64 = 1_000_000;
