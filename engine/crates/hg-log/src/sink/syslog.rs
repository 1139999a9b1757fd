//! Syslog: one RFC 5424 datagram per line, over a Unix socket or UDP (RFC 5426).

use super::Written;
use crate::clock::TimeCache;
use rustix::io::Errno;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Facility local7 (23), severity informational (6).
const PRIORITY: u8 = 23 * 8 + 6;
/// The time to wait for a receiver that takes nothing.
const SEND_TIMEOUT: Duration = Duration::from_millis(200);
/// The time after which a name is looked up again.
const RENEWAL: Duration = Duration::from_secs(60);

/// Looks a `host:port` up; may take long.
type LookUp = fn(&str) -> io::Result<Vec<SocketAddr>>;

/// A syslog receiver.
#[derive(Debug)]
pub(crate) struct Syslog {
    /// `unix:/path` or `host:port`.
    address: String,
    socket: Option<Socket>,
    look_up: LookUp,
    renewal: Duration,
    /// The time of the last look-up.
    looked: Instant,
    /// The result of a look-up under way: lines do not wait for it.
    coming: Option<Receiver<Vec<SocketAddr>>>,
    hostname: String,
    time: TimeCache,
    datagram: Vec<u8>,
}

#[derive(Debug)]
enum Socket {
    Unix(UnixDatagram),
    Udp(UdpSocket),
}

impl Syslog {
    pub(crate) fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            socket: None,
            look_up: |address| Ok(address.to_socket_addrs()?.collect()),
            renewal: RENEWAL,
            looked: Instant::now(),
            coming: None,
            hostname: hostname(),
            time: TimeCache::new(),
            datagram: Vec::new(),
        }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn open(&mut self) -> io::Result<()> {
        if self.socket.is_none() {
            return self.reopen();
        }
        Ok(())
    }

    /// Connects anew; if that fails, continues to write to the old receiver.
    pub(crate) fn reopen(&mut self) -> io::Result<()> {
        self.looked = Instant::now();
        self.socket = Some(Socket::connect(&self.address, self.look_up)?);
        Ok(())
    }

    /// Follows a name to another receiver: looks it up from time to time, beside the lines.
    fn renew(&mut self) {
        let Some(Socket::Udp(socket)) = &self.socket else { return };
        match self.coming.as_ref().map(Receiver::try_recv) {
            Some(Ok(found)) => {
                self.coming = None;
                let is_same = socket.peer_addr().is_ok_and(|peer| found.contains(&peer));
                if !is_same && let Ok(socket) = Socket::connect_first(found) {
                    self.socket = Some(socket);
                }
            }
            Some(Err(TryRecvError::Empty)) => {}
            Some(Err(TryRecvError::Disconnected)) => self.coming = None,
            None if self.looked.elapsed() < self.renewal => {}
            None if self.address.parse::<SocketAddr>().is_ok() => {}
            None => self.begin_look_up(),
        }
    }

    fn begin_look_up(&mut self) {
        self.looked = Instant::now();
        let (found, coming) = channel();
        let (address, look_up) = (self.address.clone(), self.look_up);
        let thread = std::thread::Builder::new().name("hg-log-dns".into());
        let run = move || look_up(&address).map(|addresses| found.send(addresses));
        // Without a thread the receiver stays, and the next time comes.
        self.coming = thread.spawn(run).ok().map(|_| coming);
    }

    /// Drops the rest after a failure: if every line waited in turn, the buffers would run out.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Written {
        self.renew();
        let mut done = Written::default();
        let mut lines = bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        for line in &mut lines {
            self.compose(line);
            match self.send() {
                Ok(()) => {
                    done.lines += 1;
                    done.bytes += line.len() as u64;
                }
                // The line is too long for a datagram (EMSGSIZE), but the others may pass.
                Err(e) if e.raw_os_error() == Some(Errno::MSGSIZE.raw_os_error()) => {
                    done.dropped += 1;
                    done.errors += 1;
                }
                Err(e) => {
                    done.dropped += 1;
                    done.errors += 1;
                    done.failure = Some(e.to_string());
                    break;
                }
            }
        }
        done.dropped += lines.count() as u64;
        done
    }

    /// Composes a message as RFC 5424 §6: `<PRI>1 TIME HOST APP PROCID MSGID SD MSG`.
    fn compose(&mut self, line: &[u8]) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.datagram.clear();
        self.datagram.extend_from_slice(format!("<{PRIORITY}>1 ").as_bytes());
        self.time.push_rfc3339(now.as_micros() as u64, &mut self.datagram);
        let rest = format!(" {} headgate {} access - ", self.hostname, std::process::id());
        self.datagram.extend_from_slice(rest.as_bytes());
        self.datagram.extend_from_slice(line);
    }

    /// Sends the datagram; tries once more on a new socket if the receiver was restarted.
    fn send(&mut self) -> io::Result<()> {
        for is_last in [false, true] {
            self.open()?;
            let Some(socket) = &self.socket else { break };
            match socket.send(&self.datagram) {
                Ok(()) => return Ok(()),
                Err(e) if is_last || !is_gone(&e) => {
                    return Err(e);
                }
                Err(_) => self.reopen()?,
            }
        }
        Err(ErrorKind::NotConnected.into())
    }
}

/// Reports whether a new socket may help: not against a line that is too long, or a receiver that takes
/// nothing now.
fn is_gone(error: &io::Error) -> bool {
    let stays = [Errno::MSGSIZE, Errno::AGAIN, Errno::NOBUFS, Errno::INTR];
    !stays.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

impl Socket {
    fn connect(address: &str, look_up: LookUp) -> io::Result<Self> {
        if let Some(path) = address.strip_prefix("unix:") {
            let socket = UnixDatagram::unbound()?;
            socket.connect(path)?;
            socket.set_write_timeout(Some(SEND_TIMEOUT))?;
            return Ok(Self::Unix(socket));
        }
        Self::connect_first(look_up(address)?)
    }

    fn connect_first(peers: Vec<SocketAddr>) -> io::Result<Self> {
        let mut error = io::Error::new(ErrorKind::NotFound, "the name has no address");
        for peer in peers {
            match Self::connect_udp(peer) {
                Ok(socket) => return Ok(Self::Udp(socket)),
                Err(e) => error = e,
            }
        }
        Err(error)
    }

    fn connect_udp(peer: SocketAddr) -> io::Result<UdpSocket> {
        let local = if peer.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(local)?;
        socket.connect(peer)?;
        socket.set_write_timeout(Some(SEND_TIMEOUT))?;
        Ok(socket)
    }

    fn send(&self, datagram: &[u8]) -> io::Result<()> {
        match self {
            Self::Unix(socket) => socket.send(datagram).map(drop),
            Self::Udp(socket) => socket.send(datagram).map(drop),
        }
    }
}

/// Returns the kernel's name of this machine; `-` (RFC 5424's "not known") if it cannot be read.
fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name: String = name.trim().chars().filter(char::is_ascii_graphic).take(255).collect();
    if name.is_empty() { "-".into() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;
    use std::sync::Mutex;

    fn received(read: impl Fn(&mut [u8]) -> io::Result<usize>) -> String {
        let mut buffer = [0; 4096];
        let n = read(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    }

    #[test]
    fn each_line_is_one_datagram_over_udp() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut syslog = Syslog::new(&receiver.local_addr().unwrap().to_string());
        let written = syslog.write(b"first\nsecond\n");
        assert_eq!((written.lines, written.dropped, written.bytes), (2, 0, 11));
        for line in ["first", "second"] {
            let datagram = received(|buffer| receiver.recv(buffer));
            let fields: Vec<_> = datagram.splitn(8, ' ').collect();
            assert_eq!(fields[0], "<190>1");
            assert!(fields[1].starts_with("20") && fields[1].ends_with('Z'), "{datagram}");
            assert_eq!(
                fields[3..],
                ["headgate", &std::process::id().to_string(), "access", "-", line]
            );
        }
    }

    #[test]
    fn a_restarted_receiver_gets_the_next_line_over_a_unix_socket() {
        let scratch = Scratch::new("syslog");
        let path = scratch.path("log");
        let address = format!("unix:{path}");
        let mut syslog = Syslog::new(&address);
        assert!(syslog.open().is_err());
        let lost = syslog.write(b"a\nb\n");
        assert_eq!((lost.lines, lost.dropped, lost.errors), (0, 2, 1));
        assert!(lost.failure.is_some());
        let receiver = UnixDatagram::bind(&path).unwrap();
        assert_eq!(syslog.write(b"c\n").lines, 1);
        assert!(received(|buffer| receiver.recv(buffer)).ends_with(" c"));
        drop(receiver);
        std::fs::remove_file(&path).unwrap();
        let receiver = UnixDatagram::bind(&path).unwrap();
        assert_eq!(syslog.write(b"d\n").lines, 1);
        assert!(received(|buffer| receiver.recv(buffer)).ends_with(" d"));
    }

    /// Looks a name up as the test that runs has it now.
    fn looked_up(_address: &str) -> io::Result<Vec<SocketAddr>> {
        let known = MEANT.lock().unwrap().clone();
        if known.is_empty() { Err(ErrorKind::NotFound.into()) } else { Ok(known) }
    }

    static MEANT: Mutex<Vec<SocketAddr>> = Mutex::new(Vec::new());

    #[test]
    fn a_name_that_means_another_receiver_is_followed() {
        let [first, second] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let mean = |known: &[&UdpSocket]| {
            *MEANT.lock().unwrap() = known.iter().map(|s| s.local_addr().unwrap()).collect();
        };
        let mut syslog = Syslog::new("logs.example:514");
        (syslog.look_up, syslog.renewal) = (looked_up, Duration::ZERO);
        mean(&[&first]);
        assert_eq!(syslog.write(b"a\n").lines, 1);
        // While the look-up fails, the receiver stays.
        mean(&[]);
        syslog.reopen().unwrap_err();
        assert_eq!(syslog.write(b"b\n").lines, 1);
        for line in [" a", " b"] {
            assert!(received(|buffer| first.recv(buffer)).ends_with(line));
        }
        mean(&[&second]);
        second.set_nonblocking(true).unwrap();
        let until = std::time::Instant::now() + Duration::from_secs(30);
        while second.recv(&mut [0; 4096]).is_err() {
            assert!(std::time::Instant::now() < until, "the second receiver gets nothing");
            assert_eq!(syslog.write(b"c\n").lines, 1);
        }
    }

    #[test]
    fn a_line_too_long_for_a_datagram_is_dropped_alone() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut syslog = Syslog::new(&receiver.local_addr().unwrap().to_string());
        let mut bytes = vec![b'x'; 70_000];
        bytes.extend_from_slice(b"\nshort\n");
        let written = syslog.write(&bytes);
        assert_eq!((written.lines, written.dropped, written.errors), (1, 1, 1));
        assert_eq!(written.failure, None);
    }

    #[test]
    fn a_receiver_that_takes_nothing_does_not_hold_us_up_for_long() {
        let scratch = Scratch::new("slow");
        let path = scratch.path("log");
        let receiver = UnixDatagram::bind(&path).unwrap();
        let mut syslog = Syslog::new(&format!("unix:{path}"));
        let bytes = b"line\n".repeat(5_000);
        let started = std::time::Instant::now();
        let written = syslog.write(&bytes);
        assert!(written.lines > 0 && written.dropped > 0, "{written:?}");
        assert_eq!(written.lines + written.dropped, 5_000);
        // To wait for each line would take a quarter of an hour.
        assert!(started.elapsed() < Duration::from_secs(60));
        drop(receiver);
    }
}
