//! The beginnings of streams: PROXY headers, a ClientHello, and a mark that says whose bytes
//! follow. Written and read without the engine's code.

use crate::body::Way;
use crate::ledger::wrong;
use hg_net::Rng;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

/// Bytes of a mark.
pub(crate) const MARK: usize = 6;

const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The beginning of a client's stream.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    /// The client's address as endpoints get it.
    pub(crate) source: SocketAddr,
    /// The PROXY header before its bytes; may be empty, or none.
    pub(crate) header: Vec<u8>,
    /// Its ClientHello; may be empty.
    pub(crate) hello: Vec<u8>,
    /// True if it asks for the name of the second route.
    pub(crate) is_second: bool,
}

impl Start {
    /// Returns what it sends before its mark.
    pub(crate) fn first(&self) -> Vec<u8> {
        [self.header.as_slice(), self.hello.as_slice()].concat()
    }
}

/// Returns the mark of a side's bytes.
pub(crate) fn mark((way, id): (Way, usize)) -> Vec<u8> {
    let side = if way == Way::Up { b'c' } else { b'e' };
    let mut mark = vec![b'#', side];
    mark.extend_from_slice(&u32::try_from(id).unwrap_or(u32::MAX).to_be_bytes());
    mark
}

/// Returns a header of the PROXY protocol.
pub(crate) fn header(version: u8, source: SocketAddr) -> Vec<u8> {
    let ip = match source {
        SocketAddr::V4(source) => *source.ip(),
        SocketAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    };
    if version == 1 {
        return format!("PROXY TCP4 {ip} 10.0.0.1 {} 80\r\n", source.port()).into_bytes();
    }
    let mut out = V2.to_vec();
    out.extend_from_slice(&[0x21, 0x11, 0, 12]);
    out.extend_from_slice(&ip.octets());
    out.extend_from_slice(&[10, 0, 0, 1]);
    out.extend_from_slice(&source.port().to_be_bytes());
    out.extend_from_slice(&80u16.to_be_bytes());
    out
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    let mut out = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes().to_vec();
    out.extend_from_slice(bytes);
    out
}

/// Returns a ClientHello that asks for a name, in one record or several, with up to some KiB of key
/// shares.
pub(crate) fn hello(name: &str, rng: &mut Rng) -> Vec<u8> {
    let mut host = vec![0];
    host.extend_from_slice(&sized(name.as_bytes()));
    let mut extensions = vec![0, 0];
    extensions.extend_from_slice(&sized(&sized(&host)));
    extensions.extend_from_slice(&[0, 51]);
    let share = usize::try_from(rng.size(4_000)).unwrap_or(0);
    extensions.extend_from_slice(&sized(&vec![0x5a; share]));
    let mut body = vec![3, 3];
    body.extend((0..32).map(|_| rng.bits() as u8));
    body.extend_from_slice(&[0, 0, 2, 0x13, 1, 1, 0]);
    body.extend_from_slice(&sized(&extensions));
    let len = u32::try_from(body.len()).unwrap_or(0).to_be_bytes();
    let mut message = vec![1];
    message.extend_from_slice(len.get(1..).unwrap_or_default());
    message.extend_from_slice(&body);
    let mut out = Vec::new();
    let mut rest = message.as_slice();
    while !rest.is_empty() {
        let cut = rng.between(1, rest.len() as u64);
        let cut = if rng.chance(500) { rest.len() as u64 } else { cut.max(40) };
        let n = usize::try_from(cut).unwrap_or(1).min(rest.len());
        let (record, left) = rest.split_at(n);
        out.extend_from_slice(&[22, 3, 1]);
        out.extend_from_slice(&sized(record));
        rest = left;
    }
    out
}

/// The data that came before the bytes of the other side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Met {
    /// The version of the PROXY header, and where it says that the client is.
    pub(crate) told: Option<(u8, SocketAddr)>,
    pub(crate) hello: Vec<u8>,
    /// The id of the side whose bytes follow.
    pub(crate) id: usize,
}

/// Reads the beginning of a stream.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    pub(crate) input: Vec<u8>,
    met: Met,
}

impl Opening {
    /// Returns who the other side is, once all of its opening has come; its bytes are left.
    pub(crate) fn next(&mut self, from: Way) -> io::Result<Option<Met>> {
        loop {
            match self.input.first() {
                None => return Ok(None),
                Some(b'#') => return self.mark(from),
                Some(_) if from == Way::Down => return self.nonsense(),
                Some(22) => {
                    let Some(&[_, _, _, hi, lo]) = self.input.first_chunk::<5>() else {
                        return Ok(None);
                    };
                    let len = 5 + usize::from(u16::from_be_bytes([hi, lo]));
                    if self.input.len() < len {
                        return Ok(None);
                    }
                    self.met.hello.extend(self.input.drain(..len));
                }
                Some(b'P' | b'\r') if self.met.told.is_none() && self.met.hello.is_empty() => {
                    let is_text = self.input.first() == Some(&b'P');
                    let read = if is_text { v1(&self.input) } else { v2(&self.input) };
                    let Some((len, source)) = read? else { return Ok(None) };
                    self.met.told = Some((if is_text { 1 } else { 2 }, source));
                    self.input.drain(..len);
                }
                Some(_) => return self.nonsense(),
            }
        }
    }

    fn nonsense<T>(&self) -> io::Result<T> {
        wrong(format!("a stream begins with {:?}", self.input.get(..16).unwrap_or(&self.input)))
    }

    fn mark(&mut self, from: Way) -> io::Result<Option<Met>> {
        let Some(&[_, _, a, b, c, d]) = self.input.first_chunk::<MARK>() else {
            return Ok(None);
        };
        let id = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if !self.input.starts_with(&mark((from, id))) {
            return self.nonsense();
        }
        self.input.drain(..MARK);
        self.met.id = id;
        Ok(Some(std::mem::take(&mut self.met)))
    }
}

fn v1(input: &[u8]) -> io::Result<Option<(usize, SocketAddr)>> {
    let Some(end) = input.windows(2).position(|w| w == b"\r\n") else {
        return Ok(None);
    };
    let line = String::from_utf8_lossy(input.get(..end).unwrap_or_default()).into_owned();
    let words: Vec<&str> = line.split(' ').collect();
    let [_, "TCP4", ip, _, port, "80"] = words.as_slice() else {
        return wrong(format!("an endpoint is told {line:?}"));
    };
    match format!("{ip}:{port}").parse() {
        Ok(source) => Ok(Some((end + 2, source))),
        Err(_) => wrong(format!("an endpoint is told {line:?}")),
    }
}

fn v2(input: &[u8]) -> io::Result<Option<(usize, SocketAddr)>> {
    let Some(&[.., command, family, hi, lo]) = input.first_chunk::<16>() else {
        return Ok(None);
    };
    let len = 16 + usize::from(u16::from_be_bytes([hi, lo]));
    let Some(addresses) = input.get(16..len) else { return Ok(None) };
    match (addresses, input.starts_with(V2)) {
        (&[a, b, c, d, _, _, _, _, hi, lo, ..], true) if (command, family) == (0x21, 0x11) => {
            let port = u16::from_be_bytes([hi, lo]);
            Ok(Some((len, SocketAddr::from(([a, b, c, d], port)))))
        }
        _ => wrong(format!("an endpoint is told {:?}", input.get(..len))),
    }
}
