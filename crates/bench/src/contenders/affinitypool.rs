//! `affinitypool`, the pool of `SurrealDB`.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::contender::{Contender, Job};

pub struct Affinitypool(affinitypool::Threadpool);

impl Contender for Affinitypool {
    fn open(threads: usize) -> Self {
        Self(affinitypool::Threadpool::new(threads))
    }

    fn submit<F: Job>(&self, job: F) -> impl Future<Output = u64> + Send {
        self.0.spawn(job)
    }

    fn forget<F: Job>(&self, _job: F) {
        unreachable!("a task ends with its future here");
    }

    /// The tasks must be held, so that their results come by themselves and not through a channel.
    async fn unordered(
        &self,
        items: u64,
        ahead: usize,
        job: fn(u64) -> u64,
        mut take: impl FnMut(u64),
    ) {
        let mut running = FuturesUnordered::new();
        for item in 0..items {
            if running.len() == ahead
                && let Some(result) = running.next().await
            {
                take(result);
            }
            running.push(self.submit(move || job(item)));
        }
        while let Some(result) = running.next().await {
            take(result);
        }
    }
}
