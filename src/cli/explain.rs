//! `divulge explain`.

use super::output::Output;
use super::{Exit, Failure};
use crate::audit;

pub(super) fn run(code: &Option<String>) -> Result<Exit, Failure> {
    let mut out = Output::open(None)?;
    let Some(code) = code else {
        for check in audit::CHECKS {
            let page = check.page();
            writeln!(out.writer(), "{}", page.code)?;
        }
        out.writer().flush()?;
        return Ok(Exit::Fine);
    };
    let Some(page) = audit::page(code) else {
        return Err(Failure::Said(format!("no finding has the code {code}; `divulge explain` lists all codes")));
    };
    writeln!(out.writer(), "{page}")?;
    out.writer().flush()?;
    Ok(Exit::Fine)
}
