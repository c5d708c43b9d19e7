//! Hash a directory tree under tokio, while the runtime stays free for everything else.
//!
//! Reading and hashing block, so a pool does both, by an [`imap`](hubpool::ThreadPool::imap): its
//! results come in the order of the paths, as the digest of the whole wants them, and its look-ahead is the
//! back-pressure. However many files there are, no more than that are begun and not yet read by the
//! loop below. The runtime has one thread, and a task on it wants to run every millisecond. How late
//! it does is what any other task would have to wait:
//!
//! ```text
//! cargo run --release -p hubpool-examples --bin hash_tree -- ~/src --threads 4
//! ```
//!
//! At the end the same is done file by file in one thread: both digests must be the same.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use futures::StreamExt;
use hubpool::ThreadPool;
use hubpool_examples::list_files;
use sha2::{Digest, Sha256};

/// Hash all files under a directory through a pool of threads.
#[derive(Parser)]
struct Options {
    /// Where to begin; hidden files and directories called target are left out.
    #[arg(default_value = ".")]
    directory: PathBuf,
    /// Threads of the pool.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
    /// Files that may be begun and not yet accounted for.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    look_ahead: u16,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    let pool = ThreadPool::new(options.threads.into());
    // To list directories blocks as well.
    let paths = pool.apply(move || list_files(&options.directory)).await??;

    let idle = Ticker::start();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let idle = idle.p99().await?;

    let ticker = Ticker::start();
    let start = Instant::now();
    let mut files = pool
        .imap(hash_file, paths.clone())
        .look_ahead(options.look_ahead.into());
    let mut tree = Tree::default();
    while let Some(file) = files.next().await {
        tree.add(&file??);
    }
    let seconds = start.elapsed().as_secs_f64();
    let busy = ticker.p99().await?;

    println!("files    {}", tree.files);
    println!("bytes    {}", tree.bytes);
    #[expect(clippy::cast_precision_loss, reason = "it is a figure for people")]
    let speed = tree.bytes as f64 / 1e6 / seconds;
    println!("speed    {speed:.0} MB/s");
    println!("lateness {busy:.2?} (99th percentile; {idle:.2?} beside nothing)");
    let digest = tree.digest();
    println!("sha256   {digest}");

    assert_eq!(digest, pool.apply(move || hash_serially(&paths)).await??);
    println!("One thread by itself comes to the same digest.");
    Ok(())
}

/// What is known of one file.
struct Hashed {
    path: PathBuf,
    digest: [u8; 32],
    size: usize,
}

/// What is known of all files so far.
#[derive(Default)]
struct Tree {
    hasher: Sha256,
    files: usize,
    bytes: usize,
}

impl Tree {
    fn add(&mut self, file: &Hashed) {
        self.hasher.update(file.path.as_os_str().as_encoded_bytes());
        self.hasher.update(file.digest);
        self.files += 1;
        self.bytes += file.size;
    }

    fn digest(self) -> String {
        let halves = self
            .hasher
            .finalize()
            .into_iter()
            .flat_map(|byte| [byte >> 4, byte & 15]);
        halves
            .filter_map(|half| char::from_digit(half.into(), 16))
            .collect()
    }
}

/// Reads a file piece by piece, so that a large one does not fill the memory.
fn hash_file(path: PathBuf) -> io::Result<Hashed> {
    let (mut hasher, mut size) = (Sha256::new(), 0);
    let mut file = File::open(&path)?;
    let mut piece = vec![0; 64 * 1024];
    while let count @ 1.. = file.read(&mut piece)? {
        hasher.update(&piece[..count]);
        size += count;
    }
    let digest = hasher.finalize().into();
    Ok(Hashed { path, digest, size })
}

/// What has to come out, by the same thread for every file.
fn hash_serially(paths: &[PathBuf]) -> io::Result<String> {
    let mut tree = Tree::default();
    for path in paths {
        tree.add(&hash_file(path.clone())?);
    }
    Ok(tree.digest())
}

/// A task of the runtime that wants to run every millisecond, and notes how late it did.
struct Ticker {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Vec<Duration>>,
}

impl Ticker {
    fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let mut lateness = Vec::new();
            loop {
                let due = Instant::now() + Duration::from_millis(1);
                tokio::time::sleep_until(due.into()).await;
                lateness.push(due.elapsed());
                if stopped.load(Ordering::Relaxed) {
                    break lateness;
                }
            }
        });
        Self { stop, task }
    }

    /// Ends the ticker: 99 of 100 times it was no later than this.
    async fn p99(self) -> Result<Duration, tokio::task::JoinError> {
        self.stop.store(true, Ordering::Relaxed);
        let mut lateness = self.task.await?;
        lateness.sort();
        Ok(lateness[lateness.len() * 99 / 100])
    }
}
