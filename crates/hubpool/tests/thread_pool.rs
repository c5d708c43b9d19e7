//! The pool as async programs and plain threads use it.

use std::future::Future;
use std::panic::catch_unwind;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use hubpool::{PanicPolicy, Task, TaskError, ThreadPool};

/// Counts how often it is woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// A task that holds a worker until it is told to end.
fn blocker(pool: &ThreadPool) -> (Sender<()>, Task<()>) {
    let (go, wait): (_, Receiver<()>) = channel();
    let (began, beginning) = channel();
    let task = pool.apply_async(move || {
        began.send(()).unwrap();
        wait.recv().unwrap();
    });
    beginning.recv().unwrap();
    (go, task)
}

async fn squares(pool: &ThreadPool) -> Vec<u64> {
    let mut tasks = Vec::new();
    for n in 0..100 {
        tasks.push(pool.spawn(move || n * n).await);
    }
    let mut squares = vec![pool.apply(|| 7).await.unwrap()];
    for task in tasks {
        squares.push(task.await.unwrap());
    }
    squares
}

fn expected() -> Vec<u64> {
    std::iter::once(7).chain((0..100).map(|n| n * n)).collect()
}

#[test]
fn tasks_run_under_tokio() {
    let current = tokio::runtime::Builder::new_current_thread().build();
    let several = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build();
    for runtime in [current, several] {
        let pool = ThreadPool::new(3);
        let spawned = runtime.unwrap().block_on(async move {
            let task = tokio::spawn(async move { squares(&pool).await });
            task.await.unwrap()
        });
        assert_eq!(spawned, expected());
    }
}

#[test]
fn tasks_run_under_smol() {
    assert_eq!(smol::block_on(squares(&ThreadPool::new(3))), expected());
}

#[test]
fn tasks_run_under_the_executor_of_futures() {
    let pool = ThreadPool::new(3);
    assert_eq!(futures::executor::block_on(squares(&pool)), expected());
}

#[test]
fn tasks_run_from_plain_threads_at_once() {
    let pool = ThreadPool::new(3);
    let sum = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for n in 0..250 {
                    let result = pool.blocking_spawn(move || n).wait().unwrap();
                    sum.fetch_add(result, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(sum.into_inner(), 4 * (0..250).sum::<usize>());
    assert!(pool.is_empty() && pool.size() <= 3);
}

#[test]
fn spawn_waits_for_a_slot_and_apply_async_does_not() {
    let pool = ThreadPool::builder().maxsize(1).backlog(2).build();
    let (go, first) = blocker(&pool);
    let second = futures::executor::block_on(pool.spawn(|| 2));
    let mut third = Box::pin(pool.spawn(|| 3));
    assert!(poll(&mut third).is_pending());
    let fourth = pool.apply_async(|| 4);
    assert_eq!(pool.len(), 3);
    go.send(()).unwrap();
    let third = futures::executor::block_on(third);
    assert_eq!(
        (
            first.wait().unwrap(),
            second.wait().unwrap(),
            third.wait().unwrap(),
            fourth.wait().unwrap()
        ),
        ((), 2, 3, 4)
    );
}

/// A task that ends when it is let go, and what lets one go.
fn gated() -> (Sender<()>, impl FnOnce() + Clone + Send + 'static) {
    let (go, wait) = channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    (go, move || wait.lock().unwrap().recv().unwrap())
}

#[test]
fn who_waits_for_a_slot_gets_it_first_come_first_served() {
    let pool = ThreadPool::builder().maxsize(1).backlog(1).build();
    let (go, first) = blocker(&pool);
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut waiting: Vec<_> = (0..5)
        .map(|n| {
            let order = Arc::clone(&order);
            Box::pin(pool.spawn(move || order.lock().unwrap().push(n)))
        })
        .collect();
    for spawn in &mut waiting {
        assert!(poll(spawn).is_pending());
    }
    drop(waiting.remove(2)); // Who gives up loses nobody's slot.
    go.send(()).unwrap();
    first.wait().unwrap();
    for _ in 0..4 {
        let first = waiting.remove(0);
        // The last in line is polled before the first, and must wait all the same.
        assert!(
            waiting
                .last_mut()
                .is_none_or(|last| poll(last).is_pending())
        );
        futures::executor::block_on(first).wait().unwrap();
    }
    assert_eq!(*order.lock().unwrap(), [0, 1, 3, 4]);
    assert!(pool.is_empty());
}

#[test]
fn a_slot_that_was_given_to_who_has_gone_goes_to_the_next() {
    let pool = ThreadPool::builder().maxsize(1).backlog(1).build();
    let (go, first) = blocker(&pool);
    let mut second = Box::pin(pool.spawn(|| 2));
    let mut third = Box::pin(pool.spawn(|| 3));
    assert!(poll(&mut second).is_pending() && poll(&mut third).is_pending());
    go.send(()).unwrap();
    first.wait().unwrap();
    assert_eq!(pool.len(), 1); // It is the second's, which has not seen it.
    drop(second);
    assert_eq!(futures::executor::block_on(third).wait().unwrap(), 3);
    assert!(pool.is_empty());
}

#[test]
fn a_task_that_panics_reports_what_it_panicked_with_and_the_pool_goes_on() {
    let pool = ThreadPool::new(1);
    let task = pool.apply_async(|| std::panic::panic_any(42_u8));
    match task.wait() {
        Err(TaskError::Panicked(panic)) => {
            assert_eq!(panic.into_payload().downcast_ref(), Some(&42_u8));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(pool.blocking_apply(|| 1).unwrap(), 1);
    assert_eq!(pool.size(), 1);
}

#[test]
fn an_error_goes_wherever_errors_go() {
    let pool = ThreadPool::new(1);
    let fails = || -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        pool.blocking_apply(|| panic!("no luck"))?;
        Ok(())
    };
    assert_eq!(
        fails().unwrap_err().to_string(),
        "the task panicked: no luck"
    );
}

#[test]
fn a_killed_pool_lets_its_threads_go_though_others_are_busy() {
    let pool = ThreadPool::new(2);
    let (go, first) = blocker(&pool);
    pool.set_size(2);
    pool.kill();
    while pool.size() > 1 {
        thread::yield_now();
    }
    // Nothing waits, so no thread comes in the place of the one that has gone.
    assert_eq!(pool.stats().queued, 0);
    go.send(()).unwrap();
    first.wait().unwrap();
    while pool.size() > 0 {
        thread::yield_now();
    }
}

#[test]
fn who_unwinds_from_a_panic_may_go_on_to_use_the_pool_and_what_it_gave() {
    let pool = ThreadPool::new(1);
    let (task, map) = (pool.apply_async(|| 1), pool.map_async(|n| n + 1, [1, 2]));
    // It does not compile with what is not `UnwindSafe`.
    let result = catch_unwind(|| {
        drop((task, map, &pool));
        panic!("on purpose");
    });
    assert!(result.is_err());
    assert_eq!(pool.blocking_apply(|| 2).unwrap(), 2);
}

#[test]
fn a_panic_goes_on_in_who_awaits_the_task_if_the_pool_is_built_so() {
    let pool = ThreadPool::builder()
        .panic_policy(PanicPolicy::Resume)
        .build();
    let task = pool.apply_async(|| std::panic::panic_any(42_u8));
    let payload = thread::spawn(|| task.wait().is_ok()).join().unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&42_u8));
}

/// It panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

#[test]
fn a_function_whose_destructor_panics_is_withdrawn_with_all_others() {
    let pool = ThreadPool::new(1);
    let (go, first) = blocker(&pool);
    let bomb = Bomb;
    let tasks = [
        pool.apply_async(move || drop(bomb)),
        pool.apply_async(|| ()),
    ];
    assert_eq!(pool.kill(), 2);
    for task in tasks {
        assert!(matches!(task.wait(), Err(TaskError::Cancelled)));
    }
    go.send(()).unwrap();
    first.wait().unwrap();
    assert!(pool.is_empty());
}

#[test]
fn a_result_whose_destructor_panics_ends_no_thread() {
    let pool = ThreadPool::new(1);
    let (go, first) = blocker(&pool);
    drop(pool.apply_async(|| Bomb));
    go.send(()).unwrap();
    first.wait().unwrap();
    assert_eq!(pool.blocking_apply(|| 1).unwrap(), 1);
    assert_eq!(pool.size(), 1);
}

#[test]
fn a_dropped_task_runs_all_the_same_and_one_that_is_to_be_cancelled_does_not() {
    let pool = ThreadPool::new(1);
    let (go, first) = blocker(&pool);
    let ran = Arc::new(AtomicUsize::new(0));
    let add = |n| {
        let ran = Arc::clone(&ran);
        pool.apply_async(move || ran.fetch_add(n, Ordering::SeqCst))
    };
    drop(add(1));
    drop(add(10).cancel_on_drop());
    let kept = add(100);
    assert!(kept.cancel() && !kept.cancel());
    assert_eq!(
        Arc::strong_count(&ran),
        2,
        "what was withdrawn keeps its function"
    );
    assert!(matches!(kept.wait(), Err(TaskError::Cancelled)));
    assert!(!first.cancel(), "it runs");
    go.send(()).unwrap();
    assert!(pool.join_timeout(Duration::MAX));
    assert_eq!(ran.load(Ordering::SeqCst), 1);
}

#[test]
fn who_awaits_a_task_is_woken_when_it_is_withdrawn() {
    let pool = ThreadPool::new(1);
    let (go, first) = blocker(&pool);
    let mut second = pool.apply_async(|| 2);
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    assert!(
        pin!(&mut second)
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    assert_eq!(pool.kill(), 1);
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
    assert!(matches!(second.wait(), Err(TaskError::Cancelled)));
    go.send(()).unwrap();
    first.wait().unwrap();
}

#[test]
fn whoever_sees_a_result_sees_its_slot_free() {
    let pool = ThreadPool::new(2);
    for _ in 0..1_000 {
        pool.apply_async(|| ()).wait().unwrap();
        assert_eq!(pool.len(), 0);
    }
}

#[test]
fn whoever_has_joined_finds_all_results() {
    let pool = ThreadPool::new(3);
    for _ in 0..200 {
        let tasks: Vec<_> = (0..5).map(|n| pool.apply_async(move || n)).collect();
        futures::executor::block_on(pool.join());
        assert!(tasks.iter().all(Task::is_finished));
    }
}

#[test]
fn join_returns_at_its_timeout_and_leaves_no_trace() {
    let pool = ThreadPool::new(1);
    let (go, first) = blocker(&pool);
    assert!(!pool.join_timeout(Duration::from_millis(1)));
    // With somebody in line, this would wait.
    let second = futures::executor::block_on(pool.spawn(|| 2));
    go.send(()).unwrap();
    assert!(pool.join_timeout(Duration::MAX));
    assert_eq!((first.wait().unwrap(), second.wait().unwrap()), ((), 2));
}

#[test]
fn the_size_follows_what_is_asked_for() {
    let pool = ThreadPool::new(4);
    pool.set_size(3);
    assert_eq!(pool.size(), 3);
    pool.set_size(9);
    assert_eq!(pool.size(), 4);
    let (go, first) = blocker(&pool);
    pool.set_maxsize(1);
    go.send(()).unwrap();
    first.wait().unwrap();
    while pool.size() > 1 {
        thread::yield_now();
    }
    pool.kill();
    while pool.size() > 0 {
        thread::yield_now();
    }
    assert_eq!(pool.blocking_apply(|| 1).unwrap(), 1);
}

#[test]
fn a_higher_maxsize_starts_a_thread_for_the_task_that_waits() {
    let pool = ThreadPool::new(1);
    let (go, first) = blocker(&pool);
    let second = pool.apply_async(|| 2);
    pool.set_maxsize(2);
    assert_eq!(second.wait().unwrap(), 2);
    go.send(()).unwrap();
    first.wait().unwrap();
}

#[test]
fn an_idle_thread_ends_and_another_comes() {
    let pool = ThreadPool::builder()
        .maxsize(2)
        .idle_timeout(Some(Duration::from_millis(1)))
        .build();
    for n in 0..5 {
        assert_eq!(pool.blocking_apply(move || n).unwrap(), n);
        while pool.size() > 0 {
            thread::yield_now();
        }
    }
}

#[test]
fn a_pool_that_is_dropped_runs_what_is_queued_and_lets_its_threads_go() {
    let ended = Arc::new(AtomicBool::new(false));
    let pool = ThreadPool::builder()
        .maxsize(1)
        .idle_timeout(None)
        .on_thread_stop({
            let ended = Arc::clone(&ended);
            move || ended.store(true, Ordering::SeqCst)
        })
        .build();
    let (go, first) = blocker(&pool);
    let second = pool.apply_async(|| 2);
    drop(pool.clone());
    drop(pool);
    go.send(()).unwrap();
    first.wait().unwrap();
    assert_eq!(second.wait().unwrap(), 2);
    while !ended.load(Ordering::SeqCst) {
        thread::yield_now();
    }
}

#[test]
fn hooks_are_called_around_each_task_and_their_panic_is_the_tasks() {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let note = |what: &'static str| {
        let calls = Arc::clone(&calls);
        move || calls.lock().unwrap().push(what)
    };
    let pool = ThreadPool::builder()
        .maxsize(1)
        .on_thread_start(note("start"))
        .before_task(note("before"))
        .after_task(note("after"))
        .build();
    let body = note("task");
    pool.blocking_apply(body).unwrap();
    pool.blocking_apply(|| panic!("no luck")).unwrap_err();
    assert_eq!(
        *calls.lock().unwrap(),
        ["start", "before", "task", "after", "before", "after"]
    );
    let pool = ThreadPool::builder()
        .before_task(|| panic!("not today"))
        .build();
    let error = pool.blocking_apply(|| ()).unwrap_err();
    assert_eq!(error.to_string(), "the task panicked: not today");
}

#[test]
fn a_thread_that_can_not_be_started_is_the_tasks_error_and_leaves_no_task() {
    let pool = ThreadPool::builder().stack_size(usize::MAX / 2).build();
    let error = pool.blocking_apply(|| ()).unwrap_err();
    assert!(matches!(error, TaskError::NoThread(_)), "{error:?}");
    assert_eq!((pool.len(), pool.size()), (0, 0));
}

#[test]
fn who_waits_for_a_slot_gets_it_when_half_of_a_long_backlog_is_free() {
    let pool = ThreadPool::builder().maxsize(1).backlog(8).build();
    let (go, task) = gated();
    let outstanding: Vec<_> = (0..8).map(|_| pool.blocking_spawn(task.clone())).collect();
    let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(pool.spawn(task.clone()))).collect();
    let mut outstanding = outstanding.into_iter();
    for left in (4..8).rev() {
        assert!(
            waiting.iter_mut().all(|one| poll(one).is_pending()),
            "{left}"
        );
        go.send(()).unwrap();
        outstanding.next().unwrap().wait().unwrap();
        assert_eq!(pool.len(), if left > 4 { left } else { 7 });
    }
    let tasks: Vec<_> = waiting
        .into_iter()
        .map(futures::executor::block_on)
        .collect();
    for _ in 0..7 {
        go.send(()).unwrap();
    }
    outstanding
        .chain(tasks)
        .for_each(|task| task.wait().unwrap());
    assert!(pool.is_empty());
}

#[test]
fn a_worker_never_lacks_a_task_while_somebody_waits_for_a_slot() {
    let pool = ThreadPool::builder().maxsize(2).backlog(3).build();
    let (go, task) = gated();
    let tasks: Vec<_> = (0..3).map(|_| pool.blocking_spawn(task.clone())).collect();
    let mut waiting = Box::pin(pool.spawn(task.clone()));
    assert!(poll(&mut waiting).is_pending());
    go.send(()).unwrap();
    // One of the three has ended; it would wait for ever if it needed half of them to end.
    let last = loop {
        if let Poll::Ready(task) = poll(&mut waiting) {
            break task;
        }
        thread::yield_now();
    };
    assert_eq!(pool.len(), 3);
    for _ in 0..3 {
        go.send(()).unwrap();
    }
    tasks
        .into_iter()
        .chain([last])
        .for_each(|task| task.wait().unwrap());
}

/// A waker that panics.
struct Mine;

impl Wake for Mine {
    fn wake(self: Arc<Self>) {
        panic!("a waker's panic");
    }
}

#[test]
fn a_hook_and_a_destructor_that_panic_lose_no_task() {
    let after = ThreadPool::builder()
        .maxsize(1)
        .after_task(|| panic!("after"))
        .build();
    assert!(matches!(
        after.apply_async(|| Bomb).wait(),
        Err(TaskError::Panicked(_))
    ));
    let error = after.apply_async(|| std::panic::panic_any(Bomb)).wait();
    std::mem::forget(error);
    assert!(after.is_empty());
    let before = ThreadPool::builder()
        .maxsize(1)
        .before_task(|| panic!("before"))
        .build();
    let bomb = Bomb;
    let task = before.apply_async(move || std::mem::forget(bomb));
    assert!(matches!(task.wait(), Err(TaskError::Panicked(_))));
    assert!(before.is_empty());
}

#[test]
fn a_panic_whose_payload_panics_ends_no_thread() {
    let pool = ThreadPool::builder()
        .maxsize(1)
        .on_thread_start(|| std::panic::panic_any(Bomb))
        .build();
    assert_eq!(pool.apply_async(|| 1).wait().unwrap(), 1);
    assert_eq!(pool.apply_async(|| 2).wait().unwrap(), 2);
    assert_eq!(pool.size(), 1);
}

#[test]
fn a_kill_ends_what_stands_behind_functions_and_wakers_that_panic() {
    let pool = ThreadPool::new(1);
    let (go, held) = blocker(&pool);
    let bomb = Bomb;
    let bomb = pool.apply_async(move || std::mem::forget(bomb));
    let items = pool.map_async(|bomb: Bomb| std::mem::forget(bomb), [Bomb]);
    let mut mined = pool.apply_async(|| 1);
    let waker = Waker::from(Arc::new(Mine));
    assert!(
        pin!(&mut mined)
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    let last = pool.apply_async(|| 2);
    pool.kill();
    assert!(matches!(last.wait(), Err(TaskError::Cancelled)));
    assert!(matches!(bomb.wait(), Err(TaskError::Cancelled)));
    assert!(matches!(items.wait(), Err(TaskError::Cancelled)));
    go.send(()).unwrap();
    held.wait().unwrap();
    assert!(pool.join_timeout(Duration::MAX));
}

#[test]
fn a_waker_that_panics_keeps_nobody_else_asleep() {
    let pool = ThreadPool::builder().maxsize(1).backlog(1).build();
    let (go, held) = blocker(&pool);
    let mut spawn = Box::pin(pool.spawn(|| ()));
    let waker = Waker::from(Arc::new(Mine));
    assert!(
        spawn
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    let waiter = thread::spawn(move || held.wait());
    go.send(()).unwrap();
    waiter.join().unwrap().unwrap();
    futures::executor::block_on(spawn).wait().unwrap();
}

#[test]
#[should_panic(expected = "zero byte")]
fn a_name_that_no_thread_can_have_is_refused_at_once() {
    drop(ThreadPool::builder().name("a\0b"));
}

#[test]
fn who_joins_keeps_nobody_from_a_slot_that_is_free() {
    let pool = ThreadPool::builder().maxsize(1).backlog(10).build();
    let (go, first) = blocker(&pool);
    let tasks: Vec<_> = (0..6).map(|_| pool.apply_async(|| ())).collect();
    let mut join = Box::pin(pool.join());
    assert!(poll(&mut join).is_pending());
    let mut spawn = Box::pin(pool.spawn(|| 7));
    let Poll::Ready(task) = poll(&mut spawn) else {
        panic!("7 of 10 slots are taken, and it waits");
    };
    go.send(()).unwrap();
    assert_eq!(task.wait().unwrap(), 7);
    futures::executor::block_on(join);
    assert!(first.is_finished() && tasks.iter().all(Task::is_finished));
}

#[test]
fn who_waits_for_a_slot_gets_one_though_others_submit_without_waiting() {
    let pool = ThreadPool::builder().maxsize(1).backlog(8).build();
    let (go, wait) = channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let task = move || wait.lock().unwrap().recv().unwrap();
    let mut tasks: std::collections::VecDeque<_> =
        (0..8).map(|_| pool.apply_async(task.clone())).collect();
    let mut spawn = Box::pin(pool.spawn(|| 7));
    // Never are fewer than 6 outstanding: a quarter of the slots is free, and not half.
    let mut end_one = || {
        go.send(()).unwrap();
        tasks.pop_front().unwrap().wait().unwrap();
        tasks.push_back(pool.apply_async(task.clone()));
    };
    let mut spawned = poll(&mut spawn);
    for _ in 0..8 {
        if spawned.is_ready() {
            break;
        }
        // One is free for a moment.
        end_one();
        spawned = poll(&mut spawn);
    }
    let Poll::Ready(spawned) = spawned else {
        panic!("8 slots have come back, and none has been given to who waits");
    };
    for _ in 0..tasks.len() {
        go.send(()).unwrap();
    }
    assert_eq!(spawned.wait().unwrap(), 7);
    for task in tasks {
        task.wait().unwrap();
    }
}

#[test]
fn what_a_withdrawn_task_drops_and_whom_it_wakes_may_panic() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a destructor's panic");
        }
    }
    struct Alarm;
    impl Wake for Alarm {
        fn wake(self: Arc<Self>) {
            panic!("a waker's panic");
        }
    }
    let pool = ThreadPool::new(1);
    let (go, first) = blocker(&pool);
    let bomb = Bomb;
    let mut task = pool.apply_async(move || drop(bomb));
    let waker = Waker::from(Arc::new(Alarm));
    assert!(
        pin!(&mut task)
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    assert!(task.cancel());
    assert!(matches!(task.wait(), Err(TaskError::Cancelled)));
    let bomb = Bomb;
    let task = pool.apply_async(move || drop(bomb)).cancel_on_drop();
    assert!(format!("{task:?}").contains("CancelOnDrop"));
    drop(task);
    go.send(()).unwrap();
    first.wait().unwrap();
}

#[test]
fn set_size_returns_though_threads_end_as_soon_as_they_start() {
    let idle = Some(Duration::ZERO);
    let pool = ThreadPool::builder()
        .maxsize(100)
        .idle_timeout(idle)
        .build();
    for size in [100, usize::MAX] {
        pool.set_size(size);
        assert!(pool.size() <= 100);
    }
}

#[test]
fn a_task_that_is_awaited_again_says_so_also_after_a_panic_that_was_resumed() {
    let pool = ThreadPool::builder()
        .panic_policy(PanicPolicy::Resume)
        .build();
    let mut task = pool.apply_async(|| panic!("no luck"));
    for message in ["no luck", "awaited again"] {
        let task = std::panic::AssertUnwindSafe(|| futures::executor::block_on(&mut task).is_ok());
        let payload = catch_unwind(task).unwrap_err();
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        assert!(text.unwrap().contains(message), "{text:?}");
    }
}
