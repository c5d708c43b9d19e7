//! Simple models of a pool and of a batch, each driven beside the real one.
//!
//! One thread plays the hub and all workers. The steps come as bytes, from proptest or from a
//! fuzzer; a difference panics.

use std::collections::VecDeque;
use std::time::Duration;

use hubpool::binding::{Batch, Claim, Closed, Next, Order, Pool, Rings, Taken, Worker};

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
        if self.shrink.is_some_and(|size| self.workers <= size) {
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
                self.shrink = (self.workers > size).then_some(size);
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
                assert_eq!(pool.withdraw(|job| job % 4 == u32::from(step >> 4)), job);
                pool.finish(usize::from(job.is_some()));
            }
            14 => {
                let queue = pool.take_queue();
                assert_eq!(queue, model.queue);
                pool.finish(queue.len());
                model.queue.clear();
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
        withdrawn: 0,
        tickets: 0,
        running: Vec::new(),
        finished: Vec::new(),
        out: Vec::new(),
    };
    // The steps, then as many as it takes to empty most of the batch.
    let rest = std::iter::repeat_n([1, 2, 3], steps.len().max(1)).flatten();
    for step in steps.iter().map(|step| step % 8).chain(rest) {
        model.step(step);
        assert!(model.tickets <= 1 && model.tickets + model.running.len() <= WORKERS);
        if let Some(limit) = limit {
            // A reader that waits counts as having taken one.
            let running: usize = model.running.iter().map(Vec::len).sum();
            assert!(running + model.finished.len() - model.out.len() <= limit + 1);
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
    withdrawn: usize,
    tickets: usize,
    /// The items of each claim that a worker is at.
    running: Vec<Vec<usize>>,
    finished: Vec<usize>,
    out: Vec<usize>,
}

fn quiet(_: Rings) {}

impl BatchModel {
    fn step(&mut self, step: u8) {
        match step {
            0 => self.feed(1),
            6 => self.feed(5),
            1 if self.tickets > 0 => {
                self.tickets -= 1;
                let claim = self.batch.claim(WORKERS, quiet);
                self.note(claim);
            }
            7 if self.tickets > 0 => {
                self.tickets -= 1;
                self.claim_several(Vec::new(), 3);
            }
            2 if !self.running.is_empty() => {
                // The newest claim finishes first.
                let done = self.running.pop().unwrap();
                self.finished.extend(&done);
                if let [index] = done[..] {
                    let claim = self.batch.complete_and_claim(index, index, WORKERS, quiet);
                    self.note(claim);
                } else {
                    self.claim_several(done, 2);
                }
            }
            3 => self.read(),
            4 if self.fed > 20 => self.withdrawn += self.batch.cancel().0.len(),
            5 if !self.running.is_empty() => {
                // A worker lets others go first, and comes back with its ticket.
                let done = self.running.remove(0);
                self.give_up(done);
            }
            _ => {}
        }
    }

    fn feed(&mut self, count: usize) {
        if self.withdrawn == 0 {
            let items = self.fed..self.fed + count;
            self.tickets += self.batch.feed(items, WORKERS);
            self.fed += count;
        }
    }

    fn note(&mut self, claim: Option<Claim<usize>>) {
        if let Some(claim) = claim {
            assert_eq!(claim.index, claim.item);
            self.tickets += claim.tickets;
            self.running.push(vec![claim.index]);
        }
    }

    /// Records what has been claimed together, and claims as many as `most` together.
    fn claim_several(&mut self, mut done: Vec<usize>, most: usize) {
        let first = done.first().copied().unwrap_or_default();
        let mut items = Vec::new();
        let claim = (most, &mut items);
        let several =
            self.batch
                .complete_and_claim_several((first, &mut done), claim, WORKERS, quiet);
        assert!(done.is_empty() && items.len() <= most);
        if let Some(several) = several {
            let places = several.first..several.first + items.len();
            assert!(!items.is_empty() && items.iter().copied().eq(places));
            self.tickets += several.tickets;
            self.running.push(items);
        }
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

    /// Records a claim's results, and drops its ticket.
    fn give_up(&mut self, mut done: Vec<usize>) {
        self.finished.extend(&done);
        self.batch.complete_several(done[0], &mut done, quiet);
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
