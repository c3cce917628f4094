//! Where the built library is, for tests.

use std::io;
use std::path::{Path, PathBuf};

/// The name that the vendor's library has.
pub const NAME: &str = "libdvrnetsdk.so";
const BUILT: &str = "libtvt_fakesdk.so";

/// The library that was built with the running test.
///
/// # Errors
///
/// There is none.
pub fn library() -> io::Result<PathBuf> {
    let test = std::env::current_exe()?;
    let found = test.ancestors().take(4).find_map(|folder| {
        [folder.join(BUILT), folder.join("deps").join(BUILT)]
            .into_iter()
            .find(|path| path.exists())
    });
    found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, BUILT))
}

/// Puts the library into a folder under the vendor's name, with faults: lines of `NAME=VALUE`.
///
/// # Errors
///
/// The system's.
pub fn install(folder: &Path, faults: &str) -> io::Result<PathBuf> {
    let path = folder.join(NAME);
    std::fs::copy(library()?, &path)?;
    std::fs::write(format!("{}.faults", path.display()), faults)?;
    Ok(path)
}
