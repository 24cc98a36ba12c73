//! Decisions are logged, shown, made again under other rules; what is published about their form is what is there.

use crate::program::{Program, byte_tokenizer};
use serde_json::Value;

fn advised() -> Program {
    let p = Program::new();
    let source = p.file("source/tokenizer.json", byte_tokenizer(&["the", "Ġthe", "Ġand"]));
    let candidate = p.file("candidate/tokenizer.json", byte_tokenizer(&["bir", "Ġbir", "Ġve", "lar"]));
    let text = p.file("text.txt", "bir kitap ve bir kalem\nkitaplar ve kalemler\n");
    p.json(&["decide", "--source", &source, "--candidate", &candidate, "--corpus", &text]);
    p
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer} in {value:#}"))
}

#[test]
fn every_decision_is_logged_with_what_it_rests_on_and_can_be_made_again() {
    let p = advised();
    let all = p.json(&["history", "decisions"]);
    assert_eq!(all.pointer("/decisions").and_then(Value::as_array).map(Vec::len), Some(1));
    assert_eq!(all.pointer("/decisions/0/log/propensity").and_then(Value::as_f64), Some(1.0));
    assert_eq!(text(&all, "/decisions/0/decision/rules_sha256").len(), 64);
    assert!(all.pointer("/decisions/0/decision/inputs/0").is_some());
    let (id, decided) = (text(&all, "/decisions/0/log/id"), text(&all, "/decisions/0/decision/strategy"));
    let one = p.json(&["history", "decisions", &id[..12]]);
    assert_eq!(text(&one, "/decision/strategy"), decided);
    let shown = p.run(&["history", "decisions"]);
    assert!(shown.stdout.contains(id) && shown.stdout.contains("advice only"), "{}", shown.stdout);

    let replay = p.json(&["rules", "replay"]);
    assert_eq!(text(&replay, "/replay/0/was"), decided);
    assert_eq!(replay.pointer("/replay/0/flips").and_then(Value::as_bool), Some(false));
    p.file(
        "other/decision.toml",
        include_str!("../../rules/decision.toml").replace("then = \"keep\"", "then = \"extend\""),
    );
    let other = p.path("other").display().to_string();
    let again = p.json(&["rules", "replay", "--rules", &other]);
    let now = if decided == "keep" { "extend" } else { decided };
    assert_eq!(text(&again, "/replay/0/now"), now);
}

#[test]
fn a_decision_or_a_run_that_is_not_there_is_named() {
    let p = advised();
    p.refuses(&["history", "decisions", "1999"], 2, &["1999", "hint: "]);
    p.refuses(&["history", "compare", "1999", "2000"], 2, &["1999"]);
    p.refuses(&["history", "compare", "1999"], 2, &["2 values"]);
}

#[test]
fn a_decision_is_brief_unless_everything_is_asked_for() {
    let p = advised();
    let inputs =
        ["--source", "source/tokenizer.json", "--candidate", "candidate/tokenizer.json", "--corpus", "text.txt"];
    let brief = p.run(&[&["decide"][..], &inputs].concat());
    let full = p.run(&[&["decide", "--full"][..], &inputs].concat());
    assert!(brief.stdout.lines().count() <= 70, "{}", brief.stdout);
    assert!(full.stdout.lines().count() > 80, "{}", full.stdout);
    for part in ["Why: ", "How sure: ", "Cost: ", "Gain: ", "--full"] {
        assert!(brief.stdout.contains(part), "{part} in {}", brief.stdout);
    }
}

#[test]
fn schemas_are_written_for_every_rules_file_and_for_what_is_printed() {
    let p = Program::new();
    let written = p.json(&["rules", "schema", "--out", "schemas"]);
    let files = written.pointer("/schemas").and_then(Value::as_array).expect("files");
    assert!(files.len() >= 11, "{files:?}");
    for file in files.iter().filter_map(Value::as_str) {
        let text = std::fs::read_to_string(p.path(file)).expect("written");
        let schema: Value = serde_json::from_str(&text).expect("JSON");
        assert!(schema.pointer("/properties").is_some_and(Value::is_object), "{file}");
        let published = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/").to_owned() + file;
        let published: Value =
            serde_json::from_str(&std::fs::read_to_string(&published).expect("published")).expect("JSON");
        assert!(schema == published, "{file} in docs/ is old: hibrit rules schema --out docs/schemas");
    }
}

/// Runs that were recorded in earnest, as they lie in the repository.
#[test]
fn the_recorded_runs_can_be_imported_verified_and_learnt_from() {
    let p = Program::new();
    let recorded = concat!(env!("CARGO_MANIFEST_DIR"), "/history/base-en.jsonl");
    assert_eq!(p.run(&["history", "import", recorded]).code, 0);
    let runs = p.json(&["history", "list"]);
    let runs = runs.pointer("/runs").and_then(Value::as_array).expect("runs");
    assert_eq!(runs.len(), 24);
    for strategy in ["keep", "direct", "sequential", "parallel", "structural", "extend", "adaptive", "emergency"] {
        let forced = |run: &&Value| run.pointer("/run/request/forced").and_then(Value::as_str) == Some(strategy);
        assert_eq!(runs.iter().filter(forced).count(), 3, "{strategy}");
    }
    assert_eq!(p.run(&["history", "verify"]).code, 0);
    let grown = p.run(&["scorer", "train"]);
    assert_eq!(grown.code, 0, "{}", grown.stderr);
    assert!(grown.stdout.contains("19 outcomes of 3 cases"), "{}", grown.stdout);
}
