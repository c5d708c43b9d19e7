//! This project's pool: so far its engine, with a channel for each result.

use std::sync::Arc;
use std::thread;

use hubpool::binding::{Next, Pool, Worker};

use super::answering::Execute;

pub struct Hubpool(Arc<Pool<Box<dyn FnOnce() + Send>>>);

impl Execute for Hubpool {
    fn open(threads: usize) -> Self {
        Self(Arc::new(Pool::new(threads)))
    }

    fn execute<F: FnOnce() + Send + 'static>(&self, job: F) {
        self.0.begin(1);
        if self.0.wants_worker(0) {
            self.0.register();
            let pool = Arc::clone(&self.0);
            thread::spawn(move || {
                let worker = Worker::new();
                while let Next::Job(job) = pool.next(&worker, None) {
                    pool.finish(1);
                    job();
                }
            });
        }
        assert!(self.0.submit(Box::new(job)).is_ok(), "the pool is closed");
    }
}
