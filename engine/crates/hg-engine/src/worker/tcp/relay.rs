//! Bytes in both directions. A side is read only while the other one has taken everything, so that
//! a session holds at most one read, or the content of one pipe, for each direction.

use super::super::conn::{Conn, Io, Read, sends_alert};
use super::super::{Turn, Worker};
use super::halves::{Half, Side};
use super::session::{Phase, Session, SessionId};
use crate::counters::Close;
use hg_middleware::Context;
use hg_net::{Event, Flow, Ticks};
use hg_policy::Random;
use hg_tls::TlsError;
use std::borrow::Cow;
use std::error::Error;
use std::io;

/// Bytes that a session passes in one turn before others have theirs.
const QUANTUM: usize = 1024 * 1024;

/// After a read of so many bytes the next ones are spliced: their pages pass without a copy.
const BULK: usize = 64 * 1024;

/// The least cost of a read, in bytes: TLS records may hold none.
const READ_COST: usize = 4 * 1024;

/// Fewer bytes than these in a pipe are cheaper to copy.
const SCANT: usize = 16 * 1024;

/// The result of one step in one direction.
enum Step {
    Passed(usize),
    /// Nothing to read, or the sink is behind.
    Blocked,
    /// The source has sent its end.
    Ended,
}

/// The reason why a session cannot go on.
struct Failed {
    why: Close,
    /// The same in words.
    detail: Cow<'static, str>,
    /// True if the client was notified by an alert.
    is_told: bool,
}

impl Failed {
    /// Returns what it means that a read of a side failed.
    fn read(side: Side, error: &io::Error) -> Self {
        let is_tls = error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<TlsError>);
        let why = match side {
            Side::Client if is_tls => Close::ClientTls,
            Side::Endpoint if is_tls => Close::EndpointTls,
            _ => reset_by(side),
        };
        let is_told = side == Side::Client && sends_alert(error);
        Self { why, detail: error.to_string().into(), is_told }
    }

    /// Returns what it means that nothing can be written to a side.
    fn write(side: Side) -> Self {
        Self::of(reset_by(side), "the connection was reset")
    }

    fn cut(side: Side) -> Self {
        Self::of(cut_by(side), "the connection ended without close_notify")
    }

    fn of(why: Close, detail: &'static str) -> Self {
        Self { why, detail: detail.into(), is_told: false }
    }
}

impl Worker {
    /// Continues after an event of one side.
    pub(super) fn on_side_event(&mut self, id: SessionId, side: Side, event: Event) {
        let Some(s) = self.tcp.get_mut(id) else {
            return;
        };
        let Phase::Relaying(up) = &mut s.phase else { return };
        let conn = match side {
            Side::Client => &mut s.client,
            Side::Endpoint => up,
        };
        if event.writable && !conn.out.is_empty() {
            if conn.flush(&mut self.io).is_err() {
                return self.fail_session(id, &Failed::write(side));
            }
            s.times.active_at = self.now;
        }
        self.pump_session(id);
    }

    /// Passes what has come in both directions while the other side takes it.
    pub(super) fn pump_session(&mut self, id: SessionId) {
        let Some(s) = self.tcp.get_mut(id) else {
            return;
        };
        let was_half_open = s.halves.is_half_open();
        let before = s.halves.bytes();
        let mut again = false;
        let now_us = self.now_us;
        for from in [Side::Client, Side::Endpoint] {
            match pass_all(&mut self.io, s, from, now_us) {
                Ok(more) => again |= more,
                Err(failed) => {
                    self.count_bytes(id, before);
                    return self.fail_session(id, &failed);
                }
            }
        }
        if s.has_seen_an_end()
            && let Some(failed) = unread_reset(s)
        {
            self.count_bytes(id, before);
            return self.fail_session(id, &failed);
        }
        if s.halves.bytes() != before {
            s.times.active_at = self.now;
        }
        let is_heard = s.target.acceptance.due() != Ticks::MAX && s.halves.bytes().1 > 0;
        let over = s.halves.over();
        let turned = s.halves.is_half_open() != was_half_open || s.halves.resumes_at().is_some();
        if again && !std::mem::replace(&mut s.queued, true) {
            self.agenda.add(Turn::Session(id));
        }
        self.count_bytes(id, before);
        if is_heard {
            self.note_accepted(id);
        }
        match over {
            Some(Side::Client) => self.close_session(id, Close::ClientEnd),
            Some(Side::Endpoint) => self.close_session(id, Close::EndpointEnd),
            None if turned => self.arm_session(id),
            None => {}
        }
    }

    /// Ends a session of which one side has failed.
    fn fail_session(&mut self, id: SessionId, failed: &Failed) {
        if matches!(failed.why, Close::EndpointTls | Close::EndpointCut | Close::EndpointReset) {
            self.note_refused(id, &failed.detail);
        }
        match failed.is_told {
            true => self.linger_session(id, failed.why),
            false => self.close_session(id, failed.why),
        }
    }

    /// Goes on with a session that was held back.
    pub(super) fn resume_session(&mut self, id: SessionId) {
        if let Some(s) = self.tcp.get_mut(id) {
            s.times.active_at = self.now;
        }
        self.pump_session(id);
        // The entry that woke it was its only one.
        self.arm_session(id);
    }

    /// Has the bytes of a session pass only as quickly as its route says.
    pub(super) fn pace_session(&mut self, id: SessionId) {
        let (now_us, worker, rng) = (self.now_us, self.mailbox.index, &mut self.rng);
        let Some(s) = self.tcp.get_mut(id) else {
            return;
        };
        let Some(limit) = s.route.as_ref().and_then(|route| route.then.bandwidth.as_ref()) else {
            return;
        };
        let mut random = || rng.next_u64();
        let unix_us = hg_net::unix_micros;
        let mut cx = Context { now_us, unix_us, random: &mut random, worker, accounts: None };
        s.halves.pace(limit.paces(s.origin.peer.ip(), &mut cx));
    }

    /// Takes the session's next turn.
    pub(in super::super) fn take_session_turn(&mut self, id: SessionId) {
        if let Some(s) = self.tcp.get_mut(id) {
            s.queued = false;
            self.pump_session(id);
        }
    }

    fn count_bytes(&mut self, id: SessionId, before: (u64, u64)) {
        if let Some(s) = self.tcp.get_mut(id) {
            let (received, sent) = s.halves.bytes();
            self.counters.bytes_received.add(received - before.0);
            self.counters.bytes_sent.add(sent - before.1);
        }
    }
}

fn reset_by(side: Side) -> Close {
    match side {
        Side::Client => Close::ClientReset,
        Side::Endpoint => Close::EndpointReset,
    }
}

impl Session {
    /// Reports whether an event has told of the end of a side.
    #[inline]
    fn has_seen_an_end(&self) -> bool {
        self.client.read_closed || matches!(&self.phase, Phase::Relaying(up) if up.read_closed)
    }
}

/// Returns the failure of a side whose reset no read finds, because the other side is behind.
#[cold]
fn unread_reset(s: &Session) -> Option<Failed> {
    let Phase::Relaying(up) = &s.phase else { return None };
    if !up.out.is_empty() && s.client.is_reset() {
        return Some(Failed::write(Side::Client));
    }
    (!s.client.out.is_empty() && up.is_reset()).then(|| Failed::write(Side::Endpoint))
}

/// Passes what one side has sent, and its end. Reports whether there may be more after this turn.
fn pass_all(io: &mut Io, s: &mut Session, from: Side, now_us: u64) -> Result<bool, Failed> {
    let Phase::Relaying(up) = &mut s.phase else {
        return Ok(false);
    };
    let (source, sink) = match from {
        Side::Client => (&mut s.client, up),
        Side::Endpoint => (up, &mut s.client),
    };
    let mut passed = 0;
    let mut ended = false;
    s.halves.of(from).release();
    while s.halves.of(from).is_open() && source.readable && sink.out.is_empty() {
        if passed >= QUANTUM {
            return Ok(true);
        }
        let half = s.halves.of(from);
        let most = half.allowed(now_us);
        if most == 0 {
            return Ok(false);
        }
        let splices = half.is_bulk && most >= SCANT && !source.is_tls() && !sink.is_tls();
        let step = if splices { splice(io, half, (source, sink), (from, most)) } else { None };
        let step = match step {
            Some(step) => step,
            None => copy(io, half, (source, sink), (from, most)),
        };
        match step? {
            Step::Passed(n) => {
                half.bytes += n as u64;
                passed += n.max(READ_COST);
            }
            Step::Blocked => break,
            Step::Ended => {
                ended = true;
                break;
            }
        }
    }
    if ended {
        if source.is_cut() {
            return Err(Failed::cut(from));
        }
        s.halves.end(from);
    }
    pass_end(io, s.halves.of(from), sink);
    Ok(false)
}

/// Passes the end of a direction, once everything before it has.
fn pass_end(io: &mut Io, half: &mut Half, sink: &mut Conn) {
    if half.owes_end() && sink.out.is_empty() {
        // Once: a second close_notify is none.
        sink.end_tls(io);
    }
    if half.owes_end() && sink.out.is_empty() {
        hg_net::shutdown_write(&sink.fd);
        half.told();
    }
}

fn cut_by(side: Side) -> Close {
    match side {
        Side::Client => Close::ClientCut,
        Side::Endpoint => Close::EndpointCut,
    }
}

/// Reads once and sends that.
fn copy(
    io: &mut Io,
    half: &mut Half,
    (source, sink): (&mut Conn, &mut Conn),
    (from, most): (Side, usize),
) -> Result<Step, Failed> {
    let limit = io.pool.read_limit().min(most);
    let mut buffer = io.take_for(source);
    let step = match source.read(io, &mut buffer, limit) {
        Ok(Read::Data(range)) => {
            let n = range.len();
            half.is_bulk = n >= BULK;
            let sent = sink.send(io, &[], &mut buffer, range);
            sent.map(|()| Step::Passed(n)).map_err(|_| Failed::write(from.other()))
        }
        Ok(Read::Blocked) => Ok(Step::Blocked),
        Ok(Read::End) => Ok(Step::Ended),
        Err(e) => Err(Failed::read(from, &e)),
    };
    io.give_back(source.is_tls(), buffer);
    step
}

/// Moves pages through a pipe; `None` if there is no pipe to be had.
fn splice(
    io: &mut Io,
    half: &mut Half,
    (source, sink): (&mut Conn, &mut Conn),
    (from, most): (Side, usize),
) -> Option<Result<Step, Failed>> {
    let mut pipe = io.pool.take_pipe()?;
    let n = match source.fill(&mut pipe, most) {
        Ok(Flow::Bytes(n)) => n,
        Ok(empty) => {
            io.pool.put_pipe(pipe);
            half.is_bulk = false;
            return Some(Ok(if empty == Flow::End { Step::Ended } else { Step::Blocked }));
        }
        Err(e) => return Some(Err(Failed::read(from, &e))),
    };
    half.is_bulk = n >= SCANT;
    let sent = sink.send_pipe(io, pipe);
    Some(sent.map(|()| Step::Passed(n)).map_err(|_| Failed::write(from.other())))
}

#[cfg(test)]
mod tests;
