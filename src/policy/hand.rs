//! Declarations as TOML, for people to read and correct, and back without loss.

use super::decode::PolicyError;
use crate::model::{
    Action, DataForm, DataType, Declaration, DeclaredData, Defect, LocalEdge, Polarity, PolicyDocument, Recipient,
    Role, Section, Span, StatementSource,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Version of the file format.
const FORMAT: &str = "divulge.declarations/1";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    #[serde(default, rename = "document")]
    documents: Vec<Document>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    publisher: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effective_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_date: Option<String>,
    #[serde(default)]
    language: String,
    #[serde(default)]
    span: [usize; 2],
    #[serde(default, rename = "section", skip_serializing_if = "Vec::is_empty")]
    sections: Vec<SectionEntry>,
    #[serde(default, rename = "part_of", skip_serializing_if = "Vec::is_empty")]
    edges: Vec<Edge>,
    #[serde(default, rename = "defect", skip_serializing_if = "Vec::is_empty")]
    defects: Vec<DefectEntry>,
    #[serde(default, rename = "statement", skip_serializing_if = "Vec::is_empty")]
    statements: Vec<Statement>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SectionEntry {
    #[serde(default)]
    number: String,
    title: String,
    #[serde(default)]
    span: [usize; 2],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Edge {
    broad: String,
    narrow: String,
    #[serde(default)]
    span: [usize; 2],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DefectEntry {
    code: String,
    message: String,
    #[serde(default)]
    spans: Vec<[usize; 2]>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Statement {
    #[serde(default)]
    id: String,
    #[serde(default)]
    clause: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    span: [usize; 2],
    #[serde(default = "collect")]
    action: String,
    #[serde(default = "positive")]
    polarity: String,
    recipient: Who,
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    form: Option<String>,
    #[serde(default = "prose")]
    source: String,
    #[serde(default)]
    data: Vec<Data>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Who {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default = "third_party")]
    role: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    r#type: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    span: [usize; 2],
    #[serde(default)]
    open_ended: bool,
}

fn collect() -> String {
    "collect".to_owned()
}
fn positive() -> String {
    "positive".to_owned()
}
fn prose() -> String {
    "prose".to_owned()
}
fn third_party() -> String {
    "third_party".to_owned()
}

const ACTIONS: [(&str, Action); 6] = [
    ("collect", Action::Collect),
    ("use", Action::Use),
    ("share", Action::Share),
    ("transfer", Action::Transfer),
    ("disclose", Action::Disclose),
    ("store", Action::Store),
];
const POLARITIES: [(&str, Polarity); 2] = [("positive", Polarity::Positive), ("negative", Polarity::Negative)];
const FORMS: [(&str, DataForm); 4] = [
    ("plain", DataForm::Plain),
    ("hashed", DataForm::Hashed),
    ("encrypted", DataForm::Encrypted),
    ("anonymised", DataForm::Anonymised),
];
const SOURCES: [(&str, StatementSource); 2] = [("prose", StatementSource::Prose), ("table", StatementSource::Table)];
const ROLES: [(&str, Role); 3] =
    [("first_party", Role::FirstParty), ("third_party", Role::ThirdParty), ("platform", Role::Platform)];

/// The word of a value.
fn word<T: PartialEq>(words: &[(&'static str, T)], value: &T) -> String {
    words.iter().find(|(_, known)| known == value).map_or("", |(word, _)| word).to_owned()
}

/// The value of a word; the error names the words there are.
fn value<T: Copy>(words: &[(&'static str, T)], key: &str, found: &str) -> Result<T, String> {
    words.iter().find(|(word, _)| *word == found).map(|(_, value)| *value).ok_or_else(|| {
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        format!("{key} = \"{found}\": expected one of {}", known.join(", "))
    })
}

/// The documents as a TOML file.
///
/// # Errors
/// Where the TOML writer fails, which it doesn't for any document.
pub fn to_toml(documents: &[PolicyDocument]) -> Result<String, PolicyError> {
    let file = File { format: FORMAT.to_owned(), documents: documents.iter().map(written).collect() };
    let body =
        toml::to_string(&file).map_err(|error| PolicyError::Toml { line: 1, column: 1, message: error.to_string() })?;
    Ok(format!(
        "# Declarations read from a privacy policy; correct them here. Spans count characters of the text.\n{body}"
    ))
}

fn written(document: &PolicyDocument) -> Document {
    Document {
        title: document.title.clone(),
        app: document.app.clone(),
        publisher: document.publisher.clone(),
        effective_date: document.effective_date.clone(),
        updated_date: document.updated_date.clone(),
        language: document.language.clone(),
        span: pair(document.span),
        sections: document
            .sections
            .iter()
            .map(|section| SectionEntry {
                number: section.number.clone(),
                title: section.title.clone(),
                span: pair(section.span),
            })
            .collect(),
        edges: document
            .local_ontology
            .iter()
            .map(|edge| Edge { broad: edge.parent.to_string(), narrow: edge.child.to_string(), span: pair(edge.span) })
            .collect(),
        defects: document
            .defects
            .iter()
            .map(|defect| DefectEntry {
                code: defect.code.clone(),
                message: defect.message.clone(),
                spans: defect.spans.iter().copied().map(pair).collect(),
            })
            .collect(),
        statements: document.statements.iter().map(statement).collect(),
    }
}

fn pair(span: Span) -> [usize; 2] {
    [span.0, span.1]
}

fn statement(declaration: &Declaration) -> Statement {
    Statement {
        id: declaration.id.clone(),
        clause: declaration.clause.clone(),
        text: declaration.text.clone(),
        span: pair(declaration.span),
        action: word(&ACTIONS, &declaration.action),
        polarity: word(&POLARITIES, &declaration.polarity),
        recipient: Who {
            id: declaration.recipient.id.to_string(),
            name: declaration.recipient.name.to_string(),
            role: declaration.recipient.role.as_str().to_owned(),
        },
        purpose: declaration.purpose.clone(),
        condition: declaration.condition.clone(),
        form: declaration.form.map(|form| word(&FORMS, &form)),
        source: word(&SOURCES, &declaration.source),
        data: declaration
            .data
            .iter()
            .map(|data| Data {
                r#type: data.data_type.to_string(),
                text: data.text.clone(),
                span: pair(data.span),
                open_ended: data.open_ended,
            })
            .collect(),
    }
}

/// Reads a declarations file back; statements without an id are numbered.
///
/// # Errors
/// Where it is no TOML, has unknown keys or words, or another format; with line and column.
pub fn from_toml(text: &str) -> Result<Vec<PolicyDocument>, PolicyError> {
    let at = |span: Option<std::ops::Range<usize>>, message: String| {
        let (line, column) = crate::rules::position(text, span.map_or(0, |span| span.start));
        PolicyError::Toml { line, column, message }
    };
    let file: File = toml::from_str(text).map_err(|error| at(error.span(), error.message().trim_end().to_owned()))?;
    if file.format != FORMAT {
        let place = text.find("format").unwrap_or(0);
        return Err(at(Some(place..place), format!("format = \"{}\": expected \"{FORMAT}\"", file.format)));
    }
    file.documents
        .into_iter()
        .map(|document| {
            read_back(document).map_err(|(words, message)| {
                let place = text.find(&words).unwrap_or(0);
                at(Some(place..place), message)
            })
        })
        .collect()
}

/// A document from its file form; an error carries the words it is about, to be found in the file.
fn read_back(document: Document) -> Result<PolicyDocument, (String, String)> {
    let mut statements = Vec::with_capacity(document.statements.len());
    for (at, statement) in document.statements.into_iter().enumerate() {
        statements.push(declaration(statement, at)?);
    }
    Ok(PolicyDocument {
        title: document.title,
        app: document.app,
        publisher: document.publisher,
        effective_date: document.effective_date,
        updated_date: document.updated_date,
        language: document.language,
        span: span(document.span),
        sections: document
            .sections
            .into_iter()
            .map(|section| Section { number: section.number, title: section.title, span: span(section.span) })
            .collect(),
        statements,
        defects: document
            .defects
            .into_iter()
            .map(|defect| Defect {
                code: defect.code,
                message: defect.message,
                spans: defect.spans.into_iter().map(span).collect(),
            })
            .collect(),
        local_ontology: document
            .edges
            .into_iter()
            .map(|edge| LocalEdge {
                parent: DataType::new(&edge.broad),
                child: DataType::new(&edge.narrow),
                span: span(edge.span),
            })
            .collect(),
    })
}

fn span(pair: [usize; 2]) -> Span {
    Span(pair[0], pair[1])
}

fn declaration(statement: Statement, at: usize) -> Result<Declaration, (String, String)> {
    let told = |found: &str, error: String| (format!("\"{found}\""), error);
    let action = value(&ACTIONS, "action", &statement.action).map_err(|error| told(&statement.action, error))?;
    let polarity =
        value(&POLARITIES, "polarity", &statement.polarity).map_err(|error| told(&statement.polarity, error))?;
    let source = value(&SOURCES, "source", &statement.source).map_err(|error| told(&statement.source, error))?;
    let role = match statement.recipient.id.as_str() {
        crate::rules::FIRST_PARTY => Role::FirstParty,
        _ => {
            value(&ROLES, "role", &statement.recipient.role).map_err(|error| told(&statement.recipient.role, error))?
        }
    };
    let form = match &statement.form {
        Some(form) => Some(value(&FORMS, "form", form).map_err(|error| told(form, error))?),
        None => None,
    };
    let name = if statement.recipient.name.is_empty() { &statement.recipient.id } else { &statement.recipient.name };
    Ok(Declaration {
        id: if statement.id.is_empty() { format!("s{}", at + 1) } else { statement.id },
        clause: statement.clause,
        span: span(statement.span),
        text: statement.text,
        action,
        polarity,
        recipient: Recipient { id: Arc::from(statement.recipient.id.as_str()), name: Arc::from(name.as_str()), role },
        data: statement
            .data
            .into_iter()
            .map(|data| DeclaredData {
                data_type: DataType::new(&data.r#type),
                text: data.text,
                span: span(data.span),
                open_ended: data.open_ended,
            })
            .collect(),
        purpose: statement.purpose,
        condition: statement.condition,
        form,
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::{from_toml, to_toml};
    use crate::rules::RuleSet;

    #[test]
    fn what_is_written_is_read_back_unchanged() {
        let rules = RuleSet::builtin().unwrap();
        let text = "小纸条隐私政策\n一、我们如何收集信息\n1.1 当您注册时,我们会收集您的设备信息(IMEI、\"MAC\"地址等)。\n1.2 我们不会向第三方共享您的个人信息,但以下情况除外。";
        let documents = super::super::read(text, &rules);
        assert!(documents[0].statements.len() >= 2);
        let toml = to_toml(&documents).unwrap();
        assert_eq!(from_toml(&toml).unwrap(), documents);
    }

    #[test]
    fn a_mistake_is_told_with_its_place() {
        let text = "format = \"divulge.declarations/1\"\n[[document]]\n[[document.statement]]\naction = \"steal\"\nrecipient = { id = \"first_party\" }\n";
        let error = from_toml(text).unwrap_err().to_string();
        assert!(error.starts_with("line 4, column 10") && error.contains("collect"), "{error}");
        assert!(from_toml("format = 1").is_err());
    }

    #[test]
    fn a_statement_by_hand_needs_little() {
        let text = "format = \"divulge.declarations/1\"\n[[document]]\n[[document.statement]]\nrecipient = { id = \"jpush\" }\ndata = [{ type = \"imei\" }]\n";
        let documents = from_toml(text).unwrap();
        let statement = &documents[0].statements[0];
        assert_eq!((statement.id.as_str(), &*statement.recipient.name), ("s1", "jpush"));
    }
}
