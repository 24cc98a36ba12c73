//! What does the decision log say? A line a decision with what became of it, or one decision whole.

use super::background::Background;
use super::{decision, label, run, saving};
use crate::domain::decision::{DecisionLog, LoggedDecision, Recommendation};
use crate::domain::run::Run;
use crate::report::numbers::{count, exact, whole_percent};
use crate::report::page::{Block, Cell, Page, Table, left, right};
use crate::report::words::{Words, say};
use std::collections::BTreeMap;

/// Characters of a hash that tell it apart.
const HASH: usize = 8;

pub(in crate::report) fn list(log: &DecisionLog, words: &Words) -> Page {
    let title = say!(words, "decisions-title");
    let DecisionLog { decisions, recommendations } = log;
    let n = decisions.len() + recommendations.len();
    if n == 0 {
        return Page { title, blocks: vec![Block::Text(say!(words, "decisions-empty"))] };
    }
    let decided = decisions.iter().map(|(log, run)| (log.at.as_str(), &log.id, row(log, run.as_ref(), words)));
    let advised = recommendations.iter().map(|r| (r.at.as_str(), &r.id, advised(r, words)));
    let mut rows: Vec<(&str, &String, Vec<Cell>)> = decided.chain(advised).collect();
    rows.sort_by(|a, b| (b.0, b.1).cmp(&(a.0, a.1)));
    let number = count(n as u64, words.lang);
    let note = say!(words, "decisions-count", n = n, count = number);
    let table = table(rows.into_iter().map(|r| r.2).collect(), words);
    Page { title, blocks: vec![table, Block::Note(note)] }
}

/// What a service recommended, in a line.
pub(in crate::report) fn recommendation(given: &Recommendation, words: &Words) -> Page {
    Page { title: say!(words, "decisions-title"), blocks: vec![table(vec![advised(given, words)], words)] }
}

fn table(rows: Vec<Vec<Cell>>, words: &Words) -> Block {
    let columns = vec![
        left(say!(words, "decision-id")),
        left(say!(words, "pair")),
        left(say!(words, "decided")),
        right(say!(words, "confidence")),
        left(say!(words, "rules-short")),
        left(say!(words, "scorer-short")),
        left(say!(words, "became")),
    ];
    Block::Table(Table { columns, rows }.without_columns_of(&say!(words, "unknown")))
}

fn row(log: &LoggedDecision, run: Option<&Run>, words: &Words) -> Vec<Cell> {
    let made = &log.decision;
    vec![
        log.id.clone().into(),
        pair(&log.profile.source.name, &log.profile.candidate.name).into(),
        made.strategy.to_string().into(),
        whole_percent(made.confidence.get(), words.lang).into(),
        short(&made.rules_sha256).into(),
        scorer(made.scorer.id.as_deref(), words).into(),
        became(log, run, words),
    ]
}

fn advised(given: &Recommendation, words: &Words) -> Vec<Cell> {
    let of_pair = |[source, candidate]: &[String; 2]| pair(source, candidate);
    vec![
        given.id.clone().into(),
        given.pair.as_ref().map_or_else(|| short(&given.profile), of_pair).into(),
        given.strategy.to_string().into(),
        whole_percent(given.confidence, words.lang).into(),
        short(&given.rules_sha256).into(),
        scorer(given.scorer.as_deref(), words).into(),
        say!(words, "became-advice").into(),
    ]
}

fn pair(source: &str, candidate: &str) -> String {
    format!("{} → {}", label(source), label(candidate))
}

fn short(hash: &str) -> String {
    hash.chars().take(HASH).collect()
}

fn scorer(id: Option<&str>, words: &Words) -> String {
    id.map_or_else(|| say!(words, "unknown"), short)
}

/// What became of a decision, in a cell.
fn became(log: &LoggedDecision, run: Option<&Run>, words: &Words) -> Cell {
    let Some(id) = &log.run else { return say!(words, "became-advice").into() };
    let Some(run) = run else { return say!(words, "became-lost", id = id.as_str()).into() };
    let Some(outcome) = &run.outcome else { return say!(words, "became-open", id = id.as_str()).into() };
    let saved = saving(outcome.saved_against_keep, words);
    let (strategy, status) = (outcome.strategy.to_string(), run::status(run, words).text);
    Cell::toned(say!(words, "became-of", strategy = strategy, status = status, saved = saved.text), saved.tone)
}

pub(in crate::report) fn entry(log: &LoggedDecision, run: Option<&Run>, words: &Words) -> Page {
    let none = BTreeMap::new();
    let background = Background { seed: &none, runs: &[] };
    let mut page = decision::page(&log.profile, &log.decision, background, words);
    let taken = log.taken.unwrap_or(log.decision.strategy).to_string();
    let lines = vec![
        say!(
            words,
            "logged-line",
            id = log.id.as_str(),
            at = log.at.as_str(),
            version = log.version.as_str(),
            taken = taken,
            propensity = exact(log.propensity.get(), words.lang),
        ),
        format!("{}: {}", say!(words, "became"), became(log, run, words).text),
    ];
    page.blocks.insert(2.min(page.blocks.len()), Block::Heading(say!(words, "logged")));
    page.blocks.insert(3.min(page.blocks.len()), Block::List(lines));
    page
}
