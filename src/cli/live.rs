//! `divulge live`: an interface instead of a file; all else is as in a replay. Without the feature `live` it says how
//! to get it.

use super::args::Live;
use super::{Exit, Failure};

#[cfg(not(feature = "live"))]
pub(super) fn run(_args: &Live) -> Result<Exit, Failure> {
    let message = "this build captures on no interface: libpcap was left out. Install libpcap's development files \
                   (Debian: libpcap-dev) and build with `cargo build --release --features live`, or pipe a capture \
                   in: `tcpdump -i IFACE -U -w - | divulge replay -`";
    Err(Failure::Said(message.to_owned()))
}

#[cfg(feature = "live")]
pub(super) use with_libpcap::run;

#[cfg(feature = "live")]
mod with_libpcap {
    use super::{Exit, Failure, Live};
    use crate::capture::Recorder;
    use crate::capture::live::{Interface, LiveCapture, LiveError, Reach, default_interface, interfaces};
    use crate::cli::note;
    use crate::cli::output::{Output, spare_inputs};
    use crate::cli::replay::{Extent, audit, load};
    use crate::session::Source;

    pub(in crate::cli) fn run(args: &Live) -> Result<Exit, Failure> {
        if args.list {
            return list();
        }
        let name = match &args.interface {
            Some(name) => name.clone(),
            None => default_interface().map_err(|error| refused(&error))?,
        };
        spare_inputs(&args.run, &[], args.write.as_deref())?;
        let mut case = load(&args.run, &[], &args.run.first_party, Extent::AndLive)?;
        let capture = LiveCapture::open(&Interface {
            name: name.clone(),
            filter: args.filter.clone(),
            snaplen: args.snaplen,
            reach: if args.promisc { Reach::Promiscuous } else { Reach::Own },
            buffer: usize::from(args.buffer) << 20,
        })
        .map_err(|error| refused(&error))?;
        if let Some(path) = &args.write {
            let failed = |error| Failure::Said(format!("{}: {error}", path.display()));
            case.recorder = Some(Recorder::create(path).map_err(failed)?);
        }
        match &args.filter {
            Some(filter) => note(&format!("capturing on {name}, filter \"{filter}\"; Ctrl-C ends it with the report")),
            None => note(&format!("capturing on {name}; Ctrl-C ends it with the report")),
        }
        case.sources.push(Source::Coming(Box::new(capture)));
        audit(&args.run, case)
    }

    fn list() -> Result<Exit, Failure> {
        let mut out = Output::open(None)?;
        let chosen = default_interface().ok();
        for interface in interfaces().map_err(|error| refused(&error))? {
            let mark = if chosen.as_ref() == Some(&interface.name) { " (used without -i)" } else { "" };
            writeln!(out.writer(), "{}\t{}{mark}", interface.name, interface.about)?;
        }
        out.writer().flush()?;
        Ok(Exit::Fine)
    }

    fn refused(error: &LiveError) -> Failure {
        let mut message = error.to_string();
        if matches!(error, LiveError::NotPermitted { .. }) {
            message.push_str(&advice());
        }
        Failure::Said(message)
    }

    /// How to get the right, for this very program.
    fn advice() -> String {
        let program = std::env::current_exe().map_or_else(|_| "divulge".to_owned(), |path| path.display().to_string());
        if cfg!(target_os = "linux") {
            format!(
                "\ngive this program the right once: sudo setcap cap_net_raw,cap_net_admin=eip '{program}'\nor run it \
                 as root, or let tcpdump capture: sudo tcpdump -i IFACE -U -w - | '{program}' replay -"
            )
        } else {
            format!(
                "\nadd yourself to the group that may read /dev/bpf* (Wireshark's ChmodBPF does so), or run '{program}' \
                 as root"
            )
        }
    }
}
