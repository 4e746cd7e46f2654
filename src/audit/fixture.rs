//! Small policies, flows and rules for the tests of this folder.

use crate::model::*;
use crate::rules::{RuleFile, RuleSet};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The built-in rules with two SDKs that share a company and a group, so that every entity relation occurs.
pub(super) fn rules() -> RuleSet {
    let file = |path: &str, text: &str| RuleFile { path: path.into(), text: text.into() };
    RuleSet::load(&[
        file(
            "entities.toml",
            "[[entity]]\nid = \"test_pushers\"\nparents = [\"third_party\"]\nname = \"测试分组\"\nname_en = \"test pushers\"\n",
        ),
        file("companies/test_co.toml", "id = \"test_co\"\nname = \"测试公司\"\naliases = [\"测试公司\"]\nsource = \"test\"\n"),
        file(
            "sdks/test_push.toml",
            "id = \"test_push\"\nname = \"测试推送SDK\"\naliases = [\"测试推送SDK\"]\ncompany = \"测试公司\"\ncategory = [\"test_pushers\"]\nhosts = [\"push.test-push.example\"]\nsource = \"test\"\n",
        ),
    ])
    .unwrap_or_else(|errors| panic!("{errors:?}"))
}

pub(super) fn own() -> Arc<Party> {
    Arc::new(Party { id: "first_party".into(), name: "first party".into(), role: Role::FirstParty })
}

pub(super) fn party(id: &str, role: Role) -> Arc<Party> {
    Arc::new(Party { id: id.into(), name: id.into(), role })
}

pub(super) fn push() -> Arc<Party> {
    party("test_push", Role::ThirdParty)
}

pub(super) fn ts(seconds: i64) -> Timestamp {
    Timestamp::from_nanos(seconds * 1_000_000_000)
}

/// A flow with one plain observation inside TLS at second 10.
pub(super) fn flow(data_type: &str, party: Arc<Party>) -> DataFlow {
    let seen = Observation {
        exchange: ExchangeId { flow: FlowId(1), index: 0 },
        ts: ts(10),
        host: "a.example".into(),
        party: Some(Arc::clone(&party)),
        data_type: DataType::new(data_type),
        value: "value".into(),
        matched: MatchKind::Known,
        identifier: None,
        location: Location { side: Side::Request, part: Part::Body, name: "x".into(), pointer: "$.x".into() },
        chain: vec![Decoding("json")],
        confidence: Confidence::Certain,
        cleartext: false,
        excerpt: Excerpt::default(),
    };
    DataFlow {
        data_type: DataType::new(data_type),
        party,
        hosts: BTreeSet::from(["a.example".into()]),
        observations: 1,
        first_ts: ts(10),
        last_ts: ts(10),
        cleartext: false,
        before_consent: false,
        evidence: vec![seen],
    }
}

/// A statement in the making.
#[derive(Debug, Clone)]
pub(super) struct Says {
    pub(super) action: Action,
    pub(super) polarity: Polarity,
    pub(super) recipient: String,
    pub(super) data: Vec<String>,
    pub(super) condition: Option<String>,
    pub(super) form: Option<DataForm>,
    pub(super) source: StatementSource,
    /// Sentence number where it is not the statement's own.
    pub(super) sentence: Option<usize>,
}

impl Says {
    pub(super) fn build(&self, number: usize) -> Declaration {
        let sentence = self.sentence.unwrap_or(number);
        let span = Span(sentence * 100, sentence * 100 + 90);
        Declaration {
            id: format!("s{number}"),
            clause: format!("1.{number}"),
            span,
            text: format!("text {number}"),
            action: self.action,
            polarity: self.polarity,
            recipient: Recipient {
                id: self.recipient.as_str().into(),
                name: self.recipient.as_str().into(),
                role: if self.recipient == "first_party" { Role::FirstParty } else { Role::ThirdParty },
            },
            data: self
                .data
                .iter()
                .map(|id| DeclaredData {
                    data_type: DataType::new(id),
                    text: id.clone(),
                    span: Span(span.0, span.0 + 5),
                    open_ended: false,
                })
                .collect(),
            purpose: None,
            condition: self.condition.clone(),
            form: self.form,
            source: self.source,
        }
    }

    pub(super) fn when(mut self, condition: &str) -> Self {
        self.condition = Some(condition.into());
        self
    }

    pub(super) fn in_form(mut self, form: DataForm) -> Self {
        self.form = Some(form);
        self
    }

    pub(super) fn in_sentence(mut self, sentence: usize) -> Self {
        self.sentence = Some(sentence);
        self
    }

    pub(super) fn in_table(mut self) -> Self {
        self.source = StatementSource::Table;
        self
    }
}

fn says(action: Action, polarity: Polarity, recipient: &str, data: &str) -> Says {
    Says {
        action,
        polarity,
        recipient: recipient.into(),
        data: data.split(' ').map(str::to_owned).collect(),
        condition: None,
        form: None,
        source: StatementSource::Prose,
        sentence: None,
    }
}

pub(super) fn collects(recipient: &str, data: &str) -> Says {
    says(Action::Collect, Polarity::Positive, recipient, data)
}

pub(super) fn denies(recipient: &str, data: &str) -> Says {
    says(Action::Collect, Polarity::Negative, recipient, data)
}

pub(super) fn shares(recipient: &str, data: &str) -> Says {
    says(Action::Share, Polarity::Positive, recipient, data)
}

pub(super) fn policy(statements: &[Says]) -> PolicyDocument {
    PolicyDocument {
        title: None,
        app: None,
        publisher: None,
        effective_date: None,
        updated_date: None,
        language: "zh".into(),
        span: Span(0, 10_000),
        sections: vec![],
        statements: statements.iter().enumerate().map(|(index, says)| says.build(index + 1)).collect(),
        defects: vec![],
        local_ontology: vec![],
    }
}
