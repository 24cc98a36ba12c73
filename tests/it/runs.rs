//! Whole runs on the demo's small sample: gone on with after kills and signals, raced, extended, in trouble made on
//! purpose, within a budget, refused. What the losses come to is shown in docs/strategies.md; here is what must hold.

use crate::program::Program;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The demo's base, tokenizers and texts, made once.
pub fn sample() -> &'static Path {
    static SAMPLE: OnceLock<(Program, PathBuf)> = OnceLock::new();
    let (_, path) = SAMPLE.get_or_init(|| {
        let p = Program::new();
        let answer = p.run(&["demo", "--quick", "--quiet", "--out", "demo"]);
        assert_eq!(answer.code, 0, "{}", answer.stderr);
        let path = p.path("demo/sample");
        (p, path)
    });
    path
}

/// Arguments of a run on the sample; about 60 steps a stage.
fn arguments(strategy: &str, out: &str, more: &[&str]) -> Vec<String> {
    let at = |name: &str| sample().join(name).display().to_string();
    let (base, candidate) = (at("base"), at("candidate-tokenizer"));
    let (train, eval) = (at("target-train.txt"), at("target-eval.txt"));
    let inputs = ["--model", &base, "--candidate", &candidate, "--train", &train, "--eval", &eval, "--out", out];
    let size = ["--train-bytes", "40kB", "--eval-bytes", "4kB", "--set", "epochs=1", "--set", "batch=4"];
    let pace = ["--set", "accumulation=1", "--set", "sequence=64", "--set", "learning_rate=3e-3"];
    let head: &[&str] = if strategy == "auto" { &["auto"] } else { &["run", strategy] };
    [head, &inputs, &size, &pace, more].concat().into_iter().map(String::from).collect()
}

fn refs(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

fn run(p: &Program, strategy: &str, out: &str, more: &[&str]) -> Value {
    p.json(&refs(&arguments(strategy, out, more)))
}

fn number(value: &Value, pointer: &str) -> f64 {
    value.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("{pointer} in {value:#}"))
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer} in {value:#}"))
}

/// The program, started and left to itself.
fn start(p: &Program, arguments: &[String]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_hibrit"))
        .args(arguments)
        .args(["--quiet", "--json"])
        .current_dir(p.path("."))
        .env("HIBRIT_HISTORY", p.path("past.redb"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts")
}

/// Waits until the run's journal has so many lines, or the run has ended.
fn wait_for(child: &mut Child, journal: &Path, lines: usize) {
    let patience = Instant::now();
    while child.try_wait().expect("a child").is_none() && patience.elapsed() < Duration::from_secs(120) {
        let written = std::fs::read(journal).map_or(0, |t| t.iter().filter(|b| **b == b'\n').count());
        if written >= lines {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What must not depend on kills: losses, branches, incidents, the verdict.
fn essence(run: &Value) -> Value {
    let mut outcome = run.pointer("/outcome").or_else(|| run.pointer("/run/outcome")).expect("an outcome").clone();
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for timed in ["seconds", "elapsed", "energy_joules"] {
                    fields.remove(timed);
                }
                fields.values_mut().for_each(strip);
            }
            Value::Array(all) => all.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut outcome);
    outcome
}

/// Runs, killed whenever the journal reaches the next of `lines`, and gone on with; what came out.
fn killed(strategy: &str, lines: &[usize], more: &[&str]) -> Value {
    let p = Program::new();
    let out = p.path("out");
    let mut arguments = arguments(strategy, "out", more);
    for lines in lines {
        let mut child = start(&p, &arguments);
        wait_for(&mut child, &out.join("journal.jsonl"), *lines);
        child.kill().expect("killed");
        child.wait().expect("gone");
        if out.join("begun.json").exists() {
            let command: Vec<String> = arguments.iter().take_while(|a| !a.starts_with("--")).cloned().collect();
            arguments = [command, vec!["--resume".into(), "out".into()]].concat();
        }
    }
    let done = p.json(&refs(&arguments));
    let listed = p.json(&["history", "list"]);
    assert_eq!(
        listed.pointer("/runs").and_then(Value::as_array).map(Vec::len),
        Some(1),
        "one run, however often killed"
    );
    assert_eq!(text(&listed, "/runs/0/run/status"), "done");
    assert!(p.path("out/model/model.safetensors").is_file());
    assert!(!p.path("out/branches/direct/checkpoints").exists(), "checkpoints of a stage that is done are gone");
    done
}

#[test]
fn a_run_that_is_killed_at_any_point_ends_as_if_it_had_not_been() {
    for (strategy, lines) in
        [("sequential", &[20, 90, 190][..]), ("direct", &[1, 40]), ("parallel", &[30, 60, 100, 130])]
    {
        let p = Program::new();
        let whole = run(&p, strategy, "out", &[]);
        assert_eq!(essence(&killed(strategy, lines, &[])), essence(&whole), "{strategy}");
    }
}

#[test]
fn trouble_before_a_kill_is_remembered_after_it() {
    // Two skips before the kill, two after: together they are too many within 64 steps, whoever counts.
    let trouble = ["--inject", "nan@20-21", "--inject", "nan@40-41"];
    let whole = run(&Program::new(), "direct", "out", &trouble);
    let did = |run: &Value| -> Vec<String> {
        let all = run.pointer("/outcome/incidents").and_then(Value::as_array).expect("incidents");
        all.iter().map(|i| text(i, "/directive/do").to_string()).collect()
    };
    assert!(did(&whole).contains(&"rewind".to_string()), "{:?}", did(&whole));
    assert_eq!(essence(&killed("direct", &[70], &trouble)), essence(&whole));
}

#[cfg(unix)]
#[test]
fn a_signal_ends_with_5_and_a_folder_to_go_on_from() {
    let p = Program::new();
    let arguments = arguments("direct", "out", &[]);
    let mut child = start(&p, &arguments);
    wait_for(&mut child, &p.path("out/journal.jsonl"), 40);
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill");
    assert!(sent.success());
    assert_eq!(child.wait().expect("an end").code(), Some(5));
    assert_eq!(text(&p.json(&["history", "list"]), "/runs/0/run/status"), "interrupted");
    let whole = run(&Program::new(), "direct", "out", &[]);
    assert_eq!(essence(&p.json(&["run", "direct", "--resume", "out"])), essence(&whole));
    // What is done is told again, and not done again.
    let before = std::fs::metadata(p.path("out/journal.jsonl")).expect("a journal").len();
    assert_eq!(essence(&p.json(&["auto", "--resume", "out"])), essence(&whole));
    assert_eq!(std::fs::metadata(p.path("out/journal.jsonl")).expect("a journal").len(), before);
}

#[test]
fn trouble_of_every_kind_ends_with_a_model_that_beats_the_untouched_base() {
    for (strategy, trouble, kind) in [
        ("direct", &["explosion@30"][..], "explosion"),
        ("direct", &["nan@10"], "non_finite"),
        ("keep", &["oom@3"], "out_of_memory"),
        ("parallel", &["b/crash@7"], ""),
        ("parallel", &["a/crash@7"], ""),
        ("direct", &["crash@7"], ""),
        ("direct", &["direct/nan@10-40"], "non_finite"),
        ("adaptive", &["nan@10-24"], "non_finite"),
    ] {
        let p = Program::new();
        let inject: Vec<&str> = trouble.iter().flat_map(|t| ["--inject", t]).collect();
        let run = if trouble == ["crash@7"] {
            // Not even the fallback can do anything about this one: it is said, and the history knows.
            let answer = p.run(&refs(&arguments(strategy, "out", &inject)));
            let list = p.json(&["history", "list"]);
            assert_eq!(answer.code, 1, "{}", answer.stderr);
            assert_eq!(text(&list, "/runs/0/run/status"), "failed");
            assert!(answer.stdout.contains("No branch gave a usable model"), "{}", answer.stdout);
            continue;
        } else {
            run(&p, strategy, "out", &inject)
        };
        let (base, after) = (number(&run, "/outcome/base/bits_per_byte"), number(&run, "/outcome/bits_per_byte"));
        assert!(after < base, "{strategy} {trouble:?}: {base} -> {after}");
        assert!(p.path("out/model/model.safetensors").is_file());
        let incidents = run.pointer("/outcome/incidents").and_then(Value::as_array).expect("incidents");
        assert!(kind.is_empty() || incidents.iter().any(|i| text(i, "/kind") == kind), "{trouble:?}: {incidents:?}");
        let crashed = trouble.iter().any(|t| t.contains("crash"));
        let failures = run.pointer("/outcome/branches").and_then(Value::as_array).expect("branches");
        let said =
            failures.iter().filter_map(|b| b.pointer("/failure")?.as_str()).any(|f| f.contains("crash (injected)"));
        assert_eq!(said, crashed, "{trouble:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_race() {
    let one = run(&Program::new(), "parallel", "out", &["--seed", "3"]);
    let two = run(&Program::new(), "parallel", "out", &["--seed", "3"]);
    assert_eq!(essence(&one), essence(&two));
    for what in ["strategy", "confidence", "matched_rows", "alternatives/0/strategy", "alternatives/1/strategy"] {
        let decided = |run: &Value| run.pointer(&format!("/decision/{what}")).expect("a decision").clone();
        assert_eq!(decided(&one), decided(&two), "{what}");
    }
    let side_by_side = run(&Program::new(), "parallel", "out", &["--seed", "3", "--devices", "2"]);
    assert_eq!(essence(&one), essence(&side_by_side), "at once or in turns: the looks are the same");
}

#[test]
fn a_grown_model_keeps_every_old_row_bit_for_bit() {
    let p = Program::new();
    let run = run(&p, "extend", "out", &[]);
    assert_eq!(text(&run, "/outcome/branches/0/tokenizer"), "grown");
    assert!(number(&run, "/outcome/bits_per_byte") < number(&run, "/outcome/base/bits_per_byte"));
    let table = |folder: &Path| -> (Vec<usize>, Vec<f32>) {
        let bytes = std::fs::read(folder.join("model.safetensors")).expect("weights");
        let tensors = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
        let t = tensors.tensor("model.embed_tokens.weight").expect("embeddings");
        let widen = |c: &[u8]| match t.dtype() {
            safetensors::Dtype::F32 => f32::from_le_bytes(c.try_into().expect("four bytes")),
            safetensors::Dtype::BF16 => f32::from_bits(u32::from(u16::from_le_bytes(c.try_into().expect("two"))) << 16),
            other => panic!("{other:?}"),
        };
        let width = if t.dtype() == safetensors::Dtype::F32 { 4 } else { 2 };
        (t.shape().to_vec(), t.data().chunks(width).map(widen).collect())
    };
    let (old_shape, old) = table(&sample().join("base"));
    let (new_shape, new) = table(&p.path("out/model"));
    assert!(new_shape[0] > old_shape[0], "{old_shape:?} {new_shape:?}");
    assert_eq!(new[..old.len()], old[..]);
    let config: Value =
        serde_json::from_slice(&std::fs::read(p.path("out/adapter/adapter_config.json")).expect("it")).expect("JSON");
    let ids = config.pointer("/trainable_token_indices/embed_tokens").and_then(Value::as_array).expect("ids");
    assert_eq!(ids.len(), new_shape[0] - old_shape[0]);
    assert!(Path::new(text(&config, "/base_model_name_or_path")).join("model.safetensors").is_file());
}

#[test]
fn a_tokenizer_is_grown_and_says_what_is_cut_differently() {
    let p = Program::new();
    let at = |name: &str| sample().join(name).display().to_string();
    let code = p.file("code.txt", "fn main() { let x = vec![1, 2]; }\nfor i in range(10): print(i)\n");
    let (source, corpus, english) = (at("source-tokenizer"), at("target-train.txt"), at("base-train.txt"));
    let compare = ["--compare", &english, &code];
    let grown = ["tokenizer", "extend", "--source", &source, "--corpus", &corpus, "--out", "grown"];
    let answer = p.json(&[&grown[..], &compare].concat());
    let extended = answer.pointer("/tokenizer/extended").expect("what came of it");
    assert!(number(extended, "/added") >= 20.0, "{extended}");
    for text in ["/compare/0", "/compare/1"] {
        let (before, after) = (format!("{text}/tokens_before"), format!("{text}/tokens_after"));
        assert!(number(extended, &after) <= number(extended, &before));
    }
    let profile = p.json(&["analyze", "--source", &source, "--candidate", "grown", "--corpus", &corpus]);
    assert!(number(&profile, "/profile/token_ratio") < 1.0);
    p.refuses(&grown, 2, &["grown"]);
}

#[test]
fn a_budget_is_kept_and_one_in_which_nothing_can_be_done_is_refused() {
    let p = Program::new();
    let clock = Instant::now();
    let long = run(&p, "direct", "long", &["--set", "epochs=400", "--budget", "12s"]);
    let seconds = clock.elapsed().as_secs_f64();
    assert!(number(&long, "/outcome/bits_per_byte") < number(&long, "/outcome/base/bits_per_byte"));
    assert!(number(&long, "/outcome/seconds") <= 12.0 * 1.05, "{seconds}");
    // A device that becomes five times as slow on the way: fewer steps, the same end.
    let slow = run(&p, "direct", "slow", &["--set", "epochs=400", "--budget", "9s", "--inject", "slow:5@20"]);
    assert!(number(&slow, "/outcome/bits_per_byte") < number(&slow, "/outcome/base/bits_per_byte"));
    assert!(number(&slow, "/outcome/seconds") <= 9.0 * 1.05, "{slow:#}");
    assert!(p.path("slow/model/model.safetensors").is_file());
    p.refuses(
        &refs(&arguments("direct", "none", &["--set", "epochs=100000", "--budget", "1s"])),
        4,
        &["--budget", "direct"],
    );
    p.refuses(&refs(&arguments("auto", "none", &["--set", "epochs=100000", "--budget", "1s"])), 4, &["least"]);
    assert!(!p.path("none").exists(), "nothing is written");
}

#[test]
fn a_dry_run_tells_time_memory_and_disk_and_writes_nothing() {
    let p = Program::new();
    let plan = run(&p, "sequential", "out", &["--dry-run", "--with-keep"]);
    let stages = plan.pointer("/plan/stages").and_then(Value::as_array).expect("stages");
    let names: Vec<&str> = stages.iter().map(|s| text(s, "/stage")).collect();
    assert_eq!(names, ["sequential.foundation", "sequential.adaptation", "keep"]);
    for figure in ["/plan/seconds", "/plan/memory", "/plan/disk"] {
        assert!(number(&plan, figure) > 0.0, "{figure}");
    }
    assert!(!p.path("out").exists());
    let list = p.json(&["history", "list"]);
    assert_eq!(list.pointer("/runs").and_then(Value::as_array).map(Vec::len), Some(0), "no run stands in the history");
}

#[test]
fn a_batch_is_held_in_pieces_where_it_does_not_fit_into_the_memory() {
    let p = Program::new();
    let whole = run(&p, "keep", "out", &["--dry-run"]);
    assert_eq!(whole.pointer("/plan/stages/0/load"), Some(&Value::Null));
    let memory = number(&whole, "/plan/memory");
    let limit = format!("{}B", memory - 1.0);
    let less = run(&p, "keep", "out", &["--dry-run", "--memory", &limit]);
    assert_eq!(number(&less, "/plan/stages/0/load/batch"), 2.0);
    assert!(number(&less, "/plan/memory") < memory);
    // On one device the branch that waits takes room too.
    let race = |devices| number(&run(&p, "parallel", "out", &["--dry-run", "--devices", devices]), "/plan/memory");
    assert!(race("1") > race("2"));
    run(&p, "keep", "out", &["--memory", &limit]);
    let journal = std::fs::read_to_string(p.path("out/journal.jsonl")).expect("a journal");
    assert!(journal.contains("A step takes 2 sequences at once instead of 4"), "{journal}");
}

#[test]
fn held_out_text_that_is_trained_on_is_warned_of_with_its_share() {
    let p = Program::new();
    let mut same = arguments("keep", "out", &["--dry-run"]);
    let at = |name: &str, given: &[String]| given.iter().position(|a| a == name).expect("given") + 1;
    let (train, eval) = (at("--train", &same), at("--eval", &same));
    same[eval] = same[train].clone();
    let plan = p.json(&refs(&same));
    let warnings = plan.pointer("/plan/profile/warnings").and_then(Value::as_array).expect("warnings");
    let told = |w: &&Value| w.as_str().is_some_and(|w| w.starts_with("100.0% of the held-out text stands in"));
    assert_eq!(warnings.iter().filter(told).count(), 1, "{warnings:?}");
}

#[test]
fn every_feasible_strategy_is_run_and_recorded() {
    let p = Program::new();
    let all = run(&p, "all", "all", &["--set", "structural.rank=4"]);
    let rows = all.pointer("/all/rows").and_then(Value::as_array).expect("rows");
    let ran: Vec<&str> = rows.iter().filter(|r| r["bits_per_byte"].is_number()).map(|r| text(r, "/strategy")).collect();
    for strategy in ["keep", "direct", "sequential", "parallel", "extend", "structural", "adaptive", "emergency"] {
        assert!(ran.contains(&strategy), "{strategy} is not among {ran:?}: {rows:#?}");
    }
    let list = p.json(&["history", "list"]);
    assert_eq!(list.pointer("/runs").and_then(Value::as_array).map(Vec::len), Some(ran.len()));
    assert!(all.pointer("/all/best").is_some_and(Value::is_string));
}

#[test]
fn a_text_that_the_candidate_cannot_write_stops_the_run_before_training() {
    let p = Program::new();
    let mut letters: Vec<String> = ["<unk>", "▁"].map(String::from).to_vec();
    letters.extend(('a'..='z').map(String::from));
    let vocabulary: serde_json::Map<String, Value> =
        letters.into_iter().enumerate().map(|(id, letter)| (letter, id.into())).collect();
    let json = serde_json::json!({
        "version": "1.0",
        "added_tokens": [{"id": 0, "content": "<unk>", "single_word": false, "lstrip": false, "rstrip": false,
                          "normalized": false, "special": true}],
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
        "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "vocab": vocabulary, "merges": []}
    });
    let candidate = p.file("latin/tokenizer.json", json.to_string());
    let cyrillic = p.file("text.txt", "книга лежит на столе\nдети идут в школу рано утром\n".repeat(20));
    let base = sample().join("base").display().to_string();
    let inputs =
        ["--model", &base, "--candidate", &candidate, "--train", &cyrillic, "--eval", &cyrillic, "--out", "out"];
    p.refuses(&[&["run", "direct"][..], &inputs].concat(), 4, &["latin", "unknown tokens", "20%"]);
    assert!(!p.path("out").exists());
}

#[test]
fn there_is_nothing_to_go_on_with_in_a_folder_without_a_run_or_with_other_inputs() {
    let p = Program::new();
    p.file("empty/notes.txt", "no run");
    p.refuses(&["auto", "--resume", "empty"], 3, &["begun.json"]);
    p.refuses(&["auto", "--resume", "nowhere"], 3, &["nowhere"]);
    p.file("damaged/begun.json", "{\"version\": 1, ");
    p.refuses(&["auto", "--resume", "damaged"], 3, &["damaged"]);
    p.file("newer/begun.json", "{\"version\": 7}");
    p.refuses(&["auto", "--resume", "newer"], 3, &["version"]);
    let eval = std::fs::read(sample().join("target-eval.txt")).expect("text");
    let own = p.file("eval.txt", eval);
    let mut given = arguments("keep", "out", &[]);
    let place = given.iter().position(|a| a == "--eval").expect("--eval") + 1;
    given[place] = own;
    let mut child = start(&p, &given);
    wait_for(&mut child, &p.path("out/journal.jsonl"), 10);
    child.kill().expect("killed");
    child.wait().expect("gone");
    p.refuses(&refs(&given), 2, &["out", "already holds a run", "--resume"]);
    p.file("eval.txt", "another text\nof other words\n");
    p.refuses(&["run", "keep", "--resume", "out"], 3, &["held-out text", "changed"]);
}

/// The sample's base with a chat template beside its tokenizer, and conversations; what the assistant says of them.
fn conversations(p: &Program) -> (String, String, u64) {
    let base = p.path("base");
    std::fs::create_dir(&base).expect("a folder");
    for file in std::fs::read_dir(sample().join("base")).expect("the base").flatten() {
        std::fs::copy(file.path(), base.join(file.file_name())).expect("copied");
    }
    let text = std::fs::read_to_string(sample().join("target-train.txt")).expect("the sample's text");
    let lines: Vec<&str> = text.lines().take(60).collect();
    let (mut chats, mut said) = (String::new(), 0);
    for pair in lines.chunks_exact(2) {
        let turns = serde_json::json!([
            {"role": "user", "content": pair[0]},
            {"role": "assistant", "content": pair[1]},
        ]);
        said += pair[1].len() as u64 + "<|end|>\n".len() as u64;
        chats.push_str(&format!("{}\n", serde_json::json!({"messages": turns})));
    }
    (base.display().to_string(), p.file("chats.jsonl", chats), said)
}

#[test]
fn of_conversations_only_the_assistants_words_are_learnt_and_texts_are_mixed_by_weight() {
    let p = Program::new();
    let (base, chats, said) = conversations(&p);
    let changed = |out: &str, train: &[&str]| {
        let mut arguments = arguments("keep", out, &[]);
        let place = |arguments: &[String], name: &str| arguments.iter().position(|a| a == name).expect("an option") + 1;
        let at = place(&arguments, "--model");
        arguments[at] = base.clone();
        let at = place(&arguments, "--train");
        arguments.splice(at..=at, train.iter().map(|t| t.to_string()));
        arguments
    };
    let only = changed("only", &[&chats]);
    p.refuses(&refs(&only), 3, &["conversations", "chat_template.jinja"]);
    assert!(!p.path("only").exists());
    let template = "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}\
                    {% if add_generation_prompt %}<|assistant|>\n{% endif %}";
    std::fs::write(p.path("base/chat_template.jinja"), template).expect("written");
    let run = p.json(&refs(&only));
    let seen = run.pointer("/outcome/branches/0/bytes_seen").and_then(Value::as_u64).expect("bytes");
    assert!((said..=said + said / 20).contains(&seen), "{seen} of {said}");
    assert!(number(&run, "/run/request/train_bytes") > 1.5 * said as f64, "the user's words are read too");

    let text = sample().join("target-eval.txt").display().to_string();
    let bytes = |weights: &[&str], out: &str| {
        let arguments =
            changed(out, &[&chats, &text, "--weights"].into_iter().chain(weights.iter().copied()).collect::<Vec<_>>());
        number(&p.json(&refs(&arguments)), "/run/request/train_bytes")
    };
    let (chat, both) = (number(&run, "/run/request/train_bytes"), bytes(&["1", "1"], "both"));
    let mixed = bytes(&["0.5", "2"], "mixed");
    let wanted = (0.5 * chat + 2.0 * (both - chat)).min(40_000.0);
    assert!((mixed / wanted - 1.0).abs() < 0.05, "{mixed} for {wanted}");
    let wrong = changed("wrong", &[&chats, &text, "--weights", "1"]);
    p.refuses(&refs(&wrong), 2, &["weights given: 1, training texts: 2", "--weights"]);
    assert!(!p.path("wrong").exists());
}
