//! How a pool is made.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::thread_pool::ThreadPool;

/// The most items of a map that a worker claims together.
const MOST_CLAIMED: usize = 64;

/// How long a worker waits for a task before its thread ends.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes a [`ThreadPool`]; what is not said keeps its default.
///
/// ```
/// use std::time::Duration;
///
/// let pool = hubpool::ThreadPool::builder()
///     .maxsize(4)
///     .backlog(100)
///     .name("files")
///     .idle_timeout(Some(Duration::from_secs(1)))
///     .stack_size(256 * 1024)
///     .build();
/// let name = pool.apply_async(|| std::thread::current().name().map(String::from));
/// assert_eq!(name.wait().unwrap().unwrap(), "files-0");
/// ```
#[derive(Clone)]
#[must_use = "call build"]
pub struct Builder {
    maxsize: Option<usize>,
    backlog: Option<usize>,
    pub(crate) most_claimed: usize,
    pub(crate) name: Arc<str>,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) stack_size: Option<usize>,
    pub(crate) hooks: Option<Box<Hooks>>,
    pub(crate) panic_policy: PanicPolicy,
    #[cfg(feature = "stats")]
    pub(crate) statistics: bool,
}

/// What becomes of a task's panic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PanicPolicy {
    /// The result is [`TaskError::Panicked`](crate::TaskError::Panicked), with what the task panicked with.
    #[default]
    Report,
    /// The panic goes on in who awaits the task.
    Resume,
}

/// What is called on the workers' threads.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) before_task: Hook,
    pub(crate) after_task: Hook,
    pub(crate) thread_start: Hook,
    pub(crate) thread_stop: Hook,
}

#[derive(Clone, Default)]
pub(crate) struct Hook(Option<Arc<dyn Fn() + Send + Sync>>);

impl Hook {
    pub(crate) fn call(&self) {
        if let Some(hook) = &self.0 {
            hook();
        }
    }
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            maxsize: None,
            backlog: None,
            most_claimed: MOST_CLAIMED,
            name: Arc::from("hubpool"),
            idle_timeout: Some(IDLE_TIMEOUT),
            stack_size: None,
            hooks: None,
            panic_policy: PanicPolicy::Report,
            #[cfg(feature = "stats")]
            statistics: false,
        }
    }

    /// The most threads, at least 1; by default as many as the machine runs at once.
    pub fn maxsize(mut self, maxsize: usize) -> Self {
        self.maxsize = Some(maxsize);
        self
    }

    /// How many tasks may be outstanding, running ones among them, before
    /// [`spawn`](ThreadPool::spawn) waits; by default one more than there may be threads, so that
    /// a worker that finishes finds its next task. Where it is much more than that, those who wait
    /// are let in together when half of it is free, or as many slots have come back, and not one by one,
    /// which costs a wake-up each: their tasks begin no later for that, unless others submit without
    /// waiting. Maps do not count.
    pub fn backlog(mut self, backlog: usize) -> Self {
        self.backlog = Some(backlog);
        self
    }

    /// How many items of a map a thread may take at once, if those before were so short that they
    /// took some 10 us together; by default 64. It begins with one, and takes at most twice as many
    /// as the last time, and half of what is left.
    ///
    /// The results of items that were taken together are given together, once the last of them has
    /// ended: so an item that waits until the result of another has been read may wait for ever. With 1
    /// each result is there as soon as its item has ended, at a price of some 100 ns an item. An idle
    /// thread takes over what stands behind a long item, whatever this says.
    ///
    /// # Panics
    ///
    /// If `most` is 0.
    ///
    /// ```
    /// use std::sync::{Arc, Condvar, Mutex};
    ///
    /// let pool = hubpool::ThreadPool::builder().maxsize(2).claim(1).build();
    /// // Each item waits until all results before the last two have been read.
    /// let seen = Arc::new((Mutex::new(0), Condvar::new()));
    /// let f = {
    ///     let seen = Arc::clone(&seen);
    ///     move |n| {
    ///         let (count, more) = &*seen;
    ///         drop(more.wait_while(count.lock().unwrap(), |count| *count + 2 < n).unwrap());
    ///     }
    /// };
    /// for _ in pool.blocking_imap(f, 0..200) {
    ///     *seen.0.lock().unwrap() += 1;
    ///     seen.1.notify_all();
    /// }
    /// ```
    pub fn claim(mut self, most: usize) -> Self {
        assert!(most > 0, "a thread that takes 0 items does nothing");
        self.most_claimed = most;
        self
    }

    /// What threads are called, before a hyphen and a number; by default `hubpool`.
    ///
    /// # Panics
    ///
    /// If there is a zero byte in it.
    pub fn name(mut self, name: &str) -> Self {
        assert!(!name.contains('\0'), "a thread's name has no zero byte");
        self.name = Arc::from(name);
        self
    }

    /// How long a thread waits for a task before it ends; by default 10 seconds. `None`: for ever.
    pub fn idle_timeout(mut self, idle: Option<Duration>) -> Self {
        self.idle_timeout = idle;
        self
    }

    /// The size of a thread's stack in bytes; by default the standard library's.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// What to call before each task, and before each item of a map, on its thread. Its panic
    /// becomes the task's, which is not run then.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    ///
    /// let count = Arc::new(AtomicUsize::new(0));
    /// let counted = Arc::clone(&count);
    /// let pool = hubpool::ThreadPool::builder()
    ///     .before_task(move || drop(counted.fetch_add(1, Ordering::Relaxed)))
    ///     .build();
    /// pool.blocking_map(|n: u32| n, 0..10).unwrap();
    /// assert_eq!(count.load(Ordering::Relaxed), 10);
    /// ```
    pub fn before_task(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.hooks().before_task = Hook(Some(Arc::new(hook)));
        self
    }

    /// What to call after each task, and after each item of a map, on its thread, also if it has
    /// panicked. Its panic becomes the task's.
    pub fn after_task(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.hooks().after_task = Hook(Some(Arc::new(hook)));
        self
    }

    /// What to call first on each thread. Its panic is reported and has no other effect.
    pub fn on_thread_start(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.hooks().thread_start = Hook(Some(Arc::new(hook)));
        self
    }

    /// What to call last on each thread. Its panic is reported and has no other effect.
    pub fn on_thread_stop(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.hooks().thread_stop = Hook(Some(Arc::new(hook)));
        self
    }

    /// What becomes of a task's panic; by default it is [reported](PanicPolicy::Report).
    ///
    /// ```should_panic
    /// use hubpool::{PanicPolicy, ThreadPool};
    ///
    /// let pool = ThreadPool::builder().panic_policy(PanicPolicy::Resume).build();
    /// let _ = pool.apply_async(|| panic!("no luck")).wait(); // Panics, too.
    /// ```
    pub fn panic_policy(mut self, policy: PanicPolicy) -> Self {
        self.panic_policy = policy;
        self
    }

    /// Sets whether the pool records how long its tasks wait and run, for [`ThreadPool::stats`]; by
    /// default it does not. It costs some 100 ns a task. Feature `stats`.
    #[cfg(feature = "stats")]
    pub fn statistics(mut self, on: bool) -> Self {
        self.statistics = on;
        self
    }

    /// Makes the pool. It starts no thread: the first task does.
    ///
    /// # Panics
    ///
    /// If `maxsize` or `backlog` is 0.
    #[must_use]
    pub fn build(self) -> ThreadPool {
        // To ask how many cores there are may take longer than to start a thread.
        let cores = || std::thread::available_parallelism().map_or(1, Into::into);
        let maxsize = self.maxsize.unwrap_or_else(cores);
        ThreadPool::from_builder(self, maxsize)
    }

    /// How many tasks may be outstanding beside so many threads.
    pub(crate) fn backlog_for(&self, maxsize: usize) -> usize {
        self.backlog.unwrap_or_else(|| maxsize.saturating_add(1))
    }

    fn hooks(&mut self) -> &mut Hooks {
        self.hooks.get_or_insert_default()
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("maxsize", &self.maxsize)
            .field("backlog", &self.backlog)
            .field("claim", &self.most_claimed)
            .field("name", &self.name)
            .field("idle_timeout", &self.idle_timeout)
            .field("stack_size", &self.stack_size)
            .field("panic_policy", &self.panic_policy)
            .finish_non_exhaustive()
    }
}
