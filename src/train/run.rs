//! A training run on its way: its batch's gradients, the update, going back, saving. In which order these happen is the
//! loop's business, what is written down of them that of the books.

use super::adamw::{AdamW, AdamWConfig};
use super::books::Books;
use super::checkpoint::{self, Found, RunProgress};
use super::data::{PackedBatch, PackedDataset};
use super::error::TrainError;
use super::gradient::Gradient;
use super::inject;
use super::load::Load;
use super::optimizer::Optimizer;
use super::order::Sampler;
use super::outcome::{Clock, Fitted, TrainCallbacks, TrainingEnd};
use super::params::TrainableParams;
use super::plan::{Checkpoints, MAX_NORM, Plan};
use super::rewind::Snapshots;
use super::schedule::WSD_DECAY;
use super::snapshot::Live;
use crate::domain::directive::{Directive, Measurement};
use crate::domain::event::Event;
use crate::domain::reason::ReviewReason;
use crate::domain::strategy::{LrSchedule, Precision};
use crate::files::FileError;
use crate::kernels;
use crate::model::evaluate::{HeldOut, Scores};
use crate::model::memory;
use crate::model::{Batch, Decoder, Draw, Group, StepOptions};
use std::time::Instant;

/// Bytes of a snapshot up to which it is kept in memory rather than on disk.
const SMALL: usize = 32 << 20;

/// The optimizer of training with this weight decay, before its first update.
pub(super) fn optimizer(weight_decay: f64, params: &TrainableParams) -> Box<dyn Optimizer> {
    Box::new(AdamW::new(AdamWConfig::new(weight_decay), params))
}

/// A run on its way.
pub(super) struct TrainingRun<'a> {
    model: Option<Decoder>,
    params: TrainableParams,
    optimizer: Box<dyn Optimizer>,
    data: &'a PackedDataset,
    held_out: Option<&'a HeldOut>,
    plan: &'a Plan,
    order: Sampler,
    snapshots: Snapshots,
    clock: &'a dyn Clock,
    /// What the clock showed when this process took over.
    began: f64,
    pub(super) steps_planned: u64,
    /// Steps done.
    pub(super) step: u64,
    /// Sequences seen: the place in the order.
    pub(super) position: u64,
    /// What all rates are multiplied by.
    pub(super) rate_factor: f64,
    load: Load,
    books: Books,
    /// Shares of the run at which to evaluate, descending; the next is last.
    looks: Vec<f64>,
    pub(super) before: Option<Scores>,
    /// Seconds that were spent before this process took over.
    earlier: f64,
}

impl<'a> TrainingRun<'a> {
    pub(super) fn begin(
        model: Decoder,
        data: &'a PackedDataset,
        held_out: Option<&'a HeldOut>,
        plan: &'a Plan,
        clock: &'a dyn Clock,
        callbacks: &mut TrainCallbacks<'_>,
    ) -> Result<Self, TrainError> {
        plan.check()?;
        let model = if plan.stage.base == Precision::Bf16 { model.narrowed() } else { model };
        let params = TrainableParams::of(&model);
        if params.parameters().is_empty() {
            return Err(TrainError::Mismatch(
                "nothing of the model is trained: it has no adapters and is frozen".into(),
            ));
        }
        let positions = model.config().size.positions;
        if data.length() > positions {
            return Err(TrainError::Data(format!(
                "sequences of {} tokens are longer than the model's {positions} positions",
                data.length()
            )));
        }
        let mut looks: Vec<f64> = plan.evaluate_at.iter().copied().filter(|x| *x > 0.0 && *x < 1.0).collect();
        looks.sort_by(|a, b| b.total_cmp(a));
        let mut run = Self {
            optimizer: optimizer(plan.stage.weight_decay, &params),
            params,
            model: Some(model),
            data,
            held_out,
            plan,
            order: Sampler::new(data.len(), plan.seed),
            snapshots: match &plan.checkpoints {
                Some(place) => Snapshots::below(&place.folder),
                None => Snapshots::new(SMALL),
            },
            clock,
            began: clock.seconds(),
            steps_planned: plan.steps(data.len(), data.bytes()),
            step: 0,
            position: 0,
            rate_factor: 1.0,
            load: plan.load,
            books: Books::default(),
            looks,
            before: None,
            earlier: 0.0,
        };
        run.resume(callbacks)?;
        Ok(run)
    }

    /// Goes on from the youngest checkpoint, where that is asked for and there is one.
    fn resume(&mut self, callbacks: &mut TrainCallbacks<'_>) -> Result<(), TrainError> {
        let Some(place) = self.plan.checkpoints.as_ref().filter(|c| c.resume) else { return Ok(()) };
        let mut passed_over = Vec::new();
        let found = checkpoint::load(
            &place.folder,
            &self.fingerprint(),
            (&self.params, self.optimizer.buffers()),
            &mut passed_over,
        )?;
        for text in passed_over {
            callbacks.observer.observe(&Event::Note { text: format!("{text}; the one before it is used") });
        }
        let Some(Found { progress: p, snapshot, place, rewinds }) = found else { return Ok(()) };
        let model = self.take_model()?;
        self.model = Some(snapshot.put_back(model, &self.params, self.optimizer.as_mut())?);
        self.snapshots.link_from(&place, &rewinds).map_err(FileError::reading(&place))?;
        (self.step, self.position, self.rate_factor, self.earlier) = (p.step, p.position, p.rate_factor, p.elapsed);
        (self.books, self.looks, self.before, self.load) = (p.books, p.looks, p.before, p.load);
        let damaged = |what| TrainError::Checkpoint { path: place, what };
        callbacks.reviewer.load_state(&p.reviewer).map_err(damaged)?;
        let text = format!("resumes from step {} of {}", self.step, self.steps_planned);
        callbacks.observer.observe(&Event::Note { text });
        Ok(())
    }

    /// What the run is: text, settings and trained parameters, in a line.
    fn fingerprint(&self) -> String {
        let parameters: Vec<String> =
            self.params.parameters().iter().map(|p| format!("{}{:?}", p.name, p.shape)).collect();
        let (data, plan) = (self.data, self.plan);
        let text =
            format!("{} sequences of {}, {} bytes, text {:016x}", data.len(), data.length(), data.bytes(), data.hash());
        // As earlier versions wrote it: their checkpoints are continued.
        let shape = match plan.stage.schedule {
            LrSchedule::Cosine => format!("Cosine {{ floor: {:?} }}", plan.floor),
            LrSchedule::Constant => "Constant".to_owned(),
            LrSchedule::Wsd => format!("Wsd {{ decay: {WSD_DECAY:?}, floor: {:?} }}", plan.floor),
        };
        let settings = format!("{:?} {shape} seed {} budget {:?}", plan.stage, plan.seed, plan.bytes);
        format!("{text}; {settings}; {}", parameters.join(" "))
    }

    /// Saves the run, where a folder for that is given.
    pub(super) fn save(&self, callbacks: &TrainCallbacks<'_>) -> Result<(), TrainError> {
        let Some(place) = &self.plan.checkpoints else { return Ok(()) };
        let progress = RunProgress {
            fingerprint: self.fingerprint(),
            step: self.step,
            updates: self.optimizer.updates(),
            position: self.position,
            rate_factor: self.rate_factor,
            elapsed: self.elapsed(),
            books: self.books.clone(),
            looks: self.looks.clone(),
            before: self.before.clone(),
            load: self.load,
            reviewer: callbacks.reviewer.save_state(),
        };
        checkpoint::save(&place.folder, &progress, &self.live()?, &self.snapshots)
    }

    /// Saves the run where that is due. A disk that refuses costs the checkpoint, not the run.
    pub(super) fn checkpoint(&mut self, callbacks: &mut TrainCallbacks<'_>) {
        let due = |c: &Checkpoints| self.step.is_multiple_of(c.every.max(1)) && self.step < self.steps_planned;
        if !self.plan.checkpoints.as_ref().is_some_and(due) {
            return;
        }
        if let Err(e) = self.save(callbacks) {
            let text = format!("a checkpoint could not be saved, training goes on: {e}");
            callbacks.observer.observe(&Event::Note { text });
        }
    }

    /// The model is out of its place only while an update fails, which ends the run.
    fn model(&self) -> Result<&Decoder, TrainError> {
        self.model.as_ref().ok_or_else(out_of_place)
    }

    fn take_model(&mut self) -> Result<Decoder, TrainError> {
        self.model.take().ok_or_else(out_of_place)
    }

    fn live(&self) -> Result<Live<'_>, TrainError> {
        Ok(Live { model: self.model()?, params: &self.params, optimizer: self.optimizer.as_ref() })
    }

    fn elapsed(&self) -> f64 {
        self.earlier + self.clock.seconds() - self.began
    }

    /// When the time is up, in the run's own seconds.
    fn limit(&self) -> Option<f64> {
        self.plan.seconds.map(|granted| self.earlier + granted)
    }

    pub(super) fn time_is_up(&self) -> bool {
        self.limit().is_some_and(|limit| self.elapsed() >= limit)
    }

    /// Share of the run that will be over after this step: of the steps, or of the time where that runs out sooner.
    fn progress(&self) -> f64 {
        let by_steps = (self.step + 1) as f64 / self.steps_planned as f64;
        let by_time = self.limit().map_or(0.0, |limit| self.elapsed() / limit);
        by_steps.max(by_time).min(1.0)
    }

    /// Batches seen, this one included: the step, but for rewinds, after which text goes on.
    fn batch_number(&self) -> u64 {
        self.position / self.plan.sequences_per_step().max(1) as u64 + 1
    }

    /// The rate of the adapters in this step.
    fn rate(&self) -> f64 {
        self.plan.stage.learning_rate * self.plan.schedule().factor(self.progress()) * self.rate_factor
    }

    /// Loss and gradients of this step's batch; nothing is changed but the place in the text. Where the device has no
    /// room, the same batch is tried again in smaller pieces: the gradients are the same.
    pub(super) fn measure(
        &mut self,
        callbacks: &mut TrainCallbacks<'_>,
    ) -> Result<(Gradient, Measurement), TrainError> {
        let started = Instant::now();
        let indices = self.order.take(self.position, self.plan.sequences_per_step());
        let (mut gradient, mut nats, predicted, bytes) = loop {
            match self.gradients(&indices) {
                Err(fault) if let Some(what) = fault.of_device().map(str::to_owned) => {
                    let Some(lighter) = self.load.lighter() else {
                        return Err(fault);
                    };
                    self.load = lighter;
                    let incident = self.books.out_of_memory(self.step + 1, what, lighter.to_string());
                    callbacks.observer.observe(&Event::Incident(incident));
                }
                other => break other?,
            }
        };
        gradient.freeze_rows(&self.params, self.plan.frozen_rows);
        inject::after(&self.plan.injected, self.batch_number(), started.elapsed(), &mut gradient, &mut nats);
        self.position += indices.len() as u64;
        let gradient_norm = gradient.norm()?;
        self.books.saw(nats, predicted, bytes, started.elapsed().as_secs_f64());
        let measurement = Measurement {
            step: self.step + 1,
            steps_planned: self.steps_planned,
            bytes_seen: self.books.bytes_seen,
            tokens_seen: self.books.tokens_seen,
            loss: nats / predicted.max(1) as f64,
            bits_per_byte: nats / (std::f64::consts::LN_2 * bytes.max(1) as f64),
            gradient_norm,
            learning_rate: self.rate(),
            tokens_per_second: self.books.tokens_per_second(),
            elapsed: self.elapsed(),
            peak_memory: memory::used(&self.model()?.device()).map_or(0, |used| used.most),
        };
        Ok((gradient, measurement))
    }

    /// Gradients of the mean loss, summed nats, targets predicted and bytes of these sequences, over micro-batches.
    fn gradients(&self, indices: &[usize]) -> Result<(Gradient, f64, u64, u64), TrainError> {
        inject::before(&self.plan.injected, self.batch_number(), self.load.batch, self.plan.stage.batch)?;
        let batches: Vec<_> = indices.chunks(self.load.batch).map(|rows| self.data.batch(rows)).collect();
        let predicted: u64 = batches.iter().map(PackedBatch::predicted).sum();
        let bytes: u64 = batches.iter().map(|b| b.bytes).sum();
        let mut gradient = Gradient::none(&self.params);
        let mut nats = 0.0;
        let mut draw = Draw { seed: self.plan.seed ^ self.position.wrapping_mul(0xD1B5_4A32_D192_ED03), before: 0 };
        for fed in &batches {
            let options = StepOptions {
                scale: 1.0 / predicted.max(1) as f32,
                dropout: (self.plan.stage.dropout > 0.0).then_some(draw),
                checkpointing: self.load.checkpointing,
            };
            let shape = [fed.rows, fed.length];
            let batch = Batch { ids: &fed.ids, targets: &fed.targets, weights: None, shape };
            let step = self.model()?.step(&batch, &options)?;
            nats += step.nats;
            draw.before += fed.rows * fed.length;
            gradient.add(&self.params, step)?;
        }
        // A device that works ahead says only now that it had no room.
        if self.params.state_device().is_some() {
            kernels::wait_for(&self.model()?.device())?;
        }
        Ok((gradient, nats, predicted, bytes))
    }

    /// The reviewer's directive, told to the observer and noted as an incident where it is one.
    pub(super) fn reviewed(&mut self, m: &Measurement, callbacks: &mut TrainCallbacks<'_>) -> Directive {
        let mut directive = callbacks.reviewer.review(m);
        let finite = m.loss.is_finite() && m.gradient_norm.is_finite();
        if !finite && matches!(directive, Directive::Continue | Directive::Adjust { .. }) {
            directive = Directive::SkipBatch { because: ReviewReason::NeverApplied.into() };
        }
        if directive == Directive::Continue {
            return directive;
        }
        callbacks.observer.observe(&Event::Directed { step: m.step, directive: directive.clone() });
        if let Some(incident) = self.books.trouble(m, &directive) {
            callbacks.observer.observe(&Event::Incident(incident));
        }
        directive
    }

    /// Clips and applies.
    pub(super) fn update(&mut self, gradient: &Gradient, m: &Measurement) -> Result<(), TrainError> {
        let rate = self.rate();
        let stage = &self.plan.stage;
        let embedding = stage.embedding_learning_rate.unwrap_or(stage.learning_rate);
        let head = stage.head_learning_rate.unwrap_or(embedding);
        let clip = if m.gradient_norm > MAX_NORM { MAX_NORM / m.gradient_norm } else { 1.0 };
        let model = self.take_model()?;
        let updated = self.optimizer.update(model, &self.params, gradient, clip, &|group| match group {
            Group::Embedding => rate * embedding / stage.learning_rate,
            Group::Head => rate * head / stage.learning_rate,
            Group::Adapter | Group::Matrix | Group::Vector => rate,
        })?;
        self.model = Some(updated);
        self.step += 1;
        if self.step.is_multiple_of(self.plan.snapshot_every.max(1)) {
            self.keep_snapshot()?;
        }
        Ok(())
    }

    /// What can be rewound to before anything else is kept: where the run begins. One that goes on has it already.
    pub(super) fn keep_first_snapshot(&mut self) -> Result<(), TrainError> {
        if self.snapshots.is_empty() { self.keep_snapshot() } else { Ok(()) }
    }

    fn keep_snapshot(&mut self) -> Result<(), TrainError> {
        // Field by field: the snapshots are another part of this run than what they are taken of.
        let model = self.model.as_ref().ok_or_else(out_of_place)?;
        let live = Live { model, params: &self.params, optimizer: self.optimizer.as_ref() };
        self.snapshots.keep(self.step, &live)
    }

    /// Parameters, moments and step as they were; the place in the text stays, so that the batches that led here are
    /// passed over.
    pub(super) fn rewind(&mut self, steps: u64) -> Result<(), TrainError> {
        let model = self.take_model()?;
        let model = match self.snapshots.back(self.step, steps, &self.params, self.optimizer.buffers())? {
            Some(snapshot) => {
                self.step = snapshot.step;
                snapshot.put_back(model, &self.params, self.optimizer.as_mut())?
            }
            None => model,
        };
        self.model = Some(model);
        Ok(())
    }

    /// Progress, the curve, and an evaluation where one is due.
    pub(super) fn log(&mut self, callbacks: &mut TrainCallbacks<'_>) -> Result<(), TrainError> {
        callbacks.observer.observe(&Event::Progress { done: self.step });
        let share = self.step as f64 / self.steps_planned as f64;
        if self.step < self.steps_planned && self.looks.last().is_some_and(|look| share >= *look) {
            self.looks.retain(|look| *look > share);
            self.evaluate(callbacks)?;
        } else if Books::is_due(self.step, self.steps_planned) {
            self.books.point(self.step, self.elapsed(), None);
        }
        Ok(())
    }

    pub(super) fn evaluate(&mut self, callbacks: &mut TrainCallbacks<'_>) -> Result<Option<Scores>, TrainError> {
        let Some(held_out) = self.held_out else { return Ok(None) };
        let scores = held_out.evaluate(self.model()?)?;
        let point = self.books.point(self.step, self.elapsed(), Some(&scores.evaluation));
        callbacks.observer.observe(&Event::Evaluated { at: point, evaluation: scores.evaluation.clone() });
        callbacks.reviewer.evaluated(&point, &scores.documents);
        Ok(Some(scores))
    }

    /// Says how much memory it took.
    pub(super) fn tell_memory(&self, callbacks: &mut TrainCallbacks<'_>) {
        let Some(used) = self.model.as_ref().and_then(|model| memory::used(&model.device())) else { return };
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let text = format!("Memory: {} MiB in use, {} MiB at most", mib(used.now), mib(used.most));
        callbacks.observer.observe(&Event::Note { text });
    }

    pub(super) fn end(self, ending: TrainingEnd, after: Option<Scores>) -> Result<Fitted, TrainError> {
        let seconds = self.elapsed();
        let trainable = self.params.parameters().iter().map(|p| p.count() as u64).sum();
        Ok(Fitted {
            model: self.model.ok_or_else(out_of_place)?,
            ending,
            before: self.before,
            after,
            curve: self.books.curve,
            incidents: self.books.incidents,
            steps: self.step,
            tokens_seen: self.books.tokens_seen,
            bytes_seen: self.books.bytes_seen,
            seconds,
            trainable,
        })
    }
}

fn out_of_place() -> TrainError {
    TrainError::Mismatch("training went on after an update failed".into())
}
