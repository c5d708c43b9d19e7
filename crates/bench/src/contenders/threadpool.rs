//! The crate `threadpool`.

use super::answering::Execute;

pub struct Threadpool(threadpool::ThreadPool);

impl Execute for Threadpool {
    fn open(threads: usize) -> Self {
        Self(threadpool::ThreadPool::new(threads))
    }

    fn execute<F: FnOnce() + Send + 'static>(&self, job: F) {
        self.0.execute(job);
    }
}
