//! A worker's registration, until its thread has begun.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;

use crate::core::Core;

/// Whose affair it is that the core counts a worker: of who starts its thread, or of the thread.
///
/// Whatever breaks off who starts it, by a signal handler for instance, either the thread runs and the core counts it,
/// or neither.
#[pyclass(frozen, module = "hubpool._native")]
pub struct Registration {
    core: Py<Core>,
    stage: Mutex<Stage>,
    within_limit: AtomicBool,
}

enum Stage {
    /// The core does not count the worker.
    Open,
    /// It does, and has counted so many tasks with it.
    Registered { tasks: usize },
    /// The thread has begun.
    Claimed,
    /// The thread, if there will be one, is to end at once.
    Revoked,
}

#[pymethods]
impl Registration {
    #[new]
    fn new(core: Py<Core>) -> Self {
        Self {
            core,
            stage: Mutex::new(Stage::Open),
            within_limit: AtomicBool::new(false),
        }
    }

    /// Counts the worker.
    fn register(&self) {
        let mut stage = self.stage();
        self.core.get().pool().register();
        *stage = Stage::Registered { tasks: 0 };
    }

    /// Counts the worker, and `tasks` more, if it would help then. Returns whether it does.
    fn recruit(&self, tasks: usize) -> bool {
        let mut stage = self.stage();
        let recruited = self.core.get().pool().recruit(tasks);
        if recruited {
            *stage = Stage::Registered { tasks };
        }
        recruited
    }

    /// Notes that the limit on the process's threads has counted one for the worker.
    fn count(&self) {
        self.within_limit.store(true, Ordering::Relaxed);
    }

    /// Whether it has.
    #[getter]
    fn within_limit(&self) -> bool {
        self.within_limit.load(Ordering::Relaxed)
    }

    /// For the thread, as it begins: whether it shall go on.
    fn claim(&self) -> bool {
        let mut stage = self.stage();
        let claimed = matches!(*stage, Stage::Registered { .. });
        if claimed {
            *stage = Stage::Claimed;
        }
        claimed
    }

    /// For who starts the thread, and has failed: takes the worker and the tasks back, unless the thread has
    /// begun. Returns whether it has not, and never will. Again, it does nothing.
    fn revoke(&self) -> bool {
        let mut stage = self.stage();
        let pool = self.core.get().pool();
        match *stage {
            Stage::Claimed => return false,
            Stage::Registered { tasks } => {
                pool.unregister();
                pool.finish(tasks);
            }
            Stage::Open | Stage::Revoked => {}
        }
        *stage = Stage::Revoked;
        true
    }
}

impl Registration {
    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
