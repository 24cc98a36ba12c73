//! The last snapshots of a run, in memory or on disk, to rewind to.

use super::error::TrainError;
use super::params::TrainableParams;
use super::snapshot::{Live, Snapshot};
use super::tensors;
use crate::files::FileError;
use crate::model::Parameter;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};

/// The last snapshots of a run. Small ones are kept in memory, large ones in files that go when the run does; where
/// checkpoints are written all are files, so that a checkpoint can take them along.
#[derive(Debug)]
pub struct Snapshots {
    kept: VecDeque<Kept>,
    /// Bytes of a snapshot up to which it is kept in memory.
    small: usize,
    /// Where the folder of files is made; the system's place for such things where absent.
    beside: Option<PathBuf>,
    folder: Option<tempfile::TempDir>,
    /// Files made so far: no name is used twice, since a checkpoint may still hold what was once under it.
    files: u64,
}

/// A snapshot in a file, by what the file does not say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OnDisk {
    step: u64,
    updates: u64,
    bytes: u64,
}

impl OnDisk {
    /// Name of its file in a checkpoint.
    fn file(&self) -> String {
        format!("rewind-{:08}.safetensors", self.step)
    }
}

#[derive(Debug)]
enum Kept {
    InMemory(Snapshot),
    OnDisk(OnDisk, PathBuf),
}

impl Kept {
    fn step(&self) -> u64 {
        match self {
            Kept::InMemory(snapshot) => snapshot.step,
            Kept::OnDisk(on_disk, _) => on_disk.step,
        }
    }

    fn forget(self) {
        if let Kept::OnDisk(_, path) = self {
            // Left over at worst until the run ends: its folder goes with it.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The same file under another name; a copy where the file system knows no such thing.
fn link(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::hard_link(from, to).or_else(|_| std::fs::copy(from, to).map(drop))
}

/// The file of a snapshot that a checkpoint holds, as long as it was.
pub(super) fn is_whole(checkpoint: &Path, on_disk: &OnDisk) -> bool {
    std::fs::metadata(checkpoint.join(on_disk.file())).is_ok_and(|file| file.len() == on_disk.bytes)
}

/// Snapshots beyond these are forgotten, the oldest first: enough for a hundred steps back from anywhere, with one every
/// fifty.
pub const SNAPSHOTS: usize = 3;

impl Snapshots {
    /// None yet; those above `small` bytes go to disk.
    pub fn new(small: usize) -> Self {
        Self { kept: VecDeque::new(), small, beside: None, folder: None, files: 0 }
    }

    /// None yet; all go to disk, in a folder below `place`.
    pub(super) fn below(place: &Path) -> Self {
        Self { beside: Some(place.to_path_buf()), ..Self::new(0) }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Keeps a run as it stands. Where the disk refuses, memory has to do.
    ///
    /// # Errors
    /// [`TrainError::Kernel`] where parameters cannot be read back.
    pub(super) fn keep(&mut self, step: u64, live: &Live<'_>) -> Result<(), TrainError> {
        let numbers: usize = live.params.parameters().iter().map(Parameter::count).sum();
        // Values and the optimizer's buffers, four bytes each.
        let bytes = 4 * (1 + live.optimizer.buffers().len()) * numbers;
        let on_disk = if bytes > self.small { self.write(step, live) } else { None };
        let kept = match on_disk {
            Some(kept) => kept,
            None => Kept::InMemory(Snapshot::take(step, live)?),
        };
        self.add(kept);
        Ok(())
    }

    fn write(&mut self, step: u64, live: &Live<'_>) -> Option<Kept> {
        let path = self.free_path().ok()?;
        live.write(&path).ok()?;
        let bytes = std::fs::metadata(&path).ok()?.len();
        Some(Kept::OnDisk(OnDisk { step, updates: live.optimizer.updates(), bytes }, path))
    }

    fn free_path(&mut self) -> std::io::Result<PathBuf> {
        let folder = match self.folder.take() {
            Some(folder) => folder,
            None => match &self.beside {
                Some(place) => {
                    std::fs::create_dir_all(place)?;
                    tempfile::Builder::new().prefix(".rewinds-").tempdir_in(place)?
                }
                None => tempfile::Builder::new().prefix("hibrit-").tempdir()?,
            },
        };
        self.files += 1;
        Ok(self.folder.insert(folder).path().join(format!("{:08}.safetensors", self.files)))
    }

    /// Puts all that are files into a checkpoint's folder too, and says which they are.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub(super) fn link_into(&self, checkpoint: &Path) -> std::io::Result<Vec<OnDisk>> {
        let files = self.kept.iter().filter_map(|kept| match kept {
            Kept::OnDisk(on_disk, path) => Some((on_disk, path)),
            Kept::InMemory(_) => None,
        });
        files.map(|(on_disk, path)| link(path, &checkpoint.join(on_disk.file())).map(|()| on_disk.clone())).collect()
    }

    /// Takes back what a checkpoint holds.
    ///
    /// # Errors
    /// Where the disk refuses, or a file of it is gone.
    pub(super) fn link_from(&mut self, checkpoint: &Path, all: &[OnDisk]) -> std::io::Result<()> {
        for on_disk in all {
            let path = self.free_path()?;
            link(&checkpoint.join(on_disk.file()), &path)?;
            self.add(Kept::OnDisk(on_disk.clone(), path));
        }
        Ok(())
    }

    fn add(&mut self, kept: Kept) {
        self.kept.push_back(kept);
        while self.kept.len() > SNAPSHOTS {
            self.kept.pop_front().into_iter().for_each(Kept::forget);
        }
    }

    /// The youngest that is at least `steps` before `step`, or the oldest there is. Younger ones are forgotten.
    ///
    /// # Errors
    /// [`FileError::Read`] or [`TrainError::Checkpoint`] where a file of it is gone or damaged.
    pub(super) fn back(
        &mut self,
        step: u64,
        steps: u64,
        params: &TrainableParams,
        buffers: &[&str],
    ) -> Result<Option<Snapshot>, TrainError> {
        while self.kept.len() > 1 && self.kept.back().is_some_and(|kept| kept.step() + steps > step) {
            self.kept.pop_back().into_iter().for_each(Kept::forget);
        }
        match self.kept.back() {
            None => Ok(None),
            Some(Kept::InMemory(snapshot)) => Ok(Some(snapshot.clone())),
            Some(Kept::OnDisk(OnDisk { step, updates, .. }, path)) => {
                let bytes = std::fs::read(path).map_err(FileError::reading(path))?;
                let damaged = |what| TrainError::Checkpoint { path: path.clone(), what };
                tensors::read(&bytes, params, buffers, (*step, *updates)).map(Some).map_err(damaged)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::adamw::{AdamW, AdamWConfig};
    use super::super::optimizer::{Optimizer, OptimizerState};
    use super::*;
    use crate::model::device;
    use crate::model::{Decoder, Dimensions, ModelConfig};

    fn untied() -> (Decoder, TrainableParams) {
        let sizes = (8, 4, 8, 1, 1, 1, 4, 8);
        let (rows, hidden, intermediate, layers, heads, kv_heads, head_dim, positions) = sizes;
        let size = Dimensions { rows, hidden, intermediate, layers, heads, kv_heads, head_dim, positions, tied: false };
        let config = ModelConfig::qwen3(size).unwrap();
        let model = Decoder::init(&config, &device::cpu("a test").device, 1).unwrap().train_embeddings(true);
        let params = TrainableParams::of(&model);
        (model, params)
    }

    fn step_back(steps: &[u64], now: u64, back: u64) -> Option<u64> {
        let (_, params) = untied();
        let mut all = Snapshots::new(usize::MAX);
        for &step in steps {
            all.add(Kept::InMemory(Snapshot { step, updates: step, values: vec![], state: vec![] }));
        }
        all.back(now, back, &params, &[]).unwrap().map(|s| s.step)
    }

    #[test]
    fn a_rewind_goes_back_at_least_as_far_as_asked_or_to_the_oldest() {
        assert_eq!(step_back(&[50, 100, 150], 170, 100), Some(50));
        assert_eq!(step_back(&[0, 50, 100], 120, 20), Some(100));
        assert_eq!(step_back(&[50, 100], 120, 500), Some(50));
        assert_eq!(step_back(&[0, 50, 100, 150, 200], 201, 500), Some(100), "the oldest were forgotten");
        assert_eq!(step_back(&[0, 50, 100, 150, 200], 249, 100), Some(100));
        assert_eq!(step_back(&[], 120, 500), None);
    }

    #[test]
    fn a_snapshot_on_disk_is_the_one_in_memory() {
        let (model, params) = untied();
        let mut optimizer = AdamW::new(AdamWConfig::new(0.0), &params);
        let some = |n: usize| vec![vec![0.5; n], vec![0.25; n]];
        let state = optimizer.state().iter().cloned().map(|own| match own {
            OptimizerState::Whole(_) => OptimizerState::Whole(some(32)),
            OptimizerState::Rows(mut rows) => {
                rows[3] = Some(some(4));
                OptimizerState::Rows(rows)
            }
            OptimizerState::OnDevice(_) => unreachable!("on a CPU the host keeps them"),
        });
        let state = state.collect();
        optimizer.load_state(9, state);
        let live = Live { model: &model, params: &params, optimizer: &optimizer };
        let (mut memory, mut disk) = (Snapshots::new(usize::MAX), Snapshots::new(0));
        memory.keep(7, &live).unwrap();
        disk.keep(7, &live).unwrap();
        assert!(matches!(disk.kept[0], Kept::OnDisk(..)) && matches!(memory.kept[0], Kept::InMemory(_)));
        let back = |from: &mut Snapshots| from.back(7, 0, &params, optimizer.buffers()).unwrap();
        let (a, b) = (back(&mut memory), back(&mut disk));
        assert_eq!(format!("{a:?}"), format!("{b:?}"));
        assert_eq!(a.map(|s| (s.step, s.updates)), Some((7, 9)));
    }

    #[test]
    fn what_a_checkpoint_took_along_is_there_after_the_run_went_on_and_ended() {
        let (model, params) = untied();
        let mut optimizer = AdamW::new(AdamWConfig::new(0.0), &params);
        let buffers = optimizer.buffers();
        let place = tempfile::tempdir().unwrap();
        let checkpoint = place.path().join("step-00000005");
        std::fs::create_dir(&checkpoint).unwrap();
        let mut run = Snapshots::below(place.path());
        let mut keep = |run: &mut Snapshots, step: u64| {
            let state = optimizer.state().to_vec();
            optimizer.load_state(10 * step, state);
            run.keep(step, &Live { model: &model, params: &params, optimizer: &optimizer }).unwrap();
        };
        (0..=4).for_each(|step| keep(&mut run, step));
        let taken = run.link_into(&checkpoint).unwrap();
        assert!(taken.iter().all(|s| is_whole(&checkpoint, s)));
        // Back to step 2, and on by another way; then the run ends.
        run.back(4, 2, &params, buffers).unwrap();
        (3..=6).for_each(|step| keep(&mut run, step + 100));
        drop(run);
        let mut resumed = Snapshots::below(place.path());
        resumed.link_from(&checkpoint, &taken).unwrap();
        for step in [4, 3, 2] {
            let snapshot = resumed.back(4, 4 - step, &params, buffers).unwrap().unwrap();
            assert_eq!((snapshot.step, snapshot.updates), (step, 10 * step));
        }
        std::fs::write(checkpoint.join("rewind-00000003.safetensors"), "cut").unwrap();
        assert!(!taken.iter().all(|s| is_whole(&checkpoint, s)));
    }
}
