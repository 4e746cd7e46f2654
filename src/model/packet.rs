//! The parsed network and transport view of a frame.

use super::{App, Timestamp};
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

/// A whole IP packet (fragments already put together).
#[derive(Debug, Clone)]
pub struct Packet<'a> {
    /// Number of the frame that completed it.
    pub number: u64,
    /// Time of that frame.
    pub ts: Timestamp,
    /// The app, where the capture names it.
    pub app: Option<Arc<App>>,
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// What the packet carries.
    pub transport: Transport<'a>,
}

/// The transport layer of a packet.
#[derive(Debug, Clone)]
pub enum Transport<'a> {
    /// A TCP segment (RFC 9293).
    Tcp(TcpSegment<'a>),
    /// A UDP datagram (RFC 768).
    Udp(UdpDatagram<'a>),
    /// Another IP protocol, by its number.
    Other(u8),
}

/// One TCP segment.
#[derive(Debug, Clone)]
pub struct TcpSegment<'a> {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Sequence number of the first byte (of SYN, if set).
    pub seq: u32,
    /// Acknowledgement number; meaningful if `flags.ack`.
    pub ack: u32,
    /// The flags that matter to reassembly.
    pub flags: TcpFlags,
    /// Captured payload.
    pub payload: Cow<'a, [u8]>,
    /// Payload bytes that were on the wire after `payload` but not captured.
    pub missing: u32,
}

/// TCP control bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TcpFlags {
    /// Synchronise sequence numbers.
    pub syn: bool,
    /// Acknowledgement field is valid.
    pub ack: bool,
    /// No more data from the sender.
    pub fin: bool,
    /// Reset.
    pub rst: bool,
}

/// One UDP datagram.
#[derive(Debug, Clone)]
pub struct UdpDatagram<'a> {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Captured payload.
    pub payload: Cow<'a, [u8]>,
    /// Payload bytes that were on the wire but not captured.
    pub missing: u32,
}
