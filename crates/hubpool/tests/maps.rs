//! Maps as async programs and plain threads use them.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use futures::executor::block_on;
use futures::stream::FusedStream;
use futures::{FutureExt, Stream, StreamExt, stream};
use hubpool::{MapTask, PanicPolicy, TaskError, ThreadPool};

const ITEMS: usize = 3_000;

/// A gate that items wait at, by number, until they are let through.
#[derive(Default)]
struct Gate {
    open: Mutex<Vec<usize>>,
    told: Condvar,
}

impl Gate {
    fn pass(&self, item: usize) {
        let mut open = self.open.lock().unwrap();
        while !open.contains(&item) {
            open = self.told.wait(open).unwrap();
        }
    }

    fn open(&self, items: impl IntoIterator<Item = usize>) {
        self.open.lock().unwrap().extend(items);
        self.told.notify_all();
    }
}

/// Items that each wait for a token before they end.
struct Tokens {
    begun: Receiver<usize>,
    give: Sender<()>,
    ended: Receiver<()>,
}

impl Tokens {
    /// A function for items, and the tokens for them.
    fn new() -> (
        Self,
        impl Fn(usize) -> usize + Clone + Send + Sync + 'static,
    ) {
        let ((start, begun), (give, wait), (end, ended)) = (channel(), channel(), channel());
        let wait = Arc::new(Mutex::new(wait));
        let f = move |item| {
            start.send(item).unwrap();
            wait.lock().unwrap().recv().unwrap();
            end.send(()).unwrap();
            item
        };
        (Self { begun, give, ended }, f)
    }

    /// Lets one item end after another until `done` says so; returns how many have ended.
    fn spend_until(&self, mut done: impl FnMut() -> bool) -> usize {
        for spent in 0..ITEMS {
            if done() {
                return spent;
            }
            self.give.send(()).unwrap();
            self.ended.recv().unwrap();
            thread::yield_now();
        }
        ITEMS
    }

    /// Lets so many items end, some time.
    fn give(&self, count: usize) {
        for _ in 0..count {
            self.give.send(()).unwrap();
        }
    }
}

/// Says whether it has woken somebody.
#[derive(Default)]
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Polls a stream that has no result until its reader may sleep.
fn poll_until_asleep(stream: &mut (impl Stream + Unpin)) {
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    loop {
        let poll = stream.poll_next_unpin(&mut Context::from_waker(&waker));
        assert!(poll.is_pending());
        if !bell.0.swap(false, Ordering::SeqCst) {
            return;
        }
    }
}

/// What counts how often it is dropped, and panics then.
struct Bomb(Option<Arc<AtomicUsize>>);

impl Bomb {
    fn defuse(mut self) {
        self.0 = None;
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        if let Some(dropped) = &self.0 {
            dropped.fetch_add(1, Ordering::SeqCst);
            panic!("a destructor's panic");
        }
    }
}

fn bombs(count: usize) -> (Arc<AtomicUsize>, Vec<Bomb>) {
    let dropped = Arc::new(AtomicUsize::new(0));
    let bombs = (0..count)
        .map(|_| Bomb(Some(Arc::clone(&dropped))))
        .collect();
    (dropped, bombs)
}

/// A waker that drops the map whose reader it wakes.
struct Dropper(Mutex<Option<MapTask<()>>>);

impl Wake for Dropper {
    fn wake(self: Arc<Self>) {
        drop(self.0.lock().unwrap().take());
    }
}

#[test]
fn what_the_destructor_of_a_map_s_function_panics_with_is_not_kill_s() {
    let pool = ThreadPool::new(1);
    let (go, wait) = channel::<()>();
    let first = pool.apply_async(move || wait.recv().unwrap());
    let (dropped, mut bombs) = bombs(1);
    let bomb = bombs.pop();
    let mut map = pool.map_async(
        move |_| {
            let _ = &bomb;
        },
        [1, 2, 3],
    );
    let reader = Arc::new(Dropper(Mutex::new(None)));
    let waker = Waker::from(Arc::clone(&reader));
    assert!(
        map.poll_unpin(&mut Context::from_waker(&waker))
            .is_pending()
    );
    *reader.0.lock().unwrap() = Some(map);
    while pool.stats().queued > 1 {
        thread::yield_now();
    }
    assert_eq!(pool.kill(), 1);
    go.send(()).unwrap();
    first.wait().unwrap();
    assert!(pool.join_timeout(Duration::MAX));
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

#[test]
fn what_destructors_of_items_and_results_panic_with_is_nobody_elses() {
    type End = fn(&ThreadPool, &MapTask<()>);
    let pool = ThreadPool::new(1);
    // Items that are withdrawn, by whom they may be.
    let ends: [End; 2] = [
        |pool, _| assert_eq!(pool.kill(), 1),
        |_, map| assert_eq!(map.cancel(), 3),
    ];
    for end in ends {
        let (go, wait) = channel::<()>();
        let first = pool.apply_async(move || wait.recv().unwrap());
        let (dropped, items) = bombs(3);
        let map = pool.map_async(|_| unreachable!(), items);
        while pool.stats().queued > 1 {
            thread::yield_now();
        }
        end(&pool, &map);
        assert_eq!(dropped.load(Ordering::SeqCst), 3);
        go.send(()).unwrap();
        first.wait().unwrap();
    }
    // Results that nobody takes, of a map, of a stream and of a map that fails.
    let (dropped, results) = bombs(3);
    drop(pool.map_async(|bomb| bomb, results));
    assert!(pool.join_timeout(Duration::MAX));
    assert_eq!(dropped.load(Ordering::SeqCst), 3);

    let (dropped, made) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let f = {
        let (dropped, made) = (Arc::clone(&dropped), Arc::clone(&made));
        move |_| {
            made.fetch_add(1, Ordering::SeqCst);
            Bomb(Some(Arc::clone(&dropped)))
        }
    };
    let mut stream = pool.imap(f, 0..100).blocking();
    stream.next().unwrap().unwrap().defuse();
    drop(stream);
    assert!(pool.join_timeout(Duration::MAX));
    let (dropped, made) = [dropped, made]
        .map(|count| count.load(Ordering::SeqCst))
        .into();
    assert_eq!(dropped + 1, made);

    let (dropped, results) = bombs(5);
    let begun = AtomicUsize::new(0);
    let map = pool.map_async(
        move |bomb| {
            if begun.fetch_add(1, Ordering::SeqCst) == 2 {
                bomb.defuse();
                panic!("no luck");
            }
            bomb
        },
        results,
    );
    assert!(pool.join_timeout(Duration::MAX));
    assert!(
        catch_unwind(AssertUnwindSafe(|| map.wait()))
            .unwrap()
            .is_err()
    );
    assert_eq!(dropped.load(Ordering::SeqCst), 4);
    assert_eq!(pool.blocking_apply(|| 7).unwrap(), 7);
}

#[test]
fn the_end_comes_after_results_that_nobody_takes_are_dropped() {
    struct Slow(Arc<AtomicUsize>);
    impl Drop for Slow {
        fn drop(&mut self) {
            thread::yield_now();
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let pool = ThreadPool::new(2);
    for round in 1..=200 {
        let dropped = Arc::new(AtomicUsize::new(0));
        let slow = Arc::clone(&dropped);
        drop(pool.map_async(move |_| Slow(Arc::clone(&slow)), 0..round % 7));
        assert!(pool.join_timeout(Duration::MAX));
        assert_eq!(dropped.load(Ordering::SeqCst), round % 7);
    }
}

#[test]
fn items_begin_before_a_slow_source_has_given_all() {
    let pool = ThreadPool::new(1);
    let (tell, begun) = channel();
    // Each item but the first is not to be had before the one before it has begun.
    let source = (0..20).inspect(|n| {
        if *n > 1 {
            assert_eq!(begun.recv().unwrap(), n - 2);
        }
        // Longer than a source may take for several items at a time.
        thread::sleep(Duration::from_micros(200));
    });
    let tell = Mutex::new(tell);
    let results = pool.imap(
        move |n| tell.lock().unwrap().send(n).map_or(n, |()| n),
        source,
    );
    assert!(results.blocking().map(Result::unwrap).eq(0..20));
}

#[test]
fn a_stream_says_that_it_has_ended_and_stays_so() {
    let pool = ThreadPool::new(1);
    let mut results = pool.imap(|n| n, 0..2);
    let mut read = Vec::new();
    block_on(async {
        while !results.is_terminated() {
            futures::select! {
                result = results.next() => read.extend(result.map(Result::unwrap)),
            }
        }
    });
    assert_eq!(read, [0, 1]);
    assert!(block_on(results.next()).is_none());
    let mut results = results.blocking();
    assert!(results.next().is_none());
    assert!(format!("{results:?}").contains("Imap"));
}

#[test]
fn a_source_that_panics_for_good_costs_no_result_of_what_came_before() {
    let pool = ThreadPool::new(1);
    let source = (1..).inspect(|n| assert!(*n < 4, "no luck"));
    // As a generator that has panicked.
    let mut source = Some(source);
    let source = std::iter::from_fn(move || {
        let mut inner = source.take().expect("resumed after a panic");
        let next = inner.next();
        source = Some(inner);
        next
    });
    let mut results = pool.imap(|n| n, source).blocking();
    let mut read = Vec::new();
    for _ in 0..10 {
        if let Ok(result) = catch_unwind(AssertUnwindSafe(|| results.next())) {
            read.extend(result.map(Result::unwrap));
        }
    }
    assert_eq!(read, [1, 2, 3]);
}

#[test]
fn imap_gives_all_results_in_order_whatever_it_looks_ahead_and_claims() {
    let pool = ThreadPool::new(3);
    for look_ahead in [1, 2, 3, 7, 100, 2 * ITEMS] {
        for claim in [1, 2, 64] {
            let results = pool
                .imap(|n| n + 1, 0..ITEMS)
                .look_ahead(look_ahead)
                .claim(claim);
            let results: Vec<_> = block_on(results.map(Result::unwrap).collect());
            assert!(results.into_iter().eq(1..=ITEMS), "{look_ahead} {claim}");
        }
    }
    // A thread that was on its way to the last of them may not have found it at its end.
    block_on(pool.join());
    assert!(pool.is_empty());
}

#[test]
fn imap_unordered_gives_each_result_once() {
    let pool = ThreadPool::new(3);
    for look_ahead in [1, 2, 100, 2 * ITEMS] {
        let results = pool
            .imap_unordered(|n| n + 1, 0..ITEMS)
            .look_ahead(look_ahead);
        let mut results: Vec<_> = block_on(results.map(Result::unwrap).collect());
        results.sort_unstable();
        assert!(results.into_iter().eq(1..=ITEMS), "{look_ahead}");
    }
}

#[test]
fn maps_work_under_tokio_and_smol_and_from_plain_threads() {
    let pool = ThreadPool::new(2);
    let map = async || {
        let whole = pool.map(|n| n * 2, 0..ITEMS).await.unwrap();
        let results = pool.imap(|n| n * 2, 0..ITEMS).map(Result::unwrap);
        assert!(results.collect::<Vec<_>>().await == whole);
        whole
    };
    let doubled: Vec<_> = (0..ITEMS).map(|n| n * 2).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    assert!(runtime.block_on(map()) == doubled);
    assert!(smol::block_on(map()) == doubled);
    let blocking = pool.blocking_imap(|n| n * 2, 0..ITEMS).map(Result::unwrap);
    assert!(blocking.eq(doubled.iter().copied()));
    let mut blocking: Vec<_> = pool
        .blocking_imap_unordered(|n| n * 2, 0..ITEMS)
        .map(Result::unwrap)
        .collect();
    blocking.sort_unstable();
    assert!(blocking == doubled);
}

#[test]
fn results_come_in_the_order_of_the_items_or_as_they_end() {
    let pool = ThreadPool::new(2);
    for ordered in [true, false] {
        let gate = Arc::new(Gate::default());
        let pass = {
            let gate = Arc::clone(&gate);
            move |n| {
                gate.pass(n);
                n
            }
        };
        let results = if ordered {
            let mut results = pool.blocking_imap(pass, 0..2);
            gate.open([1]);
            while pool.len() > 1 {
                thread::yield_now();
            }
            gate.open([0]);
            [results.next(), results.next()]
        } else {
            let mut results = pool.blocking_imap_unordered(pass, 0..2);
            gate.open([1]);
            let first = results.next();
            gate.open([0]);
            [first, results.next()]
        };
        let results = results.map(|result| result.unwrap().unwrap());
        assert_eq!(results, if ordered { [0, 1] } else { [1, 0] });
    }
}

/// A source of these items, and how many of them have been taken from it.
fn counted(items: Range<usize>) -> (Arc<AtomicUsize>, impl Iterator<Item = usize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let source = items.inspect({
        let taken = Arc::clone(&taken);
        move |_| {
            taken.fetch_add(1, Ordering::SeqCst);
        }
    });
    (taken, source)
}

#[test]
fn no_more_items_are_taken_from_the_source_than_the_reader_looks_ahead() {
    let pool = ThreadPool::new(4);
    let (taken, source) = counted(0..1_000);
    let results = pool.imap(|n| n, source).look_ahead(10).blocking();
    for (read, result) in results.enumerate() {
        assert_eq!(result.unwrap(), read);
        let ahead = taken.load(Ordering::SeqCst) - read - 1;
        assert!(ahead <= 10, "{ahead}");
    }
    assert_eq!(taken.load(Ordering::SeqCst), 1_000);
}

#[test]
fn a_reader_may_look_less_far_ahead_after_its_first_result() {
    let pool = ThreadPool::new(2);
    let (taken, source) = counted(0..ITEMS);
    let mut results = pool.imap(|n| n, source).look_ahead(100);
    assert_eq!(block_on(results.next()).unwrap().unwrap(), 0);
    let mut results = results.look_ahead(4).blocking();
    for read in 1..ITEMS {
        assert_eq!(results.next().unwrap().unwrap(), read);
        let ahead = taken.load(Ordering::SeqCst) - read - 1;
        assert!(ahead <= if read < 200 { 100 } else { 4 }, "{ahead}");
    }
    assert!(results.next().is_none());
}

#[test]
fn a_source_that_panics_costs_no_result_and_may_go_on() {
    let pool = ThreadPool::new(1);
    for look_ahead in [1, 2, 3, 100] {
        let source = (0..20).inspect(|n| assert!(n % 7 != 6, "no luck"));
        let mut results = pool.imap(|n| n, source).look_ahead(look_ahead).blocking();
        let (mut read, mut panics) = (Vec::new(), 0);
        loop {
            match catch_unwind(AssertUnwindSafe(|| results.next())) {
                Ok(Some(result)) => read.push(result.unwrap()),
                Ok(None) => break,
                Err(_) => panics += 1,
            }
        }
        assert_eq!(panics, 2);
        assert!(
            read.iter().copied().eq((0..20).filter(|n| n % 7 != 6)),
            "{read:?}"
        );
    }
}

#[test]
fn a_whole_map_panics_if_it_is_awaited_after_its_end() {
    let pool = ThreadPool::builder()
        .panic_policy(PanicPolicy::Resume)
        .build();
    for luck in [true, false] {
        let mut map = pool.map_async(move |n| assert!(luck || n != 1, "no luck"), 0..3);
        let first = catch_unwind(AssertUnwindSafe(|| block_on(&mut map).unwrap()));
        assert_eq!(first.is_ok(), luck);
        let again = catch_unwind(AssertUnwindSafe(|| block_on(&mut map)));
        let again = again.unwrap_err();
        let message = again.downcast_ref::<String>().map(String::as_str);
        let message = message.or_else(|| again.downcast_ref::<&str>().copied());
        assert!(message.unwrap().contains("awaited again"), "{message:?}");
        assert_eq!(map.cancel(), 0);
    }
}

#[test]
fn a_map_over_a_stream_gives_results_while_the_stream_waits() {
    let pool = ThreadPool::new(2);
    let (feed, items) = futures::channel::mpsc::unbounded();
    let mut results = pool.imap_stream(|n| n + 1, items);
    block_on(async {
        for n in 0..100 {
            feed.unbounded_send(n).unwrap();
            // The stream has no more, and does not end.
            assert_eq!(results.next().await.unwrap().unwrap(), n + 1);
        }
        drop(feed);
        assert!(results.next().await.is_none());
        let results = pool.imap_unordered_stream(|n| n, stream::iter(0..100));
        assert_eq!(results.count().await, 100);
    });
}

#[test]
fn an_item_that_panics_is_its_own_result_and_ends_a_whole_map() {
    let pool = ThreadPool::new(2);
    let f = |n: usize| {
        assert!(n % 100 != 7, "no luck with {n}");
        n
    };
    let mut failed = 0;
    for (n, result) in pool.blocking_imap(f, 0..1_000).enumerate() {
        match result {
            Ok(result) => assert_eq!(result, n),
            Err(error) => {
                assert_eq!(
                    error.to_string(),
                    format!("the task panicked: no luck with {n}")
                );
                failed += 1;
            }
        }
    }
    assert_eq!(failed, 10);
    let error = pool.blocking_map(f, 0..100_000).unwrap_err();
    assert_eq!(error.to_string(), "the task panicked: no luck with 7");
}

#[test]
fn an_items_panic_goes_on_in_the_reader_if_the_pool_is_built_so() {
    let pool = ThreadPool::builder()
        .panic_policy(PanicPolicy::Resume)
        .build();
    let f = |()| std::panic::panic_any(42_u8);
    let imap = pool.blocking_imap(f, [()]);
    let map = pool.map_async(f, [()]);
    for reader in [
        thread::spawn(move || imap.count()),
        thread::spawn(move || map.wait().map_or(0, |results| results.len())),
    ] {
        assert_eq!(reader.join().unwrap_err().downcast_ref(), Some(&42_u8));
    }
}

#[test]
fn a_stream_that_is_dropped_withdraws_its_items_and_leaves_the_pool_free() {
    let pool = ThreadPool::new(1);
    let ran = Arc::new(AtomicUsize::new(0));
    let (go, wait) = channel();
    let wait = Mutex::new(wait);
    let f = {
        let ran = Arc::clone(&ran);
        move |_| {
            ran.fetch_add(1, Ordering::SeqCst);
            wait.lock().unwrap().recv().unwrap();
        }
    };
    let mut results = pool.imap(f, 0..).claim(1).blocking();
    go.send(()).unwrap();
    results.next().unwrap().unwrap();
    while ran.load(Ordering::SeqCst) < 2 {
        thread::yield_now();
    }
    drop(results);
    go.send(()).unwrap();
    assert!(pool.join_timeout(Duration::MAX));
    assert_eq!(ran.load(Ordering::SeqCst), 2);
    // The thread drops the map's function as it goes on to its next job.
    while Arc::strong_count(&ran) > 1 {
        thread::yield_now();
    }
}

#[test]
fn a_kill_ends_maps_that_wait_for_a_thread() {
    let pool = ThreadPool::new(1);
    let (go, wait) = channel();
    let first = pool.apply_async(move || wait.recv().unwrap());
    while pool.stats().queued > 0 {
        thread::yield_now();
    }
    let whole = pool.map_async(|n: u32| n, 0..10);
    let mut stream = pool.imap(|n: u32| n, 0..);
    poll_until_asleep(&mut stream);
    assert_eq!(pool.kill(), 2);
    assert!(matches!(whole.wait(), Err(TaskError::Cancelled)));
    let mut stream = stream.blocking();
    assert!(matches!(stream.next(), Some(Err(TaskError::Cancelled))));
    assert!(stream.next().is_none());
    go.send(()).unwrap();
    first.wait().unwrap();
}

#[test]
fn a_kill_ends_maps_at_work_after_the_items_that_have_begun() {
    let pool = ThreadPool::new(1);
    let (tokens, f) = Tokens::new();
    let whole = pool.map_async(f.clone(), 0..ITEMS);
    tokens.begun.recv().unwrap();
    assert_eq!(pool.stats().queued, 0, "a ticket waits for a kill");
    // Its source has nothing to give, so that no thread is at it.
    let (_feed, source) = futures::channel::mpsc::unbounded();
    let mut idle = pool.imap_stream(f.clone(), source);
    poll_until_asleep(&mut idle);
    let task = pool.apply_async(|| ());
    let cancelled = (pool.apply_async(|| ()), pool.map_async(f.clone(), 0..3));
    assert!(cancelled.0.cancel());
    assert_eq!(cancelled.1.cancel(), 3);
    assert_eq!(pool.kill(), 3, "two maps and a task");
    assert_eq!(pool.kill(), 0);
    let error = block_on(idle.next()).unwrap().unwrap_err();
    assert!(matches!(error, TaskError::Cancelled));
    assert!(block_on(idle.next()).is_none());
    assert!(matches!(task.wait(), Err(TaskError::Cancelled)));
    tokens.give(1);
    assert!(matches!(whole.wait(), Err(TaskError::Cancelled)));

    let mut stream = pool.imap(f.clone(), 0..).claim(1).blocking();
    tokens.give(1);
    assert_eq!(stream.next().unwrap().unwrap(), 0);
    assert_eq!([(); 2].map(|()| tokens.begun.recv().unwrap()), [0, 1]);
    assert_eq!(pool.kill(), 1);
    tokens.give(1);
    assert_eq!(stream.next().unwrap().unwrap(), 1);
    let error = stream.next().unwrap().unwrap_err();
    assert!(matches!(error, TaskError::Cancelled));
    assert!(stream.next().is_none());
    assert!(pool.join_timeout(Duration::MAX));
    assert!(tokens.begun.try_recv().is_err(), "an item has begun since");
}

#[test]
fn threads_leave_a_map_when_there_may_be_fewer_and_join_it_when_there_may_be_more() {
    for wholly in [true, false] {
        let pool = ThreadPool::new(1);
        let (tokens, f) = Tokens::new();
        let whole = wholly.then(|| pool.map_async(f.clone(), 0..ITEMS));
        let mut stream = (!wholly).then(|| pool.imap(f.clone(), 0..ITEMS).claim(1));
        if let Some(stream) = &mut stream {
            poll_until_asleep(stream);
        }
        tokens.begun.recv().unwrap();
        assert_eq!(pool.size(), 1);
        // The one that runs an item comes to no claim meanwhile.
        pool.set_maxsize(4);
        for _ in 1..4 {
            tokens.begun.recv().unwrap();
        }
        assert_eq!(pool.size(), 4);
        pool.set_maxsize(2);
        let spent = tokens.spend_until(|| pool.size() == 2);
        assert!(spent < ITEMS / 3, "{spent}");
        tokens.give(ITEMS);
        let results = match (whole, stream) {
            (Some(whole), _) => whole.wait().unwrap(),
            (_, stream) => {
                let results = stream.into_iter().flat_map(hubpool::Imap::blocking);
                results.map(Result::unwrap).collect()
            }
        };
        assert!(results.into_iter().eq(0..ITEMS));
        assert_eq!(pool.size(), 2);
    }
}

#[test]
fn a_map_is_finished_when_its_last_item_has_ended_or_been_withdrawn() {
    let pool = ThreadPool::new(1);
    let (tokens, f) = Tokens::new();
    let map = pool.map_async(f.clone(), 0..2);
    tokens.give(1);
    assert_eq!([(); 2].map(|()| tokens.begun.recv().unwrap()), [0, 1]);
    let withdrawn = pool.map_async(f, 2..4);
    assert!(!map.is_finished() && !withdrawn.is_finished());
    assert_eq!(withdrawn.cancel(), 2);
    assert!(withdrawn.is_finished());
    tokens.give(1);
    while !map.is_finished() {
        thread::yield_now();
    }
    assert_eq!(map.wait().unwrap(), [0, 1]);
}

#[test]
fn a_map_whose_last_item_has_begun_is_not_cancelled() {
    let pool = ThreadPool::new(1);
    for kill in [true, false] {
        let (tokens, f) = Tokens::new();
        let map = pool.map_async(f, 0..1);
        tokens.begun.recv().unwrap();
        assert_eq!(if kill { pool.kill() } else { map.cancel() }, 0);
        tokens.give(1);
        assert_eq!(map.wait().unwrap(), [0]);
    }
}

#[test]
fn tasks_get_their_turn_beside_a_map() {
    let pool = ThreadPool::new(1);
    let done = Arc::new(AtomicUsize::new(0));
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let map = pool.map_async(
        {
            let done = Arc::clone(&done);
            move |n| {
                wait.lock().unwrap().recv().unwrap();
                done.fetch_add(1, Ordering::SeqCst);
                n
            }
        },
        0..100,
    );
    let task = pool.apply_async({
        let done = Arc::clone(&done);
        move || done.load(Ordering::SeqCst)
    });
    for _ in 0..100 {
        go.send(()).unwrap();
    }
    assert!(task.wait().unwrap() < 100);
    assert!(map.wait().unwrap().into_iter().eq(0..100));
}

#[test]
fn a_task_that_waits_for_a_slot_is_not_kept_out_by_two_maps() {
    let pool = ThreadPool::new(2);
    let (tokens, f) = Tokens::new();
    let maps = [(); 2].map(|()| pool.map_async(f.clone(), 0..ITEMS));
    tokens.spend_until(|| pool.size() == 2);
    let (apply, applied) = channel();
    let waiter = thread::spawn({
        let pool = pool.clone();
        move || apply.send(pool.blocking_apply(|| 42).unwrap()).unwrap()
    });
    let spent = tokens.spend_until(|| applied.try_recv() == Ok(42));
    assert!(spent < ITEMS, "it waited until the first map had ended");
    assert!(!pool.join_timeout(Duration::ZERO), "maps are waited for");
    waiter.join().unwrap();
    tokens.give(2 * ITEMS);
    for map in maps {
        assert!(map.wait().unwrap().into_iter().eq(0..ITEMS));
    }
    assert!(pool.join_timeout(Duration::MAX));
}

#[test]
fn a_map_goes_on_when_the_last_handle_of_its_pool_is_dropped() {
    let pool = ThreadPool::new(3);
    let (whole, stream) = (
        pool.map_async(|n| n, 0..ITEMS),
        pool.blocking_imap(|n| n, 0..ITEMS),
    );
    drop(pool);
    assert!(whole.wait().unwrap().into_iter().eq(0..ITEMS));
    assert!(stream.map(Result::unwrap).eq(0..ITEMS));
}

#[test]
fn an_iterator_may_use_the_pool_that_maps_it() {
    let pool = ThreadPool::new(1);
    let inner = pool.clone();
    let source = (0..100).map(move |n| inner.blocking_apply(move || n).unwrap());
    assert!(
        pool.blocking_imap(|n| n, source)
            .map(Result::unwrap)
            .eq(0..100)
    );
}

#[test]
fn a_map_that_is_killed_as_it_takes_an_item_ends_before_that() {
    let pool = ThreadPool::new(2);
    let gate = Arc::new(Gate::default());
    // One thread is busy, so that the map waits for it with what the other has not begun.
    let held = pool.apply_async({
        let gate = Arc::clone(&gate);
        move || gate.pass(19)
    });
    let source = (0..20).inspect({
        let (pool, gate) = (pool.clone(), Arc::clone(&gate));
        move |item| {
            if *item == 5 {
                pool.kill();
                gate.open(0..20);
            }
        }
    });
    let f = {
        let gate = Arc::clone(&gate);
        move |item| {
            gate.pass(item);
            item
        }
    };
    let mut results = pool.imap(f, source).look_ahead(4).claim(1).blocking();
    gate.open([0, 1]);
    for item in 0.. {
        match results.next().unwrap() {
            Ok(result) => assert_eq!(result, item, "one that was withdrawn is left out"),
            Err(error) => {
                assert!(matches!(error, TaskError::Cancelled));
                assert!(item < 5);
                break;
            }
        }
    }
    assert!(results.next().is_none());
    held.wait().unwrap();
}
