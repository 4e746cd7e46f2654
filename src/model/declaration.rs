//! What a privacy policy says (`divulge.policy/1`).

use super::{DataType, Role};
use serde::Serialize;
use std::sync::Arc;

/// A range of Unicode scalar values of the policy's text: `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Span(pub usize, pub usize);

/// What a statement says is done with data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words of the contract")]
pub enum Action {
    Collect,
    Use,
    Share,
    Transfer,
    Disclose,
    Store,
}

/// Whether a statement says that something happens or that it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Polarity {
    /// It happens.
    Positive,
    /// It does not.
    Negative,
}

/// The form in which data is said to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words of the contract")]
pub enum DataForm {
    Plain,
    Hashed,
    Encrypted,
    Anonymised,
}

/// Where a statement was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StatementSource {
    /// Running text.
    Prose,
    /// A row of an SDK table.
    Table,
}

/// Who a statement names as the receiver.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Recipient {
    /// `first_party`, a party id of the rules, `third_party` for unnamed ones, or a name of the text made an id.
    pub id: Arc<str>,
    /// The name as the text writes it.
    pub name: Arc<str>,
    /// Its role; `unknown` never occurs here.
    pub role: Role,
}

/// One data mention of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeclaredData {
    /// What kind of data.
    #[serde(rename = "type")]
    pub data_type: DataType,
    /// The words of the text.
    pub text: String,
    /// Where they stand.
    pub span: Span,
    /// Whether the list they stand in is open (等, such as).
    pub open_ended: bool,
}

/// One statement of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Declaration {
    /// Id within the document, `s1` …
    pub id: String,
    /// Clause number as the text gives it, `1.2`, `二(一)3`; the section title where there is no number.
    pub clause: String,
    /// The sentence or table row.
    pub span: Span,
    /// Its text.
    #[serde(skip)]
    pub text: String,
    /// What is done.
    pub action: Action,
    /// Or not done.
    pub polarity: Polarity,
    /// By whom, or to whom data goes.
    pub recipient: Recipient,
    /// Which data.
    pub data: Vec<DeclaredData>,
    /// What for.
    pub purpose: Option<String>,
    /// When.
    pub condition: Option<String>,
    /// In which form. A denial of the plain form ("we only collect it hashed") leaves other forms allowed.
    pub form: Option<DataForm>,
    /// Where it was read.
    pub source: StatementSource,
}

/// A heading of the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Section {
    /// Number as written; empty where it has none.
    pub number: String,
    /// Title.
    pub title: String,
    /// From the heading to the end of its text.
    pub span: Span,
}

/// Something wrong with the policy itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Defect {
    /// Stable kebab-case code.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub spans: Vec<Span>,
}

/// An edge of the text's own ontology: 设备信息(IMEI、…) makes `imei` a part of `device_information` here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalEdge {
    /// The broader term.
    pub parent: DataType,
    /// The narrower one.
    pub child: DataType,
    /// The enumeration.
    pub span: Span,
}

/// One policy; a page may hold several dated versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyDocument {
    /// Title.
    pub title: Option<String>,
    /// The app or product it speaks of.
    pub app: Option<String>,
    /// Who publishes it.
    pub publisher: Option<String>,
    /// `YYYY-MM-DD`.
    pub effective_date: Option<String>,
    /// `YYYY-MM-DD`.
    pub updated_date: Option<String>,
    /// `zh` or `en`.
    pub language: String,
    /// Its part of the input.
    pub span: Span,
    /// Headings.
    pub sections: Vec<Section>,
    /// Statements.
    pub statements: Vec<Declaration>,
    /// What is wrong with it.
    pub defects: Vec<Defect>,
    /// The text's own ontology.
    #[serde(skip)]
    pub local_ontology: Vec<LocalEdge>,
}
