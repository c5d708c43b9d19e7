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
mod outbox;
mod park;
mod pool;
mod sleep;
mod slots;
mod sync;
mod task;
mod thread_pool;
mod turnstile;

pub use builder::{Builder, PanicPolicy};
pub use error::TaskError;
pub use limit::set_thread_limit;
pub use map::{Blocking, Imap, Iter, MapTask};
pub use task::{CancelOnDrop, Task};
pub use thread_pool::{Stats, ThreadPool};
