//! Every verdict and every cell of the contradiction table against small policies.

use super::fixture::{collects, denies, flow, own, party, policy, push, rules, shares};
use super::{AuditInput, CHECKS, Cell, Distances, Judgement, Relation, audit, fixture, judge, page};
use crate::model::{DataFlow, DataType, PolicyDocument};
use crate::model::{DataForm, Decoding, LocalEdge, Role, Span, Verdict};
use std::collections::BTreeSet;

fn judged(flow: &DataFlow, statements: &[fixture::Says]) -> Judgement {
    judge(flow, &[&policy(statements)], &rules())
}

fn verdict(flow: &DataFlow, statements: &[fixture::Says]) -> Verdict {
    judged(flow, statements).verdict
}

fn imei_to_us() -> DataFlow {
    flow("imei", own())
}

fn imei_to_push() -> DataFlow {
    flow("imei", push())
}

/// Row and column of the table in words of the fixture's rules: the entities and data of a declaration and a denial
/// that are both relevant to `mac_address` going to `test_push`.
fn pair(entity: Relation, data: Relation) -> (fixture::Says, fixture::Says) {
    let (e1, e2) = match entity {
        Relation::Equal => ("test_push", "test_push"),
        Relation::Narrower => ("test_push", "third_party"),
        Relation::Broader => ("third_party", "test_push"),
        Relation::Overlapping => ("test_pushers", "test_co"),
    };
    let (d1, d2) = match data {
        Relation::Equal => ("mac_address", "mac_address"),
        Relation::Narrower => ("mac_address", "device_information"),
        Relation::Broader => ("device_information", "mac_address"),
        Relation::Overlapping => ("device_identifier", "network_information"),
    };
    (collects(e1, d1), denies(e2, d2))
}

#[test]
fn every_cell_of_the_contradiction_table() {
    use Relation::{Broader, Equal, Narrower, Overlapping};
    let rules = rules();
    let table = [
        (Equal, [Cell::C1, Cell::C2, Cell::N1, Cell::C6]),
        (Narrower, [Cell::C3, Cell::C4, Cell::N2, Cell::C7]),
        (Broader, [Cell::N3, Cell::C5, Cell::N4, Cell::C8]),
        (Overlapping, [Cell::C9, Cell::C10, Cell::C11, Cell::C12]),
    ];
    let mut seen = BTreeSet::new();
    for (entity, row) in table {
        for (data, cell) in [Equal, Narrower, Broader, Overlapping].into_iter().zip(row) {
            let (declared, denied) = pair(entity, data);
            let document = policy(&[declared, denied]);
            let judgement = judge(&flow("mac_address", push()), &[&document], &rules);
            assert_eq!(judgement.cells, BTreeSet::from([cell]), "{entity:?} {data:?}");
            let expected = if format!("{cell:?}").starts_with('C') { Verdict::Ambiguous } else { Verdict::Incorrect };
            assert_eq!(judgement.verdict, expected, "{cell:?}: {}", judgement.reason);
            assert_eq!(judgement.clauses.len(), 2, "{cell:?}");
            assert!(judgement.reason.contains(&format!("{cell:?}")), "{}", judgement.reason);
            seen.insert(cell);
        }
    }
    assert_eq!(seen.len(), 16);
}

#[test]
fn nothing_said_is_omitted() {
    assert_eq!(verdict(&imei_to_us(), &[]), Verdict::Omitted);
    assert_eq!(verdict(&imei_to_us(), &[collects("first_party", "location")]), Verdict::Omitted);
    // A narrower statement does not cover a broader flow.
    assert_eq!(verdict(&flow("device_information", own()), &[collects("first_party", "imei")]), Verdict::Omitted);
}

#[test]
fn an_exact_statement_is_clear() {
    let judgement =
        judged(&imei_to_us(), &[collects("first_party", "device_information"), collects("first_party", "imei")]);
    assert_eq!(judgement.verdict, Verdict::Clear);
    assert_eq!(judgement.distances, Some(Distances { entity: 0, data: 0 }));
    assert_eq!(judgement.clauses[0].id, "s2");
    assert_eq!(verdict(&imei_to_push(), &[collects("test_push", "imei").in_table()]), Verdict::Clear);
    assert_eq!(
        verdict(&flow("device_information", own()), &[collects("first_party", "device_information")]),
        Verdict::Clear
    );
}

#[test]
fn a_broader_term_is_vague_and_says_over_which_way() {
    let judgement = judged(&imei_to_us(), &[collects("first_party", "device_information")]);
    assert_eq!(judgement.verdict, Verdict::Vague);
    assert_eq!(judgement.distances, Some(Distances { entity: 0, data: 2 }));
    assert!(judgement.reason.contains("imei ⊂ device_identifier ⊂ device_information"), "{}", judgement.reason);
    let vagueness = judgement.vagueness.expect("a nearest statement");
    assert!((vagueness.data - 2.0 / 3.0).abs() < 1e-9 && vagueness.entity == 0.0, "{vagueness:?}");
}

#[test]
fn a_broader_recipient_is_vague() {
    for (recipient, entity) in [("test_pushers", 1), ("test_co", 1), ("third_party", 2), ("anyone", 3)] {
        let judgement = judged(&imei_to_push(), &[collects(recipient, "imei")]);
        assert_eq!(judgement.verdict, Verdict::Vague, "{recipient}");
        assert_eq!(judgement.distances.map(|distances| distances.entity), Some(entity), "{recipient}");
    }
}

#[test]
fn the_nearest_recipient_counts_before_the_nearest_data() {
    let judgement =
        judged(&imei_to_push(), &[collects("third_party", "imei"), collects("test_push", "device_information")]);
    assert_eq!(judgement.clauses[0].id, "s2");
    assert_eq!(judgement.distances, Some(Distances { entity: 0, data: 2 }));
}

#[test]
fn an_sdk_row_licenses_its_sdk_alone() {
    let row = collects("test_push", "imei").in_table();
    assert_eq!(verdict(&imei_to_us(), std::slice::from_ref(&row)), Verdict::Omitted);
    let other = judged(&flow("imei", party("other_sdk", Role::ThirdParty)), std::slice::from_ref(&row));
    assert_eq!(other.verdict, Verdict::Omitted);
    assert!(other.reason.contains("test_push"), "{}", other.reason);
    // A row that says "shared" does not make it the app's own collection either.
    let shared = shares("test_push", "imei").in_table();
    assert_eq!(verdict(&imei_to_us(), &[shared]), Verdict::Omitted);
}

#[test]
fn the_first_party_is_never_just_anyone_and_others_are_never_the_first_party() {
    assert_eq!(verdict(&imei_to_us(), &[collects("anyone", "imei")]), Verdict::Omitted);
    assert_eq!(verdict(&imei_to_us(), &[collects("third_party", "imei")]), Verdict::Omitted);
    assert_eq!(verdict(&imei_to_push(), &[collects("first_party", "imei")]), Verdict::Omitted);
}

#[test]
fn to_share_is_to_have_collected() {
    let judgement = judged(&imei_to_us(), &[shares("third_party", "imei")]);
    assert_eq!(judgement.verdict, Verdict::Clear);
    assert!(judgement.reason.contains("shares, and so collects"), "{}", judgement.reason);
}

#[test]
fn an_unknown_party_matches_third_parties_at_large_only() {
    let unknown = flow("imei", party("tracker.example", Role::Unknown));
    assert_eq!(verdict(&unknown, &[collects("third_party", "imei")]), Verdict::Vague);
    assert_eq!(verdict(&unknown, &[collects("anyone", "imei")]), Verdict::Vague);
    assert_eq!(verdict(&unknown, &[collects("test_pushers", "imei")]), Verdict::Omitted);
    assert_eq!(verdict(&unknown, &[collects("first_party", "imei")]), Verdict::Omitted);
    assert_eq!(verdict(&unknown, &[denies("third_party", "personal_information")]), Verdict::Incorrect);
}

#[test]
fn the_platform_is_judged_like_a_third_party() {
    let platform = flow("imei", party("some_phone_maker", Role::Platform));
    assert_eq!(verdict(&platform, &[collects("some_phone_maker", "imei")]), Verdict::Clear);
    assert_eq!(verdict(&platform, &[collects("third_party", "imei")]), Verdict::Vague);
    assert_eq!(verdict(&platform, &[]), Verdict::Omitted);
}

#[test]
fn a_recipient_of_the_text_is_met_by_its_name() {
    let named = flow("imei", party("Acme Push SDK", Role::ThirdParty));
    assert_eq!(verdict(&named, &[collects("acme-push", "imei")]), Verdict::Clear);
}

#[test]
fn a_denial_alone_is_incorrect() {
    let judgement = judged(&imei_to_push(), &[denies("third_party", "personal_information")]);
    assert_eq!(judgement.verdict, Verdict::Incorrect);
    assert_eq!(judgement.clauses[0].id, "s1");
}

#[test]
fn a_denial_with_exceptions_is_no_denial_after_consent() {
    let except = denies("third_party", "imei").when("除征得您的同意外");
    assert_eq!(verdict(&imei_to_push(), std::slice::from_ref(&except)), Verdict::Omitted);
    assert_eq!(verdict(&imei_to_push(), &[except.clone(), collects("test_push", "imei")]), Verdict::Clear);
    let mut early = imei_to_push();
    early.before_consent = true;
    assert_eq!(verdict(&early, std::slice::from_ref(&except)), Verdict::Incorrect);
    assert_eq!(verdict(&early, &[except, collects("test_push", "imei")]), Verdict::Ambiguous);
}

#[test]
fn within_one_sentence_the_nearest_counts() {
    let broad = collects("first_party", "device_information").in_sentence(7);
    let except = denies("first_party", "imei").in_sentence(7);
    assert_eq!(verdict(&imei_to_us(), &[broad.clone(), except.clone()]), Verdict::Incorrect);
    let both =
        [denies("first_party", "device_information").in_sentence(7), collects("first_party", "imei").in_sentence(7)];
    assert_eq!(verdict(&imei_to_us(), &both), Verdict::Clear);
    let only_hashed = [
        collects("first_party", "imei").in_form(DataForm::Encrypted).in_sentence(7),
        denies("first_party", "imei").in_form(DataForm::Plain).in_sentence(7),
    ];
    assert_eq!(verdict(&imei_to_us(), &only_hashed), Verdict::Incorrect);
    // The same pair in two sentences is related by the table.
    assert_eq!(verdict(&imei_to_us(), &[broad.in_sentence(8), except]), Verdict::Incorrect);
}

#[test]
fn any_contradiction_outweighs_narrowing() {
    let statements =
        [collects("first_party", "device_information"), denies("first_party", "imei"), collects("first_party", "imei")];
    let judgement = judged(&imei_to_us(), &statements);
    assert_eq!(judgement.verdict, Verdict::Ambiguous);
    assert_eq!(judgement.cells, BTreeSet::from([Cell::C1, Cell::N1]));
}

#[test]
fn a_promised_form_that_is_not_kept_is_incorrect() {
    let hashed = collects("first_party", "contacts").in_form(DataForm::Hashed);
    let mut contacts = flow("contacts", own());
    let judgement = judged(&contacts, std::slice::from_ref(&hashed));
    assert_eq!(judgement.verdict, Verdict::Incorrect);
    assert!(judgement.reason.contains("hashed only"), "{}", judgement.reason);
    contacts.evidence[0].chain.push(Decoding("sha256"));
    assert_eq!(verdict(&contacts, std::slice::from_ref(&hashed)), Verdict::Clear);
    contacts.evidence[0].chain.pop();
    assert_eq!(
        verdict(&contacts, &[hashed, collects("first_party", "contacts").in_form(DataForm::Plain)]),
        Verdict::Clear
    );
}

#[test]
fn anonymised_information_at_large_licenses_nothing() {
    let partners = shares("third_party", "personal_information").in_form(DataForm::Anonymised);
    let judgement = judged(&imei_to_push(), std::slice::from_ref(&partners));
    assert_eq!(judgement.verdict, Verdict::Omitted);
    assert!(judgement.reason.contains("anonymised"), "{}", judgement.reason);
    let about_it = shares("third_party", "device_identifier").in_form(DataForm::Anonymised);
    assert_eq!(verdict(&imei_to_push(), &[about_it]), Verdict::Incorrect);
}

#[test]
fn personal_information_at_large_declares_nothing_but_may_be_denied() {
    let judgement = judged(&imei_to_us(), &[collects("first_party", "personal_information")]);
    assert_eq!(judgement.verdict, Verdict::Omitted);
    assert!(judgement.reason.contains("in general"), "{}", judgement.reason);
    assert_eq!(verdict(&imei_to_push(), &[shares("third_party", "personal_information")]), Verdict::Omitted);
    assert_eq!(verdict(&imei_to_push(), &[denies("third_party", "personal_information")]), Verdict::Incorrect);
    // Named for the recipient it is a statement, if a vague one.
    assert_eq!(verdict(&imei_to_push(), &[collects("test_push", "personal_information")]), Verdict::Vague);
    let at_large = flow("personal_information", own());
    assert_eq!(verdict(&at_large, &[collects("first_party", "personal_information")]), Verdict::Clear);
}

#[test]
fn in_chinese_to_deny_publication_is_not_to_deny_sharing() {
    let negative = |action, text: &str| {
        let mut document = policy(&[denies("third_party", "personal_information")]);
        (document.statements[0].action, document.statements[0].text) = (action, text.into());
        judge(&imei_to_push(), &[&document], &rules()).verdict
    };
    use crate::model::Action::{Disclose, Share, Transfer};
    assert_eq!(negative(Disclose, "我们不会公开披露您的个人信息"), Verdict::Omitted);
    assert_eq!(negative(Transfer, "我们不会将您的个人信息转让给任何公司"), Verdict::Omitted);
    assert_eq!(negative(Disclose, "我们不会向第三方披露您的个人信息"), Verdict::Incorrect);
    assert_eq!(negative(Share, "我们不会共享您的个人信息"), Verdict::Incorrect);
    assert_eq!(negative(Disclose, "We do not disclose your information"), Verdict::Incorrect);
}

#[test]
fn consent_promised_and_not_awaited_is_incorrect() {
    let asked = collects("first_party", "imei").when("征得您的同意后");
    let mut early = imei_to_us();
    assert_eq!(verdict(&early, std::slice::from_ref(&asked)), Verdict::Clear);
    early.before_consent = true;
    assert_eq!(verdict(&early, std::slice::from_ref(&asked)), Verdict::Incorrect);
    // Another statement grants it without a condition; the early sending is a finding of its own.
    assert_eq!(verdict(&early, &[asked, collects("first_party", "imei")]), Verdict::Clear);
}

#[test]
fn all_else_denied_is_broken_by_the_testers_own_text() {
    let statements = [
        collects("first_party", "clipboard").when("仅在识别出分享码时"),
        denies("first_party", "clipboard").when("除此之外"),
    ];
    let judgement = judged(&flow("clipboard", own()), &statements);
    assert_eq!(judgement.verdict, Verdict::Incorrect);
    assert!(judgement.reason.contains("仅在识别出分享码时"), "{}", judgement.reason);
    // For data whose condition cannot be seen, both statements stand.
    let statements =
        [collects("first_party", "location").when("仅在导航时"), denies("first_party", "location").when("除此之外")];
    assert_eq!(verdict(&flow("location", own()), &statements), Verdict::Ambiguous);
}

#[test]
fn not_to_store_does_not_deny_sending() {
    let mut stored = denies("first_party", "imei");
    stored.action = crate::model::Action::Store;
    assert_eq!(verdict(&imei_to_us(), &[stored.clone()]), Verdict::Omitted);
    assert_eq!(verdict(&imei_to_us(), &[stored, collects("first_party", "imei")]), Verdict::Clear);
}

fn with_list(statements: &[fixture::Says], parent: &str, child: &str) -> PolicyDocument {
    let mut document = policy(statements);
    document.local_ontology =
        vec![LocalEdge { parent: DataType::new(parent), child: DataType::new(child), span: Span(0, 1) }];
    document
}

#[test]
fn the_policys_own_lists_count_and_are_named() {
    let mut document = with_list(&[collects("first_party", "operation_log")], "operation_log", "imei");
    // The list stands in the statement: its items are declared.
    document.local_ontology[0].span = document.statements[0].span;
    assert_eq!(judge(&imei_to_us(), &[&document], &rules()).verdict, Verdict::Clear);
    // It stands elsewhere: the statement covers them by the broader term.
    document.local_ontology[0].span = Span(0, 1);
    let judgement = judge(&imei_to_us(), &[&document], &rules());
    assert_eq!(judgement.verdict, Verdict::Vague);
    assert!(judgement.reason.contains("operation_log (by the policy's own list)"), "{}", judgement.reason);
    // One document's lists say nothing about another's words.
    let (lists, says) = (with_list(&[], "operation_log", "imei"), policy(&[collects("first_party", "operation_log")]));
    assert_eq!(judge(&imei_to_us(), &[&lists, &says], &rules()).verdict, Verdict::Omitted);
}

#[test]
fn many_flows_and_statements_are_judged_in_little_time() {
    let rules = rules();
    let types: Vec<&DataType> = rules.ontology().ids().collect();
    let recipients = ["first_party", "third_party", "test_push", "test_co", "test_pushers"];
    let statements: Vec<fixture::Says> = (0..500)
        .map(|n| {
            let (recipient, data) = (recipients[n % 5], types[n * 7 % types.len()].as_str());
            if n % 9 == 0 { denies(recipient, data) } else { collects(recipient, data) }
        })
        .collect();
    let flows: Vec<DataFlow> = (0..5_000)
        .map(|n| {
            let to = match n % 3 {
                0 => own(),
                1 => push(),
                _ => party(&format!("host{n}.example"), Role::Unknown),
            };
            flow(types[n % types.len()].as_str(), to)
        })
        .collect();
    let document = policy(&statements);
    let begun = std::time::Instant::now();
    let outcome = audit(AuditInput { flows, documents: &[&document], ..AuditInput::default() }, &rules);
    assert_eq!(outcome.data_flows.len(), 5_000);
    // Two orders of magnitude above what it takes, so that only a quadratic mistake fails.
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    eprintln!("5000 flows, 500 statements: {:?}", begun.elapsed());
}

#[test]
fn without_a_policy_there_are_no_verdicts_and_no_findings_about_it() {
    let mut clear_text = imei_to_us();
    clear_text.cleartext = true;
    let outcome = audit(AuditInput { flows: vec![clear_text], ..AuditInput::default() }, &rules());
    assert_eq!(outcome.data_flows[0].verdict, None);
    assert_eq!(outcome.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["cleartext-identifier"]);
    assert!(outcome.declared_only.is_empty());
}

#[test]
fn what_is_declared_and_never_seen_is_listed_once() {
    let document = policy(&[
        collects("first_party", "imei device_information"),
        collects("first_party", "contacts"),
        collects("first_party", "contacts"),
        denies("first_party", "sms"),
        collects("test_push", "imei").in_table(),
        collects("shop_sdk", "location"),
        shares("third_party", "email"),
        collects("first_party", "personal_information"),
    ]);
    let flows = vec![imei_to_us()];
    let outcome = audit(AuditInput { flows, documents: &[&document], ..AuditInput::default() }, &rules());
    let listed: Vec<String> = outcome
        .declared_only
        .iter()
        .map(|only| format!("{} {} {}", only.party.id, only.data_type, only.clause.id))
        .collect();
    assert_eq!(
        listed,
        ["first_party contacts s2", "shop_sdk location s6", "test_push imei s5", "third_party email s7"]
    );
}

#[test]
fn checks_are_sorted_and_every_page_is_complete() {
    assert!(CHECKS.is_sorted_by(|a, b| a.page().code < b.page().code));
    for check in CHECKS {
        let shown = check.page();
        assert!(page(shown.code).is_some_and(|found| found == shown));
        let text = shown.to_string();
        for part in [shown.title, shown.what, shown.why, shown.tested, shown.not_tested, shown.fix] {
            assert!(part.len() > 10 && text.contains(part), "{}", shown.code);
        }
    }
    assert_eq!(page("no-such-code"), None);
}
