//! The loop on tiny models: it learns, it obeys, it repeats itself exactly.

use super::data::PackedDataset;
use super::error::TrainError;
use super::fit::fit;
use super::outcome::{Fitted, TrainCallbacks, TrainingEnd};
use super::plan::{Plan, tests::stage};
use crate::domain::directive::{Directive, Measurement, Reviewer};
use crate::domain::event::{Event, Observer};
use crate::domain::reason::Because;
use crate::model::device;
use crate::model::evaluate::HeldOut;
use crate::model::{Decoder, Dimensions, LoraConfig, ModelConfig};
use crate::tokenizer::{BpeKind, Coder, coder_for_tests};
use std::sync::atomic::AtomicBool;

/// Says what the table says at a step, else goes on; remembers the losses.
#[derive(Default)]
struct Scripted {
    script: Vec<(u64, Directive)>,
    seen: Vec<Measurement>,
}

impl Reviewer for Scripted {
    fn review(&mut self, m: &Measurement) -> Directive {
        self.seen.push(*m);
        let at = self.script.iter().position(|(step, _)| *step == m.step);
        at.map_or(Directive::Continue, |i| self.script.remove(i).1)
    }
}

#[derive(Default)]
struct Noted(Vec<Event>);

impl Observer for Noted {
    fn observe(&mut self, event: &Event) {
        self.0.push(event.clone());
    }
}

fn text() -> Vec<String> {
    (0..60).map(|i| format!("the {} cat sat on the {} mat and saw {} dogs", i % 3, i % 5, i % 2)).collect()
}

fn setting() -> (Coder, PackedDataset, HeldOut) {
    let text = text();
    let lines: Vec<&str> = text.iter().map(String::as_str).collect();
    let coder = coder_for_tests(BpeKind::ByteLevel, &lines, 300);
    let data = PackedDataset::text(&coder, &text, 24, 5).unwrap();
    let held_out = HeldOut::new(&coder, &text[..10], 50, 256).unwrap();
    (coder, data, held_out)
}

fn model(rows: usize, tied: bool) -> Decoder {
    let size = Dimensions {
        rows,
        hidden: 32,
        intermediate: 64,
        layers: 2,
        heads: 2,
        kv_heads: 1,
        head_dim: 16,
        positions: 256,
        tied,
    };
    Decoder::init(&ModelConfig::qwen3(size).unwrap(), &device::cpu("a test").device, 3).unwrap()
}

fn adapted(rows: usize, tied: bool) -> Decoder {
    model(rows, tied).with_lora(&LoraConfig::everywhere(4, 8.0, 0.0), 1)
}

fn run(model: Decoder, plan: &Plan, reviewer: &mut dyn Reviewer) -> (Fitted, Vec<Event>) {
    let (_, data, held_out) = setting();
    let mut noted = Noted::default();
    let stop = AtomicBool::new(false);
    let mut callbacks =
        TrainCallbacks { reviewer, observer: &mut noted, stop: &stop, clock: &std::time::Instant::now() };
    let fitted = fit(model, &data, Some(&held_out), plan, &mut callbacks).unwrap();
    (fitted, noted.0)
}

fn bits(fitted: &Fitted) -> (f64, f64) {
    let of = |s: &Option<crate::model::evaluate::Scores>| s.as_ref().unwrap().evaluation.bits_per_byte.get();
    (of(&fitted.before), of(&fitted.after))
}

fn rows() -> usize {
    setting().0.rows()
}

#[test]
fn a_tiny_model_learns_a_small_text_through_adapters_and_better_with_embeddings() {
    let plan = Plan::new(crate::domain::strategy::StageConfig { epochs: 10.0, ..stage() }, 1);
    let (adapters, events) = run(adapted(rows(), true), &plan, &mut Scripted::default());
    let (both, _) = run(adapted(rows(), true).train_embeddings(true), &plan, &mut Scripted::default());
    let (before, after) = bits(&adapters);
    // Frozen random embeddings of deviation 0.02 let adapters reach a part of the way only; with the embeddings the
    // text, which has three free digits in 42 bytes, is learnt nearly whole.
    assert!(after < 0.9 * before, "adapters alone: {before} -> {after}");
    assert!(bits(&both).1 < 0.3 * before, "with embeddings: {before} -> {}", bits(&both).1);
    assert_eq!(adapters.ending, TrainingEnd::Done);
    let told =
        |e: &Event| matches!(e, Event::Note { text } if text.starts_with("Memory: ") && text.contains("at most"));
    assert!(events.iter().any(told), "memory is reported");
    assert!(both.trainable > adapters.trainable);
    assert_eq!(adapters.bytes_seen, 10 * text().iter().map(|t| t.len() as u64).sum::<u64>());
}

#[test]
fn a_base_of_16_bits_learns_as_well_and_comes_back_whole() {
    use crate::domain::strategy::{Precision, StageConfig};
    let of = |base| {
        let stage = StageConfig { epochs: 4.0, base, ..stage() };
        run(adapted(rows(), false).train_embeddings(true), &Plan::new(stage, 1), &mut Scripted::default()).0
    };
    let (wide, narrow) = (of(Precision::F32), of(Precision::Bf16));
    let ((_, a), (_, b)) = (bits(&wide), bits(&narrow));
    // The base is rounded to 8 bits; what is learnt hardly depends on it.
    assert!((a - b).abs() < 0.05 * a && a != b, "{a} {b}");
    // Merged, it is of 32 bits again and says the same.
    let (_, _, held_out) = setting();
    let merged = held_out.evaluate(&narrow.model.merged()).unwrap().evaluation.bits_per_byte.get();
    assert!((merged - b).abs() < 1e-4, "{merged} {b}");
}

#[test]
fn embeddings_head_and_adapters_learn_at_rates_of_their_own() {
    use crate::domain::strategy::StageConfig;
    let moved = |stage: StageConfig| {
        let fresh = adapted(rows(), false).train_embeddings(true);
        let (input, output) = fresh.embeddings().unwrap();
        let mut plan = Plan::new(StageConfig { warmup: 0.0, ..stage }, 1);
        plan.bytes = Some(1);
        plan.stage.schedule = crate::domain::strategy::LrSchedule::Constant;
        let (fitted, _) = run(fresh, &plan, &mut Scripted::default());
        assert_eq!(fitted.steps, 1);
        let (new_input, new_output) = fitted.model.embeddings().unwrap();
        let largest = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        (largest(input.data(), new_input.data()), largest(output.unwrap().data(), new_output.unwrap().data()))
    };
    // The first update of AdamW moves a number by its rate, whatever the gradient: f32 rounding of rows near 0.1.
    let near = |a: f32, b: f32| (a - b).abs() < 2e-2 * b;
    let (input, head) =
        moved(StageConfig { embedding_learning_rate: Some(1e-3), head_learning_rate: Some(3e-3), ..stage() });
    assert!(near(input, 1e-3) && near(head, 3e-3), "{input} {head}");
    let (input, head) = moved(StageConfig { embedding_learning_rate: Some(1e-3), ..stage() });
    assert!(near(input, 1e-3) && near(head, 1e-3), "{input} {head}");
}

#[test]
fn input_and_output_embeddings_of_an_untied_model_both_learn() {
    let plan = Plan::new(stage(), 1);
    let fresh = adapted(rows(), false).train_embeddings(true);
    let (input, output) = fresh.embeddings().unwrap();
    let (fitted, _) = run(fresh, &plan, &mut Scripted::default());
    let (new_input, new_output) = fitted.model.embeddings().unwrap();
    assert_ne!(input, new_input);
    assert_ne!(output, new_output);
    let (before, after) = bits(&fitted);
    assert!(after < before);
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let losses = |seed: u64| {
        let mut reviewer = Scripted::default();
        run(adapted(rows(), true), &Plan::new(stage(), seed), &mut reviewer);
        reviewer.seen.iter().map(|m| m.loss).collect::<Vec<_>>()
    };
    assert_eq!(losses(4), losses(4));
    assert_ne!(losses(4), losses(5));
}

#[test]
fn accumulation_gives_the_losses_of_one_large_batch() {
    let losses = |batch, accumulation| {
        let mut reviewer = Scripted::default();
        let stage = crate::domain::strategy::StageConfig { batch, accumulation, dropout: 0.3, ..stage() };
        let model = model(rows(), true).with_lora(&LoraConfig::everywhere(4, 8.0, 0.3), 1);
        run(model, &Plan::new(stage, 2), &mut reviewer);
        reviewer.seen.iter().map(|m| m.loss).collect::<Vec<_>>()
    };
    for (a, b) in losses(8, 1).iter().zip(losses(2, 4)) {
        // Sums in another order, over some twenty steps of f32.
        assert!((a - b).abs() < 1e-3, "{a} {b}");
    }
}

#[test]
fn a_skipped_batch_changes_nothing_and_counts_as_a_step() {
    let because = Because::Said("a test".to_string());
    let mut reviewer = Scripted { script: vec![], seen: vec![] };
    reviewer.script = (1..=100).map(|s| (s, Directive::SkipBatch { because: because.clone() })).collect();
    let fresh = adapted(rows(), true);
    let (fitted, events) = run(fresh.clone(), &Plan::new(stage(), 1), &mut reviewer);
    let (before, after) = bits(&fitted);
    assert_eq!((before, fitted.steps), (after, reviewer.seen.len() as u64));
    assert_eq!(fitted.incidents.len(), reviewer.seen.len());
    assert!(events.iter().any(|e| matches!(e, Event::Directed { .. })));
}

#[test]
fn a_rewind_restores_the_model_and_goes_on_with_text_not_seen_yet() {
    let mut plan = Plan::new(stage(), 1);
    plan.snapshot_every = 4;
    let because = Because::Said("a test".to_string());
    let mut reviewer = Scripted { script: vec![(7, Directive::Rewind { steps: 3, because })], seen: vec![] };
    let (fitted, _) = run(adapted(rows(), true), &plan, &mut reviewer);
    let steps: Vec<u64> = reviewer.seen.iter().map(|m| m.step).collect();
    assert_eq!(steps[..9], [1, 2, 3, 4, 5, 6, 7, 1, 2], "back to the snapshot before 6 - 3");
    assert!(reviewer.seen.windows(2).all(|w| w[1].bytes_seen > w[0].bytes_seen));
    assert_eq!((fitted.incidents.len(), fitted.ending), (1, TrainingEnd::Done));
}

#[test]
fn stopping_switching_and_falling_back_end_the_run_before_the_update() {
    use crate::domain::strategy::Strategy;
    let because = || Because::Said("a test".to_string());
    let cases = [
        (Directive::StopEarly { because: because() }, TrainingEnd::StoppedEarly { because: because() }),
        (
            Directive::Switch { to: Strategy::Keep, because: because() },
            TrainingEnd::Switch { to: Strategy::Keep, because: because() },
        ),
        (Directive::FallBack { because: because() }, TrainingEnd::FallBack { because: because() }),
    ];
    for (directive, ending) in cases {
        let mut reviewer = Scripted { script: vec![(3, directive)], seen: vec![] };
        let (fitted, _) = run(adapted(rows(), true), &Plan::new(stage(), 1), &mut reviewer);
        assert_eq!((fitted.steps, fitted.ending), (2, ending));
        assert!(fitted.after.is_some());
    }
}

#[test]
fn an_adjusted_rate_stays_adjusted() {
    let mut plan = Plan::new(stage(), 1);
    plan.stage.schedule = crate::domain::strategy::LrSchedule::Constant;
    plan.stage.warmup = 0.0;
    let adjust = Directive::Adjust { factor: 0.5, because: Because::Said("a test".into()) };
    let mut reviewer = Scripted { script: vec![(3, adjust)], seen: vec![] };
    run(adapted(rows(), true), &plan, &mut reviewer);
    let rates: Vec<f64> = reviewer.seen.iter().map(|m| m.learning_rate).collect();
    assert_eq!(rates[..5], [1e-2, 1e-2, 1e-2, 5e-3, 5e-3]);
}

#[test]
fn a_raised_flag_interrupts_and_a_spent_time_budget_ends_the_run() {
    let (_, data, _) = setting();
    let mut plan = Plan::new(stage(), 1);
    let fit_with = |plan: &Plan, raised: bool| {
        let stop = AtomicBool::new(raised);
        let (reviewer, observer) = (&mut Scripted::default(), &mut Noted::default());
        let mut callbacks = TrainCallbacks { reviewer, observer, stop: &stop, clock: &std::time::Instant::now() };
        fit(adapted(rows(), true), &data, None, plan, &mut callbacks).unwrap()
    };
    let fitted = fit_with(&plan, true);
    assert_eq!((fitted.ending, fitted.steps), (TrainingEnd::Interrupted, 0));
    plan.seconds = Some(1e-9);
    let fitted = fit_with(&plan, false);
    assert_eq!((fitted.ending, fitted.steps), (TrainingEnd::TimeUp, 0));
}

#[test]
fn a_budget_in_bytes_decides_how_long_a_run_is() {
    let mut plan = Plan::new(stage(), 1);
    let all: u64 = text().iter().map(|t| t.len() as u64).sum();
    plan.bytes = Some(all / 2);
    let (fitted, _) = run(adapted(rows(), true), &plan, &mut Scripted::default());
    let share = fitted.bytes_seen as f64 / all as f64;
    // Whole steps of 8 sequences of about 80 bytes.
    assert!((0.5..0.85).contains(&share), "{share}");
}

#[test]
fn evaluations_are_taken_at_the_start_at_the_points_asked_for_and_at_the_end() {
    let (fitted, events) = run(adapted(rows(), true), &Plan::new(stage(), 1), &mut Scripted::default());
    let evaluated = events.iter().filter(|e| matches!(e, Event::Evaluated { .. })).count();
    assert_eq!(evaluated, 5);
    assert_eq!(fitted.curve.iter().filter(|p| p.eval_bits_per_byte.is_some()).count(), 5);
    assert!(fitted.curve.windows(2).all(|w| w[0].step <= w[1].step));
}

#[test]
fn a_frozen_model_has_nothing_to_train() {
    let (_, data, _) = setting();
    let stop = AtomicBool::new(false);
    let (reviewer, observer) = (&mut Scripted::default(), &mut Noted::default());
    let mut callbacks = TrainCallbacks { reviewer, observer, stop: &stop, clock: &std::time::Instant::now() };
    let error = fit(model(rows(), true), &data, None, &Plan::new(stage(), 1), &mut callbacks).unwrap_err();
    assert!(error.to_string().contains("frozen"), "{error}");
}

#[test]
fn an_evaluation_equals_the_plain_sum_over_one_window() {
    use crate::model::{Batch, IGNORE};
    let (coder, _, _) = setting();
    let model = model(rows(), true);
    let document = text().join(" ");
    let held_out = HeldOut::new(&coder, &[&document], 50, 1 << 20).unwrap();
    let evaluation = held_out.evaluate(&model).unwrap().evaluation;
    let mut ids = vec![coder.opener().unwrap()];
    ids.extend(coder.encode_one(&document).unwrap().ids);
    let mut targets = ids[1..].to_vec();
    targets.push(IGNORE);
    let nats = model.nats(&Batch { ids: &ids, targets: &targets, weights: None, shape: [1, ids.len()] }).unwrap();
    let sum: f64 = nats.iter().map(|n| f64::from(*n)).sum();
    // The same positions in a sequence that is one shorter: the last id is not fed.
    assert!((sum - evaluation.nats).abs() < 1e-4 * sum, "{sum} {}", evaluation.nats);
    assert_eq!(evaluation.tokens as usize, ids.len() - 1);
}

#[test]
fn windows_cost_a_little_more_than_the_whole_context_and_no_token_twice() {
    let (coder, _, _) = setting();
    let plan = Plan::new(crate::domain::strategy::StageConfig { epochs: 10.0, ..stage() }, 1);
    let (fitted, _) = run(adapted(rows(), true).train_embeddings(true), &plan, &mut Scripted::default());
    let bits = |window| {
        let held_out = HeldOut::new(&coder, &text()[..10], 50, window).unwrap();
        let evaluation = held_out.evaluate(&fitted.model).unwrap().evaluation;
        (evaluation.bits_per_byte.get(), evaluation.tokens)
    };
    let (whole, tokens) = bits(1 << 20);
    let (cut, again) = bits(16);
    assert_eq!(tokens, again);
    assert!(cut > whole && cut < whole + 2.0, "{whole} {cut}");
}

/// Raises the flag at a step: a signal, as far as the loop can tell.
struct Raising<'a> {
    at: u64,
    flag: &'a AtomicBool,
    losses: Vec<f64>,
}

impl Reviewer for Raising<'_> {
    fn review(&mut self, m: &Measurement) -> Directive {
        self.losses.push(m.loss);
        if m.step == self.at {
            self.flag.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        Directive::Continue
    }
}

/// A run that is interrupted after step `at`, with checkpoints in `folder`.
fn resumable(folder: &std::path::Path, at: u64) -> (Result<Fitted, TrainError>, Vec<f64>, Vec<Event>) {
    let (_, data, held_out) = setting();
    let mut plan = Plan::new(crate::domain::strategy::StageConfig { dropout: 0.1, epochs: 4.0, ..stage() }, 9);
    plan.checkpoints = Some(super::plan::Checkpoints { folder: folder.into(), every: 4, resume: true });
    let flag = AtomicBool::new(false);
    let mut reviewer = Raising { at, flag: &flag, losses: vec![] };
    let mut noted = Noted::default();
    let mut callbacks = TrainCallbacks {
        reviewer: &mut reviewer,
        observer: &mut noted,
        stop: &flag,
        clock: &std::time::Instant::now(),
    };
    // Untied: the embeddings' moments are kept by row.
    let model = model(rows(), false).with_lora(&LoraConfig::everywhere(4, 8.0, 0.1), 1).train_embeddings(true);
    let fitted = fit(model, &data, Some(&held_out), &plan, &mut callbacks);
    (fitted, reviewer.losses, noted.0)
}

#[test]
fn a_run_that_was_interrupted_and_resumed_gives_the_losses_of_an_unbroken_one() {
    let (unbroken, broken) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (whole, losses, _) = resumable(unbroken.path(), u64::MAX);
    let whole = whole.unwrap();
    let (first, mut resumed, _) = resumable(broken.path(), 6);
    assert_eq!((first.unwrap().ending, resumed.len()), (TrainingEnd::Interrupted, 6));
    let (second, rest, events) = resumable(broken.path(), u64::MAX);
    let second = second.unwrap();
    resumed.extend(rest);
    assert_eq!(resumed, losses, "bit for bit");
    assert_eq!((second.before, second.after), (whole.before, whole.after));
    assert_eq!((second.tokens_seen, second.bytes_seen), (whole.tokens_seen, whole.bytes_seen));
    assert_eq!(second.curve.len(), whole.curve.len());
    assert!(events.iter().any(|e| matches!(e, Event::Note { text } if text.contains("step 6"))));
}

#[test]
fn a_damaged_checkpoint_is_passed_over_and_without_a_whole_one_the_run_says_so() {
    let folder = tempfile::tempdir().unwrap();
    resumable(folder.path(), 6).0.unwrap();
    let tensors = |step: u32| folder.path().join(format!("step-{step:08}/tensors.safetensors"));
    let cut = |path: &std::path::Path| {
        let bytes = std::fs::read(path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    };
    cut(&tensors(6));
    let (_, losses, events) = resumable(folder.path(), 5);
    assert_eq!(losses.len(), 1, "from step 4 to the end of step 5");
    assert!(events.iter().any(|e| matches!(e, Event::Note { text } if text.contains("cut short"))));
    for step in [4, 5] {
        cut(&tensors(step));
    }
    let error = resumable(folder.path(), 5).0.unwrap_err();
    assert!(error.to_string().contains("no whole checkpoint"), "{error}");
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    resumable(folder.path(), 4).0.unwrap();
    let state = folder.path().join("step-00000004/state.json");
    let text = std::fs::read_to_string(&state).unwrap().replace("seed 9", "seed 8");
    std::fs::write(&state, text).unwrap();
    let error = resumable(folder.path(), 5).0.unwrap_err();
    assert!(error.to_string().contains("another run"), "{error}");
}

#[test]
fn a_disk_that_refuses_costs_the_checkpoint_and_not_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("checkpoints");
    std::fs::create_dir_all(&place).unwrap();
    // A file where the checkpoint of step 4 should go.
    std::fs::write(place.join("step-00000004"), "in the way").unwrap();
    let mut plan = Plan::new(stage(), 9);
    plan.checkpoints = Some(super::plan::Checkpoints { folder: place, every: 4, resume: false });
    let (fitted, events) = run(adapted(rows(), true), &plan, &mut Scripted::default());
    assert_eq!(fitted.ending, TrainingEnd::Done);
    assert!(events.iter().any(|e| matches!(e, Event::Note { text } if text.contains("could not be saved"))));
}

/// A stream of ids that a script in another language can make too.
fn counted_ids(count: usize) -> Vec<u32> {
    let mut state = 12345u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32
    };
    // Every other id follows from the one before, so that there is something to learn.
    let mut ids: Vec<u32> = Vec::with_capacity(count);
    for i in 0..count {
        let id = match ids.last() {
            Some(last) if i % 2 == 1 => (last * 7 + 3) % 45 + 3,
            _ => next() % 45 + 3,
        };
        ids.push(id);
    }
    ids
}

/// Side paths of rank 4 whose A follow the formula of `make_training.py` and whose B are zero.
fn adapted_by_formula(model: Decoder) -> Decoder {
    let model = model.with_lora(&LoraConfig::everywhere(4, 8.0, 0.0), 1);
    let factors = model.parameters().into_iter().filter(|p| p.name.contains("lora_"));
    let numbers = |(index, p): (usize, crate::model::Parameter)| {
        let a = |i: usize| (0.1 * (1.0 + (index / 2) as f64 + 0.37 * i as f64).sin()) as f32;
        (0..p.count()).map(|i| if index % 2 == 0 { a(i) } else { 0.0 }).collect()
    };
    let numbers = factors.enumerate().map(numbers).collect();
    model.with_factors(numbers)
}

/// `tests/fixtures/training.json`, made by `make_training.py` with PyTorch and PEFT: 200 steps of full training, 200 of
/// training embeddings and head alone and 200 of training adapters, from the same weights, over the same batches, with
/// AdamW, clipping, warm-up and cosine as here.
#[test]
fn two_hundred_steps_follow_pytorch() {
    use crate::model::ModelFolder;
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let reference: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(fixtures.join("training.json")).unwrap()).unwrap();
    let data = PackedDataset::stream(&counted_ids(40 * 16 + 1), 16);
    let stage = crate::domain::strategy::StageConfig {
        learning_rate: 3e-3,
        embedding_learning_rate: Some(1e-3),
        weight_decay: 0.1,
        epochs: 40.0,
        ..stage()
    };
    let plan = Plan::new(stage, 11);
    for name in ["qwen3-tied", "llama-untied"] {
        let load =
            || ModelFolder::open(&fixtures.join("models").join(name)).unwrap().load(&device::cpu("a test").device);
        let kinds = [
            ("full", load().unwrap().full()),
            ("embeddings", load().unwrap().train_embeddings(true)),
            ("adapters", adapted_by_formula(load().unwrap())),
        ];
        for (kind, model) in kinds {
            let mut reviewer = Scripted::default();
            let (observer, stop) = (&mut Noted::default(), AtomicBool::new(false));
            let mut callbacks =
                TrainCallbacks { reviewer: &mut reviewer, observer, stop: &stop, clock: &std::time::Instant::now() };
            fit(model, &data, None, &plan, &mut callbacks).unwrap();
            let expected: Vec<f64> = serde_json::from_value(reference[name][kind].clone()).unwrap();
            assert_eq!(expected.len(), 200);
            assert!(expected[199] < expected[0] - 0.07, "there is something to learn");
            for (m, expected) in reviewer.seen.iter().zip(&expected) {
                // Issue 6's tolerance; f32 in another order of summation, amplified over 200 steps.
                assert!((m.loss - expected).abs() < 1e-3, "{name} {kind} step {}: {} {expected}", m.step, m.loss);
            }
        }
    }
}

#[test]
fn a_text_smaller_than_a_batch_is_trained_on_and_sequences_beyond_the_positions_are_refused() {
    let (coder, _, _) = setting();
    let stop = AtomicBool::new(false);
    let (reviewer, observer) = (&mut Scripted::default(), &mut Noted::default());
    let mut callbacks = TrainCallbacks { reviewer, observer, stop: &stop, clock: &std::time::Instant::now() };
    let small = PackedDataset::text(&coder, &["the cat"], 24, 0).unwrap();
    let mut plan = Plan::new(stage(), 1);
    let fitted = fit(adapted(rows(), true), &small, None, &plan, &mut callbacks).unwrap();
    assert_eq!((fitted.steps, fitted.ending), (1, TrainingEnd::Done));
    plan.bytes = Some(100);
    let long = PackedDataset::text(&coder, &[text().join(" ")], 257, 0).unwrap();
    let error = fit(adapted(rows(), true), &long, None, &plan, &mut callbacks).unwrap_err();
    assert!(error.to_string().contains("257") && error.to_string().contains("256"), "{error}");
}
