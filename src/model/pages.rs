//! How this process's memory is laid out. What lies in it is not known here.

use std::sync::{Mutex, PoisonError};

/// While it lives, new memory comes in pages of 4 KiB only. Of huge ones a part is used and all of each is held: an
/// analysis would need half as much again, and every matrix of a model a megabyte more than it has numbers.
#[derive(Debug)]
pub struct SmallPages(());

/// How many of them live, and whether huge pages were refused before the first.
static LIVING: Mutex<(usize, bool)> = Mutex::new((0, false));

impl SmallPages {
    /// From now on. Where the system refuses, more memory is held.
    pub fn now() -> Self {
        let mut living = LIVING.lock().unwrap_or_else(PoisonError::into_inner);
        if living.0 == 0 {
            living.1 = refused().unwrap_or(true);
            refuse(true);
        }
        living.0 += 1;
        Self(())
    }
}

impl Drop for SmallPages {
    fn drop(&mut self) {
        let mut living = LIVING.lock().unwrap_or_else(PoisonError::into_inner);
        living.0 -= 1;
        if living.0 == 0 && !living.1 {
            refuse(false);
        }
    }
}

/// Whether huge pages are refused; `None` where the system does not tell.
fn refused() -> Option<bool> {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: the call reads a flag of this process.
        let flag = unsafe { libc::prctl(libc::PR_GET_THP_DISABLE, 0, 0, 0, 0) };
        (flag >= 0).then_some(flag != 0)
    }
    #[cfg(not(target_os = "linux"))]
    None
}

fn refuse(huge: bool) {
    #[cfg(target_os = "linux")]
    // SAFETY: the call changes which pages this process is given from now on and touches none that it has.
    unsafe {
        libc::prctl(libc::PR_SET_THP_DISABLE, libc::c_ulong::from(huge), 0, 0, 0);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = huge;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_small_as_long_as_anybody_asks_for_it() {
        if refused().is_none() {
            eprintln!("skipped: the system does not tell");
            return;
        }
        // Other tests may ask at the same time, so that nothing can be said of what comes after.
        let outer = SmallPages::now();
        assert_eq!(refused(), Some(true));
        drop(SmallPages::now());
        assert_eq!(refused(), Some(true));
        drop(outer);
    }
}
