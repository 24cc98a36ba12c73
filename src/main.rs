//! The binary: set the allocator to the work, parse, call, map the exit code.

use hibrit::cli::Memory;
use hibrit::model::pages::SmallPages;

/// Training allocates and frees large buffers all the time; measured in docs/log.md.
#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

unsafe extern "C" {
    /// mimalloc's own; option 15 is `purge_delay`, in milliseconds.
    safe fn mi_option_set(option: std::ffi::c_int, value: std::ffi::c_long);
}

fn main() -> std::process::ExitCode {
    hibrit::cli::main(|memory| match memory {
        // Freed memory goes back to the system after ten seconds instead of one: a training step frees what the
        // next one needs again, and memory that comes back from the system must be cleared first (a tenth of a step's
        // time).
        Memory::Churning => mi_option_set(15, 10_000),
        Memory::Frugal => {
            mi_option_set(15, 10);
            std::mem::forget(SmallPages::now());
        }
    })
}
