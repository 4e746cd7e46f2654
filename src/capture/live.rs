//! A network interface → batches of frames, by libpcap: the filter, the link type, the kernel's own count of what it
//! had to drop. Takes in whatever waits and passes it on at once, so that nothing lies here while the wire is quiet.

use super::open::CaptureError;
use super::told::{Coming, Told};
use crate::model::{CaptureItem, FrameBatch, FrameMeta, LinkType, Timestamp};
use pcap::{Active, Capture, Device, Error, Linktype};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Bytes of a batch beyond which it is passed on though more waits.
pub const BATCH_MAX: usize = 1 << 20;
/// The kernel's buffer, bytes, if the user names no size: about a second of a fast phone.
pub const BUFFER_DEFAULT: usize = 32 << 20;
/// Most bytes kept of a frame if the user names no number; tcpdump's default.
pub const SNAPLEN_DEFAULT: u32 = 262_144;

/// Longest wait for a packet before the wish to stop is looked at.
const LOOK: Duration = Duration::from_millis(40);
/// Time between two looks at the kernel's counters.
const COUNT_EVERY: Duration = Duration::from_millis(500);
/// The pseudo-interface of Linux that is all of them.
const ANY: &str = "any";
/// `LINKTYPE_LINUX_SLL2`, which also says which interface a packet came by.
const SLL2: i32 = 276;
/// `LINKTYPE_RAW`; libpcap calls it 12 (14 on OpenBSD) where it captures.
const RAW: u32 = 101;

/// What to capture.
#[derive(Debug, Clone)]
pub struct Interface {
    /// Its name, or `any`.
    pub name: String,
    /// A BPF filter (pcap-filter(7)); none for all packets.
    pub filter: Option<String>,
    /// Most bytes kept of a frame.
    pub snaplen: u32,
    /// Whose frames.
    pub reach: Reach,
    /// The kernel's buffer, bytes.
    pub buffer: usize,
}

/// Whose frames are taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Those to and from this machine.
    Own,
    /// All that pass by (promiscuous mode).
    Promiscuous,
}

/// Why an interface can't be captured on.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The right is missing.
    #[error("{interface}: not permitted to capture: {reason}")]
    NotPermitted {
        /// The interface.
        interface: String,
        /// libpcap's words.
        reason: String,
    },
    /// There is no such interface.
    #[error("{interface}: no such interface; there are {}", .there.join(", "))]
    Unknown {
        /// The interface asked for.
        interface: String,
        /// Those there are.
        there: Vec<String>,
    },
    /// There is none to choose.
    #[error("no interface that is up was found; name one with -i")]
    None,
    /// The filter makes no sense.
    #[error("filter {filter:?}: {reason}")]
    Filter {
        /// The filter.
        filter: String,
        /// libpcap's words.
        reason: String,
    },
    /// Anything else libpcap says.
    #[error("{interface}: {reason}")]
    Other {
        /// The interface.
        interface: String,
        /// libpcap's words.
        reason: String,
    },
}

/// An interface as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// What libpcap tells of it: state, addresses.
    pub about: String,
}

/// The interfaces there are, the ones likeliest wanted first.
///
/// # Errors
/// What libpcap says where it can't list them.
pub fn interfaces() -> Result<Vec<Listed>, LiveError> {
    Ok(devices()?.iter().map(listed).collect())
}

fn devices() -> Result<Vec<Device>, LiveError> {
    Device::list().map_err(|error| LiveError::Other { interface: "interfaces".to_owned(), reason: words(&error) })
}

fn listed(device: &Device) -> Listed {
    let mut about: Vec<String> = Vec::new();
    let flags = &device.flags;
    about.push(
        if flags.is_running() {
            "running"
        } else if flags.is_up() {
            "up"
        } else {
            "down"
        }
        .to_owned(),
    );
    if flags.is_loopback() {
        about.push("loopback".to_owned());
    }
    if flags.is_wireless() {
        about.push("wireless".to_owned());
    }
    about.extend(device.desc.clone());
    about.extend(device.addresses.iter().map(|address| address.addr.to_string()));
    Listed { name: device.name.clone(), about: about.join(", ") }
}

/// The interface to use where the user names none: the first that runs, has an address and is no loopback.
///
/// # Errors
/// Where there is none, or they can't be listed.
pub fn default_interface() -> Result<String, LiveError> {
    let devices = devices()?;
    let fits = |device: &&Device| {
        device.name != ANY && device.flags.is_running() && !device.flags.is_loopback() && !device.addresses.is_empty()
    };
    let up = |device: &&Device| device.name != ANY && device.flags.is_up() && !device.addresses.is_empty();
    let chosen = devices.iter().find(fits).or_else(|| devices.iter().find(up));
    chosen.map(|device| device.name.clone()).ok_or(LiveError::None)
}

/// An interface that is being captured on.
pub struct LiveCapture {
    name: String,
    link: LinkType,
    handle: Capture<Active>,
    frames: u64,
    bytes: u64,
}

impl LiveCapture {
    /// Begins to capture.
    ///
    /// # Errors
    /// Without the right, where there is no such interface, and where the filter is wrong.
    pub fn open(interface: &Interface) -> Result<Self, LiveError> {
        let name = interface.name.as_str();
        let failed = |error: Error| refused(name, &error);
        let any = name == ANY;
        let capture = Capture::from_device(name).map_err(failed)?;
        let capture = capture
            .snaplen(i32::try_from(interface.snaplen).unwrap_or(i32::MAX))
            // All interfaces at once can't be made promiscuous, and asking for it fails.
            .promisc(interface.reach == Reach::Promiscuous && !any)
            .immediate_mode(true)
            .timeout(i32::try_from(LOOK.as_millis()).unwrap_or(1))
            .buffer_size(i32::try_from(interface.buffer).unwrap_or(i32::MAX));
        #[cfg(target_os = "linux")]
        let capture = capture.precision(pcap::Precision::Nano);
        let mut handle = capture.open().map_err(failed)?;
        if any && handle.list_datalinks().is_ok_and(|links| links.contains(&Linktype(SLL2))) {
            handle.set_datalink(Linktype(SLL2)).map_err(failed)?;
        }
        if let Some(filter) = &interface.filter {
            let wrong = |error: Error| LiveError::Filter { filter: filter.clone(), reason: words(&error) };
            handle.filter(filter, true).map_err(wrong)?;
        }
        let link = match handle.get_datalink().0 {
            12 | 14 => LinkType(RAW),
            number => LinkType(number.cast_unsigned()),
        };
        let handle = handle.setnonblock().map_err(failed)?;
        Ok(Self { name: name.to_owned(), link, handle, frames: 0, bytes: 0 })
    }

    /// How its frames begin.
    #[must_use]
    pub fn link(&self) -> LinkType {
        self.link
    }

    /// Waits until a packet may be there.
    fn wait(&self) -> io::Result<()> {
        let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(LOOK.subsec_nanos()) };
        let mut fds = [PollFd::new(&self.handle, PollFlags::IN)];
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes in what waits, at most a batch; none where nothing does.
    fn batch(&mut self) -> Result<Option<FrameBatch>, Error> {
        let mut bytes = Vec::new();
        let mut frames: Vec<FrameMeta> = Vec::new();
        while frames.len() < FrameBatch::FRAMES_MAX && bytes.len() < BATCH_MAX {
            let packet = match self.handle.next_packet() {
                Ok(packet) => packet,
                Err(Error::TimeoutExpired | Error::NoMorePackets) => break,
                // What was taken in before still counts; the error comes again.
                Err(_) if !frames.is_empty() => break,
                Err(error) => return Err(error),
            };
            self.frames += 1;
            let start = bytes.len();
            bytes.extend_from_slice(packet.data);
            frames.push(FrameMeta {
                number: self.frames,
                ts: timestamp(packet.header),
                link: self.link,
                start,
                len: packet.data.len(),
                original_len: packet.header.len,
                app: None,
            });
        }
        self.bytes += bytes.len() as u64;
        Ok((!frames.is_empty()).then(|| FrameBatch { segment: Arc::new(bytes), frames }))
    }

    /// Packets lost so far: those the kernel had no room for, and those the interface dropped.
    fn lost(&mut self) -> u64 {
        self.handle.stats().map_or(0, |stat| u64::from(stat.dropped) + u64::from(stat.if_dropped))
    }
}

impl Coming for LiveCapture {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn read(mut self: Box<Self>, stop: &AtomicBool, tell: &mut dyn FnMut(Told) -> bool) {
        let name = self.name.clone();
        let mut told_lost = 0;
        let mut counted = Instant::now();
        let mut heard = true;
        while heard {
            let stopping = stop.load(Ordering::SeqCst);
            match self.batch() {
                Ok(Some(batch)) => heard = tell(Told::Item(CaptureItem::Frames(batch), self.bytes)),
                Ok(None) if stopping => break,
                Ok(None) => {
                    if let Err(source) = self.wait() {
                        tell(Told::Failed(CaptureError::Read { name, offset: self.bytes, source }));
                        return;
                    }
                }
                Err(error) => {
                    let source = io::Error::other(words(&error));
                    tell(Told::Failed(CaptureError::Read { name, offset: self.bytes, source }));
                    return;
                }
            }
            if heard && (counted.elapsed() >= COUNT_EVERY || stopping) {
                counted = Instant::now();
                let lost = self.lost();
                if lost > told_lost {
                    told_lost = lost;
                    heard = tell(Told::Lost(lost));
                }
            }
        }
        let lost = self.lost();
        if lost > told_lost {
            tell(Told::Lost(lost));
        }
        tell(Told::Ended);
    }

    fn farewell(&self) -> Duration {
        Duration::from_secs(1)
    }
}

fn timestamp(header: &pcap::PacketHeader) -> Timestamp {
    // On Linux nanoseconds were asked for, and stand where the microseconds would.
    let unit = if cfg!(target_os = "linux") { 1 } else { 1_000 };
    Timestamp::from_nanos(header.ts.tv_sec.saturating_mul(1_000_000_000).saturating_add(header.ts.tv_usec * unit))
}

fn refused(name: &str, error: &Error) -> LiveError {
    let (interface, reason) = (name.to_owned(), words(error));
    let says = |what: &str| reason.to_ascii_lowercase().contains(what);
    if says("permission") || says("not permitted") {
        return LiveError::NotPermitted { interface, reason };
    }
    if says("no such device") {
        let there = devices().unwrap_or_default().into_iter().map(|device| device.name).collect();
        return LiveError::Unknown { interface, there };
    }
    LiveError::Other { interface, reason }
}

/// libpcap's words on one line.
fn words(error: &Error) -> String {
    let text = match error {
        Error::PcapError(text) => text.clone(),
        other => other.to_string(),
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
