//! One stage: made ready, trained, put away. Which stages there are is the strategies' business.
//!
//! What is done is written down last (`branches/NAME/branch.json`): a stage with that file is never done again, one
//! without it goes on from its youngest checkpoint (`branches/NAME/checkpoints`), or begins anew.

use super::error::StrategyError;
use super::mapping::transplanted;
use super::{InitialWeights, ReviewerRequest, RunContext, Start, cost, folder, held_out, sequence_length};
use crate::domain::directive::Reviewer;
use crate::domain::outcome::{Branch, Status, Vocab};
use crate::domain::stage::Stage;
use crate::domain::strategy::StageConfig;
use crate::files::FileError;
use crate::model::evaluate::HeldOut;
use crate::model::{Decoder, LoraConfig, ModelFolder, write_atomically};
use crate::tokenizer::Document;
use crate::tokenizer::chat_template;
use crate::train::{self, Checkpoints, Fitted, Load, PackedDataset, TrainCallbacks, TrainingEnd};
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

/// Checkpoints a stage: a restart loses at most this part of it.
const CHECKPOINTS: u64 = 10;

/// How a stage ended, with its model (adapters merged) where it gave one and it is at hand.
pub(super) struct Trained {
    pub(super) branch: Branch,
    model: Option<Decoder>,
}

impl Trained {
    /// The branch, and the weights that the next stage begins with; `None` if this one gave no model. One that was
    /// trained before a restart is read from its folder.
    pub(super) fn hand_on(self, run: &RunContext<'_>) -> Result<(Branch, Option<InitialWeights>), StrategyError> {
        let model = match (self.model, &self.branch.folder) {
            (Some(model), _) => Some(model),
            (None, Some(folder)) => Some(ModelFolder::open(&run.env.out.join(folder))?.load(run.env.device)?),
            (None, None) => None,
        };
        Ok((self.branch, model.map(|model| InitialWeights::Trained(Box::new(model)))))
    }
}

/// A stage ready to be trained.
pub(super) struct Ready {
    pub(super) model: Decoder,
    pub(super) data: PackedDataset,
    pub(super) held_out: HeldOut,
    pub(super) plan: train::Plan,
    pub(super) reviewer: Box<dyn Reviewer>,
}

/// Trains one stage.
pub(super) fn train_stage(run: &mut RunContext<'_>, stage: Stage, start: Start) -> Result<Trained, StrategyError> {
    if let Some(branch) = done(run, stage)? {
        return Ok(Trained { branch, model: None });
    }
    let config = run.inputs.config(stage)?;
    let clock = Instant::now();
    let mut branch = begin(run, stage);
    let memory = run.env.memory;
    let attempt = ready(run, stage, config, start, memory).and_then(|ready| {
        let Ready { model, data, held_out, mut plan, mut reviewer } = ready;
        plan.seconds = run.state.budget.as_ref().and_then(|b| b.grant(&[stage]).first().copied());
        let (observer, stop) = (&mut *run.env.observer, run.env.stop);
        let mut callbacks = TrainCallbacks { reviewer: reviewer.as_mut(), observer, stop, clock: &clock };
        Ok(train::fit(model, &data, Some(&held_out), &plan, &mut callbacks)?)
    });
    let model = end(run, stage, attempt, &mut branch, clock)?;
    Ok(Trained { branch, model })
}

/// A branch of which nothing is known yet; it is announced.
pub(super) fn begin(run: &mut RunContext<'_>, stage: Stage) -> Branch {
    run.env.observer.branch(Some(stage.branch()));
    let on = match stage.vocab() {
        Vocab::Source | Vocab::Candidate => format!("the {} tokenizer", stage.vocab()),
        Vocab::Grown => "the original tokenizer, grown".to_string(),
        Vocab::Both => "both tokenizers".to_string(),
    };
    run.env.note(format!("Branch {}: {} on {on}", stage.branch(), stage.strategy()));
    Branch {
        name: stage.branch().into(),
        strategy: stage.strategy(),
        tokenizer: stage.vocab(),
        status: Status::Failed,
        before: None,
        after: None,
        curve: Vec::new(),
        incidents: Vec::new(),
        seconds: 0.0,
        tokens_seen: 0,
        bytes_seen: 0,
        trainable_parameters: 0,
        folder: None,
        failure: None,
    }
}

fn place(run: &RunContext<'_>, stage: Stage) -> PathBuf {
    run.env.out.join("branches").join(stage.branch())
}

/// The branch as it ended, where it did so before a restart.
///
/// # Errors
/// [`FileError::Json`] where what was written down cannot be read.
pub(super) fn done(run: &mut RunContext<'_>, stage: Stage) -> Result<Option<Branch>, StrategyError> {
    let path = place(run, stage).join("branch.json");
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(FileError::reading(&path)(e).into()),
    };
    let branch: Branch = serde_json::from_slice(&text).map_err(FileError::parsing(&path))?;
    if let Some(budget) = &mut run.state.budget {
        budget.strike(stage);
    }
    run.env.note(format!("Branch {} is done already", stage.branch()));
    Ok(Some(branch))
}

/// Model, text, held-out text, plan and reviewer; `memory` is what the stage may hold, bytes, where that is known.
pub(super) fn ready(
    run: &mut RunContext<'_>,
    stage: Stage,
    config: &StageConfig,
    start: Start,
    memory: Option<u64>,
) -> Result<Ready, StrategyError> {
    let (inputs, on) = (run.inputs, stage.vocab());
    let mut model = match start.weights {
        InitialWeights::Trained(model) => *model,
        InitialWeights::Base => inputs.base.load_as(run.env.device, config.base)?,
    };
    if on != Vocab::Source {
        model = transplanted(model, stage, run)?;
    }
    if on == Vocab::Grown {
        folder::write_grown_base(&model, stage, run)?;
    }
    let held_out = held_out(run, on)?;
    let lora = LoraConfig::everywhere(config.rank, config.alpha, config.dropout);
    let model = model.with_lora(&lora, run.env.seed);
    let model = match on {
        Vocab::Both => model.train_second(true),
        Vocab::Source | Vocab::Candidate | Vocab::Grown => model.train_embeddings(config.train_embeddings),
    };
    let length = sequence_length(run, on, config.sequence)?;
    let data = packed(run, on, length)?;
    let mut plan = train::Plan::new(config.clone(), run.env.seed);
    let every = (plan.steps(data.len(), data.bytes()) / CHECKPOINTS).max(1);
    plan.checkpoints = Some(Checkpoints { folder: place(run, stage).join("checkpoints"), every, resume: true });
    if on == Vocab::Grown {
        plan.frozen_rows = inputs.source.vocabulary.rows();
    }
    plan.load = held(run, config, &model, length, memory);
    let here = |branch: &Option<String>| branch.as_deref().is_none_or(|b| b == stage.branch());
    plan.injected = inputs.injected.iter().filter(|i| here(&i.branch)).cloned().collect();
    let reviewer = (run.env.reviewers)(&ReviewerRequest {
        stage,
        switch_to: start.switch_to,
        incumbent: run.state.base.as_ref().map(|e| e.bits_per_byte.get()),
        incidents: &run.state.incidents,
    });
    Ok(Ready { model, data, held_out, plan, reviewer })
}

/// How much of a batch is held at once so that it fits; what is less than the stage asks for is told.
fn held(run: &mut RunContext<'_>, config: &StageConfig, model: &Decoder, length: usize, memory: Option<u64>) -> Load {
    let (rows, asked) = (model.config().size.rows as u64, Load::of(config));
    let text = cost::Text { train_tokens: 0, eval_tokens: 0, rows, sequence: length as u64 };
    let hardware = cost::Hardware { memory, ..cost::Hardware::of(run.env.device, 1.0) };
    let load = cost::load(model.config(), config, &text, hardware);
    if let Some(memory) = memory.filter(|_| load != asked) {
        let there = memory as f64 / f64::from(1 << 30);
        run.env.note(format!("A step takes {load} instead of {asked}, to fit into {there:.1} GiB"));
    }
    load
}

/// The training text in a vocabulary's tokens. Conversations are laid out by the chat template beside that tokenizer, or by
/// another's where there is none.
fn packed(run: &RunContext<'_>, on: Vocab, length: usize) -> Result<PackedDataset, StrategyError> {
    let coder = run.inputs.tokens(on)?.coder;
    let texts: Vec<&str> =
        run.inputs.train.iter().filter(|l| l.messages.is_none()).map(|lesson| lesson.text.as_str()).collect();
    let chats: Vec<&serde_json::Value> =
        run.inputs.train.iter().filter_map(|lesson| lesson.messages.as_ref()).collect();
    let text = |encoded| Document { encoded, learnt: None };
    let mut documents: Vec<Document> = coder.encode(&texts)?.into_iter().map(text).collect();
    if !chats.is_empty() {
        let mut template = None;
        for on in [on, Vocab::Source, Vocab::Candidate] {
            if template.is_none() {
                template = run.inputs.tokens(on)?.files.chat_template()?;
            }
        }
        let none = "the training text holds conversations, and neither the base nor the candidate has a chat template";
        let template = template.ok_or_else(|| StrategyError::Data(none.into()))?;
        documents.extend(chat_template::documents(&coder.clone().reading_specials(), &template, &chats)?);
    }
    Ok(PackedDataset::documents(coder, documents, length, run.env.seed)?)
}

/// Fills the branch in and puts its model away; gives the model.
///
/// # Errors
/// Where nothing at all can be written.
pub(super) fn end(
    run: &mut RunContext<'_>,
    stage: Stage,
    fitted: Result<Fitted, StrategyError>,
    branch: &mut Branch,
    clock: Instant,
) -> Result<Option<Decoder>, StrategyError> {
    let model = match fitted.and_then(|fitted| put_away(run, stage, fitted, branch)) {
        Ok(model) => model,
        Err(error) => {
            run.env.note(format!("The branch {} failed: {error}", stage.branch()));
            branch.status = Status::Failed;
            branch.failure = Some(error.to_string());
            None
        }
    };
    let earlier = run.inputs.earlier.get(stage.branch()).copied().unwrap_or(0.0);
    branch.seconds = earlier + clock.elapsed().as_secs_f64();
    run.env.observer.branch(None);
    if branch.status == Status::Interrupted {
        return Ok(None);
    }
    if let Some(budget) = &mut run.state.budget {
        budget.strike(stage);
    }
    let folder = place(run, stage);
    fs::create_dir_all(&folder).map_err(FileError::writing(&folder))?;
    write_atomically(&folder.join("branch.json"), |to| {
        serde_json::to_writer_pretty(&mut *to, branch)?;
        writeln!(to)
    })?;
    // From here on they are of no use; where they cannot be removed they only take room.
    let _ = fs::remove_dir_all(folder.join("checkpoints"));
    Ok(model)
}

fn put_away(
    run: &mut RunContext<'_>,
    stage: Stage,
    fitted: Fitted,
    branch: &mut Branch,
) -> Result<Option<Decoder>, StrategyError> {
    branch.before = fitted.before.map(|s| s.evaluation);
    branch.after = fitted.after.map(|s| s.evaluation);
    branch.curve = fitted.curve;
    branch.incidents = fitted.incidents;
    branch.tokens_seen = fitted.tokens_seen;
    branch.bytes_seen = fitted.bytes_seen;
    branch.trainable_parameters = fitted.trainable;
    branch.status = match &fitted.ending {
        TrainingEnd::Done => Status::Done,
        TrainingEnd::TimeUp | TrainingEnd::StoppedEarly { .. } => Status::Stopped,
        TrainingEnd::Switch { because, .. } | TrainingEnd::FallBack { because } => {
            branch.failure = Some(because.to_string());
            Status::Failed
        }
        // The checkpoint holds all that was learnt.
        TrainingEnd::Interrupted => {
            branch.status = Status::Interrupted;
            return Ok(None);
        }
    };
    match stage.vocab() {
        Vocab::Source => folder::write_adapter(&fitted.model, stage, run)?,
        Vocab::Grown => folder::write_grown_adapter(&fitted.model, stage, run)?,
        Vocab::Candidate | Vocab::Both => {}
    }
    let merged = fitted.model.merged();
    branch.folder = Some(folder::write_model(&merged, stage, run)?);
    Ok(Some(merged))
}
