//! One limit on the threads of all pools. It is the process's, so this is a process of its own.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use hubpool::{Task, TaskError, ThreadPool, set_thread_limit};

#[test]
fn pools_at_the_limit_take_turns_and_all_tasks_run() {
    set_thread_limit(NonZeroUsize::new(2));
    let threads = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let pool = || {
        let (more, fewer, most) = (
            Arc::clone(&threads),
            Arc::clone(&threads),
            Arc::clone(&most),
        );
        ThreadPool::builder()
            .maxsize(3)
            .on_thread_start(move || {
                let now = more.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
            })
            .on_thread_stop(move || {
                fewer.fetch_sub(1, Ordering::SeqCst);
            })
            .build()
    };
    let pools: Vec<_> = (0..4).map(|_| pool()).collect();
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            pools[n % pools.len()].apply_async(move || {
                std::thread::yield_now();
                n
            })
        })
        .collect();
    let sum: usize = tasks.into_iter().map(|task| task.wait().unwrap()).sum();
    assert_eq!(sum, (0..200).sum());
    assert!(
        (1..=2).contains(&most.load(Ordering::SeqCst)),
        "{most:?} threads"
    );

    // A busy pool gives its thread up to one that has none, though it has more to do.
    set_thread_limit(NonZeroUsize::new(1));
    let (busy, other) = (ThreadPool::new(1), ThreadPool::new(1));
    let (go, wait) = std::sync::mpsc::channel();
    let first = busy.apply_async(move || wait.recv().unwrap());
    let more: Vec<Task<_>> = (0..100).map(|n| busy.apply_async(move || n)).collect();
    let turn = other.apply_async(|| 7);
    go.send(()).unwrap();
    assert_eq!(turn.wait().unwrap(), 7);
    first.wait().unwrap();
    for (n, task) in more.into_iter().enumerate() {
        assert_eq!(task.wait().unwrap(), n);
    }

    // A pool that has a thread gets more where nobody needs them: one that is idle elsewhere,
    // and, when the limit goes, what it lacked before.
    set_thread_limit(NonZeroUsize::new(3));
    let (idle, short) = (ThreadPool::new(1), ThreadPool::new(4));
    drop((busy, other));
    idle.blocking_apply(|| ()).unwrap();
    let meet = |count| {
        let all = Arc::new(Barrier::new(count));
        for _ in 0..count {
            let all = Arc::clone(&all);
            drop(short.apply_async(move || all.wait().is_leader()));
        }
    };
    meet(3);
    assert!(short.join_timeout(Duration::from_secs(30)), "{short:?}");
    assert_eq!((idle.size(), short.size()), (0, 3));
    meet(4);
    assert!(!short.join_timeout(Duration::from_millis(1)));
    set_thread_limit(None);
    assert!(short.join_timeout(Duration::from_secs(30)), "{short:?}");

    // Who has no work takes nobody's thread.
    set_thread_limit(NonZeroUsize::new(4));
    idle.set_size(1);
    assert_eq!(idle.size(), 0);
    meet(4);
    assert!(short.join_timeout(Duration::from_secs(30)), "{short:?}");
    assert_eq!(short.size(), 4);

    // Who has waited for a thread that the system does not start is told so.
    set_thread_limit(NonZeroUsize::new(1));
    short.set_maxsize(1);
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let first = short.apply_async(move || wait.recv().unwrap());
    let impossible = ThreadPool::builder().maxsize(2).stack_size(1 << 46).build();
    let second = impossible.apply_async(|| 7);
    go.send(()).unwrap();
    first.wait().unwrap();
    assert!(matches!(second.wait(), Err(TaskError::NoThread(_))));

    let teller = ThreadPool::builder()
        .maxsize(1)
        .stack_size(128 << 10)
        .build();
    many_that_can_have_no_thread_are_told(&teller);
    dropped_pools_are_gone_though_others_wait(&short, &teller);

    // Without a limit they grow again.
    set_thread_limit(None);
    short.set_maxsize(5);
    short.set_size(5);
    assert_eq!(short.size(), 5);
}

/// However many they are, on however small a stack they are told.
fn many_that_can_have_no_thread_are_told(teller: &ThreadPool) {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let first = teller.apply_async(move || wait.recv().unwrap());
    let many: Vec<_> = (0..2_000)
        .map(|_| ThreadPool::builder().maxsize(2).stack_size(1 << 46).build())
        .collect();
    let told: Vec<_> = many.iter().map(|pool| pool.apply_async(|| 7)).collect();
    go.send(()).unwrap();
    first.wait().unwrap();
    for task in told {
        assert!(matches!(task.wait(), Err(TaskError::NoThread(_))));
    }
}

/// They have had their turn, and these two always wait for theirs.
fn dropped_pools_are_gone_though_others_wait(first: &ThreadPool, second: &ThreadPool) {
    let (stop, alive) = (Arc::new(AtomicBool::new(false)), Arc::new(()));
    for pool in [first, second] {
        (0..4).for_each(|_| again(pool, Arc::clone(&stop)));
    }
    for _ in 0..50 {
        let mark = Arc::clone(&alive);
        let pool = ThreadPool::builder()
            .maxsize(2)
            .before_task(move || drop(Arc::clone(&mark)))
            .build();
        pool.apply_async(|| ()).wait().unwrap();
    }
    let left = Arc::strong_count(&alive) - 1;
    assert!(left < 10, "{left} of 50 pools have stayed");
    stop.store(true, Ordering::SeqCst);
}

/// Has always something to do, until it shall stop.
fn again(pool: &ThreadPool, stop: Arc<AtomicBool>) {
    if !stop.load(Ordering::SeqCst) {
        let same = pool.clone();
        drop(pool.apply_async(move || again(&same, stop)));
    }
}
