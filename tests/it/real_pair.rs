//! The case that started hibrit, with the figures that were measured independently.

use crate::program::Program;
use crate::real_data::real;

#[test]
fn qwen3_against_the_turkish_tokenizer_gives_the_known_figures() {
    let (Some(tokenizers), Some(text)) = (real("tokenizers"), real("text/tr-eval.txt")) else { return };
    let path = |name: &str| tokenizers.join(name).display().to_string();
    let p = Program::new();
    let answer = p.json(&[
        "decide",
        "--source",
        &path("qwen3"),
        "--candidate",
        &path("turkish_mixtral_v3_fixed"),
        "--corpus",
        &text.display().to_string(),
    ]);
    let number = |pointer: &str| answer.pointer(pointer).and_then(serde_json::Value::as_f64).expect(pointer);
    let rounded = |pointer: &str| (number(pointer) * 1e4).round() / 1e4;
    assert_eq!(rounded("/profile/coverage/vocabulary"), 0.2134);
    assert_eq!(rounded("/profile/coverage/vocabulary_naive"), 0.0803);
    // Measured on another 3 MB of mixed Turkish text: 0.5506, 2.586 -> 1.576, 0.6096.
    assert!((number("/profile/coverage/corpus") - 0.55).abs() < 0.03);
    assert!((number("/profile/fertility/source") - 2.586).abs() < 0.1);
    assert!((number("/profile/fertility/candidate") - 1.576).abs() < 0.1);
    assert!((number("/profile/token_ratio") - 0.6096).abs() < 0.02);
    for name in [
        "/profile/bytes_per_token/source",
        "/profile/similarity/score",
        "/profile/similarity/basis",
        "/profile/round_trip/candidate",
        "/profile/unknown_rate/candidate",
        "/decision/strategy",
        "/decision/confidence",
        "/decision/matched_rows/0/row",
        "/decision/alternatives/0/strategy",
        "/decision/rules_sha256",
        "/decision/scorer/note",
    ] {
        assert!(answer.pointer(name).is_some(), "{name} is a name that scripts rely on");
    }
}
