//! Where a run stands: everything that must be put back to go on from there, and nothing else.

use super::adamw::{AdamW, Moments, Trained};
use crate::execute::ExecuteError;
use crate::execute::model::Decoder;
use std::collections::VecDeque;

/// A run at a step: what is trained, the optimiser's moments, the place in the text.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Steps done.
    pub step: u64,
    /// Updates applied: steps less skipped batches.
    pub updates: u64,
    /// Trained parameters, in the order of [`Trained`].
    pub values: Vec<Vec<f32>>,
    /// The optimiser's moments, in the same order.
    pub moments: Vec<Moments>,
}

impl Snapshot {
    /// Of a run as it stands.
    ///
    /// # Errors
    /// [`ExecuteError::Backend`] where parameters cannot be read back.
    pub fn take(step: u64, model: &Decoder, trained: &Trained, optimizer: &AdamW) -> Result<Self, ExecuteError> {
        let values = trained.values(model)?;
        Ok(Self { step, updates: optimizer.updates, values, moments: optimizer.moments.clone() })
    }

    /// Puts parameters and moments back.
    ///
    /// # Errors
    /// [`ExecuteError::Mismatch`] where it is of another model, [`ExecuteError::Backend`] where the device fails.
    pub fn put_back(&self, model: Decoder, trained: &Trained, optimizer: &mut AdamW) -> Result<Decoder, ExecuteError> {
        optimizer.updates = self.updates;
        optimizer.moments.clone_from(&self.moments);
        trained.map(model, |index, values| match self.values.get(index) {
            Some(kept) if kept.len() == values.len() => {
                values.copy_from_slice(kept);
                Ok(())
            }
            _ => Err(ExecuteError::Mismatch("a snapshot of another model cannot be put back".into())),
        })
    }

    fn bytes(&self) -> usize {
        let moments: usize = self.moments.iter().map(|m| m.first.len() + m.second.len()).sum();
        4 * (moments + self.values.iter().map(Vec::len).sum::<usize>())
    }
}

/// The last snapshots of a run, as many as memory allows, two at least.
#[derive(Debug, Default)]
pub struct Snapshots {
    kept: VecDeque<Snapshot>,
}

/// Memory that snapshots beyond the second may take in all.
const MEMORY: usize = 256 << 20;

impl Snapshots {
    /// Keeps one more; the oldest go.
    pub fn keep(&mut self, snapshot: Snapshot) {
        self.kept.push_back(snapshot);
        while self.kept.len() > 2 && self.kept.iter().map(Snapshot::bytes).sum::<usize>() > MEMORY {
            self.kept.pop_front();
        }
    }

    /// The youngest that is at least `steps` before `step`, or the oldest there is. Younger ones are forgotten.
    pub fn back(&mut self, step: u64, steps: u64) -> Option<&Snapshot> {
        while self.kept.len() > 1 && self.kept.back().is_some_and(|s| s.step + steps > step) {
            self.kept.pop_back();
        }
        self.kept.back()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshots(steps: &[u64]) -> Snapshots {
        let mut all = Snapshots::default();
        for &step in steps {
            all.keep(Snapshot { step, updates: step, values: vec![], moments: vec![] });
        }
        all
    }

    #[test]
    fn a_rewind_goes_back_at_least_as_far_as_asked_or_to_the_oldest() {
        let step = |all: &mut Snapshots, now, back| all.back(now, back).map(|s| s.step);
        assert_eq!(step(&mut snapshots(&[0, 50, 100, 150]), 170, 100), Some(50));
        assert_eq!(step(&mut snapshots(&[0, 50, 100]), 120, 20), Some(100));
        assert_eq!(step(&mut snapshots(&[50, 100]), 120, 500), Some(50));
        assert_eq!(step(&mut snapshots(&[]), 120, 500), None);
        let mut all = snapshots(&[0, 50, 100, 150]);
        assert_eq!((step(&mut all, 170, 100), step(&mut all, 60, 0)), (Some(50), Some(50)));
    }
}
