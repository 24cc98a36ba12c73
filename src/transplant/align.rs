//! `align`: a new token takes the row of the old token that stands in the same contexts: co-occurrence with tokens both
//! vocabularies share (pivots), under each tokenizer, on the same text (TokAlign 2025); or, with a donor, nearness to the
//! pivots in the donor's embeddings and in the base's own.
//!
//! TokAlign copies the best match. Here a match counts as far as it goes: the row is drawn towards the mean of all rows
//! by what the match lacks of 1. A copy that is certain of a poor match is worse than chance (docs/transplant.md).

use super::error::TransplantError;
use super::space::{AuxiliarySpace, SpaceConfig};
use super::table::dot;
use super::{InitContext, Initialiser};
use crate::domain::vocabulary::{Mapping, Origin};
use crate::tokenizer::Coder;

/// Answers for tokens the text uses.
pub struct Align {
    candidate: AuxiliarySpace<'static>,
    source: AuxiliarySpace<'static>,
    /// Old tokens that have a vector.
    known: Vec<u32>,
}

/// Shared tokens that serve as contexts.
const PIVOTS: usize = 300;

impl Align {
    /// Learns both spaces from one text.
    ///
    /// # Errors
    /// Where a tokenizer fails, or the vocabularies share nothing the text uses.
    pub fn learn<S: AsRef<str> + Sync>(
        source: &Coder,
        candidate: &Coder,
        mapping: &Mapping,
        documents: &[S],
        config: &SpaceConfig,
    ) -> Result<Self, TransplantError> {
        let mut counts = vec![0u64; candidate.rows()];
        for id in candidate.encode(documents)?.iter().flat_map(|e| &e.ids) {
            if let Some(n) = counts.get_mut(*id as usize) {
                *n += 1;
            }
        }
        let shared = mapping.origins.iter().enumerate().filter_map(|(id, origin)| match origin {
            Origin::Exact(old) => Some((counts.get(id).copied().unwrap_or(0), id as u32, *old)),
            _ => None,
        });
        let mut pivots: Vec<(u64, u32, u32)> = shared.filter(|p| p.0 > 0).collect();
        pivots.sort_by_key(|(n, id, _)| (std::cmp::Reverse(*n), *id));
        pivots.truncate(PIVOTS);
        if pivots.is_empty() {
            return Err(TransplantError::Data("the two vocabularies share no token that the text uses".into()));
        }
        let new: Vec<u32> = pivots.iter().map(|p| p.1).collect();
        let old: Vec<u32> = pivots.iter().map(|p| p.2).collect();
        let candidate = AuxiliarySpace::over_contexts(candidate, documents, &new, config)?;
        Ok(Self::between(candidate, AuxiliarySpace::over_contexts(source, documents, &old, config)?, source.rows()))
    }

    /// By nearness to shared tokens in a donor's embeddings and in the base's own.
    ///
    /// # Errors
    /// Where the vocabularies share nothing.
    pub fn with_donor(
        donor: &AuxiliarySpace<'_>,
        base: &AuxiliarySpace<'_>,
        mapping: &Mapping,
        rows: usize,
    ) -> Result<Self, TransplantError> {
        let shared = mapping.origins.iter().enumerate().filter_map(|(id, origin)| match origin {
            Origin::Exact(old) if donor.has(id as u32) && base.has(*old) => Some((id as u32, *old)),
            _ => None,
        });
        // Low ids are frequent tokens in every common kind of tokenizer.
        let (new, old): (Vec<u32>, Vec<u32>) = shared.take(PIVOTS).unzip();
        if new.is_empty() {
            return Err(TransplantError::Data("the two vocabularies share no token".into()));
        }
        Ok(Self::between(donor.relative_to(&new), base.relative_to(&old), rows))
    }

    fn between(candidate: AuxiliarySpace<'static>, source: AuxiliarySpace<'static>, rows: usize) -> Self {
        let known = (0..rows as u32).filter(|id| source.has(*id)).collect();
        Self { candidate, source, known }
    }
}

impl Initialiser for Align {
    fn name(&self) -> &'static str {
        "align"
    }

    fn fill(&self, ground: &InitContext<'_>, id: u32, _: &Origin, row: &mut [f32]) -> bool {
        let Some(vector) = self.candidate.get(id) else { return false };
        let nearness = |old: &u32| self.source.get(*old).map_or(f32::NEG_INFINITY, |v| dot(&v, &vector));
        let known = self.known.iter().filter(|old| (**old as usize) < ground.source().rows());
        let best = known.map(|old| (nearness(old), *old)).max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        let Some((near, old)) = best.filter(|(near, _)| *near > 0.0) else { return false };
        let near = near.min(1.0);
        row.iter_mut().zip(ground.mean()).for_each(|(x, m)| *x = (1.0 - near) * m);
        ground.source().add(old, near, row);
        true
    }
}
