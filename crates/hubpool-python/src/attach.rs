//! When a worker lets the interpreter go, and how it comes back to it.
//!
//! A worker that goes from task to task keeps the hub from the interpreter, and so do others that
//! wait for it. So it lets go now and then, for long enough that who waits can have it, and comes
//! back through a turnstile: the hub finds one worker in its way, and not all.

use std::fs;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use hubpool::binding::{CpuTime, Turnstile};
use pyo3::prelude::*;

/// How long a worker keeps the interpreter from task to task, where it must stay away for a while
/// then, and on a single core, where it need not.
const ATTACHED_TIME: Duration = Duration::from_millis(1);
const ATTACHED_TIME_ON_ONE_CORE: Duration = Duration::from_micros(200);

/// How often a worker that keeps it looks whether the hub has woken up meanwhile, and so waits for it.
const LOOK_EVERY: Duration = Duration::from_micros(50);

/// How long a worker then stays away, at least: a thread that waits for the
/// interpreter needs some time to wake up, or the worker would have it again
/// before. The system makes some 50 microseconds of it.
const GAP: Duration = Duration::from_nanos(1);

/// After this time a busy worker once keeps the interpreter for longer than the
/// interpreter's switch interval.
///
/// A waiting thread that wakes up too late starts to count its interval anew.
/// Only after a whole one can it insist, and is sure to be the next. Without
/// this, one that is always too late would wait for as long as there are jobs.
const FAIR_EVERY: Duration = Duration::from_secs(1);

/// What a worker sees of the hub's thread: for how many nanoseconds it has run, which stands still while it
/// sleeps, and how many times it has been woken for messages or has looked out for some.
#[derive(Clone, Copy)]
pub struct Sign {
    pub ran: u64,
    pub attended: usize,
}

/// One worker's hold on the interpreter.
pub struct Hold {
    /// When the worker got the interpreter, and how many times its thread had waited by then, if it has asked.
    since: Instant,
    waits: Option<i64>,
    /// When the worker was last idle, or kept it for a whole interval.
    fair: Instant,
    fair_time: Duration,
    /// When the worker last had a look at the hub's thread, or could have had one, and what it saw.
    looked: Instant,
    sign: Option<Sign>,
    /// When it last saw that the hub attended to messages.
    attended: Instant,
}

impl Hold {
    pub fn new(py: Python<'_>) -> PyResult<Self> {
        let interval: f64 = py
            .import("sys")?
            .call_method0("getswitchinterval")?
            .extract()?;
        Ok(Self {
            since: Instant::now(),
            waits: None,
            fair: Instant::now(),
            fair_time: Duration::from_secs_f64(interval * 1.2).max(ATTACHED_TIME),
            looked: Instant::now(),
            sign: None,
            attended: Instant::now(),
        })
    }

    /// When the worker got the interpreter.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Returns whether the worker must let other threads have the interpreter now. A job that has waited has let it go, and they had it.
    pub fn is_over(&mut self, now: Instant) -> bool {
        let limit = if self.is_fair_turn() {
            self.fair_time
        } else if cores() > 1 {
            ATTACHED_TIME
        } else {
            ATTACHED_TIME_ON_ONE_CORE
        };
        if now.saturating_duration_since(self.since) < limit {
            return false;
        }
        let before = self.waits.replace(thread_waits());
        let over = before.is_none() || before == self.waits;
        if !over {
            if self.is_fair_turn() {
                self.fair = now;
            }
            self.since = now;
        }
        over
    }

    /// Whether the hub's thread has run since the last look, and has not attended to messages of late,
    /// which can wait: a timer or a descriptor has woken it, and now it waits for the interpreter.
    pub fn hub_has_woken(&mut self, look: impl FnOnce() -> Option<Sign>) -> bool {
        if self.looked.elapsed() < LOOK_EVERY || self.is_fair_turn() {
            return false;
        }
        self.looked = Instant::now();
        let (before, now) = (self.sign, look());
        self.sign = now;
        let Some((before, now)) = before.zip(now) else {
            return false;
        };
        if before.attended != now.attended {
            self.attended = self.looked;
        }
        before.ran != now.ran && self.looked - self.attended >= ATTACHED_TIME
    }

    /// Notes that the worker has the interpreter again. If it has been `busy`, it only let others
    /// go first.
    pub fn renew(&mut self, now: Instant, busy: bool) {
        if !busy || self.is_fair_turn() {
            self.fair = now;
        }
        self.since = now;
        self.waits = busy.then(thread_waits);
        self.looked = now;
    }

    fn is_fair_turn(&self) -> bool {
        self.since.duration_since(self.fair) >= FAIR_EVERY
    }
}

/// Lets who waits for the interpreter wake up. Call it without the interpreter.
pub fn stay_away() {
    if cores() > 1 {
        thread::sleep(GAP);
    } else {
        // Who waits has been made ready to run, and needs nothing but the core.
        thread::yield_now();
    }
}

/// On how many cores the process's threads may run at once; what was so as it first asked.
pub fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(count_cores)
}

/// Asks the system, and no files for a quota: that takes as long as to start a thread, and a
/// quota keeps no two threads from running at once.
#[cfg(target_os = "linux")]
fn count_cores() -> usize {
    rustix::thread::sched_getaffinity(None).map_or(1, |cores| cores.count() as usize)
}

#[cfg(not(target_os = "linux"))]
fn count_cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Does some work without the interpreter, and comes back through the turnstile.
pub fn detached<T: Send>(
    py: Python<'_>,
    turnstile: &Turnstile,
    work: impl FnOnce() -> T + Send,
) -> T {
    let (done, _pass) = py.detach(|| (work(), turnstile.enter()));
    done
}

/// How many times the calling thread has waited in the kernel, so that another thread had its core; always 0 where the system does not
/// tell it of a thread.
fn thread_waits() -> i64 {
    #[cfg(target_os = "linux")]
    {
        let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: the kernel fills the structure in, whose fields may all be zero.
        unsafe {
            libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr());
            usage.assume_init().ru_nvcsw
        }
    }
    #[cfg(not(target_os = "linux"))]
    0
}

/// For how long the calling thread has used a core.
pub fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// For how long the calling thread has run or been ready to run; where the system does not say that, for how long it has run.
pub fn ready_time() -> Duration {
    // It is late with the time that the thread itself has run.
    let waited = run_and_wait("/proc/thread-self/schedstat").map(|(_, waited)| waited);
    thread_time() + waited.unwrap_or_default()
}

/// For how long the process's threads have used cores.
pub fn process_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// For how long cores have been used: by the process, and by one of its threads.
pub fn cpu_time(thread: u32) -> CpuTime {
    let process = process_time();
    // Where the system does not say it of a thread, the process must do.
    let (worker, runs) = run_time(thread).unwrap_or((process, false));
    CpuTime {
        process,
        worker,
        runs,
    }
}

/// For how long a thread has run or been ready to run, and whether it is now.
fn run_time(thread: u32) -> Option<(Duration, bool)> {
    let read = |what| fs::read_to_string(format!("/proc/self/task/{thread}/{what}")).ok();
    // Its state comes after its name, which may have anything in it.
    let runs = read("stat")?.rsplit_once(") ")?.1.starts_with('R');
    let (ran, waited) = run_and_wait(&format!("/proc/self/task/{thread}/schedstat"))?;
    Some((ran + waited, runs))
}

/// For how long a thread has run, and for how long it was ready to and had no core.
fn run_and_wait(schedstat: &str) -> Option<(Duration, Duration)> {
    let times = fs::read_to_string(schedstat).ok()?;
    let mut nanos = times.split_ascii_whitespace().map(str::parse::<u64>);
    let (ran, waited) = (nanos.next()?.ok()?, nanos.next()?.ok()?);
    Some((Duration::from_nanos(ran), Duration::from_nanos(waited)))
}

/// The calling thread's number for the system; 0 where nobody asks for it.
pub fn this_thread() -> u32 {
    #[cfg(target_os = "linux")]
    return rustix::thread::gettid()
        .as_raw_nonzero()
        .get()
        .unsigned_abs();
    #[cfg(not(target_os = "linux"))]
    0
}
