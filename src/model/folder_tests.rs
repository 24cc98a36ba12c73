//! Folders that are damaged, one way each; and folders that come back as they were saved.

use super::error::ModelError;
use super::*;
use crate::domain::fault::{Fault, Kind};
use crate::kernels::numbers;
use burn::tensor::Device;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A copy of a fixture that a test may damage.
fn copy(name: &str) -> TempDir {
    let from = fixture(name);
    let folder = tempfile::tempdir().expect("a temporary folder");
    for file in std::fs::read_dir(from).expect("the fixture is committed") {
        let file = file.expect("a readable folder");
        std::fs::copy(file.path(), folder.path().join(file.file_name())).expect("room to copy");
    }
    folder
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models").join(name)
}

fn edit_config(folder: &Path, edit: impl FnOnce(&mut serde_json::Value)) {
    let path = folder.join("config.json");
    let mut value = serde_json::from_str(&std::fs::read_to_string(&path).expect("a config")).expect("JSON");
    edit(&mut value);
    std::fs::write(path, value.to_string()).expect("room to write");
}

/// Header and data of a folder's weights, to be changed.
fn edit_weights(folder: &Path, edit: impl FnOnce(&mut serde_json::Value, &mut Vec<u8>)) {
    let path = folder.join("model.safetensors");
    let all = std::fs::read(&path).expect("weights");
    let length = u64::from_le_bytes(all[..8].try_into().expect("8 bytes")) as usize;
    let mut header = serde_json::from_slice(&all[8..8 + length]).expect("a JSON header");
    let mut data = all[8 + length..].to_vec();
    edit(&mut header, &mut data);
    let header = header.to_string();
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header.as_bytes());
    out.extend(data);
    std::fs::write(path, out).expect("room to write");
}

/// The message of the error that opening (and loading) gives.
#[track_caller]
fn complaint(folder: &Path) -> String {
    let opened = ModelFolder::open(folder).and_then(|f| f.load(&Device::flex()).map(|_| ()));
    let error: ModelError = opened.expect_err("the folder is damaged");
    assert_eq!(error.kind(), Kind::Input);
    error.to_string()
}

#[track_caller]
fn assert_complains(name: &str, damage: impl FnOnce(&Path), wanted: &[&str]) {
    let folder = copy(name);
    damage(folder.path());
    let said = complaint(folder.path());
    for word in wanted {
        assert!(said.contains(word), "{said:?} does not say {word:?}");
    }
}

#[test]
fn a_damaged_configuration_is_named() {
    let edit = |change: fn(&mut serde_json::Value)| move |folder: &Path| edit_config(folder, change);
    assert_complains("llama-tied", edit(|c| c["model_type"] = "gpt9".into()), &["gpt9", "config.json"]);
    assert_complains("llama-tied", edit(|c| c["hidden_size"] = 0.into()), &["hidden_size"]);
    assert_complains("llama-tied", edit(|c| c["num_key_value_heads"] = 3.into()), &["num_key_value_heads"]);
    assert_complains("llama-tied", edit(|c| c["hidden_act"] = "gelu".into()), &["gelu"]);
    assert_complains("llama-tied", edit(|c| c["rope_scaling"]["rope_type"] = "longrope".into()), &["longrope"]);
    assert_complains("qwen3-tied", edit(|c| c["num_hidden_layers"] = 3.into()), &["layers.2", "missing"]);
    assert_complains(
        "qwen3-tied",
        edit(|c| c["intermediate_size"] = 25.into()),
        &["gate_proj", "[24, 16]", "[25, 16]"],
    );
    assert_complains("qwen3-tied", |f| std::fs::write(f.join("config.json"), "{").expect("room"), &["JSON"]);
    assert_complains("qwen3-tied", |f| std::fs::remove_file(f.join("config.json")).expect("there"), &["config.json"]);
}

#[test]
fn an_unknown_architecture_lists_the_known() {
    let folder = copy("llama-tied");
    edit_config(folder.path(), |c| c["model_type"] = "gpt9".into());
    let hint = ModelFolder::open(folder.path()).expect_err("unknown").hint().expect("a hint");
    assert_eq!(hint, "supported are: qwen3, qwen2, llama, mistral");
}

#[test]
fn a_header_that_lies_names_the_tensor() {
    let norm = "model.norm.weight";
    let edit = |change: fn(&mut serde_json::Value, &mut Vec<u8>)| move |folder: &Path| edit_weights(folder, change);
    assert_complains("qwen3-tied", edit(|h, _| h["model.norm.weight"]["shape"] = vec![17].into()), &[norm, "[17]"]);
    assert_complains(
        "qwen3-tied",
        edit(|h, _| h["model.norm.weight"]["shape"] = vec![u64::MAX / 2, 4].into()),
        &[norm],
    );
    assert_complains(
        "qwen3-tied",
        edit(|h, _| h["model.norm.weight"]["data_offsets"] = h["model.embed_tokens.weight"]["data_offsets"].clone()),
        &["does not fit"],
    );
    assert_complains(
        "qwen3-tied",
        edit(|h, _| {
            let from = h["model.embed_tokens.weight"]["data_offsets"][0].as_u64().expect("a number") + 2;
            h["model.norm.weight"]["data_offsets"] = vec![from, from + 32].into();
        }),
        &["overlaps"],
    );
    assert_complains("qwen3-tied", edit(|h, _| h["model.norm.weight"]["dtype"] = "I64".into()), &[norm, "I64"]);
    assert_complains("qwen3-tied", edit(|_, data| data.truncate(data.len() - 2)), &["cut short"]);
    assert_complains("qwen3-tied", edit(|h, _| h["model.extra"] = h["model.norm.weight"].clone()), &["overlaps"]);
}

#[test]
fn a_file_that_is_no_safetensors_file_is_named() {
    let write =
        |bytes: &'static [u8]| move |f: &Path| std::fs::write(f.join("model.safetensors"), bytes).expect("room");
    assert_complains("qwen3-tied", write(b""), &["model.safetensors"]);
    assert_complains("qwen3-tied", write(b"\xff\xff\xff\xff\xff\xff\xff\x7f{}"), &["header claims"]);
    assert_complains("qwen3-tied", write(b"\x02\0\0\0\0\0\0\0{{"), &["not valid JSON"]);
    assert_complains(
        "qwen3-tied",
        |f| std::fs::remove_file(f.join("model.safetensors")).expect("there"),
        &["model.safetensors"],
    );
    assert_complains(
        "qwen3-sharded",
        |f| std::fs::remove_file(f.join("model-00002-of-00003.safetensors")).expect("there"),
        &["model-00002-of-00003"],
    );
}

#[test]
fn tensors_that_do_not_belong_and_ties_that_lie_are_named() {
    assert_complains(
        "llama-untied",
        |f| edit_config(f, |c| c["tie_word_embeddings"] = true.into()),
        &["lm_head", "tied"],
    );
    assert_complains(
        "llama-tied",
        |f| edit_config(f, |c| c["tie_word_embeddings"] = false.into()),
        &["lm_head", "missing"],
    );
    assert_complains("llama-untied", |f| edit_config(f, |c| c["attention_bias"] = false.into()), &["bias", "not part"]);
    assert_complains(
        "qwen3-tied",
        |f| {
            edit_weights(f, |h, data| {
                let at = h["model.norm.weight"]["data_offsets"][0].as_u64().expect("a number") as usize;
                data[at..at + 2].copy_from_slice(&half::bf16::NAN.to_le_bytes());
            })
        },
        &["model.norm.weight", "finite"],
    );
}

#[test]
fn a_saved_folder_comes_back_the_same() {
    for (name, dtype, tolerance) in
        [("qwen2-untied", Dtype::F32, 0.0), ("llama-tied", Dtype::Bf16, 0.0), ("mistral-tied", Dtype::F16, 1e-2)]
    {
        let folder = ModelFolder::open(&fixture(name)).expect(name);
        let decoder = folder.load(&Device::flex()).expect(name);
        let out = tempfile::tempdir().expect("a temporary folder");
        let place = out.path().join("new");
        save_model(&place, &decoder, folder.config(), dtype).expect(name);
        let again = ModelFolder::open(&place).and_then(|f| f.load(&Device::flex())).expect(name);
        let logits = |d: &Decoder| numbers(d.logits(&[1, 2, 3], [1, 3]).expect(name)).expect(name);
        let off = logits(&decoder).iter().zip(logits(&again)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // The stored weights are bf16: f32 and bf16 hold them exactly, f16 rounds their smallest.
        assert!(off <= tolerance, "{name} as {dtype}: {off}");
        let files: Vec<_> = std::fs::read_dir(&place).expect(name).map(|f| f.expect(name).file_name()).collect();
        assert_eq!(files.len(), 2, "{files:?}");
        let mut config: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(place.join("config.json")).expect(name)).expect(name);
        let mut before: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(fixture(name).join("config.json")).expect(name)).expect(name);
        for c in [&mut config, &mut before] {
            c["torch_dtype"] = serde_json::Value::Null;
            c["dtype"] = serde_json::Value::Null;
        }
        assert_eq!(config, before, "every key but the type of the weights is kept");
    }
}

#[test]
fn a_summary_counts_a_tied_matrix_once() {
    let of = |name: &str| ModelFolder::open(&fixture(name)).expect(name).summary();
    // Qwen3 tied: 48x16 + 2 x (16 + 32x16 + 16x16 x2 + 16x32 + 8 + 8 + 16 + 3x24x16) + 16.
    assert_eq!(of("qwen3-tied").parameters, 768 + 2 * (16 + 512 + 2 * 256 + 512 + 16 + 16 + 3 * 384) + 16);
    assert_eq!((of("llama-untied").tied, of("llama-untied").embedding_rows), (false, 48));
}
