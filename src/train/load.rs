//! How much of a batch a device is asked to hold at once, and what to try when it has no room. Which device, and how it
//! says so, is not known here.

use crate::domain::strategy::{Checkpointing, StageConfig};
use serde::{Deserialize, Serialize};

/// How much the device is asked to hold at once.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Sequences a micro-batch.
    pub batch: usize,
    /// Which layers are computed twice.
    pub checkpointing: Checkpointing,
}

impl Load {
    /// As a stage asks for it.
    pub fn of(stage: &StageConfig) -> Self {
        Self { batch: stage.batch, checkpointing: stage.checkpointing }
    }

    /// The next lighter one: half the micro-batch, then a quarter more of the layers computed twice; `None` where nothing
    /// is left to try. The gradients are the same.
    pub fn lighter(self) -> Option<Self> {
        if self.batch > 1 {
            return Some(Self { batch: self.batch / 2, ..self });
        }
        let share = self.checkpointing.share();
        let more = if share < 0.75 { Checkpointing::Share(share + 0.25) } else { Checkpointing::All(true) };
        (share < 1.0).then_some(Self { checkpointing: more, ..self })
    }
}

impl std::fmt::Display for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} at once", self.batch, if self.batch == 1 { "sequence" } else { "sequences" })?;
        match self.checkpointing.share() {
            0.0 => Ok(()),
            1.0 => f.write_str(", activations computed twice"),
            share => write!(f, ", activations of {:.0}% of the layers computed twice", 100.0 * share),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Checkpointing, Load};

    #[test]
    fn a_device_without_room_is_asked_for_half_as_much_until_nothing_is_left_to_try() {
        let mut load = Load { batch: 6, checkpointing: Checkpointing::Share(0.25) };
        assert_eq!(load.to_string(), "6 sequences at once, activations of 25% of the layers computed twice");
        let mut tried = vec![];
        while let Some(lighter) = load.lighter() {
            tried.push((lighter.batch, lighter.checkpointing.share()));
            load = lighter;
        }
        assert_eq!(tried, [(3, 0.25), (1, 0.25), (1, 0.5), (1, 0.75), (1, 1.0)]);
        assert_eq!(load.to_string(), "1 sequence at once, activations computed twice");
    }
}
