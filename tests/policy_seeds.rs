//! The given policies read against their answer keys: declared pairs found, none invented, denials found.

#![expect(clippy::print_stderr, reason = "a test that can't run says so")]

use divulge::model::{Polarity, PolicyDocument};
use divulge::policy;
use divulge::rules::RuleSet;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Least share of declared pairs.
const RECALL_MIN: f64 = 0.95;

fn shared() -> Option<PathBuf> {
    let shared = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")).to_path_buf();
    if shared.join("policies/gold/given.json").exists() {
        return Some(shared);
    }
    eprintln!("skipped: ../shared not found");
    None
}

fn norm(name: &str) -> String {
    let lower = name.to_lowercase().replace("sdk", "");
    lower.chars().filter(|c| !c.is_whitespace() && !matches!(c, '_' | '-' | '(' | ')' | '（' | '）' | '.')).collect()
}

fn read(path: &Path, rules: &RuleSet) -> Vec<PolicyDocument> {
    let text = policy::decode(&std::fs::read(path).expect("the policy is there")).expect("the policy is text");
    policy::read(&text, rules)
}

fn chosen<'d>(documents: &'d [PolicyDocument], select: &Value) -> Option<&'d PolicyDocument> {
    match select["effective"].as_str() {
        Some(date) => documents.iter().find(|document| document.effective_date.as_deref() == Some(date)),
        None => policy::pick(documents, None),
    }
}

/// (recipient, type) pairs of a polarity.
fn pairs(document: &PolicyDocument, polarity: Polarity) -> BTreeSet<(String, String)> {
    let statements = document.statements.iter().filter(|statement| statement.polarity == polarity);
    statements
        .flat_map(|statement| {
            let names = [norm(&statement.recipient.id), norm(&statement.recipient.name)];
            let types: Vec<_> = statement.data.iter().map(|data| data.data_type.to_string()).collect();
            names.into_iter().flat_map(move |name| types.clone().into_iter().map(move |kind| (name.clone(), kind)))
        })
        .collect()
}

fn holds(found: &BTreeSet<(String, String)>, pair: &Value) -> bool {
    let kind = pair["type"].as_str().unwrap_or_default();
    let names = pair["names"].as_array().into_iter().flatten().filter_map(Value::as_str);
    names.into_iter().any(|name| found.contains(&(norm(name), kind.to_owned())))
}

#[test]
fn given_policies_are_read_as_their_keys_say() {
    let Some(shared) = shared() else { return };
    let rules = RuleSet::builtin().unwrap();
    let keys = std::fs::read_to_string(shared.join("policies/gold/given.json")).unwrap();
    let keys: Vec<Value> = serde_json::from_str(&keys).unwrap();
    let (mut found, mut wanted) = (0.0, 0.0);
    for key in &keys {
        let name = key["policy"].as_str().unwrap_or_default();
        let documents = read(&shared.join("policies").join(key["file"].as_str().unwrap()), &rules);
        let document = chosen(&documents, &key["select"]).unwrap_or_else(|| panic!("{name}: no such version"));
        let (positive, negative) = (pairs(document, Polarity::Positive), pairs(document, Polarity::Negative));
        for pair in key["pairs"].as_array().unwrap() {
            wanted += 1.0;
            found += f64::from(u8::from(holds(&positive, pair)));
        }
        for pair in key["forbidden"].as_array().unwrap() {
            assert!(!holds(&positive, pair), "{name}: invented {pair}");
        }
        for denial in key["denials"].as_array().unwrap() {
            let types: Vec<_> = denial["types"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            let denied = types.is_empty() || negative.iter().any(|(_, kind)| types.contains(&kind.as_str()));
            assert!(denied, "{name}: denial not found {denial}");
        }
    }
    assert!(found / wanted >= RECALL_MIN, "recall {found}/{wanted}");
}

#[test]
fn every_version_of_the_given_pages_is_a_document_of_its_own() {
    let Some(shared) = shared() else { return };
    let rules = RuleSet::builtin().unwrap();
    let facts = |file: &str| -> Vec<(Option<String>, Option<String>)> {
        let documents = read(&shared.join("policies").join(file), &rules);
        documents.into_iter().map(|document| (document.effective_date, document.updated_date)).collect()
    };
    let date = |text: &str| Some(text.to_owned());
    assert_eq!(
        facts("ec.txt"),
        [
            (date("2023-11-23"), None),
            (date("2023-11-07"), None),
            (date("2023-10-20"), None),
            (date("2022-12-06"), None),
            (None, None)
        ]
    );
    assert_eq!(facts("qifu365.txt"), [(date("2020-11-01"), date("2020-10-25"))]);
    assert_eq!(facts("yihao-hulian.txt"), [(None, date("2021-04-20"))]);
    assert_eq!(facts("yun-zhushou.txt"), [(date("2023-05-09"), date("2023-12-27"))]);
    assert_eq!(facts("duban.txt"), [(None, date("2024-05-11"))]);
}

#[test]
fn spans_lead_to_the_words_they_stand_for() {
    let Some(shared) = shared() else { return };
    let rules = RuleSet::builtin().unwrap();
    for file in ["ec.txt", "duban.txt", "yun-zhushou.txt"] {
        let text = policy::decode(&std::fs::read(shared.join("policies").join(file)).unwrap()).unwrap();
        let chars: Vec<char> = text.chars().collect();
        for document in policy::read(&text, &rules) {
            for statement in &document.statements {
                for data in &statement.data {
                    let words: String = chars[data.span.0..data.span.1].iter().collect();
                    assert_eq!(words, data.text, "{file} {}", statement.id);
                    assert!(
                        statement.span.0 <= data.span.0
                            || statement.polarity == Polarity::Negative
                            || !statement.text.is_empty()
                    );
                }
            }
        }
    }
}
