//! What the examples share, and what says nothing of the pool: the files that they work on.

use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

/// The regular files under a directory, in order; symbolic links are not followed, and
/// hidden ones and what was built are left out.
///
/// # Errors
///
/// If a directory can not be read.
pub fn list_files(root: &Path) -> walkdir::Result<Vec<PathBuf>> {
    let wanted = |entry: &DirEntry| {
        let name = entry.file_name();
        entry.depth() == 0 || !(name.as_encoded_bytes().starts_with(b".") || name == "target")
    };
    let mut files = Vec::new();
    let entries = WalkDir::new(root).sort_by_file_name().into_iter();
    for entry in entries.filter_entry(wanted) {
        let entry = entry?;
        if entry.file_type().is_file() {
            files.push(entry.into_path());
        }
    }
    Ok(files)
}
