//! The folders a run leaves: `branches/NAME/model` (complete Hugging Face folders), `branches/NAME/adapter` (PEFT, for
//! branches on the original tokenizer), and the winner's at the top. The winner is read back from the disk and must
//! reproduce its loss.

use super::error::StrategyError;
use super::{RunContext, held_out};
use crate::domain::outcome::{Branch, Vocab};
use crate::domain::stage::Stage;
use crate::files::FileError;
use crate::model::adapter;
use crate::model::structural_folder;
use crate::model::{Decoder, Dtype, ModelFolder, write_complete};
use std::fs;
use std::path::{Path, PathBuf};

/// Bits per byte by which a model that is read back may differ: merging adapters and rounding of f32 sums.
const SAME: f64 = 1e-3;

fn branch_folder(name: &str, run: &RunContext<'_>) -> PathBuf {
    run.env.out.join("branches").join(name)
}

/// The branch's adapter in PEFT's format, on the base it was trained on.
pub(super) fn write_adapter(model: &Decoder, stage: Stage, run: &RunContext<'_>) -> Result<(), StrategyError> {
    let base = run.inputs.base.path().display().to_string();
    Ok(adapter::save(&branch_folder(stage.branch(), run).join("adapter"), model, &base)?)
}

/// The same for a grown vocabulary: old rows are the base's, new ones are the adapter's.
pub(super) fn write_grown_adapter(model: &Decoder, stage: Stage, run: &RunContext<'_>) -> Result<(), StrategyError> {
    let old = run.inputs.source.vocabulary.rows();
    let base = branch_folder(stage.branch(), run).join("base");
    let base = std::path::absolute(&base).unwrap_or(base);
    let folder = branch_folder(stage.branch(), run).join("adapter");
    Ok(adapter::save_grown(&folder, model, &base.display().to_string(), old)?)
}

/// The base with its grown vocabulary, before training: what the branch's adapter is put on.
pub(super) fn write_grown_base(model: &Decoder, stage: Stage, run: &RunContext<'_>) -> Result<(), StrategyError> {
    Ok(write_complete(
        &branch_folder(stage.branch(), run).join("base"),
        model,
        run.inputs.base,
        run.inputs.tokens(Vocab::Grown)?,
        false,
        Dtype::F32,
    )?)
}

/// The branch's model, complete; its folder relative to the run's.
pub(super) fn write_model(model: &Decoder, stage: Stage, run: &RunContext<'_>) -> Result<String, StrategyError> {
    let relative = Path::new("branches").join(stage.branch()).join("model");
    // A grown vocabulary has the original's special tokens where they were.
    let folder = run.env.out.join(&relative);
    let on = stage.vocab();
    match on {
        Vocab::Both => {
            structural_folder::save(&folder, model, run.inputs.base, &run.inputs.source, &run.inputs.candidate)?
        }
        Vocab::Source | Vocab::Candidate | Vocab::Grown => {
            write_complete(
                &folder,
                model,
                run.inputs.base,
                run.inputs.tokens(on)?,
                on == Vocab::Candidate,
                Dtype::F32,
            )?;
        }
    }
    Ok(relative.to_string_lossy().into_owned())
}

/// Puts the winner's folders at the top of the run's folder, reads the model back and checks its loss.
///
/// # Errors
/// [`FileError::Write`] where a folder cannot be moved; [`StrategyError::Mismatch`] where the model that was read
/// back does not give the loss it had.
pub fn export(branch: &mut Branch, run: &mut RunContext<'_>) -> Result<(), StrategyError> {
    let from = branch_folder(&branch.name, run);
    for part in ["model", "adapter"] {
        let (from, to) = (from.join(part), run.env.out.join(part));
        if from.is_dir() {
            fs::rename(&from, &to).map_err(FileError::writing(&to))?;
        }
    }
    branch.folder = Some("model".into());
    let Some(after) = &branch.after else { return Ok(()) };
    run.env.note("Reading the exported model back".into());
    let folder = ModelFolder::open(&run.env.out.join("model"))?;
    let mut model = folder.load(run.env.device)?;
    if branch.tokenizer == Vocab::Both {
        model = structural_folder::attach(folder.path(), model)?;
    }
    let again = held_out(run, branch.tokenizer)?.evaluate(&model)?.evaluation;
    let difference = (again.bits_per_byte.get() - after.bits_per_byte.get()).abs();
    if difference > SAME {
        return Err(StrategyError::Mismatch(format!(
            "the exported model gives {:.5} bits per byte where {:.5} were measured",
            again.bits_per_byte.get(),
            after.bits_per_byte.get()
        )));
    }
    Ok(())
}
