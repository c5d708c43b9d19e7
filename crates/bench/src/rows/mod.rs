//! The pieces of work, by their names.

mod calls;
mod costs;

use std::time::{Duration, Instant};

use futures_lite::future::block_on;
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use crate::contender::Contender;

/// What a contender took, once.
pub struct Sample {
    /// What the row is about, in its unit; the less the better.
    pub value: f64,
    /// Seconds of CPU that a task took, in all threads.
    pub cpu: f64,
}

/// Takes a sample of a row, on so many threads, for about so many seconds.
pub type Sampler = fn(&str, usize, f64) -> Sample;

/// Takes a contender's sample.
pub fn sample<C: Contender>(row: &str, threads: usize, seconds: f64) -> Sample {
    match row {
        "burst" => repeated(opened::<C>(threads), seconds, calls::burst),
        "in-flight" => {
            let contender = started(C::open_limited(threads, calls::IN_FLIGHT), threads);
            repeated(contender, seconds, calls::in_flight)
        }
        "ordered" => repeated(opened::<C>(threads), seconds, calls::ordered),
        "unordered" => repeated(opened::<C>(threads), seconds, calls::unordered),
        "producers" => repeated(opened::<C>(threads), seconds, calls::producers),
        "round-trip" => repeated(opened::<C>(threads), seconds, calls::round_trips),
        "sleeps" => repeated(opened::<C>(threads), seconds, calls::sleeps),
        "cold" => timed(1, || calls::cold::<C>(threads)),
        "memory" => costs::memory::<C>(),
        "submit" => costs::submit::<C>(),
        "idle" => costs::idle::<C>(threads, seconds),
        _ => panic!("there is no row {row}"),
    }
}

fn opened<C: Contender>(threads: usize) -> &'static C {
    started(C::open(threads), threads)
}

/// Has each thread of a pool do something. The pool stays until the process ends: to take one
/// down is not part of any row.
fn started<C: Contender>(contender: C, threads: usize) -> &'static C {
    let contender = Box::leak(Box::new(contender));
    let sleep = || {
        std::thread::sleep(Duration::from_millis(1));
        1
    };
    let tasks: Vec<_> = (0..threads).map(|_| contender.submit(sleep)).collect();
    block_on(async {
        for task in tasks {
            assert_eq!(task.await, 1);
        }
    });
    contender
}

/// Repeats work for as long as is said; it returns how many tasks it had. With no time, it is
/// done once, cold; else the first time is not counted.
fn repeated<C: Contender>(
    contender: &'static C,
    seconds: f64,
    work: impl AsyncFn(&'static C) -> usize,
) -> Sample {
    if seconds > 0.0 {
        block_on(work(contender));
    }
    let clocks = Clocks::start();
    let mut tasks = block_on(work(contender));
    while clocks.wall.elapsed().as_secs_f64() < seconds {
        tasks += block_on(work(contender));
    }
    clocks.stop(tasks)
}

/// Times a call that has so many tasks.
fn timed(tasks: usize, call: impl FnOnce()) -> Sample {
    let clocks = Clocks::start();
    call();
    clocks.stop(tasks)
}

struct Clocks {
    wall: Instant,
    cpu: Duration,
}

impl Clocks {
    fn start() -> Self {
        Self {
            cpu: cpu_time(),
            wall: Instant::now(),
        }
    }

    fn stop(self, tasks: usize) -> Sample {
        let wall = self.wall.elapsed();
        let cpu = cpu_time().saturating_sub(self.cpu);
        Sample {
            value: share(wall, tasks),
            cpu: share(cpu, tasks),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "there are no 2^52 tasks")]
fn share(whole: Duration, tasks: usize) -> f64 {
    whole.as_secs_f64() / tasks as f64
}

fn cpu_time() -> Duration {
    let usage = usage();
    let times = [usage.user_time(), usage.system_time()].map(|time| {
        let micros = time.num_microseconds().try_into();
        Duration::from_micros(micros.expect("a negative time"))
    });
    times.into_iter().sum()
}

/// What this process has used in all threads, also those that have ended.
fn usage() -> Usage {
    getrusage(UsageWho::RUSAGE_SELF).expect("no usage")
}
