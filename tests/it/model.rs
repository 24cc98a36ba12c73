//! One model at a time: transplanted, measured, merged, with two vocabularies; and folders that are refused before
//! anything is written.

use crate::program::{Program, byte_tokenizer};
use serde_json::{Value, json};

const HIDDEN: usize = 8;
/// Tokens of the base's tokenizer: 256 bytes, `th`, `the`, the end of text; and three rows of padding.
const TOKENS: usize = 259;
const ROWS: usize = 262;

fn config(tied: bool) -> Value {
    json!({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN, "intermediate_size": 12,
        "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4,
        "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "tie_word_embeddings": tied,
        "hidden_act": "silu", "vocab_size": ROWS, "torch_dtype": "float32"})
}

/// Names, shapes and numbers of a tiny Llama.
type Tensors = Vec<(String, Vec<usize>, Vec<f32>)>;

fn tensors(tied: bool) -> Tensors {
    let layer = |name: &str| format!("model.layers.0.{name}.weight");
    let mut all = vec![
        ("model.embed_tokens.weight".to_string(), vec![ROWS, HIDDEN]),
        (layer("input_layernorm"), vec![HIDDEN]),
        (layer("self_attn.q_proj"), vec![8, HIDDEN]),
        (layer("self_attn.k_proj"), vec![4, HIDDEN]),
        (layer("self_attn.v_proj"), vec![4, HIDDEN]),
        (layer("self_attn.o_proj"), vec![HIDDEN, 8]),
        (layer("mlp.gate_proj"), vec![12, HIDDEN]),
        (layer("mlp.up_proj"), vec![12, HIDDEN]),
        (layer("mlp.down_proj"), vec![HIDDEN, 12]),
        (layer("post_attention_layernorm"), vec![HIDDEN]),
        ("model.norm.weight".to_string(), vec![HIDDEN]),
    ];
    if !tied {
        all.push(("lm_head.weight".to_string(), vec![ROWS, HIDDEN]));
    }
    let mut state = 7u32;
    let mut number = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 16_777_216.0 - 0.5
    };
    let filled = |(name, shape): (String, Vec<usize>)| {
        let numbers = (0..shape.iter().product()).map(|_| number()).collect();
        (name, shape, numbers)
    };
    all.into_iter().map(filled).collect()
}

fn stored(tensors: &Tensors) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, shape, numbers) in tensors {
        let begin = data.len();
        data.extend(numbers.iter().flat_map(|x| x.to_le_bytes()));
        header.insert(name.clone(), json!({"dtype": "F32", "shape": shape, "data_offsets": [begin, data.len()]}));
    }
    let header = Value::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

/// A base `model`, a `candidate` tokenizer and a `text.txt`; their paths.
fn setting(p: &Program, tied: bool) -> (String, String, String) {
    p.file("model/config.json", config(tied).to_string());
    p.file("model/model.safetensors", stored(&tensors(tied)));
    p.file("model/tokenizer.json", byte_tokenizer(&["the"]));
    let candidate = p.file("candidate/tokenizer.json", byte_tokenizer(&["Ġthe", "cat", "Ġmat"]));
    let text = p.file("text.txt", "the cat sat on the mat. 42 cats\nthe mat\n");
    (p.path("model").display().to_string(), candidate, text)
}

/// A tensor of a folder, row by row.
fn read(p: &Program, folder: &str, tensor: &str) -> Vec<Vec<f32>> {
    let all = std::fs::read(p.path(folder).join("model.safetensors")).expect("weights");
    let length = u64::from_le_bytes(all[..8].try_into().expect("8 bytes")) as usize;
    let header: Value = serde_json::from_slice(&all[8..8 + length]).expect("a header");
    let at = |i: usize| header[tensor]["data_offsets"][i].as_u64().expect("an offset") as usize + 8 + length;
    let numbers: Vec<f32> = all[at(0)..at(1)].as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let cols = header[tensor]["shape"][1].as_u64().expect("a width") as usize;
    numbers.chunks(cols).map(<[f32]>::to_vec).collect()
}

fn ids(p: &Program, tokenizer: &str) -> serde_json::Map<String, Value> {
    let text = std::fs::read_to_string(p.path(tokenizer)).expect("a tokenizer");
    let value: Value = serde_json::from_str(&text).expect("JSON");
    value["model"]["vocab"].as_object().expect("a vocabulary").clone()
}

#[test]
fn a_transplant_is_a_complete_folder_with_shared_rows_bit_for_bit_and_a_line_for_every_row() {
    let p = Program::new();
    let (model, candidate, _) = setting(&p, true);
    let arguments =
        ["transplant", "--model", &model, "--candidate", &candidate, "--method", "subtoken", "--out", "new"];
    let told = p.json(&arguments);
    let (old, new) = (read(&p, "model", "model.embed_tokens.weight"), read(&p, "new", "model.embed_tokens.weight"));
    let (before, after) = (ids(&p, "model/tokenizer.json"), ids(&p, "candidate/tokenizer.json"));
    let row = |ids: &serde_json::Map<String, Value>, token: &str| ids[token].as_u64().expect(token) as usize;
    assert_eq!(new.len(), after.len() + 1);
    for token in ["a", "t", "Ġ"] {
        assert_eq!(new[row(&after, token)], old[row(&before, token)], "{token}");
    }
    // " the" is written as a space and "the"; its row is their mean.
    let (space, the) = (&old[row(&before, "Ġ")], &old[row(&before, "the")]);
    for ((x, a), b) in new[row(&after, "Ġthe")].iter().zip(space).zip(the) {
        assert!((x - (a + b) / 2.0).abs() < 1e-6);
    }
    assert_eq!(told["transplant"]["rows"]["special"], 1);
    assert_eq!(
        read(&p, "new", "model.layers.0.mlp.up_proj.weight"),
        read(&p, "model", "model.layers.0.mlp.up_proj.weight")
    );
    let lines = std::fs::read_to_string(p.path("new/transplant-rows.jsonl")).expect("a report");
    assert_eq!(lines.lines().count(), new.len());
    let line: Value = serde_json::from_str(lines.lines().nth(row(&after, "Ġthe")).expect("a line")).expect("JSON");
    assert_eq!((&line["token"], &line["input"]), (&json!("Ġthe"), &json!("subtoken")));
    assert_eq!(line["from"], json!([row(&before, "Ġ"), row(&before, "the")]));
    for file in ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "transplant.json"]
    {
        assert!(p.path("new").join(file).is_file(), "{file}");
    }
    let config: Value =
        serde_json::from_str(&std::fs::read_to_string(p.path("new/config.json")).expect("written")).expect("JSON");
    assert_eq!((&config["vocab_size"], &config["eos_token_id"]), (&json!(new.len()), &json!(after.len())));
    p.refuses(&arguments, 2, &["new", "not empty"]);
}

#[test]
fn padding_is_kept_where_asked_for_and_a_tied_model_gets_a_head_of_its_own_where_asked_for() {
    let p = Program::new();
    let (model, candidate, _) = setting(&p, true);
    let base = ["transplant", "--model", &model, "--candidate", &candidate];
    let arguments = [&base[..], &["--padding", "keep", "--method", "subtoken", "--out", "kept"]].concat();
    assert_eq!(p.json(&arguments)["transplant"]["report"]["padding"], ROWS - TOKENS);
    let (old, new) = (read(&p, "model", "model.embed_tokens.weight"), read(&p, "kept", "model.embed_tokens.weight"));
    assert_eq!(new[new.len() - 3..], old[TOKENS..]);
    let other = ["--method", "subtoken", "--output-method", "overlap-mean", "--match-norms", "input"];
    let told = p.json(&[&base[..], &other, &["--untie", "--out", "untied"]].concat());
    let tables = &told["transplant"]["report"];
    assert_eq!((&tables["input"]["rows"]["mean"], &tables["input"]["method"]), (&Value::Null, &json!("subtoken")));
    assert!(tables["output"]["rows"]["exact"].as_u64().expect("rows") >= 256, "{tables}");
    assert_eq!(tables["output"]["rows"]["mean"], tables["input"]["rows"]["subtoken"]);
    let lengths = &tables["input"]["mean_norms"];
    assert!(lengths["subtoken"].as_f64().expect("a length") > 0.7, "{lengths}");
    assert_eq!(read(&p, "untied", "lm_head.weight").len(), new.len() - 3);
    let answer = p.run(&[&base[..], &other, &["--out", "tied"]].concat());
    assert!(answer.code == 3 && answer.stderr.contains("--untie"), "{}", answer.stderr);
    assert!(!p.path("tied").exists());
}

#[test]
fn both_sides_of_a_structural_model_can_be_measured_written_with_and_taken_out() {
    let p = Program::new();
    let (model, candidate, text) = setting(&p, false);
    let arguments = ["transplant", "--model", &model, "--candidate", &candidate, "--method", "subtoken", "--beside"];
    p.json(&[&arguments[..], &["--rank", "4", "--out", "both"]].concat());
    let bits = |model: &str, view: &str, source: &[&str]| {
        let arguments = [&["eval", "--model", model, "--corpus", &text, "--view", view][..], source].concat();
        let told = p.json(&arguments);
        assert!(told["classes"]["digit"]["tokens"].as_u64().expect("digits") >= 1, "{told}");
        told["evaluation"]["bits_per_byte"].as_f64().expect("bits")
    };
    let same = |a: f64, b: f64| assert!((a - b).abs() < 1e-5, "{a} {b}");
    same(bits("both", "original", &[]), bits(&model, "original", &[]));
    for side in ["original", "candidate"] {
        let out = format!("plain-{side}");
        p.json(&["export", "--model", "both", "--side", side, "--out", &out]);
        same(bits(&out, "original", &["--source", &model]), bits("both", side, &[]));
    }
    assert!(bits("both", "auto", &[]) > 0.0);
    for view in ["original", "candidate", "auto"] {
        let told = p.json(&["generate", "--model", "both", "--prompt", "the cat", "--tokens", "5", "--view", view]);
        assert!(told["text"].is_string());
    }
    let broken = p.path("both/structural.json");
    let good = std::fs::read_to_string(&broken).expect("a description");
    std::fs::write(&broken, good.replace("\"rank\": 4", "\"rank\": 5")).expect("room");
    p.refuses(&["eval", "--model", "both", "--corpus", &text], 3, &["inward.down", "[4, 8]"]);
    let answer = p.run(&["export", "--model", &model, "--side", "original", "--out", "no"]);
    assert!(answer.code == 1 && answer.stderr.contains("second vocabulary"), "{}", answer.stderr);
    assert!(!p.path("no").exists());
}

/// Every command that writes a model refuses a damaged base by naming what is wrong, and writes nothing.
fn refused(tied: bool, damage: impl Fn(&Program), mentions: &[&str]) {
    let p = Program::new();
    let (model, candidate, text) = setting(&p, tied);
    damage(&p);
    p.refuses(&["transplant", "--model", &model, "--candidate", &candidate, "--out", "new"], 3, mentions);
    p.refuses(&["eval", "--model", &model, "--corpus", &text], 3, mentions);
    assert!(!p.path("new").exists());
    let left: Vec<_> =
        std::fs::read_dir(p.path(".")).expect("a folder").map(|f| f.expect("a file").file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(".writing")), "{left:?}");
}

fn with_tensors(tied: bool, change: impl Fn(&mut Tensors)) -> impl Fn(&Program) {
    move |p| {
        let mut all = tensors(tied);
        change(&mut all);
        p.file("model/model.safetensors", stored(&all));
    }
}

#[test]
fn a_damaged_model_is_refused_by_name_before_anything_is_written() {
    let norm = "model.norm.weight";
    refused(true, with_tensors(true, |t| t.retain(|(name, ..)| name != norm)), &[norm, "missing"]);
    refused(true, with_tensors(true, |t| t.push(("model.more".into(), vec![1], vec![0.0]))), &["model.more"]);
    refused(true, with_tensors(true, |t| t[6].1 = vec![HIDDEN, 12]), &["gate_proj", "[8, 12]", "[12, 8]"]);
    refused(true, with_tensors(true, |t| t[2].2[3] = f32::NAN), &["q_proj", "finite"]);
    refused(true, with_tensors(true, |t| t[0].2[9] = f32::INFINITY), &["embed_tokens", "finite"]);
    // Two matrices, and a flag that says there is one; and the other way round.
    refused(true, with_tensors(false, |_| ()), &["lm_head", "tied"]);
    refused(false, with_tensors(true, |_| ()), &["lm_head", "missing"]);
    let shards = |p: &Program| {
        std::fs::remove_file(p.path("model/model.safetensors")).expect("there");
        let map = json!({"weight_map": {"model.norm.weight": "model-00002-of-00002.safetensors"}});
        p.file("model/model.safetensors.index.json", map.to_string());
    };
    refused(true, shards, &["model-00002-of-00002.safetensors"]);
    let larger = |p: &Program| {
        p.file("model/tokenizer.json", byte_tokenizer(&["the", "Ġand", "Ġcat"]));
    };
    refused(true, larger, &["262", "265"]);
}

#[test]
fn an_adapter_of_another_base_is_refused_before_anything_is_written() {
    let p = Program::new();
    let (model, ..) = setting(&p, true);
    let config = json!({"peft_type": "LORA", "r": 2, "lora_alpha": 4, "lora_dropout": 0.0, "target_modules": ["q_proj"],
        "base_model_name_or_path": "another", "task_type": "CAUSAL_LM"});
    p.file("adapter/adapter_config.json", config.to_string());
    let name = |part: &str| format!("base_model.model.model.layers.0.self_attn.q_proj.{part}.weight");
    let factor = |part: &str, shape: [usize; 2]| (name(part), shape.to_vec(), vec![0.1; shape[0] * shape[1]]);
    let adapter = |out: usize| stored(&vec![factor("lora_A", [2, HIDDEN]), factor("lora_B", [out, 2])]);
    p.file("adapter/adapter_model.safetensors", adapter(16));
    let arguments = ["merge", "--model", &model, "--adapter", "adapter", "--out", "merged"];
    p.refuses(&arguments, 3, &["lora_B", "[16, 2]", "[8, 2]"]);
    assert!(!p.path("merged").exists());
    p.file("adapter/adapter_model.safetensors", adapter(8));
    p.json(&arguments);
    assert!(p.path("merged/tokenizer.json").is_file());
}

#[test]
fn a_merged_model_is_stored_as_its_base_is_unless_another_type_is_asked_for() {
    let p = Program::new();
    let (model, ..) = setting(&p, true);
    let config = json!({"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]});
    p.file("adapter/adapter_config.json", config.to_string());
    let factor = |part: &str, shape: [usize; 2], number: f32| {
        let name = format!("base_model.model.model.layers.0.self_attn.q_proj.{part}.weight");
        (name, shape.to_vec(), vec![number; shape[0] * shape[1]])
    };
    let adapter = |number| stored(&vec![factor("lora_A", [2, HIDDEN], number), factor("lora_B", [8, 2], 0.1)]);
    p.file("adapter/adapter_model.safetensors", adapter(0.1));
    let merge = |model: &str, out: &str, more: &[&str]| {
        p.json(&[&["merge", "--model", model, "--adapter", "adapter", "--out", out], more].concat());
        let all = std::fs::read(p.path(out).join("model.safetensors")).expect("weights");
        let length = u64::from_le_bytes(all[..8].try_into().expect("8 bytes")) as usize;
        let header: Value = serde_json::from_slice(&all[8..8 + length]).expect("a header");
        let config: Value =
            serde_json::from_str(&std::fs::read_to_string(p.path(out).join("config.json")).expect("written"))
                .expect("JSON");
        let dtype = config.get("dtype").or(config.get("torch_dtype")).expect("a type").clone();
        (header["model.layers.0.self_attn.q_proj.weight"]["dtype"].clone(), dtype)
    };
    assert_eq!(merge(&model, "whole", &[]), (json!("F32"), json!("float32")));
    assert_eq!(merge(&model, "half", &["--dtype", "bf16"]), (json!("BF16"), json!("bfloat16")));
    assert_eq!(merge("half", "again", &[]), (json!("BF16"), json!("bfloat16")));
    assert_eq!(merge("half", "back", &["--dtype", "f16"]), (json!("F16"), json!("float16")));
    p.file("adapter/adapter_model.safetensors", adapter(1e6));
    let arguments = ["merge", "--model", &model, "--adapter", "adapter", "--dtype", "f16", "--out", "no"];
    let answer = p.run(&arguments);
    assert!(
        answer.code != 0 && answer.stderr.contains("q_proj") && answer.stderr.contains("half"),
        "{}",
        answer.stderr
    );
    assert!(!p.path("no").exists());
}
