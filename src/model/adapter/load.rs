//! Reads an adapter that PEFT or hibrit wrote, checks it against the base, and attaches it.

use super::{CONFIG, PREFIX, WEIGHTS};
use crate::files::FileError;
use crate::model::ModelError;
use crate::model::{Decoder, LoraConfig, Matrix, Target, Weights};
use serde::Deserialize;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use strum::IntoEnumIterator;

/// An adapter's folder, opened; it is checked against a base when it is attached.
#[derive(Debug)]
pub struct AdapterFolder {
    path: PathBuf,
    lora: LoraConfig,
    base: Option<String>,
    weights: Weights,
}

/// adapter_config.json, as far as hibrit understands it.
#[derive(Deserialize)]
struct Raw {
    peft_type: String,
    r: usize,
    lora_alpha: f64,
    #[serde(default)]
    lora_dropout: f64,
    target_modules: Targets,
    base_model_name_or_path: Option<String>,
    #[serde(default)]
    use_dora: bool,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    fan_in_fan_out: bool,
    rank_pattern: Option<serde_json::Map<String, serde_json::Value>>,
    alpha_pattern: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Targets {
    Listed(Vec<String>),
    One(String),
}

impl AdapterFolder {
    /// Opens an adapter.
    ///
    /// # Errors
    /// A missing or damaged file; an adapter that is not LoRA, or of a kind that is not built (DoRA, patterns,
    /// targets outside attention and MLP): [`ModelError::Adapter`] says which.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let file = path.join(CONFIG);
        let text = std::fs::read_to_string(&file).map_err(FileError::reading(&file))?;
        let raw: Raw = serde_json::from_str(&text).map_err(|source| FileError::Json { path: file.clone(), source })?;
        let fault = |what: String| ModelError::Adapter { path: file.clone(), what };
        if raw.peft_type != "LORA" {
            return Err(fault(format!("the adapter is of type {}; LORA can be read", raw.peft_type)));
        }
        let patterned = |p: &Option<serde_json::Map<_, _>>| p.as_ref().is_some_and(|p| !p.is_empty());
        for (used, what) in [
            (raw.use_dora, "use_dora"),
            (raw.fan_in_fan_out, "fan_in_fan_out"),
            (patterned(&raw.rank_pattern), "rank_pattern"),
            (patterned(&raw.alpha_pattern), "alpha_pattern"),
        ] {
            if used {
                return Err(fault(format!("{what} is not built")));
            }
        }
        if raw.r == 0 || !(0.0..1.0).contains(&raw.lora_dropout) {
            return Err(fault(format!("rank {} or dropout {} is out of range", raw.r, raw.lora_dropout)));
        }
        let targets = match raw.target_modules {
            Targets::Listed(names) => names
                .iter()
                .map(|name| {
                    let last = name.rsplit('.').next().unwrap_or(name);
                    last.parse().map_err(|_| fault(format!("target module {name:?} is not built")))
                })
                .collect::<Result<_, _>>()?,
            Targets::One(all) if all == "all-linear" => Target::iter().collect(),
            Targets::One(pattern) => {
                return Err(fault(format!("target_modules as a pattern ({pattern:?}) is not built")));
            }
        };
        // Rank-stabilised LoRA scales by alpha / sqrt(r); an alpha that gives the same scale says the same.
        let alpha = if raw.use_rslora { raw.lora_alpha * (raw.r as f64).sqrt() } else { raw.lora_alpha };
        let lora = LoraConfig { rank: raw.r, alpha, dropout: raw.lora_dropout, targets };
        let weights = Weights::open(path, WEIGHTS)?;
        Ok(Self { path: path.into(), lora, base: raw.base_model_name_or_path, weights })
    }

    /// How its side paths are made.
    pub fn lora(&self) -> &LoraConfig {
        &self.lora
    }

    /// The base it says it belongs to.
    pub fn base(&self) -> Option<&str> {
        self.base.as_deref()
    }

    /// The decoder with this adapter's side paths, and its embeddings and head where it carries them.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] where a factor is missing, of another shape, or has no place in this decoder: the
    /// adapter belongs to another base.
    pub fn attach(&self, decoder: Decoder) -> Result<Decoder, ModelError> {
        let mut used = HashSet::new();
        let decoder = self.with_embeddings(decoder, &mut used)?.with_lora(&self.lora, 0);
        let mut layer_and_target = Vec::new();
        decoder.each_parameter(&mut |name, _, held| {
            if name.contains(".lora_") {
                layer_and_target.push((name, held.shape()));
            }
        });
        let mut factors = Vec::new();
        for (name, shape) in layer_and_target {
            let name = format!("{PREFIX}{name}");
            match self.weights.shape(&name) {
                Some(found) if found == shape => factors.push(self.weights.read(&name)?),
                Some(found) => {
                    return Err(self.fault(&name, format!("has shape {found:?}, but this base needs {shape:?}")));
                }
                None => return Err(self.fault(&name, "is missing: the adapter belongs to another base".into())),
            }
            used.insert(name);
        }
        if let Some(extra) = self.weights.names().find(|name| !used.contains(*name)) {
            return Err(self.fault(extra, "has no place in this base".into()));
        }
        Ok(decoder.with_factors(factors))
    }

    fn fault(&self, tensor: &str, what: String) -> ModelError {
        ModelError::Tensor { path: self.path.clone(), tensor: tensor.into(), what }
    }

    /// Embeddings and head that were saved in full.
    fn with_embeddings(&self, decoder: Decoder, used: &mut HashSet<String>) -> Result<Decoder, ModelError> {
        let hidden = decoder.config().size.hidden;
        let mut read = |module: &str| -> Result<Option<Matrix>, ModelError> {
            // PEFT 0.x wrote the wrapper's name into older files.
            let names = [format!("{PREFIX}{module}.weight"), format!("{PREFIX}{module}.modules_to_save.weight")];
            let Some(name) = names.into_iter().find(|n| self.weights.shape(n).is_some()) else { return Ok(None) };
            let rows = match self.weights.shape(&name) {
                Some([rows, cols]) if *cols == hidden => *rows,
                found => return Err(self.fault(&name, format!("has shape {found:?}, but this base is {hidden} wide"))),
            };
            let matrix = Matrix::new(rows, hidden, self.weights.read(&name)?);
            used.insert(name);
            Ok(matrix)
        };
        let (input, output) = (read("model.embed_tokens")?, read("lm_head")?);
        if input.is_none() && output.is_none() {
            return Ok(decoder);
        }
        let (own_input, own_output) = decoder.embeddings()?;
        // A tied base that was saved with both gets two matrices only if they really differ.
        let output = match (output, own_output) {
            (Some(output), None) if input.as_ref().is_none_or(|i| *i == output) => {
                return decoder.replace_embeddings(output, None);
            }
            (output, own) => output.or(own),
        };
        decoder.replace_embeddings(input.unwrap_or(own_input), output)
    }
}

/// [`AdapterFolder::open`] and [`AdapterFolder::attach`] in one.
///
/// # Errors
/// As those two.
pub fn load(folder: &Path, decoder: Decoder) -> Result<Decoder, ModelError> {
    AdapterFolder::open(folder)?.attach(decoder)
}
