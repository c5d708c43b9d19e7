//! `tokio::task::spawn_blocking`, from a thread that is not the runtime's.

use tokio::runtime::{Builder, Runtime};

use crate::contender::{Contender, Job};

pub struct Tokio(Runtime);

impl Contender for Tokio {
    fn open(threads: usize) -> Self {
        let mut builder = Builder::new_multi_thread();
        // The thread for tasks, which there are none of here.
        builder.worker_threads(1).max_blocking_threads(threads);
        Self(builder.build().expect("no runtime"))
    }

    fn submit<F: Job>(&self, job: F) -> impl Future<Output = u64> + Send {
        let task = self.0.spawn_blocking(job);
        async { task.await.expect("a job has failed") }
    }
}
