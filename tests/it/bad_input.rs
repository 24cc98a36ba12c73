//! Bad input gets one clear sentence, a hint and the right exit code; nothing is half-written.

use crate::program::{Program, byte_tokenizer};

/// A program with two tokenizers and a text, and their paths.
fn with_inputs() -> (Program, String, String, String) {
    let p = Program::new();
    let source = p.file("source/tokenizer.json", byte_tokenizer(&["the", "Ġthe", "Ġand"]));
    let candidate = p.file("candidate/tokenizer.json", byte_tokenizer(&["bir", "Ġbir", "Ġve", "lar"]));
    let text = p.file("text.txt", "bir kitap ve bir kalem\nkitaplar ve kalemler\n");
    (p, source, candidate, text)
}

#[test]
fn a_missing_file_is_named() {
    let (p, source, candidate, text) = with_inputs();
    p.refuses(&["analyze", "--source", "nowhere.json", "--candidate", &candidate], 3, &["nowhere.json"]);
    p.refuses(&["analyze", "--source", &source, "--candidate", &candidate, "--corpus", "no.txt"], 3, &["no.txt"]);
    p.refuses(&["decide", "--model", "no-model", "--candidate", &candidate, "--corpus", &text], 3, &["no-model"]);
}

#[test]
fn a_tokenizer_that_is_not_json_or_has_no_vocabulary_is_refused() {
    let (p, source, _, _) = with_inputs();
    let broken = p.file("broken.json", "{\"model\": ");
    p.refuses(&["analyze", "--source", &source, "--candidate", &broken], 3, &["broken.json"]);
    let empty = p.file("empty.json", "{\"version\": \"1.0\", \"model\": {\"type\": \"BPE\"}}");
    p.refuses(&["analyze", "--source", &source, "--candidate", &empty], 3, &["empty.json", "vocab"]);
}

#[test]
fn a_corpus_that_is_not_utf8_is_named_with_the_byte() {
    let (p, source, candidate, _) = with_inputs();
    let bad = p.file("bad.txt", b"iyi bir satir\nk\xff t\xfc\n");
    let arguments = ["analyze", "--source", &source, "--candidate", &candidate, "--corpus", &bad];
    p.refuses(&arguments, 3, &["bad.txt", "15", "--lossy"]);
    let answer = p.run(&[&arguments[..], &["--lossy"]].concat());
    assert_eq!(answer.code, 0, "{}", answer.stderr);
}

#[test]
fn an_empty_corpus_is_refused() {
    let (p, source, candidate, _) = with_inputs();
    let empty = p.file("empty.txt", "\n\n");
    p.refuses(&["analyze", "--source", &source, "--candidate", &candidate, "--corpus", &empty], 3, &["empty.txt"]);
}

/// Arguments of `auto` in a fresh program whose model folder holds `config` and `weights`.
fn auto_on(p: &Program, config: &str, weights: &[u8], out: &str) -> Vec<String> {
    p.file("model/config.json", config);
    p.file("model/model.safetensors", weights);
    p.file("model/tokenizer.json", byte_tokenizer(&["the"]));
    let candidate = p.file("candidate/tokenizer.json", byte_tokenizer(&["bir"]));
    let text = p.file("text.txt", "bir kitap ve bir kalem\n");
    let model = p.path("model").display().to_string();
    ["auto", "--model", &model, "--candidate", &candidate, "--train", &text, "--eval", &text, "--out", out]
        .map(String::from)
        .to_vec()
}

const TINY: &str = r#"{"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_size": 8,
    "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4,
    "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "tie_word_embeddings": true,
    "hidden_act": "silu", "vocab_size": 300}"#;

fn refs(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

#[test]
fn an_unknown_architecture_lists_the_known_ones() {
    let p = Program::new();
    let config = TINY.replace("qwen3", "mamba").replace("Qwen3", "Mamba");
    let arguments = auto_on(&p, &config, b"", "out");
    p.refuses(&refs(&arguments), 3, &["config.json", "amba", "qwen3", "llama"]);
    assert!(!p.path("out").exists());
}

#[test]
fn a_safetensors_header_that_lies_about_sizes_is_refused() {
    let p = Program::new();
    let header = r#"{"model.norm.weight": {"dtype": "F32", "shape": [8], "data_offsets": [0, 3200]}}"#;
    let mut weights = (header.len() as u64).to_le_bytes().to_vec();
    weights.extend_from_slice(header.as_bytes());
    weights.extend_from_slice(&[0; 32]);
    let arguments = auto_on(&p, TINY, &weights, "out");
    p.refuses(&refs(&arguments), 3, &["model.safetensors"]);
    let huge = [&u64::MAX.to_le_bytes()[..], b"{}"].concat();
    let arguments = auto_on(&p, TINY, &huge, "out");
    p.refuses(&refs(&arguments), 3, &["model.safetensors"]);
    assert!(!p.path("out").exists());
}

#[test]
fn an_output_folder_that_holds_a_run_is_left_alone() {
    let p = Program::new();
    p.file("out/run.json", "{}");
    let arguments = auto_on(&p, TINY, b"", "out");
    p.refuses(&refs(&arguments), 2, &["out", "already holds a run", "--out"]);
    assert_eq!(std::fs::read_to_string(p.path("out/run.json")).expect("still there"), "{}");
}

#[test]
fn a_wrong_command_line_is_usage() {
    let (p, source, candidate, _) = with_inputs();
    p.refuses(&["analyse"], 2, &["analyse"]);
    p.refuses(&["analyze", "--candidate", &candidate], 2, &["--source"]);
    p.refuses(&["decide", "--source", &source, "--candidate", &candidate, "--budget", "soon"], 2, &["soon", "1h30m"]);
    p.refuses(&["run", "fast"], 2, &["fast"]);
}

#[test]
fn a_history_that_is_no_database_is_refused_and_kept() {
    let p = Program::new();
    let file = p.file("notes.txt", "not a database, and longer than a page header would be, by some way");
    let answer = p.run(&["history", "list", "--history", &file]);
    assert_eq!(answer.code, 3, "{}", answer.stderr);
    assert!(answer.stderr.contains("notes.txt") && answer.stderr.contains("hint: "), "{}", answer.stderr);
    assert!(std::fs::read_to_string(p.path("notes.txt")).expect("still there").starts_with("not a database"));
}

#[test]
fn a_run_that_is_not_in_the_history_is_named() {
    let p = Program::new();
    p.refuses(&["history", "show", "20990101"], 3, &["past.redb", "--history"]);
    assert!(!p.path("past.redb").exists(), "looking must not make a history");
    let nothing = p.file("nothing.jsonl", "");
    assert_eq!(p.run(&["history", "import", &nothing]).code, 0);
    p.refuses(&["history", "show", "20990101"], 2, &["20990101"]);
}
