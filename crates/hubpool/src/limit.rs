//! One limit on the worker threads of all pools of a process.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock};

use crate::crew::Crew;
use crate::fork::PerProcess;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// Lets the pools of this process have at most so many threads in all; `None`, which is the
/// default, sets no limit.
///
/// A pool at the limit goes on with the threads that it has. One that has none, and has work, gets
/// the first thread that another gives up: an idle one, or, if all are busy, the first that finishes
/// its task; so each pool comes to its turn. One that has some gets what nobody else needs: a thread
/// that is idle elsewhere as a task is submitted, one that ends, or what a higher limit allows. If there
/// are more threads already, they end as they finish. Any thread may call it; it does not wait. Threads
/// of a [`binding::Pool`](crate::binding::Pool) do not count.
///
/// A task that waits for a task of another pool keeps its thread meanwhile: if all that the limit
/// allows do so, they wait for ever, with a limit of 1 the first of them.
///
/// ```
/// use std::num::NonZeroUsize;
///
/// hubpool::set_thread_limit(NonZeroUsize::new(1));
/// let (first, second) = (hubpool::ThreadPool::new(5), hubpool::ThreadPool::new(5));
/// assert_eq!(first.apply_async(|| 1).wait().unwrap(), 1);
/// assert_eq!(second.apply_async(|| 2).wait().unwrap(), 2);
/// hubpool::set_thread_limit(None);
/// ```
pub fn set_thread_limit(limit: Option<NonZeroUsize>) {
    ThreadLimit::of_process().set(limit.map_or(usize::MAX, NonZeroUsize::get));
}

static LIMIT: LazyLock<PerProcess<ThreadLimit>> =
    LazyLock::new(|| PerProcess::new(ThreadLimit::new(usize::MAX)));

/// Who has how many threads, and who waits for one.
#[derive(Debug)]
pub(crate) struct ThreadLimit {
    /// `usize::MAX`: there is none. Written under the lock; a forked child reads it without.
    limit: AtomicUsize,
    threads: Mutex<Threads>,
}

#[derive(Debug, Default)]
struct Threads {
    /// Who has threads, and how many.
    counts: Vec<(Arc<Crew>, usize)>,
    /// The sum of the counts.
    total: usize,
    /// Who has jobs and no thread: first come, first served.
    waiting: VecDeque<Arc<Crew>>,
    /// Who has threads and could use more, in turn: what nobody waits for, and what is idle elsewhere.
    wanting: VecDeque<Arc<Crew>>,
}

impl ThreadLimit {
    /// This process's.
    pub(crate) fn of_process() -> &'static Self {
        LIMIT.get(|parent| Self::new(parent.limit.load(Ordering::Relaxed)))
    }

    fn new(limit: usize) -> Self {
        Self {
            limit: AtomicUsize::new(limit),
            threads: Mutex::new(Threads::default()),
        }
    }

    fn set(&self, limit: usize) {
        {
            let _threads = self.threads.lock();
            self.limit.store(limit, Ordering::Relaxed);
        }
        self.pass_on();
    }

    /// Counts one more thread, for a worker that has been registered. If there can be none now, it
    /// returns `false` and takes the worker back; a crew that has no other is in line then.
    pub(crate) fn take(&self, crew: &Arc<Crew>) -> bool {
        let mut threads = self.threads.lock();
        // Who has come before has the first claim.
        if threads.total + threads.waiting.len() < self.limit.load(Ordering::Relaxed) {
            threads.count(crew);
            return true;
        }
        crew.pool.unregister();
        if crew.pool.queued() > 0 {
            threads.line_up(crew);
        }
        self.press(&threads);
        false
    }

    /// Counts one thread less, and lets others have it.
    pub(crate) fn give_back(&self, crew: &Arc<Crew>) {
        self.threads.lock().discount(crew);
        self.pass_on();
    }

    /// Starts what there is room for of those who wait.
    fn pass_on(&self) {
        loop {
            let (crew, counted) = {
                let mut threads = self.threads.lock();
                let room = threads.total < self.limit.load(Ordering::Relaxed);
                let Some(crew) = room.then(|| threads.next()).flatten() else {
                    self.press(&threads);
                    return;
                };
                // It may have no jobs any more.
                let wanted = crew.recruits();
                if wanted {
                    threads.count(&crew);
                }
                (crew, wanted)
            };
            if !counted {
                continue;
            }
            let started = crew.start_counted();
            let mut threads = self.threads.lock();
            if !started {
                // Where the system starts none, it must not come to its turn again at once.
                threads.discount(&crew);
            } else if crew.pool.workers() > 0 {
                // If its thread has ended already, that has seen to it.
                threads.line_up(&crew);
            }
        }
    }

    /// Asks for as many threads to end as are missing: idle ones first, else whichever finishes first.
    /// For who has threads and could use one more, an idle one.
    fn press(&self, threads: &Threads) {
        let limit = self.limit.load(Ordering::Relaxed);
        let waiting = usize::from(!threads.waiting.is_empty());
        let mut missing = (threads.total + waiting).saturating_sub(limit);
        let others = usize::from(threads.wanting.iter().any(|crew| crew.pool.queued() > 0));
        let mut welcome = (threads.total + waiting.max(others)).saturating_sub(limit);
        let asked: Vec<usize> = threads
            .counts
            .iter()
            .map(|(crew, count)| {
                // Those who are about to park among them.
                let idle = count.saturating_sub(crew.slots.outstanding()).min(welcome);
                welcome -= idle;
                missing = missing.saturating_sub(idle);
                idle
            })
            .collect();
        for ((crew, count), asked) in threads.counts.iter().zip(asked) {
            let ends = (*count).min(asked + missing);
            crew.pool
                .retire_to(if ends == 0 { usize::MAX } else { count - ends });
        }
    }
}

impl Threads {
    /// Puts a crew in line that has jobs for one more thread.
    fn line_up(&mut self, crew: &Arc<Crew>) {
        let line = if crew.pool.workers() == 0 {
            &mut self.waiting
        } else {
            &mut self.wanting
        };
        if !line.iter().any(|other| Arc::ptr_eq(other, crew)) {
            line.push_back(Arc::clone(crew));
        }
    }

    /// Whose turn it is.
    fn next(&mut self) -> Option<Arc<Crew>> {
        self.waiting
            .pop_front()
            .or_else(|| self.wanting.pop_front())
    }

    fn count(&mut self, crew: &Arc<Crew>) {
        self.total += 1;
        match self
            .counts
            .iter_mut()
            .find(|(other, _)| Arc::ptr_eq(other, crew))
        {
            Some((_, count)) => *count += 1,
            None => self.counts.push((Arc::clone(crew), 1)),
        }
    }

    fn discount(&mut self, crew: &Arc<Crew>) {
        if let Some(place) = self
            .counts
            .iter()
            .position(|(other, _)| Arc::ptr_eq(other, crew))
        {
            self.total -= 1;
            self.counts[place].1 -= 1;
            if self.counts[place].1 == 0 {
                self.counts.swap_remove(place);
                self.wanting.retain(|other| !Arc::ptr_eq(other, crew));
                // Nobody of it is left to retire, and who comes next is not meant.
                crew.pool.retire_to(usize::MAX);
            }
        }
    }
}
