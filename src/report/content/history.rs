//! What do past runs say together? A line each, or side by side.

use super::{label, number, run, way};
use crate::domain::run::Run;
use crate::report::numbers::{bytes, count, duration, whole_percent};
use crate::report::page::{Block, Cell, Page, Table, Tone, left, right};
use crate::report::words::{Words, say};

pub(in crate::report) fn list(runs: &[Run], words: &Words) -> Page {
    let title = say!(words, "history-title");
    if runs.is_empty() {
        return Page { title, blocks: vec![Block::Text(say!(words, "history-empty"))] };
    }
    let columns = vec![
        left(say!(words, "run")),
        left(format!("{} → {}", say!(words, "model"), say!(words, "candidate"))),
        left(say!(words, "strategy")),
        right(say!(words, "bits-per-byte")),
        right(say!(words, "saved")),
        left(say!(words, "level")),
        left(say!(words, "status")),
    ];
    let (n, all) = (runs.len(), count(runs.len() as u64, words.lang));
    let table = Table { columns, rows: runs.iter().map(|r| line(r, words)).collect() };
    Page { title, blocks: vec![Block::Table(table), Block::Note(say!(words, "history-count", n = n, count = all))] }
}

fn line(r: &Run, words: &Words) -> Vec<Cell> {
    let outcome = r.outcome.as_ref();
    let strategy = outcome.map_or(r.decision.strategy, |o| o.strategy);
    vec![
        r.id.clone().into(),
        format!("{} → {}", label(&r.request.model), label(&r.request.candidate)).into(),
        strategy.to_string().into(),
        way(before(r), after(r), 3, words).into(),
        run::saved(r, words),
        level(r, words),
        run::status(r, words),
    ]
}

fn before(r: &Run) -> Option<f64> {
    r.outcome.as_ref()?.base.as_ref().map(|e| e.bits_per_byte.get())
}

fn after(r: &Run) -> Option<f64> {
    r.outcome.as_ref()?.bits_per_byte.map(|b| b.get())
}

fn level(r: &Run, words: &Words) -> Cell {
    let level = r.outcome.as_ref().and_then(|o| o.level);
    level.map_or_else(|| say!(words, "unknown").into(), |l| run::level(l, words))
}

/// A row a property, a column a run.
pub(in crate::report) fn compare(runs: &[Run], words: &Words) -> Page {
    type Property<'a> = (String, Box<dyn Fn(&Run) -> Cell + 'a>);
    let outcome = |r: &Run| r.outcome.clone();
    let properties: Vec<Property<'_>> = vec![
        (say!(words, "started"), Box::new(|r| r.started.clone().into())),
        (say!(words, "model"), Box::new(|r| label(&r.request.model).into())),
        (say!(words, "candidate"), Box::new(|r| label(&r.request.candidate).into())),
        (say!(words, "training-text"), Box::new(|r| bytes(r.request.train_bytes, words.lang).into())),
        (
            say!(words, "decided"),
            Box::new(|r| {
                let confidence = whole_percent(r.decision.confidence.get(), words.lang);
                format!("{} ({confidence})", r.decision.strategy).into()
            }),
        ),
        (
            say!(words, "came-out"),
            Box::new(move |r| outcome(r).map_or(String::new(), |o| o.strategy.to_string()).into()),
        ),
        (say!(words, "base"), Box::new(|r| number(before(r), 3, words).into())),
        (say!(words, "bits-per-byte"), Box::new(|r| Cell::toned(number(after(r), 3, words), Tone::Strong))),
        (
            say!(words, "loss"),
            Box::new(move |r| number(outcome(r).and_then(|o| o.equivalent_loss).map(|l| l.get()), 2, words).into()),
        ),
        (say!(words, "saved"), Box::new(|r| run::saved(r, words))),
        (say!(words, "level"), Box::new(|r| level(r, words))),
        (
            say!(words, "incident-count"),
            Box::new(move |r| {
                outcome(r)
                    .map_or_else(|| say!(words, "unknown"), |o| count(o.incidents.len() as u64, words.lang))
                    .into()
            }),
        ),
        (
            say!(words, "time"),
            Box::new(move |r| outcome(r).map_or(String::new(), |o| duration(o.seconds, words)).into()),
        ),
        (say!(words, "status"), Box::new(|r| run::status(r, words))),
    ];
    let columns = std::iter::once(left(String::new())).chain(runs.iter().map(|r| right(r.id.clone()))).collect();
    let rows =
        properties.iter().map(|(title, of)| std::iter::once(title.clone().into()).chain(runs.iter().map(of)).collect());
    let table = Table { columns, rows: rows.collect() };
    Page { title: say!(words, "compare-title"), blocks: vec![Block::Table(table)] }
}
