//! The engine by itself, for authors of bindings to other event loops and languages.
//!
//! It starts no thread, runs no job and wakes no hub: it knows what to do next, and a binding does
//! it. Programs in Rust want [`ThreadPool`](crate::ThreadPool), which is such a binding.
//!
//! | a binding supplies | by |
//! |---|---|
//! | what a job is | the type `J` of [`Pool<J>`] |
//! | how a thread is started | a thread of its own whenever [`Pool::recruit`] says so |
//! | the worker loop | it asks [`Pool::next`], does what that says, and leaves the result in an [`Outbox`] |
//! | how the hub is woken | whatever [`Outbox::push`] asks for when it returns `true` |
//! | the items of a map | a job that is a ticket for a [`Batch`] |
//! | a lock that all jobs need | a [`Turnstile`] before it, [`Pool::call_next`] once a job has it, and [`until_needed`] before a ticket is used |
//!
//! No function here blocks for longer than another thread needs to move a value, but for
//! [`Pool::next`], [`Pool::next_when`], [`Turnstile::enter`] and [`until_needed`], which block a worker, and
//! [`Outbox::look_out`], which keeps the hub for some 60 us, and now and then for 300. A count that is taken back more often than it
//! was given is a mistake that may not be noticed.
//!
//! # Example
//!
//! A hub that is a plain thread: it parks, and is woken by `unpark`.
//!
//! ```
//! use hubpool::binding::{Next, Outbox, Pool, Worker};
//! use std::sync::Arc;
//! use std::thread::{self, Thread};
//! use std::time::Duration;
//!
//! struct Hub {
//!     pool: Pool<Box<dyn FnOnce() -> u32 + Send>>,
//!     outbox: Outbox<thread::Result<u32>>,
//!     thread: Thread,
//! }
//!
//! impl Hub {
//!     /// Hands a job over, and starts a thread if that helps.
//!     fn submit(self: &Arc<Self>, job: impl FnOnce() -> u32 + Send + 'static) {
//!         self.pool.begin(1);
//!         assert!(self.pool.submit(Box::new(job)).is_ok(), "the pool is closed");
//!         if self.pool.recruit(0) {
//!             let hub = Arc::clone(self);
//!             if thread::Builder::new().spawn(move || hub.work()).is_err() {
//!                 self.pool.unregister();
//!             }
//!         }
//!     }
//!
//!     /// The worker loop.
//!     fn work(&self) {
//!         let worker = Worker::new();
//!         while let Next::Job(job) = self.pool.next(&worker, Some(Duration::from_secs(10))) {
//!             let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
//!             self.pool.finish(1);
//!             if self.outbox.push(result) {
//!                 self.thread.unpark();
//!             }
//!         }
//!     }
//! }
//!
//! let hub = Arc::new(Hub {
//!     pool: Pool::new(2),
//!     outbox: Outbox::new(),
//!     thread: thread::current(),
//! });
//! for n in 0..10 {
//!     hub.submit(move || n * n);
//! }
//! let mut squares = Vec::new();
//! while squares.len() < 10 {
//!     let messages = hub.outbox.drain();
//!     if messages.is_empty() {
//!         thread::park();
//!     }
//!     squares.extend(messages.into_iter().map(Result::unwrap));
//! }
//! squares.sort_unstable();
//! assert_eq!(squares, [0, 1, 4, 9, 16, 25, 36, 49, 64, 81]);
//! assert_eq!(hub.pool.unfinished(), 0);
//! hub.pool.close(); // Ends the workers.
//! ```

pub use crate::batch::{Batch, Claim, Hand, Order, Progress, Rings, Several, Taken, TakenInto};
pub use crate::compute::{ComputePlace, ComputePlaces};
pub use crate::fork::PerProcess;
pub use crate::join::{CpuTime, until_needed};
pub use crate::outbox::Outbox;
pub use crate::pool::{Closed, Next, Pool, WakeUp};
pub use crate::sleep::Worker;
pub use crate::turnstile::{Pass, Turnstile};
