//! A pool of threads for functions that block, in programs that must not: async Rust first of all.
//!
//! A task hands a function to the pool, everything else goes on, and the result comes back to whoever
//! awaits it. It needs no runtime, and works under every one, as well as from plain threads.
//!
//! ```
//! use hubpool::ThreadPool;
//!
//! # futures::executor::block_on(async {
//! let pool = ThreadPool::new(10);
//! // Waits for a slot, so that no more is outstanding than the pool can do soon.
//! let task = pool.spawn(|| std::fs::read("Cargo.toml")).await;
//! assert!(!task.await.unwrap().unwrap().is_empty());
//! // At most 10 at a time, in order, while those beyond are at work.
//! assert_eq!(pool.map(|n: u64| n * n, [1, 2, 3]).await.unwrap(), [1, 4, 9]);
//! # });
//! ```
//!
//! # What to call
//!
//! | | async | plain thread | never waits |
//! |---|---|---|---|
//! | one task | [`spawn`](ThreadPool::spawn), [`apply`](ThreadPool::apply) | [`blocking_spawn`](ThreadPool::blocking_spawn), [`blocking_apply`](ThreadPool::blocking_apply) | [`apply_async`](ThreadPool::apply_async) |
//! | its result | await the [`Task`] | [`Task::wait`] | [`Task::is_finished`] |
//! | a map, whole | [`map`](ThreadPool::map) | [`blocking_map`](ThreadPool::blocking_map) | [`map_async`](ThreadPool::map_async) |
//! | a map, one after another | [`imap`](ThreadPool::imap), [`imap_unordered`](ThreadPool::imap_unordered) | [`blocking_imap`](ThreadPool::blocking_imap), [`blocking_imap_unordered`](ThreadPool::blocking_imap_unordered) | |
//! | the same, from a stream | [`imap_stream`](ThreadPool::imap_stream), [`imap_unordered_stream`](ThreadPool::imap_unordered_stream) | [`Imap::blocking`] | |
//! | the end of all tasks | [`join`](ThreadPool::join) | [`join_timeout`](ThreadPool::join_timeout) | [`is_empty`](ThreadPool::is_empty) |
//!
//! # The life of a task
//!
//! ```text
//! spawn(f).await -> slot -> queue -> a thread runs f -> slot free -> result -> waker -> Task is ready
//! ```
//!
//! 1. *A slot.* At most [`backlog`](Builder::backlog) tasks are outstanding before `spawn` waits, first come,
//!    first served. Where there are many slots, those who wait get some when half of all have come back, and not
//!    one by one. Whoever gives up waiting leaves its place to the next. `apply_async` goes beyond; maps take none.
//! 2. *The queue.* The function and the place for its result are one allocation, of 48 to 56 bytes for a
//!    small function and result. A thread is started if there are fewer than tasks, and than
//!    [`maxsize`](ThreadPool::maxsize); else a sleeping one is woken, unless one is looking out for tasks
//!    just now, or tasks have been so short that one at work takes it sooner. [`Task::cancel`] and [`ThreadPool::kill`] withdraw it here.
//! 3. *It runs*, between the hooks, in order of submission. A panic is caught.
//! 4. *It ends.* The function is gone, the slot is free, and then the result can be seen; whoever awaits it is
//!    woken with no lock held. The thread takes the next task, or looks out for one for up to 60 us,
//!    as long as that pays, or now and then for up to 300, to learn whether it would, and then sleeps without using the processor. Who polls the `Task` for the first time looks for it
//!    for up to 5 us, as long as that pays.
//!
//! # Guarantees
//!
//! - A function is called once, or never if its task was withdrawn, no thread could be had, or the hook before
//!   it panicked. Its [`Task`] says which, but does not tell a hook's panic from the function's.
//! - Whoever sees a task's result sees its slot free. Whoever has joined finds all results, and those that
//!   nobody will take, as their [`Task`] was dropped, are gone. A map takes no
//!   slots, and a thread may still be on its way to it when its last result is there: [`join`](ThreadPool::join)
//!   waits for that, too.
//! - A task in the queue does not wait for a longer one while a thread sleeps: where it was taken for a short one's
//!   successor, a thread looks after 250 us.
//! - Nobody's code runs under a lock of the pool: no function, hook, waker, iterator or destructor.
//! - A panic of a task, a hook, a waker or a destructor of an item or result ends no thread, and is nobody else's.
//! - Dropping a [`Task`] or a future of it never blocks, and stops nothing that runs.
//! - A pool starts no thread before its first task; an idle one ends after
//!   [`idle_timeout`](Builder::idle_timeout). When its last handle is dropped, what is queued still runs,
//!   unless the process ends first: it does not wait for its threads. Join before.
//! - A [forked child](ThreadPool) uses the pools that it inherits, at once. [`set_thread_limit`] holds for
//!   all pools of a process, which take turns at it.
//! - The crate has no `unsafe` code. Its locks are tried in every order of threads by loom.
//!
//! What it does not do: a running function can not be stopped, and tasks can not borrow from their
//! submitter: a scope over threads that outlive it is not to be had without `unsafe`.
//!
//! # What must not wait for what
//!
//! A thread that waits is a thread less, so some programs wait for ever:
//!
//! - a task that waits for another task or map of its own pool, by a `blocking_` function, [`Task::wait`],
//!   [`MapTask::wait`] or [`Blocking`]'s `next`, once all threads do; with [`join`](ThreadPool::join) and
//!   [`join_timeout`](ThreadPool::join_timeout) it also waits for itself;
//! - tasks that wait for what their submitter does after it has [spawned](ThreadPool::spawn) another one: where the
//!   [`backlog`](Builder::backlog) is large, it waits for a slot until half of them have come back;
//! - a task that waits for one of another pool, if [`set_thread_limit`] leaves that no thread; so with a limit of 1;
//! - more items of one map that wait for each other than there may be threads, which is
//!   [`maxsize`](ThreadPool::maxsize);
//! - items of one map that wait until the results of others have been read: short ones are run several
//!   at a time, and their results given together, unless [`claim`](Builder::claim) says otherwise.
//!
//! # Beside others
//!
//! | | hubpool | [tokio] `spawn_blocking` | [blocking] | [rayon] | [threadpool] | [affinitypool] |
//! |---|---|---|---|---|---|---|
//! | runtime | any or none | tokio | any | none, no futures | none, no futures | any |
//! | pools | many | one a runtime | one a process | many | many | many |
//! | threads | on demand, up to `maxsize`, end when idle | on demand, up to 512, end when idle | on demand, up to 500 | fixed | fixed number, can be set | fixed number |
//! | waits for a slot | yes, in order | no | no | no | no | no |
//! | ordered and unordered maps as streams | yes, bounded | no | no | parallel iterators over collections, ranges and, by `par_bridge`, any iterator; not async | no | no |
//! | withdraws a queued task | if asked | if asked | when dropped | no | no | when dropped |
//! | a panic | the result, or resumed | the result | resumed in who awaits | resumed in who waits, or aborts if nobody does | ends the thread, another starts | resumed in who awaits |
//! | tasks that borrow | no | no | no | yes | no | yes, by an `unsafe` function |
//! | work stealing | within a map | no | no | yes | no | between shards |
//! | nested parallelism | no | no | no | yes | no | no |
//! | blocking I/O as async I/O | no | `tokio::fs` | `Unblock` | no | no | no |
//! | pinned to processor cores | no | no | no | by hand | no | yes |
//! | used in forked children | yes | no | no | no | no | no |
//! | `unsafe` | none | yes | none | yes | none | yes |
//!
//! How many times as much of what hubpool takes they take, of a function that does nothing, on one core and on two; below 1
//! they take less. Four threads, medians of seven rounds, from the report of `make bench-rust` in the repository, which says how each
//! was used, and compares four more. Mind that `rayon`, `threadpool` and `affinitypool` hold nobody back: a limit on what is in flight was
//! kept for them by hand.
//!
//! | | tokio | blocking | rayon | threadpool | affinitypool |
//! |---|---|---|---|---|---|
//! | 100,000 submitted, then awaited | 11, 5.9 | 16, 5.2 | 1.8, 2.2 | 2, 2.1 | 1, 2.2 |
//! | 100,000, of which 16 are in flight | 6.6, 3.8 | 7.3, 1.8 | 13, 1.6 | 4.1, 11 | 3.2, 0.83 |
//! | ordered map of 100,000 | 6.3, 7 | 15, 12 | 17, 4 | 1, 3.7 | 1.3, 4.7 |
//! | four producers | 4.3, 2.8 | 8, 4.1 | 1.8, 1.9 | 1.3, 1.6 | 1.1, 1.2 |
//! | submit and await, one after the other | 3.2, 24 | 3.2, 25 | 1.5, 14 | 3.5, 24 | 1.5, 2.1 |
//! | first result of a new pool of 64 | 1.5, 1.9 | 1.2, 0.98 | 29, 20 | 26, 21 | 27, 22 |
//! | memory of a queued task | 3.6, 3.6 | 0.86, 0.86 | 1, 1 | 0.94, 0.94 | 1.1, 1.1 |
//!
//! So: for computations that split themselves, take rayon. If a program lives on tokio and just wants a file
//! read now and then, `spawn_blocking` is there already.
//!
//! [tokio]: https://docs.rs/tokio
//! [blocking]: https://docs.rs/blocking
//! [rayon]: https://docs.rs/rayon
//! [threadpool]: https://docs.rs/threadpool
//! [affinitypool]: https://docs.rs/affinitypool
//!
//! # Examples
//!
//! Under tokio, with a connection that only one thread at a time may use:
//!
//! ```
//! use hubpool::ThreadPool;
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
//! # runtime.block_on(async {
//! let database = ThreadPool::builder().maxsize(1).backlog(100).name("database").build();
//! let answers: Vec<_> = (0..10)
//!     .map(|n| {
//!         let database = database.clone();
//!         tokio::spawn(async move { database.apply(move || n * 2).await.unwrap() })
//!     })
//!     .collect();
//! for (n, answer) in answers.into_iter().enumerate() {
//!     assert_eq!(answer.await.unwrap(), n * 2);
//! }
//! # });
//! ```
//!
//! Under smol, files one after another, with at most 8 in memory:
//!
//! ```
//! use futures::StreamExt;
//! use hubpool::ThreadPool;
//!
//! smol::block_on(async {
//!     let pool = ThreadPool::new(4);
//!     let paths = std::fs::read_dir("src").unwrap().map(|entry| entry.unwrap().path());
//!     let files = paths.filter(|path| path.is_file());
//!     let mut texts = pool.imap(std::fs::read_to_string, files).look_ahead(8);
//!     while let Some(text) = texts.next().await {
//!         assert!(text.unwrap().unwrap().starts_with("//!"));
//!     }
//! });
//! ```
//!
//! With no runtime:
//!
//! ```
//! let pool = hubpool::ThreadPool::new(4);
//! let squares = pool.blocking_imap(|n: u64| n * n, 0..1_000);
//! assert_eq!(squares.map(Result::unwrap).sum::<u64>(), 332_833_500);
//! ```
//!
//! Three programs that do real work are in the repository, in `crates/examples/src/bin`:
//!
//! | program | what it shows |
//! |---|---|
//! | `hash_tree` | a directory tree is hashed under tokio, with back-pressure; how late the runtime is meanwhile |
//! | `sqlite_server` | an axum server that answers from `SQLite`, with a connection for each thread of the pool |
//! | `plain_threads` | files are compressed and restored with no runtime |
//!
//! # Features
//!
//! None is on by default.
//!
//! | feature | what it adds |
//! |---|---|
//! | `stats` | [histograms](Stats) of how long tasks wait and run |
//! | `tracing` | a span, `task`, for each task and each item of a map, beneath the span that submitted it |
//!
//! # For readers of the code
//!
//! | idea | where |
//! |---|---|
//! | the pool as programs see it, and how it is made | `thread_pool.rs`, `builder.rs` |
//! | one task: its function, then its result | `task.rs`, `error.rs` |
//! | who may be outstanding, who waits for that | `slots.rs` |
//! | the threads of a pool, and their loop | `crew.rs` |
//! | maps: what workers do, whole, as a stream | `map/` |
//! | how a plain thread waits for a future | `park.rs` |
//! | one limit on the threads of all pools | `limit.rs` |
//! | what a forked child does first | `fork.rs` |
//! | how long tasks wait and run; their spans | `stats.rs`, `trace.rs` |
//! | the queue, the sleep of workers, the items of a map: the engine | [`binding`] |
#![forbid(unsafe_code)]

mod batch;
pub mod binding;
mod builder;
mod compute;
mod crew;
mod error;
mod fork;
mod front;
mod join;
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

/// The example of the README is tested with those here.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
