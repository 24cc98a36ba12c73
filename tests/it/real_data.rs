//! Where tests find what the repository does not contain, and what they do without it. Unit tests of the library include
//! this file too (see src/lib.rs).

use std::path::{Path, PathBuf};

/// A path in the folder of real tokenizers, models and texts, `HIBRIT_DATA` or else `../shared/data`; `None`, with a
/// message, if it does not exist. With `HIBRIT_REQUIRE_DATA=1` that is a failure instead.
pub fn real(what: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let path = std::env::var_os("HIBRIT_DATA").map_or_else(beside, PathBuf::from).join(what);
    if path.exists() {
        return Some(path);
    }
    skip("HIBRIT_REQUIRE_DATA", &format!("{} does not exist", path.display()));
    None
}

/// Says that a test is skipped; fails it where the variable `required` is 1.
pub fn skip(required: &str, reason: &str) {
    assert!(std::env::var(required).as_deref() != Ok("1"), "{reason}, and {required}=1 requires it");
    eprintln!("skipped: {reason}");
}
