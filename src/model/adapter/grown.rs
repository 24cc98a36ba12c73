//! Writes the adapters of a decoder with a grown vocabulary as PEFT reads them: side paths, and only the new rows of the
//! embeddings (and of the head, where it is a matrix of its own) as trainable tokens. The base it names must have those
//! rows already.

use super::{CONFIG, PREFIX, WEIGHTS};
use crate::files::FileError;
use crate::model::ModelError;
use crate::model::{Decoder, Dtype, Group, Outgoing, held_tensor, write_atomically, write_tensors};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;

/// As [`save`](super::save), but of embeddings and head only the rows from `old` on, by their ids
/// (`trainable_token_indices`). PEFT stores the rows themselves and ties them where the model is tied.
///
/// # Errors
/// [`ModelError::Mismatch`] where the decoder has no side paths, [`FileError::Write`] where the disk refuses.
pub fn save_grown(folder: &Path, decoder: &Decoder, base: &str, old: usize) -> Result<(), ModelError> {
    let lora = decoder.lora().ok_or_else(|| ModelError::Mismatch("there is no adapter to save".into()))?;
    std::fs::create_dir_all(folder).map_err(FileError::writing(folder))?;
    let (mut tensors, mut modules) = (Vec::new(), BTreeMap::new());
    let new: Vec<usize> = (old..decoder.config().size.rows).collect();
    decoder.each_parameter(&mut |name, group, held| match group {
        Group::Adapter => tensors.push((format!("{PREFIX}{name}"), held_tensor(held))),
        Group::Embedding | Group::Head => {
            let whole = held_tensor(held);
            let [rows, width] = whole.shape[..] else { return };
            let module = name.trim_end_matches(".weight");
            modules.insert(module.rsplit('.').next().unwrap_or(module).to_string(), new.clone());
            let numbers = move || Ok((whole.numbers)()?.split_off(old.min(rows) * width));
            let shape = vec![rows.saturating_sub(old), width];
            let name = format!("{PREFIX}{module}.token_adapter.trainable_tokens_delta");
            tensors.push((name, Outgoing { shape, numbers: Box::new(numbers) }));
        }
        Group::Matrix | Group::Vector => {}
    });
    let config = json!({
        "base_model_name_or_path": base,
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "modules_to_save": null,
        "peft_type": "LORA",
        "r": lora.rank,
        "target_modules": lora.targets.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "task_type": "CAUSAL_LM",
        "trainable_token_indices": modules,
        "use_dora": false,
        "use_rslora": false,
    });
    write_tensors(&folder.join(format!("{WEIGHTS}.safetensors")), &tensors, Dtype::F32)?;
    write_atomically(&folder.join(CONFIG), |file| writeln!(file, "{config:#}"))
}
