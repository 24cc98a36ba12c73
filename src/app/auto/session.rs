//! One process's share of a run: it begins the run or resumes it, executes, and writes down how it ended. The run is in
//! the history whatever happens after it began.

use super::super::{AppError, Settings, decision_log, now, write_whole};
use super::energy::Meter;
use super::inputs::{self, bytes_of};
use super::journal::{Earlier, RunJournal};
use super::manifest::{self, Manifest};
use super::plan::{evaluation_on_candidate, fallback_order, must_fit, seconds_by_stage, stages_ahead};
use super::prepared::PreparedRun;
use super::{AutoRequest, execute};
use crate::analyze;
use crate::decide::race::RuleReferee;
use crate::decide::review::{ReviewPlan, ReviewState, RuleReviewer};
use crate::decide::rules::RuleBook;
use crate::domain::decision::{Action, Decision};
use crate::domain::directive::{Directive, Referee, Reviewer};
use crate::domain::event::{Event, Observer, Observers, RunConfig};
use crate::domain::outcome::{IncidentKind, Outcome, Status};
use crate::domain::resources::Costs;
use crate::domain::run::Run;
use crate::domain::strategy::Strategy;
use crate::model::device;
use crate::strategies::{Budget, GrownVocab, ReviewerRequest, RunContext, RunEnv, RunInputs, RunState};
use crate::tokenizer::{Coder, TokenizerFiles, Tokens};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// Carries the whole flow out. The run is in the history whatever happens after it began.
pub fn auto(settings: &Settings, request: &AutoRequest, observer: &mut dyn Observer) -> Result<Run, AppError> {
    settings.must_be_free(&request.out)?;
    let rules = settings.rules()?;
    let (energy, began) = (Meter::begin(), Instant::now());
    let prepared = PreparedRun::prepare(&rules, request, None, observer)?;
    let (decision, costs) = prepared.decide(settings, &rules, request, observer)?;
    let (chosen, propensity) = match (request.strategy, request.explore) {
        (Some(forced), _) => (forced, decision_log::certain()),
        (None, Some(epsilon)) => decision_log::explore(&decision, epsilon, &prepared.executable(), request.seed),
        (None, None) => (decision.strategy, decision_log::certain()),
    };
    // What was drawn to explore is carried out as if it had been asked for.
    let drawn = (request.explore.is_some() && chosen != decision.strategy).then_some(chosen);
    let request = &AutoRequest { strategy: request.strategy.or(drawn), ..request.clone() };
    inputs::must_be_writable(&rules, &prepared, chosen)?;
    must_fit(request, chosen, &costs)?;
    say_decision(&decision, chosen, observer);
    let run = Run {
        id: settings.new_run_id(),
        started: now(),
        ended: None,
        status: None,
        version: env!("CARGO_PKG_VERSION").into(),
        request: prepared.record_of(request),
        profile: prepared.inputs.profile.clone(),
        decision,
        outcome: None,
        feedback: Vec::new(),
    };
    Manifest::write(request, &run, &costs)?;
    let history = settings.history()?;
    settings.begin(&history, &run)?;
    decision_log::of_run(&history, &run, chosen, propensity)?;
    drop(history);
    let session = Session { rules: &rules, request, prepared: &prepared, run, costs, began, energy, resumed: false };
    session.finish(settings, observer)
}

/// Resumes a run that was stopped or killed, from the folder it was to leave its results in. A run that is done is only
/// told again.
pub fn resume(
    settings: &Settings,
    out: &Path,
    stop: &Arc<AtomicBool>,
    observer: &mut dyn Observer,
) -> Result<Run, AppError> {
    let Manifest { mut request, run, costs, .. } = Manifest::read(out)?;
    if let Some(done) = manifest::ended(out)?
        && done.status != Some(Status::Interrupted)
    {
        observer.observe(&Event::Note { text: format!("The run {} is done already", done.id) });
        return Ok(done);
    }
    request.stop = stop.clone();
    request.out = out.to_path_buf();
    let rules = settings.rules()?;
    let (energy, began) = (Meter::begin(), Instant::now());
    if rules.sha256() != run.decision.rules_sha256 {
        let text = "warning: the rules are not those that the run began with; what is left is reviewed by the new ones";
        observer.observe(&Event::Note { text: text.into() });
    }
    let prepared = PreparedRun::prepare(&rules, &request, Some(&run), observer)?;
    manifest::must_be_the_same(&run.request, &prepared.record_of(&request), out)?;
    let history = settings.history()?;
    if history.get(&run.id).is_err() {
        history.begin(&run)?;
    }
    drop(history);
    observer.observe(&Event::Note { text: format!("Going on with the run {}", run.id) });
    let (request, prepared) = (&request, &prepared);
    let session = Session { rules: &rules, request, prepared, run, costs, began, energy, resumed: true };
    session.finish(settings, observer)
}

/// A run on its way in this process.
struct Session<'a> {
    rules: &'a RuleBook,
    request: &'a AutoRequest,
    prepared: &'a PreparedRun,
    run: Run,
    costs: Costs,
    began: Instant,
    energy: Meter,
    /// Whether an earlier process began it.
    resumed: bool,
}

impl Session<'_> {
    /// Executes, chooses, exports and records.
    fn finish(self, settings: &Settings, observer: &mut dyn Observer) -> Result<Run, AppError> {
        let (mut journal, earlier) = RunJournal::open(settings, &self.request.out)?;
        let result = {
            let mut observers = Observers(vec![observer]);
            observers.0.extend(journal.observer());
            let result = self.execute(&earlier, &mut observers);
            let (status, bits_per_byte) = match &result {
                Ok(outcome) => (outcome.status, outcome.bits_per_byte.map(|b| b.get())),
                Err(_) => (Status::Failed, None),
            };
            observers.observe(&Event::Ended { status, bits_per_byte });
            result
        };
        let kept = journal.finish();
        let mut run = self.run;
        run.ended = Some(now());
        let (outcome, error) = match result {
            Ok(outcome) => (outcome, kept.err()),
            Err(error) => {
                let chosen = self.request.strategy.unwrap_or(run.decision.strategy);
                (execute::failed(chosen, &self.request.out, error.to_string()), Some(error))
            }
        };
        let seconds = earlier.seconds + self.began.elapsed().as_secs_f64();
        let outcome = Outcome { seconds, energy_joules: self.energy.joules(), ..outcome };
        run.status = Some(outcome.status);
        run.outcome = Some(outcome);
        settings.history()?.update(&run)?;
        let path = self.request.out.join("run.json");
        let json = serde_json::to_vec_pretty(&run).map_err(|e| AppError::File {
            verb: "write",
            path: path.clone(),
            source: e.into(),
        })?;
        write_whole(&path, &json)?;
        error.map_or(Ok(run), Err)
    }

    fn execute(&self, earlier: &Earlier, observer: &mut dyn Observer) -> Result<Outcome, AppError> {
        let Self { rules, request, prepared, run, .. } = self;
        let inputs = &prepared.inputs;
        let fallback_order = fallback_order(&run.decision, request.strategy);
        let strategy = match request.strategy {
            None | Some(Strategy::Adaptive) => Strategy::Adaptive,
            Some(forced) => forced,
        };
        observer.observe(&Event::Began(Box::new(RunConfig {
            id: run.id.clone(),
            started: run.started.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            resumed: self.resumed,
            request: run.request.clone(),
            strategy,
            fallback_order: fallback_order.clone(),
            stages: inputs.stages.clone(),
        })));
        let needed = |s: Strategy| strategy == s || fallback_order.contains(&s);
        let grown = needed(Strategy::Extend).then(|| inputs::grow(inputs, request, observer)).transpose()?;
        let grown_files = grown.as_ref().map(|g| TokenizerFiles::beside(&g.file.path));
        let source_files = TokenizerFiles::beside(&inputs.source.path);
        let candidate_files = TokenizerFiles::beside(&inputs.candidate.path);
        let both = match needed(Strategy::Structural) {
            true => {
                let coder = Coder::of(inputs.candidate.tokenizer.clone(), &inputs.candidate.vocabulary)?;
                Some(coder.shifted(inputs.base.config().size.rows as u32))
            }
            false => None,
        };
        let on_candidate = |coder| Tokens { coder, vocabulary: &inputs.candidate.vocabulary, files: &candidate_files };
        let run_inputs = RunInputs {
            base: &inputs.base,
            source: Tokens { coder: &prepared.source, vocabulary: &inputs.source.vocabulary, files: &source_files },
            candidate: on_candidate(&prepared.candidate),
            mapping: &analyze::mapping(&inputs.source, &inputs.candidate),
            grown: grown.as_ref().zip(grown_files.as_ref()).map(|(g, files)| GrownVocab {
                tokens: Tokens { coder: &g.coder, vocabulary: &g.file.vocabulary, files },
                mapping: &g.mapping,
            }),
            both: both.as_ref().map(on_candidate),
            method: request.method.as_deref().map(crate::transplant::Method::without_text).transpose()?,
            profile: &run.profile,
            train: &inputs.train,
            eval: &inputs.eval,
            source_tokens: prepared.eval_tokens[0],
            eval_bytes: bytes_of(&inputs.eval),
            stages: &inputs.stages,
            fallback_order: &fallback_order,
            injected: &request.injected,
            earlier: &earlier.branches,
        };
        let watched = run.decision.action == Action::ExecuteWatched;
        let reviewers = |asked: &ReviewerRequest<'_>| -> Box<dyn Reviewer> {
            let plan = ReviewPlan {
                switch_to: asked.switch_to,
                watched,
                incumbent: asked.switch_to.and(asked.incumbent),
                seed: request.seed,
            };
            Box::new(RuleReviewer::with(rules.review(), plan, state_after(asked)))
        };
        let referee = || -> Box<dyn Referee> { Box::new(RuleReferee::new(rules.review(), request.seed)) };
        let budget = request.resources.budget.map(|all| {
            let stages = stages_ahead(strategy, &fallback_order, request.with_keep);
            let left = all - earlier.seconds - self.began.elapsed().as_secs_f64();
            let heavier = evaluation_on_candidate(inputs, prepared.eval_tokens);
            Budget::new(left, seconds_by_stage(prepared, &self.costs), stages).with_evaluations(heavier)
        });
        let second = prepared.two.then(|| device::another(&prepared.device));
        let env = RunEnv {
            device: &prepared.device.device,
            second: second.as_ref().map(|d| &d.device),
            memory: prepared.memory,
            out: &request.out,
            seed: request.seed,
            stop: &request.stop,
            reviewers: &reviewers,
            referee: &referee,
            observer,
        };
        let mut run = RunContext { inputs: &run_inputs, env, state: RunState { budget, ..RunState::default() } };
        execute::execute(rules, strategy, request.with_keep, &mut run)
    }
}

/// The reviewer's counters after what earlier branches of the strategy went through.
fn state_after(asked: &ReviewerRequest<'_>) -> ReviewState {
    let count = |of: fn(&Directive) -> bool| asked.incidents.iter().filter(|i| of(&i.directive)).count() as u64;
    ReviewState {
        // A branch that was abandoned as unpromising went wrong in no way that would count.
        incidents: asked
            .incidents
            .iter()
            .filter(|i| i.kind != IncidentKind::Unpromising)
            .filter(|i| {
                matches!(i.directive, Directive::Rewind { .. } | Directive::Switch { .. } | Directive::FallBack { .. })
            })
            .count() as u64,
        switches: count(|d| matches!(d, Directive::Switch { .. })),
    }
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
