//! Observations put together by data type and receiver.

use super::{DataType, Observation, Party, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;

/// One data type going to one party.
#[derive(Debug, Clone)]
pub struct DataFlow {
    /// What.
    pub data_type: DataType,
    /// To whom.
    pub party: Arc<Party>,
    /// The hosts it went to.
    pub hosts: BTreeSet<Arc<str>>,
    /// How often.
    pub observations: u64,
    /// First seen.
    pub first_ts: Timestamp,
    /// Last seen.
    pub last_ts: Timestamp,
    /// Whether any of it travelled outside TLS.
    pub cleartext: bool,
    /// Whether any of it was sent before an `agree` mark; false where there are no marks.
    pub before_consent: bool,
    /// The surest observations, at most [`DataFlow::EVIDENCE_MAX`], in order of time.
    pub evidence: Vec<Observation>,
}

impl DataFlow {
    /// Most observations kept as evidence of one data flow.
    pub const EVIDENCE_MAX: usize = 8;
}
