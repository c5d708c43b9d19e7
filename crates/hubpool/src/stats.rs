//! What a pool is about, and how long its tasks wait and run.

use crate::crew::Crew;

#[cfg(feature = "stats")]
pub use recorded::Times;
pub(crate) use recorded::{Queued, Recorder};

/// What a pool is about, at one moment. Each count is right by itself.
///
/// ```
/// let pool = hubpool::ThreadPool::new(2);
/// pool.set_size(1);
/// assert_eq!(pool.stats().threads, 1);
/// assert_eq!(pool.stats().outstanding, 0);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// Threads, idle ones among them.
    pub threads: usize,
    /// Threads that sleep for want of tasks.
    pub idle: usize,
    /// Tasks that no thread has taken up. For a moment, while a thread comes to them, they may count
    /// twice.
    pub queued: usize,
    /// Tasks that were submitted and have not ended, as [`ThreadPool::len`](crate::ThreadPool::len)
    /// counts them.
    pub outstanding: usize,
    /// How long they wait and run, if the pool is built with
    /// [`statistics`](crate::Builder::statistics). Feature `stats`.
    #[cfg(feature = "stats")]
    pub times: Option<Times>,
}

impl Stats {
    pub(crate) fn of(crew: &Crew) -> Self {
        Self {
            threads: crew.pool.workers(),
            idle: crew.pool.idle(),
            queued: crew.pool.queued(),
            outstanding: crew.slots.outstanding(),
            #[cfg(feature = "stats")]
            times: crew.recorder.times(),
        }
    }
}

#[cfg(not(feature = "stats"))]
mod recorded {
    //! Nothing is recorded.

    use std::sync::Arc;

    use crate::builder::Builder;
    use crate::crew::Crew;

    pub(crate) struct Recorder;

    impl Recorder {
        pub(crate) fn new(_: &Builder) -> Self {
            Self
        }

        #[expect(clippy::unused_self, reason = "there is nothing to record in")]
        pub(crate) fn run<T>(&self, f: impl FnOnce() -> T) -> T {
            f()
        }
    }

    pub(crate) struct Queued;

    impl Queued {
        pub(crate) fn now(_: &Arc<Crew>) -> Self {
            Self
        }

        #[expect(clippy::unused_self, reason = "there is nothing to record")]
        pub(crate) fn end(self) {}
    }
}

#[cfg(feature = "stats")]
mod recorded {
    //! Histograms, with an error of at most 1%.

    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use hdrhistogram::Histogram;

    use crate::builder::Builder;
    use crate::crew::Crew;
    use crate::sync::Mutex;

    /// An hour, in nanoseconds. What takes longer counts as that.
    const LONGEST: u64 = 3_600_000_000_000;
    /// How many decimal digits are right.
    const DIGITS: u8 = 2;

    /// How long tasks have waited and run, in nanoseconds; an hour stands for more.
    ///
    /// ```
    /// let pool = hubpool::ThreadPool::builder().statistics(true).build();
    /// pool.blocking_apply(|| std::thread::sleep(std::time::Duration::from_millis(1))).unwrap();
    /// let times = pool.stats().times.unwrap();
    /// assert_eq!(times.wait.len(), 1);
    /// assert!(times.run.value_at_quantile(0.5) >= 990_000);
    /// ```
    #[derive(Clone, Debug)]
    #[non_exhaustive]
    pub struct Times {
        /// From the submission of a task to its beginning, the hook before it included. Items of maps are not counted: they wait
        /// for their reader, too.
        pub wait: Histogram<u64>,
        /// From the beginning of a task, or of an item of a map, to its end or panic.
        pub run: Histogram<u64>,
    }

    /// What records a pool's times, if they are wanted.
    pub(crate) struct Recorder(Option<Mutex<Times>>);

    impl Recorder {
        pub(crate) fn new(settings: &Builder) -> Self {
            let times = || {
                let empty = Histogram::new_with_bounds(1, LONGEST, DIGITS).ok()?;
                let (wait, run) = (empty.clone(), empty);
                Some(Mutex::new(Times { wait, run }))
            };
            Self(settings.statistics.then(times).flatten())
        }

        pub(crate) fn times(&self) -> Option<Times> {
            self.0.as_ref().map(|times| times.lock().clone())
        }

        /// Runs a task, and records how long that takes, however it ends.
        pub(crate) fn run<T>(&self, f: impl FnOnce() -> T) -> T {
            struct Run<'a>(&'a Mutex<Times>, Instant);
            impl Drop for Run<'_> {
                fn drop(&mut self) {
                    record(&mut self.0.lock().run, self.1.elapsed());
                }
            }
            let _run = self.0.as_ref().map(|times| Run(times, Instant::now()));
            f()
        }
    }

    fn record(histogram: &mut Histogram<u64>, time: Duration) {
        histogram.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// When a task was submitted, if that is wanted.
    pub(crate) struct Queued(Option<(Arc<Crew>, Instant)>);

    impl Queued {
        pub(crate) fn now(crew: &Arc<Crew>) -> Self {
            let wanted = crew.recorder.0.is_some();
            Self(wanted.then(|| (Arc::clone(crew), Instant::now())))
        }

        /// The task begins.
        pub(crate) fn end(self) {
            if let Some((crew, submitted)) = self.0
                && let Some(times) = &crew.recorder.0
            {
                record(&mut times.lock().wait, submitted.elapsed());
            }
        }
    }
}
