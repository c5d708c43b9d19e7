//! An allocator that counts the bytes in use, while it is told to.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering};

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Most rows are about time: there nobody writes a counter that all threads share.
static COUNTS: AtomicBool = AtomicBool::new(false);
static IN_USE: AtomicIsize = AtomicIsize::new(0);

/// How many more bytes are in use after the call than before, as they were asked for.
pub fn bytes_taken(call: impl FnOnce()) -> isize {
    let before = IN_USE.load(Ordering::SeqCst);
    COUNTS.store(true, Ordering::SeqCst);
    call();
    COUNTS.store(false, Ordering::SeqCst);
    IN_USE.load(Ordering::SeqCst) - before
}

fn count(bytes: usize, sign: isize) {
    if COUNTS.load(Ordering::Relaxed) {
        IN_USE.fetch_add(bytes.cast_signed() * sign, Ordering::Relaxed);
    }
}

// SAFETY: all calls go to the system's allocator as they are, which keeps to the contract; to
// count allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: the caller keeps to the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: the caller keeps to the contract.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(layout.size(), -1);
        count(size, 1);
        // SAFETY: the caller keeps to the contract.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
