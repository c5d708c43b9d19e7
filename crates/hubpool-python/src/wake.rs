//! One hub's completion list, and the descriptor that wakes the hub.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use hubpool::Outbox;
use pyo3::prelude::*;
use pyo3::types::PyList;

/// Messages for one hub, with a descriptor that is readable while there are
/// some: an eventfd on Linux, a pipe on other systems.
#[pyclass(frozen, module = "hubpool._native")]
pub struct Wake {
    outbox: Outbox<Py<PyAny>>,
    reader: OwnedFd,
    /// `None` where one descriptor serves both ends.
    writer: Option<OwnedFd>,
}

#[pymethods]
impl Wake {
    #[new]
    fn new() -> PyResult<Self> {
        let (reader, writer) = open().map_err(std::io::Error::from)?;
        Ok(Self {
            outbox: Outbox::new(),
            reader,
            writer,
        })
    }

    /// The descriptor that the hub's loop watches.
    fn fileno(&self) -> i32 {
        self.reader.as_raw_fd()
    }

    /// Adds a message; wakes the hub if nothing else has. Any thread may call it.
    pub fn post(&self, message: Py<PyAny>) {
        if self.outbox.push(message) {
            let fd = self.writer.as_ref().unwrap_or(&self.reader);
            // It fails only if the counter or the pipe is full, and then the
            // descriptor is readable already.
            let _ = rustix::io::write(fd.as_fd(), &1_u64.to_ne_bytes());
        }
    }

    /// Takes all messages, oldest first. The hub's thread calls it.
    fn drain<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let mut buffer = [0_u8; 8];
        // The descriptor is emptied first: a message that comes now rings anew.
        let _ = rustix::io::read(self.reader.as_fd(), &mut buffer);
        PyList::new(py, self.outbox.drain())
    }
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
