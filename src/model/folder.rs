//! A model's folder, opened and checked whole before any of it is used: every tensor the configuration asks for is
//! there in the right shape, nothing contradicts it. Training and saving are not known here.

use super::config::ModelConfig;
use super::decoder::Decoder;
use super::error::ModelError;
use super::matrix::Matrix;
use super::save::Dtype;
use super::source::Stored;
use super::weights::{StoredMatrix, Weights};
use crate::domain::profile::ModelSummary;
use crate::domain::strategy::Precision;
use crate::files::FileError;
use burn::tensor::Device;
use std::path::{Path, PathBuf};

/// Name of the input embeddings.
pub(super) const EMBEDDINGS: &str = "model.embed_tokens.weight";
/// Name of the output matrix.
pub(super) const HEAD: &str = "lm_head.weight";

/// A checked Hugging Face folder: config.json and weights. The tokenizer beside them is not looked at.
#[derive(Debug)]
pub struct ModelFolder {
    path: PathBuf,
    config: ModelConfig,
    weights: Weights,
}

impl ModelFolder {
    /// Opens a folder and checks configuration and weights against each other; no weight is read yet.
    ///
    /// # Errors
    /// A missing or damaged file; a tensor that is missing, extra or of another shape; `tie_word_embeddings` that
    /// contradicts the weights. Each names the file and the tensor.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let config_path = path.join("config.json");
        let text = std::fs::read_to_string(&config_path).map_err(FileError::reading(&config_path))?;
        let config = ModelConfig::parse(&config_path, &text)?;
        let weights = Weights::open(path, "model")?;
        check(&config, &weights)?;
        Ok(Self { path: path.into(), config, weights })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its configuration.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Its tensors, for streaming.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// How its embeddings are stored.
    pub fn dtype(&self) -> Dtype {
        self.weights.storage(EMBEDDINGS).map_or(Dtype::F32, Dtype::from)
    }

    /// What a decision needs to know of it.
    pub fn summary(&self) -> ModelSummary {
        ModelSummary {
            name: self.path.display().to_string(),
            family: self.config.family.to_string(),
            parameters: self.config.parameters(),
            embedding_rows: self.config.size.rows as u64,
            hidden: self.config.size.hidden as u64,
            tied: self.config.size.tied,
        }
    }

    /// sha256 of the weights.
    pub fn sha256(&self) -> String {
        self.weights.sha256()
    }

    /// The input embeddings and, where it is a matrix of its own, the output matrix; both `[rows, hidden]`.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] where a number is not finite.
    pub fn embeddings(&self) -> Result<(Matrix, Option<Matrix>), ModelError> {
        let size = &self.config.size;
        let read = |name: &str| {
            let data = self.weights.read(name)?;
            Matrix::new(size.rows, size.hidden, data)
                .ok_or_else(|| ModelError::Mismatch(format!("{name} is not {} x {}", size.rows, size.hidden)))
        };
        Ok((read(EMBEDDINGS)?, if size.tied { None } else { Some(read(HEAD)?) }))
    }

    /// The input embeddings and, where it is a matrix of its own, the output matrix, to be read row by row.
    pub fn tables(&self) -> (Option<StoredMatrix<'_>>, Option<StoredMatrix<'_>>) {
        let output = if self.config.size.tied { None } else { self.weights.matrix(HEAD) };
        (self.weights.matrix(EMBEDDINGS), output)
    }

    /// The decoder, on `device`, as f32, all of it frozen. Every weight is read from the map once.
    ///
    /// # Errors
    /// [`ModelError::Tensor`] where a number is not finite.
    pub fn load(&self, device: &Device) -> Result<Decoder, ModelError> {
        self.load_as(device, Precision::F32)
    }

    /// The same with the layers' matrices in this precision: never wider on the device, not even while loading.
    /// Embeddings and head come in 32 bits, since they may be trained.
    ///
    /// # Errors
    /// As [`ModelFolder::load`].
    pub fn load_as(&self, device: &Device, precision: Precision) -> Result<Decoder, ModelError> {
        Decoder::build(&self.config, &mut Stored { weights: &self.weights, device, precision })
    }
}

/// Names and shapes of the tensors a configuration asks for, in the order they are saved in.
pub(super) fn expected(config: &ModelConfig) -> Vec<(String, Vec<usize>)> {
    let s = &config.size;
    let (queries, keys) = (s.heads * s.head_dim, s.kv_heads * s.head_dim);
    let mut all = vec![(EMBEDDINGS.to_string(), vec![s.rows, s.hidden])];
    for layer in 0..s.layers {
        let mut add = |name: &str, shape: &[usize]| all.push((format!("model.layers.{layer}.{name}"), shape.to_vec()));
        let [before, rest @ ..] = config.norm_order.modules();
        before.into_iter().for_each(|module| add(&format!("{module}.weight"), &[s.hidden]));
        for (name, out, inside, bias) in [
            ("self_attn.q_proj", queries, s.hidden, config.qkv_bias),
            ("self_attn.k_proj", keys, s.hidden, config.qkv_bias),
            ("self_attn.v_proj", keys, s.hidden, config.qkv_bias),
            ("self_attn.o_proj", s.hidden, queries, config.output_bias),
            ("mlp.gate_proj", s.intermediate, s.hidden, config.mlp_bias),
            ("mlp.up_proj", s.intermediate, s.hidden, config.mlp_bias),
            ("mlp.down_proj", s.hidden, s.intermediate, config.mlp_bias),
        ] {
            add(&format!("{name}.weight"), &[out, inside]);
            if bias {
                add(&format!("{name}.bias"), &[out]);
            }
        }
        if config.qk_norm {
            add("self_attn.q_norm.weight", &[s.head_dim]);
            add("self_attn.k_norm.weight", &[s.head_dim]);
        }
        rest.into_iter().flatten().for_each(|module| add(&format!("{module}.weight"), &[s.hidden]));
    }
    all.push(("model.norm.weight".into(), vec![s.hidden]));
    if !s.tied {
        all.push((HEAD.into(), vec![s.rows, s.hidden]));
    }
    all
}

fn check(config: &ModelConfig, weights: &Weights) -> Result<(), ModelError> {
    let fault = |tensor: &str, what: String| ModelError::Tensor {
        path: weights.path_of(tensor).into(),
        tensor: tensor.into(),
        what,
    };
    let expected = expected(config);
    for (name, shape) in &expected {
        match weights.shape(name) {
            Some(found) if found == shape => {}
            Some(found) => {
                return Err(fault(name, format!("has shape {found:?}, but config.json asks for {shape:?}")));
            }
            None if name == HEAD => {
                return Err(fault(name, "is missing, although config.json says tie_word_embeddings: false".into()));
            }
            None => return Err(fault(name, "is missing".into())),
        }
    }
    let known: std::collections::HashSet<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();
    for name in weights.names().filter(|name| !known.contains(name)) {
        // Old exports carry the rotary frequencies; they follow from the configuration.
        if name.ends_with("rotary_emb.inv_freq") {
            continue;
        }
        // Some exports store the tied matrix twice; that is honest only if both are the same.
        if name == HEAD {
            if weights.bytes(HEAD) == weights.bytes(EMBEDDINGS) {
                continue;
            }
            return Err(fault(name, "differs from the embeddings, although config.json says they are tied".into()));
        }
        return Err(fault(name, "is not part of the architecture that config.json names".into()));
    }
    Ok(())
}
