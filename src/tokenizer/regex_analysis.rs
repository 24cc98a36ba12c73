//! Can a match of a regular expression hold a space after something else? If it cannot, a text may be searched in
//! pieces that are cut before such a space. Decided from the expression's syntax; where that cannot be read, the
//! answer is an error and never a guess.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Whether a match may hold `mark` after another character; where the mark is a space, after a character that is not
/// white space.
///
/// `(?!\S)` is taken away first: without it more is matched, and it looks at nothing beyond the white space before it.
///
/// # Errors
/// A reason, when the expression cannot be read or looks at its surroundings.
pub(super) fn crosses(regex: &str, mark: char) -> Result<bool, String> {
    let superset = regex.replace(r"(?!\S)", "");
    let hir = regex_syntax::parse(&superset).map_err(|_| format!("the expression {regex:?} cannot be analysed"))?;
    Ok(facts(&hir, mark)?.crosses)
}

/// Whether matching may take time that is exponential in the text: an expression that needs backtracking (it looks
/// around, or back at a group) and repeats without bound what is itself repeated without bound. Others are matched in
/// linear time, or in polynomial time up to the library's own limit.
pub(super) fn explodes(regex: &str) -> bool {
    if regex_syntax::parse(regex).is_ok() {
        return false;
    }
    let mut plain = regex.to_owned();
    for look in ["(?=", "(?!", "(?<=", "(?<!", "(?>"] {
        plain = plain.replace(look, "(?:");
    }
    for digit in '1'..='9' {
        plain = plain.replace(&format!("\\{digit}"), "");
    }
    regex_syntax::parse(&plain).is_ok_and(|hir| nests(&hir, false))
}

/// Whether an unbounded repetition stands in another.
fn nests(hir: &Hir, inside: bool) -> bool {
    match hir.kind() {
        HirKind::Repetition(r) => {
            let unbounded = r.max.is_none();
            unbounded && inside || nests(&r.sub, inside || unbounded)
        }
        HirKind::Capture(c) => nests(&c.sub, inside),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(|p| nests(p, inside)),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => false,
    }
}

/// What is known of the matches of an expression.
#[derive(Clone, Copy)]
struct Facts {
    /// One may be empty.
    empty: bool,
    /// One may begin with the mark.
    begins: bool,
    /// One may end with another character.
    ends: bool,
    /// One may hold the mark after another character.
    crosses: bool,
}

const NOTHING: Facts = Facts { empty: true, begins: false, ends: false, crosses: false };

fn is_other(c: char, mark: char) -> bool {
    c != mark && !(mark == ' ' && c.is_whitespace())
}

fn facts(hir: &Hir, mark: char) -> Result<Facts, String> {
    Ok(match hir.kind() {
        HirKind::Empty => NOTHING,
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).map_err(|_| "an expression over bytes".to_owned())?;
            text.chars().fold(NOTHING, |before, c| then(before, one(c == mark, is_other(c, mark))))
        }
        HirKind::Class(Class::Unicode(class)) => {
            let has_mark = class.ranges().iter().any(|r| (r.start()..=r.end()).contains(&mark));
            // Seven is more than the longest run of white space.
            let other = class.ranges().iter().any(|r| (r.start()..=r.end()).take(16).any(|c| is_other(c, mark)));
            one(has_mark, other)
        }
        HirKind::Class(Class::Bytes(_)) => return Err("an expression over bytes".into()),
        HirKind::Look(_) => return Err("an expression that looks at its surroundings".into()),
        HirKind::Capture(capture) => facts(&capture.sub, mark)?,
        HirKind::Repetition(repetition) => {
            let sub = facts(&repetition.sub, mark)?;
            let again = repetition.max.is_none_or(|max| max > 1) && sub.ends && sub.begins;
            Facts { empty: sub.empty || repetition.min == 0, crosses: sub.crosses || again, ..sub }
        }
        HirKind::Concat(parts) => {
            let mut all = NOTHING;
            for part in parts {
                all = then(all, facts(part, mark)?);
            }
            all
        }
        HirKind::Alternation(parts) => {
            let mut all = Facts { empty: false, ..NOTHING };
            for part in parts {
                let part = facts(part, mark)?;
                all = Facts {
                    empty: all.empty || part.empty,
                    begins: all.begins || part.begins,
                    ends: all.ends || part.ends,
                    crosses: all.crosses || part.crosses,
                };
            }
            all
        }
    })
}

/// Of one character, which may be the mark and may be another.
fn one(mark: bool, other: bool) -> Facts {
    Facts { empty: false, begins: mark, ends: other, crosses: false }
}

/// Of one expression after another. A part that holds white space alone passes on what came before it.
fn then(a: Facts, b: Facts) -> Facts {
    Facts {
        empty: a.empty && b.empty,
        begins: a.begins || a.empty && b.begins,
        ends: b.ends || a.ends,
        crosses: a.crosses || b.crosses || a.ends && b.begins,
    }
}

#[cfg(test)]
mod tests {
    use super::{crosses, explodes};

    #[test]
    fn an_expression_that_backtracks_without_end_is_found_and_the_usual_ones_are_not() {
        for hostile in [r"(a+)+(?=b)", r"(?:\w+\s?)*(?!x)", r"(x*)*\1"] {
            assert!(explodes(hostile), "{hostile}");
        }
        for usual in [
            r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            r"(a+)+b",
        ] {
            assert!(!explodes(usual), "{usual}");
        }
    }

    #[test]
    fn the_usual_expressions_hold_no_space_after_anything_else() {
        for regex in [
            r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            " {2,}",
            "[0-9][0-9][0-9]",
        ] {
            assert_eq!(crosses(regex, ' '), Ok(false), "{regex}");
        }
    }

    #[test]
    fn an_expression_that_holds_words_and_spaces_is_found_out() {
        assert_eq!(crosses(r"\w+ \w+", ' '), Ok(true));
        assert_eq!(crosses(r"\p{L}+\s?", ' '), Ok(true));
        assert_eq!(crosses(r"(?: ?\p{L})+", ' '), Ok(true));
        assert_eq!(crosses(r".+", ' '), Ok(true));
        assert_eq!(crosses(r"[^\s]+", '▁'), Ok(true));
        assert_eq!(crosses(r"\p{L}\s* ", ' '), Ok(true));
    }

    #[test]
    fn what_cannot_be_read_is_not_guessed() {
        assert!(crosses(r"(?<!\n)^", ' ').is_err());
        assert!(crosses(r"\bword", ' ').is_err());
    }
}
