//! The whole flow on a model: analyse, decide, execute, choose, export, record.

use super::evidence::decide_on;
use super::{PipelineError, Settings, log, must_be_free, now, price, write_whole};
use crate::analyze::{self, ProfileInputs, TokenizerFile};
use crate::corpus::{Corpus, CorpusOptions};
use crate::decide::race::{self, Finish};
use crate::decide::review::{ReviewPlan, ReviewState, RuleReviewer};
use crate::decide::rules::RuleBook;
use crate::domain::decision::{Action, Decision};
use crate::domain::directive::Reviewer;
use crate::domain::event::{Event, Observer};
use crate::domain::outcome::{Branch, Evaluation, Outcome, Side, Status};
use crate::domain::profile::Profile;
use crate::domain::resources::Resources;
use crate::domain::run::{Request, Run};
use crate::domain::strategy::{StageConfig, Strategy};
use crate::execute::device;
use crate::execute::model::ModelFolder;
use crate::execute::strategy::{self, Road, TokenizerFiles, Tokens, Work};
use crate::execute::tokenizer::Coder;
use crate::execute::train::memory;
use crate::record::{self, Journal, run_id};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// What to do.
#[derive(Debug, Clone)]
pub struct AutoRequest {
    /// The base model's folder.
    pub model: PathBuf,
    /// The original tokenizer; the model's where absent.
    pub source: Option<PathBuf>,
    /// The candidate tokenizer.
    pub candidate: PathBuf,
    /// Training text.
    pub train: Vec<PathBuf>,
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
    /// Seed of everything random.
    pub seed: u64,
    /// Where to train.
    pub device: String,
    /// What there is to work with.
    pub resources: Resources,
    /// How text is read.
    pub reading: CorpusOptions,
    /// Set by a signal: training stops after the step in flight and keeps what was learnt.
    pub stop: Arc<AtomicBool>,
}

/// The stages' configurations from the rules, with the user's changes.
fn stages(
    rules: &RuleBook,
    overrides: &[(String, serde_json::Value)],
) -> Result<BTreeMap<String, StageConfig>, PipelineError> {
    let mut stages: BTreeMap<String, StageConfig> = rules.stages().map(|(n, c)| (n.to_string(), c.clone())).collect();
    for (name, value) in overrides {
        let unknown = |known: String| PipelineError::Override { name: name.clone(), known };
        let (stage, field) = match name.rsplit_once('.') {
            Some((stage, field)) => (Some(stage), field),
            None => (None, name.as_str()),
        };
        if let Some(stage) = stage
            && !stages.contains_key(stage)
        {
            return Err(unknown(stages.keys().cloned().collect::<Vec<_>>().join(", ")));
        }
        for (key, config) in &mut stages {
            if stage.is_some_and(|s| s != key) {
                continue;
            }
            let wrong =
                |reason: String| PipelineError::OverrideValue { name: name.clone(), value: value.to_string(), reason };
            let mut fields = serde_json::to_value(&*config).map_err(|e| wrong(e.to_string()))?;
            match fields.get_mut(field) {
                Some(slot) => *slot = value.clone(),
                None => {
                    let known = fields.as_object().map(|o| o.keys().cloned().collect::<Vec<_>>().join(", "));
                    return Err(unknown(known.unwrap_or_default()));
                }
            }
            *config = serde_json::from_value(fields).map_err(|e| wrong(e.to_string()))?;
            config.check().map_err(wrong)?;
        }
    }
    Ok(stages)
}

/// The inputs of a run, read and checked.
struct Prepared {
    base: ModelFolder,
    source: TokenizerFile,
    candidate: TokenizerFile,
    train: Vec<String>,
    eval: Vec<String>,
    profile: Profile,
    stages: BTreeMap<String, StageConfig>,
}

fn prepare(rules: &RuleBook, request: &AutoRequest, observer: &mut dyn Observer) -> Result<Prepared, PipelineError> {
    let stages = stages(rules, &request.overrides)?;
    let base = ModelFolder::open(&request.model)?;
    let source = TokenizerFile::open(request.source.as_deref().unwrap_or(&request.model))?;
    let candidate = TokenizerFile::open(&request.candidate)?;
    if source.vocabulary.rows() > base.config().size.rows {
        return Err(PipelineError::TooFewRows {
            model: request.model.clone(),
            rows: base.config().size.rows,
            tokens: source.vocabulary.rows(),
        });
    }
    let corpus = Corpus::open(&request.train, &request.reading)?;
    let train = corpus.collect(request.train_bytes)?;
    let eval = Corpus::open(&request.eval, &request.reading)?.collect(Some(request.eval_bytes))?;
    let inputs =
        ProfileInputs { source: &source, candidate: &candidate, corpus: Some(&corpus), model: Some(base.summary()) };
    let mut profile = analyze::profile(&inputs, observer)?;
    if let Some(warning) = leak(&train, &eval) {
        observer.observe(&Event::Note { text: format!("warning: {warning}") });
        profile.warnings.push(warning);
    }
    Ok(Prepared { base, source, candidate, train, eval, profile, stages })
}

/// A sentence where held-out documents stand in the training text too.
fn leak(train: &[String], eval: &[String]) -> Option<String> {
    let seen: HashSet<&str> = train.iter().map(String::as_str).collect();
    let bytes = |of: &mut dyn Iterator<Item = &String>| of.map(|d| d.len() as u64).sum::<u64>();
    let shared = bytes(&mut eval.iter().filter(|d| seen.contains(d.as_str())));
    let share = shared as f64 / bytes(&mut eval.iter()).max(1) as f64;
    (share > 0.01).then(|| {
        format!(
            "{:.1}% of the held-out text stands in the training text too: the losses will look better than they are",
            100.0 * share
        )
    })
}

fn bytes_of(documents: &[String]) -> u64 {
    documents.iter().map(|d| d.len() as u64).sum()
}

/// Carries the whole flow out. The run is in the history whatever happens after it began.
pub fn auto(settings: &Settings, request: &AutoRequest, observer: &mut dyn Observer) -> Result<Run, PipelineError> {
    must_be_free(&request.out)?;
    let rules = settings.rules()?;
    let device = device::choose(&request.device)?;
    observer.observe(&Event::Note { text: format!("Training on {}: {}", device.name, device.why) });
    let prepared = prepare(&rules, request, observer)?;
    let source_coder = Coder::of(prepared.source.tokenizer.clone(), &prepared.source.vocabulary)?;
    let candidate_coder = Coder::of(prepared.candidate.tokenizer.clone(), &prepared.candidate.vocabulary)?;
    let eval_tokens = [source_coder.count(&prepared.eval)?, candidate_coder.count(&prepared.eval)?];

    let train_bytes = bytes_of(&prepared.train);
    let costs = price::costs(&price::Plan {
        config: prepared.base.config(),
        stages: &prepared.stages,
        profile: &prepared.profile,
        train_bytes,
        eval_tokens,
        speed: price::speed(settings, &device, observer)?,
    });
    let executable: Vec<Strategy> = strategy::ROADS.iter().map(|r| r.strategy()).collect();
    let resources = Resources { memory: request.resources.memory.or_else(memory::total), ..request.resources.clone() };
    let (decision, _) =
        decide_on(settings, &rules, &prepared.profile, &resources, Some(&costs), &executable, Some(train_bytes))?;
    let (chosen, propensity) = match (request.strategy, request.explore) {
        (Some(forced), _) => (forced, log::certain()),
        (None, Some(epsilon)) => log::explore(&decision, epsilon, &executable, request.seed),
        (None, None) => (decision.strategy, log::certain()),
    };
    let road = strategy::road(chosen)?;
    say_decision(&decision, chosen, observer);

    let history = settings.history()?;
    let mut run = Run {
        id: run_id(jiff::Timestamp::now(), rand::random()),
        started: now(),
        ended: None,
        status: None,
        version: env!("CARGO_PKG_VERSION").into(),
        request: remembered(request, &prepared, train_bytes, &device.name),
        profile: prepared.profile.clone(),
        decision,
        outcome: None,
        feedback: Vec::new(),
    };
    history.begin(&run)?;
    log::of_run(&history, &run, chosen, propensity)?;

    let clock = Instant::now();
    let mapping = analyze::mapping(&prepared.source, &prepared.candidate);
    let mut journal = open_journal(request)?;
    let mut both = Both { first: observer, second: &mut journal };
    // A branch that is given up ends; what is done then is decided here, where all branches are known.
    let plan = ReviewPlan {
        switch_to: None,
        watched: run.decision.action == Action::ExecuteWatched,
        budget: request.resources.budget.map(|b| b / road.stages().len().max(1) as f64),
    };
    let mut reviewers = |_: &str| -> Box<dyn Reviewer> {
        Box::new(RuleReviewer::with(rules.review(), plan.clone(), ReviewState::default()))
    };
    let mut work = Work {
        base: &prepared.base,
        source: Tokens {
            coder: &source_coder,
            vocabulary: &prepared.source.vocabulary,
            files: &TokenizerFiles::beside(&prepared.source.path),
        },
        candidate: Tokens {
            coder: &candidate_coder,
            vocabulary: &prepared.candidate.vocabulary,
            files: &TokenizerFiles::beside(&prepared.candidate.path),
        },
        mapping: &mapping,
        train: &prepared.train,
        eval: &prepared.eval,
        source_tokens: eval_tokens[0],
        eval_bytes: bytes_of(&prepared.eval),
        stages: &prepared.stages,
        device: &device.device,
        seed: request.seed,
        out: &request.out,
        stop: &request.stop,
        reviewers: &mut reviewers,
        observer: &mut both,
    };
    let result = carry_out(&rules, road, request, &mut work);
    journal.finish()?;
    run.ended = Some(now());
    match result {
        Ok(mut outcome) => {
            outcome.seconds = clock.elapsed().as_secs_f64();
            run.status = Some(outcome.status);
            run.outcome = Some(outcome);
            history.update(&run)?;
            let json = serde_json::to_vec_pretty(&run).map_err(|e| PipelineError::File {
                verb: "write",
                path: request.out.join("run.json"),
                source: e.into(),
            })?;
            write_whole(&request.out.join("run.json"), &json)?;
            Ok(run)
        }
        Err(error) => {
            run.status = Some(Status::Failed);
            history.update(&run)?;
            Err(error)
        }
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
}

/// The run's journal: every event as a line of JSON, from which every curve can be redrawn.
fn open_journal(request: &AutoRequest) -> Result<Journal, PipelineError> {
    std::fs::create_dir_all(&request.out).map_err(|source| PipelineError::File {
        verb: "make",
        path: request.out.clone(),
        source,
    })?;
    let began = Instant::now();
    Ok(Journal::open(request.out.join("journal.jsonl"), record::Sync::default(), move || {
        Some(began.elapsed().as_secs_f64())
    })?)
}

fn say_decision(decision: &Decision, chosen: Strategy, observer: &mut dyn Observer) {
    let text = if chosen == decision.strategy {
        format!("Decided: {chosen} (confidence {:.2}). {}", decision.confidence.get(), decision.because)
    } else {
        format!(
            "Carrying out {chosen}, as was asked for or drawn to explore; the recommendation would be {}. {}",
            decision.strategy, decision.because
        )
    };
    observer.observe(&Event::Note { text });
}

fn remembered(request: &AutoRequest, prepared: &Prepared, train_bytes: u64, device: &str) -> Request {
    let names = |paths: &[PathBuf]| paths.iter().map(|p| p.display().to_string()).collect();
    let mut hash = Sha256::new();
    for document in &prepared.eval {
        hash.update((document.len() as u64).to_le_bytes());
        hash.update(document);
    }
    Request {
        model: request.model.display().to_string(),
        model_sha256: prepared.base.sha256(),
        candidate: request.candidate.display().to_string(),
        train: names(&request.train),
        train_bytes,
        eval: names(&request.eval),
        eval_sha256: hash.finalize().iter().map(|b| format!("{b:02x}")).collect(),
        forced: request.strategy,
        out: request.out.display().to_string(),
        seed: request.seed,
        device: device.into(),
    }
}

/// Executes the strategy, the yardstick and, if all else fails, the fallback; then chooses and exports.
fn carry_out(
    rules: &RuleBook,
    road: &dyn Road,
    request: &AutoRequest,
    work: &mut Work<'_>,
) -> Result<Outcome, PipelineError> {
    let chosen = road.strategy();
    let base = strategy::evaluate_base(work)?;
    let mut trained = road.carry_out(work)?;
    let stages = work.stages;
    let yardstick_wanted = request.with_keep && !trained.iter().any(|b| is_keep(b, stages)) && !work.stopped();
    let yardstick = match yardstick_wanted {
        true => strategy::road(Strategy::Keep)?.carry_out(work)?,
        false => Vec::new(),
    };
    if trained.iter().all(|b| b.after.is_none()) && chosen != Strategy::Emergency && !work.stopped() {
        work.observer.observe(&Event::Note { text: "Nothing usable came out; falling back to emergency.".into() });
        trained.extend(strategy::road(Strategy::Emergency)?.carry_out(work)?);
    }
    let (winner, verdict) = race::choose(rules.tolerance(), &finishes(&trained));
    let keep = trained.iter().chain(&yardstick).find(|b| is_keep(b, stages)).and_then(|b| b.after.clone());
    let winner = match winner.and_then(|i| trained.get_mut(i)) {
        Some(branch) => {
            strategy::export(branch, work)?;
            Some(branch.clone())
        }
        None => None,
    };
    let after: Option<Evaluation> = winner.as_ref().and_then(|b| b.after.clone());
    let saved = match (&keep, &after) {
        (Some(keep), Some(after)) => Some(keep.bits_per_byte.get() - after.bits_per_byte.get()),
        _ => None,
    };
    let mut branches = trained;
    branches.extend(yardstick);
    let strategy = match &winner {
        Some(branch) if branch.strategy == Strategy::Emergency => Strategy::Emergency,
        _ => chosen,
    };
    Ok(Outcome {
        strategy,
        status: match &winner {
            Some(branch) => branch.status,
            None if work.stopped() => Status::Interrupted,
            None => Status::Failed,
        },
        base: Some(base),
        bits_per_byte: after.as_ref().map(|e| e.bits_per_byte),
        equivalent_loss: after.as_ref().map(|e| e.equivalent_loss),
        level: after.as_ref().map(|e| rules.level(e.equivalent_loss)),
        saved_against_keep: saved,
        winner: winner.map(|b| b.name),
        verdict,
        incidents: branches.iter().flat_map(|b| b.incidents.iter().cloned()).collect(),
        branches,
        seconds: 0.0,
    })
}

/// Whether a branch did what `keep` does: the safe branch of a race does, where it is configured alike.
fn is_keep(branch: &Branch, stages: &BTreeMap<String, StageConfig>) -> bool {
    match branch.strategy {
        Strategy::Keep => true,
        Strategy::Parallel => branch.tokenizer == Side::Source && stages.get("parallel.a") == stages.get("keep"),
        _ => false,
    }
}

fn finishes(branches: &[Branch]) -> Vec<Finish<'_>> {
    branches
        .iter()
        .map(|b| Finish {
            name: &b.name,
            side: b.tokenizer,
            equivalent_loss: b.after.as_ref().map(|e| e.equivalent_loss),
            intermediate: b.name.ends_with("foundation"),
        })
        .collect()
}
