//! The whole flow on a really pretrained model: decide, execute, record, learn, and the next decision.

use crate::program::Program;
use crate::real_data::real;
use serde_json::Value;

fn number(value: &Value, pointer: &str) -> f64 {
    value.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("{pointer} in {value:#}"))
}

/// `run STRATEGY` on stories260k towards Turkish, small enough for a test.
fn run_on_stories(p: &Program, strategy: &str, out: &str, more: &[&str]) -> Option<Value> {
    let model = real("models/stories260k")?.display().to_string();
    let candidate = real("tokenizers/turkish_mixtral_v3_fixed")?.display().to_string();
    let train = real("text/tr-train.txt")?.display().to_string();
    let eval = real("text/tr-eval.txt")?.display().to_string();
    let arguments = ["run", strategy, "--model", &model, "--candidate", &candidate, "--train", &train, "--eval", &eval];
    let size = ["--out", out, "--train-bytes", "30kB", "--eval-bytes", "10kB", "--set", "epochs=1", "--set", "batch=2"];
    let pace = ["--set", "accumulation=1", "--set", "sequence=128", "--set", "learning_rate=2e-3"];
    Some(p.json(&[&arguments[..], &size, &pace, more].concat()))
}

#[test]
fn keep_and_direct_lower_bits_per_byte_and_the_next_decision_knows_of_it() {
    let p = Program::new();
    let Some(keep) = run_on_stories(&p, "keep", "keep", &[]) else { return };
    let Some(direct) = run_on_stories(&p, "direct", "direct", &["--with-keep"]) else { return };
    for run in [&keep, &direct] {
        let before = number(run, "/outcome/branches/0/before/bits_per_byte");
        let after = number(run, "/outcome/bits_per_byte");
        assert!(after < before - 0.1, "{before} -> {after}");
        assert!(number(run, "/outcome/equivalent_loss") > 0.0);
        assert!(run.pointer("/outcome/level").is_some_and(Value::is_string));
    }
    assert!(direct.pointer("/outcome/saved_against_keep").is_some_and(Value::is_number));
    for file in ["keep/model/model.safetensors", "keep/adapter/adapter_config.json", "direct/model/tokenizer.json"] {
        assert!(p.path(file).is_file(), "{file}");
    }

    let list = p.json(&["history", "list"]);
    assert_eq!(list.pointer("/runs").and_then(Value::as_array).map(Vec::len), Some(2));
    let id = direct.pointer("/run/id").and_then(Value::as_str).expect("an id");
    let judged = p.json(&["history", "feedback", id, "--verdict", "0.5", "--note", "reads well"]);
    assert_eq!(judged.pointer("/run/feedback/0/note").and_then(Value::as_str), Some("reads well"));
    let shown = p.json(&["history", "show", id]);
    assert_eq!(number(&shown, "/run/feedback/0/verdict"), 0.5);

    let trained = p.run(&["scorer", "train"]);
    assert_eq!(trained.code, 0, "{}", trained.stderr);
    let inputs = [
        real("models/stories260k").expect("it was there above"),
        real("tokenizers/turkish_mixtral_v3_fixed").expect("it was there above"),
        real("text/tr-eval.txt").expect("it was there above"),
    ]
    .map(|path| path.display().to_string());
    let next = p.json(&["decide", "--model", &inputs[0], "--candidate", &inputs[1], "--corpus", &inputs[2]]);
    let alike = next.pointer("/decision/alike").and_then(Value::as_array).expect("alike runs");
    assert!(alike.iter().any(|a| a.pointer("/run").and_then(Value::as_str) == Some(id)), "{alike:?}");
}

#[test]
fn the_same_seed_gives_the_same_losses() {
    let (p, q) = (Program::new(), Program::new());
    let Some(one) = run_on_stories(&p, "direct", "out", &["--seed", "7"]) else { return };
    let Some(two) = run_on_stories(&q, "direct", "out", &["--seed", "7"]) else { return };
    assert_eq!(number(&one, "/outcome/bits_per_byte"), number(&two, "/outcome/bits_per_byte"));
}

#[test]
fn the_small_demo_runs_from_an_empty_folder_and_shows_keep_beside_the_choice() {
    let p = Program::new();
    let answer = p.run(&["demo", "--quick", "--quiet"]);
    assert_eq!(answer.code, 0, "{}", answer.stderr);
    assert!(answer.stdout.contains("bits per byte"), "{}", answer.stdout);
    let run = p.json(&["history", "list"]);
    assert_eq!(run.pointer("/runs").and_then(Value::as_array).map(Vec::len), Some(1));
    assert!(p.path("hibrit-demo/run/model/config.json").is_file());
}
