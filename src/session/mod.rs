//! A run from its inputs to its report: loads what the user names, feeds the pipeline, adds the events up, judges.
//! Sinks (printed lines, the dashboard) see the events as they come.

mod case;
mod follow;
mod inlet;
mod load;
mod run;
mod tapped;

pub use case::{Case, Interrupt, Source};
pub use inlet::WARNINGS_MAX;
pub(crate) use load::policy_used;
pub use load::{LoadError, Paths, TEXT_MAX, load_case, load_policy_text, load_rules, rule_files};
pub use run::{Outcome, Sink, Wanted, replay};
pub use tapped::{BACKLOG_MAX, Inspection, Recording, Tapped};
