//! How an idle worker waits: it searches briefly, then parks.
//!
//! `README.md` beside this file has the states, the steps and the argument
//! that no wake-up is lost. This module holds the two parts of it that need
//! no lock of the pool's, one worker's parking place and the search that
//! learns whether it pays; `pace` judges whether a wake-up would.

mod pace;

use std::time::{Duration, Instant};

pub(crate) use pace::Pace;

use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use crate::sync::thread::{self, Thread};
use crate::sync::{Arc, watch_time};

/// How long a search lasts at most, and how long a worker that has found a job waits for its
/// submitter to let go. To sleep on a futex and be woken costs 5 to 50 us, and more where a core
/// has to wake up, too. Half of this lost so many searches there that none were made.
const SEARCH_TIME: Duration = watch_time(60);
/// How long one lasts at most that is made without trust, now and then: longer than whoever is waited
/// for needs to wake up, too. Where each finds the other asleep, none would ever win else.
pub(crate) const PATIENCE: Duration = watch_time(300);
/// How long a glance lasts at most: less than it takes to sleep and be woken.
const GLANCE_TIME: Duration = watch_time(5);
/// How long a WATCHING worker sleeps before it looks at the queue.
pub(crate) const WATCH_TIME: Duration = watch_time(250);
/// How many times too long a search is at least in which somebody else had the core.
const LATE: u32 = 8;
/// The trust to begin with, and the most that a long row of successful searches can earn: so much
/// that one which is late now and then, as on a machine that others use, does not end them.
const FIRST_TRUST: u32 = 8;
const MOST_TRUST: u32 = 64;
/// Without trust, one search in this many is made all the same, to learn
/// whether searching has begun to pay; and in up to so many, while what it
/// learns is that others need the core.
const PROBE_EVERY: u32 = 32;
const RAREST_PROBE: u32 = 4096;
/// All of these are patient at first, and one in up to so many if that is in vain.
const LEAST_PATIENT: u32 = 64;

/// One worker thread's parking place. Make it on the thread that uses it.
///
/// ```
/// use hubpool::binding::{Next, Pool, Worker};
/// use std::thread;
///
/// let pool = Pool::new(1);
/// pool.register();
/// pool.submit(7).unwrap();
/// let next = thread::scope(|scope| scope.spawn(|| pool.next(&Worker::new(), None)).join());
/// assert_eq!(next.unwrap(), Next::Job(7));
/// ```
#[derive(Clone, Debug)]
pub struct Worker {
    parking: Arc<Parking>,
}

#[derive(Debug)]
struct Parking {
    thread: Thread,
    /// Set by who wakes this worker, cleared by the worker before it parks.
    notified: AtomicBool,
    /// How many jobs the worker has got. Written by the worker alone.
    served: AtomicUsize,
    /// Whether the worker is CALLED. Set under the pool's lock; the worker itself may clear it without.
    called: AtomicBool,
}

impl Worker {
    /// The parking place of the current thread.
    ///
    /// ```
    /// use hubpool::binding::{Pool, Worker};
    ///
    /// let worker = Worker::new();
    /// assert_eq!(Pool::<u32>::new(1).try_next(&worker), None);
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self {
            parking: Arc::new(Parking {
                thread: thread::current(),
                notified: AtomicBool::new(false),
                served: AtomicUsize::new(0),
                called: AtomicBool::new(false),
            }),
        }
    }

    /// Notes that the worker gets a job.
    pub(crate) fn serve(&self) {
        let served = self.parking.served.load(Ordering::Relaxed);
        self.parking
            .served
            .store(served.wrapping_add(1), Ordering::Relaxed);
    }

    /// Whether the worker has ever got a job.
    pub(crate) fn has_served(&self) -> bool {
        self.served() > 0
    }

    /// How many jobs it has got.
    pub(crate) fn served(&self) -> usize {
        self.parking.served.load(Ordering::Relaxed)
    }

    /// Whether the worker is CALLED.
    pub(crate) fn is_called(&self) -> bool {
        self.parking.called.load(Ordering::Relaxed)
    }

    /// Notes whether it is: under the pool's lock, or by the worker itself that is it no more.
    pub(crate) fn set_called(&self, called: bool) {
        self.parking.called.store(called, Ordering::Relaxed);
    }

    /// Announces that the next wake-up is meant for the coming [`park`](Self::park).
    pub(crate) fn prepare(&self) {
        self.parking.notified.store(false, Ordering::Relaxed);
    }

    /// Blocks the thread until [`wake`](Self::wake); `false` if the deadline comes first.
    pub(crate) fn park(&self, deadline: Option<Instant>) -> bool {
        // `unpark` leaves a token when it comes first, so a wake-up between
        // the check and the park is not lost; a left-over token only costs
        // one more turn of the loop.
        while !self.parking.notified.load(Ordering::Acquire) {
            match deadline {
                None => thread::park(),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return false;
                    }
                    thread::park_timeout(left);
                }
            }
        }
        true
    }

    /// Ends the worker's park, now or when it comes to it.
    pub(crate) fn wake(&self) {
        self.parking.notified.store(true, Ordering::Release);
        self.parking.thread.unpark();
    }

    /// Whether both are the same worker's.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.parking, &other.parking)
    }
}

impl Default for Worker {
    fn default() -> Self {
        Self::new()
    }
}

/// A short watch for something that another thread is about to do, instead of
/// a sleep. It learns whether it wins, and stops where it does not.
#[derive(Debug)]
pub(crate) struct Search {
    /// Grows with each search that found something, shrinks with each that did not.
    trust: AtomicU32,
    /// How many more searches are not made for lack of trust.
    skipped: AtomicU32,
    /// How many are not made after one that failed without trust left.
    pause: AtomicU32,
    /// How many have been made without trust since the last patient one, and how many there shall be
    /// from one to the next.
    probes: AtomicU32,
    patient_every: AtomicU32,
}

impl Search {
    pub(crate) fn new() -> Self {
        Self {
            trust: AtomicU32::new(FIRST_TRUST),
            skipped: AtomicU32::new(0),
            pause: AtomicU32::new(PROBE_EVERY),
            probes: AtomicU32::new(0),
            patient_every: AtomicU32::new(1),
        }
    }

    /// Whether a search is worth its time now.
    pub(crate) fn pays(&self) -> bool {
        if self.is_trusted() {
            return true;
        }
        // Several threads may ask: one search more or less does not matter.
        let left = self.skipped.load(Ordering::Relaxed);
        self.skipped
            .store(left.saturating_sub(1), Ordering::Relaxed);
        left == 0
    }

    /// Whether searches have paid of late.
    pub(crate) fn is_trusted(&self) -> bool {
        self.trust.load(Ordering::Relaxed) > 0
    }

    /// Whether nobody else has needed the core of late.
    pub(crate) fn is_undisturbed(&self) -> bool {
        self.pause.load(Ordering::Relaxed) <= PROBE_EVERY
    }

    /// Watches until `found` or for the time that is its [limit](Self::limit), then as long at most
    /// until `ready`, and learns from the outcome. A search that comes back late is
    /// `excused` where who was waited for had the core, and made good use of it.
    pub(crate) fn run(
        &self,
        limit: Duration,
        found: impl Fn() -> bool,
        ready: impl Fn() -> bool,
        excused: impl Fn() -> bool,
    ) {
        let start = Instant::now();
        let won = watch(limit, found);
        if won {
            watch(SEARCH_TIME, ready);
        }
        let late = if excused() {
            0
        } else {
            lateness(start + limit.saturating_sub(SEARCH_TIME), SEARCH_TIME)
        };
        self.learn(won, late);
    }

    /// Watches until `found`, if that pays, as shortly as who polls may stay: whoever polls
    /// has others to serve. Returns whether it has won.
    pub(crate) fn glance(&self, found: impl Fn() -> bool) -> bool {
        if !self.pays() {
            return false;
        }
        let start = Instant::now();
        let won = watch(GLANCE_TIME, found);
        self.learn(won, lateness(start, GLANCE_TIME));
        won
    }

    /// How long the next search lasts: [`PATIENCE`] if that is what it takes to learn anything.
    pub(crate) fn limit(&self) -> Duration {
        if self.is_trusted() {
            return SEARCH_TIME;
        }
        let probes = self.probes.load(Ordering::Relaxed) + 1;
        let every = self.patient_every.load(Ordering::Relaxed);
        let patient = probes >= every;
        self.probes
            .store(if patient { 0 } else { probes }, Ordering::Relaxed);
        if patient {
            // Until one wins.
            self.patient_every
                .store(LEAST_PATIENT.min(2 * every), Ordering::Relaxed);
            PATIENCE
        } else {
            SEARCH_TIME
        }
    }

    /// Learns whether a search has won, and how late it came back.
    fn learn(&self, won: bool, late: u32) {
        let mut trust = self.trust.load(Ordering::Relaxed);
        let mut pause = self.pause.load(Ordering::Relaxed);
        if late > 0 {
            // Somebody has taken the core that was given away, and kept it for as long as so many
            // searches.
            trust = trust.saturating_sub(late);
            if trust == 0 {
                pause = RAREST_PROBE.min(2 * pause);
            }
        } else if won {
            trust = MOST_TRUST.min(trust + 1);
            self.patient_every.store(1, Ordering::Relaxed);
            // Slower than it grows: where every second search is late, few are made.
            pause = PROBE_EVERY.max(pause - pause / 4);
        } else {
            trust = trust.saturating_sub(1);
        }
        self.trust.store(trust, Ordering::Relaxed);
        self.pause.store(pause, Ordering::Relaxed);
        if trust == 0 {
            self.skipped.store(pause, Ordering::Relaxed);
        }
    }
}

/// How many times its limit a search took, if that was so long that somebody else had the core; else 0.
fn lateness(start: Instant, limit: Duration) -> u32 {
    let times = start.elapsed().as_nanos() / limit.as_nanos().max(1);
    let times = u32::try_from(times).unwrap_or(u32::MAX);
    if times < LATE { 0 } else { times }
}

/// Waits for `found`, at most for `time`. It gives the core away meanwhile: on
/// a shared core, who is waited for needs it.
fn watch(time: Duration, found: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if found() {
            return true;
        }
        if start.elapsed() >= time {
            return false;
        }
        thread::yield_now();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{
        FIRST_TRUST, MOST_TRUST, Ordering, PATIENCE, PROBE_EVERY, RAREST_PROBE, SEARCH_TIME, Search,
    };

    /// How many waits begin without a search until one begins with it.
    fn skipped(search: &Search) -> u32 {
        (0..=RAREST_PROBE)
            .find(|_| search.pays())
            .expect("it never searches again")
    }

    fn lose_all_trust(search: &Search) {
        while search.trust.load(Ordering::Relaxed) > 0 {
            assert!(search.pays());
            search.learn(false, 0);
        }
    }

    #[test]
    fn a_search_that_finds_nothing_costs_some_trust() {
        let search = Search::new();
        lose_all_trust(&search);
        assert_eq!(skipped(&search), PROBE_EVERY);
    }

    #[test]
    fn a_glance_sees_what_is_there_and_is_not_cast_where_that_does_not_pay() {
        assert!(Search::new().glance(|| true));
        let search = Search::new();
        assert!(!search.glance(|| false));
        while search.pays() {
            search.learn(false, 0);
        }
        assert!(!search.glance(|| unreachable!("it does not pay")));
    }

    #[test]
    fn searches_that_lose_the_core_end_each_time_for_longer() {
        let search = Search::new();
        for times in 1..=3 {
            search.learn(true, FIRST_TRUST);
            assert!(!search.is_undisturbed());
            assert_eq!(skipped(&search), PROBE_EVERY << times);
        }
        for _ in 0..100 {
            search.learn(true, FIRST_TRUST);
        }
        assert_eq!(skipped(&search), RAREST_PROBE);
        // One that wins in time earns trust again, bit by bit.
        for _ in 0..20 {
            search.learn(true, 0);
            assert!(search.pays());
        }
        lose_all_trust(&search);
        assert_eq!(skipped(&search), PROBE_EVERY);
    }

    #[test]
    fn without_trust_one_search_is_patient_now_and_then() {
        let search = Search::new();
        assert_eq!(search.limit(), SEARCH_TIME);
        lose_all_trust(&search);
        let patient = |search: &Search| (0..256).filter(|_| search.limit() == PATIENCE).count();
        // After 1, 2, 4, 8, 16, 32, and then after 64 each.
        assert_eq!(patient(&search), 6 + 3);
        // And the next one after one has won.
        search.learn(true, 0);
        lose_all_trust(&search);
        assert_eq!(search.limit(), PATIENCE);
    }

    #[test]
    fn one_that_loses_the_core_now_and_then_costs_what_it_took() {
        let search = Search::new();
        for wait in 1..=10_000 {
            assert!(search.pays());
            search.learn(true, if wait % 200 == 0 { MOST_TRUST - 1 } else { 0 });
        }
        search.learn(true, MOST_TRUST);
        assert_eq!(skipped(&search), 2 * PROBE_EVERY);
    }
}
