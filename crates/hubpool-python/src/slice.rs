//! For how long a worker that computes runs at a stretch.
//!
//! Where several threads want a core, the system lets one run for its *slice* before another gets it,
//! unless the other one's slice is shorter. The hub has little to do, and much waits for it: so a worker
//! that computes asks for a longer slice than the hub has, and the hub comes at once. Over all nobody gets
//! more or less. Linux knows slices from 6.12 on; elsewhere nothing is asked for.

use std::time::{Duration, Instant};

/// How often a worker looks what it has done.
const WATCH_EVERY: Duration = Duration::from_millis(1);

/// A worker computes if it uses a core for so long between two waits, on average, and for this share of
/// the time: not more, since other programs may have the cores, too.
const STRETCH: Duration = Duration::from_micros(100);
const SHARE: u32 = 16;

/// The slice that a worker asks for, while it computes.
const LONG_NANOS: u64 = 10_000_000;

/// What a thread has used.
#[derive(Clone, Copy, Default)]
struct Usage {
    cpu: Duration,
    /// How many times it has waited for something else than a core.
    waits: u32,
}

/// One worker's slice. For its thread alone.
pub struct Slice {
    /// When the worker last looked, and what it had used by then.
    since: Instant,
    usage: Usage,
    computes: bool,
    /// The slice that its thread came with; 0 where the system knows none.
    usual_nanos: u64,
}

impl Slice {
    /// The calling thread's.
    pub fn new() -> Self {
        Self {
            since: Instant::now(),
            usage: system::usage(),
            computes: false,
            usual_nanos: system::slice_nanos(),
        }
    }

    /// Asks for a longer slice if the worker has computed lately, and else for the usual one. Call it
    /// often.
    pub fn watch(&mut self) {
        let time = self.since.elapsed();
        if time < WATCH_EVERY || self.usual_nanos == 0 {
            return;
        }
        let (before, now) = (self.usage, system::usage());
        let waits = now.waits.wrapping_sub(before.waits);
        let cpu = now.cpu.saturating_sub(before.cpu);
        let computes = cpu > STRETCH * (waits + 1) && cpu * SHARE > time;
        self.since += time;
        self.usage = now;
        if computes != self.computes {
            self.computes = computes;
            system::set_slice(if computes {
                LONG_NANOS.max(self.usual_nanos)
            } else {
                self.usual_nanos
            });
        }
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::mem::MaybeUninit;
    use std::time::Duration;

    use super::Usage;

    #[expect(clippy::cast_possible_truncation, reason = "it is some 50 bytes")]
    const SIZE: u32 = size_of::<libc::sched_attr>() as u32;

    /// What the calling thread has used.
    pub fn usage() -> Usage {
        let mut usage = MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: the system writes one such struct, which is of numbers.
        let usage = unsafe {
            libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr());
            usage.assume_init()
        };
        let cpu = [usage.ru_utime, usage.ru_stime].into_iter().map(|time| {
            Duration::from_secs(time.tv_sec.unsigned_abs())
                + Duration::from_micros(time.tv_usec.unsigned_abs())
        });
        Usage {
            cpu: cpu.sum(),
            waits: u32::try_from(usage.ru_nvcsw).unwrap_or_default(),
        }
    }

    /// How the calling thread is scheduled, if it shares its core with others in turn.
    fn attributes() -> Option<libc::sched_attr> {
        let mut attributes = MaybeUninit::<libc::sched_attr>::zeroed();
        let flags = 0;
        // SAFETY: the system writes at most SIZE bytes, and whatever it writes are numbers.
        let attributes = unsafe {
            let failed = libc::syscall(
                libc::SYS_sched_getattr,
                0,
                attributes.as_mut_ptr(),
                SIZE,
                flags,
            );
            (failed == 0).then(|| attributes.assume_init())?
        };
        let fair = [libc::SCHED_OTHER, libc::SCHED_BATCH];
        fair.iter()
            .any(|policy| policy.unsigned_abs() == attributes.sched_policy)
            .then_some(attributes)
    }

    /// The calling thread's slice; 0 if it has none.
    pub fn slice_nanos() -> u64 {
        attributes().map_or(0, |attributes| attributes.sched_runtime)
    }

    /// Asks for a slice for the calling thread, and leaves all else. If the system refuses, it is as
    /// it was.
    pub fn set_slice(nanos: u64) {
        let Some(mut attributes) = attributes() else {
            return;
        };
        attributes.size = SIZE;
        attributes.sched_runtime = nanos;
        let flags = 0;
        // SAFETY: the system reads SIZE bytes, all of which are set.
        unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, flags) };
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub fn usage() -> super::Usage {
        super::Usage::default()
    }

    pub fn slice_nanos() -> u64 {
        0
    }

    pub fn set_slice(_nanos: u64) {}
}
