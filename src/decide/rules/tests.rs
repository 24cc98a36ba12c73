//! Rules files that are wrong, and what is said of them; properties of tables and of their lint.

use super::*;
use crate::domain::fault::{Fault, Kind};
use proptest::prelude::{Just, ProptestConfig, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as _;

/// The embedded rules with one file edited; the first occurrence of each text is replaced.
fn edited(file: &str, edits: &[(&str, &str)]) -> Diagnostics {
    let mut sources = read(None).unwrap();
    let source = sources.iter_mut().find(|s| s.name == file).unwrap();
    for (from, to) in edits {
        assert!(source.text.contains(from), "{file} has no {from}");
        source.text = source.text.replacen(from, to, 1);
    }
    RuleBook::check(sources).1
}

/// A decision table of rows (name, coverage, similarity, strategy) under a hit policy.
fn decision(hit: &str, rows: &[(&str, &str, &str, &str)]) -> (RuleBook, Diagnostics) {
    let mut text = format!(
        "table = \"decision\"\nabout = \"a test\"\nhit = \"{hit}\"\norder = [\"keep\", \"parallel\", \"sequential\", \"direct\"]\n\
         [[column]]\nname = \"coverage\"\nreads = [\"coverage_corpus\", \"coverage_vocabulary\"]\n\
         [[column]]\nname = \"similarity\"\nreads = [\"similarity_band\"]\n"
    );
    for (name, coverage, similarity, strategy) in rows {
        text += &format!(
            "[[row]]\nname = \"{name}\"\nwhen = {{ coverage = '{coverage}', similarity = '{similarity}' }}\nthen = \"{strategy}\"\nbecause = \"a test\"\n"
        );
    }
    let mut sources = read(None).unwrap();
    sources.iter_mut().find(|s| s.name == "decision.toml").unwrap().text = text;
    RuleBook::check(sources)
}

#[test]
fn every_kind_of_mistake_is_named_with_its_place() {
    use Code::*;
    for (comment, file, edit, code, said) in [
        ("not TOML at all", "decision.toml", ("hit = \"unique\"", "hit = = 3"), Syntax, ""),
        ("a field that does not belong", "levels.toml", ("about =", "abuot ="), Syntax, "abuot"),
        ("an unknown hit policy", "levels.toml", ("\"unique\"", "\"sometimes\""), Syntax, "sometimes"),
        (
            "an unknown column",
            "decision.toml",
            ("{ coverage = \"< 0.30\" }", "{ covrage = \"< 0.30\" }"),
            UnknownColumn,
            "covrage",
        ),
        ("a cell that is no test", "decision.toml", ("\"< 0.30\"", "\"small\""), BadCell, "small"),
        (
            "a number where names are",
            "decision.toml",
            ("similarity = '\"high\"'", "similarity = '> 3'"),
            TypeMismatch,
            "covered-high",
        ),
        ("a name where numbers are", "decision.toml", ("\"< 0.30\"", "'\"low\"'"), TypeMismatch, "scarce"),
        ("an interval reversed", "decision.toml", ("[0.50..0.70]", "[0.70..0.50]"), EmptyInterval, "reversed"),
        ("a bound outside the range", "decision.toml", ("\"> 0.70\"", "\"> 70\""), OutsideDomain, "70"),
        ("a name that does not occur", "decision.toml", ("'\"high\"'", "'\"hihg\"'"), OutsideDomain, "hihg"),
        (
            "a strategy that does not exist",
            "decision.toml",
            ("then = \"direct\"", "then = \"dircet\""),
            BadOutput,
            "dircet",
        ),
        ("an output of another kind", "decision.toml", ("then = \"direct\"", "then = 3"), BadOutput, "name"),
        ("savings that leave a strategy out", "expectations.toml", ("emergency =", "keep2 ="), BadOutput, ""),
        ("a spread below 0", "expectations.toml", ("spread = 0.09", "spread = -0.09"), BadOutput, "spread"),
        ("two rows of one name", "decision.toml", ("\"half-low\"", "\"half-high\""), DuplicateName, "half-high"),
        (
            "a row without a reason",
            "decision.toml",
            ("because = \"most of", "because = \"\" # \"most of"),
            NoReason,
            "covered-high",
        ),
        (
            "a failing test",
            "decision.toml",
            ("rows = [\"covered-high\"]", "rows = [\"scarce\"]"),
            TestFailed,
            "got covered-high",
        ),
        (
            "a test about an unknown feature",
            "levels.toml",
            ("{ equivalent_loss = 2.0 }", "{ loss = 2.0 }"),
            UnknownFeature,
            "loss",
        ),
        (
            "a test outside the range",
            "levels.toml",
            ("{ equivalent_loss = 2.0 }", "{ equivalent_loss = -2.0 }"),
            OutsideDomain,
            "-2",
        ),
        (
            "a test value that is not a number",
            "levels.toml",
            ("{ equivalent_loss = 2.0 }", "{ equivalent_loss = nan }"),
            OutsideDomain,
            "null",
        ),
        (
            "a column that reads nothing known",
            "levels.toml",
            ("[\"equivalent_loss\"]", "[\"loss\"]"),
            UnknownFeature,
            "loss",
        ),
        (
            "a column over features of different kinds",
            "levels.toml",
            ("[\"equivalent_loss\"]", "[\"equivalent_loss\", \"priority\"]"),
            TypeMismatch,
            "loss",
        ),
        (
            "a feature nobody measures",
            "features.toml",
            ("name = \"round_trip\"", "name = \"mood\""),
            UnknownFeature,
            "mood",
        ),
        (
            "a feature that is missing",
            "features.toml",
            ("name = \"round_trip\"", "name = \"unknown_bytes\""),
            Missing,
            "round_trip",
        ),
        (
            "a feature without values",
            "features.toml",
            ("allowed = [\"low\", \"medium\", \"high\"]", ""),
            Missing,
            "similarity_band",
        ),
        (
            "bands upside down",
            "features.toml",
            ("medium = 0.72\nhigh = 0.83", "medium = 0.83\nhigh = 0.72"),
            BadNumber,
            "surface",
        ),
        ("an output without a place in the order", "situations.toml", ("\"extend\", ", ""), BadOutput, "extend"),
        ("a table under another's name", "levels.toml", ("table = \"levels\"", "table = \"lvels\""), Missing, "lvels"),
        (
            "a learning rate of 0",
            "strategies.toml",
            ("learning_rate = 2e-4", "learning_rate = 0.0"),
            BadNumber,
            "learning_rate",
        ),
        ("a stage that is missing", "strategies.toml", ("[stage.extend]", "[stage.extent]"), Missing, "extend"),
        ("a window of 0", "review.toml", ("window = 128", "window = 0"), BadNumber, "spike.window"),
        ("looks out of order", "review.toml", ("[0.125, 0.25,", "[0.25, 0.125,"), BadNumber, "race.looks"),
        ("a miscoverage of 1", "weighing.toml", ("alpha = 0.10", "alpha = 1.0"), BadNumber, "alpha"),
        ("no safe choice", "weighing.toml", ("\"keep\", \"emergency\"", "\"direct\""), BadNumber, "safest"),
    ] {
        let found = edited(file, &[edit]);
        assert!(found.has_errors(), "{comment}");
        let finding = found.of(code).find(|d| d.file == file && d.message.contains(said));
        let Some(finding) = finding else { panic!("{comment}: no {} with \"{said}\" in\n{found}", code.number()) };
        let sources = read(None).unwrap();
        let lines = sources.iter().find(|s| s.name == file).unwrap().text.lines().count() + 1;
        assert!((1..=lines).contains(&finding.line), "{comment}: line {}", finding.line);
    }
}

#[test]
fn a_finding_points_at_the_very_line() {
    let found = edited("decision.toml", &[("\"< 0.30\"", "\"small\"")]);
    let text = read(None).unwrap().into_iter().find(|s| s.name == "decision.toml").unwrap().text;
    let line = text.lines().position(|l| l.contains("\"< 0.30\"")).unwrap() + 1;
    let finding = found.of(Code::BadCell).next().unwrap();
    assert_eq!((finding.line, finding.column), (line, "when = { coverage = ".len() + 1));
}

#[test]
fn all_findings_are_told_at_once() {
    let found = edited(
        "decision.toml",
        &[("\"< 0.30\"", "\"small\""), ("then = \"direct\"", "then = \"dircet\""), ("[0.50..0.70]", "[0.70..0.50]")],
    );
    for code in [Code::BadCell, Code::BadOutput, Code::EmptyInterval] {
        assert_eq!(found.of(code).count(), 1, "{found}");
    }
}

#[test]
fn gaps_overlaps_and_unreachable_rows_come_with_a_witness_and_both_names() {
    let (_, found) = decision("unique", &[("a", "> 0.5", "-", "direct"), ("b", "< 0.5", "-", "keep")]);
    // Once with a corpus and once without: these are different inputs.
    for witness in
        ["coverage_corpus = 0.5, similarity_band = \"low\"", "coverage_vocabulary = 0.5, similarity_band = \"low\""]
    {
        assert!(found.of(Code::Gap).any(|d| d.witness.as_deref().is_some_and(|w| w.ends_with(witness))), "{found}");
    }

    let (_, found) = decision("unique", &[("a", ">= 0.5", "-", "direct"), ("b", "<= 0.5", "-", "keep")]);
    let overlap = found.of(Code::Overlap).next().unwrap();
    assert!(overlap.message.contains("\"a\"") && overlap.message.contains("\"b\""), "{overlap}");
    assert!(overlap.witness.as_deref().unwrap().contains("= 0.5"));

    let (_, found) = decision("first", &[("any", "-", "-", "keep"), ("low", "< 0.5", "-", "direct")]);
    let unreachable = found.of(Code::Unreachable).next().unwrap();
    assert!(unreachable.message.contains("\"low\"") && unreachable.message.contains("\"any\""), "{unreachable}");

    let (_, found) = decision("priority", &[("any", "-", "-", "keep"), ("low", "< 0.5", "-", "direct")]);
    assert_eq!(found.of(Code::Unreachable).count(), 1, "keep comes before direct in `order`");

    let (_, found) = decision("any", &[("a", "-", "-", "keep"), ("b", "< 0.5", "-", "direct")]);
    assert_eq!(found.of(Code::Overlap).count(), 1, "`any` must say the same");
    let (_, found) = decision("any", &[("a", "-", "-", "keep"), ("b", "< 0.5", "-", "keep")]);
    assert!(!found.has_errors(), "{found}");

    let (_, found) =
        decision("first", &[("a", "< 0.5", "-", "keep"), ("b", "< 0.50", "-", "keep"), ("c", "-", "-", "keep")]);
    assert_eq!(found.of(Code::DuplicateRow).count(), 1, "0.5 and 0.50 ask the same");

    let (_, found) = decision("first", &[("a", "null", "-", "keep"), ("b", "-", "-", "keep")]);
    assert_eq!(found.of(Code::Unreachable).count(), 1, "coverage of the vocabulary is always known");
}

#[test]
fn a_table_without_a_default_is_refused_when_an_input_falls_through() {
    let (_, found) = decision("first", &[("a", "> 0.5", "\"high\"", "direct")]);
    assert!(found.of(Code::Gap).count() > 0);
    assert!(found.has_errors());
}

#[test]
fn idle_columns_and_contradictions_are_warnings() {
    let (book, found) = decision("unique", &[("all", "-", "-", "keep")]);
    assert_eq!(found.of(Code::IdleColumn).count(), 2, "{found}");
    assert!(!found.has_errors());
    drop(book);

    // Sequential is vetoed at 0.40 and below.
    let (_, found) = decision("unique", &[("a", "> 0.38", "-", "sequential"), ("b", "<= 0.38", "-", "keep")]);
    let told: Vec<&Diagnostic> =
        found.of(Code::Contradiction).filter(|d| d.message.contains("sequential-needs-coverage")).collect();
    assert_eq!(told.len(), 1, "{found}");
    assert!(told[0].witness.as_deref().unwrap().contains("coverage_corpus = 0.39"), "{}", told[0]);

    // Expectations rank keep above direct where little is covered.
    let (_, found) = decision("unique", &[("a", "-", "-", "direct")]);
    assert!(found.of(Code::Contradiction).any(|d| d.message.contains("expects more of")), "{found}");
}

#[test]
fn a_stage_that_cannot_be_trained_with_is_refused_at_its_line() {
    for (setting, value) in [("checkpointing", "1.5"), ("dropout", "1.0"), ("learning_rate", "nan")] {
        let text = format!("[stage.keep]\n{setting} = {value}\n");
        let mut sources = read(None).unwrap();
        let source = sources.iter_mut().find(|s| s.name == "strategies.toml").unwrap();
        let (before, after) = source.text.split_once("[stage.keep]\n").unwrap();
        let rest: Vec<&str> = after.lines().collect();
        let end = rest.iter().position(|l| l.starts_with('[')).unwrap();
        let kept = rest.iter().enumerate().filter(|(i, l)| *i >= end || !l.starts_with(&format!("{setting} =")));
        let line = before.matches('\n').count() + 2;
        source.text = format!("{before}{text}{}\n", kept.map(|(_, l)| *l).collect::<Vec<_>>().join("\n"));
        let (_, found) = RuleBook::check(sources);
        let told: Vec<&Diagnostic> = found.of(Code::BadNumber).collect();
        assert_eq!(told.len(), 1, "{found}");
        assert!(told[0].message.starts_with(&format!("stage.keep.{setting} must be")), "{found}");
        assert_eq!(told[0].line, line, "{found}");
    }
}

#[test]
fn a_row_without_a_translation_and_a_veto_without_its_name_are_warned_of() {
    let lost = "translated.tr = \"bu derleme onu çalıştıramıyor\"\n";
    let found = edited("vetoes.toml", &[(lost, "")]);
    assert!(found.of(Code::Untranslated).any(|d| d.message.contains("\"not-executable\"")), "{found}");
    assert_eq!((found.0.len(), found.has_errors()), (1, false), "{found}");
    let found = edited("vetoes.toml", &[("name = \"no-device\"", "name = \"deviceless\"")]);
    assert!(found.of(Code::Missing).any(|d| d.message.contains("\"no-device\"")), "{found}");
}

#[test]
fn a_folder_replaces_files_of_the_same_name_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let levels = include_str!("../../../rules/levels.toml").replace("2.0", "1.5");
    std::fs::write(folder.path().join("levels.toml"), levels).unwrap();
    std::fs::write(folder.path().join("README.md"), "not rules").unwrap();
    // The file's own test still says that 2.0 is good, which holds.
    let book = RuleBook::load(Some(folder.path())).unwrap();
    assert_eq!(book.level(EquivalentLoss::new(1.7).unwrap()), Level::Good);
    assert_ne!(book.sha256(), RuleBook::embedded().unwrap().sha256());

    std::fs::write(folder.path().join("descision.toml"), "").unwrap();
    let error = RuleBook::load(Some(folder.path())).unwrap_err();
    assert!(error.to_string().contains("descision.toml"), "{error}");
    assert_eq!(error.kind(), Kind::Input);
}

#[test]
fn a_folder_that_is_not_there_is_an_input_error_with_the_path() {
    let error = RuleBook::load(Some(Path::new("/nowhere/at/all"))).unwrap_err();
    assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    assert_eq!(error.kind(), Kind::Input);
}

/// Cells over coverage and similarity, all kinds.
fn cell() -> impl proptest::strategy::Strategy<Value = String> {
    let number = prop::sample::select(vec!["0", "0.25", "0.5", "0.75", "1"]);
    prop_oneof![
        Just("-".to_string()),
        (prop::sample::select(vec!["<", "<=", ">", ">="]), number.clone()).prop_map(|(sign, x)| format!("{sign} {x}")),
        (0..4usize, 1..4usize, prop::bool::ANY, prop::bool::ANY).prop_map(|(a, width, low, high)| {
            let (a, b) = (a as f64 / 4.0, ((a + width) as f64 / 4.0).min(1.0));
            format!("{}{a}..{b}{}", if low { '[' } else { '(' }, if high { ']' } else { ')' })
        }),
        number.prop_map(|x| format!("not({x})")),
    ]
}

fn names() -> impl proptest::strategy::Strategy<Value = String> {
    prop::sample::select(vec!["-", "\"low\"", "\"medium\",\"high\"", "not(\"low\")", "\"high\""])
        .prop_map(str::to_string)
}

type Rows = Vec<(String, String, String)>;

fn rows() -> impl proptest::strategy::Strategy<Value = Rows> {
    let strategy = prop::sample::select(vec!["keep", "direct", "parallel"]).prop_map(str::to_string);
    prop::collection::vec((cell(), names(), strategy), 1..6)
}

fn table_of(hit: &str, rows: &Rows) -> (RuleBook, Diagnostics) {
    let named: Vec<(String, &(String, String, String))> =
        rows.iter().enumerate().map(|(i, r)| (format!("r{i}"), r)).collect();
    let borrowed: Vec<(&str, &str, &str, &str)> =
        named.iter().map(|(n, (c, s, o))| (n.as_str(), c.as_str(), s.as_str(), o.as_str())).collect();
    decision(hit, &borrowed)
}

/// Reads a witness back: `coverage_corpus = 0.5, similarity_band = "low"`.
fn facts_of(book: &RuleBook, witness: &str) -> Vec<Value> {
    let mut facts = vec![Value::Null; book.features().len()];
    for part in witness.split(", ") {
        let (name, value) = part.split_once(" = ").unwrap();
        let index = book.features().index(name).unwrap();
        facts[index] = value.parse().map_or_else(|_| Value::text(value.trim_matches('"')), Value::Number);
    }
    facts
}

fn matching(table: &Table, facts: &[Value]) -> Vec<String> {
    let collect = Table { hit: Hit::Collect, ..table.clone() };
    collect.answer(facts).into_iter().map(|r| r.name.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn witnesses_are_true_and_silence_is_right(
        rows in rows(),
        points in prop::collection::vec((prop::option::of(0.0..=1.0f64), 0.0..=1.0f64, 0..3usize), 40),
    ) {
        let (book, found) = table_of("unique", &rows);
        let table = book.table("decision").unwrap();
        for gap in found.of(Code::Gap) {
            prop_assert!(matching(table, &facts_of(&book, gap.witness.as_deref().unwrap())).is_empty());
        }
        for overlap in found.of(Code::Overlap) {
            let rows = matching(table, &facts_of(&book, overlap.witness.as_deref().unwrap()));
            let named = rows.iter().filter(|r| overlap.message.contains(r.as_str())).count();
            prop_assert_eq!(named, 2);
        }
        // Where the lint is silent, no point falls through and none is answered twice.
        let quarter = |x: f64| if ((x * 100.0) as u32).is_multiple_of(3) { (x * 4.0).round() / 4.0 } else { x };
        for (corpus, vocabulary, band) in points {
            let facts = book.facts(&[
                ("coverage_corpus", Value::number(corpus.map(quarter))),
                ("coverage_vocabulary", Value::Number(quarter(vocabulary))),
                ("similarity_band", Value::text(["low", "medium", "high"][band])),
            ]);
            let hits = matching(table, &facts).len();
            prop_assert!(hits > 0 || found.of(Code::Gap).count() > 0);
            prop_assert!(hits < 2 || found.of(Code::Overlap).count() > 0);
        }
    }

    #[test]
    fn the_parts_of_the_space_cover_every_point_and_name_its_rows(
        rows in rows(), corpus in prop::option::of(0.0..=1.0f64), vocabulary in 0.0..=1.0f64, band in 0..3usize,
    ) {
        let (book, _) = table_of("collect", &rows);
        let table = book.table("decision").unwrap();
        let facts = book.facts(&[
            ("coverage_corpus", Value::number(corpus)),
            ("coverage_vocabulary", Value::Number(vocabulary)),
            ("similarity_band", Value::text(["low", "medium", "high"][band])),
        ]);
        let parts = Space::new(&[table], book.features()).parts();
        let named = |rows: &[usize]| rows.iter().map(|r| table.rows[*r].name.clone()).collect::<Vec<_>>();
        let expected = matching(table, &facts);
        prop_assert!(parts.iter().any(|p| named(&p.rows[0]) == expected));
        for part in &parts {
            prop_assert_eq!(named(&part.rows[0]), matching(table, &part.facts));
        }
    }

    #[test]
    fn permuting_the_rows_of_a_unique_table_changes_nothing(
        seed in 0..1000usize, corpus in prop::option::of(0.0..=1.0f64), vocabulary in 0.0..=1.0f64, band in 0..3usize,
    ) {
        let book = RuleBook::embedded().unwrap();
        let table = book.table("decision").unwrap();
        let mut shuffled = table.clone();
        let n = shuffled.rows.len();
        for i in 0..n {
            shuffled.rows.swap(i, (i * 7 + seed) % n);
        }
        let facts = book.facts(&[
            ("coverage_corpus", Value::number(corpus)),
            ("coverage_vocabulary", Value::Number(vocabulary)),
            ("similarity_band", Value::text(["low", "medium", "high"][band])),
        ]);
        let answer = |t: &Table| t.answer(&facts).into_iter().map(|r| r.name.clone()).collect::<Vec<_>>();
        prop_assert_eq!(answer(table).len(), 1);
        prop_assert_eq!(answer(table), answer(&shuffled));
    }
}
