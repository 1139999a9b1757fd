//! An endpoint's connection: its first bytes say which HTTP the worker speaks on it.

use crate::endpoint::{Habits, Session};
use crate::http2::{self, PREFACE, Ways};
use crate::world::{Actor, Cx, Stir};
use hg_net::Received;
use std::io;

pub(crate) enum Speaker {
    /// Nothing has come that decides.
    Undecided {
        socket: usize,
        habits: Habits,
        ways: Ways,
        input: Vec<u8>,
    },
    Http1(Box<Session>),
    Http2(Box<http2::Session>),
}

impl Speaker {
    pub(crate) fn new(socket: usize, (habits, ways): (Habits, Ways)) -> Self {
        Self::Undecided { socket, habits, ways, input: Vec::new() }
    }

    /// Reads until it is clear who is to speak.
    fn decide(&mut self, cx: &mut Cx<'_>) -> io::Result<()> {
        let Self::Undecided { socket, habits, ways, input } = self else { return Ok(()) };
        let (socket, most) = (*socket, PREFACE.len() - input.len());
        match hg_net::receive(socket, input, most) {
            Received::Nothing => return Ok(()),
            Received::End | Received::Reset => {
                hg_net::close(socket);
                return Ok(());
            }
            Received::Bytes(_) => {}
        }
        let is_preface = PREFACE.starts_with(input);
        if is_preface && input.len() < PREFACE.len() {
            return self.decide(cx);
        }
        let (habits, input) = (habits.clone(), std::mem::take(input));
        *self = match is_preface {
            true => Self::Http2(Box::new(http2::Session::new(socket, habits, ways.clone()))),
            false => Self::Http1(Box::new(Session::new(socket, habits, input))),
        };
        self.on(cx, Stir::Begin)
    }
}

impl Actor for Speaker {
    fn on(&mut self, cx: &mut Cx<'_>, what: Stir) -> io::Result<()> {
        match self {
            Self::Undecided { .. } => self.decide(cx),
            Self::Http1(session) => session.on(cx, what),
            Self::Http2(session) => session.on(cx, what),
        }
    }

    fn state(&self) -> String {
        match self {
            Self::Undecided { socket, .. } => format!("endpoint: socket {socket} says nothing"),
            Self::Http1(session) => session.state(),
            Self::Http2(session) => session.state(),
        }
    }
}
