//! A pool of native worker threads for programs that live on a cooperative
//! event loop (a *hub*).
#![forbid(unsafe_code)]

mod batch;
pub mod binding;
mod builder;
mod crew;
mod error;
mod fork;
mod limit;
mod map;
#[cfg(all(test, loom))]
mod models;
mod outbox;
mod park;
mod pool;
mod sleep;
mod slots;
mod stats;
mod sync;
mod task;
mod thread_pool;
mod trace;
mod turnstile;

pub use builder::{Builder, PanicPolicy};
pub use error::{Panic, TaskError};
pub use limit::set_thread_limit;
pub use map::{Blocking, Imap, Iter, MapTask};
pub use stats::Stats;
#[cfg(feature = "stats")]
pub use stats::Times;
pub use task::{CancelOnDrop, Task};
pub use thread_pool::ThreadPool;
