//! The threads of one pool in one process, and what they work through.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread;

use crate::builder::{Builder, PanicPolicy};
use crate::error::{Panic, TaskError};
use crate::limit::ThreadLimit;
use crate::pool::{Closed, Next, Pool};
use crate::sleep::Worker;
use crate::slots::Slots;
use crate::stats::Recorder;
use crate::sync::Mutex;

/// What a worker runs. It holds a slot, or is a map's ticket, which it gives back when it ends.
pub(crate) trait Job: Send + Sync {
    /// Runs it, on a worker's thread.
    fn run(self: Arc<Self>, crew: &Arc<Crew>);

    /// Ends it in place of running it, on any thread; `false` if it had been ended before.
    fn refuse(self: Arc<Self>, crew: &Arc<Crew>, why: &Refusal) -> bool;
}

/// A map that has begun and may have items left.
pub(crate) trait AtWork: Send + Sync {
    /// Withdraws what no thread has claimed; `false` if that is nothing, and nothing will follow.
    fn kill(&self) -> bool;

    /// Calls one more worker if there may be more now.
    fn call_worker(self: Arc<Self>, crew: &Arc<Crew>);
}

/// Why jobs are not run.
pub(crate) enum Refusal {
    Cancelled,
    NoThread(Arc<io::Error>),
}

impl Refusal {
    pub(crate) fn error(&self) -> TaskError {
        match self {
            Self::Cancelled => TaskError::Cancelled,
            Self::NoThread(error) => TaskError::NoThread(Arc::clone(error)),
        }
    }
}

/// A pool's threads. Each thread has a share of it, and so has each handle of the pool.
pub(crate) struct Crew {
    pub(crate) pool: Pool<Arc<dyn Job>>,
    pub(crate) slots: Slots,
    pub(crate) settings: Builder,
    pub(crate) recorder: Recorder,
    /// Maps that have begun; some may have gone.
    maps: Mutex<Vec<Weak<dyn AtWork>>>,
    /// How many threads have been started, for their names.
    started: AtomicUsize,
}

impl Crew {
    pub(crate) fn new(settings: Builder, maxsize: usize) -> Arc<Self> {
        Arc::new(Self {
            pool: Pool::new(maxsize),
            slots: Slots::new(settings.backlog_for(maxsize), maxsize),
            recorder: Recorder::new(&settings),
            settings,
            maps: Mutex::new(Vec::new()),
            started: AtomicUsize::new(0),
        })
    }

    /// Hands a job that has been counted to the workers, and starts one more if that helps. A job that
    /// can not be run is refused.
    pub(crate) fn submit(self: &Arc<Self>, job: Arc<dyn Job>) {
        match self.pool.submit_and_recruit(job, self.slots.outstanding()) {
            Ok(false) => {}
            Ok(true) => {
                self.start();
            }
            Err(Closed(job)) => {
                job.refuse(self, &Refusal::Cancelled);
            }
        }
    }

    /// Notes a map that begins.
    pub(crate) fn note(&self, map: Weak<dyn AtWork>) {
        let mut maps = self.maps.lock();
        if maps.len() == maps.capacity() {
            // Now and then, so that it costs little.
            maps.retain(|map| map.strong_count() > 0);
        }
        maps.push(map);
    }

    /// Maps that have begun and are still there.
    pub(crate) fn maps(&self) -> Vec<Arc<dyn AtWork>> {
        self.maps.lock().iter().filter_map(Weak::upgrade).collect()
    }

    /// Has each of the maps call one more worker, if it could use one.
    pub(crate) fn call_workers(self: &Arc<Self>, maps: Vec<Arc<dyn AtWork>>) {
        for map in maps {
            // It may be its last owner who drops it here, and what it holds.
            shielded(|| map.call_worker(self));
        }
    }

    /// Starts threads for the jobs that wait, as far as that is allowed.
    pub(crate) fn man(self: &Arc<Self>) {
        while self.recruits() && self.start() {}
    }

    /// Registers one more worker if jobs wait that it would help.
    pub(crate) fn recruits(&self) -> bool {
        self.pool.queued() > 0 && self.pool.recruit_for(self.slots.outstanding())
    }

    /// Starts the thread of a worker that has been registered; `false` if none can be had now.
    pub(crate) fn start(self: &Arc<Self>) -> bool {
        if !ThreadLimit::of_process().take(self) {
            return false;
        }
        let started = self.start_counted();
        if !started {
            ThreadLimit::of_process().give_back(self);
        }
        started
    }

    /// Does as [`start`](Self::start), for a thread that the limit has counted, and does so still if it is
    /// not started.
    pub(crate) fn start_counted(self: &Arc<Self>) -> bool {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let mut thread = thread::Builder::new().name(format!("{}-{number}", self.settings.name));
        if let Some(size) = self.settings.stack_size {
            thread = thread.stack_size(size);
        }
        let crew = Arc::clone(self);
        let Err(error) = thread.spawn(move || crew.work()) else {
            return true;
        };
        self.pool.unregister();
        if self.pool.workers() == 0 {
            self.refuse_queue(&Refusal::NoThread(Arc::new(error)));
        }
        false
    }

    /// Refuses all that no worker has taken up. Returns how many tasks and maps that has ended.
    pub(crate) fn refuse_queue(self: &Arc<Self>, why: &Refusal) -> usize {
        let mut count = 0;
        for job in self.pool.take_queue() {
            // What one of them drops is not the business of the others.
            shielded(|| count += usize::from(job.refuse(self, why)));
        }
        count
    }

    /// Runs a task's function between the hooks. What any of them panics with is the error.
    pub(crate) fn call<T>(&self, f: impl FnOnce() -> T) -> Result<T, TaskError> {
        let f = || self.recorder.run(f);
        let Some(hooks) = &self.settings.hooks else {
            return caught(f);
        };
        let result = match caught(|| hooks.before_task.call()) {
            Ok(()) => caught(f),
            Err(error) => {
                shielded(|| drop(f));
                Err(error)
            }
        };
        match (result, caught(|| hooks.after_task.call())) {
            (result, Ok(())) => result,
            (Ok(result), Err(error)) => {
                shielded(|| drop(result));
                Err(error)
            }
            (Err(error), Err(later)) => {
                shielded(|| drop(later));
                Err(error)
            }
        }
    }

    /// Whether a task's panic goes on in who awaits it.
    pub(crate) fn resumes_panics(&self) -> bool {
        self.settings.panic_policy == PanicPolicy::Resume
    }

    /// The worker loop.
    fn work(self: &Arc<Self>) {
        let worker = Worker::new();
        if let Some(hooks) = &self.settings.hooks {
            shielded(|| hooks.thread_start.call());
        }
        while let Next::Job(job) = self.pool.next(&worker, self.settings.idle_timeout) {
            shielded(|| job.run(self));
        }
        if let Some(hooks) = &self.settings.hooks {
            shielded(|| hooks.thread_stop.call());
        }
        ThreadLimit::of_process().give_back(self);
        // It may have been asked to end for another pool's sake, with jobs in the queue.
        self.man();
    }
}

/// Runs what is no task: a thread's hook, a destructor, or a waker. Its panic has been reported by the panic
/// hook, and is not the business of the tasks that come after.
pub(crate) fn shielded(f: impl FnOnce()) {
    let mut outcome = catch_unwind(AssertUnwindSafe(f));
    // A payload's destructor is a program's, too, and may panic with another one.
    while let Err(payload) = outcome {
        outcome = catch_unwind(AssertUnwindSafe(|| drop(payload)));
    }
}

/// Drops values of a program's: where one's destructor panics, the others are dropped all the same.
pub(crate) fn drop_each<T>(values: impl IntoIterator<Item = T>) {
    for value in values {
        shielded(|| drop(value));
    }
}

fn caught<T>(f: impl FnOnce() -> T) -> Result<T, TaskError> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| TaskError::Panicked(Panic::new(payload)))
}

impl fmt::Debug for Crew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crew")
            .field("workers", &self.pool.workers())
            .field("slots", &self.slots)
            .finish_non_exhaustive()
    }
}
