//! A pool of native worker threads for programs that live on a cooperative
//! event loop (a *hub*).
#![forbid(unsafe_code)]

mod batch;
pub mod binding;
mod outbox;
mod pool;
mod sleep;
mod sync;
mod turnstile;
