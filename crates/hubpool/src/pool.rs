//! The queue of jobs and the workers that pull from it.
//!
//! The pool starts no thread and runs no job: a binding registers workers,
//! and each of them asks [`Pool::next`] what to do. One lock guards the queue
//! and all counts that decide whether a worker stays, which [`size`] does; nothing but moves of
//! values happens under it. The oldest jobs may stand in the queue's [`Front`].

mod size;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::front::Front;
use crate::sleep::{Pace, Search, WATCH_TIME, Worker};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard};

/// Where a searching worker finds so many jobs, it was their submitter who had the core meanwhile.
const BURST: usize = 32;

/// A bounded set of workers that pull jobs of type `J` from one queue.
///
/// ```
/// use hubpool::binding::{Next, Pool, Worker};
///
/// let pool = Pool::new(1);
/// pool.register(); // This thread is the worker.
/// assert_eq!(pool.submit("job"), Ok(true));
/// assert_eq!(pool.next(&Worker::new(), None), Next::Job("job"));
/// ```
// What each job touches stands at the beginning, so that cores pass few cache lines on to each other.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct Pool<J> {
    state: Mutex<State<J>>,
    /// The length of the queue behind its front, written under the lock and read without it
    /// by a searching worker, and by a batch that asks whether others wait.
    behind: AtomicUsize,
    front: Front<J>,
    /// Tasks that were begun and have not ended: each item of a batch counts.
    unfinished: AtomicUsize,
    /// The most workers that may stay registered. Written under the lock.
    maxsize: AtomicUsize,
    /// How many workers may stay of those that shall
    /// [retire](Pool::retire_to). Written under the lock.
    retire_to: AtomicUsize,
    /// Whether there are more workers than may stay. Written under the lock.
    crowded: AtomicBool,
    search: Search,
}

#[derive(Debug)]
#[repr(C)] // In the order in which jobs touch it.
struct State<J> {
    /// Jobs that no worker has taken, but for those in front, oldest first.
    queue: VecDeque<J>,
    /// Registered workers: BUSY, SEARCHING, WATCHING and PARKED ones.
    workers: usize,
    /// Whether a worker is SEARCHING; at most one is.
    searching: bool,
    /// Whether a worker is CALLED: woken for a job, or back from a search that has
    /// found one, and not going yet. Meanwhile nobody else is woken.
    called: bool,
    /// Set for good by [`Pool::close`].
    closed: bool,
    /// The WATCHING worker, if there is one.
    watcher: Option<Watcher>,
    pace: Pace,
    /// PARKED workers; the last one parked is the first one woken.
    parked: Vec<Worker>,
    /// Set while workers shall leave an empty queue until this many are left.
    shrink_to: Option<usize>,
}

#[derive(Debug)]
struct Watcher {
    worker: Worker,
    /// Whether any job was left to it.
    relied_on: bool,
}

/// A job that a closed pool did not take.
///
/// ```
/// use hubpool::binding::{Closed, Pool};
///
/// let pool = Pool::new(1);
/// pool.close();
/// let Err(Closed(job)) = pool.submit("job") else { unreachable!() };
/// assert_eq!(job, "job");
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Closed<J>(pub J);

/// What a worker shall do.
///
/// ```
/// use hubpool::binding::{Next, Pool, Worker};
/// use std::time::Duration;
///
/// let (pool, worker) = (Pool::new(1), Worker::new());
/// pool.register();
/// pool.submit(7).unwrap();
/// assert_eq!(pool.next(&worker, None), Next::Job(7));
/// assert_eq!(pool.next(&worker, Some(Duration::ZERO)), Next::Expired);
/// ```
#[derive(Debug, PartialEq, Eq)]
pub enum Next<J> {
    /// Run this job.
    Job(J),
    /// End: the pool has become smaller. The worker is no longer registered.
    Exit,
    /// End: no job came within the idle time. The worker is no longer registered.
    Expired,
}

impl<J> Pool<J> {
    /// Makes a pool with no workers.
    ///
    /// ```
    /// let pool = hubpool::binding::Pool::<u32>::new(4);
    /// assert_eq!((pool.workers(), pool.maxsize()), (0, 4));
    /// ```
    #[must_use]
    pub fn new(maxsize: usize) -> Self {
        Self {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                workers: 0,
                parked: Vec::new(),
                watcher: None,
                pace: Pace::new(),
                searching: false,
                called: false,
                shrink_to: None,
                closed: false,
            }),
            behind: AtomicUsize::new(0),
            front: Front::new(),
            unfinished: AtomicUsize::new(0),
            maxsize: AtomicUsize::new(maxsize),
            retire_to: AtomicUsize::new(usize::MAX),
            crowded: AtomicBool::new(false),
            search: Search::new(),
        }
    }

    /// Counts `tasks` more as unfinished. Call it before their jobs are submitted. Any thread; does not
    /// block.
    ///
    /// ```
    /// let pool = hubpool::binding::Pool::<u32>::new(4);
    /// pool.begin(2);
    /// assert_eq!(pool.unfinished(), 2);
    /// assert!(pool.wants_worker(0));
    /// ```
    pub fn begin(&self, tasks: usize) {
        self.unfinished.fetch_add(tasks, Ordering::Relaxed);
    }

    /// Counts `tasks` as ended. Call it before their results are delivered, so
    /// that who sees a result does not see its task as unfinished. Any thread; does not block.
    ///
    /// ```
    /// let pool = hubpool::binding::Pool::<u32>::new(4);
    /// pool.begin(2);
    /// pool.finish(1);
    /// assert_eq!(pool.unfinished(), 1);
    /// ```
    pub fn finish(&self, tasks: usize) {
        self.unfinished.fetch_sub(tasks, Ordering::Release);
    }

    /// Tasks that were begun and have not ended. Any thread; does not block.
    ///
    /// ```
    /// # use hubpool::binding::{Next, Pool, Worker};
    /// let pool = Pool::new(1);
    /// pool.register();
    /// pool.begin(1);
    /// pool.submit("job").unwrap();
    /// assert_eq!(pool.next(&Worker::new(), None), Next::Job("job"));
    /// assert_eq!(pool.unfinished(), 1); // It runs.
    /// ```
    pub fn unfinished(&self) -> usize {
        self.unfinished.load(Ordering::Acquire)
    }

    /// Jobs that no worker has taken yet. For a moment, while a worker comes to them, they may count
    /// twice. Any thread; does not block.
    ///
    /// ```
    /// let pool = hubpool::binding::Pool::new(1);
    /// pool.submit("job").unwrap();
    /// pool.submit("next").unwrap();
    /// assert_eq!(pool.queued(), 2);
    /// ```
    pub fn queued(&self) -> usize {
        // In this order: a worker that moves jobs first adds them to the front, so none is missed.
        self.behind.load(Ordering::Acquire) + self.front.len()
    }

    /// Adds a job at the end of the queue and wakes a worker if one sleeps.
    /// Returns whether any worker is registered that can run it. Any thread; does not block.
    ///
    /// # Errors
    ///
    /// [`Closed`] returns the job of who comes after [`close`](Self::close).
    ///
    /// ```
    /// use hubpool::binding::{Closed, Pool};
    ///
    /// let pool = Pool::new(1);
    /// assert_eq!(pool.submit(1), Ok(false)); // It waits for a worker to come.
    /// pool.register();
    /// assert_eq!(pool.submit(2), Ok(true));
    /// pool.close();
    /// assert_eq!(pool.submit(3), Err(Closed(3)));
    /// ```
    pub fn submit(&self, job: J) -> Result<bool, Closed<J>> {
        self.add(job, |state| state.workers > 0)
    }

    /// Adds a job as [`submit`](Self::submit) does, but wakes no worker if that can be `left` to
    /// somebody else, who [takes the call](Self::take_call) soon. Any thread; does not block. It calls
    /// `left` itself, without the lock.
    ///
    /// # Errors
    ///
    /// [`Closed`] returns the job of who comes after [`close`](Self::close).
    ///
    /// ```
    /// # use hubpool::binding::{Next, Pool, Worker};
    /// # use std::thread;
    /// # let pool = Pool::new(1);
    /// # thread::scope(|scope| {
    /// # pool.register();
    /// let worker = scope.spawn(|| pool.next(&Worker::new(), None));
    /// while pool.idle() == 0 {
    ///     thread::yield_now();
    /// }
    /// pool.submit_unless(7, || true).unwrap();
    /// assert_eq!(pool.idle(), 1); // The worker sleeps on.
    /// pool.take_call();
    /// assert_eq!(worker.join().unwrap(), Next::Job(7));
    /// # });
    /// ```
    pub fn submit_unless(&self, job: J, left: impl FnOnce() -> bool) -> Result<(), Closed<J>> {
        let due = {
            let mut state = self.state.lock();
            if state.closed {
                return Err(Closed(job));
            }
            state.queue.push_back(job);
            self.publish(&state);
            let due = state.is_sleeper_due(|| self.queued());
            state.called |= due;
            due
        };
        if due && !left() {
            self.take_call();
        }
        Ok(())
    }

    /// Adds a job as [`submit`](Self::submit) does, and registers one more worker if the pool wants
    /// one for `tasks` unfinished tasks in all. Returns whether it did: the caller starts it. For
    /// pools whose tasks are counted elsewhere. Any thread; does not block.
    ///
    /// # Errors
    ///
    /// [`Closed`] returns the job of who comes after [`close`](Self::close).
    ///
    /// ```
    /// let pool = hubpool::binding::Pool::new(1);
    /// assert_eq!(pool.submit_and_recruit("job", 1), Ok(true)); // Start its thread now.
    /// assert_eq!(pool.submit_and_recruit("next", 2), Ok(false)); // That would be one too many.
    /// assert_eq!((pool.workers(), pool.queued()), (1, 2));
    /// ```
    pub fn submit_and_recruit(&self, job: J, tasks: usize) -> Result<bool, Closed<J>> {
        self.add(job, |state| self.recruits(state, tasks))
    }

    /// Begins a task and submits its job, unless one more worker would help it or the
    /// pool is closed. Any thread; does not block.
    ///
    /// If a worker has to be woken for it, that is done as the [`WakeUp`] is dropped: a caller that
    /// keeps a lock which the worker needs may let it go before.
    ///
    /// # Errors
    ///
    /// The job comes back with nothing done.
    ///
    /// ```
    /// let pool = hubpool::binding::Pool::new(1);
    /// assert_eq!(pool.offer("job").err(), Some("job")); // A worker would help.
    /// pool.register();
    /// let wake_up = pool.offer("job").unwrap();
    /// assert!(wake_up.is_none()); // The worker has not come to wait yet.
    /// assert_eq!((pool.queued(), pool.unfinished()), (1, 1));
    /// ```
    pub fn offer(&self, job: J) -> Result<Option<WakeUp>, J> {
        let mut state = self.state.lock();
        if state.closed || self.lacks_worker(&state, self.unfinished() + 1) {
            return Err(job);
        }
        self.begin(1);
        Ok(self.enqueue(&mut state, job).map(WakeUp))
    }

    /// Takes back the newest job that `is_it` knows and that no worker has taken.
    /// `is_it` is called under the pool's lock: it must only compare. Any thread; does not block.
    ///
    /// ```
    /// let pool = hubpool::binding::Pool::new(1);
    /// for job in [1, 2, 3] {
    ///     pool.submit(job).unwrap();
    /// }
    /// assert_eq!(pool.withdraw(|job| *job < 3), Some(2));
    /// assert_eq!(pool.take_queue(), [1, 3]);
    /// ```
    pub fn withdraw(&self, is_it: impl Fn(&J) -> bool) -> Option<J> {
        let mut state = self.state.lock();
        let job = remove_newest(&mut state.queue, &is_it)
            .or_else(|| self.front.remove(|jobs| remove_newest(jobs, &is_it)))?;
        self.publish(&state);
        self.settle_shrink(&mut state);
        Some(job)
    }

    /// Takes no more jobs, and lets each worker end once the queue is empty.
    /// It can not be undone. Any thread; does not block.
    ///
    /// ```
    /// use hubpool::binding::{Next, Pool, Worker};
    ///
    /// let (pool, worker) = (Pool::new(1), Worker::new());
    /// pool.register();
    /// pool.submit("job").unwrap();
    /// pool.close();
    /// assert_eq!(pool.next(&worker, None), Next::Job("job"));
    /// assert_eq!(pool.next(&worker, None), Next::Exit);
    /// ```
    pub fn close(&self) {
        let sleepers = {
            let mut state = self.state.lock();
            state.closed = true;
            state.sleepers_beyond(0)
        };
        sleepers.iter().for_each(Worker::wake);
    }

    /// Workers that are asleep for want of jobs. Any thread; does not block.
    ///
    /// ```
    /// # use hubpool::binding::{Next, Pool, Worker};
    /// # use std::thread;
    /// # let pool = Pool::<u32>::new(1);
    /// # thread::scope(|scope| {
    /// # pool.register();
    /// let worker = scope.spawn(|| pool.next(&Worker::new(), None));
    /// while pool.idle() == 0 {
    ///     thread::yield_now();
    /// }
    /// pool.close();
    /// assert_eq!(worker.join().unwrap(), Next::Exit);
    /// assert_eq!(pool.idle(), 0);
    /// # });
    /// ```
    pub fn idle(&self) -> usize {
        self.state.lock().asleep()
    }

    /// Whether a worker that is about a long job does well to come back soon: more
    /// jobs wait than `own`, which belong to the long one, or a worker shall retire, or
    /// there are more workers than may stay. Any thread; does not block.
    ///
    /// ```
    /// let pool = hubpool::binding::Pool::new(1);
    /// pool.submit("a ticket of the long job").unwrap();
    /// assert!(!pool.pressed(1));
    /// pool.submit("another job").unwrap();
    /// assert!(pool.pressed(1));
    /// ```
    pub fn pressed(&self, own: usize) -> bool {
        self.queued() > own || self.dismisses()
    }

    /// Blocks the calling worker until there is something to do for it.
    ///
    /// Call it on the thread that made `worker`, and from no other. With
    /// `idle`, a worker that gets no job for that long ends.
    ///
    /// ```
    /// use hubpool::binding::{Next, Pool, Worker};
    ///
    /// let (pool, worker) = (Pool::new(1), Worker::new());
    /// pool.register();
    /// pool.submit(7).unwrap();
    /// pool.close();
    /// assert_eq!(pool.next(&worker, None), Next::Job(7));
    /// assert_eq!(pool.next(&worker, None), Next::Exit);
    /// ```
    pub fn next(&self, worker: &Worker, idle: Option<Duration>) -> Next<J> {
        let next = self.next_when(worker, idle, false, || true);
        self.call_next(worker);
        next
    }

    /// Does as [`next`](Self::next), for jobs that need something which their
    /// submitter holds, such as an interpreter's lock.
    ///
    /// A worker that sees a job come while it is SEARCHING takes it as soon as
    /// `ready` says that the submitter has let go, or when it has waited for that as long as a
    /// search may last: about what a sleep on the lock would cost. It searches even where that has not paid, unless
    /// others need the core, if a job may come `soon`: if whom it has just left something [tries](crate::binding::Outbox::trying) whether
    /// that pays. Once
    /// it has got what the job needs, the worker must [call the next one](Self::call_next).
    ///
    /// ```
    /// # use hubpool::binding::{Next, Pool, Worker};
    /// # use std::sync::Mutex;
    /// # let (pool, worker) = (Pool::new(1), Worker::new());
    /// # pool.register();
    /// let lock = Mutex::new(0); // All jobs need it.
    /// pool.submit(7).unwrap();
    /// let next = pool.next_when(&worker, None, false, || lock.try_lock().is_ok());
    /// let count = lock.lock().unwrap();
    /// pool.call_next(&worker);
    /// assert_eq!(next, Next::Job(7));
    /// ```
    pub fn next_when(
        &self,
        worker: &Worker,
        idle: Option<Duration>,
        soon: bool,
        ready: impl Fn() -> bool,
    ) -> Next<J> {
        // Who finds a job at once need not look at the clock.
        let mut deadline: Option<Option<Instant>> = None;
        let (mut may_search, mut may_watch) = (true, false);
        if let Some(job) = self.take_in_passing(worker) {
            return Next::Job(job);
        }
        let mut state = self.state.lock();
        loop {
            let waiting = self.queued();
            if self.must_exit(&state, worker, waiting) {
                self.lose_worker(&mut state);
                state.answer(worker);
                let sleeper = state.sleeper_for_queue(waiting);
                drop(state);
                if let Some(sleeper) = sleeper {
                    sleeper.wake();
                }
                return Next::Exit;
            }
            if let Some(job) = self.take_first(&mut state, worker) {
                return Next::Job(job);
            }
            if waiting > 0 {
                continue; // Others have taken the front meanwhile. Under the lock nobody fills it.
            }
            state.answer(worker);
            state.pace.rest(worker);
            let pays = || self.search.pays() || (soon && self.search.is_undisturbed());
            if may_search && !state.searching && pays() {
                may_search = false;
                state.searching = true;
                drop(state);
                let burst = || self.queued() >= BURST;
                let limit = self.search.limit();
                self.search.run(limit, || self.queued() > 0, &ready, burst);
                state = self.state.lock();
                state.searching = false;
                // It stands in for the sleepers that were not woken while it searched.
                state.call(worker);
                continue;
            }
            let in_time = || deadline.flatten().is_none_or(|end| Instant::now() < end);
            if may_watch && state.wants_watcher() && in_time() {
                let goes_on;
                (state, goes_on) = self.watch(state, worker);
                if goes_on {
                    continue;
                }
            }
            // Who is woken in vain waits on without a search, and watches first.
            (may_search, may_watch) = (false, true);
            worker.prepare();
            state.parked.push(worker.clone());
            drop(state);
            // A time too far away to be written down is never.
            let never_or_at = || idle.and_then(|idle| Instant::now().checked_add(idle));
            let woken = worker.park(*deadline.get_or_insert_with(never_or_at));
            state = self.state.lock();
            // Who wakes a worker takes it off the list under the lock. A worker that still stands
            // there woke up by its deadline, or by a wake-up that was meant for the sleep before.
            if let Some(place) = state.parked.iter().position(|other| other.is(worker)) {
                state.parked.remove(place);
                if !woken && self.queued() == 0 && !self.must_exit(&state, worker, 0) {
                    self.lose_worker(&mut state);
                    return Next::Expired;
                }
            }
        }
    }

    /// Wakes one more worker if jobs wait and the calling one was woken for the job that it
    /// has taken. So workers come one after another, each as soon as the one before has
    /// got going, and not all at once for jobs that one of them does in passing. Call it on the thread
    /// that made `worker`; it does not block.
    ///
    /// ```
    /// # use hubpool::binding::{Next, Pool, Worker};
    /// # use std::thread;
    /// # let pool = Pool::new(2);
    /// # let work = || {
    /// # pool.register();
    /// # let worker = Worker::new();
    /// // Each of two workers does this:
    /// let next = pool.next_when(&worker, None, false, || true);
    /// pool.call_next(&worker);
    /// # next
    /// # };
    /// # thread::scope(|scope| {
    /// # let workers = [(); 2].map(|()| scope.spawn(work));
    /// # while pool.idle() < 2 {
    /// #     thread::yield_now();
    /// # }
    /// // Both sleep, and the first job wakes one of them.
    /// pool.submit(1).unwrap();
    /// pool.submit(2).unwrap();
    /// let jobs = workers.map(|worker| worker.join().unwrap());
    /// assert!(jobs.contains(&Next::Job(1)) && jobs.contains(&Next::Job(2)));
    /// # });
    /// ```
    pub fn call_next(&self, worker: &Worker) {
        self.call_next_unless(worker, || false);
    }

    /// Does as [`call_next`](Self::call_next), unless that can be `left` to somebody else, who
    /// [takes the call](Self::take_call) soon. Until then nobody is woken. Call it on the thread that
    /// made `worker`; it does not block.
    ///
    /// ```
    /// # use hubpool::binding::{Next, Pool, Worker};
    /// # use std::sync::mpsc;
    /// # use std::thread;
    /// # let pool = Pool::new(2);
    /// # let (hub, calls) = mpsc::channel();
    /// # let work = || {
    /// # pool.register();
    /// # let worker = Worker::new();
    /// // Each of two workers does this:
    /// let next = pool.next_when(&worker, None, false, || true);
    /// pool.call_next_unless(&worker, || hub.send("wake the next one").is_ok());
    /// # next
    /// # };
    /// # thread::scope(|scope| {
    /// # let workers = [(); 2].map(|()| scope.spawn(work));
    /// # while pool.idle() < 2 {
    /// #     thread::yield_now();
    /// # }
    /// # pool.submit_unless(1, || true).unwrap();
    /// # pool.submit(2).unwrap();
    /// # pool.take_call();
    /// // Both slept, two jobs wait, and one of them has been woken.
    /// calls.recv().unwrap();
    /// assert_eq!(pool.idle(), 1);
    /// pool.take_call();
    /// # let jobs = workers.map(|worker| worker.join().unwrap());
    /// # assert!(jobs.contains(&Next::Job(1)) && jobs.contains(&Next::Job(2)));
    /// # });
    /// ```
    pub fn call_next_unless(&self, worker: &Worker, left: impl FnOnce() -> bool) {
        if !worker.is_called() {
            return; // Who is, or was, has seen to it.
        }
        worker.set_called(false);
        if self.queued() == 0 || !left() {
            self.take_call();
        }
    }

    /// Wakes a worker if jobs wait, in place of the one that was woken last. Any thread; does not block.
    /// See [`submit_unless`](Self::submit_unless) and [`call_next_unless`](Self::call_next_unless) for
    /// examples.
    pub fn take_call(&self) {
        let sleeper = {
            let mut state = self.state.lock();
            state.called = false;
            state.sleeper_for_queue(self.queued())
        };
        if let Some(sleeper) = sleeper {
            sleeper.wake();
        }
    }

    /// Takes a job only if one waits, and if the worker need not end: for a worker that has just finished
    /// one and must not block. Call it on the thread that made `worker`.
    ///
    /// ```
    /// use hubpool::binding::{Pool, Worker};
    ///
    /// let (pool, worker) = (Pool::new(1), Worker::new());
    /// pool.register();
    /// assert_eq!(pool.try_next(&worker), None);
    /// pool.submit(7).unwrap();
    /// assert_eq!(pool.try_next(&worker), Some(7));
    /// ```
    pub fn try_next(&self, worker: &Worker) -> Option<J> {
        if self.queued() == 0 {
            return None;
        }
        if let Some(job) = self.take_in_passing(worker) {
            return Some(job);
        }
        let mut state = self.state.lock();
        if self.must_exit(&state, worker, self.queued()) {
            return None;
        }
        self.take_first(&mut state, worker)
    }

    /// Takes what stands in front, without the lock, if there is no need for that.
    fn take_in_passing(&self, worker: &Worker) -> Option<J> {
        if self.dismisses() || Pace::wants_to_see(worker) {
            return None;
        }
        let job = self.front.take()?;
        worker.serve();
        Some(job)
    }

    fn take_first(&self, state: &mut State<J>, worker: &Worker) -> Option<J> {
        let job = match self.front.take() {
            Some(job) => job,
            None => self.take_behind(state)?,
        };
        state.pace.take(worker);
        worker.serve();
        Some(job)
    }

    /// Takes the oldest job behind an empty front, and moves those after it there.
    fn take_behind(&self, state: &mut State<J>) -> Option<J> {
        let job = state.queue.pop_front()?;
        self.front.fill(&mut state.queue);
        self.publish(state);
        Some(job)
    }

    /// Sleeps for a short time as the WATCHING worker. Returns whether the worker is to look what there
    /// is to do: it was woken, or nobody else comes to the jobs that wait, or it shall go on to watch.
    fn watch<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<J>>,
        worker: &Worker,
    ) -> (MutexGuard<'a, State<J>>, bool) {
        worker.prepare();
        state.watcher = Some(Watcher {
            worker: worker.clone(),
            relied_on: false,
        });
        drop(state);
        worker.park(Instant::now().checked_add(WATCH_TIME));
        state = self.state.lock();
        // Who wakes it takes it from there, as from the list of the PARKED ones.
        let this = state.watcher.take_if(|watcher| watcher.worker.is(worker));
        let Some(Watcher { relied_on, .. }) = this else {
            return (state, true);
        };
        if !relied_on {
            state.pace.doubt();
        }
        let attended = state.searching || state.called;
        let stranded = self.queued() > 0 && !attended;
        if stranded {
            state.call(worker);
        }
        let goes_on = stranded || (relied_on && !attended);
        (state, goes_on)
    }

    /// Takes all jobs that no worker has taken. Any thread; does not block.
    ///
    /// ```
    /// let pool = hubpool::binding::Pool::new(1);
    /// pool.submit(1).unwrap();
    /// pool.submit(2).unwrap();
    /// assert_eq!(pool.take_queue(), [1, 2]);
    /// assert_eq!(pool.queued(), 0);
    /// ```
    #[must_use]
    pub fn take_queue(&self) -> VecDeque<J> {
        let mut state = self.state.lock();
        let mut queue = self.front.take_all();
        queue.append(&mut std::mem::take(&mut state.queue));
        self.publish(&state);
        self.settle_shrink(&mut state);
        queue
    }

    /// Adds a job, asks something under the same lock, and wakes a worker if one sleeps.
    fn add(&self, job: J, ask: impl FnOnce(&mut State<J>) -> bool) -> Result<bool, Closed<J>> {
        let (sleeper, answer) = {
            let mut state = self.state.lock();
            if state.closed {
                return Err(Closed(job));
            }
            let sleeper = self.enqueue(&mut state, job);
            (sleeper, ask(&mut state))
        };
        if let Some(worker) = sleeper {
            worker.wake();
        }
        Ok(answer)
    }

    /// Adds a job at the end of the queue. Returns whom to wake for it, once the lock is free.
    fn enqueue(&self, state: &mut State<J>, job: J) -> Option<Worker> {
        state.queue.push_back(job);
        self.publish(state);
        state.sleeper(|| self.queued())
    }

    fn publish(&self, state: &State<J>) {
        self.behind.store(state.queue.len(), Ordering::Release);
    }
}

/// A worker that is to be woken for a job, which is done when this is dropped. See [`Pool::offer`].
///
/// ```
/// use hubpool::binding::{Pool, WakeUp};
///
/// let pool = Pool::new(1);
/// pool.register();
/// let wake_up: Option<WakeUp> = pool.offer("job").unwrap();
/// // Let go of whatever the worker needs for the job. Then:
/// drop(wake_up);
/// ```
#[derive(Debug)]
#[must_use = "the worker is woken as it is dropped"]
pub struct WakeUp(Worker);

impl Drop for WakeUp {
    fn drop(&mut self) {
        self.0.wake();
    }
}

impl<J> State<J> {
    /// The worker to wake for so many jobs that wait: none while one is SEARCHING or CALLED, or if the job
    /// can be left to the WATCHING one.
    fn sleeper(&mut self, waiting: impl FnOnce() -> usize) -> Option<Worker> {
        if !self.is_sleeper_due(waiting) {
            return None;
        }
        if self.parked.is_empty() {
            self.end_watch();
        }
        let worker = self.parked.pop()?;
        self.call(&worker);
        Some(worker)
    }

    fn is_sleeper_due(&mut self, waiting: impl FnOnce() -> usize) -> bool {
        if self.searching || self.called || (self.parked.is_empty() && self.watcher.is_none()) {
            return false;
        }
        // Those who are awake are as fast as one that would have to wake up.
        let Some(watcher) = &mut self.watcher else {
            return true;
        };
        let left = self.pace.spares(waiting());
        watcher.relied_on |= left;
        !left
    }

    /// Does as [`sleeper`](Self::sleeper), if there are such jobs.
    fn sleeper_for_queue(&mut self, waiting: usize) -> Option<Worker> {
        (waiting > 0).then(|| self.sleeper(|| waiting)).flatten()
    }

    /// PARKED and WATCHING workers.
    fn asleep(&self) -> usize {
        self.parked.len() + usize::from(self.watcher.is_some())
    }

    /// Makes the WATCHING worker one of the PARKED ones.
    fn end_watch(&mut self) {
        let watcher = self.watcher.take();
        self.parked.extend(watcher.map(|watcher| watcher.worker));
    }

    /// Whether a worker that was woken in vain shall watch before it parks again.
    fn wants_watcher(&self) -> bool {
        self.watcher.is_none() && self.workers > 1 && self.pace.is_short()
    }

    fn call(&mut self, worker: &Worker) {
        self.called = true;
        worker.set_called(true);
    }

    /// The worker is on its way no more: it has got going, or there is nothing to do.
    fn answer(&mut self, worker: &Worker) {
        if worker.is_called() {
            worker.set_called(false);
            self.called = false;
        }
    }
}

/// Takes the newest that `is_it` knows.
pub(crate) fn remove_newest<J>(jobs: &mut VecDeque<J>, is_it: impl Fn(&J) -> bool) -> Option<J> {
    let place = jobs.iter().rposition(is_it)?;
    jobs.remove(place)
}
