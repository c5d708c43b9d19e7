//! A fuzzer's steps on a pool and on a batch, beside simple models of them.
#![no_main]

#[path = "../../tests/model/mod.rs"]
mod model;

use hubpool::binding::Order;

libfuzzer_sys::fuzz_target!(|steps: &[u8]| {
    let Some((&kind, steps)) = steps.split_first() else {
        return;
    };
    let limit = usize::from(kind >> 2) % 4;
    match kind & 3 {
        0 => model::drive_batch(Order::Input, (limit > 0).then_some(limit), steps),
        1 => model::drive_batch(Order::Completion, (limit > 0).then_some(limit), steps),
        _ => model::drive_pool(steps),
    }
});
