//! What comes next? Seeded choices: even, weighted towards the front as words are, and by chance. The numbers come
//! straight from ChaCha8, so that the same seed writes the same text wherever and whenever it is asked.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A seeded source of choices.
#[derive(Debug, Clone)]
pub(super) struct Draw(ChaCha8Rng);

impl Draw {
    /// Streams of one seed are independent.
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Self(rng)
    }

    /// Uniform in 0..1.
    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with probability `p`.
    pub(super) fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// Uniform in `low..=high`.
    pub(super) fn number(&mut self, low: u32, high: u32) -> u32 {
        low + (self.unit() * f64::from(high - low + 1)) as u32
    }

    /// Any item, all alike. The list is not empty.
    pub(super) fn even<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[(self.unit() * items.len() as f64) as usize]
    }

    /// An item, earlier ones more often: the k-th about as often as 1/k, as words are in real text. The list is not
    /// empty.
    pub(super) fn zipf<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let n = items.len();
        let rank = ((n as f64 + 1.0).powf(self.unit()) as usize).clamp(1, n);
        &items[rank - 1]
    }

    /// A word, earlier ones more often, as [`Draw::zipf`].
    pub(super) fn word(&mut self, words: &[&'static str]) -> &'static str {
        let word: &&'static str = self.zipf(words);
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_many_is_drawn_about_twice_as_often_as_the_second() {
        let mut draw = Draw::new(1, 0);
        let items: Vec<usize> = (0..100).collect();
        let mut counts = [0u32; 100];
        for _ in 0..100_000 {
            counts[*draw.zipf(&items)] += 1;
        }
        // P(rank k) = ln((k+1)/k) / ln(101): 0.1502 and 0.0879; five standard deviations of 100,000 draws are 0.006.
        assert!((f64::from(counts[0]) / 1e5 - 0.1502).abs() < 0.006);
        assert!((f64::from(counts[1]) / 1e5 - 0.0879).abs() < 0.006);
        assert!(counts[99] > 0);
    }

    #[test]
    fn numbers_stay_in_their_range_and_reach_its_ends() {
        let mut draw = Draw::new(2, 0);
        let drawn: Vec<u32> = (0..1000).map(|_| draw.number(3, 7)).collect();
        assert_eq!((drawn.iter().min(), drawn.iter().max()), (Some(&3), Some(&7)));
    }
}
