//! What a contender must be able to do, and what stands in for what it can not.

use std::collections::VecDeque;

/// A function for a thread of a pool. It returns a number, so that what a contender does can be
/// checked: one that lost results would seem to be fast.
pub trait Job: FnOnce() -> u64 + Send + 'static {}

impl<F: FnOnce() -> u64 + Send + 'static> Job for F {}

/// Threads that run functions, and futures of what these return.
///
/// A process has one contender, so none is ever taken down.
pub trait Contender: Sized + Sync + 'static {
    /// Whether [`submit_in_turn`](Self::submit_in_turn) keeps to the limit of
    /// [`open_limited`](Self::open_limited).
    const LIMITS: bool = false;

    /// Makes a pool of so many threads.
    fn open(threads: usize) -> Self;

    /// Submits a job, at once: not only when the future is polled.
    fn submit<F: Job>(&self, job: F) -> impl Future<Output = u64> + Send;

    /// Submits a job whose result nobody awaits.
    fn forget<F: Job>(&self, job: F) {
        drop(self.submit(job));
    }

    /// Makes a pool which lets who submits too much wait; if it can.
    fn open_limited(threads: usize, _in_flight: usize) -> Self {
        Self::open(threads)
    }

    /// Submits a job as soon as the limit lets it.
    async fn submit_in_turn<F: Job>(&self, job: F) -> impl Future<Output = u64> + Send {
        self.submit(job)
    }

    /// Maps a function over `0..items`, at most `ahead` of the reader, and gives `take` the
    /// results in that order.
    async fn ordered(&self, items: u64, ahead: usize, job: fn(u64) -> u64, take: impl FnMut(u64)) {
        let submit = async |item| self.submit(move || job(item));
        window(items, ahead, submit, take).await;
    }

    /// Maps a function over `0..items`, at most `ahead` of the reader, and gives `take` the
    /// results as they come.
    async fn unordered(
        &self,
        items: u64,
        ahead: usize,
        job: fn(u64) -> u64,
        take: impl FnMut(u64),
    ) {
        through_channel(self, items, ahead, job, take).await;
    }
}

/// An ordered map by hand: futures in a row, the oldest of which is awaited when there are `ahead`.
pub async fn window<F: Future<Output = u64>>(
    items: u64,
    ahead: usize,
    submit: impl AsyncFn(u64) -> F,
    mut take: impl FnMut(u64),
) {
    let mut waiting = VecDeque::with_capacity(ahead);
    for item in 0..items {
        if waiting.len() == ahead
            && let Some(oldest) = waiting.pop_front()
        {
            take(oldest.await);
        }
        waiting.push_back(submit(item).await);
    }
    for result in waiting {
        take(result.await);
    }
}

/// An unordered map by hand: jobs that send what they return through a channel.
async fn through_channel<C: Contender>(
    contender: &C,
    items: u64,
    ahead: usize,
    job: fn(u64) -> u64,
    mut take: impl FnMut(u64),
) {
    let (sender, receiver) = kanal::unbounded();
    let receiver = receiver.to_async();
    let mut running = 0;
    for item in 0..items {
        if running == ahead {
            take(receiver.recv().await.expect("a job sends no result"));
            running -= 1;
        }
        let sender = sender.clone();
        contender.forget(move || {
            let result = job(item);
            sender.send(result).expect("nobody takes the result");
            result
        });
        running += 1;
    }
    for _ in 0..running {
        take(receiver.recv().await.expect("a job sends no result"));
    }
}
