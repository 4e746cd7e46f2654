//! The outcome of a run, as every report format and the dashboard read it (DESIGN's `divulge.report/1`).

use super::{
    ClauseQuote, Coverage, DataFlow, DataType, Finding, Layer, Mark, NameSource, OpaqueReason, Party, PolicyDocument,
    Timestamp, Verdict,
};
use std::sync::Arc;

/// A data flow with its verdict.
#[derive(Debug, Clone)]
pub struct JudgedFlow {
    /// The flow.
    pub flow: DataFlow,
    /// How it relates to the policy; none where no policy was given.
    pub verdict: Option<Verdict>,
    /// The statements the verdict rests on, nearest first.
    pub clauses: Vec<ClauseQuote>,
    /// Why, in words: relations and ontology edges.
    pub reason: String,
}

/// One host of the run.
#[derive(Debug, Clone)]
pub struct HostSummary {
    /// Host name or address.
    pub host: Arc<str>,
    /// What told that name; the surest source where flows differ.
    pub named_by: NameSource,
    /// Who that is.
    pub party: Arc<Party>,
    /// Flows to it.
    pub flows: u64,
    /// Payload bytes, both directions.
    pub bytes: u64,
    /// Of them, those that stayed closed.
    pub opaque_bytes: u64,
    /// The commonest reason.
    pub opaque_reason: Option<OpaqueReason>,
    /// Exchanges read.
    pub exchanges: u64,
}

/// A statement nothing was seen of.
#[derive(Debug, Clone)]
pub struct DeclaredOnly {
    /// What was declared.
    pub data_type: DataType,
    /// For whom.
    pub party: Arc<Party>,
    /// Where.
    pub clause: ClauseQuote,
}

/// A weird with how often it occurred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeirdCount {
    /// Which stage.
    pub layer: Layer,
    /// What.
    pub reason: &'static str,
    /// How often.
    pub count: u64,
}

/// The policy a run was judged against.
#[derive(Debug, Clone)]
pub struct PolicyUsed {
    /// File as given.
    pub file: String,
    /// The whole input text (spans refer to it).
    pub text: Arc<str>,
    /// The document chosen.
    pub document: Arc<PolicyDocument>,
}

/// Everything a run found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Input files as given.
    pub inputs: Vec<String>,
    /// Time of the first frame.
    pub started: Option<Timestamp>,
    /// Time of the last frame.
    pub ended: Option<Timestamp>,
    /// Package of the app under test, where known.
    pub app: Option<String>,
    /// The policies.
    pub policies: Vec<PolicyUsed>,
    /// The tester's marks.
    pub marks: Vec<Mark>,
    /// Hosts, by name.
    pub hosts: Vec<HostSummary>,
    /// Data flows, by data type and party.
    pub data_flows: Vec<JudgedFlow>,
    /// Findings, gravest first, then by code and fingerprint.
    pub findings: Vec<Finding>,
    /// Declared but never seen.
    pub declared_only: Vec<DeclaredOnly>,
    /// Odd traffic.
    pub weirds: Vec<WeirdCount>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// What was read.
    pub coverage: Coverage,
    /// Exchanges seen.
    pub exchanges: u64,
    /// Frames read.
    pub frames: u64,
}
