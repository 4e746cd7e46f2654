//! SIGINT, SIGTERM and SIGHUP while a live capture is read: the first ends the run with its report, the second does
//! what it would have done without us.

use super::Failure;
use crate::session::Interrupt;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Makes signals that ask the process to end raise `interrupt`.
pub(super) fn end_with_report(interrupt: &Interrupt) -> Result<(), Failure> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // In this order: the flag is still down when the first signal looks at it.
        signal_hook::flag::register_conditional_default(signal, interrupt.flag())?;
        signal_hook::flag::register(signal, interrupt.flag())?;
    }
    Ok(())
}
