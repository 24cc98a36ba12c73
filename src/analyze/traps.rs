//! What can go wrong when a model moves from one tokenizer to the other? Each trap has its severity, an example and
//! what to do. Weighing them is not known here.

use super::counts::{Counts, Seen};
use super::probe::{back, shown};
use super::tokenizer::TokenizerFile;
use crate::domain::details::{DigitPolicy, Severity, Trap};
use crate::domain::metric::Pair;
use crate::domain::outcome::Side;
use crate::domain::profile::ModelSummary;
use crate::domain::vocabulary::{Role, TokenKind};

/// What the traps are looked for in.
pub(super) struct Evidence<'a> {
    pub source: &'a TokenizerFile,
    pub candidate: &'a TokenizerFile,
    pub counts: Option<&'a Counts>,
    pub model: Option<&'a ModelSummary>,
    pub unreachable: Pair<u64>,
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
            found.push(with_example(trap, example(|s| &s.lossy.0)));
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
            found.push(with_example(trap, Some(format!("{probe:?} comes back as {after:?}"))));
        }
    }
    let apostrophe = counted.and_then(|(_, seen, _)| seen.apostrophe.0.as_ref());
    let word = apostrophe.map_or("Ankara'dır", |(_, word)| word.as_str());
    let tokens = shown(file, word);
    // A suffix cut as an English contraction: the apostrophe and one or two letters, with more to come.
    let contraction =
        ["'d|", "'s|", "'t|", "'m|", "'re|", "'ve|", "'ll|"].iter().any(|c| tokens.contains(&format!("|{c}")));
    if contraction {
        let finding = "suffixes after an apostrophe are cut as English contractions".into();
        let advice = "expect worse morphology after apostrophes; a pre-tokenizer without contractions avoids it";
        let trap = trap("apostrophes", Severity::Note, Some(side), finding, advice);
        found.push(with_example(trap, Some(format!("{word:?} is {tokens}"))));
    }
}

/// Tokens that are of no use or not what they seem.
fn of_vocabulary(evidence: &Evidence<'_>, side: Side, found: &mut Vec<Trap>) {
    let pick = |pair: &Pair<u64>| match side {
        Side::Source => pair.source,
        Side::Candidate => pair.candidate,
    };
    let file = match side {
        Side::Source => evidence.source,
        Side::Candidate => evidence.candidate,
    };
    let tokens = file.vocabulary.len() as u64;
    let unreachable = pick(&evidence.unreachable);
    if unreachable > 0 {
        let finding = format!("{unreachable} tokens ({:.2}%) can be produced by no text", percent(unreachable, tokens));
        let severity = if percent(unreachable, tokens) > 5.0 { Severity::Warning } else { Severity::Note };
        found.push(trap("unreachable", severity, Some(side), finding, "their rows are never trained; leave them out"));
    }
    if let Some(unused) = evidence.unused.as_ref().map(pick).filter(|_| side == Side::Candidate) {
        let share = percent(unused, tokens);
        if share > 50.0 {
            let finding =
                format!("{unused} tokens ({share:.1}%) never occur in the corpus, so training will not reach them");
            found.push(trap(
                "unused",
                Severity::Warning,
                Some(side),
                finding,
                "give more text, or a smaller vocabulary",
            ));
        }
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
        found.push(with_example(trap, Some(format!("{first:?}"))));
    }
    let holes = file.vocabulary.rows() - file.vocabulary.len();
    if holes > 0 {
        let finding = format!("{holes} ids below the highest stand for no token");
        found.push(trap("holes", Severity::Note, Some(side), finding, "their rows are kept out of means and masked"));
    }
}

/// Differences between the two.
fn of_pair(evidence: &Evidence<'_>, found: &mut Vec<Trap>) {
    let Evidence { source, candidate, digits, model, .. } = evidence;
    if digits.source != digits.candidate {
        let finding = format!("numbers are split otherwise: {} before, {} after", digits.source, digits.candidate);
        let advice = "expect arithmetic to suffer; test it, or take a candidate with the original's digit policy";
        let trap = trap("digit_policy", Severity::Warning, None, finding, advice);
        let example = format!("\"123456\" is {} before, {} after", shown(source, "123456"), shown(candidate, "123456"));
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
