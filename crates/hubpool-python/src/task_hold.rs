//! What keeps a hub's loop from ending while an executor's task is outstanding.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::wake::{Message, Wake};
use crate::worker::Worker;

/// One task of an executor's, as the hub of its submitter counts it: the loop goes on until the task has ended.
///
/// A greenlet may wait for what the task will do by another way than its future: an event that the task sets. The count
/// ends with [`end`](Self::end), or with this object: a submission that is broken off leaves no count.
#[pyclass(frozen, module = "hubpool._native")]
pub struct TaskHold {
    wake: Py<Wake>,
    ended: AtomicBool,
}

#[pymethods]
impl TaskHold {
    /// Counts a task. Only the thread of the wake's hub may call it.
    #[new]
    fn new(wake: Py<Wake>) -> Self {
        wake.get().begin_task();
        Self {
            wake,
            ended: AtomicBool::new(false),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.wake)
    }

    /// The wake whose hub counts the task.
    #[getter]
    fn wake(&self, py: Python<'_>) -> Py<Wake> {
        self.wake.clone_ref(py)
    }

    /// Counts the task no more; called again, it does nothing. Any thread may call it.
    ///
    /// A hub that may have nothing else to wait for is told, unless the caller posts a message to it afterwards
    /// (`tells_hub`). A worker tells it as the worker lets the interpreter go.
    fn end(&self, py: Python<'_>, tells_hub: bool, worker: Option<&Worker>) -> PyResult<()> {
        if self.ended.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let wake = self.wake.get();
        if tells_hub {
            wake.end_task_before_a_message();
        } else if wake.end_task() {
            match worker {
                Some(worker) => {
                    worker.leave_message(self.wake.clone_ref(py), Message::LookAgain)?;
                }
                None => wake.post(Message::LookAgain),
            }
        }
        Ok(())
    }
}

impl Drop for TaskHold {
    fn drop(&mut self) {
        if !*self.ended.get_mut() && self.wake.get().end_task() {
            self.wake.get().post(Message::LookAgain);
        }
    }
}
