//! The pool's methods for maps.

use futures_core::Stream;

use super::{Blocking, Imap, Iter, MapTask};
use crate::batch::Order;
use crate::error::TaskError;
use crate::park;
use crate::thread_pool::ThreadPool;

impl ThreadPool {
    /// Calls `f` for each item, at most [`maxsize`](Self::maxsize) at a time, and awaits all
    /// results, in the order of the items. The iterator is taken to its end at once. Dropping the
    /// future, once it has been polled, does not stop the map: its items run all the same.
    ///
    /// While items take less than some 10 us together, a thread takes up to 64 of them at once;
    /// an idle one takes over what stands there behind a long item. Items may wait for each other, as
    /// long as no more than `maxsize` of them do so at a time.
    ///
    /// # Errors
    ///
    /// The first in the order of the items. What no thread has taken up by then is withdrawn.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let pool = hubpool::ThreadPool::new(2);
    /// assert_eq!(pool.map(|n| n * n, [1, 2, 3]).await.unwrap(), [1, 4, 9]);
    /// # });
    /// ```
    pub async fn map<F, I, R>(&self, f: F, items: I) -> Result<Vec<R>, TaskError>
    where
        F: Fn(I::Item) -> R + Send + Sync + 'static,
        I: IntoIterator,
        I::Item: Send + 'static,
        R: Send + 'static,
    {
        self.map_async(f, items).await
    }

    /// Begins to call `f` for each item, as [`map`](Self::map) does. Any thread; does not block.
    ///
    /// ```
    /// let pool = hubpool::ThreadPool::new(2);
    /// let squares = pool.map_async(|n| n * n, [1, 2, 3]);
    /// assert_eq!(squares.wait().unwrap(), [1, 4, 9]);
    /// ```
    pub fn map_async<F, I, R>(&self, f: F, items: I) -> MapTask<R>
    where
        F: Fn(I::Item) -> R + Send + Sync + 'static,
        I: IntoIterator,
        I::Item: Send + 'static,
        R: Send + 'static,
    {
        MapTask::new(self, f, items)
    }

    /// [Maps](Self::map) from a plain thread, which it blocks until all results are there. In a task of
    /// the same pool it may wait for itself.
    ///
    /// # Errors
    ///
    /// As [`map`](Self::map).
    ///
    /// ```
    /// let pool = hubpool::ThreadPool::new(2);
    /// assert_eq!(pool.blocking_map(|n| n * n, [1, 2, 3]).unwrap(), [1, 4, 9]);
    /// ```
    pub fn blocking_map<F, I, R>(&self, f: F, items: I) -> Result<Vec<R>, TaskError>
    where
        F: Fn(I::Item) -> R + Send + Sync + 'static,
        I: IntoIterator,
        I::Item: Send + 'static,
        R: Send + 'static,
    {
        park::block_on(self.map(f, items))
    }

    /// Calls `f` for each item, and gives the results one after another in the order of the items,
    /// while those beyond are at work.
    ///
    /// ```
    /// use futures::StreamExt;
    ///
    /// # futures::executor::block_on(async {
    /// let pool = hubpool::ThreadPool::new(2);
    /// let squares = pool.imap(|n| n * n, 1..=3).map(Result::unwrap);
    /// assert_eq!(squares.collect::<Vec<_>>().await, [1, 4, 9]);
    /// # });
    /// ```
    pub fn imap<F, I, R>(&self, f: F, items: I) -> Imap<Iter<I::IntoIter>, F, R>
    where
        F: Fn(I::Item) -> R + Send + Sync + 'static,
        I: IntoIterator,
        I::Item: Send + 'static,
        R: Send + 'static,
    {
        self.imap_stream(f, Iter(items.into_iter()))
    }

    /// Does as [`imap`](Self::imap), but gives each result as soon as it is there.
    ///
    /// ```
    /// use futures::StreamExt;
    ///
    /// # futures::executor::block_on(async {
    /// let pool = hubpool::ThreadPool::new(2);
    /// let squares = pool.imap_unordered(|n| n * n, 1..=3).map(Result::unwrap);
    /// assert_eq!(squares.fold(0, async |sum, n| sum + n).await, 14);
    /// # });
    /// ```
    pub fn imap_unordered<F, I, R>(&self, f: F, items: I) -> Imap<Iter<I::IntoIter>, F, R>
    where
        F: Fn(I::Item) -> R + Send + Sync + 'static,
        I: IntoIterator,
        I::Item: Send + 'static,
        R: Send + 'static,
    {
        self.imap_unordered_stream(f, Iter(items.into_iter()))
    }

    /// Does as [`imap`](Self::imap), for items that come from a stream.
    ///
    /// ```
    /// use futures::{StreamExt, stream};
    ///
    /// # futures::executor::block_on(async {
    /// let pool = hubpool::ThreadPool::new(2);
    /// let squares = pool.imap_stream(|n| n * n, stream::iter(1..=3));
    /// assert_eq!(squares.map(Result::unwrap).collect::<Vec<_>>().await, [1, 4, 9]);
    /// # });
    /// ```
    pub fn imap_stream<F, S, R>(&self, f: F, items: S) -> Imap<S, F, R>
    where
        F: Fn(S::Item) -> R + Send + Sync + 'static,
        S: Stream,
        S::Item: Send + 'static,
        R: Send + 'static,
    {
        Imap::new(self, Order::Input, f, items)
    }

    /// Does as [`imap_unordered`](Self::imap_unordered), for items that come from a stream.
    ///
    /// ```
    /// use futures::{StreamExt, stream};
    ///
    /// # futures::executor::block_on(async {
    /// let pool = hubpool::ThreadPool::new(2);
    /// let squares = pool.imap_unordered_stream(|n| n * n, stream::iter(1..=3));
    /// assert_eq!(squares.count().await, 3);
    /// # });
    /// ```
    pub fn imap_unordered_stream<F, S, R>(&self, f: F, items: S) -> Imap<S, F, R>
    where
        F: Fn(S::Item) -> R + Send + Sync + 'static,
        S: Stream,
        S::Item: Send + 'static,
        R: Send + 'static,
    {
        Imap::new(self, Order::Completion, f, items)
    }

    /// [Maps lazily](Self::imap) from a plain thread: an iterator, which blocks the thread.
    ///
    /// ```
    /// let pool = hubpool::ThreadPool::new(2);
    /// let squares = pool.blocking_imap(|n| n * n, 1..=3).map(Result::unwrap);
    /// assert_eq!(squares.collect::<Vec<_>>(), [1, 4, 9]);
    /// ```
    pub fn blocking_imap<F, I, R>(&self, f: F, items: I) -> Blocking<Iter<I::IntoIter>, F, R>
    where
        F: Fn(I::Item) -> R + Send + Sync + 'static,
        I: IntoIterator,
        I::Item: Send + 'static,
        R: Send + 'static,
    {
        self.imap(f, items).blocking()
    }

    /// [Maps lazily, in any order](Self::imap_unordered) from a plain thread: an iterator, which
    /// blocks the thread.
    ///
    /// ```
    /// let pool = hubpool::ThreadPool::new(2);
    /// let squares = pool.blocking_imap_unordered(|n| n * n, 1..=3);
    /// assert_eq!(squares.map(Result::unwrap).sum::<i32>(), 14);
    /// ```
    pub fn blocking_imap_unordered<F, I, R>(
        &self,
        f: F,
        items: I,
    ) -> Blocking<Iter<I::IntoIter>, F, R>
    where
        F: Fn(I::Item) -> R + Send + Sync + 'static,
        I: IntoIterator,
        I::Item: Send + 'static,
        R: Send + 'static,
    {
        self.imap_unordered(f, items).blocking()
    }
}
