//! The lifecycle of the process, as a machine: events in, commands out. Pure.
//!
//! serving ─ drain ─► draining ─┐
//!    ├──── handoff ► draining ─┼─ drained ─► exit 0
//!    └──── eof ► closing ─ every listener closed ─► draining
//! `quit` exits from anywhere.

use crate::channel::{FromSupervisor, ToSupervisor};
use std::collections::BTreeSet;

/// An event of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The supervisor sent a message, together with so many descriptors.
    Said(FromSupervisor, usize),
    /// The supervisor is gone.
    Eof,
    /// The control plane asked us to drain.
    DrainAsked,
    /// The engine closed an address.
    Closed(String),
    /// Every worker has completed a turn of its loop since a probe.
    Alive,
    /// During a drain, the engine has closed every address.
    ListenersClosed,
    /// The engine has nothing in flight any more.
    Drained,
}

/// A command for the driver, to be executed in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Give the engine the descriptors that came with the packet.
    AddSockets(String),
    /// Have the engine close an address, and report [`Event::Closed`].
    CloseListener(String),
    /// Accept no more plans and let a successor write.
    StopApplying,
    /// Call [`crate::engine_port::EngineApi::handoff`]; UDP flows go where the descriptor leads that
    /// came with the packet, if one did.
    Handoff,
    /// Take UDP flows from where the descriptor leads that came with the packet, if one did.
    TakeFlows,
    /// Call [`crate::engine_port::EngineApi::drain`], and report [`Event::ListenersClosed`].
    Drain,
    /// Call [`crate::engine_port::EngineApi::probe`], and report [`Event::Alive`].
    Probe,
    /// Call [`crate::engine_port::EngineApi::rotate_tickets`].
    RotateTickets(String),
    /// Call [`crate::engine_port::EngineApi::reopen_logs`].
    ReopenLogs,
    /// Send the supervisor a message.
    Say(ToSupervisor),
    /// Exit with this status.
    Exit(i32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Serving,
    /// The supervisor is gone: listeners empty their queues before the rest.
    Closing,
    Draining,
}

/// The machine.
#[derive(Debug)]
pub struct Lifecycle {
    state: State,
    /// Addresses whose sockets this process holds.
    open: BTreeSet<String>,
    /// Addresses being closed.
    closing: BTreeSet<String>,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self { state: State::Serving, open: BTreeSet::new(), closing: BTreeSet::new() }
    }
}

impl Lifecycle {
    /// Reports whether the process has begun to leave.
    pub fn is_leaving(&self) -> bool {
        self.state != State::Serving
    }

    /// Reports whether the machine waits for [`Event::Drained`].
    pub fn is_draining(&self) -> bool {
        self.state == State::Draining
    }

    /// Handles an event; returns the commands that follow from it.
    pub fn handle(&mut self, event: Event) -> Vec<Command> {
        match event {
            Event::Said(said, fds) => self.said(said, fds),
            Event::DrainAsked => self.leave(Command::Drain),
            Event::Eof => self.eof(),
            Event::Closed(address) => self.closed(address),
            // If the supervisor's copies stayed open, new clients would hang until this process is
            // gone.
            Event::ListenersClosed => std::mem::take(&mut self.open)
                .into_iter()
                .map(|address| Command::Say(ToSupervisor::Closed { address }))
                .collect(),
            Event::Alive => vec![Command::Say(ToSupervisor::Alive)],
            Event::Drained if self.is_draining() => vec![Command::Exit(0)],
            Event::Drained => Vec::new(),
        }
    }

    fn said(&mut self, said: FromSupervisor, fds: usize) -> Vec<Command> {
        match said {
            FromSupervisor::Sockets { address, count } => self.sockets(address, count, fds),
            FromSupervisor::Close { address } => self.close(address),
            FromSupervisor::Handoff => self.leave(Command::Handoff),
            // A process that leaves has no use for flows, and reads nothing that is new.
            FromSupervisor::TakeFlows if self.is_leaving() => Vec::new(),
            FromSupervisor::TakeFlows => vec![Command::TakeFlows],
            FromSupervisor::Drain => self.leave(Command::Drain),
            // A worker that has left does not turn its loop any more; the drain has a deadline of
            // its own.
            FromSupervisor::Probe if self.is_leaving() => vec![Command::Say(ToSupervisor::Alive)],
            FromSupervisor::Probe => vec![Command::Probe],
            FromSupervisor::ReopenLogs => vec![Command::ReopenLogs],
            FromSupervisor::Tickets { ticket_secrets } => {
                ticket_secrets.into_iter().take(1).map(Command::RotateTickets).collect()
            }
            FromSupervisor::Quit => vec![Command::Exit(0)],
            // Only the first packet is a start; a second one has no meaning.
            FromSupervisor::Start(_) => Vec::new(),
        }
    }

    fn sockets(&mut self, address: String, count: usize, fds: usize) -> Vec<Command> {
        let failed = |address, error: String| {
            vec![Command::Say(ToSupervisor::SocketsFailed { address, error })]
        };
        if self.is_leaving() {
            return failed(address, "this process is leaving".into());
        }
        if count == 0 || count != fds {
            return failed(address, incomplete(count, fds));
        }
        self.open.insert(address.clone());
        let add = Command::AddSockets(address.clone());
        vec![add, Command::Say(ToSupervisor::SocketsOk { address })]
    }

    fn close(&mut self, address: String) -> Vec<Command> {
        if self.open.remove(&address) {
            self.closing.insert(address.clone());
            return vec![Command::CloseListener(address)];
        }
        if self.closing.contains(&address) {
            return Vec::new();
        }
        vec![Command::Say(ToSupervisor::Closed { address })]
    }

    fn closed(&mut self, address: String) -> Vec<Command> {
        self.closing.remove(&address);
        if self.state != State::Closing {
            return vec![Command::Say(ToSupervisor::Closed { address })];
        }
        if self.closing.is_empty() { self.begin_draining(Command::Handoff) } else { Vec::new() }
    }

    fn leave(&mut self, how: Command) -> Vec<Command> {
        if self.is_leaving() {
            return Vec::new();
        }
        let mut commands = self.begin_draining(how);
        commands.push(Command::Say(ToSupervisor::Draining));
        commands
    }

    /// Leaves without a supervisor. Nobody else holds our sockets any more, so the workers serve
    /// what waits in their queues before they close them. A drain's delay would be for load
    /// balancers, which nobody informs now.
    fn eof(&mut self) -> Vec<Command> {
        if self.is_leaving() {
            return Vec::new();
        }
        self.state = State::Closing;
        let mut commands = vec![Command::StopApplying];
        for address in std::mem::take(&mut self.open) {
            self.closing.insert(address.clone());
            commands.push(Command::CloseListener(address));
        }
        if self.closing.is_empty() {
            commands.extend(self.begin_draining(Command::Handoff));
        }
        commands
    }

    fn begin_draining(&mut self, how: Command) -> Vec<Command> {
        let has_stopped = self.state == State::Closing;
        self.state = State::Draining;
        if has_stopped { vec![how] } else { vec![Command::StopApplying, how] }
    }
}

/// Describes why the sockets of an address cannot be used.
fn incomplete(count: usize, fds: usize) -> String {
    if fds < count {
        return format!(
            "only {fds} of {count} sockets could be handed to the data plane: it has no free \
             descriptors; raise the limit of open files (LimitNOFILE) or lower \
             node.limits.connections"
        );
    }
    format!("{count} sockets announced, {fds} came")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sockets(address: &str, count: usize) -> FromSupervisor {
        FromSupervisor::Sockets { address: address.into(), count }
    }

    fn with(addresses: &[&str]) -> Lifecycle {
        let mut machine = Lifecycle::default();
        for address in addresses {
            let commands = machine.handle(Event::Said(sockets(address, 2), 2));
            let address = (*address).to_owned();
            let ok = Command::Say(ToSupervisor::SocketsOk { address: address.clone() });
            assert_eq!(commands, [Command::AddSockets(address), ok]);
        }
        machine
    }

    #[test]
    fn sockets_that_did_not_come_are_said_to_be_missing() {
        let mut machine = Lifecycle::default();
        for (count, fds) in [(2, 1), (0, 0), (1, 2)] {
            let commands = machine.handle(Event::Said(sockets("a:1", count), fds));
            assert!(matches!(&commands[..], [Command::Say(ToSupervisor::SocketsFailed { .. })]));
        }
    }

    #[test]
    fn an_address_is_closed_once_and_then_said_so() {
        let mut machine = with(&["a:1"]);
        let close = || Event::Said(FromSupervisor::Close { address: "a:1".into() }, 0);
        let closed = [Command::Say(ToSupervisor::Closed { address: "a:1".into() })];
        assert_eq!(machine.handle(close()), [Command::CloseListener("a:1".into())]);
        assert_eq!(machine.handle(close()), []);
        assert_eq!(machine.handle(Event::Closed("a:1".into())), closed);
        assert_eq!(machine.handle(close()), closed);
    }

    #[test]
    fn drain_and_handoff_stop_plans_first_and_end_in_exit() {
        for (event, how) in [
            (Event::Said(FromSupervisor::Drain, 0), Command::Drain),
            (Event::Said(FromSupervisor::Handoff, 0), Command::Handoff),
            (Event::DrainAsked, Command::Drain),
        ] {
            let mut machine = with(&["a:1"]);
            assert_eq!(machine.handle(Event::Drained), []);
            let commands = machine.handle(event.clone());
            let said = Command::Say(ToSupervisor::Draining);
            assert_eq!(commands, [Command::StopApplying, how, said]);
            assert_eq!(machine.handle(event), []);
            assert_eq!(machine.handle(Event::Eof), []);
            assert_eq!(machine.handle(Event::Drained), [Command::Exit(0)]);
        }
    }

    #[test]
    fn in_a_drain_closed_addresses_are_said_so() {
        let mut machine = with(&["a:1", "b:1"]);
        machine.handle(Event::DrainAsked);
        let closed = |a: &str| Command::Say(ToSupervisor::Closed { address: a.into() });
        assert_eq!(machine.handle(Event::ListenersClosed), [closed("a:1"), closed("b:1")]);
        assert_eq!(machine.handle(Event::ListenersClosed), []);
    }

    #[test]
    fn the_newest_ticket_secret_is_handed_on() {
        let tickets = FromSupervisor::Tickets { ticket_secrets: vec!["new".into(), "old".into()] };
        let commands = with(&[]).handle(Event::Said(tickets, 0));
        assert_eq!(commands, [Command::RotateTickets("new".into())]);
    }

    #[test]
    fn without_a_supervisor_queues_are_emptied_before_the_rest_is_drained() {
        let mut machine = with(&["a:1", "b:1"]);
        let close = |address: &str| Command::CloseListener(address.into());
        let commands = machine.handle(Event::Eof);
        assert_eq!(commands, [Command::StopApplying, close("a:1"), close("b:1")]);
        assert_eq!(machine.handle(Event::Closed("b:1".into())), []);
        assert_eq!(machine.handle(Event::Closed("a:1".into())), [Command::Handoff]);
        assert_eq!(machine.handle(Event::Drained), [Command::Exit(0)]);
    }

    #[test]
    fn without_a_supervisor_and_listeners_it_drains_at_once() {
        let commands = Lifecycle::default().handle(Event::Eof);
        assert_eq!(commands, [Command::StopApplying, Command::Handoff]);
    }

    #[test]
    fn sockets_are_not_taken_while_leaving() {
        let mut machine = with(&[]);
        machine.handle(Event::DrainAsked);
        let commands = machine.handle(Event::Said(sockets("a:1", 1), 1));
        assert!(matches!(&commands[..], [Command::Say(ToSupervisor::SocketsFailed { .. })]));
    }

    #[test]
    fn a_probe_asks_the_workers_as_long_as_they_are_there() {
        let mut machine = with(&["a:1"]);
        let alive = [Command::Say(ToSupervisor::Alive)];
        assert_eq!(machine.handle(Event::Said(FromSupervisor::Probe, 0)), [Command::Probe]);
        assert_eq!(machine.handle(Event::Alive), alive);
        machine.handle(Event::DrainAsked);
        assert_eq!(machine.handle(Event::Said(FromSupervisor::Probe, 0)), alive);
    }

    #[test]
    fn quit_exits_from_anywhere() {
        let mut machine = with(&["a:1"]);
        let quit = || Event::Said(FromSupervisor::Quit, 0);
        assert_eq!(machine.handle(quit()), [Command::Exit(0)]);
        machine.handle(Event::Eof);
        assert_eq!(machine.handle(quit()), [Command::Exit(0)]);
    }
}
