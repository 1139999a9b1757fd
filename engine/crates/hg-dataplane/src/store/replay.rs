//! Reads a plan file back: base and later changes, each verified.

use super::record::{self, HEAD_BYTES, Head, MAGIC};
use hg_plan::{Digest, Plan};
use std::io::{self, Read};

/// The content of a plan file.
pub struct Replay {
    /// The plan of its last committed record.
    pub plan: Plan,
    /// The end of that record; the bytes after it were never served.
    pub end: u64,
    /// Bytes after it.
    pub tail: u64,
}

/// The reason why a plan file cannot be used.
#[derive(Debug)]
pub enum ReplayError {
    /// It cannot be read.
    Io(io::Error),
    /// Its contents contradict each other.
    Damaged(String),
}

impl From<io::Error> for ReplayError {
    fn from(error: io::Error) -> Self {
        ReplayError::Io(error)
    }
}

/// Reads `file`, which is `len` bytes long.
///
/// # Errors
/// A file that was cut off or ends in a record that was never committed is not an error; a file in
/// which committed bytes changed is.
pub fn replay(mut file: impl Read, len: u64) -> Result<Replay, ReplayError> {
    let mut magic = [0; MAGIC.len()];
    let got = read_up_to(&mut file, &mut magic)?;
    if got != magic.len() || magic != *MAGIC {
        return Err(ReplayError::Damaged("it does not begin as a plan file does".into()));
    }
    let mut plan = Plan::default();
    let mut at = to_u64(MAGIC.len());
    let mut verified = at;
    loop {
        let mut head = [0; HEAD_BYTES];
        let got = read_up_to(&mut file, &mut head)?;
        let (payload_len, sum) = match record::read_head(head.get(..got).unwrap_or_default()) {
            Head::Tail => break,
            Head::Damaged => return damaged(at, "a record's head does not fit"),
            Head::Committed { len, sum } => (len, sum),
        };
        let end = at + to_u64(HEAD_BYTES) + to_u64(payload_len);
        if end > len {
            break;
        }
        let mut payload = vec![0; payload_len];
        file.read_exact(&mut payload)?;
        if record::checksum(&payload) != sum {
            // The last record's blocks may not have reached the disk before a power failure.
            if end == len {
                break;
            }
            return damaged(at, "a record's checksum does not fit");
        }
        if apply(&mut plan, &payload, at)? {
            verified = end;
        }
        at = end;
    }
    if verified != at {
        return damaged(at, "the plan is not complete");
    }
    Ok(Replay { plan, end: at, tail: len.saturating_sub(at) })
}

/// Applies one payload; reports whether the plan is then complete.
fn apply(plan: &mut Plan, payload: &[u8], at: u64) -> Result<bool, ReplayError> {
    let Some((root, changes)) = record::decode(payload) else {
        return damaged(at, "a record's changes cannot be read");
    };
    let found = match plan.apply(&changes) {
        Ok(found) => found,
        Err(errors) => {
            let text = errors.first().map_or_else(String::new, |error| {
                format!("{} {}: {}", error.kind.as_str(), error.name, error.message)
            });
            return damaged(at, &text);
        }
    };
    if root == Digest::default() {
        return Ok(false);
    }
    if root != found {
        return damaged(at, "the plan's digest does not fit");
    }
    Ok(true)
}

fn damaged<T>(at: u64, what: &str) -> Result<T, ReplayError> {
    Err(ReplayError::Damaged(format!("at byte {at}: {what}")))
}

/// Reads until the buffer is full or the file ends.
fn read_up_to(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while let Some(rest) = buffer.get_mut(got..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

fn to_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
