//! One run: sets the stage, lets the worker serve until it leaves, and checks what is left.

use crate::counters::WorkerCounters;
use crate::grpc;
use crate::http::Http;
use crate::mirrors::Mirrors;
use crate::play::{Deed, Play, change};
use crate::scenario::Scenario;
use crate::shared::Shared;
use crate::snapshot::{Builder, ClientSource, ListenerEntry};
use crate::sockets;
use crate::tcp::Tcp;
use crate::udp::Udp;
use crate::worker::{Mailbox, Message, Prime, Worker};
use crate::world::{Deeds, LISTENER_PORT, World};
use hg_log::AccessLog;
use hg_net::{Fd, Figures, Poller};
use hg_otlp::{Exporter, Signal};
use hg_plan::{Change, ObjectError, Plan, Settings};
use hg_tls::Ticketer;
use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock, mpsc};

/// The results of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The kernel's figures; their hash names the whole run.
    pub figures: Figures,
    /// Requests, or what else clients ask for.
    pub asked: usize,
    /// Those that an endpoint served.
    pub served: usize,
    /// Virtual time, microseconds.
    pub virtual_us: u64,
}

/// The kind of traffic of a run's clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// HTTP/1, HTTP/2 and WebSockets.
    Http,
    /// WebSockets over HTTP/2.
    Sockets,
    /// Calls of gRPC.
    Grpc,
    /// Requests that are mirrored.
    Mirrors,
    /// Anything over TCP.
    Tcp,
    /// Datagrams.
    Udp,
}

impl Scene {
    /// Draws the run of a seed.
    fn draw(self, seed: u64) -> Rc<dyn Play> {
        match self {
            Self::Http => Rc::new(Http::new(Scenario::new(seed))),
            Self::Sockets => Rc::new(Http::new(sockets::scenario(seed))),
            Self::Grpc => Rc::new(Http::new(grpc::scenario(seed))),
            Self::Mirrors => Rc::new(Mirrors::new(seed)),
            Self::Udp => Rc::new(Udp::new(seed)),
            Self::Tcp => Rc::new(Tcp::new(seed)),
        }
    }
}

/// Plays the run of a seed.
///
/// # Errors
/// Returns the fault, with what it takes to see it again.
pub fn run(scene: Scene, seed: u64) -> Result<Report, String> {
    let (result, _) = perform(scene, seed, false);
    result.map_err(|e| format!("seed {seed}: {e}; to see it: HEADGATE_SIM_SEED={seed}"))
}

/// Plays the run of a seed and returns all that happened.
pub fn replay(scene: Scene, seed: u64) -> (Result<Report, String>, Vec<String>) {
    perform(scene, seed, true)
}

fn perform(scene: Scene, seed: u64, traced: bool) -> (Result<Report, String>, Vec<String>) {
    let play = scene.draw(seed);
    hg_net::begin(seed, play.weather(), traced);
    hg_net::trace(|| play.text());
    let served = catch_unwind(AssertUnwindSafe(|| serve(&play)));
    let result = match served {
        Ok(result) => result.map_err(|e| e.to_string()),
        Err(_) => Err("the worker panicked; what it said stands above".to_owned()),
    };
    (result, hg_net::end())
}

/// The access log, which writes nothing, the exporter, which sends nothing, and what makes session tickets: the same for all runs.
fn lasting() -> io::Result<&'static (AccessLog, Exporter, Arc<Ticketer>)> {
    type Lasting = (AccessLog, Exporter, Arc<Ticketer>);
    static LASTING: OnceLock<Result<Lasting, String>> = OnceLock::new();
    let make = || {
        let exporter = |signal| {
            Exporter::start(signal, 1, hg_dial::literals_only(), Box::new(drop))
                .map_err(|e| e.to_string())
        };
        let log = AccessLog::start(None, 1, exporter(Signal::Logs)?, Box::new(|_| {}))
            .map_err(|e| e.to_string())?;
        let traces = exporter(Signal::Traces)?;
        Ok((log, traces, Ticketer::new(&["11".repeat(32)])?))
    };
    LASTING.get_or_init(make).as_ref().map_err(|e| io::Error::other(e.clone()))
}

/// The plan and what compiles it.
struct Plans {
    plan: Plan,
    builder: Builder,
}

impl Plans {
    fn apply(&mut self, changes: &[Change]) -> io::Result<crate::snapshot::Update> {
        let refused = |errors: Vec<ObjectError>| io::Error::other(format!("{errors:?}"));
        self.plan.apply(changes).map_err(refused)?;
        self.builder.apply(&self.plan, changes, &|_| None).map_err(refused)
    }
}

fn serve(play: &Rc<dyn Play>) -> io::Result<Report> {
    let (log, traces, ticketer) = lasting()?;
    let shared = Arc::new(Shared::new(1));
    let counters = Arc::new(WorkerCounters::default());
    let poller = Poller::new()?;
    let mailbox = Arc::new(Mailbox::new(poller.waker(), 0));
    let builder = Builder::new(ticketer.clone(), shared.clock, shared.keep.clone());
    let mut plans = Plans { plan: Plan::default(), builder };
    let objects: Vec<Change> = play.objects().iter().map(change).collect();
    let update = plans.apply(&objects)?;
    let address = SocketAddr::from(([10, 0, 0, 1], LISTENER_PORT));
    let is_udp = play.is_udp();
    let listen = if is_udp { hg_net::listen_datagrams } else { hg_net::listen };
    let socket: Arc<Fd> = Arc::new(listen(address));
    let records = crate::worker::Records { log: log.writer(), traces: traces.writer() };
    let mut worker =
        Worker::new(shared.clone(), mailbox.clone(), counters.clone(), poller, records)?;
    worker.prime(Prime {
        snapshot: update.snapshot,
        sockets: vec![(crate::place::Place { address, is_udp }, 0, socket)],
    });
    let plans = Rc::new(RefCell::new(plans));
    let deeds = deeds(plans.clone(), mailbox.clone());
    let mut world = World::new(play.clone(), mailbox, deeds);
    world.begin()?;
    hg_net::play(Box::new(world));
    worker.run()?;
    let left = worker.left_over();
    if !left.is_empty() {
        return Err(io::Error::other(format!("left over: {}", left.join(", "))));
    }
    drop(worker);
    check_counters(&counters, &play.ports())?;
    play.check(&counters)?;
    play.check_results(&shared.keep.results(), counters.requests.get())?;
    check_limits(&shared, &plans.borrow().builder)?;
    let poller = Poller::new()?;
    while play.is_open() {
        poller.wait(Some(1_000), &mut Vec::new())?;
    }
    let (asked, served) = play.totals();
    let report = Report { figures: hg_net::figures(), asked, served, virtual_us: hg_net::now_us() };
    if report.figures.open > 0 {
        return Err(io::Error::other(format!("{} descriptors are open", report.figures.open)));
    }
    Ok(report)
}

/// Returns what carries out a change of plan.
fn deeds(plans: Rc<RefCell<Plans>>, mailbox: Arc<Mailbox>) -> Deeds {
    Box::new(move |deed| {
        let Deed::Apply(objects) = deed else { return Ok(()) };
        let changes: Vec<Change> = objects.iter().map(change).collect();
        let update = plans.borrow_mut().apply(&changes)?;
        hg_net::trace(|| "a new plan".to_owned());
        let (snapshot, upstreams) = (update.snapshot, update.upstreams);
        mailbox.send(Message::Swap { snapshot, upstreams, done: mpsc::channel().0 });
        Ok(())
    })
}

/// Checks that the limits of connections have all their places again.
fn check_limits(shared: &Shared, builder: &Builder) -> io::Result<()> {
    let snapshot = builder.current();
    let settings = Settings { max_connections: 1, ..Settings::default() };
    let Some(listener) = snapshot.listeners.iter().flatten().next() else {
        return Err(io::Error::other("no listener"));
    };
    let mut plan = listener.plan.clone();
    plan.max_connections = 1;
    let listener = ListenerEntry {
        name: listener.name.clone(),
        plan,
        addresses: Vec::new(),
        limits: listener.limits,
        http2: listener.http2,
        client: ClientSource { trusted: Vec::new(), source: listener.client.source },
        proxy: None,
        open: listener.open.clone(),
        tls: None,
    };
    let refused = shared.admit(&settings, &listener, Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    let upstreams = snapshot.upstreams.iter().flatten();
    let taken =
        upstreams.map(|u| u.in_use.load(Relaxed) + u.health.concurrency.in_flight()).sum::<u32>();
    match refused {
        Some(why) => Err(io::Error::other(format!("a limit of connections is taken: {why:?}"))),
        None if taken > 0 => {
            Err(io::Error::other(format!("{taken} places of upstreams are taken")))
        }
        None => Ok(()),
    }
}

fn check_counters(counters: &WorkerCounters, ports: &[u16]) -> io::Result<()> {
    let mut left = vec![("connections", counters.connections.get())];
    left.push(("tunnels", counters.tunnels.active.get()));
    left.push(("TCP sessions", counters.tcp.sessions.active.get()));
    left.push(("UDP flows", counters.udp.flows.active.get()));
    left.push(("connections of HTTP/2", counters.http2.connections.active.get()));
    let upstream = &counters.http2.upstream;
    left.push(("connections of HTTP/2 to endpoints", upstream.connections.active.get()));
    left.push(("streams to endpoints", upstream.streams.active.get()));
    for (_, u) in counters.upstreams() {
        left.push(("waiting", u.waiting.get()));
        left.push(("waiting TCP sessions", u.sessions_waiting.get()));
        for port in ports {
            let address = crate::world::address_of(*port).to_string();
            let active = u.known_endpoint(&address).map_or(0, |e| e.active.get());
            left.push(("active at an endpoint", active));
        }
    }
    left.retain(|(_, n)| *n > 0);
    if left.is_empty() { Ok(()) } else { Err(io::Error::other(format!("still counted: {left:?}"))) }
}
