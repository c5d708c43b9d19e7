//! A batch, step by step.

use std::collections::VecDeque;

use hubpool::binding::{Batch, Order, Rings, Several, Taken, TakenInto};

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

#[test]
fn who_claims_several_leaves_half_for_others_and_their_results_come_in_order() {
    let batch = Batch::new(Order::Input, None);
    assert_eq!(batch.feed(0..10, WORKERS), 1);
    let (mut items, mut results) = (Vec::new(), Vec::new());
    let claim = |results: &mut Vec<u32>, first, items: &mut Vec<u32>, most| {
        batch.complete_and_claim_several((first, results), (most, items), WORKERS, quiet)
    };
    let first = claim(&mut results, 0, &mut items, 8);
    assert_eq!(
        first,
        Some(Several {
            first: 0,
            tickets: 1
        })
    );
    assert_eq!(items, [0, 1, 2, 3, 4]);
    // Another worker comes with the ticket, and is the faster one.
    let (mut others, mut done) = (Vec::new(), Vec::new());
    let second = claim(&mut done, 0, &mut others, 2);
    assert_eq!(
        second,
        Some(Several {
            first: 5,
            tickets: 1
        })
    );
    done.append(&mut others);
    batch.complete_several(5, &mut done, quiet);
    let mut read = VecDeque::new();
    assert_eq!(batch.take_into(&mut read, WORKERS).0, TakenInto::Pending);
    results.append(&mut items);
    let third = claim(&mut results, 0, &mut items, 8);
    assert_eq!((third.unwrap().first, &items[..]), (7, &[7, 8][..]));
    assert!(results.is_empty() && done.is_empty());
    assert_eq!(batch.take_into(&mut read, WORKERS).0, TakenInto::Ready);
    assert_eq!(read, (0..7).collect::<Vec<_>>());
}

#[test]
fn several_claims_give_each_ticket_back_once_and_tell_the_reader_of_the_end() {
    let batch = Batch::new(Order::Completion, None);
    let mut tickets = batch.feed(0..100, WORKERS);
    let _ = batch.exhaust();
    let mut read = VecDeque::new();
    assert_eq!(batch.take_into(&mut read, WORKERS).0, TakenInto::Pending);
    let (mut items, mut results) = (Vec::new(), Vec::new());
    let mut rung = Rings::default();
    while tickets > 0 {
        tickets -= 1;
        let mut first = 0;
        while let Some(several) = batch.complete_and_claim_several(
            (first, &mut results),
            (7, &mut items),
            WORKERS,
            |rings| rung = rings,
        ) {
            tickets += several.tickets;
            first = several.first;
            results.append(&mut items);
        }
    }
    assert!(rung.rest && batch.at_rest() && batch.idle_tickets() == 0);
    assert_eq!(batch.take_into(&mut read, WORKERS).0, TakenInto::Ready);
    assert_eq!(read, (0..100).collect::<Vec<_>>());
    assert_eq!(batch.take_into(&mut read, WORKERS).0, TakenInto::End);
}
