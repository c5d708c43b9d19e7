//! For how long the kernel lets a thread run before it looks for others.
//!
//! Where workers compute on every core, a hub that wakes up waits until the kernel takes a core from one of
//! them, some milliseconds. Since Linux 6.12 a thread may ask for a slice of its own, and one with a
//! shorter slice goes before it as it wakes up. So a worker that computes for long asks for a longer slice than
//! the hub has. It gets no more of the core for that, but in longer pieces.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::attach::cores;

/// A job that takes as long is a long one, and one that takes less than that a short one. Those in between are
/// taken for what the last one was: to change one's mind each time costs more than either.
const LONG_JOB: Duration = Duration::from_micros(150);
const SHORT_JOB: Duration = Duration::from_micros(100);

/// What a worker with long jobs asks for, in nanoseconds: a few times the usual.
const LONG: u64 = 6_000_000;

/// A worker thread's slice. Only that thread may use it.
pub struct Slice {
    /// Whether it has asked for a longer one.
    long: AtomicBool,
    /// What it had before, in nanoseconds.
    usual: AtomicU64,
}

impl Slice {
    /// The calling thread's, whose first job is taken for a long one.
    pub fn new() -> Self {
        let slice = Self {
            long: AtomicBool::new(false),
            usual: AtomicU64::new(0),
        };
        slice.ask(true);
        slice
    }

    /// Learns how long the last jobs have taken, if there were any. The next is taken to be as they: the
    /// kernel heeds a new slice when the old one has been used up.
    pub fn learn(&self, job_time: Option<Duration>) {
        if job_time.is_some_and(|time| time >= LONG_JOB) {
            self.ask(true);
        } else if job_time.is_some_and(|time| time < SHORT_JOB) {
            self.ask(false);
        }
    }

    /// Asks for a long or for the usual one, if that is new. On a single core all have the usual one: there
    /// workers give the core away, which costs them the rest of their slice.
    fn ask(&self, long: bool) {
        if self.long.load(Ordering::Relaxed) == long || cores() == 1 {
            return;
        }
        self.long.store(long, Ordering::Relaxed);
        change(|now| {
            if long {
                self.usual.store(now, Ordering::Relaxed);
                LONG.max(now)
            } else if now == LONG {
                self.usual.load(Ordering::Relaxed)
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
