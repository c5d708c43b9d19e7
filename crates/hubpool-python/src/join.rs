//! When a further worker joins a map.
//!
//! Items that hold the interpreter are run as fast by one worker as by ten, and items that compute
//! without it by as many workers as there are cores. Who joins beyond that gets nothing more done,
//! and stands in the way of the hub, for the interpreter or for a core. So a worker that has a
//! ticket watches how the map gets on, and waits until it is needed.

use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::attach::cores;

/// How long a worker watches before it decides; longer each time that it decides to wait.
const SHORTEST_LOOK: Duration = Duration::from_micros(100);
const LONGEST_LOOK: Duration = Duration::from_millis(1);

/// Items that take less than this are over before a further worker has got going.
const SHORT: Duration = Duration::from_micros(10);

/// After this time without a claim a worker joins though all cores are busy: with other things.
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
        let (time, used) = (start.elapsed(), cpu_time().saturating_sub(used));
        if now != before {
            since_claim = start;
        }
        let items = u32::try_from(now - before).unwrap_or(u32::MAX);
        if gains(time, items, used) || since_claim.elapsed() > LONGEST_WAIT {
            return;
        }
        before = now;
        look = LONGEST_LOOK.min(2 * look);
    }
}

/// Whether a further worker would get more done, if so many items were claimed in this time, in
/// which the process used so much of the cores'.
fn gains(time: Duration, items: u32, used: Duration) -> bool {
    let cores = u32::try_from(cores()).unwrap_or(u32::MAX);
    let most = time * 3 / 4; // A core that is used for three quarters of the time is busy.
    // The items wait for something else than a core or the interpreter.
    let waits = used < most;
    // They are long, and perhaps they do not need the interpreter.
    let computes = time >= SHORT * items && used < most * cores;
    waits || computes
}

/// The CPU time that the process has used, all threads together.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}
