//! `--format har`: the exchanges of a run as a HAR log.

use super::Failure;
use crate::model::Report;
use crate::pipeline::Event;
use crate::report::har::HarWriter;
use crate::session::{self, Case, Outcome, Sink, Wanted};
use std::io::{self, Write};

struct Writer<'w> {
    log: HarWriter<'w>,
    /// The first failure to write; it ends the run.
    failed: Option<io::Error>,
}

impl Writer<'_> {
    fn done(&mut self, result: io::Result<()>) {
        if let Err(error) = result
            && self.failed.is_none()
        {
            self.failed = Some(error);
        }
    }
}

impl Sink for Writer<'_> {
    fn event(&mut self, event: Event) {
        if self.failed.is_none() {
            let result = self.log.event(&event);
            self.done(result);
        }
    }

    fn progress(&mut self, _bytes: u64, _total: u64, _report: &mut dyn FnMut() -> Report) -> bool {
        if self.failed.is_none() {
            let result = self.log.flush();
            self.done(result);
        }
        self.failed.is_none()
    }
}

/// Runs a case and writes its exchanges; `judge` says whether the outcome is wanted as well.
pub(super) fn write(case: Case, judge: bool, threads: usize, out: &mut dyn Write) -> Result<Outcome, Failure> {
    let wanted = if judge { Wanted::Audit } else { Wanted::Exchanges };
    let mut writer = Writer { log: HarWriter::new(out)?, failed: None };
    let outcome = session::replay(case, &wanted, threads, &mut writer);
    if let Some(error) = writer.failed {
        return Err(Failure::Output(error));
    }
    writer.log.finish()?;
    Ok(outcome)
}
