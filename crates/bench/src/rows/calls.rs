//! What is timed. Each returns how many tasks it had, and checks what they returned.

use std::hint::black_box;
use std::thread;
use std::time::Duration;

use futures_lite::future::block_on;

use crate::contender::{Contender, window};

/// How many tasks may be submitted and not finished, where there is a limit.
pub const IN_FLIGHT: usize = 16;

const MANY: u64 = 100_000;
const PRODUCERS: u64 = 4;
const ROUND_TRIPS: u64 = 1_000;
const SLEEPS: usize = 2_000;
/// How far a map may be ahead of its reader.
const AHEAD: usize = 1024;

/// Submits many, then awaits all.
pub async fn burst<C: Contender>(contender: &C) -> usize {
    burst_of(contender, MANY).await
}

/// Has so many in flight at any time, by the contender's own limit if it has one.
pub async fn in_flight<C: Contender>(contender: &C) -> usize {
    let mut check = Ordered::default();
    // A contender that limits must find itself limited by nothing else.
    let ahead = if C::LIMITS { 2 * IN_FLIGHT } else { IN_FLIGHT };
    let submit = async |item| contender.submit_in_turn(move || identity(item)).await;
    window(MANY, ahead, submit, |result| check.take(result)).await;
    check.end()
}

/// Maps in order.
pub async fn ordered<C: Contender>(contender: &C) -> usize {
    let mut check = Ordered::default();
    contender
        .ordered(MANY, AHEAD, identity, |result| check.take(result))
        .await;
    check.end()
}

/// Maps in any order.
pub async fn unordered<C: Contender>(contender: &C) -> usize {
    let (mut count, mut sum) = (0, 0);
    contender
        .unordered(MANY, AHEAD, identity, |result| {
            count += 1;
            sum += result;
        })
        .await;
    assert_eq!((count, sum), (MANY, sum_below(MANY)));
    tasks(count)
}

/// Submits from several threads at once, each of which awaits its own.
pub async fn producers<C: Contender>(contender: &C) -> usize {
    thread::scope(|scope| {
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|_| scope.spawn(|| block_on(burst_of(contender, MANY / PRODUCERS))))
            .collect();
        let done = producers
            .into_iter()
            .map(|producer| producer.join().expect("a producer has failed"));
        done.sum()
    })
}

/// Submits and awaits one after the other. Who awaits is parked meanwhile.
pub async fn round_trips<C: Contender>(contender: &C) -> usize {
    for item in 0..ROUND_TRIPS {
        assert_eq!(contender.submit(move || identity(item)).await, item);
    }
    tasks(ROUND_TRIPS)
}

/// Sleeps a millisecond many times. On n threads that takes 1/n of a millisecond each, at best.
pub async fn sleeps<C: Contender>(contender: &C) -> usize {
    let sleep = || {
        thread::sleep(Duration::from_millis(1));
        1
    };
    let sleeping: Vec<_> = (0..SLEEPS).map(|_| contender.submit(sleep)).collect();
    let mut sum = 0;
    for result in sleeping {
        sum += result.await;
    }
    assert_eq!(sum, SLEEPS as u64);
    SLEEPS
}

/// Makes a pool, and awaits its first result.
pub fn cold<C: Contender>(threads: usize) {
    // To take the pool down is not part of it.
    let contender = Box::leak(Box::new(C::open(threads)));
    assert_eq!(block_on(contender.submit(|| identity(1))), 1);
}

async fn burst_of<C: Contender>(contender: &C, items: u64) -> usize {
    let mut submitted = Vec::with_capacity(tasks(items));
    submitted.extend((0..items).map(|item| contender.submit(move || identity(item))));
    let mut check = Ordered::default();
    for result in submitted {
        check.take(result.await);
    }
    check.end()
}

/// What the jobs do: nothing, but the compiler does not know.
pub fn identity(item: u64) -> u64 {
    black_box(item)
}

fn sum_below(items: u64) -> u64 {
    items * (items - 1) / 2
}

fn tasks(items: u64) -> usize {
    usize::try_from(items).expect("too many")
}

/// Checks that the results are 0, 1, 2 and so on.
#[derive(Default)]
struct Ordered {
    taken: u64,
}

impl Ordered {
    fn take(&mut self, result: u64) {
        assert_eq!(result, self.taken, "a result out of order");
        self.taken += 1;
    }

    fn end(self) -> usize {
        tasks(self.taken)
    }
}
