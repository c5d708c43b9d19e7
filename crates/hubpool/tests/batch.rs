//! A batch, step by step.

use std::collections::VecDeque;

use hubpool::binding::{Batch, Hand, Order, Rings, Several, Taken, TakenInto};

/// The most workers that share a batch.
const WORKERS: usize = 3;

fn quiet(_: Rings) {}

#[test]
fn results_in_input_order_wait_for_the_first() {
    let batch = Batch::new(Order::Input, None);
    assert_eq!(batch.feed([10, 20], WORKERS), 1);
    let first = batch.claim(WORKERS, quiet).unwrap();
    assert_eq!(first.tickets, 1);
    let second = batch.claim(WORKERS, quiet).unwrap();
    assert_eq!(second.tickets, 0);
    batch.complete(second.index, second.item, quiet);
    assert_eq!(batch.take(true, WORKERS).0, Taken::Pending);
    let mut told = Rings::default();
    batch.complete(first.index, first.item, |rings| told = rings);
    assert!(told.reader);
    assert_eq!(batch.take(true, WORKERS).0, Taken::Ready(vec![10, 20]));
}

#[test]
fn a_limit_stops_claims_until_the_reader_takes() {
    let batch = Batch::new(Order::Completion, Some(1));
    let mut tickets = batch.feed([1, 2, 3], WORKERS);
    assert_eq!(tickets, 1);
    let claim = batch.claim(WORKERS, quiet).unwrap();
    let mut told = Rings::default();
    assert!(
        batch
            .complete_and_claim(claim.index, claim.item, WORKERS, |rings| told = rings)
            .is_none()
    );
    assert!(told.rest && batch.at_rest());
    let taken;
    (taken, tickets) = batch.take(false, WORKERS);
    assert_eq!((taken, tickets), (Taken::Ready(vec![1]), 1));
}

#[test]
fn the_end_comes_after_the_last_result() {
    let batch = Batch::new(Order::Input, None);
    let _ = batch.feed([7], 1);
    assert_eq!(batch.take_whole(), Taken::Pending);
    let claim = batch.claim(WORKERS, quiet).unwrap();
    assert!(!batch.exhaust().reader);
    let mut told = Rings::default();
    assert!(
        batch
            .complete_and_claim(claim.index, claim.item, WORKERS, |rings| told = rings)
            .is_none()
    );
    assert!(told.reader && told.rest);
    assert_eq!(batch.take(true, 1).0, Taken::Ready(vec![7]));
    assert_eq!(batch.take(true, 1).0, Taken::End);
}

#[test]
fn who_waits_for_the_whole_is_told_of_the_first_failure_in_order() {
    let batch = Batch::new(Order::Input, None);
    let _ = batch.feed([0, 1, 2], WORKERS);
    let claims: Vec<_> = (0..3)
        .map(|_| batch.claim(WORKERS, quiet).unwrap())
        .collect();
    assert_eq!(batch.take_whole(), Taken::Pending);
    let mut told = Rings::default();
    batch.fail();
    batch.complete(claims[1].index, 1, |rings| told = rings);
    assert!(!told.reader, "an item before the failure is still running");
    batch.complete(claims[0].index, 0, |rings| told = rings);
    assert!(told.reader && batch.failed());
    assert!(!batch.exhaust().reader);
    assert_eq!(
        batch.take_whole(),
        Taken::Pending,
        "it is to be read on in order"
    );
    assert_eq!(batch.take(true, WORKERS).0, Taken::Ready(vec![0, 1]));
}

#[test]
fn a_limit_leaves_room_for_as_many_items_as_may_be_unread() {
    let batch = Batch::new(Order::Completion, Some(2));
    assert_eq!((batch.room(1), batch.room(9)), (1, 2));
    let _ = batch.feed([1, 2], WORKERS);
    assert_eq!(batch.room(9), 0);
    assert!(batch.await_room(9), "few are pending, but there is no room");
    let claim = batch.claim(WORKERS, quiet).unwrap();
    batch.complete(claim.index, claim.item, quiet);
    assert_eq!(batch.room(9), 0, "an unread result takes room, too");
    assert_eq!(batch.take(true, WORKERS).0, Taken::Ready(vec![1]));
    assert!(!batch.await_room(9));
    assert_eq!(batch.take(true, WORKERS).0, Taken::Pending);
    assert_eq!(batch.room(9), 2, "a reader that waits makes room");
    assert_eq!(Batch::<u8, u8>::new(Order::Input, None).room(9), 9);
}

#[test]
fn a_visit_shows_what_waits_and_what_has_not_been_read() {
    let batch = Batch::new(Order::Input, None);
    let _ = batch.feed([1, 2, 3, 4], WORKERS);
    let claims = [(); 2].map(|()| batch.claim(WORKERS, quiet).unwrap());
    batch.complete(claims[1].index, 20, quiet);
    let (mut items, mut results) = (Vec::new(), Vec::new());
    let visited: Result<(), ()> = batch.visit(
        |item| {
            items.push(*item);
            Ok(())
        },
        |result| {
            results.push(*result);
            Ok(())
        },
    );
    assert_eq!((visited, items, results), (Ok(()), vec![3, 4], vec![20]));
    assert_eq!(batch.visit(|_| Err("stop"), |_| Ok(())), Err("stop"));
}

#[test]
fn the_feeder_is_told_once_when_there_is_room() {
    let batch = Batch::new(Order::Input, None);
    let _ = batch.feed([1, 2, 3], 1);
    assert!(batch.await_room(1));
    let claim = batch.claim(WORKERS, |_| panic!("two are pending")).unwrap();
    let mut told = 0;
    batch.complete_and_claim(claim.index, claim.item, WORKERS, |rings| {
        told += u32::from(rings.feeder);
    });
    assert_eq!(told, 1);
    assert!(!batch.await_room(1));
}

/// A worker that claims several items, whose results are the items.
struct Claimer<'a> {
    batch: &'a Batch<usize, usize>,
    hand: Hand<usize>,
    first: usize,
    item: Option<usize>,
    results: Vec<usize>,
}

impl<'a> Claimer<'a> {
    fn new(batch: &'a Batch<usize, usize>) -> Self {
        Self {
            batch,
            hand: Hand::new(),
            first: 0,
            item: None,
            results: Vec::new(),
        }
    }

    /// Records its results, and claims. Returns the place of the first and the tickets.
    fn claim(&mut self, most: usize, ring: impl FnOnce(Rings)) -> Option<(usize, usize)> {
        let done = (self.first, &mut self.results);
        let claim = (most, &self.hand);
        let several = self
            .batch
            .complete_and_claim_several(done, claim, WORKERS, ring);
        assert!(self.results.is_empty());
        let Several {
            first,
            item,
            tickets,
        } = several?;
        self.first = first;
        self.item = Some(item);
        Some((first, tickets))
    }

    /// Runs the item that it is at, and takes the next one.
    fn step(&mut self) {
        self.results.extend(self.item.take());
        self.item = self.hand.take();
    }

    fn run(&mut self) {
        while self.item.is_some() {
            self.step();
        }
    }
}

#[test]
fn who_claims_several_leaves_half_for_others_and_their_results_come_in_order() {
    let batch = Batch::new(Order::Input, None);
    assert_eq!(batch.feed(0..10, WORKERS), 1);
    let (mut one, mut other) = (Claimer::new(&batch), Claimer::new(&batch));
    assert_eq!(one.claim(8, quiet), Some((0, 1)));
    // Another worker comes with the ticket, and is the faster one.
    assert_eq!(other.claim(2, quiet), Some((5, 1)));
    other.run();
    assert_eq!(other.results, [5, 6]);
    batch.complete_several((5, &mut other.results), &other.hand, quiet);
    let mut read = VecDeque::new();
    assert_eq!(batch.take_into(&mut read, WORKERS).0, TakenInto::Pending);
    one.run();
    assert_eq!(one.results, [0, 1, 2, 3, 4]);
    assert_eq!(one.claim(8, quiet), Some((7, 0)));
    one.run();
    assert_eq!(one.results, [7, 8]);
    assert_eq!(batch.take_into(&mut read, WORKERS).0, TakenInto::Ready);
    assert_eq!(read, (0..7).collect::<Vec<_>>());
}

#[test]
fn who_finds_nothing_left_steals_what_stands_behind_a_long_item() {
    let batch = Batch::new(Order::Input, None);
    assert_eq!(batch.feed(0..14, WORKERS), 1);
    let _ = batch.exhaust();
    let [mut long, mut other, mut third] = [(); 3].map(|()| Claimer::new(&batch));
    assert_eq!(long.claim(64, quiet), Some((0, 1)));
    assert!(!batch.is_drained());
    // The others run all that is pending, and what the first one has in its hand.
    let mut tickets = 1;
    let mut claims = Vec::new();
    for worker in [&mut other, &mut third] {
        assert_eq!(tickets, 1, "nobody calls the next one");
        let claim = worker.claim(64, quiet).unwrap();
        claims.push(claim.0);
        tickets = claim.1;
    }
    assert_eq!((claims, tickets), (vec![7, 11], 0));
    other.run();
    assert_eq!(other.claim(64, quiet), Some((13, 0)));
    assert!(batch.is_drained());
    other.run();
    let stolen: Vec<_> = std::iter::from_fn(|| {
        let claim = other.claim(64, quiet)?;
        other.run();
        Some(claim.0)
    })
    .collect();
    assert_eq!(stolen, [4, 2, 1, 12]);
    third.run();
    assert_eq!(third.results, [11]);
    assert_eq!(third.claim(64, quiet), None);
    long.run();
    assert_eq!(long.results, [0]);
    assert_eq!(long.claim(64, quiet), None);
    let mut read = VecDeque::new();
    assert_eq!(batch.take_into(&mut read, WORKERS).0, TakenInto::Ready);
    assert_eq!(read, (0..14).collect::<Vec<_>>());
    assert_eq!(batch.take_into(&mut read, WORKERS).0, TakenInto::End);
    assert!(batch.at_rest() && batch.idle_tickets() == 0);
}

#[test]
fn a_worker_is_called_for_what_stands_in_a_hand_when_there_may_be_more() {
    let batch = Batch::new(Order::Completion, None);
    assert_eq!(batch.feed(0..4, 1), 1);
    let mut long = Claimer::new(&batch);
    assert_eq!(long.claim(2, quiet), Some((0, 1)));
    let mut other = Claimer::new(&batch);
    assert_eq!(other.claim(1, quiet), Some((2, 1)));
    other.run();
    assert_eq!(other.claim(1, quiet), Some((3, 0)));
    other.run();
    batch.complete_several((3, &mut other.results), &other.hand, quiet);
    batch.drop_ticket(quiet);
    batch.drop_ticket(quiet); // Of a third one, who does not come.
    assert_eq!(batch.feed([], 1), 0, "there may be no more workers");
    assert_eq!(batch.feed([], 2), 1);
}

#[test]
fn several_claims_give_each_ticket_back_once_and_tell_the_reader_of_the_end() {
    let batch = Batch::new(Order::Completion, None);
    let mut tickets = batch.feed(0..100, WORKERS);
    let _ = batch.exhaust();
    let mut read = VecDeque::new();
    assert_eq!(batch.take_into(&mut read, WORKERS).0, TakenInto::Pending);
    let mut rung = Rings::default();
    while tickets > 0 {
        tickets -= 1;
        let mut worker = Claimer::new(&batch);
        while let Some((_, more)) = worker.claim(7, |rings| rung = rings) {
            tickets += more;
            worker.run();
        }
    }
    assert!(rung.rest && batch.at_rest() && batch.idle_tickets() == 0);
    assert_eq!(batch.take_into(&mut read, WORKERS).0, TakenInto::Ready);
    assert_eq!(read, (0..100).collect::<Vec<_>>());
    assert_eq!(batch.take_into(&mut read, WORKERS).0, TakenInto::End);
}
