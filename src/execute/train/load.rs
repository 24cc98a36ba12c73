//! How much of a batch a device is asked to hold at once, and what to try when it has no room. Which device, and how it
//! says so, is not known here.

use serde::{Deserialize, Serialize};

/// How much the device is asked to hold at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Load {
    /// Sequences a micro-batch.
    pub(super) batch: usize,
    /// Whether only the layers' inputs are kept.
    pub(super) checkpointing: bool,
}

impl Load {
    /// The next lighter one: half the micro-batch, then activation checkpointing; `None` where nothing is left to try.
    pub(super) fn lighter(self) -> Option<Self> {
        match self {
            Self { batch, .. } if batch > 1 => Some(Self { batch: batch / 2, ..self }),
            Self { checkpointing: false, .. } => Some(Self { checkpointing: true, ..self }),
            _ => None,
        }
    }
}

impl std::fmt::Display for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kept = if self.checkpointing { ", activations computed twice" } else { "" };
        write!(f, "{} sequences at once{kept}", self.batch)
    }
}

#[cfg(test)]
mod tests {
    use super::Load;

    #[test]
    fn a_device_without_room_is_asked_for_half_as_much_until_nothing_is_left_to_try() {
        let mut load = Load { batch: 6, checkpointing: false };
        let mut tried = vec![];
        while let Some(lighter) = load.lighter() {
            tried.push((lighter.batch, lighter.checkpointing));
            load = lighter;
        }
        assert_eq!(tried, [(3, false), (1, false), (1, true)]);
        assert_eq!(load.to_string(), "1 sequences at once, activations computed twice");
    }
}
