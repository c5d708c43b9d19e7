//! Simple models of a pool and of a batch, each driven beside the real one.
//!
//! One thread plays the hub and all workers. The steps come as bytes, from proptest or from a
//! fuzzer; a difference panics.

use std::collections::VecDeque;
use std::time::Duration;

use hubpool::binding::{Batch, Closed, Next, Order, Pool, Rings, Taken, Worker};

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
                let pressed = self.retire_to < usize::MAX || !self.queue.is_empty();
                assert_eq!(pool.pressed(0), pressed);
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

/// Whatever the order of feeding, claiming, finishing, reading and cancelling: each item comes
/// out once, in the batch's order, never more than the limit is running or unread, and
/// at most one ticket waits for its worker.
pub fn drive_batch(order: Order, limit: Option<usize>, steps: &[u8]) {
    let quiet = |_: Rings| ();
    let batch = Batch::new(order, limit);
    let (mut fed, mut withdrawn, mut tickets) = (0_usize, 0, 0);
    let mut running: Vec<usize> = Vec::new();
    let (mut finished, mut out) = (Vec::new(), Vec::new());
    // The steps, then as many as it takes to empty the batch.
    let rest = std::iter::repeat_n([1, 2, 3], steps.len().max(1)).flatten();
    for step in steps.iter().map(|step| step % 6).chain(rest) {
        match step {
            0 if withdrawn == 0 => {
                tickets += batch.feed([fed], WORKERS);
                fed += 1;
            }
            1 if tickets > 0 => {
                tickets -= 1;
                if let Some(claim) = batch.claim(WORKERS, quiet) {
                    assert_eq!(claim.index, claim.item);
                    tickets += claim.tickets;
                    running.push(claim.index);
                }
            }
            2 if !running.is_empty() => {
                // The newest claim finishes first.
                let index = running.pop().unwrap();
                finished.push(index);
                if let Some(claim) = batch.complete_and_claim(index, index, WORKERS, quiet) {
                    running.push(claim.index);
                    tickets += claim.tickets;
                }
            }
            3 => {
                let (taken, more) = batch.take(limit.is_none(), WORKERS);
                tickets += more;
                if let Taken::Ready(results) = taken {
                    out.extend(results);
                }
            }
            4 if fed > 20 => withdrawn += batch.cancel().0.len(),
            5 if !running.is_empty() => {
                // A worker lets others go first, and comes back with its ticket.
                let index = running.remove(0);
                finished.push(index);
                batch.complete(index, index, quiet);
                batch.drop_ticket(quiet);
            }
            _ => {}
        }
        assert!(tickets <= 1 && tickets + running.len() <= WORKERS);
        if let Some(limit) = limit {
            // A reader that waits counts as having taken one.
            assert!(running.len() + finished.len() - out.len() <= limit + 1);
        }
    }
    // Who drops a ticket has said so to the pool, which may not have asked for another.
    loop {
        tickets += batch.feed([], WORKERS);
        if tickets == 0 && running.is_empty() {
            break;
        }
        while tickets > 0 {
            tickets -= 1;
            if let Some(claim) = batch.claim(WORKERS, quiet) {
                tickets += claim.tickets;
                running.push(claim.index);
            }
        }
        while let Some(index) = running.pop() {
            finished.push(index);
            batch.complete(index, index, quiet);
            batch.drop_ticket(quiet);
            let (taken, more) = batch.take(limit.is_none(), WORKERS);
            tickets += more;
            if let Taken::Ready(results) = taken {
                out.extend(results);
            }
        }
    }
    let _ = batch.exhaust();
    while let (Taken::Ready(results), _) = batch.take(true, WORKERS) {
        out.extend(results);
    }
    assert_eq!(batch.take(true, WORKERS).0, Taken::End);
    assert!(batch.at_rest());
    assert_eq!(batch.idle_tickets(), 0);
    if order == Order::Input {
        assert_eq!(out, (0..fed - withdrawn).collect::<Vec<_>>());
    } else {
        assert_eq!(out, finished);
    }
}
