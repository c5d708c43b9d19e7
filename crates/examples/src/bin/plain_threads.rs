//! Compress the files of a directory in memory, with no runtime and no `async`: only threads.
//!
//! Two plain threads share one pool. Each hands in half of the files, one task a file, and
//! [`blocking_spawn`](hubpool::ThreadPool::blocking_spawn) holds it back while the pool has enough to do:
//! so they read no further ahead than the pool can compress. The main thread joins the pool, and then
//! maps over what has come out: each file is restored and compared with what it was.
//!
//! ```text
//! cargo run --release -p hubpool-examples --bin plain_threads -- ~/src --threads 4
//! ```

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use hubpool::{Task, ThreadPool};
use hubpool_examples::list_files;

/// Compress all files under a directory, and see that they can be restored.
#[derive(Parser)]
struct Options {
    /// Where to begin; hidden files and directories called target are left out.
    #[arg(default_value = ".")]
    directory: PathBuf,
    /// Threads of the pool.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    let pool = ThreadPool::builder()
        .maxsize(options.threads.into())
        .name("zlib")
        .build();
    let paths = list_files(&options.directory)?;

    let start = Instant::now();
    let (one, other) = paths.split_at(paths.len() / 2);
    let tasks: Vec<_> = thread::scope(|scope| {
        let producers = [one, other].map(|half| {
            let pool = &pool;
            scope.spawn(move || hand_in(pool, half))
        });
        let producers = producers.map(|each| each.join().expect("a producer does not panic"));
        producers.into_iter().collect::<io::Result<Vec<_>>>()
    })?
    .into_iter()
    .flatten()
    .collect();
    assert!(pool.join_timeout(Duration::from_secs(600)), "it hangs");
    assert!(tasks.iter().all(Task::is_finished));
    let seconds = start.elapsed().as_secs_f64();

    let mut packed = Vec::new();
    for task in tasks {
        packed.push(task.wait()??);
    }
    let before: usize = packed.iter().map(|file| file.size).sum();
    let after: usize = packed.iter().map(|file| file.zlib.len()).sum();
    println!("files    {}", packed.len());
    #[expect(clippy::cast_precision_loss, reason = "these are figures for people")]
    {
        println!("bytes    {before} -> {after}");
        println!(
            "share    {:.1}%",
            100.0 * after as f64 / before.max(1) as f64
        );
        println!("speed    {:.0} MB/s", before as f64 / 1e6 / seconds);
    }

    // The files were handed in by two threads, and are in the order of their paths all the same.
    assert!(packed.iter().map(|file| &file.path).eq(&paths));
    let restored = pool.blocking_map(|file: Packed| file.restores(), packed)?;
    let mut count = 0;
    for equal in restored {
        assert!(equal?, "a file has changed, or was not restored");
        count += 1;
    }
    println!("All {count} files can be restored.");
    Ok(())
}

/// Reads files, and has them compressed.
fn hand_in(pool: &ThreadPool, paths: &[PathBuf]) -> io::Result<Vec<Task<io::Result<Packed>>>> {
    let mut tasks = Vec::new();
    for path in paths {
        let (path, content) = (path.clone(), std::fs::read(path)?);
        tasks.push(pool.blocking_spawn(move || Packed::new(path, &content)));
    }
    Ok(tasks)
}

/// A file, compressed.
struct Packed {
    path: PathBuf,
    size: usize,
    zlib: Vec<u8>,
}

impl Packed {
    fn new(path: PathBuf, content: &[u8]) -> io::Result<Self> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content)?;
        Ok(Self {
            path,
            size: content.len(),
            zlib: encoder.finish()?,
        })
    }

    /// Whether what it holds is what the file holds.
    fn restores(&self) -> io::Result<bool> {
        let mut content = Vec::with_capacity(self.size);
        ZlibDecoder::new(&self.zlib[..]).read_to_end(&mut content)?;
        Ok(content == std::fs::read(&self.path)?)
    }
}
