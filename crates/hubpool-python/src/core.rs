//! The engine's pool with Python objects for jobs, and a worker's place in it.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use hubpool::{Next, Pool};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::wake::Wake;

/// How long a worker goes from job to job before it lets the interpreter go
/// between two of them.
const ATTACHED_TIME: Duration = Duration::from_micros(500);

/// The queue and the counts of one pool. Any thread may call it; nothing here
/// blocks.
#[pyclass(frozen, module = "hubpool._native")]
pub struct Core {
    pub pool: Pool<Py<PyAny>>,
}

#[pymethods]
impl Core {
    #[new]
    fn new(maxsize: usize) -> Self {
        Self {
            pool: Pool::new(maxsize),
        }
    }

    /// Queues a task, counted as unfinished.
    fn submit(&self, task: Py<PyAny>) {
        self.pool.begin(1);
        self.pool.submit(task);
    }

    /// Whether one more worker would help `more` tasks beside those begun.
    fn wants_worker(&self, more: usize) -> bool {
        self.pool.wants_worker(more)
    }

    /// Counts a worker whose thread is about to start.
    fn register(&self) {
        self.pool.register();
    }

    /// Takes that back.
    fn unregister(&self) {
        self.pool.unregister();
    }

    /// Registered workers.
    #[getter]
    fn workers(&self) -> usize {
        self.pool.workers()
    }

    /// Tasks and items of maps that have not ended.
    #[getter]
    fn unfinished(&self) -> usize {
        self.pool.unfinished()
    }

    /// Jobs that no worker has taken.
    #[getter]
    fn queued(&self) -> usize {
        self.pool.queued()
    }

    /// Counts a task as ended though it has not run.
    fn finish(&self) {
        self.pool.finish(1);
    }

    /// Sets the most workers that may stay.
    fn set_maxsize(&self, maxsize: usize) {
        self.pool.set_maxsize(maxsize);
    }

    /// Lets workers leave an empty queue until `size` are left.
    fn shrink_to(&self, size: usize) {
        self.pool.shrink_to(size);
    }

    /// Takes that back.
    fn stop_shrinking(&self) {
        self.pool.stop_shrinking();
    }
}

/// A worker's place in a pool. Only the thread that made it may use it.
#[pyclass(frozen, module = "hubpool._native")]
pub struct Worker {
    core: Py<Core>,
    wake: Py<Wake>,
    place: hubpool::Worker,
    idle: Option<Duration>,
    desk: Mutex<Desk>,
}

/// What the worker keeps between two calls.
struct Desk {
    /// When the interpreter was last detached.
    attached_since: Instant,
    /// The last task's message.
    outgoing: Option<Py<PyAny>>,
}

#[pymethods]
impl Worker {
    /// `idle_task_timeout` is in seconds; a negative one means never.
    #[new]
    fn new(core: Py<Core>, wake: Py<Wake>, idle_task_timeout: f64) -> Self {
        Self {
            core,
            wake,
            place: hubpool::Worker::new(),
            idle: Duration::try_from_secs_f64(idle_task_timeout).ok(),
            desk: Mutex::new(Desk {
                attached_since: Instant::now(),
                outgoing: None,
            }),
        }
    }

    /// Ends a task: counts it, and keeps `message` for the hub. The next call
    /// of `next` sends it.
    fn finish(&self, message: Py<PyAny>) -> PyResult<()> {
        self.core.get().pool.finish(1);
        self.desk.lock().map_err(poisoned)?.outgoing = Some(message);
        Ok(())
    }

    /// Sends the message that `finish` left: for a worker that takes no more jobs.
    fn flush(&self) -> PyResult<()> {
        let outgoing = self.desk.lock().map_err(poisoned)?.outgoing.take();
        if let Some(message) = outgoing {
            self.wake.get().post(message);
        }
        Ok(())
    }

    /// Sends the message that `finish` left, then waits for a job. `None`: the
    /// worker is no longer registered and must end.
    ///
    /// Where no job waits, message and wait come after the interpreter has
    /// been let go, so that the hub does not wake up only to wait for it.
    fn next(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let pool = &self.core.get().pool;
        let wake = self.wake.get();
        let (outgoing, since) = {
            let mut desk = self.desk.lock().map_err(poisoned)?;
            (desk.outgoing.take(), desk.attached_since)
        };
        if since.elapsed() < ATTACHED_TIME
            && let Some(job) = pool.try_next()
        {
            if let Some(message) = outgoing {
                wake.post(message);
            }
            return Ok(Some(job));
        }
        let next = py.detach(|| {
            if let Some(message) = outgoing {
                wake.post(message);
            }
            pool.next_when(&self.place, self.idle, || wake.looking())
        });
        self.desk.lock().map_err(poisoned)?.attached_since = Instant::now();
        Ok(match next {
            Next::Job(job) => Some(job),
            Next::Exit | Next::Expired => None,
        })
    }
}

fn poisoned<T>(_: T) -> PyErr {
    PyRuntimeError::new_err("a worker's place is used by two threads")
}

/// Names the calling thread for the operating system (up to 15 bytes).
#[pyfunction]
pub fn name_thread(name: &str) {
    #[cfg(target_os = "linux")]
    {
        let short: String = name.chars().take(15).collect();
        if let Ok(name) = std::ffi::CString::new(short) {
            // A thread without a name works as well.
            let _ = rustix::thread::set_name(&name);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = name;
}
