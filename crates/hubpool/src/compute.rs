//! How many workers of a pool compute at once.
//!
//! Ten workers that compute on two cores get no more done than two, and a hub that wakes up waits behind all of them. So a worker
//! whose jobs compute takes a place before its next job, and there are as many places as cores. If the jobs of the workers that have
//! places turn out to wait for a disk, a socket or a lock for 20 % of their time, and leave cores idle by that, the places are open:
//! nobody needs one for a second.
//!
//! Nothing here knows what a job is. The binding says which workers compute, and for how long.

use std::time::{Duration, Instant};

use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex};

/// After how long without an end of its jobs a worker loses its place to one that waits. While it goes on, one more worker computes: the
/// shorter, the later the hub; the longer, the longer jobs may wait behind long ones. loom's threads have no clock.
const LONG_JOB: Duration = Duration::from_millis(if cfg!(loom) { u64::MAX } else { 100 });

/// Over how much time of jobs the places are judged, and how many judgements in a row open them. Two workers that wait for the
/// interpreter leave a core idle for one or two.
const JUDGED: Duration = Duration::from_millis(60);
const ENOUGH: u32 = 3;

/// How long the places are open after jobs have been seen to wait.
const OPEN: Duration = Duration::from_secs(1);

/// The places of a pool's workers that compute: as many as there are cores.
///
/// ```
/// use hubpool::binding::ComputePlaces;
/// use std::time::{Duration, Instant};
///
/// let places = ComputePlaces::new(1);
/// let place = places.try_take().unwrap();
/// assert!(places.try_take().is_none());
/// // The worker's thread was ready to run for a tenth of its jobs' time, and no core was used: the jobs wait, and the limit ends.
/// let ready = Duration::from_millis(10);
/// for _ in 0..3 {
///     places.judge(ready, 10 * ready, Instant::now(), || Duration::ZERO);
/// }
/// assert!(places.are_open(Instant::now()));
/// places.give_back(place);
/// ```
#[derive(Debug)]
pub struct ComputePlaces {
    cores: usize,
    state: Mutex<State>,
    turn: Condvar,
    /// Workers that wait. It changes under the lock; others read it without.
    waiting: AtomicUsize,
}

/// The right to compute. Its worker gives it back.
#[derive(Debug)]
pub struct ComputePlace(usize);

#[derive(Debug)]
struct State {
    /// The places that are taken, the oldest first: no more than there are cores.
    taken: Vec<Taken>,
    /// How many have ever been taken.
    count: usize,
    /// How many times workers with places have ended jobs, or given a place back.
    ended: usize,
    judgement: Judgement,
    /// Until when nobody needs a place.
    open_until: Option<Instant>,
}

/// What the next judgement is made from.
#[derive(Debug)]
struct Judgement {
    /// When the last one was made, and for how long the process had used cores by then.
    since: Instant,
    used: Duration,
    /// For how long the workers with places have run jobs since, and for how long of that their threads have run or been ready to.
    time: Duration,
    ready: Duration,
    /// How many in a row have found that jobs wait.
    waits: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Taken {
    number: usize,
    /// How many times the worker has ended jobs since.
    ended: usize,
}

impl State {
    fn take(&mut self) -> ComputePlace {
        self.count += 1;
        self.taken.push(Taken {
            number: self.count,
            ended: 0,
        });
        ComputePlace(self.count)
    }

    fn is_open(&self, now: Instant) -> bool {
        self.open_until.is_some_and(|end| now < end)
    }
}

impl ComputePlaces {
    /// Makes places for so many cores.
    ///
    /// ```
    /// assert!(hubpool::binding::ComputePlaces::new(2).try_take().is_some());
    /// ```
    #[must_use]
    pub fn new(cores: usize) -> Self {
        Self {
            cores: cores.max(1),
            state: Mutex::new(State {
                taken: Vec::new(),
                count: 0,
                ended: 0,
                judgement: Judgement {
                    since: Instant::now(),
                    used: Duration::ZERO,
                    time: Duration::ZERO,
                    ready: Duration::ZERO,
                    waits: 0,
                },
                open_until: None,
            }),
            turn: Condvar::new(),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Takes a place if there is one that no other worker waits for. It does not block.
    ///
    /// ```
    /// let places = hubpool::binding::ComputePlaces::new(1);
    /// assert!(places.try_take().is_some());
    /// assert!(places.try_take().is_none());
    /// ```
    pub fn try_take(&self) -> Option<ComputePlace> {
        let mut state = self.state.lock();
        let free = state.taken.len() < self.cores && !self.are_awaited();
        free.then(|| state.take())
    }

    /// Blocks the calling worker until it has a place. A worker that has ended no job for 100 ms loses its place to this one. Returns `None`
    /// if the worker may run its next job without a place: the places are open, or no worker with a place has ended a job for 100 ms. The
    /// jobs are long then, or wait for this one's.
    ///
    /// The worker must hold nothing that a job needs, and no job.
    ///
    /// ```
    /// let places = hubpool::binding::ComputePlaces::new(1);
    /// let first = places.take().unwrap();
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| places.take()); // It waits for the place that comes back.
    ///     places.give_back(first);
    /// });
    /// ```
    pub fn take(&self) -> Option<ComputePlace> {
        let mut state = self.state.lock();
        let mut place = None;
        if state.taken.len() < self.cores && !self.are_awaited() {
            place = Some(state.take());
        } else {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            while place.is_none() && !state.is_open(Instant::now()) {
                let (since, ended, before) = (Instant::now(), state.ended, state.taken.clone());
                state = self.turn.wait_timeout(state, LONG_JOB);
                if state.taken.len() < self.cores {
                    place = Some(state.take());
                } else if since.elapsed() >= LONG_JOB {
                    if state.ended == ended {
                        break;
                    }
                    if let Some(long) = before.iter().find(|t| state.taken.contains(t)) {
                        state.taken.retain(|taken| taken != long);
                        place = Some(state.take());
                    }
                }
            }
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        // This worker may have been told of a place that it has not taken.
        self.tell_next(&state);
        place
    }

    /// Gives a place back, unless the worker has lost it. Any thread; it does not block.
    ///
    /// ```
    /// let places = hubpool::binding::ComputePlaces::new(1);
    /// places.give_back(places.try_take().unwrap());
    /// assert!(places.try_take().is_some());
    /// ```
    #[allow(clippy::needless_pass_by_value, reason = "the worker has it no longer")]
    pub fn give_back(&self, place: ComputePlace) {
        let mut state = self.state.lock();
        state.taken.retain(|taken| taken.number != place.0);
        state.ended += 1;
        self.tell_next(&state);
    }

    fn tell_next(&self, state: &State) {
        if self.are_awaited() && state.taken.len() < self.cores {
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

    /// Notes that a worker with a place has ended jobs. Returns whether it still has the place. Any thread; it does not block.
    ///
    /// ```
    /// let places = hubpool::binding::ComputePlaces::new(1);
    /// let place = places.try_take().unwrap();
    /// assert!(places.note_end(&place));
    /// ```
    pub fn note_end(&self, place: &ComputePlace) -> bool {
        let mut state = self.state.lock();
        let taken = state.taken.iter_mut().find(|taken| taken.number == place.0);
        let has_place = taken.map(|taken| taken.ended += 1).is_some();
        state.ended += usize::from(has_place);
        has_place
    }

    fn open(&self, state: &mut State, now: Instant) {
        state.open_until = Some(now + OPEN);
        self.turn.notify_all();
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
    /// If that is too little for workers that compute, and the process, which has `used` cores for so long, leaves some idle, the places
    /// open. Any thread; it does not block.
    ///
    /// ```
    /// # use std::time::{Duration, Instant};
    /// let (places, now) = (hubpool::binding::ComputePlaces::new(1), Instant::now());
    /// let judge = |ready, turn| {
    ///     let time = Duration::from_millis(100);
    ///     places.judge(Duration::from_millis(ready), time, now + turn * time, || Duration::ZERO);
    /// };
    /// (1..4).for_each(|turn| judge(90, turn));
    /// assert!(!places.are_open(now));
    /// (4..7).for_each(|turn| judge(10, turn));
    /// assert!(places.are_open(now));
    /// assert!(!places.are_open(now + Duration::from_secs(2)));
    /// ```
    pub fn judge(
        &self,
        ready: Duration,
        time: Duration,
        now: Instant,
        used: impl FnOnce() -> Duration,
    ) {
        let mut state = self.state.lock();
        let judgement = &mut state.judgement;
        judgement.time += time;
        judgement.ready += ready;
        if judgement.time < JUDGED {
            return;
        }
        let used = used();
        let cores = u32::try_from(self.cores).unwrap_or(u32::MAX);
        let span = now
            .saturating_duration_since(judgement.since)
            .saturating_mul(cores);
        // A worker that waits for the interpreter is not ready to run, but then another one has a core.
        let waits = is_low(judgement.ready, judgement.time)
            && is_low(used.saturating_sub(judgement.used), span);
        let waits = if waits { judgement.waits + 1 } else { 0 };
        *judgement = Judgement {
            since: now,
            used,
            time: Duration::ZERO,
            ready: Duration::ZERO,
            waits,
        };
        if waits >= ENOUGH {
            judgement.waits = 0;
            self.open(&mut state, now);
        }
    }
}

/// Whether a part is less than four fifths of the whole.
fn is_low(part: Duration, whole: Duration) -> bool {
    5 * part < 4 * whole
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
        let mut taken = [(); 3].map(|()| places.try_take());
        assert_eq!(taken.each_ref().map(Option::is_some), [true, true, false]);
        places.give_back(taken[0].take().unwrap());
        assert!(places.try_take().is_some());
    }

    #[test]
    fn jobs_that_compute_open_no_places() {
        let (places, now) = (ComputePlaces::new(2), Instant::now());
        for _ in 0..100 {
            places.judge(MS * 8, MS * 10, Instant::now(), || Duration::ZERO);
        }
        assert!(!places.are_open(now));
    }

    #[test]
    fn jobs_that_wait_for_each_other_while_the_cores_are_used_open_no_places() {
        let (places, start) = (ComputePlaces::new(2), Instant::now());
        for turn in 1..100 {
            // Four fifths of two cores are used.
            let now = start + turn * JUDGED;
            places.judge(JUDGED / 2, JUDGED, now, || turn * JUDGED * 8 / 5);
            assert!(!places.are_open(now));
        }
    }

    #[test]
    fn jobs_that_wait_open_the_places_for_a_second() {
        let (places, start) = (ComputePlaces::new(2), Instant::now());
        for turn in 1..=ENOUGH {
            let now = start + turn * JUDGED;
            assert!(!places.are_open(now), "judged too soon");
            // Somewhat less than four fifths of two cores are used.
            places.judge(JUDGED * 7 / 10, JUDGED, now, || turn * JUDGED * 3 / 2);
        }
        let now = start + ENOUGH * JUDGED;
        assert!(places.are_open(now + MS * 999));
        assert!(!places.are_open(now + MS * 1001));
    }

    #[test]
    fn jobs_that_wait_now_and_then_open_no_places() {
        let (places, now) = (ComputePlaces::new(2), Instant::now());
        for turn in 0..100 {
            let ready = if turn % ENOUGH == 0 {
                JUDGED
            } else {
                JUDGED / 2
            };
            places.judge(ready, JUDGED, now + MS * turn, || Duration::ZERO);
            assert!(!places.are_open(now));
        }
    }

    #[test]
    fn no_job_is_judged_twice() {
        let (places, start) = (ComputePlaces::new(2), Instant::now());
        let judge = |now| places.judge(Duration::ZERO, JUDGED, now, || Duration::ZERO);
        (1..=ENOUGH).for_each(|turn| judge(start + turn * JUDGED));
        assert!(places.are_open(start));
        let later = start + 2 * OPEN;
        judge(later);
        assert!(!places.are_open(later));
    }

    #[test]
    fn a_worker_whose_job_is_long_loses_its_place() {
        let places = ComputePlaces::new(2);
        let (long, other) = (places.try_take().unwrap(), places.try_take().unwrap());
        let over = AtomicUsize::new(0);
        let taken = thread::scope(|scope| {
            scope.spawn(|| {
                while over.load(Ordering::Relaxed) == 0 {
                    assert!(places.note_end(&other));
                    thread::sleep(MS);
                }
            });
            let taken = places.take().unwrap();
            over.store(1, Ordering::Relaxed);
            taken
        });
        assert!(!places.note_end(&long));
        assert!(places.note_end(&taken));
        places.give_back(long);
        assert!(places.try_take().is_none(), "what was lost came back");
        places.give_back(taken);
        assert!(places.try_take().is_some());
    }

    #[test]
    fn where_no_job_ends_for_long_each_worker_that_waits_goes_on() {
        let places = ComputePlaces::new(1);
        let _place = places.try_take();
        thread::scope(|scope| {
            for _ in 0..9 {
                scope.spawn(|| assert!(places.take().is_none()));
            }
        });
        assert!(!places.are_open(Instant::now()));
    }

    #[test]
    fn a_worker_that_waits_goes_first() {
        let places = ComputePlaces::new(1);
        let place = places.try_take().unwrap();
        let (taken, told) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                let place = places.take();
                taken.send(place.is_some()).unwrap();
            });
            while !places.are_awaited() {
                thread::yield_now();
            }
            places.give_back(place);
            // Whether the waiter is awake by now or not, the place is its.
            assert!(places.try_take().is_none());
            assert!(told.recv().unwrap());
        });
    }
}
