//! A stream connection of either side: socket, TLS session if any, and the bytes that its peer has
//! not taken yet. The layers above see plaintext only.

mod late;

pub(crate) use late::Late;

use super::buffers::{BufferPool, Out, READ_MAX, RESERVE, TAIL};
use hg_net::{Event, Fd, Flow, Pipe};
use hg_tls::{ClientSession, HandshakeKind, ServerSession, TlsError, TlsErrorKind};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::ops::Range;

/// The scratch space that all connections of a worker share.
pub(crate) struct Io {
    /// Buffer of plain reads; always of full length.
    pub(crate) scratch: Vec<u8>,
    /// Decrypted bytes; grows and shrinks.
    plain: Vec<u8>,
    /// Received ciphertext.
    cipher: Vec<u8>,
    /// The bytes that go out in one call: ciphertext, or a head with a small body.
    sealed: Vec<u8>,
    pub(crate) pool: BufferPool,
}

impl Default for Io {
    fn default() -> Self {
        let mut pool = BufferPool::default();
        Self {
            scratch: pool.take(),
            plain: Vec::new(),
            cipher: Vec::new(),
            sealed: Vec::new(),
            pool,
        }
    }
}

impl Io {
    /// Returns the buffer to read a connection with; give it back with [`Io::give_back`]. A second
    /// call before that returns another buffer (as when the code that reads a head continues with
    /// the body).
    pub(crate) fn take_for(&mut self, conn: &Conn) -> Vec<u8> {
        if conn.tls.is_some() {
            return std::mem::take(&mut self.plain);
        }
        let scratch = std::mem::take(&mut self.scratch);
        if scratch.is_empty() { self.pool.take() } else { scratch }
    }

    pub(crate) fn give_back(&mut self, conn_is_tls: bool, buffer: Vec<u8>) {
        if conn_is_tls {
            self.plain = buffer;
        } else {
            let other = std::mem::replace(&mut self.scratch, buffer);
            self.pool.put(other);
        }
    }
}

/// TLS of either side.
pub(crate) enum Session {
    Server(ServerSession),
    Client(ClientSession),
}

impl Session {
    /// Returns `1.2` or `1.3`; empty before the peers have agreed on one.
    pub(crate) fn version_word(&self) -> &'static str {
        let version = match self {
            Session::Server(s) => s.version(),
            Session::Client(s) => s.version(),
        };
        match version {
            Some(hg_tls::ProtocolVersion::TLSv1_2) => "1.2",
            Some(hg_tls::ProtocolVersion::TLSv1_3) => "1.3",
            _ => "",
        }
    }

    /// Returns whether the handshake is full or resumed; `None` before that is known.
    pub(crate) fn kind(&self) -> Option<HandshakeKind> {
        match self {
            Session::Server(s) => s.handshake_kind(),
            Session::Client(s) => s.handshake_kind(),
        }
    }

    fn receive(
        &mut self,
        input: &mut [u8],
        plain: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<hg_tls::Received, TlsError> {
        match self {
            Session::Server(s) => s.receive(input, plain, out),
            Session::Client(s) => s.receive(input, plain, out),
        }
    }

    fn send_parts(&mut self, head: &[u8], body: &[u8], out: &mut Vec<u8>) -> Result<(), TlsError> {
        match self {
            Session::Server(s) => s.send_parts(head, body, out),
            Session::Client(s) => s.send_parts(head, body, out),
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        match self {
            Session::Server(s) => s.close(out),
            Session::Client(s) => s.close(out),
        }
    }
}

pub(crate) struct Tls {
    pub(crate) session: Session,
    /// An incomplete record.
    input: Vec<u8>,
    pub(crate) established: bool,
    /// True if the peer has ended its half.
    ended: bool,
    /// True if it ended it as TLS does, with close_notify: nothing is missing then.
    is_whole: bool,
}

/// The result of a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// Plaintext in this range of the buffer; may be empty if the records held no application data.
    Data(Range<usize>),
    Blocked,
    /// The peer sends no more.
    End,
}

/// The content of a PROXY header.
pub(crate) enum Told {
    /// The address that a client's connection went to.
    Destination(SocketAddr),
    /// To an endpoint, of the client: only its requests may use the connection.
    Client(Box<[u8]>),
}

pub(crate) struct Conn {
    pub(crate) fd: Fd,
    pub(crate) out: Out,
    pub(crate) tls: Option<Box<Tls>>,
    /// True if the socket may hold bytes (or an end) that were not read.
    pub(crate) readable: bool,
    /// True if an event said that the peer has ended its half; a read will find the end.
    pub(crate) read_closed: bool,
    /// True if a write found that the peer has reset the connection. The socket forgets it then,
    /// and reads find an end.
    was_reset: bool,
    /// Events that are not handled yet.
    pub(crate) late: Late,
    /// True if the last message had a large body; the next one is then expected to have one.
    pub(crate) brings_much: bool,
    /// The content of the PROXY header with which it began.
    pub(crate) told: Option<Box<Told>>,
}

impl Conn {
    pub(crate) fn new(fd: Fd) -> Self {
        Self {
            fd,
            out: Out::default(),
            tls: None,
            readable: true,
            read_closed: false,
            was_reset: false,
            late: Late::default(),
            brings_much: false,
            told: None,
        }
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Notes what an event says of the socket: a read finds the bytes, and the end.
    #[inline]
    pub(crate) fn note_event(&mut self, event: &Event) {
        self.read_closed |= event.read_closed || event.closed;
        self.readable |= event.readable || event.read_closed || event.closed;
    }

    /// Reports whether the peer has reset the connection. An event says so once, and a read finds it
    /// only behind what came before.
    pub(crate) fn is_reset(&self) -> bool {
        self.read_closed && hg_net::take_error(&self.fd).is_err()
    }

    /// Begins TLS; `first` holds the bytes already read. [`Conn::hello`] then sends a client's
    /// hello.
    pub(crate) fn start_tls(&mut self, session: Session, first: Vec<u8>) {
        let (established, ended, is_whole) = (false, false, false);
        self.tls = Some(Box::new(Tls { session, input: first, established, ended, is_whole }));
    }

    /// Returns the TLS session, if there is one.
    pub(crate) fn session(&self) -> Option<&Session> {
        self.tls.as_deref().map(|t| &t.session)
    }

    /// Reports whether the TLS handshake is over.
    pub(crate) fn is_established(&self) -> bool {
        self.tls.as_deref().is_some_and(|t| t.established)
    }

    /// Reports whether the peer's end came without close_notify: somebody else may have cut off what
    /// it had to say (RFC 8446 §6.1).
    pub(crate) fn is_cut(&self) -> bool {
        self.tls.as_deref().is_some_and(|t| t.ended && !t.is_whole)
    }

    /// Returns the protocol agreed by ALPN, if any.
    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        match self.session()? {
            Session::Server(session) => session.alpn(),
            Session::Client(session) => session.alpn(),
        }
    }

    /// Sends a client session's hello.
    pub(crate) fn hello(&mut self, io: &mut Io) -> io::Result<()> {
        io.sealed.clear();
        if let Some(Session::Client(s)) = self.tls.as_deref_mut().map(|t| &mut t.session) {
            s.start(&mut io.sealed).map_err(|e| io::Error::other(e.to_string()))?;
        }
        self.write_sealed(io)
    }

    /// Returns how much to read at once if a head is expected: little if a large body will follow,
    /// which can then be spliced; else at most `most`, which includes a small body.
    pub(crate) fn first_read(&self, most: usize) -> usize {
        if self.brings_much { LONE_HEAD } else { most }
    }

    /// Reads at most `limit` bytes into `buffer` (from [`Io::take_for`]), after the reserve.
    pub(crate) fn read(
        &mut self,
        io: &mut Io,
        buffer: &mut Vec<u8>,
        limit: usize,
    ) -> io::Result<Read> {
        if self.tls.is_some() {
            return self.read_tls(io, buffer);
        }
        let Some(space) = buffer.get_mut(RESERVE..RESERVE + limit.min(READ_MAX)) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let want = space.len();
        match unless_reset(hg_net::read(&self.fd, space)?, self.was_reset)? {
            Flow::Bytes(n) => {
                // A short read has emptied the socket: the next event will tell of more (epoll(7),
                // Q9). After an announced end one more read is due.
                self.readable = n == want || self.read_closed;
                Ok(Read::Data(RESERVE..RESERVE + n))
            }
            Flow::Blocked => {
                self.readable = false;
                Ok(Read::Blocked)
            }
            Flow::End => {
                self.readable = false;
                Ok(Read::End)
            }
        }
    }

    /// Returns what a write returned, and remembers a reset.
    fn wrote<T>(&mut self, written: io::Result<T>) -> io::Result<T> {
        written.inspect_err(|e| self.was_reset |= e.kind() == io::ErrorKind::ConnectionReset)
    }

    fn read_tls(&mut self, io: &mut Io, plain: &mut Vec<u8>) -> io::Result<Read> {
        let Some(tls) = self.tls.as_deref_mut() else {
            return Ok(Read::End);
        };
        if tls.ended {
            self.readable = false;
            return Ok(Read::End);
        }
        plain.truncate(RESERVE);
        plain.resize(RESERVE, 0);
        if io.cipher.is_empty() {
            io.cipher = io.pool.take();
        }
        let had = tls.input.len();
        let (Some(old), true) = (io.cipher.get_mut(..had), had < READ_MAX) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        old.copy_from_slice(&tls.input);
        let (mut filled, mut ended) = (had, false);
        if self.readable {
            let most = READ_MAX.min(had + io.pool.read_limit());
            let space = io.cipher.get_mut(had..most).unwrap_or_default();
            let want = space.len();
            let flow = unless_reset(hg_net::read(&self.fd, space)?, self.was_reset)?;
            let n = if let Flow::Bytes(n) = flow { n } else { 0 };
            self.readable = n == want || (n > 0 && self.read_closed);
            filled += n;
            ended = flow == Flow::End;
        }
        if filled == had && !ended && (had == 0 || tls.established) {
            return Ok(Read::Blocked);
        }
        io.sealed.clear();
        let input = io.cipher.get_mut(..filled).unwrap_or_default();
        let received = tls.session.receive(input, plain, &mut io.sealed);
        let (consumed, closed, error) = match &received {
            Ok(r) => {
                tls.established |= r.handshake_done;
                (r.consumed, r.peer_closed, None)
            }
            Err(e) => (filled, true, Some(e.clone())),
        };
        let rest = io.cipher.get(consumed..filled).unwrap_or_default();
        if rest.is_empty() {
            tls.input = Vec::new();
        } else {
            tls.input.clear();
            tls.input.extend_from_slice(rest);
        }
        self.write_sealed(io)?;
        if let Some(e) = error {
            return Err(io::Error::other(e));
        }
        let (has_data, is_over) = (plain.len() > RESERVE, closed || ended);
        if let Some(tls) = self.tls.as_deref_mut() {
            (tls.ended, tls.is_whole) = (is_over, closed);
        }
        // The next read reports the end: no event need follow a close_notify.
        self.readable |= is_over && has_data;
        Ok(if is_over && !has_data { Read::End } else { Read::Data(RESERVE..plain.len()) })
    }

    /// Takes all of `head` and `buffer[range]`: writes what the socket accepts now and keeps the
    /// rest, in the buffer itself if most of it is left. The caller sends only small things before
    /// `out` is empty.
    pub(crate) fn send(
        &mut self,
        io: &mut Io,
        head: &[u8],
        buffer: &mut Vec<u8>,
        range: Range<usize>,
    ) -> io::Result<()> {
        if let Some(tls) = self.tls.as_deref_mut() {
            io.sealed.clear();
            let body = buffer.get(range).unwrap_or_default();
            let sealed = tls.session.send_parts(head, body, &mut io.sealed);
            sealed.map_err(|e| io::Error::other(e.to_string()))?;
            return self.write_sealed(io);
        }
        let body = buffer.get(range.clone()).unwrap_or_default();
        if !self.out.is_empty() {
            self.out.push(head, &mut io.pool);
            self.out.push(body, &mut io.pool);
            return Ok(());
        }
        let total = head.len() + body.len();
        if total == 0 {
            return Ok(());
        }
        let flow = match (head.is_empty(), body.is_empty()) {
            (true, _) => hg_net::write(&self.fd, body),
            (_, true) => hg_net::write(&self.fd, head),
            _ if total <= JOIN => {
                io.sealed.clear();
                io.sealed.extend_from_slice(head);
                io.sealed.extend_from_slice(body);
                hg_net::write(&self.fd, &io.sealed)
            }
            _ => hg_net::write_parts(&self.fd, &[IoSlice::new(head), IoSlice::new(body)]),
        };
        let written = if let Flow::Bytes(n) = self.wrote(flow)? { n } else { 0 };
        if written == total {
            return Ok(());
        }
        if written < head.len() || total - written < TAKE_OVER {
            let rest = body.get(written.saturating_sub(head.len())..).unwrap_or_default();
            self.out.push(head.get(written..).unwrap_or_default(), &mut io.pool);
            self.out.push(rest, &mut io.pool);
        } else {
            let left = range.start + (written - head.len())..range.end;
            self.out.adopt(buffer, left, &mut io.pool);
        }
        Ok(())
    }

    /// Fills an empty pipe with at most `limit` bytes of a plain connection; the socket may still
    /// hold more.
    pub(crate) fn fill(&mut self, pipe: &mut Pipe, limit: usize) -> io::Result<Flow> {
        let flow = pipe.fill(&self.fd, limit)?;
        self.readable = matches!(flow, Flow::Bytes(_));
        Ok(flow)
    }

    /// Sends what a pipe holds as [`Conn::send`] does, on a plain connection whose `out` is empty.
    pub(crate) fn send_pipe(&mut self, io: &mut Io, mut pipe: Box<Pipe>) -> io::Result<()> {
        let drained = pipe.drain(&self.fd);
        self.wrote(drained)?;
        self.out.keep_pipe(pipe, &mut io.pool);
        Ok(())
    }

    /// Sends a few bytes as [`Conn::send`] does.
    pub(crate) fn send_small(&mut self, io: &mut Io, bytes: &[u8]) -> io::Result<()> {
        self.send(io, bytes, &mut Vec::new(), 0..0)
    }

    /// Writes `io.sealed`; keeps the rest.
    fn write_sealed(&mut self, io: &mut Io) -> io::Result<()> {
        if io.sealed.is_empty() {
            return Ok(());
        }
        if !self.out.is_empty() {
            self.out.push(&io.sealed, &mut io.pool);
            return Ok(());
        }
        let flow = hg_net::write(&self.fd, &io.sealed);
        let written = match self.wrote(flow)? {
            Flow::Bytes(n) => n,
            _ => 0,
        };
        let end = io.sealed.len();
        if written < end {
            if end - written < TAKE_OVER {
                self.out.push(io.sealed.get(written..).unwrap_or_default(), &mut io.pool);
            } else {
                let mut sealed = std::mem::take(&mut io.sealed);
                self.out.adopt(&mut sealed, written..end, &mut io.pool);
                io.sealed = sealed;
            }
        }
        Ok(())
    }

    /// Writes what was kept; reports whether all of it is written.
    pub(crate) fn flush(&mut self, io: &mut Io) -> io::Result<bool> {
        while !self.out.is_empty() {
            let flow = self.out.write(&self.fd, &mut io.pool);
            if !matches!(self.wrote(flow)?, Flow::Bytes(_)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Sends close_notify after what was kept.
    pub(crate) fn end_tls(&mut self, io: &mut Io) {
        if let Some(tls) = self.tls.as_deref_mut() {
            io.sealed.clear();
            tls.session.close(&mut io.sealed);
            // The connection is about to close, and a peer that is gone misses nothing.
            let _ = self.write_sealed(io);
        }
    }
}

/// Returns what a read found, but for an end that is none: a write found a reset.
fn unless_reset(flow: Flow, was_reset: bool) -> io::Result<Flow> {
    match flow {
        Flow::End if was_reset => Err(io::ErrorKind::ConnectionReset.into()),
        _ => Ok(flow),
    }
}

/// Reports whether an error of a read has sent the peer an alert; one that the peer has sent, and a
/// connection that is gone, have not.
pub(crate) fn sends_alert(error: &io::Error) -> bool {
    let tls = error.get_ref().and_then(|e| e.downcast_ref::<TlsError>());
    tls.is_some_and(|e| e.kind() != TlsErrorKind::Alert)
}

/// Bytes read at once for a head alone; most heads are smaller.
const LONE_HEAD: usize = 4 * 1024;
/// With at least this many bytes left `send` takes the buffer over, with fewer it copies them.
const TAKE_OVER: usize = 8 * 1024;

/// A head and a body of at most so many bytes together are copied into one buffer: a call with two
/// parts takes about 0.2 µs longer than one with one, and the copy much less.
const JOIN: usize = 2 * 1024;

/// Makes sure that a chunk's end fits after `end`.
pub(crate) fn make_room(buffer: &mut Vec<u8>, end: usize) {
    buffer.resize(buffer.len().max(end + TAIL), 0);
}

#[cfg(test)]
mod tests;
