//! When a further worker joins a map.
//!
//! Items that hold the interpreter are run as fast by one worker as by ten, and items that compute
//! without it by as many workers as there are cores. Who joins beyond that gets nothing more done,
//! and stands in the way of the hub, for the interpreter or for a core. So a worker that has a
//! ticket waits until the map needs it: no item goes on, and there is a core for one more.

use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::attach::cores;

/// How long nothing must have been claimed, at first and at most. Items that take longer than that
/// gain from a further worker; those that take less gain little from whatever anybody does.
const SHORTEST_LOOK: Duration = Duration::from_micros(100);
const LONGEST_LOOK: Duration = Duration::from_millis(1);

/// The cores count as busy when three quarters of their time are used. After this time without a claim a worker joins though all cores are busy: with other things.
const LONGEST_WAIT: Duration = Duration::from_millis(5);

/// Blocks until a further worker is needed. `claimed` says how many items have been claimed, and
/// `None` if the worker is needed, or has other things to do, in any case.
pub fn until_needed(claimed: impl Fn() -> Option<usize>) {
    let Some(mut before) = claimed() else { return };
    let mut look = SHORTEST_LOOK;
    let mut since_claim = Instant::now();
    loop {
        let (start, used) = (Instant::now(), cpu_time());
        thread::sleep(look);
        let Some(now) = claimed() else { return };
        if now == before {
            let cores = u32::try_from(cores()).unwrap_or(u32::MAX);
            let busy = cpu_time() - used > start.elapsed() * cores * 3 / 4;
            if !busy || since_claim.elapsed() > LONGEST_WAIT {
                return;
            }
        } else {
            before = now;
            since_claim = Instant::now();
            look = LONGEST_LOOK.min(2 * look);
        }
    }
}

/// The CPU time that the process has used, all threads together.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
