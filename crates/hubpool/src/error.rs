//! Why a task has no result.

use std::any::Any;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// Why a task has no result.
///
/// ```
/// use hubpool::{TaskError, ThreadPool};
///
/// let pool = ThreadPool::new(1);
/// let task = pool.apply_async(|| -> u32 { panic!("no luck") });
/// let error = task.wait().unwrap_err();
/// assert_eq!(error.to_string(), "the task panicked: no luck");
/// assert!(matches!(error, TaskError::Panicked(_)));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum TaskError {
    /// The task panicked.
    Panicked(Panic),
    /// The task was withdrawn before a thread took it up: by
    /// [`Task::cancel`](crate::Task::cancel) or [`ThreadPool::kill`](crate::ThreadPool::kill).
    Cancelled,
    /// The operating system starts no thread, and the pool has none: the task has not begun.
    NoThread(Arc<io::Error>),
}

impl TaskError {
    /// Goes on with the task's panic in the calling thread.
    ///
    /// # Panics
    ///
    /// Always: with the task's own payload if it panicked, else with the error's message.
    ///
    /// ```should_panic
    /// # let pool = hubpool::ThreadPool::new(1);
    /// let task = pool.apply_async(|| panic!("no luck"));
    /// task.wait().unwrap_or_else(|error| error.resume());
    /// ```
    pub fn resume(self) -> ! {
        match self {
            Self::Panicked(panic) => std::panic::resume_unwind(panic.into_payload()),
            other => panic!("{other}"),
        }
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(panic) => write!(f, "the task panicked: {panic}"),
            Self::Cancelled => f.write_str("the task was withdrawn before it began"),
            Self::NoThread(error) => write!(f, "no thread can be started for the task: {error}"),
        }
    }
}

impl std::error::Error for TaskError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoThread(error) => Some(error.as_ref()),
            Self::Panicked(_) | Self::Cancelled => None,
        }
    }
}

/// What a task has panicked with.
///
/// ```
/// use hubpool::{TaskError, ThreadPool};
///
/// let pool = ThreadPool::new(1);
/// match pool.blocking_apply(|| std::panic::panic_any(42)) {
///     Err(TaskError::Panicked(panic)) => {
///         assert_eq!(panic.into_payload().downcast_ref(), Some(&42));
///     }
///     other => unreachable!("{other:?}"),
/// }
/// ```
pub struct Panic(
    /// The lock lets the error be shared, as most kinds of errors ask; nobody waits for it.
    Mutex<Box<dyn Any + Send>>,
);

impl Panic {
    pub(crate) fn new(payload: Box<dyn Any + Send>) -> Self {
        Self(Mutex::new(payload))
    }

    /// What was given to `panic!` or to [`panic_any`](std::panic::panic_any).
    #[must_use]
    pub fn into_payload(self) -> Box<dyn Any + Send> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let payload = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        f.write_str(text.unwrap_or("with no message"))
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Panic({self})")
    }
}
