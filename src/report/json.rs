//! The whole report as one JSON document, `divulge.report/1`. Its keys change only with the number after the slash;
//! captured text is escaped so that the document may be looked at in a terminal.

use super::escape::push_json_fragment;
use super::ndjson::part_name;
use super::{Format, Redactor, ReportOptions};
use crate::model::{
    Coverage, DeclaredOnly, Evidence, Finding, HostSummary, JudgedFlow, Mark, Party, Report, Timestamp, Verdict,
};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};
use std::io::{self, Write};

/// `divulge.report/1`.
#[derive(Debug)]
pub(super) struct Json;

impl Format for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn write(&self, report: &Report, options: &ReportOptions, out: &mut dyn Write) -> io::Result<()> {
        let redactor = Redactor::of(report, options.show_values);
        let document = Document::of(report, &redactor);
        document.serialize(&mut Serializer::with_formatter(&mut *out, Safe(PrettyFormatter::new())))?;
        out.write_all(b"\n")
    }
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    tool: Tool,
    run: Run<'a>,
    marks: &'a [Mark],
    hosts: Vec<Host<'a>>,
    data_flows: Vec<Flow<'a>>,
    findings: Vec<FindingOut<'a>>,
    declared_only: Vec<Declared<'a>>,
    weirds: Vec<WeirdOut<'a>>,
    warnings: &'a [String],
    coverage: Coverage,
}

#[derive(Serialize)]
struct Tool {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Run<'a> {
    inputs: &'a [String],
    started: Option<Timestamp>,
    ended: Option<Timestamp>,
    app: Option<&'a str>,
    /// The first policy; the contract has room for one.
    policy: Option<Policy<'a>>,
    policies: Vec<Policy<'a>>,
    frames: u64,
    exchanges: u64,
}

#[derive(Serialize)]
struct Policy<'a> {
    title: Option<&'a str>,
    effective_date: Option<&'a str>,
    file: &'a str,
}

#[derive(Serialize)]
struct Host<'a> {
    host: &'a str,
    named_by: &'static str,
    party: &'a Party,
    /// Not looked up yet.
    country: Option<&'static str>,
    flows: u64,
    bytes: u64,
    opaque_bytes: u64,
    opaque_reason: Option<&'static str>,
    exchanges: u64,
}

#[derive(Serialize)]
struct Flow<'a> {
    data_type: &'a str,
    party: &'a Party,
    hosts: Vec<&'a str>,
    verdict: Option<Verdict>,
    declarations: Vec<DeclarationOut<'a>>,
    observations: u64,
    first_ts: Timestamp,
    last_ts: Timestamp,
    cleartext: bool,
    before_consent: bool,
    reason: &'a str,
}

#[derive(Serialize)]
struct DeclarationOut<'a> {
    id: &'a str,
    clause: &'a str,
    document: &'a str,
}

#[derive(Serialize)]
struct FindingOut<'a> {
    code: &'a str,
    severity: &'a str,
    title: &'a str,
    data_flow: Option<FlowKey<'a>>,
    regulations: &'a [String],
    evidence: Vec<EvidenceOut<'a>>,
    clauses: Vec<ClauseOut<'a>>,
    fingerprint: &'a str,
    new: bool,
    verdict: Option<Verdict>,
    reason: &'a str,
}

#[derive(Serialize)]
struct FlowKey<'a> {
    data_type: &'a str,
    party: &'a Party,
}

#[derive(Serialize)]
struct EvidenceOut<'a> {
    exchange: String,
    host: &'a str,
    r#where: Where<'a>,
    chain: Vec<&'static str>,
    excerpt: ExcerptOut,
}

#[derive(Serialize)]
struct Where<'a> {
    part: &'a str,
    name: String,
    pointer: String,
}

#[derive(Serialize)]
struct ExcerptOut {
    before: String,
    matched: String,
    after: String,
}

#[derive(Serialize)]
struct ClauseOut<'a> {
    id: &'a str,
    text: &'a str,
    clause: &'a str,
}

#[derive(Serialize)]
struct Declared<'a> {
    data_type: &'a str,
    party: &'a Party,
    clause: ClauseOut<'a>,
}

#[derive(Serialize)]
struct WeirdOut<'a> {
    layer: crate::model::Layer,
    reason: &'a str,
    count: u64,
}

impl<'a> Document<'a> {
    fn of(report: &'a Report, redactor: &Redactor) -> Self {
        Self {
            schema: "divulge.report/1",
            tool: Tool { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") },
            run: Run {
                inputs: &report.inputs,
                started: report.started,
                ended: report.ended,
                app: report.app.as_deref(),
                policy: policies(report).next(),
                policies: policies(report).collect(),
                frames: report.frames,
                exchanges: report.exchanges,
            },
            marks: &report.marks,
            hosts: report.hosts.iter().map(host).collect(),
            data_flows: report.data_flows.iter().map(|judged| flow(report, judged)).collect(),
            findings: report.findings.iter().map(|found| finding(found, redactor)).collect(),
            declared_only: report.declared_only.iter().map(declared).collect(),
            weirds: report
                .weirds
                .iter()
                .map(|weird| WeirdOut { layer: weird.layer, reason: weird.reason, count: weird.count })
                .collect(),
            warnings: &report.warnings,
            coverage: report.coverage,
        }
    }
}

fn policies(report: &Report) -> impl Iterator<Item = Policy<'_>> {
    report.policies.iter().map(|policy| Policy {
        title: policy.document.title.as_deref(),
        effective_date: policy.document.effective_date.as_deref(),
        file: &policy.file,
    })
}

fn host(host: &HostSummary) -> Host<'_> {
    Host {
        host: &host.host,
        named_by: host.named_by.as_str(),
        party: &host.party,
        country: None,
        flows: host.flows,
        bytes: host.bytes,
        opaque_bytes: host.opaque_bytes,
        opaque_reason: host.opaque_reason.map(crate::model::OpaqueReason::as_str),
        exchanges: host.exchanges,
    }
}

fn flow<'a>(report: &'a Report, judged: &'a JudgedFlow) -> Flow<'a> {
    let flow = &judged.flow;
    let document = |index: usize| {
        report.policies.get(index).map_or("", |policy| policy.document.title.as_deref().unwrap_or(&policy.file))
    };
    Flow {
        data_type: flow.data_type.as_str(),
        party: &flow.party,
        hosts: flow.hosts.iter().map(|host| &**host).collect(),
        verdict: judged.verdict,
        declarations: judged
            .clauses
            .iter()
            .map(|quote| DeclarationOut { id: &quote.id, clause: &quote.clause, document: document(quote.document) })
            .collect(),
        observations: flow.observations,
        first_ts: flow.first_ts,
        last_ts: flow.last_ts,
        cleartext: flow.cleartext,
        before_consent: flow.before_consent,
        reason: &judged.reason,
    }
}

fn finding<'a>(found: &'a Finding, redactor: &Redactor) -> FindingOut<'a> {
    FindingOut {
        code: found.code,
        severity: found.severity.as_str(),
        title: &found.title,
        data_flow: found.data_flow.as_ref().map(|(data_type, party)| FlowKey { data_type: data_type.as_str(), party }),
        regulations: &found.regulations,
        evidence: found.evidence.iter().map(|evidence| evidence_out(evidence, redactor)).collect(),
        clauses: found.clauses.iter().map(clause).collect(),
        fingerprint: &found.fingerprint,
        new: true,
        verdict: found.verdict,
        reason: &found.reason,
    }
}

fn evidence_out<'a>(evidence: &'a Evidence, redactor: &Redactor) -> EvidenceOut<'a> {
    let excerpt = redactor.evidence(evidence);
    EvidenceOut {
        exchange: evidence.exchange.to_string(),
        host: &evidence.host,
        r#where: Where {
            part: part_name(evidence.location.part),
            name: redactor.name(&evidence.location.name).into_owned(),
            pointer: redactor.name(&evidence.location.pointer).into_owned(),
        },
        chain: evidence.chain.iter().map(|step| step.0).collect(),
        excerpt: ExcerptOut { before: excerpt.before, matched: excerpt.matched, after: excerpt.after },
    }
}

fn clause(quote: &crate::model::ClauseQuote) -> ClauseOut<'_> {
    ClauseOut { id: &quote.id, text: &quote.text, clause: &quote.clause }
}

fn declared(declared: &DeclaredOnly) -> Declared<'_> {
    Declared { data_type: declared.data_type.as_str(), party: &declared.party, clause: clause(&declared.clause) }
}

/// Pretty printing whose strings also escape what acts on a terminal.
struct Safe(PrettyFormatter<'static>);

impl Formatter for Safe {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut out = Vec::with_capacity(fragment.len());
        push_json_fragment(&mut out, fragment);
        writer.write_all(&out)
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use crate::model::Report;
    use crate::report::{ReportOptions, ShowValues, escape::acts, format, sample};
    use serde_json::{Value, json};

    fn written(report: &Report, show_values: ShowValues) -> String {
        let mut out = Vec::new();
        let options = ReportOptions { show_values, ..ReportOptions::default() };
        format("json").expect("a format").write(report, &options, &mut out).expect("a vector takes all");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn the_report_follows_the_contract() {
        let text = written(&sample::report(), ShowValues::Redacted);
        assert!(text.starts_with("{\n  \"schema\": \"divulge.report/1\",\n  \"tool\""), "{text}");
        let read: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(read["tool"]["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(
            read["run"]["policy"],
            json!({"title": "示例隐私政策", "effective_date": "2024-01-02", "file": "policy.txt"})
        );
        assert_eq!(read["hosts"][2]["opaque_reason"], "no_key");
        assert_eq!(read["data_flows"][0]["verdict"], "omitted");
        assert_eq!(
            read["data_flows"][1]["declarations"],
            json!([{"id": "s1", "clause": "1.2", "document": "示例隐私政策"}])
        );
        assert_eq!(read["findings"][0]["fingerprint"], "0123456789abcdef");
        assert_eq!(read["declared_only"][0]["data_type"], "contacts");
        assert_eq!(read["weirds"], json!([{"layer": "tls", "reason": "record too long", "count": 3}]));
        assert_eq!(read["marks"][0]["mark"], "agree");
        assert_eq!(read["coverage"]["readable_bytes"], 4_900);
    }

    #[test]
    fn captured_text_stays_harmless_and_values_stay_hidden() {
        let text = written(&sample::report(), ShowValues::Redacted);
        assert!(!text.chars().any(|c| c != '\n' && acts(c)));
        assert!(!text.contains("861536030196001") && !text.contains("02:1A:C5"));
        let read: Value = serde_json::from_str(&written(&sample::report(), ShowValues::Plain)).expect("JSON");
        assert_eq!(read["findings"][0]["evidence"][0]["excerpt"]["matched"], "861536030196001");
        assert_eq!(read["hosts"][2]["host"], "pinned.example\x1b[31m");
    }

    #[test]
    fn a_run_without_a_policy_has_no_verdicts() {
        let mut report = sample::report();
        report.policies.clear();
        report.data_flows.iter_mut().for_each(|judged| judged.verdict = None);
        let read: Value = serde_json::from_str(&written(&report, ShowValues::Redacted)).expect("JSON");
        assert_eq!((&read["run"]["policy"], &read["data_flows"][0]["verdict"]), (&Value::Null, &Value::Null));
    }
}
