//! Trouble made on purpose in the trainer, where real trouble would come from: the device's refusal, a batch's numbers,
//! time. What is done about it is the loop's and the reviewer's business, which cannot tell it from real trouble.

use super::error::TrainError;
use super::gradient::Gradient;
use crate::domain::injection::{Injection, Trouble};
use crate::kernels::KernelError;
use std::time::Duration;

/// How much longer an exploded gradient is.
const EXPLOSION: f32 = 1e5;

fn due(injected: &[Injection], step: u64) -> impl Iterator<Item = Trouble> {
    injected.iter().filter(move |i| i.is_due(step)).map(|i| i.trouble)
}

/// Before a step's gradients are computed in micro-batches of `batch` sequences, where `planned` were planned.
///
/// # Errors
/// Those that are due: a device without room (until the micro-batch was halved), a crash.
pub(super) fn before(injected: &[Injection], step: u64, batch: usize, planned: usize) -> Result<(), TrainError> {
    for trouble in due(injected, step) {
        match trouble {
            Trouble::OutOfMemory if batch >= planned => {
                let what = format!("out of memory (injected) with {batch} sequences at once");
                return Err(KernelError::Backend { device: "injecting".into(), what }.into());
            }
            Trouble::Crash => return Err(TrainError::Mismatch(format!("crash (injected) in step {step}"))),
            Trouble::OutOfMemory | Trouble::Explosion | Trouble::Nan | Trouble::Slow(_) => {}
        }
    }
    Ok(())
}

/// After a step's gradients were computed in `took`.
pub(super) fn after(injected: &[Injection], step: u64, took: Duration, gradient: &mut Gradient, nats: &mut f64) {
    for trouble in due(injected, step) {
        match trouble {
            Trouble::Explosion => gradient.scale(EXPLOSION),
            Trouble::Nan => {
                gradient.scale(f32::NAN);
                *nats = f64::NAN;
            }
            Trouble::Slow(times) => std::thread::sleep(took.mul_f64(times - 1.0)),
            Trouble::OutOfMemory | Trouble::Crash => {}
        }
    }
}
