//! The race of a safe branch (original tokenizer) and a candidate branch: who wins at the end, and whether one may be
//! given up on the way. Training the branches is not known here.

use super::course::forecast;
use super::rules::{Curve, Race, Review};
use crate::domain::directive::{Look, Pace, Referee, Standing};
use crate::domain::metric::EquivalentLoss;
use crate::domain::outcome::Side;
use crate::domain::reason::{LookReason, VerdictReason, WinReason};
use statrs::function::erf::erfc;
use std::cmp::Ordering;

/// Pairs up to which the signed-rank test is computed exactly (2^25 sign patterns, counted, not listed).
const EXACT: usize = 25;

/// Who wins, and why; nobody where both failed. The seed's rule on comparable losses (equivalent loss or bits per byte):
/// the candidate wins if both succeeded and its loss is at most `tolerance` x the safe branch's; otherwise the safe
/// branch; whichever succeeded if one failed. A loss that is not a finite number of at least 0 is a failure.
pub fn winner(tolerance: f64, safe: Option<f64>, candidate: Option<f64>) -> (Option<Side>, WinReason) {
    let succeeded = |loss: Option<f64>| loss.filter(|l| l.is_finite() && *l >= 0.0);
    match (succeeded(safe), succeeded(candidate)) {
        (Some(safe), Some(candidate)) => {
            let limit = tolerance * safe;
            if candidate <= limit {
                (Some(Side::Candidate), WinReason::Within { candidate, tolerance, safe })
            } else {
                (Some(Side::Source), WinReason::Above { candidate, limit, tolerance, safe })
            }
        }
        (Some(_), None) => (Some(Side::Source), WinReason::CandidateFailed),
        (None, Some(_)) => (Some(Side::Candidate), WinReason::SafeFailed),
        (None, None) => (None, WinReason::BothFailed),
    }
}

/// How a branch finished, as far as the choice of the model that comes out needs it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finish<'a> {
    /// Its name.
    pub name: &'a str,
    /// The tokenizer in use at its end.
    pub side: Side,
    /// On the held-out text; `None` if it failed.
    pub equivalent_loss: Option<EquivalentLoss>,
    /// Whether it is only a step on the way (sequential's foundation): it wins only if nothing else succeeded.
    pub intermediate: bool,
}

/// The branch whose model comes out, by index, and why; `None` if all failed. Of several branches on one side the one
/// with the least loss runs for that side.
pub fn choose(tolerance: f64, finishes: &[Finish]) -> (Option<usize>, VerdictReason) {
    let loss = |i: &usize| finishes.get(*i).and_then(|f| f.equivalent_loss).map(|l| l.get());
    let best = |side: Side, intermediate: bool| {
        let runs = |f: &Finish| f.side == side && f.intermediate == intermediate && f.equivalent_loss.is_some();
        let places = finishes.iter().enumerate().filter(|(_, f)| runs(f)).map(|(i, _)| i);
        places.min_by(|a, b| by_loss(loss(a), loss(b)))
    };
    let (safe, candidate) = (best(Side::Source, false), best(Side::Candidate, false));
    let name = |i: usize| finishes.get(i).map_or("?", |f| f.name).to_string();
    match (safe, candidate) {
        (Some(safe), Some(candidate)) => {
            let (side, reason) = winner(tolerance, loss(&safe), loss(&candidate));
            let won = if side == Some(Side::Candidate) { candidate } else { safe };
            (Some(won), VerdictReason::Race { winner: name(won), reason })
        }
        (Some(only), None) | (None, Some(only)) => {
            let failed = finishes.iter().filter(|f| f.equivalent_loss.is_none()).map(|f| f.name.to_string());
            (Some(only), VerdictReason::Trained { branch: name(only), failed: failed.collect() })
        }
        (None, None) => match best(Side::Source, true).or_else(|| best(Side::Candidate, true)) {
            Some(step) => (Some(step), VerdictReason::OnlyStep { branch: name(step) }),
            None => (None, VerdictReason::NoModel),
        },
    }
}

/// Looks at a race; `chance_of_loser` is the chance, by extrapolation, that the branch now behind wins in the end, `None`
/// where the curve is too short. The branches are compared as the winner's rule will compare them: the candidate against
/// `tolerance` x the safe branch, document by document.
pub fn look(rules: &Race, standing: &Standing, chance_of_loser: Option<f64>) -> Look {
    let on = |p: Option<f64>, because: LookReason| Look { give_up: None, p, because };
    let Some(due) = rules.looks.get(standing.looks_taken) else { return on(None, LookReason::NoneLeft) };
    if standing.share < *due {
        return on(None, LookReason::NotDue { share: *due });
    }
    if !standing.warmed_up {
        return on(None, LookReason::WarmingUp);
    }
    let (safe, candidate) = (&standing.safe.documents, &standing.candidate.documents);
    let pairs = safe.iter().zip(candidate).filter(|(s, c)| s.is_finite() && c.is_finite());
    let differences: Vec<f64> = pairs.map(|(s, c)| c - rules.tolerance * s).collect();
    let Some(test) = signed_rank(&differences) else { return on(None, LookReason::NoDifference) };
    let loser = if test.statistic > 0.0 { Side::Candidate } else { Side::Source };
    let p = test.p;
    if p >= rules.p {
        return on(Some(p), LookReason::NotSignificant { p, documents: differences.len() as u64, level: rules.p });
    }
    match chance_of_loser {
        None => on(Some(p), LookReason::TooShort { loser, p }),
        Some(chance) if chance > rules.least_chance => on(Some(p), LookReason::MayWin { loser, p, chance }),
        Some(chance) => Look { give_up: Some(loser), p: Some(p), because: LookReason::Lost { loser, p, chance } },
    }
}

/// Looks at a race by the rules.
#[derive(Debug, Clone)]
pub struct RuleReferee {
    race: Race,
    curve: Curve,
    seed: u64,
}

impl RuleReferee {
    /// By these rules; `seed` is that of the extrapolation's bootstrap.
    pub fn new(rules: &Review, seed: u64) -> Self {
        Self { race: rules.race.clone(), curve: rules.curve.clone(), seed }
    }

    /// The chance that the branch now behind wins in the end, as the winner's rule will see it.
    fn chance_of_loser(&self, standing: &Standing) -> Option<f64> {
        let at_end = |p: &Pace| forecast(&self.curve, &p.course, p.held_out, p.end, self.seed);
        let (safe, candidate) = (at_end(&standing.safe)?, at_end(&standing.candidate)?);
        let limit = |safe: f64| self.race.tolerance * safe;
        let candidate_behind = standing.candidate.held_out > limit(standing.safe.held_out);
        // Every sample of the one against every sample of the other: the two curves err apart from each other.
        let wins: usize = safe.samples.iter().map(|s| candidate.samples.partition_point(|c| *c <= limit(*s))).sum();
        let all = (safe.samples.len() * candidate.samples.len()).max(1);
        let chance = wins as f64 / all as f64;
        Some(if candidate_behind { chance } else { 1.0 - chance })
    }
}

impl Referee for RuleReferee {
    fn looks(&self) -> Vec<f64> {
        self.race.looks.clone()
    }

    fn look(&mut self, standing: &Standing) -> Look {
        look(&self.race, standing, self.chance_of_loser(standing))
    }
}

/// Whether a switch pays: the gain must exceed its cost by more than one standard deviation (all in bits per byte).
pub fn switch_pays(gain: f64, sigma: f64, cost: f64) -> bool {
    gain.is_finite() && sigma.is_finite() && cost.is_finite() && gain > cost + sigma
}

/// Wilcoxon's signed-rank test of paired differences.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SignedRank {
    /// Rank sum of positive differences less that of negative ones.
    pub statistic: f64,
    /// Two-sided p.
    pub p: f64,
}

/// Wilcoxon's signed-rank test: zero differences are dropped, equal ones share their ranks; exact for up to 25 pairs
/// without ties, else the normal approximation with correction for ties and continuity. `None` without a difference.
pub fn signed_rank(differences: &[f64]) -> Option<SignedRank> {
    let mut sorted: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0 && d.is_finite()).collect();
    sorted.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let n = sorted.len();
    if n == 0 {
        return None;
    }
    let (mut positive, mut ties, mut rank) = (0.0, 0.0, 0.0);
    for group in sorted.chunk_by(|a, b| a.abs() == b.abs()) {
        let size = group.len() as f64;
        let shared = rank + (size + 1.0) / 2.0;
        positive += group.iter().filter(|d| **d > 0.0).count() as f64 * shared;
        ties += size * size * size - size;
        rank += size;
    }
    let total = rank * (rank + 1.0) / 2.0;
    let smaller = positive.min(total - positive);
    let p = if n <= EXACT && ties == 0.0 { exact(n, smaller as usize) } else { approximate(rank, smaller, ties) };
    Some(SignedRank { statistic: 2.0 * positive - total, p: p.min(1.0) })
}

/// Twice the share of sign patterns whose smaller rank sum is at most `sum`.
fn exact(n: usize, sum: usize) -> f64 {
    let most = n * (n + 1) / 2;
    let mut ways = vec![0.0f64; most + 1];
    if let Some(none) = ways.first_mut() {
        *none = 1.0;
    }
    for rank in 1..=n {
        for at in (rank..=most).rev() {
            let more = ways.get(at - rank).copied().unwrap_or(0.0);
            if let Some(slot) = ways.get_mut(at) {
                *slot += more;
            }
        }
    }
    2.0 * ways.iter().take(sum + 1).sum::<f64>() / 2f64.powi(n as i32)
}

/// The normal approximation of the same, with the correction for ties (sum of t^3 - t) and for continuity.
fn approximate(n: f64, sum: f64, ties: f64) -> f64 {
    let variance = n * (n + 1.0) * (2.0 * n + 1.0) / 24.0 - ties / 48.0;
    let away = (n * (n + 1.0) / 4.0 - sum - 0.5).max(0.0);
    if variance > 0.0 { erfc(away / variance.sqrt() / std::f64::consts::SQRT_2) } else { 1.0 }
}

/// Ascending order of losses with failures last; for lists of branches.
pub fn by_loss(a: Option<f64>, b: Option<f64>) -> Ordering {
    let key = |loss: Option<f64>| loss.filter(|l| l.is_finite()).unwrap_or(f64::INFINITY);
    key(a).total_cmp(&key(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::RuleBook;

    fn rules() -> Race {
        RuleBook::embedded().unwrap().review().race.clone()
    }

    #[test]
    fn the_winner_rule_holds_at_every_edge() {
        let (safe_wins, candidate_wins, nobody) = (Some(Side::Source), Some(Side::Candidate), None);
        for (comment, safe, candidate, expected) in [
            ("better wins", Some(2.0), Some(1.9), candidate_wins),
            ("equal goes to the candidate", Some(2.0), Some(2.0), candidate_wins),
            ("within the tolerance too", Some(2.0), Some(2.39), candidate_wins),
            ("exactly 20% more still wins", Some(2.0), Some(2.4), candidate_wins),
            ("a hair above does not", Some(2.0), Some(2.4000001), safe_wins),
            ("far above does not", Some(2.0), Some(9.0), safe_wins),
            ("a perfect safe branch is beaten by nothing but perfection", Some(0.0), Some(0.0), candidate_wins),
            ("and by nothing else", Some(0.0), Some(1e-300), safe_wins),
            ("the candidate failed", Some(9.0), None, safe_wins),
            ("the safe branch failed", None, Some(9.0), candidate_wins),
            ("both failed", None, None, nobody),
            ("a loss that is no number is a failure", Some(f64::NAN), Some(9.0), candidate_wins),
            ("an infinite loss is a failure", Some(9.0), Some(f64::INFINITY), safe_wins),
            ("two infinite losses are two failures", Some(f64::INFINITY), Some(f64::INFINITY), nobody),
            ("a negative loss is a failure", Some(2.0), Some(-1.0), safe_wins),
        ] {
            let (side, reason) = winner(rules().tolerance, safe, candidate);
            assert_eq!(side, expected, "{comment}: {reason}");
        }
    }

    #[test]
    fn of_all_branches_the_right_model_comes_out() {
        let finish = |name, side, loss: Option<f64>, intermediate| Finish {
            name,
            side,
            equivalent_loss: loss.map(|l| EquivalentLoss::new(l).unwrap()),
            intermediate,
        };
        let (s, c) = (Side::Source, Side::Candidate);
        for (comment, finishes, expected) in [
            ("one branch", vec![finish("direct", c, Some(9.0), false)], Some(0)),
            (
                "a race within the tolerance",
                vec![finish("a", s, Some(2.0), false), finish("b", c, Some(2.3), false)],
                Some(1),
            ),
            ("a race beyond it", vec![finish("a", s, Some(2.0), false), finish("b", c, Some(2.5), false)], Some(0)),
            ("a failed branch", vec![finish("a", s, None, false), finish("b", c, Some(9.0), false)], Some(1)),
            (
                "the foundation is no rival",
                vec![finish("f", s, Some(1.0), true), finish("d", c, Some(9.0), false)],
                Some(1),
            ),
            (
                "but it is kept when the rest failed",
                vec![finish("f", s, Some(1.0), true), finish("d", c, None, false)],
                Some(0),
            ),
            (
                "the better of two on a side",
                vec![finish("x", s, Some(3.0), false), finish("y", s, Some(2.0), false)],
                Some(1),
            ),
            ("all failed", vec![finish("a", s, None, false), finish("b", c, None, false)], None),
            ("nothing at all", vec![], None),
        ] {
            let (winner, because) = choose(rules().tolerance, &finishes);
            assert_eq!(winner, expected, "{comment}: {because}");
        }
    }

    #[test]
    fn the_signed_rank_test_gives_the_textbook_values() {
        // Exact: of the 2^n sign patterns, counted by hand: n = 5 all positive 2/32; n = 6 all positive 2/64;
        // n = 10 with only the smallest rank negative: rank sum 1, patterns {}, {1}: 2 x 2/1024.
        let p = |d: &[f64]| signed_rank(d).unwrap().p;
        assert_eq!(p(&[1.0, 2.0, 3.0, 4.0, 5.0]), 2.0 / 32.0);
        assert_eq!(p(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), 2.0 / 64.0);
        let one_negative: Vec<f64> = (1..=10).map(|i| if i == 1 { -1.0 } else { i as f64 }).collect();
        assert_eq!(p(&one_negative), 4.0 / 1024.0);
        assert_eq!(p(&[1.0, -2.0]), 1.0);
        assert_eq!(signed_rank(&[0.0, 0.0]), None);
        assert!(signed_rank(&[-3.0, -2.0, 1.0]).unwrap().statistic < 0.0);
    }

    #[test]
    fn the_normal_approximation_meets_the_exact_test_where_it_takes_over() {
        // Reference: the exact count at n = 25, over the rank sums up to p = 0.1, where looks are decided; tolerance:
        // the normal curve is off in the third decimal at this size, 0.003 holds it.
        for sum in 40..=100 {
            let (exact, normal) = (exact(25, sum).min(1.0), approximate(25.0, sum as f64, 0.0));
            assert!((exact - normal).abs() < 0.003, "{sum}: {exact} against {normal}");
        }
    }

    #[test]
    fn ties_and_many_pairs_use_the_approximation() {
        let tied = signed_rank(&[1.0; 12]).unwrap();
        assert!(tied.p < 0.001 && tied.p > 0.0);
        let balanced: Vec<f64> = (1..=100).map(|i| if i % 2 == 0 { i as f64 } else { -(i as f64) - 0.5 }).collect();
        assert!(signed_rank(&balanced).unwrap().p > 0.5);
    }

    fn standing(safe: &[f64], candidate: &[f64]) -> Standing {
        let pace = |documents: &[f64]| Pace { documents: documents.to_vec(), ..Pace::default() };
        Standing { share: 0.125, looks_taken: 0, safe: pace(safe), candidate: pace(candidate), warmed_up: true }
    }

    #[test]
    fn a_branch_is_given_up_only_when_everything_speaks_against_it() {
        let safe: Vec<f64> = (0..12).map(|i| 1.0 + i as f64 / 50.0).collect();
        let worse: Vec<f64> = safe.iter().enumerate().map(|(i, s)| s * 1.5 + i as f64 / 1000.0).collect();
        let better: Vec<f64> = safe.iter().enumerate().map(|(i, s)| s * 0.8 - i as f64 / 1000.0).collect();
        let tolerated: Vec<f64> =
            safe.iter().enumerate().map(|(i, s)| s * if i % 2 == 0 { 1.19 } else { 1.21 }).collect();
        let base = |candidate| standing(&safe, candidate);
        let little = Some(0.1);
        for (comment, standing, chance, expected) in [
            ("clearly worse and without hope", base(&worse), little, Some(Side::Candidate)),
            ("clearly better: the safe branch may go", base(&better), little, Some(Side::Source)),
            ("about 20% worse is what the tolerance allows", base(&tolerated), little, None),
            ("not yet due", Standing { share: 0.12, ..base(&worse) }, little, None),
            ("the second look is due later", Standing { looks_taken: 1, share: 0.2, ..base(&worse) }, little, None),
            ("no look is left", Standing { looks_taken: 4, share: 0.9, ..base(&worse) }, little, None),
            ("still warming up", Standing { warmed_up: false, ..base(&worse) }, little, None),
            ("a chance of 0.2 is not more than 0.2", base(&worse), Some(0.2), Some(Side::Candidate)),
            ("a chance above 0.2 keeps it", base(&worse), Some(0.21), None),
            ("no extrapolation keeps it", base(&worse), None, None),
            ("no documents", standing(&[], &[]), little, None),
            ("documents that are no numbers do not count", standing(&[f64::NAN], &[1.0]), little, None),
        ] {
            let look = look(&rules(), &standing, chance);
            assert_eq!(look.give_up, expected, "{comment}: {}", look.because);
        }
    }

    #[test]
    fn the_referee_gives_up_a_branch_that_is_behind_for_good_and_spares_one_that_is_catching_up() {
        let course = |limit: f64, amplitude: f64| -> Vec<(f64, f64)> {
            let at = |i: i32| limit + amplitude * f64::from(i).powf(-0.5) + f64::from(i % 3 - 1) / 200.0;
            (1..=100).map(|i| (f64::from(i) * 10.0, at(i))).collect()
        };
        let pace = |limit: f64, amplitude: f64| {
            let held_out = limit + amplitude * 0.1;
            let documents = (0..12).map(|d| held_out + f64::from(d) / 100.0).collect();
            Pace { documents, held_out, course: course(limit, amplitude), end: 4000.0 }
        };
        let mut referee = RuleReferee::new(RuleBook::embedded().unwrap().review(), 1);
        let mut given_up = |candidate: Pace| {
            let standing = Standing { share: 0.25, looks_taken: 1, warmed_up: true, safe: pace(1.0, 2.0), candidate };
            referee.look(&standing).give_up
        };
        // Safe: 1.2 now, 1.1 at the end; the candidate may have 1.32 then.
        assert_eq!(given_up(pace(2.0, 2.0)), Some(Side::Candidate), "2.2 now, 2.1 at the end");
        assert_eq!(given_up(pace(0.4, 12.0)), None, "1.6 now, 1.0 at the end");
        assert_eq!(given_up(pace(0.5, 1.0)), Some(Side::Source), "0.6 now, 0.55 at the end");
    }

    #[test]
    fn a_switch_must_pay_for_itself_and_its_doubt() {
        assert!(switch_pays(0.31, 0.1, 0.2));
        assert!(!switch_pays(0.29, 0.1, 0.2));
        assert!(!switch_pays(f64::NAN, 0.1, 0.2));
    }

    #[test]
    fn failures_come_last() {
        assert_eq!(by_loss(Some(1.0), Some(f64::NAN)), Ordering::Less);
        assert_eq!(by_loss(None, Some(2.0)), Ordering::Greater);
    }
}
