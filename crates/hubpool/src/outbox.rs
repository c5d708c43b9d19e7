//! The completion list: what workers leave for the hub, and the one wake-up
//! that a group of results shares.
//!
//! It is not a channel: there is one reader, the hub, and it never blocks.

use std::fmt;

use crate::sleep::{PATIENCE, Search};
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, Ordering};

/// Messages for one hub, pushed by any thread and drained by the hub's.
///
/// Nobody blocks on it for longer than another thread needs to push or take.
///
/// ```
/// use hubpool::binding::Outbox;
///
/// let outbox = Outbox::new();
/// assert!(outbox.push("first")); // Wake the hub now.
/// assert!(!outbox.push("second"));
/// assert_eq!(outbox.drain(), ["first", "second"]);
/// ```
#[derive(Debug)]
pub struct Outbox<M> {
    inner: Mutex<Inner<M>>,
    /// Whether there are messages. Written under the lock; a hub that looks out
    /// reads it without.
    filled: AtomicBool,
    /// Whether the hub looks out. Written by the hub under the lock; workers
    /// read it without.
    looking: AtomicBool,
    /// Whether it does so to learn whether that pays. Written by the hub, and only advises.
    trying: AtomicBool,
    /// Whether who pushed last has what the hub needs to go on, and is about to let it go.
    /// Written and read without the lock: it only advises.
    occupied: AtomicBool,
    search: Search,
}

/// Something that a hub is to do when it looks out no more.
struct Errand(Box<dyn FnOnce() + Send>);

impl fmt::Debug for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Errand")
    }
}

#[derive(Debug)]
struct Inner<M> {
    /// Undelivered messages, oldest first. Pushed by workers, taken by the hub.
    messages: Vec<M>,
    /// Whether the hub has been woken and has not answered with a drain. Set by
    /// a push, unless the hub looks out; cleared by the drain; both under the
    /// lock, so that a message can not fall between the two.
    rung: bool,
    /// What the hub does when it looks out no more. Left only while it looks out, under the lock.
    errands: Vec<Errand>,
}

impl<M> Outbox<M> {
    /// Makes an empty list.
    ///
    /// ```
    /// assert!(hubpool::binding::Outbox::<u32>::new().drain().is_empty());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self {
            inner: Mutex::new(Inner {
                messages: Vec::new(),
                rung: false,
                errands: Vec::new(),
            }),
            filled: AtomicBool::new(false),
            looking: AtomicBool::new(false),
            trying: AtomicBool::new(false),
            occupied: AtomicBool::new(false),
            search: Search::new(),
        }
    }

    /// Adds a message. `true` means that the caller must now wake the hub;
    /// `false`, that the hub looks out, or that a wake-up which has not been
    /// answered yet covers it. Any thread.
    ///
    /// ```
    /// let outbox = hubpool::binding::Outbox::new();
    /// assert!(outbox.push(1));
    /// assert!(!outbox.push(2)); // The wake-up for the first covers it.
    /// assert_eq!(outbox.drain(), [1, 2]);
    /// assert!(outbox.push(3));
    /// ```
    #[must_use = "the hub must be woken when this is true"]
    pub fn push(&self, message: M) -> bool {
        let mut inner = self.inner.lock();
        inner.messages.push(message);
        self.filled.store(true, Ordering::Release);
        !self.looking() && !std::mem::replace(&mut inner.rung, true)
    }

    /// Says whether the caller, who pushes, keeps a lock that the hub needs to go on. A hub
    /// that looks out and finds a message waits for that to end, as long as a search may last, which is less
    /// than a sleep on the lock would cost. Does not block.
    ///
    /// ```
    /// let outbox = hubpool::binding::Outbox::new();
    /// outbox.occupy(true); // The caller keeps the lock,
    /// assert!(outbox.push(7));
    /// outbox.occupy(false); // and has let it go.
    /// assert_eq!(outbox.look_out(), [7]);
    /// ```
    pub fn occupy(&self, occupied: bool) {
        self.occupied.store(occupied, Ordering::Release);
    }

    /// Takes all messages, oldest first; the next push asks for a wake-up again.
    ///
    /// This answers a wake-up: what woke the hub must have been reset before,
    /// so that a wake-up which comes meanwhile is not reset with it. For the hub's thread.
    ///
    /// ```
    /// let outbox = hubpool::binding::Outbox::new();
    /// assert!(outbox.push(1));
    /// assert_eq!(outbox.drain(), [1]);
    /// assert!(outbox.drain().is_empty());
    /// assert!(outbox.push(2));
    /// ```
    #[must_use]
    pub fn drain(&self) -> Vec<M> {
        let mut inner = self.inner.lock();
        inner.rung = false;
        self.take(&mut inner)
    }

    /// Takes all messages, oldest first, without answering a wake-up: for a hub that wants
    /// what it can have by now. The wake-up, if there is one, finds what comes later. For the hub's
    /// thread.
    ///
    /// ```
    /// let outbox = hubpool::binding::Outbox::new();
    /// assert!(outbox.push(1));
    /// assert_eq!(outbox.collect(), [1]);
    /// assert!(!outbox.push(2)); // The wake-up for the first covers it.
    /// assert_eq!(outbox.drain(), [2]);
    /// ```
    #[must_use]
    pub fn collect(&self) -> Vec<M> {
        self.take(&mut self.inner.lock())
    }

    /// Whether it is worth the hub's time to look out before it sleeps. For the hub's thread.
    ///
    /// ```
    /// let outbox = hubpool::binding::Outbox::<u32>::new();
    /// while outbox.look_out_pays() {
    ///     assert!(outbox.look_out().is_empty());
    /// }
    /// assert!(!outbox.look_out_pays()); // Sleep at once.
    /// ```
    pub fn look_out_pays(&self) -> bool {
        self.search.pays()
    }

    /// Whether looking out has paid of late. If not, the hub should sleep next time, and ask
    /// [whether it pays](Self::look_out_pays) before it looks out again: where messages come while others keep the
    /// core that a look-out gives away, it comes back late for all else that the hub has to do. For the
    /// hub's thread.
    ///
    /// ```
    /// let outbox = hubpool::binding::Outbox::<u32>::new();
    /// assert!(outbox.look_out_paid());
    /// while outbox.look_out_pays() {
    ///     assert!(outbox.look_out().is_empty());
    /// }
    /// assert!(!outbox.look_out_paid());
    /// ```
    pub fn look_out_paid(&self) -> bool {
        self.search.is_trusted()
    }

    /// Watches for messages for some 60 us, or now and then 300, as a worker searches for a job,
    /// and takes what there is. The next push asks for a wake-up, unless one
    /// has not been answered yet.
    ///
    /// Then it does what it was [left to do](Self::leave) meanwhile.
    ///
    /// For the hub's thread alone, when it has nothing else to do: it must
    /// hold nothing that a worker needs to get to its result. It blocks for up to 60 us, and for as long
    /// again if who pushed [occupies](Self::occupy) what the hub needs.
    ///
    /// ```
    /// let outbox = hubpool::binding::Outbox::<u32>::new();
    /// assert!(outbox.look_out().is_empty());
    /// assert!(outbox.push(1)); // It looks out no more.
    /// assert_eq!(outbox.look_out(), [1]); // It has that at once.
    /// ```
    #[must_use]
    pub fn look_out(&self) -> Vec<M> {
        {
            let mut inner = self.inner.lock();
            if !inner.messages.is_empty() {
                return self.take(&mut inner);
            }
            self.looking.store(true, Ordering::Release);
        }
        let limit = self.search.limit();
        self.trying.store(limit == PATIENCE, Ordering::Relaxed);
        let filled = || self.filled.load(Ordering::Acquire);
        let free = || !self.occupied.load(Ordering::Acquire);
        self.search.run(limit, filled, free, || false);
        self.trying.store(false, Ordering::Relaxed);
        // From here on a push rings, or has left its message already.
        let (messages, errands) = {
            let mut inner = self.inner.lock();
            self.looking.store(false, Ordering::Release);
            (self.take(&mut inner), std::mem::take(&mut inner.errands))
        };
        for Errand(errand) in errands {
            errand();
        }
        messages
    }

    /// Leaves something to do for the hub, which does it when it looks out no more, so within some
    /// microseconds. `false`: it does not look out, and will not do it.
    ///
    /// For what is not worth doing if the hub soon finds what it looks out for. Any thread; does not
    /// block.
    ///
    /// ```
    /// # use hubpool::binding::Outbox;
    /// # use std::sync::atomic::{AtomicBool, Ordering};
    /// # use std::thread;
    /// # static DONE: AtomicBool = AtomicBool::new(false);
    /// let outbox = Outbox::<u32>::new();
    /// assert!(!outbox.leave(|| unreachable!()));
    /// # thread::scope(|scope| {
    /// # scope.spawn(|| {
    /// #     while !DONE.load(Ordering::Relaxed) {
    /// #         assert!(outbox.look_out().is_empty());
    /// #     }
    /// # });
    /// // While the hub looks out again and again:
    /// while !outbox.leave(|| DONE.store(true, Ordering::Relaxed)) {
    ///     thread::yield_now();
    /// }
    /// # });
    /// assert!(DONE.load(Ordering::Relaxed));
    /// ```
    #[must_use = "the caller must do it when this is false"]
    pub fn leave(&self, errand: impl FnOnce() + Send + 'static) -> bool {
        if !self.looking() {
            return false;
        }
        let errand = Errand(Box::new(errand));
        let mut inner = self.inner.lock();
        let looking = self.looking();
        if looking {
            inner.errands.push(errand);
        }
        looking
    }

    /// Whether the hub looks out now. Another thread learns nothing from it but
    /// that the hub's thread had nothing to do a moment ago. Any thread; does not block.
    ///
    /// ```
    /// # use hubpool::binding::Outbox;
    /// # use std::thread;
    /// let outbox = Outbox::new();
    /// assert!(!outbox.looking());
    /// # thread::scope(|scope| {
    /// let hub = scope.spawn(|| while outbox.look_out().is_empty() {});
    /// while !outbox.looking() {
    ///     thread::yield_now();
    /// }
    /// let _ = outbox.push("message");
    /// # });
    /// ```
    pub fn looking(&self) -> bool {
        self.looking.load(Ordering::Acquire)
    }

    /// Whether the hub looks out now, and for longer than it expects to need, to learn whether that pays. It
    /// does not where each finds the other asleep: so a worker that leaves it a message then does well to
    /// look out for the next job, too. Any thread; does not block.
    ///
    /// ```
    /// # use hubpool::binding::Outbox;
    /// let outbox = Outbox::<()>::new();
    /// assert!(!outbox.trying());
    /// ```
    pub fn trying(&self) -> bool {
        self.trying.load(Ordering::Relaxed)
    }

    fn take(&self, inner: &mut Inner<M>) -> Vec<M> {
        self.filled.store(false, Ordering::Relaxed);
        std::mem::take(&mut inner.messages)
    }
}

impl<M> Default for Outbox<M> {
    fn default() -> Self {
        Self::new()
    }
}
