//! How a plain thread waits for a future: it looks out briefly, as a worker does, and parks. Who polls
//! in whatever thread casts a glance, too, before it says that it must be woken.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use crate::sleep::Search;

/// One thread's parking place.
#[derive(Debug)]
struct Parker {
    thread: Thread,
    /// Set by who wakes the thread, cleared by the thread before it looks.
    notified: AtomicBool,
    search: Search,
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.notified.swap(true, Ordering::AcqRel) {
            self.thread.unpark();
        }
    }
}

impl Parker {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            thread: thread::current(),
            notified: AtomicBool::new(false),
            search: Search::new(),
        })
    }

    /// Blocks until the thread is notified; `false` if the deadline comes first.
    fn wait(&self, deadline: Option<Instant>) -> bool {
        if self.search.pays() {
            let notified = || self.notified.load(Ordering::Acquire);
            self.search
                .run(self.search.limit(), notified, || true, || false);
        }
        while !self.notified.swap(false, Ordering::AcqRel) {
            match deadline {
                None => thread::park(),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return false;
                    }
                    thread::park_timeout(left);
                }
            }
        }
        true
    }
}

thread_local! {
    /// The thread's place, while nobody uses it. What a poll calls may wait in turn, and gets one
    /// of its own: it must not take the wake-up of who polls.
    static PLACE: Cell<Option<Arc<Parker>>> = const { Cell::new(None) };
}

thread_local! {
    /// Whether glances have paid in this thread.
    static GLANCES: Search = Search::new();
}

/// Whether what is waited for comes within some microseconds, if such a look has paid of late: to be
/// woken would take longer.
pub(crate) fn glance(found: impl Fn() -> bool) -> bool {
    // loom's threads have no clock, and its atomics may not outlive a model.
    !cfg!(loom) && GLANCES.with(|search| search.glance(found))
}

/// Blocks the calling thread until the future is ready.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    block_until(future, None).unwrap_or_else(|| unreachable!("there is no deadline"))
}

/// Blocks the calling thread until the future is ready; `None` if the deadline comes first.
pub(crate) fn block_until<T>(
    future: impl Future<Output = T>,
    deadline: Option<Instant>,
) -> Option<T> {
    let mut future = pin!(future);
    let parker = PLACE
        .try_with(Cell::take)
        .ok()
        .flatten()
        .unwrap_or_else(Parker::new);
    let waker = Waker::from(Arc::clone(&parker));
    let mut context = Context::from_waker(&waker);
    let output = loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            break Some(output);
        }
        if !parker.wait(deadline) {
            break None;
        }
    };
    // A thread that ends keeps no place: the future's destructor may wait even then.
    let _ = PLACE.try_with(|place| place.set(Some(parker)));
    output
}
