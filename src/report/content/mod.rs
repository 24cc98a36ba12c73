//! What is said, in which order? Pages for profiles, decisions, runs and the history. How a page looks is not known
//! here, and no sentence stands here: sentences are in `words`.

pub(super) mod background;
pub(super) mod decision;
pub(super) mod history;
pub(super) mod log;
pub(super) mod profile;
pub(super) mod run;
mod traps;

use super::numbers::fixed;
use super::page::{Cell, Tone};
use super::words::Words;

/// The part of a path that a person would say: the last folder, or the file without `tokenizer.json`.
fn label(path: &str) -> String {
    let parts: Vec<&str> = path.split(['/', '\\']).filter(|p| !p.is_empty()).collect();
    let name = match parts[..] {
        [.., folder, "tokenizer.json" | "tokenizer.model"] => folder,
        [.., last] => last,
        [] => path,
    };
    name.to_string()
}

/// A number that may be missing, with so many decimals.
fn number(value: Option<f64>, decimals: usize, words: &Words) -> String {
    fixed(value.unwrap_or(f64::NAN), decimals, words.lang)
}

/// From where to where; a dash where neither is known.
fn way(from: Option<f64>, to: Option<f64>, decimals: usize, words: &Words) -> String {
    if from.is_none() && to.is_none() {
        return number(None, decimals, words);
    }
    format!("{} → {}", number(from, decimals, words), number(to, decimals, words))
}

/// Bits per byte saved: good above zero, bad below.
fn saving(value: Option<f64>, words: &Words) -> Cell {
    let tone = match value {
        Some(v) if v >= 0.0005 => Tone::Good,
        Some(v) if v <= -0.0005 => Tone::Bad,
        _ => Tone::Plain,
    };
    Cell::toned(super::numbers::signed(value.unwrap_or(f64::NAN), 3, words.lang), tone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tokenizer_is_called_by_its_folder() {
        assert_eq!(label("/data/tokenizers/qwen3/tokenizer.json"), "qwen3");
        assert_eq!(label("/data/tokenizers/qwen3/"), "qwen3");
        assert_eq!(label("mine.json"), "mine.json");
        assert_eq!(label("Qwen/Qwen3-8B"), "Qwen3-8B");
        assert_eq!(label("/"), "/");
    }
}
