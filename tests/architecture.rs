//! Guards the shape of the house: who may import whom, how files begin and how long they get, and what must not be
//! in them. The table is DESIGN's; `src/ARCHITECTURE.md` explains it.

use regex::Regex;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each module with what it may import of the others.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("rules", &["model"]),
    ("packet", &["model"]),
    ("flow", &["model"]),
    ("socks", &["model"]),
    ("tls", &["model"]),
    ("quic", &["model", "tls"]),
    ("http", &["model"]),
    ("dns", &["model"]),
    ("decode", &["model"]),
    ("detect", &["model", "rules"]),
    ("attribute", &["model", "rules"]),
    ("policy", &["model", "rules"]),
    ("audit", &["model", "rules"]),
    ("pipeline", STAGES),
    ("capture", &["model", "pipeline"]),
    ("proxy", &["model", "pipeline"]),
    ("device", &["model", "pipeline"]),
    ("report", &["model", "pipeline"]),
    ("dashboard", &["model", "pipeline"]),
    ("session", BELOW_SESSION),
    ("cli", BOTTOM_UP),
];

/// All modules below `cli`, none before what it may import.
const BOTTOM_UP: &[&str] = &[
    "model",
    "rules",
    "packet",
    "flow",
    "socks",
    "tls",
    "quic",
    "http",
    "dns",
    "decode",
    "detect",
    "attribute",
    "policy",
    "audit",
    "pipeline",
    "capture",
    "proxy",
    "device",
    "report",
    "dashboard",
    "session",
];
/// Up to `audit`. They are sans-IO: what the outside world is reached by must not be named in them.
const STAGES: &[&str] = BOTTOM_UP.split_at(14).0;
/// Up to `dashboard`.
const BELOW_SESSION: &[&str] = BOTTOM_UP.split_at(20).0;

/// Lists whose order people see: the tabs of the dashboard.
const IN_ORDER_OF_USE: &[&str] = &["SCREENS"];

/// Longest a source file may get.
const LINES_MAX: usize = 600;

#[test]
fn modules_import_only_what_the_table_allows() {
    let mut wrong = Vec::new();
    for file in rust_files("src") {
        let Some(module) = module_of(&file) else { continue };
        let (_, allowed) = MAY_IMPORT.iter().find(|(name, _)| *name == module).unwrap_or_else(|| {
            panic!("src/{module} is not in the import table of tests/architecture.rs");
        });
        for name in imports(&module, &without_comments(&read(&file))) {
            if name != module && !allowed.contains(&name.as_str()) {
                wrong.push(format!("{}: {module} must not import {name}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_module_of_the_table_exists_and_is_public() {
    assert_eq!((STAGES.last(), BELOW_SESSION.last()), (Some(&"audit"), Some(&"dashboard")));
    let root = read(Path::new("src/lib.rs"));
    for (module, _) in MAY_IMPORT {
        assert!(root.contains(&format!("pub mod {module};")), "{module}");
    }
}

#[test]
fn stages_know_no_clock_file_socket_or_thread() {
    let outside = Regex::new(
        r"std::(fs|net::(Tcp|Udp)\w+|thread|process|time::(Instant|SystemTime)|io::std(in|out|err))|\b(tokio|ratatui|crossterm|clap|memmap2|signal_hook)::",
    )
    .expect("a valid pattern");
    let mut wrong = Vec::new();
    for file in rust_files("src") {
        let Some(module) = module_of(&file) else { continue };
        if !STAGES.contains(&module.as_str()) || file.ends_with("tests.rs") {
            continue;
        }
        let code = without_tests(&without_comments(&read(&file)));
        wrong.extend(outside.find_iter(&code).map(|hit| format!("{}: {}", file.display(), hit.as_str())));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_source_file_opens_with_what_it_is_for() {
    let files = ["src", "tests", "benches"].iter().flat_map(|folder| rust_files(folder));
    let bare = |file: &PathBuf| {
        let text = read(file);
        let first = text.lines().next().unwrap_or_default();
        let crate_doc = file.ends_with("src/lib.rs") && first.starts_with("#![doc = include_str!");
        let says_something = first.starts_with("//! ") && first.len() > 12;
        !crate_doc && !says_something
    };
    let wrong: Vec<PathBuf> = files.filter(bare).collect();
    assert!(wrong.is_empty(), "no `//!` on the first line: {wrong:?}");
}

#[test]
fn no_source_file_is_too_long_to_read() {
    let files = ["src", "tests", "benches"].iter().flat_map(|folder| rust_files(folder));
    let lengths = files.map(|file| (read(&file).lines().count(), file));
    let wrong: Vec<_> = lengths.filter(|(lines, _)| *lines > LINES_MAX).collect();
    assert!(wrong.is_empty(), "more than {LINES_MAX} lines: {wrong:?}");
}

#[test]
fn a_module_with_parts_is_a_folder_with_a_mod_file() {
    let wrong: Vec<PathBuf> = rust_files("src").into_iter().filter(|file| file.with_extension("").is_dir()).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn units_are_listed_once_and_in_order() {
    let list = Regex::new(
        r"(?s)(?:const|static)\s+(\w+)\s*:\s*&(?:'static )?\[&(?:'static )?\(?dyn [^=]*?\]\s*=\s*&\[(.*?)\];",
    )
    .expect("a valid pattern");
    for file in rust_files("src") {
        let code = without_comments(&read(&file));
        for found in list.captures_iter(&code) {
            let units: Vec<&str> = found[2].split(',').map(str::trim).filter(|unit| !unit.is_empty()).collect();
            let mut sorted = units.clone();
            sorted.sort_unstable();
            sorted.dedup();
            let wanted =
                if IN_ORDER_OF_USE.contains(&&found[1]) { units.len() == sorted.len() } else { units == sorted };
            assert!(wanted, "{} in {}: {units:?}", &found[1], file.display());
        }
    }
}

#[test]
fn nothing_is_left_half_done() {
    // Written in two parts, so that this file does not hold what it looks for.
    let marks = [["todo", "!("], ["unimplemented", "!("], ["#[ig", "nore"], ["allow(dead", "_code)"], ["FIX", "ME"]];
    for file in ["src", "tests", "benches"].iter().flat_map(|folder| rust_files(folder)) {
        let text = read(&file);
        for mark in marks.map(|parts| parts.concat()) {
            assert!(!text.contains(&mark), "{}: {mark}", file.display());
        }
    }
}

#[test]
fn no_text_names_a_place_on_somebodys_machine() {
    let place = Regex::new(r#"(^|[\s"'`(=:])/(work|root|home|Users)/"#).expect("a valid pattern");
    let mut wrong = Vec::new();
    for folder in ["src", "tests", "benches", "rules", "captures", ".ci", "."] {
        for file in files_under(folder, if folder == "." { Depth::Here } else { Depth::All }) {
            // Git's own file in a worktree is not the repository's; binary files have no text to look at.
            if file.ends_with(".git") {
                continue;
            }
            let Ok(text) = fs::read_to_string(root().join(&file)) else { continue };
            let lines = text.lines().enumerate().filter(|(_, line)| place.is_match(line));
            wrong.extend(lines.map(|(number, line)| format!("{}:{}: {line}", file.display(), number + 1)));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Names of our own modules that a file's code reaches.
fn imports(module: &str, code: &str) -> BTreeSet<String> {
    let is_module = |name: &str| MAY_IMPORT.iter().any(|(known, _)| *known == name);
    let single = Regex::new(r"\b(?:crate|divulge)::(\w+)").expect("a valid pattern");
    let group = Regex::new(r"(?s)\b(?:crate|divulge)::\{(.*?)\};").expect("a valid pattern");
    let climbing = Regex::new(r"\bsuper::(\w+)::").expect("a valid pattern");
    let mut names: BTreeSet<String> = single.captures_iter(code).map(|found| found[1].to_owned()).collect();
    for found in group.captures_iter(code) {
        // Of each member only its first name is a module: cut nested groups away.
        let mut depth = 0;
        let flat: String = found[1]
            .chars()
            .filter(|letter| {
                depth += i32::from(*letter == '{') - i32::from(*letter == '}');
                depth == 0
            })
            .collect();
        names.extend(flat.split(',').filter_map(|member| member.trim().split("::").next()).map(str::to_owned));
    }
    let own_part = |name: &str| {
        let folder = root().join("src").join(module);
        folder.join(name).is_dir() || folder.join(name).with_extension("rs").is_file()
    };
    names.extend(climbing.captures_iter(code).map(|found| found[1].to_owned()).filter(|name| !own_part(name)));
    names.retain(|name| is_module(name));
    names
}

/// The top-level module a file belongs to; none for `lib.rs` and `main.rs`.
fn module_of(file: &Path) -> Option<String> {
    let part = file.components().nth(1)?.as_os_str().to_str()?;
    let name = part.trim_end_matches(".rs");
    (name != "lib" && name != "main").then(|| name.to_owned())
}

fn without_comments(code: &str) -> String {
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// What stands before the tests at the end of a file.
fn without_tests(code: &str) -> String {
    code.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned()
}

fn rust_files(folder: &str) -> Vec<PathBuf> {
    let files = files_under(folder, Depth::All);
    files.into_iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs")).collect()
}

#[derive(Clone, Copy)]
enum Depth {
    Here,
    All,
}

/// Files of a folder of the repository, by path relative to its root, sorted.
fn files_under(folder: &str, depth: Depth) -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut open = vec![PathBuf::from(folder)];
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(root().join(&folder)) else { continue };
        for entry in entries {
            let path = folder.join(entry.expect("a readable folder").file_name());
            match (root().join(&path).is_dir(), depth) {
                (true, Depth::All) => open.push(path),
                (true, Depth::Here) => {}
                (false, _) => out.push(path),
            }
        }
    }
    out.sort();
    out
}

fn read(file: &Path) -> String {
    fs::read_to_string(root().join(file)).expect("a source file is text")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
