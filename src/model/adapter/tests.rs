//! Adapters out and in, and adapters that do not fit.

use super::*;
use crate::kernels::numbers;
use crate::model::{Decoder, LoraConfig, Matrix, ModelFolder, Target, Weights};
use burn::tensor::Device;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models").join(name)
}

fn base(name: &str) -> Decoder {
    ModelFolder::open(&fixture(name)).and_then(|f| f.load(&Device::flex())).expect(name)
}

fn logits(decoder: &Decoder) -> Vec<f32> {
    numbers(decoder.logits(&[5, 6, 7, 8], [1, 4]).expect("ids fit")).expect("Flex can be read")
}

/// An adapter with numbers in both factors.
fn trained(decoder: Decoder) -> Decoder {
    let lora = LoraConfig { rank: 2, alpha: 3.0, dropout: 0.1, targets: vec![Target::Value, Target::Gate] };
    let decoder = decoder.with_lora(&lora, 9);
    let mut factors = Vec::new();
    decoder.each_parameter(&mut |name, _, held| {
        if name.contains("lora_") {
            let count: usize = held.shape().iter().product();
            factors.push((0..count).map(|i| (i % 7) as f32 * 0.1 - 0.3).collect());
        }
    });
    decoder.with_factors(factors)
}

#[test]
fn an_adapter_comes_back_as_it_was_saved() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let decoder = trained(base("qwen3-tied"));
    save(folder.path(), &decoder, "the/base").expect("room to write");
    let opened = AdapterFolder::open(folder.path()).expect("just written");
    assert_eq!((opened.base(), opened.lora()), (Some("the/base"), decoder.lora().expect("it has one")));
    let again = opened.attach(base("qwen3-tied")).expect("the same base");
    assert_eq!(logits(&again), logits(&decoder));
    assert_ne!(logits(&again), logits(&base("qwen3-tied")));
    let names: Vec<String> =
        Weights::open(folder.path(), "adapter_model").expect("written").names().map(String::from).collect();
    assert_eq!(names.len(), 8);
    assert_eq!(names[0], "base_model.model.model.layers.0.mlp.gate_proj.lora_A.weight");
}

#[test]
fn trained_embeddings_travel_with_the_adapter() {
    for name in ["qwen2-tied", "qwen2-untied"] {
        let (input, output) = base(name).embeddings().expect("Flex can be read");
        let more = |m: Matrix| {
            let mut numbers = m.data().to_vec();
            numbers.extend(vec![0.5; 2 * m.cols()]);
            Matrix::new(m.rows() + 2, m.cols(), numbers).expect("two rows more")
        };
        let grown = base(name).replace_embeddings(more(input), output.map(more)).expect("it fits");
        let decoder = trained(grown).train_embeddings(true);
        let folder = tempfile::tempdir().expect("a temporary folder");
        save(folder.path(), &decoder, "b").expect("room to write");
        let again = load(folder.path(), base(name)).expect("the same base");
        assert_eq!(logits(&again), logits(&decoder), "{name}");
        assert_eq!(again.config().size.rows, 50);
    }
}

#[test]
fn an_adapter_of_another_base_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    save(folder.path(), &trained(base("mistral-tied")), "b").expect("room to write");
    let error = load(folder.path(), base("qwen3-untied")).expect_err("other sizes").to_string();
    assert!(error.contains("v_proj.lora_B") && error.contains("[12, 2]"), "{error}");
}

#[test]
fn adapters_of_other_kinds_are_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    save(folder.path(), &trained(base("qwen3-tied")), "b").expect("room to write");
    let path = folder.path().join("adapter_config.json");
    let good = std::fs::read_to_string(&path).expect("written");
    for (from, to, word) in [
        ("\"LORA\"", "\"IA3\"", "IA3"),
        ("\"use_dora\": false", "\"use_dora\": true", "use_dora"),
        ("\"v_proj\"", "\"lm_head\"", "lm_head"),
        ("\"r\": 2", "\"r\": 0", "rank"),
    ] {
        assert!(good.contains(from), "{good}");
        std::fs::write(&path, good.replace(from, to)).expect("room to write");
        let error = AdapterFolder::open(folder.path()).expect_err(to).to_string();
        assert!(error.contains(word), "{error}");
    }
    assert!(save(folder.path(), &base("qwen3-tied"), "b").is_err());
}

#[test]
fn an_adapter_that_peft_made_gives_the_logits_it_gives_there() {
    // tests/fixtures/make_logits.py made both; f32, the same sums in another order.
    let path = fixture("qwen3-untied-adapter");
    let reference = Weights::open(&path, "reference").expect("the fixture is committed");
    let ids: Vec<u32> = reference.read("ids").expect("it has ids").iter().map(|x| *x as u32).collect();
    let want = reference.read("logits_f32").expect("it has logits");
    let off = |decoder: &Decoder| {
        let own = numbers(decoder.logits(&ids, [2, 12]).expect("ids fit")).expect("Flex can be read");
        own.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    let adapted = load(&path, base("qwen3-untied")).expect("its own base");
    assert!(off(&adapted) <= 1e-5, "{}", off(&adapted));
    assert!(off(&adapted.clone().merged()) <= 1e-5);
    assert!(off(&base("qwen3-untied")) > 1e-3);
}
