//! When a worker lets the interpreter go, and how it comes back to it.
//!
//! A worker that goes from task to task keeps the hub from the interpreter, and so do others that
//! wait for it. So it lets go now and then, for long enough that who waits can have it, and comes
//! back through a turnstile: the hub finds one worker in its way, and not all.

use std::thread;
use std::time::{Duration, Instant};

use hubpool::binding::Turnstile;
use pyo3::prelude::*;

/// How long a worker keeps the interpreter from task to task.
const ATTACHED_TIME: Duration = Duration::from_millis(1);

/// How long a worker then stays away, at least: a thread that waits for the
/// interpreter needs some time to wake up, or the worker would have it again
/// before. The system makes some 50 microseconds of it.
const GAP: Duration = Duration::from_nanos(1);

/// Every so many times a busy worker keeps the interpreter for longer than the
/// interpreter's switch interval.
///
/// A waiting thread that wakes up too late starts to count its interval anew.
/// Only after a whole one can it insist, and is sure to be the next. Without
/// this, one that is always too late would wait for as long as there are jobs.
const FAIR_TURN: u32 = 512;

/// One worker's hold on the interpreter.
pub struct Hold {
    /// When the worker got the interpreter.
    since: Instant,
    /// How often the worker has let it go since it was last idle.
    turns: u32,
    fair_time: Duration,
}

impl Hold {
    pub fn new(py: Python<'_>) -> PyResult<Self> {
        let interval: f64 = py
            .import("sys")?
            .call_method0("getswitchinterval")?
            .extract()?;
        Ok(Self {
            since: Instant::now(),
            turns: 0,
            fair_time: Duration::from_secs_f64(interval * 1.2).max(ATTACHED_TIME),
        })
    }

    /// Whether it is others' turn.
    pub fn is_over(&self) -> bool {
        let limit = if self.turns % FAIR_TURN == FAIR_TURN - 1 {
            self.fair_time
        } else {
            ATTACHED_TIME
        };
        self.since.elapsed() >= limit
    }

    /// Notes that the worker has the interpreter again. If it has been `busy`, it only let others
    /// go first.
    pub fn renew(&mut self, busy: bool) {
        self.since = Instant::now();
        self.turns = if busy { self.turns.wrapping_add(1) } else { 0 };
    }
}

/// Lets who waits for the interpreter wake up. Call it without the interpreter.
pub fn stay_away() {
    thread::sleep(GAP);
}

/// Does some work without the interpreter, and comes back through the turnstile.
pub fn detached<T: Send>(
    py: Python<'_>,
    turnstile: &Turnstile,
    work: impl FnOnce() -> T + Send,
) -> T {
    let (done, _pass) = py.detach(|| (work(), turnstile.enter()));
    done
}
