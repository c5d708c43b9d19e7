//! A callback that never raises.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use crate::call::call;

/// What a loop calls when a descriptor is ready. gevent stops a watcher whose callback has raised, and a
/// signal handler may raise before the first instruction of a function, and after its last.
#[pyclass(frozen, module = "hubpool._native")]
pub struct Guard {
    function: Py<PyAny>,
    report: Py<PyAny>,
}

#[pymethods]
impl Guard {
    /// `report` gets what the function raises, and must not switch greenlets.
    #[new]
    fn new(function: Py<PyAny>, report: Py<PyAny>) -> Self {
        Self { function, report }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.function)?;
        visit.call(&self.report)
    }

    /// Calls the function.
    fn __call__(&self, py: Python<'_>) {
        if let Err(error) = call(self.function.bind(py), [])
            && let Err(error) = call(self.report.bind(py), [error.into_value(py).bind(py)])
        {
            error.write_unraisable(py, None);
        }
    }
}
