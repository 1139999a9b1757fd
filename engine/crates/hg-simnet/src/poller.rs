//! Edge-triggered events, and the only place where time passes.

use crate::calls::{AsFd, try_with};
use crate::kernel::{Kernel, with};
use crate::peers::hand_on;
use crate::tcp::State;
use crate::{Event, Token};
use std::io::{self, Error};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// Turns in which the engine moves nothing and no time passes: more are a busy loop.
const MOST_IDLE_TURNS: u32 = 2_000;
/// Virtual time within which they count.
const IDLE_US: u64 = 20_000;

/// Wakes a poller.
#[derive(Clone, Debug)]
pub struct Waker(Arc<AtomicBool>);

impl Waker {
    /// Makes the poller's next wait return at once.
    pub fn wake(&self) {
        self.0.store(true, SeqCst);
    }
}

/// The engine's poller.
pub struct Poller {
    woken: Arc<AtomicBool>,
}

impl Poller {
    /// Makes a poller.
    ///
    /// # Errors
    /// None.
    pub fn new() -> io::Result<Self> {
        Ok(Self { woken: Arc::default() })
    }

    /// Returns a handle that wakes this poller.
    pub fn waker(&self) -> Waker {
        Waker(self.woken.clone())
    }

    /// Registers a stream socket, edge-triggered. What has happened by then is an edge.
    ///
    /// # Errors
    /// Fails if the kernel has no memory for it.
    pub fn add_stream(&self, fd: impl AsFd, token: Token) -> io::Result<()> {
        try_with(|k| {
            let refused = k.weather.no_descriptors;
            if k.rng.chance(refused) {
                return Err(Error::other("no memory for a registration"));
            }
            let id = fd.id();
            let Some(s) = k.socket(id) else { return Err(Error::other("not a stream")) };
            s.watch.token = Some(token);
            if s.state != State::Connecting && !std::mem::replace(&mut s.watch.edge, true) {
                k.watched.edges.push(id);
            }
            Ok(())
        })
    }

    /// Registers a listening socket, level-triggered.
    ///
    /// # Errors
    /// Fails if it is none.
    pub fn add_listener(&self, fd: impl AsFd, token: Token) -> io::Result<()> {
        try_with(|k| {
            if let Some(post) = k.post(fd.id()) {
                post.token = Some(token);
                return Ok(());
            }
            let l = k.listener(fd.id()).ok_or_else(|| Error::other("not a listener"))?;
            l.token = Some(token);
            Ok(())
        })
    }

    /// Removes a registration.
    ///
    /// # Errors
    /// None.
    pub fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        with(|k| {
            if let Some(l) = k.listener(fd.id()) {
                l.token = None;
            }
            if let Some(post) = k.post(fd.id()) {
                post.token = None;
            }
            if let Some(s) = k.socket(fd.id()) {
                s.watch.token = None;
            }
        });
        Ok(())
    }

    /// Waits at most `timeout_ms` (`None` = for ever) and appends what happened to `events`: lets
    /// the network and its peers act meanwhile. Reports whether a [`Waker`] woke it.
    ///
    /// # Errors
    /// Fails if the engine turns without end, or waits for something that never comes.
    pub fn wait(&self, timeout_ms: Option<u64>, events: &mut Vec<Event>) -> io::Result<bool> {
        let until = try_with(|k| {
            k.begin_turn()?;
            Ok(timeout_ms.map(|ms| k.now.saturating_add(ms.saturating_mul(1000))))
        })?;
        loop {
            try_with(|k| {
                k.settle();
                Ok(())
            })?;
            if hand_on()? {
                continue;
            }
            let woken = self.woken.swap(false, SeqCst);
            let over = try_with(|k| k.end_turn(woken, until, events))?;
            if over {
                return Ok(woken);
            }
        }
    }
}

impl Kernel {
    fn begin_turn(&mut self) -> io::Result<()> {
        self.figures.turns += 1;
        self.now += self.rng.between(1, 20);
        if self.now.saturating_sub(self.idle.since) > IDLE_US {
            self.moved();
        }
        self.idle.turns += 1;
        if self.idle.turns > MOST_IDLE_TURNS {
            return Err(Error::other("a busy loop: the engine turns and moves nothing"));
        }
        Ok(())
    }

    /// Ends the wait if something happened or its time is over; else lets time pass.
    fn end_turn(
        &mut self,
        woken: bool,
        until: Option<u64>,
        events: &mut Vec<Event>,
    ) -> io::Result<bool> {
        self.collect(events);
        if woken || !events.is_empty() {
            self.note("wake", events.len(), usize::from(woken));
            return Ok(true);
        }
        let next = self.next_at();
        let at = match (next, until) {
            (Some(next), Some(until)) => next.min(until),
            (Some(at), None) | (None, Some(at)) => at,
            (None, None) => return Err(Error::other("stuck: nothing will ever happen")),
        };
        if until.is_some_and(|until| until <= self.now) {
            return Ok(true);
        }
        self.now = self.now.max(at);
        if self.rng.chance(self.weather.late) {
            self.now += self.rng.below(200_000);
        }
        let is_over = until.is_some_and(|until| until <= self.now);
        Ok(is_over && self.next_at().is_none_or(|next| next > self.now))
    }

    fn collect(&mut self, events: &mut Vec<Event>) {
        for id in std::mem::take(&mut self.watched.edges) {
            let room = self.room_of(id);
            let Some(s) = self.socket(id) else { continue };
            s.watch.edge = false;
            let Some(token) = s.watch.token else { continue };
            let broken = s.state == State::Broken;
            events.push(Event {
                token,
                readable: s.is_readable(),
                writable: room > 0 || broken,
                read_closed: s.ended || broken,
                closed: broken || (s.ended && s.finished),
            });
        }
        for id in self.watched.listeners.clone() {
            let waits = self.listener(id).filter(|l| !l.queue.is_empty());
            events.extend(waits.and_then(|l| l.token).map(level));
        }
        for id in self.mail.posts.clone() {
            let waits = self.post(id).filter(|post| post.is_readable());
            events.extend(waits.and_then(|post| post.token).map(level));
        }
        // The kernel reports sockets in any order.
        for i in (1..events.len()).rev() {
            let j = usize::try_from(self.rng.below(i as u64 + 1)).unwrap_or(0);
            events.swap(i, j);
        }
    }
}

/// Returns the event of a socket that is level-triggered.
fn level(token: Token) -> Event {
    Event { token, readable: true, writable: false, read_closed: false, closed: false }
}
