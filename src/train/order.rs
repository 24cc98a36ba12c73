//! In which order sequences are seen: every epoch a new permutation, drawn from the seed and the epoch alone, so
//! that a position is all that must be remembered to go on exactly.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// The endless order of `count` sequences.
#[derive(Debug, Clone)]
pub struct Sampler {
    seed: u64,
    epoch: u64,
    permutation: Vec<u32>,
}

impl Sampler {
    /// An order of sequences `0..count`.
    pub fn new(count: usize, seed: u64) -> Self {
        let mut order = Self { seed, epoch: 0, permutation: (0..count as u32).collect() };
        order.draw(0);
        order
    }

    /// The sequences at `position..position + n`, over the ends of epochs.
    pub fn take(&mut self, position: u64, n: usize) -> Vec<usize> {
        (position..position + n as u64).filter_map(|p| self.at(p)).collect()
    }

    fn at(&mut self, position: u64) -> Option<usize> {
        let count = self.permutation.len() as u64;
        let epoch = position.checked_div(count)?;
        if epoch != self.epoch {
            self.draw(epoch);
        }
        self.permutation.get((position % count) as usize).map(|i| *i as usize)
    }

    fn draw(&mut self, epoch: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(epoch + 1);
        self.epoch = epoch;
        self.permutation.sort_unstable();
        self.permutation.shuffle(&mut rng);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_shows_every_sequence_once_and_the_next_in_another_order() {
        let mut order = Sampler::new(100, 7);
        let (first, second) = (order.take(0, 100), order.take(100, 100));
        for epoch in [&first, &second] {
            let mut sorted = epoch.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..100).collect::<Vec<_>>());
        }
        assert_ne!(first, second);
        assert_ne!(first, Sampler::new(100, 8).take(0, 100));
    }

    #[test]
    fn an_order_resumed_anywhere_equals_the_unbroken_one() {
        let unbroken = Sampler::new(13, 7).take(0, 60);
        for position in [0, 1, 12, 13, 14, 40] {
            let resumed = Sampler::new(13, 7).take(position, 60 - position as usize);
            assert_eq!(resumed, unbroken[position as usize..], "from {position}");
        }
    }

    /// `tests/fixtures/order.json`: a run that is resumed under a later version must see the text in the same order.
    #[test]
    fn the_order_of_a_seed_is_the_same_in_every_version() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/order.json");
        let order = Sampler::new(40, 11).take(0, 1600);
        let kept: Vec<usize> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(order, kept);
    }

    #[test]
    fn no_sequences_give_no_order() {
        assert!(Sampler::new(0, 1).take(0, 5).is_empty());
    }
}
