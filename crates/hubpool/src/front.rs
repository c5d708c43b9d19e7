//! The oldest jobs of a queue, which workers take without the lock that submitters take.
//!
//! Where jobs take 100 ns, who submits and who runs them would meet at one lock for each. So a worker
//! that comes to the queue moves it here, for itself and for all others: nothing waits behind a job
//! that turns out to be long while another worker is awake.

use std::collections::VecDeque;

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicUsize, Ordering};

/// For how many jobs the front keeps memory that it does not use: the queue behind it has some, too.
const KEPT: usize = 1024;

/// It is filled under the pool's lock, and emptied with it or without it.
// On cache lines of its own: who submits leaves them to the workers.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Front<J> {
    jobs: Mutex<VecDeque<J>>,
    /// How many they are, for those who look without the lock.
    len: AtomicUsize,
}

impl<J> Front<J> {
    pub(crate) fn new() -> Self {
        Self {
            jobs: Mutex::new(VecDeque::new()),
            len: AtomicUsize::new(0),
        }
    }

    /// How many jobs stand here. Under the pool's lock it may be too many, but not too few.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// Takes the oldest.
    pub(crate) fn take(&self) -> Option<J> {
        self.remove(VecDeque::pop_front)
    }

    /// Takes the one that `which` removes.
    pub(crate) fn remove(&self, which: impl FnOnce(&mut VecDeque<J>) -> Option<J>) -> Option<J> {
        if self.len() == 0 {
            return None;
        }
        let mut jobs = self.jobs.lock();
        let job = which(&mut jobs);
        self.publish(&jobs);
        if jobs.is_empty() && jobs.capacity() > 2 * KEPT {
            Self::shrink(&mut jobs);
        }
        job
    }

    #[cold]
    #[inline(never)]
    fn shrink(jobs: &mut VecDeque<J>) {
        jobs.shrink_to(KEPT);
    }

    /// Takes all.
    pub(crate) fn take_all(&self) -> VecDeque<J> {
        let mut jobs = self.jobs.lock();
        let all = std::mem::take(&mut *jobs);
        self.publish(&jobs);
        all
    }

    /// Moves a queue here. Call it under the pool's lock, once nothing stands here.
    pub(crate) fn fill(&self, queue: &mut VecDeque<J>) {
        if queue.is_empty() {
            return;
        }
        let mut jobs = self.jobs.lock();
        // The empty one will be the queue, with the memory that it has kept.
        std::mem::swap(&mut *jobs, queue);
        self.publish(&jobs);
    }

    fn publish(&self, jobs: &VecDeque<J>) {
        self.len.store(jobs.len(), Ordering::Release);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::VecDeque;

    use super::{Front, KEPT};
    use crate::pool::remove_newest;

    #[test]
    fn it_gives_the_oldest_first() {
        let front = Front::new();
        let mut queue: VecDeque<_> = (0..10).collect();
        front.fill(&mut queue);
        assert_eq!((front.len(), queue.len()), (10, 0));
        assert_eq!((front.take(), front.take()), (Some(0), Some(1)));
        let even = |job: &i32| job % 2 == 0;
        assert_eq!(front.remove(|jobs| remove_newest(jobs, even)), Some(8));
        let zero = |job: &i32| *job == 0;
        assert_eq!(front.remove(|jobs| remove_newest(jobs, zero)), None);
        assert_eq!(front.take_all(), [2, 3, 4, 5, 6, 7, 9]);
        assert_eq!((front.len(), front.take()), (0, None));
    }

    #[test]
    fn it_gives_back_what_a_burst_has_used() {
        let front = Front::new();
        for jobs in [10 * KEPT, KEPT] {
            front.fill(&mut (0..jobs).collect());
            assert_eq!(std::iter::from_fn(|| front.take()).count(), jobs);
            assert!(front.jobs.lock().capacity() <= 2 * KEPT);
        }
    }
}
