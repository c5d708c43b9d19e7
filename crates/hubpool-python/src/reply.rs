//! What the greenlet in `ThreadPool.apply` waits for.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

/// A value or an error for one greenlet, in its thread. Its subclass, in Python, switches.
#[pyclass(frozen, subclass, module = "hubpool._native")]
pub struct Reply {
    #[pyo3(get)]
    account: Py<PyAny>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ready: bool,
    value: Option<Py<PyAny>>,
    exc_info: Option<Py<PyAny>>,
    /// The greenlet that waits.
    waiter: Option<Py<PyAny>>,
}

#[pymethods]
impl Reply {
    #[new]
    fn new(account: Py<PyAny>) -> Self {
        Self {
            account,
            state: Mutex::default(),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.account)?;
        if let Ok(state) = self.state.try_lock() {
            visit.call(&state.value)?;
            visit.call(&state.exc_info)?;
            visit.call(&state.waiter)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        let state = std::mem::take(&mut *self.state());
        drop(state);
    }

    /// Whether there is, or has been, a value or an error.
    fn ready(&self) -> bool {
        self.state().ready
    }

    /// Takes the value; without one, returns the default.
    fn take(&self, default: Py<PyAny>) -> Py<PyAny> {
        let value = self.state().value.take();
        value.unwrap_or(default)
    }

    /// Sets the value.
    pub fn set(&self, value: Py<PyAny>) {
        let old = {
            let mut state = self.state();
            state.ready = true;
            state.value.replace(value)
        };
        drop(old);
    }

    /// What the task has raised: its type, the exception and the traceback.
    #[getter]
    fn exc_info(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let state = self.state();
        state.exc_info.as_ref().map(|info| info.clone_ref(py))
    }

    #[setter]
    fn set_exc_info(&self, exc_info: Option<Py<PyAny>>) {
        let old = {
            let mut state = self.state();
            state.ready = true;
            std::mem::replace(&mut state.exc_info, exc_info)
        };
        drop(old);
    }

    /// The greenlet that waits.
    #[getter]
    fn waiter(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let state = self.state();
        state.waiter.as_ref().map(|waiter| waiter.clone_ref(py))
    }

    #[setter]
    fn set_waiter(&self, waiter: Option<Py<PyAny>>) {
        let old = std::mem::replace(&mut self.state().waiter, waiter);
        drop(old);
    }
}

impl Reply {
    /// Whether a greenlet waits.
    pub fn is_awaited(&self) -> bool {
        self.state().waiter.is_some()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
