//! The pool against real threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hubpool::binding::{Closed, Next, Outbox, Pool, Worker};

/// Starts a worker that counts the jobs it runs.
fn start(
    pool: &Arc<Pool<usize>>,
    ran: &Arc<AtomicUsize>,
    idle: Option<Duration>,
) -> JoinHandle<bool> {
    pool.register();
    let (pool, ran) = (Arc::clone(pool), Arc::clone(ran));
    thread::spawn(move || {
        let worker = Worker::new();
        loop {
            match pool.next(&worker, idle) {
                Next::Job(job) => {
                    ran.fetch_add(job, Ordering::SeqCst);
                    pool.finish(1);
                }
                Next::Exit => return false,
                Next::Expired => return true,
            }
        }
    })
}

#[test]
fn every_job_runs_once_before_the_pool_has_shrunk_to_nothing() {
    let pool = Arc::new(Pool::new(4));
    let ran = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..4).map(|_| start(&pool, &ran, None)).collect();
    for _ in 0..10_000 {
        pool.begin(1);
        pool.submit(1).unwrap();
    }
    pool.shrink_to(0);
    for thread in threads {
        assert!(!thread.join().unwrap());
    }
    assert_eq!(ran.load(Ordering::SeqCst), 10_000);
    assert_eq!(
        (pool.unfinished(), pool.queued(), pool.workers()),
        (0, 0, 0)
    );
}

#[test]
fn jobs_that_come_one_at_a_time_each_wake_a_worker() {
    let pool = Arc::new(Pool::new(2));
    let ran = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..2).map(|_| start(&pool, &ran, None)).collect();
    for turn in 1..=2_000 {
        pool.begin(1);
        pool.submit(1).unwrap();
        while pool.unfinished() > 0 {
            thread::yield_now();
        }
        assert_eq!(ran.load(Ordering::SeqCst), turn);
    }
    pool.shrink_to(0);
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_closed_pool_runs_what_is_queued_takes_no_more_and_lets_its_workers_go() {
    let pool = Arc::new(Pool::new(2));
    let ran = Arc::new(AtomicUsize::new(0));
    // One worker may be parked already when the pool is closed, the other not.
    let idle = start(&pool, &ran, None);
    for _ in 0..100 {
        pool.begin(1);
        pool.submit(1).unwrap();
    }
    pool.close();
    assert_eq!(pool.submit(7), Err(Closed(7)));
    assert!(!pool.recruit(1));
    let late = start(&pool, &ran, None);
    assert!(!idle.join().unwrap());
    assert!(!late.join().unwrap());
    assert_eq!(ran.load(Ordering::SeqCst), 100);
    assert_eq!(
        (pool.unfinished(), pool.queued(), pool.workers()),
        (0, 0, 0)
    );
}

#[test]
fn what_no_worker_has_taken_can_be_withdrawn_once() {
    let pool = Pool::new(1);
    assert_eq!(pool.submit(1), Ok(false), "there is no worker yet");
    pool.register();
    assert_eq!(pool.submit(2), Ok(true));
    assert_eq!(pool.submit(1), Ok(true));
    assert_eq!(pool.withdraw(|job| *job == 1), Some(1));
    assert_eq!(pool.withdraw(|job| *job == 3), None);
    assert_eq!(pool.queued(), 2);
    assert_eq!(pool.take_queue(), [1, 2], "the newest one went");
}

#[test]
fn threads_that_recruit_at_once_never_recruit_too_many() {
    let pool = Arc::new(Pool::<usize>::new(3));
    let recruited: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| (0..100).filter(|_| pool.recruit(1)).count()))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(
        (recruited, pool.workers(), pool.unfinished()),
        (3, 3, 3),
        "a worker for each of three tasks"
    );
}

#[test]
fn an_idle_worker_expires() {
    let pool = Arc::new(Pool::new(1));
    let ran = Arc::new(AtomicUsize::new(0));
    let thread = start(&pool, &ran, Some(Duration::from_millis(1)));
    assert!(thread.join().unwrap());
    assert_eq!(pool.workers(), 0);
}

#[test]
fn lowering_maxsize_ends_idle_workers_and_zero_strands_no_job() {
    let pool = Arc::new(Pool::new(3));
    let ran = Arc::new(AtomicUsize::new(0));
    for _ in 0..100 {
        pool.begin(1);
        pool.submit(1).unwrap();
    }
    pool.set_maxsize(0);
    let thread = start(&pool, &ran, None);
    assert!(!thread.join().unwrap());
    assert_eq!(ran.load(Ordering::SeqCst), 100);
}

#[test]
fn a_worker_is_wanted_only_while_there_are_fewer_than_tasks_and_than_maxsize() {
    let pool: Pool<()> = Pool::new(2);
    assert!(!pool.wants_worker(0));
    assert!(pool.wants_worker(1));
    pool.begin(5);
    pool.register();
    assert!(pool.wants_worker(0));
    pool.register();
    assert!(!pool.wants_worker(0));
    pool.unregister();
    assert!(pool.wants_worker(0));
}

#[test]
fn an_outbox_asks_for_one_wake_up_per_drain() {
    let outbox = Outbox::new();
    assert!(outbox.push(1));
    assert!(!outbox.push(2));
    assert_eq!(outbox.drain(), [1, 2]);
    assert!(outbox.drain().is_empty());
    assert!(outbox.push(3));
    // A look-out answers no wake-up.
    assert_eq!(outbox.look_out(), [3]);
    assert!(!outbox.push(4));
}

#[test]
fn a_hub_that_sleeps_only_after_a_vain_look_out_misses_no_message() {
    let outbox = Arc::new(Outbox::new());
    let (hub, pusher) = (thread::current(), Arc::clone(&outbox));
    let thread = thread::spawn(move || {
        for number in 0..20_000 {
            if pusher.push(number) {
                hub.unpark();
            }
        }
    });
    let mut seen = Vec::new();
    while seen.len() < 20_000 {
        let mut messages = outbox.look_out();
        if messages.is_empty() {
            // A lost wake-up would leave the hub here for ever.
            thread::park();
            messages = outbox.drain();
        }
        seen.extend(messages);
    }
    thread.join().unwrap();
    assert!(seen.into_iter().eq(0..20_000));
    assert!(!outbox.looking());
}

fn with_ten_jobs() -> (Arc<Pool<usize>>, Arc<AtomicUsize>) {
    let pool = Pool::new(4);
    pool.begin(10);
    for _ in 0..10 {
        pool.submit(1).unwrap();
    }
    (Arc::new(pool), Arc::new(AtomicUsize::new(0)))
}

#[test]
fn retiring_workers_leave_jobs_behind_but_each_has_done_one() {
    let (pool, ran) = with_ten_jobs();
    pool.retire_to(0);
    assert!(pool.pressed(10));
    for round in 1..=10 {
        assert!(!start(&pool, &ran, None).join().unwrap());
        assert_eq!(ran.load(Ordering::SeqCst), round);
        assert_eq!((pool.queued(), pool.workers()), (10 - round, 0));
    }
    // There is no job for this one.
    assert!(!start(&pool, &ran, None).join().unwrap());
    pool.retire_to(usize::MAX);
    assert!(!pool.pressed(10));
}

#[test]
fn idle_workers_retire_down_to_the_size_that_may_stay() {
    let pool = Arc::new(Pool::new(4));
    let ran = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..4).map(|_| start(&pool, &ran, None)).collect();
    pool.retire_to(1);
    while pool.workers() > 1 {
        thread::yield_now();
    }
    pool.retire_to(3);
    pool.begin(1);
    pool.submit(1).unwrap();
    while pool.unfinished() > 0 {
        thread::yield_now();
    }
    assert_eq!(pool.workers(), 1);
    pool.shrink_to(0);
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(ran.load(Ordering::SeqCst), 1);
}

#[test]
fn a_pool_that_is_to_end_keeps_its_last_worker_for_its_queue() {
    let (pool, ran) = with_ten_jobs();
    pool.retire_to(0);
    pool.close();
    start(&pool, &ran, None).join().unwrap();
    assert_eq!(ran.load(Ordering::SeqCst), 10);
}

#[test]
fn a_worker_is_called_only_when_the_one_before_has_got_going() {
    let pool = Arc::new(Pool::new(2));
    let taken = Arc::new(AtomicU32::new(0));
    let gate = Arc::new(std::sync::Barrier::new(2));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            pool.register();
            let (pool, taken, gate) = (Arc::clone(&pool), Arc::clone(&taken), Arc::clone(&gate));
            thread::spawn(move || {
                let worker = Worker::new();
                while let Next::Job(job) = pool.next_when(&worker, None, false, || true) {
                    taken.store(job, Ordering::SeqCst);
                    if job == 1 {
                        gate.wait();
                    }
                    pool.call_next(&worker);
                    if job == 1 {
                        gate.wait();
                    }
                }
            })
        })
        .collect();
    while pool.idle() < 2 {
        thread::yield_now();
    }
    pool.submit(1).unwrap();
    while taken.load(Ordering::SeqCst) != 1 {
        thread::yield_now();
    }
    pool.submit(2).unwrap();
    // Who would wake the other one would have taken it off the list of those who sleep.
    assert_eq!((pool.idle(), pool.queued()), (1, 1));
    gate.wait();
    // The first one is about its job for as long as the second one has not come.
    while taken.load(Ordering::SeqCst) != 2 {
        thread::yield_now();
    }
    gate.wait();
    pool.close();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn a_job_is_offered_in_vain_to_a_pool_that_is_closed_or_wants_a_worker() {
    let pool = Pool::new(1);
    assert_eq!(pool.offer(1).err(), Some(1), "it has no worker");
    pool.register();
    assert!(pool.offer(2).is_ok());
    assert!(pool.offer(3).is_ok(), "it may not have another worker");
    assert_eq!((pool.unfinished(), pool.queued()), (2, 2));
    pool.close();
    assert_eq!(pool.offer(4).err(), Some(4));
    assert_eq!((pool.unfinished(), pool.queued()), (2, 2));
    assert_eq!(pool.take_queue(), [2, 3]);
}

#[test]
fn a_worker_that_sleeps_begins_as_the_wake_up_is_dropped() {
    let (pool, ran) = (Arc::new(Pool::new(1)), Arc::new(AtomicUsize::new(0)));
    let thread = start(&pool, &ran, None);
    let wake_up = loop {
        if let Some(wake_up) = pool.offer(1).unwrap() {
            break wake_up;
        }
        // The worker has been awake.
        while pool.unfinished() > 0 {
            thread::yield_now();
        }
        thread::sleep(Duration::from_millis(1));
    };
    let before = ran.load(Ordering::SeqCst);
    thread::sleep(Duration::from_millis(1));
    assert_eq!((pool.queued(), ran.load(Ordering::SeqCst)), (1, before));
    drop(wake_up);
    while ran.load(Ordering::SeqCst) == before {
        thread::yield_now();
    }
    pool.close();
    assert!(!thread.join().unwrap());
}

#[test]
fn messages_are_collected_without_an_answer_to_the_wake_up() {
    let outbox = Outbox::new();
    assert!(outbox.push(1));
    assert_eq!(outbox.collect(), [1]);
    assert!(!outbox.push(2), "the hub has been woken already");
    assert_eq!(outbox.drain(), [2]);
    assert!(outbox.push(3));
}

#[test]
fn a_job_registers_a_worker_only_while_there_are_fewer_than_tasks_and_than_maxsize() {
    let pool = Pool::new(2);
    assert_eq!(pool.submit_and_recruit(1, 1), Ok(true));
    assert!(!pool.recruit_for(1));
    assert_eq!(pool.submit_and_recruit(2, 2), Ok(true));
    assert_eq!(pool.submit_and_recruit(3, 3), Ok(false));
    assert!(!pool.recruit_for(3));
    assert_eq!((pool.workers(), pool.queued()), (2, 3));
    pool.set_maxsize(3);
    assert!(pool.recruit_for(3));
    pool.close();
    assert_eq!(pool.submit_and_recruit(4, 4), Err(Closed(4)));
}

#[test]
fn workers_are_registered_up_to_a_size_and_to_maxsize() {
    let pool: Pool<u32> = Pool::new(3);
    assert!(pool.register_up_to(2) && pool.register_up_to(2));
    assert!(!pool.register_up_to(2));
    assert!(pool.register_up_to(9));
    assert!(!pool.register_up_to(9));
    assert_eq!(pool.workers(), 3);
}

#[test]
fn a_hub_whose_look_outs_are_in_vain_tries_now_and_then_for_longer() {
    let outbox = Outbox::<()>::new();
    let seen = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !outbox.trying() {
                thread::yield_now();
            }
            seen.store(true, Ordering::SeqCst);
        });
        while !seen.load(Ordering::SeqCst) {
            assert!(outbox.look_out().is_empty());
            assert!(!outbox.trying());
        }
    });
}
