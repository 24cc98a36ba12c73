//! How much memory training has needed: of an accelerator where its backend tells, of this process otherwise. What
//! would be too much is not known here.

use burn::tensor::Device;

/// Memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// In use now.
    pub now: u64,
    /// The most so far.
    pub most: u64,
}

/// What a device uses; `None` where nobody tells. An accelerator's pool keeps what it once reserved, so that this is its
/// peak.
pub fn used(device: &Device) -> Option<Used> {
    match device.memory_pool_usage() {
        Some(pool) => Some(Used { now: pool.bytes_in_use, most: pool.bytes_reserved }),
        None => Some(Used { now: told("/proc/self/status", "VmRSS:")?, most: peak()? }),
    }
}

/// Peak resident memory of the process so far, in bytes; `None` where the system does not tell.
pub fn peak() -> Option<u64> {
    told("/proc/self/status", "VmHWM:")
}

/// Memory of this machine, in bytes; `None` where the system does not tell.
pub fn total() -> Option<u64> {
    told("/proc/meminfo", "MemTotal:")
}

/// A line such as `VmHWM:   1234 kB`, in bytes.
fn told(file: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_peak_grows_when_memory_is_touched() {
        let Some(before) = super::peak() else {
            println!("skipped: this system does not tell its peak memory");
            return;
        };
        let block = vec![1u8; 64 << 20];
        assert!(block.iter().step_by(4096).map(|b| u64::from(*b)).sum::<u64>() > 0);
        assert!(super::peak().unwrap() >= before.max(64 << 20));
    }

    #[test]
    fn the_cpu_uses_what_the_process_uses() {
        let Some(used) = super::used(&burn::tensor::Device::flex()) else {
            println!("skipped: the system does not tell");
            return;
        };
        assert!(used.now > 0 && used.most >= used.now, "{used:?}");
    }
}
