//! `--emit`: lines printed as they are found.

use super::args::{Emit, Format};
use crate::model::{Exchange, NameKind, Report, SeenName};
use crate::pipeline::{Event, Renderer};
use crate::report::{ShowValues, lines, ndjson};
use crate::session::{Sink, Wanted};
use std::io::{self, Write};
use std::sync::Arc;

/// Prints events of one kind.
pub(super) struct Emitter<'w> {
    what: Emit,
    format: Format,
    show: ShowValues,
    out: &'w mut dyn Write,
    line: Vec<u8>,
    /// The first failure to write; it ends the run.
    pub(super) failed: Option<io::Error>,
}

impl<'w> Emitter<'w> {
    pub(super) fn new(what: Emit, format: Format, show: ShowValues, out: &'w mut dyn Write) -> Self {
        Self { what, format, show, out, line: Vec::new(), failed: None }
    }

    /// What the run must do for it; `judge` says whether the outcome is wanted as well.
    pub(super) fn wanted(what: Emit, format: Format, judge: bool) -> Wanted {
        match what {
            Emit::Observations | Emit::Findings => Wanted::Findings,
            Emit::Exchanges | Emit::Sni | Emit::Dns if judge => Wanted::Audit,
            Emit::Exchanges => Wanted::Rendered(renderer(format)),
            Emit::Sni | Emit::Dns => Wanted::Names,
        }
    }

    fn exchange(&mut self, exchange: &Exchange) {
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        render(self.format, exchange, &mut line);
        self.write(&line);
        self.line = line;
    }

    fn name(&mut self, name: &SeenName) {
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        match self.format {
            Format::Text => {
                line.extend_from_slice(lines::name(name).as_bytes());
                line.push(b'\n');
            }
            Format::Json | Format::Ndjson | Format::Har => ndjson::name(name, &mut line),
        }
        self.write(&line);
        self.line = line;
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.failed.is_none()
            && let Err(error) = self.out.write_all(bytes)
        {
            self.failed = Some(error);
        }
    }
}

fn renderer(format: Format) -> Renderer {
    Arc::new(move |exchange, out| render(format, exchange, out))
}

fn render(format: Format, exchange: &Exchange, out: &mut Vec<u8>) {
    match format {
        Format::Text => {
            out.extend_from_slice(lines::exchange(exchange).as_bytes());
            out.push(b'\n');
        }
        Format::Json | Format::Ndjson | Format::Har => ndjson::exchange(exchange, out),
    }
}

impl Sink for Emitter<'_> {
    fn event(&mut self, event: Event) {
        match (self.what, event) {
            (Emit::Exchanges, Event::Exchange(exchange)) => self.exchange(&exchange),
            (Emit::Observations, Event::Asked(_, observations) | Event::Observed(observations)) => {
                for seen in &observations {
                    let mut line = std::mem::take(&mut self.line);
                    line.clear();
                    match self.format {
                        Format::Text => {
                            line.extend_from_slice(lines::observation(seen, self.show).as_bytes());
                            line.push(b'\n');
                        }
                        Format::Json | Format::Ndjson | Format::Har => ndjson::observation(seen, self.show, &mut line),
                    }
                    self.write(&line);
                    self.line = line;
                }
            }
            (Emit::Sni, Event::Name(name)) if name.kind == NameKind::Sni => self.name(&name),
            (Emit::Dns, Event::Name(name)) if name.kind == NameKind::Dns => self.name(&name),
            (
                Emit::Exchanges | Emit::Observations | Emit::Findings | Emit::Sni | Emit::Dns,
                Event::Asked(..)
                | Event::Observed(_)
                | Event::Exchange(_)
                | Event::Ended
                | Event::Rendered(_)
                | Event::Name(_)
                | Event::Weird(_)
                | Event::Open(_)
                | Event::Flow(_),
            ) => {}
        }
    }

    fn rendered(&mut self, bytes: &[u8]) {
        self.write(bytes);
    }

    fn progress(&mut self, _bytes: u64, _total: u64, _report: &mut dyn FnMut() -> Report) -> bool {
        if self.failed.is_none()
            && let Err(error) = self.out.flush()
        {
            self.failed = Some(error);
        }
        self.failed.is_none()
    }
}
