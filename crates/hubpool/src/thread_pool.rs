//! The pool as programs see it.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::builder::Builder;
use crate::crew::{Crew, Refusal, shielded};
use crate::error::TaskError;
use crate::fork::PerProcess;
use crate::park;
use crate::stats::{Queued, Stats};
use crate::task::{self, Task};
use crate::trace::Trace;

/// A pool of threads for functions that block: a cheap handle, which may be cloned and sent.
///
/// When the last handle is dropped, what is queued still runs, and the threads end after that. A process
/// that ends does not wait for them: [`join`](Self::join) before.
///
/// In a forked child the pool is a new one with the same settings, and can be used at once. Tasks
/// that were outstanding at the fork are the parent's: in the child they never end, and must not
/// be awaited there.
///
/// ```
/// # futures::executor::block_on(async {
/// let pool = hubpool::ThreadPool::new(10);
/// let host = pool.apply(|| std::fs::read_to_string("/etc/hostname")).await.unwrap();
/// # let _ = host;
/// # });
/// ```
#[derive(Clone)]
pub struct ThreadPool {
    handle: Arc<Handle>,
}

// No code of a program runs under a lock, so a panic leaves nothing half done.
impl UnwindSafe for ThreadPool {}
impl RefUnwindSafe for ThreadPool {}

/// What all handles share. The threads have no share of it, so that they do not keep the pool.
struct Handle(PerProcess<Arc<Crew>>);

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(crew) = self.0.made() {
            crew.pool.close();
        }
    }
}

impl ThreadPool {
    /// Makes a pool of at most `maxsize` threads. It starts none: tasks do.
    ///
    /// # Panics
    ///
    /// If `maxsize` is 0.
    ///
    /// ```
    /// let pool = hubpool::ThreadPool::new(10);
    /// assert_eq!(pool.size(), 0);
    /// ```
    #[must_use]
    pub fn new(maxsize: usize) -> Self {
        Self::builder().maxsize(maxsize).build()
    }

    /// Makes a pool with more to say about it.
    ///
    /// ```
    /// let pool = hubpool::ThreadPool::builder().maxsize(4).name("files").build();
    /// assert_eq!(pool.maxsize(), 4);
    /// ```
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) fn from_builder(settings: Builder, maxsize: usize) -> Self {
        assert!(maxsize > 0, "a pool needs a thread: maxsize is 0");
        assert!(
            settings.backlog_for(maxsize) > 0,
            "a pool needs a slot: backlog is 0"
        );
        Self {
            handle: Arc::new(Handle(PerProcess::new(Crew::new(settings, maxsize)))),
        }
    }

    /// This process's threads.
    pub(crate) fn crew(&self) -> &Arc<Crew> {
        let anew = |parent: &Arc<Crew>| Crew::new(parent.settings.clone(), parent.pool.maxsize());
        self.handle.0.get(anew)
    }

    /// Waits until a slot is free, and submits the task: then at most
    /// [`backlog`](Builder::backlog) tasks are outstanding. First come, first served, several at a time where
    /// there are many slots; it suspends only who awaits it. The [`Task`] that it gives is awaited for the result.
    ///
    /// Dropped before it is ready, it has submitted nothing and lost no slot. The function is called
    /// once, on a worker's thread, or never if the task is withdrawn. Any thread.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let pool = hubpool::ThreadPool::new(2);
    /// let mut tasks = Vec::new();
    /// for n in 0..100 {
    ///     tasks.push(pool.spawn(move || n * n).await); // At most 3 are outstanding.
    /// }
    /// assert_eq!(tasks.remove(7).await.unwrap(), 49);
    /// # });
    /// ```
    pub async fn spawn<F, T>(&self, f: F) -> Task<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let crew = self.crew();
        crew.slots.take().await;
        submit(crew, f)
    }

    /// [Spawns](Self::spawn) the task and awaits its result. Dropped midway, it leaves a task that
    /// was submitted to run. Any thread; it suspends only who awaits it.
    ///
    /// # Errors
    ///
    /// [`TaskError`], if the task has panicked or has not been run.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let pool = hubpool::ThreadPool::new(2);
    /// assert_eq!(pool.apply(|| 6 * 7).await.unwrap(), 42);
    /// # });
    /// ```
    pub async fn apply<F, T>(&self, f: F) -> Result<T, TaskError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.spawn(f).await.await
    }

    /// Submits the task at once, whatever is outstanding. Any thread; does not block.
    ///
    /// ```
    /// let pool = hubpool::ThreadPool::new(2);
    /// let tasks: Vec<_> = (0..100).map(|n| pool.apply_async(move || n)).collect();
    /// let sum: i32 = tasks.into_iter().map(|task| task.wait().unwrap()).sum();
    /// assert_eq!(sum, 4950);
    /// ```
    pub fn apply_async<F, T>(&self, f: F) -> Task<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let crew = self.crew();
        crew.slots.force();
        submit(crew, f)
    }

    /// [Spawns](Self::spawn) a task from a plain thread, which it blocks until a slot is free. In a
    /// task of the same pool it may wait for itself.
    ///
    /// ```
    /// let pool = hubpool::ThreadPool::new(2);
    /// assert_eq!(pool.blocking_spawn(|| 6 * 7).wait().unwrap(), 42);
    /// ```
    pub fn blocking_spawn<F, T>(&self, f: F) -> Task<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        park::block_on(self.spawn(f))
    }

    /// [Applies](Self::apply) a function from a plain thread, which it blocks until the result is there.
    /// In a task of the same pool it may wait for itself.
    ///
    /// # Errors
    ///
    /// As [`apply`](Self::apply).
    ///
    /// ```
    /// let pool = hubpool::ThreadPool::new(2);
    /// assert_eq!(pool.blocking_apply(|| 6 * 7).unwrap(), 42);
    /// ```
    pub fn blocking_apply<F, T>(&self, f: F) -> Result<T, TaskError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        park::block_on(self.apply(f))
    }

    /// Waits until no task is outstanding. Tasks may be submitted meanwhile, and are waited for too. Any
    /// thread; it suspends only who awaits it. In a task of the same pool it waits for itself.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let pool = hubpool::ThreadPool::new(2);
    /// let task = pool.apply_async(|| 1);
    /// pool.join().await;
    /// assert!(task.is_finished());
    /// # });
    /// ```
    pub async fn join(&self) {
        self.crew().slots.end().await;
    }

    /// [Joins](Self::join) from a plain thread, which it blocks for at most `timeout`. Returns whether
    /// no task is outstanding.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let pool = hubpool::ThreadPool::new(2);
    /// let (go, wait) = std::sync::mpsc::channel();
    /// let task = pool.apply_async(move || wait.recv().unwrap());
    /// assert!(!pool.join_timeout(Duration::from_millis(1)));
    /// go.send(()).unwrap();
    /// assert!(pool.join_timeout(Duration::MAX));
    /// # task.wait().unwrap();
    /// ```
    #[must_use = "it may have timed out"]
    pub fn join_timeout(&self, timeout: Duration) -> bool {
        let joined = self.crew().slots.end();
        // A time too far away to be written down is never.
        park::block_until(joined, Instant::now().checked_add(timeout)).is_some()
    }

    /// Withdraws all tasks that no thread has taken up, and of each map what no thread has taken up,
    /// and lets each thread end as it finishes. The result of such a task is
    /// [`TaskError::Cancelled`]; a map has that error after the results of the items that were taken
    /// up. What runs is not stopped. The pool can be used again at once. Any thread; does not block.
    ///
    /// Returns how many tasks and maps it has ended so: each map counts as one, also if its source
    /// only might have had more items, and what was cancelled before does not count. A map that
    /// nobody has begun to read goes on when it is read.
    ///
    /// ```
    /// use hubpool::{TaskError, ThreadPool};
    ///
    /// let pool = ThreadPool::new(1);
    /// let (go, wait) = std::sync::mpsc::channel();
    /// let first = pool.apply_async(move || wait.recv().unwrap());
    /// while pool.stats().queued > 0 {
    ///     std::thread::yield_now();
    /// }
    /// let second = pool.apply_async(|| unreachable!());
    /// assert_eq!(pool.kill(), 1);
    /// assert!(matches!(second.wait(), Err(TaskError::Cancelled)));
    /// go.send(()).unwrap();
    /// first.wait().unwrap();
    /// assert_eq!(pool.blocking_apply(|| 3).unwrap(), 3);
    /// ```
    #[expect(clippy::must_use_candidate, reason = "who kills may not care")]
    pub fn kill(&self) -> usize {
        let crew = self.crew();
        let mut count = 0;
        let maps = crew.maps();
        for map in &maps {
            // A waker's panic, or an item's destructor's, keeps no other from its end.
            shielded(|| count += usize::from(map.kill()));
        }
        count += crew.refuse_queue(&Refusal::Cancelled);
        crew.pool.shrink_to(0);
        // What stands behind an item that runs still wants a thread, whose ticket may just have gone.
        crew.call_workers(maps);
        count
    }

    /// Threads, idle ones among them. Any thread; does not block.
    ///
    /// ```
    /// let pool = hubpool::ThreadPool::new(4);
    /// pool.blocking_apply(|| ()).unwrap();
    /// assert_eq!(pool.size(), 1);
    /// ```
    #[must_use]
    pub fn size(&self) -> usize {
        self.crew().pool.workers()
    }

    /// Sets how many threads there are now: starts some, up to [`maxsize`](Self::maxsize), or lets
    /// some end once nothing is queued and no map has items left for them. The pool goes on to start
    /// and end threads as tasks come and go. Any thread; does not block.
    ///
    /// ```
    /// let pool = hubpool::ThreadPool::new(4);
    /// pool.set_size(2);
    /// assert_eq!(pool.size(), 2);
    /// ```
    pub fn set_size(&self, size: usize) {
        let crew = self.crew();
        crew.pool.shrink_to(size);
        // They may end while others are started, if they are to be idle for a short time only.
        for _ in 0..size.min(crew.pool.maxsize()) {
            if !(crew.pool.register_up_to(size) && crew.start()) {
                break;
            }
        }
    }

    /// The most threads. Any thread; does not block.
    ///
    /// ```
    /// assert_eq!(hubpool::ThreadPool::new(4).maxsize(), 4);
    /// ```
    #[must_use]
    pub fn maxsize(&self) -> usize {
        self.crew().pool.maxsize()
    }

    /// Sets the most threads, and with it the [`backlog`](Builder::backlog) unless that was given.
    /// Threads beyond it end as they finish a task, or what they have taken of a map; new ones start
    /// if tasks wait, or items of a map. Any thread; does not block.
    ///
    /// # Panics
    ///
    /// If `maxsize` is 0.
    ///
    /// ```
    /// let pool = hubpool::ThreadPool::new(1);
    /// pool.set_maxsize(8);
    /// assert_eq!(pool.maxsize(), 8);
    /// ```
    pub fn set_maxsize(&self, maxsize: usize) {
        assert!(maxsize > 0, "a pool needs a thread: maxsize is 0");
        let crew = self.crew();
        crew.pool.set_maxsize(maxsize);
        crew.slots.set_limit(|| {
            let maxsize = crew.pool.maxsize();
            (crew.settings.backlog_for(maxsize), maxsize)
        });
        crew.man();
        crew.call_workers(crew.maps());
    }

    /// Tasks that were submitted and have not ended, running ones among them. A map counts as one
    /// for each thread that is at it or on its way, which may find it at its end, and a withdrawn
    /// task until its turn in the queue comes. Any thread; does not block.
    ///
    /// ```
    /// let pool = hubpool::ThreadPool::new(1);
    /// let (go, wait) = std::sync::mpsc::channel();
    /// let task = pool.apply_async(move || wait.recv().unwrap());
    /// assert_eq!(pool.len(), 1);
    /// go.send(()).unwrap();
    /// task.wait().unwrap();
    /// assert_eq!(pool.len(), 0);
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.crew().slots.outstanding()
    }

    /// Whether no task is outstanding. Any thread; does not block.
    ///
    /// ```
    /// assert!(hubpool::ThreadPool::new(1).is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the pool is about now. Any thread; does not block.
    ///
    /// ```
    /// let pool = hubpool::ThreadPool::new(4);
    /// pool.set_size(2);
    /// assert_eq!(pool.stats().threads, 2);
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::of(self.crew())
    }
}

/// Submits a task that has its slot.
fn submit<F, T>(crew: &Arc<Crew>, f: F) -> Task<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let (trace, queued) = (Trace::here(), Queued::now(crew));
    let (job, task) = task::new(move || {
        queued.end();
        trace.run(f)
    });
    crew.submit(job);
    task
}

impl fmt::Debug for ThreadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPool")
            .field("maxsize", &self.maxsize())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
