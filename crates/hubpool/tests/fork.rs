//! A forked child uses the pools that it inherits.
#![cfg(unix)]

use std::time::Duration;

use hubpool::ThreadPool;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

/// Runs `child` in a child, and returns the code with which it ends.
fn in_child(child: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child uses the C library's allocator, which takes care of forks, and
    // its own threads alone; it ends without running what the parent's harness has left.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            let code = child();
            // SAFETY: it only ends the process.
            unsafe { nix::libc::_exit(code) }
        }
        ForkResult::Parent { child } => match waitpid(child, None).unwrap() {
            WaitStatus::Exited(_, code) => code,
            other => panic!("{other:?}"),
        },
    }
}

#[test]
fn a_child_and_its_child_use_a_pool_that_was_busy_at_the_fork() {
    let pool = ThreadPool::builder().maxsize(2).name("forked").build();
    let (go, wait) = std::sync::mpsc::channel();
    let first = pool.apply_async(move || wait.recv().unwrap());
    let queued: Vec<_> = (0..3).map(|n| pool.apply_async(move || n)).collect();
    let code = in_child(|| {
        assert_eq!(pool.len(), 0);
        let mut sum = pool.blocking_apply(|| 1).unwrap();
        sum += in_child(|| pool.blocking_apply(|| 20).unwrap());
        assert!(pool.join_timeout(Duration::MAX));
        drop(pool.clone());
        sum
    });
    assert_eq!(code, 21);
    go.send(()).unwrap();
    first.wait().unwrap();
    for (n, task) in queued.into_iter().enumerate() {
        assert_eq!(task.wait().unwrap(), n);
    }
    // A child may also drop the pool, whose threads are not there.
    let mut pool = Some(pool);
    assert_eq!(
        in_child(move || pool.take().map_or(1, |pool| {
            drop(pool);
            0
        })),
        0
    );
}
