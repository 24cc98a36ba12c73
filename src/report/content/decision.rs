//! What does a decision say? First what to do, why, and what it brings and costs; then every strategy weighed, the rows
//! that fired and nearly did, what would change the decision, what past runs contributed; last the evidence.

use super::{label, number, profile, saving};
use crate::domain::decision::{Alternative, Decision, Flip, MatchedRow, NearRow};
use crate::domain::profile::Profile;
use crate::domain::resources::{Cost, Resources};
use crate::domain::strategy::Strategy;
use crate::report::numbers::{bytes, count, duration, exact, fixed, short, whole_percent};
use crate::report::page::{Across, Block, Cell, Chart, Page, Region, Span, Table, Tone, Up, left, right};
use crate::report::words::{Words, say};

pub(in crate::report) fn page(profile: &Profile, decision: &Decision, words: &Words) -> Page {
    let (source, candidate) = (label(&profile.source.name), label(&profile.candidate.name));
    let pair = say!(words, "profile-title", source = source, candidate = candidate);
    let mut blocks = recommendation(decision, words);
    blocks.extend(cost(decision, words));
    blocks.extend(weighed(decision, words));
    blocks.extend(rules(decision, words));
    blocks.extend(flips(decision, words));
    blocks.extend(scorer(decision, words));
    blocks.extend(alike(decision, words));
    blocks.push(Block::Heading(say!(words, "resources")));
    blocks.push(Block::Text(resources(&decision.resources, words)));
    let sha: String = decision.rules_sha256.chars().take(12).collect();
    blocks.push(Block::Note(say!(words, "rules-line", sha = sha)));
    blocks.push(Block::Heading(say!(words, "evidence")));
    blocks.push(Block::Text(profile::answer(profile, words)));
    blocks.extend(profile::blocks(profile, words));
    Page { title: format!("{}: {pair}", say!(words, "decision-title")), blocks }
}

fn recommendation(decision: &Decision, words: &Words) -> Vec<Block> {
    let strategy = decision.strategy.to_string();
    let gist = words.one_of("gist", &strategy);
    let confidence = whole_percent(decision.confidence.get(), words.lang);
    let action = decision.action.to_string();
    vec![
        Block::Answer(Tone::Strong, say!(words, "decision-answer", strategy = strategy, gist = gist)),
        Block::Text(words.sentence_of_engine(&decision.because)),
        Block::Text(say!(words, "decision-action", confidence = confidence, action = action)),
    ]
}

fn cost(decision: &Decision, words: &Words) -> Vec<Block> {
    let chosen = decision.alternatives.iter().find(|a| a.strategy == decision.strategy);
    let line = match chosen.and_then(|a| a.cost) {
        Some(Cost { seconds, memory, disk, tokens, .. }) => say!(
            words,
            "cost-line",
            time = duration(seconds, words),
            memory = bytes(memory, words.lang),
            disk = bytes(disk, words.lang),
            tokens = short(tokens as f64, words.lang),
        ),
        None => say!(words, "cost-unknown"),
    };
    vec![Block::Heading(say!(words, "cost")), Block::Text(line)]
}

fn weighed(decision: &Decision, words: &Words) -> Vec<Block> {
    let columns = vec![
        left(say!(words, "strategy")),
        right(say!(words, "utility")),
        right(say!(words, "by-rules")),
        right(say!(words, "learned")),
        right(say!(words, "interval")),
        left(say!(words, "expected-level")),
        right(say!(words, "cost-time")),
        right(say!(words, "cost-memory")),
        left(say!(words, "verdict")),
    ];
    let row = |a: &Alternative| {
        let unknown = || say!(words, "unknown");
        let interval = a.interval.map_or_else(unknown, |(low, high)| {
            format!("{} … {}", fixed(low, 2, words.lang), fixed(high, 2, words.lang))
        });
        let level = a.level.map_or_else(unknown, |level| words.one_of("level", &level.to_string()));
        let (verdict, tone) = match (a.strategy == decision.strategy, a.vetoes.is_empty()) {
            (true, _) => (say!(words, "verdict-chosen"), Tone::Strong),
            (false, true) => (say!(words, "verdict-possible"), Tone::Plain),
            (false, false) => (say!(words, "verdict-vetoed"), Tone::Muted),
        };
        vec![
            Cell::toned(a.strategy.to_string(), tone),
            saving(Some(a.utility), words),
            number(Some(a.prior), 3, words).into(),
            number(Some(a.learned), 3, words).into(),
            interval.into(),
            level.into(),
            a.cost.map_or_else(unknown, |c| duration(c.seconds, words)).into(),
            a.cost.map_or_else(unknown, |c| bytes(c.memory, words.lang)).into(),
            Cell::toned(verdict, tone),
        ]
    };
    let mut blocks = vec![Block::Heading(say!(words, "weighed"))];
    let table = Table { columns, rows: decision.alternatives.iter().map(row).collect() };
    blocks.push(Block::Table(table.without_columns_of(&say!(words, "unknown"))));
    blocks.push(Block::Note(say!(words, "utility-note")));
    blocks.push(Block::Chart(utilities(decision, words)));
    let reasons = why_not(decision, words);
    if !reasons.is_empty() {
        blocks.push(Block::Heading(say!(words, "why-not")));
        blocks.push(Block::List(reasons));
    }
    blocks
}

fn utilities(decision: &Decision, words: &Words) -> Chart {
    let span = |a: &Alternative| {
        let (low, high) = a.interval.unwrap_or((a.utility, a.utility));
        Span { label: a.strategy.to_string(), low, at: a.utility, high, chosen: a.strategy == decision.strategy }
    };
    Chart::Intervals {
        title: say!(words, "chart-utility"),
        axis: say!(words, "chart-utility-axis"),
        spans: decision.alternatives.iter().map(span).collect(),
    }
}

fn why_not(decision: &Decision, words: &Words) -> Vec<String> {
    let mut reasons = Vec::new();
    for a in decision.alternatives.iter().filter(|a| a.strategy != decision.strategy) {
        let strategy = a.strategy.to_string();
        for veto in &a.vetoes {
            let (row, because) = (veto.row.as_str(), without_stop(&words.of_engine(&veto.because)));
            reasons.push(say!(words, "vetoed-by", strategy = strategy.as_str(), row = row, because = because));
        }
        if a.vetoes.is_empty() && !a.rejected.is_empty() {
            reasons.push(say!(words, "why-not-line", strategy = strategy, reason = words.of_engine(&a.rejected)));
        }
    }
    reasons
}

fn without_stop(sentence: &str) -> String {
    sentence.trim_end_matches('.').to_string()
}

fn rules(decision: &Decision, words: &Words) -> Vec<Block> {
    let mut blocks = Vec::new();
    // Vetoes are told where the strategies they forbid are told.
    let fired: Vec<&MatchedRow> = decision.matched_rows.iter().filter(|r| r.table != "vetoes").collect();
    if !fired.is_empty() {
        let columns = vec![left(say!(words, "rule")), left(say!(words, "says")), left(say!(words, "because"))];
        let row = |r: &&MatchedRow| {
            // What a row says of all strategies at once stands in the table of strategies already.
            let says = if r.output.contains(',') { say!(words, "says-above") } else { words.of_engine(&r.output) };
            vec![format!("{} / {}", r.table, r.row).into(), says.into(), words.of_engine(&r.because).into()]
        };
        blocks.push(Block::Heading(say!(words, "fired")));
        blocks.push(Block::Table(Table { columns, rows: fired.iter().map(row).collect() }));
    }
    blocks.extend(position(decision, words).map(Block::Chart));
    if !decision.near_rows.is_empty() {
        let line = |r: &NearRow| {
            let rule = format!("{} / {}", r.table, r.row);
            let (output, input, value, cell) =
                (words.of_engine(&r.output), r.input.as_str(), rounded(&r.value, words), r.cell.as_str());
            say!(words, "nearly-line", rule = rule, output = output, input = input, value = value, cell = cell)
        };
        blocks.push(Block::Heading(say!(words, "nearly")));
        blocks.push(Block::List(decision.near_rows.iter().map(line).collect()));
    }
    blocks
}

/// The seed's matrix with this case in it; nothing where coverage or the band of similarity is not known.
fn position(decision: &Decision, words: &Words) -> Option<Chart> {
    let input = |name: &str| decision.inputs.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let coverage = input("coverage_corpus").or_else(|| input("coverage_vocabulary"))?.parse().ok()?;
    let band = input("similarity_band")?;
    let bands = ["low", "medium", "high"];
    let region = |from, to, bands, strategy: Strategy| Region { from, to, bands, label: strategy.to_string() };
    Some(Chart::Position {
        title: say!(words, "chart-position"),
        across: Across { name: say!(words, "chart-coverage"), edges: vec![0.3, 0.5, 0.7], at: coverage },
        up: Up {
            name: say!(words, "chart-similarity"),
            bands: bands.iter().map(|b| words.one_of("band", b)).collect(),
            at: bands.iter().position(|b| *b == band)?,
        },
        cells: vec![
            region(0.0, 0.3, 0..3, Strategy::Keep),
            region(0.3, 0.5, 0..1, Strategy::Parallel),
            region(0.5, 0.7, 1..2, Strategy::Sequential),
            region(0.7, 1.0, 2..3, Strategy::Direct),
        ],
        here: say!(words, "chart-here"),
    })
}

/// Inputs are kept with full precision; a person reads six decimals at most.
fn rounded(value: &str, words: &Words) -> String {
    match value.parse::<f64>() {
        Ok(number) => exact(number, words.lang),
        Err(_) => value.to_string(),
    }
}

fn flips(decision: &Decision, words: &Words) -> Vec<Block> {
    let line = |flip: &Flip| {
        let (from, to) = (rounded(&flip.from, words), rounded(&flip.to, words));
        let (input, strategy) = (flip.input.as_str(), flip.strategy.to_string());
        say!(words, "flips-line", input = input, from = from, to = to, strategy = strategy)
    };
    let mut lines: Vec<String> = decision.flips.iter().map(line).collect();
    if lines.is_empty() {
        lines.push(say!(words, "flips-none"));
    }
    vec![Block::Heading(say!(words, "flips")), Block::List(lines)]
}

fn scorer(decision: &Decision, words: &Words) -> Vec<Block> {
    let note = &decision.scorer;
    let mut lines = Vec::new();
    if let Some(id) = &note.id {
        let evidence = count(note.evidence, words.lang);
        lines.push(say!(words, "scorer-evidence", id = id.as_str(), n = note.evidence, count = evidence));
        lines.push(if note.changed_the_decision {
            say!(words, "scorer-changed")
        } else {
            say!(words, "scorer-unchanged")
        });
    }
    if !note.note.is_empty() {
        lines.push(words.sentence_of_engine(&note.note));
    }
    for a in decision.alternatives.iter().filter(|a| a.strategy == decision.strategy && !a.path.is_empty()) {
        let steps = a.path.iter().map(|step| {
            let (value, threshold) = (fixed(step.value, 3, words.lang), fixed(step.threshold, 3, words.lang));
            let feature = step.feature.as_str();
            if step.below {
                say!(words, "path-below", feature = feature, value = value, threshold = threshold)
            } else {
                say!(words, "path-above", feature = feature, value = value, threshold = threshold)
            }
        });
        let steps = steps.collect::<Vec<_>>().join(", ");
        lines.push(say!(words, "scorer-path", strategy = a.strategy.to_string(), steps = steps));
    }
    vec![Block::Heading(say!(words, "scorer")), Block::List(lines)]
}

fn alike(decision: &Decision, words: &Words) -> Vec<Block> {
    if decision.alike.is_empty() {
        return Vec::new();
    }
    let columns = vec![
        left(say!(words, "run")),
        right(say!(words, "distance")),
        left(say!(words, "strategy")),
        right(say!(words, "bits-per-byte")),
        right(say!(words, "saved")),
    ];
    let rows = decision.alike.iter().map(|a| {
        vec![
            a.run.clone().into(),
            fixed(a.distance, 2, words.lang).into(),
            a.strategy.to_string().into(),
            number(a.bits_per_byte, 3, words).into(),
            saving(a.saved_against_keep, words),
        ]
    });
    vec![Block::Heading(say!(words, "alike")), Block::Table(Table { columns, rows: rows.collect() })]
}

fn resources(resources: &Resources, words: &Words) -> String {
    let memory = resources.memory.map_or_else(|| say!(words, "memory-unknown"), |m| bytes(m, words.lang));
    let budget = resources.budget.map_or_else(
        || say!(words, "budget-none"),
        |seconds| say!(words, "budget-some", time = duration(seconds, words)),
    );
    let priority = words.one_of("priority", &resources.priority.to_string());
    let (n, devices) = (resources.devices, count(u64::from(resources.devices), words.lang));
    say!(words, "resources-line", n = n, count = devices, memory = memory, budget = budget, priority = priority)
}
