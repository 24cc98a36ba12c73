//! Rules that may change while the program runs: whoever holds a book keeps it; a new one takes its place only as a
//! whole, and only if it is right.

use super::RuleBook;
use crate::decide::error::DecideError;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

/// The rules in force.
#[derive(Debug)]
pub struct LiveRules {
    folder: Option<PathBuf>,
    book: RwLock<Arc<RuleBook>>,
}

impl LiveRules {
    /// Loads the rules for the first time.
    ///
    /// # Errors
    /// As [`RuleBook::load`].
    pub fn new(folder: Option<PathBuf>) -> Result<Self, DecideError> {
        let book = RuleBook::load(folder.as_deref())?;
        Ok(Self { folder, book: RwLock::new(Arc::new(book)) })
    }

    /// The rules in force now.
    pub fn current(&self) -> Arc<RuleBook> {
        Arc::clone(&self.book.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files again; says whether the rules have changed.
    ///
    /// # Errors
    /// As [`RuleBook::load`]; the rules in force stay.
    pub fn refresh(&self) -> Result<bool, DecideError> {
        let fresh = RuleBook::load(self.folder.as_deref())?;
        let mut book = self.book.write().unwrap_or_else(PoisonError::into_inner);
        let changed = fresh.sha256() != book.sha256();
        if changed {
            *book = Arc::new(fresh);
        }
        Ok(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_file_takes_the_old_ones_place_and_a_bad_one_leaves_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("weighing.toml");
        let text = include_str!("../../../rules/weighing.toml");
        std::fs::write(&file, text).unwrap();
        let live = LiveRules::new(Some(folder.path().to_path_buf())).unwrap();
        let first = live.current();
        assert!(!live.refresh().unwrap());

        std::fs::write(&file, text.replace("alike = 5", "alike = 7")).unwrap();
        assert!(live.refresh().unwrap());
        assert_eq!((first.weighing().alike, live.current().weighing().alike), (5, 7));

        for bad in ["alpha = ", "", "alike = 9"] {
            std::fs::write(&file, bad).unwrap();
            let error = live.refresh().unwrap_err();
            assert!(error.to_string().contains("weighing.toml"), "{error}");
            assert_eq!(live.current().weighing().alike, 7);
        }
    }
}
