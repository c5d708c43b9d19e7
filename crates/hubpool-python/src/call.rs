//! Python code that a native method runs: what it calls, and the destructors of what it drops.
//!
//! Before Python 3.14 the interpreter unwinds the stack of a native thread that asks for it after the end of the
//! program. The process aborts where that meets a function of Rust's that is not said to unwind, or one that catches
//! panics, as each native method is. A thread that runs Python code by these functions stops instead, for as long as
//! the process lives.

use pyo3::ffi::PyObject;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

mod unwinding {
    use super::PyObject;

    unsafe extern "C-unwind" {
        pub fn PyObject_CallObject(callable: *mut PyObject, args: *mut PyObject) -> *mut PyObject;
        pub fn Py_DecRef(object: *mut PyObject);
        pub fn PyObject_VectorcallMethod(
            name: *mut PyObject,
            args: *const *mut PyObject,
            count: usize,
            names: *mut PyObject,
        ) -> *mut PyObject;
    }
}

/// Stops the thread whose stack is unwound past it.
struct Stop;

impl Drop for Stop {
    fn drop(&mut self) {
        loop {
            std::thread::park();
        }
    }
}

/// Calls a function with these arguments.
pub fn call<'py, const N: usize>(
    function: &Bound<'py, PyAny>,
    args: [&Bound<'py, PyAny>; N],
) -> PyResult<Bound<'py, PyAny>> {
    let args = PyTuple::new(function.py(), args)?;
    let stop = Stop;
    // SAFETY: the thread has the interpreter, and all are alive for as long as the call.
    let result = unsafe { unwinding::PyObject_CallObject(function.as_ptr(), args.as_ptr()) };
    std::mem::forget(stop);
    owned(function.py(), result)
}

/// Calls a method of the first of these objects, with the others as its arguments.
pub fn call_method<'py, const N: usize>(
    name: &Bound<'py, PyString>,
    args: [&Bound<'py, PyAny>; N],
) -> PyResult<Bound<'py, PyAny>> {
    const { assert!(N > 0) };
    let args = args.map(Bound::as_ptr);
    let stop = Stop;
    // SAFETY: as above.
    let result = unsafe {
        let names = std::ptr::null_mut();
        unwinding::PyObject_VectorcallMethod(name.as_ptr(), args.as_ptr(), N, names)
    };
    std::mem::forget(stop);
    owned(name.py(), result)
}

/// Drops an object of the program's, whose destructor may run Python code.
pub fn drop_object<T>(_py: Python<'_>, object: Py<T>) {
    let stop = Stop;
    // SAFETY: the thread has the interpreter, and the reference is no more used.
    unsafe { unwinding::Py_DecRef(object.into_ptr()) };
    std::mem::forget(stop);
}

fn owned(py: Python<'_>, result: *mut PyObject) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: a call returns a new reference, or null and has set an error.
    unsafe { Bound::from_owned_ptr_or_err(py, result) }
}
