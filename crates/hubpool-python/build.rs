//! Refuses what the binding does not support, and stamps the module with a checksum of its sources.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

const SUPPORTED: &str = "hubpool supports CPython 3.10 to 3.15 with the GIL, on Linux; on macOS it compiles and is untested";

fn main() -> io::Result<()> {
    refuse_the_unsupported();
    stamp()
}

/// One line, in place of the compiler's many, says what is supported.
fn refuse_the_unsupported() {
    let target = env::var("TARGET").unwrap_or_default();
    // Cargo sets it to the target's families, with commas between them.
    if !env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|all| all.split(',').any(|one| one == "unix"))
    {
        println!("cargo::error={SUPPORTED}. This build is for {target}.");
    }
    if pyo3_build_config::get().is_free_threaded() {
        println!("cargo::error={SUPPORTED}. This build is for a free-threaded interpreter.");
    }
}

/// `conftest.py` computes the same checksum, so that no test runs an older build.
fn stamp() -> io::Result<()> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut sources = Vec::new();
    for entry in fs::read_dir(&crates)? {
        let entry = entry?;
        // The binding and the crates that it is made of; what tests and measures them is beside.
        if entry.file_name().to_string_lossy().starts_with("hubpool") {
            let source = entry.path().join("src");
            println!("cargo::rerun-if-changed={}", source.display());
            find_sources(&source, &mut sources)?;
        }
    }
    println!("cargo::rerun-if-changed=build.rs");
    let mut named = sources
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&crates).expect("it was found there");
            (name.to_string_lossy().replace('\\', "/"), path.clone())
        })
        .collect::<Vec<_>>();
    named.sort();
    let mut crc = Crc32(u32::MAX);
    for (name, path) in named {
        crc.add(name.as_bytes());
        crc.add(&fs::read(path)?);
    }
    println!("cargo::rustc-env=HUBPOOL_SOURCES={:08x}", !crc.0);
    Ok(())
}

fn find_sources(directory: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            find_sources(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

/// The checksum of zlib's `crc32`.
struct Crc32(u32);

impl Crc32 {
    fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 ^= u32::from(byte);
            for _ in 0..8 {
                self.0 = (self.0 >> 1) ^ (0xEDB8_8320 * (self.0 & 1));
            }
        }
    }
}
