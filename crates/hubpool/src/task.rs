//! One task: its function until a worker takes it up, then its result until somebody takes that.
//!
//! Both stand in one cell, the only memory that is allocated for a task. The queue has one share of
//! it, and the [`Task`] has the other.

use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::crew::{Crew, Job, Refusal, shielded};
use crate::error::TaskError;
use crate::park;
use crate::sync::Mutex;

/// A task's result, some time: a future of it.
///
/// It needs no runtime: await it anywhere, or [`wait`](Self::wait) for it in a plain thread.
/// Dropping it does not stop the task, unless [`cancel_on_drop`](Self::cancel_on_drop) says so.
///
/// # Panics
///
/// Awaiting it a second time panics. If the pool is built with
/// [`PanicPolicy::Resume`](crate::PanicPolicy::Resume), the first time resumes the task's panic.
///
/// ```
/// # futures::executor::block_on(async {
/// let pool = hubpool::ThreadPool::new(2);
/// let task = pool.spawn(|| std::fs::read_to_string("Cargo.toml")).await;
/// assert!(task.await.unwrap().unwrap().contains("hubpool"));
/// # });
/// ```
#[must_use = "the task runs all the same, but nobody learns its result"]
pub struct Task<T> {
    /// `None` once the result has been taken.
    cell: Option<Arc<dyn Outcome<T>>>,
}

// No code of a program runs under a lock, so a panic leaves nothing half done.
impl<T> UnwindSafe for Task<T> {}
impl<T> RefUnwindSafe for Task<T> {}

/// What a [`Task`] sees of its cell.
trait Outcome<T>: Send + Sync {
    fn poll(&self, context: &mut Context<'_>) -> Poll<Result<T, TaskError>>;
    fn is_finished(&self) -> bool;
    fn cancel(&self) -> bool;
    fn forget(&self);
}

const AWAITED_AGAIN: &str = "a task was awaited again after its result had been taken";

struct TaskCell<F, T> {
    stage: Mutex<Stage<F, T>>,
}

/// How far a task has come.
enum Stage<F, T> {
    /// It waits in the queue; who awaits it is to be woken.
    Queued(F, Option<Waker>),
    Running(Option<Waker>),
    /// Both, of a task whose result nobody will take.
    QueuedForNobody(F),
    RunningForNobody,
    Done(T),
    Failed(Box<Failure>),
    /// The result has been taken.
    Taken,
}

impl<F, T> Stage<F, T> {
    fn has_ended(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Failed(_) | Self::Taken)
    }

    /// Whether somebody is to be woken at the end.
    fn is_awaited(&self) -> bool {
        matches!(self, Self::Queued(_, Some(_)) | Self::Running(Some(_)))
    }
}

struct Failure {
    error: TaskError,
    /// Whether a panic goes on in who awaits the task.
    resume: bool,
}

/// Makes a task, and the job that does it.
pub(crate) fn new<F, T>(f: F) -> (Arc<dyn Job>, Task<T>)
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let cell = Arc::new(TaskCell {
        stage: Mutex::new(Stage::Queued(f, None)),
    });
    let task = Task {
        cell: Some(Arc::clone(&cell) as Arc<dyn Outcome<T>>),
    };
    (cell, task)
}

impl<T> Task<T> {
    /// Withdraws the task if no worker has taken it up. Returns whether it did: the result is
    /// [`TaskError::Cancelled`] then, and the function is dropped at once, here. A task that runs
    /// is not stopped.
    ///
    /// The task gives up its slot when its turn in the queue comes. Any thread; does not block.
    ///
    /// ```
    /// use hubpool::{TaskError, ThreadPool};
    ///
    /// let pool = ThreadPool::new(1);
    /// let (go, wait) = std::sync::mpsc::channel();
    /// let first = pool.apply_async(move || wait.recv().unwrap());
    /// let second = pool.apply_async(|| unreachable!());
    /// assert!(second.cancel());
    /// go.send(()).unwrap();
    /// first.wait().unwrap();
    /// assert!(matches!(second.wait(), Err(TaskError::Cancelled)));
    /// ```
    #[expect(clippy::must_use_candidate, reason = "who cancels may not care")]
    pub fn cancel(&self) -> bool {
        self.cell.as_ref().is_some_and(|cell| cell.cancel())
    }

    /// Whether the result is there, or was. Any thread; does not block.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let pool = hubpool::ThreadPool::new(1);
    /// let (go, wait) = std::sync::mpsc::channel();
    /// let task = pool.apply_async(move || wait.recv().unwrap());
    /// assert!(!task.is_finished());
    /// go.send(()).unwrap();
    /// assert!(pool.join_timeout(Duration::MAX));
    /// assert!(task.is_finished());
    /// ```
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.cell.as_ref().is_none_or(|cell| cell.is_finished())
    }

    /// Blocks the calling thread until the result is there. It is for plain threads: in an async
    /// task it would keep the runtime's thread, and in a task of the same pool it may wait for
    /// itself.
    ///
    /// # Errors
    ///
    /// As awaiting the task does.
    ///
    /// ```
    /// let pool = hubpool::ThreadPool::new(2);
    /// assert_eq!(pool.apply_async(|| 6 * 7).wait().unwrap(), 42);
    /// ```
    pub fn wait(self) -> Result<T, TaskError> {
        park::block_on(self)
    }

    /// Makes it withdraw its task, as [`cancel`](Self::cancel) does, when it is dropped.
    ///
    /// ```
    /// let pool = hubpool::ThreadPool::new(1);
    /// let (go, wait) = std::sync::mpsc::channel();
    /// let first = pool.apply_async(move || wait.recv().unwrap());
    /// drop(pool.apply_async(|| unreachable!()).cancel_on_drop());
    /// go.send(()).unwrap();
    /// first.wait().unwrap();
    /// ```
    pub fn cancel_on_drop(self) -> CancelOnDrop<T> {
        CancelOnDrop(self)
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let cell = self.cell.as_ref();
        let cell = cell.expect(AWAITED_AGAIN);
        let poll = cell.poll(context);
        if poll.is_ready() {
            self.cell = None;
        }
        poll
    }
}

impl<T> Drop for Task<T> {
    /// A result that nobody takes is gone before its slot comes back, or now.
    fn drop(&mut self) {
        if let Some(cell) = &self.cell {
            cell.forget();
        }
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").finish_non_exhaustive()
    }
}

/// A [`Task`] that is withdrawn when nobody waits for it any more.
///
/// It is a future of the task's result. Made by [`Task::cancel_on_drop`].
///
/// ```
/// # futures::executor::block_on(async {
/// let pool = hubpool::ThreadPool::new(2);
/// let task = pool.apply_async(|| 6 * 7).cancel_on_drop();
/// assert_eq!(task.await.unwrap(), 42);
/// # });
/// ```
#[must_use = "dropping it withdraws the task"]
pub struct CancelOnDrop<T>(Task<T>);

impl<T> CancelOnDrop<T> {
    /// Whether the result is there, or was. Any thread; does not block.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let pool = hubpool::ThreadPool::new(1);
    /// let task = pool.apply_async(|| 6 * 7).cancel_on_drop();
    /// assert!(pool.join_timeout(Duration::MAX));
    /// assert!(task.is_finished());
    /// ```
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    /// Blocks the calling thread until the result is there, as [`Task::wait`] does.
    ///
    /// # Errors
    ///
    /// As awaiting it does.
    ///
    /// ```
    /// let pool = hubpool::ThreadPool::new(2);
    /// let task = pool.apply_async(|| 6 * 7).cancel_on_drop();
    /// assert_eq!(task.wait().unwrap(), 42);
    /// ```
    pub fn wait(self) -> Result<T, TaskError> {
        park::block_on(self)
    }
}

impl<T> Future for CancelOnDrop<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl<T> Drop for CancelOnDrop<T> {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl<T> fmt::Debug for CancelOnDrop<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelOnDrop").finish_non_exhaustive()
    }
}

impl<F, T> TaskCell<F, T> {
    /// Takes the function, which marks the task as running; `None` if it has been withdrawn.
    fn begin(&self) -> Option<F> {
        let mut stage = self.stage.lock();
        match mem::replace(&mut *stage, Stage::Taken) {
            Stage::Queued(f, waker) => {
                *stage = Stage::Running(waker);
                Some(f)
            }
            Stage::QueuedForNobody(f) => {
                *stage = Stage::RunningForNobody;
                Some(f)
            }
            other => {
                *stage = other;
                None
            }
        }
    }

    /// Leaves the outcome, and wakes who awaits it and who has waited for the slot.
    fn end(&self, crew: &Crew, outcome: Stage<F, T>) {
        let mut stage = self.stage.lock();
        if matches!(*stage, Stage::RunningForNobody) {
            drop(stage);
            shielded(|| drop(outcome));
            crew.slots.give_back().wake();
            return;
        }
        // Under the lock, so that who sees the result sees the slot free, and who
        // sees all tasks ended finds their results.
        let wakers = crew.slots.give_back();
        let before = mem::replace(&mut *stage, outcome);
        drop(stage);
        wakers.wake();
        if let Stage::Running(Some(waker)) = before {
            shielded(|| waker.wake());
        }
    }
}

impl<F, T> Job for TaskCell<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    fn run(self: Arc<Self>, crew: &Arc<Crew>) {
        let Some(f) = self.begin() else {
            crew.slots.give_back().wake();
            return;
        };
        let outcome = match crew.call(f) {
            Ok(result) => Stage::Done(result),
            Err(error) => Stage::Failed(Box::new(Failure {
                error,
                resume: crew.resumes_panics(),
            })),
        };
        self.end(crew, outcome);
    }

    fn refuse(self: Arc<Self>, crew: &Arc<Crew>, why: &Refusal) -> bool {
        let Some(f) = self.begin() else {
            crew.slots.give_back().wake();
            return false;
        };
        shielded(|| drop(f));
        let failure = Failure {
            error: why.error(),
            resume: false,
        };
        self.end(crew, Stage::Failed(Box::new(failure)));
        true
    }
}

impl<F: Send, T: Send> Outcome<T> for TaskCell<F, T> {
    fn poll(&self, context: &mut Context<'_>) -> Poll<Result<T, TaskError>> {
        // Made before the lock and dropped after it: a waker's code is its runtime's.
        let mut waker = None;
        let mut stage = self.stage.lock();
        if !stage.has_ended() {
            let is_new = !stage.is_awaited();
            drop(stage);
            if !(is_new && park::glance(|| self.is_finished())) {
                waker = Some(context.waker().clone());
            }
            stage = self.stage.lock();
            if let Stage::Queued(_, awaiting) | Stage::Running(awaiting) = &mut *stage {
                mem::swap(awaiting, &mut waker);
                drop(stage);
                return Poll::Pending;
            }
        }
        let outcome = mem::replace(&mut *stage, Stage::Taken);
        drop(stage);
        match outcome {
            Stage::Done(result) => Poll::Ready(Ok(result)),
            Stage::Failed(failure) if failure.resume => failure.error.resume(),
            Stage::Failed(failure) => Poll::Ready(Err(failure.error)),
            // Its panic has been resumed.
            _ => panic!("{AWAITED_AGAIN}"),
        }
    }

    fn is_finished(&self) -> bool {
        self.stage.lock().has_ended()
    }

    fn cancel(&self) -> bool {
        let failure = Box::new(Failure {
            error: TaskError::Cancelled,
            resume: false,
        });
        let mut stage = self.stage.lock();
        if !matches!(*stage, Stage::Queued(..)) {
            return false;
        }
        let before = mem::replace(&mut *stage, Stage::Failed(failure));
        drop(stage);
        if let Stage::Queued(f, waker) = before {
            // The function's destructor and the waker are a program's code.
            shielded(|| drop(f));
            if let Some(waker) = waker {
                shielded(|| waker.wake());
            }
        }
        true
    }

    fn forget(&self) {
        let mut stage = self.stage.lock();
        let before = mem::replace(&mut *stage, Stage::Taken);
        // What is let go of is a program's: its result, a waker.
        let dropped = match before {
            Stage::Queued(f, waker) => {
                *stage = Stage::QueuedForNobody(f);
                Stage::Running(waker)
            }
            Stage::Running(waker) => {
                *stage = Stage::RunningForNobody;
                Stage::Running(waker)
            }
            ended => ended,
        };
        drop(stage);
        shielded(|| drop(dropped));
    }
}
