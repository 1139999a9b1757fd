//! The data-plane process from its first packet to its exit.
//!
//! Three threads run beside the workers: this one waits for the supervisor, one carries the control
//! link, one applies plans. A request needs none of them.

use crate::apply::{Applier, ApplyThread};
use crate::channel::{FromSupervisor, PACKET_BYTES, Start, ToSupervisor, decode};
use crate::engine_port::EngineApi;
use crate::events::EventHub;
use crate::hand_over;
use crate::lifecycle::{Command, Event, Lifecycle};
use crate::link::{Link, Received};
use crate::orders::Orders;
use crate::resolver::{DnsLookup, Resolver};
use crate::server::{listen_privately, runtime, start};
use crate::service::{ApplyCounts, Service};
use crate::stderr::say;
use crate::store::PlanStore;
use hg_engine::EventLevel;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The interval at which a draining engine is asked whether it is done.
const DRAIN_POLL: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// Time beyond the drain's deadline after which the process exits without a worker that does not
/// leave.
const PATIENCE: Duration = Duration::from_secs(5);

/// Starts the engine of a start packet.
pub type StartEngine<'a> = &'a dyn Fn(&Start) -> io::Result<Arc<dyn EngineApi>>;

/// Does what [`run`] does on the socket that is standard input, which then becomes `/dev/null`. The
/// status is 1, and standard error says why, if the process cannot start.
///
/// With standard input a descriptor gets here by its number without `unsafe`.
pub fn run_on_stdin(start_engine: StartEngine<'_>) -> i32 {
    // The allocator asks for huge pages. For a process with a small, scattered memory they double
    // what is resident and cost more to clear than they save. An old kernel may refuse.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    // The standard library's hook would wait for a reader of standard error.
    panic::set_hook(Box::new(|info| say(&format!("headgate data plane: {info}"))));
    prepare();
    let ended = take_stdin().and_then(|socket| run(socket, start_engine));
    ended.unwrap_or_else(|error| {
        say(&format!("headgate data plane: cannot start: {error}"));
        1
    })
}

/// Takes room for descriptors and drops the rights that serving does not need, before there is
/// another thread. A kernel that cannot do it is no reason not to serve; `GET /status` shows the
/// rights of this process.
fn prepare() {
    let steps = [
        ("connections will wait while their table grows", hg_net::make_room_for_descriptors()),
        ("its capabilities are kept", hg_net::drop_capabilities()),
        ("no system call is refused", hg_net::deny_system_calls()),
    ];
    for (what, result) in steps {
        if let Err(error) = result {
            say(&format!("headgate data plane: warning: {what}: {error}"));
        }
    }
}

fn take_stdin() -> io::Result<OwnedFd> {
    let stdin = rustix::stdio::stdin();
    let socket = rustix::io::fcntl_dupfd_cloexec(stdin, 3)?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(socket)
}

/// Serves until told to leave; returns the exit status.
///
/// # Errors
/// If the process cannot start: no start packet, no engine, no socket, no state directory.
pub fn run(socket: OwnedFd, start_engine: StartEngine<'_>) -> io::Result<i32> {
    let link = Arc::new(Link::new(socket));
    let mut buffer = vec![0; PACKET_BYTES];
    let Some(first) = first_packet(&link, &mut buffer)? else {
        return Ok(0);
    };
    let engine = start_engine(&first)?;
    if first.awaits_flows {
        engine.await_flows();
    }
    let process = Process::bring_up(&first, link, engine)?;
    process.serve(&mut buffer)
}

/// Returns the start packet; `None` if the supervisor left before it sent one.
fn first_packet(link: &Link, buffer: &mut [u8]) -> io::Result<Option<Start>> {
    let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
    let len = match link.receive(buffer)? {
        Received::Eof => return Ok(None),
        Received::Packet { len, .. } => len,
    };
    match decode(buffer.get(..len).unwrap_or_default()).map_err(invalid)? {
        FromSupervisor::Start(start) => Ok(Some(start)),
        other => Err(invalid(format!("the first packet must be `start`, not {other:?}"))),
    }
}

/// Returns what the supervisor hears of a process that has loaded its plan, once it is up.
fn ready(applier: &Applier) -> ToSupervisor {
    ToSupervisor::Ready {
        pid: std::process::id(),
        plan_digest: applier.plan().digest().hex(),
        answers_probes: true,
        moves_flows: true,
        lost_plan: applier.has_lost_plan(),
        is_empty: applier.plan().is_empty(),
    }
}

/// Events from other threads, and a descriptor that wakes this one.
#[derive(Clone)]
struct Inbox {
    sender: Sender<Event>,
    wake: Arc<OwnedFd>,
}

impl Inbox {
    fn put(&self, event: Event) {
        if self.sender.send(event).is_ok() {
            // An eventfd takes 2^64 - 2 of these before it would block.
            let _ = rustix::io::write(&*self.wake, &1_u64.to_ne_bytes());
        }
    }
}

struct Process {
    link: Arc<Link>,
    engine: Arc<dyn EngineApi>,
    apply: ApplyThread,
    events: Arc<EventHub>,
    inbox: Inbox,
    outbox: Receiver<Event>,
    is_leaving: Arc<AtomicBool>,
    grpc_socket: PathBuf,
    /// The time to exit even if a worker has not left; set when leaving begins.
    exit_at: Cell<Option<Instant>>,
}

impl Process {
    fn bring_up(
        start_packet: &Start,
        link: Arc<Link>,
        engine: Arc<dyn EngineApi>,
    ) -> io::Result<Self> {
        let events = Arc::new(EventHub::default());
        let store = PlanStore::open(Path::new(&start_packet.state_dir).join("plan"))?;
        let orders = Orders::new(&Path::new(&start_packet.state_dir).join("plan"));
        if let Err(error) = orders.load(&*engine) {
            let text = format!("the orders for endpoints cannot be read: {error}");
            events.emit(EventLevel::Error, "orders.damaged", None, text);
        }
        let mut applier = Applier::new(store, engine.clone(), events.clone());
        applier.load();
        let ready = ready(&applier);
        let lookup = Arc::new(DnsLookup::default());
        let resolver = Resolver::new(engine.clone(), events.clone(), lookup);
        let wants = resolver.clone();
        let (apply, _) = ApplyThread::start(applier, Box::new(move |plan| wants.want(plan)))?;
        let (sender, outbox) = channel();
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let inbox = Inbox { sender, wake };
        let is_leaving = Arc::new(AtomicBool::new(false));
        let grpc_socket = PathBuf::from(&start_packet.grpc_socket);
        let listener = listen_privately(&grpc_socket)?;
        let runtime = runtime()?;
        let drain = inbox.clone();
        let service = Service {
            engine: engine.clone(),
            apply: apply.clone(),
            events: events.clone(),
            resolver,
            orders,
            is_leaving: is_leaving.clone(),
            drain: Box::new(move || drain.put(Event::DrainAsked)),
            generation: start_packet.generation,
            start: Instant::now(),
            latency: Mutex::default(),
            applies: ApplyCounts::default(),
        };
        start(runtime, listener, Arc::new(service), link.clone())?;
        let exit_at = Cell::new(None);
        let process =
            Self { link, engine, apply, events, inbox, outbox, is_leaving, grpc_socket, exit_at };
        process.say(&ready);
        Ok(process)
    }

    /// Waits for events and carries commands out, until one of them is to exit.
    fn serve(self, buffer: &mut [u8]) -> io::Result<i32> {
        let mut lifecycle = Lifecycle::default();
        let mut is_linked = true;
        loop {
            let (from_link, from_inbox) = self.wait(is_linked, lifecycle.is_leaving())?;
            if from_inbox {
                // The read may find nothing: the events themselves are in the queue.
                let _ = rustix::io::read(&*self.inbox.wake, &mut [0; 8]);
            }
            while let Ok(event) = self.outbox.try_recv() {
                if let Some(status) = self.carry_out(lifecycle.handle(event), Vec::new()) {
                    return Ok(status);
                }
            }
            if from_link {
                let (event, fds) = self.read(buffer);
                is_linked = event != Some(Event::Eof);
                let commands = event.map_or_else(Vec::new, |event| lifecycle.handle(event));
                if let Some(status) = self.carry_out(commands, fds) {
                    return Ok(status);
                }
            }
            self.is_leaving.store(lifecycle.is_leaving(), Ordering::Relaxed);
            if self.exit_at.get().is_some_and(|at| Instant::now() >= at) {
                let text = "a worker did not leave in time and is left behind".to_owned();
                self.events.emit(EventLevel::Error, "drain.overdue", None, text);
                return Ok(self.carry_out(vec![Command::Exit(0)], Vec::new()).unwrap_or(0));
            }
            if lifecycle.is_draining() && self.engine.is_drained() {
                let commands = lifecycle.handle(Event::Drained);
                if let Some(status) = self.carry_out(commands, Vec::new()) {
                    return Ok(status);
                }
            }
        }
    }

    /// Reports whether the link and the inbox have something; waits as long as neither has.
    fn wait(&self, is_linked: bool, is_leaving: bool) -> io::Result<(bool, bool)> {
        let inbox = PollFd::new(&*self.inbox.wake, PollFlags::IN);
        let mut fds = vec![inbox];
        if is_linked {
            fds.push(PollFd::new(&*self.link, PollFlags::IN));
        }
        let limit = is_leaving.then_some(&DRAIN_POLL);
        match poll(&mut fds, limit) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let has = |index: usize| fds.get(index).is_some_and(|fd| !fd.revents().is_empty());
        Ok((has(1), has(0)))
    }

    /// Returns the next packet as an event; `None` for one that cannot be decoded.
    fn read(&self, buffer: &mut [u8]) -> (Option<Event>, Vec<OwnedFd>) {
        let (len, fds) = match self.link.receive(buffer) {
            Ok(Received::Packet { len, fds }) => (len, fds),
            Ok(Received::Eof) => return (Some(Event::Eof), Vec::new()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.complain(&error.to_string());
                return (None, Vec::new());
            }
            Err(error) => {
                self.complain(&error.to_string());
                return (Some(Event::Eof), Vec::new());
            }
        };
        match decode(buffer.get(..len).unwrap_or_default()) {
            Ok(said) => (Some(Event::Said(said, fds.len())), fds),
            Err(error) => {
                self.complain(&error);
                (None, Vec::new())
            }
        }
    }

    /// Carries the machine's commands out; returns the exit status if one is to exit.
    fn carry_out(&self, commands: Vec<Command>, mut fds: Vec<OwnedFd>) -> Option<i32> {
        for command in commands {
            match command {
                Command::AddSockets(address) => {
                    // A worker that blocks in `accept` serves nobody else.
                    for fd in &fds {
                        let _ = rustix::io::ioctl_fionbio(fd, true);
                    }
                    self.engine.add_sockets(&address, std::mem::take(&mut fds));
                }
                Command::CloseListener(address) => {
                    let inbox = self.inbox.clone();
                    let closed = Event::Closed(address.clone());
                    self.engine.close_listener(&address, Box::new(move || inbox.put(closed)));
                }
                Command::StopApplying => {
                    self.is_leaving.store(true, Ordering::Relaxed);
                    let deadline = self.apply.leave().unwrap_or_default();
                    self.exit_at.set(Some(Instant::now() + deadline + PATIENCE));
                }
                Command::Handoff => hand_over::give(std::mem::take(&mut fds).pop(), &self.engine),
                Command::TakeFlows => {
                    hand_over::take(std::mem::take(&mut fds).pop(), &self.engine);
                }
                Command::Drain => {
                    let inbox = self.inbox.clone();
                    self.engine.drain(Box::new(move || inbox.put(Event::ListenersClosed)));
                }
                Command::Probe => {
                    let inbox = self.inbox.clone();
                    self.engine.probe(Box::new(move || inbox.put(Event::Alive)));
                }
                Command::RotateTickets(secret) => {
                    if let Err(error) = self.engine.rotate_tickets(&secret) {
                        self.complain(&error);
                    }
                }
                Command::ReopenLogs => self.engine.reopen_logs(),
                Command::Say(message) => self.say(&message),
                Command::Exit(status) => {
                    // A socket left behind would not disturb anyone, because names are per
                    // generation.
                    let _ = std::fs::remove_file(&self.grpc_socket);
                    return Some(status);
                }
            }
        }
        None
    }

    fn say(&self, message: &ToSupervisor) {
        // The loss of the supervisor shows as the end of the link.
        let _ = self.link.send(message);
    }

    fn complain(&self, what: &str) {
        let text = format!("a packet of the supervisor was not understood: {what}");
        self.events.emit(EventLevel::Error, "supervisor.bad_packet", None, text);
    }
}

#[cfg(test)]
mod tests;
