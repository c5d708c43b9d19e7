//! One hub's completion list, and the descriptor that wakes the hub.

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hubpool::binding::Outbox;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::account::{Account, take_one};
use crate::attach::Sign;
use crate::fork::{Process, Unshared};

/// For how long greenlets may look out one after another in the hub's place, which does
/// nothing else meanwhile: no timer fires, and no descriptor is seen to be ready.
const STAND_IN_TIME: Duration = Duration::from_micros(25);

/// What a hub is told.
pub enum Message {
    /// A task's value, which is for its result.
    Value {
        account: Py<Account>,
        result: Py<PyAny>,
        value: Py<PyAny>,
    },
    /// A tuple of a target and the three arguments of its method `deliver`.
    Other(Py<PyAny>),
    /// Nothing to deliver: it wakes the hub, which looks whether anything keeps its loop.
    LookAgain,
}

impl Message {
    /// Shows the collector what it refers to.
    pub fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Value {
                account,
                result,
                value,
            } => {
                visit.call(account)?;
                visit.call(result)?;
                visit.call(value)
            }
            Self::Other(message) => visit.call(message),
            Self::LookAgain => Ok(()),
        }
    }
}

/// Messages for one hub, with a descriptor that is readable while there are
/// some: an eventfd on Linux, a pipe on other systems.
#[pyclass(frozen, module = "hubpool._native")]
pub struct Wake {
    outbox: Outbox<Message>,
    /// What the hub has taken and not delivered, oldest first.
    tray: Mutex<VecDeque<Message>>,
    /// What has been returned for delivery last, until the next is asked for.
    taken: Mutex<Option<Py<PyAny>>>,
    /// How many wait for messages. Of the hub's thread, as are the rest.
    holds: AtomicUsize,
    /// How many `TaskHold`s there are. Any thread.
    task_holds: AtomicUsize,
    /// Whether a `LookAgain` is on its way.
    looks_again: AtomicBool,
    /// Whether the hub's loop is known to count the watcher of the descriptor. The hub's thread writes it; others read it.
    counted: AtomicBool,
    /// Whether the hub looks out before it sleeps.
    looks_out: AtomicBool,
    /// Since when others have looked out in its place; `None` if the hub has, since then.
    stand_in_since: Mutex<Option<Instant>>,
    /// What the last look in the hub's place has found; `None` if there was none.
    found: Mutex<Option<bool>>,
    /// `None` once it is closed.
    ends: Mutex<Option<Ends>>,
    /// A child of this process takes, posts and locks nothing here: the list is the parent's, whose
    /// threads may have locked it.
    process: Process,
    /// How many times the hub has been woken for messages, or has looked out for some.
    attended: AtomicUsize,
    /// The clock of the hub's thread, if it is known, and what reads it.
    clock: Option<Py<PyAny>>,
    read_clock: Py<PyAny>,
}

struct Ends {
    reader: Unshared,
    /// `None` where one descriptor serves both ends.
    writer: Option<OwnedFd>,
}

#[pymethods]
impl Wake {
    /// `clock` is the one that shows for how long the hub's thread has run, as `time` numbers them.
    #[new]
    fn new(py: Python<'_>, clock: Option<Py<PyAny>>) -> PyResult<Self> {
        let (reader, writer) = open().map_err(std::io::Error::from)?;
        Ok(Self {
            outbox: Outbox::new(),
            tray: Mutex::default(),
            taken: Mutex::default(),
            holds: AtomicUsize::new(0),
            task_holds: AtomicUsize::new(0),
            looks_again: AtomicBool::new(false),
            counted: AtomicBool::new(false),
            looks_out: AtomicBool::new(false),
            stand_in_since: Mutex::new(None),
            found: Mutex::new(None),
            ends: Mutex::new(Some(Ends {
                reader: Unshared::new(reader),
                writer,
            })),
            process: Process::new(),
            attended: AtomicUsize::new(0),
            clock,
            read_clock: py.import("time")?.getattr("clock_gettime_ns")?.unbind(),
        })
    }

    /// The descriptor that the hub's loop watches; -1 once it is closed.
    fn fileno(&self) -> i32 {
        lock(&self.ends)
            .as_ref()
            .map_or(-1, |ends| ends.reader.as_fd().as_raw_fd())
    }

    /// Notes the descriptor by which the hub's loop polls this one, which a forked child replaces;
    /// -1: the loop does not poll it.
    fn set_poller(&self, poller: i32) {
        if !self.inherited()
            && let Some(ends) = &*lock(&self.ends)
        {
            ends.reader.set_poller(poller);
        }
    }

    /// Closes the descriptor of a hub that has been destroyed. Messages may
    /// still be posted; they wake nobody. A forked child closes its own when this is dropped.
    fn close(&self) {
        if !self.inherited() {
            lock(&self.ends).take();
        }
    }

    /// Whether the list is a parent process's.
    #[getter]
    pub fn inherited(&self) -> bool {
        self.process.forked()
    }

    /// Adds a message; wakes the hub if nothing else has. Any thread may call it.
    #[pyo3(name = "post")]
    fn post_other(&self, message: Py<PyAny>) {
        self.post(Message::Other(message));
    }

    /// Counts somebody who waits for messages. Returns whether the loop must be told of that, or a
    /// look-out may begin. No signal handler can come between two steps of this or the others.
    pub fn hold(&self) -> bool {
        self.holds.fetch_add(1, Ordering::Relaxed);
        let counted = self.counted.load(Ordering::Relaxed);
        !counted || (!self.looks_out.load(Ordering::Relaxed) && self.outbox.look_out_pays())
    }

    /// Takes that back. Returns whether the loop must be told of it.
    pub fn release(&self) -> PyResult<bool> {
        let last = take_one(&self.holds)? == 1;
        Ok(last && !self.looks_out.load(Ordering::Relaxed))
    }

    /// How many wait for messages.
    #[getter]
    fn holds(&self) -> usize {
        self.holds.load(Ordering::Relaxed)
    }

    /// Whether anything keeps the hub's loop from ending: a waiter, or an executor's task.
    #[getter]
    fn keeps_loop(&self) -> bool {
        self.holds.load(Ordering::Relaxed) > 0 || self.task_holds.load(Ordering::SeqCst) > 0
    }

    /// Whether the loop counts the watcher although nothing keeps it, and no look-out is about to notice.
    #[getter]
    fn counts_in_vain(&self) -> bool {
        self.counted.load(Ordering::Relaxed)
            && !self.looks_out.load(Ordering::Relaxed)
            && !self.keeps_loop()
    }

    #[setter]
    fn set_counted(&self, counted: bool) {
        // `release_for_tasks` reads it after it has changed what `keeps_loop` reads: one of the two sees the other.
        self.counted.store(counted, Ordering::SeqCst);
    }

    #[getter]
    fn looks_out(&self) -> bool {
        self.looks_out.load(Ordering::Relaxed)
    }

    #[setter]
    fn set_looks_out(&self, looks_out: bool) {
        *lock(&self.stand_in_since) = None;
        self.looks_out.store(looks_out, Ordering::Relaxed);
    }

    /// Answers a wake-up: takes all messages, for the next delivery. For the hub's thread, as are
    /// the rest.
    fn drain(&self) -> bool {
        if self.inherited() {
            return false;
        }
        if let Some(ends) = &*lock(&self.ends) {
            // The descriptor is emptied first: a message that comes now rings anew.
            let _ = rustix::io::read(ends.reader.as_fd(), &mut [0_u8; 8]);
        }
        let messages = self.outbox.drain();
        let any = !messages.is_empty();
        lock(&self.tray).extend(messages);
        any
    }

    /// Takes what there is, without answering a wake-up, and puts a message behind it.
    fn defer(&self, message: Py<PyAny>) {
        if self.inherited() {
            return;
        }
        let messages = self.outbox.collect();
        let mut tray = lock(&self.tray);
        tray.extend(messages);
        tray.push_back(Message::Other(message));
    }

    /// Delivers values until it comes to something else, which it takes off the list and returns;
    /// `None` if there is nothing left. A reply whose greenlet waits is something else: nothing
    /// switches from here.
    fn deliver_values(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        if self.inherited() {
            return Ok(None);
        }
        let delivered = lock(&self.taken).take();
        drop(delivered);
        self.deliver_leading_values(py)?;
        let Some(Message::Other(message)) = lock(&self.tray).pop_front() else {
            return Ok(None);
        };
        *lock(&self.taken) = Some(message.clone_ref(py));
        Ok(Some(message))
    }

    /// Puts back what has been returned last, and has not come to the caller.
    fn take_back(&self) {
        if let Some(message) = lock(&self.taken).take() {
            self.put_back(message);
        }
    }

    /// Puts a message back that has not been delivered.
    fn put_back(&self, message: Py<PyAny>) {
        lock(&self.tray).push_front(Message::Other(message));
    }

    /// Whether there is something to deliver.
    #[getter]
    fn undelivered(&self) -> bool {
        !self.inherited() && !lock(&self.tray).is_empty()
    }

    /// Whether it is worth the hub's time to look out before it sleeps.
    fn look_out_pays(&self) -> bool {
        !self.inherited() && self.outbox.look_out_pays()
    }

    /// Whether looking out has paid of late. If not, the hub sleeps: it would be late for all else.
    #[getter]
    fn look_out_paid(&self) -> bool {
        self.outbox.look_out_paid()
    }

    /// Watches for messages for some microseconds, with the interpreter let
    /// go, and takes what there is. `False`: there is nothing, nor was before. For the hub, which
    /// has nothing else to do.
    fn look_out(&self, py: Python<'_>) -> bool {
        *lock(&self.stand_in_since) = None;
        !self.inherited() && (self.undelivered() || self.watch(py))
    }

    /// Does the same in the hub's place, unless others have done it for so long that the hub must have its
    /// turn; and delivers the values that have come. Returns whether some have, and nothing else, and it paid.
    fn stand_in(&self, py: Python<'_>) -> PyResult<bool> {
        let found = self.may_stand_in().then(|| self.watch(py));
        *lock(&self.found) = found;
        if found != Some(true) {
            return Ok(false);
        }
        self.deliver_leading_values(py)?;
        Ok(!self.undelivered() && self.look_out_paid())
    }

    /// What that has found; `None` if there was no look.
    fn found(&self) -> Option<bool> {
        *lock(&self.found)
    }
}

impl Wake {
    /// What is to be seen of the hub's thread, if its clock is known.
    pub fn sign(&self, py: Python<'_>) -> Option<Sign> {
        // It fails if the thread is no more.
        let ran = self.read_clock.call1(py, (self.clock.as_ref()?,));
        Some(Sign {
            ran: ran.ok()?.extract(py).ok()?,
            attended: self.attended.load(Ordering::Relaxed),
        })
    }

    /// Adds a message; wakes the hub if nothing else has.
    pub fn post(&self, message: Message) {
        if self.inherited() {
            return;
        }
        if self.outbox.push(message)
            && let Some(ends) = &*lock(&self.ends)
        {
            self.attended.fetch_add(1, Ordering::Relaxed);
            let fd = ends
                .writer
                .as_ref()
                .map_or(ends.reader.as_fd(), AsFd::as_fd);
            // It fails only if the counter or the pipe is full, and then the
            // descriptor is readable already.
            let _ = rustix::io::write(fd, &1_u64.to_ne_bytes());
        }
    }

    /// Keeps the loop for tasks of executors, once more.
    pub fn hold_for_tasks(&self) {
        self.task_holds.fetch_add(1, Ordering::SeqCst);
    }

    /// Keeps the loop for tasks once less. Returns whether the hub must get a `LookAgain`: nothing keeps its loop any more, and no
    /// such message is on its way. Any thread.
    pub fn release_for_tasks(&self) -> bool {
        // The hub's thread changes the other count, or `counted`, before it reads this one: one of the two sees the
        // other's change.
        self.task_holds.fetch_sub(1, Ordering::SeqCst) == 1
            && self.holds.load(Ordering::SeqCst) == 0
            && self.counted.load(Ordering::SeqCst)
            && !self.looks_again.swap(true, Ordering::SeqCst)
    }

    /// Adds a message of a worker that has the interpreter; it must tell the hub when it
    /// [has let go](Self::let_go).
    pub fn post_attached(&self, message: Message) {
        self.outbox.occupy(true);
        self.post(message);
    }

    /// Tells a hub that looks out that it can have the interpreter.
    pub fn let_go(&self) {
        self.outbox.occupy(false);
    }

    /// Whether the hub's thread has let the interpreter go to look out.
    pub fn looking(&self) -> bool {
        self.outbox.looking()
    }

    /// Whether it does so to learn whether that pays.
    pub fn trying(&self) -> bool {
        self.outbox.trying()
    }

    /// Leaves something to do for a hub that looks out; `false` if it does not.
    pub fn leave(&self, errand: impl FnOnce() + Send + 'static) -> bool {
        self.outbox.leave(errand)
    }

    /// Whether a greenlet may look out in the hub's place: the hub is not about to deliver messages, and greenlets
    /// have not done it for long since the hub was last idle. It has timers and descriptors to look at.
    fn may_stand_in(&self) -> bool {
        if self.inherited() || self.undelivered() {
            return false;
        }
        let mut since = lock(&self.stand_in_since);
        since.get_or_insert_with(Instant::now).elapsed() <= STAND_IN_TIME
    }

    /// Delivers the values that come before anything else on the list.
    fn deliver_leading_values(&self, py: Python<'_>) -> PyResult<()> {
        loop {
            let Some((account, result, value)) = self.take_value() else {
                return Ok(());
            };
            match Account::set_value(result.bind(py), &value) {
                Ok(false) => {}
                Ok(true) => {
                    let none = py.None();
                    let resume = (result, &none, &none, &none).into_pyobject(py)?;
                    lock(&self.tray).push_front(Message::Other(resume.into_any().unbind()));
                }
                Err(error) => {
                    lock(&self.tray).push_front(Message::Value {
                        account,
                        result,
                        value,
                    });
                    return Err(error);
                }
            }
            Account::settle(account.bind(py))?;
        }
    }

    /// Takes the first on the list, if that is a value. What only wakes the hub is dropped.
    fn take_value(&self) -> Option<(Py<Account>, Py<PyAny>, Py<PyAny>)> {
        let mut tray = lock(&self.tray);
        loop {
            match tray.pop_front()? {
                Message::Value {
                    account,
                    result,
                    value,
                } => return Some((account, result, value)),
                Message::LookAgain => self.looks_again.store(false, Ordering::SeqCst),
                other @ Message::Other(_) => {
                    tray.push_front(other);
                    return None;
                }
            }
        }
    }

    fn watch(&self, py: Python<'_>) -> bool {
        self.attended.fetch_add(1, Ordering::Relaxed);
        let messages = py.detach(|| self.outbox.look_out());
        let mut tray = lock(&self.tray);
        tray.extend(messages);
        !tray.is_empty()
    }
}

/// Locks what is never held while anything runs that could panic, or wait.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(target_os = "linux")]
fn open() -> rustix::io::Result<(OwnedFd, Option<OwnedFd>)> {
    use rustix::event::{EventfdFlags, eventfd};
    let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    Ok((fd, None))
}

#[cfg(not(target_os = "linux"))]
fn open() -> rustix::io::Result<(OwnedFd, Option<OwnedFd>)> {
    let (reader, writer) = rustix::pipe::pipe()?;
    for fd in [&reader, &writer] {
        rustix::io::ioctl_fionbio(fd, true)?;
        rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC)?;
    }
    Ok((reader, Some(writer)))
}
