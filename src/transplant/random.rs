//! `random`: rows drawn from N(mean, std) of the old rows, each dimension for itself. The baseline that every other
//! method must beat, and the last link where nothing expresses a token.

use super::{InitContext, Initialiser};
use crate::domain::vocabulary::Origin;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Answers always.
pub struct Random;

impl Initialiser for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn fill(&self, ground: &InitContext<'_>, id: u32, _: &Origin, row: &mut [f32]) -> bool {
        // A stream of its own for every row: the order in which rows are filled does not matter.
        let mut rng = ChaCha8Rng::seed_from_u64(ground.seed());
        rng.set_stream(u64::from(id));
        for ((x, mean), std) in row.iter_mut().zip(ground.mean()).zip(ground.std()) {
            *x = mean + std * normal(&mut rng);
        }
        true
    }
}

/// A draw from N(0, 1) (Box and Muller 1958).
fn normal(rng: &mut ChaCha8Rng) -> f32 {
    let (u, v): (f64, f64) = (rng.random(), rng.random());
    ((-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
}
