//! Tests of the dashboard as a whole: what it looks like at several sizes, how it behaves, and that no sequence of
//! keys, sizes and messages makes it panic.

mod behaviour;
pub(crate) mod fixtures;
mod pictures;
mod storms;
