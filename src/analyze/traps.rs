//! What can go wrong when a model moves from one tokenizer to the other? Each trap has its severity, an example and
//! what to do. Weighing them is not known here.

use super::counts::{CONTRACTIONS, Counts};
use super::probe::{back, shown};
use crate::domain::details::{DigitPolicy, Severity, Trap};
use crate::domain::metric::Pair;
use crate::domain::outcome::Side;
use crate::domain::profile::ModelSummary;
use crate::domain::reason::{Edge, TrapExample, TrapFinding};
use crate::domain::vocabulary::{Role, TokenKind};
use crate::tokenizer::TokenizerFile;
use crate::tokenizer::special_tokens::template;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// What the traps are looked for in.
pub(super) struct Evidence<'a> {
    pub source: &'a TokenizerFile,
    pub candidate: &'a TokenizerFile,
    pub counts: Option<&'a Counts>,
    pub model: Option<&'a ModelSummary>,
    /// Tokens that no text can produce, by id.
    pub unreachable: Pair<&'a [u32]>,
    pub unused: Option<Pair<u64>>,
    pub digits: Pair<DigitPolicy>,
}

/// All that was found, the most severe first.
pub(super) fn traps(evidence: &Evidence<'_>) -> Vec<Trap> {
    let mut found = Vec::new();
    for side in [Side::Source, Side::Candidate] {
        of_text(evidence, side, &mut found);
        of_vocabulary(evidence, side, &mut found);
    }
    of_pair(evidence, &mut found);
    found.sort_by_key(|trap| trap.severity);
    found
}

/// A share of a whole, 0 of nothing.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Text that a tokenizer loses or changes.
fn of_text(evidence: &Evidence<'_>, side: Side, found: &mut Vec<Trap>) {
    let (file, counted) = match side {
        Side::Source => (evidence.source, evidence.counts.map(|c| (&c.source, &c.seen.source, c))),
        Side::Candidate => (evidence.candidate, evidence.counts.map(|c| (&c.candidate, &c.seen.candidate, c))),
    };
    let mut add = |finding: TrapFinding, severity: Severity, example: Option<TrapExample>| {
        found.push(Trap::of(finding, severity, Some(side), example));
    };
    let loses = if side == Side::Candidate { Severity::Serious } else { Severity::Warning };
    if let Some((sum, seen, counts)) = counted {
        if sum.unknown > 0 {
            let share = share(sum.unknown_bytes, counts.bytes);
            let example = seen.unknown.0.as_ref();
            let example = example.map(|(times, text)| TrapExample::Text { text: text.clone(), times: *times });
            add(TrapFinding::UnknownCharacters { tokens: sum.unknown, share }, loses, example);
        }
        let lost = counts.documents.saturating_sub(sum.round_trips);
        if lost > 0 {
            let example = seen.lossy.first().map(|(times, text)| lossy(file, *times, text));
            add(TrapFinding::RoundTrip { share: share(lost, counts.documents) }, loses, example);
        }
    }
    if !file.summary().byte_fallback {
        let text = "😀".to_string();
        let example = TrapExample::ComesBack { back: back(file, &text), text, times: None };
        add(TrapFinding::NoByteFallback, Severity::Warning, Some(example));
    }
    for (finding, probe, severity) in [
        (TrapFinding::CaseLost, "Ağ", Severity::Serious),
        (TrapFinding::TurkishI, "İSTANBUL Iğdır ılık ipek", Severity::Serious),
        (TrapFinding::AccentsLost, "çğöşü", Severity::Serious),
        (TrapFinding::Nfc, "e\u{301}", Severity::Note),
        (TrapFinding::Nfkc, "ﬁ①", Severity::Note),
        (TrapFinding::WhiteSpace, "a  b", Severity::Warning),
        (TrapFinding::LineEnds, "a\nb", Severity::Warning),
        (TrapFinding::Tabs, "a\tb", Severity::Warning),
    ] {
        let after = back(file, probe);
        // A probe that is unknown says nothing about normalisation.
        let unknown = file.unknown().and_then(|id| file.vocabulary.get(id)).is_some_and(|t| after.contains(&t.raw));
        if after != probe && !unknown && !after.is_empty() {
            let severity = if side == Side::Source { severity.max(Severity::Warning) } else { severity };
            let lost = counted.map_or(&[][..], |(_, seen, _)| seen.lossy.as_slice());
            let own = lost.iter().find(|(_, text)| is_of_kind(&finding, text, &back(file, text)));
            let example = own.map_or_else(
                || TrapExample::ComesBack { text: probe.into(), back: after, times: None },
                |(times, text)| lossy(file, *times, text),
            );
            add(finding, severity, Some(example));
        }
    }
    let apostrophe = counted.and_then(|(_, seen, _)| seen.apostrophe.0.as_ref());
    let word = apostrophe.map_or("Ankara'dır", |(_, word)| word.as_str());
    let tokens = shown(file, word);
    // The contraction is a token of its own although the suffix goes on.
    if CONTRACTIONS.iter().any(|c| tokens.contains(&format!("|'{c}|"))) {
        let example = TrapExample::Written { text: word.into(), tokens };
        add(TrapFinding::Apostrophes, Severity::Note, Some(example));
    }
}

/// A piece of the text that does not come back.
fn lossy(file: &TokenizerFile, times: u64, text: &str) -> TrapExample {
    TrapExample::ComesBack { text: text.into(), back: back(file, text), times: Some(times) }
}

/// Whether what a piece of the text came back as shows this loss.
fn is_of_kind(loss: &TrapFinding, before: &str, after: &str) -> bool {
    let bare = |t: &str| t.nfd().filter(|c| !is_combining_mark(*c)).collect::<String>();
    before != after
        && match loss {
            TrapFinding::CaseLost => before.to_lowercase() == after.to_lowercase(),
            TrapFinding::TurkishI => {
                before.contains(['İ', 'ı', 'I']) && bare(before).to_lowercase() == bare(after).to_lowercase()
            }
            TrapFinding::AccentsLost => bare(before) == bare(after) && before.to_lowercase() != after.to_lowercase(),
            TrapFinding::Nfc => before.nfc().eq(after.chars()),
            TrapFinding::Nfkc => before.nfkc().eq(after.chars()) && !before.nfc().eq(after.chars()),
            TrapFinding::Tabs => before.contains('\t'),
            TrapFinding::WhiteSpace => before.contains("  "),
            _ => false,
        }
}

/// The first few tokens of a list, as they stand in the file.
fn some_tokens(file: &TokenizerFile, ids: impl Iterator<Item = u32>) -> TrapExample {
    let raw: Vec<String> =
        ids.filter_map(|id| file.vocabulary.get(id)).take(3).map(|t| format!("{:?}", t.raw)).collect();
    TrapExample::Tokens { tokens: raw.join(", ") }
}

/// Tokens that are of no use or not what they seem.
fn of_vocabulary(evidence: &Evidence<'_>, side: Side, found: &mut Vec<Trap>) {
    let (file, lost, unused, counts) = match side {
        Side::Source => (evidence.source, evidence.unreachable.source, None, None),
        Side::Candidate => (
            evidence.candidate,
            evidence.unreachable.candidate,
            evidence.unused.map(|u| u.candidate),
            evidence.counts.map(|c| c.candidate.by_id.as_slice()),
        ),
    };
    let mut add = |finding: TrapFinding, severity: Severity, example: Option<TrapExample>| {
        found.push(Trap::of(finding, severity, Some(side), example));
    };
    let tokens = file.vocabulary.len() as u64;
    let unreachable = lost.len() as u64;
    if unreachable > 0 {
        let share = share(unreachable, tokens);
        let severity = if share > 0.05 { Severity::Warning } else { Severity::Note };
        let example = some_tokens(file, lost.iter().copied());
        add(TrapFinding::Unreachable { tokens: unreachable, share }, severity, Some(example));
    }
    if let Some(unused) = unused.filter(|n| *n > 0) {
        let share = share(unused, tokens);
        let severity = if share > 0.5 { Severity::Warning } else { Severity::Note };
        let never = |id: u32| counts.is_some_and(|c| c.get(id as usize).is_none_or(|n| *n == 0));
        let ids = file.vocabulary.iter().filter(|(id, t)| t.kind == TokenKind::Text && never(*id)).map(|(id, _)| id);
        add(TrapFinding::Unused { tokens: unused, share }, severity, Some(some_tokens(file, ids)));
    }
    let letters: Vec<&str> = file
        .skeleton
        .added_tokens
        .iter()
        .flatten()
        .map(|t| t.content.as_str())
        .filter(|t| !t.is_empty() && t.chars().all(char::is_alphabetic))
        .collect();
    if let Some(first) = letters.first() {
        let text = format!("x{first}x");
        let tokens = shown(file, &text);
        let example = TrapExample::Cuts { token: (*first).to_string(), text, tokens };
        add(TrapFinding::AddedLetters { tokens: letters.len() as u64 }, Severity::Warning, Some(example));
    }
    let holes = file.vocabulary.rows() - file.vocabulary.len();
    if holes > 0 {
        let first = (0..file.vocabulary.rows() as u32).find(|id| file.vocabulary.get(*id).is_none());
        add(TrapFinding::Holes { ids: holes as u64 }, Severity::Note, first.map(|id| TrapExample::Id { id }));
    }
}

/// Differences between the two.
fn of_pair(evidence: &Evidence<'_>, found: &mut Vec<Trap>) {
    let Evidence { source, candidate, digits, model, .. } = evidence;
    let mut add = |finding: TrapFinding, severity: Severity, side: Option<Side>, example: Option<TrapExample>| {
        found.push(Trap::of(finding, severity, side, example));
    };
    if digits.source != digits.candidate {
        let own = evidence.counts.and_then(|c| c.seen.candidate.number.0.as_ref());
        let text = own.map_or("123456", |(_, text)| text.as_str()).to_string();
        let (before, after) = (shown(source, &text), shown(candidate, &text));
        let finding = TrapFinding::DigitPolicy { before: digits.source, after: digits.candidate };
        add(finding, Severity::Warning, None, Some(TrapExample::Differs { text, before, after }));
    }
    for (role, edge) in [(Role::Bos, Edge::Beginning), (Role::Eos, Edge::End)] {
        let has = |file: &TokenizerFile| file.vocabulary.role(&role).is_some();
        if has(source) != has(candidate) {
            let only = if has(source) { Side::Source } else { Side::Candidate };
            add(TrapFinding::SequenceMarks { only, edge }, Severity::Warning, None, None);
        }
    }
    let frames = |file: &TokenizerFile| {
        let (first, last) = template(&file.skeleton);
        [first.map(str::to_owned), last.map(str::to_owned)]
    };
    for ((original, candidate), edge) in
        frames(source).into_iter().zip(frames(candidate)).zip([Edge::Beginning, Edge::End])
    {
        if original.is_some() != candidate.is_some() {
            add(TrapFinding::Template { edge, original, candidate }, Severity::Note, None, None);
        }
    }
    let lacks = |role: Role| source.vocabulary.role(&role).is_some() && candidate.vocabulary.role(&role).is_none();
    let (padding, unknown) = (lacks(Role::Pad), lacks(Role::Unk));
    if padding || unknown {
        add(TrapFinding::Roles { padding, unknown }, Severity::Note, Some(Side::Candidate), None);
    }
    let marks =
        |file: &TokenizerFile| [Role::TurnStart, Role::TurnEnd].iter().all(|r| file.vocabulary.role(r).is_some());
    if marks(source) && !marks(candidate) {
        add(TrapFinding::ChatMarks, Severity::Warning, Some(Side::Candidate), None);
    }
    let tokens = candidate.vocabulary.iter().filter(|(_, t)| t.kind == TokenKind::Special).count() as u64;
    if tokens > 64 {
        add(TrapFinding::ManyControlTokens { tokens }, Severity::Note, Some(Side::Candidate), None);
    }
    let tokens = source.vocabulary.rows() as u64;
    if let Some(rows) = model.map(|m| m.embedding_rows).filter(|rows| *rows != tokens) {
        let (finding, severity) = if rows > tokens {
            (TrapFinding::PaddingRows { rows, tokens }, Severity::Note)
        } else {
            (TrapFinding::TooFewRows { rows, tokens }, Severity::Serious)
        };
        add(finding, severity, Some(Side::Source), None);
    }
}
