//! Room for numbers that are gone at the end of an operation, kept from one operation to the next: fresh memory would
//! have to be cleared by the system each time.

use super::uninit_buffer;
use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// Buffers a thread keeps.
const MOST: usize = 6;

thread_local! {
    static KEPT: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// So many numbers, unwritten or old; they go back to the thread that lets them go.
pub(super) struct Scratch {
    buffer: Vec<f32>,
    count: usize,
}

impl Scratch {
    /// Room for `count` numbers: the smallest kept buffer that is large enough, else a new one.
    pub(super) fn new(count: usize) -> Self {
        let kept = KEPT.with_borrow_mut(|kept| {
            let fitting = (0..kept.len()).filter(|i| kept[*i].len() >= count).min_by_key(|i| kept[*i].len());
            fitting.map(|i| kept.swap_remove(i))
        });
        Self { buffer: kept.unwrap_or_else(|| uninit_buffer(count)), count }
    }
}

impl Deref for Scratch {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.buffer[..self.count]
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.buffer[..self.count]
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        // While a thread ends there is nobody left to keep it.
        let _ = KEPT.try_with(|kept| {
            let mut kept = kept.borrow_mut();
            kept.push(buffer);
            if kept.len() > MOST
                && let Some(smallest) = (0..kept.len()).min_by_key(|i| kept[*i].len())
            {
                kept.swap_remove(smallest);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_was_let_go_is_used_again_where_it_is_large_enough() {
        let first = Scratch::new(1000);
        let place = first.as_ptr();
        drop(first);
        let (again, other) = (Scratch::new(900), Scratch::new(900));
        assert_eq!((again.as_ptr(), again.len()), (place, 900));
        assert_ne!(other.as_ptr(), place);
    }
}
