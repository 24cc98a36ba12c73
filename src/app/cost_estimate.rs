//! What each strategy would cost on the machine at hand: the machine is timed once and remembered, the rest is counted.
//! What may be spent is not known here.

use super::{AppError, Settings, now};
use crate::domain::event::{Event, Observer};
use crate::domain::outcome::Vocab;
use crate::domain::profile::Profile;
use crate::domain::resources::{Calibration, Cost, Costs};
use crate::domain::stage::Stage;
use crate::domain::strategy::{StageConfig, Strategy};
use crate::model::ModelConfig;
use crate::model::device::ChosenDevice;
use crate::strategies;
use crate::strategies::cost::{self, Hardware};
use crate::train::Load;
use std::collections::BTreeMap;

/// Days after which a machine is timed anew: drivers and clocks change.
const STALE_DAYS: i64 = 30;

/// What costs are counted from.
pub(super) struct CostInputs<'a> {
    /// The model.
    pub config: &'a ModelConfig,
    /// How each stage trains.
    pub stages: &'a BTreeMap<Stage, StageConfig>,
    /// Both tokenizers on a text: how many tokens there are to so many bytes.
    pub profile: &'a Profile,
    /// UTF-8 bytes of the training text.
    pub train_bytes: u64,
    /// Tokens of the held-out text, by the original tokenizer and by the candidate.
    pub eval_tokens: [u64; 2],
    /// What would train.
    pub hardware: Hardware,
    /// Whether there are two such devices.
    pub two: bool,
}

impl CostInputs<'_> {
    /// Rows of the embedding matrix on this vocabulary; a grown one counts as the original it came from.
    fn rows(&self, on: Vocab) -> u64 {
        match on {
            Vocab::Source | Vocab::Grown => self.config.size.rows as u64,
            Vocab::Candidate | Vocab::Both => self.profile.candidate.rows,
        }
    }

    /// Bytes that a stage keeps on the disk while it trains; nothing where there is no such stage.
    pub(super) fn kept(&self, stage: Stage) -> Option<u64> {
        Some(cost::kept(self.config, self.stages.get(&stage)?, self.rows(stage.vocab())))
    }
}

/// What one stage would cost, a grown vocabulary as the original it came from; nothing where it has no configuration, or no
/// text was measured.
pub(super) fn stage(inputs: &CostInputs, stage: Stage) -> Option<Cost> {
    let beside = beside(inputs, stage);
    let cost =
        cost::stage(inputs.config, inputs.stages.get(&stage)?, &text(inputs, stage)?, inputs.hardware.without(beside));
    Some(Cost { memory: cost.memory + beside, ..cost })
}

/// How much of a batch such a stage would hold at once.
pub(super) fn load(inputs: &CostInputs, stage: Stage) -> Option<Load> {
    let hardware = inputs.hardware.without(beside(inputs, stage));
    Some(cost::load(inputs.config, inputs.stages.get(&stage)?, &text(inputs, stage)?, hardware))
}

/// Bytes that the rival of a stage holds on the same device while it waits.
fn beside(inputs: &CostInputs, stage: Stage) -> u64 {
    let races = strategies::RUNNERS.iter().filter(|runner| runner.races() && !inputs.two).map(|runner| runner.stages());
    let rivals = races.filter(|stages| stages.contains(&stage)).flatten().filter(|rival| **rival != stage);
    let waiting =
        |rival: &Stage| Some(cost::waiting(inputs.config, inputs.stages.get(rival)?, inputs.rows(rival.vocab())));
    rivals.filter_map(waiting).sum()
}

/// What such a stage would be trained on.
fn text(inputs: &CostInputs, stage: Stage) -> Option<cost::Text> {
    let corpus = inputs.profile.corpus.as_ref()?;
    let ratio = inputs.profile.token_ratio.map_or(1.0, |r| r.get());
    let source_tokens = (corpus.tokens.source as f64 * inputs.train_bytes as f64 / corpus.bytes.max(1) as f64) as u64;
    let (config, on) = (inputs.stages.get(&stage)?, stage.vocab());
    Some(match on {
        Vocab::Source | Vocab::Grown => cost::Text {
            train_tokens: source_tokens,
            eval_tokens: inputs.eval_tokens[0],
            rows: inputs.rows(on),
            sequence: config.sequence as u64,
        },
        Vocab::Candidate | Vocab::Both => cost::Text {
            train_tokens: (source_tokens as f64 * ratio) as u64,
            eval_tokens: inputs.eval_tokens[1],
            rows: inputs.rows(on),
            sequence: (config.sequence as f64 * ratio) as u64,
        },
    })
}

/// What each strategy that can be executed would cost; nothing where the profile was measured without a text.
/// `adaptive` takes one of the other strategies: it costs at least what the cheapest does.
pub(super) fn costs(inputs: &CostInputs) -> Costs {
    let mut costs = Costs::new();
    for runner in strategies::RUNNERS {
        let total = runner.stages().iter().try_fold(None, |sum: Option<Cost>, each| {
            let one = stage(inputs, *each)?;
            Some(Some(sum.map_or(one, |s| cost::both(&s, &one))))
        });
        if let Some(Some(total)) = total {
            costs.insert(runner.strategy(), total);
        }
    }
    if let Some(least) = costs.values().copied().min_by(|a, b| a.seconds.total_cmp(&b.seconds)) {
        costs.insert(Strategy::Adaptive, least);
    }
    costs
}

/// Operations a second of the device: as it was measured here not long ago, else measured now and kept in the history. A
/// speed that cannot be kept is told, not an error.
pub(super) fn speed(settings: &Settings, device: &ChosenDevice, observer: &mut dyn Observer) -> Result<f64, AppError> {
    let machine = cost::machine(&device.name);
    let kept = settings.existing_history().ok().flatten().and_then(|h| h.calibration(&machine).ok().flatten());
    if let Some(kept) = kept.filter(|k| is_fresh(k, jiff::Timestamp::now())) {
        return Ok(kept.flops_per_second);
    }
    let flops_per_second = cost::measure(&device.device)?;
    let calibration = Calibration { machine, device: device.name.clone(), flops_per_second, at: now() };
    let written = settings.history().and_then(|history| Ok(history.keep_calibration(&calibration)?));
    if let Err(error) = written {
        observer.observe(&Event::Note { text: format!("warning: the machine's speed is not kept: {error}") });
    }
    let text =
        format!("Timed this machine: {:.0} billion operations a second ({})", flops_per_second / 1e9, device.name);
    observer.observe(&Event::Note { text });
    Ok(flops_per_second)
}

fn is_fresh(kept: &Calibration, now: jiff::Timestamp) -> bool {
    let age = kept.at.parse::<jiff::Timestamp>().map(|t| now.as_second() - t.as_second());
    kept.flops_per_second > 0.0 && age.is_ok_and(|seconds| (0..STALE_DAYS * 86_400).contains(&seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_fresh_for_thirty_days_and_never_from_the_future() {
        let now: jiff::Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let measured = |at: &str, flops_per_second| Calibration {
            machine: "m".into(),
            device: "cpu".into(),
            flops_per_second,
            at: at.into(),
        };
        for (at, speed, fresh) in [
            ("2026-02-20T00:00:00Z", 1e11, true),
            ("2026-01-20T00:00:00Z", 1e11, false),
            ("2026-03-02T00:00:00Z", 1e11, false),
            ("yesterday", 1e11, false),
            ("2026-02-20T00:00:00Z", 0.0, false),
        ] {
            assert_eq!(is_fresh(&measured(at, speed), now), fresh, "{at} {speed}");
        }
    }

    #[test]
    fn a_machine_is_timed_once_and_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::new(None, Some(folder.path().join("past.redb")));
        let device = crate::model::device::choose("cpu").unwrap();
        let first = speed(&settings, &device, &mut crate::domain::event::Silent).unwrap();
        assert_eq!(speed(&settings, &device, &mut crate::domain::event::Silent).unwrap(), first);
    }
}
