//! All fuzz targets in one program, so that there is one to build; the variable `DIVULGE_FUZZ` names the one to run.
//! Where it names `seeds`, the capture that is the first argument is made into what the targets begin with.
#![no_main]

mod packets;
mod pieces;
mod seeds;
mod targets;

use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;

static CHOSEN: OnceLock<fn(&[u8])> = OnceLock::new();

/// The target that the variable names.
fn chosen() -> fn(&[u8]) {
    let name = std::env::var("DIVULGE_FUZZ").unwrap_or_default();
    let found = targets::ALL.iter().find(|(target, _)| *target == name);
    let names: Vec<_> = targets::ALL.iter().map(|(target, _)| *target).collect();
    found.unwrap_or_else(|| panic!("DIVULGE_FUZZ is one of {}", names.join(" "))).1
}

fuzz_target!(init: {
    if std::env::var("DIVULGE_FUZZ").is_ok_and(|name| name == "seeds") {
        seeds::write(&std::env::args().nth(1).expect("a capture"));
        std::process::exit(0);
    }
}, |data: &[u8]| CHOSEN.get_or_init(chosen)(data));
