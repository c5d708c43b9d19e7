//! A web server that answers from `SQLite`: what blocks runs in a pool, each of whose threads has a
//! connection of its own.
//!
//! `GET /search/{word}` names the files that contain the word, from a full-text index of a directory
//! which is made at the start. A query blocks, so the handler applies it to the pool, and the one thread
//! of the runtime serves other requests meanwhile. A connection of `SQLite` belongs to one thread at a time:
//! the pool's hook for a new thread opens one and leaves it in a thread-local. A burst of requests waits
//! for slots in order of arrival, and a query whose client has gone is withdrawn.
//!
//! ```text
//! cargo run --release -p hubpool-examples --bin sqlite_server                    # asks itself
//! cargo run --release -p hubpool-examples --bin sqlite_server -- ~/src --port 8080
//! ```

use std::cell::RefCell;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Instant;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use clap::Parser;
use hubpool::ThreadPool;
use hubpool_examples::list_files;
use rusqlite::{Connection, OpenFlags};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Serve a full-text search of the files under a directory.
#[derive(Parser)]
struct Options {
    /// What to index; hidden files and directories called target are left out.
    #[arg(default_value = ".")]
    directory: PathBuf,
    /// Threads of the pool, and so connections to the database.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    threads: u16,
    /// Serve at this port until killed; without it the server asks itself some hundred times and ends.
    #[arg(long)]
    port: Option<u16>,
}

/// How many requests the server makes to itself.
const REQUESTS: usize = 400;

thread_local! {
    /// The connection of a thread of the pool.
    static CONNECTION: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("index.db");
    let files = make_index(&database, &options.directory)?;
    println!(
        "{files} files of {} are indexed.",
        options.directory.display()
    );

    let path = database.clone();
    let pool = ThreadPool::builder()
        .maxsize(options.threads.into())
        .name("sqlite")
        .on_thread_start(move || match open(&path) {
            Ok(connection) => CONNECTION.set(Some(connection)),
            Err(error) => eprintln!("{} cannot be opened: {error}", path.display()),
        })
        .build();
    let app = axum::Router::new()
        .route("/search/{word}", get(answer))
        .with_state(pool);
    let address = (Ipv4Addr::LOCALHOST, options.port.unwrap_or(0));
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    println!("Serving at http://{address}/search/thread");
    let server = tokio::spawn(async { axum::serve(listener, app).await });
    if options.port.is_some() {
        return Ok(server.await??);
    }
    ask_itself(address, &open(&database)?).await?;
    Ok(())
}

/// Answers a request: the paths, a line each.
async fn answer(
    State(pool): State<ThreadPool>,
    axum::extract::Path(word): axum::extract::Path<String>,
) -> Result<String, (StatusCode, String)> {
    let query = move || {
        CONNECTION.with_borrow(|connection| {
            let connection = connection.as_ref().ok_or("there is no connection")?;
            search(connection, &word).map_err(|error| error.to_string())
        })
    };
    // The server drops this future when its client has gone; then nobody wants the result.
    let outcome = pool.spawn(query).await.cancel_on_drop().await;
    let failed = |reason| (StatusCode::INTERNAL_SERVER_ERROR, reason);
    outcome
        .map_err(|error| failed(error.to_string()))?
        .map_err(failed)
}

/// Names the files that contain the word, sorted.
fn search(connection: &Connection, word: &str) -> rusqlite::Result<String> {
    let sql = "SELECT path FROM files WHERE files MATCH ? ORDER BY path";
    let mut statement = connection.prepare_cached(sql)?;
    // In quotes it is a word, whatever it contains, and no operator.
    let quoted = format!("content : \"{}\"", word.replace('"', "\"\""));
    let paths = statement.query_map([quoted], |row| row.get::<_, String>(0))?;
    paths.map(|path| Ok(path? + "\n")).collect()
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// Makes a full-text index of the text files under a directory; returns how many there are.
fn make_index(database: &Path, directory: &Path) -> Result<usize, Box<dyn std::error::Error>> {
    let mut connection = Connection::open(database)?;
    let transaction = connection.transaction()?;
    transaction.execute("CREATE VIRTUAL TABLE files USING fts5 (path, content)", [])?;
    let mut count = 0;
    for path in list_files(directory)? {
        // What is not text is nothing to search.
        if let Ok(content) = std::fs::read_to_string(&path) {
            let row = [path.to_string_lossy().into_owned(), content];
            count += transaction.execute("INSERT INTO files VALUES (?, ?)", row)?;
        }
    }
    transaction.commit()?;
    Ok(count)
}

/// Makes requests, all at once, and compares the answers with those of one connection.
async fn ask_itself(
    server: SocketAddr,
    connection: &Connection,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut expected = Vec::new();
    for word in ["thread", "queue", "the", "greenlet", "SELECT", "nowhere*"] {
        expected.push((word, search(connection, word)?));
    }
    let start = Instant::now();
    let requests: Vec<_> = (0..REQUESTS)
        .map(|n| tokio::spawn(request(server, expected[n % expected.len()].0)))
        .collect();
    for (n, request) in requests.into_iter().enumerate() {
        assert_eq!(request.await??, expected[n % expected.len()].1);
    }
    let each = start.elapsed() / u32::try_from(REQUESTS)?;
    println!("{REQUESTS} requests at once: {each:.0?} each, all answered as by one connection.");
    Ok(())
}

/// Asks for a word as any client of the web would, and returns what comes after the headers.
async fn request(server: SocketAddr, word: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(server).await?;
    let head =
        format!("GET /search/{word} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    match response.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200 ") => Ok(body.to_owned()),
        _ => Err(io::Error::other(response)),
    }
}
