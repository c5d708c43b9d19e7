//! How many workers of a pool compute at once.
//!
//! Ten workers that compute on two cores get no more done than two, and a hub that wakes up waits behind all of them. So a worker
//! whose jobs compute takes a place before its next job, and there are as many places as cores. If the jobs of the workers that have
//! places turn out to wait for a disk, a socket or a lock for 20 % of their time, the places are open: nobody needs one for a second.
//!
//! Nothing here knows what a job is. The binding says which workers compute, and for how long.

use std::time::{Duration, Instant};

use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex};

/// How long the workers with places may go without ending a job before one more worker gets a place. loom's threads have no clock.
const LONG_JOB: Duration = Duration::from_millis(if cfg!(loom) { u64::MAX } else { 20 });

/// Over how much time of jobs the places are judged.
const JUDGED: Duration = Duration::from_millis(60);

/// How long the places are open after jobs have been seen to wait.
const OPEN: Duration = Duration::from_secs(1);

/// The places of a pool's workers that compute: as many as there are cores.
///
/// ```
/// use hubpool::binding::ComputePlaces;
/// use std::time::{Duration, Instant};
///
/// let places = ComputePlaces::new(1);
/// assert!(places.try_take());
/// assert!(!places.try_take());
/// // The worker's thread was ready to run for a tenth of its jobs' time: they wait, and the limit ends.
/// places.judge(Duration::from_millis(10), Duration::from_millis(100), Instant::now());
/// assert!(places.are_open(Instant::now()));
/// places.give_back();
/// ```
#[derive(Debug)]
pub struct ComputePlaces {
    cores: usize,
    state: Mutex<State>,
    turn: Condvar,
    /// Workers that wait. It changes under the lock; others read it without.
    waiting: AtomicUsize,
    /// Jobs that workers with places have ended, or that were so long that one more worker got a place.
    ended: AtomicUsize,
}

#[derive(Debug)]
struct State {
    /// Workers that have a place.
    taken: usize,
    /// For how long the workers with places have run jobs since the last judgement, and for how long of that their threads have run or
    /// been ready to.
    time: Duration,
    ready: Duration,
    /// Until when nobody needs a place.
    open_until: Option<Instant>,
}

impl State {
    fn is_open(&self, now: Instant) -> bool {
        self.open_until.is_some_and(|end| now < end)
    }
}

impl ComputePlaces {
    /// Makes places for so many cores.
    ///
    /// ```
    /// assert!(hubpool::binding::ComputePlaces::new(2).try_take());
    /// ```
    #[must_use]
    pub fn new(cores: usize) -> Self {
        Self {
            cores: cores.max(1),
            state: Mutex::new(State {
                taken: 0,
                time: Duration::ZERO,
                ready: Duration::ZERO,
                open_until: None,
            }),
            turn: Condvar::new(),
            waiting: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
        }
    }

    /// Takes a place if there is one that no other worker waits for. Any thread; it does not block.
    ///
    /// ```
    /// let places = hubpool::binding::ComputePlaces::new(1);
    /// assert!(places.try_take());
    /// assert!(!places.try_take());
    /// ```
    pub fn try_take(&self) -> bool {
        let mut state = self.state.lock();
        let free = state.taken < self.cores && !self.are_awaited();
        state.taken += usize::from(free);
        free
    }

    /// Blocks the calling worker until it has a place, or one more place is given since the jobs of the others are long; so each job
    /// begins at last. Returns `false` if the places open first: the worker needs none then. The worker must hold nothing that a job needs.
    ///
    /// ```
    /// let places = hubpool::binding::ComputePlaces::new(1);
    /// assert!(places.take());
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| places.take()); // It waits for the place that comes back.
    ///     places.give_back();
    /// });
    /// ```
    pub fn take(&self) -> bool {
        let mut state = self.state.lock();
        let mut has_place = state.taken < self.cores && !self.are_awaited();
        if !has_place {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            while !has_place && !state.is_open(Instant::now()) {
                let (since, ended) = (Instant::now(), self.ended.load(Ordering::Relaxed));
                state = self.turn.wait_timeout(state, LONG_JOB);
                has_place = state.taken < self.cores;
                let all_long = ended == self.ended.load(Ordering::Relaxed);
                if !has_place && all_long && since.elapsed() >= LONG_JOB {
                    self.note_end(); // The next waiter waits for as long again.
                    has_place = true;
                }
            }
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        state.taken += usize::from(has_place);
        if self.are_awaited() && state.taken < self.cores {
            self.turn.notify_one(); // This worker may have been told of a place that it has not taken.
        }
        has_place
    }

    /// Gives a place back. Any thread; it does not block.
    ///
    /// ```
    /// let places = hubpool::binding::ComputePlaces::new(1);
    /// assert!(places.try_take());
    /// places.give_back();
    /// assert!(places.try_take());
    /// ```
    pub fn give_back(&self) {
        let mut state = self.state.lock();
        state.taken -= 1;
        if self.are_awaited() && state.taken < self.cores {
            self.turn.notify_one();
        }
    }

    /// Whether a worker waits for a place. Any thread; it does not block.
    ///
    /// ```
    /// assert!(!hubpool::binding::ComputePlaces::new(1).are_awaited());
    /// ```
    pub fn are_awaited(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Notes that a worker with a place has ended jobs, so that nobody gets one more place. Any thread; it does not block.
    ///
    /// ```
    /// hubpool::binding::ComputePlaces::new(1).note_end();
    /// ```
    pub fn note_end(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether no worker needs a place now. Any thread; it does not block.
    ///
    /// ```
    /// assert!(!hubpool::binding::ComputePlaces::new(1).are_open(std::time::Instant::now()));
    /// ```
    pub fn are_open(&self, now: Instant) -> bool {
        self.state.lock().is_open(now)
    }

    /// Notes that a worker with a place has run jobs for some `time`, and for how long of that its thread has run or been `ready` to.
    /// If that is too little for workers that compute, the places open. Any thread; it does not block.
    ///
    /// ```
    /// # use std::time::{Duration, Instant};
    /// let (places, now) = (hubpool::binding::ComputePlaces::new(1), Instant::now());
    /// places.judge(Duration::from_millis(90), Duration::from_millis(100), now);
    /// assert!(!places.are_open(now));
    /// places.judge(Duration::from_millis(10), Duration::from_millis(100), now);
    /// assert!(places.are_open(now));
    /// assert!(!places.are_open(now + Duration::from_secs(2)));
    /// ```
    pub fn judge(&self, ready: Duration, time: Duration, now: Instant) {
        let mut state = self.state.lock();
        state.time += time;
        state.ready += ready;
        if state.time < JUDGED {
            return;
        }
        if 5 * state.ready < 4 * state.time {
            state.open_until = Some(now + OPEN);
            self.turn.notify_all();
        }
        state.time = Duration::ZERO;
        state.ready = Duration::ZERO;
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn there_are_as_many_places_as_cores() {
        let places = ComputePlaces::new(2);
        assert_eq!([(); 3].map(|()| places.try_take()), [true, true, false]);
        places.give_back();
        assert!(places.try_take());
    }

    #[test]
    fn jobs_that_compute_open_no_places() {
        let (places, now) = (ComputePlaces::new(2), Instant::now());
        for _ in 0..100 {
            places.judge(MS * 8, MS * 10, now);
        }
        assert!(!places.are_open(now));
    }

    #[test]
    fn jobs_that_wait_open_the_places_for_a_second() {
        let (places, now) = (ComputePlaces::new(2), Instant::now());
        for _ in 0..5 {
            places.judge(MS * 7, MS * 10, now);
            assert!(!places.are_open(now), "judged too soon");
        }
        places.judge(MS * 7, MS * 10, now);
        assert!(places.are_open(now + MS * 999));
        assert!(!places.are_open(now + MS * 1001));
    }

    #[test]
    fn no_job_is_judged_twice() {
        let (places, now) = (ComputePlaces::new(2), Instant::now());
        places.judge(Duration::ZERO, JUDGED, now);
        let later = now + 2 * OPEN;
        places.judge(JUDGED, JUDGED, later);
        assert!(!places.are_open(later));
    }

    #[test]
    fn a_worker_waits_for_no_place_of_jobs_that_never_end() {
        let places = ComputePlaces::new(1);
        assert!([(); 3].map(|()| places.take()).iter().all(|taken| *taken));
    }

    #[test]
    fn a_worker_that_waits_goes_first() {
        let places = ComputePlaces::new(1);
        assert!(places.try_take());
        let (taken, told) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                taken.send(places.take()).unwrap();
            });
            while !places.are_awaited() {
                thread::yield_now();
            }
            places.give_back();
            // Whether the waiter is awake by now or not, the place is its.
            assert!(!places.try_take());
            assert!(told.recv().unwrap());
        });
    }
}
