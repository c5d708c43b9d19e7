//! Random steps on a pool and on a batch, beside simple models of them.

mod model;

use hubpool::binding::Order;
use proptest::prelude::*;

proptest! {
    #[test]
    fn the_queue_is_first_in_first_out_and_workers_leave_only_when_asked(
        steps in proptest::collection::vec(any::<u8>(), 0..160),
    ) {
        model::drive_pool(&steps);
    }

    #[test]
    fn every_item_comes_out_once(
        ordered: bool,
        limit in proptest::option::of(1..4_usize),
        steps in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let order = if ordered { Order::Input } else { Order::Completion };
        model::drive_batch(order, limit, &steps);
    }
}
