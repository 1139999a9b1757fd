//! The work that a worker has to do.

use super::usage::Usage;
use crate::worker::exchange::ExId;
use crate::worker::tcp;
use hg_net::{Fd, Token};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Connections that wait to be closed, each with its descriptor; more are closed at once.
const CLOSING: usize = 8 * 1024;
/// Work that a line keeps room for while it is empty.
const SPARE: usize = 64;

/// The work that continues in a later turn.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Turn {
    /// A connection with pipelined requests or unread bytes: slab index and generation.
    Client(usize, u32),
    /// An exchange over HTTP/2.
    Stream(ExId),
    /// An exchange over HTTP/2 of whose body a part has come.
    Input(ExId),
    /// An exchange over HTTP/2 that may ask its upstream.
    Start(ExId),
    /// A connection to an endpoint over HTTP/2 with unread bytes: slab index and generation.
    Up(usize, u32),
    /// An exchange that waited for a connection which another one opened.
    Join(ExId),
    /// An exchange whose subrequest has ended, and the wait that this ends.
    Answered(ExId, u64),
    /// The copy of a request that is out.
    Mirror(ExId),
    /// A TCP session with unread bytes.
    Session(tcp::SessionId),
    /// A connection to which something has happened.
    Event(Token),
}

/// The standing of a client in its worker's turns.
#[derive(Default)]
pub(crate) struct Standing {
    /// True if it is in the queue of clients for the next turn.
    pub(crate) queued: bool,
    pub(super) usage: Usage,
    /// The line in which its work waits, if any does.
    pub(super) line: Option<usize>,
}

/// A client: slab index and generation.
pub(super) type Id = (usize, u32);

/// The place of a client whose work waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    rank: u64,
    number: u64,
    id: Id,
}

/// The work that is to be done.
#[derive(Default)]
pub(crate) struct Agenda {
    /// The next turn.
    pub(super) queue: VecDeque<Turn>,
    /// Work that waits, of one client each, and since when.
    lines: Vec<VecDeque<(u64, Turn)>>,
    /// Lines without a client.
    free: Vec<usize>,
    /// Clients whose work waits, by how much they have had and then by when they came.
    order: BinaryHeap<Reverse<Place>>,
    /// The number of places that were taken.
    places: u64,
    /// Abandoned connections.
    pub(super) closing: VecDeque<Fd>,
    /// True if this round closes some of them before it works for those that wait.
    pub(super) closes_first: bool,
    /// The client for which the worker works, since it last looked at the clock.
    pub(super) served: Option<usize>,
    /// The time at which this round has taken a while.
    pub(super) full_at_us: u64,
    /// The time until which clients wait in a round that has taken a while.
    pub(super) ordered_until_us: u64,
}

impl Agenda {
    pub(crate) fn add(&mut self, turn: Turn) {
        self.queue.push_back(turn);
    }

    pub(crate) fn extend(&mut self, turns: impl Iterator<Item = Turn>) {
        self.queue.extend(turns);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.order.is_empty() && self.closing.is_empty()
    }

    /// Closes a connection with a reset, soon: with unread bytes that can take as long as a request.
    pub(crate) fn close(&mut self, fd: Fd) {
        match self.closing.len() < CLOSING {
            true => self.closing.push_back(fd),
            false => hg_net::close_with_reset(fd),
        }
    }

    /// Closes everything that was given up, for its descriptors are needed.
    pub(crate) fn close_all(&mut self) {
        self.closing.drain(..).for_each(hg_net::close_with_reset);
    }

    /// Adds to the work of a client that waits.
    pub(super) fn put_off(&mut self, (id, it): (Id, &mut Standing), now_us: u64, turn: Turn) {
        let at = match it.line {
            Some(at) => at,
            None => {
                let at = self.free_line();
                it.line = Some(at);
                self.give_place((id, it), now_us);
                at
            }
        };
        if let Some(line) = self.lines.get_mut(at) {
            line.push_back((now_us, turn));
        }
    }

    /// Returns the client whose work is done next.
    pub(super) fn next(&mut self) -> Option<Id> {
        self.order.pop().map(|Reverse(place)| place.id)
    }

    fn give_place(&mut self, (id, it): (Id, &Standing), now_us: u64) {
        self.places += 1;
        self.order.push(Reverse(Place { rank: it.usage.rank(now_us), number: self.places, id }));
    }

    fn free_line(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.lines.push(VecDeque::new());
            self.lines.len() - 1
        })
    }

    /// Takes the first work of a client that waits, and since when it waits.
    pub(super) fn take(&mut self, it: &Standing) -> Option<(u64, Turn)> {
        self.lines.get_mut(it.line?)?.pop_front()
    }

    /// Has a client wait for the rest of its work, if there is any.
    pub(super) fn go_on(&mut self, (id, it): (Id, &mut Standing), now_us: u64) {
        let Some(at) = it.line else {
            return;
        };
        if self.lines.get(at).is_some_and(|line| !line.is_empty()) {
            return self.give_place((id, it), now_us);
        }
        it.line = None;
        self.free(at);
    }

    /// Has an empty line serve another client.
    fn free(&mut self, at: usize) {
        if let Some(line) = self.lines.get_mut(at) {
            line.shrink_to(SPARE);
            self.free.push(at);
        }
    }

    /// Has the work that waits of a client which is gone end in the next turn: it may concern a
    /// connection that serves others now.
    pub(crate) fn leave(&mut self, it: &Standing) {
        if let Some(at) = it.line
            && let Some(line) = self.lines.get_mut(at)
        {
            self.queue.extend(line.drain(..).map(|(_, turn)| turn));
            self.free(at);
        }
    }
}

impl Drop for Agenda {
    fn drop(&mut self) {
        self.close_all();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use std::io::{ErrorKind, Read};
    use std::net::{TcpListener, TcpStream};

    /// A worker whose clients are known by their index, and who have no connections.
    #[derive(Default)]
    struct Served {
        agenda: Agenda,
        clients: Vec<Standing>,
        now_us: u64,
    }

    impl Served {
        /// Adds a client that has lately had so much, with so many turns that wait.
        fn add(&mut self, had_us: u64, turns: usize) {
            let ci = self.clients.len();
            let mut it = Standing::default();
            it.usage.spend(had_us, self.now_us);
            for _ in 0..turns {
                self.agenda.put_off(((ci, 0), &mut it), self.now_us, Turn::Client(ci, 0));
            }
            self.clients.push(it);
        }

        /// Takes the next turn, which lasts so long; returns whose it was.
        fn serve(&mut self, took_us: u64) -> Option<usize> {
            let id = self.agenda.next()?;
            let it = self.clients.get_mut(id.0)?;
            let (since_us, turn) = self.agenda.take(it)?;
            assert!(matches!(turn, Turn::Client(ci, 0) if ci == id.0 && since_us <= self.now_us));
            self.now_us += took_us;
            it.usage.spend(took_us, self.now_us);
            self.agenda.go_on((id, it), self.now_us);
            Some(id.0)
        }

        fn serve_all(&mut self, took_us: u64) -> Vec<usize> {
            std::iter::from_fn(|| self.serve(took_us)).collect()
        }
    }

    #[test]
    fn clients_that_want_much_take_turns() {
        let mut served = Served::default();
        (0..3).for_each(|_| served.add(0, 3));
        assert_eq!(served.serve_all(50), [0, 1, 2, 0, 1, 2, 0, 1, 2]);
        assert!(served.agenda.is_empty());
    }

    #[test]
    fn who_has_had_little_is_next_however_many_wait() {
        let mut served = Served::default();
        (0..50).for_each(|_| served.add(500, 100));
        served.add(0, 1);
        assert_eq!(served.serve(50), Some(50));
        let first: Vec<_> = (0..50).filter_map(|_| served.serve(50)).collect();
        assert_eq!(first, (0..50).collect::<Vec<_>>(), "nobody waits for ever");
    }

    #[test]
    fn the_work_of_a_client_that_has_left_is_done_in_the_next_turn() {
        let mut served = Served::default();
        served.add(0, 2);
        served.add(0, 1);
        let left = std::mem::take(&mut served.clients[0]);
        served.agenda.leave(&left);
        assert_eq!(served.agenda.queue.len(), 2);
        served.add(0, 1);
        assert_eq!(served.agenda.lines.len(), 2, "its line serves another client");
        assert_eq!(served.agenda.next(), Some((0, 0)), "whom nobody finds any more");
        assert_eq!((served.serve(1), served.serve(1)), (Some(1), Some(2)));
    }

    #[test]
    fn of_clients_that_had_as_much_those_that_came_first_are_served_first() {
        let mut agenda = Agenda::default();
        let mut clients = [(); 3].map(|()| Standing::default());
        for ci in [1, 2, 0] {
            agenda.put_off(((ci, 0), &mut clients[ci]), 5, Turn::Client(ci, 0));
        }
        let order: Vec<_> = std::iter::from_fn(|| agenda.next()).collect();
        assert_eq!(order, [(1, 0), (2, 0), (0, 0)]);
    }

    /// Returns a connection, and its peer.
    fn connected() -> (Fd, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (ours.into(), listener.accept().unwrap().0)
    }

    #[test]
    fn there_is_work_while_any_waits() {
        let mut agenda = Agenda::default();
        assert!(agenda.is_empty());
        agenda.add(Turn::Client(0, 0));
        assert!(!agenda.is_empty(), "for the next turn");
        agenda.queue.clear();
        agenda.put_off(((0, 0), &mut Standing::default()), 0, Turn::Client(0, 0));
        assert!(!agenda.is_empty(), "of a client that waits");
        assert!(agenda.next().is_some() && agenda.is_empty());
        agenda.close(connected().0);
        assert!(!agenda.is_empty(), "to be closed");
        agenda.close_all();
        assert!(agenda.is_empty());
    }

    #[test]
    fn what_was_abandoned_is_open_until_its_turn_and_ends_with_a_reset() {
        let (ours, mut peer) = connected();
        let mut agenda = Agenda::default();
        agenda.close(ours);
        peer.set_nonblocking(true).unwrap();
        let none = peer.read(&mut [0]).map_err(|e| e.kind());
        assert_eq!(none, Err(ErrorKind::WouldBlock));
        peer.set_nonblocking(false).unwrap();
        drop(agenda);
        let end = peer.read(&mut [0]).map_err(|e| e.kind());
        assert_eq!(end, Err(ErrorKind::ConnectionReset));
    }
}
