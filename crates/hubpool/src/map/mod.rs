//! One function for many items: what workers do for a map, and how its reader is told.
//!
//! A worker joins with a ticket, takes items one after another, and leaves their results in the
//! [`Batch`]. Nothing is allocated for an item. [`whole`] waits for all results, [`stream`] reads
//! them one after another.

mod methods;
mod stream;
mod whole;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Instant;

pub use stream::{Blocking, Imap, Iter};
pub use whole::MapTask;

use crate::batch::{Batch, Hand, Order, Rings};
use crate::crew::{AtWork, Crew, Job, Refusal, drop_each, shielded};
use crate::error::TaskError;
use crate::sync::Mutex;
use crate::thread_pool::ThreadPool;
use crate::trace::Trace;

/// How long the items that a worker claims together may take, judged by those before, in
/// nanoseconds. What a lock and a look at the clock cost is little beside it, and who waits for
/// the first of them does not notice.
const CLAIM_TIME: u128 = 10_000;

/// One map: its function and its items.
struct Map<F, T, R> {
    f: F,
    batch: Batch<T, Result<R, TaskError>>,
    seat: Mutex<Seat>,
    /// How many items a worker claims together. Any worker writes it, and one may
    /// overwrite what another has learnt: both are about as good.
    claim: AtomicUsize,
    /// At most so many are claimed together.
    most_claimed: usize,
    /// Whether the crew knows it.
    noted: AtomicBool,
    /// Whether the reader has gone.
    unread: AtomicBool,
    trace: Trace,
    /// It keeps the pool open: workers go on to issue tickets.
    pool: ThreadPool,
}

/// The reader's place.
#[derive(Default)]
struct Seat {
    /// How the reader is woken, if it waits.
    waker: Option<Waker>,
    /// Why the map has been ended before its end.
    refused: Option<TaskError>,
}

impl<F, T, R> Map<F, T, R>
where
    F: Fn(T) -> R + Send + Sync + 'static,
    T: Send + 'static,
    R: Send + 'static,
{
    fn new(pool: &ThreadPool, order: Order, f: F) -> Arc<Self> {
        Arc::new(Self {
            f,
            batch: Batch::new(order, None),
            seat: Mutex::new(Seat::default()),
            claim: AtomicUsize::new(1),
            most_claimed: pool.crew().settings.most_claimed,
            noted: AtomicBool::new(false),
            unread: AtomicBool::new(false),
            trace: Trace::here(),
            pool: pool.clone(),
        })
    }

    /// Lets the crew know it, from the reader's thread, before the first item comes.
    fn begin(self: &Arc<Self>) {
        if !self.noted.load(Ordering::Relaxed) {
            self.noted.store(true, Ordering::Relaxed);
            let map: Weak<Self> = Arc::downgrade(self);
            self.pool.crew().note(map);
        }
    }

    /// Adds the items, and calls a worker. `false`: the map has been ended, and the items are gone.
    fn feed(self: &Arc<Self>, items: &mut Vec<T>) -> bool {
        let crew = self.pool.crew();
        let seat = self.seat.lock();
        if seat.refused.is_some() {
            drop(seat);
            drop_each(items.drain(..));
            return false;
        }
        let tickets = self.batch.feed(items.drain(..), crew.pool.maxsize());
        drop(seat);
        self.issue(crew, tickets);
        true
    }

    fn issue(self: &Arc<Self>, crew: &Arc<Crew>, tickets: usize) {
        for _ in 0..tickets {
            crew.slots.issue();
            crew.submit(Arc::clone(self) as Arc<dyn Job>);
        }
    }

    /// Runs the items of one claim, all of them, whichever panics.
    fn run_items(
        &self,
        crew: &Crew,
        first: T,
        hand: &Hand<T>,
        results: &mut Vec<Result<R, TaskError>>,
    ) {
        let mut next = Some(first);
        while let Some(item) = next {
            let result = crew.call(|| self.trace.run(|| (self.f)(item)));
            if result.is_err() {
                self.batch.fail();
            }
            results.push(result);
            next = hand.take();
        }
    }

    /// Learns from `count` items how many a worker shall claim.
    fn learn(&self, count: usize, nanos: u128) {
        let before = self.claim.load(Ordering::Relaxed);
        let in_time = usize::try_from(count as u128 * CLAIM_TIME / nanos.max(1));
        let claim = in_time
            .unwrap_or(usize::MAX)
            .clamp(1, self.most_claimed.min(2 * before));
        if claim != before {
            self.claim.store(claim, Ordering::Relaxed);
        }
    }
}

impl<F, T, R> Map<F, T, R> {
    fn sit_down(&self, waker: &Waker) {
        let mut waker = Some(waker.clone());
        std::mem::swap(&mut self.seat.lock().waker, &mut waker);
    }

    fn tell(&self, rings: Rings) {
        if rings.reader {
            let waker = self.seat.lock().waker.take();
            if let Some(waker) = waker {
                shielded(|| waker.wake());
            }
        }
    }

    /// Withdraws what no worker has claimed, and returns how many items that were. The map ends with
    /// that error; `None`: it ends by itself.
    fn withdraw(&self, why: TaskError) -> Option<usize> {
        let mut seat = self.seat.lock();
        let (items, rings) = self.batch.cancel();
        if items.is_some() {
            // Whatever is fed after what has been withdrawn would take its place.
            seat.refused = Some(why);
        }
        drop(seat);
        self.tell(rings);
        let items = items?;
        let count = items.len();
        drop_each(items);
        Some(count)
    }

    /// Says that nobody will read the results: those that are there are dropped now, and those to come
    /// before their ticket comes back.
    fn forget(&self) {
        self.unread.store(true, Ordering::Relaxed);
        drop_each(self.batch.discard());
    }

    /// Why the map has ended before its end, if it has.
    fn refused(&self) -> Option<TaskError> {
        self.seat.lock().refused.take()
    }

    /// The error, for the reader: or its panic goes on there.
    fn report(&self, error: TaskError) -> TaskError {
        if self.pool.crew().resumes_panics() && matches!(error, TaskError::Panicked(_)) {
            error.resume();
        }
        error
    }
}

impl<F, T, R> Drop for Map<F, T, R> {
    fn drop(&mut self) {
        drop_each(self.batch.cancel().0.into_iter().flatten());
        drop_each(self.batch.discard());
    }
}

impl<F, T, R> AtWork for Map<F, T, R>
where
    F: Fn(T) -> R + Send + Sync + 'static,
    T: Send + 'static,
    R: Send + 'static,
{
    fn kill(&self) -> bool {
        self.withdraw(TaskError::Cancelled).is_some()
    }

    fn call_worker(self: Arc<Self>, crew: &Arc<Crew>) {
        self.issue(crew, self.batch.feed([], crew.pool.maxsize()));
    }
}

impl<F, T, R> Job for Map<F, T, R>
where
    F: Fn(T) -> R + Send + Sync + 'static,
    T: Send + 'static,
    R: Send + 'static,
{
    /// Uses one ticket: claims items until there is none, or until others shall go first.
    fn run(self: Arc<Self>, crew: &Arc<Crew>) {
        let (hand, mut results) = (Hand::new(), Vec::new());
        let mut first = 0;
        loop {
            let mut rings = Rings::default();
            if !results.is_empty() && crew.pool.pressed(self.batch.idle_tickets()) {
                let done = (first, &mut results);
                self.batch
                    .complete_several(done, &hand, |told| rings = told);
                self.tell(rings);
                // It is still counted.
                crew.submit(self);
                return;
            }
            let claim = (self.claim.load(Ordering::Relaxed), &hand);
            let done = (first, &mut results);
            // It may change at any time.
            let workers = crew.pool.maxsize();
            let several = self
                .batch
                .complete_and_claim_several(done, claim, workers, |told| rings = told);
            if several.is_none() {
                // Who has forgotten it before the results came has left them here.
                if self.unread.load(Ordering::Relaxed) {
                    drop_each(self.batch.discard());
                }
                // Before the reader is told: once it is woken, this ticket is out no more.
                crew.slots.take_back().wake();
            }
            self.tell(rings);
            let Some(several) = several else { return };
            self.issue(crew, several.tickets);
            first = several.first;
            let start = Instant::now();
            self.run_items(crew, several.item, &hand, &mut results);
            self.learn(results.len(), start.elapsed().as_nanos());
        }
    }

    fn refuse(self: Arc<Self>, crew: &Arc<Crew>, why: &Refusal) -> bool {
        let mut rings = Rings::default();
        self.batch.drop_ticket(|told| rings = told);
        crew.slots.take_back().wake();
        self.tell(rings);
        self.withdraw(why.error()).is_some()
    }
}
