//! Key material on disk, one file per sha256, readable by the owner only.
//!
//! Keeps nothing in memory: compiling a plan reads a blob and verifies its hash.

use super::files::{write_all_new, write_error};
use hg_plan::Digest;
use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A directory of blobs.
#[derive(Debug)]
pub struct BlobDir {
    dir: PathBuf,
    unsynced: Vec<PathBuf>,
}

impl BlobDir {
    /// Opens this directory; makes it (0700) if it does not exist.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn open(dir: PathBuf) -> io::Result<Self> {
        super::files::make_dir(&dir)?;
        Ok(Self { dir, unsynced: Vec::new() })
    }

    /// Returns the path of a blob; `None` unless `sha256` is 64 hex digits, so that no name leaves
    /// the directory.
    fn path(&self, sha256: &str) -> Option<PathBuf> {
        Digest::parse(sha256).map(|digest| self.dir.join(digest.hex()))
    }

    /// Reports whether there is a blob of that name.
    pub fn has(&self, sha256: &str) -> bool {
        self.path(sha256).is_some_and(|path| path.is_file())
    }

    /// Returns a blob whose content has that hash; `None` if it is missing or damaged.
    pub fn read(&self, sha256: &str) -> Option<Arc<[u8]>> {
        let content = fs::read(self.path(sha256)?).ok()?;
        (Digest::of(&content) == Digest::parse(sha256)?).then(|| content.into())
    }

    /// Writes a blob whose hash was verified. It is in the page cache when this returns, and on the
    /// disk after [`sync`](Self::sync).
    ///
    /// # Errors
    /// Errors of the kernel, with the path: `No space left on device`.
    pub fn write(&mut self, sha256: &str, content: &[u8]) -> io::Result<()> {
        let Some(path) = self.path(sha256) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a sha256 in hex"));
        };
        if self.read(sha256).is_some() {
            return Ok(());
        }
        let temporary = path.with_extension("new");
        write_all_new(&temporary, content)?;
        fs::rename(&temporary, &path).map_err(|error| write_error(&path, &error))?;
        self.unsynced.push(path);
        Ok(())
    }

    /// Waits until everything written is on the disk.
    ///
    /// # Errors
    /// Errors of the kernel; the next call tries again what could not be synced.
    pub fn sync(&mut self) -> io::Result<()> {
        if self.unsynced.is_empty() {
            return Ok(());
        }
        for path in &self.unsynced {
            match fs::File::open(path) {
                Ok(file) => file.sync_data()?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        fs::File::open(&self.dir)?.sync_all()?;
        self.unsynced.clear();
        Ok(())
    }

    /// Removes every file that is not one of `keep` (hex); a file that cannot be removed stays.
    pub fn retain(&self, keep: &HashSet<Digest>) {
        let Ok(entries) = fs::read_dir(&self.dir) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let wanted = name.to_str().and_then(Digest::parse).is_some_and(|d| keep.contains(&d));
            if !wanted {
                remove_quietly(&entry.path());
            }
        }
    }

    /// Removes one blob.
    pub fn remove(&self, digest: &Digest) {
        remove_quietly(&self.dir.join(digest.hex()));
    }
}

/// Removes a file. One that stays behind costs only space, and the next start tries again.
fn remove_quietly(path: &Path) {
    let _ = fs::remove_file(path);
}

#[cfg(test)]
mod tests {
    use super::super::tests::TempDir;
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_blob_is_read_back_and_only_the_owner_may() {
        let temp = TempDir::new();
        let mut blobs = BlobDir::open(temp.path().join("blobs")).unwrap();
        let name = Digest::of(b"key").hex();
        assert!(blobs.read(&name).is_none());
        blobs.write(&name, b"key").unwrap();
        blobs.sync().unwrap();
        assert_eq!(&*blobs.read(&name).unwrap(), b"key");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&temp.path().join("blobs").join(&name)), 0o600);
        assert_eq!(mode(&temp.path().join("blobs")), 0o700);
    }

    #[test]
    fn a_damaged_blob_is_not_given_and_is_written_again() {
        let temp = TempDir::new();
        let mut blobs = BlobDir::open(temp.path().to_path_buf()).unwrap();
        let name = Digest::of(b"key").hex();
        blobs.write(&name, b"key").unwrap();
        fs::write(temp.path().join(&name), b"kex").unwrap();
        assert!(blobs.read(&name).is_none());
        blobs.write(&name, b"key").unwrap();
        assert!(blobs.read(&name).is_some());
    }

    #[test]
    fn a_name_never_leaves_the_directory() {
        let temp = TempDir::new();
        let mut blobs = BlobDir::open(temp.path().join("blobs")).unwrap();
        fs::write(temp.path().join("secret"), b"x").unwrap();
        assert!(blobs.read("../secret").is_none());
        assert!(!blobs.has("../secret"));
        assert!(blobs.write("../other", b"x").is_err());
    }

    #[test]
    fn what_is_not_kept_goes() {
        let temp = TempDir::new();
        let mut blobs = BlobDir::open(temp.path().to_path_buf()).unwrap();
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        blobs.write(&a.hex(), b"a").unwrap();
        blobs.write(&b.hex(), b"b").unwrap();
        fs::write(temp.path().join("left.new"), b"x").unwrap();
        blobs.retain(&HashSet::from([a]));
        assert!(blobs.has(&a.hex()) && !blobs.has(&b.hex()));
        assert!(!temp.path().join("left.new").exists());
    }
}
