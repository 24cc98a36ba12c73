//! Gradients and moments on the device against those at the host: the same steps, and from one to the other by a file.

use super::adamw::{AdamW, AdamWConfig};
use super::gradient::Gradient;
use super::optimizer::Optimizer;
use super::params::TrainableParams;
use super::snapshot::Live;
use super::tensors;
use crate::domain::strategy::Checkpointing;
use crate::model::device;
use crate::model::{Batch, Decoder, Dimensions, Group, LoraConfig, ModelConfig, StepOptions};

const FROZEN: usize = 5;

fn model(tied: bool) -> Decoder {
    let (rows, hidden, intermediate, layers, heads, kv_heads, head_dim, positions) = (40, 16, 32, 2, 2, 1, 8, 32);
    let size = Dimensions { rows, hidden, intermediate, layers, heads, kv_heads, head_dim, positions, tied };
    let config = ModelConfig::qwen3(size).unwrap();
    let plain = Decoder::init(&config, &device::cpu("a test").device, 1).unwrap();
    plain.with_lora(&LoraConfig::everywhere(4, 8.0, 0.0), 2).train_embeddings(true)
}

/// A run from `step` on: two micro-batches a step; where it stands and the norms.
struct TrainingRun {
    model: Decoder,
    params: TrainableParams,
    optimizer: AdamW,
    norms: Vec<f64>,
}

impl TrainingRun {
    fn begin(tied: bool, on_device: bool) -> Self {
        let model = model(tied);
        let params = TrainableParams::kept(&model, on_device);
        let optimizer = AdamW::new(AdamWConfig::new(0.1), &params);
        Self { model, params, optimizer, norms: vec![] }
    }

    fn on(mut self, steps: std::ops::Range<u32>) -> Self {
        for step in steps {
            let mut gradient = Gradient::none(&self.params);
            for half in 0..2 {
                // Rows above 30 are never read, and the others not in every step.
                let ids: Vec<u32> = (0..24).map(|i| (i * (step + 3) + 7 * half) % 30).collect();
                let targets: Vec<u32> = ids.iter().map(|id| (id + 1) % 30).collect();
                let batch = Batch { ids: &ids, targets: &targets, weights: None, shape: [2, 12] };
                let taken = self
                    .model
                    .step(
                        &batch,
                        &StepOptions { scale: 1.0 / 48.0, dropout: None, checkpointing: Checkpointing::All(false) },
                    )
                    .unwrap();
                gradient.add(&self.params, taken).unwrap();
            }
            gradient.freeze_rows(&self.params, FROZEN);
            gradient.scale(3.0);
            let norm = gradient.norm().unwrap();
            let clip = 1.0 / norm.max(1.0);
            let rate = |group| if group == Group::Adapter { 1e-2 } else { 3e-3 };
            self.model = self.optimizer.update(self.model, &self.params, &gradient, clip, &rate).unwrap();
            self.norms.push(norm);
        }
        self
    }

    /// The same, put away and taken up where gradients and moments are kept elsewhere.
    fn moved(self, on_device: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.safetensors");
        Live { model: &self.model, params: &self.params, optimizer: &self.optimizer }.write(&path).unwrap();
        let mut there = Self::begin(self.params.parameters().iter().all(|p| p.group != Group::Head), on_device);
        let bytes = std::fs::read(path).unwrap();
        let snapshot = tensors::read(
            &bytes,
            &there.params,
            self.optimizer.buffers(),
            (self.norms.len() as u64, self.optimizer.updates()),
        )
        .unwrap();
        there.model = snapshot.put_back(there.model, &there.params, &mut there.optimizer).unwrap();
        Self { norms: self.norms, ..there }
    }
}

fn assert_alike(a: &TrainingRun, b: &TrainingRun) {
    for (x, y) in a.norms.iter().zip(&b.norms) {
        assert!((x - y).abs() < 1e-5 * x, "norms {:?} {:?}", a.norms, b.norms);
    }
    let (x, y) = (a.params.values(&a.model).unwrap(), b.params.values(&b.model).unwrap());
    for ((p, x), y) in a.params.parameters().iter().zip(&x).zip(&y) {
        let off = x.iter().zip(y).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
        // Rates are of 1e-2 and 3e-3: a wrong update is off by as much.
        assert!(off < 2e-5, "{}: {off}", p.name);
    }
}

#[test]
fn what_the_device_keeps_and_what_the_host_keeps_make_the_same_steps() {
    for tied in [false, true] {
        let (here, there) = (TrainingRun::begin(tied, false).on(0..6), TrainingRun::begin(tied, true).on(0..6));
        assert!(here.norms.iter().any(|norm| *norm > 1.0), "something is clipped");
        assert_alike(&here, &there);
        let ((before, _), (after, _)) = (model(tied).embeddings().unwrap(), there.model.embeddings().unwrap());
        let stays = |row: &usize| before.row(*row) == after.row(*row);
        assert!((0..FROZEN).all(|row| stays(&row)), "frozen rows stay bit for bit");
        assert!(!(FROZEN..30).any(|row| stays(&row)));
        // Rows that are only looked up, and never are, stay too.
        assert_eq!((30..40).all(|row| stays(&row)), !tied);
    }
}

#[test]
fn a_run_that_was_saved_where_the_host_keeps_its_moments_goes_on_where_the_device_does_and_back() {
    for tied in [false, true] {
        let straight = TrainingRun::begin(tied, false).on(0..6);
        let there = TrainingRun::begin(tied, false).on(0..3).moved(true);
        assert!(there.params.state_device().is_some());
        assert_alike(&straight, &there.on(3..6));
        assert_alike(&straight, &TrainingRun::begin(tied, true).on(0..2).moved(false).on(2..4).moved(true).on(4..6));
    }
}

#[test]
fn on_a_cpu_the_host_keeps_them() {
    assert!(TrainableParams::of(&model(true)).state_device().is_none());
}
