//! How threads share a product's work: blocks of columns, each packed once, and the rows of every block. It does not know
//! how a block is packed or multiplied.

use super::Shared;
use super::scratch::Scratch;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Packs and multiplies every block of columns with every panel of rows. `pack` writes a block into a room of `room`
/// numbers, `multiply` reads it there for a range of panels; both are called on any of `threads` threads. A thread packs a block and goes through its
/// rows; one that finds no block left takes rows of the others', so that all end at nearly the same time, also where one
/// came late or was held up.
pub(super) fn share_out(
    (blocks, panels): (usize, usize),
    (threads, room): (usize, usize),
    pack: impl Fn(usize, Shared) + Sync,
    multiply: impl Fn(usize, Shared, Range<usize>) + Sync,
) {
    if threads <= 1 {
        let mut own = Scratch::new(room);
        let own = Shared(own.as_mut_ptr());
        for block in 0..blocks {
            pack(block, own);
            multiply(block, own, 0..panels);
        }
        return;
    }
    const IDLE: usize = 0;
    const PACKING: usize = 1;
    const READY: usize = 2;
    // Each thread's room, in one buffer: a thread keeps but a few of them from one product to the next.
    let mut rooms = Scratch::new(threads * room);
    // And what it holds: READY + block when that is packed.
    let slot = |thread: usize| (Shared(rooms[thread * room..].as_mut_ptr()), AtomicUsize::new(IDLE));
    let slots: Vec<_> = (0..threads).map(slot).collect();
    let next = AtomicUsize::new(0);
    let begun: Vec<AtomicUsize> = (0..blocks).map(|_| AtomicUsize::new(0)).collect();
    let step = (panels / (8 * threads)).clamp(1, 4);
    let rows_of = |block: usize, own: Shared| {
        loop {
            let from = begun[block].fetch_add(step, Relaxed);
            if from >= panels {
                break;
            }
            multiply(block, own, from..(from + step).min(panels));
        }
    };
    slots.par_iter().with_max_len(1).for_each(|(own, state)| {
        loop {
            state.store(PACKING, Relaxed);
            let block = next.fetch_add(1, Relaxed);
            if block >= blocks {
                state.store(IDLE, Relaxed);
                break;
            }
            pack(block, *own);
            state.store(READY + block, Release);
            rows_of(block, *own);
        }
        // All blocks are taken, so that no room is packed again while its rows are not done.
        loop {
            let mut waits = false;
            for (own, state) in &slots {
                match state.load(Acquire) {
                    IDLE => {}
                    PACKING => waits = true,
                    ready => rows_of(ready - READY, *own),
                }
            }
            if !waits {
                break;
            }
            std::thread::yield_now();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::SeqCst;
    use std::time::Duration;

    #[test]
    fn every_block_meets_every_row_once_and_in_the_room_it_was_packed_into() {
        for (blocks, panels, threads) in
            [(1, 1, 1), (5, 7, 1), (4, 128, 2), (1, 40, 2), (9, 3, 2), (3, 200, 8), (8, 64, 3), (0, 5, 2), (4, 0, 2)]
        {
            let met: Vec<AtomicUsize> = (0..blocks * panels).map(|_| AtomicUsize::new(0)).collect();
            let packed = AtomicUsize::new(0);
            let pack = |block: usize, own: Shared| {
                packed.fetch_add(1, SeqCst);
                // One block is late, so that the others' threads come to help.
                std::thread::sleep(Duration::from_micros(if block == 0 { 2000 } else { 0 }));
                // SAFETY: rooms are of 16.
                unsafe { own.row(0, 16) }.fill(block as f32);
            };
            let multiply = |block: usize, own: Shared, rows: Range<usize>| {
                // SAFETY: as above; nobody writes while others read.
                assert!(unsafe { std::slice::from_raw_parts(own.0, 16) }.iter().all(|x| *x == block as f32));
                rows.for_each(|row| {
                    met[block * panels + row].fetch_add(1, SeqCst);
                });
            };
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap()
                .install(|| share_out((blocks, panels), (threads, 16), pack, multiply));
            assert!(met.iter().all(|count| count.load(SeqCst) == 1), "{blocks} {panels} {threads}");
            assert_eq!(packed.load(SeqCst), blocks);
        }
    }
}
