//! A worker's way through tasks around which there is nothing to do.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::call::drop_object;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple, PyType};

use crate::account::Account;
use crate::core::{CONTEXT, RESULT};
use crate::worker::Worker;

/// The iterator over the tasks that a worker runs one after another, waiting for more.
///
/// The worker puts each task's value into the slot before it asks for the next one. The iteration ends when a
/// task has left something behind, which is the worker's to finish then; and when the next job is none of
/// this kind, which the worker gets from `Worker.next`.
#[pyclass(frozen, module = "hubpool._native")]
pub struct Tasks {
    worker: Py<Worker>,
    /// A list of one place, for the task's value.
    #[pyo3(get)]
    slot: Py<PyList>,
    /// Whether the task that the worker has taken has been handed out.
    handed_out: AtomicBool,
    hooks: Hooks,
}

/// Where the program may have put something to do around each task.
struct Hooks {
    /// The worker's class and its own attributes, which may override the two methods.
    class: Py<PyType>,
    own: Py<PyDict>,
    before: Py<PyAny>,
    after: Py<PyAny>,
}

#[pymethods]
impl Tasks {
    /// `before` and `after` are the methods of a class that overrides nothing.
    #[new]
    fn new(
        py: Python<'_>,
        worker: Py<Worker>,
        before: Py<PyAny>,
        after: Py<PyAny>,
    ) -> PyResult<Self> {
        let greenlet = worker.get().greenlet.bind(py);
        let hooks = Hooks {
            class: greenlet.get_type().unbind(),
            own: greenlet.getattr("__dict__")?.cast_into()?.unbind(),
            before,
            after,
        };
        Ok(Self {
            worker,
            slot: PyList::new(py, [py.None()])?.unbind(),
            handed_out: AtomicBool::new(false),
            hooks,
        })
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Leaves the value of the task that has been handed out for its result. Hands out the one that
    /// the worker has taken, or the next.
    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let worker = self.worker.get();
        worker.check_parent()?;
        let mut task = worker.taken(py)?;
        if self.handed_out.load(Ordering::Relaxed)
            && let Some(ended) = task.take()
        {
            if worker.has_traces(py) || self.hooks.overrides_after(py)? {
                return Ok(None);
            }
            self.handed_out.store(false, Ordering::Relaxed);
            let slot = self.slot.bind(py);
            let value = slot.get_item(0)?.unbind();
            slot.set_item(0, py.None())?;
            let result = ended.bind(py).get_item(RESULT)?.unbind();
            worker.finish_with_value(py, self.hooks.account(py)?, result, value)?;
            drop_object(py, ended);
        }
        if task.is_none() {
            task = worker.take_next(py)?;
        }
        let Some(task) = task else {
            return Ok(None);
        };
        let plain = self.is_plain(task.bind(py))?;
        if plain {
            self.handed_out.store(true, Ordering::Relaxed);
        } else {
            worker.leave_to_next()?;
        }
        Ok(plain.then_some(task))
    }

    /// Whether a task has been handed out and is not finished.
    #[getter]
    fn handed_out(&self) -> bool {
        self.handed_out.load(Ordering::Relaxed)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.worker)?;
        visit.call(&self.slot)?;
        visit.call(&self.hooks.class)?;
        visit.call(&self.hooks.own)?;
        visit.call(&self.hooks.after)
    }
}

impl Tasks {
    /// Whether there is nothing to do around the job but to call a function.
    fn is_plain(&self, job: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(task) = job.cast::<PyTuple>() else {
            return Ok(false);
        };
        let py = job.py();
        Ok(task.get_item(CONTEXT)?.is_none()
            && !self.worker.get().thread_hooks.are_set(py)
            && self.hooks.are_none(py)?)
    }
}

impl Hooks {
    /// The account of the pool. The worker's attributes alone refer to it: they are cleared in a forked child, where its
    /// thread is gone, and this is never dropped.
    fn account(&self, py: Python<'_>) -> PyResult<Py<Account>> {
        let account = self
            .own
            .bind(py)
            .as_any()
            .get_item(intern!(py, "_account"))?;
        Ok(account.cast_into()?.unbind())
    }

    /// Whether the worker's class and its own attributes have none.
    fn are_none(&self, py: Python<'_>) -> PyResult<bool> {
        let before = intern!(py, "_before_run_task");
        Ok(!self.overrides(py, before, &self.before)? && !self.overrides_after(py)?)
    }

    /// Whether there is one for what comes after a task.
    fn overrides_after(&self, py: Python<'_>) -> PyResult<bool> {
        self.overrides(py, intern!(py, "_after_run_task"), &self.after)
    }

    fn overrides(
        &self,
        py: Python<'_>,
        name: &Bound<'_, PyString>,
        method: &Py<PyAny>,
    ) -> PyResult<bool> {
        let of_class = self.class.bind(py).getattr(name)?;
        Ok(!of_class.is(method) || self.own.bind(py).contains(name)?)
    }
}
