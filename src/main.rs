//! The binary: parse, call, map the exit code.

/// Training allocates and frees large buffers all the time; measured in docs/log.md.
#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    hibrit::cli::main()
}
