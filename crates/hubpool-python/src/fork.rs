//! What a forked child must not share with its parent, whatever has forked it.
//!
//! The C library calls a handler in each child of `fork`, also where a program's C code forks and
//! Python calls no hook. `vfork` and `posix_spawn` call none: their children run another program.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Once;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU64, Ordering};

use hubpool::binding::PerProcess;
use pyo3::prelude::*;

/// The process in which this object was made.
#[pyclass(frozen, module = "hubpool._native")]
pub struct Process(PerProcess<()>);

#[pymethods]
impl Process {
    /// Notes the calling process.
    #[new]
    pub fn new() -> Self {
        Self(PerProcess::new(()))
    }

    /// Whether the calling process is a forked child of the one in which this object was made.
    #[inline]
    pub fn forked(&self) -> bool {
        self.0.is_inherited()
    }
}

/// A descriptor that a forked child does not share: there its number stands for one of the same
/// kind to which nobody writes. A child's loop may go on to watch it, or give it up, and the
/// parent's loop neither loses a wake-up nor its own entry in a set that both poll.
pub struct Unshared {
    fd: OwnedFd,
    entry: &'static Entry,
}

/// A place in the list of descriptors that a child replaces. Entries are never freed, so that the
/// handler reads the list without a lock; one that is [`FREE`] is used again.
struct Entry {
    fd: AtomicI32,
    /// The file behind the descriptor: a program may close all that it has, and open another one
    /// under this number.
    device: AtomicU64,
    inode: AtomicU64,
    next: Option<&'static Entry>,
}

const FREE: RawFd = -1;
/// Somebody writes the entry.
const TAKEN: RawFd = -2;

static ENTRIES: AtomicPtr<Entry> = AtomicPtr::new(std::ptr::null_mut());

impl Unshared {
    /// Has every child that is forked from now on replace the descriptor.
    pub fn new(fd: OwnedFd) -> Self {
        static REGISTER: Once = Once::new();
        REGISTER.call_once(|| {
            // SAFETY: the handler makes system calls and reads atomics, which a child may do. It
            // fails only for want of memory; then children share the descriptors.
            unsafe { libc::pthread_atfork(None, None, Some(replace_all)) };
        });
        let entry = Entry::take();
        if let Some((device, inode)) = file_of(fd.as_raw_fd()) {
            entry.device.store(device, Ordering::Relaxed);
            entry.inode.store(inode, Ordering::Relaxed);
            entry.fd.store(fd.as_raw_fd(), Ordering::Release);
        }
        Self { fd, entry }
    }
}

impl AsFd for Unshared {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Unshared {
    fn drop(&mut self) {
        // Before the descriptor is closed: its number may belong to another file at once.
        self.entry.fd.store(FREE, Ordering::Release);
    }
}

impl Entry {
    /// Takes a free entry, or adds one to the list.
    fn take() -> &'static Self {
        for entry in Self::all() {
            let taken =
                entry
                    .fd
                    .compare_exchange(FREE, TAKEN, Ordering::Acquire, Ordering::Relaxed);
            if taken.is_ok() {
                return entry;
            }
        }
        let added = Box::leak(Box::new(Self {
            fd: AtomicI32::new(TAKEN),
            device: AtomicU64::new(0),
            inode: AtomicU64::new(0),
            next: None,
        }));
        let mut head = ENTRIES.load(Ordering::Acquire);
        loop {
            // SAFETY: entries of the list are whole, and never freed.
            added.next = unsafe { head.as_ref() };
            match ENTRIES.compare_exchange(head, added, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return added,
                Err(now) => head = now,
            }
        }
    }

    fn all() -> impl Iterator<Item = &'static Self> {
        // SAFETY: entries of the list are whole, and never freed; nobody writes their `next`.
        let first = unsafe { ENTRIES.load(Ordering::Acquire).as_ref() };
        std::iter::successors(first, |entry| entry.next)
    }
}

/// Replaces all descriptors in a child. Its only thread is the one that is here; it may take no
/// lock, and allocate nothing.
extern "C" fn replace_all() {
    for entry in Entry::all() {
        let fd = entry.fd.load(Ordering::Acquire);
        let file = (
            entry.device.load(Ordering::Relaxed),
            entry.inode.load(Ordering::Relaxed),
        );
        if fd >= 0 && file_of(fd) == Some(file) {
            replace(fd);
        }
    }
}

/// The device and the number of the file behind a descriptor.
fn file_of(fd: RawFd) -> Option<(u64, u64)> {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the kernel fills the whole structure in if it returns 0.
    let stat = unsafe { (libc::fstat(fd, stat.as_mut_ptr()) == 0).then(|| stat.assume_init()) }?;
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_lossless,
        clippy::cast_sign_loss,
        reason = "the types differ from system to system"
    )]
    Some((stat.st_dev as u64, stat.st_ino as u64))
}

/// Puts a descriptor that never becomes readable in the place of another.
fn replace(fd: RawFd) {
    // SAFETY: the child does not use what it closes: it has the number, and that stands for the
    // new descriptor from here on. Closed first, it leaves room where the process is at its limit.
    unsafe {
        libc::close(fd);
        let quiet = open_quiet();
        if quiet >= 0 && quiet != fd {
            libc::dup2(quiet, fd);
            libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
            libc::close(quiet);
        }
    }
}

#[cfg(target_os = "linux")]
fn open_quiet() -> RawFd {
    // SAFETY: it takes no pointer.
    unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) }
}

#[cfg(not(target_os = "linux"))]
fn open_quiet() -> RawFd {
    let mut ends = [-1; 2];
    // SAFETY: the array has room for both ends. The writing end stays open: a pipe without one
    // would be readable.
    unsafe {
        if libc::pipe(ends.as_mut_ptr()) != 0 {
            return -1;
        }
        for end in ends {
            libc::fcntl(end, libc::F_SETFD, libc::FD_CLOEXEC);
        }
        libc::fcntl(ends[0], libc::F_SETFL, libc::O_NONBLOCK);
    }
    ends[0]
}
