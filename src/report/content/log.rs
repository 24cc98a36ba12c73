//! What does the decision log say? A line a decision with what became of it, or one decision whole.

use super::background::Background;
use super::{decision, label, run, saving};
use crate::domain::decision::LoggedDecision;
use crate::domain::run::Run;
use crate::report::numbers::{count, exact, whole_percent};
use crate::report::page::{Block, Cell, Page, Table, left, right};
use crate::report::words::{Words, say};
use std::collections::BTreeMap;

/// Characters of a hash that tell it apart.
const HASH: usize = 8;

pub(in crate::report) fn list(all: &[(LoggedDecision, Option<Run>)], words: &Words) -> Page {
    let title = say!(words, "decisions-title");
    if all.is_empty() {
        return Page { title, blocks: vec![Block::Text(say!(words, "decisions-empty"))] };
    }
    let columns = vec![
        left(say!(words, "decision-id")),
        left(say!(words, "pair")),
        left(say!(words, "decided")),
        right(say!(words, "confidence")),
        left(say!(words, "rules-short")),
        left(say!(words, "scorer-short")),
        left(say!(words, "became")),
    ];
    let row = |(log, run): &(LoggedDecision, Option<Run>)| {
        let made = &log.decision;
        let scorer = made.scorer.id.clone().unwrap_or_else(|| say!(words, "unknown"));
        vec![
            log.id.clone().into(),
            format!("{} → {}", label(&log.profile.source.name), label(&log.profile.candidate.name)).into(),
            made.strategy.to_string().into(),
            whole_percent(made.confidence.get(), words.lang).into(),
            made.rules_sha256.chars().take(HASH).collect::<String>().into(),
            scorer.chars().take(HASH).collect::<String>().into(),
            became(log, run.as_ref(), words),
        ]
    };
    let table = Table { columns, rows: all.iter().map(row).collect() };
    let (n, number) = (all.len(), count(all.len() as u64, words.lang));
    let note = say!(words, "decisions-count", n = n, count = number);
    Page { title, blocks: vec![Block::Table(table.without_columns_of(&say!(words, "unknown"))), Block::Note(note)] }
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
