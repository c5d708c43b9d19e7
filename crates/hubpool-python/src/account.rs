//! What each task costs the account of its pool: how many are outstanding, and a value delivered.

use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::batch::Batch;
use crate::call::call_method;
use crate::core::{Core, Job, RESULT};
use crate::reply::Reply;
use crate::wake::{Message, Wake};

/// The part of a pool's account that every task goes through. Its subclass, in Python, does
/// the rest: `_watch`, `_unwatch` and `notify`. Only the hub's thread calls it, and no
/// signal handler can come between two steps.
#[pyclass(frozen, subclass, module = "hubpool._native")]
pub struct Account {
    pub wake: Py<Wake>,
    /// The semaphore that a task has acquired.
    slots: Py<PyAny>,
    /// Slots that are owed: tasks that have none, since whoever is to have their results waits for
    /// those anyway. The next slots that come back pay for them.
    owed: AtomicUsize,
    /// Tasks whose results have not been delivered, and maps at work.
    outstanding: AtomicUsize,
}

#[pymethods]
impl Account {
    #[new]
    fn new(wake: Py<Wake>, slots: Py<PyAny>) -> Self {
        Self {
            wake,
            slots,
            owed: AtomicUsize::new(0),
            outstanding: AtomicUsize::new(0),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.wake)?;
        visit.call(&self.slots)
    }

    /// Tasks whose results have not been delivered, and maps at work.
    #[getter]
    fn outstanding(&self) -> usize {
        self.outstanding.load(Ordering::Relaxed)
    }

    /// The semaphore that a task has acquired.
    #[getter]
    fn slots(&self, py: Python<'_>) -> Py<PyAny> {
        self.slots.clone_ref(py)
    }

    /// Sets the most workers of the pool, and makes as many slots more or fewer. A handler of signals
    /// that does the same comes before or after it.
    fn resize(slf: &Bound<'_, Self>, core: &Bound<'_, Core>, maxsize: usize) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let pool = core.get().pool();
        // Neither is above 2**30.
        let more = maxsize.cast_signed() - pool.maxsize().cast_signed();
        pool.set_maxsize(maxsize);
        let left = this.pay(more);
        let slots = this.slots.bind(py);
        let counter = intern!(py, "counter");
        let count: isize = slots.getattr(counter)?.extract()?;
        // Who waits is told by the last of them, as it comes back.
        let released = left > 0;
        slots.setattr(counter, count + left - isize::from(released))?;
        if released {
            call_method(intern!(py, "release"), [slots])?;
        }
        Ok(())
    }

    /// Takes a slot, or owes it, counts a task, and queues it, if there are a slot and workers enough
    /// for it. Else nothing has happened: the caller waits for a slot, or starts a worker, or is in a
    /// forked child and must make all anew before.
    ///
    /// If the caller is about to wait and nobody else would run, a worker that has to be woken `can_begin`: it finds the
    /// interpreter free, and need not sleep again for it.
    #[expect(clippy::too_many_arguments, reason = "the parts of a task")]
    fn offer<'py>(
        slf: &Bound<'py, Self>,
        core: &Bound<'py, Core>,
        func: &Bound<'py, PyAny>,
        args: Bound<'py, PyAny>,
        kwargs: Bound<'py, PyAny>,
        result: Bound<'py, PyAny>,
        context: Bound<'py, PyAny>,
        may_owe: bool,
        can_begin: bool,
    ) -> PyResult<bool> {
        if !func.is_callable() {
            let repr = func.repr()?;
            return Err(PyTypeError::new_err(format!(
                "func must be callable: {repr}"
            )));
        }
        if core.get().is_inherited() || !Self::take_slot(slf, may_owe)? {
            return Ok(false);
        }
        let task = PyTuple::new(slf.py(), [func.clone(), args, kwargs, result, context])?;
        let queued = Self::queue(slf, core, task.into_any().unbind(), can_begin);
        if !matches!(queued, Ok(true)) {
            Self::give_slot_back(slf)?;
        }
        queued
    }

    /// Withdraws a task that no worker has taken, named by itself or by its result, and gives back what
    /// it holds. Its result gets the error, if there is one. Returns whether there was such a task.
    fn withdraw(
        slf: &Bound<'_, Self>,
        core: &Bound<'_, Core>,
        task: &Bound<'_, PyAny>,
        error: Option<Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let job = core.get().withdraw_job(task);
        job.map_or(Ok(false), |job| Self::refuse(slf, core, job, error))
    }

    /// Does so with the newest, and tells its result; gives up a map's ticket. Returns whether there
    /// was anything in the queue.
    fn withdraw_newest(
        slf: &Bound<'_, Self>,
        core: &Bound<'_, Core>,
        error: Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let job = core.get().pool().withdraw(|_| true);
        job.map_or(Ok(false), |job| Self::refuse(slf, core, job, Some(error)))
    }
}

impl Account {
    /// Takes a slot, if there is one and nobody waits for it; else owes it, if the caller may. Returns
    /// whether it has.
    pub fn take_slot(slf: &Bound<'_, Self>, may_owe: bool) -> PyResult<bool> {
        let py = slf.py();
        let this = slf.get();
        let slots = this.slots.bind(py);
        // A slot is theirs who wait for one already.
        let waiters: usize = slots.call_method0(intern!(py, "linkcount"))?.extract()?;
        if waiters > 0 {
            return Ok(false);
        }
        let taken = slots
            .call_method1(intern!(py, "acquire"), (false,))?
            .is_truthy()?;
        let owes = !taken && may_owe;
        this.owed.fetch_add(usize::from(owes), Ordering::Relaxed);
        Ok(taken || owes)
    }

    /// Gives a slot back, or pays for one that is owed.
    fn give_slot_back(slf: &Bound<'_, Self>) -> PyResult<()> {
        let this = slf.get();
        if this.pay(1) == 0 {
            return Ok(());
        }
        let py = slf.py();
        let slots = this.slots.bind(py);
        call_method(intern!(py, "release"), [slots]).map(drop)
    }

    /// Counts a task, or a map that has come to work.
    pub fn begin(slf: &Bound<'_, Self>) -> PyResult<()> {
        slf.get().outstanding.fetch_add(1, Ordering::Relaxed);
        Self::hold(slf).inspect_err(|_| {
            slf.get().outstanding.fetch_sub(1, Ordering::Relaxed);
        })
    }

    /// Takes that back; tells who waits for the pool to be empty.
    pub fn end(slf: &Bound<'_, Self>) -> PyResult<()> {
        let before = take_one(&slf.get().outstanding)?;
        let unwatched = Self::release(slf);
        let told = if before == 1 {
            call_method(intern!(slf.py(), "notify"), [slf]).map(drop)
        } else {
            Ok(())
        };
        Self::or_by_the_hub(slf, unwatched.and(told))
    }

    /// Has the hub's loop go on, since somebody waits for messages.
    pub fn hold(slf: &Bound<'_, Self>) -> PyResult<()> {
        let wake = slf.get().wake.get();
        if wake.hold()
            && let Err(error) = call_method(intern!(slf.py(), "_watch"), [slf])
        {
            wake.release()?;
            return Err(error);
        }
        Ok(())
    }

    /// Takes that back.
    pub fn release(slf: &Bound<'_, Self>) -> PyResult<()> {
        if slf.get().wake.get().release()? {
            call_method(intern!(slf.py(), "_unwatch"), [slf])?;
        }
        Ok(())
    }

    /// Counts a task that has a slot, and queues it, if there are workers enough for it.
    pub fn queue(
        slf: &Bound<'_, Self>,
        core: &Bound<'_, Core>,
        task: Py<PyAny>,
        can_begin: bool,
    ) -> PyResult<bool> {
        Self::begin(slf)?;
        match core.get().pool().offer(Job::Task(task)) {
            Ok(Some(wake_up)) if can_begin => slf.py().detach(|| drop(wake_up)),
            Ok(_) => {}
            Err(_) => {
                Self::end(slf)?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Ends what has been withdrawn, whatever goes wrong.
    fn refuse(
        slf: &Bound<'_, Self>,
        core: &Bound<'_, Core>,
        job: Job,
        error: Option<Bound<'_, PyAny>>,
    ) -> PyResult<bool> {
        let py = slf.py();
        let task = match job {
            Job::Ticket(batch) => {
                Batch::discard(batch.bind(py));
                return Ok(true);
            }
            Job::Task(task) => task,
        };
        core.get().pool().finish(1);
        let given_back = Self::settle(slf);
        if let Some(error) = error {
            let result = task.bind(py).get_item(RESULT)?;
            let tell = || call_method(intern!(py, "set_exception"), [&result, &error]);
            if let Err(raised) = tell() {
                // A signal handler may have come before it was told.
                if !call_method(intern!(py, "ready"), [&result])?.is_truthy()? {
                    tell()?;
                }
                return Err(raised);
            }
        }
        given_back.and(Ok(true))
    }

    /// Has so many slots pay for those that are owed; returns how many are left. Fewer than none
    /// pay nothing.
    fn pay(&self, slots: isize) -> isize {
        let owed = self.owed.load(Ordering::Relaxed);
        let paid = owed.min(usize::try_from(slots).unwrap_or(0));
        self.owed.store(owed - paid, Ordering::Relaxed);
        slots - paid.cast_signed()
    }

    /// Gives a task's result its value. If that fails, for want of stack for instance, nothing has
    /// happened. Returns whether it is a reply whose greenlet waits: the caller sees to it that it
    /// goes on.
    pub fn set_value(result: &Bound<'_, PyAny>, value: &Py<PyAny>) -> PyResult<bool> {
        let py = result.py();
        if let Ok(reply) = result.cast::<Reply>() {
            reply.get().set(value.clone_ref(py));
            return Ok(reply.get().is_awaited());
        }
        call_method(intern!(py, "set"), [result, value.bind(py)])?;
        Ok(false)
    }

    /// Gives a task's slot back, and takes it off the count. Whatever goes wrong, the rest is done.
    pub fn settle(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::give_back(slf, true, true)
    }

    /// Does so with what there is of both.
    pub fn give_back(slf: &Bound<'_, Self>, slot: bool, counted: bool) -> PyResult<()> {
        let mut given_back = Ok(());
        if slot {
            given_back = Self::or_by_the_hub(slf, Self::give_slot_back(slf));
        }
        let ended = if counted { Self::end(slf) } else { Ok(()) };
        given_back.and(ended)
    }

    /// Has the hub tell all who wait, if telling them has failed: the caller's stack may have ended.
    fn or_by_the_hub(slf: &Bound<'_, Self>, told: PyResult<()>) -> PyResult<()> {
        if told.is_err() {
            let none = slf.py().None();
            let notice = (slf, &none, &none, &none).into_pyobject(slf.py())?;
            let notice = Message::Other(notice.into_any().unbind());
            slf.get().wake.get().post(notice);
        }
        told
    }
}

/// Takes one away from a count; returns what it was.
pub fn take_one(count: &AtomicUsize) -> PyResult<usize> {
    count
        .fetch_update(Ordering::SeqCst, Ordering::Relaxed, |count| {
            count.checked_sub(1)
        })
        .map_err(|_| PyRuntimeError::new_err("there is nothing to take back"))
}
