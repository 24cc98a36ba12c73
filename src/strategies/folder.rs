//! The folders a run leaves: `branches/NAME/model` (complete Hugging Face folders), `branches/NAME/adapter` (PEFT, for
//! branches on the original tokenizer), and the winner's at the top. The winner is read back from the disk and must
//! reproduce its loss.

use super::{Work, held_out};
use crate::domain::event::Event;
use crate::domain::outcome::{Branch, Vocab};
use crate::model::ExecuteError;
use crate::model::adapter;
use crate::model::structural_folder;
use crate::model::{Decoder, Dtype, ModelFolder, write_complete};
use std::fs;
use std::path::{Path, PathBuf};

/// Bits per byte by which a model that is read back may differ: merging adapters and rounding of f32 sums.
const SAME: f64 = 1e-3;

fn branch_folder(name: &str, work: &Work<'_>) -> PathBuf {
    work.out.join("branches").join(name)
}

/// The branch's adapter in PEFT's format, on the base it was trained on.
pub(super) fn write_adapter(model: &Decoder, name: &str, work: &Work<'_>) -> Result<(), ExecuteError> {
    adapter::save(&branch_folder(name, work).join("adapter"), model, &work.base.path().display().to_string())
}

/// The same for a grown vocabulary: old rows are the base's, new ones are the adapter's.
pub(super) fn write_grown_adapter(model: &Decoder, name: &str, work: &Work<'_>) -> Result<(), ExecuteError> {
    let old = work.source.vocabulary.rows();
    let base = branch_folder(name, work).join("base");
    let base = std::path::absolute(&base).unwrap_or(base);
    adapter::save_grown(&branch_folder(name, work).join("adapter"), model, &base.display().to_string(), old)
}

/// The base with its grown vocabulary, before training: what the branch's adapter is put on.
pub(super) fn write_grown_base(model: &Decoder, name: &str, work: &Work<'_>) -> Result<(), ExecuteError> {
    write_complete(
        &branch_folder(name, work).join("base"),
        model,
        work.base,
        work.tokens(Vocab::Grown)?,
        false,
        Dtype::F32,
    )
}

/// The branch's model, complete; its folder relative to the run's.
pub(super) fn write_model(model: &Decoder, on: Vocab, name: &str, work: &Work<'_>) -> Result<String, ExecuteError> {
    let relative = Path::new("branches").join(name).join("model");
    // A grown vocabulary has the original's special tokens where they were.
    let folder = work.out.join(&relative);
    match on {
        Vocab::Both => structural_folder::save(&folder, model, work.base, &work.source, &work.candidate)?,
        Vocab::Source | Vocab::Candidate | Vocab::Grown => {
            write_complete(&folder, model, work.base, work.tokens(on)?, on == Vocab::Candidate, Dtype::F32)?;
        }
    }
    Ok(relative.to_string_lossy().into_owned())
}

/// Puts the winner's folders at the top of the run's folder, reads the model back and checks its loss.
///
/// # Errors
/// [`ExecuteError::Write`] where a folder cannot be moved; [`ExecuteError::Mismatch`] where the model that was read
/// back does not give the loss it had.
pub fn export(branch: &mut Branch, work: &mut Work<'_>) -> Result<(), ExecuteError> {
    let from = branch_folder(&branch.name, work);
    for part in ["model", "adapter"] {
        let (from, to) = (from.join(part), work.out.join(part));
        if from.is_dir() {
            fs::rename(&from, &to).map_err(ExecuteError::writing(&to))?;
        }
    }
    branch.folder = Some("model".into());
    let Some(after) = &branch.after else { return Ok(()) };
    work.observer.observe(&Event::Note { text: "Reading the exported model back".into() });
    let folder = ModelFolder::open(&work.out.join("model"))?;
    let mut model = folder.load(work.device)?;
    if branch.tokenizer == Vocab::Both {
        model = structural_folder::attach(folder.path(), model)?;
    }
    let again = held_out(work, branch.tokenizer)?.evaluate(&model)?.evaluation;
    let difference = (again.bits_per_byte.get() - after.bits_per_byte.get()).abs();
    if difference > SAME {
        return Err(ExecuteError::Mismatch(format!(
            "the exported model gives {:.5} bits per byte where {:.5} were measured",
            again.bits_per_byte.get(),
            after.bits_per_byte.get()
        )));
    }
    Ok(())
}
