//! How well can the original model's space express the candidate's tokens? Three bases, each a mean over the
//! candidate's tokens (control tokens left out, weighed by occurrence where there is a corpus) of a number that is 1
//! for a token whose row is there already and 0 for one that cannot be expressed:
//!
//! - *surface* ([`surface`]): how the token decomposes into the original's pieces; needs the tokenizers alone;
//! - *contextual* ([`contextual`]): how alike the company of the token and of its pieces is; needs a corpus;
//! - *reconstruction* ([`reconstruction`]): how well rows rebuilt from pieces match true rows; needs the embeddings.

use super::context::{Sample, TokenVectors};
use super::error::AnalyzeError;
use crate::corpus::Corpus;
use crate::domain::metric::Similarity;
use crate::domain::profile::{Basis, BasisScore, SimilarityScore};
use crate::domain::reason::SimilarityMethod;
use crate::domain::vocabulary::{Mapping, Origin, TokenKind, Vocabulary};
use crate::tokenizer::TokenizerFile;
use rayon::prelude::*;

/// Bytes of a corpus that the contextual basis looks at.
const SAMPLE: u64 = 8 << 20;
/// Shared tokens that are hidden and rebuilt at most.
const HIDDEN: usize = 4_000;

/// Rows that the mean is taken over at most.
const CENTRE: usize = 16_384;

/// A model's embedding matrix, read row by row.
#[derive(Clone, Copy)]
pub struct Embeddings<'a> {
    /// Rows, padding included.
    pub rows: usize,
    /// Width of a row, at least 1.
    pub width: usize,
    /// A row's values; `None` where it cannot be read.
    pub row: &'a (dyn Fn(u32) -> Option<Vec<f32>> + Sync),
}

/// What the bases rest on.
pub(super) struct Grounds<'a> {
    pub source: &'a TokenizerFile,
    pub candidate: &'a TokenizerFile,
    pub mapping: &'a Mapping,
    /// Occurrences by candidate id on the corpus.
    pub occurrences: Option<&'a [u64]>,
    pub corpus: Option<&'a Corpus>,
    pub embeddings: Option<Embeddings<'a>>,
}

/// The similarity on every basis there is the evidence for; the best basis gives the score.
///
/// # Errors
/// [`AnalyzeError::Corpus`] when the corpus cannot be read.
pub(super) fn similarity_on_all_bases(grounds: &Grounds<'_>) -> Result<SimilarityScore, AnalyzeError> {
    let Grounds { source, candidate, mapping, occurrences, corpus, embeddings } = grounds;
    let mut all = vec![surface(&candidate.vocabulary, mapping, *occurrences)];
    if let Some(corpus) = corpus {
        let sample = Sample::of(corpus, SAMPLE)?;
        let (of_source, of_candidate) = rayon::join(|| sample.vectors(source), || sample.vectors(candidate));
        all.push(contextual(&candidate.vocabulary, mapping, &of_source, &of_candidate));
    }
    if let Some(embeddings) = embeddings {
        all.extend(reconstruction(&source.vocabulary, &candidate.vocabulary, mapping, *occurrences, *embeddings));
    }
    let best = all.iter().max_by_key(|b| b.basis).map(|b| (b.score, b.basis));
    let (score, basis) = best.unwrap_or((similarity(0.0), Basis::Surface));
    Ok(SimilarityScore { score, basis, all })
}

/// The contextual score: for a token that the original has, the cosine of the two tokens' vectors; for one in pieces,
/// of the token's vector and the mean of its pieces'; 0 where nothing expresses it. Only tokens that occur count. The
/// vectors need no factorisation: their axes are few, and the same for both tokenizers from the start.
fn contextual(
    candidate: &Vocabulary,
    mapping: &Mapping,
    of_source: &TokenVectors,
    of_candidate: &TokenVectors,
) -> BasisScore {
    let mut scores = Vec::new();
    let mut rebuilt: Vec<Vec<f32>> = Vec::new();
    let mut wanted: Vec<&[f32]> = Vec::new();
    let mut weights = Vec::new();
    for (id, token) in candidate.iter().filter(|(_, t)| t.kind != TokenKind::Special) {
        let n = of_candidate.occurrences.get(id as usize).copied().unwrap_or(0);
        let (Some(vector), Some(origin)) = (of_candidate.get(id), mapping.origins.get(id as usize)) else { continue };
        if n == 0 || token.bytes.is_empty() {
            continue;
        }
        let rows: Vec<&[f32]> = match origin {
            Origin::Exact(source) | Origin::Role(source) => of_source.get(*source).into_iter().collect(),
            Origin::Pieces(pieces) => pieces.iter().filter_map(|(piece, _)| of_source.get(*piece)).collect(),
            Origin::Nothing => Vec::new(),
        };
        let mean = mean(&rows, vector.len());
        scores.push(cosine(&mean, vector));
        rebuilt.push(mean);
        wanted.push(vector);
        weights.push(n as f64);
    }
    BasisScore {
        basis: Basis::Contextual,
        score: similarity(weighted(&scores, &weights)),
        chance: Some(by_chance(&rebuilt, &wanted, &weights)),
        note: SimilarityMethod::Contextual { tokens: scores.len() as u64 }.into(),
    }
}

/// The reconstruction score. Tokens that both vocabularies share are hidden and rebuilt as the mean of the rows of the
/// fewest other tokens that spell them; r(n) is the mean cosine of rebuilt and true rows for n pieces, after the mean
/// row is taken from both. A candidate token counts 1 if the original has it, r(n) if it is written in n pieces, else 0.
/// `None` where no shared token can be rebuilt or the matrix is smaller than the vocabulary.
fn reconstruction(
    source: &Vocabulary,
    candidate: &Vocabulary,
    mapping: &Mapping,
    occurrences: Option<&[u64]>,
    embeddings: Embeddings<'_>,
) -> Option<BasisScore> {
    let weight = |id: u32| occurrences.map_or(1.0, |n| n.get(id as usize).copied().unwrap_or(0) as f64);
    if embeddings.rows < source.rows() {
        return None;
    }
    let row = |id: u32| (embeddings.row)(id).filter(|r| r.len() == embeddings.width);
    let ids: Vec<u32> = source.iter().map(|(id, _)| id).step_by(source.len().div_ceil(CENTRE).max(1)).collect();
    let rows: Vec<Vec<f32>> = ids.par_iter().map(|id| row(*id)).collect::<Option<_>>()?;
    let centre = mean(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>(), embeddings.width);
    drop(rows);
    let centred = |row: &[f32]| -> Vec<f32> { row.iter().zip(&centre).map(|(r, c)| r - c).collect() };
    let mut shared: Vec<(u32, u32)> = candidate
        .iter()
        .filter(|(id, t)| t.kind == TokenKind::Text && t.bytes.len() > 1 && weight(*id) > 0.0)
        .filter_map(|(id, _)| match mapping.origins.get(id as usize)? {
            Origin::Exact(source) => Some((id, *source)),
            Origin::Role(_) | Origin::Pieces(_) | Origin::Nothing => None,
        })
        .collect();
    shared.sort_by(|a, b| weight(b.0).total_cmp(&weight(a.0)).then(a.0.cmp(&b.0)));
    let step = shared.len().div_ceil(HIDDEN).max(1);
    let (mut rebuilt, mut wanted, mut weights, mut lengths) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (id, original) in shared.into_iter().step_by(step) {
        let Some(pieces) = source.get(original).and_then(|t| fewest_pieces(source, &t.bytes)) else { continue };
        let rows: Vec<Vec<f32>> = pieces.iter().map(|p| row(*p)).collect::<Option<_>>()?;
        let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        rebuilt.push(centred(&mean(&rows, embeddings.width)));
        wanted.push(centred(&row(original)?));
        weights.push(weight(id));
        lengths.push(pieces.len());
    }
    if rebuilt.is_empty() {
        return None;
    }
    let wanted: Vec<&[f32]> = wanted.iter().map(Vec::as_slice).collect();
    let cosines: Vec<f64> = rebuilt.iter().zip(&wanted).map(|(r, w)| cosine(r, w)).collect();
    let overall = weighted(&cosines, &weights);
    let of_length = |n: usize| {
        let chosen = || cosines.iter().zip(&weights).zip(&lengths).filter(|(_, l)| **l == n.max(2));
        let weight: f64 = chosen().map(|((_, w), _)| w).sum();
        // Too few of a length say less than all lengths together.
        if chosen().count() < 20 || weight == 0.0 {
            overall
        } else {
            chosen().map(|((c, w), _)| c * w).sum::<f64>() / weight
        }
    };
    let by_length: Vec<f64> = (0..=8).map(of_length).collect();
    let mut scores = Vec::new();
    let mut score_weights = Vec::new();
    for (id, _) in candidate.iter().filter(|(_, t)| t.kind != TokenKind::Special) {
        let rebuilt = |n: usize| by_length.get(n.min(8)).copied().unwrap_or(overall).max(0.0);
        scores.push(match mapping.origins.get(id as usize) {
            Some(Origin::Exact(_) | Origin::Role(_)) => 1.0,
            Some(Origin::Pieces(pieces)) => rebuilt(pieces.len()),
            Some(Origin::Nothing) | None => 0.0,
        });
        score_weights.push(weight(id));
    }
    let chance = by_chance(&rebuilt, &wanted, &weights);
    Some(BasisScore {
        basis: Basis::Reconstruction,
        score: similarity(weighted(&scores, &score_weights)),
        chance: Some(chance),
        note: SimilarityMethod::Reconstruction { tokens: cosines.len() as u64, cosine: overall, chance }.into(),
    })
}

/// The fewest tokens that spell `bytes`, the token of all of them left out; `None` where there are none.
fn fewest_pieces(vocabulary: &Vocabulary, bytes: &[u8]) -> Option<Vec<u32>> {
    // best[end]: pieces needed for the first `end` bytes, with the last piece and where it begins.
    let mut best: Vec<Option<(usize, u32, usize)>> = vec![None; bytes.len() + 1];
    for end in 1..=bytes.len() {
        for from in 0..end {
            let before = if from == 0 { Some(0) } else { best.get(from).copied().flatten().map(|(n, ..)| n) };
            let whole = from == 0 && end == bytes.len();
            let piece = bytes.get(from..end).filter(|_| !whole).and_then(|b| vocabulary.by_bytes(b));
            if let (Some(before), Some(id), Some(slot)) = (before, piece, best.get_mut(end))
                && slot.is_none_or(|(n, ..)| before + 1 < n)
            {
                *slot = Some((before + 1, id, from));
            }
        }
    }
    let mut pieces = Vec::new();
    let mut end = bytes.len();
    while end > 0 {
        let (_, id, from) = best.get(end).copied().flatten()?;
        pieces.push(id);
        end = from;
    }
    pieces.reverse();
    Some(pieces)
}

/// The mean of rows; zeros without any.
fn mean(rows: &[&[f32]], width: usize) -> Vec<f32> {
    let mut sum = vec![0f64; width];
    for row in rows {
        sum.iter_mut().zip(*row).for_each(|(s, v)| *s += f64::from(*v));
    }
    let n = rows.len().max(1) as f64;
    sum.into_iter().map(|s| (s / n) as f32).collect()
}

/// The cosine of two vectors; 0 where one is zero.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms > 0.0 { dot(a, b) / norms } else { 0.0 }
}

/// The weighted mean; 0 without weight.
fn weighted(values: &[f64], weights: &[f64]) -> f64 {
    let weight: f64 = weights.iter().sum();
    if weight > 0.0 { values.iter().zip(weights).map(|(v, w)| v * w).sum::<f64>() / weight } else { 0.0 }
}

/// The mean cosine when every rebuilt vector is compared with that of another token: the one after half the list, so
/// that neighbours, and pairs of a list that is built in two equal halves, do not meet.
fn by_chance(rebuilt: &[Vec<f32>], wanted: &[&[f32]], weights: &[f64]) -> f64 {
    let others = wanted.iter().cycle().skip(wanted.len() / 2 + 1);
    let cosines: Vec<f64> = rebuilt.iter().zip(others).map(|(r, w)| cosine(r, w)).collect();
    weighted(&cosines, weights)
}

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
    BasisScore {
        basis: Basis::Surface,
        score: similarity(if weight > 0.0 { sum / weight } else { 0.0 }),
        chance: None,
        note: SimilarityMethod::Surface { by_occurrence: occurrences.is_some() }.into(),
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
    fn a_hidden_token_is_spelt_with_the_fewest_others() {
        let token = |b: &str| Some(Token { raw: b.into(), bytes: b.into(), kind: TokenKind::Text });
        let vocabulary = Vocabulary::new(["abc", "a", "b", "c", "ab", "bc"].map(token).to_vec(), HashMap::new());
        assert_eq!(fewest_pieces(&vocabulary, b"abc").map(|p| p.len()), Some(2));
        assert_eq!(fewest_pieces(&vocabulary, b"ab"), Some(vec![1, 2]));
        assert_eq!(fewest_pieces(&vocabulary, b"a"), None);
        assert_eq!(fewest_pieces(&vocabulary, b"axc"), None);
    }

    #[test]
    fn rows_that_are_sums_of_their_pieces_are_rebuilt_perfectly_and_random_rows_are_not() {
        let letters = "abcdefghijklmnopqrstuvwxyz";
        let mut names: Vec<String> = letters.chars().map(String::from).collect();
        for a in letters.chars() {
            names.extend(letters.chars().map(|b| format!("{a}{b}")));
        }
        let token = |b: &String| Some(Token { raw: b.clone(), bytes: b.clone().into(), kind: TokenKind::Text });
        let vocabulary = Vocabulary::new(names.iter().map(token).collect(), HashMap::new());
        let origins: Vec<Origin> = (0..names.len() as u32).map(Origin::Exact).collect();
        let score = |row: &dyn Fn(&str) -> Vec<f32>| {
            let values: Vec<Vec<f32>> = names.iter().map(|n| row(n)).collect();
            let row = |id: u32| values.get(id as usize).cloned();
            let embeddings = Embeddings { rows: values.len(), width: 26, row: &row };
            let mapping = Mapping { origins: Clone::clone(&origins) };
            let score = reconstruction(&vocabulary, &vocabulary, &mapping, None, embeddings).unwrap();
            (score.note.to_string(), score.chance.unwrap())
        };
        let one_hot = |name: &str| -> Vec<f32> {
            letters.chars().map(|l| name.chars().filter(|c| *c == l).count() as f32 / name.len() as f32).collect()
        };
        let (note, chance) = score(&one_hot);
        assert!(note.contains("cosine 1.000"), "{note}");
        assert!(chance.abs() < 0.2, "{chance}");
        let noise = |name: &str| -> Vec<f32> {
            let seed = name.bytes().fold(7u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            (0..26u64)
                .map(|i| ((seed ^ i).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f32 / (1 << 24) as f32 - 0.5)
                .collect()
        };
        let (note, _) = score(&noise);
        assert!(!note.contains("cosine 1.000"), "{note}");
        let short = Embeddings { rows: 1, width: 26, row: &|_| Some(vec![0.0; 26]) };
        assert!(reconstruction(&vocabulary, &vocabulary, &Mapping { origins }, None, short).is_none());
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
