//! How long a decision takes with a history of 1,000 and of 1,000,000 runs. `cargo bench --bench decide` measures means
//! with criterion and prints the 99th percentile of 2,000 single decisions, which is what is promised: below 1 ms and
//! below 10 ms.

use criterion::{Criterion, criterion_group, criterion_main};
use hibrit::decide::{Case, Entry, Past, RuleBook, decide};
use hibrit::domain::feature::Feature;
use hibrit::domain::metric::{Coverage, Pair, Share, Similarity, TokenRatio};
use hibrit::domain::profile::{Basis, CoverageMetrics, Profile, SimilarityScore, TokenizerSummary};
use hibrit::domain::resources::{Cost, Costs, Priority, Resources};
use hibrit::domain::scorer::{Scorer, Situation};
use hibrit::domain::strategy::Strategy;
use hibrit::domain::tree::{Node, Split, Tree};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::hint::black_box;
use std::time::Instant;
use strum::IntoEnumIterator;

/// The program's.
#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn tokenizer() -> TokenizerSummary {
    TokenizerSummary {
        name: "bench".into(),
        sha256: "bench".into(),
        model: "bpe".into(),
        alphabet: "byte_level".into(),
        byte_fallback: true,
        tokens: 32_000,
        special_tokens: 3,
        rows: 32_000,
    }
}

fn profile(random: &mut ChaCha8Rng) -> Option<Profile> {
    let mut share = || random.random_range(0.0..1.0f64);
    let pair = |x: f64| Some(Pair { source: Share::new(x).ok()?, candidate: Share::new(x).ok()? });
    Some(Profile {
        source: tokenizer(),
        candidate: tokenizer(),
        corpus: None,
        coverage: CoverageMetrics {
            vocabulary: Coverage::new(share()).ok()?,
            vocabulary_naive: Coverage::new(share()).ok()?,
            corpus: Some(Coverage::new(share()).ok()?),
        },
        matches: Vec::new(),
        fertility: None,
        bytes_per_token: None,
        token_ratio: Some(TokenRatio::new(0.5 + share()).ok()?),
        round_trip: pair(0.9 + share() / 10.0),
        unknown_rate: None,
        unknown_bytes: pair(share() / 100.0),
        similarity: SimilarityScore { score: Similarity::new(share()).ok()?, basis: Basis::Surface, all: Vec::new() },
        model: None,
        warnings: Default::default(),
        details: None,
    })
}

/// A history without structure: the worst case for the search for alike runs.
fn history(count: usize, random: &mut ChaCha8Rng) -> Past {
    let entry = |i: usize| Entry {
        run: format!("run-{i:07}"),
        situation: Situation(std::array::from_fn(|_| {
            let x: f64 = random.random_range(0.0..1.0);
            if x < 0.05 { f64::NAN } else { x }
        })),
        strategy: Strategy::Keep,
        bits_per_byte: Some(1.0),
        saved_against_keep: None,
    };
    Past::new((0..count).map(entry).collect())
}

/// A full tree of depth 4 over situation and strategy.
fn scorer(random: &mut ChaCha8Rng) -> Scorer {
    let features = Situation::columns();
    let node = |i: usize, random: &mut ChaCha8Rng| {
        let split = (i < 15).then(|| Split {
            feature: random.random_range(0..features.len()),
            threshold: random.random_range(0.0..1.0),
            left: 2 * i + 1,
            right: 2 * i + 2,
        });
        Node { value: random.random_range(-0.1..0.1), count: 300 >> (i + 1).ilog2(), split }
    };
    let nodes = (0..31).map(|i| node(i, random)).collect();
    Scorer {
        id: "bench".into(),
        grown_from: "bench".into(),
        evidence: 300,
        groups: 60,
        lambda: Some(30.0),
        offset: 0.0,
        tree: Tree { features: features.clone(), nodes },
        residuals: (0..300).map(|i| f64::from(i) / 2000.0).collect(),
        closed_gap: None,
    }
}

fn bench(c: &mut Criterion) {
    let random = &mut ChaCha8Rng::seed_from_u64(1);
    let Ok(rules) = RuleBook::embedded() else { return };
    let executable: Vec<Strategy> = Strategy::iter().collect();
    let resources =
        Resources { devices: 1, memory: Some(24 << 30), budget: Some(36_000.0), priority: Priority::Balanced };
    let cost = Cost { seconds: 30_000.0, memory: 20 << 30, disk: 1 << 30, flops: 1e15, tokens: 1_000_000 };
    let costs: Costs = executable.iter().map(|s| (*s, cost)).collect();
    let scorer = scorer(random);
    assert_eq!(Feature::SITUATION.len() + executable.len(), scorer.tree.features.len());
    let profiles: Vec<Profile> = (0..2000).filter_map(|_| profile(random)).collect();
    for count in [1_000, 1_000_000] {
        let past = history(count, random);
        let one = |profile: &Profile| {
            let case = Case {
                profile,
                resources: &resources,
                costs: Some(&costs),
                executable: &executable,
                past: &past,
                scorer: Some(&scorer),
                train_bytes: Some(5_000_000),
            };
            black_box(decide(&rules, &case).is_ok())
        };
        let mut seconds: Vec<f64> = Vec::with_capacity(profiles.len());
        for profile in &profiles {
            let begun = Instant::now();
            one(profile);
            seconds.push(begun.elapsed().as_secs_f64());
        }
        seconds.sort_by(f64::total_cmp);
        let at = |q: f64| seconds.get((q * (seconds.len() - 1) as f64) as usize).copied().unwrap_or(f64::NAN) * 1e3;
        println!(
            "decide with {count} past runs: median {:.3} ms, p99 {:.3} ms, max {:.3} ms",
            at(0.5),
            at(0.99),
            at(1.0)
        );
        let mut next = profiles.iter().cycle();
        c.bench_function(&format!("decide, {count} past runs"), |b| b.iter(|| next.next().map(one)));
    }
}

criterion_group! {
    name = decide_benches;
    config = Criterion::default().sample_size(20);
    targets = bench
}
criterion_main!(decide_benches);
