//! `align`: a new token takes the row of the old token that stands in the same contexts: co-occurrence with tokens both
//! vocabularies share (pivots), under each tokenizer, on the same text; the nearest is copied (TokAlign 2025).

use super::space::{Space, SpaceConfig, dot};
use super::{Ground, Initialiser};
use crate::domain::vocabulary::{Mapping, Origin};
use crate::execute::ExecuteError;
use crate::execute::tokenizer::Coder;

/// Answers for tokens the text uses.
pub struct Align {
    candidate: Space,
    source: Space,
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
    ) -> Result<Self, ExecuteError> {
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
            return Err(ExecuteError::Data("the two vocabularies share no token that the text uses".into()));
        }
        let new: Vec<u32> = pivots.iter().map(|p| p.1).collect();
        let old: Vec<u32> = pivots.iter().map(|p| p.2).collect();
        let candidate = Space::over_contexts(candidate, documents, &new, config)?;
        let rows = source.rows() as u32;
        let source = Space::over_contexts(source, documents, &old, config)?;
        let known = (0..rows).filter(|id| source.get(*id).is_some()).collect();
        Ok(Self { candidate, source, known })
    }
}

impl Initialiser for Align {
    fn name(&self) -> &'static str {
        "align"
    }

    fn fill(&self, ground: &Ground<'_>, id: u32, _: &Origin, row: &mut [f32]) -> bool {
        let Some(vector) = self.candidate.get(id) else { return false };
        let nearness = |old: &u32| self.source.get(*old).map_or(f32::NEG_INFINITY, |v| dot(v, vector));
        let known = self.known.iter().filter(|old| (**old as usize) < ground.source().rows());
        let best = known.map(|old| (nearness(old), *old)).max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        let Some((_, old)) = best.filter(|(near, _)| *near > 0.0) else { return false };
        row.copy_from_slice(ground.source().row(old as usize));
        true
    }
}
