//! How long tasks wait and run.
#![cfg(feature = "stats")]

use std::time::Instant;

use hubpool::ThreadPool;

#[test]
fn each_task_and_each_item_is_recorded_once_also_if_it_panics() {
    let pool = ThreadPool::builder().maxsize(1).statistics(true).build();
    pool.blocking_apply(|| ()).unwrap();
    pool.blocking_apply(|| panic!("no luck")).unwrap_err();
    assert_eq!(pool.blocking_map(|n| n, 0..10).unwrap().len(), 10);
    let times = pool.stats().times.unwrap();
    assert_eq!((times.wait.len(), times.run.len()), (2, 12));
}

#[test]
fn how_long_a_task_waits_is_how_long_its_thread_is_busy_before() {
    let pool = ThreadPool::builder().maxsize(1).statistics(true).build();
    let (go, wait) = std::sync::mpsc::channel();
    let first = pool.apply_async(move || wait.recv().unwrap());
    while pool.stats().queued > 0 {
        std::thread::yield_now();
    }
    let before = Instant::now();
    let second = pool.apply_async(|| ());
    let after = Instant::now();
    let least = after.elapsed();
    go.send(()).unwrap();
    first.wait().unwrap();
    second.wait().unwrap();
    let most = before.elapsed();
    // The first waits for its thread to start, which is no part of this.
    let wait = pool.stats().times.unwrap().wait;
    let second = [wait.min(), wait.max()].map(u128::from);
    // A histogram's figures are right to 1%.
    let fits = |nanos| nanos >= least.as_nanos() * 99 / 100 && nanos <= most.as_nanos() * 101 / 100;
    assert!(
        second.into_iter().any(fits),
        "{second:?} {least:?} {most:?}"
    );
}

#[test]
fn nothing_is_recorded_unless_it_is_asked_for() {
    assert!(ThreadPool::new(1).stats().times.is_none());
}
