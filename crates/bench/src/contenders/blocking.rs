//! `blocking::unblock`, smol's pool. It has one for the process, and takes the number of its
//! threads from `BLOCKING_MAX_THREADS`, which who starts this process must set.

use crate::contender::{Contender, Job};

pub struct Blocking;

impl Contender for Blocking {
    fn open(threads: usize) -> Self {
        let set = std::env::var("BLOCKING_MAX_THREADS");
        assert_eq!(set, Ok(threads.to_string()), "BLOCKING_MAX_THREADS");
        Self
    }

    fn submit<F: Job>(&self, job: F) -> impl Future<Output = u64> + Send {
        blocking::unblock(job)
    }

    fn forget<F: Job>(&self, job: F) {
        // To drop a task of this pool is to cancel it.
        blocking::unblock(job).detach();
    }
}
