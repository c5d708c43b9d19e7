//! The work-stealing pool of the crate `executors`.

use executors::Executor;
use executors::crossbeam_workstealing_pool::{ThreadPool, pool_with_auto_parker};
use executors::parker::DynParker;

use super::answering::Execute;

pub struct Executors(ThreadPool<DynParker>);

impl Execute for Executors {
    fn open(threads: usize) -> Self {
        Self(pool_with_auto_parker(threads))
    }

    fn execute<F: FnOnce() + Send + 'static>(&self, job: F) {
        self.0.execute(job);
    }
}
