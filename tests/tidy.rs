//! Holds the house rules: which room may import which, where each crate may be used, and what code and docs look like.
//! What clippy can check (`unwrap`, `panic!`, bare `allow`) is in Cargo.toml. A rule that gets in the way is changed
//! here, with a reason in ARCHITECTURE.md, and not worked around.

#![expect(clippy::panic, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// For each room, the rooms that its code may name (its unit tests may reach further). `lib.rs` and `main.rs` stand outside.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("files", &["domain"]),
    ("sample", &[]),
    ("corpus", &["domain"]),
    ("tokenizer", &["domain", "files", "corpus"]),
    ("analyze", &["domain", "files", "corpus", "tokenizer"]),
    ("kernels", &["domain"]),
    ("model", &["domain", "files", "tokenizer", "kernels"]),
    ("transplant", &["domain", "tokenizer", "kernels", "model"]),
    ("train", &["domain", "files", "tokenizer", "kernels", "model"]),
    ("strategies", &["domain", "files", "tokenizer", "kernels", "model", "transplant", "train"]),
    ("decide", &["domain"]),
    ("learn", &["domain"]),
    ("store", &["domain"]),
    ("report", &["domain"]),
    (
        "app",
        &[
            "domain",
            "files",
            "corpus",
            "tokenizer",
            "analyze",
            "model",
            "transplant",
            "train",
            "strategies",
            "decide",
            "learn",
            "store",
        ],
    ),
    ("service", &["domain", "files", "app", "report", "sample"]),
    ("cli", &["domain", "app", "report", "sample", "service"]),
];

/// Pairs of folders whose files still import each other in a circle. This list may only shrink.
const CIRCLES: &[(&str, &str)] =
    &[("decide", "decide/rules"), ("kernels", "kernels/fused"), ("report", "report/content")];

/// Public type names that still occur more than once. This list may only shrink.
const HOMONYMS: &[&str] = &["Replayed", "Row", "Severity", "Split", "Text", "Tokens"];

/// The documents that people read.
const DOCUMENTS: &[&str] = &["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"];

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

/// What follows `mod` on a line that declares a module.
fn module(line: &str) -> Option<&str> {
    line.trim_start_matches("pub(crate) ")
        .trim_start_matches("pub(super) ")
        .trim_start_matches("pub ")
        .strip_prefix("mod ")
}

/// The part of a file before its unit tests: `#[cfg(test)]` and a module with a body.
fn without_tests(text: &str) -> &str {
    let tests = text.match_indices("#[cfg(test)]\n").map(|(at, _)| at).find(|at| {
        let item = text[*at..].lines().skip(1).find(|line| !line.starts_with("#["));
        item.is_some_and(|line| module(line).is_some_and(|name| name.ends_with(" {")))
    });
    &text[..tests.unwrap_or(text.len())]
}

/// Files that the program is made of, without their unit tests and without files that are compiled for tests alone.
fn program_files() -> Vec<(String, String)> {
    let files = source_files();
    let mut tests = BTreeSet::new();
    for (file, text) in &files {
        for (at, marker) in text.match_indices("#[cfg(test)]\n") {
            let item = text[at + marker.len()..].lines().find(|line| !line.starts_with("#[")).unwrap_or_default();
            if let Some(name) = module(item).and_then(|name| name.strip_suffix(';')) {
                let folder = file.trim_end_matches("mod.rs").trim_end_matches(".rs");
                tests.insert(format!("{}/{name}.rs", folder.trim_end_matches('/')));
            }
        }
    }
    assert!(tests.contains("corpus/tests.rs"), "modules for tests were not recognised");
    let program = files.into_iter().filter(|(file, _)| !tests.contains(file) && !file.ends_with("_tests.rs"));
    program.map(|(file, text)| (file, without_tests(&text).to_owned())).collect()
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

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// Every document with its path from the repository's root.
fn documents() -> Vec<(String, String)> {
    let mut names: Vec<String> = DOCUMENTS.iter().map(|d| (*d).to_owned()).collect();
    for folder in ["docs", "rules", "history"] {
        let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).expect("a folder of documents");
        let files = entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned());
        names.extend(files.filter(|f| f.ends_with(".md")).map(|f| format!("{folder}/{f}")));
    }
    names.into_iter().map(|name| (name.clone(), read(&name))).collect()
}

/// ARCHITECTURE.md's table of crates: for each crate, the places that may use it.
fn crate_table() -> BTreeMap<String, Vec<String>> {
    let map = read("ARCHITECTURE.md");
    let section = map.split("\n## Crates\n").nth(1).expect("ARCHITECTURE.md has a section `Crates`");
    let rows = section.lines().skip_while(|l| !l.starts_with('|')).skip(2).take_while(|l| l.starts_with('|'));
    let cell = |text: &str| -> Vec<String> { text.split(',').map(|w| w.trim().trim_matches('`').to_owned()).collect() };
    let mut table = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        for name in cell(cells[0]) {
            let twice = table.insert(name.clone(), cell(cells[1]));
            assert!(twice.is_none(), "ARCHITECTURE.md's table has `{name}` twice");
        }
    }
    table
}

/// What Cargo.toml depends on, a line each, features of tests and benches included.
fn dependencies() -> BTreeSet<String> {
    let mut section = "";
    let mut names = BTreeSet::new();
    let manifest = read("Cargo.toml");
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if let ("[dependencies]" | "[dev-dependencies]", Some((name, _))) = (section, line.split_once(" = ")) {
            names.insert(name.to_owned());
        }
    }
    assert!(names.contains("burn") && names.contains("insta"), "Cargo.toml was not understood");
    names
}

/// Whether a file of src/ lies in a place: a room, a folder in it, or a single file without `.rs`.
fn within(file: &str, place: &str) -> bool {
    file.strip_prefix(place).is_some_and(|rest| rest.starts_with('/') || rest == ".rs")
}

/// All nodes that edges lead to from here, in one step or more.
fn reachable<'a>(edges: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &str) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut pending: Vec<&str> = edges.get(from).into_iter().flatten().copied().collect();
    while let Some(next) = pending.pop() {
        if seen.insert(next) {
            pending.extend(edges.get(next).into_iter().flatten());
        }
    }
    seen
}

/// `model/adapter/mod.rs` is `[model, adapter]`, `model/decoder.rs` is `[model, decoder]`.
fn module_path(file: &str) -> Vec<&str> {
    let path = file.trim_end_matches(".rs");
    path.strip_suffix("/mod").unwrap_or(path).split('/').collect()
}

/// The file of each module.
fn modules(files: &[(String, String)]) -> BTreeMap<Vec<&str>, &str> {
    files.iter().filter(|(f, _)| f.contains('/')).map(|(f, _)| (module_path(f), f.as_str())).collect()
}

/// The paths that a use tree stands for: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        if !tree.is_empty() {
            paths.push(format!("{prefix}{}", tree.split(" as ").next().unwrap_or_default()));
        }
        return;
    };
    let prefix = format!("{prefix}{}", &tree[..open]);
    let body = &tree[open + 1..tree.rfind('}').unwrap_or(tree.len())];
    let (mut depth, mut start) = (0_i32, 0);
    for (at, c) in body.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&prefix, &body[start..at], paths);
                start = at + 1;
            }
            _ => {}
        }
    }
    expand(&prefix, &body[start..], paths);
}

/// The files that a file's code names, tests and re-exports of its own modules left out.
fn imports<'a>(file: &str, text: &str, modules: &BTreeMap<Vec<&str>, &'a str>) -> BTreeSet<&'a str> {
    let text: String = code(text).flat_map(|(_, line)| [line, "\n"]).collect();
    let here = if file.contains('/') { module_path(file) } else { Vec::new() };
    let mut paths: Vec<(String, bool)> = Vec::new();
    let mut rest = String::new();
    for statement in text.split_inclusive(';') {
        match statement.rsplit_once("use ").filter(|(before, _)| !before.ends_with(|c: char| c.is_alphanumeric())) {
            Some((before, tree)) if statement.ends_with(';') && !tree.contains(['(', '"', '=']) => {
                let exported = before.trim_end().ends_with("pub") || before.trim_end().ends_with(')');
                let mut trees = Vec::new();
                expand("", tree.trim_end_matches(';'), &mut trees);
                paths.extend(trees.into_iter().map(|path| (path, exported)));
                rest.push_str(before);
            }
            _ => rest.push_str(statement),
        }
    }
    let words = rest.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
    paths.extend(words.filter(|w| w.contains("::")).map(|w| (w.to_owned(), false)));
    let mut named = BTreeSet::new();
    for (path, exported) in &paths {
        let mut segments = path.split("::").map(str::trim).peekable();
        let mut base = here.clone();
        match segments.peek().copied() {
            Some("crate") => base.clear(),
            Some("self" | "super") => {}
            Some(first) => {
                base.push(first);
                if *exported || !modules.contains_key(&base) {
                    continue;
                }
                base.pop();
            }
            None => continue,
        }
        for segment in segments {
            match segment {
                "crate" | "self" => {}
                "super" => _ = base.pop(),
                _ => {
                    base.push(segment);
                    if !modules.contains_key(&base) {
                        base.pop();
                        break;
                    }
                }
            }
        }
        named.extend(modules.get(&base).filter(|to| **to != file).copied());
    }
    named
}

fn report(findings: Vec<String>) {
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn rooms_import_only_whom_they_may() {
    let mut findings = Vec::new();
    let may = |here: &str| MAY_IMPORT.iter().find(|(r, _)| *r == here).map(|(_, allowed)| *allowed);
    let files = program_files();
    let modules = modules(&files);
    for (file, text) in files.iter().filter(|(file, _)| file.contains('/')) {
        let here = room(file);
        let Some(allowed) = may(here) else {
            findings.push(format!("src/{file}: the room `{here}` is not in tests/tidy.rs; say whom it may import"));
            continue;
        };
        for (number, line) in code(text) {
            for name in names_after(line, "crate::") {
                if may(name).is_some() && name != here && !allowed.contains(&name) {
                    findings.push(format!("src/{file}:{number}: `{here}` may not import `{name}`"));
                }
            }
        }
        // What lines do not show: `use crate::{...}`.
        for name in imports(file, text, &modules).into_iter().map(room) {
            if name != here && !allowed.contains(&name) {
                findings.push(format!("src/{file}: `{here}` may not import `{name}`"));
            }
        }
    }
    report(findings);
}

#[test]
fn every_dependency_stands_in_the_map_and_is_used_where_it_says() {
    let declared = dependencies();
    let table = crate_table();
    let mut findings = Vec::new();
    for name in declared.iter().filter(|d| !table.contains_key(*d)) {
        findings
            .push(format!("`{name}` is not in ARCHITECTURE.md's table of crates: say where it may be used, and why"));
    }
    for name in table.keys().filter(|d| !declared.contains(*d)) {
        findings.push(format!("ARCHITECTURE.md's table names `{name}`, which Cargo.toml does not"));
    }
    let files = program_files();
    for (name, places) in &table {
        let used = format!("{}::", name.replace('-', "_"));
        let mut seen = BTreeSet::new();
        for (file, text) in &files {
            for (number, line) in code(text) {
                let named = line
                    .match_indices(&used)
                    .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'));
                if !named {
                    continue;
                }
                match places.iter().find(|p| *p == "any" || within(file, p)) {
                    Some(place) => _ = seen.insert(place.clone()),
                    None => findings.push(format!("src/{file}:{number}: only {places:?} may use `{name}`")),
                }
            }
        }
        for place in places.iter().filter(|p| !["any", "tests", "benches", "features"].contains(&p.as_str())) {
            if !seen.contains(place) {
                findings.push(format!("`{place}` does not use `{name}`: take it out of ARCHITECTURE.md's table"));
            }
        }
    }
    report(findings);
}

#[test]
fn the_fuzz_package_has_the_crates_of_its_rooms() {
    let rooms = ["analyze/", "corpus/", "domain/", "files/", "tokenizer/"];
    let manifest = read("fuzz/Cargo.toml");
    let files = program_files();
    let mut findings = Vec::new();
    for name in crate_table().into_keys() {
        let used = format!("{}::", name.replace('-', "_"));
        let mut own = files.iter().filter(|(file, _)| rooms.iter().any(|r| file.starts_with(r)));
        let needed = own.any(|(_, text)| code(text).any(|(_, line)| names_after(line, &used).next().is_some()));
        if needed && !manifest.contains(&format!("\n{name} = ")) {
            findings.push(format!("fuzz/Cargo.toml lacks `{name}`"));
        }
    }
    report(findings);
}

#[test]
fn walls_between_rooms_have_no_circle() {
    let mut edges: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (room, allowed) in MAY_IMPORT {
        edges.insert(room, allowed.iter().copied().collect());
    }
    let circles = MAY_IMPORT.iter().filter(|(room, _)| reachable(&edges, room).contains(room));
    report(circles.map(|(room, _)| format!("`{room}` may import itself through others")).collect());
}

#[test]
fn files_of_different_folders_import_each_other_in_no_circle() {
    let files = program_files();
    let modules = modules(&files);
    let edges: BTreeMap<&str, BTreeSet<&str>> =
        files.iter().map(|(file, text)| (file.as_str(), imports(file, text, &modules))).collect();
    let folder = |file: &str| file.rsplit_once('/').map_or(String::new(), |(folder, _)| folder.to_owned());
    let mut findings = Vec::new();
    let mut still = BTreeSet::new();
    for (from, targets) in &edges {
        for to in targets.iter().filter(|to| folder(from) != folder(to)) {
            if !reachable(&edges, to).contains(from) {
                continue;
            }
            let (a, b) = (folder(from), folder(to));
            match CIRCLES.iter().find(|(x, y)| (*x == a && *y == b) || (*x == b && *y == a)) {
                Some(known) => _ = still.insert(known),
                None => findings.push(format!("src/{from} imports src/{to}, which imports it back through others")),
            }
        }
    }
    for (a, b) in CIRCLES.iter().filter(|pair| !still.contains(pair)) {
        findings.push(format!("`{a}` and `{b}` are no circle any more: take them out of CIRCLES"));
    }
    report(findings);
}

#[test]
fn a_public_type_name_occurs_once() {
    let mut homes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (file, text) in program_files() {
        for (number, line) in code(&text) {
            let Some(rest) = line.strip_prefix("pub ").or_else(|| line.strip_prefix("pub(crate) ")) else { continue };
            let mut words = rest.split(|c: char| !c.is_alphanumeric() && c != '_');
            if let (Some("struct" | "enum" | "trait" | "type"), Some(name)) = (words.next(), words.next()) {
                homes.entry(name.to_owned()).or_default().push(format!("src/{file}:{number}"));
            }
        }
    }
    let mut findings = Vec::new();
    for (name, places) in &homes {
        if places.len() > 1 && !HOMONYMS.contains(&name.as_str()) {
            findings.push(format!("`{name}` stands for several types: {}", places.join(", ")));
        }
    }
    for name in HOMONYMS.iter().filter(|name| homes.get(**name).is_none_or(|places| places.len() < 2)) {
        findings.push(format!("`{name}` is no homonym any more: take it out of HOMONYMS"));
    }
    report(findings);
}

#[test]
fn lines_of_documents_are_at_most_120_columns() {
    let mut findings = Vec::new();
    for (document, text) in documents() {
        for (number, line) in text.lines().enumerate().filter(|(_, line)| line.chars().count() > 120) {
            findings.push(format!("{document}:{}: {} columns", number + 1, line.chars().count()));
        }
    }
    report(findings);
}

#[test]
fn files_that_documents_name_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let roots = ["src/", "tests/", "docs/", "rules/", "history/", "benches/", "fuzz/", "examples/", "vendor/", ".ci/"];
    let mut findings = Vec::new();
    // The past may name what is gone.
    let past = ["CHANGELOG.md", "docs/log.md"];
    for (document, text) in documents().into_iter().filter(|(document, _)| !past.contains(&document.as_str())) {
        for (number, line) in text.lines().enumerate() {
            let mut named: Vec<PathBuf> = line
                .split(|c: char| c.is_whitespace() || "`()[],;:|\"'".contains(c))
                .filter(|word| roots.iter().any(|r| word.starts_with(r)) && !word.contains(['*', '{', '<']))
                .map(|word| root.join(word.trim_end_matches('.')))
                .collect();
            for (at, _) in line.match_indices("](") {
                let target = line[at + 2..].split([')', '#']).next().unwrap_or_default();
                if !target.is_empty() && !target.contains("://") {
                    named.push(root.join(&document).with_file_name(target));
                }
            }
            findings.extend(
                named.iter().filter(|path| !path.exists()).map(|p| format!("{document}:{}: {p:?}", number + 1)),
            );
        }
    }
    report(findings);
}

#[test]
fn what_contributing_says_to_touch_is_all_there_is_to_touch() {
    let guide = read("CONTRIBUTING.md");
    let section = guide.split("\n## What to touch\n").nth(1).expect("CONTRIBUTING.md has a section `What to touch`");
    let quoted = |line: &str| -> Vec<String> { line.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let program = program_files();
    let mut findings = Vec::new();
    for change in section.split("\n### ").skip(1) {
        let title = change.lines().next().unwrap_or_default();
        let listed = |start: &str| change.lines().filter(|l| l.starts_with(start)).flat_map(quoted).collect::<Vec<_>>();
        let (examples, own) = (listed("Example: "), listed("Own file: "));
        // The first quoted word of an item is the file.
        let files: Vec<String> =
            change.lines().filter(|l| l.starts_with("- `")).filter_map(|l| quoted(l).into_iter().next()).collect();
        if !title.contains(&format!("({} file", files.len())) {
            findings.push(format!("{title}: {} files are listed", files.len()));
        }
        for file in own.iter().chain(&files).filter(|f| !Path::new(env!("CARGO_MANIFEST_DIR")).join(f).is_file()) {
            findings.push(format!("{title}: {file} does not exist"));
        }
        // An example that is there already: the files that name it are the files that another one would touch.
        for example in &examples {
            let is_word = |c: char| !c.is_alphanumeric() && c != '_';
            let names = |text: &str| code(text).any(|(_, line)| line.split(is_word).any(|word| word == example));
            let touched: Vec<String> =
                program.iter().filter(|(_, text)| names(text)).map(|(file, _)| format!("src/{file}")).collect();
            if touched.is_empty() {
                findings.push(format!("{title}: no file names `{example}`"));
            }
            for file in touched.iter().filter(|f| !own.contains(f) && !files.contains(f)) {
                findings.push(format!("{title}: {file} names `{example}` too"));
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
