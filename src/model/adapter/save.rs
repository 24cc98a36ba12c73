//! Writes a decoder's adapters as PEFT reads them.

use super::{CONFIG, PREFIX, WEIGHTS};
use crate::files::FileError;
use crate::model::ModelError;
use crate::model::{Decoder, Dtype, Group, SECOND, held_tensor, write_atomically, write_tensors};
use serde_json::json;
use std::path::Path;

/// Writes the side paths of a decoder, and its embeddings and head where they are trained (PEFT's modules to save),
/// into a folder, which is made where it is missing. `base` is what `base_model_name_or_path` names.
///
/// # Errors
/// [`ModelError::Mismatch`] where the decoder has no side paths, [`FileError::Write`] where the disk refuses.
pub fn save(folder: &Path, decoder: &Decoder, base: &str) -> Result<(), ModelError> {
    let lora = decoder.lora().ok_or_else(|| ModelError::Mismatch("there is no adapter to save".into()))?;
    std::fs::create_dir_all(folder).map_err(FileError::writing(folder))?;
    let (mut tensors, mut modules) = (Vec::new(), Vec::new());
    decoder.each_parameter(&mut |name, group, held| {
        if name.starts_with(SECOND) {
            return;
        }
        let in_full = match group {
            Group::Adapter => false,
            Group::Embedding | Group::Head if held.is_trained() => true,
            Group::Embedding | Group::Head | Group::Matrix | Group::Vector => return,
        };
        if in_full {
            modules.push(if group == Group::Head { "lm_head" } else { "embed_tokens" });
        }
        tensors.push((format!("{PREFIX}{name}"), held_tensor(held)));
        // PEFT keeps modules to save apart from each other: a tied matrix is written for both of its places, or the
        // head would stay what it was in the base.
        if in_full && group == Group::Embedding && decoder.config().size.tied {
            modules.push("lm_head");
            tensors.push((format!("{PREFIX}lm_head.weight"), held_tensor(held)));
        }
    });
    let config = json!({
        "base_model_name_or_path": base,
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "modules_to_save": if modules.is_empty() { None } else { Some(modules) },
        "peft_type": "LORA",
        "r": lora.rank,
        "target_modules": lora.targets.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "task_type": "CAUSAL_LM",
        "use_dora": false,
        "use_rslora": false,
    });
    write_tensors(&folder.join(format!("{WEIGHTS}.safetensors")), &tensors, Dtype::F32)?;
    write_atomically(&folder.join(CONFIG), |file| writeln!(file, "{config:#}"))
}
