//! The terminal screen: turns a feed of report snapshots and exchange summaries into something a tester reads.
//! State, update and view are apart: `update` is a pure function of state and message, the views only read, and
//! `run` alone touches the terminal and the clock. It judges nothing and never changes what was analysed.

mod feed;
mod input;
mod keys;
mod layout;
mod matrix;
mod message;
mod proof;
mod redact;
mod run;
mod state;
mod terminal;
#[cfg(test)]
mod tests;
mod text;
mod theme;
mod update;
mod view;

pub use feed::{ExchangeSummary, Feed};
pub use redact::Values;
pub use run::{DashboardOptions, run};
pub use theme::Colour;
