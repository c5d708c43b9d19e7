//! This project's pool.

use futures_util::{Stream, StreamExt};
use hubpool::{TaskError, ThreadPool};

use crate::contender::{Contender, Job};

pub struct Hubpool(ThreadPool);

impl Contender for Hubpool {
    const LIMITS: bool = true;

    fn open(threads: usize) -> Self {
        Self(ThreadPool::new(threads))
    }

    fn submit<F: Job>(&self, job: F) -> impl Future<Output = u64> + Send {
        let task = self.0.apply_async(job);
        async { task.await.expect("a job has failed") }
    }

    fn open_limited(threads: usize, in_flight: usize) -> Self {
        let builder = ThreadPool::builder().maxsize(threads);
        Self(builder.backlog(in_flight).build())
    }

    async fn submit_in_turn<F: Job>(&self, job: F) -> impl Future<Output = u64> + Send {
        let task = self.0.spawn(job).await;
        async { task.await.expect("a job has failed") }
    }

    async fn ordered(&self, items: u64, ahead: usize, job: fn(u64) -> u64, take: impl FnMut(u64)) {
        read(self.0.imap(job, 0..items).look_ahead(ahead), take).await;
    }

    async fn unordered(
        &self,
        items: u64,
        ahead: usize,
        job: fn(u64) -> u64,
        take: impl FnMut(u64),
    ) {
        read(self.0.imap_unordered(job, 0..items).look_ahead(ahead), take).await;
    }
}

async fn read(
    mut results: impl Stream<Item = Result<u64, TaskError>> + Unpin,
    mut take: impl FnMut(u64),
) {
    while let Some(result) = results.next().await {
        take(result.expect("a job has failed"));
    }
}
