//! What a config.json says about a decoder, checked, and the same file rewritten without losing what hibrit does not
//! know. Where the weights lie is not known here.
use super::error::ModelError;
use crate::files::FileError;
use crate::kernels::Activation;
use serde_json::{Map, Value, json};
use std::path::Path;
use strum::{EnumIter, IntoEnumIterator};

/// The architectures that are built; one decoder serves them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::EnumString, EnumIter)]
#[strum(serialize_all = "snake_case")]
pub enum Family {
    /// Norms on queries and keys, no biases.
    Qwen3,
    /// Biases on q, k, v.
    Qwen2,
    /// Neither; biases where the config asks for them.
    Llama,
    /// As Llama, with a sliding window in the first version.
    Mistral,
}

impl Family {
    /// The names of all, for messages.
    pub fn known() -> String {
        Self::iter().map(|f| f.to_string()).collect::<Vec<_>>().join(", ")
    }
}

/// How rotary frequencies are stretched for long contexts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// All frequencies divided by `factor`.
    Linear { factor: f64 },
    /// Llama 3.1: low frequencies divided, high ones kept, a ramp between.
    Llama3 { factor: f64, low: f64, high: f64, original: f64 },
    /// YaRN (Peng 2023): pairs that turn fewer than `slow` times in `original` positions are divided, those that turn more
    /// than `fast` times kept, a ramp between; cosines and sines are multiplied by `attention`. `whole` rounds the ends
    /// of the ramp outwards to whole pairs.
    Yarn { factor: f64, attention: f64, fast: f64, slow: f64, original: f64, whole: bool },
}

/// What the norms do with their weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NormKind {
    /// x / rms(x) · weight (Zhang & Sennrich 2019).
    #[default]
    Rms,
    /// x / rms(x) · (1 + weight): weights are stored around zero, as Gemma's are.
    RmsZeroCentered,
}

/// Where the norms of a layer stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NormOrder {
    /// Before attention and before the MLP.
    #[default]
    Pre,
    /// After attention and after the MLP, before the residual is added (OLMo 2).
    Post,
    /// Before and after each (Gemma 2).
    Sandwich,
}

impl NormOrder {
    /// The modules of a layer's norms: before attention, after it, before the MLP, after it; absent where there is none.
    pub(super) fn modules(self) -> [Option<&'static str>; 4] {
        let after = ["post_attention_layernorm", "post_feedforward_layernorm"].map(Some);
        match self {
            Self::Pre => [Some("input_layernorm"), None, Some("post_attention_layernorm"), None],
            Self::Post => [None, after[0], None, after[1]],
            Self::Sandwich => [Some("input_layernorm"), after[0], Some("pre_feedforward_layernorm"), after[1]],
        }
    }
}

/// Ids of the control tokens as config.json names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Specials {
    /// Begins a sequence.
    pub bos: Option<u32>,
    /// Ends one.
    pub eos: Option<u32>,
    /// Fills a batch.
    pub pad: Option<u32>,
}

/// The sizes of a new model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dimensions {
    /// Rows of the embedding matrix.
    pub rows: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width inside the MLP.
    pub intermediate: usize,
    /// Number of layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of a head; even.
    pub head_dim: usize,
    /// Longest sequence, in tokens.
    pub positions: usize,
    /// Whether input and output embeddings are one matrix.
    pub tied: bool,
}

impl Dimensions {
    /// Numbers of all layers' matrices: a token's forward pass through them takes twice as many operations. Embeddings,
    /// head and norms are not among them.
    pub fn layer_weights(&self) -> usize {
        let (query, key) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        self.layers * self.hidden * (2 * query + 2 * key + 3 * self.intermediate)
    }
}

/// A checked configuration. Fields are read-only through [`ModelConfig`]'s users' good manners: the raw JSON beside
/// them is what is written back, so change a config only by its methods.
#[derive(Debug, Clone)]
pub struct ModelConfig {
    /// The architecture.
    pub family: Family,
    /// The sizes.
    pub size: Dimensions,
    /// What bends the MLP's gate.
    pub activation: Activation,
    /// What the norms do with their weights.
    pub norm: NormKind,
    /// Where the norms of a layer stand.
    pub norm_order: NormOrder,
    /// Epsilon of the RMS norms.
    pub norm_eps: f64,
    /// What queries times keys are multiplied by; 1 / sqrt(head_dim) where absent.
    pub attention_scale: Option<f32>,
    /// What rows of the embeddings are multiplied by on their way in.
    pub embedding_multiplier: f32,
    /// What attention and MLP are multiplied by before they are added to the residual stream.
    pub residual_multiplier: f32,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Their scaling.
    pub rope_scaling: RopeScaling,
    /// Whether q, k and v have biases.
    pub qkv_bias: bool,
    /// Whether o has a bias.
    pub output_bias: bool,
    /// Whether gate, up and down have biases.
    pub mlp_bias: bool,
    /// Whether queries and keys are normed per head.
    pub qk_norm: bool,
    /// By layer: how many positions back attention sees, itself included; `None` for all.
    pub windows: Vec<Option<usize>>,
    raw: Map<String, Value>,
}

impl ModelConfig {
    /// From the text of a config.json; `path` is for messages.
    ///
    /// # Errors
    /// Not JSON; an architecture that is not built; sizes that are missing, zero or contradictory; a feature that is
    /// not built (another activation, a RoPE type). Each message names the key.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ModelError> {
        let value: Value = serde_json::from_str(text).map_err(FileError::parsing(path))?;
        let Value::Object(raw) = value else {
            return Err(ModelError::Config { path: path.into(), what: "it is not a JSON object".into() });
        };
        let reader = Reader { path, raw: &raw };
        let family = reader.family()?;
        let heads = reader.count("num_attention_heads")?;
        let hidden = reader.count("hidden_size")?;
        let size = Dimensions {
            rows: reader.count("vocab_size")?,
            hidden,
            intermediate: reader.count("intermediate_size")?,
            layers: reader.count("num_hidden_layers")?,
            heads,
            kv_heads: reader.count_or("num_key_value_heads", heads)?,
            head_dim: reader.count_or("head_dim", hidden / heads)?,
            positions: reader.count_or("max_position_embeddings", 2048)?,
            tied: reader.flag("tie_word_embeddings")?.unwrap_or(false),
        };
        if !size.heads.is_multiple_of(size.kv_heads) {
            return Err(reader.fault(format!(
                "num_key_value_heads ({}) must divide num_attention_heads ({})",
                size.kv_heads, size.heads
            )));
        }
        if !size.head_dim.is_multiple_of(2) {
            return Err(reader.fault(format!("head_dim ({}) must be even for rotary embeddings", size.head_dim)));
        }
        let activation = raw.get("hidden_act").and_then(Value::as_str).unwrap_or("silu");
        let Ok(activation) = activation.parse() else {
            let built: Vec<String> = Activation::iter().map(|a| a.to_string()).collect();
            return Err(reader.fault(format!("hidden_act {activation:?} is not built; {} are", built.join(", "))));
        };
        let (rope_theta, rope_scaling) = reader.rope(size.positions)?;
        let attention_bias = reader.flag("attention_bias")?.unwrap_or(false);
        Ok(Self {
            family,
            activation,
            norm: NormKind::Rms,
            norm_order: NormOrder::Pre,
            attention_scale: None,
            embedding_multiplier: 1.0,
            residual_multiplier: 1.0,
            norm_eps: reader.number("rms_norm_eps")?.unwrap_or(1e-6),
            rope_theta,
            rope_scaling,
            qkv_bias: family == Family::Qwen2 || attention_bias,
            output_bias: matches!(family, Family::Llama | Family::Qwen3) && attention_bias,
            mlp_bias: family == Family::Llama && reader.flag("mlp_bias")?.unwrap_or(false),
            qk_norm: family == Family::Qwen3,
            windows: reader.windows(family, size.layers)?,
            size,
            raw,
        })
    }

    /// A new Qwen3-architecture configuration of the given sizes.
    ///
    /// # Errors
    /// [`ModelError::Config`] for sizes that contradict each other.
    pub fn qwen3(size: Dimensions) -> Result<Self, ModelError> {
        let raw = json!({
            "architectures": ["Qwen3ForCausalLM"],
            "attention_bias": false,
            "attention_dropout": 0.0,
            "head_dim": size.head_dim,
            "hidden_act": "silu",
            "hidden_size": size.hidden,
            "initializer_range": 0.02,
            "intermediate_size": size.intermediate,
            "max_position_embeddings": size.positions,
            "model_type": "qwen3",
            "num_attention_heads": size.heads,
            "num_hidden_layers": size.layers,
            "num_key_value_heads": size.kv_heads,
            "rms_norm_eps": 1e-6,
            // Both spellings: transformers 5 reads rope_parameters, older releases and other tools the plain key.
            "rope_parameters": { "rope_theta": 10000.0, "rope_type": "default" },
            "rope_theta": 10000.0,
            "sliding_window": null,
            "tie_word_embeddings": size.tied,
            "torch_dtype": "float32",
            "use_cache": true,
            "use_sliding_window": false,
            "vocab_size": size.rows,
        });
        Self::parse(Path::new("config.json"), &raw.to_string())
    }

    /// The same with another number of embedding rows.
    pub fn with_rows(mut self, rows: usize) -> Self {
        self.size.rows = rows;
        self.raw.insert("vocab_size".into(), rows.into());
        self
    }

    /// The same with input and output embeddings tied or not.
    pub fn with_tied(mut self, tied: bool) -> Self {
        self.size.tied = tied;
        self.raw.insert("tie_word_embeddings".into(), tied.into());
        self
    }

    /// The same with these control tokens; `None` writes null.
    pub fn with_specials(mut self, specials: Specials) -> Self {
        for (key, id) in
            [("bos_token_id", specials.bos), ("eos_token_id", specials.eos), ("pad_token_id", specials.pad)]
        {
            self.raw.insert(key.into(), id.map_or(Value::Null, Value::from));
        }
        self
    }

    /// The control tokens it names; the first where it lists several.
    pub fn specials(&self) -> Specials {
        let id = |key: &str| {
            let value = self.raw.get(key)?;
            let one = value.as_array().and_then(|all| all.first()).unwrap_or(value);
            one.as_u64().and_then(|id| u32::try_from(id).ok())
        };
        Specials { bos: id("bos_token_id"), eos: id("eos_token_id"), pad: id("pad_token_id") }
    }

    /// The text of its config.json, with every key it was read with.
    pub fn to_json(&self) -> String {
        let mut text = format!("{:#}", Value::Object(self.raw.clone()));
        text.push('\n');
        text
    }

    /// Records the type the weights are stored in, under both names in use.
    pub(super) fn with_dtype(mut self, dtype: &str) -> Self {
        for key in ["dtype", "torch_dtype"] {
            if key == "torch_dtype" || self.raw.contains_key(key) {
                self.raw.insert(key.into(), dtype.into());
            }
        }
        self
    }

    /// Parameters, embeddings and head included (a tied matrix once).
    pub fn parameters(&self) -> u64 {
        super::folder::expected(self).iter().map(|(_, shape)| shape.iter().product::<usize>() as u64).sum()
    }
}

/// Reads keys and complains by name.
struct Reader<'a> {
    path: &'a Path,
    raw: &'a Map<String, Value>,
}

impl Reader<'_> {
    fn fault(&self, what: String) -> ModelError {
        ModelError::Config { path: self.path.into(), what }
    }

    fn family(&self) -> Result<Family, ModelError> {
        let found = self.raw.get("model_type").and_then(Value::as_str).unwrap_or_default();
        let unknown = || ModelError::Architecture { path: self.path.into(), found: found.into() };
        found.parse().map_err(|_| unknown())
    }

    /// A value that is there and not null.
    fn get(&self, key: &str) -> Option<&Value> {
        self.raw.get(key).filter(|v| !v.is_null())
    }

    fn count(&self, key: &str) -> Result<usize, ModelError> {
        let value = self.get(key).ok_or_else(|| self.fault(format!("{key} is missing")))?;
        let count = value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0 && *n < 1 << 32);
        count.ok_or_else(|| self.fault(format!("{key} must be a positive whole number, not {value}")))
    }

    fn count_or(&self, key: &str, default: usize) -> Result<usize, ModelError> {
        if self.get(key).is_some() { self.count(key) } else { Ok(default) }
    }

    fn number(&self, key: &str) -> Result<Option<f64>, ModelError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let number = value.as_f64().filter(|x| x.is_finite() && *x > 0.0);
        number.map(Some).ok_or_else(|| self.fault(format!("{key} must be a positive number, not {value}")))
    }

    fn flag(&self, key: &str) -> Result<Option<bool>, ModelError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| self.fault(format!("{key} must be true or false, not {value}")))
    }

    /// The rotary base and scaling: at top level with `rope_scaling`, or all inside `rope_parameters`.
    fn rope(&self, positions: usize) -> Result<(f64, RopeScaling), ModelError> {
        let table = |key: &str| self.get(key).and_then(Value::as_object);
        let empty = Map::new();
        let inner = table("rope_parameters").or_else(|| table("rope_scaling")).unwrap_or(&empty);
        let inside = Reader { path: self.path, raw: inner };
        let theta = match inside.number("rope_theta")? {
            Some(theta) => theta,
            None => self.number("rope_theta")?.unwrap_or(10_000.0),
        };
        for (holder, key) in [(self, "partial_rotary_factor"), (&inside, "partial_rotary_factor")] {
            if holder.number(key)?.is_some_and(|f| f != 1.0) {
                return Err(self.fault(format!("{key} other than 1 is not built")));
            }
        }
        let needed = |key: &str| {
            inside.number(key)?.ok_or_else(|| self.fault(format!("the rotary scaling needs {key}, which is missing")))
        };
        let kind = inside.get("rope_type").or_else(|| inside.get("type")).and_then(Value::as_str).unwrap_or("default");
        let scaling = match kind {
            "default" => RopeScaling::None,
            "linear" => RopeScaling::Linear { factor: needed("factor")? },
            "llama3" => RopeScaling::Llama3 {
                factor: needed("factor")?,
                low: needed("low_freq_factor")?,
                high: needed("high_freq_factor")?,
                original: inside.number("original_max_position_embeddings")?.unwrap_or(positions as f64),
            },
            "yarn" => {
                let original = inside.number("original_max_position_embeddings")?.unwrap_or(positions as f64);
                let factor = inside.number("factor")?.unwrap_or(positions as f64 / original);
                let scale = |by: f64| if factor <= 1.0 { 1.0 } else { 0.1 * by * factor.ln() + 1.0 };
                let attention = match (inside.number("mscale")?, inside.number("mscale_all_dim")?) {
                    (Some(a), Some(b)) => scale(a) / scale(b),
                    _ => scale(1.0),
                };
                RopeScaling::Yarn {
                    factor,
                    attention: inside.number("attention_factor")?.unwrap_or(attention),
                    fast: inside.number("beta_fast")?.unwrap_or(32.0),
                    slow: inside.number("beta_slow")?.unwrap_or(1.0),
                    original,
                    whole: inside.flag("truncate")?.unwrap_or(true),
                }
            }
            // It stretches only what is longer than the model's positions, and nothing longer goes in here.
            "dynamic" => RopeScaling::None,
            other => {
                return Err(self.fault(format!(
                    "the rotary scaling {other:?} is not built; default, linear, llama3, yarn, dynamic are"
                )));
            }
        };
        Ok((theta, scaling))
    }

    /// The sliding window of each layer.
    fn windows(&self, family: Family, layers: usize) -> Result<Vec<Option<usize>>, ModelError> {
        let used = match family {
            Family::Mistral => true,
            Family::Qwen2 | Family::Qwen3 => self.flag("use_sliding_window")?.unwrap_or(false),
            Family::Llama => false,
        };
        if !used || self.get("sliding_window").is_none() {
            return Ok(vec![None; layers]);
        }
        let window = self.count("sliding_window")?;
        if let Some(types) = self.get("layer_types").and_then(Value::as_array) {
            if types.len() != layers {
                return Err(self.fault(format!("layer_types has {} entries for {layers} layers", types.len())));
            }
            return Ok(types.iter().map(|t| (t.as_str() == Some("sliding_attention")).then_some(window)).collect());
        }
        // Without layer_types Qwen slides from layer max_window_layers on; Mistral everywhere.
        let first = if family == Family::Mistral { 0 } else { self.count_or("max_window_layers", 28)? };
        Ok((0..layers).map(|l| (l >= first).then_some(window)).collect())
    }
}
