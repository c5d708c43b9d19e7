//! The completion list: what workers leave for the hub, and the one wake-up
//! that a group of results shares.
//!
//! It is not a channel: there is one reader, the hub, and it never blocks.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Messages for one hub, pushed by any thread and drained by the hub's.
///
/// Nobody blocks on it for longer than another thread needs to push or take.
#[derive(Debug)]
pub struct Outbox<M> {
    inner: Mutex<Inner<M>>,
}

#[derive(Debug)]
struct Inner<M> {
    /// Undelivered messages, oldest first. Pushed by workers, taken by the hub.
    messages: Vec<M>,
    /// Whether the hub has been told since its last drain. Set by the first
    /// push after a drain, cleared by the drain, both under the lock, so that
    /// a message can not fall between the two.
    rung: bool,
}

impl<M> Outbox<M> {
    /// Makes an empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            inner: Mutex::new(Inner {
                messages: Vec::new(),
                rung: false,
            }),
        }
    }

    /// Adds a message. `true` means that the caller must now wake the hub;
    /// `false`, that a wake-up which has not been answered yet covers it.
    #[must_use = "the hub must be woken when this is true"]
    pub fn push(&self, message: M) -> bool {
        let mut inner = self.lock();
        inner.messages.push(message);
        !std::mem::replace(&mut inner.rung, true)
    }

    /// Takes all messages, oldest first; the next push asks for a wake-up again.
    #[must_use]
    pub fn drain(&self) -> Vec<M> {
        let mut inner = self.lock();
        inner.rung = false;
        std::mem::take(&mut inner.messages)
    }

    fn lock(&self) -> MutexGuard<'_, Inner<M>> {
        // No code of a user runs under the lock, so a poisoned one is whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M> Default for Outbox<M> {
    fn default() -> Self {
        Self::new()
    }
}
