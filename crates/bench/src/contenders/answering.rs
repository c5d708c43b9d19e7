//! A contender made of a pool whose jobs return nothing: each job sends its result through a
//! channel of its own.

use crate::contender::{Contender, Job};

/// A pool whose jobs return nothing.
pub trait Execute: Sized + Sync + 'static {
    /// See [`Contender::LIMITS`].
    const LIMITS: bool = false;

    fn open(threads: usize) -> Self;

    fn execute<F: FnOnce() + Send + 'static>(&self, job: F);

    fn open_limited(threads: usize, _in_flight: usize) -> Self {
        Self::open(threads)
    }

    /// Adds a job as soon as the limit lets it.
    async fn execute_in_turn<F: FnOnce() + Send + 'static>(&self, job: F) {
        self.execute(job);
    }
}

pub struct Answering<E>(E);

impl<E: Execute> Contender for Answering<E> {
    const LIMITS: bool = E::LIMITS;

    fn open(threads: usize) -> Self {
        Self(E::open(threads))
    }

    fn submit<F: Job>(&self, job: F) -> impl Future<Output = u64> + Send {
        let (job, result) = answering(job);
        self.0.execute(job);
        result
    }

    fn forget<F: Job>(&self, job: F) {
        self.0.execute(|| {
            job();
        });
    }

    fn open_limited(threads: usize, in_flight: usize) -> Self {
        Self(E::open_limited(threads, in_flight))
    }

    async fn submit_in_turn<F: Job>(&self, job: F) -> impl Future<Output = u64> + Send {
        let (job, result) = answering(job);
        self.0.execute_in_turn(job).await;
        result
    }
}

/// Makes a job that sends its result, and the future of that.
fn answering<F: Job>(
    job: F,
) -> (
    impl FnOnce() + Send + 'static,
    impl Future<Output = u64> + Send + use<F>,
) {
    let (sender, receiver) = oneshot::async_channel();
    let send = move || {
        // Who does not wait for the result has dropped the receiver.
        let _ = sender.send(job());
    };
    let result = async { receiver.await.expect("the pool has dropped a job") };
    (send, result)
}
