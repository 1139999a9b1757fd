//! A stream connection of either side: socket, TLS session if any, and the bytes its peer has not
//! taken yet. What is above sees plaintext only.

use super::buffers::{BufferPool, Out, READ_MAX, RESERVE, TAIL};
use hg_middleware::ClientCertificate;
use hg_net::{Flow, Pipe};
use hg_tls::{ClientSession, HandshakeKind, PeerCertificate, ServerSession, TlsError};
use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// The scratch space every connection of a worker shares.
pub(crate) struct Io {
    /// Plain reads go here; always of full length.
    pub(crate) scratch: Vec<u8>,
    /// Decrypted bytes; grows and shrinks.
    plain: Vec<u8>,
    /// Received ciphertext.
    cipher: Vec<u8>,
    /// Ciphertext to send.
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
    /// The buffer to read a connection with; give it back with [`Io::give_back`]. Taken again before
    /// that (what reads a head goes on with the body), it is another one.
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
    /// `1.2` or `1.3`; empty before one is agreed.
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

    /// Full or resumed; `None` before it is known.
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
    /// The peer's end came in the same read as its last bytes.
    ended: bool,
}

/// What a read came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// Plaintext, at this range of the buffer; may be empty where TLS had only its own business.
    Data(Range<usize>),
    Blocked,
    /// The peer will send no more.
    End,
}

pub(crate) struct Conn {
    pub(crate) fd: OwnedFd,
    pub(crate) out: Out,
    pub(crate) tls: Option<Box<Tls>>,
    /// The socket may hold bytes (or an end) that were not read.
    pub(crate) readable: bool,
    /// The peer has ended its half, as an event said; a read will come to it.
    pub(crate) read_closed: bool,
    /// The last message it brought had a large body: the next one is expected to.
    pub(crate) brings_much: bool,
}

/// A client's certificate as templates speak of it.
pub(crate) fn of_peer(peer: &PeerCertificate) -> ClientCertificate<'_> {
    ClientCertificate { subject: &peer.subject, fingerprint: &peer.fingerprint }
}

impl Conn {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self {
            fd,
            out: Out::default(),
            tls: None,
            readable: true,
            read_closed: false,
            brings_much: false,
        }
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Begins TLS; `first` is what was already read. A client session has its hello sent.
    pub(crate) fn start_tls(&mut self, session: Session, first: Vec<u8>) {
        self.tls = Some(Box::new(Tls { session, input: first, established: false, ended: false }));
    }

    /// The TLS session, if there is one.
    pub(crate) fn session(&self) -> Option<&Session> {
        self.tls.as_deref().map(|t| &t.session)
    }

    /// The name that a client asked for in its handshake.
    pub(crate) fn sni(&self) -> Option<&str> {
        match self.session()? {
            Session::Server(session) => session.sni(),
            Session::Client(_) => None,
        }
    }

    /// The client's verified certificate, where it gave one.
    pub(crate) fn peer_certificate(&self) -> Option<&Arc<PeerCertificate>> {
        match self.session()? {
            Session::Server(session) => session.peer_certificate(),
            Session::Client(_) => None,
        }
    }

    /// The same as templates speak of it.
    pub(crate) fn client_certificate(&self) -> Option<ClientCertificate<'_>> {
        self.peer_certificate().map(|peer| of_peer(peer))
    }

    /// `TLSv1.2`, `TLSv1.3`, or nothing on a plain connection.
    pub(crate) fn tls_version(&self) -> Option<&'static str> {
        let session = self.session()?;
        Some(if session.version_word() == "1.2" { "TLSv1.2" } else { "TLSv1.3" })
    }

    /// Whether the TLS handshake is over.
    pub(crate) fn is_established(&self) -> bool {
        self.tls.as_deref().is_some_and(|t| t.established)
    }

    /// Sends a client session's hello.
    pub(crate) fn hello(&mut self, io: &mut Io) -> io::Result<()> {
        io.sealed.clear();
        if let Some(Session::Client(s)) = self.tls.as_deref_mut().map(|t| &mut t.session) {
            s.start(&mut io.sealed).map_err(|e| io::Error::other(e.to_string()))?;
        }
        self.write_sealed(io)
    }

    /// How much to read at once where a head is expected: little if a large body will follow, which
    /// is then left to be spliced; else at most `most`, so that a small one comes along.
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
        match hg_net::read(&self.fd, space)? {
            Flow::Bytes(n) => {
                // A short read has emptied the socket: the next event will say so (epoll(7), Q9).
                // An announced end is still to be read.
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
            let space = io.cipher.get_mut(had..READ_MAX).unwrap_or_default();
            let want = space.len();
            let flow = hg_net::read(&self.fd, space)?;
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
        if plain.len() > RESERVE {
            // The next read says so: no event need follow a close_notify.
            if let Some(tls) = self.tls.as_deref_mut().filter(|_| closed || ended) {
                tls.ended = true;
                self.readable = true;
            }
            return Ok(Read::Data(RESERVE..plain.len()));
        }
        Ok(if closed || ended { Read::End } else { Read::Data(RESERVE..RESERVE) })
    }

    /// Takes `head` and `buffer[range]` wholly: writes what the socket accepts now and keeps the
    /// rest, the buffer itself where most of it is left. The caller sends no more before
    /// `out` is empty, save small things.
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
            self.out.push(head);
            self.out.push(body);
            return Ok(());
        }
        let total = head.len() + body.len();
        if total == 0 {
            return Ok(());
        }
        let flow = match (head.is_empty(), body.is_empty()) {
            (true, _) => hg_net::write(&self.fd, body)?,
            (_, true) => hg_net::write(&self.fd, head)?,
            _ => hg_net::write_parts(&self.fd, &[IoSlice::new(head), IoSlice::new(body)])?,
        };
        let written = if let Flow::Bytes(n) = flow { n } else { 0 };
        if written == total {
            return Ok(());
        }
        if written < head.len() || total - written < TAKE_OVER {
            self.out.push(head.get(written..).unwrap_or_default());
            self.out.push(body.get(written.saturating_sub(head.len())..).unwrap_or_default());
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

    /// As [`Conn::send`] for what a pipe holds, on a plain connection whose `out` is empty.
    pub(crate) fn send_pipe(&mut self, io: &mut Io, mut pipe: Box<Pipe>) -> io::Result<()> {
        pipe.drain(&self.fd)?;
        self.out.keep_pipe(pipe, &mut io.pool);
        Ok(())
    }

    /// As [`Conn::send`] for a few bytes.
    pub(crate) fn send_small(&mut self, io: &mut Io, bytes: &[u8]) -> io::Result<()> {
        self.send(io, bytes, &mut Vec::new(), 0..0)
    }

    /// Writes `io.sealed`; the rest is kept.
    fn write_sealed(&mut self, io: &mut Io) -> io::Result<()> {
        if io.sealed.is_empty() {
            return Ok(());
        }
        if !self.out.is_empty() {
            self.out.push(&io.sealed);
            return Ok(());
        }
        let written = match hg_net::write(&self.fd, &io.sealed)? {
            Flow::Bytes(n) => n,
            _ => 0,
        };
        let end = io.sealed.len();
        if written < end {
            if end - written < TAKE_OVER {
                self.out.push(io.sealed.get(written..).unwrap_or_default());
            } else {
                let mut sealed = std::mem::take(&mut io.sealed);
                self.out.adopt(&mut sealed, written..end, &mut io.pool);
                io.sealed = sealed;
            }
        }
        Ok(())
    }

    /// Writes what is kept; whether all of it is gone.
    pub(crate) fn flush(&mut self, io: &mut Io) -> io::Result<bool> {
        while !self.out.is_empty() {
            if !matches!(self.out.write(&self.fd, &mut io.pool)?, Flow::Bytes(_)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Says that we send no more (close_notify), after what is kept.
    pub(crate) fn end_tls(&mut self, io: &mut Io) {
        if let Some(tls) = self.tls.as_deref_mut() {
            io.sealed.clear();
            tls.session.close(&mut io.sealed);
            // The connection is about to be closed: a peer that is gone misses nothing.
            let _ = self.write_sealed(io);
        }
    }
}

/// Bytes read at once for a head alone: most heads are smaller.
const LONE_HEAD: usize = 4 * 1024;
/// With this many bytes left the buffer is taken over, with fewer they are copied.
const TAKE_OVER: usize = 8 * 1024;

/// Makes sure a chunk's end fits behind `end`.
pub(crate) fn make_room(buffer: &mut Vec<u8>, end: usize) {
    if buffer.len() < end + TAIL {
        buffer.resize(end + TAIL, 0);
    }
}
