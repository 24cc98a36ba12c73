//! How much of a batch a device is asked to hold at once, and what to try when it has no room. Which device, and how it
//! says so, is not known here.

use crate::domain::strategy::Checkpointing;
use serde::{Deserialize, Serialize};

/// How much the device is asked to hold at once.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Load {
    /// Sequences a micro-batch.
    pub(super) batch: usize,
    /// Which layers are computed twice.
    pub(super) checkpointing: Checkpointing,
}

impl Load {
    /// The next lighter one: half the micro-batch, then activation checkpointing of all layers; `None` where nothing is left to try.
    pub(super) fn lighter(self) -> Option<Self> {
        match self {
            Self { batch, .. } if batch > 1 => Some(Self { batch: batch / 2, ..self }),
            Self { checkpointing, .. } if checkpointing.share() < 1.0 => {
                Some(Self { checkpointing: Checkpointing::All(true), ..self })
            }
            _ => None,
        }
    }
}

impl std::fmt::Display for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} sequences at once", self.batch)?;
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
        assert_eq!(tried, [(3, 0.25), (1, 0.25), (1, 1.0)]);
        assert_eq!(load.to_string(), "1 sequences at once, activations computed twice");
    }
}
