//! The decoder against transformers, on models and logits that `tests/fixtures/make_logits.py` made.

use super::*;
use crate::kernels;
use crate::real_data::real;
use burn::tensor::Device;
use std::path::{Path, PathBuf};

const FOLDERS: [&str; 10] = [
    "qwen3-tied",
    "qwen3-untied",
    "qwen3-sharded",
    "qwen2-tied",
    "qwen2-untied",
    "llama-tied",
    "llama-untied",
    "llama-yarn",
    "mistral-tied",
    "mistral-untied",
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn farthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Largest differences of a folder's logits from the reference in float32 and in bfloat16.
fn differences(name: &str) -> (f32, f32) {
    let path = fixture("models").join(name);
    let decoder = ModelFolder::open(&path).and_then(|f| f.load(&Device::flex())).expect(name);
    let reference = Weights::open(&path, "reference").expect(name);
    let ids: Vec<u32> = reference.read("ids").expect(name).iter().map(|x| *x as u32).collect();
    let logits = kernels::numbers(decoder.logits(&ids, [2, 12]).expect(name)).expect(name);
    let from = |which: &str| farthest(&logits, &reference.read(which).expect(which));
    (from("logits_f32"), from("logits_bf16"))
}

#[test]
fn logits_equal_those_of_transformers_for_every_family_tied_and_untied() {
    for name in FOLDERS {
        let (f32, bf16) = differences(name);
        println!("{name}: f32 {f32:.1e}, bf16 {bf16:.1e}");
        // The sums are the same in another order: rounding of f32 over at most a few dozen terms.
        assert!(f32 <= 1e-5, "{name}: {f32}");
        // The reference itself rounds every activation to 8 bits.
        assert!(bf16 <= 2e-2, "{name}: {bf16}");
    }
}

#[test]
fn logits_of_really_trained_models_equal_those_of_transformers() {
    let text = std::fs::read_to_string(fixture("real_logits.json")).expect("the fixture is committed");
    let reference: serde_json::Value = serde_json::from_str(&text).expect("the fixture is JSON");
    for (name, want) in reference.as_object().expect("by model") {
        let Some(path) = real(&format!("models/{name}")) else { continue };
        let decoder = ModelFolder::open(&path).and_then(|f| f.load(&Device::flex())).expect(name);
        let numbers = |v: &serde_json::Value| -> Vec<f64> {
            v.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect()
        };
        let ids: Vec<u32> = numbers(&want["ids"]).iter().map(|x| *x as u32).collect();
        let logits = kernels::numbers(decoder.logits(&ids, [1, ids.len()]).expect(name)).expect(name);
        let rows = decoder.config().size.rows;
        let mut worst = 0f32;
        for (position, want) in want["logits"].as_array().expect("by position").iter().enumerate() {
            let want: Vec<f32> = numbers(want).iter().map(|x| *x as f32).collect();
            worst = worst.max(farthest(&logits[position * rows..][..want.len()], &want));
        }
        println!("{name}: {worst:.1e}");
        // Logits reach tens here, sums are over hundreds of terms.
        assert!(worst <= 1e-4, "{name}: {worst}");
    }
}

#[test]
fn the_evaluation_loss_on_real_text_equals_that_of_transformers() {
    // tests/fixtures/make_logits.py --eval made the reference: the first lines, each after the opener and up to 257
    // tokens, in float32.
    let text = std::fs::read_to_string(fixture("real_eval.json")).expect("the fixture is committed");
    let reference: serde_json::Value = serde_json::from_str(&text).expect("the fixture is JSON");
    for case in reference.as_array().expect("a list of cases") {
        let word = |key: &str| case[key].as_str().expect(key);
        let paths = (real(&format!("models/{}", word("model"))), real(&format!("text/{}", word("text"))));
        let (Some(model), Some(file)) = paths else { continue };
        let decoder = ModelFolder::open(&model).and_then(|f| f.load(&Device::flex())).expect("a model");
        let tokenizer = tokenizers::Tokenizer::from_file(model.join("tokenizer.json")).expect("a tokenizer");
        let number = |key: &str| case[key].as_u64().expect(key);
        let text = std::fs::read_to_string(&file).expect("a text");
        let (mut nats, mut tokens) = (0.0, 0);
        for line in text.lines().take(number("lines") as usize).filter(|l| !l.is_empty()) {
            let encoding = tokenizer.encode(line, false).expect("a line");
            let mut ids = vec![number("opener") as u32];
            ids.extend(encoding.get_ids().iter().take(256));
            let (fed, targets) = (&ids[..ids.len() - 1], &ids[1..]);
            let batch = Batch { ids: fed, targets, weights: None, shape: [1, fed.len()] };
            nats += decoder.nats(&batch).expect("ids fit").iter().map(|n| f64::from(*n)).sum::<f64>();
            tokens += targets.len();
        }
        assert_eq!(tokens as u64, number("tokens"));
        let (loss, want) = (nats / tokens as f64, case["loss"].as_f64().expect("a loss"));
        println!("{} on {}: {loss:.6} against {want:.6} nats a token", word("model"), word("text"));
        // Both compute in float32, in another order.
        assert!((loss - want).abs() < 1e-4, "{loss} {want}");
    }
}
