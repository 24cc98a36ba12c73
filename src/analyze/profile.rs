//! What is said of a tokenizer pair as a whole? Measures everything once and writes the profile down.

use super::counts::{Counts, SideCounts, count};
use super::details::details;
use super::error::AnalyzeError;
use super::listing::Listing;
use super::mapping::mapping;
use super::matches::{Matched, classes};
use super::similarity::{Embeddings, Grounds, similarity_on_all_bases};
use crate::corpus::Corpus;
use crate::domain::details::Details;
use crate::domain::event::Observer;
use crate::domain::metric::{BytesPerToken, Coverage, Fertility, OutOfRange, Pair, Share, TokenRatio};
use crate::domain::profile::{
    CorpusSummary, CoverageMetrics, Match, MatchCount, ModelSummary, Profile, TokenizerSummary,
};
use crate::domain::reason::{Warning, Warnings};
use crate::domain::vocabulary::{Mapping, TokenKind, Vocabulary};
use crate::tokenizer::{TokenizerError, TokenizerFile};
use std::collections::HashSet;
use std::path::Path;
use strum::IntoEnumIterator;

/// What a profile is made of.
#[derive(Clone)]
pub struct ProfileInputs<'a> {
    /// The original tokenizer.
    pub source: &'a TokenizerFile,
    /// The candidate tokenizer.
    pub candidate: &'a TokenizerFile,
    /// A text in the language or domain that matters, where there is one.
    pub corpus: Option<&'a Corpus>,
    /// The model, where there is one.
    pub model: Option<ModelSummary>,
}

/// What else there may be to look at.
#[derive(Clone, Copy, Default)]
pub struct Besides<'a> {
    /// The model's input embeddings.
    pub embeddings: Option<Embeddings<'a>>,
    /// A text and its translation, line by line.
    pub parallel: Option<[&'a Corpus; 2]>,
}

/// Grows whenever a profile of the same inputs may come out otherwise, so that no profile of before is taken for one of
/// now.
pub const METHOD: u32 = 1;

/// A profile, and what it was made from, token by token.
pub struct Analysis {
    /// The profile.
    pub profile: Profile,
    matched: Vec<Option<Matched>>,
    mapping: Mapping,
    counts: Option<Counts>,
}

impl Analysis {
    /// Writes every candidate token with its bytes, class, match, count and decomposition; the file's name says the
    /// form (.parquet, .csv or .jsonl). The file is there whole or not at all. `candidate` is the one that was analysed.
    ///
    /// # Errors
    /// [`AnalyzeError::Output`] when the name is of no known form or the file cannot be written.
    pub fn write_tokens(&self, candidate: &TokenizerFile, path: &Path) -> Result<(), AnalyzeError> {
        let counts = self.counts.as_ref().map(|c| c.candidate.by_id.as_slice());
        let (matched, mapping) = (self.matched.as_slice(), &self.mapping);
        Listing { candidate: &candidate.vocabulary, matched, mapping, counts }.write(path)
    }
}

/// Measures a pair of tokenizers; with a corpus, on that corpus too.
///
/// # Errors
/// [`AnalyzeError`] when the corpus cannot be read or a tokenizer refuses a text.
pub fn profile(inputs: &ProfileInputs<'_>, observer: &mut dyn Observer) -> Result<Profile, AnalyzeError> {
    Ok(analyze(inputs, &Besides::default(), observer)?.profile)
}

/// The same with everything there is to look at, and with what it was made from.
///
/// # Errors
/// As [`profile`]; [`AnalyzeError::NotParallel`] where the parallel texts are not.
pub fn analyze(
    inputs: &ProfileInputs<'_>,
    besides: &Besides<'_>,
    observer: &mut dyn Observer,
) -> Result<Analysis, AnalyzeError> {
    // The library panics on some files that contradict themselves (a character map that points outside itself, say),
    // and only when a text comes that shows it.
    let guarded = std::panic::AssertUnwindSafe(|| measure(inputs, besides, observer));
    std::panic::catch_unwind(guarded).unwrap_or_else(|_| {
        let name = format!("{} or {}", inputs.source.name, inputs.candidate.name);
        Err(TokenizerError::Encode { name, reason: "its parts contradict each other".into() }.into())
    })
}

fn measure(
    inputs: &ProfileInputs<'_>,
    besides: &Besides<'_>,
    observer: &mut dyn Observer,
) -> Result<Analysis, AnalyzeError> {
    let ProfileInputs { source, candidate, corpus, model } = inputs;
    let counts = corpus.map(|c| count(source, candidate, c, observer)).transpose()?;
    let parity = besides.parallel.map(|texts| parity(source, candidate, texts, observer)).transpose()?;
    let occurrences = counts.as_ref().map(|c| c.candidate.by_id.as_slice());
    let (matched, mapping) = rayon::join(|| classes(source, candidate), || mapping(source, candidate));
    let classes: Vec<Option<Match>> = matched.iter().map(|m| m.map(|m| m.class)).collect();
    let (corpus, embeddings) = (*corpus, besides.embeddings);
    let grounds = Grounds { source, candidate, mapping: &mapping, occurrences, corpus, embeddings };
    let (similarity, details) = rayon::join(
        || similarity_on_all_bases(&grounds),
        || details(source, candidate, counts.as_ref(), model.as_ref()),
    );
    let details = Details { parity, ..details };
    let sides = counts.as_ref().map(Counts::sides);
    let summaries = Pair { source: source.summary(), candidate: candidate.summary() };
    let share = |part: fn(&SideCounts) -> u64, whole: fn(&SideCounts, &Counts) -> u64| {
        let counts = counts.as_ref()?;
        let of = |side: &SideCounts| Share::of(part(side), whole(side, counts));
        Some(Pair { source: of(&counts.source)?, candidate: of(&counts.candidate)? })
    };
    let unknown_bytes = share(|s| s.unknown_bytes, |_, c| c.bytes);
    let round_trip = share(|s| s.round_trips, |_, c| c.documents);
    let profile = Profile {
        corpus: match (corpus, &counts) {
            (Some(corpus), Some(counts)) => Some(CorpusSummary {
                files: corpus.files().map(|p| p.display().to_string()).collect(),
                sha256: corpus.sha256()?,
                bytes: counts.bytes,
                lines: counts.documents,
                words: counts.words,
                tokens: Pair { source: counts.source.tokens, candidate: counts.candidate.tokens },
            }),
            _ => None,
        },
        coverage: coverage(&source.vocabulary, &candidate.vocabulary, &classes, occurrences)?,
        matches: match_counts(&classes, occurrences)?,
        fertility: sides
            .zip(counts.as_ref())
            .and_then(|(s, c)| ratio(s, |side| (side.tokens, c.words), Fertility::new)),
        bytes_per_token: sides
            .zip(counts.as_ref())
            .and_then(|(s, c)| ratio(s, |side| (c.bytes, side.tokens), BytesPerToken::new)),
        token_ratio: sides.and_then(|s| TokenRatio::new(s.candidate.tokens as f64 / s.source.tokens as f64).ok()),
        round_trip,
        unknown_rate: share(|s| s.unknown, |s, _| s.tokens),
        unknown_bytes,
        similarity: similarity?,
        model: model.clone(),
        warnings: warnings(&summaries, round_trip, unknown_bytes),
        details: Some(details),
        source: summaries.source,
        candidate: summaries.candidate,
    };
    Ok(Analysis { profile, matched, mapping, counts })
}

/// For both tokenizers, tokens for a text over tokens for its translation (Petrov et al. 2023 call it a premium).
fn parity(
    source: &TokenizerFile,
    candidate: &TokenizerFile,
    [text, translation]: [&Corpus; 2],
    observer: &mut dyn Observer,
) -> Result<Pair<f64>, AnalyzeError> {
    let (left, right) = (count(source, candidate, text, observer)?, count(source, candidate, translation, observer)?);
    if left.documents != right.documents {
        return Err(AnalyzeError::NotParallel { left: left.documents, right: right.documents });
    }
    let over = |a: &SideCounts, b: &SideCounts| a.tokens as f64 / b.tokens.max(1) as f64;
    Ok(Pair { source: over(&left.source, &right.source), candidate: over(&left.candidate, &right.candidate) })
}

/// A ratio for both sides; `None` where it is outside its range (an empty denominator).
fn ratio<T>(
    sides: Pair<&SideCounts>,
    of: impl Fn(&SideCounts) -> (u64, u64),
    new: fn(f64) -> Result<T, OutOfRange>,
) -> Option<Pair<T>> {
    let value = |side| {
        let (part, whole) = of(side);
        new(part as f64 / whole as f64).ok()
    };
    Some(Pair { source: value(sides.source)?, candidate: value(sides.candidate)? })
}

/// Whether the original has a token of the same bytes.
fn is_covered(source: &Vocabulary, candidate: &Vocabulary, id: u32, class: Match) -> bool {
    match class {
        Match::Exact => true,
        Match::Byte => candidate.get(id).is_some_and(|t| source.by_bytes(&t.bytes).is_some()),
        Match::Special | Match::Space | Match::Case | Match::Normal | Match::Digits | Match::None => false,
    }
}

/// Coverage over the candidate's tokens that are not special: by type, by type with the strings compared as they
/// stand, and by occurrence.
fn coverage(
    source: &Vocabulary,
    candidate: &Vocabulary,
    classes: &[Option<Match>],
    occurrences: Option<&[u64]>,
) -> Result<CoverageMetrics, AnalyzeError> {
    let text = |t: &crate::domain::vocabulary::Token| t.kind != TokenKind::Special;
    let raw: HashSet<&str> = source.iter().filter(|(_, t)| text(t)).map(|(_, t)| t.raw.as_str()).collect();
    let (mut types, mut covered, mut naive, mut used, mut used_covered) = (0, 0, 0, 0, 0);
    for (id, token) in candidate.iter().filter(|(_, t)| text(t)) {
        let class = classes.get(id as usize).copied().flatten().unwrap_or(Match::None);
        let n = occurrences.and_then(|o| o.get(id as usize)).copied().unwrap_or(0);
        types += 1;
        used += n;
        naive += u64::from(raw.contains(token.raw.as_str()));
        if is_covered(source, candidate, id, class) {
            covered += 1;
            used_covered += n;
        }
    }
    let share = |part| Coverage::of(part, types).map_or_else(|| Coverage::new(0.0), Ok);
    Ok(CoverageMetrics {
        vocabulary: share(covered)?,
        vocabulary_naive: share(naive)?,
        corpus: occurrences.and_then(|_| Coverage::of(used_covered, used)),
    })
}

/// Types and occurrences of every class, in the order of [`Match`].
fn match_counts(classes: &[Option<Match>], occurrences: Option<&[u64]>) -> Result<Vec<MatchCount>, AnalyzeError> {
    let types = classes.iter().flatten().count() as u64;
    let all: u64 = occurrences.map_or(0, |o| o.iter().sum());
    let share = |part, whole| Share::of(part, whole).map_or_else(|| Share::new(0.0), Ok);
    Match::iter()
        .map(|class| {
            let of_class = |(_, c): &(usize, &Option<Match>)| **c == Some(class);
            let ids: Vec<usize> = classes.iter().enumerate().filter(of_class).map(|(id, _)| id).collect();
            let used = occurrences.map(|o| ids.iter().filter_map(|id| o.get(*id)).sum::<u64>());
            Ok(MatchCount {
                class,
                types: ids.len() as u64,
                type_share: share(ids.len() as u64, types)?,
                occurrences: used,
                occurrence_share: used.map(|n| share(n, all)).transpose()?,
            })
        })
        .collect()
}

/// What a person should know before going on.
fn warnings(
    tokenizers: &Pair<TokenizerSummary>,
    round_trip: Option<Pair<Share>>,
    unknown_bytes: Option<Pair<Share>>,
) -> Warnings {
    let falls_back = tokenizers.candidate.byte_fallback || !tokenizers.source.byte_fallback;
    let unknown = unknown_bytes.map_or(0.0, |u| u.candidate.get());
    let lost = round_trip.map_or(0.0, |r| 1.0 - r.candidate.get());
    [
        (!falls_back).then_some(Warning::NoByteFallback),
        (unknown > 0.0).then_some(Warning::UnknownBytes { share: unknown }),
        (lost > 0.0).then_some(Warning::NotRoundTrip { share: lost }),
    ]
    .into_iter()
    .flatten()
    .collect()
}
