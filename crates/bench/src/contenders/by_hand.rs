//! Threads that take boxed jobs from a channel.

use std::thread;

use super::answering::Execute;

type Boxed = Box<dyn FnOnce() + Send>;

/// What is used of a channel for many senders and many receivers.
pub trait Channel: Send + Sync {
    type Sender: Sync + 'static;
    type Receiver: Send + Clone + 'static;

    /// Whether a sender to a full channel can wait by suspending.
    const SUSPENDS: bool;

    fn unbounded() -> (Self::Sender, Self::Receiver);
    fn bounded(capacity: usize) -> (Self::Sender, Self::Receiver);
    fn receive(receiver: &Self::Receiver) -> Option<Boxed>;
    /// Sends to an unbounded channel.
    fn send(sender: &Self::Sender, job: Boxed);
    /// Sends to a bounded one.
    async fn send_in_turn(sender: &Self::Sender, job: Boxed);
}

pub struct ByHand<C: Channel> {
    sender: C::Sender,
}

impl<C: Channel> ByHand<C> {
    fn start(threads: usize, (sender, receiver): (C::Sender, C::Receiver)) -> Self {
        for _ in 0..threads {
            let receiver = receiver.clone();
            thread::spawn(move || {
                while let Some(job) = C::receive(&receiver) {
                    job();
                }
            });
        }
        Self { sender }
    }
}

impl<C: Channel + 'static> Execute for ByHand<C> {
    const LIMITS: bool = C::SUSPENDS;

    fn open(threads: usize) -> Self {
        Self::start(threads, C::unbounded())
    }

    fn execute<F: FnOnce() + Send + 'static>(&self, job: F) {
        C::send(&self.sender, Box::new(job));
    }

    fn open_limited(threads: usize, in_flight: usize) -> Self {
        if C::SUSPENDS {
            // What a thread has taken is in flight, too.
            Self::start(threads, C::bounded(in_flight - threads))
        } else {
            Self::open(threads)
        }
    }

    async fn execute_in_turn<F: FnOnce() + Send + 'static>(&self, job: F) {
        C::send_in_turn(&self.sender, Box::new(job)).await;
    }
}

pub struct Crossbeam;

impl Channel for Crossbeam {
    type Sender = crossbeam_channel::Sender<Boxed>;
    type Receiver = crossbeam_channel::Receiver<Boxed>;

    const SUSPENDS: bool = false;

    fn unbounded() -> (Self::Sender, Self::Receiver) {
        crossbeam_channel::unbounded()
    }

    fn bounded(capacity: usize) -> (Self::Sender, Self::Receiver) {
        crossbeam_channel::bounded(capacity)
    }

    fn receive(receiver: &Self::Receiver) -> Option<Boxed> {
        receiver.recv().ok()
    }

    fn send(sender: &Self::Sender, job: Boxed) {
        sender.send(job).expect("no threads");
    }

    async fn send_in_turn(sender: &Self::Sender, job: Boxed) {
        Self::send(sender, job);
    }
}

pub struct Kanal;

impl Channel for Kanal {
    type Sender = kanal::Sender<Boxed>;
    type Receiver = kanal::Receiver<Boxed>;

    const SUSPENDS: bool = true;

    fn unbounded() -> (Self::Sender, Self::Receiver) {
        kanal::unbounded()
    }

    fn bounded(capacity: usize) -> (Self::Sender, Self::Receiver) {
        kanal::bounded(capacity)
    }

    fn receive(receiver: &Self::Receiver) -> Option<Boxed> {
        receiver.recv().ok()
    }

    fn send(sender: &Self::Sender, job: Boxed) {
        sender.send(job).expect("no threads");
    }

    async fn send_in_turn(sender: &Self::Sender, job: Boxed) {
        sender.as_async().send(job).await.expect("no threads");
    }
}

pub struct Async;

impl Channel for Async {
    type Sender = async_channel::Sender<Boxed>;
    type Receiver = async_channel::Receiver<Boxed>;

    const SUSPENDS: bool = true;

    fn unbounded() -> (Self::Sender, Self::Receiver) {
        async_channel::unbounded()
    }

    fn bounded(capacity: usize) -> (Self::Sender, Self::Receiver) {
        async_channel::bounded(capacity)
    }

    fn receive(receiver: &Self::Receiver) -> Option<Boxed> {
        receiver.recv_blocking().ok()
    }

    fn send(sender: &Self::Sender, job: Boxed) {
        sender.try_send(job).expect("no threads");
    }

    async fn send_in_turn(sender: &Self::Sender, job: Boxed) {
        sender.send(job).await.expect("no threads");
    }
}
