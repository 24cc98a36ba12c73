//! The training loop: stop? -> review -> step -> log -> checkpoint. It measures and obeys; what a measurement means is the
//! reviewer's business, which strategy it serves the caller's.

use super::adamw::{AdamW, AdamWConfig, Gradient, Trained};
use super::checkpoint::{self, Progress};
use super::data::Packed;
use super::inject;
use super::memory;
use super::order::Order;
use super::plan::{Checkpoints, Plan};
use super::state::Snapshots;
use super::tensors::Live;
use crate::domain::directive::{Directive, Measurement, Reviewer};
use crate::domain::event::{Event, Observer};
use crate::domain::outcome::{CurvePoint, Evaluation, Incident};
use crate::domain::strategy::Strategy;
use crate::execute::ExecuteError;
use crate::execute::evaluate::{HeldOut, Scores};
use crate::execute::model::{Batch, Decoder, Group, StepOptions};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Largest norm of a gradient that is applied; longer ones are scaled down to it.
pub const MAX_NORM: f64 = 1.0;

/// Points of the learning curve, about, besides those with an evaluation.
const CURVE_POINTS: u64 = 200;

/// Bytes of a snapshot up to which it is kept in memory rather than on disk.
const SMALL: usize = 32 << 20;

/// Steps over which the speed is taken.
const SPEED_STEPS: usize = 16;

/// What an incident can be, by the domain's words.
const KINDS: [&str; 7] = ["non_finite", "explosion", "spike", "divergence", "hopeless", "out_of_memory", "crash"];

/// How training ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ending {
    /// All planned steps were taken.
    Done,
    /// The time was up.
    TimeUp,
    /// The reviewer had enough; what was learnt is kept.
    StoppedEarly { because: String },
    /// The reviewer gave the strategy up for another.
    Switch { to: Strategy, because: String },
    /// The reviewer gave up for the emergency configuration.
    FallBack { because: String },
    /// The stop flag was raised.
    Interrupted,
}

/// A trained model and how it came about.
#[derive(Debug)]
pub struct Fitted {
    /// The model as it is now.
    pub model: Decoder,
    /// How it ended.
    pub ending: Ending,
    /// Held-out text before the first step.
    pub before: Option<Scores>,
    /// Held-out text at the end; absent after an interruption.
    pub after: Option<Scores>,
    /// The learning curve.
    pub curve: Vec<CurvePoint>,
    /// Trouble, in order.
    pub incidents: Vec<Incident>,
    /// Steps done.
    pub steps: u64,
    /// Targets predicted, skipped batches included.
    pub tokens_seen: u64,
    /// UTF-8 bytes of text seen, skipped batches included.
    pub bytes_seen: u64,
    /// Wall seconds, evaluations included.
    pub seconds: f64,
    /// Numbers that were trained.
    pub trainable: u64,
}

/// Everything is in order, always.
pub struct Trusting;

impl Reviewer for Trusting {
    fn review(&mut self, _: &Measurement) -> Directive {
        Directive::Continue
    }
}

/// Who is heard while training.
pub struct Company<'a> {
    /// Asked once a step, before the update.
    pub reviewer: &'a mut dyn Reviewer,
    /// Told everything.
    pub observer: &'a mut dyn Observer,
    /// Raised by a signal.
    pub stop: &'a AtomicBool,
}

/// Trains what of the model is trainable.
///
/// Directives are obeyed to the letter: `Adjust` multiplies all rates from this step on; `Rewind` puts parameters and
/// moments back and goes on with text not seen yet, at the same rates; `Switch`, `FallBack` and `StopEarly` end the
/// run before the step's update. A loss or gradient that is not finite is never applied, whatever the reviewer says.
///
/// # Errors
/// [`ExecuteError::Data`] for a plan that makes no sense, or sequences longer than the model's positions; [`ExecuteError::Mismatch`] for ids the model has no rows
/// for, or a model with nothing to train; [`ExecuteError::Backend`] where the device fails.
pub fn fit(
    model: Decoder,
    data: &Packed,
    held_out: Option<&HeldOut>,
    plan: &Plan,
    company: &mut Company<'_>,
) -> Result<Fitted, ExecuteError> {
    let mut run = Run::begin(model, data, held_out, plan, company)?;
    let steps = run.steps_planned;
    company.observer.observe(&Event::Phase { name: "train".into(), total: steps, unit: "steps".into() });
    if run.step == 0 && run.position == 0 {
        run.before = run.evaluate(company)?;
    }
    run.keep_snapshot()?;
    let ending = loop {
        if run.step == steps {
            break Ending::Done;
        }
        if company.stop.load(Ordering::Relaxed) {
            run.save()?;
            break Ending::Interrupted;
        }
        if run.time_is_up() {
            break Ending::TimeUp;
        }
        let (gradient, measurement) = run.measure(company)?;
        company.observer.observe(&Event::Step(measurement));
        match run.reviewed(&measurement, company) {
            Directive::Continue => run.update(&gradient, &measurement)?,
            Directive::Adjust { factor, .. } => {
                run.rate_factor *= factor;
                run.update(&gradient, &measurement)?;
            }
            Directive::SkipBatch { .. } => run.step += 1,
            Directive::Rewind { steps, .. } => run.rewind(steps)?,
            Directive::StopEarly { because } => break Ending::StoppedEarly { because },
            Directive::Switch { to, because } => break Ending::Switch { to, because },
            Directive::FallBack { because } => break Ending::FallBack { because },
        }
        run.log(&measurement, company)?;
        run.checkpoint(company);
    };
    let after = match ending {
        Ending::Interrupted => None,
        Ending::Done | Ending::TimeUp => run.evaluate(company)?,
        // What was given up may be beyond evaluation; that it was given up still counts.
        Ending::StoppedEarly { .. } | Ending::Switch { .. } | Ending::FallBack { .. } => {
            run.evaluate(company).ok().flatten()
        }
    };
    company.observer.observe(&Event::Finished { name: "train".into() });
    run.end(ending, after)
}

/// How much the device is asked to hold at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Load {
    /// Sequences a micro-batch.
    batch: usize,
    /// Whether only the layers' inputs are kept.
    checkpointing: bool,
}

impl Load {
    /// The next lighter one: half the micro-batch, then activation checkpointing; `None` where nothing is left to try.
    fn lighter(self) -> Option<Self> {
        match self {
            Self { batch, .. } if batch > 1 => Some(Self { batch: batch / 2, ..self }),
            Self { checkpointing: false, .. } => Some(Self { checkpointing: true, ..self }),
            _ => None,
        }
    }
}

impl std::fmt::Display for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kept = if self.checkpointing { ", activations computed twice" } else { "" };
        write!(f, "{} sequences at once{kept}", self.batch)
    }
}

/// A run on its way.
struct Run<'a> {
    model: Option<Decoder>,
    trained: Trained,
    optimizer: AdamW,
    data: &'a Packed,
    held_out: Option<&'a HeldOut>,
    plan: &'a Plan,
    order: Order,
    snapshots: Snapshots,
    began: Instant,
    steps_planned: u64,
    /// Steps done.
    step: u64,
    /// Sequences seen: the place in the order.
    position: u64,
    tokens_seen: u64,
    bytes_seen: u64,
    rate_factor: f64,
    load: Load,
    /// Tokens and seconds of the last steps.
    speed: VecDeque<(u64, f64)>,
    /// Nats and bytes since the last point of the curve.
    since: (f64, u64),
    curve: Vec<CurvePoint>,
    incidents: Vec<Incident>,
    /// Shares of the run at which to evaluate, descending; the next is last.
    looks: Vec<f64>,
    before: Option<Scores>,
    /// Seconds that were spent before this process took over.
    earlier: f64,
    /// Seconds that passed while the run waited for its rival.
    idle: f64,
}

impl<'a> Run<'a> {
    fn begin(
        model: Decoder,
        data: &'a Packed,
        held_out: Option<&'a HeldOut>,
        plan: &'a Plan,
        company: &mut Company<'_>,
    ) -> Result<Self, ExecuteError> {
        plan.check()?;
        let trained = Trained::of(&model);
        if trained.parameters().is_empty() {
            return Err(ExecuteError::Mismatch(
                "nothing of the model is trained: it has no adapters and is frozen".into(),
            ));
        }
        let positions = model.config().size.positions;
        if data.length() > positions {
            return Err(ExecuteError::Data(format!(
                "sequences of {} tokens are longer than the model's {positions} positions",
                data.length()
            )));
        }
        let mut looks: Vec<f64> = plan.evaluate_at.iter().copied().filter(|x| *x > 0.0 && *x < 1.0).collect();
        looks.sort_by(|a, b| b.total_cmp(a));
        let mut run = Self {
            optimizer: AdamW::new(AdamWConfig::new(plan.stage.weight_decay), &trained),
            trained,
            model: Some(model),
            data,
            held_out,
            plan,
            order: Order::new(data.len(), plan.seed),
            snapshots: Snapshots::new(SMALL),
            began: Instant::now(),
            steps_planned: plan.steps(data.len(), data.bytes()),
            step: 0,
            position: 0,
            tokens_seen: 0,
            bytes_seen: 0,
            rate_factor: 1.0,
            load: Load { batch: plan.stage.batch, checkpointing: plan.checkpointing },
            speed: VecDeque::new(),
            since: (0.0, 0),
            curve: Vec::new(),
            incidents: Vec::new(),
            looks,
            before: None,
            earlier: 0.0,
            idle: 0.0,
        };
        run.resume(company)?;
        Ok(run)
    }

    /// Goes on from the youngest checkpoint, where that is asked for and there is one.
    fn resume(&mut self, company: &mut Company<'_>) -> Result<(), ExecuteError> {
        let Some(place) = self.plan.checkpoints.as_ref().filter(|c| c.resume) else { return Ok(()) };
        let mut passed_over = Vec::new();
        let found = checkpoint::load(&place.folder, &self.fingerprint(), &self.trained, &mut passed_over)?;
        for text in passed_over {
            company.observer.observe(&Event::Note { text: format!("{text}; the one before it is used") });
        }
        let Some((p, snapshot)) = found else { return Ok(()) };
        let model = self.take_model()?;
        self.model = Some(snapshot.put_back(model, &self.trained, &mut self.optimizer)?);
        (self.step, self.position, self.tokens_seen, self.bytes_seen) =
            (p.step, p.position, p.tokens_seen, p.bytes_seen);
        (self.rate_factor, self.earlier, self.since, self.looks) = (p.rate_factor, p.elapsed, p.since, p.looks);
        (self.curve, self.incidents, self.before) = (p.curve, p.incidents, p.before);
        let text = format!("goes on from step {} of {}", self.step, self.steps_planned);
        company.observer.observe(&Event::Note { text });
        Ok(())
    }

    /// What the run is: text, settings and trained parameters, in a line.
    fn fingerprint(&self) -> String {
        let parameters: Vec<String> =
            self.trained.parameters().iter().map(|p| format!("{}{:?}", p.name, p.shape)).collect();
        let (data, plan) = (self.data, self.plan);
        let text =
            format!("{} sequences of {}, {} bytes, text {:016x}", data.len(), data.length(), data.bytes(), data.hash());
        let settings = format!("{:?} {:?} seed {} budget {:?}", plan.stage, plan.shape, plan.seed, plan.bytes);
        format!("{text}; {settings}; {}", parameters.join(" "))
    }

    /// Saves the run, where a folder for that is given.
    fn save(&self) -> Result<(), ExecuteError> {
        let Some(place) = &self.plan.checkpoints else { return Ok(()) };
        let progress = Progress {
            fingerprint: self.fingerprint(),
            step: self.step,
            updates: self.optimizer.updates,
            position: self.position,
            tokens_seen: self.tokens_seen,
            bytes_seen: self.bytes_seen,
            rate_factor: self.rate_factor,
            elapsed: self.elapsed(),
            since: self.since,
            curve: self.curve.clone(),
            incidents: self.incidents.clone(),
            looks: self.looks.clone(),
            before: self.before.clone(),
        };
        checkpoint::save(&place.folder, &progress, &self.live()?)
    }

    /// Saves the run where that is due. A disk that refuses costs the checkpoint, not the run.
    fn checkpoint(&mut self, company: &mut Company<'_>) {
        let due = |c: &Checkpoints| self.step.is_multiple_of(c.every.max(1)) && self.step < self.steps_planned;
        if !self.plan.checkpoints.as_ref().is_some_and(due) {
            return;
        }
        if let Err(e) = self.save() {
            let text = format!("a checkpoint could not be saved, training goes on: {e}");
            company.observer.observe(&Event::Note { text });
        }
    }

    /// The model is out of its place only while an update fails, which ends the run.
    fn model(&self) -> Result<&Decoder, ExecuteError> {
        self.model.as_ref().ok_or_else(out_of_place)
    }

    fn take_model(&mut self) -> Result<Decoder, ExecuteError> {
        self.model.take().ok_or_else(out_of_place)
    }

    fn live(&self) -> Result<Live<'_>, ExecuteError> {
        Ok(Live { model: self.model()?, trained: &self.trained, optimizer: &self.optimizer })
    }

    fn elapsed(&self) -> f64 {
        self.earlier + self.began.elapsed().as_secs_f64() - self.idle
    }

    fn time_is_up(&self) -> bool {
        self.plan.seconds.is_some_and(|limit| self.elapsed() >= limit)
    }

    /// Share of the run that will be over after this step: of the steps, or of the time where that runs out sooner.
    fn progress(&self) -> f64 {
        let by_steps = (self.step + 1) as f64 / self.steps_planned as f64;
        let by_time = self.plan.seconds.map_or(0.0, |limit| self.elapsed() / limit);
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
    fn measure(&mut self, company: &mut Company<'_>) -> Result<(Gradient, Measurement), ExecuteError> {
        let started = Instant::now();
        let indices = self.order.take(self.position, self.plan.sequences_per_step());
        let (mut gradient, mut nats, predicted, bytes) = loop {
            match self.gradients(&indices) {
                Err(ExecuteError::Backend { what, device }) => {
                    let Some(lighter) = self.load.lighter() else {
                        return Err(ExecuteError::Backend { what, device });
                    };
                    self.load = lighter;
                    let because = format!("{what}; tried again with {lighter}");
                    let directive = Directive::Adjust { factor: 1.0, because: because.clone() };
                    let kind = "out_of_memory".to_string();
                    let incident = Incident { step: self.step + 1, kind, detail: because, directive };
                    company.observer.observe(&Event::Incident(incident.clone()));
                    self.incidents.push(incident);
                }
                other => break other?,
            }
        };
        gradient.freeze_rows(&self.trained, self.plan.frozen_rows);
        inject::after(&self.plan.injected, self.batch_number(), started.elapsed(), &mut gradient, &mut nats);
        self.position += indices.len() as u64;
        self.tokens_seen += predicted;
        self.bytes_seen += bytes;
        self.since = (self.since.0 + nats, self.since.1 + bytes);
        let gradient_norm = gradient.norm();
        self.speed.push_back((predicted, started.elapsed().as_secs_f64()));
        if self.speed.len() > SPEED_STEPS {
            self.speed.pop_front();
        }
        let (tokens, seconds) = self.speed.iter().fold((0, 0.0), |(t, s), x| (t + x.0, s + x.1));
        let measurement = Measurement {
            step: self.step + 1,
            steps_planned: self.steps_planned,
            bytes_seen: self.bytes_seen,
            tokens_seen: self.tokens_seen,
            loss: nats / predicted.max(1) as f64,
            bits_per_byte: nats / (std::f64::consts::LN_2 * bytes.max(1) as f64),
            gradient_norm,
            learning_rate: self.rate(),
            tokens_per_second: tokens as f64 / seconds.max(1e-9),
            elapsed: self.elapsed(),
            peak_memory: memory::peak().unwrap_or(0),
        };
        Ok((gradient, measurement))
    }

    /// Gradients of the mean loss, summed nats, targets predicted and bytes of these sequences, over micro-batches.
    fn gradients(&self, indices: &[usize]) -> Result<(Gradient, f64, u64, u64), ExecuteError> {
        inject::before(&self.plan.injected, self.batch_number(), self.load.batch, self.plan.stage.batch)?;
        let batches: Vec<_> = indices.chunks(self.load.batch).map(|rows| self.data.batch(rows)).collect();
        let predicted: u64 = batches.iter().map(super::data::Fed::predicted).sum();
        let bytes: u64 = batches.iter().map(|b| b.bytes).sum();
        let mut gradient = Gradient::none(&self.trained);
        let mut nats = 0.0;
        for (micro, fed) in batches.iter().enumerate() {
            let seed = self.plan.seed ^ (self.position + micro as u64).wrapping_mul(0xD1B5_4A32_D192_ED03);
            let options = StepOptions {
                scale: 1.0 / predicted.max(1) as f32,
                dropout: (self.plan.stage.dropout > 0.0).then_some(seed),
                checkpointing: self.load.checkpointing,
            };
            let shape = [fed.rows, fed.length];
            let batch = Batch { ids: &fed.ids, targets: &fed.targets, weights: None, shape };
            let step = self.model()?.step(&batch, &options)?;
            nats += step.nats;
            gradient.add(&self.trained, step.grads)?;
        }
        Ok((gradient, nats, predicted, bytes))
    }

    /// The reviewer's directive, told to the observer and noted as an incident where it is one.
    fn reviewed(&mut self, m: &Measurement, company: &mut Company<'_>) -> Directive {
        let mut directive = company.reviewer.review(m);
        let finite = m.loss.is_finite() && m.gradient_norm.is_finite();
        if !finite && matches!(directive, Directive::Continue | Directive::Adjust { .. }) {
            directive =
                Directive::SkipBatch { because: "a loss or gradient that is not finite is never applied".into() };
        }
        if directive == Directive::Continue {
            return directive;
        }
        company.observer.observe(&Event::Directed { step: m.step, directive: directive.clone() });
        let (kind, because) = match &directive {
            Directive::Continue => (None, ""),
            Directive::Adjust { because, .. } | Directive::StopEarly { because } => (None, because.as_str()),
            Directive::SkipBatch { because } => (Some("spike"), because.as_str()),
            Directive::Rewind { because, .. } | Directive::Switch { because, .. } | Directive::FallBack { because } => {
                (Some("divergence"), because.as_str())
            }
        };
        // A reviewer may say what it saw before a colon.
        let named = KINDS.iter().copied().find(|k| because.split(':').next() == Some(k));
        if let Some(kind) = kind.map(|kind| if finite { named.unwrap_or(kind) } else { "non_finite" }) {
            let incident = Incident {
                step: m.step,
                kind: kind.into(),
                detail: format!("loss {:.4}, gradient norm {:.4}: {because}", m.loss, m.gradient_norm),
                directive: directive.clone(),
            };
            company.observer.observe(&Event::Incident(incident.clone()));
            self.incidents.push(incident);
        }
        directive
    }

    /// Clips and applies.
    fn update(&mut self, gradient: &Gradient, m: &Measurement) -> Result<(), ExecuteError> {
        let rate = self.rate();
        let stage = &self.plan.stage;
        let ratio = stage.embedding_learning_rate.unwrap_or(stage.learning_rate) / stage.learning_rate;
        let clip = if m.gradient_norm > MAX_NORM { MAX_NORM / m.gradient_norm } else { 1.0 };
        let model = self.take_model()?;
        let updated = self.optimizer.update(model, &self.trained, gradient, clip, |group| match group {
            Group::Embedding | Group::Head => rate * ratio,
            Group::Adapter | Group::Matrix | Group::Vector => rate,
        })?;
        self.model = Some(updated);
        self.step += 1;
        if self.step.is_multiple_of(self.plan.snapshot_every.max(1)) {
            self.keep_snapshot()?;
        }
        Ok(())
    }

    fn keep_snapshot(&mut self) -> Result<(), ExecuteError> {
        // Field by field: the snapshots are another part of this run than what they are taken of.
        let model = self.model.as_ref().ok_or_else(out_of_place)?;
        let live = Live { model, trained: &self.trained, optimizer: &self.optimizer };
        self.snapshots.keep(self.step, &live)
    }

    /// Parameters, moments and step as they were; the place in the text stays, so that the batches that led here are
    /// passed over.
    fn rewind(&mut self, steps: u64) -> Result<(), ExecuteError> {
        let model = self.take_model()?;
        let model = match self.snapshots.back(self.step, steps, &self.trained)? {
            Some(snapshot) => {
                self.step = snapshot.step;
                snapshot.put_back(model, &self.trained, &mut self.optimizer)?
            }
            None => model,
        };
        self.model = Some(model);
        Ok(())
    }

    /// Progress, the curve, and an evaluation where one is due.
    fn log(&mut self, m: &Measurement, company: &mut Company<'_>) -> Result<(), ExecuteError> {
        company.observer.observe(&Event::Progress { done: self.step });
        let share = self.step as f64 / self.steps_planned as f64;
        if self.step < self.steps_planned && self.looks.last().is_some_and(|look| share >= *look) {
            self.looks.retain(|look| *look > share);
            self.evaluate(company)?;
        } else if self.step == self.steps_planned
            || m.step.is_multiple_of(self.steps_planned.div_ceil(CURVE_POINTS).max(1))
        {
            let point = self.point(None);
            self.curve.push(point);
        }
        Ok(())
    }

    /// A point of the curve; the training loss since the last one goes into it.
    fn point(&mut self, evaluation: Option<&Evaluation>) -> CurvePoint {
        let (nats, bytes) = std::mem::take(&mut self.since);
        let train = (bytes > 0).then(|| nats / (std::f64::consts::LN_2 * bytes as f64)).filter(|x| x.is_finite());
        CurvePoint {
            step: self.step,
            bytes_seen: self.bytes_seen,
            elapsed: self.elapsed(),
            train_bits_per_byte: train,
            eval_bits_per_byte: evaluation.map(|e| e.bits_per_byte.get()),
        }
    }

    fn evaluate(&mut self, company: &mut Company<'_>) -> Result<Option<Scores>, ExecuteError> {
        let Some(held_out) = self.held_out else { return Ok(None) };
        let scores = held_out.evaluate(self.model()?)?;
        let point = self.point(Some(&scores.evaluation));
        self.curve.push(point);
        company.observer.observe(&Event::Evaluated { at: point, evaluation: scores.evaluation.clone() });
        self.idle += company.reviewer.evaluated(&point, &scores.documents);
        Ok(Some(scores))
    }

    fn end(self, ending: Ending, after: Option<Scores>) -> Result<Fitted, ExecuteError> {
        let seconds = self.elapsed();
        let trainable = self.trained.parameters().iter().map(|p| p.count() as u64).sum();
        Ok(Fitted {
            model: self.model.ok_or_else(out_of_place)?,
            ending,
            before: self.before,
            after,
            curve: self.curve,
            incidents: self.incidents,
            steps: self.step,
            tokens_seen: self.tokens_seen,
            bytes_seen: self.bytes_seen,
            seconds,
            trainable,
        })
    }
}

fn out_of_place() -> ExecuteError {
    ExecuteError::Mismatch("training went on after an update failed".into())
}

#[cfg(test)]
mod tests {
    use super::Load;

    #[test]
    fn a_device_without_room_is_asked_for_half_as_much_until_nothing_is_left_to_try() {
        let mut load = Load { batch: 6, checkpointing: false };
        let mut tried = vec![];
        while let Some(lighter) = load.lighter() {
            tried.push((lighter.batch, lighter.checkpointing));
            load = lighter;
        }
        assert_eq!(tried, [(3, false), (1, false), (1, true)]);
        assert_eq!(load.to_string(), "1 sequences at once, activations computed twice");
    }
}
