//! A pool of rayon's.

use rayon::ThreadPoolBuilder;

use super::answering::Execute;

pub struct Rayon(rayon::ThreadPool);

impl Execute for Rayon {
    fn open(threads: usize) -> Self {
        let builder = ThreadPoolBuilder::new().num_threads(threads);
        Self(builder.build().expect("no pool"))
    }

    fn execute<F: FnOnce() + Send + 'static>(&self, job: F) {
        self.0.spawn(job);
    }
}
