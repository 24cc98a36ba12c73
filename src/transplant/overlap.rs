//! `overlap`: rows of tokens that both vocabularies share, copied bit for bit; special tokens by role, never mixed
//! from others.

use super::{InitContext, Initialiser};
use crate::domain::vocabulary::Origin;

/// Answers for tokens of the same bytes.
pub struct Exact;

impl Initialiser for Exact {
    fn name(&self) -> &'static str {
        "exact"
    }

    fn fill(&self, ground: &InitContext<'_>, _: u32, origin: &Origin, row: &mut [f32]) -> bool {
        let Origin::Exact(id) = origin else { return false };
        ground.source().copy(*id, row);
        true
    }
}

/// Answers for special tokens whose role the old vocabulary fills too.
pub struct RoleCopies;

impl Initialiser for RoleCopies {
    fn name(&self) -> &'static str {
        "special"
    }

    fn fill(&self, ground: &InitContext<'_>, _: u32, origin: &Origin, row: &mut [f32]) -> bool {
        let Origin::Role(id) = origin else { return false };
        ground.source().copy(*id, row);
        true
    }
}

/// Whether rows that a link of this name filled are copies of old rows.
pub fn is_copy(by: &str) -> bool {
    [Exact.name(), RoleCopies.name()].contains(&by)
}
