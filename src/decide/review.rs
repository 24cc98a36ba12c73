//! What to do about a run, step by step, while it trains: skip, rewind, switch, fall back, stop. Training and
//! checkpoints are not known here; thresholds are the rules' (`review.toml`).
//!
//! A step is skipped when its loss or gradient is not a number, when either leaps above the last steps, or when the
//! gradient explodes. Too many skips, or a smoothed loss that leaves its best, are an incident. The first incident
//! rewinds and lowers the learning rate, the next switches strategy, the last falls back (spec section 6).

use super::course::forecast;
use super::memory::Memory;
use super::race::switch_pays;
use super::rules::{Review, RuleBook};
use crate::domain::directive::{Directive, Measurement, Reviewer};
use crate::domain::outcome::CurvePoint;
use crate::domain::reason::{Because, ReviewReason, Signal};
use crate::domain::strategy::Strategy;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What the reviewer has to know about the run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReviewPlan {
    /// Where to go when the strategy is given up; falls back at once where there is nowhere.
    pub switch_to: Option<Strategy>,
    /// Whether the decision was not sure: patience is halved, so that trouble is seen twice as soon.
    pub watched: bool,
    /// Bits per byte that can be had without this branch. At every evaluation the branch is given up if its curve will
    /// hardly get there, and going elsewhere pays.
    pub incumbent: Option<f64>,
    /// Seed of the extrapolation's bootstrap.
    pub seed: u64,
}

/// What survives a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReviewState {
    /// Incidents so far.
    pub incidents: u64,
    /// Switches so far.
    pub switches: u64,
}

/// Reviews a run by the rules.
#[derive(Debug, Clone)]
pub struct RuleReviewer {
    rules: Review,
    plan: ReviewPlan,
    seen: Memory,
}

impl RuleReviewer {
    /// For a new run of which nothing in particular is known.
    pub fn new(rules: &RuleBook) -> Self {
        Self::with(rules.review(), ReviewPlan::default(), ReviewState::default())
    }

    /// For a run with a plan; `state` from before a restart, or the default.
    pub fn with(rules: &Review, plan: ReviewPlan, state: ReviewState) -> Self {
        Self { rules: rules.clone(), plan, seen: Memory::new(state, rules.spike.window) }
    }

    /// Why the branch will not get to what can be had without it, if so.
    fn unpromising(&self, held_out: f64) -> Option<ReviewReason> {
        let (incumbent, m) = (self.plan.incumbent?, self.seen.last.as_ref()?);
        let end = m.bytes_seen as f64 * m.steps_planned as f64 / m.step.max(1) as f64;
        let forecast = forecast(&self.rules.curve, &self.seen.course, held_out, end, self.plan.seed)?;
        let expected = forecast.expected();
        // What was spent on this branch is the price of the next one: it has so much less to learn from.
        let spent = m.step as f64 / m.steps_planned.max(1) as f64;
        if spent < self.rules.curve.judge_from {
            return None;
        }
        let pays = switch_pays(expected - incumbent, forecast.noise, spent * self.rules.curve.switch_cost);
        let chance = forecast.chance_below(incumbent);
        (forecast.hopeless(&self.rules.curve, incumbent) && pays).then_some(ReviewReason::Unpromising {
            held_out,
            expected,
            incumbent,
            chance,
        })
    }

    /// What must survive a restart.
    pub fn state(&self) -> ReviewState {
        self.seen.state
    }

    /// Why this step must not be applied, if so.
    fn fault(&self, m: &Measurement) -> Option<ReviewReason> {
        if !m.loss.is_finite() || !m.gradient_norm.is_finite() {
            return Some(ReviewReason::NonFinite { loss: m.loss, gradient_norm: m.gradient_norm });
        }
        let explosion = &self.rules.explosion;
        let limit = explosion.norm.max(explosion.ratio * self.seen.norms.mean());
        if self.seen.norms.len() >= explosion.after && m.gradient_norm > limit {
            return Some(ReviewReason::Explosion { gradient_norm: m.gradient_norm, limit });
        }
        let spike = &self.rules.spike;
        if self.seen.losses.len() >= spike.after {
            for (signal, value, window) in
                [(Signal::Loss, m.loss, &self.seen.losses), (Signal::GradientNorm, m.gradient_norm, &self.seen.norms)]
            {
                let limit = window.mean() + spike.sigmas * window.deviation();
                if value > limit {
                    return Some(ReviewReason::Spike { signal, value, limit, sigmas: spike.sigmas });
                }
            }
        }
        None
    }

    /// Why the run is in trouble after a step that counts, if so.
    fn divergence(&mut self, m: &Measurement) -> Option<ReviewReason> {
        let rules = &self.rules.divergence;
        let patience = if self.plan.watched { rules.patience.div_ceil(2) } else { rules.patience };
        let warm = self.seen.losses.len() >= self.rules.spike.after;
        let smooth = self.seen.trend.add(m.loss, rules.ema, warm);
        if !warm {
            return None;
        }
        let best = self.seen.trend.best?;
        if best > 0.0 && smooth > rules.factor * best {
            return Some(ReviewReason::LeftBest { smooth, factor: rules.factor, best });
        }
        let limit = best + rules.sigmas * self.seen.trend.noise;
        self.seen.trend.above = if smooth > limit { self.seen.trend.above + 1 } else { 0 };
        let (sigmas, steps) = (rules.sigmas, patience);
        (self.seen.trend.above >= patience).then_some(ReviewReason::AboveBest { smooth, limit, sigmas, steps })
    }

    /// The next rung of the ladder.
    fn incident(&mut self, step: u64, reason: ReviewReason) -> Directive {
        self.seen.state.incidents += 1;
        self.seen.forget();
        let ladder = &self.rules.incident;
        let nth = self.seen.state.incidents;
        let incident =
            |stranded| Because::Known(ReviewReason::Incident { nth, stranded, reason: Box::new(reason.clone()) });
        if nth >= ladder.fall_back_at {
            return Directive::FallBack { because: incident(false) };
        }
        if nth >= ladder.switch_at {
            return match self.plan.switch_to.filter(|_| self.seen.state.switches < ladder.most_switches) {
                Some(to) => {
                    self.seen.state.switches += 1;
                    Directive::Switch { to, because: incident(false) }
                }
                None => Directive::FallBack { because: incident(true) },
            };
        }
        let factor = ladder.learning_rate_factor;
        self.seen.next = Some(Directive::Adjust { factor, because: ReviewReason::AfterIncident { step }.into() });
        Directive::Rewind { steps: ladder.rewind_steps, because: reason.into() }
    }
}

impl Reviewer for RuleReviewer {
    fn evaluated(&mut self, at: &CurvePoint, _: &[(f64, u64)]) {
        let under_way = self.seen.last.is_some_and(|m| at.step > 0 && at.step < m.steps_planned);
        if under_way
            && self.seen.next.is_none()
            && let Some(held_out) = at.eval_bits_per_byte
            && let Some(reason) = self.unpromising(held_out)
        {
            let because = reason.into();
            let to = self.plan.switch_to.filter(|_| self.seen.state.switches < self.rules.incident.most_switches);
            self.seen.next = Some(match to {
                Some(to) => {
                    self.seen.state.switches += 1;
                    Directive::Switch { to, because }
                }
                None => Directive::FallBack { because },
            });
        }
    }

    fn review(&mut self, m: &Measurement) -> Directive {
        self.seen.saw(m);
        // What cannot be applied at a step without numbers waits for the next one.
        if m.loss.is_finite()
            && m.gradient_norm.is_finite()
            && let Some(directive) = self.seen.next.take()
        {
            return directive;
        }
        if let Some(reason) = self.fault(m) {
            let window = self.rules.divergence.skip_window;
            self.seen.skipped.push_back(m.step);
            self.seen.skipped.retain(|s| s + window > m.step);
            let allowed =
                if self.plan.watched { self.rules.divergence.skips.div_ceil(2) } else { self.rules.divergence.skips };
            if self.seen.skipped.len() > allowed {
                let skipped = self.seen.skipped.len() as u64;
                return self.incident(m.step, ReviewReason::TooManySkips { skipped, window, last: Box::new(reason) });
            }
            return Directive::SkipBatch { because: reason.into() };
        }
        let trouble = self.divergence(m);
        self.seen.losses.add(m.loss);
        self.seen.norms.add(m.gradient_norm);
        match trouble {
            Some(reason) => self.incident(m.step, reason),
            None => Directive::Continue,
        }
    }

    fn save_state(&self) -> Value {
        serde_json::to_value(&self.seen).unwrap_or_default()
    }

    fn load_state(&mut self, state: &Value) -> Result<(), String> {
        self.seen = Memory::deserialize(state).map_err(|e| format!("the reviewer's memory is damaged: {e}"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: u64, loss: f64, norm: f64) -> Measurement {
        Measurement {
            step,
            steps_planned: 1000,
            bytes_seen: step * 1000,
            tokens_seen: step * 300,
            loss,
            bits_per_byte: loss / 3.0,
            gradient_norm: norm,
            learning_rate: 1e-4,
            tokens_per_second: 100.0,
            elapsed: step as f64,
            peak_memory: 0,
        }
    }

    fn reviewer(plan: ReviewPlan) -> RuleReviewer {
        RuleReviewer::with(RuleBook::embedded().unwrap().review(), plan, ReviewState::default())
    }

    fn word(directive: &Directive) -> &'static str {
        match directive {
            Directive::Continue => "continue",
            Directive::SkipBatch { .. } => "skip",
            Directive::Adjust { .. } => "adjust",
            Directive::Rewind { .. } => "rewind",
            Directive::StopEarly { .. } => "stop",
            Directive::Switch { .. } => "switch",
            Directive::FallBack { .. } => "fall back",
        }
    }

    /// A calm stretch of steps with a loss around 3 (a small, known ripple) and a norm around 1.
    fn calm(reviewer: &mut RuleReviewer, from: u64, steps: u64) {
        for s in from..from + steps {
            let ripple = if s % 2 == 0 { 0.01 } else { -0.01 };
            let directive = reviewer.review(&step(s, 3.0 + ripple, 1.0 + ripple));
            assert_eq!(directive, Directive::Continue, "step {s}");
        }
    }

    #[test]
    fn single_bad_steps_are_skipped_and_the_run_goes_on() {
        for (comment, warm, loss, norm, expected) in [
            ("a loss that is not a number is skipped from the first step on", 0, f64::NAN, 1.0, "skip"),
            ("so is an infinite gradient", 0, 3.0, f64::INFINITY, "skip"),
            ("a leap in the first steps is not judged: there is nothing to compare with", 10, 9.0, 9.0, "continue"),
            ("a large norm in the first steps is not an explosion: new embeddings start so", 10, 3.0, 50.0, "continue"),
            ("a norm above 10 after 16 calm steps is an explosion", 20, 3.0, 10.5, "skip"),
            ("a norm of 9 is not, before the window is warm", 20, 3.0, 9.0, "continue"),
            ("a loss 6 sigma above the last steps is a spike after 64", 70, 3.2, 1.0, "skip"),
            ("a norm 6 sigma above is one too", 70, 3.0, 1.2, "skip"),
            ("5 sigma is not", 70, 3.05, 1.0, "continue"),
        ] {
            let mut r = reviewer(ReviewPlan::default());
            calm(&mut r, 1, warm);
            assert_eq!(word(&r.review(&step(warm + 1, loss, norm))), expected, "{comment}");
            calm(&mut r, warm + 2, 3);
        }
    }

    #[test]
    fn a_model_that_always_lives_at_a_high_norm_is_not_skipped_to_death() {
        let mut r = reviewer(ReviewPlan::default());
        for s in 1..200 {
            let ripple = (s % 3) as f64;
            assert_eq!(r.review(&step(s, 3.0 + ripple / 100.0, 14.0 + ripple)), Directive::Continue, "step {s}");
        }
        // Twice its own mean is an explosion all the same.
        assert_eq!(word(&r.review(&step(200, 3.0, 40.0))), "skip");
    }

    #[test]
    fn the_ladder_goes_rewind_switch_fall_back() {
        let plan = ReviewPlan { switch_to: Some(Strategy::Keep), ..ReviewPlan::default() };
        let mut r = reviewer(plan);
        let mut seen = Vec::new();
        let mut at = 1;
        for _ in 0..3 {
            calm(&mut r, at, 80);
            at += 80;
            // Four skips within 64 steps are one more than the rules allow.
            for _ in 0..4 {
                seen.push(word(&r.review(&step(at, f64::NAN, 1.0))));
                at += 1;
            }
            if seen.last() == Some(&"rewind") {
                // The learning rate is halved with the first step after the rewind.
                let adjust = r.review(&step(at, 3.0, 1.0));
                assert!(matches!(adjust, Directive::Adjust { factor, .. } if factor == 0.5));
            }
        }
        let expected =
            ["skip", "skip", "skip", "rewind", "skip", "skip", "skip", "switch", "skip", "skip", "skip", "fall back"];
        assert_eq!(seen, expected);
        assert_eq!(r.state(), ReviewState { incidents: 3, switches: 1 });
    }

    #[test]
    fn counters_survive_a_restart() {
        let rules = RuleBook::embedded().unwrap();
        let state = ReviewState { incidents: 2, switches: 1 };
        let mut r = RuleReviewer::with(rules.review(), ReviewPlan::default(), state);
        let last = (1..=4).map(|s| r.review(&step(s, f64::NAN, 1.0))).last();
        assert_eq!(last.as_ref().map(word), Some("fall back"));
    }

    #[test]
    fn with_nowhere_to_switch_to_the_second_incident_falls_back() {
        let rules = RuleBook::embedded().unwrap();
        let state = ReviewState { incidents: 1, switches: 0 };
        let mut r = RuleReviewer::with(rules.review(), ReviewPlan::default(), state);
        let last = (1..=4).map(|s| r.review(&step(s, f64::NAN, 1.0))).last();
        assert_eq!(last.as_ref().map(word), Some("fall back"));
    }

    #[test]
    fn skips_far_apart_are_no_incident() {
        let mut r = reviewer(ReviewPlan::default());
        for block in 0..8 {
            calm(&mut r, block * 31 + 1, 30);
            assert_eq!(word(&r.review(&step(block * 31 + 31, f64::NAN, 1.0))), "skip");
        }
    }

    /// A loss that creeps up too slowly for a spike.
    fn creep(r: &mut RuleReviewer, per_step: f64) -> (u64, Directive) {
        calm(r, 1, 200);
        for s in 201..2000 {
            let ripple = if s % 2 == 0 { 0.01 } else { -0.01 };
            let directive = r.review(&step(s, 3.0 + (s - 200) as f64 * per_step + ripple, 1.0));
            if !matches!(directive, Directive::Continue) {
                return (s, directive);
            }
        }
        (2000, Directive::Continue)
    }

    #[test]
    fn a_creeping_loss_is_rewound_and_sooner_when_watched() {
        let (step, directive) = creep(&mut reviewer(ReviewPlan::default()), 0.0005);
        assert!(
            matches!(&directive, Directive::Rewind { steps: 100, because }
                if because.to_string().starts_with("divergence")),
            "{directive:?}"
        );
        let watched = ReviewPlan { watched: true, ..ReviewPlan::default() };
        let (sooner, _) = creep(&mut reviewer(watched), 0.0005);
        assert!(sooner + 20 < step, "{sooner} against {step}");
    }

    #[test]
    fn a_falling_loss_is_left_alone() {
        let mut r = reviewer(ReviewPlan::default());
        for s in 1..3000 {
            let loss = 2.0 + 5.0 / (s as f64).sqrt() + if s % 2 == 0 { 0.05 } else { -0.05 };
            assert_eq!(r.review(&step(s, loss, 1.0)), Directive::Continue, "step {s}");
        }
    }
}
