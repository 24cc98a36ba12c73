//! A complete run for tests: small, valid, every part filled in. Not part of the program.

use super::decision::{Action, Alternative, Decision, ScorerNote};
use super::metric::{
    BitsPerByte, BytesPerToken, Coverage, EquivalentLoss, Fertility, Pair, Share, Similarity, TokenRatio,
};
use super::outcome::{Branch, Evaluation, Outcome, Status, Vocab};
use super::profile::{Basis, CorpusSummary, CoverageMetrics, ModelSummary, Profile, SimilarityScore, TokenizerSummary};
use super::reason::{Because, Warnings};
use super::resources::{Priority, Resources};
use super::run::{Request, Run};
use super::strategy::Strategy;
use strum::IntoEnumIterator;

fn pair<T>(source: T, candidate: T) -> Option<Pair<T>> {
    Some(Pair { source, candidate })
}

fn tokenizer(name: &str, tokens: u64) -> TokenizerSummary {
    TokenizerSummary {
        name: name.into(),
        sha256: format!("sha256-of-{name}"),
        model: "bpe".into(),
        alphabet: "byte_level".into(),
        byte_fallback: false,
        tokens,
        special_tokens: 2,
        rows: tokens,
    }
}

/// A profile of two small tokenizers on a text.
pub fn profile() -> Profile {
    let share = |v| Share::new(v).unwrap();
    let fertility = |v| Fertility::new(v).unwrap();
    Profile {
        source: tokenizer("source", 512),
        candidate: tokenizer("candidate", 384),
        corpus: Some(CorpusSummary {
            files: vec!["text.txt".into()],
            sha256: "sha256-of-text".into(),
            bytes: 1_000,
            lines: 10,
            words: 150,
            tokens: Pair { source: 390, candidate: 240 },
        }),
        coverage: CoverageMetrics {
            vocabulary: Coverage::new(0.25).unwrap(),
            vocabulary_naive: Coverage::new(0.125).unwrap(),
            corpus: Some(Coverage::new(0.5).unwrap()),
        },
        matches: Vec::new(),
        fertility: pair(fertility(2.6), fertility(1.6)),
        bytes_per_token: pair(BytesPerToken::new(2.5).unwrap(), BytesPerToken::new(4.0).unwrap()),
        token_ratio: Some(TokenRatio::new(0.625).unwrap()),
        round_trip: pair(share(1.0), share(0.98)),
        unknown_rate: pair(share(0.0), share(0.01)),
        unknown_bytes: pair(share(0.0), share(0.01)),
        similarity: SimilarityScore { score: Similarity::new(0.4).unwrap(), basis: Basis::Surface, all: Vec::new() },
        model: Some(ModelSummary {
            name: "base".into(),
            family: "llama".into(),
            parameters: 260_000,
            embedding_rows: 512,
            hidden: 64,
            tied: true,
        }),
        warnings: Warnings::default(),
        details: None,
    }
}

/// An evaluation at these bits per byte.
pub fn evaluation(bits_per_byte: f64) -> Evaluation {
    let nats = bits_per_byte * std::f64::consts::LN_2 * 1_000.0;
    Evaluation {
        bits_per_byte: BitsPerByte::new(bits_per_byte).unwrap(),
        equivalent_loss: EquivalentLoss::new(nats / 390.0).unwrap(),
        loss_per_token: nats / 240.0,
        nats,
        tokens: 240,
        source_tokens: 390,
        bytes: 1_000,
        documents: 10,
        unknown_bytes: Share::new(0.01).unwrap(),
    }
}

/// A branch that ended as planned at these bits per byte.
pub fn branch(strategy: Strategy, bits_per_byte: f64) -> Branch {
    Branch {
        name: strategy.to_string(),
        strategy,
        tokenizer: if strategy == Strategy::Keep { Vocab::Source } else { Vocab::Candidate },
        status: Status::Done,
        before: Some(evaluation(bits_per_byte + 1.0)),
        after: Some(evaluation(bits_per_byte)),
        curve: Vec::new(),
        incidents: Vec::new(),
        seconds: 60.0,
        tokens_seen: 10_000,
        bytes_seen: 25_000,
        trainable_parameters: 4_096,
        folder: Some(strategy.to_string()),
        failure: None,
    }
}

/// A decision for a strategy; the rules expect 0.1 bits per byte of it and 0 of every other.
pub fn decision(strategy: Strategy) -> Decision {
    let alternative = |s: Strategy| {
        let prior = if s == strategy && s != Strategy::Keep { 0.1 } else { 0.0 };
        Alternative {
            strategy: s,
            prior,
            spread: Some(0.1),
            learned: 0.0,
            utility: prior,
            interval: None,
            cost: None,
            level: None,
            vetoes: Vec::new(),
            rejected: Because::NOTHING,
            path: Vec::new(),
        }
    };
    Decision {
        strategy,
        confidence: Share::new(0.75).unwrap(),
        action: Action::ExecuteWatched,
        because: Because::Said("it is an example".into()),
        resources: Resources { devices: 1, memory: None, budget: None, priority: Priority::Balanced },
        inputs: vec![("coverage_vocabulary".into(), "0.25".into())],
        matched_rows: Vec::new(),
        matrix: None,
        near_rows: Vec::new(),
        alternatives: Strategy::iter().map(alternative).collect(),
        flips: Vec::new(),
        alike: Vec::new(),
        rules_sha256: "sha256-of-rules".into(),
        scorer: ScorerNote {
            id: None,
            evidence: 0,
            changed_the_decision: false,
            note: Because::Said("none yet".into()),
        },
    }
}

/// A finished run that chose `direct` and saved 0.2 bits per byte against `keep`.
pub fn run(id: &str) -> Run {
    Run {
        id: id.into(),
        started: "2026-01-02T03:04:05Z".into(),
        ended: Some("2026-01-02T03:14:05Z".into()),
        status: Some(Status::Done),
        version: "0.1.0".into(),
        request: Request {
            model: "base".into(),
            model_sha256: "sha256-of-base".into(),
            candidate: "candidate".into(),
            train: vec!["train.txt".into()],
            train_bytes: 25_000,
            eval: vec!["eval.txt".into()],
            eval_sha256: "sha256-of-eval".into(),
            forced: None,
            out: "out".into(),
            seed: 1,
            device: "cpu".into(),
        },
        profile: profile(),
        decision: decision(Strategy::Direct),
        outcome: Some(Outcome {
            strategy: Strategy::Direct,
            status: Status::Done,
            base: Some(evaluation(4.0)),
            bits_per_byte: Some(BitsPerByte::new(2.0).unwrap()),
            equivalent_loss: Some(EquivalentLoss::new(3.5).unwrap()),
            level: None,
            saved_against_keep: Some(0.2),
            winner: Some("direct".into()),
            verdict: Because::Said("it saved 0.2 bits per byte".into()),
            branches: vec![branch(Strategy::Keep, 2.2), branch(Strategy::Direct, 2.0)],
            incidents: Vec::new(),
            seconds: 120.0,
            energy_joules: None,
        }),
        feedback: Vec::new(),
    }
}
