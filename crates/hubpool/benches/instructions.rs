//! How many instructions the engine's hot paths take: a gate that is no timing.
//!
//! Each limit is what was counted, and a tenth more. Who makes a path longer than that raises the
//! limit in the same commit, and says what for; who makes it shorter lowers it. `make instructions`
//! counts, under valgrind.
#![expect(
    missing_docs,
    clippy::must_use_candidate,
    reason = "the macros make public items"
)]

use std::hint::black_box;
use std::time::Duration;

use gungraun::{
    Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
use hubpool::binding::{Batch, Next, Order, Outbox, Pool, Taken, Worker};

/// How often each path is taken; the limits are for all of that.
const TIMES: usize = 1_000;

/// At most so many instructions for each time, and what it takes to begin with.
fn at_most(each: u64) -> LibraryBenchmarkConfig {
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(Callgrind::default().hard_limits([(EventKind::Ir, each * TIMES as u64)]));
    config
}

fn pool() -> (Pool<usize>, Worker) {
    let pool = Pool::new(1);
    pool.register();
    (pool, Worker::new())
}

#[library_benchmark(config = at_most(260), setup = pool)]
#[bench::one_by_one()]
fn a_job_is_submitted_and_taken((pool, worker): (Pool<usize>, Worker)) {
    for job in 0..TIMES {
        pool.begin(1);
        pool.submit(black_box(job)).unwrap();
        assert_eq!(pool.next(&worker, Some(Duration::ZERO)), Next::Job(job));
        pool.finish(1);
    }
}

#[library_benchmark(config = at_most(180), setup = pool)]
#[bench::in_a_row()]
fn jobs_are_submitted_then_taken((pool, worker): (Pool<usize>, Worker)) {
    for job in 0..TIMES {
        pool.begin(1);
        pool.submit(black_box(job)).unwrap();
    }
    while let Some(job) = pool.try_next(&worker) {
        black_box(job);
        pool.finish(1);
    }
}

#[library_benchmark(config = at_most(49), setup = Outbox::new)]
#[bench::in_a_row()]
fn messages_are_pushed_then_drained(outbox: Outbox<usize>) {
    for message in 0..TIMES {
        black_box(outbox.push(black_box(message)));
    }
    assert_eq!(outbox.drain().len(), TIMES);
}

fn batch() -> Batch<usize, usize> {
    Batch::new(Order::Input, None)
}

#[library_benchmark(config = at_most(195), setup = batch)]
#[bench::in_input_order()]
fn items_are_fed_run_and_taken(batch: Batch<usize, usize>) {
    assert_eq!(batch.feed(0..TIMES, 1), 1);
    let mut claim = batch.claim(1, |_| ());
    while let Some(claimed) = claim {
        claim = batch.complete_and_claim(claimed.index, black_box(claimed.item), 1, |_| ());
    }
    let (Taken::Ready(results), 0) = batch.take(true, 1) else {
        panic!("no results");
    };
    assert_eq!(results.len(), TIMES);
}

library_benchmark_group!(
    name = engine,
    benchmarks = [
        a_job_is_submitted_and_taken,
        jobs_are_submitted_then_taken,
        messages_are_pushed_then_drained,
        items_are_fed_run_and_taken
    ]
);

main!(library_benchmark_groups = engine);
