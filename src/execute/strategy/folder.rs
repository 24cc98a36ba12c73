//! The folders a run leaves: `branches/NAME/model` (complete Hugging Face folders), `branches/NAME/adapter` (PEFT, for
//! branches on the original tokenizer), and the winner's at the top. The winner is read back from the disk and must
//! reproduce its loss.

use super::{Tokens, Work, held_out};
use crate::domain::event::Event;
use crate::domain::outcome::{Branch, Vocab};
use crate::domain::vocabulary::{Role, Vocabulary};
use crate::execute::ExecuteError;
use crate::execute::adapter;
use crate::execute::model::{Decoder, Dtype, ModelConfig, ModelFolder, Specials, save_model, write_atomically};
use crate::execute::structural;
use crate::execute::tokenizer;
use crate::execute::train::chat::ChatTemplate;
use std::fs;
use std::path::{Path, PathBuf};

/// A tokenizer's files, by the names they have in a model's folder.
#[derive(Debug, Clone, Default)]
pub struct TokenizerFiles(Vec<(&'static str, PathBuf)>);

/// What may lie beside a tokenizer.json and belongs to it.
const COMPANIONS: [&str; 4] =
    ["tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja", "added_tokens.json"];

impl TokenizerFiles {
    /// A tokenizer.json (whatever its name) and what belongs to it in the same folder.
    pub fn beside(tokenizer: &Path) -> Self {
        let folder = tokenizer.parent().unwrap_or(Path::new("."));
        let companions = COMPANIONS.iter().map(|name| (*name, folder.join(name))).filter(|(_, path)| path.is_file());
        Self(std::iter::once(("tokenizer.json", tokenizer.to_path_buf())).chain(companions).collect())
    }

    /// Writes copies into a folder.
    ///
    /// # Errors
    /// Where one cannot be read or written.
    pub fn write_to(&self, folder: &Path) -> Result<(), ExecuteError> {
        for (name, from) in &self.0 {
            let contents = fs::read(from).map_err(ExecuteError::reading(from))?;
            write_atomically(&folder.join(name), |to| to.write_all(&contents))?;
        }
        Ok(())
    }

    /// The chat template that lies beside the tokenizer, if one does.
    ///
    /// # Errors
    /// Where it cannot be read or is no template.
    pub fn chat_template(&self) -> Result<Option<ChatTemplate>, ExecuteError> {
        self.0.first().and_then(|(_, path)| path.parent()).map_or(Ok(None), ChatTemplate::from_folder)
    }

    fn has(&self, wanted: &str) -> bool {
        self.0.iter().any(|(name, _)| *name == wanted)
    }
}

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
        Vocab::Both => structural::save(&folder, model, work.base, &work.source, &work.candidate)?,
        Vocab::Source | Vocab::Candidate | Vocab::Grown => {
            write_complete(&folder, model, work.base, work.tokens(on)?, on == Vocab::Candidate, Dtype::F32)?;
        }
    }
    Ok(relative.to_string_lossy().into_owned())
}

/// A complete Hugging Face folder: weights stored as `dtype`, configuration, generation settings, tokenizer. `moved` says that
/// the tokenizer is not the base's: special tokens are then named anew.
///
/// # Errors
/// As [`save_model`]; where a tokenizer's file cannot be read.
pub fn write_complete(
    folder: &Path,
    model: &Decoder,
    base: &ModelFolder,
    tokens: &Tokens<'_>,
    moved: bool,
    dtype: Dtype,
) -> Result<(), ExecuteError> {
    let config = match moved {
        false => base.config().clone(),
        true => with_specials(base.config().clone(), tokens.vocabulary),
    };
    save_model(folder, model, &config, dtype)?;
    write_companions(folder, base, tokens, moved, &config)
}

/// What stands beside config.json and the weights: tokenizer and generation settings.
///
/// # Errors
/// Where a file cannot be read or written.
pub fn write_companions(
    folder: &Path,
    base: &ModelFolder,
    tokens: &Tokens<'_>,
    moved: bool,
    config: &ModelConfig,
) -> Result<(), ExecuteError> {
    tokens.files.write_to(folder)?;
    if !tokens.files.has("tokenizer_config.json") {
        let text = tokenizer_config(tokens.vocabulary, config.size.positions);
        write_atomically(&folder.join("tokenizer_config.json"), |to| to.write_all(text.as_bytes()))?;
    }
    let generation = base.path().join("generation_config.json");
    if generation.is_file() || moved {
        write_generation_config(&generation, folder, moved, config)?;
    }
    Ok(())
}

/// A tokenizer_config.json for a vocabulary's special tokens by role.
fn tokenizer_config(vocabulary: &Vocabulary, positions: usize) -> String {
    let roles =
        [("bos_token", Role::Bos), ("eos_token", Role::Eos), ("pad_token", Role::Pad), ("unk_token", Role::Unk)];
    let of = |role| vocabulary.role(&role).and_then(|id| vocabulary.get(id)).map(|token| token.raw.clone());
    tokenizer::config(positions, roles.map(|(name, role)| (name, of(role))))
}

/// The configuration with the special tokens of a vocabulary.
pub fn with_specials(config: ModelConfig, vocabulary: &Vocabulary) -> ModelConfig {
    let eos = vocabulary.role(&Role::Eos);
    config.with_specials(Specials { bos: vocabulary.role(&Role::Bos), eos, pad: vocabulary.role(&Role::Pad) })
}

/// The base's generation settings; with another tokenizer the special tokens are that tokenizer's.
fn write_generation_config(from: &Path, folder: &Path, moved: bool, config: &ModelConfig) -> Result<(), ExecuteError> {
    let mut settings: serde_json::Map<String, serde_json::Value> = match fs::read(from) {
        Ok(text) => {
            serde_json::from_slice(&text).map_err(|source| ExecuteError::Json { path: from.to_path_buf(), source })?
        }
        Err(_) => serde_json::Map::new(),
    };
    if moved {
        let specials = config.specials();
        for (name, id) in
            [("bos_token_id", specials.bos), ("eos_token_id", specials.eos), ("pad_token_id", specials.pad)]
        {
            settings.remove(name);
            if let Some(id) = id {
                settings.insert(name.into(), id.into());
            }
        }
    }
    let text = format!("{:#}\n", serde_json::Value::Object(settings));
    write_atomically(&folder.join("generation_config.json"), |to| to.write_all(text.as_bytes()))
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
        model = structural::attach(folder.path(), model)?;
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
