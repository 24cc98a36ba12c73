//! The whole flow on a model: analyse, decide, execute, choose, export, record; begun, or gone on with. What each of
//! these does is its own file's business.

mod begun;
mod carry;
mod costs;
mod every;
mod inputs;
mod power;

pub use costs::{RunPlan, StagePlan, plan};
pub use every::{Comparison, Row, run_all};

use super::evidence::decide_on;
use super::{PipelineError, Settings, log, must_be_free, now, price, write_whole};
use crate::analyze;
use crate::corpus::CorpusOptions;
use crate::decide::DecideError;
use crate::decide::race::RuleReferee;
use crate::decide::review::{ReviewPlan, ReviewState, RuleReviewer};
use crate::decide::rules::RuleBook;
use crate::domain::decision::{Action, Decision};
use crate::domain::directive::{Directive, Referee, Reviewer};
use crate::domain::event::{Event, Observer};
use crate::domain::injection::Injection;
use crate::domain::outcome::{IncidentKind, Status};
use crate::domain::resources::{Costs, Resources};
use crate::domain::run::{Request, Run};
use crate::domain::strategy::Strategy;
use crate::model::device;
use crate::store::{self, Journal};
use crate::strategies::cost::Hardware;
use crate::strategies::{self, Budget, Commission, Grown, Work};
use crate::tokenizer::Coder;
use crate::tokenizer::{TokenizerFiles, Tokens};
use begun::Begun;
use inputs::{Prepared, bytes_of, prepare};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// What to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AutoRequest {
    /// The base model's folder.
    pub model: PathBuf,
    /// The original tokenizer; the model's where absent.
    pub source: Option<PathBuf>,
    /// The candidate tokenizer.
    pub candidate: PathBuf,
    /// Training text.
    pub train: Vec<PathBuf>,
    /// How often each training text is seen an epoch, in their order; once where there are none.
    #[serde(default)]
    pub weights: Vec<f64>,
    /// Held-out text.
    pub eval: Vec<PathBuf>,
    /// A free folder.
    pub out: PathBuf,
    /// A strategy that the user insists on.
    pub strategy: Option<Strategy>,
    /// With this probability something else than decided is tried, so that the history learns of it; `None` never does.
    pub explore: Option<f64>,
    /// Whether to run `keep` beside it as the yardstick.
    pub with_keep: bool,
    /// No more of the training text than this.
    pub train_bytes: Option<u64>,
    /// No more of the held-out text than this.
    pub eval_bytes: u64,
    /// Changes to the stages' configurations.
    pub overrides: Vec<(String, serde_json::Value)>,
    /// How rows are made for another vocabulary; the default method where absent.
    pub method: Option<String>,
    /// Seed of everything random.
    pub seed: u64,
    /// Where to train.
    pub device: String,
    /// What there is to work with.
    pub resources: Resources,
    /// How text is read.
    pub reading: CorpusOptions,
    /// Trouble to make on purpose.
    pub injected: Vec<Injection>,
    /// Set by a signal: training stops after the step in flight and keeps what was learnt.
    #[serde(skip)]
    pub stop: Arc<AtomicBool>,
}

impl AutoRequest {
    /// These inputs, and the defaults for everything else.
    pub fn new(model: PathBuf, candidate: PathBuf, train: Vec<PathBuf>, eval: Vec<PathBuf>, out: PathBuf) -> Self {
        Self {
            model,
            source: None,
            candidate,
            train,
            weights: Vec::new(),
            eval,
            out,
            strategy: None,
            explore: None,
            with_keep: false,
            train_bytes: None,
            eval_bytes: 1_000_000,
            overrides: Vec::new(),
            method: None,
            seed: 0,
            device: "auto".into(),
            resources: Resources::default(),
            reading: CorpusOptions::default(),
            injected: Vec::new(),
            stop: Arc::default(),
        }
    }
}

/// Carries the whole flow out. The run is in the history whatever happens after it began.
pub fn auto(settings: &Settings, request: &AutoRequest, observer: &mut dyn Observer) -> Result<Run, PipelineError> {
    must_be_free(&request.out)?;
    let rules = settings.rules()?;
    let power = power::Meter::begin();
    let began = Instant::now();
    let ground = Ground::prepare(&rules, request, None, observer)?;
    let (decision, costs) = ground.decide(settings, &rules, request, observer)?;
    let (chosen, propensity) = match (request.strategy, request.explore) {
        (Some(forced), _) => (forced, log::certain()),
        (None, Some(epsilon)) => log::explore(&decision, epsilon, &ground.executable(), request.seed),
        (None, None) => (decision.strategy, log::certain()),
    };
    // What was drawn to explore is carried out as if it had been asked for.
    let drawn = (request.explore.is_some() && chosen != decision.strategy).then_some(chosen);
    let request = &AutoRequest { strategy: request.strategy.or(drawn), ..request.clone() };
    inputs::must_be_writable(&rules, &ground, chosen)?;
    costs::must_fit(request, chosen, &costs)?;
    say_decision(&decision, chosen, observer);
    let run = Run {
        id: settings.new_run_id(),
        started: now(),
        ended: None,
        status: None,
        version: env!("CARGO_PKG_VERSION").into(),
        request: remembered(request, &ground),
        profile: ground.inputs.profile.clone(),
        decision,
        outcome: None,
        feedback: Vec::new(),
    };
    Begun::write(request, &run, &costs)?;
    let history = settings.history()?;
    settings.begin(&history, &run)?;
    log::of_run(&history, &run, chosen, propensity)?;
    drop(history);
    go(settings, &rules, request, &ground, Session { run, costs, began, power, spent: 0.0 }, observer)
}

/// Whether a folder holds a run that has begun, so that it can be gone on with.
pub fn has_begun(out: &Path) -> bool {
    Begun::read(out).is_ok()
}

/// Goes on with a run that was stopped or killed, from the folder it was to leave its results in. A run that is done
/// is only told again.
pub fn resume(
    settings: &Settings,
    out: &Path,
    stop: &Arc<AtomicBool>,
    observer: &mut dyn Observer,
) -> Result<Run, PipelineError> {
    let Begun { mut request, run, costs, .. } = Begun::read(out)?;
    if let Some(done) = begun::ended(out)?
        && done.status != Some(Status::Interrupted)
    {
        observer.observe(&Event::Note { text: format!("The run {} is done already", done.id) });
        return Ok(done);
    }
    request.stop = stop.clone();
    request.out = out.to_path_buf();
    let rules = settings.rules()?;
    let (power, began) = (power::Meter::begin(), Instant::now());
    if rules.sha256() != run.decision.rules_sha256 {
        let text = "warning: the rules are not those that the run began with; what is left is reviewed by the new ones";
        observer.observe(&Event::Note { text: text.into() });
    }
    let ground = Ground::prepare(&rules, &request, Some(&run), observer)?;
    begun::must_be_the_same(&run.request, &remembered(&request, &ground), out)?;
    let history = settings.history()?;
    if history.get(&run.id).is_err() {
        history.begin(&run)?;
    }
    let spent = begun::spent(out)?;
    observer.observe(&Event::Note { text: format!("Going on with the run {}", run.id) });
    go(settings, &rules, &request, &ground, Session { run, costs, began, power, spent }, observer)
}

/// What a run stands on: everything read, counted and chosen before anything is trained.
struct Ground {
    inputs: Prepared,
    device: device::Chosen,
    source: Coder,
    candidate: Coder,
    /// Tokens of the held-out text, by the original and the candidate.
    eval_tokens: [u64; 2],
    train_bytes: u64,
    /// Memory there is for training, bytes.
    memory: Option<u64>,
    /// Whether two branches may be trained at once.
    two: bool,
}

impl Ground {
    /// `known`: a run that was begun; its profile is taken as it is.
    fn prepare(
        rules: &RuleBook,
        request: &AutoRequest,
        known: Option<&Run>,
        observer: &mut dyn Observer,
    ) -> Result<Self, PipelineError> {
        let device = device::choose(&request.device)?;
        observer.observe(&Event::Note { text: format!("Training on {}: {}", device.name, device.why) });
        let inputs = prepare(rules, request, known.map(|run| &run.profile), observer)?;
        let source = Coder::of(inputs.source.tokenizer.clone(), &inputs.source.vocabulary)?;
        let candidate = Coder::of(inputs.candidate.tokenizer.clone(), &inputs.candidate.vocabulary)?;
        let eval_tokens = [source.count(&inputs.eval)?, candidate.count(&inputs.eval)?];
        let train_bytes = bytes_of(&inputs.train);
        let memory = request.resources.memory.or(device.memory);
        Ok(Self {
            inputs,
            device,
            source,
            candidate,
            eval_tokens,
            train_bytes,
            memory,
            two: request.resources.devices > 1,
        })
    }

    /// Strategies that can be carried out with these inputs.
    fn executable(&self) -> Vec<Strategy> {
        let can = |s: &Strategy| *s != Strategy::Extend || inputs::can_grow(&self.inputs.source);
        strategies::ROADS.iter().map(|r| r.strategy()).filter(can).collect()
    }

    /// What costs are counted from, on a device of so many operations a second.
    fn pricing(&self, flops_per_second: f64) -> price::Plan<'_> {
        price::Plan {
            config: self.inputs.base.config(),
            stages: &self.inputs.stages,
            profile: &self.inputs.profile,
            train_bytes: self.train_bytes,
            eval_tokens: self.eval_tokens,
            two: self.two,
            hardware: Hardware { memory: self.memory, ..Hardware::of(&self.device.device, flops_per_second) },
        }
    }

    fn decide(
        &self,
        settings: &Settings,
        rules: &RuleBook,
        request: &AutoRequest,
        observer: &mut dyn Observer,
    ) -> Result<(Decision, Costs), PipelineError> {
        let costs = price::costs(&self.pricing(price::speed(settings, &self.device, observer)?));
        let resources = Resources { memory: self.memory, ..request.resources.clone() };
        let (profile, executable) = (&self.inputs.profile, self.executable());
        let on = |resources: &Resources| {
            decide_on(settings, rules, profile, resources, Some(&costs), &executable, Some(self.train_bytes))
        };
        let (decision, _) = match on(&resources) {
            // Whoever insists on a strategy gets it within the budget: the trainer hurries.
            Err(PipelineError::Decide(DecideError::Infeasible { .. }))
                if request.strategy.is_some() && resources.budget.is_some() =>
            {
                on(&Resources { budget: None, ..resources })?
            }
            other => other?,
        };
        Ok((decision, costs))
    }
}

/// A run on its way in this process.
struct Session {
    run: Run,
    costs: Costs,
    began: Instant,
    power: power::Meter,
    /// Seconds that earlier processes spent on it.
    spent: f64,
}

/// Executes, chooses, exports and records.
fn go(
    settings: &Settings,
    rules: &RuleBook,
    request: &AutoRequest,
    ground: &Ground,
    session: Session,
    observer: &mut dyn Observer,
) -> Result<Run, PipelineError> {
    let Session { mut run, costs, began, power, spent } = session;
    let earlier = begun::trained(&request.out)?;
    let mut journal = open_journal(request)?;
    let mut both = Both { first: observer, second: &mut journal };
    let result = execute(rules, request, ground, &run, &earlier, &costs, (began, spent), &mut both);
    let kept = journal.finish();
    run.ended = Some(now());
    let (outcome, error) = match result {
        Ok(outcome) => (outcome, kept.err().map(PipelineError::from)),
        Err(error) => {
            let chosen = request.strategy.unwrap_or(run.decision.strategy);
            (carry::failed(chosen, &request.out, error.to_string()), Some(error))
        }
    };
    let outcome = crate::domain::outcome::Outcome {
        seconds: spent + began.elapsed().as_secs_f64(),
        energy_joules: power.joules(),
        ..outcome
    };
    run.status = Some(outcome.status);
    run.outcome = Some(outcome);
    settings.history()?.update(&run)?;
    let json = serde_json::to_vec_pretty(&run).map_err(|e| PipelineError::File {
        verb: "write",
        path: request.out.join("run.json"),
        source: e.into(),
    })?;
    write_whole(&request.out.join("run.json"), &json)?;
    error.map_or(Ok(run), Err)
}

#[expect(clippy::too_many_arguments, reason = "each is what another file made; one caller")]
fn execute(
    rules: &RuleBook,
    request: &AutoRequest,
    ground: &Ground,
    run: &Run,
    earlier: &BTreeMap<String, f64>,
    costs: &Costs,
    (began, spent): (Instant, f64),
    observer: &mut dyn Observer,
) -> Result<crate::domain::outcome::Outcome, PipelineError> {
    let inputs = &ground.inputs;
    let course = course(&run.decision, request.strategy);
    let chosen = match request.strategy {
        None | Some(Strategy::Adaptive) => Strategy::Adaptive,
        Some(forced) => forced,
    };
    let grown = match chosen == Strategy::Extend || course.contains(&Strategy::Extend) {
        true => Some(inputs::grow(inputs, request, observer)?),
        false => None,
    };
    let candidate_files = TokenizerFiles::beside(&inputs.candidate.path);
    let both = match chosen == Strategy::Structural || course.contains(&Strategy::Structural) {
        true => {
            let coder = Coder::of(inputs.candidate.tokenizer.clone(), &inputs.candidate.vocabulary)?;
            Some(coder.shifted(inputs.base.config().size.rows as u32))
        }
        false => None,
    };
    let grown_files = grown.as_ref().map(|g| TokenizerFiles::beside(&g.file.path));
    let mapping = analyze::mapping(&inputs.source, &inputs.candidate);
    let watched = run.decision.action == Action::ExecuteWatched;
    let mut reviewers = |commission: &Commission<'_>| -> Box<dyn Reviewer> {
        let plan = ReviewPlan {
            switch_to: commission.switch_to,
            watched,
            incumbent: commission.switch_to.and(commission.incumbent),
            seed: request.seed,
        };
        Box::new(RuleReviewer::with(rules.review(), plan, state_after(commission)))
    };
    let mut referee = || -> Box<dyn Referee> { Box::new(RuleReferee::new(rules.review(), request.seed)) };
    let budget = request.resources.budget.map(|all| {
        let stages = carry::stages_ahead(chosen, &course, request.with_keep);
        let left = all - spent - began.elapsed().as_secs_f64();
        let heavier = costs::evaluation_on_candidate(inputs, ground.eval_tokens);
        Budget::new(left, costs::by_stage(ground, costs), stages).with_evaluations(heavier)
    });
    let second = ground.two.then(|| device::another(&ground.device));
    let mut work = Work {
        base: &inputs.base,
        source: Tokens {
            coder: &ground.source,
            vocabulary: &inputs.source.vocabulary,
            files: &TokenizerFiles::beside(&inputs.source.path),
        },
        candidate: Tokens {
            coder: &ground.candidate,
            vocabulary: &inputs.candidate.vocabulary,
            files: &candidate_files,
        },
        mapping: &mapping,
        grown: grown.as_ref().zip(grown_files.as_ref()).map(|(g, files)| Grown {
            tokens: Tokens { coder: &g.coder, vocabulary: &g.file.vocabulary, files },
            mapping: &g.mapping,
        }),
        both: both.as_ref().map(|coder| Tokens {
            coder,
            vocabulary: &inputs.candidate.vocabulary,
            files: &candidate_files,
        }),
        method: request.method.as_deref().map(str::parse).transpose()?,
        profile: &run.profile,
        train: &inputs.train,
        eval: &inputs.eval,
        source_tokens: ground.eval_tokens[0],
        eval_bytes: bytes_of(&inputs.eval),
        stages: &inputs.stages,
        device: &ground.device.device,
        memory: ground.memory,
        second: second.as_ref().map(|d| &d.device),
        seed: request.seed,
        out: &request.out,
        stop: &request.stop,
        reviewers: &mut reviewers,
        referee: &mut referee,
        observer,
        earlier,
        budget,
        injected: &request.injected,
        course: &course,
        before: None,
        trouble: Vec::new(),
        switch_to: None,
    };
    carry::carry_out(rules, chosen, request.with_keep, &mut work)
}

/// What is begun with, and where to go when it is given up: the decision's order, and `keep` in any case. Roads that
/// take two goes at once, and those that must be asked for, are not gone over to.
fn course(decision: &Decision, forced: Option<Strategy>) -> Vec<Strategy> {
    let first = match forced {
        None | Some(Strategy::Adaptive) => decision.strategy,
        Some(_) => return Vec::new(),
    };
    let later = |s: &Strategy| matches!(s, Strategy::Keep | Strategy::Direct | Strategy::Sequential);
    let feasible = decision.alternatives.iter().filter(|a| a.vetoes.is_empty()).map(|a| a.strategy);
    let first = match first {
        Strategy::Adaptive => feasible.clone().find(|s| later(s) || *s == Strategy::Parallel).unwrap_or(Strategy::Keep),
        other => other,
    };
    let mut course = vec![first];
    for next in feasible.filter(later).chain([Strategy::Keep]) {
        if !course.contains(&next) {
            course.push(next);
        }
    }
    course
}

/// The reviewer's counters after what earlier branches of the road went through.
fn state_after(commission: &Commission<'_>) -> ReviewState {
    let count = |of: fn(&Directive) -> bool| commission.trouble.iter().filter(|i| of(&i.directive)).count() as u64;
    ReviewState {
        // A branch that was given up as unpromising went wrong in no way that would count.
        incidents: commission
            .trouble
            .iter()
            .filter(|i| i.kind != IncidentKind::Unpromising)
            .filter(|i| {
                matches!(i.directive, Directive::Rewind { .. } | Directive::Switch { .. } | Directive::FallBack { .. })
            })
            .count() as u64,
        switches: count(|d| matches!(d, Directive::Switch { .. })),
    }
}

/// Two observers as one.
struct Both<'a> {
    first: &'a mut dyn Observer,
    second: &'a mut dyn Observer,
}

impl Observer for Both<'_> {
    fn observe(&mut self, event: &Event) {
        self.first.observe(event);
        self.second.observe(event);
    }

    fn branch(&mut self, name: Option<&str>) {
        self.first.branch(name);
        self.second.branch(name);
    }
}

/// The run's journal: every event as a line of JSON, from which every curve can be redrawn.
fn open_journal(request: &AutoRequest) -> Result<Journal, PipelineError> {
    std::fs::create_dir_all(&request.out).map_err(|source| PipelineError::File {
        verb: "make",
        path: request.out.clone(),
        source,
    })?;
    let began = Instant::now();
    Ok(Journal::open(request.out.join("journal.jsonl"), store::Sync::default(), move || {
        Some(began.elapsed().as_secs_f64())
    })?)
}

fn say_decision(decision: &Decision, chosen: Strategy, observer: &mut dyn Observer) {
    let text = if chosen == decision.strategy {
        format!("Decided: {chosen} (confidence {:.2}). {}", decision.confidence.get(), decision.because)
    } else {
        format!(
            "Carrying out {chosen}, as was asked for or drawn to explore; the recommendation would be {}: {}",
            decision.strategy, decision.because
        )
    };
    observer.observe(&Event::Note { text });
}

fn remembered(request: &AutoRequest, ground: &Ground) -> Request {
    let names = |paths: &[PathBuf]| paths.iter().map(|p| p.display().to_string()).collect();
    Request {
        model: request.model.display().to_string(),
        model_sha256: ground.inputs.base.sha256(),
        candidate: request.candidate.display().to_string(),
        train: names(&request.train),
        train_bytes: ground.train_bytes,
        eval: names(&request.eval),
        eval_sha256: inputs::digest(&ground.inputs.eval),
        forced: request.strategy,
        out: request.out.display().to_string(),
        seed: request.seed,
        device: ground.device.name.clone(),
    }
}
