//! Holds the house rules: who may import whom, which crate is known where, and how a file begins. A rule that
//! hinders is changed here, with a reason in ARCHITECTURE.md, and not worked around.

use std::fs;
use std::path::{Path, PathBuf};

/// For each room, the rooms it may name. `lib.rs` and `main.rs` stand outside.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("corpus", &["domain"]),
    ("sample", &["domain"]),
    ("report", &["domain"]),
    ("analyze", &["domain", "corpus"]),
    ("decide", &["domain"]),
    ("execute", &["domain", "corpus"]),
    ("record", &["domain"]),
    ("learn", &["domain"]),
    ("pipeline", &["domain", "corpus", "analyze", "decide", "execute", "record", "learn"]),
    ("http", &["domain", "pipeline", "report", "sample"]),
    ("cli", &["domain", "pipeline", "report", "sample", "http"]),
];

/// For each crate that is confined, the places that may name it.
const CONFINED: &[(&str, &[&str])] = &[
    ("burn", &["execute"]),
    ("gemm", &["execute"]),
    ("safetensors", &["execute"]),
    ("tokenizers", &["analyze", "execute"]),
    ("redb", &["record"]),
    ("toml", &["decide/rules"]),
    ("linfa", &["learn"]),
    ("linfa_trees", &["learn"]),
    ("clap", &["cli"]),
    ("indicatif", &["cli"]),
    ("axum", &["http"]),
    ("hyper", &["http"]),
    ("maud", &["http"]),
    ("utoipa", &["http"]),
    ("anyhow", &["main.rs"]),
];

fn source_files() -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut pending = vec![src.clone()];
    let mut files = Vec::new();
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).expect("src is readable") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(&src).expect("below src").to_string_lossy().replace('\\', "/");
                files.push((name, fs::read_to_string(&path).expect("source is UTF-8")));
            }
        }
    }
    assert!(files.len() > 20, "the source was not found");
    files.sort();
    files
}

/// The code of a file: comment lines left out.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(i, l)| (i + 1, l)).filter(|(_, l)| !l.trim_start().starts_with("//"))
}

/// The part of a file before its unit tests.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or_default()
}

/// Files that are compiled for tests alone.
fn is_test(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or_default();
    name == "tests.rs" || name.ends_with("_tests.rs") || file == "domain/example.rs"
}

fn room(file: &str) -> &str {
    file.split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

/// Every `prefix::name` on a line, as `name`.
fn names_after<'a>(line: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    line.match_indices(prefix).filter_map(move |(at, _)| {
        let before = line[..at].chars().next_back();
        let rest = &line[at + prefix.len()..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        (!before.is_some_and(|c| c.is_alphanumeric() || c == '_')).then_some(&rest[..end])
    })
}

fn report(findings: Vec<String>) {
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn rooms_import_only_whom_they_may() {
    let mut findings = Vec::new();
    for (file, text) in source_files() {
        if file == "lib.rs" || file == "main.rs" {
            continue;
        }
        let here = room(&file);
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(r, _)| *r == here) else {
            findings.push(format!("src/{file}: the room `{here}` is not in tests/tidy.rs; say whom it may import"));
            continue;
        };
        for (number, line) in code(&text) {
            for name in names_after(line, "crate::") {
                if MAY_IMPORT.iter().any(|(r, _)| *r == name) && name != here && !allowed.contains(&name) {
                    findings.push(format!("src/{file}:{number}: `{here}` may not import `{name}`"));
                }
            }
        }
    }
    report(findings);
}

#[test]
fn confined_crates_are_named_only_where_they_belong() {
    let mut findings = Vec::new();
    for (file, text) in source_files() {
        for (number, line) in code(&text) {
            for (name, places) in CONFINED {
                let used = format!("{name}::");
                let named = line
                    .match_indices(&used)
                    .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'));
                if named && !places.iter().any(|p| file.starts_with(p)) {
                    findings.push(format!("src/{file}:{number}: only {places:?} may know `{name}`"));
                }
            }
        }
    }
    report(findings);
}

#[test]
fn every_file_opens_with_what_it_answers() {
    let bare = source_files().into_iter().filter(|(_, text)| !text.starts_with("//! "));
    report(bare.map(|(file, _)| format!("src/{file} does not open with //!")).collect());
}

#[test]
fn no_file_is_called_after_nothing_in_particular() {
    let vague = ["utils", "util", "manager", "helper", "helpers", "common", "misc"];
    let named = source_files()
        .into_iter()
        .filter(|(file, _)| file.trim_end_matches(".rs").split('/').any(|part| vague.contains(&part)));
    report(named.map(|(file, _)| format!("src/{file}: name it after what it does")).collect());
}

#[test]
fn nothing_a_user_can_touch_panics_by_design() {
    let mut findings = Vec::new();
    for (file, text) in source_files().into_iter().filter(|(file, _)| !is_test(file)) {
        for (number, line) in code(without_tests(&text)) {
            for bad in [".unwrap()", "panic!(", "todo!(", "unimplemented!(", "#[allow("] {
                if line.contains(bad) {
                    findings.push(format!("src/{file}:{number}: `{bad}`"));
                }
            }
        }
    }
    report(findings);
}
