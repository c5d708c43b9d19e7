//! The engine in every order in which its threads can meet, by loom.
//!
//! Each model states the bad outcome that it excludes. loom itself reports a thread that waits
//! for ever. `tests/models.py` runs them, as `make models` does, and shows that each of
//! them fails on an engine that is broken on purpose.
#![cfg(loom)]

use std::time::{Duration, Instant};

use hubpool::binding::{
    Batch, ComputePlaces, Hand, Next, Order, Outbox, Pool, Taken, Turnstile, Worker,
};
use loom::model::Builder;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// Tries every order with at most so many preemptions, which finds what more of them would
/// find in all but contrived programs, in a time that can be waited for.
fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// What the eventfd is to a hub: it can be rung, and waited for.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    told: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.told.notify_one();
    }

    fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.told.wait(rung).unwrap();
        }
        *rung = false;
    }
}

/// Takes jobs until the pool lets the worker go, and returns them.
fn work(pool: &Pool<usize>, idle: Option<Duration>) -> (Vec<usize>, Next<usize>) {
    let worker = Worker::new();
    let mut jobs = Vec::new();
    loop {
        match pool.next(&worker, idle) {
            Next::Job(job) => {
                jobs.push(job);
                pool.finish(1);
            }
            end => return (jobs, end),
        }
    }
}

fn start(pool: &Arc<Pool<usize>>) -> thread::JoinHandle<Vec<usize>> {
    pool.register();
    let pool = Arc::clone(pool);
    thread::spawn(move || work(&pool, None).0)
}

/// Bad: a job is taken twice or never, or the published length is not the queue's.
#[test]
fn queue() {
    check(3, || {
        let pool = Arc::new(Pool::new(2));
        pool.register();
        let worker = thread::spawn({
            let pool = Arc::clone(&pool);
            move || {
                let worker = Worker::new();
                let mut jobs = Vec::new();
                while let Next::Job(job) = pool.next(&worker, None) {
                    jobs.push(job);
                    jobs.extend(pool.try_next(&worker));
                }
                jobs
            }
        });
        pool.submit(1).unwrap();
        pool.submit(2).unwrap();
        let back = pool.withdraw(|job| *job == 2);
        pool.close();
        let mut jobs = worker.join().unwrap();
        jobs.extend(back);
        assert_eq!(jobs, [1, 2]);
        assert_eq!(pool.queued(), 0);
    });
}

/// Makes a pool with one worker, which rings for each job.
fn start_ringing() -> (Arc<Pool<usize>>, Arc<Bell>, thread::JoinHandle<()>) {
    let pool = Arc::new(Pool::new(1));
    let done = Arc::new(Bell::default());
    pool.register();
    let worker = thread::spawn({
        let (pool, done) = (Arc::clone(&pool), Arc::clone(&done));
        move || {
            let worker = Worker::new();
            while let Next::Job(_) = pool.next(&worker, None) {
                done.ring();
            }
        }
    });
    (pool, done, worker)
}

/// Bad: a job is lost on its way to the front of the queue, or a worker sleeps
/// on in a closed pool, since it has counted a job in front that another one took.
#[test]
fn front() {
    check(3, || {
        let pool = Arc::new(Pool::new(2));
        let first = start(&pool);
        pool.begin(2);
        for job in [1, 2] {
            pool.submit(job).unwrap();
        }
        let workers = [first, start(&pool)];
        pool.close();
        let mut jobs: Vec<usize> = workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect();
        jobs.sort_unstable();
        assert_eq!(jobs, [1, 2]);
        assert_eq!((pool.queued(), pool.workers()), (0, 0));
    });
}

/// Bad: a job that waits is not counted while it is moved to the front of the queue.
#[test]
fn jobs_that_are_moved_are_counted() {
    check(3, || {
        let pool = Arc::new(Pool::new(2));
        for job in [1, 2] {
            pool.submit(job).unwrap();
        }
        pool.register();
        let observer = thread::spawn({
            let pool = Arc::clone(&pool);
            move || assert!(pool.queued() > 0)
        });
        assert_eq!(pool.try_next(&Worker::new()), Some(1));
        observer.join().unwrap();
        assert_eq!(pool.queued(), 1);
    });
}

/// Bad: a job comes, and the only worker sleeps for ever.
#[test]
fn sleep_and_wake() {
    check(4, || {
        let (pool, done, worker) = start_ringing();
        for _ in 0..2 {
            pool.submit(1).unwrap();
            done.wait();
        }
        pool.close();
        worker.join().unwrap();
    });
}

/// Bad: a worker that was woken for a job which is gone counts as on its way for ever.
#[test]
fn a_worker_that_is_called_in_vain() {
    check(4, || {
        let (pool, done, worker) = start_ringing();
        pool.submit(1).unwrap();
        if pool.withdraw(|job| *job == 1).is_none() {
            done.wait();
        }
        pool.submit(2).unwrap();
        done.wait();
        pool.close();
        worker.join().unwrap();
    });
}

/// Starts a worker whose job 1 ends the pool once another worker does job 2.
fn start_one_of_two(
    pool: &Arc<Pool<usize>>,
    second: &Arc<Bell>,
    idle: Option<Duration>,
) -> thread::JoinHandle<()> {
    pool.register();
    let (pool, second) = (Arc::clone(pool), Arc::clone(second));
    thread::spawn(move || {
        let worker = Worker::new();
        while let Next::Job(job) = pool.next(&worker, idle) {
            if job == 1 {
                second.wait();
                pool.close();
            } else {
                second.ring();
            }
        }
    })
}

/// Bad: two jobs come while one worker searches; it takes the first, and nobody wakes the
/// worker that sleeps for the second, though the first waits for it.
#[test]
fn a_searching_worker_passes_the_call_on() {
    check(2, || {
        let pool = Arc::new(Pool::new(2));
        let second = Arc::new(Bell::default());
        let workers = [(); 2].map(|()| start_one_of_two(&pool, &second, None));
        pool.submit(1).unwrap();
        pool.submit(2).unwrap();
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

/// Bad: a worker was woken for a job that another one took, and watches; a job that is left to it
/// meanwhile waits for ever, since the other worker is at one that does not end before.
#[test]
fn a_worker_that_watches_takes_what_nobody_else_does() {
    check(3, || {
        let pool = Arc::new(Pool::new(2));
        let second = Arc::new(Bell::default());
        let workers = [(); 2].map(|()| start_one_of_two(&pool, &second, None));
        pool.submit(3).unwrap();
        second.wait();
        pool.submit(1).unwrap();
        pool.submit(2).unwrap();
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

/// Starts a worker that leaves calls to the hub. Its job 1 ends the pool once another worker
/// does job 2, which job 0 issues before it does the same.
fn start_one_that_leaves_calls(
    pool: &Arc<Pool<usize>>,
    hub: &Arc<Outbox<usize>>,
    second: &Arc<Bell>,
) -> thread::JoinHandle<()> {
    pool.register();
    let (pool, hub, second) = (Arc::clone(pool), Arc::clone(hub), Arc::clone(second));
    thread::spawn(move || {
        let worker = Worker::new();
        let leave = || {
            let pool = Arc::clone(&pool);
            hub.leave(move || pool.take_call())
        };
        while let Next::Job(job) = pool.next_when(&worker, None, false, || true) {
            pool.call_next_unless(&worker, leave);
            if job == 0 {
                pool.submit_unless(2, leave).unwrap();
            }
            if job < 2 {
                second.wait();
                pool.close();
            } else {
                second.ring();
            }
        }
    })
}

/// Submits the jobs to two workers that leave calls to the hub, which looks out once.
fn check_calls_that_are_left(jobs: &'static [usize]) {
    check(2, move || {
        let pool = Arc::new(Pool::new(2));
        let hub = Arc::new(Outbox::new());
        let second = Arc::new(Bell::default());
        let workers = [(); 2].map(|()| start_one_that_leaves_calls(&pool, &hub, &second));
        for job in jobs {
            pool.submit(*job).unwrap();
        }
        assert!(hub.look_out().is_empty());
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

/// Bad: a worker leaves the call of the next one to a hub that looks out no more, or that forgets
/// it, so that a job waits while the first worker is at one that does not end before.
#[test]
fn a_call_that_is_left_to_the_hub() {
    check_calls_that_are_left(&[0]);
}

/// Bad: the same, where both jobs are there before the first worker has got going.
#[test]
fn a_call_for_what_was_there_before() {
    check_calls_that_are_left(&[1, 2]);
}

/// Bad: a worker's idle time ends after two jobs have come, of which another worker takes one.
#[test]
fn idle_expiry_beside_a_searching_worker() {
    check(3, || {
        let pool = Arc::new(Pool::new(2));
        let second = Arc::new(Bell::default());
        let idle = Some(Duration::ZERO);
        let mut workers = vec![
            start_one_of_two(&pool, &second, idle),
            start_one_of_two(&pool, &second, None),
        ];
        pool.begin(2);
        pool.submit(1).unwrap();
        pool.submit(2).unwrap();
        if pool.wants_worker(0) {
            workers.push(start_one_of_two(&pool, &second, None));
        }
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

/// Bad: a worker's idle time ends as a job comes, whose submitter is told that there is a worker.
#[test]
fn idle_expiry() {
    check(4, || {
        let pool = Arc::new(Pool::new(1));
        pool.register();
        let worker = thread::spawn({
            let pool = Arc::clone(&pool);
            move || work(&pool, Some(Duration::ZERO))
        });
        let manned = pool.submit(1).unwrap();
        let (jobs, end) = worker.join().unwrap();
        assert_eq!(end, Next::Expired);
        assert_eq!(manned, jobs == [1]);
        assert_eq!((pool.queued(), pool.workers()), (usize::from(!manned), 0));
    });
}

/// Bad: a worker that is too many sleeps on, or the last one leaves a job behind.
#[test]
fn resize() {
    check(3, || {
        let pool = Arc::new(Pool::new(2));
        let workers = [(); 2].map(|()| start(&pool));
        pool.submit(1).unwrap();
        pool.set_maxsize(0);
        let jobs: Vec<usize> = workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect();
        assert_eq!(jobs, [1]);
        assert_eq!(pool.workers(), 0);
    });
}

/// Bad: a worker that shall retire sleeps on.
#[test]
fn retire() {
    check(3, || {
        let pool = Arc::new(Pool::new(1));
        let worker = start(&pool);
        pool.retire_to(0);
        assert!(worker.join().unwrap().is_empty());
        assert_eq!(pool.workers(), 0);
    });
}

/// Bad: two that recruit at once have more workers, or more tasks, than the pool may have.
#[test]
fn recruit() {
    check(3, || {
        let pool = Arc::new(Pool::<usize>::new(1));
        let other = thread::spawn({
            let pool = Arc::clone(&pool);
            move || pool.recruit(1)
        });
        let won = [pool.recruit(1), other.join().unwrap()];
        assert_eq!(won.iter().filter(|won| **won).count(), 1);
        assert_eq!((pool.workers(), pool.unfinished()), (1, 1));
    });
}

/// Bad: a worker sleeps on in a closed pool, or a job that a closed pool took is not run.
#[test]
fn shutdown() {
    check(3, || {
        let pool = Arc::new(Pool::new(1));
        let worker = start(&pool);
        let closer = thread::spawn({
            let pool = Arc::clone(&pool);
            move || pool.close()
        });
        let refused = pool.submit(1).err().map(|closed| closed.0);
        closer.join().unwrap();
        let mut jobs = worker.join().unwrap();
        jobs.extend(refused);
        assert_eq!(jobs, [1]);
    });
}

/// Bad: a message lies in the outbox of a hub that sleeps and that nobody wakes, or the hub is
/// woken for none.
#[test]
fn coalesced_wake() {
    check(3, || {
        let outbox = Arc::new(Outbox::new());
        let bell = Arc::new(Bell::default());
        let rings = Arc::new(AtomicUsize::new(0));
        let workers = [1, 2].map(|message| {
            let (outbox, bell, rings) =
                (Arc::clone(&outbox), Arc::clone(&bell), Arc::clone(&rings));
            thread::spawn(move || {
                if outbox.push(message) {
                    rings.fetch_add(1, Ordering::Relaxed);
                    bell.ring();
                }
            })
        });
        let mut messages = Vec::new();
        let mut drains = 0;
        while messages.len() < 2 {
            bell.wait();
            messages.extend(outbox.drain());
            drains += 1;
        }
        for worker in workers {
            worker.join().unwrap();
        }
        messages.sort_unstable();
        assert_eq!(messages, [1, 2]);
        assert_eq!(rings.load(Ordering::Relaxed), drains);
    });
}

/// Bad: the hub looks out in vain, goes to sleep, and a message that came meanwhile wakes nobody.
#[test]
fn look_out() {
    check(3, || {
        let outbox = Arc::new(Outbox::new());
        let bell = Arc::new(Bell::default());
        let worker = thread::spawn({
            let (outbox, bell) = (Arc::clone(&outbox), Arc::clone(&bell));
            move || {
                for message in [1, 2] {
                    if outbox.push(message) {
                        bell.ring();
                    }
                }
            }
        });
        let mut messages = Vec::new();
        while messages.len() < 2 {
            let seen = outbox.look_out();
            if seen.is_empty() {
                bell.wait();
                messages.extend(outbox.drain());
            }
            messages.extend(seen);
        }
        worker.join().unwrap();
        assert_eq!(messages, [1, 2]);
    });
}

/// Bad: two threads pass at once, or one waits for ever at a turnstile that is free.
#[test]
fn turnstile() {
    check(3, || {
        let turnstile = Arc::new(Turnstile::new());
        let inside = Arc::new(AtomicUsize::new(0));
        let pass = |turnstile: &Turnstile, inside: &AtomicUsize| {
            let pass = turnstile.enter();
            assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0);
            thread::yield_now();
            inside.fetch_sub(1, Ordering::Relaxed);
            drop(pass);
        };
        let others = [(); 2].map(|()| {
            let (turnstile, inside) = (Arc::clone(&turnstile), Arc::clone(&inside));
            thread::spawn(move || pass(&turnstile, &inside))
        });
        pass(&turnstile, &inside);
        for other in others {
            other.join().unwrap();
        }
    });
}

/// Bad: more workers than there are cores compute at once, or one goes on waiting for a place that is free.
#[test]
fn compute_places() {
    check(3, || {
        let places = Arc::new(ComputePlaces::new(1));
        let inside = Arc::new(AtomicUsize::new(0));
        let compute = |places: &ComputePlaces, inside: &AtomicUsize| {
            let place = places.take(0, |_| (Duration::ZERO, false));
            let place = place.expect("nobody has opened the places");
            assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0);
            thread::yield_now();
            inside.fetch_sub(1, Ordering::Relaxed);
            places.give_back(place);
        };
        let others = [(); 2].map(|()| {
            let (places, inside) = (Arc::clone(&places), Arc::clone(&inside));
            thread::spawn(move || compute(&places, &inside))
        });
        compute(&places, &inside);
        for other in others {
            other.join().unwrap();
        }
    });
}

/// Bad: a worker that need not wait any more, since the places are open, waits on.
#[test]
fn compute_places_that_open() {
    check(3, || {
        let places = Arc::new(ComputePlaces::new(1));
        let _place = places.try_take(0).unwrap();
        let others = [(); 2].map(|()| {
            let places = Arc::clone(&places);
            thread::spawn(move || assert!(places.take(0, |_| (Duration::ZERO, false)).is_none()))
        });
        // Jobs are seen to wait three times in a row.
        for turn in 1..=3 {
            let now = Instant::now() + Duration::from_secs(turn);
            places.judge(Duration::ZERO, Duration::from_secs(1), now, || {
                Duration::ZERO
            });
        }
        for other in others {
            other.join().unwrap();
        }
        assert!(places.try_take(0).is_none());
    });
}

/// Bad: a result is there, or the end, and the reader that waits for it is not told.
#[test]
fn batch() {
    check(4, || {
        let batch = Arc::new(Batch::new(Order::Input, None));
        let bell = Arc::new(Bell::default());
        assert_eq!(batch.feed([1, 2], 1), 1);
        let worker = thread::spawn({
            let (batch, bell) = (Arc::clone(&batch), Arc::clone(&bell));
            move || {
                let ring = |rings: hubpool::binding::Rings| {
                    if rings.reader {
                        bell.ring();
                    }
                };
                let mut claim = batch.claim(1, ring);
                while let Some(claimed) = claim {
                    claim = batch.complete_and_claim(claimed.index, claimed.item * 10, 1, ring);
                }
            }
        });
        let mut results = Vec::new();
        let mut exhausted = false;
        loop {
            match batch.take(true, 1).0 {
                Taken::Ready(ready) => results.extend(ready),
                Taken::Pending if exhausted => bell.wait(),
                Taken::Pending => exhausted = !batch.exhaust().any(),
                Taken::End => break,
            }
        }
        worker.join().unwrap();
        assert_eq!(results, [10, 20]);
    });
}

/// Runs items that it claims, three at a time; the first one waits for the second, if it shall.
fn run_items(batch: &Batch<usize, usize>, second: Option<&Bell>, mut call: impl FnMut()) {
    let (hand, mut results, mut first) = (Hand::new(), Vec::new(), 0);
    loop {
        let done = (first, &mut results);
        let claim = batch.complete_and_claim_several(done, (3, &hand), 2, |_| {});
        let Some(several) = claim else { return };
        (0..several.tickets).for_each(|_| call());
        first = several.first;
        let mut next = Some(several.item);
        while let Some(item) = next {
            match (item, second) {
                (0, Some(bell)) => bell.wait(),
                (1, Some(bell)) => bell.ring(),
                _ => {}
            }
            results.push(item);
            next = hand.take();
        }
    }
}

/// Bad: an item waits for another that stands behind it in its worker's hand, though a worker is idle; or
/// one is run twice or never, or its result stands in another's place.
#[test]
fn steal() {
    for waits in [true, false] {
        check(3, move || {
            let batch = Arc::new(Batch::new(Order::Input, None));
            let second = waits.then(|| Arc::new(Bell::default()));
            assert_eq!(batch.feed(0..6, 2), 1);
            let _ = batch.exhaust();
            let mut others = Vec::new();
            run_items(&batch, second.as_deref(), || {
                let (batch, second) = (Arc::clone(&batch), second.clone());
                others.push(thread::spawn(move || {
                    run_items(&batch, second.as_deref(), || panic!("there are two"));
                }));
            });
            for other in others {
                other.join().unwrap();
            }
            assert!(batch.at_rest());
            match batch.take(true, 2).0 {
                Taken::Ready(results) => assert_eq!(results, [0, 1, 2, 3, 4, 5]),
                taken => panic!("{taken:?}"),
            }
        });
    }
}
