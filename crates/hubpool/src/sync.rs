//! The locks, atomics and threads that the engine uses: the standard library's, or others for
//! those who watch them.
//!
//! With `--cfg loom` they are loom's, and `tests/models.rs` tries every order in which threads can
//! meet. With `--cfg tsan` the lock is one that is built together with the engine, so that
//! `ThreadSanitizer` sees it work.

use std::time::Duration;

#[cfg(loom)]
pub(crate) use loom::sync::{Arc, MutexGuard, atomic};
#[cfg(tsan)]
pub(crate) use parking_lot::MutexGuard;
#[cfg(not(any(loom, tsan)))]
pub(crate) use std::sync::MutexGuard;
#[cfg(not(loom))]
pub(crate) use std::sync::{Arc, atomic};
#[cfg(not(loom))]
pub(crate) use std::thread;

#[cfg(loom)]
use loom::sync as kind;
#[cfg(tsan)]
use parking_lot as kind;
#[cfg(not(any(loom, tsan)))]
use std::sync as kind;

/// A lock that cannot be poisoned: no code of a user runs under it, so it guards what is whole.
#[derive(Debug)]
pub(crate) struct Mutex<T>(kind::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(kind::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        #[cfg(tsan)]
        return self.0.lock();
        #[cfg(not(tsan))]
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        #[cfg(tsan)]
        return self.0.try_lock();
        #[cfg(not(tsan))]
        self.0.try_lock().ok()
    }
}

#[cfg(loom)]
pub(crate) mod thread {
    //! loom's threads have no clock: what is not due at once never is.

    use std::time::Duration;

    pub(crate) use loom::thread::{Thread, current, park, yield_now};

    pub(crate) fn park_timeout(_: Duration) {
        park();
    }
}

/// The condition variable of that lock.
#[derive(Debug)]
pub(crate) struct Condvar(kind::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(kind::Condvar::new())
    }

    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        #[cfg(tsan)]
        {
            let mut guard = guard;
            self.0.wait(&mut guard);
            guard
        }
        #[cfg(not(tsan))]
        self.0
            .wait(guard)
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Waits for at most so long. loom's threads have no clock: they wait until they are told.
    pub(crate) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        most: Duration,
    ) -> MutexGuard<'a, T> {
        #[cfg(loom)]
        {
            let _ = most;
            self.wait(guard)
        }
        #[cfg(tsan)]
        {
            let mut guard = guard;
            self.0.wait_for(&mut guard, most);
            guard
        }
        #[cfg(not(any(loom, tsan)))]
        {
            let woken = self.0.wait_timeout(guard, most);
            woken.unwrap_or_else(std::sync::PoisonError::into_inner).0
        }
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// For how many microseconds to watch for something. Without a clock, one look must do.
pub(crate) const fn watch_time(micros: u64) -> Duration {
    Duration::from_micros(if cfg!(loom) { 0 } else { micros })
}
