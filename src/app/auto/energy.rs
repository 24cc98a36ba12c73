//! How much energy the processors took, where the kernel tells (RAPL through powercap). Other consumers on the machine are
//! in it; accelerators are not.

use std::fs;
use std::path::{Path, PathBuf};

const POWERCAP: &str = "/sys/class/powercap";

/// Counters as they stood when the run began.
pub(super) struct Meter(Vec<(PathBuf, u64)>);

impl Meter {
    /// From now on. On most machines the counters are for the administrator alone, and nothing is measured.
    pub(super) fn begin() -> Self {
        Self::below(Path::new(POWERCAP))
    }

    /// One counter a package: `intel-rapl:N`, on AMD too; its parts are in it.
    fn below(folder: &Path) -> Self {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let whole = |name: &str| name.starts_with("intel-rapl:") && name.matches(':').count() == 1;
        let packages = entries.map(|e| e.path()).filter(|p| p.file_name().is_some_and(|n| whole(&n.to_string_lossy())));
        Self(packages.filter_map(|p| Some((p.clone(), read(&p, "energy_uj")?))).collect())
    }

    /// Joules since then; `None` where the machine does not tell. A counter that began anew is taken to have done so once.
    pub(super) fn joules(&self) -> Option<f64> {
        let used = |(package, before): &(PathBuf, u64)| {
            let now = read(package, "energy_uj")?;
            let round = if now < *before { read(package, "max_energy_range_uj")? } else { 0 };
            Some((now + round).saturating_sub(*before) as f64 / 1e6)
        };
        if self.0.is_empty() {
            return None;
        }
        self.0.iter().map(used).sum()
    }
}

fn read(package: &Path, name: &str) -> Option<u64> {
    fs::read_to_string(package.join(name)).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joules_are_summed_over_packages_and_over_a_counter_that_began_anew() {
        let folder = tempfile::tempdir().unwrap();
        let write = |package: &str, name: &str, value: &str| {
            let place = folder.path().join(package);
            fs::create_dir_all(&place).unwrap();
            fs::write(place.join(name), format!("{value}\n")).unwrap();
        };
        write("intel-rapl:0", "energy_uj", "1000000");
        write("intel-rapl:1", "energy_uj", "9000000");
        write("intel-rapl:1", "max_energy_range_uj", "10000000");
        write("intel-rapl:0:0", "energy_uj", "500000");
        let meter = Meter::below(folder.path());
        write("intel-rapl:0", "energy_uj", "4000000");
        write("intel-rapl:1", "energy_uj", "2000000");
        // 3 J, and 10 - 9 + 2 J.
        assert_eq!(meter.joules(), Some(6.0));
        assert_eq!(Meter::below(&folder.path().join("nowhere")).joules(), None);
    }
}
