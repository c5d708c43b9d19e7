"""Runs the models of the engine, then breaks it on purpose and checks that they notice.

Each change stands for a mistake that a reader of the code might make. It is made in a copy of
the workspace, and the model of that name must fail there: else it shows nothing. A change whose
text is no longer found is an error, so that this list follows the engine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
COPY = ROOT / "target" / "models"


@dataclass
class Mistake:
    """A change that a model of ``tests/models.rs`` or ``src/models.rs`` must notice."""

    model: str
    file: str
    right: str
    wrong: str


MISTAKES = {
    "the length is not published when a job is withdrawn": Mistake(
        "queue",
        "pool.rs",
        """
        self.publish(&state);
        self.settle_shrink(&mut state);
        Some(job)
""",
        """
        self.settle_shrink(&mut state);
        Some(job)
""",
    ),
    "the length is not published by a worker that takes one more job": Mistake(
        "queue",
        "pool.rs",
        """
        self.front.fill(&mut state.queue);
        self.publish(state);
""",
        """
        self.front.fill(&mut state.queue);
""",
    ),
    "the length is published before the jobs are in front": Mistake(
        "jobs_that_are_moved_are_counted",
        "pool.rs",
        """
        self.front.fill(&mut state.queue);
        self.publish(state);
""",
        """
        self.behind.store(0, Ordering::Release);
        self.front.fill(&mut state.queue);
        self.publish(state);
""",
    ),
    "the front is counted before what is behind it": Mistake(
        "jobs_that_are_moved_are_counted",
        "pool.rs",
        "self.behind.load(Ordering::Acquire) + self.front.len()",
        "self.front.len() + self.behind.load(Ordering::Acquire)",
    ),
    "a worker counts on a job in front that another one has taken": Mistake(
        "front",
        "pool.rs",
        "            if waiting > 0 {\n                continue;",
        "            if waiting > usize::MAX - 1 {\n                continue;",
    ),
    "a job in front is not taken by whoever comes": Mistake(
        "front",
        "pool.rs",
        "let job = match self.front.take() {",
        "let job = match None {",
    ),
    "a worker forgets its wake-up as it goes to sleep": Mistake(
        "sleep_and_wake",
        "pool.rs",
        """
            worker.prepare();
            state.parked.push(worker.clone());
            drop(state);
""",
        """
            state.parked.push(worker.clone());
            drop(state);
            worker.prepare();
""",
    ),
    "a worker lets go of the lock between its look at the queue and the list": Mistake(
        "sleep_and_wake",
        "pool.rs",
        """
            worker.prepare();
            state.parked.push(worker.clone());
""",
        """
            worker.prepare();
            drop(state);
            state = self.state.lock();
            state.parked.push(worker.clone());
""",
    ),
    "who submits relies on a searching worker that does not look again": Mistake(
        "sleep_and_wake",
        "pool.rs",
        """
                state.call(worker);
                continue;
""",
        """
                state.call(worker);
""",
    ),
    "a searching worker does not pass the call on": Mistake(
        "a_searching_worker_passes_the_call_on",
        "pool.rs",
        "(waiting > 0).then(|| self.sleeper(|| waiting)).flatten()",
        "None::<Worker>",
    ),
    "a worker does not pass on a call that it cannot leave": Mistake(
        "a_call_for_what_was_there_before",
        "pool.rs",
        "if self.queued() == 0 || !left() {",
        "if !left() && self.queued() == 0 {",
    ),
    "who leaves a call counts on the worker that is on its way no more": Mistake(
        "a_call_for_what_was_there_before",
        "pool.rs",
        """
            let mut state = self.state.lock();
            state.called = false;
            state.sleeper_for_queue(self.queued())
""",
        """
            let mut state = self.state.lock();
            state.sleeper_for_queue(self.queued())
""",
    ),
    "a job is submitted without a call that cannot be left": Mistake(
        "a_call_that_is_left_to_the_hub",
        "pool.rs",
        "if due && !left() {",
        "if due && !left() && self.queued() > 1 {",
    ),
    "a call is left to a hub that has just stopped looking out": Mistake(
        "a_call_that_is_left_to_the_hub",
        "outbox.rs",
        """
        let looking = self.looking();
        if looking {
""",
        """
        let looking = true;
        if looking {
""",
    ),
    "a hub still looks out after it has taken what was left to it": Mistake(
        "a_call_that_is_left_to_the_hub",
        "outbox.rs",
        """
            self.looking.store(false, Ordering::Release);
            (self.take(&mut inner), std::mem::take(&mut inner.errands))
        };
""",
        """
            (self.take(&mut inner), std::mem::take(&mut inner.errands))
        };
        self.looking.store(false, Ordering::Release);
""",
    ),
    "a worker that finds nothing stays on its way": Mistake(
        "a_worker_that_is_called_in_vain",
        "pool.rs",
        "            state.answer(worker);\n            state.pace.rest(worker);",
        "            state.pace.rest(worker);",
    ),
    "a worker stays on its way though it runs a job": Mistake(
        "sleep_and_wake",
        "pool.rs",
        "            worker.set_called(false);\n            self.called = false;",
        "            worker.set_called(false);",
    ),
    "a worker that watches does not look at the queue in the end": Mistake(
        "a_worker_that_watches_takes_what_nobody_else_does",
        "pool.rs",
        "let goes_on = stranded || (relied_on && !attended);",
        "let goes_on = stranded && !relied_on;",
    ),
    "a job is left to a worker that watches no more": Mistake(
        "a_worker_that_watches_takes_what_nobody_else_does",
        "pool.rs",
        "let Some(watcher) = &mut self.watcher else {\n            return true;",
        "let Some(watcher) = &mut self.watcher else {\n            return !self.pace.spares(1);",
    ),
    "a worker that watches and is too many sleeps on": Mistake(
        "resize",
        "pool/size.rs",
        "            self.end_watch();\n            std::mem::take",
        "            std::mem::take",
    ),
    "a worker expires without another look at the queue": Mistake(
        "idle_expiry_beside_a_searching_worker",
        "pool.rs",
        "if !woken && self.queued() == 0 && !self.must_exit(&state, worker, 0) {",
        "if !woken && !self.must_exit(&state, worker, 0) {",
    ),
    "whether there is a worker is asked after the lock": Mistake(
        "idle_expiry",
        "pool.rs",
        """
            let sleeper = self.enqueue(&mut state, job);
            (sleeper, ask(&mut state))
        };
""",
        """
            state.queue.push_back(job);
            self.publish(&state);
            let answer = ask(&mut state);
            drop(state);
            (self.state.lock().sleeper(|| 1), self.state.lock().workers > 0 || answer)
        };
""",
    ),
    "the new size is set after the workers are woken": Mistake(
        "resize",
        "pool/size.rs",
        """
            self.maxsize.store(maxsize, Ordering::Release);
            self.note_crowd(&state);
            state.sleepers_beyond(maxsize)
        };
        sleepers.iter().for_each(Worker::wake);
""",
        """
            self.note_crowd(&state);
            state.sleepers_beyond(maxsize)
        };
        sleepers.iter().for_each(Worker::wake);
        self.maxsize.store(maxsize, Ordering::Release);
""",
    ),
    "only one of the workers that are too many is woken": Mistake(
        "resize",
        "pool/size.rs",
        """
            self.end_watch();
            std::mem::take(&mut self.parked)
""",
        """
            self.end_watch();
            self.parked.pop().into_iter().collect()
""",
    ),
    "the last worker leaves a job behind": Mistake(
        "resize",
        "pool/size.rs",
        "let over = self.workers > maxsize && (idle || self.workers > maxsize.max(1));",
        "let over = self.workers > maxsize;",
    ),
    "a worker is told to retire after it is woken": Mistake(
        "retire",
        "pool/size.rs",
        """
            let mut state = self.state.lock();
            self.retire_to.store(size, Ordering::Release);
            let asleep = state.asleep();
            let kept = asleep.saturating_add(size).saturating_sub(state.workers);
            if kept >= asleep {
                Vec::new()
            } else {
                state.end_watch();
                state.parked.split_off(kept)
            }
        };
        sleepers.iter().for_each(Worker::wake);
""",
        """
            let mut state = self.state.lock();
            std::mem::take(&mut state.parked)
        };
        sleepers.iter().for_each(Worker::wake);
        self.retire_to.store(size, Ordering::Release);
""",
    ),
    "a worker is registered after another look": Mistake(
        "recruit",
        "pool/size.rs",
        """
        if wanted {
            state.workers += 1;
""",
        """
        if wanted {
            drop(state);
            state = self.state.lock();
            state.workers += 1;
""",
    ),
    "a pool is closed after its workers are woken": Mistake(
        "shutdown",
        "pool.rs",
        """
            state.closed = true;
            state.sleepers_beyond(0)
        };
        sleepers.iter().for_each(Worker::wake);
""",
        """
            state.sleepers_beyond(0)
        };
        sleepers.iter().for_each(Worker::wake);
        self.state.lock().closed = true;
""",
    ),
    "a pool that closes is asked before the lock": Mistake(
        "shutdown",
        "pool.rs",
        """
            let mut state = self.state.lock();
            if state.closed {
                return Err(Closed(job));
            }
            let sleeper = self.enqueue(&mut state, job);
""",
        """
            if self.state.lock().closed {
                return Err(Closed(job));
            }
            let mut state = self.state.lock();
            let sleeper = self.enqueue(&mut state, job);
""",
    ),
    "a wake-up is answered after the messages are taken": Mistake(
        "coalesced_wake",
        "outbox.rs",
        """
        inner.rung = false;
        self.take(&mut inner)
""",
        """
        let messages = self.take(&mut inner);
        drop(inner);
        self.inner.lock().rung = false;
        messages
""",
    ),
    "each message wakes the hub": Mistake(
        "coalesced_wake",
        "outbox.rs",
        "!self.looking() && !std::mem::replace(&mut inner.rung, true)",
        "!self.looking()",
    ),
    "the hub stops looking out after it has taken the messages": Mistake(
        "look_out",
        "outbox.rs",
        """
        let (messages, errands) = {
            let mut inner = self.inner.lock();
            self.looking.store(false, Ordering::Release);
            (self.take(&mut inner), std::mem::take(&mut inner.errands))
        };
""",
        """
        let messages = self.take(&mut self.inner.lock());
        let errands = {
            let mut inner = self.inner.lock();
            self.looking.store(false, Ordering::Release);
            std::mem::take(&mut inner.errands)
        };
""",
    ),
    "two that wait at a turnstile are let in": Mistake(
        "turnstile",
        "turnstile.rs",
        "while state.taken {",
        "if state.taken {",
    ),
    "who leaves a turnstile tells nobody": Mistake(
        "turnstile",
        "turnstile.rs",
        "            self.0.free.notify_one();\n",
        "",
    ),
    "who waits at a turnstile does not say so": Mistake(
        "turnstile",
        "turnstile.rs",
        """
            state.waiting += 1;
            state = self.free.wait(state);
            state.waiting -= 1;
""",
        """
            state = self.free.wait(state);
""",
    ),
    "a worker for which no other has waited takes a place that is not there": Mistake(
        "compute_places",
        "compute.rs",
        "        if state.taken.len() < self.cores && !self.are_awaited() {\n            place",
        "        if !self.are_awaited() {\n            place",
    ),
    "a place that comes back is told to nobody": Mistake(
        "compute_places",
        "compute.rs",
        """
        state.ended += 1;
        self.tell_next(&state);
""",
        """
        state.ended += 1;
""",
    ),
    "a worker says that it waits for a place after its look": Mistake(
        "compute_places",
        "compute.rs",
        """
        } else {
            self.waiting.fetch_add(1, Ordering::Relaxed);
""",
        """
        } else {
            drop(state);
            self.waiting.fetch_add(1, Ordering::Relaxed);
            state = self.state.lock();
""",
    ),
    "only one worker is told that the places are open": Mistake(
        "compute_places_that_open",
        "compute.rs",
        "        self.turn.notify_all();",
        "        self.turn.notify_one();",
    ),
    "a worker does not look whether the places are open before it waits": Mistake(
        "compute_places_that_open",
        "compute.rs",
        """
            while place.is_none() && !state.is_open(Instant::now()) {
""",
        """
            let mut waited = false;
            while place.is_none() && !(waited && state.is_open(Instant::now())) {
                waited = true;
""",
    ),
    "a reader says that it waits after its look": Mistake(
        "batch",
        "batch.rs",
        """
            state.reader = Some(false);
            Taken::Pending
        };
""",
        """
            drop(state);
            state = self.state.lock();
            state.reader = Some(false);
            Taken::Pending
        };
""",
    ),
    "who finds nothing left leaves what stands in other hands": Mistake(
        "steal",
        "batch/several.rs",
        "return state.hands.iter().find_map(|other| other.steal(hand));",
        "return None;",
    ),
    "a hand does not know that its end was stolen": Mistake(
        "steal",
        "batch/several.rs",
        "held.end = first;",
        "",
    ),
    "who has claimed several is not known to others": Mistake(
        "steal",
        "batch/several.rs",
        "state.hands.push(Hand(Arc::clone(&hand.0)));",
        "",
    ),
    "who waits for a slot does not look again after it has said so": Mistake(
        "models::slots_are_passed_on",
        "slots.rs",
        "let wakers = self.slots.settle(&mut line, is_first);\n        let place",
        "let wakers = Wakers(Vec::new());\n        let place",
    ),
    "a slot that nobody has seen is not given on": Mistake(
        "models::who_stops_waiting_loses_no_slot",
        "slots.rs",
        "if gone.is_none() && self.what == For::Slot {",
        "if false {",
    ),
    "who waits for the end is not woken": Mistake(
        "models::the_end_is_seen",
        "slots.rs",
        "if self.outstanding() == 0 {",
        "if false {",
    ),
    "who waits for the end is not woken by the last ticket": Mistake(
        "models::the_end_is_seen",
        "slots.rs",
        "if word != AWAITED {",
        "if word != 0 {",
    ),
    "a task's slot comes back after its result": Mistake(
        "models::who_awaits_a_task_is_woken",
        "task.rs",
        """
        let wakers = crew.slots.give_back();
        let before = mem::replace(&mut *stage, outcome);
        drop(stage);
""",
        """
        let before = mem::replace(&mut *stage, outcome);
        drop(stage);
        let wakers = crew.slots.give_back();
""",
    ),
    "a task's slot comes back before its result": Mistake(
        "models::after_the_end_all_results_are_there",
        "task.rs",
        """
        let mut stage = self.stage.lock();
        if matches!(*stage, Stage::RunningForNobody) {
            drop(stage);
            shielded(|| drop(outcome));
            crew.slots.give_back().wake();
            return;
        }
        // Under the lock, so that who sees the result sees the slot free, and who
        // sees all tasks ended finds their results.
        let wakers = crew.slots.give_back();
""",
        """
        let wakers = crew.slots.give_back();
        let mut stage = self.stage.lock();
""",
    ),
    "a result that nobody takes is dropped after its slot has come back": Mistake(
        "models::after_the_end_no_result_is_left_that_nobody_takes",
        "task.rs",
        """
            shielded(|| drop(outcome));
            crew.slots.give_back().wake();
""",
        """
            crew.slots.give_back().wake();
            shielded(|| drop(outcome));
""",
    ),
    "the limit is asked for before the lock": Mistake(
        "models::the_last_limit_is_that_of_the_last_maxsize",
        "slots.rs",
        """
            let mut line = self.line.lock();
            let (limit, workers) = limits();
""",
        """
            let (limit, workers) = limits();
            let mut line = self.line.lock();
""",
    ),
    "a task whose result nobody takes is not told so": Mistake(
        "models::after_the_end_no_result_is_left_that_nobody_takes",
        "task.rs",
        "            cell.forget();\n",
        "            drop(Arc::clone(cell));\n",
    ),
    "a task that has begun loses who awaits it": Mistake(
        "models::who_awaits_a_task_is_woken",
        "task.rs",
        "*stage = Stage::Running(waker);",
        "drop(waker);\n                *stage = Stage::Running(None);",
    ),
    "a task is withdrawn whatever it is at": Mistake(
        "models::a_task_is_run_or_withdrawn",
        "task.rs",
        "if !matches!(*stage, Stage::Queued(..)) {",
        "if matches!(*stage, Stage::Taken) {",
    ),
}


def cargo_test(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Test the models of the copy."""
    return subprocess.run(
        ["cargo", "test", "-q", "-p", "hubpool", "--lib", "--test", "models", *arguments],
        cwd=COPY,
        env={
            **os.environ,
            "RUSTFLAGS": "--cfg loom",
            "CARGO_PROFILE_DEV_OPT_LEVEL": "1",
            # Outside of the copy, so that what does not change is built once.
            "CARGO_TARGET_DIR": str(ROOT / "target" / "loom"),
        },
        capture_output=True,
        text=True,
        check=False,
    )


def notice(mistake: Mistake) -> str | None:
    """Make the mistake in the copy; return what is wrong if its model does not notice."""
    path = COPY / "crates" / "hubpool" / "src" / mistake.file
    text = path.read_text(encoding="utf-8")
    if text.count(mistake.right) != 1:
        return f"the text to change is not in {mistake.file}, or not once"
    path.write_text(text.replace(mistake.right, mistake.wrong), encoding="utf-8")
    try:
        built = cargo_test("--no-run")
        if built.returncode:
            return built.stderr
        if cargo_test("--", "--exact", mistake.model).returncode == 0:
            return f"the model {mistake.model} does not notice"
    finally:
        path.write_text(text, encoding="utf-8")
    return None


def main() -> int:
    """Run the models, then make each mistake; return 1 if anything is not as it should be."""
    shutil.rmtree(COPY, ignore_errors=True)
    COPY.mkdir(parents=True)
    # With new times: what was built of the last mistake must not pass for what is right.
    for name in ("Cargo.toml", "Cargo.lock"):
        shutil.copyfile(ROOT / name, COPY / name)
    shutil.copytree(ROOT / "crates", COPY / "crates", copy_function=shutil.copyfile)
    right = cargo_test()
    print(right.stdout)
    if right.returncode:
        print(right.stderr)
        return 1
    blind = {what: wrong for what, mistake in MISTAKES.items() if (wrong := notice(mistake))}
    for what, wrong in blind.items():
        print(f"{what}: {wrong}")
    print(f"{len(MISTAKES) - len(blind)} of {len(MISTAKES)} mistakes are noticed by their models")
    return bool(blind)


if __name__ == "__main__":
    sys.exit(main())
