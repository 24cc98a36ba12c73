//! Where do the usual byte-level pre-tokenizers cut a plain text: letters, ASCII digits and ASCII punctuation, with at most
//! one space, at its beginning? What a regular expression finds there character by character can be read off its
//! alternatives; other expressions and other texts are not known here, and say so.

/// The alternatives of one of the usual expressions (GPT-2's and those that came from it), in their order:
/// contractions, words, numbers, punctuation, white space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Split {
    /// Whether English contractions are cut off, also when in capitals.
    contractions: bool,
    any_case: bool,
    /// Whether a word takes any one character before it, and not just a space.
    takes_before: bool,
    /// Digits that stay together at most.
    digits: usize,
    /// Whether a number takes a space before it.
    spaced_numbers: bool,
}

/// What GPT-2's pre-tokenizer looks for; the library's byte-level step has it built in.
pub(super) const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// Suffixes that are cut off after an apostrophe, in the expressions' order.
const SUFFIXES: [&str; 7] = ["s", "t", "re", "ve", "m", "ll", "d"];

impl Split {
    /// Of an expression, if all of it is understood.
    pub fn of(regex: &str) -> Option<Self> {
        let any = regex.strip_prefix("(?i:'s|'t|'re|'ve|'m|'ll|'d)|");
        let exact = regex.strip_prefix("'s|'t|'re|'ve|'m|'ll|'d|");
        let rest = any.or(exact).unwrap_or(regex);
        let (takes_before, rest) = match rest.strip_prefix(r"[^\r\n\p{L}\p{N}]?\p{L}+|") {
            Some(rest) => (true, rest),
            None => (false, rest.strip_prefix(r" ?\p{L}+|")?),
        };
        let numbers = [(r"\p{N}{1,3}|", 3, false), (r"\p{N}+|", usize::MAX, false), (r" ?\p{N}+|", usize::MAX, true)];
        let one = rest.strip_prefix(r"\p{N}|").map(|rest| (1, false, rest));
        let (digits, spaced_numbers, rest) = one.or_else(|| {
            numbers.iter().find_map(|(text, most, spaced)| Some((*most, *spaced, rest.strip_prefix(*text)?)))
        })?;
        let rest = rest.strip_prefix(r" ?[^\s\p{L}\p{N}]+")?;
        let rest = rest.strip_prefix(r"[\r\n]*").or(rest.strip_prefix(r"[\r\n/]*")).unwrap_or(rest);
        // All of these take the one space before what takes no space itself, and nothing more of a plain text.
        let spaces = [r"|\s*[\r\n]+|\s+(?!\S)|\s+", r"|\s*[\r\n]|\s+(?!\S)|\s+", r"|\s+(?!\S)|\s+"];
        let (contractions, any_case) = (any.or(exact).is_some(), any.is_some());
        spaces.contains(&rest).then_some(Self { contractions, any_case, takes_before, digits, spaced_numbers })
    }

    /// Hands the parts of a plain text on, in order, until one is refused; `None` for other texts, and when it was.
    pub fn parts<'a>(&self, text: &'a str, mut part: impl FnMut(&'a str) -> Option<()>) -> Option<()> {
        let plain = |c: char| is_letter(c) || c.is_ascii_digit() || c.is_ascii_punctuation();
        if text.is_empty() || !text.strip_prefix(' ').unwrap_or(text).chars().all(plain) || text == " " {
            return None;
        }
        let mut rest = text;
        while let Some(length) = self.next(rest) {
            let (first, others) = rest.split_at_checked(length)?;
            part(first)?;
            rest = others;
        }
        Some(())
    }

    /// Bytes of the first part; `None` at the end.
    fn next(&self, text: &str) -> Option<usize> {
        let first = text.chars().next()?;
        let behind = text.get(first.len_utf8()..)?;
        if first == '\''
            && self.contractions
            && let Some(length) = self.contraction(behind)
        {
            return Some(1 + length);
        }
        let letters = |text: &str| text.find(|c| !is_letter(c)).unwrap_or(text.len());
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count().min(self.digits);
        let punctuation = |text: &str| text.bytes().take_while(u8::is_ascii_punctuation).count();
        if is_letter(first) {
            return Some(letters(text));
        }
        let may_join = first == ' ' || self.takes_before && first.is_ascii_punctuation();
        Some(match (letters(behind), digits(behind)) {
            (n, _) if n > 0 && may_join => 1 + n,
            (_, n) if n > 0 && first == ' ' && self.spaced_numbers => 1 + n,
            _ if first.is_ascii_digit() => digits(text),
            _ if first == ' ' => 1 + punctuation(behind),
            _ => punctuation(text),
        })
    }

    /// Bytes of the contraction's suffix that a text begins with.
    fn contraction(&self, text: &str) -> Option<usize> {
        let begins = |suffix: &&&str| {
            let begin = text.as_bytes().get(..suffix.len());
            begin.is_some_and(|b| b == suffix.as_bytes() || self.any_case && b.eq_ignore_ascii_case(suffix.as_bytes()))
        };
        SUFFIXES.iter().find(begins).map(|s| s.len())
    }
}

/// Letters (general category L) that are their own NFC and compose with no letter after them: the Latin and Cyrillic
/// blocks, which hold most words; others take the long way. The long s is left out: regardless of case it is an s.
pub(super) fn is_letter(c: char) -> bool {
    matches!(c, 'a'..='z' | 'A'..='Z' | 'À'..='Ö' | 'Ø'..='ö' | 'ø'..='ž' | 'ƀ'..='ɏ' | 'Ѐ'..='ҁ')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokenizers::pre_tokenizers::split::{Split as Library, SplitPattern};
    use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, SplitDelimiterBehavior};

    const QWEN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    const CL100K: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    const WHOLE_NUMBERS: &str = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]|\s+(?!\S)|\s+";

    fn read_off(regex: &str, text: &str) -> Option<Vec<String>> {
        let mut parts = Vec::new();
        Split::of(regex)?.parts(text, |part| {
            parts.push(part.to_owned());
            Some(())
        })?;
        Some(parts)
    }

    fn library(regex: &str, text: &str) -> Vec<String> {
        let split = Library::new(SplitPattern::Regex(regex.to_owned()), SplitDelimiterBehavior::Isolated, false)
            .expect("a regex");
        let mut pieces = PreTokenizedString::from(text);
        split.pre_tokenize(&mut pieces).expect("splits");
        let splits = pieces.get_splits(OffsetReferential::Original, OffsetType::Byte);
        splits.into_iter().map(|(text, _, _)| text.to_owned()).collect()
    }

    #[test]
    fn other_expressions_and_other_texts_are_not_read_off() {
        assert_eq!(Split::of(r"\w+"), None);
        assert_eq!(Split::of(&format!("{GPT2}|x")), None);
        for text in ["", " ", "a b", "  a", "a\n", "日本", "é\u{301}", "ſ"] {
            assert_eq!(read_off(GPT2, text), None, "{text:?}");
        }
    }

    #[test]
    fn no_letter_is_one_that_the_expressions_do_not_take_for_a_letter() {
        for c in ('\0'..='\u{2fff}').filter(|c| is_letter(*c)) {
            assert_eq!(library(QWEN, &format!("a{c}a")).len(), 1, "{c:?}");
        }
    }

    proptest! {
        /// Against the library's own splits, part by part.
        #[test]
        fn plain_texts_are_cut_where_the_expressions_cut_them(text in " ?[a-zA-Zıİşçğя0-9'sSdDtTlLrReEvVmM.,!?/\\-\"()$]{1,12}") {
            for regex in [GPT2, QWEN, CL100K, WHOLE_NUMBERS] {
                prop_assert_eq!(read_off(regex, &text), Some(library(regex, &text)), "{}", regex);
            }
        }
    }
}
