//! The items of one map: fed by the hub, claimed one after another by
//! workers, and read back in order or as they finish.
//!
//! A worker joins a batch with a *ticket*, an ordinary job in the pool's
//! queue, and keeps it while there are items to claim. So a map of a million
//! items costs the pool's queue a few jobs, and a wake-up for a whole group
//! of results.
//!
//! At most one ticket is out that no worker has begun to use; who begins to
//! use it issues the next. So workers join one after another, each as soon as
//! the one before has got going. Where they need a lock of the caller's to get
//! going, such as an interpreter's, and items are so short that the first
//! worker hardly lets it go, one more worker waits for it and not all.

mod several;

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::collections::VecDeque;

pub use several::{Hand, Several, TakenInto};

/// In which order results are read.
///
/// ```
/// use hubpool::binding::{Batch, Order, Taken};
///
/// let batch = Batch::new(Order::Completion, None);
/// assert_eq!(batch.feed(["a", "b"], 2), 1);
/// # for _ in 0..2 {
/// #     batch.claim(2, |_| ());
/// # }
/// batch.complete(1, "B", |_| ());
/// batch.complete(0, "A", |_| ());
/// assert_eq!(batch.take(true, 2).0, Taken::Ready(vec!["B", "A"]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// In the order of the items.
    Input,
    /// In the order in which the items finish.
    Completion,
}

/// Items of type `T` on their way to results of type `R`.
///
/// ```
/// use hubpool::binding::{Batch, Order, Taken};
///
/// let batch = Batch::new(Order::Input, None);
/// assert_eq!(batch.feed([1, 2, 3], 1), 1); // The ticket goes to a worker, which works so:
/// let mut claim = batch.claim(1, |_| ());
/// while let Some(claimed) = claim {
///     claim = batch.complete_and_claim(claimed.index, claimed.item * 10, 1, |_| ());
/// }
/// assert_eq!(batch.take(true, 1).0, Taken::Ready(vec![10, 20, 30]));
/// ```
#[derive(Debug)]
pub struct Batch<T, R> {
    state: Mutex<State<T, R>>,
    /// Tickets that no worker has begun to use, written under the lock.
    idle: AtomicUsize,
    /// Whether no item is pending, and none will follow: written under the lock.
    drained: AtomicBool,
    order: Order,
    /// The most items that may be running or finished and unread.
    limit: Option<usize>,
}

#[derive(Debug)]
struct State<T, R> {
    /// Items that no worker has claimed, oldest first. Fed by the hub.
    pending: VecDeque<T>,
    /// How many items have been claimed; the next claim's index.
    claimed: usize,
    /// Items that a worker runs now.
    running: usize,
    /// Results that the reader has not taken. In input order, place `i` is
    /// that of item `read + i`, and empty while that item is not finished.
    results: VecDeque<Option<R>>,
    /// How many results of `results` are there.
    ready: usize,
    /// How many results the reader has taken.
    read: usize,
    /// Tickets in the pool's queue or in a worker's hand.
    tickets: usize,
    /// Tickets whose worker has claimed items that it has not recorded.
    used: usize,
    /// Of workers that have claimed several items: not of all, and some may be empty.
    hands: Vec<Hand<T>>,
    /// The hub has fed the last item.
    exhausted: bool,
    /// An item has failed: who waits for the whole batch reads on in order.
    failed: bool,
    /// The reader found nothing and waits for the next result (`false`), or
    /// for the end of the whole batch (`true`).
    reader: Option<bool>,
    /// The feeder waits until no more than this many items are pending.
    feeder: Option<usize>,
}

/// A claimed item.
///
/// ```
/// use hubpool::binding::{Batch, Claim, Order};
///
/// let batch = Batch::<_, ()>::new(Order::Input, None);
/// assert_eq!(batch.feed(["a", "b"], 2), 1);
/// let claim = Claim { index: 0, item: "a", tickets: 1 };
/// assert_eq!(batch.claim(2, |_| ()), Some(claim));
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Claim<T> {
    /// The item's place in the input, from 0.
    pub index: usize,
    /// The item.
    pub item: T,
    /// How many tickets to submit (one or none), so that another worker joins.
    pub tickets: usize,
}

/// How far a batch has come.
///
/// ```
/// use hubpool::binding::{Batch, Order, Progress};
///
/// let batch = Batch::<_, ()>::new(Order::Input, None);
/// assert_eq!(batch.feed(["a", "b", "c"], 1), 1);
/// batch.claim(1, |_| ());
/// assert_eq!(batch.progress(), Progress { pending: 2, running: 1, claimed: 1 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Items that no worker has claimed.
    pub pending: usize,
    /// Items that a worker runs now.
    pub running: usize,
    /// Items that have been claimed, in all.
    pub claimed: usize,
}

/// Whom a worker's step has made runnable: the hub must be told.
///
/// ```
/// use hubpool::binding::{Batch, Order, Rings, Taken};
///
/// let batch = Batch::new(Order::Input, None);
/// assert_eq!(batch.feed(["a"], 1), 1);
/// assert_eq!(batch.take(true, 1).0, Taken::Pending); // The reader waits.
/// batch.claim(1, |_| ());
/// let mut told = Rings::default();
/// batch.complete(0, "A", |rings| told = rings);
/// assert_eq!(told, Rings { reader: true, ..Rings::default() });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "the hub must be told"]
pub struct Rings {
    /// The reader waits, and what it waits for is there.
    pub reader: bool,
    /// The feeder waits, and there is room.
    pub feeder: bool,
    /// The last ticket has come back: nothing happens until the hub feeds or
    /// reads.
    pub rest: bool,
}

impl Rings {
    /// Whether anybody must be told.
    ///
    /// ```
    /// use hubpool::binding::Rings;
    ///
    /// assert!(!Rings::default().any());
    /// assert!(Rings { rest: true, ..Rings::default() }.any());
    /// ```
    #[must_use]
    pub const fn any(self) -> bool {
        self.reader || self.feeder || self.rest
    }
}

/// What the reader finds.
///
/// ```
/// use hubpool::binding::{Batch, Order, Taken};
///
/// let batch = Batch::<u32, u32>::new(Order::Input, None);
/// assert_eq!(batch.take(true, 1).0, Taken::Pending);
/// assert!(batch.exhaust().reader);
/// assert_eq!(batch.take(true, 1).0, Taken::End);
/// ```
#[derive(Debug, PartialEq, Eq)]
pub enum Taken<R> {
    /// Results, in the batch's order, at least one, unless the whole batch has none.
    Ready(Vec<R>),
    /// None yet: the reader will be told.
    Pending,
    /// All results have been taken.
    End,
}

impl<T, R> Batch<T, R> {
    /// Makes an empty batch. With `limit`, items beyond that many running or
    /// finished and unread ones wait for the reader.
    ///
    /// ```
    /// use hubpool::binding::{Batch, Order};
    ///
    /// let batch = Batch::<u32, u32>::new(Order::Input, Some(2));
    /// assert_eq!(batch.room(10), 2);
    /// ```
    #[must_use]
    pub fn new(order: Order, limit: Option<usize>) -> Self {
        Self {
            state: Mutex::new(State {
                pending: VecDeque::new(),
                claimed: 0,
                running: 0,
                results: VecDeque::new(),
                ready: 0,
                read: 0,
                tickets: 0,
                used: 0,
                hands: Vec::new(),
                exhausted: false,
                failed: false,
                reader: None,
                feeder: None,
            }),
            idle: AtomicUsize::new(0),
            drained: AtomicBool::new(false),
            order,
            limit,
        }
    }

    /// Adds items. Returns how many tickets to submit (one or none), so that
    /// up to `workers` workers come to share the batch. Any thread; does not block. It goes through
    /// `items` under the batch's lock: they must not call the batch.
    ///
    /// ```
    /// use hubpool::binding::{Batch, Order};
    ///
    /// let batch = Batch::<u32, u32>::new(Order::Input, None);
    /// assert_eq!(batch.feed(0..100, 2), 1); // The worker that uses it issues the next.
    /// assert_eq!(batch.feed(100..200, 2), 0);
    /// assert_eq!(batch.pending(), 200);
    /// ```
    #[must_use = "the tickets must be submitted"]
    pub fn feed(&self, items: impl IntoIterator<Item = T>, workers: usize) -> usize {
        let mut state = self.state.lock();
        state.pending.extend(items);
        self.issue(&mut state, workers)
    }

    /// Items that no worker has claimed. Any thread; does not block.
    ///
    /// ```
    /// # use hubpool::binding::{Batch, Order};
    /// let batch = Batch::<_, ()>::new(Order::Input, None);
    /// assert_eq!(batch.feed(["a", "b"], 1), 1);
    /// batch.claim(1, |_| ());
    /// assert_eq!(batch.pending(), 1);
    /// ```
    pub fn pending(&self) -> usize {
        self.state.lock().pending.len()
    }

    /// How far the batch has come. Any thread; does not block.
    ///
    /// ```
    /// # use hubpool::binding::{Batch, Order, Progress};
    /// let batch = Batch::new(Order::Input, None);
    /// assert_eq!(batch.feed(["a", "b"], 1), 1);
    /// batch.claim(1, |_| ());
    /// batch.complete_and_claim(0, "A", 1, |_| ());
    /// assert_eq!(batch.progress(), Progress { pending: 0, running: 1, claimed: 2 });
    /// ```
    pub fn progress(&self) -> Progress {
        let state = self.state.lock();
        Progress {
            pending: state.pending.len(),
            running: state.running,
            claimed: state.claimed,
        }
    }

    /// How many items, up to `most`, may be fed so that each could be claimed:
    /// fewer than `most` only with a limit. Any thread; does not block.
    ///
    /// ```
    /// # use hubpool::binding::{Batch, Order};
    /// let batch = Batch::<_, ()>::new(Order::Input, Some(3));
    /// assert_eq!(batch.room(10), 3);
    /// assert_eq!(batch.feed(["a", "b"], 1), 1);
    /// assert_eq!(batch.room(10), 1);
    /// ```
    pub fn room(&self, most: usize) -> usize {
        most.min(self.room_in(&self.state.lock()))
    }

    /// Asks to be told when at most `low` items are pending. `false`: that is so already, and there is
    /// [room](Self::room) for one more; nobody will be told. Who is told asks again: there may be no room
    /// yet, and where only [`take`](Self::take) makes some, its caller tells. For the one feeder; does not
    /// block.
    ///
    /// ```
    /// # use hubpool::binding::{Batch, Order, Rings};
    /// let batch = Batch::<_, ()>::new(Order::Input, None);
    /// assert_eq!(batch.feed(["a", "b"], 1), 1);
    /// assert!(batch.await_room(1)); // Two are pending.
    /// let mut told = Rings::default();
    /// batch.claim(1, |rings| told = rings);
    /// assert!(told.feeder);
    /// assert!(!batch.await_room(1));
    /// ```
    #[must_use]
    pub fn await_room(&self, low: usize) -> bool {
        let mut state = self.state.lock();
        let wait = state.pending.len() > low || self.room_in(&state) == 0;
        state.feeder = wait.then_some(low);
        wait
    }

    /// Says that an item fails, before its result is recorded. Who waits for
    /// [the whole batch](Self::take_whole) is told as soon as there is
    /// something to read in order. Any thread; does not block.
    ///
    /// ```
    /// # use hubpool::binding::{Batch, Order, Rings, Taken};
    /// let batch = Batch::new(Order::Input, None);
    /// assert_eq!(batch.feed(["a", "b"], 1), 1);
    /// assert_eq!(batch.take_whole(), Taken::Pending);
    /// batch.claim(1, |_| ());
    /// batch.fail();
    /// let mut told = Rings::default();
    /// batch.complete(0, Err::<(), _>("no luck"), |rings| told = rings);
    /// assert!(told.reader); // Though the second item has not been claimed.
    /// ```
    pub fn fail(&self) {
        self.state.lock().failed = true;
    }

    /// Whether an item has failed. Any thread; does not block.
    ///
    /// ```
    /// # use hubpool::binding::{Batch, Order};
    /// let batch = Batch::<u32, u32>::new(Order::Input, None);
    /// assert!(!batch.failed());
    /// batch.fail();
    /// assert!(batch.failed());
    /// ```
    pub fn failed(&self) -> bool {
        self.state.lock().failed
    }

    /// Says that the last item has been fed. Returns whether the reader waits
    /// for just that. Any thread; does not block.
    ///
    /// ```
    /// # use hubpool::binding::{Batch, Order, Taken};
    /// let batch = Batch::<u32, u32>::new(Order::Input, None);
    /// assert_eq!(batch.take(true, 1).0, Taken::Pending);
    /// assert!(batch.exhaust().reader); // It has waited for just that.
    /// assert_eq!(batch.take(true, 1).0, Taken::End);
    /// ```
    pub fn exhaust(&self) -> Rings {
        let mut state = self.state.lock();
        state.exhausted = true;
        self.note_drained(&state);
        state.rings()
    }

    /// Whether a limit keeps items waiting for the reader. Any thread; does not block.
    ///
    /// ```
    /// # use hubpool::binding::{Batch, Order};
    /// assert!(Batch::<u32, u32>::new(Order::Input, Some(10)).is_limited());
    /// assert!(!Batch::<u32, u32>::new(Order::Input, None).is_limited());
    /// ```
    pub fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    /// Whether the last item has been fed, and claimed or withdrawn. Any thread; does not block.
    ///
    /// ```
    /// # use hubpool::binding::{Batch, Order};
    /// let batch = Batch::<_, ()>::new(Order::Input, None);
    /// assert_eq!(batch.feed(["a"], 1), 1);
    /// assert!(!batch.exhaust().any());
    /// assert!(!batch.is_drained());
    /// batch.claim(1, |_| ());
    /// assert!(batch.is_drained());
    /// ```
    pub fn is_drained(&self) -> bool {
        self.drained.load(Ordering::Relaxed)
    }

    /// Tickets that no worker has begun to use: in the pool's queue, or on their way. Any thread; does
    /// not block.
    ///
    /// ```
    /// # use hubpool::binding::{Batch, Order};
    /// let batch = Batch::<_, ()>::new(Order::Input, None);
    /// assert_eq!(batch.feed(["a"], 1), 1);
    /// assert_eq!(batch.idle_tickets(), 1);
    /// batch.claim(1, |_| ());
    /// assert_eq!(batch.idle_tickets(), 0);
    /// ```
    pub fn idle_tickets(&self) -> usize {
        self.idle.load(Ordering::Relaxed)
    }

    /// Whether no ticket is out. Any thread; does not block.
    ///
    /// ```
    /// # use hubpool::binding::{Batch, Order};
    /// let batch = Batch::new(Order::Input, None);
    /// assert_eq!(batch.feed(["a"], 1), 1);
    /// batch.claim(1, |_| ());
    /// assert!(!batch.at_rest());
    /// assert_eq!(batch.complete_and_claim(0, "A", 1, |_| ()), None);
    /// assert!(batch.at_rest());
    /// ```
    pub fn at_rest(&self) -> bool {
        self.state.lock().tickets == 0
    }

    /// Withdraws all items that no worker has claimed and says that none will
    /// follow. `None`: so it was already. Any thread; does not block.
    ///
    /// ```
    /// # use hubpool::binding::{Batch, Order};
    /// let batch = Batch::<_, ()>::new(Order::Input, None);
    /// assert_eq!(batch.feed(["a", "b"], 1), 1);
    /// batch.claim(1, |_| ());
    /// assert_eq!(batch.cancel().0, Some(["b"].into()));
    /// assert_eq!(batch.cancel().0, None);
    /// ```
    pub fn cancel(&self) -> (Option<VecDeque<T>>, Rings) {
        let mut state = self.state.lock();
        let drained = state.drained();
        state.exhausted = true;
        let pending = std::mem::take(&mut state.pending);
        self.note_drained(&state);
        ((!drained).then_some(pending), state.rings())
    }

    /// Claims an item for the worker that holds a ticket, as one of up to
    /// `workers`. `None` takes the ticket back.
    ///
    /// `ring` is called under the batch's lock when somebody must be told:
    /// so its message stands in the hub's list before the hub can see the
    /// state that the message tells of. It must not call the batch. Does not block.
    ///
    /// ```
    /// # use hubpool::binding::{Batch, Claim, Order, Rings};
    /// let batch = Batch::new(Order::Input, None);
    /// assert_eq!(batch.feed(["a"], 1), 1);
    /// let claim = batch.claim(1, |_| ()).unwrap();
    /// assert_eq!((claim.index, claim.item), (0, "a"));
    /// batch.complete(0, "A", |_| ());
    /// let mut told = Rings::default();
    /// assert_eq!(batch.claim(1, |rings| told = rings), None);
    /// assert!(told.rest);
    /// ```
    pub fn claim(&self, workers: usize, ring: impl FnOnce(Rings)) -> Option<Claim<T>> {
        let mut state = self.state.lock();
        let claim = self.claim_in(&mut state, workers);
        state.tell(claim.is_none(), ring);
        claim
    }

    /// Records an item's result and claims the next item, in one step, as
    /// [`claim`](Self::claim) does. For a worker with a ticket; does not block.
    ///
    /// ```
    /// # use hubpool::binding::{Batch, Order};
    /// let batch = Batch::new(Order::Input, None);
    /// assert_eq!(batch.feed(["a", "b"], 1), 1);
    /// batch.claim(1, |_| ());
    /// let claim = batch.complete_and_claim(0, "A", 1, |_| ()).unwrap();
    /// assert_eq!((claim.index, claim.item), (1, "b"));
    /// assert_eq!(batch.complete_and_claim(1, "B", 1, |_| ()), None);
    /// ```
    pub fn complete_and_claim(
        &self,
        index: usize,
        result: R,
        workers: usize,
        ring: impl FnOnce(Rings),
    ) -> Option<Claim<T>> {
        let mut state = self.state.lock();
        state.used -= 1;
        self.complete_in(&mut state, index, result);
        let claim = self.claim_in(&mut state, workers);
        state.tell(claim.is_none(), ring);
        claim
    }

    /// Records an item's result. The ticket stays with the worker, which
    /// gives it to the pool's queue again to let others go first. Does not block; `ring` is called as by
    /// [`claim`](Self::claim).
    ///
    /// ```
    /// # use hubpool::binding::{Batch, Order};
    /// let batch = Batch::new(Order::Input, None);
    /// assert_eq!(batch.feed(["a", "b"], 1), 1);
    /// batch.claim(1, |_| ());
    /// batch.complete(0, "A", |_| ());
    /// assert_eq!(batch.idle_tickets(), 1); // It is to be submitted again.
    /// ```
    pub fn complete(&self, index: usize, result: R, ring: impl FnOnce(Rings)) {
        let mut state = self.state.lock();
        state.used -= 1;
        self.complete_in(&mut state, index, result);
        self.note_idle(&state);
        state.tell(false, ring);
    }

    /// Takes a ticket back that will not be used. Items that stand in a worker's [`Hand`] wait for that
    /// worker then, until somebody feeds or reads, which may issue another ticket. Any thread; does not
    /// block; `ring` is called as by [`claim`](Self::claim).
    ///
    /// ```
    /// # use hubpool::binding::{Batch, Order, Rings};
    /// let batch = Batch::<_, ()>::new(Order::Input, None);
    /// assert_eq!(batch.feed(["a"], 1), 1);
    /// let mut told = Rings::default();
    /// batch.drop_ticket(|rings| told = rings);
    /// assert!(told.rest);
    /// assert_eq!(batch.feed(["b"], 1), 1); // So there is one again.
    /// ```
    pub fn drop_ticket(&self, ring: impl FnOnce(Rings)) {
        let mut state = self.state.lock();
        state.tickets -= 1;
        self.note_idle(&state);
        state.tell(true, ring);
    }

    /// Takes what the reader can have now: one result, or with `all` every
    /// one that is there. Returns how many tickets to submit beside it, since
    /// with a limit taking makes room. For the one reader; does not block.
    ///
    /// ```
    /// # use hubpool::binding::{Batch, Order, Taken};
    /// let batch = Batch::new(Order::Input, Some(1));
    /// assert_eq!(batch.feed(["a", "b"], 1), 1);
    /// batch.claim(1, |_| ());
    /// assert_eq!(batch.complete_and_claim(0, "A", 1, |_| ()), None); // The limit forbids it.
    /// assert_eq!(batch.take(true, 1), (Taken::Ready(vec!["A"]), 1));
    /// ```
    #[must_use = "the results are taken, and the tickets must be submitted"]
    pub fn take(&self, all: bool, workers: usize) -> (Taken<R>, usize) {
        let mut state = self.state.lock();
        state.reader = None;
        let mut results = Vec::new();
        while results.is_empty() || all {
            let Some(slot) = state.results.front_mut() else {
                break;
            };
            let Some(result) = slot.take() else { break };
            state.results.pop_front();
            results.push(result);
        }
        state.read += results.len();
        state.ready -= results.len();
        let taken = if !results.is_empty() {
            Taken::Ready(results)
        } else if state.finished() {
            Taken::End
        } else {
            state.reader = Some(false);
            Taken::Pending
        };
        let tickets = self.issue(&mut state, workers);
        (taken, tickets)
    }

    /// Takes all results once the last item has finished, unless one has
    /// [failed](Self::fail): [`take`](Self::take) them then. There may be none. For the one reader; does not block.
    ///
    /// ```
    /// # use hubpool::binding::{Batch, Order, Taken};
    /// let batch = Batch::new(Order::Input, None);
    /// assert_eq!(batch.feed(["a"], 1), 1);
    /// batch.claim(1, |_| ());
    /// batch.complete(0, "A", |_| ());
    /// assert_eq!(batch.take_whole(), Taken::Pending); // More may follow.
    /// assert!(batch.exhaust().reader);
    /// assert_eq!(batch.take_whole(), Taken::Ready(vec!["A"]));
    /// ```
    #[must_use]
    pub fn take_whole(&self) -> Taken<R> {
        let mut state = self.state.lock();
        if !state.failed && state.all_ended() {
            state.reader = None;
            state.ready = 0;
            Taken::Ready(
                std::mem::take(&mut state.results)
                    .into_iter()
                    .flatten()
                    .collect(),
            )
        } else {
            state.reader = Some(true);
            Taken::Pending
        }
    }

    /// Takes all results that are there, in turn or not, from a batch that nobody reads any more.
    pub(crate) fn discard(&self) -> Vec<R> {
        let mut state = self.state.lock();
        let results: Vec<R> = state.results.iter_mut().filter_map(Option::take).collect();
        state.ready -= results.len();
        results
    }

    /// Whether a thread is at the batch just now. A forked child with one thread learns from it
    /// whether the lock will never be free. Does not block.
    ///
    /// ```
    /// # use hubpool::binding::{Batch, Order};
    /// assert!(!Batch::<u32, u32>::new(Order::Input, None).is_locked());
    /// ```
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.state.try_lock().is_none()
    }

    /// Shows all items that wait, but for those in [hands](Hand), and all results that have not been taken; none
    /// if another thread is at the batch just now. For collectors of garbage. Any thread; does not
    /// block. The calls are made under the batch's lock: they must not call the batch.
    ///
    /// # Errors
    ///
    /// What a call returns, which ends the visit.
    ///
    /// ```
    /// # use hubpool::binding::{Batch, Order};
    /// let batch = Batch::<_, ()>::new(Order::Input, None);
    /// assert_eq!(batch.feed([1, 2, 3], 1), 1);
    /// let item = |&item: &i32| if item < 2 { Ok(()) } else { Err(item) };
    /// assert_eq!(batch.visit(item, |()| Ok(())), Err(2));
    /// ```
    pub fn visit<E>(
        &self,
        mut item: impl FnMut(&T) -> Result<(), E>,
        result: impl FnMut(&R) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(state) = self.state.try_lock() else {
            return Ok(());
        };
        state.pending.iter().try_for_each(&mut item)?;
        state.results.iter().flatten().try_for_each(result)
    }

    fn claim_in(&self, state: &mut State<T, R>, workers: usize) -> Option<Claim<T>> {
        let claim = if self.claimable(state) > 0 {
            state.pending.pop_front()
        } else {
            None
        };
        let Some(item) = claim else {
            state.tickets -= 1;
            self.note_idle(state);
            return None;
        };
        self.note_drained(state);
        let index = state.claimed;
        state.claimed += 1;
        state.running += 1;
        state.used += 1;
        if self.order == Order::Input {
            state.results.push_back(None);
        }
        let tickets = self.issue(state, workers);
        Some(Claim {
            index,
            item,
            tickets,
        })
    }

    fn complete_in(&self, state: &mut State<T, R>, index: usize, result: R) {
        state.running -= 1;
        state.ready += 1;
        match self.order {
            Order::Input => {
                let place = index - state.read;
                state.results[place] = Some(result);
            }
            Order::Completion => state.results.push_back(Some(result)),
        }
    }

    /// How many items may be claimed now.
    fn claimable(&self, state: &State<T, R>) -> usize {
        self.may_be_unread(state)
            .saturating_sub(state.running + state.ready)
            .min(state.pending.len())
    }

    fn room_in(&self, state: &State<T, R>) -> usize {
        self.may_be_unread(state)
            .saturating_sub(state.running + state.ready + state.pending.len())
    }

    /// How many items may be running or finished and unread.
    fn may_be_unread(&self, state: &State<T, R>) -> usize {
        match self.limit {
            None => usize::MAX,
            // A reader that waits will take the next result at once.
            Some(limit) => limit + usize::from(state.reader.is_some()),
        }
    }

    /// Issues a ticket if there is an item for one more worker, and no ticket
    /// is out that waits for its worker.
    fn issue(&self, state: &mut State<T, R>, workers: usize) -> usize {
        let all_in_use = state.tickets == state.used;
        let issued = all_in_use
            && state.tickets < workers
            && (self.claimable(state) > 0 || state.hands_hold_items());
        state.tickets += usize::from(issued);
        self.note_idle(state);
        usize::from(issued)
    }

    fn note_drained(&self, state: &State<T, R>) {
        self.drained.store(state.drained(), Ordering::Relaxed);
    }

    fn note_idle(&self, state: &State<T, R>) {
        self.idle
            .store(state.tickets - state.used, Ordering::Relaxed);
    }
}

impl<T, R> State<T, R> {
    /// No item is pending, and none will follow.
    fn drained(&self) -> bool {
        self.exhausted && self.pending.is_empty()
    }

    /// Nor is one running.
    fn all_ended(&self) -> bool {
        self.drained() && self.running == 0
    }

    /// Nor is there a result to be read.
    fn finished(&self) -> bool {
        self.all_ended() && self.ready == 0
    }

    fn tell(&mut self, ticket_came_back: bool, ring: impl FnOnce(Rings)) {
        let mut rings = self.rings();
        rings.rest = ticket_came_back && self.tickets == 0;
        if rings.any() {
            ring(rings);
        }
    }

    /// Whom to tell, each of them once.
    fn rings(&mut self) -> Rings {
        let reader = match self.reader {
            None => false,
            Some(true) if !self.failed => self.all_ended(),
            Some(_) => matches!(self.results.front(), Some(Some(_))) || self.finished(),
        };
        if reader {
            self.reader = None;
        }
        let feeder = self.feeder.is_some_and(|low| self.pending.len() <= low);
        if feeder {
            self.feeder = None;
        }
        Rings {
            reader,
            feeder,
            rest: false,
        }
    }
}
