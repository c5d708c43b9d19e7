//! Several items at a time: what a lock costs is shared by items that are short, and by results
//! that are read together.

use super::{Batch, Order, Rings, State};
use std::collections::VecDeque;

/// Items that have been claimed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Several {
    /// The place of the first in the input, from 0; the others follow it.
    pub first: usize,
    /// How many tickets to submit (one or none), so that another worker joins.
    pub tickets: usize,
}

/// What the reader finds, beside the results.
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
    /// up to `most` items into `items`, but not more than half of what there is. Both vectors are
    /// the worker's: `results` is empty after that, and is empty the first time. Otherwise it does
    /// as [`complete_and_claim`](Self::complete_and_claim): `None` takes the ticket back.
    ///
    /// Who claims several holds the first one's result back until the last one has finished.
    pub fn complete_and_claim_several(
        &self,
        (first, results): (usize, &mut Vec<R>),
        (most, items): (usize, &mut Vec<T>),
        workers: usize,
        ring: impl FnOnce(Rings),
    ) -> Option<Several> {
        let mut state = self.state.lock();
        self.complete_several_in(&mut state, first, results);
        let count = most.min(self.claimable(&state).div_ceil(2));
        if count == 0 {
            state.tickets -= 1;
            self.note_idle(&state);
            state.tell(true, ring);
            return None;
        }
        items.extend(state.pending.drain(..count));
        let first = state.claimed;
        state.claimed += count;
        state.running += count;
        state.used += 1;
        if self.order == Order::Input {
            let places = state.results.len() + count;
            state.results.resize_with(places, || None);
        }
        let tickets = self.issue(&mut state, workers);
        state.tell(false, ring);
        Some(Several { first, tickets })
    }

    /// Records the results of the items from `first` on, as [`complete`](Self::complete) does for one.
    pub fn complete_several(&self, first: usize, results: &mut Vec<R>, ring: impl FnOnce(Rings)) {
        let mut state = self.state.lock();
        self.complete_several_in(&mut state, first, results);
        self.note_idle(&state);
        state.tell(false, ring);
    }

    /// Adds all results that the reader can have now to `into`, as [`take`](Self::take) does.
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
