//! Frame → packet: link layers by hand (etherparse knows only a few), IP and transport headers through etherparse,
//! fragments put together. Leaves order, retransmission and content to `flow`.

mod defrag;
mod ieee80211;
mod link;
mod nflog;
mod tunnel;

use crate::model::{App, Frame, Layer, LinkType, Packet, TcpFlags, TcpSegment, Transport, UdpDatagram, Weird};
use defrag::{Defragmenter, Fragment};
use etherparse::{IpNumber, LaxIpSlice, TcpSlice, UdpSlice};
use link::Payload;
use rustc_hash::FxHashMap;
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

/// Most headers of tunnels (IP in IP, GRE …) that are opened one inside the other.
const NESTING_MAX: usize = 4;
/// Most different apps remembered from trailers.
const APPS_MAX: usize = 65_536;

/// Turns frames into packets; keeps fragments and the apps seen.
#[derive(Default)]
pub struct Decoder {
    defragmenter: Defragmenter,
    apps: FxHashMap<(i32, Vec<u8>), Arc<App>>,
}

impl Decoder {
    /// The packet a frame carries or completes; none for a fragment that others must join, for other protocols
    /// (ARP …) and for what made no sense, which is told to `weird`.
    pub fn decode<'a>(&mut self, frame: &Frame<'a>, weird: &mut dyn FnMut(Weird)) -> Option<Packet<'a>> {
        let mut app = frame.app.clone();
        let mut data = frame.data;
        if frame.link == LinkType::ETHERNET
            && let Some(trailer) = link::pcapdroid_trailer(data)
        {
            data = &data[..data.len() - link::PCAPDROID_TRAILER];
            app = self.app(trailer.uid, trailer.name).or(app);
        }
        let payload = match link::payload(frame.link, data, frame.original_len) {
            Payload::Ip(ip) => ip,
            Payload::IpOf { uid, ip } => {
                app = uid.and_then(|uid| self.app(uid, &[])).or(app);
                ip
            }
            Payload::NotIp => return None,
            Payload::Weird(reason) => {
                weird(Weird::new(Layer::Packet, reason));
                return None;
            }
        };
        let place = FramePlace { frame, app };
        self.ip(&place, Cow::Borrowed(payload), NESTING_MAX, weird)
    }

    fn app(&mut self, uid: i32, name: &[u8]) -> Option<Arc<App>> {
        if uid < 0 && name.is_empty() {
            return None;
        }
        if let Some(app) = self.apps.get(&(uid, name.to_vec())) {
            return Some(Arc::clone(app));
        }
        let shown = (!name.is_empty()).then(|| Arc::from(cut_utf8(name).as_ref()));
        let app = Arc::new(App { uid: (uid >= 0).then_some(uid), package: None, name: shown });
        if self.apps.len() < APPS_MAX {
            self.apps.insert((uid, name.to_vec()), Arc::clone(&app));
        }
        Some(app)
    }

    fn ip<'a>(
        &mut self,
        place: &FramePlace<'_, 'a>,
        bytes: Cow<'a, [u8]>,
        depth: usize,
        weird: &mut dyn FnMut(Weird),
    ) -> Option<Packet<'a>> {
        match bytes {
            Cow::Borrowed(bytes) => {
                let datagram = self.datagram(place, bytes, weird)?;
                self.transport(place, datagram, depth, weird)
            }
            // Inside a defragmented datagram the bytes have no frame to borrow from.
            Cow::Owned(bytes) => {
                let datagram = self.datagram(place, &bytes, weird)?;
                let owned = Datagram { payload: Cow::Owned(datagram.payload.into_owned()), ..datagram };
                self.transport(place, owned, depth, weird)
            }
        }
    }

    /// Reads the IP header and its extensions, and joins fragments.
    fn datagram<'b>(
        &mut self,
        place: &FramePlace<'_, '_>,
        bytes: &'b [u8],
        weird: &mut dyn FnMut(Weird),
    ) -> Option<Datagram<'b>> {
        plain(bytes).or_else(|| self.any_datagram(place, bytes, weird))
    }

    /// The same whatever the header holds.
    fn any_datagram<'b>(
        &mut self,
        place: &FramePlace<'_, '_>,
        bytes: &'b [u8],
        weird: &mut dyn FnMut(Weird),
    ) -> Option<Datagram<'b>> {
        let ip = match LaxIpSlice::from_slice(bytes) {
            Ok((ip, None)) => ip,
            Ok((ip, Some(_))) => {
                weird(Weird::new(Layer::Packet, "unreadable IP extension header"));
                ip
            }
            Err(_) => {
                weird(Weird::new(Layer::Packet, "unreadable IP header"));
                return None;
            }
        };
        let (src, dst) = (ip.source_addr(), ip.destination_addr());
        let payload = ip.payload();
        let missing = if payload.incomplete { declared_len(&ip).saturating_sub(bytes.len()) } else { 0 };
        if !payload.fragmented {
            return Some(Datagram {
                src,
                dst,
                protocol: payload.ip_number,
                payload: Cow::Borrowed(payload.payload),
                missing,
            });
        }
        if missing > 0 {
            weird(Weird::new(Layer::Packet, "fragment cut by the snap length"));
            return None;
        }
        let fragment = Fragment::of(&ip)?;
        let whole = self.defragmenter.add(fragment, payload.payload, place.frame.number, weird)?;
        Some(Datagram { src, dst, protocol: payload.ip_number, payload: Cow::Owned(whole), missing: 0 })
    }

    fn transport<'a>(
        &mut self,
        place: &FramePlace<'_, 'a>,
        datagram: Datagram<'a>,
        depth: usize,
        weird: &mut dyn FnMut(Weird),
    ) -> Option<Packet<'a>> {
        let Datagram { src, dst, protocol, payload, missing } = datagram;
        let transport = match protocol {
            IpNumber::TCP => tcp(payload, missing, weird)?,
            IpNumber::UDP => {
                let datagram = udp(payload, missing, weird)?;
                if depth > 0
                    && let Some(inner) = tunnel::in_udp(&datagram)
                {
                    return self.ip(place, inner, depth - 1, weird);
                }
                Transport::Udp(datagram)
            }
            IpNumber::IPV4 | IpNumber::IPV6 if depth > 0 => return self.ip(place, payload, depth - 1, weird),
            IpNumber::GRE if depth > 0 => {
                let inner = tunnel::in_gre(payload)?;
                return self.ip(place, inner, depth - 1, weird);
            }
            IpNumber::ETHER_IP if depth > 0 => {
                let inner = tunnel::in_etherip(payload)?;
                return self.ip(place, inner, depth - 1, weird);
            }
            IpNumber::MPLS_IN_IP if depth > 0 => {
                let inner = tunnel::in_mpls(payload)?;
                return self.ip(place, inner, depth - 1, weird);
            }
            IpNumber(other) => Transport::Other(other),
        };
        let FramePlace { frame, app } = place;
        Some(Packet { number: frame.number, ts: frame.ts, app: app.clone(), src, dst, transport })
    }
}

struct FramePlace<'f, 'a> {
    frame: &'f Frame<'a>,
    app: Option<Arc<App>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Datagram<'a> {
    src: IpAddr,
    dst: IpAddr,
    protocol: IpNumber,
    payload: Cow<'a, [u8]>,
    missing: usize,
}

/// Reads the header of nearly every packet: whole TCP or UDP in IPv4 without options or IPv6 without extensions. None
/// where there is more to it than that.
fn plain(bytes: &[u8]) -> Option<Datagram<'_>> {
    let word = |at: usize| usize::from(bytes[at]) << 8 | usize::from(bytes[at + 1]);
    let (src, dst, protocol, header, end) = match bytes.first()? {
        0x45 if bytes.len() >= 20 && word(6) & 0x3fff == 0 => {
            let (src, dst) = (bytes[12..].first_chunk::<4>()?, bytes[16..].first_chunk::<4>()?);
            (IpAddr::from(*src), IpAddr::from(*dst), bytes[9], 20, word(2))
        }
        0x60..=0x6f if bytes.len() >= 40 && word(4) > 0 => {
            let (src, dst) = (bytes[8..].first_chunk::<16>()?, bytes[24..].first_chunk::<16>()?);
            (IpAddr::from(*src), IpAddr::from(*dst), bytes[6], 40, 40 + word(4))
        }
        _ => return None,
    };
    let protocol =
        Some(IpNumber(protocol)).filter(|&protocol| protocol == IpNumber::TCP || protocol == IpNumber::UDP)?;
    Some(Datagram { src, dst, protocol, payload: Cow::Borrowed(bytes.get(header..end)?), missing: 0 })
}

/// Bytes the IP header says the packet has, header included.
fn declared_len(ip: &LaxIpSlice<'_>) -> usize {
    match ip {
        LaxIpSlice::Ipv4(v4) => usize::from(v4.header().total_len()),
        LaxIpSlice::Ipv6(v6) => usize::from(v6.header().payload_length()) + 40,
    }
}

fn tcp<'a>(payload: Cow<'a, [u8]>, missing: usize, weird: &mut dyn FnMut(Weird)) -> Option<Transport<'a>> {
    let Ok(tcp) = TcpSlice::from_slice(&payload) else {
        weird(Weird::new(Layer::Packet, "unreadable TCP header"));
        return None;
    };
    let header_len = payload.len() - tcp.payload().len();
    let flags = TcpFlags { syn: tcp.syn(), ack: tcp.ack(), fin: tcp.fin(), rst: tcp.rst() };
    let (src_port, dst_port) = (tcp.source_port(), tcp.destination_port());
    let (seq, ack) = (tcp.sequence_number(), tcp.acknowledgment_number());
    let payload = after(payload, header_len);
    let missing = u32::try_from(missing).unwrap_or(u32::MAX);
    Some(Transport::Tcp(TcpSegment { src_port, dst_port, seq, ack, flags, payload, missing }))
}

fn udp<'a>(payload: Cow<'a, [u8]>, missing: usize, weird: &mut dyn FnMut(Weird)) -> Option<UdpDatagram<'a>> {
    let Ok(udp) = UdpSlice::from_slice_lax(&payload) else {
        weird(Weird::new(Layer::Packet, "unreadable UDP header"));
        return None;
    };
    let (src_port, dst_port) = (udp.source_port(), udp.destination_port());
    let end = 8 + udp.payload().len();
    let payload = match payload {
        Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[8..end]),
        Cow::Owned(mut bytes) => {
            bytes.truncate(end);
            bytes.drain(..8);
            Cow::Owned(bytes)
        }
    };
    let missing = u32::try_from(missing).unwrap_or(u32::MAX);
    Some(UdpDatagram { src_port, dst_port, payload, missing })
}

/// What follows the first `count` bytes, borrowed if it was.
fn after(bytes: Cow<'_, [u8]>, count: usize) -> Cow<'_, [u8]> {
    match bytes {
        Cow::Borrowed(bytes) => Cow::Borrowed(bytes.get(count..).unwrap_or_default()),
        Cow::Owned(mut bytes) => {
            bytes.drain(..count.min(bytes.len()));
            Cow::Owned(bytes)
        }
    }
}

/// A name whose last character the capture may have cut in the middle.
fn cut_utf8(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(error) if error.error_len().is_none() => {
            String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or_default())
        }
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

#[cfg(test)]
mod tests;
