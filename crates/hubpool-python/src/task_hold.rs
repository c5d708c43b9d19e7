//! What keeps a hub's loop from ending while tasks of executors are outstanding.

use pyo3::ffi;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyWeakrefReference};

use crate::wake::{Message, Wake};

/// Keeps a hub's loop from ending as long as it is referred to: each task of an executor refers to that of its submitter's
/// hub until the task has ended.
///
/// A greenlet may wait for what the task will do by another way than its future: an event that the task sets. One such
/// object serves all tasks that are outstanding at one time, so that the count of its references counts them.
#[pyclass(frozen, weakref, module = "hubpool._native")]
pub struct TaskHold {
    wake: Py<Wake>,
}

#[pymethods]
impl TaskHold {
    /// Only the thread of the wake's hub may call it, or a thread while something else keeps the loop.
    #[new]
    fn new(wake: Py<Wake>) -> Self {
        wake.get().hold_for_tasks();
        Self { wake }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.wake)
    }
}

impl Drop for TaskHold {
    fn drop(&mut self) {
        let wake = self.wake.get();
        if wake.release_for_tasks() {
            wake.post(Message::LookAgain);
        }
    }
}

/// Has the tasks that the calling thread submits from now on share what keeps its hub's loop.
#[pyfunction]
pub fn share_hold(hub: &Bound<'_, PyAny>, hold: &Bound<'_, TaskHold>) -> PyResult<()> {
    let py = hub.py();
    let shared = (
        PyWeakrefReference::new(hub)?,
        PyWeakrefReference::new(hold)?,
    );
    match values_of_thread(py) {
        Some(values) => values.set_item(intern!(py, SHARED), shared),
        None => Ok(()),
    }
}

/// What the tasks share that are outstanding and were submitted in the calling thread. `None`: there are none, or they
/// are a parent process's, or the thread's hub has been destroyed.
#[pyfunction]
pub fn shared_hold(py: Python<'_>) -> PyResult<Option<Py<TaskHold>>> {
    let shared = values_of_thread(py).map(|values| values.get_item(intern!(py, SHARED)));
    let Some(shared) = shared.transpose()?.flatten() else {
        return Ok(None);
    };
    let shared = shared.cast::<PyTuple>()?;
    let referent = |place| {
        shared
            .get_borrowed_item(place)?
            .cast::<PyWeakrefReference>()
            .map(|found| found.upgrade())
            .map_err(PyErr::from)
    };
    let (Some(hub), Some(hold)) = (referent(0)?, referent(1)?) else {
        return Ok(None);
    };
    let hold = hold.cast_into::<TaskHold>()?;
    let is_current =
        !hold.get().wake.get().inherited() && !hub.getattr(intern!(py, "loop"))?.is_none();
    Ok(is_current.then(|| hold.unbind()))
}

/// The name of a thread's value that refers weakly to its hub, and to what the tasks that were submitted there share.
const SHARED: &str = "hubpool.shared_hold";

/// The interpreter's dictionary of the calling thread's own values, which ends with the thread.
fn values_of_thread(py: Python<'_>) -> Option<Bound<'_, PyDict>> {
    // SAFETY: the thread has the interpreter. It is a borrowed reference to a dictionary, or null.
    let values = unsafe { Bound::from_borrowed_ptr_or_opt(py, ffi::PyThreadState_GetDict()) };
    values?.cast_into().ok()
}
