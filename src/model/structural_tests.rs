//! The structural model: both sides, spans of both, gradients against differences, folders, plain exports, training.

use super::*;
use crate::domain::outcome::Side;
use crate::domain::strategy::Checkpointing;
use crate::kernels::numbers;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};

const ROWS: usize = 20;
const SECOND_ROWS: usize = 14;

fn base(tied: bool) -> Decoder {
    let size = Dimensions {
        rows: ROWS,
        hidden: 12,
        intermediate: 16,
        layers: 2,
        heads: 2,
        kv_heads: 1,
        head_dim: 6,
        positions: 64,
        tied,
    };
    Decoder::init(&ModelConfig::qwen3(size).expect("sizes fit together"), &Device::flex(), 5).expect("it fits")
}

fn counted(rows: usize, scale: f32) -> Matrix {
    let numbers = (0..rows * 12).map(|i| ((i * 37 + 11) % 23) as f32 * scale - 11.0 * scale).collect();
    Matrix::new(rows, 12, numbers).expect("rows of 12")
}

/// With a second vocabulary whose bridges do something.
fn structural(tied: bool) -> Decoder {
    let output = (!tied).then(|| counted(SECOND_ROWS, 0.013));
    let bridges = Bridges { rank: 3, seed: 1 };
    let model = base(tied).with_second(counted(SECOND_ROWS, 0.02), output, bridges).expect("it fits");
    let part = |n: usize| (0..36).map(|i| ((i * n + 5) % 13) as f32 * 0.05 - 0.3).collect();
    model.with_bridges(vec![part(3), part(7), part(11), part(5)])
}

/// Both vocabularies in one sequence: the second begins at 20.
const IDS: [u32; 12] = [1, 4, 9, 20, 33, 25, 3, 21, 22, 2, 7, 30];
const TARGETS: [u32; 12] = [4, 9, 20, 33, 25, 3, IGNORE, 22, 2, 7, 30, 31];
const PLAIN: StepOptions = StepOptions { scale: 1.0, dropout: None, checkpointing: Checkpointing::OFF };

fn batch() -> Batch<'static> {
    Batch { ids: &IDS, targets: &TARGETS, weights: None, shape: [2, 6] }
}

fn of(decoder: &Decoder, side: Side, ids: &[u32]) -> Vec<f32> {
    numbers(decoder.logits_towards(side, ids, [1, ids.len()]).expect("ids fit")).expect("Flex can be read")
}

fn farthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn the_original_side_is_the_base_bit_for_bit_and_bridges_begin_as_nothing() {
    for tied in [true, false] {
        let base = base(tied);
        let ids = [1, 5, 19, 0];
        let own = base.logits(&ids, [1, 4]).expect("ids fit");
        let with = structural(tied);
        assert_eq!(numbers(own).expect("Flex"), of(&with, Side::Source, &ids));
        // A second vocabulary that is a copy of the first, untouched bridges: the same logits by other ids.
        let (input, output) = base.embeddings().expect("Flex");
        let twin = base.clone().with_second(input, output, Bridges { rank: 2, seed: 1 }).expect("it fits");
        let moved: Vec<u32> = ids.iter().map(|id| id + ROWS as u32).collect();
        let off = farthest(&of(&twin, Side::Candidate, &moved), &of(&twin, Side::Source, &ids));
        assert!(off < 1e-6, "{off}");
    }
}

#[test]
fn either_side_exports_as_a_plain_model_of_the_same_logits() {
    for tied in [true, false] {
        let both = structural(tied);
        let source = both.clone().plain(Side::Source).expect("it has a second vocabulary");
        assert_eq!(of(&source, Side::Source, &[1, 2, 3]), of(&both, Side::Source, &[1, 2, 3]));
        let candidate = both.clone().plain(Side::Candidate).expect("it has a second vocabulary");
        assert_eq!((candidate.config().size.rows, candidate.config().size.tied), (SECOND_ROWS, false));
        let ids = [0, 5, 13, 2];
        let moved = ids.map(|id| id + ROWS as u32);
        // The same sums in another order.
        let off = farthest(&of(&candidate, Side::Source, &ids), &of(&both, Side::Candidate, &moved));
        assert!(off < 1e-5, "{off}");
        assert!(candidate.plain(Side::Source).is_err());
    }
}

#[test]
fn each_target_is_scored_among_its_own_vocabulary() {
    let model = structural(true);
    let nats = model.nats(&batch()).expect("the batch fits");
    let mut ids = IDS;
    for (sequence, ids) in ids.chunks_mut(6).enumerate() {
        for (position, target) in TARGETS[sequence * 6..][..6].iter().enumerate().filter(|(_, t)| **t != IGNORE) {
            let (side, own, rows) = match *target as usize {
                t if t < ROWS => (Side::Source, t, ROWS),
                t => (Side::Candidate, t - ROWS, SECOND_ROWS),
            };
            let logits = of(&model, side, ids);
            let row = &logits[position * rows..][..rows];
            let sum: f64 = row.iter().map(|x| f64::from(*x).exp()).sum();
            let want = sum.ln() - f64::from(row[own]);
            let got = f64::from(nats[sequence * 6 + position]);
            assert!((want - got).abs() < 1e-5, "{sequence} {position}: {want} {got}");
        }
    }
    assert_eq!(nats[6], 0.0);
    let too_high = [(ROWS + SECOND_ROWS) as u32];
    assert!(model.logits(&too_high, [1, 1]).is_err());
}

/// Adds to one number of a parameter.
struct Nudge(burn::module::ParamId, usize, f32);

impl ModuleMapper for Nudge {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if param.id != self.0 {
            return param;
        }
        param.map(|t| {
            let shape = t.dims();
            let mut all = numbers(t.clone().inner()).expect("Flex can be read");
            all[self.1] += self.2;
            Tensor::from_data(burn::tensor::TensorData::new(all, shape), &t.device())
        })
    }
}

#[test]
fn gradients_of_tables_heads_and_bridges_are_the_differences_of_the_loss() {
    for (tied, checkpointing) in [(true, false), (false, false), (false, true)] {
        let model = structural(tied).full();
        let step = model
            .step(&batch(), &StepOptions { checkpointing: Checkpointing::All(checkpointing), ..PLAIN })
            .expect("the batch fits")
            .whole(&model);
        let total =
            |m: &Decoder| -> f64 { m.nats(&batch()).expect("the batch fits").iter().map(|n| f64::from(*n)).sum() };
        assert!((step.nats - total(&model)).abs() < 1e-4);
        let mut seen = 0;
        for p in model
            .parameters()
            .into_iter()
            .filter(|p| p.name.starts_with(SECOND) || p.group == Group::Embedding || p.group == Group::Head)
        {
            let gradient = numbers(step.grads.get::<2>(p.id).expect(&p.name)).expect("Flex can be read");
            let largest = gradient.iter().fold(0f32, |m, x| m.max(x.abs()));
            for place in [0, 17, p.count() / 2, p.count() - 1] {
                let h = 4e-3;
                let moved = |by: f32| total(&model.clone().map(&mut Nudge(p.id, place, by)));
                let difference = (moved(h) - moved(-h)) / (2.0 * f64::from(h));
                // Central differences of f32 sums: rounding of about 1e-6 / h.
                let off = (difference - f64::from(gradient[place])).abs();
                let allowed = 2e-3 + 5e-3 * f64::from(largest);
                assert!(off < allowed, "{} [{place}]: {difference} against {}", p.name, gradient[place]);
                seen += 1;
            }
        }
        assert_eq!(seen, 4 * if tied { 6 } else { 8 });
    }
}

#[test]
fn the_cache_follows_spans_of_both_vocabularies() {
    let model = structural(false);
    let ids = &IDS[..6];
    let mut cache = model.cache();
    model.advance(&mut cache, &ids[..4]).expect("ids fit");
    let last = model.advance_towards(Side::Candidate, &mut cache, &ids[4..]).expect("ids fit");
    let whole = of(&model, Side::Candidate, ids);
    assert!(farthest(&last, &whole[5 * SECOND_ROWS..]) < 1e-5);
}

#[test]
fn a_second_vocabulary_of_another_width_is_refused() {
    let narrow = Matrix::zeros(4, 5);
    assert!(base(true).with_second(narrow, None, Bridges { rank: 2, seed: 0 }).is_err());
    assert!(base(true).with_second(counted(4, 0.1), Some(counted(5, 0.1)), Bridges { rank: 2, seed: 0 }).is_err());
    assert!(base(true).with_second(counted(4, 0.1), None, Bridges { rank: 0, seed: 0 }).is_err());
}
