//! How fast jobs are done, and so whether one more worker is worth its wake-up.

use std::time::Instant;

use super::Worker;

/// What it takes in all to wake a worker, in nanoseconds: what is done sooner without it is not worth that.
const WAKE: u64 = 20_000;
/// How long a job is taken to be as long as nobody knows, in nanoseconds.
const UNKNOWN: u64 = 1_000_000;
/// One job in so many is taken under the pool's lock, and is one that ends or begins a sample: so many
/// are timed together, and so many are not.
const SAMPLE: u64 = 32;

/// What is known of how long jobs take. It is kept under the pool's lock.
///
/// It watches one worker at a time, from when it has got going until it finds nothing more to do.
#[derive(Debug)]
pub(crate) struct Pace {
    /// What three jobs in four do not take longer than, in nanoseconds.
    job: u64,
    run: Option<Run>,
}

/// Jobs that a worker takes one after another.
#[derive(Debug)]
struct Run {
    worker: Worker,
    stage: Stage,
    /// When the stage began, and how many jobs the worker had got before.
    since: Instant,
    before: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It has just begun. What it does first is not timed: it may have to wake the next worker, too.
    First,
    Timed,
    Untimed,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self {
            job: UNKNOWN,
            run: None,
        }
    }

    /// Whether a worker shall take its next job under the pool's lock.
    pub(crate) fn wants_to_see(worker: &Worker) -> bool {
        (worker.served() as u64).is_multiple_of(SAMPLE)
    }

    /// Notes that a worker is about to take a job.
    pub(crate) fn take(&mut self, worker: &Worker) {
        match &mut self.run {
            None => self.run = Some(Run::new(worker)),
            Some(run) if run.worker.is(worker) => match run.stage {
                Stage::First => run.enter(Stage::Timed),
                Stage::Timed => {
                    let job = run.job();
                    run.enter(Stage::Untimed);
                    self.learn(job);
                }
                Stage::Untimed if run.jobs() >= SAMPLE => run.enter(Stage::Timed),
                Stage::Untimed => {}
            },
            Some(_) => {}
        }
    }

    /// Notes that a worker finds nothing more to do.
    pub(crate) fn rest(&mut self, worker: &Worker) {
        if let Some(run) = self.run.take_if(|run| run.worker.is(worker))
            && run.stage == Stage::Timed
        {
            self.learn(run.job());
        }
    }

    /// Forgets which worker it watches: it may have ended.
    pub(crate) fn forget_run(&mut self) {
        self.run = None;
    }

    /// Notes that a worker has watched for nothing.
    pub(crate) fn doubt(&mut self) {
        self.job = UNKNOWN.min(2 * self.job);
    }

    /// Learns how long a job takes. Steps up are three times as long as those down, so it stays
    /// where one job in four is longer.
    fn learn(&mut self, job: u64) {
        if job > self.job {
            self.job = UNKNOWN.min(self.job + self.job / 4);
        } else {
            self.job -= self.job / 12;
        }
    }

    /// Whether jobs are so short that it may pay to leave some to who is awake.
    pub(crate) fn is_short(&self) -> bool {
        // loom has no clock, and wants to see what is rare.
        cfg!(loom) || self.job < WAKE
    }

    /// Whether who is awake has done so many jobs, as far as anybody knows, before another worker could
    /// begin: they are short, and the worker that is watched is not at a job that is longer than others.
    pub(crate) fn spares(&self, jobs: usize) -> bool {
        let Some(run) = &self.run else { return false };
        if cfg!(loom) {
            return true;
        }
        self.job.saturating_mul(jobs as u64) < WAKE
            && run.age() < self.job.saturating_mul(run.jobs() + SAMPLE) + WAKE
    }
}

impl Run {
    fn new(worker: &Worker) -> Self {
        Self {
            worker: worker.clone(),
            stage: Stage::First,
            since: Instant::now(),
            before: worker.served(),
        }
    }

    fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        self.since = Instant::now();
        self.before = self.worker.served();
    }

    /// How many jobs the worker has got in this stage.
    fn jobs(&self) -> u64 {
        self.worker.served().wrapping_sub(self.before) as u64
    }

    /// How long one of them has taken.
    fn job(&self) -> u64 {
        self.age() / self.jobs().max(1)
    }

    fn age(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Pace, Run, SAMPLE, UNKNOWN, WAKE, Worker};

    const HOUR: Duration = Duration::from_secs(3600);

    fn pace_of(job: u64) -> Pace {
        Pace { job, run: None }
    }

    /// Takes a job, however long the test is kept from going on.
    fn take_just_now(pace: &mut Pace, worker: &Worker) {
        pace.take(worker);
        pace.run.as_mut().unwrap().since += HOUR;
    }

    #[test]
    fn it_settles_where_one_job_in_four_is_longer() {
        let mut pace = Pace::new();
        assert!(!pace.is_short());
        for number in 0..2_000 {
            pace.learn(if number % 5 == 0 { 500_000 } else { 100 });
        }
        assert!((80..200).contains(&pace.job), "{}", pace.job);
        for number in 0..2_000 {
            pace.learn(if number % 3 == 0 { 500_000 } else { 100 });
        }
        assert!(pace.job > 400_000, "{}", pace.job);
    }

    /// Takes jobs, each of which takes so many nanoseconds.
    fn take_each(pace: &mut Pace, worker: &Worker, jobs: u64, nanos: u64) {
        for _ in 0..jobs {
            pace.take(worker);
            worker.serve();
            if let Some(run) = &mut pace.run {
                run.since -= Duration::from_nanos(nanos);
            }
        }
    }

    #[test]
    fn it_times_one_job_in_a_while_but_not_the_first() {
        let worker = Worker::new();
        let mut pace = pace_of(WAKE);
        take_each(&mut pace, &worker, 1, 10 * WAKE);
        pace.rest(&worker);
        assert_eq!(pace.job, WAKE, "the first is not timed");
        take_each(&mut pace, &worker, 2, 10 * WAKE);
        pace.rest(&worker);
        assert_eq!(pace.job, WAKE + WAKE / 4);
        take_each(&mut pace, &worker, SAMPLE, 10 * WAKE);
        assert_eq!(pace.job, WAKE + WAKE / 4 + (WAKE + WAKE / 4) / 4);
        take_each(&mut pace, &worker, SAMPLE, 10 * WAKE);
        assert!(pace.job > 5 * WAKE / 3, "{}", pace.job);
    }

    #[test]
    fn what_is_taken_in_passing_is_timed_together() {
        let worker = Worker::new();
        let mut pace = pace_of(WAKE);
        take_each(&mut pace, &worker, 2, 0);
        // These are taken without a look at the pace.
        (1..10).for_each(|_| worker.serve());
        pace.run.as_mut().unwrap().since -= Duration::from_nanos(20 * WAKE);
        pace.rest(&worker);
        assert_eq!(pace.job, WAKE + WAKE / 4, "each has taken two WAKEs");
        take_each(&mut pace, &worker, 2, 0);
        (1..40).for_each(|_| worker.serve());
        pace.run.as_mut().unwrap().since = Instant::now() + HOUR;
        pace.rest(&worker);
        assert!(pace.job < WAKE + WAKE / 4);
    }

    #[test]
    fn it_trusts_short_jobs_of_a_worker_that_has_just_begun() {
        let worker = Worker::new();
        let mut pace = pace_of(WAKE / 10);
        assert!(!pace.spares(1), "nobody is awake");
        take_just_now(&mut pace, &worker);
        assert!(pace.spares(1));
        assert!(!pace.spares(10));
        pace.rest(&worker);
        assert!(!pace.spares(1));
    }

    #[test]
    fn it_trusts_nobody_who_is_at_a_long_job() {
        let worker = Worker::new();
        let mut run = Run::new(&worker);
        run.since -= Duration::from_millis(10);
        let pace = Pace {
            job: 100,
            run: Some(run),
        };
        assert!(!pace.spares(1));
    }

    #[test]
    fn it_watches_one_worker_until_that_rests_or_ends() {
        let (first, second) = (Worker::new(), Worker::new());
        let mut pace = pace_of(100);
        take_just_now(&mut pace, &first);
        pace.rest(&second);
        assert!(pace.spares(1));
        pace.forget_run();
        assert!(!pace.spares(1));
        take_just_now(&mut pace, &second);
        assert!(pace.spares(1));
    }

    #[test]
    fn watching_for_nothing_ends_soon() {
        let mut pace = pace_of(100);
        for _ in 0..8 {
            assert!(pace.is_short());
            pace.doubt();
        }
        assert!(!pace.is_short());
        pace.job = UNKNOWN;
        pace.doubt();
        assert_eq!(pace.job, UNKNOWN);
    }
}
