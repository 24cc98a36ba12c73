//! `mean`: every row the mean of the old rows (Hewitt 2021). A new token then begins as likely as an average old one.

use super::{InitContext, Initialiser};
use crate::domain::vocabulary::Origin;

/// Answers always.
pub struct Mean;

impl Initialiser for Mean {
    fn name(&self) -> &'static str {
        "mean"
    }

    fn fill(&self, ground: &InitContext<'_>, _: u32, _: &Origin, row: &mut [f32]) -> bool {
        row.copy_from_slice(ground.mean());
        true
    }
}
