//! A pool of native worker threads for programs that live on a cooperative
//! event loop (a *hub*).
//!
//! The hub hands a blocking job to the pool, runs everything else meanwhile,
//! and is told, once for a whole group of results, that there is something
//! to collect. This crate is the engine: it knows neither what a job is nor
//! how a thread is started nor how a hub is woken. A binding supplies those.
//!
//! | idea | where |
//! |---|---|
//! | the queue of jobs, and the workers that pull from it | [`Pool`] |
//! | how an idle worker searches, parks and is woken | [`sleep`] |
//! | how many results share one wake-up of the hub | [`Outbox`] |
//! | the items of one map, claimed one after another | [`Batch`] |
//! | how workers share the way to a lock that jobs need | [`Turnstile`] |
//!
//! # Example
//!
//! ```
//! use hubpool::{Next, Outbox, Pool, Worker};
//! use std::sync::Arc;
//!
//! let pool: Arc<Pool<u32>> = Arc::new(Pool::new(2));
//! let outbox = Arc::new(Outbox::new());
//! pool.register();
//! let thread = std::thread::spawn({
//!     let (pool, outbox) = (Arc::clone(&pool), Arc::clone(&outbox));
//!     move || {
//!         let worker = Worker::new();
//!         while let Next::Job(job) = pool.next(&worker, None) {
//!             pool.finish(1);
//!             outbox.push(job * 2);
//!         }
//!     }
//! });
//! pool.begin(1);
//! pool.submit(21).unwrap();
//! pool.close(); // Ends the worker once the queue is empty.
//! thread.join().unwrap();
//! assert_eq!(outbox.drain(), [42]);
//! assert_eq!(pool.unfinished(), 0);
//! ```
#![forbid(unsafe_code)]

mod batch;
mod outbox;
mod pool;
pub mod sleep;
mod sync;
mod turnstile;

pub use batch::{Batch, Claim, Order, Progress, Rings, Taken};
pub use outbox::Outbox;
pub use pool::{Closed, Next, Pool};
pub use sleep::Worker;
pub use turnstile::{Pass, Turnstile};
