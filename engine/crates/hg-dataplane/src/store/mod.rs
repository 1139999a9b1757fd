//! The last good plan on disk, which the data plane serves without the control process and after a
//! restart.
//!
//! One append-only file (`plan`) of checksummed records, so that a change of one object costs one
//! small write, and a directory of key material (`blobs`). A change is *prepared* before the
//! workers swap (a full disk refuses it then, and what is on the disk stays as it was) and
//! *committed* by flipping one byte in place after they have. Both land in the page cache, which
//! outlives a crash of the process; [`PlanStore::settle`] brings them to the disk while nobody
//! waits, and rewrites the file when most of it is history.
//!
//! Two processes meet here during an upgrade: the successor reads at once, but writes only once it
//! holds `lock`, which the old one releases when it hands its sockets over.

mod blobs;
mod files;
mod record;
mod replay;

pub use blobs::BlobDir;
pub use files::write_all_new;

use files::{create_new, make_dir, write_error};
use hg_plan::{Change, Digest, Plan};
use replay::{Replay, ReplayError, replay};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The file is rewritten when it is longer than twice the plan plus this.
const SLACK_BYTES: u64 = 1024 * 1024;

/// Approximate payload bytes of one record of a rewritten file.
const BASE_RECORD_BYTES: usize = 256 * 1024;

/// The longest wait for the predecessor to release the lock.
const LOCK_WAIT: Duration = Duration::from_secs(1);

/// The result of [`PlanStore::load`].
pub struct Loaded {
    /// The last good plan; empty if there is none.
    pub plan: Plan,
    /// The reason why there is no plan although there is a file.
    pub damage: Option<String>,
    /// Bytes of a change that was never served, left by a crash.
    pub tail_bytes: u64,
}

/// The position in the file of the plan that this process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    device: u64,
    inode: u64,
    end: u64,
}

/// The file, once this process may write it.
struct Owned {
    file: File,
    /// End of the last committed record.
    end: u64,
    /// End of the prepared record, if there is one.
    prepared: Option<u64>,
    /// True if committed bytes are not on the disk yet.
    is_dirty: bool,
    /// True if a prepared record could not be removed, so that the file must be rewritten.
    is_stuck: bool,
    /// Length at which to check whether the file should be rewritten.
    rewrite_at: u64,
    _lock: File,
}

/// The plan's directory.
pub struct PlanStore {
    dir: PathBuf,
    blobs: BlobDir,
    loaded: Option<Place>,
    owned: Option<Owned>,
}

impl PlanStore {
    /// Opens this directory; makes it (0700) if it does not exist.
    ///
    /// # Errors
    /// Errors of the kernel, with the path.
    pub fn open(dir: PathBuf) -> io::Result<Self> {
        make_dir(&dir)?;
        let blobs = BlobDir::open(dir.join("blobs"))?;
        Ok(Self { dir, blobs, loaded: None, owned: None })
    }

    /// Reads the last good plan; reports a file that cannot be used, and leaves it where it is.
    pub fn load(&mut self) -> Loaded {
        let empty = |damage| Loaded { plan: Plan::default(), damage, tail_bytes: 0 };
        let path = self.path();
        match read(&path) {
            Ok((place, replay)) => {
                self.loaded = Some(place);
                Loaded { plan: replay.plan, damage: None, tail_bytes: replay.tail }
            }
            Err(ReplayError::Io(error)) if error.kind() == io::ErrorKind::NotFound => empty(None),
            Err(ReplayError::Io(error)) => empty(Some(write_error(&path, &error).to_string())),
            Err(ReplayError::Damaged(what)) => empty(Some(format!("{}: {what}", path.display()))),
        }
    }

    /// Returns the key material.
    pub fn blobs(&mut self) -> &mut BlobDir {
        &mut self.blobs
    }

    /// Becomes the process that writes; `plan` is the plan it holds. Costs nothing after the first
    /// time.
    ///
    /// # Errors
    /// If another process holds the directory, or the file cannot be written.
    pub fn own(&mut self, plan: &Plan) -> io::Result<()> {
        if let Some(owned) = &self.owned {
            return if owned.is_stuck { self.rewrite(plan) } else { Ok(()) };
        }
        let lock = self.lock()?;
        let adopted = match self.loaded {
            Some(place) => self.adopt(place)?,
            None => None,
        };
        let (file, end) = match adopted {
            Some(adopted) => adopted,
            None => {
                self.set_aside();
                write_base(&self.dir, plan)?
            }
        };
        self.owned = Some(Owned {
            file,
            end,
            prepared: None,
            is_dirty: true,
            is_stuck: false,
            rewrite_at: SLACK_BYTES,
            _lock: lock,
        });
        Ok(())
    }

    /// Writes changes that lead to `root`; they count only after [`commit`](Self::commit).
    ///
    /// # Errors
    /// Errors of the kernel, with the path; the file is then unchanged.
    pub fn prepare(&mut self, root: &Digest, changes: &[Change]) -> io::Result<()> {
        let path = self.path();
        let owned = self.writable()?;
        let invalid = |text| io::Error::new(io::ErrorKind::InvalidInput, text);
        let bytes = record::encode(0, root, changes).map_err(invalid)?;
        if let Err(error) = owned.file.write_all_at(&bytes, owned.end) {
            owned.take_back();
            return Err(write_error(&path, &error));
        }
        owned.prepared = Some(owned.end + u64::try_from(bytes.len()).unwrap_or(0));
        Ok(())
    }

    /// Commits the prepared changes, which every worker now serves.
    ///
    /// # Errors
    /// Errors of the kernel, with the path; the next [`settle`](Self::settle) then rewrites the
    /// file.
    pub fn commit(&mut self) -> io::Result<()> {
        let path = self.path();
        let owned = self.writable()?;
        let Some(end) = owned.prepared.take() else {
            return Ok(());
        };
        if let Err(error) = owned.file.write_all_at(&[record::COMMITTED], owned.end) {
            owned.is_stuck = true;
            return Err(write_error(&path, &error));
        }
        owned.end = end;
        owned.is_dirty = true;
        Ok(())
    }

    /// Removes the prepared changes, which were refused.
    pub fn roll_back(&mut self) {
        if let Some(owned) = &mut self.owned {
            owned.prepared = None;
            owned.take_back();
        }
    }

    /// Reports whether [`settle`](Self::settle) has something to do.
    pub fn is_unsettled(&self) -> bool {
        self.owned.as_ref().is_some_and(|owned| owned.is_dirty || owned.is_stuck)
    }

    /// Brings everything to the disk and rewrites the file if most of it is history; `plan` is the
    /// plan it holds. Takes milliseconds: call it while nobody waits for an answer.
    ///
    /// # Errors
    /// Errors of the kernel; the plan on the disk is then an older one, or unchanged.
    pub fn settle(&mut self, plan: &Plan) -> io::Result<()> {
        self.blobs.sync()?;
        let Some(owned) = &mut self.owned else {
            return Ok(());
        };
        if owned.is_stuck {
            return self.rewrite(plan);
        }
        if owned.is_dirty {
            owned.file.sync_data()?;
            owned.is_dirty = false;
        }
        if owned.end < owned.rewrite_at {
            return Ok(());
        }
        let live = plan_bytes(plan);
        owned.rewrite_at = 2 * live + SLACK_BYTES;
        if owned.end < owned.rewrite_at {
            return Ok(());
        }
        // If the disk is too full, the next attempt comes only once the file has grown by half.
        owned.rewrite_at = owned.end + owned.end / 2;
        self.rewrite(plan)?;
        if let Some(owned) = &mut self.owned {
            owned.rewrite_at = 2 * live + SLACK_BYTES;
        }
        Ok(())
    }

    /// Notes that the file cannot be extended: the next change begins a new one.
    pub fn disown_loaded(&mut self) {
        self.loaded = None;
        if let Some(owned) = &mut self.owned {
            owned.is_stuck = true;
        }
    }

    /// Releases the right to write, so that a successor can have it.
    pub fn release(&mut self) {
        self.owned = None;
    }

    fn path(&self) -> PathBuf {
        self.dir.join("plan")
    }

    fn writable(&mut self) -> io::Result<&mut Owned> {
        let missing = || io::Error::other("the plan's directory is not ours to write");
        self.owned.as_mut().ok_or_else(missing)
    }

    /// Takes the lock of the directory, which lasts as long as the returned file is open.
    fn lock(&self) -> io::Result<File> {
        let path = self.dir.join("lock");
        let opened =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = opened.map_err(|error| write_error(&path, &error))?;
        let deadline = Instant::now() + LOCK_WAIT;
        while let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if error != rustix::io::Errno::WOULDBLOCK {
                return Err(write_error(&path, &error.into()));
            }
            if Instant::now() >= deadline {
                let text = format!("{}: another data-plane process holds it", path.display());
                return Err(io::Error::new(io::ErrorKind::WouldBlock, text));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(file)
    }

    /// Opens the loaded file if nobody has changed it since, without what was never committed.
    fn adopt(&self, place: Place) -> io::Result<Option<(File, u64)>> {
        let path = self.path();
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(write_error(&path, &error)),
        };
        let found = file.metadata()?;
        if (found.dev(), found.ino()) != (place.device, place.inode) || found.len() < place.end {
            return Ok(None);
        }
        let mut head = [0; record::HEAD_BYTES];
        let got = file.read_at(&mut head, place.end)?;
        if matches!(
            record::read_head(head.get(..got).unwrap_or_default()),
            record::Head::Committed { .. }
        ) {
            return Ok(None);
        }
        file.set_len(place.end).map_err(|error| write_error(&path, &error))?;
        Ok(Some((file, place.end)))
    }

    /// Renames a file that could not be used, and keeps it for analysis.
    fn set_aside(&self) {
        if self.loaded.is_none() {
            let _ = fs::rename(self.path(), self.dir.join("plan.damaged"));
        }
    }

    /// Writes the whole plan into a new file, which replaces the old one.
    fn rewrite(&mut self, plan: &Plan) -> io::Result<()> {
        let (file, end) = write_base(&self.dir, plan)?;
        if let Some(owned) = &mut self.owned {
            owned.file = file;
            owned.end = end;
            owned.prepared = None;
            owned.is_stuck = false;
            owned.is_dirty = false;
        }
        Ok(())
    }
}

impl Owned {
    /// Cuts off what follows the last committed record.
    fn take_back(&mut self) {
        self.is_stuck = self.file.set_len(self.end).is_err();
    }
}

fn read(path: &Path) -> Result<(Place, Replay), ReplayError> {
    let file = File::open(path)?;
    let found = file.metadata()?;
    let replay = replay(BufReader::new(&file), found.len())?;
    Ok((Place { device: found.dev(), inode: found.ino(), end: replay.end }, replay))
}

/// Returns the approximate bytes of the plan in a new file.
fn plan_bytes(plan: &Plan) -> u64 {
    let bytes: usize = plan.encoded().map(|(_, name, bytes)| 10 + name.len() + bytes.len()).sum();
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Writes a file that contains only `plan`; it is on the disk before it gets its name.
fn write_base(dir: &Path, plan: &Plan) -> io::Result<(File, u64)> {
    let (path, temporary) = (dir.join("plan"), dir.join("plan.new"));
    let written = (|| {
        let mut file = create_new(&temporary)?;
        let end = write_records(&mut file, plan)?;
        file.sync_data()?;
        fs::rename(&temporary, &path)?;
        File::open(dir)?.sync_all()?;
        Ok((file, end))
    })();
    written.map_err(|error| {
        let _ = fs::remove_file(&temporary);
        write_error(&path, &error)
    })
}

fn write_records(file: &mut File, plan: &Plan) -> io::Result<u64> {
    let invalid = |text| io::Error::new(io::ErrorKind::InvalidInput, text);
    file.write_all(record::MAGIC)?;
    let mut end = record::MAGIC.len();
    let mut changes = Vec::new();
    let mut size = 0;
    let mut objects = plan.encoded().peekable();
    while let Some((kind, name, bytes)) = objects.next() {
        let change = Change { kind, name: name.clone(), bytes: Some(bytes.to_vec()) };
        size += record::encoded_len(&change);
        changes.push(change);
        let is_last = objects.peek().is_none();
        if is_last || size >= BASE_RECORD_BYTES {
            let root = if is_last { plan.digest() } else { Digest::default() };
            let bytes = record::encode(record::COMMITTED, &root, &changes).map_err(invalid)?;
            file.write_all(&bytes)?;
            end += bytes.len();
            changes.clear();
            size = 0;
        }
    }
    Ok(u64::try_from(end).unwrap_or(u64::MAX))
}

#[cfg(test)]
pub(crate) mod tests;
