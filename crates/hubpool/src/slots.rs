//! How many tasks are outstanding, who waits for a slot, and who waits for the end of all.
//!
//! A slot is the right to be outstanding. It is taken before a task is submitted and given back
//! before the task's result can be seen. Who submits without waiting takes one beyond the limit.
//!
//! A map's ticket takes no slot, or two maps would keep all others out until one of them ends. It is
//! counted beside the slots, for those who wait for the end.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::crew::shielded;
use crate::park;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Set in the word while somebody waits.
const AWAITED: u64 = 1;
/// One slot in the word.
const SLOT: u64 = 1 << 1;
/// One ticket in the word, above all slots that memory has room for.
const TICKET: u64 = 1 << 37;

/// The slots of one pool.
// On cache lines of its own, since each task changes the word twice.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Slots {
    /// Tickets, times [`TICKET`], slots taken, times [`SLOT`], and [`AWAITED`]. In one word, so that
    /// who gives a slot back learns in the same step whether anybody waits, and who waits for the end
    /// sees one moment: no order of memory is left to argue about. The mark is changed under the lock
    /// of `line` alone.
    word: AtomicU64,
    /// The most that are taken but by [`force`](Self::force).
    limit: AtomicUsize,
    /// Who waits gets a slot once no more than this many are taken, or as many have been given back as
    /// there are between this and the limit, and so do all others up to the limit: one wake-up for many
    /// slots, where the line is long.
    low: AtomicUsize,
    /// How many have been given back since those who wait got some.
    given_back: AtomicUsize,
    line: Mutex<Line>,
}

/// Who waits. Each has a number, higher than the numbers before it.
#[derive(Debug, Default)]
struct Line {
    last: u64,
    /// Who waits for a slot, first come, first served. Whoever is no longer here has been given one.
    slots: VecDeque<(u64, Option<Waker>)>,
    /// Who waits until no slot is taken, and no ticket is out.
    ends: VecDeque<(u64, Option<Waker>)>,
}

impl Slots {
    /// Makes so many, of which `workers` make use at a time.
    pub(crate) fn new(limit: usize, workers: usize) -> Self {
        Self {
            word: AtomicU64::new(0),
            limit: AtomicUsize::new(limit),
            low: AtomicUsize::new(low(limit, workers)),
            given_back: AtomicUsize::new(0),
            line: Mutex::new(Line::default()),
        }
    }

    /// How many slots are taken, and tickets are out.
    pub(crate) fn outstanding(&self) -> usize {
        let word = self.word.load(Ordering::Acquire);
        slots(word) + tickets(word)
    }

    /// Sets the limit, and how many workers make use of slots, to what is told under the lock: where two
    /// set it at once, the last one is told what is so in the end.
    pub(crate) fn set_limit(&self, limits: impl FnOnce() -> (usize, usize)) {
        let wakers = {
            let mut line = self.line.lock();
            let (limit, workers) = limits();
            self.limit.store(limit, Ordering::Relaxed);
            self.low.store(low(limit, workers), Ordering::Relaxed);
            self.settle(&mut line, true)
        };
        wakers.wake();
    }

    /// Takes one, whatever the limit.
    pub(crate) fn force(&self) {
        self.word.fetch_add(SLOT, Ordering::Relaxed);
    }

    /// Takes one if there is one and nobody waits.
    fn try_take(&self) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        let free = |word: u64| (word & AWAITED == 0 && slots(word) < limit).then_some(word + SLOT);
        self.word
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, free)
            .is_ok()
    }

    /// Gives one back. What the caller has written before, who sees the end of all sees too.
    pub(crate) fn give_back(&self) -> Wakers {
        let word = self.word.fetch_sub(SLOT, Ordering::AcqRel) - SLOT;
        if word & AWAITED == 0 || !self.is_due(slots(word)) {
            return Wakers(Vec::new());
        }
        self.settle(&mut self.line.lock(), true)
    }

    /// Whether one more that is given back lets in who waits. Who gives back the last of them finds any
    /// limit kept.
    fn is_due(&self, taken: usize) -> bool {
        let low = self.low.load(Ordering::Relaxed);
        if taken <= low {
            return true;
        }
        let limit = self.limit.load(Ordering::Relaxed);
        let given_back = self.given_back.fetch_add(1, Ordering::Relaxed) + 1;
        taken < limit && given_back >= limit.saturating_sub(low)
    }

    /// Counts a ticket, which takes no slot.
    pub(crate) fn issue(&self) {
        self.word.fetch_add(TICKET, Ordering::Relaxed);
    }

    /// Counts a ticket as come back, as [`give_back`](Self::give_back) does a slot.
    pub(crate) fn take_back(&self) -> Wakers {
        let word = self.word.fetch_sub(TICKET, Ordering::AcqRel) - TICKET;
        // Nobody but who waits for the end waits for a ticket.
        if word != AWAITED {
            return Wakers(Vec::new());
        }
        self.settle(&mut self.line.lock(), false)
    }

    /// Waits for one, first come, first served.
    pub(crate) fn take(&self) -> Wait<'_> {
        Wait::new(self, For::Slot)
    }

    /// Waits until none is taken, and no ticket is out.
    pub(crate) fn end(&self) -> Wait<'_> {
        Wait::new(self, For::End)
    }

    /// Gives what there is to those who wait for it, if slots are `due` or few are taken, and says whom to
    /// wake once the lock is free.
    fn settle(&self, line: &mut Line, due: bool) -> Wakers {
        let mut wakers = Wakers(Vec::new());
        let limit = self.limit.load(Ordering::Relaxed);
        let taken = slots(self.word.load(Ordering::Acquire));
        let due = due || taken <= self.low.load(Ordering::Relaxed);
        if due {
            self.given_back.store(0, Ordering::Relaxed);
        }
        while due && !line.slots.is_empty() {
            let free = |word: u64| (slots(word) < limit).then_some(word + SLOT);
            if self
                .word
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, free)
                .is_err()
            {
                break;
            }
            wakers
                .0
                .extend(line.slots.pop_front().and_then(|(_, waker)| waker));
        }
        if self.outstanding() == 0 {
            wakers
                .0
                .extend(line.ends.drain(..).filter_map(|(_, waker)| waker));
        }
        if line.slots.is_empty() && line.ends.is_empty() {
            self.word.fetch_and(!AWAITED, Ordering::AcqRel);
        }
        wakers
    }
}

fn slots(word: u64) -> usize {
    (word % TICKET / SLOT) as usize
}

fn tickets(word: u64) -> usize {
    (word / TICKET) as usize
}

/// When those who wait get slots: when half of them are free, but before a worker lacks a task.
fn low(limit: usize, workers: usize) -> usize {
    (limit / 2).max(workers).min(limit - 1)
}

/// Who is to be woken, once no lock is held.
#[must_use = "they wait"]
pub(crate) struct Wakers(Vec<Waker>);

impl Wakers {
    pub(crate) fn wake(self) {
        for waker in self.0 {
            // A waker's code is its runtime's: one that panics keeps nobody else asleep.
            shielded(|| waker.wake());
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    Slot,
    End,
}

/// Waits for a slot or for the end. A slot that it has been given and nobody has seen goes to the
/// next in line when it is dropped.
#[derive(Debug)]
pub(crate) struct Wait<'a> {
    slots: &'a Slots,
    what: For,
    /// Its number in the line, while it waits.
    number: Option<u64>,
}

impl<'a> Wait<'a> {
    fn new(slots: &'a Slots, what: For) -> Self {
        Self {
            slots,
            what,
            number: None,
        }
    }

    fn at_once(&self) -> bool {
        match self.what {
            For::Slot => self.slots.try_take(),
            For::End => self.slots.outstanding() == 0,
        }
    }
}

impl Line {
    fn of(&mut self, what: For) -> &mut VecDeque<(u64, Option<Waker>)> {
        match what {
            For::Slot => &mut self.slots,
            For::End => &mut self.ends,
        }
    }

    /// Puts one more at the end, and returns its number.
    fn join(&mut self, what: For, waker: Option<Waker>) -> u64 {
        self.last += 1;
        let number = self.last;
        self.of(what).push_back((number, waker));
        number
    }

    /// Where it stands, if it still does.
    fn place(&mut self, what: For, number: u64) -> Option<usize> {
        let find = self
            .of(what)
            .binary_search_by_key(&number, |(other, _)| *other);
        find.ok()
    }
}

impl Future for Wait<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let what = self.what;
        if self.number.is_none() && (self.at_once() || park::glance(|| self.at_once())) {
            return Poll::Ready(());
        }
        // Made before the lock and dropped after it: a waker's code is its runtime's.
        let mut waker = Some(context.waker().clone());
        let mut line = self.slots.line.lock();
        // Nobody before it waits for a slot, whoever waits for the end.
        let mut is_first = false;
        if self.number.is_none() {
            is_first = what == For::Slot && line.slots.is_empty();
            self.number = Some(line.join(what, waker.take()));
            // From here on who gives a slot back comes to settle, and what was given back before
            // is given on now.
            self.slots.word.fetch_or(AWAITED, Ordering::AcqRel);
        }
        let wakers = self.slots.settle(&mut line, is_first);
        let place = self.number.and_then(|number| line.place(what, number));
        if let (Some(place), true) = (place, waker.is_some()) {
            std::mem::swap(&mut line.of(what)[place].1, &mut waker);
        }
        drop(line);
        wakers.wake();
        if place.is_some() {
            Poll::Pending
        } else {
            self.number = None;
            Poll::Ready(())
        }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let mut line = self.slots.line.lock();
        let gone = match line.place(self.what, number) {
            Some(place) => line.of(self.what).remove(place),
            None => None,
        };
        // Whoever is last in line takes the mark off.
        let wakers = self.slots.settle(&mut line, false);
        drop(line);
        wakers.wake();
        if gone.is_none() && self.what == For::Slot {
            self.slots.give_back().wake();
        }
    }
}
