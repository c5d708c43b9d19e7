//! A place that one thread at a time passes, on its way to a lock that is not the pool's.
//!
//! Jobs may need such a lock, as Python's need the interpreter's. If all workers waited for it,
//! the hub would wait behind each of them. So they wait here, and only one of them waits there.

use crate::sync::{Condvar, Mutex};

/// Where workers wait for their turn to wait for a lock.
///
/// ```
/// use hubpool::binding::Turnstile;
/// use std::sync::Mutex;
///
/// let (turnstile, lock) = (Turnstile::new(), Mutex::new(0));
/// std::thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| {
///             let pass = turnstile.enter(); // At most one thread goes on from here,
///             let mut count = lock.lock().unwrap();
///             drop(pass); // until it has what it has come for.
///             *count += 1;
///         });
///     }
/// });
/// assert_eq!(lock.into_inner().unwrap(), 4);
/// ```
#[derive(Debug)]
pub struct Turnstile {
    state: Mutex<State>,
    free: Condvar,
}

#[derive(Debug)]
struct State {
    taken: bool,
    /// How many wait. To tell nobody would cost a call of the system.
    waiting: usize,
}

/// The right to wait for the lock. Drop it when the lock has been had.
///
/// ```
/// use hubpool::binding::Turnstile;
///
/// let turnstile = Turnstile::new();
/// drop(turnstile.enter());
/// drop(turnstile.enter()); // It would wait for ever if the first pass were there.
/// ```
#[derive(Debug)]
#[must_use = "dropping it lets the next one in"]
pub struct Pass<'a>(&'a Turnstile);

impl Turnstile {
    /// Makes one that nobody has entered.
    ///
    /// ```
    /// let turnstile = hubpool::binding::Turnstile::new();
    /// drop(turnstile.enter()); // Without a wait.
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: Mutex::new(State {
                taken: false,
                waiting: 0,
            }),
            free: Condvar::new(),
        }
    }

    /// Blocks until it is the caller's turn. Any thread, but one that has a pass: it would wait for
    /// ever.
    ///
    /// ```
    /// # use hubpool::binding::Turnstile;
    /// # use std::sync::atomic::{AtomicBool, Ordering};
    /// # let (turnstile, second) = (Turnstile::new(), AtomicBool::new(false));
    /// let pass = turnstile.enter();
    /// # std::thread::scope(|scope| {
    /// scope.spawn(|| {
    ///     let _pass = turnstile.enter();
    ///     second.store(true, Ordering::Relaxed);
    /// });
    /// assert!(!second.load(Ordering::Relaxed));
    /// drop(pass);
    /// # });
    /// ```
    pub fn enter(&self) -> Pass<'_> {
        let mut state = self.state.lock();
        while state.taken {
            state.waiting += 1;
            state = self.free.wait(state);
            state.waiting -= 1;
        }
        state.taken = true;
        Pass(self)
    }
}

impl Default for Turnstile {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let awaited = {
            let mut state = self.0.state.lock();
            state.taken = false;
            state.waiting > 0
        };
        if awaited {
            self.0.free.notify_one();
        }
    }
}
