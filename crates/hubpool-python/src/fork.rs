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
/// kind, which stays readable until the child gives it up. A child's loop may go on to watch it, or give it up, and the
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
    /// The set that polls the descriptor, or [`FREE`].
    poller: AtomicI32,
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

    /// Has a child replace also the epoll set of the loop that polls the descriptor; -1: no loop does.
    ///
    /// The child's loop finds in the fresh set the replaced descriptor alone, which is readable: the
    /// loop's first poll ends at once, and its callback makes the loop anew.
    pub fn set_poller(&self, poller: RawFd) {
        self.entry.poller.store(poller, Ordering::Release);
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
        self.entry.poller.store(FREE, Ordering::Release);
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
            poller: AtomicI32::new(FREE),
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

    /// The descriptor, if the number is still that of the same file.
    fn descriptor(&self) -> Option<RawFd> {
        let fd = self.fd.load(Ordering::Acquire);
        let file = (
            self.device.load(Ordering::Relaxed),
            self.inode.load(Ordering::Relaxed),
        );
        (fd >= 0 && file_of(fd) == Some(file)).then_some(fd)
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
        if let Some(fd) = entry.descriptor() {
            replace(fd);
            #[cfg(target_os = "linux")]
            poll_anew(entry, fd);
        }
    }
}

/// Puts a fresh epoll set, which holds the replaced descriptors alone, in the place of the loop's.
#[cfg(target_os = "linux")]
#[allow(clippy::cast_sign_loss, reason = "a descriptor is not negative")]
fn poll_anew(entry: &Entry, fd: RawFd) {
    let poller = entry.poller.load(Ordering::Acquire);
    let mut event = libc::epoll_event {
        events: libc::EPOLLIN as u32,
        // libuv looks for the number of the descriptor here. libev makes its own set before it polls.
        u64: fd as u64,
    };
    // SAFETY: as in `replace`.
    unsafe {
        // No set holds the descriptor yet, and so the call changes none. It says whether the number
        // is that of a set: a program may have closed it, and opened another file.
        let is_set = libc::epoll_ctl(poller, libc::EPOLL_CTL_MOD, fd, &raw mut event) < 0
            && *libc::__errno_location() == libc::ENOENT;
        if !is_set {
            return;
        }
        // The entry of a descriptor that the child's parent has inherited itself may name the same set.
        let is_fresh = Entry::all()
            .take_while(|other| !std::ptr::eq(*other, entry))
            .any(|other| {
                other.poller.load(Ordering::Acquire) == poller && other.descriptor().is_some()
            });
        if !is_fresh {
            libc::close(poller);
            rename(libc::epoll_create1(libc::EPOLL_CLOEXEC), poller);
        }
        libc::epoll_ctl(poller, libc::EPOLL_CTL_ADD, fd, &raw mut event);
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

/// Puts a descriptor that is readable in the place of another.
fn replace(fd: RawFd) {
    // SAFETY: the child does not use what it closes: it has the number, and that stands for the
    // new descriptor from here on. Closed first, it leaves room where the process is at its limit.
    unsafe {
        libc::close(fd);
        rename(open_readable(), fd);
    }
}

/// Gives a new descriptor the number of one that was closed.
///
/// # Safety
///
/// Nothing else may use the new descriptor, nor have taken the number.
unsafe fn rename(new: RawFd, fd: RawFd) {
    // SAFETY: the caller has made the one descriptor, and closed the other.
    unsafe {
        if new >= 0 && new != fd {
            libc::dup2(new, fd);
            libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
            libc::close(new);
        }
    }
}

#[cfg(target_os = "linux")]
fn open_readable() -> RawFd {
    // SAFETY: it takes no pointer.
    unsafe { libc::eventfd(1, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) }
}

#[cfg(not(target_os = "linux"))]
fn open_readable() -> RawFd {
    let mut ends = [-1; 2];
    // SAFETY: the array has room for both ends. The end of a pipe that has no writing end is readable.
    unsafe {
        if libc::pipe(ends.as_mut_ptr()) != 0 {
            return -1;
        }
        libc::close(ends[1]);
        libc::fcntl(ends[0], libc::F_SETFD, libc::FD_CLOEXEC);
        libc::fcntl(ends[0], libc::F_SETFL, libc::O_NONBLOCK);
    }
    ends[0]
}
