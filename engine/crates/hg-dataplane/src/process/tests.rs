//! The whole process against a supervisor and a control plane, with a fake engine.

use super::*;
use crate::apply_messages::{transaction, whole};
use crate::fake::FakeEngine;
use crate::link::tests::{pair, send_with};
use crate::proto::data_plane_client::DataPlaneClient;
use crate::proto::{self, apply_reply::Outcome};
use crate::store::tests::TempDir;
use hg_engine::EngineEvent;
use hg_plan::{Change, Kind, Plan};
use rustix::net::{RecvFlags, recv};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt as _;
use std::thread::JoinHandle;
use tonic::transport::{Channel, Endpoint};

/// A running process, its supervisor's end and its engine.
struct Running {
    temp: TempDir,
    supervisor: Option<OwnedFd>,
    engine: Arc<FakeEngine>,
    thread: Option<JoinHandle<io::Result<i32>>>,
    runtime: tokio::runtime::Runtime,
}

impl Running {
    fn start() -> Self {
        Self::start_in(TempDir::new())
    }

    fn start_in(temp: TempDir) -> Self {
        let (supervisor, ours) = pair();
        let engine = Arc::new(FakeEngine::default());
        engine.restarts.lock().unwrap().push(0);
        let socket = rustix::io::fcntl_dupfd_cloexec(&ours, 0).unwrap();
        let given = engine.clone();
        let thread =
            std::thread::spawn(move || run(socket, &|_| Ok(given.clone() as Arc<dyn EngineApi>)));
        let packet = format!(
            r#"{{"op":"start","generation":3,"state_dir":"{0}","grpc_socket":"{0}/dp.sock","workers":1}}"#,
            temp.path().display()
        );
        send_with(&supervisor, packet.as_bytes(), &[]);
        let runtime = runtime().unwrap();
        let (supervisor, thread) = (Some(supervisor), Some(thread));
        let running = Self { temp, supervisor, engine, thread, runtime };
        let ready = running.hear();
        assert_eq!(ready["op"], "ready");
        assert_eq!(ready["pid"], std::process::id());
        running
    }

    /// Returns the next packet from the process.
    fn hear(&self) -> serde_json::Value {
        let socket = self.supervisor.as_ref().unwrap();
        let mut fds = [PollFd::new(socket, PollFlags::IN)];
        let limit = Timespec { tv_sec: 45, tv_nsec: 0 };
        assert_eq!(poll(&mut fds, Some(&limit)), Ok(1), "the process said something");
        let mut buffer = vec![0; PACKET_BYTES];
        let (len, _) = recv(socket, &mut buffer[..], RecvFlags::empty()).unwrap();
        serde_json::from_slice(&buffer[..len]).unwrap()
    }

    fn say(&self, packet: &str) {
        send_with(self.supervisor.as_ref().unwrap(), packet.as_bytes(), &[]);
    }

    /// Makes a gRPC call.
    fn ask<T>(&self, question: impl AsyncFnOnce(DataPlaneClient<Channel>) -> T) -> T {
        let uri = format!("unix:{}/dp.sock", self.temp.path().display());
        self.runtime.block_on(async {
            let channel = Endpoint::from_shared(uri).unwrap().connect().await.unwrap();
            question(DataPlaneClient::new(channel)).await
        })
    }

    fn apply(&self, base: Option<&Plan>, changes: &[Change]) -> proto::ApplyReply {
        let messages = transaction(base, changes);
        self.ask(async |mut client| {
            client.apply(tokio_stream::iter(messages)).await.unwrap().into_inner()
        })
    }

    /// Waits for the exit status.
    fn ended(mut self) -> (TempDir, i32) {
        let status = self.thread.take().unwrap().join().unwrap().unwrap();
        (self.temp, status)
    }
}

fn put(name: &str) -> Change {
    let bytes = br#"{"respond":{"status":404}}"#.to_vec();
    Change { kind: Kind::Middleware, name: name.into(), bytes: Some(bytes) }
}

#[test]
fn a_control_plane_sees_who_it_talks_to_and_nobody_else_may() {
    let running = Running::start();
    let hello = running.ask(async |mut client| {
        client.hello(proto::HelloRequest::default()).await.unwrap().into_inner()
    });
    assert_eq!((hello.generation, hello.workers, hello.draining), (3, 1, false));
    assert_eq!(hello.plan_digest, Plan::default().digest().hex());
    let socket = std::fs::metadata(running.temp.path().join("dp.sock")).unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    running.say(r#"{"op":"quit"}"#);
    let (temp, status) = running.ended();
    assert_eq!(status, 0);
    assert!(!temp.path().join("dp.sock").exists());
}

#[test]
fn a_plan_is_served_and_found_again_by_the_next_process() {
    let running = Running::start();
    let reply = running.apply(None, &[put("a"), put("b")]);
    assert_eq!((reply.outcome(), reply.compile_us), (Outcome::Applied, 7));
    let held = whole(&[put("a"), put("b")]);
    assert_eq!(reply.held_digest, held.digest().hex());
    let reply = running.apply(Some(&held), &[put("c")]);
    assert_eq!(reply.outcome(), Outcome::Applied);
    assert_eq!(running.engine.seen().changed, ["c"]);
    let reply = running.apply(Some(&held), &[put("d")]);
    assert_eq!(reply.outcome(), Outcome::BaseMismatch);
    let reply = running.apply(None, &[put("bad")]);
    assert_eq!((reply.outcome(), reply.errors.len()), (Outcome::Refused, 1));
    let served = running.engine.seen().digest.unwrap();
    running.say(r#"{"op":"quit"}"#);
    let (temp, _) = running.ended();
    let again = Running::start_in(temp);
    assert_eq!(again.engine.seen().digest, Some(served));
    again.say(r#"{"op":"quit"}"#);
    again.ended();
}

#[test]
fn a_stream_that_breaks_off_changes_nothing() {
    let running = Running::start();
    let mut messages = transaction(None, &[put("a")]);
    messages.pop();
    let status = running
        .ask(async |mut client| client.apply(tokio_stream::iter(messages)).await.unwrap_err());
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    assert_eq!(running.engine.seen().applies, 0);
    running.say(r#"{"op":"quit"}"#);
    running.ended();
}

#[test]
fn a_probe_is_answered_unless_a_worker_hangs() {
    let running = Running::start();
    running.say(r#"{"op":"probe"}"#);
    assert_eq!(running.hear()["op"], "alive");
    running.engine.hangs.store(true, Ordering::Relaxed);
    running.say(r#"{"op":"probe"}"#);
    running.say(r#"{"op":"close","address":"127.0.0.1:80"}"#);
    assert_eq!(running.hear()["op"], "closed");
    running.say(r#"{"op":"quit"}"#);
    running.ended();
}

#[test]
fn sockets_reach_the_engine_and_are_closed_on_request() {
    let running = Running::start();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let packet = br#"{"op":"sockets","address":"127.0.0.1:80","count":2}"#;
    let socket = running.supervisor.as_ref().unwrap();
    send_with(socket, packet, &[listener.as_fd(), listener.as_fd()]);
    assert_eq!(running.hear()["op"], "sockets_ok");
    assert_eq!(running.engine.seen().sockets["127.0.0.1:80"], 2);
    running.say("not json");
    running.say(r#"{"op":"reopen_logs"}"#);
    running.say(r#"{"op":"close","address":"127.0.0.1:80"}"#);
    assert_eq!(running.hear()["op"], "closed");
    assert_eq!(running.engine.seen().reopened, 1);
    running.say(r#"{"op":"quit"}"#);
    running.ended();
}

#[test]
fn handoff_lets_the_successor_write_and_ends_when_nothing_is_in_flight() {
    let running = Running::start();
    running.apply(None, &[put("a")]);
    running.say(r#"{"op":"handoff"}"#);
    assert_eq!(running.hear()["op"], "draining");
    assert!(running.engine.seen().is_handed_off);
    let refused = running.apply(None, &[put("b")]);
    assert_eq!(refused.outcome(), Outcome::Refused);
    running.engine.is_drained.store(true, Ordering::Relaxed);
    let (_, status) = running.ended();
    assert_eq!(status, 0);
}

#[test]
fn the_control_plane_may_drain() {
    let running = Running::start();
    let started = running.ask(async |mut client| {
        client.drain(proto::DrainRequest {}).await.unwrap().into_inner().started
    });
    assert!(started);
    assert_eq!(running.hear()["op"], "draining");
    assert!(running.engine.seen().is_draining);
    running.engine.is_drained.store(true, Ordering::Relaxed);
    assert_eq!(running.ended().1, 0);
}

#[test]
fn without_a_supervisor_it_empties_its_queues_and_leaves() {
    let mut running = Running::start();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let packet = br#"{"op":"sockets","address":"127.0.0.1:80","count":1}"#;
    send_with(running.supervisor.as_ref().unwrap(), packet, &[listener.as_fd()]);
    assert_eq!(running.hear()["op"], "sockets_ok");
    running.supervisor = None;
    let seen = running.engine.wait(|seen| seen.is_handed_off);
    assert_eq!(seen.closed, ["127.0.0.1:80"]);
    running.engine.is_drained.store(true, Ordering::Relaxed);
    assert_eq!(running.ended().1, 0);
}

#[test]
fn metrics_status_and_events_are_told() {
    let running = Running::start();
    running.apply(None, &[put("a")]);
    running.engine.events.lock().unwrap().push(EngineEvent {
        level: EventLevel::Warn,
        kind: "log.dropped",
        object: Some((Kind::Settings, "node".into())),
        message: "3 lines".into(),
    });
    *running.engine.restarts.lock().unwrap() = vec![1];
    let event = running.ask(async |mut client| {
        let mut stream = client.events(proto::EventsRequest {}).await.unwrap().into_inner();
        stream.message().await.unwrap().unwrap()
    });
    assert_eq!((&*event.kind, &*event.object_kind), ("log.dropped", "settings"));
    assert_eq!(running.hear()["op"], "worker_lost");
    let page = running.ask(async |mut client| {
        let request = proto::MetricsRequest {};
        let mut stream = client.metrics(request).await.unwrap().into_inner();
        let mut page = Vec::new();
        while let Some(chunk) = stream.message().await.unwrap() {
            page.extend_from_slice(&chunk.text);
        }
        String::from_utf8(page).unwrap()
    });
    assert!(page.contains("\nheadgate_plan_applies_total{outcome=\"applied\"} 1\n"), "{page}");
    let status = running.ask(async |mut client| {
        client.status(proto::StatusRequest { endpoints: true }).await.unwrap().into_inner()
    });
    assert_eq!(status.plan_digest, whole(&[put("a")]).digest().hex());
    running.say(r#"{"op":"quit"}"#);
    running.ended();
}

#[test]
fn a_first_packet_that_is_no_start_is_refused() {
    let (supervisor, ours) = pair();
    send_with(&supervisor, br#"{"op":"drain"}"#, &[]);
    let socket = rustix::io::fcntl_dupfd_cloexec(&ours, 0).unwrap();
    let error = run(socket, &|_| Ok(Arc::new(FakeEngine::default()))).unwrap_err();
    assert!(error.to_string().contains("must be `start`"), "{error}");
}
