//! When a further worker joins a map.
//!
//! Items that hold a lock, such as an interpreter's, are run as fast by one worker as by ten, and
//! items that compute without it by as many workers as there are cores. Who joins beyond that gets
//! nothing more done, and stands in the way of the hub, for the lock or for a core. So a worker that
//! has a ticket watches how the map gets on, and waits until it is needed.

use std::thread;
use std::time::{Duration, Instant};

/// How long a worker watches before it decides; longer each time that it decides to wait.
const SHORTEST_LOOK: Duration = Duration::from_micros(100);
const LONGEST_LOOK: Duration = Duration::from_millis(4);

/// Items that take less than this are over before a further worker has got going.
const SHORT: Duration = Duration::from_micros(10);

/// After this time without a claim a worker joins though all cores are busy: with other things.
const LONGEST_WAIT: Duration = Duration::from_millis(5);

/// For how long cores have been used.
///
/// ```
/// use hubpool::binding::{CpuTime, until_needed};
///
/// // Who can not look it up says that the worker waits, so that another one joins.
/// let unknown = CpuTime::default();
/// assert!(unknown.worker.is_zero() && !unknown.runs);
/// until_needed(|| Some(7), || unknown, 2);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuTime {
    /// By all threads of the process together.
    pub process: Duration,
    /// By one worker that is at the map, and for how long it has been ready to run and had to wait
    /// for a core. It may come late, but must be right when that worker does not run.
    pub worker: Duration,
    /// Whether that worker runs now, or is ready to.
    pub runs: bool,
}

impl CpuTime {
    fn since(self, before: Self) -> Self {
        Self {
            process: self.process.saturating_sub(before.process),
            worker: self.worker.saturating_sub(before.worker),
            runs: self.runs,
        }
    }
}

/// Blocks a worker that has a ticket of a map until it would get more done there.
///
/// `claimed` says how many items of the map have been claimed, and `None` once the worker is needed
/// in any case, or has other things to do; `cpu_time`, what has been used so far; and `cores`, how
/// many of them the process may use. The calling thread sleeps for up to 4 ms at a time; it
/// must hold nothing that the items need.
///
/// ```
/// use hubpool::binding::{CpuTime, until_needed};
///
/// // The items wait for something else than a core: one more worker can wait, too.
/// until_needed(|| Some(7), CpuTime::default, 2);
/// ```
pub fn until_needed(
    claimed: impl Fn() -> Option<usize>,
    cpu_time: impl Fn() -> CpuTime,
    cores: usize,
) {
    let Some(mut before) = claimed() else { return };
    let mut look = SHORTEST_LOOK;
    let mut since_claim = Instant::now();
    loop {
        let (start, used) = (Instant::now(), cpu_time());
        thread::sleep(look);
        let Some(now) = claimed() else { return };
        let (time, used) = (start.elapsed(), cpu_time().since(used));
        if now != before {
            since_claim = Instant::now();
        }
        let items = u32::try_from(now - before).unwrap_or(u32::MAX);
        if gains(time, items, used, cores) || since_claim.elapsed() > LONGEST_WAIT {
            return;
        }
        before = now;
        look = LONGEST_LOOK.min(2 * look);
    }
}

/// Whether a further worker would get more done, if so many items were claimed in this time, in
/// which the process used so much of the cores'.
fn gains(time: Duration, items: u32, used: CpuTime, cores: usize) -> bool {
    let cores = u32::try_from(cores).unwrap_or(u32::MAX);
    let most = time * 3 / 4; // A core that is used for three quarters of the time is busy.
    // The items wait for something else than a core.
    let waits = !used.runs && used.worker < most;
    // They are long, and perhaps they need no lock.
    let computes = time >= SHORT.saturating_mul(items) && used.process < most.saturating_mul(cores);
    waits || computes
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{CpuTime, gains, until_needed};
    use std::cell::Cell;
    use std::time::Duration;

    const TIME: Duration = Duration::from_millis(1);

    /// What is used while so many cores are, and the map's worker computes, or waits.
    fn used(cores: u32, computes: bool) -> CpuTime {
        CpuTime {
            process: cores * TIME,
            worker: if computes { TIME } else { TIME / 10 },
            runs: false,
        }
    }

    /// All cores are busy, whenever somebody looks.
    fn busy() -> impl Fn() -> CpuTime {
        let used = Cell::new(Duration::ZERO);
        move || {
            used.set(used.get() + Duration::from_secs(1));
            CpuTime {
                process: used.get(),
                worker: used.get(),
                runs: true,
            }
        }
    }

    #[test]
    fn a_worker_joins_items_that_wait_whatever_their_number_and_whoever_computes_beside_them() {
        for items in [0, 1, 1_000_000] {
            for cores in [0, 1, 2] {
                assert!(gains(TIME, items, used(cores, false), 1));
                assert!(gains(TIME, items, used(cores, false), 2));
            }
        }
    }

    #[test]
    fn a_worker_joins_long_items_that_compute_only_while_a_core_is_free() {
        assert!(gains(TIME, 10, used(1, true), 2));
        assert!(!gains(TIME, 10, used(1, true), 1));
        assert!(!gains(TIME, 10, used(2, true), 2));
        assert!(gains(TIME, 10, used(2, true), 4));
    }

    #[test]
    fn a_worker_does_not_join_one_that_runs_whatever_is_known_of_its_time() {
        let runs = CpuTime {
            runs: true,
            ..used(1, false)
        };
        assert!(!gains(TIME, 0, runs, 1));
    }

    #[test]
    fn a_worker_does_not_join_short_items_that_keep_a_core_busy() {
        assert!(!gains(TIME, 1_000, used(1, true), 64));
    }

    #[test]
    fn a_worker_joins_at_last_where_nothing_is_claimed_though_all_cores_are_busy() {
        until_needed(|| Some(1), busy(), 1);
    }

    #[test]
    fn a_worker_waits_until_it_is_needed_in_any_case() {
        let looks = Cell::new(0);
        let claimed = || {
            looks.set(looks.get() + 1);
            (looks.get() < 10).then_some(1000 * looks.get())
        };
        until_needed(claimed, busy(), 1);
        assert_eq!(looks.get(), 10);
    }
}
