//! `divulge policy`.

use super::args::{Policy, PolicyCommand, PolicyEmit, PolicyFormat};
use super::output::Output;
use super::{Exit, Failure};
use crate::model::{Polarity, PolicyDocument};
use crate::{policy, session};
use std::io::Write;

pub(super) fn run(args: &Policy) -> Result<Exit, Failure> {
    let PolicyCommand::Import { file, format, emit, rules, output } = &args.command;
    let rules = session::load_rules(rules)?;
    let text = session::load_policy_text(file)?;
    let mut out = Output::open(output.as_deref())?;
    if let Some(PolicyEmit::Text) = emit {
        out.writer().write_all(text.as_bytes())?;
        out.writer().flush()?;
        return Ok(Exit::Fine);
    }
    let documents = policy::read(&text, &rules);
    match format {
        PolicyFormat::Json => {
            serde_json::to_writer_pretty(out.writer(), &policy::to_json(&documents)).map_err(std::io::Error::from)?;
            writeln!(out.writer())?;
        }
        PolicyFormat::Toml => {
            let text =
                policy::to_toml(&documents).map_err(|error| Failure::Said(format!("{}: {error}", file.display())))?;
            out.writer().write_all(text.as_bytes())?;
        }
        PolicyFormat::Text => {
            for document in &documents {
                write_text(document, out.writer())?;
            }
        }
    }
    out.writer().flush()?;
    Ok(Exit::Fine)
}

/// A policy as people read it: what is declared for whom, by clause.
fn write_text(document: &PolicyDocument, out: &mut dyn Write) -> std::io::Result<()> {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    writeln!(
        out,
        "{} (effective {}, updated {}; {} sections, {} statements)",
        or_dash(&document.title),
        or_dash(&document.effective_date),
        or_dash(&document.updated_date),
        document.sections.len(),
        document.statements.len()
    )?;
    for statement in &document.statements {
        let data: Vec<_> = statement.data.iter().map(|data| data.data_type.as_str()).collect();
        let polarity = match statement.polarity {
            Polarity::Positive => "",
            Polarity::Negative => "NOT ",
        };
        let line = format!(
            "  {} {} {polarity}{}: {}",
            statement.clause,
            statement.recipient.name,
            format!("{:?}", statement.action).to_lowercase(),
            data.join(", ")
        );
        writeln!(out, "{}", crate::report::neutral(&line))?;
    }
    for defect in &document.defects {
        writeln!(out, "  ! {}: {}", defect.code, crate::report::neutral(&defect.message))?;
    }
    writeln!(out)
}
