//! The Python binding of `hubpool`: it translates, and decides nothing.
//!
//! Every wait for another thread happens with the interpreter detached, and
//! no task is called from here: the worker loop is Python bytecode. What is called, `call` calls.

mod account;
mod attach;
mod batch;
mod call;
mod core;
mod fork;
mod guard;
mod held;
mod load;
mod registration;
mod reply;
mod task_hold;
mod tasks;
mod wake;
mod worker;

use pyo3::prelude::*;

// On a free-threaded CPython the import turns the interpreter's lock on, as gevent's does: a job is
// settled in several steps that only the lock makes one.
#[pymodule(gil_used = true)]
mod _native {
    #[pymodule_export]
    use crate::account::Account;
    #[pymodule_export]
    use crate::batch::{Batch, Claims};
    #[pymodule_export]
    use crate::core::{Core, take_work};
    #[pymodule_export]
    use crate::fork::Process;
    #[pymodule_export]
    use crate::guard::Guard;
    #[pymodule_export]
    use crate::held::Held;
    #[pymodule_export]
    use crate::registration::Registration;
    #[pymodule_export]
    use crate::reply::Reply;
    #[pymodule_export]
    use crate::task_hold::{TaskHold, share_hold, shared_hold};
    #[pymodule_export]
    use crate::tasks::Tasks;
    #[pymodule_export]
    use crate::wake::Wake;
    #[pymodule_export]
    use crate::worker::{Worker, name_thread};

    /// The checksum of the sources that this module was compiled from: see `build.rs`.
    #[pymodule_export]
    const SOURCES: &str = env!("HUBPOOL_SOURCES");
}
