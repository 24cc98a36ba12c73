//! How well can the original model's space express the candidate's tokens? Here the surface basis: how a token
//! decomposes into the original's pieces, which needs the tokenizers alone.

use crate::domain::metric::Similarity;
use crate::domain::profile::{Basis, BasisScore};
use crate::domain::vocabulary::{Mapping, Origin, TokenKind, Vocabulary};

/// The surface score: over the candidate's tokens (control tokens left out), each weighed by its occurrences where
/// there is a corpus and by one where there is none, the mean of
///
/// q = sum over the token's pieces of (bytes of the piece / bytes of the token)^2
///
/// q is the chance that two bytes of the token, drawn at random, stand in the same piece (Simpson's index): 1 for one
/// piece, 1/n for n pieces of equal length, more where one piece carries most of the token, 0 where the original
/// cannot write it. A row made from the pieces carries what the pieces carry; the more of the token one trained piece
/// holds, the less is left to learn.
pub(super) fn surface(candidate: &Vocabulary, mapping: &Mapping, occurrences: Option<&[u64]>) -> BasisScore {
    let (mut sum, mut weight) = (0.0, 0.0);
    for ((id, token), origin) in
        candidate.iter().filter_map(|(id, t)| Some(((id, t), mapping.origins.get(id as usize)?)))
    {
        if token.kind == TokenKind::Special {
            continue;
        }
        let w = occurrences.map_or(1.0, |n| n.get(id as usize).copied().unwrap_or(0) as f64);
        weight += w;
        sum += w * quality(origin);
    }
    let weighed = if occurrences.is_some() { "weighed by occurrence on the corpus" } else { "each token counted once" };
    BasisScore {
        basis: Basis::Surface,
        score: similarity(if weight > 0.0 { sum / weight } else { 0.0 }),
        chance: None,
        note: format!(
            "chance that two bytes of a candidate token stand in the same piece of the original's decomposition, {weighed}"
        ),
    }
}

/// q of a token; see [`surface`].
fn quality(origin: &Origin) -> f64 {
    match origin {
        Origin::Exact(_) | Origin::Role(_) => 1.0,
        Origin::Nothing => 0.0,
        Origin::Pieces(pieces) => {
            let total: f64 = pieces.iter().map(|(_, n)| f64::from(*n)).sum();
            pieces.iter().map(|(_, n)| (f64::from(*n) / total).powi(2)).sum()
        }
    }
}

/// A score that rounding may have pushed over an end of its range.
fn similarity(score: f64) -> Similarity {
    let clamped = if score.is_finite() { score.clamp(0.0, 1.0) } else { 0.0 };
    Similarity::try_from(clamped).unwrap_or_else(|_| unreachable!("clamped to the range"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::vocabulary::Token;
    use std::collections::HashMap;

    #[test]
    fn a_token_scores_one_over_the_number_of_equal_pieces_and_nothing_scores_zero() {
        assert_eq!(quality(&Origin::Exact(0)), 1.0);
        assert_eq!(quality(&Origin::Pieces(vec![(1, 2), (2, 2)])), 0.5);
        assert_eq!(quality(&Origin::Pieces(vec![(1, 6), (2, 2)])), 0.625);
        assert_eq!(quality(&Origin::Nothing), 0.0);
    }

    #[test]
    fn occurrences_weigh_and_control_tokens_do_not() {
        let token = |kind| Some(Token { raw: String::new(), bytes: vec![1], kind });
        let tokens = vec![token(TokenKind::Text), token(TokenKind::Text), token(TokenKind::Special)];
        let vocabulary = Vocabulary::new(tokens, HashMap::new());
        let mapping = Mapping { origins: vec![Origin::Exact(0), Origin::Nothing, Origin::Nothing] };
        let score = |n: Option<&[u64]>| surface(&vocabulary, &mapping, n).score.get();
        assert_eq!((score(None), score(Some(&[3, 1, 100])), score(Some(&[0, 0, 0]))), (0.5, 0.75, 0.0));
    }
}
