//! Spans of tasks.
#![cfg(feature = "tracing")]

use std::cell::RefCell;
use std::sync::Mutex;

use hubpool::ThreadPool;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_core::span::Current;

/// Notes each span's name and parent, and knows which span each thread is in.
struct Notes;

type Note = (&'static Metadata<'static>, Option<u64>);

static SPANS: Mutex<Vec<Note>> = Mutex::new(Vec::new());

static LEVEL: Mutex<Level> = Mutex::new(Level::DEBUG);

thread_local! {
    static ENTERED: RefCell<Vec<Id>> = const { RefCell::new(Vec::new()) };
}

impl Subscriber for Notes {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // Higher levels are the ones that say more.
        metadata.is_span() && *metadata.level() <= *LEVEL.lock().unwrap()
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut spans = SPANS.lock().unwrap();
        spans.push((span.metadata(), span.parent().map(Id::into_u64)));
        Id::from_u64(spans.len() as u64)
    }

    fn enter(&self, span: &Id) {
        ENTERED.with_borrow_mut(|entered| entered.push(span.clone()));
    }

    fn exit(&self, _: &Id) {
        ENTERED.with_borrow_mut(Vec::pop);
    }

    fn current_span(&self) -> Current {
        let Some(id) = ENTERED.with_borrow(|entered| entered.last().cloned()) else {
            return Current::none();
        };
        let place = usize::try_from(id.into_u64()).unwrap() - 1;
        Current::new(id, SPANS.lock().unwrap()[place].0)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
}

#[test]
fn each_task_and_each_item_has_a_span_beneath_that_of_its_submitter() {
    tracing::subscriber::set_global_default(Notes).unwrap();
    let pool = ThreadPool::new(1);
    tracing::info_span!("outer").in_scope(|| {
        pool.blocking_apply(|| ()).unwrap();
        pool.blocking_map(|n| n, [1, 2]).unwrap();
    });
    pool.blocking_apply(|| ()).unwrap();
    let spans: Vec<_> = SPANS
        .lock()
        .unwrap()
        .iter()
        .map(|(span, parent)| (span.name(), *parent))
        .collect();
    let below = ("task", Some(1));
    assert_eq!(
        spans,
        [("outer", None), below, below, below, ("task", None)]
    );

    // Where no such spans are wanted, a task is in its submitter's.
    *LEVEL.lock().unwrap() = Level::INFO;
    tracing::callsite::rebuild_interest_cache();
    let here = || tracing::Span::current().metadata().map(Metadata::name);
    let there = tracing::info_span!("request").in_scope(|| pool.blocking_apply(here).unwrap());
    assert_eq!(there, Some("request"));
    assert_eq!(pool.blocking_apply(here).unwrap(), None);
}
