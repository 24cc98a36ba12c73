//! What can go wrong when a model moves from one tokenizer to the other? Each trap has its severity, an example and
//! what to do. Weighing them is not known here.

use super::counts::{CONTRACTIONS, Counts, Seen};
use super::probe::{back, shown};
use crate::domain::details::{DigitPolicy, Severity, Trap};
use crate::domain::metric::Pair;
use crate::domain::outcome::Side;
use crate::domain::profile::ModelSummary;
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

fn trap(name: &str, severity: Severity, side: Option<Side>, finding: String, advice: &str) -> Trap {
    Trap { name: name.into(), severity, side, finding, example: None, advice: advice.into() }
}

fn with_example(trap: Trap, example: Option<String>) -> Trap {
    Trap { example, ..trap }
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 * 100.0 }
}

/// Text that a tokenizer loses or changes.
fn of_text(evidence: &Evidence<'_>, side: Side, found: &mut Vec<Trap>) {
    let (file, counted) = match side {
        Side::Source => (evidence.source, evidence.counts.map(|c| (&c.source, &c.seen.source, c))),
        Side::Candidate => (evidence.candidate, evidence.counts.map(|c| (&c.candidate, &c.seen.candidate, c))),
    };
    let example = |pick: fn(&Seen) -> &Option<(u64, String)>| {
        counted.and_then(|(_, seen, _)| pick(seen).as_ref()).map(|(n, text)| format!("{text:?}, {n} times"))
    };
    let loses = if side == Side::Candidate { Severity::Serious } else { Severity::Warning };
    if let Some((sum, _, counts)) = counted {
        if sum.unknown > 0 {
            let share = percent(sum.unknown_bytes, counts.bytes);
            let finding = format!("{} unknown tokens swallow {share:.4}% of the text's bytes", sum.unknown);
            let advice = "add byte fallback or the missing characters to the tokenizer, or clean the text";
            let trap = trap("unknown_characters", loses, Some(side), finding, advice);
            found.push(with_example(trap, example(|s| &s.unknown.0)));
        }
        let lost = counts.documents.saturating_sub(sum.round_trips);
        if lost > 0 {
            let finding = format!("{:.2}% of the lines do not come back as they were", percent(lost, counts.documents));
            let advice = "look at what is lost; what a model writes will lack it";
            let trap = trap("round_trip", loses, Some(side), finding, advice);
            let example =
                counted.and_then(|(_, seen, _)| seen.lossy.first()).map(|(times, text)| lossy(file, *times, text));
            found.push(with_example(trap, example));
        }
    }
    if !file.summary().byte_fallback {
        let finding = "no byte fallback: a character outside its vocabulary becomes an unknown token".into();
        let advice = "expect emoji and rare scripts to be lost, or give the tokenizer byte tokens";
        let trap = trap("no_byte_fallback", Severity::Warning, Some(side), finding, advice);
        found.push(with_example(trap, Some(format!("\"😀\" comes back as {:?}", back(file, "😀")))));
    }
    for (name, probe, what, severity) in [
        ("case_lost", "Ağ", "upper case is lost", Severity::Serious),
        ("turkish_i", "İSTANBUL Iğdır ılık ipek", "Turkish dotted and dotless i are not kept apart", Severity::Serious),
        ("accents_lost", "çğöşü", "accents are lost", Severity::Serious),
        ("nfc", "e\u{301}", "text is composed (NFC)", Severity::Note),
        ("nfkc", "ﬁ①", "compatibility characters are replaced (NFKC)", Severity::Note),
        ("white_space", "a  b", "runs of spaces are joined", Severity::Warning),
        ("line_ends", "a\nb", "line ends are lost", Severity::Warning),
        ("tabs", "a\tb", "tabs are lost", Severity::Warning),
    ] {
        let after = back(file, probe);
        // A probe that is unknown says nothing about normalisation.
        let unknown = file.unknown().and_then(|id| file.vocabulary.get(id)).is_some_and(|t| after.contains(&t.raw));
        if after != probe && !unknown && !after.is_empty() {
            let advice = "train and evaluate on text as the tokenizer gives it back, or change its normaliser";
            let severity = if side == Side::Source { severity.max(Severity::Warning) } else { severity };
            let trap = trap(name, severity, Some(side), what.into(), advice);
            let lost = counted.map_or(&[][..], |(_, seen, _)| seen.lossy.as_slice());
            let own = lost.iter().find(|(_, text)| is_of_kind(name, text, &back(file, text)));
            let example = own.map_or_else(
                || format!("{probe:?} comes back as {after:?}"),
                |(times, text)| lossy(file, *times, text),
            );
            found.push(with_example(trap, Some(example)));
        }
    }
    let apostrophe = counted.and_then(|(_, seen, _)| seen.apostrophe.0.as_ref());
    let word = apostrophe.map_or("Ankara'dır", |(_, word)| word.as_str());
    let tokens = shown(file, word);
    // The contraction is a token of its own although the suffix goes on.
    let contraction = CONTRACTIONS.iter().any(|c| tokens.contains(&format!("|'{c}|")));
    if contraction {
        let finding = "suffixes after an apostrophe are cut as English contractions".into();
        let advice = "expect worse morphology after apostrophes; a pre-tokenizer without contractions avoids it";
        let trap = trap("apostrophes", Severity::Note, Some(side), finding, advice);
        found.push(with_example(trap, Some(format!("{word:?} is {tokens}"))));
    }
}

/// A piece of the text that does not come back.
fn lossy(file: &TokenizerFile, times: u64, text: &str) -> String {
    format!("{text:?} comes back as {:?}, {times} times", back(file, text))
}

/// Whether what a piece of the text came back as shows the loss that a trap of this name is about.
fn is_of_kind(name: &str, before: &str, after: &str) -> bool {
    let bare = |t: &str| t.nfd().filter(|c| !is_combining_mark(*c)).collect::<String>();
    before != after
        && match name {
            "case_lost" => before.to_lowercase() == after.to_lowercase(),
            "turkish_i" => {
                before.contains(['İ', 'ı', 'I']) && bare(before).to_lowercase() == bare(after).to_lowercase()
            }
            "accents_lost" => bare(before) == bare(after) && before.to_lowercase() != after.to_lowercase(),
            "nfc" => before.nfc().eq(after.chars()),
            "nfkc" => before.nfkc().eq(after.chars()) && !before.nfc().eq(after.chars()),
            "tabs" => before.contains('\t'),
            "white_space" => before.contains("  "),
            _ => false,
        }
}

/// The first few tokens of a list, as they stand in the file.
fn some_tokens(file: &TokenizerFile, ids: impl Iterator<Item = u32>) -> String {
    let raw: Vec<String> =
        ids.filter_map(|id| file.vocabulary.get(id)).take(3).map(|t| format!("{:?}", t.raw)).collect();
    raw.join(", ")
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
    let tokens = file.vocabulary.len() as u64;
    let unreachable = lost.len() as u64;
    if unreachable > 0 {
        let finding = format!("{unreachable} tokens ({:.2}%) can be produced by no text", percent(unreachable, tokens));
        let severity = if percent(unreachable, tokens) > 5.0 { Severity::Warning } else { Severity::Note };
        let trap = trap("unreachable", severity, Some(side), finding, "their rows are never trained; leave them out");
        found.push(with_example(trap, Some(some_tokens(file, lost.iter().copied()))));
    }
    if let Some(unused) = unused.filter(|n| *n > 0) {
        let share = percent(unused, tokens);
        let severity = if share > 50.0 { Severity::Warning } else { Severity::Note };
        let finding =
            format!("{unused} tokens ({share:.1}%) never occur in the corpus, so training will not reach them");
        let advice = "give more text, or a smaller vocabulary";
        let never = |id: u32| counts.is_some_and(|c| c.get(id as usize).is_none_or(|n| *n == 0));
        let ids = file.vocabulary.iter().filter(|(id, t)| t.kind == TokenKind::Text && never(*id)).map(|(id, _)| id);
        let trap = trap("unused", severity, Some(side), finding, advice);
        found.push(with_example(trap, Some(some_tokens(file, ids))));
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
        let finding = format!("{} added tokens are ordinary letters, so words are cut at them", letters.len());
        let trap = trap("added_letters", Severity::Warning, Some(side), finding, "check how words with them are split");
        let example = format!("{first:?}; {:?} is {}", format!("x{first}x"), shown(file, &format!("x{first}x")));
        found.push(with_example(trap, Some(example)));
    }
    let holes = file.vocabulary.rows() - file.vocabulary.len();
    if holes > 0 {
        let finding = format!("{holes} ids below the highest stand for no token");
        let first = (0..file.vocabulary.rows() as u32).find(|id| file.vocabulary.get(*id).is_none());
        let trap = trap("holes", Severity::Note, Some(side), finding, "their rows are kept out of means and masked");
        found.push(with_example(trap, first.map(|id| format!("id {id}"))));
    }
}

/// Differences between the two.
fn of_pair(evidence: &Evidence<'_>, found: &mut Vec<Trap>) {
    let Evidence { source, candidate, digits, model, .. } = evidence;
    if digits.source != digits.candidate {
        let finding = format!("numbers are split otherwise: {} before, {} after", digits.source, digits.candidate);
        let advice = "expect arithmetic to suffer; test it, or take a candidate with the original's digit policy";
        let trap = trap("digit_policy", Severity::Warning, None, finding, advice);
        let own = evidence.counts.and_then(|c| c.seen.candidate.number.0.as_ref());
        let number = own.map_or("123456", |(_, text)| text.as_str());
        let example = format!("{number:?} is {} before, {} after", shown(source, number), shown(candidate, number));
        found.push(with_example(trap, Some(example)));
    }
    for (role, name) in [(Role::Bos, "beginning"), (Role::Eos, "end")] {
        let has = |file: &TokenizerFile| file.vocabulary.role(&role).is_some();
        if has(source) != has(candidate) {
            let who = if has(source) { "original" } else { "candidate" };
            let finding = format!("only the {who} has a token for the {name} of a text");
            let advice = "give both the same policy: what stands first takes much of the attention";
            found.push(trap("sequence_marks", Severity::Warning, None, finding, advice));
        }
    }
    let frames = |file: &TokenizerFile| {
        let (first, last) = template(&file.skeleton);
        [first.map(str::to_owned), last.map(str::to_owned)]
    };
    for (place, before, after) in frames(source)
        .into_iter()
        .zip(frames(candidate))
        .zip(["before", "after"])
        .filter_map(|((s, c), place)| if s.is_some() == c.is_some() { None } else { Some((place, s, c)) })
    {
        let named = |token: Option<String>| token.unwrap_or_else(|| "nothing".into());
        let finding =
            format!("the original's template sets {} {place} a text, the candidate's {}", named(before), named(after));
        let advice = "train and use the model with one policy; hibrit's own is the same for both sides";
        found.push(trap("template", Severity::Note, None, finding, advice));
    }
    let lacking: Vec<&str> = [(Role::Pad, "padding"), (Role::Unk, "what is unknown")]
        .into_iter()
        .filter(|(role, _)| source.vocabulary.role(role).is_some() && candidate.vocabulary.role(role).is_none())
        .map(|(_, name)| name)
        .collect();
    if !lacking.is_empty() {
        let finding = format!("the candidate lacks the original's token for {}", lacking.join(" and for "));
        let advice = "name one in its tokenizer_config.json, or tools will invent one";
        found.push(trap("roles", Severity::Note, Some(Side::Candidate), finding, advice));
    }
    let marks =
        |file: &TokenizerFile| [Role::TurnStart, Role::TurnEnd].iter().all(|r| file.vocabulary.role(r).is_some());
    if marks(source) && !marks(candidate) {
        let finding = "the original has chat marks that the candidate lacks".into();
        let advice = "add the chat marks and the template to the candidate before training on dialogues";
        found.push(trap("chat_marks", Severity::Warning, Some(Side::Candidate), finding, advice));
    }
    let unmatched = candidate.vocabulary.iter().filter(|(_, t)| t.kind == TokenKind::Special).count();
    if unmatched > 64 {
        let finding = format!("the candidate has {unmatched} control tokens");
        found.push(trap(
            "many_control_tokens",
            Severity::Note,
            Some(Side::Candidate),
            finding,
            "remove what is not used",
        ));
    }
    if let Some(model) = model.filter(|m| m.embedding_rows != source.vocabulary.rows() as u64) {
        let (rows, tokens) = (model.embedding_rows, source.vocabulary.rows() as u64);
        let (severity, finding, advice) = if rows > tokens {
            let finding = format!("the model has {rows} rows for {tokens} tokens: {} are padding", rows - tokens);
            (Severity::Note, finding, "padding rows are kept out of means and anchors")
        } else {
            let finding = format!("the model has {rows} rows, fewer than the tokenizer's {tokens}");
            (Severity::Serious, finding, "this is not the model's tokenizer; give the one that lies beside it")
        };
        found.push(trap("rows", severity, Some(Side::Source), finding, advice));
    }
}
