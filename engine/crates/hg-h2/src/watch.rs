//! The times of one connection, as pure code: the owner tells what happened and when, and asks what
//! is due.

use crate::close::{Close, Code, Reason};
use crate::session::{Session, Waiting};

/// The times that a connection may take; 0 is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// For the preface and the first SETTINGS.
    pub greeting_ms: u64,
    /// For the rest of a header block.
    pub head_ms: u64,
    /// For the acknowledgement of our SETTINGS.
    pub settings_ms: u64,
    /// Without taking anything of what waits to be sent.
    pub write_ms: u64,
    /// For reading the first GOAWAY of a graceful end.
    pub drain_ms: u64,
    /// Without a stream.
    pub idle_ms: u64,
    /// Without a byte of the peer, before it gets a PING.
    pub keepalive_ms: u64,
    /// For anything of the peer after that PING.
    pub pong_ms: u64,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            greeting_ms: 5000,
            head_ms: 10_000,
            settings_ms: 10_000,
            write_ms: 30_000,
            drain_ms: 1000,
            idle_ms: 60_000,
            keepalive_ms: 0,
            pong_ms: 20_000,
        }
    }
}

/// The action that the owner must take now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// [`Session::finish`]: the peer did not acknowledge a graceful end.
    Finish,
    /// [`Session::shutdown`]: the connection is idle.
    Shutdown,
    /// [`Session::ping`], then [`Watch::asked`]: nothing came for long.
    Ping,
    /// [`Session::abort`] with this, then close once the output is sent or cannot be.
    Abort(Close),
}

/// The times since which a connection waits, by what it waits for.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    waiting: Waiting,
    waiting_ms: u64,
    /// The time since which output waits and nothing of it was taken.
    blocked_ms: Option<u64>,
    draining_ms: Option<u64>,
    idle_ms: Option<u64>,
    /// The time at which the peer last said something.
    heard_ms: u64,
    /// The time at which it was asked for anything, if it has said nothing since.
    asked_ms: Option<u64>,
}

impl Watch {
    /// Begins with a connection that was just opened.
    pub fn new(now_ms: u64) -> Self {
        Self {
            waiting: Waiting::Greeting,
            waiting_ms: now_ms,
            blocked_ms: None,
            draining_ms: None,
            idle_ms: None,
            heard_ms: now_ms,
            asked_ms: None,
        }
    }

    /// Notes that bytes of the peer came.
    #[inline]
    pub fn heard(&mut self, now_ms: u64) {
        (self.heard_ms, self.asked_ms) = (now_ms, None);
    }

    /// Notes that the peer got a PING because nothing came of it.
    pub fn asked(&mut self, now_ms: u64) {
        self.asked_ms = Some(now_ms);
    }

    /// Looks at the session at the end of a turn; `wrote` says that the peer took some of the
    /// output.
    pub fn turn(&mut self, session: &Session, wrote: bool, now_ms: u64) {
        let waiting = session.waiting();
        if waiting != self.waiting {
            (self.waiting, self.waiting_ms) = (waiting, now_ms);
        }
        let since = |before: Option<u64>, is: bool| is.then(|| before.unwrap_or(now_ms));
        let blocked = self.blocked_ms.filter(|_| !wrote);
        self.blocked_ms = since(blocked, !session.output().is_empty());
        self.draining_ms = since(self.draining_ms, session.is_draining());
        let idle = session.streams() == 0 && waiting == Waiting::Nothing;
        self.idle_ms = since(self.idle_ms, idle && !session.is_ending());
    }

    /// Returns every limit that runs: when it ends and what is due then.
    fn limits(&self, times: &Times) -> [Option<(u64, Due)>; 5] {
        let abort = |code, reason| Due::Abort(Close { code, reason });
        let (limit, due) = match self.waiting {
            Waiting::Greeting => {
                (times.greeting_ms, abort(Code::PROTOCOL_ERROR, Reason::GreetingTimeout))
            }
            Waiting::Block => (times.head_ms, abort(Code::PROTOCOL_ERROR, Reason::HeadTimeout)),
            Waiting::SettingsAck => {
                (times.settings_ms, abort(Code::SETTINGS_TIMEOUT, Reason::SettingsTimeout))
            }
            Waiting::Nothing => (0, Due::Nothing),
        };
        let write = abort(Code::NO_ERROR, Reason::WriteTimeout);
        let (silent, silence_ms, over) = match self.asked_ms.filter(|_| times.keepalive_ms > 0) {
            Some(asked) => (asked, times.pong_ms, abort(Code::NO_ERROR, Reason::PingTimeout)),
            None => (self.heard_ms, times.keepalive_ms, Due::Ping),
        };
        let at = |since: Option<u64>, limit: u64, due: Due| {
            since.filter(|_| limit > 0).map(|since| (since.saturating_add(limit), due))
        };
        [
            at(Some(self.waiting_ms), limit, due),
            at(self.blocked_ms, times.write_ms, write),
            at(self.draining_ms, times.drain_ms, Due::Finish),
            at(self.idle_ms, times.idle_ms, Due::Shutdown),
            at(Some(silent), silence_ms, over),
        ]
    }

    /// Returns when something is due, if nothing happens before.
    pub fn deadline_ms(&self, times: &Times) -> Option<u64> {
        self.limits(times).iter().flatten().map(|(at, _)| *at).min()
    }

    /// Returns what is due: the limit that ended first.
    pub fn due(&self, times: &Times, now_ms: u64) -> Due {
        let ended = self.limits(times).into_iter().flatten().filter(|(at, _)| *at <= now_ms);
        ended.min_by_key(|(at, _)| *at).map_or(Due::Nothing, |(_, due)| due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{Limits, Role};
    use crate::message::Incoming;
    use crate::session::PREFACE;

    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    const ACK: [u8; 9] = [0, 0, 0, 4, 1, 0, 0, 0, 0];

    fn feed(session: &mut Session, bytes: &[u8]) {
        let (mut at, mut incoming) = (0, Incoming::new());
        while session.next(bytes, &mut at, 0, &mut incoming).unwrap().is_some() {}
    }

    fn abort(code: Code, reason: Reason) -> Due {
        Due::Abort(Close { code, reason })
    }

    #[test]
    fn a_connection_must_greet_and_acknowledge_in_time() {
        let times = Times::default();
        let mut session = Session::new(Role::Server, Limits::server());
        let mut watch = Watch::new(100);
        watch.turn(&session, true, 200);
        assert_eq!(watch.deadline_ms(&times), Some(5100));
        assert_eq!(watch.due(&times, 5099), Due::Nothing);
        let greeting = abort(Code::PROTOCOL_ERROR, Reason::GreetingTimeout);
        assert_eq!(watch.due(&times, 5100), greeting);
        feed(&mut session, PREFACE);
        watch.turn(&session, true, 4000);
        assert_eq!(watch.due(&times, 5100), greeting, "the preface alone gives no more time");
        feed(&mut session, &SETTINGS);
        watch.turn(&session, true, 5000);
        let settings = abort(Code::SETTINGS_TIMEOUT, Reason::SettingsTimeout);
        assert_eq!(
            (watch.due(&times, 14_999), watch.due(&times, 15_000)),
            (Due::Nothing, settings)
        );
        feed(&mut session, &ACK);
        let sent = session.output().len();
        session.sent(sent);
        watch.turn(&session, true, 6000);
        assert_eq!(watch.deadline_ms(&times), Some(66_000));
        assert_eq!(watch.due(&times, 66_000), Due::Shutdown);
        // A block that does not end.
        feed(&mut session, &[0, 0, 0, 1, 0, 0, 0, 0, 1]);
        watch.turn(&session, false, 7000);
        let head = abort(Code::PROTOCOL_ERROR, Reason::HeadTimeout);
        assert_eq!((watch.due(&times, 16_999), watch.due(&times, 17_000)), (Due::Nothing, head));
    }

    #[test]
    fn a_peer_that_takes_nothing_is_closed_and_a_slow_one_is_not() {
        let times = Times { greeting_ms: 0, ..Times::default() };
        let session = Session::new(Role::Server, Limits::server());
        let mut watch = Watch::new(0);
        watch.turn(&session, false, 1000);
        watch.turn(&session, false, 20_000);
        let write = abort(Code::NO_ERROR, Reason::WriteTimeout);
        assert_eq!((watch.due(&times, 30_999), watch.due(&times, 31_000)), (Due::Nothing, write));
        watch.turn(&session, true, 30_000);
        assert_eq!(watch.due(&times, 31_000), Due::Nothing);
        assert_eq!(watch.deadline_ms(&times), Some(60_000));
    }

    #[test]
    fn a_graceful_end_that_is_not_acknowledged_goes_on() {
        let times = Times::default();
        let mut session = Session::new(Role::Server, Limits::server());
        feed(&mut session, &[&PREFACE[..], &SETTINGS, &ACK].concat());
        let mut watch = Watch::new(0);
        session.shutdown();
        let sent = session.output().len();
        session.sent(sent);
        watch.turn(&session, true, 500);
        assert_eq!((watch.due(&times, 1499), watch.due(&times, 1500)), (Due::Nothing, Due::Finish));
        session.finish();
        watch.turn(&session, true, 1500);
        assert_eq!(watch.due(&times, 2000), Due::Nothing);
    }

    #[test]
    fn a_silent_peer_is_asked_and_then_given_up() {
        let times = Times { keepalive_ms: 1000, pong_ms: 200, ..Times::default() };
        let mut session = Session::new(Role::Server, Limits::server());
        feed(&mut session, &[&PREFACE[..], &SETTINGS, &ACK].concat());
        let sent = session.output().len();
        session.sent(sent);
        let mut watch = Watch::new(0);
        watch.turn(&session, true, 0);
        watch.heard(500);
        assert_eq!((watch.due(&times, 1499), watch.due(&times, 1500)), (Due::Nothing, Due::Ping));
        watch.asked(1500);
        assert_eq!(
            (watch.due(&times, 1699), watch.deadline_ms(&times)),
            (Due::Nothing, Some(1700))
        );
        let over = Close { code: Code::NO_ERROR, reason: Reason::PingTimeout };
        assert_eq!(watch.due(&times, 1700), Due::Abort(over));
        watch.heard(1650);
        assert_eq!((watch.due(&times, 1700), watch.due(&times, 2650)), (Due::Nothing, Due::Ping));
        let off = Times { keepalive_ms: 0, ..times };
        assert_eq!(watch.due(&off, 9000), Due::Nothing);
    }
}
