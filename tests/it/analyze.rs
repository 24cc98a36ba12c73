//! `hibrit analyze` from outside: listings, parallel texts, kept profiles, and inputs that cannot be had.

use crate::program::{Program, byte_tokenizer};

/// Two tokenizers and a text.
fn inputs(p: &Program) -> [String; 3] {
    [
        p.file("source/tokenizer.json", byte_tokenizer(&["the", "Ġthe"])),
        p.file("candidate/tokenizer.json", byte_tokenizer(&["the", "Ġcat", "Ġsat"])),
        p.file("text.txt", "the cat sat\nthe cat\n"),
    ]
}

#[test]
fn a_second_look_is_taken_from_what_was_kept_until_something_changes() {
    let p = Program::new();
    let [source, candidate, text] = inputs(&p);
    let look = ["analyze", "--source", &source, "--candidate", &candidate, "--corpus", &text];
    let first = p.run(&look);
    assert_eq!(first.code, 0, "{}", first.stderr);
    assert!(!first.stderr.contains("taken from what was kept"), "{}", first.stderr);
    let second = p.run(&look);
    assert!(second.stderr.contains("taken from what was kept"), "{}", second.stderr);
    assert_eq!(first.stdout, second.stdout);
    let fresh = p.run(&[&look[..], &["--fresh"]].concat());
    assert!(!fresh.stderr.contains("taken from what was kept"), "{}", fresh.stderr);
    p.file("text.txt", "the cat sat on\nthe cat\n");
    let changed = p.run(&look);
    assert!(!changed.stderr.contains("taken from what was kept"), "{}", changed.stderr);
}

#[test]
fn every_candidate_token_is_listed_with_its_match_and_pieces() {
    let p = Program::new();
    let [source, candidate, text] = inputs(&p);
    let out = p.path("tokens.csv").display().to_string();
    let look = ["analyze", "--source", &source, "--candidate", &candidate, "--corpus", &text, "--tokens-out"];
    assert_eq!(p.run(&[&look[..], &[&out]].concat()).code, 0);
    let listed = std::fs::read_to_string(&out).expect("the listing");
    let the = listed.lines().find(|l| l.contains("\"the\"")).expect("a line");
    assert!(the.contains(",746865,exact,") && the.contains(",2,"), "{the}");
    let cat = listed.lines().find(|l| l.contains("\"Ġcat\"")).expect("a line");
    assert!(cat.contains(",20636174,none,,2,"), "{cat}");
    p.refuses(&[&look[..], &["tokens.txt"]].concat(), 1, &["neither in .parquet"]);
}

#[test]
fn a_text_and_its_translation_give_a_parity_and_other_texts_an_error() {
    let p = Program::new();
    let [source, candidate, _] = inputs(&p);
    let (left, right) = (p.file("left.txt", "the the\n"), p.file("right.txt", "xyz xyz\n"));
    let look = ["analyze", "--source", &source, "--candidate", &candidate, "--parallel", &left];
    let answer = p.json(&[&look[..], &[&right]].concat());
    // "the", " ", "the" (the merge of t and h comes before that of the space) over seven single bytes.
    let parity = answer.pointer("/profile/details/parity").or_else(|| answer.pointer("/details/parity"));
    assert_eq!(parity.and_then(|v| v["source"].as_f64()), Some(3.0 / 7.0), "{answer:#}");
    let longer = p.file("longer.txt", "xyz\nxyz\n");
    p.refuses(&[&look[..], &[&longer]].concat(), 3, &["the parallel texts have 1 and 2 lines"]);
}

#[test]
fn what_cannot_be_had_is_told_in_one_sentence() {
    let p = Program::new();
    let [source, candidate, text] = inputs(&p);
    let model = p.file("damaged.model", "no protocol buffer");
    p.refuses(
        &["analyze", "--source", &model, "--candidate", &candidate],
        3,
        &["damaged.model", "not a SentencePiece model"],
    );
    let packed = p.file("text.txt.xz", "x");
    let look = ["analyze", "--source", &source, "--candidate", &candidate, "--corpus"];
    p.refuses(&[&look[..], &[&packed]].concat(), 3, &["compressed as .xz"]);
    let table = p.file("text.parquet", "PAR1");
    p.refuses(&[&look[..], &[&table]].concat(), 3, &["text.parquet", "not a valid Parquet file"]);
    p.refuses(&[&look[..], &[&text], &["--source", "no/such/place"]].concat(), 2, &[]);
    p.refuses(
        &["analyze", "--source", "no/such/place", "--candidate", &candidate],
        3,
        &["there is no tokenizer at no/such/place"],
    );
}
