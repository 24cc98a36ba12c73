//! The machine's calibration and the decision log are small records beside the runs: here is where the first is kept, and
//! what the second is called. What a speed is used for is not known here.

use super::error::StoreError;
use super::history::History;
use super::store::META;
use crate::domain::resources::Calibration;

pub use crate::domain::decision::LoggedDecision;

/// Keys of calibrations in the meta table.
const SPEED: &str = "speed/";

impl History {
    /// How fast this machine is, as it was measured; `None` where it never was, or what is kept cannot be read: it can be
    /// measured again.
    ///
    /// # Errors
    /// Trouble with the file.
    pub fn calibration(&self, machine: &str) -> Result<Option<Calibration>, StoreError> {
        self.store.read(|t| {
            let meta = t.open_table(META).map_err(|e| self.store.fault(e))?;
            let kept = meta.get(format!("{SPEED}{machine}").as_str()).map_err(|e| self.store.fault(e))?;
            Ok(kept.and_then(|kept| serde_json::from_str(kept.value()).ok()))
        })
    }

    /// Keeps how fast this machine is, in the place of what was measured before.
    ///
    /// # Errors
    /// Trouble with the file; a speed that is not finite.
    pub fn keep_calibration(&self, calibration: &Calibration) -> Result<(), StoreError> {
        let what = || format!("the speed of {}", calibration.machine);
        let unstorable = |detail: String| StoreError::Unstorable { what: what(), detail };
        if !calibration.flops_per_second.is_finite() {
            return Err(unstorable("it is not a finite number".into()));
        }
        let text = serde_json::to_string(calibration).map_err(|e| unstorable(e.to_string()))?;
        self.store.write(|t| {
            let mut meta = t.open_table(META).map_err(|e| self.store.fault(e))?;
            let key = format!("{SPEED}{}", calibration.machine);
            meta.insert(key.as_str(), text.as_str()).map_err(|e| self.store.fault(e))?;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machines_speed_is_kept_for_that_machine_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::open(folder.path().join("past.redb")).unwrap();
        let measured = |machine: &str, flops_per_second| Calibration {
            machine: machine.into(),
            device: "cpu".into(),
            flops_per_second,
            at: "2026-01-01T00:00:00Z".into(),
        };
        assert_eq!(history.calibration("a").unwrap(), None);
        history.keep_calibration(&measured("a", 1e11)).unwrap();
        history.keep_calibration(&measured("b", 2e11)).unwrap();
        history.keep_calibration(&measured("a", 3e11)).unwrap();
        assert_eq!(history.calibration("a").unwrap(), Some(measured("a", 3e11)));
        assert_eq!(history.calibration("b").unwrap(), Some(measured("b", 2e11)));
        assert!(history.keep_calibration(&measured("a", f64::NAN)).is_err());
        assert!(history.live_scorer().unwrap().is_none());
    }
}
