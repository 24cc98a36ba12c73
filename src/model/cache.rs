//! Going through the decoder position by position: what earlier positions left is kept, so that a new one costs only
//! itself. Which token comes next is not decided here.

use super::decoder::Decoder;
use super::error::ModelError;
use super::layer::{Pass, RequiredGrads};
use super::rope::RopeTable;
use crate::domain::outcome::Side;
use crate::kernels::{self, KvCache};

/// Positions that go through the layers at once while a prompt is read.
const CHUNK: usize = 256;

/// Keys and values of every layer for one sequence.
#[derive(Debug, Clone)]
pub struct Cache {
    layers: Vec<KvCache>,
    positions: usize,
}

impl Cache {
    /// Positions it holds.
    pub fn positions(&self) -> usize {
        self.positions
    }
}

impl Decoder {
    /// An empty cache.
    pub fn cache(&self) -> Cache {
        Cache { layers: vec![KvCache::default(); self.layers.len()], positions: 0 }
    }

    /// Takes in the next tokens of a sequence and gives the logits after the last of them, one for each row.
    ///
    /// # Errors
    /// [`ModelError::Mismatch`] for no ids or ids outside the table, [`ModelError::Kernel`] where the device
    /// fails.
    pub fn advance(&self, cache: &mut Cache, ids: &[u32]) -> Result<Vec<f32>, ModelError> {
        self.advance_towards(Side::Source, cache, ids)
    }

    /// The same for a structural model: the logits are those of one side's vocabulary, whatever the ids were of.
    ///
    /// # Errors
    /// As [`Decoder::advance`].
    pub fn advance_towards(&self, side: Side, cache: &mut Cache, ids: &[u32]) -> Result<Vec<f32>, ModelError> {
        self.check_ids(ids, [1, ids.len()])?;
        let mut logits = Vec::new();
        let mut left = ids.len();
        for ids in ids.chunks(CHUNK) {
            let rope = RopeTable::new(&self.config, cache.positions, ids.len(), &self.device());
            let pass = Pass { rope: &rope, wanted: RequiredGrads::Output, dropout: None };
            let mut x = self.embed(ids, [1, ids.len()]);
            for (layer, past) in self.layers.iter().zip(&mut cache.layers) {
                x = layer.onwards(x, &pass, Some(past));
            }
            cache.positions += ids.len();
            left -= ids.len();
            if left == 0 {
                let x = self.norm.forward(x.narrow(1, ids.len() - 1, 1), &pass);
                logits = kernels::numbers(self.logits_of(side, x))?;
            }
        }
        Ok(logits)
    }
}
