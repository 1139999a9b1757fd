//! Lines on standard error.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::AsFd;

/// A pipe that polls as writable takes so many bytes at once (`PIPE_BUF`, pipe(7)).
const AT_ONCE: usize = 4096;

/// Writes a line, or the beginning of a long one. If its reader stands still, the line is lost: the
/// data plane must not wait for it.
pub(crate) fn say(line: &str) {
    write(rustix::stdio::stderr(), line);
}

fn write(stderr: impl AsFd, line: &str) {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut asked = [PollFd::new(&stderr, PollFlags::OUT)];
    if !matches!(poll(&mut asked, Some(&now)), Ok(1..)) {
        return;
    }
    let mut bytes = line.as_bytes().get(..AT_ONCE - 1).unwrap_or(line.as_bytes()).to_vec();
    bytes.push(b'\n');
    // There is nowhere left to report a failure of this.
    let _ = rustix::io::write(&stderr, &bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn a_line_that_nobody_reads_is_lost_and_others_arrive_whole() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let line = "x".repeat(1000);
        for _ in 0..1000 {
            write(&writer, &line);
        }
        write(&writer, &"y".repeat(5000));
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert!((1001..1000 * 1001).contains(&text.len()), "{}", text.len());
        assert!(text.lines().all(|read| read == line));
    }

    #[test]
    fn a_long_line_is_cut() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        write(&writer, &"y".repeat(5000));
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, format!("{}\n", "y".repeat(AT_ONCE - 1)));
    }
}
