//! Simple models of a pool and of a batch, each driven beside the real one.
//!
//! One thread plays the hub and all workers. The steps come as bytes, from proptest or from a
//! fuzzer; a difference panics.

use std::collections::VecDeque;
use std::time::Duration;

use hubpool::binding::{Batch, Closed, Hand, Next, Order, Pool, Progress, Rings, Taken, Worker};

/// What a pool should be: a queue and some numbers.
struct Model {
    queue: VecDeque<u32>,
    workers: usize,
    maxsize: usize,
    shrink: Option<usize>,
    retire_to: usize,
    closed: bool,
    /// Whether the worker that asks has ever got a job.
    served: bool,
}

impl Model {
    fn must_exit(&self) -> bool {
        let idle = self.queue.is_empty();
        let over = self.workers > self.maxsize && (idle || self.workers > self.maxsize.max(1));
        let shrinks = self.shrink.is_some_and(|size| self.workers > size);
        let retires = self.workers > self.retire_to
            && (idle || self.served)
            && (idle || self.workers > 1 || !(self.closed || self.shrink.is_some()));
        over || retires || (idle && (self.closed || shrinks))
    }

    fn lose_a_worker(&mut self) {
        self.workers -= 1;
        self.settle_shrink();
    }

    fn settle_shrink(&mut self) {
        let reached = self.shrink.is_some_and(|size| self.workers <= size);
        if reached && (self.shrink != Some(0) || self.queue.is_empty()) {
            self.shrink = None;
        }
    }

    /// Changes how many workers there are, or may be.
    fn resize(&mut self, pool: &Pool<u32>, how: u8, size: usize) {
        self.change_size(pool, how, size);
        let crowded = self.workers > self.maxsize.max(1);
        let retires = self.retire_to < usize::MAX;
        let pressed = crowded || retires || !self.queue.is_empty();
        assert_eq!(pool.pressed(0), pressed);
    }

    fn change_size(&mut self, pool: &Pool<u32>, how: u8, size: usize) {
        match how {
            8 => {
                pool.register();
                self.workers += 1;
            }
            9 => {
                let wanted =
                    self.workers < self.maxsize && self.workers < self.queue.len().max(size);
                assert_eq!(
                    pool.wants_worker(size.saturating_sub(pool.queued())),
                    wanted
                );
                let tasks = self.queue.len() + 1;
                let recruited = !self.closed && self.workers < self.maxsize && self.workers < tasks;
                assert_eq!(pool.recruit(1), recruited);
                self.workers += usize::from(recruited);
                pool.finish(usize::from(recruited));
            }
            10 => {
                pool.set_maxsize(size);
                self.maxsize = size;
            }
            11 => {
                pool.shrink_to(size);
                self.shrink = Some(size);
                self.settle_shrink();
                if size == 3 {
                    pool.stop_shrinking();
                    self.shrink = None;
                }
            }
            _ => {
                self.retire_to = if size == 3 { usize::MAX } else { size };
                pool.retire_to(self.retire_to);
            }
        }
    }
}

/// The queue is first in, first out; each job leaves it once, and a closed pool takes none;
/// workers end when they are asked to, and no others do.
pub fn drive_pool(steps: &[u8]) {
    let pool = Pool::new(2);
    let worker = Worker::new();
    let mut model = Model {
        queue: VecDeque::new(),
        workers: 0,
        maxsize: 2,
        shrink: None,
        retire_to: usize::MAX,
        closed: false,
        served: false,
    };
    let mut number = 0;
    // In the end all is taken out.
    for step in steps.iter().copied().chain([14]) {
        let size = usize::from(step >> 4) % 4;
        match step & 15 {
            0..=3 => {
                number += 1;
                pool.begin(1);
                let taken = pool.submit(number);
                if model.closed {
                    assert_eq!(taken, Err(Closed(number)));
                    pool.finish(1);
                } else {
                    assert_eq!(taken, Ok(model.workers > 0));
                    model.queue.push_back(number);
                }
            }
            4..=6 if model.workers > 0 => {
                let next = pool.next(&worker, Some(Duration::ZERO));
                if model.must_exit() {
                    assert_eq!(next, Next::Exit);
                    model.lose_a_worker();
                } else if let Some(job) = model.queue.pop_front() {
                    assert_eq!(next, Next::Job(job));
                    model.served = true;
                    pool.finish(1);
                } else {
                    assert_eq!(next, Next::Expired);
                    model.lose_a_worker();
                }
            }
            7 if model.workers > 0 => {
                let exits = model.must_exit();
                let job = (!exits).then(|| model.queue.pop_front()).flatten();
                model.served |= job.is_some();
                assert_eq!(pool.try_next(&worker), job);
                pool.finish(usize::from(job.is_some()));
            }
            8..=12 => model.resize(&pool, step & 15, size),
            13 => {
                let wanted = model
                    .queue
                    .iter()
                    .rposition(|job| job % 4 == u32::from(step >> 4));
                let job = wanted.and_then(|place| model.queue.remove(place));
                model.settle_shrink();
                assert_eq!(pool.withdraw(|job| job % 4 == u32::from(step >> 4)), job);
                pool.finish(usize::from(job.is_some()));
            }
            14 => {
                let queue = pool.take_queue();
                assert_eq!(queue, model.queue);
                pool.finish(queue.len());
                model.queue.clear();
                model.settle_shrink();
            }
            15 if step == 255 => {
                pool.close();
                model.closed = true;
            }
            _ => {}
        }
        assert_eq!(pool.queued(), model.queue.len());
        assert_eq!(pool.unfinished(), model.queue.len());
        assert_eq!(pool.workers(), model.workers);
        assert_eq!(pool.maxsize(), model.maxsize);
        assert_eq!(pool.idle(), 0);
    }
}

/// The most workers of a batch.
const WORKERS: usize = 3;

/// Whatever the order of feeding, claiming one or several, finishing, reading and cancelling: each
/// item comes out once, in the batch's order, never more than the limit is running or unread, and
/// at most one ticket waits for its worker.
pub fn drive_batch(order: Order, limit: Option<usize>, steps: &[u8]) {
    let mut model = BatchModel {
        batch: Batch::new(order, limit),
        fed: 0,
        cancelled: false,
        withdrawn: 0,
        tickets: 0,
        running: Vec::new(),
        finished: Vec::new(),
        out: Vec::new(),
    };
    // The steps, then as many as it takes to empty most of the batch.
    let rest = std::iter::repeat_n([1, 2, 3], steps.len().max(1)).flatten();
    for step in steps.iter().map(|step| step % 9).chain(rest) {
        model.step(step);
        assert!(model.tickets <= 1 && model.tickets + model.running.len() <= WORKERS);
        let Progress {
            claimed, running, ..
        } = model.batch.progress();
        assert_eq!(claimed, running + model.finished.len());
        if let Some(limit) = limit {
            // A reader that waits counts as having taken one.
            assert!(claimed - model.out.len() <= limit + 1);
        }
    }
    model.empty();
    let BatchModel { batch, out, .. } = model;
    assert_eq!(batch.take(true, WORKERS).0, Taken::End);
    assert!(batch.at_rest());
    assert_eq!(batch.idle_tickets(), 0);
    if order == Order::Input {
        assert_eq!(out, (0..model.fed - model.withdrawn).collect::<Vec<_>>());
    } else {
        assert_eq!(out, model.finished);
    }
}

/// A batch, and what has been done with it.
struct BatchModel {
    batch: Batch<usize, usize>,
    fed: usize,
    cancelled: bool,
    withdrawn: usize,
    tickets: usize,
    running: Vec<AtWork>,
    finished: Vec<usize>,
    out: Vec<usize>,
}

/// A worker, and what it has claimed. The result of an item is the item.
struct AtWork {
    first: usize,
    item: Option<usize>,
    /// `None` for one that claims one at a time.
    hand: Option<Hand<usize>>,
    results: Vec<usize>,
}

impl AtWork {
    /// Runs its item, and takes the next one.
    fn step(&mut self) {
        self.results.extend(self.item.take());
        self.item = self.hand.as_ref().and_then(Hand::take);
    }

    fn run(&mut self) {
        while self.item.is_some() {
            self.step();
        }
        let places = self.first..self.first + self.results.len();
        assert!(self.results.iter().copied().eq(places));
    }
}

fn quiet(_: Rings) {}

impl BatchModel {
    fn step(&mut self, step: u8) {
        match step {
            0 => self.feed(1),
            6 => self.feed(5),
            1 if self.tickets > 0 => self.claim(None),
            7 if self.tickets > 0 => self.claim(Some(Hand::new())),
            2 if !self.running.is_empty() => {
                // The newest one finishes first.
                let done = self.running.pop().unwrap();
                self.go_on(done);
            }
            8 if !self.running.is_empty() => self.running[0].step(),
            3 => self.read(),
            4 if self.fed > 20 => self.cancel(),
            5 if !self.running.is_empty() => {
                // A worker lets others go first, and comes back with its ticket.
                let done = self.running.remove(0);
                self.give_up(done);
            }
            _ => {}
        }
    }

    fn cancel(&mut self) {
        self.cancelled = true;
        let drained = self.batch.is_drained();
        let (items, _) = self.batch.cancel();
        assert_eq!(items.is_none(), drained);
        self.withdrawn += items.map_or(0, |items| items.len());
    }

    fn feed(&mut self, count: usize) {
        // Nothing follows what has been cancelled.
        if !self.cancelled {
            let items = self.fed..self.fed + count;
            self.tickets += self.batch.feed(items, WORKERS);
            self.fed += count;
        }
    }

    /// A worker comes with a ticket.
    fn claim(&mut self, hand: Option<Hand<usize>>) {
        self.tickets -= 1;
        if let Some(hand) = hand {
            self.claim_several(0, Vec::new(), hand);
        } else if let Some(claim) = self.batch.claim(WORKERS, quiet) {
            self.start(claim.index, claim.item, claim.tickets, None);
        }
    }

    /// A worker runs its claim to the end, records it, and claims more.
    fn go_on(&mut self, mut done: AtWork) {
        done.run();
        self.finished.extend(&done.results);
        if let Some(hand) = done.hand {
            self.claim_several(done.first, done.results, hand);
        } else {
            let (place, result) = (done.first, done.results[0]);
            let claim = self.batch.complete_and_claim(place, result, WORKERS, quiet);
            if let Some(claim) = claim {
                self.start(claim.index, claim.item, claim.tickets, None);
            }
        }
    }

    fn claim_several(&mut self, first: usize, mut done: Vec<usize>, hand: Hand<usize>) {
        let several =
            self.batch
                .complete_and_claim_several((first, &mut done), (3, &hand), WORKERS, quiet);
        assert!(done.is_empty());
        if let Some(several) = several {
            self.start(several.first, several.item, several.tickets, Some(hand));
        }
    }

    fn start(&mut self, first: usize, item: usize, tickets: usize, hand: Option<Hand<usize>>) {
        assert_eq!(first, item);
        self.tickets += tickets;
        self.running.push(AtWork {
            first,
            item: Some(item),
            hand,
            results: Vec::new(),
        });
    }

    /// Reads one result by itself, or all that there are.
    fn read(&mut self) {
        let mut results = VecDeque::new();
        self.tickets += if self.out.len().is_multiple_of(2) {
            self.batch.take_into(&mut results, WORKERS).1
        } else {
            let (taken, tickets) = self.batch.take(false, WORKERS);
            if let Taken::Ready(taken) = taken {
                results.extend(taken);
            }
            tickets
        };
        self.out.extend(results);
    }

    /// A worker runs its claim to the end, records it, and drops its ticket.
    fn give_up(&mut self, mut done: AtWork) {
        done.run();
        self.finished.extend(&done.results);
        if let Some(hand) = &done.hand {
            let results = (done.first, &mut done.results);
            self.batch.complete_several(results, hand, quiet);
        } else {
            self.batch.complete(done.first, done.results[0], quiet);
        }
        self.batch.drop_ticket(quiet);
    }

    /// Works and reads until nothing is left.
    fn empty(&mut self) {
        // Who drops a ticket has said so to the pool, which may not have asked for another.
        loop {
            let read = self.out.len();
            self.read();
            self.tickets += self.batch.feed([], WORKERS);
            if self.tickets == 0 && self.running.is_empty() && self.out.len() == read {
                break;
            }
            while self.tickets > 0 {
                self.step(1);
            }
            while let Some(done) = self.running.pop() {
                self.give_up(done);
            }
        }
        let _ = self.batch.exhaust();
    }
}
