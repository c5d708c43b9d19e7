//! Whether a worker's jobs compute, and its place if they do.
//!
//! A job that computes uses a core, or is ready to, for most of its time, be it in Python or without the interpreter. A job that waits
//! for a disk, a socket or a lock is not. The worker learns it from the clocks of its own thread, for tasks and for the items of maps
//! alike.

use std::time::{Duration, Instant};

use hubpool::binding::{ComputePlace, ComputePlaces};

use crate::attach::{process_time, ready_time, thread_time};

/// How long jobs must have run for the thread's clock to be worth a look, and for what the system says of the thread.
const WINDOW: Duration = Duration::from_micros(200);
const LONG_WINDOW: Duration = Duration::from_millis(4);

/// How long a worker keeps its place while others wait for one.
const TURN: Duration = Duration::from_millis(20);

/// What one worker knows of its jobs. Only its thread uses it.
pub struct Load {
    /// Since when it has run jobs.
    since: Instant,
    /// What the clock of its thread showed then, if the worker expects to need it.
    ran: Option<Duration>,
    /// True once the worker has run jobs for long enough for a look.
    long: bool,
    /// Whether its last jobs computed, as far as the worker can tell without a place.
    computes: bool,
    place: Option<Place>,
}

/// A worker's place.
struct Place {
    held: ComputePlace,
    since: Instant,
    /// For how long the thread had run or been ready to when the worker last looked, and for how long jobs have run since.
    ready: Option<Duration>,
    time: Duration,
}

impl Load {
    pub fn new() -> Self {
        Self {
            since: Instant::now(),
            ran: None,
            long: false,
            computes: false,
            place: None,
        }
    }

    /// Notes that the worker begins to run jobs after a wait. It does not look at its thread's clock if it has run jobs for a moment
    /// only before: such jobs hold nobody up.
    pub fn restart(&mut self, now: Instant) {
        if let Some(place) = &mut self.place {
            place.ready = None; // The thread has been ready since, and ran no job.
            place.time = Duration::ZERO;
        }
        self.since = now;
        self.computes &= self.long;
        self.ran = self.long.then(thread_time);
        self.long = false;
    }

    /// Learns from the jobs since the last call. Returns whether the worker must wait for a place before its next job.
    pub fn learn(&mut self, now: Instant, places: &ComputePlaces) -> bool {
        let time = now.saturating_duration_since(self.since);
        if time >= WINDOW {
            self.look(time, places);
        }
        if !self.computes || places.are_open(now) {
            self.give_back(places);
            return false;
        }
        if self.place.is_none()
            && let Some(place) = places.try_take()
        {
            self.place = Some(Place::new(place));
        }
        self.place.is_none() || self.turn_is_over(places)
    }

    /// Whether the worker has a place and must leave it to another one.
    fn turn_is_over(&self, places: &ComputePlaces) -> bool {
        let over = |place: &Place| places.are_awaited() && place.since.elapsed() >= TURN;
        self.place.as_ref().is_some_and(over)
    }

    /// Looks whether the jobs of this time computed. A thread that shares its core with others computes, too: an eighth is enough
    /// to have to take a place, where the system is asked for how long the thread is ready to run.
    fn look(&mut self, time: Duration, places: &ComputePlaces) {
        self.long = true;
        let now = thread_time();
        if let Some(before) = self.ran.replace(now) {
            self.computes = 8 * now.saturating_sub(before) >= time;
        }
        self.since += time;
        let Some(place) = &mut self.place else {
            return;
        };
        if !places.note_end(&place.held) {
            self.place = None;
            return;
        }
        let Some(before) = place.ready else {
            place.ready = Some(ready_time());
            return;
        };
        place.time += time;
        if place.time >= LONG_WINDOW {
            let ready = ready_time();
            let run = ready.saturating_sub(before);
            places.judge(run, place.time, self.since, process_time);
            place.ready = Some(ready);
            place.time = Duration::ZERO;
        }
    }

    /// Waits for a place, if the worker's jobs compute and it has none, or another one needs that. Without the interpreter.
    pub fn take(&mut self, places: &ComputePlaces) {
        if self.turn_is_over(places) {
            self.give_back(places);
        }
        if self.computes
            && self.place.is_none()
            && let Some(place) = places.take()
        {
            self.place = Some(Place::new(place));
        }
    }

    pub fn has_place(&self) -> bool {
        self.place.is_some()
    }

    /// Gives the place back, if there is one.
    pub fn give_back(&mut self, places: &ComputePlaces) {
        if let Some(place) = self.place.take() {
            places.give_back(place.held);
        }
    }
}

impl Place {
    fn new(place: ComputePlace) -> Self {
        Self {
            held: place,
            since: Instant::now(),
            ready: None,
            time: Duration::ZERO,
        }
    }
}
