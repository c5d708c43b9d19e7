//! Takes one sample of one piece of work done by one contender, and prints it.
//!
//! `hubpool-bench ROW CONTENDER THREADS SECONDS` prints the value that the row is about, and the
//! seconds of CPU that a task took in all threads. `benches/rust.py` calls it in turns for all
//! contenders, and makes the report; `make bench-rust` does both.
//!
//! This is not criterion, which measures one function to the end before it begins the next: what
//! disturbs the machine meanwhile would disturb one contender only. A process for each sample also
//! gives each contender a fresh one, without the threads and the memory of the others; one of them
//! has one pool for the whole process, whose size is set in its environment.

mod contender;
mod contenders;
mod counting;
mod rows;

use rows::Sample;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [row, contender, threads, seconds] = &arguments[..] else {
        panic!("call it with ROW CONTENDER THREADS SECONDS")
    };
    let threads = threads.parse().expect("THREADS is not a number");
    let seconds = seconds.parse().expect("SECONDS is not a number");
    let Sample { value, cpu } = contenders::sampler(contender)(row, threads, seconds);
    println!("{value} {cpu}");
}
