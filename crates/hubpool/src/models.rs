//! Slots and tasks in every order in which threads can meet, by loom.
//!
//! Each model states the bad outcome that it excludes; loom itself reports who waits for ever.
//! `tests/models.py` runs them, and shows that each fails on code that is broken on purpose.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use loom::future::block_on;
use loom::sync::atomic::AtomicUsize;
use loom::thread;

use crate::builder::Builder;
use crate::crew::{Crew, Refusal};
use crate::error::TaskError;
use crate::slots::Slots;
use crate::task::{self, Task};

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

fn poll_once(future: impl Future<Output = ()>) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    pin!(future).poll(&mut context).is_ready()
}

fn crew() -> Arc<Crew> {
    Crew::new(Builder::new(), 1)
}

/// Bad: who waits for a slot is not woken when the last one comes back, or more are taken than there are.
#[test]
fn slots_are_passed_on() {
    check(|| {
        let slots = Arc::new(Slots::new(1, 1));
        let user = {
            let slots = Arc::clone(&slots);
            move || {
                block_on(slots.take());
                assert_eq!(slots.outstanding(), 1);
                slots.give_back().wake();
            }
        };
        let other = thread::spawn(user.clone());
        user();
        other.join().unwrap();
        assert_eq!(slots.outstanding(), 0);
    });
}

/// Bad: the limit that stays is not the one of the maxsize that stays, though two set both.
#[test]
fn the_last_limit_is_that_of_the_last_maxsize() {
    check(|| {
        let pool = Arc::new((Slots::new(1, 1), AtomicUsize::new(1)));
        let set = |to| {
            let pool = Arc::clone(&pool);
            move || {
                let (slots, maxsize) = &*pool;
                maxsize.store(to, Ordering::Relaxed);
                slots.set_limit(|| {
                    let maxsize = maxsize.load(Ordering::Relaxed);
                    (maxsize, maxsize)
                });
            }
        };
        let other = thread::spawn(set(1));
        set(2)();
        other.join().unwrap();
        let (slots, maxsize) = &*pool;
        let free = (0..3).take_while(|_| poll_once(slots.take())).count();
        assert_eq!(free, maxsize.load(Ordering::Relaxed));
    });
}

/// Bad: a slot is lost, or given back twice, when who waits for it goes away.
#[test]
fn who_stops_waiting_loses_no_slot() {
    check(|| {
        let slots = Arc::new(Slots::new(1, 1));
        slots.force();
        let other = thread::spawn({
            let slots = Arc::clone(&slots);
            move || slots.give_back().wake()
        });
        if poll_once(slots.take()) {
            slots.give_back().wake();
        }
        other.join().unwrap();
        assert_eq!(slots.outstanding(), 0);
        assert!(poll_once(slots.take()), "the line is not empty");
    });
}

/// Bad: the last slot or ticket comes back, and who waits for that is not woken, or is woken before.
#[test]
fn the_end_is_seen() {
    check(|| {
        let slots = Arc::new(Slots::new(1, 1));
        slots.force();
        slots.issue();
        let other = thread::spawn({
            let slots = Arc::clone(&slots);
            move || {
                slots.give_back().wake();
                slots.take_back().wake();
            }
        });
        block_on(slots.end());
        assert_eq!(slots.outstanding(), 0);
        other.join().unwrap();
    });
}

/// Runs a task on a thread of its own.
fn start_task() -> (Arc<Crew>, Task<u32>, thread::JoinHandle<()>) {
    let crew = crew();
    crew.slots.force();
    let (job, task) = task::new(|| 42);
    let worker = thread::spawn({
        let crew = Arc::clone(&crew);
        move || job.run(&crew)
    });
    (crew, task, worker)
}

/// Bad: a task has ended, and who awaits it is not woken, or finds its slot taken.
#[test]
fn who_awaits_a_task_is_woken() {
    check(|| {
        let (crew, task, worker) = start_task();
        assert_eq!(block_on(task).unwrap(), 42);
        assert_eq!(crew.slots.outstanding(), 0);
        worker.join().unwrap();
    });
}

/// Bad: a task is both run and withdrawn, or neither, or keeps its slot.
#[test]
fn a_task_is_run_or_withdrawn() {
    check(|| {
        let (crew, task, worker) = start_task();
        let withdrawn = task.cancel();
        match block_on(task) {
            Ok(result) => assert!(result == 42 && !withdrawn),
            Err(error) => assert!(matches!(error, TaskError::Cancelled) && withdrawn),
        }
        worker.join().unwrap();
        assert_eq!(crew.slots.outstanding(), 0);
    });
}

/// What says when it is dropped.
struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Bad: all slots have come back, and a result that nobody takes is still to be dropped.
#[test]
fn after_the_end_no_result_is_left_that_nobody_takes() {
    check(|| {
        let crew = crew();
        crew.slots.force();
        let dropped = Arc::new(AtomicBool::new(false));
        let result = Dropped(Arc::clone(&dropped));
        let (job, task) = task::new(|| result);
        let worker = thread::spawn({
            let crew = Arc::clone(&crew);
            move || job.run(&crew)
        });
        drop(task);
        block_on(crew.slots.end());
        assert!(dropped.load(Ordering::Relaxed));
        worker.join().unwrap();
    });
}

/// Bad: all slots have come back, and a task's result is not there.
#[test]
fn after_the_end_all_results_are_there() {
    check(|| {
        let crew = crew();
        crew.slots.force();
        let (job, mut task) = task::new(|| 42);
        let worker = thread::spawn({
            let crew = Arc::clone(&crew);
            move || assert!(job.refuse(&crew, &Refusal::Cancelled))
        });
        block_on(crew.slots.end());
        let mut context = Context::from_waker(Waker::noop());
        assert!(matches!(
            pin!(&mut task).poll(&mut context),
            Poll::Ready(Err(_))
        ));
        worker.join().unwrap();
    });
}
