//! Events on their way to their watchers. Events that happen without a watcher wait, up to a limit,
//! for the first one.

use crate::proto::Event;
use crate::stderr::say;
use hg_engine::{EngineEvent, EventLevel};
use hg_plan::Kind;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tonic::Status;

/// Most events that wait for one watcher.
const QUEUE: usize = 256;

/// Most watchers at once.
const WATCHERS: usize = 16;

/// One watcher's stream.
pub type EventStream = Receiver<Result<Event, Status>>;

#[derive(Default)]
struct Inner {
    waiting: VecDeque<Event>,
    lost_waiting: u64,
    watchers: Vec<Watcher>,
}

struct Watcher {
    sender: Sender<Result<Event, Status>>,
    lost: u64,
}

/// Passes events to every watcher; never waits for one.
#[derive(Default)]
pub struct EventHub {
    inner: Mutex<Inner>,
}

impl EventHub {
    /// Sends an event to every watcher. Without one, errors also go to standard error, so that a
    /// data plane that serves on alone is not silent.
    pub fn emit(
        &self,
        level: EventLevel,
        kind: &str,
        object: Option<(Kind, &str)>,
        message: String,
    ) {
        let event = Event {
            unix_ms: unix_ms(),
            level: level.as_str().into(),
            kind: kind.into(),
            object_kind: object.map_or_else(String::new, |(kind, _)| kind.as_str().into()),
            object_name: object.map_or_else(String::new, |(_, name)| name.into()),
            message,
        };
        let mut inner = self.lock();
        inner.watchers.retain(|watcher| !watcher.sender.is_closed());
        if inner.watchers.is_empty() {
            if level == EventLevel::Error {
                say(&format!(
                    "headgate data plane: {level}: {kind}: {}",
                    event.message,
                    level = event.level
                ));
            }
            if inner.waiting.len() == QUEUE {
                inner.waiting.pop_front();
                inner.lost_waiting += 1;
            }
            inner.waiting.push_back(event);
            return;
        }
        for watcher in &mut inner.watchers {
            watcher.offer(event.clone());
        }
    }

    /// Sends what the engine reported.
    pub fn emit_all(&self, events: Vec<EngineEvent>) {
        for event in events {
            let object = event.object.as_ref().map(|(kind, name)| (*kind, name.as_str()));
            self.emit(event.level, event.kind, object, event.message);
        }
    }

    /// Returns a stream of the events from now on, and of those that waited for a watcher.
    ///
    /// # Errors
    /// If there are too many watchers.
    pub fn watch(&self) -> Result<EventStream, Status> {
        let mut inner = self.lock();
        inner.watchers.retain(|watcher| !watcher.sender.is_closed());
        if inner.watchers.len() >= WATCHERS {
            return Err(Status::resource_exhausted(format!("at most {WATCHERS} watchers")));
        }
        // Room for the events that waited, the report of lost ones, and a full queue after that.
        let (sender, receiver) = channel(2 * QUEUE);
        let mut watcher = Watcher { sender, lost: std::mem::take(&mut inner.lost_waiting) };
        for event in std::mem::take(&mut inner.waiting) {
            watcher.offer(event);
        }
        inner.watchers.push(watcher);
        Ok(receiver)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watcher {
    /// Queues an event, or counts it as lost.
    fn offer(&mut self, event: Event) {
        if self.lost > 0 {
            let lost = Event {
                unix_ms: event.unix_ms,
                level: EventLevel::Warn.as_str().into(),
                kind: "events.lost".into(),
                message: format!("{} events were lost before this one", self.lost),
                ..Event::default()
            };
            if self.sender.try_send(Ok(lost)).is_err() {
                self.lost += 1;
                return;
            }
            self.lost = 0;
        }
        if self.sender.try_send(Ok(event)).is_err() {
            self.lost += 1;
        }
    }
}

fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(hub: &EventHub, message: &str) {
        hub.emit(EventLevel::Info, "test", Some((Kind::Upstream, "u")), message.into());
    }

    fn drain(stream: &mut EventStream) -> Vec<Event> {
        std::iter::from_fn(|| stream.try_recv().ok()).map(Result::unwrap).collect()
    }

    #[test]
    fn what_happened_before_anybody_watched_is_told_once() {
        let hub = EventHub::default();
        info(&hub, "early");
        let mut first = hub.watch().unwrap();
        let mut second = hub.watch().unwrap();
        info(&hub, "late");
        let told = drain(&mut first);
        assert_eq!(told.len(), 2);
        assert_eq!((&*told[0].message, &*told[0].object_kind), ("early", "upstream"));
        assert_eq!(drain(&mut second).len(), 1);
    }

    #[test]
    fn what_is_lost_is_counted_and_said() {
        let hub = EventHub::default();
        for i in 0..QUEUE + 3 {
            info(&hub, &i.to_string());
        }
        let mut stream = hub.watch().unwrap();
        let told = drain(&mut stream);
        assert_eq!(told[0].message, "3 events were lost before this one");
        assert_eq!((told.len(), &*told[1].message), (QUEUE + 1, "3"));
        for i in 0..2 * QUEUE + 5 {
            info(&hub, &i.to_string());
        }
        assert_eq!(drain(&mut stream).len(), 2 * QUEUE);
        info(&hub, "after");
        let told = drain(&mut stream);
        assert_eq!(told[0].message, "5 events were lost before this one");
        assert_eq!(told[1].message, "after");
    }

    #[test]
    fn watchers_are_bounded_and_leave_by_closing() {
        let hub = EventHub::default();
        let streams: Vec<_> = (0..WATCHERS).map(|_| hub.watch().unwrap()).collect();
        assert!(hub.watch().is_err());
        drop(streams);
        assert!(hub.watch().is_ok());
    }
}
