//! What somebody has taken of a pool's account and may have to give back.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::account::Account;
use crate::core::Core;

/// A task's slot, and its place in the count of what is outstanding; or a hold of the hub's loop, for who
/// waits. The hub's thread only.
///
/// Each step is whole: a signal handler that raises between two of them finds noted what there is to
/// give back, and nothing is given back twice.
#[pyclass(frozen, module = "hubpool._native")]
pub struct Held {
    account: Py<Account>,
    slot: AtomicBool,
    counted: AtomicBool,
    holds: AtomicBool,
}

#[pymethods]
impl Held {
    /// `everything` is held of a task that has run, and nothing of one that is about to be submitted.
    #[new]
    fn new(account: Py<Account>, everything: bool) -> Self {
        Self {
            account,
            slot: AtomicBool::new(everything),
            counted: AtomicBool::new(everything),
            holds: AtomicBool::new(false),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.account)
    }

    /// Takes a slot as `Account.take_slot`.
    fn take_slot(&self, py: Python<'_>, may_owe: bool) -> PyResult<bool> {
        let taken = Account::take_slot(self.account.bind(py), may_owe)?;
        self.slot.store(taken, Ordering::Relaxed);
        Ok(taken)
    }

    /// Notes whether the slot has been acquired by other means. Returns that.
    fn keep_slot(&self, acquired: bool) -> bool {
        self.slot.store(acquired, Ordering::Relaxed);
        acquired
    }

    /// Counts the task, which has a slot, and queues it, if there are workers enough for it. From then
    /// on what is held is given back with its result.
    fn offer(&self, core: &Bound<'_, Core>, task: Py<PyAny>) -> PyResult<bool> {
        let queued = Account::queue(self.account.bind(core.py()), core, task, false)?;
        if queued {
            self.slot.store(false, Ordering::Relaxed);
        }
        Ok(queued)
    }

    /// Counts the task.
    fn begin(&self, py: Python<'_>) -> PyResult<()> {
        Account::begin(self.account.bind(py))?;
        self.counted.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Has the loop go on for who waits.
    fn hold(&self, py: Python<'_>) -> PyResult<()> {
        Account::hold(self.account.bind(py))?;
        self.holds.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Queues the task, which has a slot and has been counted. Returns whether there is a worker for it. From
    /// then on what is held is given back with its result.
    fn submit(&self, core: &Bound<'_, Core>, task: Py<PyAny>) -> bool {
        // A pool's core is never closed.
        let manned = core.get().submit(task).unwrap_or(false);
        self.slot.store(false, Ordering::Relaxed);
        self.counted.store(false, Ordering::Relaxed);
        manned
    }

    /// Gives back what is held.
    fn give_back(&self, py: Python<'_>) -> PyResult<()> {
        let account = self.account.bind(py);
        let slot = self.slot.swap(false, Ordering::Relaxed);
        let counted = self.counted.swap(false, Ordering::Relaxed);
        let given_back = Account::give_back(account, slot, counted);
        if self.holds.swap(false, Ordering::Relaxed) {
            Account::release(account)?;
        }
        given_back
    }
}
