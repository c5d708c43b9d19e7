//! How fast jobs are done, and so whether one more worker is worth its wake-up.

use std::time::Instant;

use super::Worker;

/// What it takes in all to wake a worker, in nanoseconds: what is done sooner without it is not worth that.
const WAKE: u64 = 20_000;
/// How long a job is taken to be as long as nobody knows, in nanoseconds.
const UNKNOWN: u64 = 1_000_000;
/// One job in so many of a run is timed, but for the first, whose worker may have to wake the next one.
const SAMPLE: u32 = 32;

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
    jobs: u32,
    /// When it began, or when the job was taken that was timed last.
    since: Instant,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self {
            job: UNKNOWN,
            run: None,
        }
    }

    /// Notes that a worker takes a job.
    pub(crate) fn take(&mut self, worker: &Worker) {
        match &mut self.run {
            Some(run) if run.worker.is(worker) => {
                run.jobs = run.jobs.wrapping_add(1);
                if run.jobs % SAMPLE <= 2 {
                    self.time();
                }
            }
            Some(_) => {}
            None => self.run = Some(Run::new(worker)),
        }
    }

    /// Begins or ends to time a job.
    #[cold]
    fn time(&mut self) {
        let Some(run) = &mut self.run else { return };
        match run.jobs % SAMPLE {
            1 => run.since = Instant::now(),
            2 => {
                let job = run.age();
                self.learn(job);
            }
            _ => {}
        }
    }

    /// Notes that a worker finds nothing more to do.
    pub(crate) fn rest(&mut self, worker: &Worker) {
        if let Some(run) = self.run.take_if(|run| run.worker.is(worker))
            && run.jobs % SAMPLE == 1
        {
            self.learn(run.age());
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

    /// Learns how long a job has taken. Steps up are three times as long as those down, so it stays
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
            && run.age() < self.job.saturating_mul(SAMPLE.into()) + WAKE
    }
}

impl Run {
    fn new(worker: &Worker) -> Self {
        Self {
            worker: worker.clone(),
            jobs: 0,
            since: Instant::now(),
        }
    }

    fn age(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::time::Duration;

    use super::{Pace, Run, UNKNOWN, WAKE, Worker};

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
