//! How many workers a pool has: when one more comes, and which shall leave.
//!
//! A worker leaves where there are more than `maxsize`, and where the pool is closed, shrinks or retires;
//! it asks under the pool's lock, so that never one too many leaves.

use super::{Pool, State};
use crate::sleep::Worker;
use crate::sync::atomic::Ordering;

impl<J> Pool<J> {
    /// Registered workers. Any thread; does not block.
    ///
    /// ```
    /// let pool = hubpool::binding::Pool::<u32>::new(4);
    /// pool.register();
    /// assert_eq!(pool.workers(), 1);
    /// ```
    pub fn workers(&self) -> usize {
        self.state.lock().workers
    }

    /// Whether one more worker would help `more` tasks beside those begun:
    /// there are fewer workers than tasks, or than jobs in the queue, and fewer
    /// than the pool may have. Any thread; does not block.
    ///
    /// ```
    /// let pool = hubpool::binding::Pool::<u32>::new(4);
    /// assert!(!pool.wants_worker(0));
    /// assert!(pool.wants_worker(1));
    /// pool.register();
    /// assert!(!pool.wants_worker(1));
    /// ```
    pub fn wants_worker(&self, more: usize) -> bool {
        self.lacks_worker(&self.state.lock(), self.unfinished() + more)
    }

    /// Begins `tasks` more, which the worker gets as it starts, and registers that
    /// worker, if the pool [wants](Self::wants_worker) one then; returns whether it did. A closed pool takes
    /// no more tasks. For pools that several threads submit to. Any thread; does not block.
    ///
    /// ```
    /// let pool = hubpool::binding::Pool::<u32>::new(1);
    /// assert!(pool.recruit(1)); // Start its thread now, with the task.
    /// assert_eq!((pool.workers(), pool.unfinished()), (1, 1));
    /// assert!(!pool.recruit(1)); // That would be one too many.
    /// assert_eq!(pool.unfinished(), 1);
    /// ```
    pub fn recruit(&self, tasks: usize) -> bool {
        let mut state = self.state.lock();
        let wanted =
            (tasks == 0 || !state.closed) && self.lacks_worker(&state, self.unfinished() + tasks);
        if wanted {
            state.workers += 1;
            self.begin(tasks);
        }
        wanted
    }

    /// Registers one more worker if the pool [wants](Self::wants_worker) one for `tasks` unfinished
    /// tasks in all; returns whether it did. A closed pool wants them, too, while it has tasks. For pools
    /// whose tasks are counted elsewhere. Any thread; does not block.
    ///
    /// ```
    /// let pool = hubpool::binding::Pool::<u32>::new(4);
    /// assert!(pool.recruit_for(1));
    /// assert!(!pool.recruit_for(1)); // One worker is enough for one task.
    /// assert_eq!((pool.workers(), pool.unfinished()), (1, 0));
    /// ```
    pub fn recruit_for(&self, tasks: usize) -> bool {
        self.recruits(&mut self.state.lock(), tasks)
    }

    /// Counts one more worker. Call it before its thread is started. Any thread; does not block.
    ///
    /// ```
    /// let pool = hubpool::binding::Pool::new(4);
    /// pool.register();
    /// assert_eq!(pool.submit("job"), Ok(true)); // Some worker can run it.
    /// ```
    pub fn register(&self) {
        let mut state = self.state.lock();
        state.workers += 1;
        self.note_crowd(&state);
    }

    /// Does as [`register`](Self::register), if there are fewer than `size` workers, and than the pool may
    /// have. Returns whether it did. Any thread; does not block.
    ///
    /// ```
    /// let pool = hubpool::binding::Pool::<()>::new(2);
    /// assert!(pool.register_up_to(1) && !pool.register_up_to(1));
    /// assert!(pool.register_up_to(9) && !pool.register_up_to(9));
    /// ```
    pub fn register_up_to(&self, size: usize) -> bool {
        let mut state = self.state.lock();
        let wanted = state.workers < size.min(self.maxsize());
        state.workers += usize::from(wanted);
        wanted
    }

    /// Takes back a [`register`](Self::register): the thread could not be
    /// started, or the worker ends for a reason of its own. Any thread; does not block.
    ///
    /// ```
    /// let pool = hubpool::binding::Pool::<u32>::new(4);
    /// pool.register();
    /// pool.unregister(); // Its thread could not be started.
    /// assert_eq!(pool.workers(), 0);
    /// ```
    pub fn unregister(&self) {
        self.lose_worker(&mut self.state.lock());
    }

    /// The most workers that may stay registered. Any thread; does not block.
    ///
    /// ```
    /// assert_eq!(hubpool::binding::Pool::<u32>::new(4).maxsize(), 4);
    /// ```
    pub fn maxsize(&self) -> usize {
        self.maxsize.load(Ordering::Acquire)
    }

    /// Sets the most workers that may stay. Idle workers beyond it end at once,
    /// busy ones as they finish; the last worker first empties the queue. Any thread; does not block.
    ///
    /// ```
    /// use hubpool::binding::{Next, Pool, Worker};
    ///
    /// let (pool, worker) = (Pool::new(1), Worker::new());
    /// pool.register();
    /// pool.submit("job").unwrap();
    /// pool.set_maxsize(0);
    /// assert_eq!(pool.next(&worker, None), Next::Job("job")); // It is the last worker.
    /// assert_eq!(pool.next(&worker, None), Next::Exit);
    /// ```
    pub fn set_maxsize(&self, maxsize: usize) {
        let sleepers = {
            let mut state = self.state.lock();
            self.maxsize.store(maxsize, Ordering::Release);
            self.note_crowd(&state);
            state.sleepers_beyond(maxsize)
        };
        sleepers.iter().for_each(Worker::wake);
    }

    /// Lets workers end, once the queue is empty, until `size` are left. Any thread; does not block.
    ///
    /// ```
    /// use hubpool::binding::{Next, Pool, Worker};
    ///
    /// let (pool, worker) = (Pool::new(1), Worker::new());
    /// pool.register();
    /// pool.submit("job").unwrap();
    /// pool.shrink_to(0);
    /// assert_eq!(pool.next(&worker, None), Next::Job("job"));
    /// assert_eq!(pool.next(&worker, None), Next::Exit);
    /// ```
    pub fn shrink_to(&self, size: usize) {
        let sleepers = {
            let mut state = self.state.lock();
            state.shrink_to = Some(size);
            self.settle_shrink(&mut state);
            state.sleepers_beyond(size)
        };
        sleepers.iter().for_each(Worker::wake);
    }

    /// Takes back what [`shrink_to`](Self::shrink_to) asked for, as far as it
    /// has not been done. Any thread; does not block.
    ///
    /// ```
    /// # use hubpool::binding::{Next, Pool, Worker};
    /// # use std::time::Duration;
    /// let pool = Pool::<u32>::new(1);
    /// pool.register();
    /// pool.shrink_to(0);
    /// pool.stop_shrinking();
    /// assert_eq!(pool.next(&Worker::new(), Some(Duration::ZERO)), Next::Expired); // Not `Exit`.
    /// ```
    pub fn stop_shrinking(&self) {
        self.state.lock().shrink_to = None;
    }

    /// Lets workers end until `size` are left, each as soon as it is idle or has
    /// finished a job, even the last one with jobs in the queue: other pools need
    /// their threads. Only a pool that is to end anyway keeps its last one for its
    /// queue. `usize::MAX` takes that back. Any thread; does not block.
    ///
    /// ```
    /// # use hubpool::binding::{Next, Pool, Worker};
    /// # let (pool, worker) = (Pool::new(1), Worker::new());
    /// pool.register();
    /// pool.submit(1).unwrap();
    /// pool.submit(2).unwrap();
    /// pool.retire_to(0);
    /// assert_eq!(pool.next(&worker, None), Next::Job(1)); // Its first job.
    /// assert_eq!(pool.next(&worker, None), Next::Exit);
    /// assert_eq!(pool.queued(), 1);
    /// ```
    pub fn retire_to(&self, size: usize) {
        let sleepers = {
            let mut state = self.state.lock();
            self.retire_to.store(size, Ordering::Release);
            let asleep = state.asleep();
            let kept = asleep.saturating_add(size).saturating_sub(state.workers);
            if kept >= asleep {
                Vec::new()
            } else {
                state.end_watch();
                state.parked.split_off(kept)
            }
        };
        sleepers.iter().for_each(Worker::wake);
    }

    /// Whether some workers shall end though jobs wait.
    pub(super) fn dismisses(&self) -> bool {
        self.retire_to.load(Ordering::Acquire) < usize::MAX || self.crowded.load(Ordering::Relaxed)
    }

    /// Whether the worker that asks shall end, while so many jobs wait.
    pub(super) fn must_exit(&self, state: &State<J>, worker: &Worker, waiting: usize) -> bool {
        // Who has just come does a job first, or nothing would ever be done.
        let retiring = state.workers > self.retire_to.load(Ordering::Acquire)
            && (worker.has_served() || waiting == 0);
        state.must_exit(self.maxsize(), retiring, waiting)
    }

    /// Whether one more worker would help so many unfinished tasks.
    pub(super) fn lacks_worker(&self, state: &State<J>, tasks: usize) -> bool {
        // A worker that ends before its time may leave a job whose tasks have ended.
        state.workers < self.maxsize() && (state.workers < tasks || state.workers < self.queued())
    }

    /// Registers one more worker if one is wanted.
    pub(super) fn recruits(&self, state: &mut State<J>, tasks: usize) -> bool {
        let wanted = self.lacks_worker(state, tasks);
        state.workers += usize::from(wanted);
        wanted
    }

    /// Counts one less.
    pub(super) fn lose_worker(&self, state: &mut State<J>) {
        state.workers -= 1;
        state.pace.forget_run();
        self.settle_shrink(state);
        self.note_crowd(state);
    }

    /// Notes whether workers must leave though jobs wait. Who recruits makes no crowd.
    fn note_crowd(&self, state: &State<J>) {
        let crowded = state.workers > self.maxsize().max(1);
        self.crowded.store(crowded, Ordering::Relaxed);
    }

    /// Ends a shrinking that has reached its size.
    pub(super) fn settle_shrink(&self, state: &mut State<J>) {
        let reached = |size| state.workers <= size;
        // Where none shall be left, who comes for what is still queued shall end, too.
        let more_come = state.shrink_to == Some(0) && self.queued() > 0;
        if state.shrink_to.is_some_and(reached) && !more_come {
            state.shrink_to = None;
        }
    }
}

impl<J> State<J> {
    /// Whether the worker that asks shall end, while so many jobs wait.
    fn must_exit(&self, maxsize: usize, retiring: bool, waiting: usize) -> bool {
        let idle = waiting == 0;
        // The last worker stays until the queue is empty, so that lowering
        // `maxsize` to 0 strands nothing.
        let over = self.workers > maxsize && (idle || self.workers > maxsize.max(1));
        let ending = self.closed || self.shrink_to.is_some();
        let retires = retiring && (idle || self.workers > 1 || !ending);
        over || retires
            || (idle && (self.closed || self.shrink_to.is_some_and(|size| self.workers > size)))
    }

    /// The workers to wake so that some of them end: all, if there are too many.
    pub(super) fn sleepers_beyond(&mut self, size: usize) -> Vec<Worker> {
        if self.workers > size {
            self.end_watch();
            std::mem::take(&mut self.parked)
        } else {
            Vec::new()
        }
    }
}
