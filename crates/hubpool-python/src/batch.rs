//! A map's items on their way through the pool.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hubpool::binding::{Order, Rings, Taken, until_needed};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::account::{Account, take_one};
use crate::attach::{cores, cpu_time, this_thread};
use crate::core::{Core, Job};
use crate::wake::{Message, Wake};
use crate::worker::Worker;

/// How long a worker stays with a batch while other jobs wait.
const TURN: Duration = Duration::from_millis(1);

/// The items and the results of one map. The hub's thread feeds and reads it;
/// nothing here blocks.
#[pyclass(frozen, module = "hubpool._native")]
pub struct Batch {
    inner: hubpool::binding::Batch<Py<PyAny>, Py<PyAny>>,
    core: Py<Core>,
    wake: Py<Wake>,
    /// What the hub is sent when it must look at the batch.
    #[pyo3(get)]
    message: Py<PyAny>,
    /// Whether an item is a tuple of the function's arguments.
    #[pyo3(get)]
    zipped: bool,
    /// What is done with each item, until there is nothing left to do.
    work: Mutex<Option<Work>>,
    /// Whether the hub's thread has issued a ticket, and the account does not know.
    stirred: AtomicBool,
    /// How many times the account has been told that the batch is at work, and how many of these
    /// are over, of which it has not been told. Of the hub's thread: its steps are whole, whatever
    /// signal comes.
    engaged: AtomicUsize,
    over: AtomicUsize,
    /// The thread of the worker that has joined last.
    latest: AtomicU32,
}

/// What a map does with each item.
struct Work {
    /// The function to apply.
    func: Py<PyAny>,
    /// What each item starts in a copy of.
    context: Option<Py<PyAny>>,
}

#[pymethods]
impl Batch {
    #[new]
    #[expect(clippy::too_many_arguments, reason = "the map's settings, once a map")]
    fn new(
        core: Py<Core>,
        wake: Py<Wake>,
        message: Py<PyAny>,
        func: Py<PyAny>,
        zipped: bool,
        ordered: bool,
        limit: Option<usize>,
        context: Option<Py<PyAny>>,
    ) -> Self {
        let order = if ordered {
            Order::Input
        } else {
            Order::Completion
        };
        Self {
            inner: hubpool::binding::Batch::new(order, limit),
            core,
            wake,
            message,
            zipped,
            work: Mutex::new(Some(Work { func, context })),
            stirred: AtomicBool::new(false),
            engaged: AtomicUsize::new(0),
            over: AtomicUsize::new(0),
            latest: AtomicU32::new(0),
        }
    }

    /// Adds one item. Returns how many are pending now.
    fn feed(slf: &Bound<'_, Self>, item: Py<PyAny>) -> usize {
        let this = slf.get();
        if this.inherited() {
            return 0;
        }
        this.core.get().pool().begin(1);
        let tickets = this.inner.feed([item], this.share());
        Self::stir(slf, tickets);
        this.inner.pending()
    }

    /// Adds all items of a list. Returns how many are pending now.
    fn feed_all(slf: &Bound<'_, Self>, items: &Bound<'_, PyList>) -> usize {
        let this = slf.get();
        if this.inherited() {
            return 0;
        }
        this.core.get().pool().begin(items.len());
        let tickets = this
            .inner
            .feed(items.iter().map(Bound::unbind), this.share());
        Self::stir(slf, tickets);
        this.inner.pending()
    }

    /// How many items, up to `most`, may be fed: fewer only with a limit, and none in a forked child.
    fn room(&self, most: usize) -> usize {
        if self.inherited() {
            return 0;
        }
        self.inner.room(most)
    }

    /// Whether items beyond a limit wait for the reader.
    #[getter]
    fn limited(&self) -> bool {
        !self.inherited() && self.inner.is_limited()
    }

    /// Asks for a message when at most `low` items are pending and there is
    /// room; `False` if that is so already.
    fn await_room(&self, low: usize) -> bool {
        !self.inherited() && self.inner.await_room(low)
    }

    /// Says that the last item has been fed. `True`: the reader waits for that.
    fn exhaust(&self) -> bool {
        if self.inherited() {
            return false;
        }
        let rings = self.inner.exhaust();
        self.let_go_of_work();
        rings.reader
    }

    /// Withdraws the items that no worker has claimed. `True`: the reader waits
    /// for that.
    fn cancel(&self) -> bool {
        if self.inherited() {
            return false;
        }
        let (items, rings) = self.inner.cancel();
        let items = items.unwrap_or_default();
        self.core.get().pool().finish(items.len());
        self.let_go_of_work();
        rings.reader
    }

    /// The function to apply; `None` once there is nothing left to do.
    #[getter]
    fn func(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let work = self.work();
        work.as_ref().map(|work| work.func.clone_ref(py))
    }

    /// What each item starts in a copy of.
    #[getter]
    fn context(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let work = self.work();
        work.as_ref()?.context.as_ref().map(|own| own.clone_ref(py))
    }

    /// Whether no worker is at the batch or on its way.
    fn at_rest(&self) -> bool {
        self.inherited() || self.inner.at_rest()
    }

    /// Whether feeding or taking has set a worker on its way since the last `engage`. If so, a
    /// message will follow when no worker is at the batch any more, or one has been posted already.
    #[getter]
    fn stirred(&self) -> bool {
        self.stirred.load(Ordering::Relaxed)
    }

    /// Counts the batch with the account as at work, if it is `stirred`.
    fn engage(&self, account: &Bound<'_, Account>) -> PyResult<()> {
        if self.stirred.swap(false, Ordering::Relaxed) {
            // To begin may let a signal handler run, and the hub, which finds that it has begun.
            self.engaged.fetch_add(1, Ordering::Relaxed);
            if let Err(error) = Account::begin(account) {
                take_one(&self.engaged)?;
                self.stirred.store(true, Ordering::Relaxed);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Whether the batch is at work, for all that the hub has found.
    #[getter]
    fn engaged(&self) -> bool {
        self.stirred() || self.engaged.load(Ordering::Relaxed) > 0
    }

    /// Looks whether no worker is at the batch any more. Returns whether the account must be told.
    fn disengage(&self) -> bool {
        if self.at_rest() {
            let over = self.engaged.swap(0, Ordering::Relaxed);
            self.over.fetch_add(over, Ordering::Relaxed);
        }
        self.let_go_of_work();
        self.over.load(Ordering::Relaxed) > 0
    }

    /// Tells the account.
    fn end(&self, account: &Bound<'_, Account>) -> PyResult<()> {
        while take_one(&self.over).is_ok() {
            Account::end(account)?;
        }
        Ok(())
    }

    /// Whether the items are a parent process's, which has workers for them. A forked child feeds
    /// no more; it takes the results that were there at the fork, and then there are none.
    #[getter]
    fn inherited(&self) -> bool {
        self.core.get().is_inherited()
    }

    /// Results that are there: a list, `None` if there is none yet, or an
    /// empty list at the end.
    #[pyo3(signature = (everything))]
    fn take<'py>(slf: &Bound<'py, Self>, everything: bool) -> PyResult<Option<Bound<'py, PyList>>> {
        let this = slf.get();
        if !this.may_read() {
            return Ok(None);
        }
        let (taken, tickets) = this.inner.take(everything, this.share());
        if !this.inherited() {
            Self::stir(slf, tickets);
        }
        list(slf.py(), taken)
    }

    /// The results of all items once the last one has finished, else `None`.
    fn take_whole<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        if !self.may_read() {
            return Ok(None);
        }
        list(py, self.inner.take_whole())
    }

    /// A worker's hold on the batch, for the ticket that it has taken. If `tidy`,
    /// what an item leaves behind ends the iteration.
    fn claims(slf: &Bound<'_, Self>, worker: Py<Worker>, tidy: bool) -> PyResult<Claims> {
        let slot = PyList::new(slf.py(), [slf.py().None()])?.unbind();
        // The ticket is the claims' affair from now on.
        worker.get().let_go(slf.py())?;
        slf.get().latest.store(this_thread(), Ordering::Relaxed);
        Ok(Claims {
            batch: slf.clone().unbind(),
            since: Instant::now(),
            index: AtomicUsize::new(UNUSED),
            slot,
            worker,
            tidy,
            unwatched: AtomicU32::new(1),
            stride: AtomicU32::new(1),
        })
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // All of it changes only with the interpreter attached.
        visit.call(&self.message)?;
        if let Ok(work) = self.work.try_lock()
            && let Some(work) = &*work
        {
            visit.call(&work.func)?;
            visit.call(&work.context)?;
        }
        self.inner
            .visit(|item| visit.call(item), |result| visit.call(result))
    }

    /// Takes back the tickets that no worker has taken: for a pool that can not
    /// have any.
    fn recall(slf: &Bound<'_, Self>) {
        while slf.get().withdraw_ticket() {
            Self::discard(slf);
        }
    }

    /// Queues a ticket that a worker took and has not begun to use.
    #[pyo3(name = "requeue")]
    fn hand_back(slf: &Bound<'_, Self>, worker: &Worker) -> PyResult<()> {
        worker.let_go(slf.py())?;
        Self::requeue(slf);
        Ok(())
    }

    /// Notes that the function has raised for an item.
    fn fail(&self) {
        self.inner.fail();
    }

    /// Whether the function has raised for an item.
    #[getter]
    fn failed(&self) -> bool {
        self.may_read() && self.inner.failed()
    }
}

impl Batch {
    fn work(&self) -> MutexGuard<'_, Option<Work>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the function go once all items have been run or withdrawn, and none will follow: the
    /// iterator may be kept for long.
    fn let_go_of_work(&self) {
        if self.inner.is_drained() && self.inner.at_rest() {
            let work = self.work().take();
            // It may run code of the program's, when the lock is free again.
            drop(work);
        }
    }

    fn requeue(slf: &Bound<'_, Self>) {
        slf.get().queue(slf.clone().unbind());
    }

    /// Gives up a ticket that nobody will use.
    pub fn discard(slf: &Bound<'_, Self>) {
        let this = slf.get();
        this.inner.drop_ticket(this.ring(slf.py()));
    }

    /// Whether no thread of a parent process had locked the batch at the fork.
    fn may_read(&self) -> bool {
        !self.inherited() || !self.inner.is_locked()
    }

    /// How many workers may share the batch.
    fn share(&self) -> usize {
        self.core.get().pool().maxsize().max(1)
    }

    /// Submits tickets that the hub's thread has issued.
    fn stir(slf: &Bound<'_, Self>, tickets: usize) {
        if tickets > 0 {
            slf.get().stirred.store(true, Ordering::Relaxed);
        }
        Self::submit(slf, tickets);
    }

    fn submit(slf: &Bound<'_, Self>, tickets: usize) {
        for _ in 0..tickets {
            slf.get().queue(slf.clone().unbind());
        }
    }

    /// Queues a ticket for this batch. A pool that runs batches is never closed.
    fn queue(&self, ticket: Py<Self>) {
        let _ = self.core.get().pool().submit(Job::Ticket(ticket));
    }

    /// Queues a ticket that a worker has issued. It need not be taken before the hub has looked
    /// whether the worker is about to do without.
    fn queue_or_leave(&self, ticket: Py<Self>) {
        let core = self.core.get();
        let left = || core.leave_call(Some(self.wake.get()));
        let _ = core.pool().submit_unless(Job::Ticket(ticket), left);
    }

    /// Takes a ticket out of the pool's queue.
    fn withdraw_ticket(&self) -> bool {
        let is_its =
            |job: &Job| matches!(job, Job::Ticket(batch) if std::ptr::eq(batch.get(), self));
        self.core.get().pool().withdraw(is_its).is_some()
    }

    /// Blocks a worker that has taken a ticket until the batch needs it. Before that it says that
    /// it waits. Without the interpreter.
    pub fn until_needed(&self, waits: impl FnOnce()) {
        let pool = self.core.get().pool();
        let claimed = || {
            let progress = self.inner.progress();
            let go = progress.running == 0 || progress.pending == 0 || pool.pressed(0);
            (!go).then_some(progress.claimed)
        };
        if claimed().is_some() {
            waits();
            let worker = self.latest.load(Ordering::Relaxed);
            until_needed(claimed, || cpu_time(worker), cores());
        }
    }

    fn ring(&self, py: Python<'_>) -> impl FnOnce(Rings) {
        move |_| {
            let message = Message::Other(self.message.clone_ref(py));
            self.wake.get().post_attached(message);
        }
    }
}

/// One worker's way through a batch: the iterator over the items that it claims.
///
/// The worker puts each item's result into the slot before it asks for the next
/// item. The iteration ends when the worker has left the batch, and before, with
/// the ticket still in hand, when an item has left something behind.
#[pyclass(frozen, module = "hubpool._native")]
pub struct Claims {
    batch: Py<Batch>,
    /// When the worker joined.
    since: Instant,
    /// The claimed item's index, or one of the two below. Only the worker uses it.
    index: AtomicUsize,
    /// A list of one place, for the claimed item's result.
    #[pyo3(get)]
    slot: Py<PyList>,
    worker: Py<Worker>,
    /// Whether what an item leaves behind is looked for.
    tidy: bool,
    /// How many items are claimed until the worker looks at the clock again, and how many were
    /// the last time. Only the worker uses them.
    unwatched: AtomicU32,
    stride: AtomicU32,
}

/// The most items between two looks at the clock.
const LONGEST_STRIDE: u32 = 64;

/// The worker has a ticket, and has claimed nothing with it.
const UNUSED: usize = usize::MAX;
/// The worker has claimed nothing, and its ticket is its no more.
const LEFT: usize = usize::MAX - 1;

#[pymethods]
impl Claims {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Records the claimed item's result, if one is claimed, and claims the next.
    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.worker.get().check_parent()?;
        let batch = self.batch.get();
        let index = self.index.swap(LEFT, Ordering::Relaxed);
        let claim = match index {
            LEFT => None,
            UNUSED => batch.inner.claim(batch.share(), batch.ring(py)),
            index if self.left_traces(py) => {
                self.complete(py, index)?;
                self.index.store(UNUSED, Ordering::Relaxed);
                None
            }
            index if self.turn_is_over() || self.must_wait()? => {
                // Others wait: they go first.
                self.complete(py, index)?;
                Batch::requeue(self.batch.bind(py));
                None
            }
            index => {
                self.take_ticket_back(py);
                let result = self.result(py)?;
                batch
                    .inner
                    .complete_and_claim(index, result, batch.share(), batch.ring(py))
            }
        };
        let Some(claim) = claim else {
            return Ok(None);
        };
        self.index.store(claim.index, Ordering::Relaxed);
        if claim.tickets > 0 {
            batch.queue_or_leave(self.batch.clone_ref(py));
        }
        self.give_way(py)?;
        Ok(Some(claim.item))
    }

    /// Whether the worker has left the batch.
    #[getter]
    fn left(&self) -> bool {
        self.index.load(Ordering::Relaxed) == LEFT
    }

    /// Records the claimed item's result, if one is claimed. The worker leaves
    /// the batch, and its ticket joins the queue again.
    fn leave(&self, py: Python<'_>) -> PyResult<()> {
        self.worker.get().check_parent()?;
        match self.index.swap(LEFT, Ordering::Relaxed) {
            LEFT => return Ok(()),
            UNUSED => {}
            index => self.complete(py, index)?,
        }
        Batch::requeue(self.batch.bind(py));
        Ok(())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.batch)?;
        visit.call(&self.slot)?;
        visit.call(&self.worker)
    }
}

impl Claims {
    /// Whether the last item has left something behind, if that is looked for.
    fn left_traces(&self, py: Python<'_>) -> bool {
        self.tidy && self.worker.get().has_traces(py)
    }

    /// Lets others have the interpreter now and then. The shorter the items are, the fewer looks
    /// at the clock does that take.
    fn give_way(&self, py: Python<'_>) -> PyResult<()> {
        let unwatched = self.unwatched.load(Ordering::Relaxed) - 1;
        self.unwatched.store(unwatched, Ordering::Relaxed);
        if unwatched == 0 {
            let stride = self.stride.load(Ordering::Relaxed);
            let stride = if self.worker.get().give_way(py)? {
                1
            } else {
                LONGEST_STRIDE.min(2 * stride)
            };
            self.stride.store(stride, Ordering::Relaxed);
            self.unwatched.store(stride, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Takes the idle ticket back if there is nothing left to claim and nobody has taken it: it
    /// would only make another worker look.
    fn take_ticket_back(&self, py: Python<'_>) {
        let batch = self.batch.get();
        let pool = batch.core.get().pool();
        // The queue is not searched for it.
        if batch.inner.is_drained()
            && batch.inner.idle_tickets() == 1
            && pool.queued() == 1
            && batch.withdraw_ticket()
        {
            batch.inner.drop_ticket(batch.ring(py));
        }
    }

    /// Whether too many workers compute. The worker looks as often as it looks whether to give way.
    fn must_wait(&self) -> PyResult<bool> {
        if self.unwatched.load(Ordering::Relaxed) > 1 {
            return Ok(false);
        }
        self.worker.get().must_wait(Instant::now())
    }

    /// Whether the worker has had its time, and others need it.
    fn turn_is_over(&self) -> bool {
        let batch = self.batch.get();
        let pool = batch.core.get().pool();
        pool.pressed(batch.inner.idle_tickets()) && self.since.elapsed() > TURN
    }

    /// Records the claimed item's result. The ticket stays in hand.
    fn complete(&self, py: Python<'_>, index: usize) -> PyResult<()> {
        let batch = self.batch.get();
        let result = self.result(py)?;
        batch.inner.complete(index, result, batch.ring(py));
        Ok(())
    }

    /// Counts the claimed item as ended, and takes its result out of the slot.
    fn result(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.batch.get().core.get().pool().finish(1);
        let slot = self.slot.bind(py);
        let result = slot.get_item(0)?;
        slot.set_item(0, py.None())?;
        Ok(result.unbind())
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        // Something hit the worker between two instructions.
        if *self.index.get_mut() == UNUSED && self.worker.get().check_parent().is_ok() {
            Python::attach(|py| Batch::requeue(self.batch.bind(py)));
        }
    }
}

fn list(py: Python<'_>, taken: Taken<Py<PyAny>>) -> PyResult<Option<Bound<'_, PyList>>> {
    match taken {
        Taken::Ready(results) => PyList::new(py, results).map(Some),
        Taken::Pending => Ok(None),
        Taken::End => Ok(Some(PyList::empty(py))),
    }
}
