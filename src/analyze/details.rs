//! What would an expert look at besides the main numbers? Puts the details of a profile together.

use super::counts::{Counts, SideCounts};
use super::probe::{digits, unreachable};
use super::traps::{Evidence, traps};
use crate::domain::details::{Details, Worth};
use crate::domain::metric::{Pair, Share};
use crate::domain::profile::ModelSummary;
use crate::domain::vocabulary::{TokenKind, Vocabulary};
use crate::tokenizer::TokenizerFile;

/// The order of the Renyi entropy; Zouhar et al. 2023 found 2.5 to predict translation quality best.
const ALPHA: f64 = 2.5;

/// The details of a pair, on what was counted and for the model where they are known.
pub(super) fn details(
    source: &TokenizerFile,
    candidate: &TokenizerFile,
    counts: Option<&Counts>,
    model: Option<&ModelSummary>,
) -> Details {
    let (a, b) = rayon::join(|| unreachable(source), || unreachable(candidate));
    let lost = Pair { source: a.as_slice(), candidate: b.as_slice() };
    let unreachable = Pair { source: a.len() as u64, candidate: b.len() as u64 };
    let digits = Pair { source: digits(source), candidate: digits(candidate) };
    let unused = counts.map(|c| Pair {
        source: unused(&source.vocabulary, &c.source),
        candidate: unused(&candidate.vocabulary, &c.candidate),
    });
    Details {
        strr: counts.and_then(|c| {
            Some(Pair {
                source: Share::of(c.seen.source.whole, c.seen.source.words)?,
                candidate: Share::of(c.seen.candidate.whole, c.seen.candidate.words)?,
            })
        }),
        renyi_efficiency: counts.and_then(|c| {
            Some(Pair {
                source: renyi_efficiency(&c.source.by_id, source.vocabulary.len())?,
                candidate: renyi_efficiency(&c.candidate.by_id, candidate.vocabulary.len())?,
            })
        }),
        unreachable: Some(unreachable),
        unused,
        digits: Some(digits),
        parity: None,
        worth: Some(worth(source, candidate, counts, model)),
        traps: traps(&Evidence { source, candidate, counts, model, unreachable: lost, unused, digits }),
    }
}

/// Text tokens that never occurred.
fn unused(vocabulary: &Vocabulary, counts: &SideCounts) -> u64 {
    let never = |id: u32| counts.by_id.get(id as usize).is_none_or(|n| *n == 0);
    vocabulary.iter().filter(|(id, t)| t.kind == TokenKind::Text && never(*id)).count() as u64
}

/// Renyi entropy of the counts over the logarithm of the vocabulary's size:
/// H = ln(sum p^alpha) / (1 - alpha), efficiency = H / ln V. `None` for an empty count or a vocabulary of one.
fn renyi_efficiency(counts: &[u64], vocabulary: usize) -> Option<Share> {
    let total: u64 = counts.iter().sum();
    if total == 0 || vocabulary < 2 {
        return None;
    }
    let powers: f64 = counts.iter().filter(|n| **n > 0).map(|n| (*n as f64 / total as f64).powf(ALPHA)).sum();
    let efficiency = powers.ln() / (1.0 - ALPHA) / (vocabulary as f64).ln();
    Share::new(efficiency.clamp(0.0, 1.0)).ok()
}

/// What the move is worth.
fn worth(
    source: &TokenizerFile,
    candidate: &TokenizerFile,
    counts: Option<&Counts>,
    model: Option<&ModelSummary>,
) -> Worth {
    let tokens =
        counts.map(|c| (c.source.tokens as f64, c.candidate.tokens as f64)).filter(|(s, c)| *s > 0.0 && *c > 0.0);
    let words = counts.map(|c| c.words as f64).filter(|w| *w > 0.0);
    let parameters = model.map(|m| {
        let tables = if m.tied { 1 } else { 2 };
        let rows = m.embedding_rows.max(source.vocabulary.rows() as u64);
        Pair { source: rows * m.hidden * tables, candidate: candidate.vocabulary.rows() as u64 * m.hidden * tables }
    });
    // What a token passes through: everything but a table that is only looked up in.
    let passed = model.zip(parameters).map(|(m, p)| {
        let rest = m.parameters.saturating_sub(m.embedding_rows * m.hidden * if m.tied { 1 } else { 2 });
        let heads = if m.tied { 1 } else { 2 };
        Pair { source: (rest + p.source / heads) as f64, candidate: (rest + p.candidate / heads) as f64 }
    });
    let flops = |each: f64| {
        let (((s, c), words), n) = tokens.zip(words).zip(passed)?;
        Some(Pair { source: each * n.source * s / words * 1e6, candidate: each * n.candidate * c / words * 1e6 })
    };
    Worth {
        train_flops_per_million_words: flops(6.0),
        inference_flops_per_million_words: flops(2.0),
        tokens_saved_per_million_words: tokens.zip(words).map(|((s, c), w)| (s - c) / w * 1e6),
        context_gain: tokens.map(|(s, c)| s / c),
        embedding_parameters: parameters,
        embedding_bytes: parameters.map(|p| Pair { source: p.source * 2, candidate: p.candidate * 2 }),
        compute: tokens.map(|(s, c)| c / s),
    }
}

#[cfg(test)]
mod tests {
    use super::renyi_efficiency;

    #[test]
    fn tokens_used_evenly_are_fully_efficient_and_a_single_one_is_not() {
        // Reference: H of a uniform distribution over V is ln V at every order; of a single token 0.
        assert!((renyi_efficiency(&[5, 5, 5, 5], 4).unwrap().get() - 1.0).abs() < 1e-12);
        assert_eq!(renyi_efficiency(&[7, 0, 0, 0], 4).unwrap().get(), 0.0);
        // By hand: p = (3/4, 1/4): ln(0.75^2.5 + 0.25^2.5) / -1.5 / ln 2 = 0.5663.
        let by_hand = (0.75f64.powf(2.5) + 0.25f64.powf(2.5)).ln() / -1.5 / 2f64.ln();
        assert!((renyi_efficiency(&[3, 1], 2).unwrap().get() - by_hand).abs() < 1e-12);
        assert_eq!(renyi_efficiency(&[0], 2), None);
    }
}
