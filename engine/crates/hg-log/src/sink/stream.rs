//! A file or standard output.

use super::Written;
use rustix::fs::OFlags;
use std::fs::File;
use std::io::{self, ErrorKind, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::time::Duration;

/// One step of waiting for a pipe that is full.
const FULL_WAIT: Duration = Duration::from_millis(10);
const FULL_WAITS: u32 = 100;
/// Most bytes that a pipe takes as a whole, whoever writes to it beside us: pipe(7), `PIPE_BUF`.
const WHOLE: usize = 4096;

/// A byte stream to which lines are appended.
#[derive(Debug)]
pub(crate) struct Stream {
    /// `None` = standard output.
    path: Option<String>,
    file: Option<File>,
    /// True if it is a pipe, to which other processes of the node may write.
    is_pipe: bool,
    /// True if the last write stopped within a line.
    is_torn: bool,
}

impl Stream {
    pub(crate) fn stdout() -> Self {
        Self { path: None, file: None, is_pipe: false, is_torn: false }
    }

    pub(crate) fn file(path: &str) -> Self {
        Self { path: Some(path.into()), ..Self::stdout() }
    }

    pub(crate) fn name(&self) -> &str {
        self.path.as_deref().unwrap_or("standard output")
    }

    pub(crate) fn open(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            self.take(self.opened()?);
        }
        Ok(())
    }

    pub(crate) fn reopen(&mut self) -> io::Result<()> {
        if self.path.is_some() {
            self.take(self.opened()?);
            self.is_torn = false;
        }
        Ok(())
    }

    fn take(&mut self, file: File) {
        self.is_pipe = file.metadata().is_ok_and(|about| about.file_type().is_fifo());
        self.file = Some(file);
    }

    fn opened(&self) -> io::Result<File> {
        match &self.path {
            // Non-blocking because of named pipes, where opening would wait for a reader.
            Some(path) => File::options()
                .append(true)
                .create(true)
                .mode(0o640)
                .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
                .open(path),
            // A copy of the descriptor, because the standard library's stdout would search for line
            // ends again.
            None => Ok(io::stdout().as_fd().try_clone_to_owned()?.into()),
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8], count: u64) -> Written {
        let lost = |error: io::Error| Written {
            dropped: count,
            errors: 1,
            failure: Some(error.to_string()),
            ..Written::default()
        };
        if let Err(error) = self.open() {
            return lost(error);
        }
        let Some(file) = &mut self.file else {
            return lost(ErrorKind::NotConnected.into());
        };
        // The line after a torn one must begin a new line.
        if self.is_torn
            && let Err((_, error)) = write_all(file, b"\n", usize::MAX)
        {
            return lost(error);
        }
        self.is_torn = false;
        match write_all(file, bytes, if self.is_pipe { WHOLE } else { usize::MAX }) {
            Ok(()) => Written { lines: count, bytes: bytes.len() as u64, ..Written::default() },
            Err((written, error)) => {
                let done = bytes.get(..written).unwrap_or_default();
                self.is_torn = done.last().is_some_and(|b| *b != b'\n');
                let lines = done.iter().filter(|b| **b == b'\n').count() as u64;
                Written {
                    lines,
                    dropped: count - lines.min(count),
                    bytes: written as u64,
                    errors: 1,
                    failure: Some(error.to_string()),
                }
            }
        }
    }
}

/// Writes all bytes, at most so many at once unless a line has more; returns how many were written
/// and why no more, if it fails.
fn write_all(file: &mut File, bytes: &[u8], most: usize) -> Result<(), (usize, io::Error)> {
    let (mut done, mut waits) = (0, 0);
    while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
        match file.write(whole_lines(rest, most)) {
            Ok(0) => return Err((done, ErrorKind::WriteZero.into())),
            Ok(n) => done += n,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            // The pipe is full.
            Err(e) if e.kind() == ErrorKind::WouldBlock && waits < FULL_WAITS => {
                waits += 1;
                // Not parked: each hand-over would wake it.
                std::thread::sleep(FULL_WAIT);
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                return Err((done, io::Error::new(e.kind(), "its reader stands still")));
            }
            Err(e) => return Err((done, e)),
        }
    }
    Ok(())
}

/// Returns the lines that the bytes begin with, as many as are not longer than so much together, but
/// at least one.
fn whole_lines(bytes: &[u8], most: usize) -> &[u8] {
    let Some(fits) = bytes.get(..most) else {
        return bytes;
    };
    let end = |at: usize| at + 1;
    let last = fits.iter().rposition(|b| *b == b'\n').map(end);
    let next = || bytes.iter().position(|b| *b == b'\n').map(end);
    last.or_else(next).and_then(|n| bytes.get(..n)).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn lines_are_appended_and_a_renamed_file_is_left_on_reopen() {
        let scratch = Scratch::new("stream");
        let (path, old) = (scratch.path("log"), scratch.path("log.1"));
        std::fs::write(&path, "there before\n").unwrap();
        let mut stream = Stream::file(&path);
        assert_eq!(
            stream.write(b"a\nb\n", 2),
            Written { lines: 2, bytes: 4, ..Written::default() }
        );
        std::fs::rename(&path, &old).unwrap();
        stream.write(b"c\n", 1);
        stream.reopen().unwrap();
        stream.write(b"d\n", 1);
        assert_eq!(std::fs::read_to_string(old).unwrap(), "there before\na\nb\nc\n");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "d\n");
    }

    #[test]
    fn a_full_disk_loses_lines_and_says_so() {
        let mut stream = Stream::file("/dev/full");
        for _ in 0..2 {
            let lost = stream.write(b"a\nb\nc\n", 3);
            assert_eq!((lost.lines, lost.dropped, lost.errors), (0, 3, 1));
            assert!(lost.failure.unwrap().contains("No space left"));
        }
    }

    #[test]
    fn a_directory_that_is_not_there_yet_is_tried_again() {
        let scratch = Scratch::new("later");
        let path = scratch.path("new/log");
        let mut stream = Stream::file(&path);
        assert!(stream.open().is_err());
        assert_eq!(stream.write(b"a\n", 1).dropped, 1);
        std::fs::create_dir(scratch.path("new")).unwrap();
        assert_eq!(stream.write(b"b\n", 1).lines, 1);
        assert_eq!(std::fs::read_to_string(path).unwrap(), "b\n");
    }

    #[test]
    fn a_pipe_without_a_reader_is_refused_at_once() {
        let scratch = Scratch::new("pipe");
        let path = scratch.pipe("pipe");
        assert!(Stream::file(&path).open().is_err());
    }

    #[test]
    fn lines_are_not_parted_between_writes_unless_one_is_too_long() {
        for (bytes, most, expected) in [
            (&b"ab\ncd\nef\n"[..], 9, &b"ab\ncd\nef\n"[..]),
            (b"ab\ncd\nef\n", 8, b"ab\ncd\n"),
            (b"ab\ncd\nef\n", 3, b"ab\n"),
            (b"ab\ncd\nef\n", 2, b"ab\n"),
            (b"abcdef", 2, b"abcdef"),
        ] {
            assert_eq!(whole_lines(bytes, most), expected, "{most}");
        }
    }

    #[test]
    fn lines_of_two_writers_to_a_pipe_stay_whole() {
        let scratch = Scratch::new("shared");
        let path = scratch.pipe("pipe");
        let reader = path.clone();
        let read = std::thread::spawn(move || std::fs::read_to_string(reader).unwrap());
        let open = |_: u8| {
            let mut stream = Stream::file(&path);
            while stream.open().is_err() {
                std::thread::yield_now();
            }
            stream
        };
        let writers = [b'a', b'b'].map(|letter| (letter, open(letter)));
        let threads = writers.map(|(letter, mut stream)| {
            let line = [vec![letter; 700], vec![b'\n']].concat();
            std::thread::spawn(move || {
                for _ in 0..20 {
                    assert_eq!(stream.write(&line.repeat(90), 90).lines, 90);
                }
            })
        });
        threads.into_iter().for_each(|one| one.join().unwrap());
        let text = read.join().unwrap();
        assert_eq!(text.lines().count(), 2 * 20 * 90);
        for line in text.lines() {
            let first = line.get(..1).unwrap();
            assert_eq!(line, first.repeat(700));
        }
    }

    #[test]
    fn after_a_torn_line_a_new_one_begins() {
        let scratch = Scratch::new("torn");
        let path = scratch.path("log");
        let mut stream = Stream::file(&path);
        stream.write(b"whole\nhal", 1);
        stream.is_torn = true;
        stream.write(b"next\n", 1);
        assert_eq!(std::fs::read_to_string(path).unwrap(), "whole\nhal\nnext\n");
    }

    #[test]
    fn a_reopen_that_fails_keeps_the_old_file() {
        let scratch = Scratch::new("kept");
        std::fs::create_dir(scratch.path("dir")).unwrap();
        let mut stream = Stream::file(&scratch.path("dir/log"));
        stream.write(b"a\n", 1);
        std::fs::rename(scratch.path("dir"), scratch.path("moved")).unwrap();
        assert!(stream.reopen().is_err());
        assert_eq!(stream.write(b"b\n", 1).lines, 1);
        assert_eq!(std::fs::read_to_string(scratch.path("moved/log")).unwrap(), "a\nb\n");
    }
}
