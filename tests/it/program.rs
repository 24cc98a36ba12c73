//! A program in a folder of its own, with a history of its own, and small inputs to give it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use tempfile::TempDir;

/// The program, to be run in a fresh folder.
pub struct Program {
    folder: TempDir,
}

/// What came back.
pub struct Answer {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Program {
    pub fn new() -> Self {
        Self { folder: TempDir::new().expect("a folder for the test") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file and gives its path as an argument.
    pub fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(&path, contents).expect("a file");
        path.display().to_string()
    }

    pub fn run(&self, arguments: &[&str]) -> Answer {
        let output: Output = Command::new(env!("CARGO_BIN_EXE_hibrit"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env("HIBRIT_HISTORY", self.path("past.redb"))
            .env("HIBRIT_CACHE", self.path("cache"))
            .env_remove("HIBRIT_RULES")
            .env("NO_COLOR", "1")
            .output()
            .expect("the program starts");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8 output");
        Answer {
            code: output.status.code().expect("an exit code, not a signal"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Runs, expects success and reads stdout as JSON.
    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let answer = self.run(&[arguments, &["--json", "--quiet"]].concat());
        assert_eq!(answer.code, 0, "{arguments:?}: {}", answer.stderr);
        serde_json::from_str(&answer.stdout).expect("JSON on stdout")
    }

    /// Runs, expects the exit code and one sentence that names each of `mentions`, without a panic.
    pub fn refuses(&self, arguments: &[&str], code: i32, mentions: &[&str]) {
        let answer = self.run(arguments);
        assert_eq!(answer.code, code, "{arguments:?}\n{}{}", answer.stdout, answer.stderr);
        assert!(answer.stdout.is_empty(), "nothing on stdout: {}", answer.stdout);
        assert!(!answer.stderr.contains("panicked"), "{}", answer.stderr);
        for mention in mentions {
            assert!(answer.stderr.contains(mention), "`{mention}` is not in:\n{}", answer.stderr);
        }
        if code != 2 {
            assert!(answer.stderr.contains("hint: "), "no hint:\n{}", answer.stderr);
        }
    }
}

/// A byte-level tokenizer of single bytes and the given words (each written with Ġ for a leading space).
pub fn byte_tokenizer(words: &[&str]) -> String {
    let mut bytes: Vec<char> = ('!'..='~').chain('¡'..='¬').chain('®'..='ÿ').collect();
    bytes.extend(
        (0..=255u32)
            .filter(|b| !matches!(b, 33..=126 | 161..=172 | 174..=255))
            .zip(256..)
            .filter_map(|(_, c)| char::from_u32(c)),
    );
    let mut vocabulary = serde_json::Map::new();
    for token in bytes.iter().map(char::to_string) {
        let id = vocabulary.len();
        vocabulary.insert(token, id.into());
    }
    let mut merges = Vec::new();
    for word in words {
        let letters: Vec<char> = word.chars().collect();
        for end in 2..=letters.len() {
            let (left, right): (String, char) = (letters[..end - 1].iter().collect(), letters[end - 1]);
            let joined = format!("{left}{right}");
            if !vocabulary.contains_key(&joined) {
                let id = vocabulary.len();
                vocabulary.insert(joined, id.into());
                merges.push(serde_json::json!([left, right.to_string()]));
            }
        }
    }
    let end = vocabulary.len();
    serde_json::json!({
        "version": "1.0",
        "added_tokens": [{"id": end, "content": "<|endoftext|>", "single_word": false, "lstrip": false,
                          "rstrip": false, "normalized": false, "special": true}],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "vocab": vocabulary, "merges": merges}
    })
    .to_string()
}
