//! What a pool costs beside its work: memory, the submitter's time, wake-ups for nothing.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use futures_lite::future::block_on;

use super::calls::identity;
use super::{Sample, opened, timed, usage};
use crate::contender::Contender;
use crate::counting::bytes_taken;

/// Many enough that the spare room of a queue that grows by doubling counts as it does on average.
const QUEUED: usize = 100_000;

/// Samples the bytes that a task takes which waits in the queue, with the future of its result,
/// but not the place where that is kept.
pub fn memory<C: Contender>() -> Sample {
    let mut bytes = 0;
    behind_a_gate::<C>(opened(1), |submit| bytes = bytes_taken(submit));
    #[expect(clippy::cast_precision_loss, reason = "there are no 2^52 bytes")]
    let value = bytes as f64 / QUEUED as f64;
    Sample { value, cpu: 0.0 }
}

/// Samples the time that it takes to submit a task to a pool whose thread is busy.
pub fn submit<C: Contender>() -> Sample {
    let contender: &C = opened(1);
    // The first time, the memory comes from the kernel.
    behind_a_gate(contender, |submit| submit());
    let mut sample = None;
    behind_a_gate(contender, |submit| sample = Some(timed(QUEUED, submit)));
    sample.expect("nothing was submitted")
}

/// Calls `call` with what submits all tasks, while the only thread waits; then checks them.
fn behind_a_gate<C: Contender>(contender: &C, call: impl FnOnce(&mut dyn FnMut())) {
    let (gate, wait) = mpsc::channel();
    let gated = contender.submit(move || wait.recv().expect("the gate was lost"));
    let mut submitted = Vec::with_capacity(QUEUED);
    call(&mut || {
        submitted.extend((0..QUEUED as u64).map(|item| contender.submit(move || identity(item))));
    });
    gate.send(1).expect("nobody waits at the gate");
    block_on(async {
        assert_eq!(gated.await, 1);
        for (item, result) in (0..).zip(submitted) {
            assert_eq!(result.await, item);
        }
    });
}

/// Samples how often a second a thread of an idle pool's process wakes up.
pub fn idle<C: Contender>(threads: usize, seconds: f64) -> Sample {
    opened::<C>(threads);
    // Who has just finished may look out for more for a while.
    thread::sleep(Duration::from_millis(100));
    let before = usage().voluntary_context_switches();
    thread::sleep(Duration::from_secs_f64(seconds));
    let switches = usage().voluntary_context_switches() - before;
    // One is this thread's.
    let others = u32::try_from(switches - 1).unwrap_or(0);
    Sample {
        value: f64::from(others) / seconds,
        cpu: 0.0,
    }
}
