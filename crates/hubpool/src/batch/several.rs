//! Several items at a time: what a lock costs is shared by items that are short, and by results
//! that are read together.
//!
//! Who claims several runs the first and keeps the others in a [`Hand`], from which another worker
//! steals when nothing else is left: so no item waits behind a long one while a worker is idle.

use super::{Batch, Order, Rings, State};
use crate::sync::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// A worker that has claimed several items: the first, which it runs at once.
///
/// ```
/// use hubpool::binding::{Batch, Hand, Order, Several};
///
/// let batch = Batch::<_, ()>::new(Order::Input, None);
/// assert_eq!(batch.feed(["a", "b", "c", "d"], 2), 1);
/// let (hand, mut none) = (Hand::new(), Vec::new());
/// let several = batch.complete_and_claim_several((0, &mut none), (64, &hand), 2, |_| ());
/// assert_eq!(several, Some(Several { first: 0, item: "a", tickets: 1 }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Several<T> {
    /// The place of the first in the input, from 0; those in the hand follow it.
    pub first: usize,
    /// The first.
    pub item: T,
    /// How many tickets to submit (one or none), so that another worker joins.
    pub tickets: usize,
}

/// The items that a worker has claimed and not begun. It takes them from the front; other workers of
/// the batch steal from the back.
///
/// ```
/// # use hubpool::binding::{Batch, Hand, Order};
/// # let batch = Batch::new(Order::Input, None);
/// # let claim = |first, mut results: Vec<_>, hand: &_| {
/// #     batch.complete_and_claim_several((first, &mut results), (64, hand), 2, |_| ()).unwrap().item
/// # };
/// assert_eq!(batch.feed(["a", "b", "c"], 2), 1);
/// // Where `claim` does as `complete_and_claim_several`, and gives the item to run:
/// let (hand, other) = (Hand::new(), Hand::new());
/// assert_eq!(claim(0, vec![], &hand), "a"); // And "b" in the hand.
/// assert_eq!(claim(0, vec![], &other), "c");
/// assert_eq!(claim(2, vec!["C"], &other), "b"); // Stolen: nothing else is left.
/// assert_eq!(hand.take(), None);
/// ```
#[derive(Debug)]
pub struct Hand<T>(Arc<Mutex<Held<T>>>);

#[derive(Debug)]
struct Held<T> {
    items: VecDeque<T>,
    /// The place of the last in the input, plus one.
    end: usize,
}

impl<T> Hand<T> {
    /// Makes an empty hand: for one worker, while it is at one batch.
    ///
    /// ```
    /// assert_eq!(hubpool::binding::Hand::<u32>::new().take(), None);
    /// ```
    #[must_use]
    pub fn new() -> Self {
        let items = VecDeque::new();
        Self(Arc::new(Mutex::new(Held { items, end: 0 })))
    }

    /// Takes the next item. `None`: the worker has run its claim, or what others have left of it. For
    /// the worker whose hand it is; blocks it for no longer than another one steals.
    ///
    /// ```
    /// # use hubpool::binding::{Batch, Hand, Order};
    /// let batch = Batch::<_, ()>::new(Order::Input, None);
    /// assert_eq!(batch.feed(["a", "b", "c", "d"], 1), 1);
    /// let (hand, mut none) = (Hand::new(), Vec::new());
    /// batch.complete_and_claim_several((0, &mut none), (64, &hand), 1, |_| ());
    /// assert_eq!((hand.take(), hand.take()), (Some("b"), None));
    /// ```
    #[must_use]
    pub fn take(&self) -> Option<T> {
        self.0.lock().items.pop_front()
    }

    fn is_empty(&self) -> bool {
        self.0.lock().items.is_empty()
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn fill(&self, items: impl Iterator<Item = T>, end: usize) {
        let mut held = self.0.lock();
        held.items.extend(items);
        held.end = end;
    }

    /// Moves half of its items, at least one, to the thief's hand. Returns the place and the item
    /// of the first of them, which is the thief's to run.
    fn steal(&self, thief: &Self) -> Option<(usize, T)> {
        let mut held = self.0.lock();
        let (left, end) = (held.items.len() / 2, held.end);
        let mut stolen = held.items.drain(left..);
        let first = end - stolen.len();
        let item = stolen.next()?;
        thief.fill(stolen, end);
        held.end = first;
        Some((first, item))
    }
}

impl<T> Default for Hand<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// What the reader finds, beside the results.
///
/// ```
/// use hubpool::binding::{Batch, Order, TakenInto};
/// use std::collections::VecDeque;
///
/// let (batch, mut results) = (Batch::<u32, u32>::new(Order::Input, None), VecDeque::new());
/// assert_eq!(batch.take_into(&mut results, 1).0, TakenInto::Pending);
/// assert!(batch.exhaust().reader);
/// assert_eq!(batch.take_into(&mut results, 1).0, TakenInto::End);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakenInto {
    /// There was at least one.
    Ready,
    /// None yet: the reader will be told.
    Pending,
    /// All results have been taken.
    End,
}

impl<T, R> Batch<T, R> {
    /// Records the results of the items from `first` on, which were claimed together, and claims
    /// up to `most` items, but not more than half, rounded up, of what there is, or of another worker's hand: one
    /// to run, and those behind it in the worker's own hand, which is empty before. `results` is the
    /// worker's, too: it is empty after that, and is empty the first time. Otherwise it does
    /// as [`complete_and_claim`](Self::complete_and_claim): `None` takes the ticket back.
    ///
    /// Who claims several holds the first one's result back until the last one has finished. Does not
    /// block for longer than another worker steals.
    ///
    /// ```
    /// # use hubpool::binding::{Batch, Hand, Order};
    /// # let batch = Batch::new(Order::Input, None);
    /// assert_eq!(batch.feed([1, 2, 3, 4], 1), 1);
    /// let (hand, mut results) = (Hand::new(), Vec::new());
    /// let several = batch.complete_and_claim_several((0, &mut results), (64, &hand), 1, |_| ());
    /// results.push(several.unwrap().item * 10);
    /// results.extend(hand.take().map(|item| item * 10));
    /// let several = batch.complete_and_claim_several((0, &mut results), (64, &hand), 1, |_| ());
    /// assert_eq!((several.unwrap().first, results.len()), (2, 0));
    /// ```
    pub fn complete_and_claim_several(
        &self,
        (first, results): (usize, &mut Vec<R>),
        (most, hand): (usize, &Hand<T>),
        workers: usize,
        ring: impl FnOnce(Rings),
    ) -> Option<Several<T>> {
        let mut state = self.state.lock();
        self.complete_several_in(&mut state, first, results);
        debug_assert!(hand.is_empty(), "what it holds would be lost");
        let claim = self.claim_several_in(&mut state, most, hand);
        let several = if let Some((first, item)) = claim {
            state.used += 1;
            let tickets = self.issue(&mut state, workers);
            Some(Several {
                first,
                item,
                tickets,
            })
        } else {
            state.hands.retain(|other| !other.is(hand));
            state.tickets -= 1;
            self.note_idle(&state);
            None
        };
        state.tell(several.is_none(), ring);
        several
    }

    /// Records the results of the items from `first` on, as [`complete`](Self::complete) does for one,
    /// for a worker whose hand is empty, and goes.
    ///
    /// ```
    /// # use hubpool::binding::{Batch, Hand, Order, TakenInto};
    /// # use std::collections::VecDeque;
    /// # let batch = Batch::new(Order::Input, None);
    /// assert_eq!(batch.feed([1, 2, 3, 4], 1), 1);
    /// let (hand, mut results) = (Hand::new(), Vec::new());
    /// let several = batch.complete_and_claim_several((0, &mut results), (64, &hand), 1, |_| ());
    /// results.extend([several.unwrap().item * 10, hand.take().unwrap() * 10]);
    /// batch.complete_several((0, &mut results), &hand, |_| ());
    /// # let mut results = VecDeque::new();
    /// # assert_eq!(batch.take_into(&mut results, 1), (TakenInto::Ready, 0));
    /// # assert_eq!(results, [10, 20]);
    /// assert_eq!((batch.pending(), batch.idle_tickets()), (2, 1)); // It is to be submitted again.
    /// ```
    pub fn complete_several(
        &self,
        (first, results): (usize, &mut Vec<R>),
        hand: &Hand<T>,
        ring: impl FnOnce(Rings),
    ) {
        let mut state = self.state.lock();
        self.complete_several_in(&mut state, first, results);
        state.hands.retain(|other| !other.is(hand));
        self.note_idle(&state);
        state.tell(false, ring);
    }

    /// Adds all results that the reader can have now to `into`, as [`take`](Self::take) does. For the
    /// one reader; does not block.
    ///
    /// ```
    /// # use hubpool::binding::{Batch, Order, TakenInto};
    /// # use std::collections::VecDeque;
    /// let (batch, mut results) = (Batch::new(Order::Input, None), VecDeque::from(["before"]));
    /// assert_eq!(batch.feed(["a"], 1), 1);
    /// batch.claim(1, |_| ());
    /// batch.complete(0, "A", |_| ());
    /// assert_eq!(batch.take_into(&mut results, 1), (TakenInto::Ready, 0));
    /// assert_eq!(results, ["before", "A"]);
    /// ```
    #[must_use = "the tickets must be submitted"]
    pub fn take_into(&self, into: &mut VecDeque<R>, workers: usize) -> (TakenInto, usize) {
        let mut state = self.state.lock();
        state.reader = None;
        let before = into.len();
        while let Some(result) = state.results.front_mut().and_then(Option::take) {
            state.results.pop_front();
            into.push_back(result);
        }
        let count = into.len() - before;
        state.read += count;
        state.ready -= count;
        let taken = if count > 0 {
            TakenInto::Ready
        } else if state.finished() {
            TakenInto::End
        } else {
            state.reader = Some(false);
            TakenInto::Pending
        };
        let tickets = self.issue(&mut state, workers);
        (taken, tickets)
    }

    fn claim_several_in(
        &self,
        state: &mut State<T, R>,
        most: usize,
        hand: &Hand<T>,
    ) -> Option<(usize, T)> {
        let count = most.min(self.claimable(state).div_ceil(2));
        if count != 1 && !state.hands.iter().any(|other| other.is(hand)) {
            state.hands.push(Hand(Arc::clone(&hand.0)));
        }
        if count == 0 {
            return state.hands.iter().find_map(|other| other.steal(hand));
        }
        let first = state.claimed;
        state.claimed += count;
        state.running += count;
        if self.order == Order::Input {
            let places = state.results.len() + count;
            state.results.resize_with(places, || None);
        }
        let item = state.pending.pop_front()?;
        if count > 1 {
            hand.fill(state.pending.drain(..count - 1), first + count);
        }
        self.note_drained(state);
        Some((first, item))
    }

    fn complete_several_in(&self, state: &mut State<T, R>, first: usize, results: &mut Vec<R>) {
        if results.is_empty() {
            return;
        }
        state.used -= 1;
        for (place, result) in results.drain(..).enumerate() {
            self.complete_in(state, first + place, result);
        }
    }
}

impl<T, R> State<T, R> {
    /// Whether items wait in a worker's hand, behind the one that it runs.
    pub(super) fn hands_hold_items(&self) -> bool {
        self.hands.iter().any(|hand| !hand.is_empty())
    }
}
