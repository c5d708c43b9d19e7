//! Several threads do at random what a program can do with a pool.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use futures::executor::block_on;
use hubpool::{TaskError, ThreadPool};

const THREADS: u64 = 3;
const STEPS: usize = 1_500;

/// Numbers that look random, the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// Counts a task as begun where it is made, and as gone when its function is dropped or has run.
struct Held(Arc<AtomicUsize>);

impl Held {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn play(pool: &ThreadPool, held: &Arc<AtomicUsize>, mut dice: Dice) {
    let mut tasks = Vec::new();
    for step in 0..STEPS {
        let token = Held::new(held);
        let task = move || {
            drop(token);
            step
        };
        match dice.roll(12) {
            0..=3 => tasks.push((step, pool.apply_async(task))),
            4..=5 => tasks.push((step, pool.blocking_spawn(task))),
            6 => {
                // Who waits for a slot goes away again.
                let mut spawn = Box::pin(pool.spawn(task));
                let mut context = Context::from_waker(Waker::noop());
                drop(spawn.as_mut().poll(&mut context));
            }
            7 => drop(pool.apply_async(task).cancel_on_drop()),
            8 => match pool.blocking_map(|n| n, 0..20) {
                Ok(results) => assert!(results.into_iter().eq(0..20)),
                Err(error) => assert!(matches!(error, TaskError::Cancelled)),
            },
            9 => {
                let most = usize::try_from(dice.roll(30)).unwrap();
                let results = pool.imap(|n| n, 0..20).look_ahead(3).blocking();
                for (n, result) in results.take(most).enumerate() {
                    match result {
                        Ok(result) => assert_eq!(result, n),
                        Err(error) => assert!(matches!(error, TaskError::Cancelled)),
                    }
                }
            }
            10 => pool.set_maxsize(usize::try_from(1 + dice.roll(4)).unwrap()),
            _ if dice.roll(10) == 0 => {
                pool.kill();
            }
            _ => pool.set_size(usize::try_from(dice.roll(5)).unwrap()),
        }
        if dice.roll(8) == 0 {
            for (step, task) in tasks.drain(..) {
                match block_on(task) {
                    Ok(result) => assert_eq!(result, step),
                    Err(error) => assert!(matches!(error, TaskError::Cancelled)),
                }
            }
        }
    }
}

#[test]
fn whatever_threads_do_each_task_ends_and_no_slot_is_lost() {
    for seed in 1..=4 {
        let pool = ThreadPool::builder()
            .maxsize(2)
            .idle_timeout(Some(Duration::from_micros(100)))
            .build();
        let held = Arc::new(AtomicUsize::new(0));
        thread::scope(|scope| {
            for number in 0..THREADS {
                let dice = Dice(seed << 8 | (number + 1));
                let (pool, held) = (&pool, &held);
                scope.spawn(move || play(pool, held, dice));
            }
        });
        assert!(pool.join_timeout(Duration::from_secs(60)), "{pool:?}");
        assert_eq!(held.load(Ordering::SeqCst), 0, "a function is still there");
        while pool.size() > 0 {
            thread::yield_now();
        }
    }
}
