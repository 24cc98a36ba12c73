//! The analyzer on real tokenizers and on small ones made here. The real ones are outside the package; without them
//! those tests skip (see `real_data`).

use super::counts::SideCounts;
use super::*;
use crate::corpus::{Corpus, CorpusOptions};
use crate::domain::event::Silent;
use crate::domain::fault::{Fault, Kind};
use crate::domain::outcome::Side;
use crate::domain::profile::{Basis, Match, Profile};
use crate::domain::vocabulary::{Origin, Role, TokenKind};
use crate::real_data::real;
use crate::tokenizer::{TokenizerError, TokenizerFile};
use std::path::Path;

fn real_tokenizer(name: &str) -> Option<TokenizerFile> {
    Some(TokenizerFile::open(&real(&format!("tokenizers/{name}"))?).unwrap())
}

fn real_profile(source: &str, candidate: &str, text: Option<&str>) -> Option<Profile> {
    let (source, candidate) = (real_tokenizer(source)?, real_tokenizer(candidate)?);
    let corpus = match text {
        Some(text) => Some(Corpus::open(&[real(text)?], &CorpusOptions::default()).unwrap()),
        None => None,
    };
    let inputs = ProfileInputs { source: &source, candidate: &candidate, corpus: corpus.as_ref(), model: None };
    Some(profile(&inputs, &mut Silent).unwrap())
}

fn close(what: &str, value: f64, expected: f64, tolerance: f64) {
    assert!((value - expected).abs() <= tolerance, "{what} is {value}, not {expected}");
}

#[test]
fn the_real_case_has_the_coverage_that_was_measured_independently() {
    let Some(p) = real_profile("qwen3", "turkish_mixtral_v3_fixed", None) else { return };
    // Reference: spec section 4, given with four decimals.
    close("coverage.vocabulary", p.coverage.vocabulary.get(), 0.2134, 5e-5);
    close("coverage.vocabulary_naive", p.coverage.vocabulary_naive.get(), 0.0803, 5e-5);
    assert_eq!((p.source.tokens, p.source.rows, p.candidate.tokens), (151_669, 151_669, 32_000));
}

#[test]
fn the_real_case_on_turkish_text_has_the_fertility_that_was_measured_independently() {
    let Some(p) = real_profile("qwen3", "turkish_mixtral_v3_fixed", Some("text/tr-eval.txt")) else { return };
    let fertility = p.fertility.unwrap();
    // Reference: TABLE below, divided.
    close("fertility.source", fertility.source.get(), 308_284.0 / 121_627.0, 1e-12);
    close("fertility.candidate", fertility.candidate.get(), 184_000.0 / 121_627.0, 1e-12);
    close("round_trip.candidate", p.round_trip.unwrap().candidate.get(), 5_084.0 / 5_121.0, 1e-12);
    assert_eq!(p.round_trip.unwrap().source.get(), 1.0);
    // Reference: spec section 4, measured on another mix of Turkish text; hence the wide tolerance.
    close("coverage.corpus", p.coverage.corpus.unwrap().get(), 0.5506, 0.02);
    close("token_ratio", p.token_ratio.unwrap().get(), 0.6096, 0.02);
}

/// Tokens and lines that come back on tr-eval.txt (121,627 words, 5,121 lines), from Hugging Face tokenizers 0.23.3 in
/// Python: `benches/compare/analyze.py --table`.
const TABLE: [(&str, u64, u64); 20] = [
    ("falcon", 429_772, 5_121),
    ("focus-de-bpe-50k", 497_610, 5_121),
    ("focus-de-xlmr-unigram-50k", 546_982, 5_116),
    ("gpt2", 444_397, 5_121),
    ("hindi-wordpiece-25k", 513_225, 0),
    ("llm-jp-v2.2-ja-en-code", 469_046, 5_121),
    ("mbert-cased", 286_614, 1_037),
    ("minimind-6400", 624_972, 5_121),
    ("mistral-7b-v0.1", 449_731, 5_121),
    ("mistral-v3-instruct", 449_731, 5_121),
    ("olmo-dolma2", 353_315, 5_121),
    ("phi-3-mini", 442_300, 5_121),
    ("qwen3", 308_284, 5_121),
    ("roberta-base", 444_397, 5_121),
    ("t5-small", 531_015, 251),
    ("tr-sp-bpe-32k-cased-azadyasar", 184_463, 5_115),
    ("turkish_mixtral_v3_fixed", 184_000, 5_084),
    ("whisper-large-v3", 317_751, 5_121),
    ("xlm-roberta-base", 222_546, 5_116),
    ("yi-64k-zh-en", 462_005, 5_121),
];

#[test]
fn every_real_tokenizer_counts_what_the_python_library_counts() {
    let Some(text) = real("text/tr-eval.txt") else { return };
    let corpus = Corpus::open(&[text], &CorpusOptions::default()).unwrap();
    let mut wrong = Vec::new();
    for pair in TABLE.chunks(2) {
        let files: Vec<TokenizerFile> = pair.iter().filter_map(|(name, ..)| real_tokenizer(name)).collect();
        let [source, candidate] = files.as_slice() else { return };
        let counts = counts::count(source, candidate, &corpus, &mut Silent).unwrap();
        assert_eq!((counts.words, counts.documents), (121_627, 5_121));
        for ((name, tokens, round_trips), side) in pair.iter().zip([&counts.source, &counts.candidate]) {
            if (side.tokens, side.round_trips) != (*tokens, *round_trips) {
                wrong.push(format!("{name}: {} tokens, {} lines come back", side.tokens, side.round_trips));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What encoding every document whole gives, without any cutting.
fn counted_whole(file: &TokenizerFile, documents: &[String]) -> SideCounts {
    let mut counts = SideCounts { by_id: vec![0; file.vocabulary.rows()], ..SideCounts::default() };
    for document in documents {
        let encoding = file.tokenizer.encode(document.as_str(), false).unwrap();
        for (id, (from, to)) in encoding.get_ids().iter().zip(encoding.get_offsets()) {
            counts.by_id[*id as usize] += 1;
            counts.tokens += 1;
            if Some(*id) == file.unknown() {
                counts.unknown += 1;
                counts.unknown_bytes += (to - from) as u64;
            }
        }
        let back = file.tokenizer.decode(encoding.get_ids(), false).unwrap();
        counts.round_trips += u64::from(back == *document || back.strip_prefix(' ') == Some(document));
    }
    counts
}

fn without_trailing_zeros(mut counts: SideCounts) -> SideCounts {
    let used = counts.by_id.iter().rposition(|n| *n > 0).map_or(0, |at| at + 1);
    counts.by_id.truncate(used);
    counts
}

/// Counts `documents` both ways with every real tokenizer against Qwen3.
fn counts_are_equal(documents: &[String]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("part.txt");
    std::fs::write(&path, documents.join("\n")).unwrap();
    let corpus = Corpus::open(&[path], &CorpusOptions::default()).unwrap();
    let Some(qwen) = real_tokenizer("qwen3") else { return };
    for (name, ..) in TABLE {
        let Some(candidate) = real_tokenizer(name) else { return };
        let counts = counts::count(&qwen, &candidate, &corpus, &mut Silent).unwrap();
        for (side, counts) in [(&qwen, counts.source), (&candidate, counts.candidate)] {
            assert!(
                without_trailing_zeros(counts) == without_trailing_zeros(counted_whole(side, documents)),
                "{} counts otherwise in pieces",
                side.name
            );
        }
    }
}

#[test]
fn counting_in_pieces_equals_encoding_whole_for_every_real_tokenizer() {
    let mut documents = Vec::new();
    for text in ["tr-eval.txt", "en-eval.txt", "de-eval.txt", "fi-eval.txt"] {
        let Some(path) = real(&format!("text/{text}")) else { return };
        documents.extend(Corpus::open(&[path], &CorpusOptions::default()).unwrap().collect(Some(40_000)).unwrap());
    }
    counts_are_equal(&documents);
}

/// Text that brings every unusual step of a tokenizer to light.
const HOSTILE: [&str; 10] = [
    "a <mask> b<mask>c  <s> d</s>e <|im_start|> f <|endoftext|>g h <unk> i [MASK] j",
    " leading and trailing ",
    "two  spaces   three \t tab \u{a0}nbsp \u{3000}wide",
    "e\u{301} \u{301}x \u{600} y \u{200b} z \u{feff}q",
    "＜mask＞ ｆｕｌｌ １２３ ﬁ ½ ﷺ ͺ x",
    "▁ a▁b ▁▁c Ġd aĠ b",
    "😀 a😀b 👩‍👩‍👧 日本語 テスト हिन्दी עברית العربية",
    "Ankara'dır 'd I'll İIıi 12345 1.234,56 a. .b !c d! e?!",
    "<0x41> <0x0A> <extra_id_0> <COVID19> a<COVID19> b",
    "x\u{ad}y \u{85}z \u{1}w",
];

#[test]
fn counting_in_pieces_equals_encoding_whole_on_hostile_text() {
    counts_are_equal(&HOSTILE.map(str::to_owned));
}

#[test]
fn pieces_of_every_real_mapping_concatenate_to_the_token() {
    for (s, c) in [
        ("qwen3", "turkish_mixtral_v3_fixed"),
        ("turkish_mixtral_v3_fixed", "qwen3"),
        ("mistral-7b-v0.1", "qwen3"),
        ("mbert-cased", "turkish_mixtral_v3_fixed"),
        ("xlm-roberta-base", "gpt2"),
        ("focus-de-bpe-50k", "xlm-roberta-base"),
    ] {
        let (Some(source), Some(candidate)) = (real_tokenizer(s), real_tokenizer(c)) else { return };
        let mapping = mapping(&source, &candidate);
        assert_eq!(mapping.origins.len(), candidate.vocabulary.rows());
        let mut nothing = 0;
        for (id, token) in candidate.vocabulary.iter() {
            match &mapping.origins[id as usize] {
                Origin::Exact(o) => assert_eq!(source.vocabulary.get(*o).unwrap().bytes, token.bytes),
                Origin::Pieces(pieces) => {
                    let bytes: Vec<u8> =
                        pieces.iter().flat_map(|(o, _)| source.vocabulary.get(*o).unwrap().bytes.clone()).collect();
                    assert_eq!(bytes, token.bytes, "{s} writes {:?} of {c} otherwise", token.raw);
                    assert!(pieces.iter().all(|(o, n)| source.vocabulary.get(*o).unwrap().bytes.len() == *n as usize));
                }
                Origin::Role(_) => assert_eq!(token.kind, TokenKind::Special),
                Origin::Nothing => nothing += usize::from(token.kind != TokenKind::Special),
            }
        }
        if source.summary().byte_fallback {
            assert_eq!(nothing, 0, "{s} has all bytes, so it can write every token of {c}");
        }
    }
}

#[test]
fn control_tokens_of_the_real_tokenizers_have_their_roles() {
    let Some(qwen) = real_tokenizer("qwen3") else { return };
    let name = |t: &TokenizerFile, r: Role| t.vocabulary.role(&r).map(|id| t.vocabulary.get(id).unwrap().raw.clone());
    assert_eq!(name(&qwen, Role::Eos).as_deref(), Some("<|im_end|>"));
    assert_eq!(name(&qwen, Role::Pad).as_deref(), Some("<|endoftext|>"));
    assert_eq!(name(&qwen, Role::Bos), None);
    assert_eq!(name(&qwen, Role::TurnStart).as_deref(), Some("<|im_start|>"));
    assert!(qwen.has_chat_template);
    let Some(turkish) = real_tokenizer("turkish_mixtral_v3_fixed") else { return };
    assert_eq!(name(&turkish, Role::Unk).as_deref(), Some("<unk>"));
    assert_eq!(name(&turkish, Role::Bos).as_deref(), Some("<s>"));
    assert_eq!(name(&turkish, Role::Eos).as_deref(), Some("</s>"));
    let eos = turkish.vocabulary.role(&Role::Eos).unwrap();
    assert_eq!(mapping(&qwen, &turkish).origins[eos as usize], Origin::Role(qwen.vocabulary.role(&Role::Eos).unwrap()));
}

/// A byte-pair tokenizer with these tokens besides `<unk>`.
fn small(tokens: &[&str], script: &str) -> TokenizerFile {
    use serde_json::json;
    let names = std::iter::once("<unk>").chain(tokens.iter().copied());
    let vocab: serde_json::Map<_, _> = names.enumerate().map(|(id, name)| (name.to_owned(), id.into())).collect();
    let step = match script {
        "Metaspace" => json!({"type": script, "replacement": "▁", "prepend_scheme": "always", "split": true}),
        _ => json!({"type": script, "add_prefix_space": false, "trim_offsets": true, "use_regex": true}),
    };
    let unknown = json!({
        "id": 0, "content": "<unk>", "special": true, "single_word": false,
        "lstrip": false, "rstrip": false, "normalized": false,
    });
    let json = json!({
        "version": "1.0",
        "added_tokens": [unknown],
        "pre_tokenizer": step,
        "decoder": step,
        "model": {"type": "BPE", "vocab": vocab, "merges": [], "unk_token": "<unk>"},
    });
    TokenizerFile::from_json(json.to_string().as_bytes(), None, Path::new("small")).unwrap()
}

#[test]
fn near_misses_are_told_apart() {
    let source = small(&["a", "Ġb", "C", "é", "1", "2"], "ByteLevel");
    let candidate = small(&["a", "▁a", "b", "c", "12", "x", "▁"], "Metaspace");
    let inputs = ProfileInputs { source: &source, candidate: &candidate, corpus: None, model: None };
    let p = profile(&inputs, &mut Silent).unwrap();
    let types = |class| p.matches.iter().find(|m| m.class == class).unwrap().types;
    let all = [
        Match::Special,
        Match::Byte,
        Match::Exact,
        Match::Space,
        Match::Case,
        Match::Normal,
        Match::Digits,
        Match::None,
    ];
    assert_eq!(all.map(types), [1, 0, 1, 2, 1, 0, 1, 2]);
    assert!((p.coverage.vocabulary.get() - 1.0 / 7.0).abs() < 1e-12);
    assert_eq!(p.fertility, None);
}

#[test]
fn bad_tokenizer_files_are_told_apart_in_one_sentence() {
    let open = |json: &[u8]| TokenizerFile::from_json(json, None, Path::new("t.json")).err().unwrap();
    assert!(matches!(open(b"{\"model\": {"), TokenizerError::NotJson { .. }));
    assert!(matches!(open(b"version https://git-lfs"), TokenizerError::NotJson { .. }));
    assert!(matches!(open(b"{}"), TokenizerError::NoVocabulary { .. }));
    assert!(matches!(open(b"{\"model\": {\"type\": \"BPE\", \"vocab\": {}}}"), TokenizerError::NoVocabulary { .. }));
    assert!(matches!(
        open(b"{\"model\": {\"type\": \"Morse\", \"vocab\": {\"a\": 0}}}"),
        TokenizerError::UnknownModel { .. }
    ));
    assert!(matches!(
        open(b"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": [\"a b\"]}}"),
        TokenizerError::Malformed { .. }
    ));
    assert!(matches!(
        open(b"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 4000000000}, \"merges\": []}}"),
        TokenizerError::Malformed { .. }
    ));
    // A character map that is none; a panic of the library's must not come through.
    let damaged = b"{\"normalizer\": {\"type\": \"Precompiled\", \"precompiled_charsmap\": \"AAECAw==\"},
        \"model\": {\"type\": \"Unigram\", \"unk_id\": 0, \"vocab\": [[\"a\", 0.0]]}}";
    assert!(matches!(open(damaged), TokenizerError::Malformed { .. }));
    let missing = TokenizerFile::open(Path::new("no/such/place")).err().unwrap();
    assert!(matches!(missing, TokenizerError::NotFound { .. }));
    assert_eq!(missing.to_string(), "there is no tokenizer at no/such/place");
    assert_eq!(missing.kind(), Kind::Input);
    assert!(missing.hint().is_some());
}

#[test]
fn the_real_case_shows_its_known_traps_and_what_it_is_worth() {
    let Some(p) = real_profile("qwen3", "turkish_mixtral_v3_fixed", Some("text/tr-eval.txt")) else { return };
    let details = p.details.unwrap();
    let trap = |name: &str, side: Option<Side>| details.traps.iter().find(|t| t.name == name && t.side == side);
    let names: Vec<String> =
        details.traps.iter().map(|t| format!("{:?} {}: {} {:?}", t.side, t.name, t.finding, t.example)).collect();
    assert!(trap("no_byte_fallback", Some(Side::Candidate)).is_some(), "{names:#?}");
    assert!(trap("unknown_characters", Some(Side::Candidate)).unwrap().example.is_some());
    assert!(trap("unknown_characters", Some(Side::Source)).is_none());
    assert!(trap("digit_policy", None).unwrap().finding.to_string().contains("single before"));
    assert!(trap("sequence_marks", None).unwrap().finding.to_string().contains("candidate"));
    assert!(trap("chat_marks", Some(Side::Candidate)).is_some());
    assert!(trap("apostrophes", Some(Side::Source)).is_some());
    assert!(details.traps.is_sorted_by_key(|t| t.severity));
    let worth = details.worth.unwrap();
    close(
        "tokens saved",
        worth.tokens_saved_per_million_words.unwrap(),
        (308_284.0 - 184_000.0) / 121_627.0 * 1e6,
        1e-6,
    );
    close("context gain", worth.context_gain.unwrap(), 308_284.0 / 184_000.0, 1e-12);
    let strr = details.strr.unwrap();
    assert!(strr.candidate.get() > strr.source.get() + 0.1, "a Turkish vocabulary keeps more Turkish words whole");
}

#[test]
fn a_merge_that_never_happens_makes_its_token_unreachable() {
    let json = serde_json::json!({
        "version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
        "model": {"type": "BPE", "merges": ["a b", "ab c"], "vocab": {"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4, "bc": 5, "c▁a": 6, "▁": 7}},
    });
    let file = TokenizerFile::from_json(json.to_string().as_bytes(), None, Path::new("small")).unwrap();
    assert_eq!(probe::unreachable(&file), [5, 6]);
}

#[test]
fn the_three_bases_of_similarity_agree_that_an_english_base_expresses_turkish_worse_than_english() {
    let Some(folder) = real("models/base-en") else { return };
    let (Some(turkish), Some(english)) = (real_tokenizer("turkish_mixtral_v3_fixed"), real_tokenizer("gpt2")) else {
        return;
    };
    let source = TokenizerFile::open(&folder).unwrap();
    let scores = |candidate: &TokenizerFile, text: &str| {
        let corpus = Corpus::open(&[real(text).unwrap()], &CorpusOptions::default()).unwrap();
        let inputs = ProfileInputs { source: &source, candidate, corpus: Some(&corpus), model: None };
        profile(&inputs, &mut Silent).unwrap().similarity
    };
    let (to_turkish, to_english) = (scores(&turkish, "text/tr-eval.txt"), scores(&english, "text/en-eval.txt"));
    assert_eq!((to_turkish.basis, to_turkish.all.len()), (Basis::Contextual, 2));
    for (t, e) in to_turkish.all.iter().zip(&to_english.all) {
        assert!(t.score.get() < e.score.get(), "{}: {} for Turkish, {} for English", t.basis, t.score, e.score);
        assert!(t.chance.is_none_or(|chance| chance < t.score.get()), "{}: no better than chance", t.basis);
    }
}

#[test]
fn hostile_tokenizer_files_are_refused_before_they_cost_anything() {
    let refused = |json: &str| {
        let error = TokenizerFile::from_json(json.as_bytes(), None, Path::new("t.json")).err().unwrap();
        assert!(matches!(error, TokenizerError::Malformed { .. }), "{error}");
        error.to_string()
    };
    let bpe = |vocab: &str, merges: &str, more: &str| {
        format!(r#"{{{more}"model": {{"type": "BPE", "vocab": {{{vocab}}}, "merges": [{merges}]}}}}"#)
    };
    let many = format!(r#"{}"a b""#, r#""a b","#.repeat(10_000_000));
    assert!(refused(&bpe(r#""a": 0, "b": 1, "ab": 2"#, &many, "")).contains("merges are more than any tokenizer has"));
    assert!(refused(&bpe(r#""a": 0, "b": 0"#, "", "")).contains("\"a\" and \"b\" share the id 0"));
    assert!(refused(&bpe(r#""a": 0, "b": 1, "a": 2"#, "", "")).contains("\"a\" stands in it twice"));
    let split = r#""pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(a+)+(?=b)"}, "behavior": "Isolated"}, "#;
    assert!(refused(&bpe(r#""a": 0"#, "", split)).contains("exponential time"));
    let bomb =
        r#""pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(?:a{1000}){1000}"}, "behavior": "Isolated"}, "#;
    refused(&bpe(r#""a": 0"#, "", bomb));
    let tokens: Vec<String> = (0..4_000_002).map(|id| format!(r#""{id}":{id}"#)).collect();
    assert!(refused(&bpe(&tokens.join(","), "", "")).contains("is more than any tokenizer has"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    // A gigabyte of nothing: the size is seen before a byte is read.
    std::fs::File::create(&path).unwrap().set_len(1 << 30).unwrap();
    let error = TokenizerFile::open(&path).err().unwrap();
    assert!(error.to_string().contains("1073741824 bytes are more than any tokenizer has"), "{error}");
}

#[test]
fn merges_that_lead_in_a_circle_end() {
    // The empty token joins with anything and changes nothing; "aa" can be made of itself and it.
    let json = r#"{"model": {"type": "BPE", "vocab": {"": 0, "a": 1, "aa": 2}, "merges": [["", "a"], ["a", ""], ["a", "a"], ["aa", ""]]}}"#;
    let file = TokenizerFile::from_json(json.as_bytes(), None, Path::new("t.json")).unwrap();
    assert_eq!(file.tokenizer.encode_fast("aaaaa", false).unwrap().get_ids(), [2, 2, 1]);
    let inputs = ProfileInputs { source: &file, candidate: &file, corpus: None, model: None };
    // The empty token stands for nothing, so nothing covers it.
    close("coverage", profile(&inputs, &mut Silent).unwrap().coverage.vocabulary.get(), 2.0 / 3.0, 1e-12);
}

#[test]
fn sentencepiece_models_give_the_tokens_of_the_tokenizer_json_beside_them() {
    let mut documents = Vec::new();
    for text in ["tr-eval.txt", "en-eval.txt", "de-eval.txt", "fi-eval.txt"] {
        let Some(path) = real(&format!("text/{text}")) else { return };
        documents.extend(Corpus::open(&[path], &CorpusOptions::default()).unwrap().collect(Some(60_000)).unwrap());
    }
    documents.extend(HOSTILE.map(str::to_owned));
    for name in ["turkish_mixtral_v3_fixed", "tr-sp-bpe-32k-cased-azadyasar", "yi-64k-zh-en", "mistral-v3-instruct"] {
        let Some(converted) = real_tokenizer(name) else { return };
        let Some(path) = real(&format!("tokenizers/{name}/sp.model")) else { return };
        let model = TokenizerFile::open(&path).unwrap();
        assert_eq!(model.vocabulary.rows(), converted.vocabulary.rows(), "{name}");
        for document in &documents {
            let ids =
                |file: &TokenizerFile| file.tokenizer.encode_fast(document.as_str(), false).unwrap().get_ids().to_vec();
            assert_eq!(ids(&model), ids(&converted), "{name} on {document:?}");
        }
        // Whoever copies the tokenizer into a model's folder copies what it was turned into.
        let again = TokenizerFile::open(&model.path).unwrap();
        assert_eq!(
            (again.path.file_name().unwrap().to_str(), again.vocabulary.len()),
            (Some("tokenizer.json"), model.vocabulary.len())
        );
        for (id, token) in converted.vocabulary.iter() {
            assert_eq!(model.vocabulary.get(id).map(|t| &t.raw), Some(&token.raw), "{name}");
        }
    }
}

#[test]
fn a_text_and_its_translation_give_the_parity_that_counting_them_gives() {
    let (Some(source), Some(candidate)) = (real_tokenizer("gpt2"), real_tokenizer("turkish_mixtral_v3_fixed")) else {
        return;
    };
    let open = |name: &str| Some(Corpus::open(&[real(name)?], &CorpusOptions::default()).unwrap());
    let (Some(turkish), Some(english)) = (open("parallel/ntrex-tur.txt"), open("parallel/ntrex-eng.txt")) else {
        return;
    };
    let inputs = ProfileInputs { source: &source, candidate: &candidate, corpus: None, model: None };
    let besides = Besides { parallel: Some([&turkish, &english]), ..Besides::default() };
    let parity = analyze(&inputs, &besides, &mut Silent).unwrap().profile.details.unwrap().parity.unwrap();
    let tokens = |file: &TokenizerFile, text: &Corpus| {
        let mut n = 0;
        text.for_each_document(|d| {
            n += file.tokenizer.encode_fast(d, false).unwrap().len();
            true
        })
        .unwrap();
        n as f64
    };
    for (file, parity) in [(&source, parity.source), (&candidate, parity.candidate)] {
        close("parity", parity, tokens(file, &turkish) / tokens(file, &english), 1e-12);
    }
    assert!(parity.source > 1.5 && parity.candidate < 1.0, "{parity:?}");
    let other = Corpus::open(&[real("text/tr-eval.txt").unwrap()], &CorpusOptions::default()).unwrap();
    let besides = Besides { parallel: Some([&turkish, &other]), ..Besides::default() };
    let error = analyze(&inputs, &besides, &mut Silent).err().unwrap();
    assert!(error.to_string().starts_with("the parallel texts have 1997 and"), "{error}");
}

#[test]
fn words_of_a_tokenizer_that_takes_texts_whole_are_looked_at_too() {
    // Merges that reach over a space: no proof, so every document is encoded whole.
    let json = r#"{"model": {"type": "BPE", "unk_token": "?", "vocab": {"?": 0, "a": 1, "b": 2, " ": 3, "a ": 4, " a": 5, "b ": 6},
        "merges": [["a", " "]]}}"#;
    let file = TokenizerFile::from_json(json.as_bytes(), None, Path::new("whole")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt");
    std::fs::write(&path, "a a xyz b\nb xyz\n").unwrap();
    let corpus = Corpus::open(&[path], &CorpusOptions::default()).unwrap();
    let counts = counts::count(&file, &file, &corpus, &mut Silent).unwrap();
    assert_eq!(counts.seen.source.words, 6);
    assert_eq!(counts.seen.source.unknown.0, Some((2, "xyz".into())));
}

/// What the canonical bytes of the tokens of a text are; `None` where a control or an unknown token is among them, which
/// stand for no bytes.
fn canonical(file: &TokenizerFile, ids: &[u32]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for id in ids {
        let token = file.vocabulary.get(*id).filter(|t| t.kind != TokenKind::Special && Some(*id) != file.unknown())?;
        bytes.extend(&token.bytes);
    }
    Some(bytes)
}

/// Texts of words, spaces, marks, emoji, several scripts and control characters.
fn any_text() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;
    let piece = prop_oneof![
        4 => "[a-zA-ZçğıİöşüÇĞÖŞÜ]{1,12}",
        3 => Just(" ".to_owned()),
        1 => "[0-9]{1,6}",
        1 => "[.,;:!?'\"()-]{1,3}",
        1 => r"[\s]{1,4}",
        2 => "\\PC{1,6}",
        1 => any::<String>(),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|parts| parts.concat())
}

#[test]
fn canonical_bytes_of_the_tokens_concatenate_to_the_text_wherever_a_tokenizer_is_lossless() {
    use proptest::test_runner::{Config, TestRunner};
    use std::cell::Cell;
    for (name, ..) in TABLE {
        let Some(file) = real_tokenizer(name) else { return };
        let (lossless, all) = (Cell::new(0), Cell::new(0));
        let mut runner = TestRunner::new_with_rng(
            Config { cases: 200, failure_persistence: None, ..Config::default() },
            proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
        );
        let outcome = runner.run(&any_text(), |text| {
            let ids = file.tokenizer.encode_fast(text.as_str(), false).unwrap().get_ids().to_vec();
            let decoded = file.tokenizer.decode(&ids, false).unwrap();
            all.set(all.get() + 1);
            let same = |t: &str| t == text || t.strip_prefix(' ') == Some(text.as_str());
            if let Some(bytes) = canonical(&file, &ids).filter(|_| same(&decoded)) {
                lossless.set(lossless.get() + 1);
                let spelt = String::from_utf8_lossy(&bytes).into_owned();
                proptest::prop_assert!(same(&spelt), "{name}: {text:?} is spelt {spelt:?}");
            }
            Ok(())
        });
        assert!(outcome.is_ok(), "{outcome:?}");
        let byte_level = file.summary().alphabet == "byte_level";
        assert!(!byte_level || lossless.get() * 2 > all.get(), "{name}: {} of {}", lossless.get(), all.get());
    }
}

/// Counts all of these texts in pieces and whole, with every real tokenizer.
fn all_of_the_text_is_counted_equally(part: &str) {
    use rayon::prelude::*;
    for language in ["tr", "en", "de", "fi"] {
        let Some(path) = real(&format!("text/{language}-{part}.txt")) else { return };
        let corpus = Corpus::open(&[path], &CorpusOptions::default()).unwrap();
        let documents = corpus.collect(None).unwrap();
        for pair in TABLE.chunks(2) {
            let files: Vec<TokenizerFile> = pair.iter().filter_map(|(name, ..)| real_tokenizer(name)).collect();
            let [source, candidate] = files.as_slice() else { return };
            let counts = counts::count(source, candidate, &corpus, &mut Silent).unwrap();
            for (file, counts) in [(source, counts.source), (candidate, counts.candidate)] {
                let whole = documents
                    .par_chunks(256)
                    .map(|part| counted_whole(file, part))
                    .reduce(SideCounts::default, counts::SideCounts::merged);
                println!("{language}-{part}: {} tokens of {}", counts.tokens, file.name);
                let same = without_trailing_zeros(counts) == without_trailing_zeros(whole);
                assert!(same, "{} counts otherwise in pieces on {language}-{part}", file.name);
            }
        }
    }
}

#[test]
#[ignore = "encodes 3 MB with 20 tokenizers, a minute: cargo test --lib all_of_the_held_out_text -- --ignored --nocapture"]
fn counting_in_pieces_equals_encoding_all_of_the_held_out_text_for_every_real_tokenizer() {
    all_of_the_text_is_counted_equally("eval");
}

#[test]
#[ignore = "encodes 50 MB with 20 tokenizers, many minutes: cargo test --lib all_of_the_training_text -- --ignored --nocapture"]
fn counting_in_pieces_equals_encoding_all_of_the_training_text_for_every_real_tokenizer() {
    all_of_the_text_is_counted_equally("train");
}
