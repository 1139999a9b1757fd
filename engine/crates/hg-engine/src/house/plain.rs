//! Checks that send bytes of the config, over TCP or UDP: what they send, and what they make of the
//! answer. No sockets here, except for the one call that makes or uses that of a datagram.

use super::answer::Failure;
use hg_net::{Address, Fd, Flow};
use hg_plan::{BytesCheck, Expect, HealthCheck};
use hg_resilience::{Expected, Reason};
use hg_route::WholePattern;
use std::io::{self, ErrorKind};

/// The longest datagram is shorter.
pub(super) const DATAGRAM: usize = 64 * 1024;

/// Returns what is wrong with bytes in a check: the path in the check, and the text.
pub(super) fn problem(bytes: &BytesCheck, check: &HealthCheck) -> Option<(&'static str, String)> {
    if check.http.is_some() || check.grpc.is_some() {
        let text = "a check sends one thing; leave `http` and `grpc`, or `bytes` out";
        return Some(("bytes", text.into()));
    }
    let Some(Expect::Regex(pattern)) = &bytes.expect else { return None };
    WholePattern::new(pattern).err().map(|why| ("bytes.expect.regex", why))
}

/// The bytes to send, and what the answer must be.
pub(super) struct Plain {
    pub(super) is_datagram: bool,
    pub(super) send: Vec<u8>,
    expected: Expected,
}

impl Plain {
    pub(super) fn new(check: &BytesCheck) -> Self {
        Self {
            is_datagram: check.is_datagram,
            send: check.send.0.clone(),
            expected: Expected::new(check),
        }
    }

    /// Judges an answer as far as it has come; returns whether the check has passed.
    pub(super) fn judge(&self, answer: &[u8], is_whole: bool) -> Result<bool, Failure> {
        match self.expected.judge(answer, is_whole) {
            None => Ok(false),
            Some(Ok(())) => Ok(true),
            Some(Err(found)) => Err(Failure::new(Reason::CheckAnswer, found)),
        }
    }

    /// Judges an answer whose connection has ended.
    pub(super) fn end(&self, answer: &[u8]) -> Result<bool, Failure> {
        if answer.is_empty() {
            let found = "the connection closed before the answer";
            return Err(Failure::new(Reason::CheckLost, found));
        }
        self.judge(answer, true)
    }
}

/// Makes a socket for datagrams to an endpoint.
pub(super) fn connect(target: &Address) -> io::Result<Fd> {
    match target {
        Address::Inet(address) => hg_net::connect_datagrams(*address),
        Address::Unix(_) => Err(io::Error::other("a Unix socket takes no datagrams")),
    }
}

/// Sends one datagram, which may be empty.
pub(super) fn send(fd: &Fd, datagram: &[u8]) -> Result<(), Failure> {
    match hg_net::write(fd, datagram).map_err(|e| unreachable(&e))? {
        Flow::Bytes(_) | Flow::End => Ok(()),
        Flow::Blocked => Err(Failure::new(Reason::CheckLost, "there is no room to send")),
    }
}

/// Receives a datagram into `buffer`, and returns its length; `None` = there is none yet.
pub(super) fn receive(fd: &Fd, buffer: &mut [u8]) -> Result<Option<usize>, Failure> {
    match hg_net::read(fd, buffer).map_err(|e| unreachable(&e))? {
        Flow::Bytes(n) => Ok(Some(n)),
        Flow::End => Ok(Some(0)),
        Flow::Blocked => Ok(None),
    }
}

/// Says what an error of a socket means that has one peer: the kernel gives it what ICMP tells.
fn unreachable(error: &io::Error) -> Failure {
    match error.kind() {
        ErrorKind::ConnectionRefused => {
            Failure::new(Reason::CheckUnreachable, "ICMP said that its port is unreachable")
        }
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
            Failure::new(Reason::CheckNoRoute, error.to_string())
        }
        _ => Failure::new(Reason::CheckLost, error.to_string()),
    }
}
