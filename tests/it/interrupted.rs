//! Signals and full disks while a base is trained: what is saved, what is said, what is left intact.

use crate::program::Program;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than any step here takes, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(120);

/// A program with a tiny architecture, a tokenizer and a text; the arguments of a run that nobody waits out.
fn setting() -> (Program, Vec<String>) {
    let p = Program::new();
    let lines: String =
        (0..400).map(|i| format!("the {} cat sat on the {} mat and saw {i} dogs\n", i % 7, i % 5)).collect();
    let text = p.file("text.txt", lines);
    let config = p.file(
        "config.json",
        r#"{"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_act": "silu", "hidden_size": 32,
            "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
            "head_dim": 16, "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
            "tie_word_embeddings": true, "attention_bias": false, "vocab_size": 512}"#,
    );
    let tokenizer = p.file("tokenizer/tokenizer.json", crate::program::byte_tokenizer(&["the", "Ġthe", "Ġcat"]));
    let arguments = [
        "pretrain",
        "--config",
        &config,
        "--source",
        &tokenizer,
        "--train",
        &text,
        "--out",
        "base",
        "--tokens",
        "2000000000",
        "--sequence",
        "32",
        "--batch",
        "2",
        "--checkpoint-every",
        "20",
        "--device",
        "cpu",
    ];
    (p, arguments.map(String::from).to_vec())
}

fn begun(p: &Program, arguments: &[String], shell: Option<&str>) -> Child {
    let program = env!("CARGO_BIN_EXE_hibrit");
    let mut command = match shell {
        Some(script) => {
            let mut command = Command::new("sh");
            command.args(["-c", script, program]);
            command
        }
        None => Command::new(program),
    };
    command.args(arguments).current_dir(p.path("."));
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts")
}

/// Checkpoints that are whole.
fn checkpoints(p: &Program) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(p.path("base.checkpoints")) else { return vec![] };
    let mut all: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    all.retain(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("step-")));
    all.sort();
    all
}

fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let began = Instant::now();
    while !there() {
        assert!(began.elapsed() < PATIENCE, "{what} did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn send(signal: &str, child: &Child) {
    let done = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill is there");
    assert!(done.success());
}

fn ended(mut child: Child) -> (i32, String) {
    let mut said = String::new();
    let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    lines.map_while(Result::ok).for_each(|line| said.push_str(&(line + "\n")));
    let code = child.wait().expect("it ends").code().expect("an exit code, not a signal");
    (code, said)
}

fn step_of(path: &Path) -> u64 {
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    name.trim_start_matches("step-").parse().expect("a number")
}

#[test]
fn a_signal_saves_the_run_and_the_next_goes_on_from_there_and_a_second_signal_leaves_at_once() {
    let (p, arguments) = setting();
    for signal in ["-TERM", "-INT"] {
        let _ = std::fs::remove_dir_all(p.path("base.checkpoints"));
        let child = begun(&p, &arguments, None);
        wait_for("a checkpoint", || !checkpoints(&p).is_empty());
        send(signal, &child);
        let (code, said) = ended(child);
        assert_eq!(code, 5, "{signal}: {said}");
        assert!(said.contains("base.checkpoints") && said.contains("--resume"), "{said}");
    }
    // Where the signal came, not only every 20 steps.
    let saved = step_of(checkpoints(&p).last().expect("a checkpoint"));
    let again = p.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(again.code, 2, "a run that was not finished is not trained over: {}", again.stderr);

    let resumed: Vec<String> = arguments.iter().cloned().chain(["--resume".to_string()]).collect();
    let mut child = begun(&p, &resumed, None);
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let told = lines.by_ref().map_while(Result::ok).any(|line| line.contains(&format!("resumes from step {saved} of")));
    assert!(told, "it resumes from step {saved}");
    wait_for("a later checkpoint", || checkpoints(&p).last().is_some_and(|c| step_of(c) > saved));
    // Two at once: the second does not wait for anything.
    send("-INT", &child);
    send("-INT", &child);
    assert_eq!(child.wait().expect("it ends").code(), Some(5));
    drop(lines);

    // What it left can be gone on from.
    let last = checkpoints(&p);
    let mut child = begun(&p, &resumed, None);
    let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let told = lines.map_while(Result::ok).find(|line| line.contains("resumes from step"));
    send("-KILL", &child);
    child.wait().expect("it ends");
    let told = told.expect("a whole checkpoint is there");
    assert!(last.iter().any(|c| told.contains(&format!("step {} of", step_of(c)))), "{told}");
}

#[test]
fn a_full_disk_costs_a_checkpoint_and_not_the_run_and_what_was_saved_before_is_whole() {
    let (p, arguments) = setting();
    let child = begun(&p, &arguments, None);
    wait_for("a checkpoint", || !checkpoints(&p).is_empty());
    send("-INT", &child);
    assert_eq!(ended(child).0, 5);
    let before = checkpoints(&p);

    // No file may grow beyond 8 blocks of 512 bytes or 1024: as a disk without room, the system refuses to write on.
    let resumed: Vec<String> = arguments.iter().cloned().chain(["--resume".to_string()]).collect();
    let mut child = begun(&p, &resumed, Some("trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\""));
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let told = lines.by_ref().map_while(Result::ok).any(|line| line.contains("could not be saved, training goes on"));
    assert!(told, "the run says that a checkpoint was lost");
    assert_eq!(checkpoints(&p), before, "what was there is there");
    assert!(child.try_wait().expect("it can be asked").is_none(), "it goes on");
    send("-INT", &child);
    let said: Vec<String> = lines.map_while(Result::ok).collect();
    // Nothing can be saved: that is a failure, not a saved interruption.
    assert_eq!(child.wait().expect("it ends").code(), Some(1), "{said:?}");

    let mut child = begun(&p, &resumed, None);
    let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let told = lines.map_while(Result::ok).any(|line| line.contains("resumes from step"));
    send("-KILL", &child);
    child.wait().expect("it ends");
    assert!(told, "the checkpoint from before can be gone on from");
}
