//! What does a decision say? First what to do, why, how sure that is, what it costs and brings; then every strategy
//! weighed, what would change the decision, the rows that fired and nearly did, what past runs contributed. In brief, or
//! with the evidence below it.

use super::background::{Background, expected_loss};
use super::profile::warnings;
use super::{label, number, profile, saving};
use crate::domain::decision::{Alternative, Decision, Flip, MatchedRow, NearRow};
use crate::domain::profile::Profile;
use crate::domain::resources::{Cost, Resources};
use crate::domain::strategy::Strategy;
use crate::report::numbers::{bytes, count, duration, exact, fixed, short, whole_percent};
use crate::report::page::{Across, Block, Cell, Chart, Page, Region, Span, Table, Tone, Up, left, right};
use crate::report::words::{Words, say};

/// The flips and the alike runs that a brief report shows.
const BRIEF: usize = 3;

/// What it takes to follow the recommendation, or to disagree with it.
pub(in crate::report) fn brief(
    profile: &Profile,
    decision: &Decision,
    background: Background<'_>,
    words: &Words,
) -> Page {
    let mut blocks = recommendation(profile, decision, words);
    blocks.push(Block::Heading(say!(words, "weighed")));
    blocks.push(Block::Table(ranking(decision, background, words)));
    blocks.push(Block::Note(say!(words, "ranking-note")));
    blocks.push(Block::Heading(say!(words, "flips")));
    blocks.push(Block::List(flips(decision, BRIEF, words)));
    blocks.push(Block::Heading(say!(words, "rests-on")));
    let mut grounds: Vec<String> = fired(decision).into_iter().map(|r| fired_line(r, words)).collect();
    grounds.extend(decision.near_rows.iter().map(|r| near_line(r, words)));
    grounds.extend(scorer(decision, words));
    grounds.extend(decision.alike.iter().take(BRIEF).map(|a| {
        let (run, strategy) = (a.run.as_str(), a.strategy.to_string());
        let (distance, saved) = (fixed(a.distance, 2, words.lang), saving(a.saved_against_keep, words).text);
        say!(words, "alike-line", run = run, distance = distance, strategy = strategy, saved = saved)
    }));
    blocks.push(Block::List(grounds));
    blocks.push(Block::Note(footer(decision, words)));
    blocks.push(Block::Note(say!(words, "more-with-full")));
    Page { title: title(profile, words), blocks }
}

fn title(profile: &Profile, words: &Words) -> String {
    let (source, candidate) = (label(&profile.source.name), label(&profile.candidate.name));
    let pair = say!(words, "profile-title", source = source, candidate = candidate);
    format!("{}: {pair}", say!(words, "decision-title"))
}

fn footer(decision: &Decision, words: &Words) -> String {
    let sha: String = decision.rules_sha256.chars().take(12).collect();
    format!("{} {}", resources(&decision.resources, words), say!(words, "rules-line", sha = sha))
}

/// Everything that the decision rests on.
pub(in crate::report) fn page(
    profile: &Profile,
    decision: &Decision,
    background: Background<'_>,
    words: &Words,
) -> Page {
    let mut blocks = recommendation(profile, decision, words);
    blocks.extend(weighed(decision, background, words));
    blocks.push(Block::Heading(say!(words, "flips")));
    blocks.push(Block::List(flips(decision, usize::MAX, words)));
    blocks.extend(rules(decision, words));
    blocks.push(Block::Heading(say!(words, "scorer")));
    blocks.push(Block::List(scorer(decision, words)));
    blocks.extend(alike(decision, words));
    blocks.push(Block::Note(footer(decision, words)));
    blocks.push(Block::Heading(say!(words, "evidence")));
    blocks.push(Block::Text(profile::answer(profile, words)));
    blocks.extend(profile::blocks(profile, words));
    Page { title: title(profile, words), blocks }
}

/// What to do, why, how sure that is, what it costs and brings, and what to mind.
fn recommendation(profile: &Profile, decision: &Decision, words: &Words) -> Vec<Block> {
    let strategy = decision.strategy.to_string();
    let gist = words.one_of("gist", &strategy);
    let confidence = whole_percent(decision.confidence.get(), words.lang);
    let action = decision.action.to_string();
    let (n, evidence) = (decision.scorer.evidence, count(decision.scorer.evidence, words.lang));
    let grounds = match decision.scorer.id {
        Some(_) => say!(words, "sure-of-both", n = n, count = evidence),
        None => say!(words, "sure-of-rules"),
    };
    let mut lines = vec![
        say!(words, "line-why", said = words.because_sentence(&decision.because)),
        say!(words, "line-sure", confidence = confidence, action = action, grounds = grounds),
        say!(words, "line-cost", said = cost(decision, words)),
    ];
    let gains = match decision.strategy {
        Strategy::Keep | Strategy::Emergency => vec![say!(words, "gain-stays")],
        Strategy::Extend => vec![say!(words, "gain-extends")],
        Strategy::Direct | Strategy::Sequential | Strategy::Parallel | Strategy::Structural | Strategy::Adaptive => {
            profile::gain(profile, words)
        }
    };
    lines.push(say!(words, "line-gain", said = gains.join(" ")));
    let minded = warnings(profile, words).join(" ");
    if !minded.is_empty() {
        lines.push(say!(words, "line-mind", said = minded));
    }
    vec![
        Block::Answer(Tone::Strong, say!(words, "decision-answer", strategy = strategy, gist = gist)),
        Block::List(lines),
    ]
}

fn cost(decision: &Decision, words: &Words) -> String {
    let chosen = decision.alternatives.iter().find(|a| a.strategy == decision.strategy);
    match chosen.and_then(|a| a.cost) {
        Some(Cost { seconds, memory, disk, tokens, .. }) => say!(
            words,
            "cost-line",
            time = duration(seconds, words),
            memory = bytes(memory, words.lang),
            disk = bytes(disk, words.lang),
            tokens = short(tokens as f64, words.lang),
        ),
        None => say!(words, "cost-unknown"),
    }
}

/// Every strategy with what is expected of it and, where it was not taken, why.
fn ranking(decision: &Decision, background: Background<'_>, words: &Words) -> Table {
    let columns = vec![
        left(say!(words, "strategy")),
        right(say!(words, "saves")),
        right(say!(words, "interval")),
        right(say!(words, "expected-loss")),
        right(say!(words, "cost-time")),
        right(say!(words, "cost-memory")),
        left(say!(words, "why-not")),
    ];
    let row = |a: &Alternative| {
        let unknown = || say!(words, "unknown");
        let tone = match (a.strategy == decision.strategy, a.vetoes.is_empty()) {
            (true, _) => Tone::Strong,
            (false, true) => Tone::Plain,
            (false, false) => Tone::Muted,
        };
        let why = if a.strategy == decision.strategy { say!(words, "verdict-chosen") } else { why_not(a, words) };
        vec![
            Cell::toned(a.strategy.to_string(), tone),
            saving(Some(a.utility), words),
            interval(a, words).into(),
            expected_loss(a.strategy, background, words).into(),
            a.cost.map_or_else(unknown, |c| duration(c.seconds, words)).into(),
            a.cost.map_or_else(unknown, |c| bytes(c.memory, words.lang)).into(),
            Cell::toned(why, tone),
        ]
    };
    let table = Table { columns, rows: decision.alternatives.iter().map(row).collect() };
    table.without_columns_of(&say!(words, "unknown"))
}

fn interval(a: &Alternative, words: &Words) -> String {
    let written = |(low, high)| format!("{} … {}", fixed(low, 2, words.lang), fixed(high, 2, words.lang));
    a.interval.map_or_else(|| say!(words, "unknown"), written)
}

/// Why a strategy was not taken, in one line.
fn why_not(a: &Alternative, words: &Words) -> String {
    if a.vetoes.is_empty() {
        return words.because(&a.rejected);
    }
    let because = a.vetoes.iter().map(|v| without_stop(&words.wording(&v.because))).collect::<Vec<_>>().join("; ");
    say!(words, "vetoed-because", because = because)
}

fn weighed(decision: &Decision, background: Background<'_>, words: &Words) -> Vec<Block> {
    let columns = vec![
        left(say!(words, "strategy")),
        right(say!(words, "utility")),
        right(say!(words, "by-rules")),
        right(say!(words, "learned")),
        right(say!(words, "interval")),
        right(say!(words, "expected-loss")),
        left(say!(words, "expected-level")),
        right(say!(words, "cost-time")),
        right(say!(words, "cost-memory")),
        left(say!(words, "verdict")),
    ];
    let row = |a: &Alternative| {
        let unknown = || say!(words, "unknown");
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
            interval(a, words).into(),
            expected_loss(a.strategy, background, words).into(),
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
    let reasons = why_not_others(decision, words);
    if !reasons.is_empty() {
        blocks.push(Block::Heading(say!(words, "why-not-others")));
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

fn why_not_others(decision: &Decision, words: &Words) -> Vec<String> {
    let mut reasons = Vec::new();
    for a in decision.alternatives.iter().filter(|a| a.strategy != decision.strategy) {
        let strategy = a.strategy.to_string();
        for veto in &a.vetoes {
            let (row, because) = (veto.row.as_str(), without_stop(&words.wording(&veto.because)));
            reasons.push(say!(words, "vetoed-by", strategy = strategy.as_str(), row = row, because = because));
        }
        if a.vetoes.is_empty() && !a.rejected.is_empty() {
            reasons.push(say!(words, "why-not-line", strategy = strategy, reason = words.because(&a.rejected)));
        }
    }
    reasons
}

fn without_stop(sentence: &str) -> String {
    sentence.trim_end_matches('.').to_string()
}

/// Rows that fired; vetoes are told where the strategies they forbid are told.
fn fired(decision: &Decision) -> Vec<&MatchedRow> {
    decision.matched_rows.iter().filter(|r| r.table != "vetoes").collect()
}

/// What a row says; what it says of all strategies at once stands in the table of strategies already.
fn says(row: &MatchedRow, words: &Words) -> String {
    if row.output.contains(',') { say!(words, "says-above") } else { row.output.clone() }
}

fn fired_line(row: &MatchedRow, words: &Words) -> String {
    let rule = format!("{} / {}", row.table, row.row);
    say!(words, "fired-line", rule = rule, says = says(row, words), because = words.wording(&row.because))
}

fn near_line(r: &NearRow, words: &Words) -> String {
    let rule = format!("{} / {}", r.table, r.row);
    let (input, value) = (words.input(&r.input), rounded(&r.value, words));
    let (output, cell) = (r.output.as_str(), r.cell.as_str());
    say!(words, "nearly-line", rule = rule, output = output, input = input, value = value, cell = cell)
}

fn rules(decision: &Decision, words: &Words) -> Vec<Block> {
    let mut blocks = Vec::new();
    let fired = fired(decision);
    if !fired.is_empty() {
        let columns = vec![left(say!(words, "rule")), left(say!(words, "says")), left(say!(words, "because"))];
        let row = |r: &&MatchedRow| {
            vec![format!("{} / {}", r.table, r.row).into(), says(r, words).into(), words.wording(&r.because).into()]
        };
        blocks.push(Block::Heading(say!(words, "fired")));
        blocks.push(Block::Table(Table { columns, rows: fired.iter().map(row).collect() }));
    }
    blocks.extend(position(decision, words).map(Block::Chart));
    if !decision.near_rows.is_empty() {
        blocks.push(Block::Heading(say!(words, "nearly")));
        blocks.push(Block::List(decision.near_rows.iter().map(|r| near_line(r, words)).collect()));
    }
    blocks
}

/// The matrix that decided, with this case in it; nothing where the decision does not hold it.
fn position(decision: &Decision, words: &Words) -> Option<Chart> {
    let matrix = decision.matrix.as_ref()?;
    let place = |band: &str| matrix.bands.iter().position(|b| b == band);
    let mut cells: Vec<Region> = Vec::new();
    for cell in &matrix.cells {
        let (at, label) = (place(&cell.band)?, cell.strategy.to_string());
        match cells.last_mut() {
            // Neighbouring bands that say the same are one region.
            Some(below) if below.from == cell.from && below.label == label && below.bands.end == at => {
                below.bands.end = at + 1;
            }
            _ => cells.push(Region { from: cell.from, to: cell.to, bands: at..at + 1, label }),
        }
    }
    let mut edges: Vec<f64> = matrix.cells.iter().flat_map(|cell| [cell.from, cell.to]).collect();
    edges.sort_by(f64::total_cmp);
    edges.dedup();
    let bands = matrix.bands.iter().map(|band| words.one_of_or("band", band)).collect();
    Some(Chart::Position {
        title: say!(words, "chart-position"),
        across: Across { name: words.input(&matrix.input), edges, at: matrix.value },
        up: Up { name: words.input(&matrix.band_input), bands, at: place(&matrix.band)? },
        cells,
        here: say!(words, "chart-here"),
    })
}

/// Inputs are kept with full precision; a person reads four decimals, small numbers as far as they say something.
fn rounded(value: &str, words: &Words) -> String {
    let (sign, number) = match value.split_once(' ') {
        Some((sign @ ("<" | ">" | "<=" | ">="), number)) => (format!("{sign} "), number),
        _ => (String::new(), value),
    };
    match number.parse::<f64>() {
        Ok(number) if number.abs() >= 0.001 => sign + &exact((number * 1e4).round() / 1e4, words.lang),
        Ok(number) => sign + &exact(number, words.lang),
        Err(_) => value.to_string(),
    }
}

/// The smallest changes that would change the decision.
fn flips(decision: &Decision, most: usize, words: &Words) -> Vec<String> {
    let line = |flip: &Flip| {
        let (from, to) = (rounded(&flip.from, words), rounded(&flip.to, words));
        let (input, strategy) = (words.input(&flip.input), flip.strategy.to_string());
        say!(words, "flips-line", input = input, from = from, to = to, strategy = strategy)
    };
    let mut lines: Vec<String> = decision.flips.iter().take(most).map(line).collect();
    if lines.is_empty() {
        lines.push(say!(words, "flips-none"));
    }
    lines
}

fn scorer(decision: &Decision, words: &Words) -> Vec<String> {
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
        lines.push(words.because_sentence(&note.note));
    }
    for a in decision.alternatives.iter().filter(|a| a.strategy == decision.strategy && !a.path.is_empty()) {
        let steps = a.path.iter().map(|step| {
            let (value, threshold) = (fixed(step.value, 3, words.lang), fixed(step.threshold, 3, words.lang));
            // A column of the tree that stands for a strategy asks yes or no.
            if let Some(strategy) = step.feature.strip_prefix("strategy=") {
                let strategy = strategy.to_string();
                return if step.below {
                    say!(words, "path-not", strategy = strategy)
                } else {
                    say!(words, "path-is", strategy = strategy)
                };
            }
            let feature = words.input(&step.feature);
            if step.below {
                say!(words, "path-below", feature = feature, value = value, threshold = threshold)
            } else {
                say!(words, "path-above", feature = feature, value = value, threshold = threshold)
            }
        });
        let steps = steps.collect::<Vec<_>>().join(", ");
        lines.push(say!(words, "scorer-path", strategy = a.strategy.to_string(), steps = steps));
    }
    lines
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
