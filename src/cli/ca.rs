//! `divulge ca`: the certificate authority, made and handed out.

use super::args::{Ca, CaCommand, CaFormat};
use super::output::Output;
use super::{Exit, Failure, note, warn};
use crate::proxy::{Authority, AuthorityError, CreateOptions, portal_url};
use std::path::{Path, PathBuf};

pub(super) fn run(args: &Ca) -> Result<Exit, Failure> {
    match &args.command {
        CaCommand::Init { dir, permit, force } => init(dir.as_deref(), permit, *force),
        CaCommand::Export { dir, format, output } => export(dir.as_deref(), *format, output.as_deref()),
    }
}

fn said(error: &AuthorityError) -> Failure {
    Failure::Said(error.to_string())
}

fn folder(named: Option<&Path>) -> Result<PathBuf, Failure> {
    named.map_or_else(|| Authority::default_folder().map_err(|error| said(&error)), |named| Ok(named.to_path_buf()))
}

fn init(dir: Option<&Path>, permit: &[String], force: bool) -> Result<Exit, Failure> {
    let folder = folder(dir)?;
    let options = CreateOptions { permitted: permit.to_vec(), force };
    let authority = Authority::create(&folder, &options).map_err(|error| said(&error))?;
    let mut out = Output::open(None)?;
    writeln!(out.writer(), "certificate  {}", Authority::certificate_file(&folder).display())?;
    writeln!(out.writer(), "key          {} (never hand it out)", Authority::key_file(&folder).display())?;
    writeln!(out.writer(), "SHA-256      {}", authority.fingerprint())?;
    writeln!(out.writer(), "Android      {}.0", authority.subject_hash_old())?;
    for domain in permit {
        writeln!(out.writer(), "limited to   {domain}")?;
    }
    writeln!(
        out.writer(),
        "\nA phone gets it from {} through `divulge proxy`, from `divulge ca export`, or, rooted, by\n\
         `divulge device setup`.",
        portal_url()
    )?;
    out.writer().flush()?;
    Ok(Exit::Fine)
}

fn export(dir: Option<&Path>, format: CaFormat, output: Option<&Path>) -> Result<Exit, Failure> {
    let folder = folder(dir)?;
    if !Authority::certificate_file(&folder).exists() {
        let message = format!("{}: no authority there yet; `divulge ca init` makes one", folder.display());
        return Err(Failure::Said(message));
    }
    let authority = Authority::open(&folder).map_err(|error| said(&error))?;
    for warning in authority.warnings() {
        warn(warning);
    }
    let name = format!("{}.0", authority.subject_hash_old());
    let place = match (format, output) {
        (CaFormat::Android, None) => Some(PathBuf::from(&name)),
        (CaFormat::Android, Some(output)) if output.is_dir() => Some(output.join(&name)),
        (_, output) => output.map(Path::to_path_buf),
    };
    if place.as_deref().is_some_and(|place| place == Authority::key_file(&folder)) {
        return Err(Failure::Said(format!("{}: is the key, and would be written over", folder.display())));
    }
    let bytes = match format {
        CaFormat::Pem | CaFormat::Android => authority.pem().as_bytes(),
        CaFormat::Der => authority.der(),
    };
    let mut out = Output::open(place.as_deref())?;
    out.writer().write_all(bytes)?;
    out.writer().flush()?;
    if let Some(place) = place {
        note(&format!("{}: SHA-256 {}", place.display(), authority.fingerprint()));
    }
    Ok(Exit::Fine)
}
