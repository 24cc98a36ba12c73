//! One stage: made ready, trained, put away. Which stages there are is the roads' business.
//!
//! What is done is written down last (`branches/NAME/branch.json`): a stage with that file is never done again, one
//! without it goes on from its youngest checkpoint (`branches/NAME/checkpoints`), or begins anew.

use super::mapping::transplanted;
use super::{Commission, Start, Vocab, Work, folder, held_out, sequence_length};
use crate::domain::directive::Reviewer;
use crate::domain::outcome::{Branch, Status};
use crate::domain::strategy::{StageConfig, Strategy};
use crate::model::ExecuteError;
use crate::model::evaluate::HeldOut;
use crate::model::{Decoder, LoraConfig, ModelFolder, write_atomically};
use crate::strategies::cost;
use crate::tokenizer::chat_template;
use crate::train::data::Document;
use crate::train::{self, Checkpoints, Company, Ending, Fitted, Load, Packed};
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

/// Checkpoints a stage: a restart loses at most this part of it.
const CHECKPOINTS: u64 = 10;

/// What a stage is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// The branch's name: a folder's name too.
    pub(super) name: &'static str,
    /// Name of its configuration.
    pub(super) stage: &'static str,
    /// The strategy it belongs to.
    pub(super) strategy: Strategy,
    /// The vocabulary in use.
    pub(super) on: Vocab,
}

/// How a stage ended, with its model (adapters merged) where it gave one and it is at hand.
pub(super) struct Staged {
    pub(super) branch: Branch,
    model: Option<Decoder>,
}

impl Staged {
    pub(super) fn new(branch: Branch, model: Option<Decoder>) -> Self {
        Self { branch, model }
    }

    /// Where the next stage begins; `None` if this one gave no model. One that was trained before a restart is read
    /// from its folder.
    pub(super) fn start(self, work: &Work<'_>) -> Result<(Branch, Option<Start>), ExecuteError> {
        let model = match (self.model, &self.branch.folder) {
            (Some(model), _) => Some(model),
            (None, Some(folder)) => Some(ModelFolder::open(&work.out.join(folder))?.load(work.device)?),
            (None, None) => None,
        };
        Ok((self.branch, model.map(|model| Start { model: Some(model) })))
    }
}

/// A stage ready to be trained.
pub(super) struct Ready {
    pub(super) model: Decoder,
    pub(super) data: Packed,
    pub(super) held_out: HeldOut,
    pub(super) plan: train::Plan,
    pub(super) reviewer: Box<dyn Reviewer>,
}

/// Trains one stage from `start`, or from the base.
pub(super) fn stage(work: &mut Work<'_>, plan: &Plan, start: Start) -> Result<Staged, ExecuteError> {
    if let Some(branch) = done(work, plan)? {
        return Ok(Staged::new(branch, None));
    }
    let config = config(work, plan)?;
    let clock = Instant::now();
    let mut branch = begin(work, plan);
    let attempt = ready(work, plan, &config, start, None).and_then(|ready| {
        let Ready { model, data, held_out, plan: training, mut reviewer } = ready;
        let mut company = Company { reviewer: reviewer.as_mut(), observer: work.observer, stop: work.stop };
        train::fit(model, &data, Some(&held_out), &training, &mut company)
    });
    let model = end(work, plan, attempt, &mut branch, clock)?;
    Ok(Staged::new(branch, model))
}

/// The configuration of a stage.
pub(super) fn config(work: &Work<'_>, plan: &Plan) -> Result<StageConfig, ExecuteError> {
    let none = || ExecuteError::Mismatch(format!("the rules hold no configuration named `{}`", plan.stage));
    work.stages.get(plan.stage).cloned().ok_or_else(none)
}

/// A branch of which nothing is known yet; it is announced.
pub(super) fn begin(work: &mut Work<'_>, plan: &Plan) -> Branch {
    work.observer.branch(Some(plan.name));
    let on = match plan.on {
        Vocab::Source | Vocab::Candidate => format!("the {} tokenizer", plan.on),
        Vocab::Grown => "the original tokenizer, grown".to_string(),
        Vocab::Both => "both tokenizers".to_string(),
    };
    work.note(format!("Branch {}: {} on {on}", plan.name, plan.strategy));
    Branch {
        name: plan.name.into(),
        strategy: plan.strategy,
        tokenizer: plan.on,
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

fn place(work: &Work<'_>, plan: &Plan) -> PathBuf {
    work.out.join("branches").join(plan.name)
}

/// The branch as it ended, where it did so before a restart.
///
/// # Errors
/// [`ExecuteError::Json`] where what was written down cannot be read.
pub(super) fn done(work: &mut Work<'_>, plan: &Plan) -> Result<Option<Branch>, ExecuteError> {
    let path = place(work, plan).join("branch.json");
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(ExecuteError::reading(&path)(e)),
    };
    let branch: Branch = serde_json::from_slice(&text).map_err(|source| ExecuteError::Json { path, source })?;
    if let Some(budget) = &mut work.budget {
        budget.strike(plan.stage);
    }
    work.note(format!("Branch {} is done already", plan.name));
    Ok(Some(branch))
}

/// Model, text, held-out text, plan and reviewer. `seconds` replaces what the budget grants.
pub(super) fn ready(
    work: &mut Work<'_>,
    plan: &Plan,
    config: &StageConfig,
    start: Start,
    seconds: Option<f64>,
) -> Result<Ready, ExecuteError> {
    let mut model = match start.model {
        Some(model) => model,
        None => work.base.load(work.device)?,
    };
    if plan.on != Vocab::Source {
        model = transplanted(model, plan.name, plan.on, work)?;
    }
    if plan.on == Vocab::Grown {
        folder::write_grown_base(&model, plan.name, work)?;
    }
    let held_out = held_out(work, plan.on)?;
    let lora = LoraConfig::everywhere(config.rank, config.alpha, config.dropout);
    let model = model.with_lora(&lora, work.seed);
    let model = match plan.on {
        Vocab::Both => model.train_second(true),
        Vocab::Source | Vocab::Candidate | Vocab::Grown => model.train_embeddings(config.train_embeddings),
    };
    let length = sequence_length(work, plan.on, config.sequence)?;
    let data = packed(work, plan.on, length)?;
    let mut training = train::Plan::new(config.clone(), work.seed);
    let every = (training.steps(data.len(), data.bytes()) / CHECKPOINTS).max(1);
    training.checkpoints = Some(Checkpoints { folder: place(work, plan).join("checkpoints"), every, resume: true });
    if plan.on == Vocab::Grown {
        training.frozen_rows = work.source.vocabulary.rows();
    }
    training.load = held(work, config, &model, length);
    let here = |branch: &Option<String>| branch.as_deref().is_none_or(|b| b == plan.name);
    training.injected = work.injected.iter().filter(|i| here(&i.branch)).cloned().collect();
    let commission = Commission {
        branch: plan.name,
        switch_to: work.switch_to,
        incumbent: work.before.as_ref().map(|e| e.bits_per_byte.get()),
        trouble: &work.trouble,
    };
    let reviewer = (work.reviewers)(&commission);
    training.seconds = seconds.or_else(|| work.budget.as_ref().and_then(|b| b.grant(&[plan.stage]).first().copied()));
    Ok(Ready { model, data, held_out, plan: training, reviewer })
}

/// How much of a batch is held at once so that it fits; what is less than the stage asks for is told.
fn held(work: &mut Work<'_>, config: &StageConfig, model: &Decoder, length: usize) -> Load {
    let (rows, asked) = (model.config().size.rows as u64, Load::of(config));
    let text = cost::Text { train_tokens: 0, eval_tokens: 0, rows, sequence: length as u64 };
    let hardware = cost::Hardware { memory: work.memory, ..cost::Hardware::of(work.device, 1.0) };
    let load = cost::load(model.config(), config, &text, hardware);
    if let Some(memory) = work.memory.filter(|_| load != asked) {
        let there = memory as f64 / f64::from(1 << 30);
        work.note(format!("A step takes {load} instead of {asked}, to fit into {there:.1} GiB"));
    }
    load
}

/// The training text in a vocabulary's tokens. Conversations are laid out by the chat template beside that tokenizer, or by
/// another's where there is none.
fn packed(work: &Work<'_>, on: Vocab, length: usize) -> Result<Packed, ExecuteError> {
    let coder = work.tokens(on)?.coder;
    let texts: Vec<&str> =
        work.train.iter().filter(|l| l.messages.is_none()).map(|lesson| lesson.text.as_str()).collect();
    let chats: Vec<&serde_json::Value> = work.train.iter().filter_map(|lesson| lesson.messages.as_ref()).collect();
    let text = |encoded| Document { encoded, learnt: None };
    let mut documents: Vec<Document> = coder.encode(&texts)?.into_iter().map(text).collect();
    if !chats.is_empty() {
        let mut template = None;
        for on in [on, Vocab::Source, Vocab::Candidate] {
            if template.is_none() {
                template = work.tokens(on)?.files.chat_template()?;
            }
        }
        let none = "the training text holds conversations, and neither the base nor the candidate has a chat template";
        let template = template.ok_or_else(|| ExecuteError::Data(none.into()))?;
        documents.extend(chat_template::documents(&coder.clone().reading_specials(), &template, &chats)?);
    }
    Packed::documents(coder, documents, length, work.seed)
}

/// Fills the branch in and puts its model away; gives the model.
///
/// # Errors
/// Where nothing at all can be written.
pub(super) fn end(
    work: &mut Work<'_>,
    plan: &Plan,
    fitted: Result<Fitted, ExecuteError>,
    branch: &mut Branch,
    clock: Instant,
) -> Result<Option<Decoder>, ExecuteError> {
    let model = match fitted.and_then(|fitted| put_away(work, plan, fitted, branch)) {
        Ok(model) => model,
        Err(error) => {
            work.note(format!("The branch {} failed: {error}", plan.name));
            branch.status = Status::Failed;
            branch.failure = Some(error.to_string());
            None
        }
    };
    let earlier = work.earlier.get(plan.name).copied().unwrap_or(0.0);
    branch.seconds = earlier + clock.elapsed().as_secs_f64();
    work.observer.branch(None);
    if branch.status == Status::Interrupted {
        return Ok(None);
    }
    if let Some(budget) = &mut work.budget {
        budget.strike(plan.stage);
    }
    let folder = place(work, plan);
    fs::create_dir_all(&folder).map_err(ExecuteError::writing(&folder))?;
    write_atomically(&folder.join("branch.json"), |to| {
        serde_json::to_writer_pretty(&mut *to, branch)?;
        writeln!(to)
    })?;
    // From here on they are of no use; where they cannot be removed they only take room.
    let _ = fs::remove_dir_all(folder.join("checkpoints"));
    Ok(model)
}

fn put_away(
    work: &mut Work<'_>,
    plan: &Plan,
    fitted: Fitted,
    branch: &mut Branch,
) -> Result<Option<Decoder>, ExecuteError> {
    branch.before = fitted.before.map(|s| s.evaluation);
    branch.after = fitted.after.map(|s| s.evaluation);
    branch.curve = fitted.curve;
    branch.incidents = fitted.incidents;
    branch.tokens_seen = fitted.tokens_seen;
    branch.bytes_seen = fitted.bytes_seen;
    branch.trainable_parameters = fitted.trainable;
    branch.status = match &fitted.ending {
        Ending::Done => Status::Done,
        Ending::TimeUp | Ending::StoppedEarly { .. } => Status::Stopped,
        Ending::Switch { because, .. } | Ending::FallBack { because } => {
            branch.failure = Some(because.to_string());
            Status::Failed
        }
        // The checkpoint holds all that was learnt.
        Ending::Interrupted => {
            branch.status = Status::Interrupted;
            return Ok(None);
        }
    };
    match plan.on {
        Vocab::Source => folder::write_adapter(&fitted.model, plan.name, work)?,
        Vocab::Grown => folder::write_grown_adapter(&fitted.model, plan.name, work)?,
        Vocab::Candidate | Vocab::Both => {}
    }
    let merged = fitted.model.merged();
    branch.folder = Some(folder::write_model(&merged, plan.on, plan.name, work)?);
    Ok(Some(merged))
}
