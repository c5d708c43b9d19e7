//! What a forked child does first: it starts anew, with nothing that the parent's threads may hold.
//!
//! A child has one thread, and locks that other threads held at the fork are held in it for ever.
//! So what a pool consists of is kept for each process by itself, and a child never touches the
//! parent's. That a process is a child costs one look at a number that the C library's hook of
//! `fork` has changed.

use std::sync::OnceLock;

/// One value for this process, and a new one for each child that is forked.
///
/// ```
/// use hubpool::binding::PerProcess;
/// use std::sync::Mutex;
///
/// let value = PerProcess::new(Mutex::new(7));
/// // A child does not touch the parent's lock, which a thread may hold that it does not have.
/// assert_eq!(*value.get(|_| Mutex::new(0)).lock().unwrap(), 7);
/// ```
#[derive(Debug)]
pub struct PerProcess<T> {
    value: T,
    #[cfg(unix)]
    guard: forkguard::Guard,
    child: OnceLock<Box<Self>>,
}

impl<T> PerProcess<T> {
    /// A value for the process that calls.
    ///
    /// ```
    /// hubpool::binding::PerProcess::new(7);
    /// ```
    pub fn new(value: T) -> Self {
        Self {
            value,
            #[cfg(unix)]
            guard: forkguard::new(),
            child: OnceLock::new(),
        }
    }

    /// This process's value. A child makes its own from its parent's, of which it may use no lock.
    ///
    /// ```
    /// let value = hubpool::binding::PerProcess::new(7);
    /// assert_eq!(*value.get(|parents| parents + 1), 7);
    /// ```
    #[inline]
    pub fn get(&self, make: impl Fn(&T) -> T) -> &T {
        let mut here = self;
        while here.is_inherited() {
            here = here
                .child
                .get_or_init(|| Box::new(Self::new(make(&here.value))));
        }
        &here.value
    }

    /// This process's value, if it has one.
    pub(crate) fn made(&self) -> Option<&T> {
        let mut here = self;
        while here.is_inherited() {
            here = here.child.get()?;
        }
        Some(&here.value)
    }

    /// Whether the value that this was made with is a parent's: a child calls.
    ///
    /// ```
    /// assert!(!hubpool::binding::PerProcess::new(7).is_inherited());
    /// ```
    #[inline]
    pub fn is_inherited(&self) -> bool {
        #[cfg(unix)]
        return self.guard.clone().detected_fork();
        #[cfg(not(unix))]
        false
    }
}
