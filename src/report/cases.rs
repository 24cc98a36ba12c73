//! What are the reports tested on? One tokenizer pair with the size of a real case, a decision about it, and runs that
//! went well, went wrong, and were interrupted. Only tests use it.

use super::Background;
use crate::domain::decision::{
    Action, AlikeRun, Alternative, Decision, DecisionLog, DecisionMatrix, Flip, LoggedDecision, MatchedRow, MatrixCell,
    NearRow, ScorerNote,
};
use crate::domain::directive::Directive;
use crate::domain::language::{Lang, Wording};
use crate::domain::metric::{
    BitsPerByte, BytesPerToken, Coverage, EquivalentLoss, Fertility, Pair, Share, Similarity, TokenRatio,
};
use crate::domain::outcome::{Branch, CurvePoint, Evaluation, Incident, IncidentKind, Level, Outcome, Status, Vocab};
use crate::domain::profile::{
    Basis, BasisScore, CorpusSummary, CoverageMetrics, Match, MatchCount, ModelSummary, Profile, SimilarityScore,
    TokenizerSummary,
};
use crate::domain::reason::{
    Because, DecisionReason, Rejection, ReviewReason, ScorerReason, Signal, SimilarityMethod, StepSignals,
    VerdictReason, Warning,
};
use crate::domain::resources::{Cost, Priority, Resources};
use crate::domain::run::{Feedback, Request, Run};
use crate::domain::strategy::{SeedExpectation, Strategy};
use crate::domain::tree::PathStep;
use std::collections::BTreeMap;
use std::sync::LazyLock;

fn share(value: f64) -> Share {
    Share::new(value).expect("in range")
}

fn coverage(value: f64) -> Coverage {
    Coverage::new(value).expect("in range")
}

pub(super) fn profile() -> Profile {
    let class = |class, types: u64, type_share, occurrences: u64, occurrence_share| MatchCount {
        class,
        types,
        type_share: share(type_share),
        occurrences: Some(occurrences),
        occurrence_share: Some(share(occurrence_share)),
    };
    Profile {
        source: TokenizerSummary {
            name: "tokenizers/qwen3/tokenizer.json".into(),
            sha256: "a".repeat(64),
            model: "bpe".into(),
            alphabet: "byte_level".into(),
            byte_fallback: false,
            tokens: 151_669,
            special_tokens: 26,
            rows: 151_669,
        },
        candidate: TokenizerSummary {
            name: "tokenizers/turkish_mixtral_v3_fixed/tokenizer.json".into(),
            sha256: "b".repeat(64),
            model: "bpe".into(),
            alphabet: "metaspace".into(),
            byte_fallback: false,
            tokens: 32_000,
            special_tokens: 3,
            rows: 32_000,
        },
        corpus: Some(CorpusSummary {
            files: vec!["text/tr-eval.txt".into()],
            sha256: "c".repeat(64),
            bytes: 3_001_123,
            lines: 9_214,
            words: 371_820,
            tokens: Pair { source: 961_527, candidate: 586_147 },
        }),
        coverage: CoverageMetrics {
            vocabulary: coverage(0.2134),
            vocabulary_naive: coverage(0.0803),
            corpus: Some(coverage(0.5506)),
        },
        matches: vec![
            class(Match::Special, 3, 0.0001, 0, 0.0),
            class(Match::Exact, 6_828, 0.2134, 322_732, 0.5506),
            class(Match::Space, 1_604, 0.0501, 35_755, 0.061),
            class(Match::Case, 902, 0.0282, 12_895, 0.022),
            class(Match::None, 22_663, 0.7082, 214_765, 0.3664),
        ],
        fertility: Some(Pair {
            source: Fertility::new(2.586).expect("in range"),
            candidate: Fertility::new(1.576).expect("in range"),
        }),
        bytes_per_token: Some(Pair {
            source: BytesPerToken::new(3.121).expect("in range"),
            candidate: BytesPerToken::new(5.12).expect("in range"),
        }),
        token_ratio: Some(TokenRatio::new(0.6096).expect("in range")),
        round_trip: Some(Pair { source: share(1.0), candidate: share(0.983) }),
        unknown_rate: Some(Pair { source: share(0.0), candidate: share(0.0004) }),
        unknown_bytes: Some(Pair { source: share(0.0), candidate: share(0.0002) }),
        similarity: SimilarityScore {
            score: Similarity::new(0.61).expect("in range"),
            basis: Basis::Surface,
            all: vec![BasisScore {
                basis: Basis::Surface,
                score: Similarity::new(0.61).expect("in range"),
                chance: Some(0.18),
                note: SimilarityMethod::Surface { by_occurrence: true }.into(),
            }],
        },
        model: Some(ModelSummary {
            name: "models/Qwen3-8B".into(),
            family: "qwen3".into(),
            parameters: 8_190_735_360,
            embedding_rows: 151_936,
            hidden: 4_096,
            tied: false,
        }),
        warnings: [Warning::NotRoundTrip { share: 0.017 }].into_iter().collect(),
        details: None,
    }
}

fn wording(english: &str, turkish: &str) -> Wording {
    Wording { text: english.into(), translated: [(Lang::Tr, turkish.into())].into() }
}

static SEED: LazyLock<BTreeMap<Strategy, SeedExpectation>> = LazyLock::new(|| {
    let expected = |success, loss, hours, complexity, (resources, turkish): (&str, &str)| SeedExpectation {
        success: Some(success),
        loss: Some(loss),
        hours,
        complexity: Some(complexity),
        resources: resources.into(),
        translated: [(Lang::Tr, turkish.into())].into(),
    };
    BTreeMap::from([
        (Strategy::Sequential, expected([0.75, 0.85], [2.0, 3.5], Some([15.0, 22.0]), 4, ("1 GPU", "1 GPU"))),
        (Strategy::Parallel, expected([0.8, 0.9], [1.5, 3.0], Some([12.0, 18.0]), 3, ("2 GPUs", "2 GPU"))),
        (Strategy::Structural, expected([0.3, 0.6], [2.0, 4.0], None, 5, ("custom", "özel"))),
        (Strategy::Adaptive, expected([0.85, 0.95], [1.5, 2.8], Some([10.0, 20.0]), 5, ("1 GPU", "1 GPU"))),
    ])
});

pub(super) fn background(runs: &[Run]) -> Background<'_> {
    Background { seed: &SEED, runs }
}

/// The seed's matrix, around a case of 0.55 and medium.
fn matrix() -> DecisionMatrix {
    let bands = ["low", "medium", "high"].map(String::from).to_vec();
    let strategies = [
        (0.0, 0.3, [Strategy::Keep; 3]),
        (0.3, 0.5, [Strategy::Parallel; 3]),
        (0.5, 0.7, [Strategy::Parallel, Strategy::Sequential, Strategy::Sequential]),
        (0.7, 1.0, [Strategy::Parallel, Strategy::Sequential, Strategy::Direct]),
    ];
    let cells = strategies.into_iter().flat_map(|(from, to, said)| {
        let of_band = |(band, strategy): (&String, Strategy)| MatrixCell { from, to, band: band.clone(), strategy };
        bands.iter().zip(said).map(of_band).collect::<Vec<_>>()
    });
    DecisionMatrix {
        input: "coverage_corpus".into(),
        value: 0.5506,
        band_input: "similarity_band".into(),
        band: "medium".into(),
        cells: cells.collect(),
        bands: bands.clone(),
    }
}

pub(super) fn decision() -> Decision {
    let row = |table: &str, row: &str, output: &str, because: Wording| MatchedRow {
        table: table.into(),
        row: row.into(),
        output: output.into(),
        because,
    };
    let less = |by| Rejection::Less { by, than: Strategy::Sequential }.into();
    let in_stages = wording(
        "enough is shared to carry the language over in stages",
        "dili aşama aşama taşımaya yetecek kadar ortak dağarcık var",
    );
    let cost = |hours: f64, gib: u64| Cost {
        seconds: hours * 3600.0,
        memory: gib << 30,
        disk: 18 << 30,
        flops: 4.1e18,
        tokens: 28_846_000,
    };
    let weighed = |strategy, prior, learned, cost| Alternative {
        strategy,
        prior,
        spread: Some(0.06),
        learned,
        utility: prior + learned,
        interval: None,
        cost,
        level: Some(Level::Good),
        vetoes: vec![],
        rejected: Because::NOTHING,
        path: vec![],
    };
    let mut chosen = weighed(Strategy::Sequential, 0.08, 0.021, Some(cost(16.2, 44)));
    chosen.interval = Some((-0.02, 0.19));
    chosen.path = vec![
        PathStep { feature: "coverage_corpus".into(), value: 0.5506, threshold: 0.412, below: false, count: 14 },
        PathStep { feature: "strategy=sequential".into(), value: 1.0, threshold: 0.5, below: false, count: 6 },
    ];
    let mut keep = weighed(Strategy::Keep, 0.0, 0.0, Some(cost(9.5, 31)));
    keep.rejected = less(0.101);
    let mut structural = weighed(Strategy::Structural, -0.1, 0.0, None);
    structural.level = None;
    structural.vetoes = vec![row(
        "vetoes",
        "structural-is-research",
        "veto",
        wording(
            "structural is experimental (success expected: 30-60%) and only taken when research is asked for",
            "structural deneyseldir (beklenen başarı %30-60), yalnızca araştırma istendiğinde seçilir",
        ),
    )];
    let mut direct = weighed(Strategy::Direct, -0.05, -0.01, Some(cost(14.0, 62)));
    direct.level = Some(Level::Minimum);
    direct.rejected = less(0.161);
    Decision {
        strategy: Strategy::Sequential,
        confidence: share(0.74),
        action: Action::ExecuteWatched,
        because: DecisionReason::Matrix { strategy: Strategy::Sequential, row: in_stages.clone() }.into(),
        resources: Resources {
            devices: 1,
            memory: Some(80 << 30),
            budget: Some(18.0 * 3600.0),
            priority: Priority::Balanced,
        },
        inputs: vec![("coverage_corpus".into(), "0.5506".into()), ("similarity_band".into(), "medium".into())],
        matched_rows: vec![
            row("decision", "half-medium", "sequential", in_stages),
            row(
                "expectations",
                "half-better",
                "keep +0 ± 0, sequential +0.05 ± 0.06",
                wording(
                    "half covered and expressible: going in stages pays most",
                    "yarısı kapsanıyor, kalanı anlatılabiliyor: en çok, aşama aşama gitmek kazandırır",
                ),
            ),
            row(
                "confidence",
                "fairly-sure",
                "execute_watched",
                wording(
                    "fairly sure: execute, and review twice as often",
                    "oldukça emin: uygulayın, iki kat sık gözden geçirin",
                ),
            ),
        ],
        matrix: Some(matrix()),
        near_rows: vec![NearRow {
            table: "decision".into(),
            row: "third-better".into(),
            output: "parallel".into(),
            input: "coverage_corpus".into(),
            value: "0.5506234187".into(),
            cell: "[0.30..0.50)".into(),
        }],
        alternatives: vec![chosen, keep, direct, structural],
        flips: vec![Flip {
            input: "coverage_corpus".into(),
            from: "0.5506234187".into(),
            to: "< 0.5".into(),
            strategy: Strategy::Parallel,
        }],
        alike: vec![AlikeRun {
            run: "20260103T101500-0a1b2c3d".into(),
            distance: 0.42,
            strategy: Strategy::Sequential,
            bits_per_byte: Some(1.104),
            saved_against_keep: Some(0.064),
        }],
        rules_sha256: "d".repeat(64),
        scorer: ScorerNote {
            id: Some("5f1c09aa2b7e-24".into()),
            evidence: 24,
            changed_the_decision: false,
            note: ScorerReason::Agrees { branches: 24 }.into(),
        },
    }
}

fn evaluation(bits: f64, source_tokens: u64, tokens: u64, unknown: f64) -> Evaluation {
    let bytes = 1_000_000;
    let nats = bits * std::f64::consts::LN_2 * bytes as f64;
    Evaluation {
        bits_per_byte: BitsPerByte::new(bits).expect("in range"),
        equivalent_loss: EquivalentLoss::new(nats / source_tokens as f64).expect("in range"),
        loss_per_token: nats / tokens as f64,
        nats,
        tokens,
        source_tokens,
        bytes,
        documents: 3_071,
        unknown_bytes: share(unknown),
    }
}

fn curve(from: f64, to: f64) -> Vec<CurvePoint> {
    (0..=12u32)
        .map(|i| {
            let bits = to + (from - to) * (-f64::from(i) / 3.0).exp();
            CurvePoint {
                step: u64::from(i) * 50,
                bytes_seen: u64::from(i) * 1_500_000,
                elapsed: f64::from(i) * 15.0,
                train_bits_per_byte: Some(bits * 0.98),
                eval_bits_per_byte: (i % 2 == 0).then_some(bits),
            }
        })
        .collect()
}

fn branch(name: &str, strategy: Strategy, tokenizer: Vocab, from: f64, to: f64) -> Branch {
    let (tokens, unknown) = if tokenizer == Vocab::Source { (320_000, 0.0) } else { (195_000, 0.0002) };
    Branch {
        name: name.into(),
        strategy,
        tokenizer,
        status: Status::Done,
        before: Some(evaluation(from, 320_000, tokens, unknown)),
        after: Some(evaluation(to, 320_000, tokens, unknown)),
        curve: curve(from, to),
        incidents: vec![],
        seconds: 187.4,
        tokens_seen: 3_840_000,
        bytes_seen: 18_000_000,
        trainable_parameters: 12_582_912,
        folder: Some(format!("branches/{name}")),
        failure: None,
    }
}

fn run(id: &str, decision: Decision, outcome: Option<Outcome>, status: Option<Status>) -> Run {
    Run {
        id: id.into(),
        started: "2026-01-05T09:00:00Z".into(),
        ended: status.map(|_| "2026-01-05T09:06:30Z".into()),
        status,
        version: "0.1.0".into(),
        request: Request {
            model: "models/Qwen3-8B".into(),
            model_sha256: "e".repeat(64),
            candidate: "tokenizers/turkish_mixtral_v3_fixed/tokenizer.json".into(),
            train: vec!["text/tr-train.txt".into()],
            train_bytes: 18_734_521,
            eval: vec!["text/tr-eval.txt".into()],
            eval_sha256: "f".repeat(64),
            out: "runs/first".into(),
            seed: 7,
            device: "cpu".into(),
            forced: None,
        },
        profile: profile(),
        decision,
        outcome,
        feedback: vec![],
    }
}

/// The candidate won against keep, after one spike.
pub(super) fn direct_run() -> Run {
    let mut decision = decision();
    decision.strategy = Strategy::Direct;
    decision.because = DecisionReason::Matrix {
        strategy: Strategy::Direct,
        row: wording("Nearly all of the text is covered.", "Metnin neredeyse tamamı kapsanıyor."),
    }
    .into();
    let mut direct = branch("direct", Strategy::Direct, Vocab::Candidate, 3.912, 1.087);
    let spike = Incident {
        step: 1_204,
        kind: IncidentKind::Spike,
        detail: "loss 1.2345, gradient norm 14.2000: spike".into(),
        measured: Some(StepSignals { loss: 1.2345, gradient_norm: 14.2 }),
        directive: Directive::Rewind {
            steps: 100,
            because: ReviewReason::Spike { signal: Signal::GradientNorm, value: 14.2, limit: 3.9, sigmas: 6.0 }.into(),
        },
    };
    direct.incidents.push(spike.clone());
    let keep = branch("keep", Strategy::Keep, Vocab::Source, 2.418, 1.149);
    let outcome = Outcome {
        strategy: Strategy::Direct,
        status: Status::Done,
        base: Some(evaluation(2.418, 320_000, 320_000, 0.0)),
        bits_per_byte: direct.after.as_ref().map(|e| e.bits_per_byte),
        equivalent_loss: direct.after.as_ref().map(|e| e.equivalent_loss),
        level: Some(Level::Good),
        saved_against_keep: Some(1.149 - 1.087),
        winner: Some("direct".into()),
        verdict: VerdictReason::Trained { branch: "direct".into(), failed: vec![] }.into(),
        branches: vec![direct, keep],
        incidents: vec![spike],
        seconds: 391.0,
        energy_joules: None,
    };
    let mut run = run("20260105T090000-1a2b3c4d", decision, Some(outcome), Some(Status::Done));
    run.feedback.push(Feedback {
        at: "2026-01-06T08:00:00Z".into(),
        verdict: Some(0.5),
        metric: Some(("tr-mmlu".into(), 0.4123)),
        note: Some("reads well".into()),
    });
    run
}

/// Nothing usable came out.
pub(super) fn failed_run() -> Run {
    let mut direct = branch("direct", Strategy::Direct, Vocab::Candidate, 3.912, 3.912);
    direct.status = Status::Failed;
    direct.after = None;
    direct.curve.truncate(1);
    direct.failure = Some("the loss was not finite in three steps running.".into());
    let outcome = Outcome {
        strategy: Strategy::Direct,
        status: Status::Failed,
        base: Some(evaluation(2.418, 320_000, 320_000, 0.0)),
        bits_per_byte: None,
        equivalent_loss: None,
        level: None,
        saved_against_keep: None,
        winner: None,
        verdict: VerdictReason::NoModel.into(),
        branches: vec![direct],
        incidents: vec![],
        seconds: 12.0,
        energy_joules: None,
    };
    run("20260105T100000-5e6f7a8b", decision(), Some(outcome), Some(Status::Failed))
}

/// Still going on.
pub(super) fn open_run() -> Run {
    run("20260105T110000-9c0d1e2f", decision(), None, None)
}

/// A decision that was carried out as decided.
pub(super) fn logged() -> LoggedDecision {
    LoggedDecision {
        id: "20260105T090000Z-1a2b3c4d".into(),
        at: "2026-01-05T09:00:00Z".into(),
        version: "0.1.0".into(),
        run: Some("20260105T090000-1a2b3c4d".into()),
        profile: profile(),
        train_bytes: Some(18_734_521),
        propensity: share(0.95),
        taken: None,
        decision: decision(),
    }
}

/// Logged decisions: one that led to a run, one that was advice, one whose run is elsewhere.
pub(super) fn log() -> DecisionLog {
    let advice = LoggedDecision { id: "20260104T120000Z-0badcafe".into(), run: None, ..logged() };
    let lost = LoggedDecision { id: "20260103T120000Z-00000007".into(), run: Some("elsewhere".into()), ..logged() };
    let decisions = vec![(logged(), Some(direct_run())), (advice, None), (lost, None)];
    DecisionLog { decisions, recommendations: Vec::new() }
}
