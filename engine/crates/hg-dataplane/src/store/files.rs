//! Files and directories that only the owner may read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Makes an error that names the file.
pub fn write_error(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Makes a directory (0700) and its parents, if they do not exist.
///
/// # Errors
/// Errors of the kernel, with the path.
pub fn make_dir(path: &Path) -> io::Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| write_error(path, &error))
}

/// Makes a new file (0600) in place of whatever was there, open for reading and writing.
///
/// # Errors
/// Errors of the kernel, with the path.
pub fn create_new(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(write_error(path, &error));
        }
        _ => {}
    }
    let opened = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path);
    opened.map_err(|error| write_error(path, &error))
}

/// Writes a new file (0600); removes it again if it cannot be written whole.
///
/// # Errors
/// Errors of the kernel, with the path.
pub fn write_all_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = create_new(path)?;
    file.write_all(content).map_err(|error| {
        let _ = fs::remove_file(path);
        write_error(path, &error)
    })
}
