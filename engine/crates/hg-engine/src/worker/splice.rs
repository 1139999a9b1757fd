//! Large bodies of known length between plain sockets: their pages pass through a pipe, which
//! spares both copies. What is on its way is bounded as with buffers: one pipe's content, then the
//! other side is not read.

use super::Worker;
use super::answer::own;
use super::conn::Conn;
use super::exchange::{ExId, Relay, pair};
use hg_net::Flow;
use hg_proto::BodyReader;

/// With less of a request's body left, reading is as cheap.
const REQUEST_LEAST: u64 = 32 * 1024;

/// With so much of a body in one request, the next one's is left to be spliced.
const REQUEST_MUCH: u64 = 48 * 1024;

/// With less of an answer's body left, reading costs the whole machine less: a client that reads
/// spliced pages finds them in no cache and wakes the worker more often
/// (docs/internals/benchmarks.md, "Bodies").
const ANSWER_LEAST: u64 = 2 * 1024 * 1024;

/// Reports whether a body is so large that the next one had better be spliced from its first byte.
fn is_much(reader: &BodyReader, much: u64) -> bool {
    matches!(reader, BodyReader::Length { left } if *left >= much)
}

/// Returns how many bytes of a body may pass unread, if at least `least` are left of it.
fn worth(relay: &Relay, from: &Conn, to: &Conn, least: u64) -> Option<usize> {
    match relay.reader {
        // What is held back has too few bytes at a time.
        _ if relay.encoded.is_some() || relay.decoded.is_some() || relay.pace.is_some() => None,
        BodyReader::Length { left } if left >= least && !from.is_tls() && !to.is_tls() => {
            Some(usize::try_from(left).unwrap_or(usize::MAX))
        }
        _ => None,
    }
}

impl Relay {
    /// Counts bytes of a body of known length that passed unread.
    fn skip(&mut self, n: usize) {
        self.reader.skip(n as u64);
        self.bytes += n as u64;
        self.done = self.reader.is_done();
    }
}

impl Worker {
    /// Remembers of a request what to expect of the next one.
    pub(super) fn note_request_size(&mut self, x: ExId) {
        if let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) {
            c.conn.brings_much = !e.stream.is_http2() && is_much(&e.request.reader, REQUEST_MUCH);
        }
    }

    /// Remembers of an answer whose head is done what to expect of the next one.
    pub(super) fn note_answer_size(&mut self, x: ExId, ui: usize) {
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return;
        };
        if let Some(up) = self.ups.get_mut(ui) {
            // To a client with TLS nothing is spliced.
            let is_spliced = !c.conn.is_tls() && !e.stream.is_http2() && !e.is_sub();
            up.conn.brings_much = is_spliced && is_much(&e.response.reader, ANSWER_LEAST);
        }
    }

    /// Moves the bytes of a request's body that have arrived. Returns whether there may be more;
    /// `None` where the body must be read.
    pub(super) fn splice_request(&mut self, x: ExId, ui: usize) -> Option<bool> {
        let (e, c) = pair(&mut self.exchanges, &mut self.clients, x)?;
        let up = self.ups.get_mut(ui)?;
        if e.stream.is_http2()
            || e.is_multiplexed()
            || e.keeps_body()
            || !e.request.mirrors.is_empty()
        {
            return None;
        }
        let left = worth(&e.request, &c.conn, &up.conn, REQUEST_LEAST)?;
        let mut pipe = self.io.pool.take_pipe()?;
        let n = match c.conn.fill(&mut pipe, left) {
            Ok(Flow::Bytes(n)) => n,
            Ok(Flow::Blocked) => {
                self.io.pool.put_pipe(pipe);
                return Some(false);
            }
            // The request is cut short: nothing can be made of it.
            Ok(Flow::End) | Err(_) => {
                self.client_gone(x);
                return Some(false);
            }
        };
        e.request.skip(n);
        e.replayable = false;
        e.body_came(n, self.now_us);
        if e.request.done {
            e.start_waiting(self.now_us);
        }
        self.counters.bytes_received.add(n as u64);
        if up.conn.send_pipe(&mut self.io, pipe).is_err() {
            // Its answer may be there already, and say why (RFC 9112 §9.5).
            self.answer_or_lose(x, ui);
            return Some(false);
        }
        self.progress(x);
        Some(true)
    }

    /// Moves the bytes of an answer's body that have arrived. Returns whether there may be more;
    /// `None` where the body must be read.
    pub(super) fn splice_answer(&mut self, x: ExId, ui: usize) -> Option<bool> {
        let (e, c) = pair(&mut self.exchanges, &mut self.clients, x)?;
        let up = self.ups.get_mut(ui)?;
        // Nobody is at the other end of the connection that an internal request has.
        if e.stream.is_http2() || e.is_sub() {
            return None;
        }
        let left = worth(&e.response, &up.conn, &c.conn, ANSWER_LEAST)?;
        // Until what is left may be collected, the endpoint waits for the client in any case.
        if left <= e.most_collected() {
            return None;
        }
        let mut pipe = self.io.pool.take_pipe()?;
        let n = match up.conn.fill(&mut pipe, left) {
            Ok(Flow::Bytes(n)) => n,
            Ok(Flow::Blocked) => {
                self.io.pool.put_pipe(pipe);
                return Some(false);
            }
            Ok(Flow::End) => {
                self.truncated(x, own::RESPONSE_TRUNCATED.detail);
                return Some(false);
            }
            Err(e) => {
                self.truncated(x, &e.to_string());
                return Some(false);
            }
        };
        e.response.skip(n);
        self.counters.bytes_sent.add(n as u64);
        if c.conn.send_pipe(&mut self.io, pipe).is_err() {
            self.client_gone(x);
        } else if e.response.done {
            self.answer_done(x, false);
        } else {
            self.progress(x);
        }
        Some(true)
    }
}

#[cfg(test)]
mod tests;
