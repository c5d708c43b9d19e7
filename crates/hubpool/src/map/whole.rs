//! A map whose results are wanted all together.

use std::fmt;
use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::Map;
use crate::batch::{Order, Progress, Taken};
use crate::crew::drop_each;
use crate::error::TaskError;
use crate::park;
use crate::thread_pool::ThreadPool;

/// The results of a map, some time: a future of all of them, in the order of the items, or of the
/// first error in that order.
///
/// Dropping it does not stop the map. Made by [`ThreadPool::map_async`].
///
/// # Panics
///
/// Awaiting it a second time panics, as awaiting a [`Task`](crate::Task) does.
#[must_use = "the map runs all the same, but nobody learns its results"]
pub struct MapTask<R> {
    map: Arc<dyn Whole<R>>,
    /// What has been read, if an item has failed. `None` after the end.
    results: Option<Vec<R>>,
}

// No code of a program runs under a lock, so a panic leaves nothing half done.
impl<R> UnwindSafe for MapTask<R> {}
impl<R> RefUnwindSafe for MapTask<R> {}

/// What a [`MapTask`] sees of its map.
trait Whole<R>: Send + Sync {
    fn poll(
        self: Arc<Self>,
        context: &mut Context<'_>,
        results: &mut Vec<R>,
    ) -> Poll<Result<Vec<R>, TaskError>>;
    fn is_finished(&self) -> bool;
    fn cancel(&self) -> usize;
    fn forget(&self);
}

impl<R> MapTask<R> {
    pub(crate) fn new<F, T>(pool: &ThreadPool, f: F, items: impl IntoIterator<Item = T>) -> Self
    where
        F: Fn(T) -> R + Send + Sync + 'static,
        T: Send + 'static,
        R: Send + 'static,
    {
        let map = Map::new(pool, Order::Input, f);
        map.begin();
        // The iterator is the caller's code: it runs under no lock.
        map.feed(&mut items.into_iter().collect());
        map.tell(map.batch.exhaust());
        Self {
            map,
            results: Some(Vec::new()),
        }
    }

    /// Withdraws the items that no thread has taken up, and returns how many those were. If there
    /// were any, the result is [`TaskError::Cancelled`] unless an item before them has panicked. Any
    /// thread; does not block.
    ///
    /// ```
    /// let pool = hubpool::ThreadPool::new(1);
    /// let (go, wait) = std::sync::mpsc::channel();
    /// let first = pool.apply_async(move || wait.recv().unwrap());
    /// let map = pool.map_async(|n: u32| n, 0..3);
    /// assert_eq!(map.cancel(), 3);
    /// assert!(map.wait().is_err());
    /// go.send(()).unwrap();
    /// # first.wait().unwrap();
    /// ```
    #[expect(clippy::must_use_candidate, reason = "who cancels may not care")]
    pub fn cancel(&self) -> usize {
        self.map.cancel()
    }

    /// Whether all items have ended, or been withdrawn; an error may be there before that. Any thread;
    /// does not block.
    ///
    /// ```
    /// let pool = hubpool::ThreadPool::new(2);
    /// let squares = pool.map_async(|n| n * n, [1, 2, 3]);
    /// while !squares.is_finished() {
    ///     std::thread::yield_now();
    /// }
    /// assert_eq!(squares.wait().unwrap(), [1, 4, 9]);
    /// ```
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.map.is_finished()
    }

    /// Blocks the calling thread until the results are there, as [`Task::wait`](crate::Task::wait) does:
    /// in a task of the same pool it may wait for itself.
    ///
    /// # Errors
    ///
    /// As awaiting it does.
    ///
    /// ```
    /// let pool = hubpool::ThreadPool::new(2);
    /// let squares = pool.map_async(|n| n * n, [1, 2, 3]);
    /// assert_eq!(squares.wait().unwrap(), [1, 4, 9]);
    /// ```
    pub fn wait(self) -> Result<Vec<R>, TaskError> {
        park::block_on(self)
    }
}

impl<F, T, R> Whole<R> for Map<F, T, R>
where
    F: Fn(T) -> R + Send + Sync + 'static,
    T: Send + 'static,
    R: Send + 'static,
{
    fn poll(
        self: Arc<Self>,
        context: &mut Context<'_>,
        results: &mut Vec<R>,
    ) -> Poll<Result<Vec<R>, TaskError>> {
        self.sit_down(context.waker());
        if !self.batch.failed() {
            if let Taken::Ready(whole) = self.batch.take_whole() {
                let refused = self.refused();
                return Poll::Ready(refused.map_or_else(|| whole.into_iter().collect(), Err));
            }
            // One that fails from here on tells the reader.
            if !self.batch.failed() {
                return Poll::Pending;
            }
        }
        // The first that has failed, in order, is the error.
        loop {
            let crew = self.pool.crew();
            let (taken, tickets) = self.batch.take(true, crew.pool.maxsize());
            self.issue(crew, tickets);
            match taken {
                Taken::Pending => return Poll::Pending,
                Taken::End => {
                    let whole = std::mem::take(results);
                    return Poll::Ready(self.refused().map_or(Ok(whole), Err));
                }
                Taken::Ready(more) => {
                    let mut more = more.into_iter();
                    while let Some(result) = more.next() {
                        match result {
                            Ok(result) => results.push(result),
                            Err(error) => {
                                Map::withdraw(&self, TaskError::Cancelled);
                                drop_each(results.drain(..));
                                drop_each(more);
                                return Poll::Ready(Err(self.report(error)));
                            }
                        }
                    }
                }
            }
        }
    }

    fn is_finished(&self) -> bool {
        let Progress {
            pending, running, ..
        } = self.batch.progress();
        pending == 0 && running == 0
    }

    fn cancel(&self) -> usize {
        self.withdraw(TaskError::Cancelled).unwrap_or(0)
    }

    fn forget(&self) {
        Map::forget(self);
    }
}

impl<R> Future for MapTask<R> {
    type Output = Result<Vec<R>, TaskError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let taken = this.results.take();
        let mut results = taken.expect("a map was awaited again after its results had been taken");
        let poll = Arc::clone(&this.map).poll(context, &mut results);
        if poll.is_pending() {
            this.results = Some(results);
        }
        poll
    }
}

impl<R> Drop for MapTask<R> {
    /// Results that nobody takes are gone before their tickets come back, or now.
    fn drop(&mut self) {
        drop_each(self.results.take().into_iter().flatten());
        self.map.forget();
    }
}

impl<R> Unpin for MapTask<R> {}

impl<R> fmt::Debug for MapTask<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapTask").finish_non_exhaustive()
    }
}
