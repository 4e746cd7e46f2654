//! The arguments, as clap reads them.

use crate::device::Endpoint;
use crate::model::Severity;
use crate::proxy;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// What an app divulges on the wire, held against what its privacy policy declares.
#[derive(Debug, Parser)]
#[command(name = "divulge", version, propagate_version = true, disable_help_subcommand = true)]
#[command(after_help = "Exit codes: 0 nothing at or above --fail-on; 1 findings; 2 the command itself failed; \
                        3 coverage below --min-coverage.")]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Audit a small shipped capture against a shipped policy: no arguments, no network, no root
    Demo(Demo),
    /// Audit saved captures: pcap, pcapng, HAR (also .gz, .zst), or - for a stream on standard input
    Replay(Box<Replay>),
    /// Audit what a network interface carries, as it happens (needs a build with the feature live)
    Live(Box<Live>),
    /// Stand between a phone and the internet: see everything, change nothing, record what replays
    Proxy(Box<Proxy>),
    /// The certificate authority that phones are told to trust
    Ca(Ca),
    /// Look after the test phone over adb: what is ready, its identifiers, the set-up for the proxy and its undoing
    Device(Device),
    /// Read privacy policies
    Policy(Policy),
    /// Look at the rules
    Rules(Rules),
    /// Print the page of a finding code: what it means, how it is tested, how to fix it
    Explain {
        /// The code, as reports show it; without one, all codes are listed
        code: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Show the dashboard, or print the report
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(super) tui: Tui,
    /// Language of the report
    #[arg(long, default_value = "en")]
    pub(super) lang: Lang,
    /// Show values of identifiers instead of stand-ins
    #[arg(long)]
    pub(super) show_values: bool,
    /// Write the demo's files (capture, policy, profile, marks) into a folder, to try other commands on
    #[arg(long, value_name = "DIR")]
    pub(super) extract: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Replay {
    /// Captures in the order they were taken; - is standard input
    #[arg(required_unless_present = "first_party", value_name = "INPUT")]
    pub(super) inputs: Vec<String>,
    #[command(flatten)]
    pub(super) run: Run,
}

#[derive(Debug, Args)]
pub(super) struct Live {
    /// Network interface, or any for all of them (Linux); without it the first that runs is used
    #[arg(short, long, value_name = "NAME")]
    pub(super) interface: Option<String>,
    /// List the interfaces there are
    #[arg(long, conflicts_with = "interface")]
    pub(super) list: bool,
    /// Capture only what this BPF filter lets through, such as "host 10.0.0.7 and not port 22" (see pcap-filter(7))
    #[arg(short, long, value_name = "BPF")]
    pub(super) filter: Option<String>,
    /// Write what is captured to a pcapng file as well, with the TLS keys that come by
    #[arg(short, long, value_name = "FILE")]
    pub(super) write: Option<PathBuf>,
    /// Most bytes kept of a frame
    #[arg(long, value_name = "BYTES", default_value_t = 262_144, value_parser = clap::value_parser!(u32).range(64..=16_777_216))]
    pub(super) snaplen: u32,
    /// Take in all frames that pass by, not only those of this machine
    #[arg(long)]
    pub(super) promisc: bool,
    /// The kernel's buffer, MiB: more where it reports dropped packets
    #[arg(long, value_name = "MIB", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    pub(super) buffer: u16,
    #[command(flatten)]
    pub(super) run: Run,
}

#[derive(Debug, Args)]
pub(super) struct Proxy {
    /// Where to listen, with every mode that is on; may be repeated. Other addresses than loopback want --allow or --auth
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(super) listen: Vec<std::net::SocketAddr>,
    /// How clients come, one or more: as to an HTTP proxy, as to a SOCKS proxy, redirected by the kernel (Linux REDIRECT, or
    /// anything that keeps the server name), or handed over by it (Linux TPROXY)
    #[arg(long, value_name = "MODE", value_enum, value_delimiter = ',', default_value = "regular")]
    pub(super) mode: Vec<ProxyMode>,
    /// What clients of the modes regular and socks5 have to know
    #[arg(long, value_name = "USER:PASSWORD")]
    pub(super) auth: Option<proxy::Credentials>,
    /// Clients that may connect, as networks such as 192.168.1.0/24; may be repeated
    #[arg(long, value_name = "CIDR", value_parser = network)]
    pub(super) allow: Vec<ipnet::IpNet>,
    /// Let clients reach this machine itself (loopback) and link-local addresses through the proxy
    #[arg(long)]
    pub(super) allow_local: bool,
    /// Reach origins through another proxy: http://[USER:PASSWORD@]HOST:PORT or socks5://…
    #[arg(long, value_name = "URL")]
    pub(super) upstream: Option<proxy::Upstream>,
    /// Use this address for a name instead of asking; may be repeated
    #[arg(long, value_name = "HOST:ADDRESS", value_parser = resolve)]
    pub(super) resolve: Vec<(String, std::net::IpAddr)>,
    /// Certificate of the authority to sign with (PEM), in place of the one of `divulge ca init`
    #[arg(long, value_name = "FILE", requires = "ca_key")]
    pub(super) ca: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "ca")]
    pub(super) ca_key: Option<PathBuf>,
    /// Trust origins by these certificates too (PEM); may be repeated
    #[arg(long, value_name = "FILE")]
    pub(super) upstream_ca: Vec<PathBuf>,
    /// Take the certificate of this host whatever it is, and say so; may be repeated. *.domain is all hosts below it
    #[arg(long, value_name = "HOST")]
    pub(super) insecure_upstream: Vec<proxy::HostPattern>,
    /// Certificate and key (PEM) for origins that ask for one; may be repeated
    #[arg(long, value_name = "HOST=FILE", value_parser = client_certificate)]
    pub(super) client_cert: Vec<proxy::ClientCertificate>,
    /// Pass the TLS of this host through untouched; may be repeated. *.domain is all hosts below it
    #[arg(long, value_name = "HOST")]
    pub(super) passthrough: Vec<proxy::HostPattern>,
    /// Record what passes to a pcapng file, with the keys that open it; written as it goes
    #[arg(long, value_name = "FILE")]
    pub(super) record: Option<PathBuf>,
    /// Go on in a next file (FILE-0002.pcapng …) when one has so many MiB
    #[arg(long, value_name = "MIB", requires = "record", value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    pub(super) record_size: Option<u64>,
    /// Go on in a next file after so many seconds
    #[arg(long, value_name = "SECONDS", requires = "record", value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub(super) record_every: Option<u64>,
    /// Show the address as a QR code for the phone's camera (the set-up page is there)
    #[arg(long)]
    pub(super) qr: bool,
    /// Name the app of each connection, by watching this phone over adb; without a serial number the only one there
    #[arg(long, value_name = "SERIAL", num_args = 0..=1, default_missing_value = "")]
    pub(super) device: Option<String>,
    /// Only relay, and record if asked: read nothing
    #[arg(long)]
    pub(super) no_inspect: bool,
    /// Mark our own connections (`SO_MARK`), so that rules that redirect can leave them alone
    #[arg(long, value_name = "NUMBER")]
    pub(super) mark: Option<u32>,
    /// Most connections at a time
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    pub(super) max_connections: usize,
    /// Most connections of one client at a time
    #[arg(long, value_name = "N", default_value_t = 12_000)]
    pub(super) max_per_client: usize,
    /// End a connection on which nothing was sent for so long
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) idle_timeout: u64,
    #[command(flatten)]
    pub(super) run: Run,
}

#[derive(Debug, Args)]
pub(super) struct Ca {
    #[command(subcommand)]
    pub(super) command: CaCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum CaCommand {
    /// Make the authority; its key stays in the user's data folder, readable by nobody else
    Init {
        /// Folder to keep it in
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// Limit it to a domain and what is below (name constraints); may be repeated
        #[arg(long, value_name = "DOMAIN")]
        permit: Vec<String>,
        /// Make a new one in place of one that is there; phones that trust the old one won't trust it
        #[arg(long)]
        force: bool,
    },
    /// Write its certificate for a phone or another program; never the key
    Export {
        /// Folder it is kept in
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// Form of the certificate
        #[arg(long, default_value = "pem")]
        format: CaFormat,
        /// File to write, or for android a folder
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum CaFormat {
    /// Text, for most programs
    Pem,
    /// Binary, as phones install it
    Der,
    /// PEM under the name Android's system store wants: subject_hash_old.0
    Android,
}

/// What all runs have in common.
#[derive(Debug, Args)]
pub(super) struct Run {
    /// TLS key log (SSLKEYLOGFILE), or a folder of them; may be repeated. Beside a live capture it is read as it grows
    #[arg(long, value_name = "FILE")]
    pub(super) keys: Vec<PathBuf>,
    /// Privacy policy to judge against (text, or TOML written by `policy import`); may be repeated
    #[arg(long, value_name = "FILE")]
    pub(super) policy: Vec<PathBuf>,
    /// Which version of a policy page that holds several: its date, YYYY-MM-DD
    #[arg(long, value_name = "DATE")]
    pub(super) policy_version: Option<String>,
    /// Device profile: the test phone's identifiers
    #[arg(long, value_name = "FILE")]
    pub(super) profile: Option<PathBuf>,
    /// Domains of the app's own servers, one or more; may be repeated
    #[arg(long, value_name = "DOMAIN", num_args = 1.., value_delimiter = ',')]
    pub(super) first_party: Vec<String>,
    /// Package of the app under test, to show in the report
    #[arg(long, value_name = "PACKAGE")]
    pub(super) app: Option<String>,
    /// The tester's marks (launch, agree …), one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub(super) marks: Option<PathBuf>,
    /// Folder of rules that add to the built-in ones; may be repeated
    #[arg(long, value_name = "DIR")]
    pub(super) rules: Vec<PathBuf>,
    /// Exit with 1 if there is a finding of this severity or a graver one
    #[arg(long, value_name = "LEVEL")]
    pub(super) fail_on: Option<FailOn>,
    /// Exit with 3 if less than so many per cent of the payload bytes could be read
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub(super) min_coverage: Option<f64>,
    /// Exit with 2 if a capture is damaged or cut off
    #[arg(long)]
    pub(super) strict: bool,
    /// Format of the output; har is the traffic itself, with every value in it whether or not --show-values is given
    #[arg(long, value_enum)]
    pub(super) format: Option<Format>,
    /// Print these as they are found instead of the report
    #[arg(long, value_enum, value_name = "WHAT")]
    pub(super) emit: Option<Emit>,
    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Show the dashboard; auto does so on a terminal where neither --format, --emit nor --output is given
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(super) tui: Tui,
    /// Language of the report
    #[arg(long, default_value = "en")]
    pub(super) lang: Lang,
    /// Show values of identifiers instead of stand-ins
    #[arg(long)]
    pub(super) show_values: bool,
    /// Worker threads; as many as there are cores if not given. The output is the same for any number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(super) threads: Option<u16>,
}

impl Replay {
    /// Inputs and domains as they were meant: `--first-party` takes any number of words, so captures that follow it
    /// on the command line have gone to it. They are told by being there.
    pub(super) fn inputs_and_domains(&self) -> (Vec<String>, Vec<String>) {
        let (mut inputs, mut domains) = (self.inputs.clone(), self.run.first_party.clone());
        if inputs.is_empty() {
            let is_input = |word: &String| word == "-" || std::path::Path::new(word).exists();
            let first = domains.iter().rposition(|word| !is_input(word)).map_or(0, |at| at + 1);
            inputs = domains.split_off(first);
        }
        (inputs, domains)
    }
}

#[derive(Debug, Args)]
pub(super) struct Device {
    #[command(subcommand)]
    pub(super) command: DeviceCommand,
}

/// Which phone, and how patiently it is asked.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Serial number of the phone, as `adb devices` lists it; else ANDROID_SERIAL, else the only one there is
    #[arg(short, long, value_name = "SERIAL")]
    pub(super) serial: Option<String>,
    /// Longest wait for one answer of the phone, seconds; it may be asking its user whether Shell may be root
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=600))]
    pub(super) timeout: u16,
}

#[derive(Debug, Subcommand)]
pub(super) enum DeviceCommand {
    /// Tell what is ready and what is not, each with its fix. Exit codes: 0 ready, 1 something is missing, 2 no telling
    Doctor {
        #[command(flatten)]
        which: Which,
        /// Where the proxy listens: it is checked that the phone's traffic goes there
        #[arg(long, value_name = "HOST:PORT", value_parser = Endpoint::parse)]
        proxy: Option<Endpoint>,
        /// Package of the app under test; may be repeated
        #[arg(long, value_name = "PACKAGE")]
        app: Vec<String>,
        /// The proxy's certificate, to look for; without it, the one that was set up
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
    },
    /// Write the phone's identifiers to a device profile
    Profile {
        #[command(flatten)]
        which: Which,
        /// The profile to write; - is standard output
        #[arg(short, long, value_name = "FILE", default_value = "device.toml")]
        output: PathBuf,
        /// Package of the app under test: its own Android ID is read
        #[arg(long, value_name = "PACKAGE")]
        app: Option<String>,
        /// Write over a profile that is there
        #[arg(long)]
        force: bool,
    },
    /// Lead the phone's traffic to the proxy, have its certificate trusted and block QUIC. `restore` undoes it; so does a
    /// reboot of the phone, but for the global proxy
    Setup {
        #[command(flatten)]
        which: Which,
        /// Where the proxy listens, as the phone reaches it (with --reverse: 127.0.0.1:PORT)
        #[arg(long, value_name = "HOST:PORT", value_parser = Endpoint::parse)]
        proxy: Endpoint,
        /// Package of the app under test: QUIC is blocked, and with --redirect connections are redirected, only for it;
        /// may be repeated
        #[arg(long, value_name = "PACKAGE")]
        app: Vec<String>,
        /// The proxy's certificate authority (PEM), to be trusted as if it were the system's: that of `divulge ca init` if
        /// not given. A key in it stays here
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
        /// Let adb carry the traffic to this computer, over the cable
        #[arg(long)]
        reverse: bool,
        /// Redirect the connections of --app with iptables instead of setting the global proxy, which apps may ignore
        #[arg(long)]
        redirect: bool,
        /// Let QUIC (UDP port 443) pass; apps then may speak HTTP/3 past the proxy
        #[arg(long)]
        keep_quic: bool,
    },
    /// Undo a set-up, also after a crash of this program or a reboot of the phone
    Restore {
        #[command(flatten)]
        which: Which,
        /// Also undo what may be there without a journal: our chains and mounts, and whatever global proxy is set
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct Policy {
    #[command(subcommand)]
    pub(super) command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Read a policy into declarations
    Import {
        /// The policy
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Format of the output
        #[arg(long, default_value = "text")]
        format: PolicyFormat,
        /// Print the extracted text instead, which spans refer to
        #[arg(long, value_name = "WHAT")]
        emit: Option<PolicyEmit>,
        /// Folder of rules that add to the built-in ones; may be repeated
        #[arg(long, value_name = "DIR")]
        rules: Vec<PathBuf>,
        /// Write to a file instead of standard output
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(super) struct Rules {
    #[command(subcommand)]
    pub(super) command: RulesCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum RulesCommand {
    /// Check a folder of rules; each mistake is one line with file, line and column
    Check {
        /// The folder
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// List the parties the rules know, with their hosts
    List,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ProxyMode {
    Regular,
    Socks5,
    Transparent,
    Tproxy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Tui {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Lang {
    En,
    Zh,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
    Ndjson,
    /// The traffic itself as HTTP Archive 1.2, values included
    Har,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Emit {
    Exchanges,
    Observations,
    Findings,
    Sni,
    Dns,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum PolicyFormat {
    Text,
    Json,
    Toml,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum PolicyEmit {
    Text,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    Note,
    Low,
    Medium,
    High,
    Never,
}

impl FailOn {
    /// The least severity that fails; none for never.
    pub(super) fn severity(self) -> Option<Severity> {
        match self {
            Self::Note => Some(Severity::Note),
            Self::Low => Some(Severity::Low),
            Self::Medium => Some(Severity::Medium),
            Self::High => Some(Severity::High),
            Self::Never => None,
        }
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let value: f64 = text.trim_end_matches('%').parse().map_err(|_| "expected a number from 0 to 100".to_owned())?;
    if (0.0..=100.0).contains(&value) { Ok(value) } else { Err("expected a number from 0 to 100".to_owned()) }
}

fn network(text: &str) -> Result<ipnet::IpNet, String> {
    let alone = || text.parse::<std::net::IpAddr>().map(ipnet::IpNet::from);
    text.parse().or_else(|_| alone()).map_err(|_| "expected a network such as 192.168.1.0/24, or an address".to_owned())
}

fn resolve(text: &str) -> Result<(String, std::net::IpAddr), String> {
    let expected = || "expected HOST:ADDRESS, such as api.example.com:10.0.0.7".to_owned();
    let (host, address) = text.split_once(':').filter(|(host, _)| !host.is_empty()).ok_or_else(expected)?;
    let address = address.trim_start_matches('[').trim_end_matches(']').parse().map_err(|_| expected())?;
    Ok((host.to_owned(), address))
}

fn client_certificate(text: &str) -> Result<proxy::ClientCertificate, String> {
    let (host, file) = text.split_once('=').filter(|(_, file)| !file.is_empty()).ok_or("expected HOST=FILE")?;
    Ok(proxy::ClientCertificate { host: host.parse()?, file: file.into() })
}
