//! For how long the kernel lets a thread run before it looks for others.
//!
//! Where workers compute on every core, a hub that wakes up waits until the kernel takes a core from one of them, some milliseconds.
//! Since Linux 6.12 a thread may ask for a slice of its own, and one with a shorter slice goes before it as it wakes up. So a
//! worker asks for a longer slice than the hub has while it has a place to compute in. It gets no more of the core for that, but in
//! longer pieces. Without the places it would do harm: ten workers with longer slices keep each other, and the hub, waiting for longer.

use crate::attach::cores;

/// What a worker with a place asks for, in nanoseconds: a few times the usual.
const LONG: u64 = 6_000_000;

/// A worker thread's slice. Only that thread may use it.
pub struct Slice {
    /// Whether it has asked for a longer one.
    long: bool,
    /// What it had before, in nanoseconds.
    usual: u64,
}

impl Slice {
    /// The calling thread's.
    pub fn new() -> Self {
        Self {
            long: false,
            usual: 0,
        }
    }

    /// Asks for a long or for the usual one, if that is new; the kernel heeds it when the old one has been used up. On a single core all have the usual one: there
    /// workers give the core away, which costs them the rest of their slice.
    pub fn ask(&mut self, long: bool) {
        if self.long == long || cores() == 1 {
            return;
        }
        self.long = long;
        change(|now| {
            if long {
                self.usual = now;
                LONG.max(now)
            } else if now == LONG {
                self.usual
            } else {
                now // A job has asked for it.
            }
        });
    }
}

/// Changes the calling thread's slice, in nanoseconds, but not that of the threads and processes that its jobs start. For
/// that the thread has a flag from then on, which it needs a privilege to drop. Where the system knows
/// no such thing, it does nothing.
#[cfg(target_os = "linux")]
fn change(new: impl FnOnce(u64) -> u64) {
    use std::mem::{MaybeUninit, size_of};

    let size = size_of::<libc::sched_attr>();
    let mut attr = MaybeUninit::<libc::sched_attr>::zeroed();
    // SAFETY: the kernel writes at most `size` bytes there.
    let got = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, attr.as_mut_ptr(), size, 0) };
    // SAFETY: zeros, and whatever the kernel has written of its own, are values of all its fields.
    let mut attr = unsafe { attr.assume_init() };
    let policy = libc::c_int::try_from(attr.sched_policy);
    let fair = matches!(policy, Ok(libc::SCHED_OTHER | libc::SCHED_BATCH));
    // An older kernel tells no slice. What a thread with a negative niceness starts would lose that.
    if got != 0 || !fair || attr.sched_runtime == 0 || attr.sched_nice < 0 {
        return;
    }
    attr.sched_runtime = new(attr.sched_runtime);
    attr.sched_flags |= libc::SCHED_FLAG_RESET_ON_FORK as u64;
    // SAFETY: the kernel reads as many bytes as `size` says.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0) };
}

#[cfg(not(target_os = "linux"))]
fn change(_new: impl FnOnce(u64) -> u64) {}
