//! May a text be cut before its single spaces and each piece be encoded alone, with exactly the same tokens as the
//! whole? Proved from the tokenizer's own steps, or not claimed at all: [`Cut::of`] gives the reason why not.
//!
//! The cut is made before a space that stands alone between two *plain* characters ([`is_plain`]): letters, digits and
//! common punctuation. The proof goes step by step. A step is *local* when what it does on either side of the cut does
//! not depend on the other side; it *cuts* when one of its own boundaries always falls on the cut. If every step is
//! local and one cuts, the pieces that reach the model are the same. If none cuts, the model must be a BPE of whose
//! tokens none has the space's mark after another character: then no merge can cross the cut, and merges on both sides
//! are independent of each other.

use super::regex_analysis::crosses;
use super::tokenizer_json::{Added, ModelKind, TokenizerJson};
use crate::domain::vocabulary::Vocabulary;
use serde_json::Value;

/// How pieces of a cut text are to be encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    /// Whether a piece is encoded with the space before it; without, where the tokenizer sets one before every text.
    pub with_space: bool,
    /// Whether the normaliser may turn plain characters into white space or nothing, so that every piece has to be
    /// looked at after it (see [`keeps_its_ends`]).
    pub check_ends: bool,
    /// Whether the text after an added token is treated as a new text, so that a document that has one is encoded
    /// whole (see [`reaches`]).
    pub added_tokens_reach: bool,
}

/// What the steps so far have done to the text at the cut.
struct State {
    /// What stands there: a space, or what the space was replaced by.
    mark: char,
    /// Whether a boundary falls on the cut.
    cut: bool,
    /// Whether pieces may still hold white space, so that what the normaliser does to it matters.
    keeps_space: bool,
    cut_options: Cut,
}

type Proof<T> = Result<T, String>;

impl Cut {
    /// The proof for a tokenizer; the reason, where there is none.
    pub fn of(skeleton: &TokenizerJson, kind: ModelKind, vocabulary: &Vocabulary) -> Proof<Self> {
        let mut state = State {
            mark: ' ',
            cut: false,
            keeps_space: true,
            cut_options: Cut { with_space: true, check_ends: false, added_tokens_reach: false },
        };
        for token in skeleton.added_tokens.iter().flatten() {
            if token.content.contains(|c: char| c.is_whitespace() || c == '▁') {
                return Err(format!("the added token {:?} holds a space", token.content));
            }
        }
        if let Some(step) = present(skeleton.normalizer.as_ref()) {
            state.normalise(step)?;
        }
        if let Some(step) = present(skeleton.pre_tokenizer.as_ref()) {
            state.pre_tokenise(step)?;
        }
        if skeleton.model.as_ref().is_some_and(|m| m.dropout.is_some_and(|d| d > 0.0)) {
            return Err("its merges drop out at random".into());
        }
        if !state.cut {
            state.merges_stay_apart(skeleton, kind, vocabulary)?;
        }
        state.cut_options.check_ends &= state.keeps_space;
        Ok(state.cut_options)
    }
}

/// Whether an added token changes what surrounds it: it takes white space with it, or what follows begins anew.
pub(super) fn reaches(cut: Cut, token: &Added) -> bool {
    token.lstrip || token.rstrip || cut.added_tokens_reach && !token.normalized
}

/// Whether a character is sure to stay what it is at a cut: no white space, nothing that joins the following space
/// (Unicode's prepended marks), nothing that a usual normaliser turns into white space.
pub(super) fn is_plain(c: char) -> bool {
    match c {
        '!'..='~' => true,
        '\0'..='\u{a0}' => false,
        '«' | '»' | '°' | '·' | '’' | '‘' | '“' | '”' | '„' | '–' | '—' | '…' | '€' => true,
        '\u{d4e}' | '\u{37a}' | '\u{3164}' | '\u{ffa0}' | '\u{115f}' | '\u{1160}' => false,
        '\u{111c2}'..='\u{111c3}'
        | '\u{113d1}'
        | '\u{1193f}'..='\u{11941}'
        | '\u{11a3a}'
        | '\u{11a84}'..='\u{11a89}' => false,
        '\u{11d46}' | '\u{11f02}' => false,
        _ => c.is_alphanumeric(),
    }
}

/// Whether a normalised piece still begins with one space (or its mark) before something else and does not end in
/// white space.
pub(super) fn keeps_its_ends(normalised: &str) -> bool {
    let is_space = |c: char| c.is_whitespace() || c == '▁';
    let mut characters = normalised.chars();
    characters.next().is_some_and(is_space)
        && characters.next().is_some_and(|c| !is_space(c))
        && !normalised.ends_with(is_space)
}

fn present(step: Option<&Value>) -> Option<&Value> {
    step.filter(|s| !s.is_null())
}

fn text<'a>(step: &'a Value, key: &str) -> Option<&'a str> {
    step.get(key).and_then(Value::as_str)
}

fn flag(step: &Value, key: &str, default: bool) -> bool {
    step.get(key).and_then(Value::as_bool).unwrap_or(default)
}

/// The steps of a sequence.
fn inner<'a>(step: &'a Value, key: &str) -> Proof<&'a Vec<Value>> {
    step.get(key).and_then(Value::as_array).ok_or_else(|| "a sequence without steps".into())
}

/// A pattern: literal text, or a regular expression.
fn pattern(step: &Value) -> Proof<Result<&str, &str>> {
    let literal = step.pointer("/pattern/String").and_then(Value::as_str).map(Ok);
    let regex = step.pointer("/pattern/Regex").and_then(Value::as_str).map(Err);
    literal.or(regex).ok_or_else(|| "a step without a pattern".into())
}

impl State {
    /// Follows a normaliser.
    fn normalise(&mut self, step: &Value) -> Proof<()> {
        match text(step, "type").unwrap_or_default() {
            "Sequence" => inner(step, "normalizers")?.iter().try_for_each(|s| self.normalise(s)),
            // Space composes with nothing before it and begins no canonical composition.
            "NFC" | "NFD" | "Lowercase" => Ok(()),
            "NFKC" | "NFKD" | "StripAccents" | "Nmt" | "Precompiled" | "BertNormalizer" => {
                self.cut_options.check_ends = true;
                Ok(())
            }
            "Prepend" if text(step, "prepend") == Some("▁") && self.mark == ' ' => {
                // Every text gets the mark, so a piece without its space gets what the whole has at the cut; but so
                // does every text after an added token.
                self.cut_options.with_space = false;
                self.cut_options.added_tokens_reach = true;
                Ok(())
            }
            "Replace" => self.replace(step),
            other => Err(format!("the normaliser {other} is not known to be local")),
        }
    }

    fn replace(&mut self, step: &Value) -> Proof<()> {
        let content = text(step, "content").unwrap_or_default();
        match pattern(step)? {
            Ok(" ") if self.mark == ' ' && content.chars().count() == 1 => {
                self.mark = content.chars().next().unwrap_or(' ');
                Ok(())
            }
            Ok(literal) if !literal.contains([' ', self.mark]) => {
                self.cut_options.check_ends = true;
                Ok(())
            }
            Err(regex) if !crosses(regex, self.mark)? && content.chars().count() <= 1 => {
                // Two spaces or more; there is one at the cut.
                let known = regex.trim_start_matches(' ').starts_with("{2,}");
                self.cut_options.check_ends = true;
                if known { Ok(()) } else { Err("a replacement by an unknown regular expression".into()) }
            }
            _ => Err("a replacement that may reach over a space".into()),
        }
    }

    /// Follows a pre-tokenizer.
    fn pre_tokenise(&mut self, step: &Value) -> Proof<()> {
        match text(step, "type").unwrap_or_default() {
            "Sequence" => inner(step, "pretokenizers")?.iter().try_for_each(|s| self.pre_tokenise(s)),
            // These drop white space, so what comes before and after is apart.
            "WhitespaceSplit" | "Whitespace" | "BertPreTokenizer" if self.mark == ' ' => {
                self.cut = true;
                self.keeps_space = false;
                Ok(())
            }
            // Boundaries between neighbours of two classes; a space is in neither.
            "Digits" => Ok(()),
            "Punctuation"
                if text(step, "behavior").is_none_or(|b| matches!(b, "Isolated" | "Contiguous" | "Removed")) =>
            {
                Ok(())
            }
            "Metaspace" => {
                // A mark is set before a piece only if it does not begin with one, and a piece does.
                let mark = text(step, "replacement").and_then(|r| r.chars().next()).unwrap_or('▁');
                if self.mark != ' ' && self.mark != mark {
                    return Err("two marks for a space".into());
                }
                self.mark = mark;
                self.cut |= flag(step, "split", true);
                Ok(())
            }
            "ByteLevel" => {
                // Its own expression matches no white space after anything else, and ends with all white space.
                if flag(step, "use_regex", true) && self.mark != ' ' {
                    return Err("a byte-level split after spaces were replaced".into());
                }
                self.cut |= flag(step, "use_regex", true);
                self.mark = if self.mark == ' ' { 'Ġ' } else { self.mark };
                Ok(())
            }
            "Split" => self.split(step),
            other => Err(format!("the pre-tokenizer {other} is not known to be local")),
        }
    }

    fn split(&mut self, step: &Value) -> Proof<()> {
        let behavior = text(step, "behavior").unwrap_or_default();
        match pattern(step)? {
            // A literal that cannot stand at the cut.
            Ok(literal) if !literal.contains(self.mark) => {
                if literal.contains(' ') || matches!(behavior, "Isolated" | "Removed") {
                    Ok(())
                } else {
                    Err("a split that merges with its neighbours".into())
                }
            }
            Ok(literal)
                if literal.chars().count() == 1 && behavior != "MergedWithPrevious" && behavior != "Contiguous" =>
            {
                self.cut = true;
                Ok(())
            }
            Err(regex) if matches!(behavior, "Isolated" | "Removed") => {
                if crosses(regex, self.mark)? {
                    return Err("a split that may reach over a space".into());
                }
                // Whatever stands at the cut, the last alternative begins a match there.
                self.cut |= self.mark == ' ' && (regex.ends_with(r"|\s+") || regex.ends_with(r"|\s"));
                Ok(())
            }
            _ => Err("a split that merges with its neighbours".into()),
        }
    }

    /// The model's part of the proof, where no boundary falls on the cut.
    fn merges_stay_apart(&self, skeleton: &TokenizerJson, kind: ModelKind, vocabulary: &Vocabulary) -> Proof<()> {
        if kind != ModelKind::Bpe {
            return Err("its model sees whole lines and is not a BPE".into());
        }
        let model = skeleton.model.as_ref();
        let affixed = model.is_some_and(|m| {
            [&m.continuing_subword_prefix, &m.end_of_word_suffix].into_iter().flatten().any(|affix| !affix.is_empty())
        });
        if affixed || model.is_some_and(|m| m.ignore_merges.unwrap_or(false)) {
            return Err("its model treats a whole line as a word".into());
        }
        let mut knows_mark = false;
        for (_, token) in vocabulary.iter() {
            let mut other_seen = false;
            for c in token.raw.chars() {
                if c == self.mark && other_seen {
                    return Err(format!("the token {:?} reaches over a space", token.raw));
                }
                other_seen |= c != self.mark;
            }
            knows_mark |= token.raw.chars().eq([self.mark]);
        }
        if knows_mark { Ok(()) } else { Err("a space is unknown to it".into()) }
    }
}
