//! A worker's place in a pool: how it comes to its next job, and what it leaves for the hub.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hubpool::binding::Next;
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::account::Account;
use crate::attach::{Hold, detached, stay_away};
use crate::call::{call_method, drop_object};
use crate::core::{Core, Job};
use crate::fork::Process;
use crate::load::Load;
use crate::wake::{Message, Wake};

/// A worker's place in a pool. Only the thread that made it may use it.
#[pyclass(frozen, module = "hubpool._native")]
pub struct Worker {
    core: Py<Core>,
    place: hubpool::binding::Worker,
    idle: Option<Duration>,
    pub greenlet: Py<PyAny>,
    listing: Listing,
    get_hub_if_exists: Py<PyAny>,
    hooks: Hooks,
    pub thread_hooks: ThreadHooks,
    /// The class of contexts.
    new_context: Py<PyAny>,
    between: Mutex<Between>,
    /// Whether the pool counts the worker.
    registered: AtomicBool,
    /// Whether the worker, which is in no list, is about to take a job that waits.
    seeks: AtomicBool,
    /// In a child of this process, pool and hub's list are the parent's.
    process: Process,
    /// Whether its jobs compute, and its place if they do.
    load: Mutex<Load>,
    desk: Mutex<Desk>,
}

/// What the worker keeps between two calls.
struct Desk {
    hold: Hold,
    /// The job that the worker took last, until it has ended.
    taken: Option<Py<PyAny>>,
    /// Whether it is the one that `next` takes.
    untold: bool,
    /// The last task's message, for `wake`.
    outgoing: Option<Message>,
    /// The hub that the last message was for, or that the pool belongs to.
    wake: Option<Py<Wake>>,
}

/// The state that the thread has between two tasks. A task that leaves another state has left traces.
struct Between {
    /// The empty context that the greenlet is in while it runs tasks.
    context: Py<PyAny>,
    /// The hooks that a debugger, a profiler or the executor's initializer has set in the thread, or `None`.
    profile: Py<PyAny>,
    trace: Py<PyAny>,
}

/// The functions that tell the hooks of the calling thread.
struct Hooks {
    getprofile: Py<PyAny>,
    gettrace: Py<PyAny>,
}

impl Desk {
    /// Takes the message that was left, and the hub that it is for.
    fn outgoing(&mut self, py: Python<'_>) -> Option<(Py<Wake>, Message)> {
        let wake = self.wake.as_ref()?.clone_ref(py);
        Some((wake, self.outgoing.take()?))
    }
}

/// Where `threading` lists the threads that run something. Nobody needs to wait for one that waits for work.
struct Listing {
    threads: Py<PyDict>,
    number: Py<PyAny>,
    thread: Py<PyAny>,
    /// Whether the thread has joiners, which it tells when it leaves the list.
    joined: AtomicBool,
}

#[pymethods]
impl Worker {
    /// `idle_task_timeout` is in seconds; a negative one means never. The tasks
    /// run in the context of the `greenlet`. `threading` lists the `thread`. A pool's worker has the pool's hub to `wake`.
    #[new]
    #[pyo3(signature = (core, idle_task_timeout, greenlet, thread, wake=None))]
    fn new(
        py: Python<'_>,
        core: Py<Core>,
        idle_task_timeout: f64,
        greenlet: Py<PyAny>,
        thread: Bound<'_, PyAny>,
        wake: Option<Py<Wake>>,
    ) -> PyResult<Self> {
        let sys = py.import("sys")?;
        let cpython = py.import("hubpool._cpython")?;
        let listing = Listing {
            threads: cpython.getattr("active_threads")?.cast_into()?.unbind(),
            number: thread.getattr("ident")?.unbind(),
            thread: thread.unbind(),
            joined: AtomicBool::new(false),
        };
        let gevent = py.import("hubpool._gevent")?;
        let new_context = py.import("contextvars")?.getattr("Context")?;
        Ok(Self {
            core,
            place: hubpool::binding::Worker::new(),
            idle: Duration::try_from_secs_f64(idle_task_timeout).ok(),
            greenlet,
            listing,
            get_hub_if_exists: gevent.getattr("get_hub_if_exists")?.unbind(),
            hooks: Hooks {
                getprofile: sys.getattr("getprofile")?.unbind(),
                gettrace: sys.getattr("gettrace")?.unbind(),
            },
            thread_hooks: cpython.getattr("thread_hooks")?.extract()?,
            between: Mutex::new(Between {
                context: new_context.call0()?.unbind(),
                profile: py.None(),
                trace: py.None(),
            }),
            new_context: new_context.unbind(),
            registered: AtomicBool::new(true),
            seeks: AtomicBool::new(false),
            process: Process::new(),
            load: Mutex::new(Load::new()),
            desk: Mutex::new(Desk {
                hold: Hold::new(py)?,
                taken: None,
                untold: false,
                outgoing: None,
                wake,
            }),
        })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.core)?;
        visit.call(&self.greenlet)?;
        visit.call(&self.listing.thread)?;
        if let Ok(between) = self.between.try_lock() {
            visit.call(&between.context)?;
            visit.call(&between.profile)?;
            visit.call(&between.trace)?;
        }
        match self.desk.try_lock() {
            Ok(desk) => {
                visit.call(&desk.taken)?;
                if let Some(message) = &desk.outgoing {
                    message.visit(&visit)?;
                }
                visit.call(&desk.wake)
            }
            Err(_) => Ok(()),
        }
    }

    /// Has the greenlet run in an empty context, which shows at little cost whether a task has set
    /// anything there. Fails in a forked child.
    fn clear_context(&self, py: Python<'_>) -> PyResult<()> {
        self.check_parent()?;
        let empty = self.new_context.call0(py)?;
        self.greenlet
            .setattr(py, intern!(py, "gr_context"), &empty)?;
        // What the old one holds is dropped when the lock is free again.
        let mut between = self.between.lock().map_err(poisoned)?;
        let old = std::mem::replace(&mut between.context, empty);
        drop(between);
        drop_object(py, old);
        Ok(())
    }

    /// Whether a task has left something behind in its thread: a variable of its context, or one
    /// of the interpreter's hooks that is not the thread's own. Runs no code of the program's. It does not
    /// notice a task that puts another context in this one's place. A task that has forked leaves something, in the child.
    pub fn has_traces(&self, py: Python<'_>) -> bool {
        self.process.forked()
            || !self.between.lock().is_ok_and(|between| {
                self.has_own_hooks(py, &between)
                    && between.context.bind(py).len().is_ok_and(|len| len == 0)
            })
    }

    /// Takes the hooks that the thread has now for its own: a task leaves them alone. A hook that
    /// `threading` sets for each task is none of these. For a moment at which no task runs.
    pub fn learn_hooks(&self, py: Python<'_>) -> PyResult<()> {
        if self.has_own_hooks(py, &*self.between.lock().map_err(poisoned)?) {
            return Ok(());
        }
        let of_tasks = &self.thread_hooks;
        let profile = of_tasks.own(self.hooks.profile(py)?, &of_tasks.1)?;
        let trace = of_tasks.own(self.hooks.trace(py)?, &of_tasks.2)?;
        let mut between = self.between.lock().map_err(poisoned)?;
        let old = [
            std::mem::replace(&mut between.profile, profile),
            std::mem::replace(&mut between.trace, trace),
        ];
        drop(between);
        for hook in old {
            drop_object(py, hook);
        }
        Ok(())
    }

    /// The thread's own hooks, for profiling and for tracing, each of which may be `None`.
    #[getter]
    fn hooks(&self, py: Python<'_>) -> PyResult<(Py<PyAny>, Py<PyAny>)> {
        let between = self.between.lock().map_err(poisoned)?;
        Ok((between.profile.clone_ref(py), between.trace.clone_ref(py)))
    }

    /// Has the worker call the thread's `rested` when it next waits for a job. Any thread.
    fn call_when_resting(&self) {
        self.listing.joined.store(true, Ordering::Relaxed);
    }

    /// Whether the worker, whose thread `threading` does not list, is about to take a job that waits. Any thread.
    #[getter]
    fn seeks(&self) -> bool {
        self.seeks.load(Ordering::Relaxed)
    }

    /// Keeps a message for a hub. The next call of `next` sends it.
    fn keep(&self, wake: Py<Wake>, message: Py<PyAny>) -> PyResult<()> {
        self.leave_message(wake, Message::Other(message))
    }

    /// Takes a job that the worker has not got from the queue.
    fn take(&self, job: Py<PyAny>) -> PyResult<()> {
        self.desk.lock().map_err(poisoned)?.taken = Some(job);
        Ok(())
    }

    /// Counts the task that was taken as ended, once.
    fn end(&self, py: Python<'_>) -> PyResult<()> {
        let taken = self.desk.lock().map_err(poisoned)?.taken.take();
        self.core.get().pool().finish(usize::from(taken.is_some()));
        if let Some(taken) = taken {
            drop_object(py, taken);
        }
        Ok(())
    }

    /// Lets go of the job that was taken, which somebody else answers for.
    pub fn let_go(&self, py: Python<'_>) -> PyResult<()> {
        let taken = self.desk.lock().map_err(poisoned)?.taken.take();
        if let Some(taken) = taken {
            drop_object(py, taken);
        }
        Ok(())
    }

    /// Counts the task as ended, and leaves its message.
    fn finish(&self, py: Python<'_>, wake: Py<Wake>, message: Py<PyAny>) -> PyResult<()> {
        self.end(py)?;
        self.keep(wake, message)
    }

    /// Counts the task as ended, and leaves the value for its result.
    pub fn finish_with_value(
        &self,
        py: Python<'_>,
        account: Py<Account>,
        result: Py<PyAny>,
        value: Py<PyAny>,
    ) -> PyResult<()> {
        self.end(py)?;
        let wake = account.get().wake.clone_ref(py);
        let value = Message::Value {
            account,
            result,
            value,
        };
        self.leave_message(wake, value)
    }

    /// The job that was taken and has not ended: for a worker that something has
    /// hit outside of its task. A forked child has none: it is the parent's.
    pub fn taken(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        if self.process.forked() {
            return Ok(None);
        }
        let desk = self.desk.lock().map_err(poisoned)?;
        Ok(desk.taken.as_ref().map(|job| job.clone_ref(py)))
    }

    /// Sends the message that was left, and takes back the registration unless
    /// the pool has: for a worker that takes no more jobs. Again, it does nothing.
    fn leave(&self, py: Python<'_>) -> PyResult<()> {
        if self.process.forked() {
            return Ok(());
        }
        if self.registered.swap(false, Ordering::Relaxed) {
            self.core.get().pool().unregister();
        }
        self.load
            .lock()
            .map_err(poisoned)?
            .give_back(&self.core.get().places);
        let outgoing = self.desk.lock().map_err(poisoned)?.outgoing(py);
        if let Some((wake, message)) = outgoing {
            wake.get().post(message);
        }
        Ok(())
    }

    /// Sends the message that was left, then waits for a job and takes it. `False`: the
    /// worker is no longer registered and must end.
    fn next(&self, py: Python<'_>) -> PyResult<bool> {
        let is_there = std::mem::take(&mut self.desk.lock().map_err(poisoned)?.untold);
        Ok(is_there || self.take_next(py)?.is_some())
    }
}

impl Worker {
    /// Fails in a forked child: the worker's task has forked, and goes on.
    pub fn check_parent(&self) -> PyResult<()> {
        if self.process.forked() {
            return Err(PyRuntimeError::new_err("the pool is the parent's"));
        }
        Ok(())
    }

    /// Leaves the job that was taken to `next`.
    pub fn leave_to_next(&self) -> PyResult<()> {
        self.desk.lock().map_err(poisoned)?.untold = true;
        Ok(())
    }

    /// Sends the message that was left, then waits for a job and takes it. `None`: the worker is no
    /// longer registered and must end.
    ///
    /// Where no job waits, message and wait come after the interpreter has
    /// been let go, so that the hub does not wake up only to wait for it.
    pub fn take_next(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.check_parent()?;
        if !self.registered.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let pool = self.core.get().pool();
        self.let_go(py)?;
        let now = Instant::now();
        let may_stay = !self.desk.lock().map_err(poisoned)?.hold.is_over(now);
        if !self.must_wait(now)?
            && may_stay
            && let Some(job) = pool.try_next(&self.place)
        {
            let job = job.object();
            let outgoing = {
                let mut desk = self.desk.lock().map_err(poisoned)?;
                desk.taken = Some(job.clone_ref(py));
                desk.outgoing(py)
            };
            if let Some((wake, message)) = outgoing {
                wake.get().post_attached(message);
            }
            return Ok(Some(job.clone_ref(py)));
        }
        let busy = pool.queued() > 0;
        self.seeks.store(busy, Ordering::Relaxed);
        // It may raise, and the message is still on the desk then.
        self.rest(py)?;
        let (outgoing, wake) = {
            let mut desk = self.desk.lock().map_err(poisoned)?;
            let wake = desk.wake.as_ref().map(|wake| wake.clone_ref(py));
            (desk.outgoing.take(), wake)
        };
        let wake = wake.as_ref().map(Py::get);
        let places = &self.core.get().places;
        let next = detached(py, &self.core.get().turnstile, || {
            let mut soon = false;
            if let Some(wake) = wake {
                if let Some(message) = outgoing {
                    // It goes on at once then, and may have the next job.
                    soon = wake.trying();
                    wake.post(message);
                }
                wake.let_go();
            }
            let mut load = self.load.lock().unwrap_or_else(PoisonError::into_inner);
            let mut next = None;
            if busy {
                stay_away();
                load.take(places);
                next = pool.try_next(&self.place).map(Next::Job);
                self.seeks.store(next.is_some(), Ordering::Relaxed);
            }
            let next = next.unwrap_or_else(|| {
                load.give_back(places); // A worker that has a place does not sleep.
                pool.next_when(&self.place, self.idle, soon, || {
                    wake.is_none_or(Wake::looking)
                })
            });
            // A worker in a place has a core; another one looks for a free one before it joins a map.
            if let Next::Job(Job::Ticket(batch)) = &next
                && !load.has_place()
            {
                batch.get().until_needed(|| self.call_next(wake));
            }
            next
        });
        self.call_next(wake);
        let now = Instant::now();
        self.load.lock().map_err(poisoned)?.restart(now);
        let job = match &next {
            Next::Job(job) => Some(job.object().clone_ref(py)),
            Next::Exit | Next::Expired => {
                self.registered.store(false, Ordering::Relaxed);
                None
            }
        };
        let mut desk = self.desk.lock().map_err(poisoned)?;
        desk.hold.renew(now, busy);
        desk.taken = job.as_ref().map(|job| job.clone_ref(py));
        if job.is_some() {
            self.listing.enter(py)?;
        }
        self.seeks.store(false, Ordering::Relaxed);
        drop(desk);
        // Another thread may have set hooks in all threads, this one too.
        self.learn_hooks(py)?;
        Ok(job)
    }

    /// Does what comes before a worker waits: a task may have made a hub in its thread.
    fn rest(&self, py: Python<'_>) -> PyResult<()> {
        let hub = self.get_hub_if_exists.bind(py).call0()?;
        if !hub.is_none() {
            let fix = intern!(py, "_fix_hub_before_block");
            call_method(fix, [self.greenlet.bind(py), &hub])?;
        }
        self.listing.leave(py)
    }

    /// Wakes one more worker if jobs wait, or leaves it to the hub.
    fn call_next(&self, wake: Option<&Wake>) {
        let core = self.core.get();
        core.pool()
            .call_next_unless(&self.place, || core.leave_call(wake));
    }

    /// Keeps a message for a hub. The next call of `next` sends it.
    pub fn leave_message(&self, wake: Py<Wake>, message: Message) -> PyResult<()> {
        let mut desk = self.desk.lock().map_err(poisoned)?;
        desk.outgoing = Some(message);
        if let Some(before) = desk.wake.replace(wake)
            && !desk.wake.as_ref().is_some_and(|wake| wake.is(&before))
        {
            // It would wait to be told so by whoever leaves it the next message.
            before.get().let_go();
        }
        Ok(())
    }

    /// Whether the thread has the hooks that it has between two tasks.
    fn has_own_hooks(&self, py: Python<'_>, between: &Between) -> bool {
        let is = |hook: PyResult<Bound<'_, PyAny>>, own| hook.is_ok_and(|hook| hook.is(own));
        is(self.hooks.profile(py), &between.profile) && is(self.hooks.trace(py), &between.trace)
    }

    /// Whether the worker must wait before its next job, since too many workers compute.
    pub fn must_wait(&self, now: Instant) -> PyResult<bool> {
        let places = &self.core.get().places;
        Ok(self.load.lock().map_err(poisoned)?.learn(now, places))
    }

    /// Lets others have the interpreter if the worker has had it for long, or the hub seems
    /// to want it. Returns whether others have had it since the last call, be it that a job has waited.
    pub fn give_way(&self, py: Python<'_>) -> PyResult<bool> {
        let (over, had_it) = {
            let mut desk = self.desk.lock().map_err(poisoned)?;
            let Desk { hold, wake, .. } = &mut *desk;
            let since = hold.since();
            let over = hold.is_over(Instant::now())
                || hold.hub_has_woken(|| wake.as_ref()?.get().sign(py));
            (over, over || hold.since() != since)
        };
        if over {
            detached(py, &self.core.get().turnstile, stay_away);
            let now = Instant::now();
            self.desk.lock().map_err(poisoned)?.hold.renew(now, true);
            // Another thread may have set hooks in all threads, this one too.
            self.learn_hooks(py)?;
            self.load.lock().map_err(poisoned)?.restart(now);
        }
        Ok(had_it)
    }
}

impl Hooks {
    fn profile<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.getprofile.bind(py).call0()
    }

    fn trace<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.gettrace.bind(py).call0()
    }
}

/// What `threading` has been told to set in each thread: where it is kept, and under which names.
#[derive(FromPyObject)]
pub struct ThreadHooks(Py<PyDict>, Py<PyString>, Py<PyString>);

impl ThreadHooks {
    /// Whether there is a hook. One that cannot be read counts as one.
    pub fn are_set(&self, py: Python<'_>) -> bool {
        let is_set = |name: &Py<PyString>| {
            let hook = self.0.bind(py).get_item(name.bind(py));
            !hook.is_ok_and(|hook| hook.is_none_or(|hook| hook.is_none()))
        };
        is_set(&self.1) || is_set(&self.2)
    }

    /// A hook of the thread's, or `None` if it is the one that `threading` sets for each task under that name.
    fn own(&self, hook: Bound<'_, PyAny>, name: &Py<PyString>) -> PyResult<Py<PyAny>> {
        let py = hook.py();
        if hook.is_none() {
            return Ok(hook.unbind());
        }
        let of_tasks = self.0.bind(py).get_item(name.bind(py))?;
        let is_own = of_tasks.is_none_or(|of_tasks| !of_tasks.is(&hook));
        Ok(if is_own { hook.unbind() } else { py.None() })
    }
}

impl Listing {
    fn enter(&self, py: Python<'_>) -> PyResult<()> {
        self.threads.bind(py).set_item(&self.number, &self.thread)
    }

    fn leave(&self, py: Python<'_>) -> PyResult<()> {
        let threads = self.threads.bind(py);
        if threads.contains(&self.number)? {
            threads.del_item(&self.number)?;
        }
        // A joiner looks whether the thread is still in the list after it has set this.
        if self.joined.load(Ordering::Relaxed) {
            self.joined.store(false, Ordering::Relaxed);
            call_method(intern!(py, "rested"), [self.thread.bind(py)])?;
        }
        Ok(())
    }
}

fn poisoned<T>(_: T) -> PyErr {
    PyRuntimeError::new_err("a worker's place is used by two threads")
}

/// Names the calling thread for the operating system (up to 15 bytes).
#[pyfunction]
pub fn name_thread(name: &Bound<'_, PyString>) {
    #[cfg(target_os = "linux")]
    {
        let short: String = name.to_string_lossy().chars().take(15).collect();
        if let Ok(name) = std::ffi::CString::new(short) {
            // A thread without a name works as well.
            let _ = rustix::thread::set_name(&name);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = name;
}
