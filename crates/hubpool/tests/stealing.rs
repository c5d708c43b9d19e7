//! Threads that take over what stands behind a long item in another one's claim.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use hubpool::ThreadPool;

/// For items of which the first 500 are short, so that threads take several at once.
fn pairs_after_short_ones() -> impl Fn(usize) -> usize + Clone {
    let pair = Arc::new(Barrier::new(2));
    move |n| {
        if n >= 500 {
            pair.wait();
        }
        n
    }
}

#[test]
fn items_wait_for_each_other_as_long_as_there_are_threads() {
    for most in [1, 64] {
        let pool = ThreadPool::builder().maxsize(2).claim(most).build();
        let f = pairs_after_short_ones();
        let whole = pool.blocking_map(f.clone(), 0..600).unwrap();
        assert!(whole.into_iter().eq(0..600));
        assert_eq!(pool.blocking_imap(f.clone(), 0..600).count(), 600);
        assert_eq!(pool.blocking_imap_unordered(f, 0..600).count(), 600);
    }
}

#[test]
fn a_thread_that_may_come_later_takes_what_waits_behind_a_long_item() {
    let pool = ThreadPool::new(1);
    let f = pairs_after_short_ones();
    let begun = Arc::new(AtomicUsize::new(0));
    let map = pool.map_async(
        {
            let begun = Arc::clone(&begun);
            move |n| {
                begun.fetch_add(1, Ordering::SeqCst);
                f(n)
            }
        },
        0..600,
    );
    while begun.load(Ordering::SeqCst) <= 500 {
        thread::yield_now();
    }
    pool.set_maxsize(2);
    assert!(map.wait().unwrap().into_iter().eq(0..600));
}

/// An item that says when its function has it, or when it has been withdrawn.
struct Traced {
    number: usize,
    gone: Arc<Mutex<Vec<bool>>>,
}

impl Drop for Traced {
    fn drop(&mut self) {
        self.gone.lock().unwrap()[self.number] = true;
    }
}

#[test]
fn a_kill_strands_nothing_behind_an_item_that_waits_for_it() {
    // Some of these have the next one behind them in their thread's claim.
    for at in 500..510 {
        let pool = ThreadPool::new(2);
        let (go, wait) = channel::<()>();
        let busy = pool.apply_async(move || wait.recv().unwrap());
        while pool.stats().queued > 0 {
            thread::yield_now();
        }
        let gone = Arc::new(Mutex::new(vec![false; 700]));
        let items: Vec<_> = (0..700)
            .map(|number| Traced {
                number,
                gone: Arc::clone(&gone),
            })
            .collect();
        let (start, begun) = channel();
        let map = pool.map_async(
            move |item: Traced| {
                if item.number == at {
                    start.send(()).unwrap();
                    while !item.gone.lock().unwrap()[at + 1] {
                        thread::yield_now();
                    }
                }
            },
            items,
        );
        begun.recv().unwrap();
        pool.kill();
        go.send(()).unwrap();
        busy.wait().unwrap();
        let _ = map.wait();
        assert!(gone.lock().unwrap().iter().all(|gone| *gone));
    }
}
