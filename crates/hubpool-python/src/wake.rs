//! One hub's completion list, and the descriptor that wakes the hub.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hubpool::binding::Outbox;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyList;

/// Messages for one hub, with a descriptor that is readable while there are
/// some: an eventfd on Linux, a pipe on other systems.
#[pyclass(frozen, module = "hubpool._native")]
pub struct Wake {
    outbox: Outbox<Py<PyAny>>,
    /// `None` once it is closed.
    ends: Mutex<Option<Ends>>,
}

struct Ends {
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
            ends: Mutex::new(Some(Ends { reader, writer })),
        })
    }

    /// The descriptor that the hub's loop watches; -1 once it is closed.
    fn fileno(&self) -> i32 {
        self.ends()
            .as_ref()
            .map_or(-1, |ends| ends.reader.as_raw_fd())
    }

    /// Closes the descriptor of a hub that has been destroyed. Messages may
    /// still be posted; they wake nobody.
    fn close(&self) {
        self.ends().take();
    }

    /// Adds a message; wakes the hub if nothing else has. Any thread may call it.
    pub fn post(&self, message: Py<PyAny>) {
        if self.outbox.push(message)
            && let Some(ends) = &*self.ends()
        {
            let fd = ends.writer.as_ref().unwrap_or(&ends.reader);
            // It fails only if the counter or the pipe is full, and then the
            // descriptor is readable already.
            let _ = rustix::io::write(fd.as_fd(), &1_u64.to_ne_bytes());
        }
    }

    /// Answers a wake-up: moves all messages, oldest first, into a deque, so that no signal
    /// handler can come between. For the hub's thread.
    fn drain(&self, into: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Some(ends) = &*self.ends() {
            // The descriptor is emptied first: a message that comes now rings anew.
            let _ = rustix::io::read(ends.reader.as_fd(), &mut [0_u8; 8]);
        }
        extend(into, self.outbox.drain())
    }

    /// Whether it is worth the hub's time to look out before it sleeps.
    fn look_out_pays(&self) -> bool {
        self.outbox.look_out_pays()
    }

    /// Watches for messages for some microseconds, with the interpreter let
    /// go, and moves what there is into a deque. `False`: there is nothing. For the hub's
    /// thread, with nothing else to do.
    fn look_out(&self, into: &Bound<'_, PyAny>) -> PyResult<bool> {
        let messages = into.py().detach(|| self.outbox.look_out());
        let any = !messages.is_empty();
        extend(into, messages)?;
        Ok(any)
    }
}

impl Wake {
    fn ends(&self) -> MutexGuard<'_, Option<Ends>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the hub's thread has let the interpreter go to look out.
    pub fn looking(&self) -> bool {
        self.outbox.looking()
    }
}

fn extend(into: &Bound<'_, PyAny>, messages: Vec<Py<PyAny>>) -> PyResult<()> {
    let py = into.py();
    into.call_method1(intern!(py, "extend"), (PyList::new(py, messages)?,))?;
    Ok(())
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
