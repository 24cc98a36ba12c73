//! Trouble that is made on purpose, so that what is done about trouble can be tried: `explosion@12`, `nan@7-9`,
//! `oom@3`, `crash@5`, `slow:5` (or from step 20 on, `slow:5@20`), each with a branch in front where only that one is meant (`b/crash@5`). How trouble is
//! made is the trainer's business.

use serde::{Deserialize, Serialize};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// The gradient is a hundred thousand times as long as it was.
    Explosion,
    /// The loss and the gradient are not numbers.
    Nan,
    /// The device has no room for more than half of the micro-batch.
    OutOfMemory,
    /// Training ends with an error.
    Crash,
    /// Every step takes this many times as long.
    Slow(f64),
}

/// Trouble, and when and where it comes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Injection {
    /// What.
    pub trouble: Trouble,
    /// First step with it, from 1; counted in batches seen, so that a rewind leaves it behind.
    pub from: u64,
    /// Last step with it.
    pub to: u64,
    /// The branch; every branch where absent.
    pub branch: Option<String>,
}

impl Injection {
    /// Whether it is due in this step.
    pub fn is_due(&self, step: u64) -> bool {
        (self.from..=self.to).contains(&step)
    }
}

/// How an injection is written.
const FORM: &str =
    "[BRANCH/]explosion@STEP, nan@STEP, oom@STEP or crash@STEP (STEP may be a range such as 7-9), or slow:TIMES[@STEP]";

impl std::str::FromStr for Injection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not understood; write {FORM}");
        let (branch, rest) = match text.split_once('/') {
            Some((branch, rest)) => (Some(branch.to_string()), rest),
            None => (None, text),
        };
        if let Some(times) = rest.strip_prefix("slow:") {
            let (times, from) = times.split_once('@').unwrap_or((times, "1"));
            let (times, from): (f64, u64) = (times.parse().map_err(|_| wrong())?, from.parse().map_err(|_| wrong())?);
            let sound = times.is_finite() && times >= 1.0 && from >= 1;
            let slow = Self { trouble: Trouble::Slow(times), from, to: u64::MAX, branch };
            return sound.then_some(slow).ok_or_else(wrong);
        }
        let (name, steps) = rest.split_once('@').ok_or_else(wrong)?;
        let trouble = match name {
            "explosion" => Trouble::Explosion,
            "nan" => Trouble::Nan,
            "oom" => Trouble::OutOfMemory,
            "crash" => Trouble::Crash,
            _ => return Err(wrong()),
        };
        let (from, to) = steps.split_once('-').unwrap_or((steps, steps));
        let (from, to): (u64, u64) = (from.parse().map_err(|_| wrong())?, to.parse().map_err(|_| wrong())?);
        if from == 0 || to < from {
            return Err(wrong());
        }
        Ok(Self { trouble, from, to, branch })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_read_with_its_branch_and_steps() {
        let nan: Injection = "b/nan@7-9".parse().unwrap();
        assert_eq!((nan.trouble, nan.from, nan.to, nan.branch.as_deref()), (Trouble::Nan, 7, 9, Some("b")));
        assert!(nan.is_due(8) && !nan.is_due(10));
        assert_eq!("slow:5".parse::<Injection>().unwrap().trouble, Trouble::Slow(5.0));
        let late: Injection = "slow:5@20".parse().unwrap();
        assert!(late.is_due(20) && late.is_due(1_000_000) && !late.is_due(19));
        for wrong in ["", "nan", "nan@0", "nan@9-7", "slow:0.5", "slow:NaN", "slow:5@0", "flood@3", "nan@-1"] {
            assert!(wrong.parse::<Injection>().is_err(), "{wrong}");
        }
    }
}
