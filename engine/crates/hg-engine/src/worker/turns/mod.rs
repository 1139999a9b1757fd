//! The work that continues in a later turn of the loop, and its order. Once a round of the loop has
//! taken a while, what is to be done for clients that have had more than their share lately waits,
//! in a line for each of them; the one that has had least goes first. So a client that begins a
//! thousand requests delays its own, and not those of one that seldom asks (start-time fair
//! queueing, Goyal, Vin and Cheng 1996, with shares that are forgotten soon).

mod agenda;
mod usage;

pub(crate) use agenda::{Agenda, Standing, Turn};

use super::conn::Late;
use super::exchange::ExId;
use super::{KIND_CLIENT, KIND_UP, Worker};
use hg_net::{Clock, Event, Token};

/// The time that a round of the loop works before clients wait, while some of them seldom ask.
const ROUND_US: u64 = 40;
/// The time for which a request of a client that seldom asks is remembered. Without such clients
/// none gains by an order, and what is to be said on one connection is said together more often.
const SELDOM_US: u64 = 50_000;
/// The time for which the work of one client goes on before that of the next.
const QUANTUM_US: u64 = 20;
/// The least time for which a round works for clients that wait and to close what was abandoned.
const LATER_US: u64 = 20;

impl Worker {
    /// Looks at the clock. The time since the last look was spent on the client that was served.
    pub(super) fn tick(&mut self) {
        let before_us = std::mem::replace(&mut self.now_us, self.clock.micros());
        self.now = Clock::ticks(self.now_us);
        if let Some(c) = self.agenda.served.take().and_then(|ci| self.clients.get_mut(ci)) {
            c.standing.usage.spend(self.now_us.saturating_sub(before_us), self.now_us);
        }
    }

    /// Begins a round of the loop.
    pub(super) fn begin_round(&mut self) {
        self.tick();
        let is_ordered = self.now_us < self.agenda.ordered_until_us;
        self.agenda.full_at_us = if is_ordered { self.now_us + ROUND_US } else { u64::MAX };
    }

    /// Handles an event, or has it wait.
    pub(super) fn meet(&mut self, event: Event) {
        let owner = self.owner_of(event.token);
        // With a connection all its exchanges end.
        if !self.has_to_wait(owner, event.closed) {
            self.agenda.served = owner;
            return self.on_event(event);
        }
        if self.late_of(event.token).is_some_and(|late| late.add(&event)) {
            self.put_off(owner, Turn::Event(event.token));
        }
    }

    /// Returns the client for which an event is handled, if it is for one.
    fn owner_of(&self, token: Token) -> Option<usize> {
        match token.kind() {
            KIND_CLIENT => Some(token.index()),
            KIND_UP => {
                let x = self.ups.get(token.index())?.exchange?;
                Some(self.exchanges.get(x)?.client)
            }
            _ => None,
        }
    }

    /// Returns the client for which a turn is taken, if it is for one.
    fn owner_of_turn(&self, turn: Turn) -> Option<usize> {
        match turn {
            Turn::Client(ci, _) => Some(ci),
            Turn::Stream(x) | Turn::Input(x) | Turn::Start(x) => {
                Some(self.exchanges.get(x)?.client)
            }
            Turn::Event(token) => self.owner_of(token),
            _ => None,
        }
    }

    /// Reports whether others are served before this client, which has had more than its share or
    /// `takes_long`.
    fn has_to_wait(&mut self, owner: Option<usize>, takes_long: bool) -> bool {
        let Some(c) = owner.and_then(|ci| self.clients.get(ci)) else {
            return false;
        };
        let is_much = c.standing.usage.is_much(self.now_us);
        if !is_much {
            self.agenda.ordered_until_us = self.now_us + SELDOM_US;
        }
        let is_full = self.now_us >= self.agenda.full_at_us;
        c.standing.line.is_some() || (is_full && (takes_long || is_much))
    }

    fn put_off(&mut self, owner: Option<usize>, turn: Turn) {
        if let Some(ci) = owner
            && let Some(c) = self.clients.get_mut(ci)
        {
            self.agenda.put_off(((ci, c.generation), &mut c.standing), self.now_us, turn);
        }
    }

    /// Returns what happened to a connection and is not handled yet; `None` if it is gone.
    fn late_of(&mut self, token: Token) -> Option<&mut Late> {
        let (index, generation) = (token.index(), token.generation());
        let conn = if token.kind() == KIND_CLIENT {
            let c = self.clients.get_mut(index).filter(|c| c.generation == generation);
            c.map(|c| &mut c.conn)
        } else {
            let up = self.ups.get_mut(index).filter(|up| up.generation == generation);
            up.map(|up| &mut up.conn)
        };
        conn.map(|conn| &mut conn.late)
    }

    /// Queues a client for the next turn, once.
    pub(super) fn enqueue(&mut self, ci: usize) {
        if let Some(c) = self.clients.get_mut(ci)
            && !std::mem::replace(&mut c.standing.queued, true)
        {
            self.agenda.add(Turn::Client(ci, c.generation));
        }
    }

    /// Queues an exchange for the next turn, once: over HTTP/1 its connection.
    pub(super) fn enqueue_exchange(&mut self, x: ExId) {
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        if !e.has_own_timer() {
            let ci = e.client;
            self.enqueue(ci);
        } else if !std::mem::replace(&mut e.stream.queued.answer, true) {
            self.agenda.add(Turn::Stream(x));
        }
    }

    /// Takes the turns that were queued before, or has them wait.
    pub(super) fn run_queue(&mut self) {
        for _ in 0..self.agenda.queue.len() {
            self.tick();
            let Some(turn) = self.agenda.queue.pop_front() else {
                return;
            };
            let owner = self.owner_of_turn(turn);
            if self.has_to_wait(owner, false) {
                self.put_off(owner, turn);
            } else {
                self.agenda.served = owner;
                self.take_turn(turn);
            }
        }
    }

    /// Closes what was abandoned and works for the clients that wait. Returns how long what is done
    /// now has waited, microseconds.
    pub(super) fn run_later(&mut self) -> u64 {
        self.tick();
        let rest_us = self.agenda.full_at_us.saturating_sub(self.now_us).min(ROUND_US);
        let until_us = self.now_us + rest_us.max(LATER_US);
        // Both may take long at once, and a request that comes meanwhile waits for both.
        self.agenda.closes_first = !self.agenda.closes_first;
        if self.agenda.closes_first {
            self.close_abandoned(until_us);
            return self.serve_lines(until_us);
        }
        let waited_us = self.serve_lines(until_us);
        self.close_abandoned(until_us);
        waited_us
    }

    fn close_abandoned(&mut self, until_us: u64) {
        while self.now_us < until_us
            && let Some(fd) = self.agenda.closing.pop_front()
        {
            hg_net::close_with_reset(fd);
            self.tick();
        }
    }

    fn serve_lines(&mut self, until_us: u64) -> u64 {
        let mut waited_us = 0;
        while self.now_us < until_us
            && let Some(id) = self.agenda.next()
        {
            waited_us = waited_us.max(self.serve_line(id));
        }
        waited_us
    }

    /// Works for a client that waits. Returns how long what is done now has waited, microseconds.
    fn serve_line(&mut self, (ci, generation): (usize, u32)) -> u64 {
        let (until_us, mut waited_us) = (self.now_us + QUANTUM_US, 0);
        while self.now_us < until_us {
            let c = self.clients.get(ci).filter(|c| c.generation == generation);
            let Some((since_us, turn)) = c.and_then(|c| self.agenda.take(&c.standing)) else {
                break;
            };
            waited_us = waited_us.max(self.now_us - since_us);
            self.agenda.served = self.owner_of_turn(turn);
            self.take_turn(turn);
            self.tick();
        }
        if let Some(c) = self.clients.get_mut(ci).filter(|c| c.generation == generation) {
            self.agenda.go_on(((ci, generation), &mut c.standing), self.now_us);
        }
        waited_us
    }

    fn take_turn(&mut self, turn: Turn) {
        match turn {
            Turn::Client(ci, generation) => {
                let c = self.clients.get_mut(ci).filter(|c| c.generation == generation);
                if let Some(c) = c {
                    c.standing.queued = false;
                    self.proceed(ci);
                }
            }
            Turn::Stream(x) => {
                if let Some(e) = self.exchanges.get_mut(x) {
                    e.stream.queued.answer = false;
                    self.proceed_exchange(x);
                }
            }
            Turn::Input(x) => {
                if let Some(e) = self.exchanges.get_mut(x) {
                    e.stream.queued.input = false;
                    self.pump_request(x);
                }
            }
            Turn::Start(x) => self.go_upstream(x),
            Turn::Up(ui, generation) => self.take_shared_turn(ui, generation),
            Turn::Join(x) => self.join_again(x),
            Turn::Answered(x, ticket) => self.take_answered(x, ticket),
            Turn::Mirror(x) => self.dispatch(x),
            Turn::Session(id) => self.take_session_turn(id),
            Turn::Event(token) => {
                if let Some(event) = self.late_of(token).map(|late| late.take(token)) {
                    self.on_event(event);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
