//! The contenders, by their names.

mod affinitypool;
mod answering;
mod blocking;
mod by_hand;
mod executors;
mod hubpool;
mod rayon;
mod threadpool;
mod tokio;

use answering::Answering;
use by_hand::{Async, ByHand, Crossbeam, Kanal};

use crate::rows::{Sampler, sample};

/// What samples this contender.
pub fn sampler(name: &str) -> Sampler {
    match name {
        "hubpool" => sample::<hubpool::Hubpool>,
        "tokio" => sample::<tokio::Tokio>,
        "blocking" => sample::<blocking::Blocking>,
        "rayon" => sample::<Answering<rayon::Rayon>>,
        "affinitypool" => sample::<affinitypool::Affinitypool>,
        "threadpool" => sample::<Answering<threadpool::Threadpool>>,
        "executors" => sample::<Answering<executors::Executors>>,
        "crossbeam-channel" => sample::<Answering<ByHand<Crossbeam>>>,
        "kanal" => sample::<Answering<ByHand<Kanal>>>,
        "async-channel" => sample::<Answering<ByHand<Async>>>,
        _ => panic!("there is no contender {name}"),
    }
}
