//! Each check finds its case and leaves the others alone.

use super::super::fixture::{collects, denies, flow, own, party, policy, push, rules, ts};
use super::super::{AuditInput, audit, fixture};
use crate::model::*;
use std::sync::Arc;

fn findings(flows: Vec<DataFlow>, says: Option<&[fixture::Says]>, marks: &[Mark]) -> Vec<Finding> {
    let document = says.map(policy);
    let documents: Vec<&PolicyDocument> = document.iter().collect();
    audit(AuditInput { flows, documents: &documents, marks, ..AuditInput::default() }, &rules()).findings
}

fn codes(found: &[Finding]) -> Vec<(&'static str, Severity)> {
    found.iter().map(|finding| (finding.code, finding.severity)).collect()
}

fn mark(at: i64, mark: MarkKind) -> Mark {
    Mark { ts: ts(at), mark, text: None }
}

#[test]
fn each_verdict_has_its_finding() {
    let imei = || vec![flow("imei", own())];
    let found = |says: &[fixture::Says]| codes(&findings(imei(), Some(says), &[]));
    assert_eq!(found(&[collects("first_party", "imei")]), []);
    assert_eq!(found(&[collects("first_party", "device_information")]), [("vague-disclosure", Severity::Low)]);
    assert_eq!(found(&[collects("first_party", "sms")]), [("undeclared-flow", Severity::High)]);
    assert_eq!(found(&[denies("first_party", "imei")]), [("denied-flow", Severity::High)]);
    let both = [collects("first_party", "imei"), denies("first_party", "imei")];
    assert_eq!(found(&both), [("contradicting-clauses", Severity::Medium)]);
    let model = findings(vec![flow("device_model", own())], Some(&[collects("first_party", "sms")]), &[]);
    assert_eq!(codes(&model), [("undeclared-flow", Severity::Medium)]);
}

#[test]
fn evidence_that_may_be_chance_makes_no_grave_finding() {
    let mut doubtful = flow("imei", own());
    doubtful.evidence[0].confidence = Confidence::Possible;
    let found = findings(vec![doubtful.clone()], Some(&[denies("first_party", "imei")]), &[]);
    assert_eq!(codes(&found), [("denied-flow", Severity::Low)]);
    let mut surer = doubtful.evidence[0].clone();
    surer.confidence = Confidence::Likely;
    doubtful.evidence.push(surer);
    let found = findings(vec![doubtful], Some(&[denies("first_party", "imei")]), &[]);
    assert_eq!(codes(&found), [("denied-flow", Severity::High)]);
}

#[test]
fn a_finding_holds_both_sides_of_the_proof() {
    let found = findings(vec![flow("imei", own())], Some(&[denies("first_party", "imei")]), &[]);
    assert_eq!((found[0].evidence.len(), found[0].clauses.len()), (1, 1));
    assert_eq!(found[0].clauses[0].text, "text 1");
    assert_eq!(found[0].verdict, Some(Verdict::Incorrect));
    assert!(found[0].regulations.iter().any(|id| id == "CN191-3.9"), "{:?}", found[0].regulations);
}

#[test]
fn a_fingerprint_depends_on_code_type_party_and_role_alone() {
    let first = findings(vec![flow("imei", own())], Some(&[denies("first_party", "imei")]), &[]);
    let mut later = flow("imei", own());
    (later.observations, later.first_ts, later.last_ts) = (99, ts(500), ts(900));
    let again = findings(vec![later], Some(&[denies("first_party", "imei"), collects("first_party", "sms")]), &[]);
    assert_eq!(first[0].fingerprint, again[0].fingerprint);
    assert!(first[0].fingerprint.len() == 16 && first[0].fingerprint.bytes().all(|b| b.is_ascii_hexdigit()));
    let prints = [("a", "imei", "x"), ("b", "imei", "x"), ("a", "oaid", "x"), ("a", "imei", "y")]
        .map(|(code, data, party)| super::fingerprint(code, data, party, Role::ThirdParty));
    let other_role = super::fingerprint("a", "imei", "x", Role::Unknown);
    assert_eq!(prints.iter().chain([&other_role]).collect::<std::collections::BTreeSet<_>>().len(), 5);
}

#[test]
fn clear_text_counts_for_identifying_data() {
    let open = |data_type: &str| {
        let mut flow = flow(data_type, own());
        flow.cleartext = true;
        flow.evidence[0].cleartext = true;
        codes(&findings(vec![flow], None, &[]))
    };
    assert_eq!(open("nickname"), [("cleartext-identifier", Severity::Medium)]);
    assert_eq!(open("id_number"), [("cleartext-identifier", Severity::High)]);
    assert_eq!(open("os_version"), []);
}

#[test]
fn marks_divide_the_run() {
    let early = || {
        let mut flow = flow("imei", push());
        flow.before_consent = true;
        vec![flow]
    };
    let found = findings(early(), None, &[mark(20, MarkKind::Agree)]);
    assert_eq!(codes(&found), [("before-consent", Severity::High)]);
    assert!(found[0].regulations.iter().any(|id| id == "CN191-5.1"), "{:?}", found[0].regulations);
    let seen_at_10 = || vec![flow("imei", own())];
    let refused = [mark(5, MarkKind::Refuse)];
    assert_eq!(codes(&findings(seen_at_10(), None, &refused)), [("after-refusal", Severity::High)]);
    let agreed_then = [mark(5, MarkKind::Refuse), mark(7, MarkKind::Agree)];
    assert_eq!(codes(&findings(seen_at_10(), None, &agreed_then)), []);
    assert_eq!(codes(&findings(seen_at_10(), None, &[mark(11, MarkKind::Refuse)])), []);
    let withdrawn = [mark(1, MarkKind::Agree), mark(9, MarkKind::Withdraw)];
    assert_eq!(codes(&findings(seen_at_10(), None, &withdrawn)), [("after-withdrawal", Severity::High)]);
}

#[test]
fn a_hash_is_still_an_identifier() {
    let mut hashed = flow("imei", own());
    hashed.evidence[0].chain.push(Decoding("md5"));
    assert_eq!(codes(&findings(vec![hashed], None, &[])), [("hashed-identifier", Severity::Note)]);
    let mut model = flow("device_model", own());
    model.evidence[0].chain.push(Decoding("md5"));
    assert_eq!(codes(&findings(vec![model], None, &[])), []);
}

#[test]
fn an_identifier_in_the_query_is_noted() {
    let mut in_url = flow("imei", own());
    in_url.evidence[0].location.part = Part::Query;
    assert_eq!(codes(&findings(vec![in_url.clone()], None, &[])), [("identifier-in-url", Severity::Note)]);
    in_url.evidence[0].location.side = Side::Response;
    assert_eq!(codes(&findings(vec![in_url], None, &[])), []);
}

#[test]
fn a_third_party_that_nobody_names_is_found_once() {
    let unknown = party("tracker.example", Role::Unknown);
    let flows = || vec![flow("imei", Arc::clone(&unknown)), flow("device_model", Arc::clone(&unknown))];
    let count = |says: &[fixture::Says], flows: Vec<DataFlow>| {
        findings(flows, Some(says), &[]).iter().filter(|finding| finding.code == "undeclared-recipient").count()
    };
    assert_eq!(count(&[collects("third_party", "personal_information")], flows()), 1);
    assert_eq!(count(&[collects("tracker.example", "sms")], flows()), 0);
    assert_eq!(count(&[collects("test_co", "sms")], vec![flow("imei", push())]), 0);
    assert_eq!(count(&[collects("test_pushers", "imei")], vec![flow("imei", push())]), 1);
    assert_eq!(count(&[], vec![flow("imei", own())]), 0);
}

#[test]
fn a_policy_without_statements_is_said_to_be_unread() {
    assert!(findings(vec![], Some(&[]), &[]).iter().any(|finding| finding.code == "unread-policy"));
    assert!(findings(vec![], None, &[]).is_empty());
}

#[test]
fn a_host_that_stayed_closed_is_noted() {
    let host = |opaque_bytes| HostSummary {
        host: "pinned.example".into(),
        named_by: NameSource::Sni,
        party: push(),
        flows: 1,
        bytes: 100,
        opaque_bytes,
        opaque_reason: Some(OpaqueReason::NoKey),
        exchanges: 0,
    };
    let hosts = [host(60), host(0)];
    let found = audit(AuditInput { hosts: &hosts, ..AuditInput::default() }, &rules()).findings;
    assert_eq!(codes(&found), [("unreadable-host", Severity::Note)]);
    assert!(found[0].reason.contains("60 of 100 bytes") && found[0].reason.contains("no_key"), "{}", found[0].reason);
}

#[test]
fn findings_stand_gravest_first_and_do_not_depend_on_the_order_of_flows() {
    let flows = || vec![flow("imei", own()), flow("os_version", push()), flow("location", own())];
    let says = [collects("first_party", "device_information")];
    let found = findings(flows(), Some(&says), &[]);
    assert!(found.is_sorted_by(|a, b| a.severity >= b.severity));
    let mut turned = flows();
    turned.reverse();
    let prints = |found: &[Finding]| found.iter().map(|finding| finding.fingerprint.clone()).collect::<Vec<_>>();
    assert_eq!(prints(&found), prints(&findings(turned, Some(&says), &[])));
}
