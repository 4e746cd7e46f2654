//! `divulge device`: the test phone over adb. What is shown of it is made harmless for the terminal first.

use super::args::{Device, DeviceCommand, Which};
use super::output::Output;
use super::{Exit, Failure, note, warn};
use crate::device::{
    Adb, Certificate, DeviceError, Examination, Identifiers, Phone, Question, Standing, Wish, create_private, examine,
    plan, restore, set_up,
};
use crate::proxy::Authority;
use crate::report::neutral;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Largest file that is read as a certificate.
const CERTIFICATE_MAX: u64 = 1 << 20;

impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Self {
        Self::Said(error.to_string())
    }
}

pub(super) fn run(args: &Device) -> Result<Exit, Failure> {
    match &args.command {
        DeviceCommand::Doctor { which, proxy, app, ca } => {
            let certificate = ca.as_deref().map(certificate).transpose()?;
            let question = Question { proxy: proxy.clone(), apps: app.clone(), certificate };
            doctor(&examine(&adb(which), wanted(which).as_deref(), &question))
        }
        DeviceCommand::Profile { which, output, app, force } => profile(which, output, app.as_deref(), *force),
        DeviceCommand::Setup { which, proxy, app, ca, reverse, redirect, keep_quic } => {
            let phone = phone(which)?;
            // What nobody asked for by name is no reason to fail where there is no root to do it.
            let own = own_authority().filter(|_| phone.root.is_ok());
            let wish = Wish {
                proxy: proxy.clone(),
                apps: app.clone(),
                certificate: ca.clone().or(own).as_deref().map(certificate).transpose()?,
                reverse: *reverse,
                redirect: *redirect,
                keep_quic: *keep_quic,
            };
            setup(&phone, &wish)
        }
        DeviceCommand::Restore { which, force } => undo(&phone(which)?, *force),
    }
}

/// The certificate of the user's own authority, where there is one.
fn own_authority() -> Option<PathBuf> {
    let file = Authority::certificate_file(&Authority::default_folder().ok()?);
    file.exists().then_some(file)
}

fn adb(which: &Which) -> Adb {
    Adb::new(Duration::from_secs(u64::from(which.timeout)))
}

/// The serial number that was asked for, here or in the environment.
fn wanted(which: &Which) -> Option<String> {
    let set = || std::env::var("ANDROID_SERIAL").ok().filter(|serial| !serial.is_empty());
    which.serial.clone().or_else(set)
}

fn phone(which: &Which) -> Result<Phone, Failure> {
    Ok(Phone::connect(&adb(which), wanted(which).as_deref())?)
}

fn certificate(path: &Path) -> Result<Certificate, Failure> {
    let failed = |reason: String| Failure::Said(format!("{}: {reason}", path.display()));
    let facts = fs::metadata(path).map_err(|error| failed(error.to_string()))?;
    if facts.len() > CERTIFICATE_MAX {
        return Err(failed("too large for a certificate".to_owned()));
    }
    let text = fs::read(path).map_err(|error| failed(error.to_string()))?;
    Certificate::parse(&text).map_err(failed)
}

fn doctor(examination: &Examination) -> Result<Exit, Failure> {
    let mut out = Output::open(None)?;
    for check in &examination.checks {
        let mark = match check.standing {
            Standing::Ready => "ok",
            Standing::Missing => "MISSING",
            Standing::Note => "note",
        };
        writeln!(out.writer(), "{mark:<8} {:<12} {}", check.name, neutral(&check.found))?;
        if let Some(fix) = &check.fix {
            writeln!(out.writer(), "{:<21} -> {}", "", neutral(fix))?;
        }
    }
    out.writer().flush()?;
    match &examination.ended {
        Some(error) => Err(Failure::Said(error.to_string())),
        None if examination.is_ready() => Ok(Exit::Fine),
        None => Ok(Exit::Findings),
    }
}

fn profile(which: &Which, path: &Path, app: Option<&str>, force: bool) -> Result<Exit, Failure> {
    let to_stdout = path == Path::new("-");
    if !to_stdout && !force && path.exists() {
        return Err(there_already(path));
    }
    let identifiers = Identifiers::read(&phone(which)?, app)?;
    let text = identifiers.to_toml();
    if to_stdout {
        let mut out = Output::open(None)?;
        out.writer().write_all(text.as_bytes())?;
        out.writer().flush()?;
        return Ok(Exit::Fine);
    }
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => there_already(path),
        _ => Failure::Said(format!("{}: {error}", path.display())),
    };
    let mut file = create_private(path, force).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    let (found, missing) = (identifiers.found(), identifiers.missing());
    note(&format!("{}: {found} identifiers, {missing} could not be read and say why", path.display()));
    Ok(Exit::Fine)
}

fn there_already(path: &Path) -> Failure {
    Failure::Said(format!("{}: is there already; --force writes over it", path.display()))
}

fn setup(phone: &Phone, wish: &Wish) -> Result<Exit, Failure> {
    let plan = plan(phone, wish)?;
    for warning in &plan.warnings {
        warn(warning);
    }
    let mut out = io::stdout().lock();
    let mut closed = None;
    set_up(phone, &plan, wish.certificate.as_ref(), |done| {
        // Where nobody reads any more, the phone still has to be left in one piece.
        closed = writeln!(out, "done: {}", neutral(done)).err();
    })?;
    if let Some(error) = closed {
        return Err(error.into());
    }
    let apps = if wish.apps.is_empty() { "the apps".to_owned() } else { wish.apps.join(", ") };
    note(&format!("restart {apps}: connections that are open keep their way. `divulge device restore` undoes all"));
    Ok(Exit::Fine)
}

fn undo(phone: &Phone, force: bool) -> Result<Exit, Failure> {
    let restored = restore(phone, force)?;
    let mut out = Output::open(None)?;
    for step in &restored.undone {
        writeln!(out.writer(), "undone: {}", neutral(step))?;
    }
    out.writer().flush()?;
    if !restored.failed.is_empty() {
        let message = format!("not undone, and kept in the journal: {}", restored.failed.join("; "));
        return Err(Failure::Said(message));
    }
    if !restored.leftovers.is_empty() {
        let left = restored.leftovers.join(", ");
        warn(&format!("on the phone without a journal here: {left}; `divulge device restore --force` clears it"));
        return Ok(Exit::Findings);
    }
    if restored.undone.is_empty() {
        note("nothing to undo");
    }
    Ok(Exit::Fine)
}
