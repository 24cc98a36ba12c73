//! What would an expert look at besides a profile's main numbers: how both tokenizers treat words and numbers, what the
//! move costs, and what can go wrong, with an example and what to do.

use crate::domain::details::{Details, Severity, Trap};
use crate::domain::metric::{Pair, Share};
use crate::domain::outcome::Side;
use crate::domain::profile::Profile;
use crate::report::numbers::{count, fixed, percent, short};
use crate::report::page::{Block, Cell, Table, Tone, left, right};
use crate::report::words::{Words, say};

/// The details of a profile; nothing where it has none.
pub(in crate::report) fn blocks(profile: &Profile, words: &Words) -> Vec<Block> {
    let Some(details) = &profile.details else { return Vec::new() };
    let mut blocks = vec![Block::Heading(say!(words, "details")), Block::Table(both(details, words))];
    if !details.traps.is_empty() {
        blocks.push(Block::Heading(say!(words, "traps")));
        blocks.push(Block::Table(traps(&details.traps, words)));
    }
    blocks
}

fn both(details: &Details, words: &Words) -> Table {
    let lang = words.lang;
    let mut rows: Vec<Vec<Cell>> = Vec::new();
    let mut row = |title: String, values: Option<Pair<String>>| {
        if let Some(Pair { source, candidate }) = values {
            rows.push(vec![title.into(), source.into(), candidate.into()]);
        }
    };
    let share = |pair: Pair<Share>| Pair {
        source: percent(pair.source.get(), lang),
        candidate: percent(pair.candidate.get(), lang),
    };
    let number = |pair: Pair<u64>| Pair { source: count(pair.source, lang), candidate: count(pair.candidate, lang) };
    let float =
        |pair: Pair<f64>| Pair { source: fixed(pair.source, 3, lang), candidate: fixed(pair.candidate, 3, lang) };
    let flops = |pair: Pair<f64>| Pair { source: short(pair.source, lang), candidate: short(pair.candidate, lang) };
    row(say!(words, "strr"), details.strr.map(share));
    row(say!(words, "renyi"), details.renyi_efficiency.map(share));
    row(say!(words, "unreachable"), details.unreachable.map(number));
    row(say!(words, "unused"), details.unused.map(number));
    let policy = |pair: Pair<_>| Pair {
        source: words.one_of("digits", &format!("{}", pair.source)),
        candidate: words.one_of("digits", &format!("{}", pair.candidate)),
    };
    row(say!(words, "digits"), details.digits.map(policy));
    row(say!(words, "parity"), details.parity.map(float));
    if let Some(worth) = &details.worth {
        row(say!(words, "train-flops"), worth.train_flops_per_million_words.map(flops));
        row(say!(words, "inference-flops"), worth.inference_flops_per_million_words.map(flops));
    }
    Table { columns: vec![left(String::new()), right(say!(words, "original")), right(say!(words, "candidate"))], rows }
}

fn traps(traps: &[Trap], words: &Words) -> Table {
    let row = |trap: &Trap| {
        let tone = match trap.severity {
            Severity::Serious => Tone::Bad,
            Severity::Warning => Tone::Strong,
            Severity::Note => Tone::Muted,
        };
        let whose = match trap.side {
            Some(Side::Source) => say!(words, "original"),
            Some(Side::Candidate) => say!(words, "candidate"),
            None => say!(words, "trap-both"),
        };
        vec![
            Cell::toned(words.one_of("severity", &trap.severity.to_string()), tone),
            whose.into(),
            words.trap(trap).into(),
            words.advice(trap).into(),
        ]
    };
    let columns = vec![
        left(say!(words, "trap-severity")),
        left(say!(words, "trap-whose")),
        left(say!(words, "trap-what")),
        left(say!(words, "trap-advice")),
    ];
    Table { columns, rows: traps.iter().map(row).collect() }
}
