//! The engine's pool with Python objects for jobs.

use std::cell::Cell;
use std::sync::Arc;

use hubpool::binding::{ComputePlaces, PerProcess, Pool, Turnstile};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};

use crate::attach::cores;
use crate::batch::Batch;
use crate::wake::Wake;

/// The place of the result in the tuple that is a task.
pub const RESULT: usize = 3;
/// The place of the context that it starts in.
pub const CONTEXT: usize = 4;

/// What a worker is given to do.
pub enum Job {
    /// A tuple, or whatever else the worker's Python code takes for a task.
    Task(Py<PyAny>),
    /// To run items of a map.
    Ticket(Py<Batch>),
}

impl Job {
    /// What the worker's Python code gets.
    pub fn object(&self) -> &Py<PyAny> {
        match self {
            Self::Task(task) => task,
            Self::Ticket(batch) => batch.as_any(),
        }
    }

    /// Whether the job is this task, or the one with this result.
    fn is_named(&self, task: &Bound<'_, PyAny>) -> bool {
        let job = self.object().bind(task.py());
        job.is(task)
            || job
                .cast::<PyTuple>()
                .is_ok_and(|parts| parts.get_item(RESULT).is_ok_and(|result| result.is(task)))
    }
}

/// The queue and the counts of one pool. Any thread may call it; nothing here
/// blocks. In a forked child it is empty, and touches no lock of the parent's; its owner makes
/// itself a new one there.
#[pyclass(frozen, module = "hubpool._native")]
pub struct Core {
    pools: PerProcess<Arc<Pool<Job>>>,
    /// Where its workers wait for their turn to wait for the interpreter.
    pub turnstile: Turnstile,
    /// The places of its workers whose jobs compute.
    pub places: ComputePlaces,
}

#[pymethods]
impl Core {
    #[new]
    fn new(maxsize: usize) -> Self {
        Self {
            pools: PerProcess::new(Arc::new(Pool::new(maxsize))),
            turnstile: Turnstile::new(),
            places: ComputePlaces::new(cores()),
        }
    }

    /// Queues a task, counted as unfinished. Returns whether there is a worker
    /// for it; `None` if the pool is closed, or a parent process's, and has not taken it.
    pub fn submit(&self, task: Py<PyAny>) -> Option<bool> {
        if self.is_inherited() {
            return None;
        }
        self.pool().begin(1);
        let taken = self.pool().submit(Job::Task(task)).ok();
        if taken.is_none() {
            self.pool().finish(1);
        }
        taken
    }

    /// Takes back a task that no worker has taken, named by itself or by its
    /// result; `False` if one has.
    fn withdraw(&self, task: &Bound<'_, PyAny>) -> bool {
        let found = self.withdraw_job(task).is_some();
        self.pool().finish(usize::from(found));
        found
    }

    /// Whether there is a task, named by itself or by its result, that no worker has taken.
    fn has(&self, task: &Bound<'_, PyAny>) -> bool {
        let found = Cell::new(false);
        // Nothing is withdrawn.
        self.pool().withdraw(|job| {
            found.set(found.get() || job.is_named(task));
            false
        });
        found.get()
    }

    /// Takes no more tasks; lets the workers end once the queue is empty.
    fn close(&self) {
        self.pool().close();
    }

    /// Takes the newest job that no worker has taken, counts it as ended, and appends it to a list, in one
    /// step: whoever is broken off then finds it there. Returns whether there was one.
    fn take_newest(&self, into: &Bound<'_, PyList>) -> PyResult<bool> {
        self.leave_in(into, self.pool().withdraw(|_| true))
    }

    /// Takes the oldest job as `take_newest` takes the newest: for a thread that is no worker of the pool's.
    fn take_oldest(&self, into: &Bound<'_, PyList>) -> PyResult<bool> {
        self.leave_in(into, self.pool().try_next(&hubpool::binding::Worker::new()))
    }

    /// Whether one more worker would help `more` tasks beside those begun.
    fn wants_worker(&self, more: usize) -> bool {
        !self.is_inherited() && self.pool().wants_worker(more)
    }

    /// Counts a worker no more that has not begun to take jobs.
    fn unregister(&self) {
        self.pool().unregister();
    }

    /// Registered workers.
    #[getter]
    fn workers(&self) -> usize {
        self.pool().workers()
    }

    /// Tasks and items of maps that have not ended.
    #[getter]
    fn unfinished(&self) -> usize {
        self.pool().unfinished()
    }

    /// Jobs that no worker has taken.
    #[getter]
    fn queued(&self) -> usize {
        self.pool().queued()
    }

    /// Counts a task as ended though it has not run.
    fn finish(&self) {
        self.pool().finish(1);
    }

    /// The most workers that may stay.
    #[getter]
    fn maxsize(&self) -> usize {
        self.pool().maxsize()
    }

    /// Sets the most workers that may stay.
    fn set_maxsize(&self, maxsize: usize) {
        self.pool().set_maxsize(maxsize);
    }

    /// Lets workers leave an empty queue until `size` are left.
    fn shrink_to(&self, size: usize) {
        self.pool().shrink_to(size);
    }

    /// Takes that back.
    fn stop_shrinking(&self) {
        self.pool().stop_shrinking();
    }

    /// Lets workers end until `size` are left, even with jobs in the queue;
    /// `None` takes that back.
    fn retire_to(&self, size: Option<usize>) {
        self.pool().retire_to(size.unwrap_or(usize::MAX));
    }
}

impl Core {
    /// Counts a job that was taken, if any, as ended, and appends it to the list.
    fn leave_in(&self, into: &Bound<'_, PyList>, taken: Option<Job>) -> PyResult<bool> {
        let Some(job) = taken else {
            return Ok(false);
        };
        self.pool().finish(1);
        into.append(job.object())?;
        Ok(true)
    }

    /// The calling process's queue: a child never touches its parent's.
    #[inline]
    pub fn pool(&self) -> &Arc<Pool<Job>> {
        self.pools
            .get(|parents| Arc::new(Pool::new(parents.maxsize())))
    }

    /// Whether this is a parent process's.
    #[inline]
    pub fn is_inherited(&self) -> bool {
        self.pools.is_inherited()
    }

    /// Takes back a task that no worker has taken, named by itself or by its result. It stays unfinished.
    pub fn withdraw_job(&self, task: &Bound<'_, PyAny>) -> Option<Job> {
        self.pool().withdraw(|job| job.is_named(task))
    }

    /// Leaves it to the hub, if it looks out, to wake one more worker for the jobs that wait
    /// when it looks out no more. So one worker does alone what it can do in that time.
    pub fn leave_call(&self, wake: Option<&Wake>) -> bool {
        wake.is_some_and(|wake| {
            let pool = Arc::clone(self.pool());
            wake.leave(move || pool.take_call())
        })
    }
}

/// Takes the work of a future, which is in the given state from then on; `None` if it has none any more. That is one step
/// of the interpreter's: one caller alone gets the work, and no signal handler comes between. Any thread.
#[pyfunction]
pub fn take_work<'py>(
    future: &Bound<'py, PyAny>,
    state: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = future.py();
    let name = intern!(py, "_work");
    let work = future.getattr(name)?;
    if !work.is_none() {
        future.setattr(name, py.None())?;
        future.setattr(intern!(py, "_state"), state)?;
    }
    Ok(work)
}
