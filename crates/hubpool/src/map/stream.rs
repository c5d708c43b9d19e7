//! A map whose results are read one after another, while items beyond them are at work.
//!
//! The reader feeds the batch, and never more than it may look ahead: so the bound needs nobody
//! who watches it.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::iter::FusedIterator;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_core::Stream;
use futures_core::stream::FusedStream;

use super::Map;
use crate::batch::{Order, TakenInto};
use crate::crew::drop_each;
use crate::error::TaskError;
use crate::park;
use crate::thread_pool::ThreadPool;

/// How many items may be ahead of the reader by default.
const LOOK_AHEAD: usize = 1024;
/// For how long one poll goes on to take items from the source: the thread has others to serve, and
/// results that have come meanwhile want to be read.
const TAKE_TIME: Duration = Duration::from_micros(50);
/// How many items are taken at most before the workers get them.
const MOST_TAKEN: usize = 256;
/// And after how many of them the clock is looked at.
const LOOK_EVERY: usize = 8;

/// The results of a map, one after another: a [`Stream`], which does nothing until it is polled.
///
/// Who reads it also takes the items from their source, up to
/// [`look_ahead`](Self::look_ahead) items ahead of the results: so an iterator must not wait for
/// one of these results. Its `next` runs on the thread that polls, for some 50 us at a time, or as long as
/// it takes for one item, or for eight once they get slow: a source that blocks belongs behind a channel, and into
/// [`imap_stream`](ThreadPool::imap_stream).
///
/// A panic of an item is its result; the others go on. A panic of the source goes on in who reads, and
/// costs no result: what came before is read first, and then the source is asked again. Dropping it
/// withdraws the items that no thread has taken up.
///
/// Where items have taken less than some 10 us together, a thread takes up to 64 of them at once,
/// and leaves their results when the last has ended; [`claim`](Self::claim) says otherwise. Items that
/// wait until results have been read need that.
///
/// Made by [`ThreadPool::imap`] and its kin.
#[must_use = "it does nothing until it is read"]
pub struct Imap<S, F, R>
where
    S: Stream,
{
    /// `None` after the last item.
    source: Option<Pin<Box<S>>>,
    map: Arc<Map<F, S::Item, R>>,
    look_ahead: usize,
    /// Items that have been fed and whose results have not been given out.
    ahead: usize,
    /// Items on their way from the source to the batch: kept for its memory.
    items: Vec<S::Item>,
    /// How many items are taken before the workers get them: more, the faster the source is.
    group: usize,
    /// Whether the source is being asked, or has panicked as it was asked last.
    asking: bool,
    /// Whether the end has been read.
    ended: bool,
    /// Results on their way from the batch to the reader.
    results: VecDeque<Result<R, TaskError>>,
}

impl<S, F, R> Imap<S, F, R>
where
    S: Stream,
    S::Item: Send + 'static,
    F: Fn(S::Item) -> R + Send + Sync + 'static,
    R: Send + 'static,
{
    pub(crate) fn new(pool: &ThreadPool, order: Order, f: F, source: S) -> Self {
        Self {
            source: Some(Box::pin(source)),
            map: Map::new(pool, order, f),
            look_ahead: LOOK_AHEAD,
            ahead: 0,
            items: Vec::new(),
            group: 1,
            asking: false,
            ended: false,
            results: VecDeque::new(),
        }
    }

    /// Sets how many items may have been taken from the source whose results have not been read,
    /// at least 1; by default 1,024. Each of them may use memory, and a thread. Once results have
    /// been read, a lower number holds from when so few are ahead.
    ///
    /// # Panics
    ///
    /// If `items` is 0.
    ///
    /// ```
    /// let pool = hubpool::ThreadPool::new(2);
    /// let sizes = pool.imap(|n: usize| vec![0_u8; n], 0..100).look_ahead(4);
    /// assert_eq!(sizes.blocking().count(), 100); // With at most 4 vectors at a time.
    /// ```
    pub fn look_ahead(mut self, items: usize) -> Self {
        assert!(items > 0, "a map that looks 0 items ahead has no result");
        self.look_ahead = items;
        self
    }

    /// Sets how many items a thread may take at once, if such items have been short; by default what
    /// the pool [was built with](crate::Builder::claim), 64. With 1, each result is there as soon as its item has ended, at a price of some 100 ns an item.
    ///
    /// # Panics
    ///
    /// If `most` is 0, or the map has been read from.
    ///
    /// ```
    /// let pool = hubpool::ThreadPool::new(2);
    /// assert_eq!(pool.imap(|n: u32| n, 0..10).claim(1).blocking().count(), 10);
    /// ```
    pub fn claim(mut self, most: usize) -> Self {
        assert!(most > 0, "a thread that takes 0 items does nothing");
        let map = Arc::get_mut(&mut self.map).expect("claim comes before the first result is read");
        map.most_claimed = most;
        self
    }

    /// Makes it an iterator for plain threads, which blocks the thread until a result is there.
    ///
    /// ```
    /// let pool = hubpool::ThreadPool::new(2);
    /// let squares = pool.imap(|n| n * n, 1..=3).blocking();
    /// assert_eq!(squares.map(Result::unwrap).collect::<Vec<_>>(), [1, 4, 9]);
    /// ```
    pub fn blocking(self) -> Blocking<S, F, R> {
        Blocking(self)
    }

    /// Takes items from the source as far ahead as may be, if that is worth a lock. Returns whether
    /// it has stopped only because its time was over.
    fn feed(&mut self, context: &mut Context<'_>) -> bool {
        // The next result is as good as read.
        let read = usize::from(!self.results.is_empty());
        let room = |this: &Self| this.look_ahead.saturating_sub(this.ahead - read);
        if room(self) < (self.look_ahead / 4).max(1) {
            return false;
        }
        if self.asking {
            // It has panicked. What came before is worth reading first, in case it does so again.
            self.hand_over();
            if self.ahead > 0 {
                return false;
            }
        }
        let begin = Instant::now();
        let mut last = begin;
        while room(self) > 0 {
            let group = self.group.min(room(self));
            let Some(next) = self.take_group(group, begin, context) else {
                return false;
            };
            if !self.hand_over() {
                return false;
            }
            match next {
                Poll::Ready(true) => {}
                Poll::Ready(false) => {
                    self.source = None;
                    self.map.tell(self.map.batch.exhaust());
                    return false;
                }
                Poll::Pending => return false,
            }
            let now = Instant::now();
            self.group = if now - last > TAKE_TIME {
                1
            } else {
                (2 * self.group).min(MOST_TAKEN)
            };
            last = now;
            if now - begin > TAKE_TIME {
                return true;
            }
        }
        false
    }

    /// Takes up to so many items, fewer if it has become late. Ready: whether there may be more. `None`:
    /// there is no source any more.
    fn take_group(
        &mut self,
        group: usize,
        begin: Instant,
        context: &mut Context<'_>,
    ) -> Option<Poll<bool>> {
        let source = self.source.as_mut()?;
        self.asking = true;
        let next = loop {
            let count = self.items.len();
            let looks = count > 0 && count.is_multiple_of(LOOK_EVERY);
            if count >= group || (looks && begin.elapsed() > TAKE_TIME) {
                break Poll::Ready(true);
            }
            match source.as_mut().poll_next(context) {
                Poll::Ready(Some(item)) => self.items.push(item),
                Poll::Ready(None) => break Poll::Ready(false),
                Poll::Pending => break Poll::Pending,
            }
        };
        self.asking = false;
        Some(next)
    }

    /// Gives the workers what has been taken. `false`: the map has been ended.
    fn hand_over(&mut self) -> bool {
        let count = self.items.len();
        if count == 0 {
            return true;
        }
        let fed = self.map.feed(&mut self.items);
        if fed {
            self.ahead += count;
        } else {
            self.source = None;
        }
        fed
    }

    fn next_result(&mut self) -> Option<Result<R, TaskError>> {
        let result = self.results.pop_front()?;
        self.ahead -= 1;
        Some(result.map_err(|error| self.map.report(error)))
    }
}

impl<S, F, R> Stream for Imap<S, F, R>
where
    S: Stream,
    S::Item: Send + 'static,
    F: Fn(S::Item) -> R + Send + Sync + 'static,
    R: Send + 'static,
{
    type Item = Result<R, TaskError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.results.is_empty() {
            this.map.begin();
            let goes_on = this.feed(context);
            this.map.sit_down(context.waker());
            let crew = this.map.pool.crew();
            let workers = crew.pool.maxsize();
            let (taken, tickets) = this.map.batch.take_into(&mut this.results, workers);
            this.map.issue(crew, tickets);
            match taken {
                TakenInto::Ready if this.ahead > this.results.len() => {
                    return Poll::Ready(this.next_result());
                }
                TakenInto::Ready => {}
                TakenInto::Pending => {
                    if goes_on {
                        context.waker().wake_by_ref();
                    }
                    return Poll::Pending;
                }
                TakenInto::End => {
                    this.source = None;
                    let refused = this.map.refused();
                    this.ended = refused.is_none();
                    return Poll::Ready(refused.map(Err));
                }
            }
        }
        // The workers go on while the result is read. It waits in its place: if the source panics,
        // it is there the next time.
        this.feed(context);
        Poll::Ready(this.next_result())
    }
}

impl<S, F, R> FusedStream for Imap<S, F, R>
where
    S: Stream,
    S::Item: Send + 'static,
    F: Fn(S::Item) -> R + Send + Sync + 'static,
    R: Send + 'static,
{
    fn is_terminated(&self) -> bool {
        self.ended
    }
}

impl<S: Stream, F, R> Unpin for Imap<S, F, R> {}

impl<S: Stream, F, R> Drop for Imap<S, F, R> {
    fn drop(&mut self) {
        drop_each(self.items.drain(..));
        drop_each(self.results.drain(..));
        self.map.withdraw(TaskError::Cancelled);
        self.map.forget();
    }
}

impl<S: Stream, F, R> fmt::Debug for Imap<S, F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Imap")
            .field("look_ahead", &self.look_ahead)
            .field("ahead", &self.ahead)
            .finish_non_exhaustive()
    }
}

/// The results of a map, for a plain thread: an iterator that blocks it. Made by [`Imap::blocking`].
#[must_use = "it does nothing until it is read"]
pub struct Blocking<S: Stream, F, R>(Imap<S, F, R>);

impl<S: Stream, F, R> fmt::Debug for Blocking<S, F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Blocking").field(&self.0).finish()
    }
}

impl<S, F, R> FusedIterator for Blocking<S, F, R>
where
    S: Stream,
    S::Item: Send + 'static,
    F: Fn(S::Item) -> R + Send + Sync + 'static,
    R: Send + 'static,
{
}

impl<S, F, R> Iterator for Blocking<S, F, R>
where
    S: Stream,
    S::Item: Send + 'static,
    F: Fn(S::Item) -> R + Send + Sync + 'static,
    R: Send + 'static,
{
    type Item = Result<R, TaskError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut stream = Pin::new(&mut self.0);
        if !stream.results.is_empty() {
            // It is ready, and a source that is not is polled again before the thread blocks.
            let mut nobody = Context::from_waker(Waker::noop());
            if let Poll::Ready(next) = stream.as_mut().poll_next(&mut nobody) {
                return next;
            }
        }
        park::block_on(poll_fn(|context| stream.as_mut().poll_next(context)))
    }
}

/// An iterator as a stream that is always ready: the items of [`ThreadPool::imap`].
#[derive(Debug)]
pub struct Iter<I>(pub(crate) I);

impl<I: Iterator> Stream for Iter<I> {
    type Item = I::Item;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<I::Item>> {
        Poll::Ready(self.get_mut().0.next())
    }
}

impl<I> Unpin for Iter<I> {}
