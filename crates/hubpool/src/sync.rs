//! The locks, atomics and threads that the engine uses: the standard library's, or loom's
//! where `tests/models.rs` tries every order in which threads can meet (`--cfg loom`).

use std::time::Duration;

#[cfg(loom)]
pub(crate) use loom::sync::{Arc, Mutex, MutexGuard, atomic};
#[cfg(not(loom))]
pub(crate) use std::sync::{Arc, Mutex, MutexGuard, atomic};

#[cfg(not(loom))]
pub(crate) use std::thread;

#[cfg(loom)]
pub(crate) mod thread {
    //! loom's threads have no clock: what is not due at once never is.

    use std::time::Duration;

    pub(crate) use loom::thread::{Thread, current, park, yield_now};

    pub(crate) fn park_timeout(_: Duration) {
        park();
    }
}

/// For how many microseconds to watch for something. Without a clock, one look must do.
pub(crate) const fn watch_time(micros: u64) -> Duration {
    Duration::from_micros(if cfg!(loom) { 0 } else { micros })
}
