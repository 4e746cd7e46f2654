//! Files the user names → a [`Case`]. Every mistake says which file and where.

use super::case::{Case, Interrupt, Source};
use crate::capture::Input;
use crate::model::{KeySource, PolicyUsed, Profile};
use crate::policy;
use crate::rules::{RuleError, RuleFile, RuleSet, parse_marks, parse_profile};
use crate::tls::{KeyLog, KeyLogProblem};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest policy, profile, marks or rule file, bytes.
pub const TEXT_MAX: u64 = 64 << 20;
/// Folders inside each other that are looked through for rules and key logs.
pub(super) const FOLDERS_MAX: usize = 16;
/// Wrong lines of one key log that are told one by one.
const KEY_PROBLEMS_TOLD: usize = 5;

/// Why a file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The operating system refused.
    #[error("{file}: {source}")]
    Io {
        /// The file.
        file: String,
        /// Its reason.
        source: io::Error,
    },
    /// It is larger than any such file.
    #[error("{file}: {size} bytes, expected at most {TEXT_MAX}")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size.
        size: u64,
    },
    /// It is not what it should be.
    #[error("{0}")]
    Wrong(String),
    /// Rules, a profile or marks with mistakes, a line each.
    #[error("{}", lines(.0))]
    Rules(Vec<RuleError>),
}

fn lines(errors: &[RuleError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// What the command line names.
#[derive(Debug, Clone, Default)]
pub struct Paths<'a> {
    /// Captures; `-` is standard input.
    pub inputs: &'a [String],
    /// Whether more comes than the inputs, as it happens: a network interface.
    pub live: bool,
    /// Key log files and folders of them.
    pub keys: &'a [PathBuf],
    /// Policies.
    pub policies: &'a [PathBuf],
    /// Which dated version of a policy page.
    pub policy_version: Option<&'a str>,
    /// Device profile.
    pub profile: Option<&'a Path>,
    /// Folders of rules that add to the built-in ones.
    pub rules: &'a [PathBuf],
    /// Domains of the app's own servers.
    pub first_party: &'a [String],
    /// Package or uid of the app.
    pub app: Option<&'a str>,
    /// Marks.
    pub marks: Option<&'a Path>,
}

/// Loads everything a run needs.
///
/// # Errors
/// The first file that can't be used.
pub fn load_case(paths: &Paths<'_>) -> Result<Case, LoadError> {
    let rules = load_rules(paths.rules)?;
    let mut warnings = Vec::new();
    let inputs: Vec<_> = paths.inputs.iter().map(|input| Input::from_arg(input)).collect();
    // Beside a capture that comes as it happens, key logs and marks grow.
    let grows = paths.live || inputs.iter().any(Input::is_coming);
    let (keys, growing_keys) =
        if grows { (KeyLog::new(), growing(paths.keys)?) } else { (load_keys(paths.keys, &mut warnings)?, Vec::new()) };
    let profile = match paths.profile {
        Some(path) => {
            let file = shown(path);
            parse_profile(&file, &read_text(path)?, &rules).map_err(LoadError::Rules)?
        }
        None => Profile::default(),
    };
    let (marks, growing_marks) = match paths.marks {
        Some(path) if grows => (Vec::new(), Some(growing_marks(path)?)),
        Some(path) => (parse_marks(&shown(path), &read_text(path)?).map_err(LoadError::Rules)?, None),
        None => (Vec::new(), None),
    };
    let mut policies = Vec::new();
    for path in paths.policies {
        policies.push(load_policy(path, paths.policy_version, &rules)?);
    }
    let first_party: Vec<String> = paths.first_party.iter().chain(&profile.first_party).cloned().collect();
    // It would take the app's own servers for strangers.
    for domain in first_party.iter().filter(|domain| domain.contains([',', ';', ' ', '、'])) {
        warnings.push(format!("first party \"{domain}\": not a domain; several are given as words of their own"));
    }
    Ok(Case {
        sources: inputs.into_iter().map(Source::Input).collect(),
        rules: Arc::new(rules),
        keys,
        growing_keys,
        recorder: None,
        recording: None,
        interrupt: Interrupt::default(),
        policies,
        app: paths.app.map(str::to_owned).or_else(|| profile.package.clone()),
        profile,
        first_party,
        marks,
        growing_marks,
        warnings,
    })
}

/// The built-in rules and those of the folders.
///
/// # Errors
/// Unreadable files and everything wrong in the rules.
pub fn load_rules(folders: &[PathBuf]) -> Result<RuleSet, LoadError> {
    let mut files = Vec::new();
    for folder in folders {
        files.extend(rule_files(folder)?);
    }
    RuleSet::load(&files).map_err(LoadError::Rules)
}

/// The rule files of a folder, by path; their names are relative to it, so that they tell what kind of rule they hold.
///
/// # Errors
/// Unreadable files; a folder that isn't one.
pub fn rule_files(folder: &Path) -> Result<Vec<RuleFile>, LoadError> {
    if !folder.is_dir() {
        return Err(LoadError::Wrong(format!("{}: not a folder of rules", folder.display())));
    }
    let mut found = Vec::new();
    walk(folder, FOLDERS_MAX, &mut |path| {
        if path.extension().is_some_and(|extension| extension == "toml") {
            found.push(path.to_path_buf());
        }
    })?;
    if found.is_empty() {
        return Err(LoadError::Wrong(format!(
            "{}: holds no rules, expected files that end in .toml",
            folder.display()
        )));
    }
    found.sort();
    let text = |path: PathBuf| {
        let relative = path.strip_prefix(folder).unwrap_or(&path);
        Ok(RuleFile { path: relative.display().to_string(), text: read_text(&path)? })
    };
    found.into_iter().map(text).collect()
}

pub(super) fn walk(folder: &Path, depth: usize, found: &mut dyn FnMut(&Path)) -> Result<(), LoadError> {
    let failed = |source| LoadError::Io { file: shown(folder), source };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            if depth > 0 {
                walk(&path, depth - 1, found)?;
            }
        } else {
            found(&path);
        }
    }
    Ok(())
}

/// Adds what is wrong in lines of a key log, `before` of which came earlier, to the warnings: the first few one by one.
pub(super) fn tell_key_problems(problems: &[KeyLogProblem], before: usize, file: &str, warnings: &mut Vec<String>) {
    for problem in problems.iter().take(KEY_PROBLEMS_TOLD) {
        warnings.push(format!("{file}: line {}: {}", before + problem.line, problem.message));
    }
    if problems.len() > KEY_PROBLEMS_TOLD {
        warnings.push(format!("{file}: {} more lines like these", problems.len() - KEY_PROBLEMS_TOLD));
    }
}

/// A file of marks that is followed. What it holds already must make sense; its last line may be under way.
fn growing_marks(path: &Path) -> Result<PathBuf, LoadError> {
    growing(&[path.to_path_buf()])?;
    if path.is_file() {
        let text = read_text(path)?;
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        parse_marks(&shown(path), whole).map_err(LoadError::Rules)?;
    }
    Ok(path.to_path_buf())
}

/// Files that are followed: each must be readable, or be able to appear.
fn growing(paths: &[PathBuf]) -> Result<Vec<PathBuf>, LoadError> {
    for path in paths {
        let failed = |source| LoadError::Io { file: shown(path), source };
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => drop(fs::read_dir(path).map_err(failed)?),
            Ok(metadata) if metadata.is_file() => drop(fs::File::open(path).map_err(failed)?),
            // A pipe: opening it would wait for its other end.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound && folder_of(path).is_dir() => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(paths.to_vec())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn load_keys(paths: &[PathBuf], warnings: &mut Vec<String>) -> Result<KeyLog, LoadError> {
    let mut keys = KeyLog::new();
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            walk(path, FOLDERS_MAX, &mut |path| files.push(path.to_path_buf()))?;
        } else {
            files.push(path.clone());
        }
    }
    files.sort();
    for path in files {
        let file = shown(&path);
        let text = fs::read(&path).map_err(|source| LoadError::Io { file: file.clone(), source })?;
        let before = keys.sessions();
        let problems = keys.add_text(KeySource::Keylog, &text);
        tell_key_problems(&problems, 0, &file, warnings);
        if keys.sessions() == before && problems.is_empty() {
            warnings.push(format!("{file}: holds no TLS secrets that were not known, expected lines of RFC 9850"));
        }
    }
    Ok(keys)
}

/// Reads a policy file into its text.
///
/// # Errors
/// Unreadable files; bytes that are no text.
pub fn load_policy_text(path: &Path) -> Result<String, LoadError> {
    let file = shown(path);
    let bytes = read_bytes(path)?;
    policy::decode(&bytes).map_err(|error| LoadError::Wrong(format!("{file}: {error}")))
}

fn load_policy(path: &Path, version: Option<&str>, rules: &RuleSet) -> Result<PolicyUsed, LoadError> {
    let file = shown(path);
    let text = load_policy_text(path)?;
    let documents = if path.extension().is_some_and(|extension| extension == "toml") {
        policy::from_toml(&text).map_err(|error| LoadError::Wrong(format!("{file}: {error}")))?
    } else {
        policy::read(&text, rules)
    };
    policy_used(file, text, documents, version)
}

/// Picks the version of a policy to judge against.
pub(crate) fn policy_used(
    file: String,
    text: String,
    documents: Vec<crate::model::PolicyDocument>,
    version: Option<&str>,
) -> Result<PolicyUsed, LoadError> {
    let Some(document) = policy::pick(&documents, version).cloned() else {
        let dates: Vec<_> =
            documents.iter().filter_map(|d| d.effective_date.as_deref().or(d.updated_date.as_deref())).collect();
        return Err(LoadError::Wrong(match version {
            Some(version) if !dates.is_empty() => {
                format!("{file}: no version of {version}; the page has {}", dates.join(", "))
            }
            Some(_) | None => format!("{file}: no privacy policy found in it"),
        }));
    };
    Ok(PolicyUsed { file, text: Arc::from(text), document: Arc::new(document) })
}

fn read_text(path: &Path) -> Result<String, LoadError> {
    let bytes = read_bytes(path)?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        LoadError::Wrong(format!("{}: offset {at}: not UTF-8 text", shown(path)))
    })
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, LoadError> {
    let failed = |source| LoadError::Io { file: shown(path), source };
    let size = fs::metadata(path).map_err(failed)?.len();
    if size > TEXT_MAX {
        return Err(LoadError::TooLarge { file: shown(path), size });
    }
    fs::read(path).map_err(failed)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
