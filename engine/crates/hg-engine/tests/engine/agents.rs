//! Agents of endpoints, end to end: real TCP servers that say how their endpoints are.

use crate::common::{Node, eventually, put, read_head};
use hg_engine::{EndpointOrder, HealthReport};
use hg_plan::Kind;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

/// An agent that answers each connection with what it was told to say.
struct Agent {
    says: Arc<Mutex<String>>,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Agent {
    /// Serves on this port of this address, as the agent of an endpoint there.
    fn serve(listener: TcpListener, wants: usize) -> Self {
        let says = Arc::new(Mutex::new("ready up\n".to_owned()));
        let heard = Arc::<Mutex<Vec<u8>>>::default();
        let (line, got) = (Arc::clone(&says), Arc::clone(&heard));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut bytes = vec![0; wants];
                if stream.read_exact(&mut bytes).is_ok() {
                    *got.lock().unwrap() = bytes;
                    let line = line.lock().unwrap().clone();
                    let _ = stream.write_all(line.as_bytes());
                }
            }
        });
        Self { says, heard }
    }

    fn say(&self, line: &str) {
        *self.says.lock().unwrap() = line.to_owned();
    }
}

/// Endpoints that answer with their number; each is on an address of its own, so that agents of all
/// have the same port.
struct World {
    node: Node,
    agents: Vec<Agent>,
    addresses: Vec<SocketAddr>,
    port: u16,
}

impl World {
    fn new(rest: &str, send: &str) -> Self {
        let addresses: Vec<SocketAddr> = (0..2).map(endpoint).collect();
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        let second = TcpListener::bind(("127.0.0.2", port)).unwrap();
        let agents = [first, second].map(|l| Agent::serve(l, send.len())).into();
        let node = Node::start(&json(&addresses, rest, port, send), "", 1);
        Self { node, agents, addresses, port }
    }

    fn health(&self) -> Vec<HealthReport> {
        let status = self.node.engine.status();
        status.upstreams[0].endpoints.iter().map(|e| e.health.clone()).collect()
    }

    fn states(&self) -> Vec<&'static str> {
        self.health().iter().map(|h| h.state).collect()
    }

    /// Returns how many of so many requests each endpoint answers.
    fn counts(&self, requests: usize) -> [usize; 2] {
        let mut counts = [0; 2];
        for _ in 0..requests {
            let answer = self.node.get("/");
            counts[answer.chars().last().unwrap().to_digit(10).unwrap() as usize] += 1;
        }
        counts
    }

    fn heard_all(&self) {
        eventually("all agents have answered", || {
            self.health().iter().all(|h| h.agent.is_some_and(|a| a.answers > 0))
        });
    }
}

/// Starts an endpoint that answers with its number; returns its address.
fn endpoint(name: u8) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 0, name + 1), 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{name}");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || {
                while read_head(&mut stream).is_some() {
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn json(addresses: &[SocketAddr], rest: &str, port: u16, send: &str) -> String {
    let agent =
        format!(r#""agent":{{"port":{port},"send":"{send}","interval_ms":20,"timeout_ms":60000}}"#);
    crate::common::upstream_json(addresses, &format!(r#"{rest},"health":{{{agent}}}"#))
}

#[test]
fn an_agent_takes_its_endpoint_out_and_puts_it_back() {
    let world = World::new("", "");
    world.heard_all();
    assert_eq!(world.states(), ["up", "up"]);
    for (line, state, reason) in [
        ("down#disk is full\n", "down", "agent-down"),
        ("drain\n", "drain", "agent-drain"),
        ("maint\n", "maintenance", "agent-maintenance"),
        ("0%\n", "drain", "agent-drain"),
    ] {
        world.agents[1].say(line);
        eventually("it is out", || world.states() == ["up", state]);
        let report = world.health().remove(1);
        assert_eq!((report.takes, report.reason), (false, reason), "{line}");
        let said = format!("; its agent said: {}", line.trim());
        assert!(report.why.ends_with(&said), "{}", report.why);
        assert_eq!(world.counts(6), [6, 0], "{line}");
        world.agents[1].say("ready up 100%\n");
        eventually("it is back", || world.states() == ["up", "up"]);
        eventually("it gets requests", || world.counts(6)[1] > 0);
    }
    let told: Vec<String> =
        world.node.engine.take_events().into_iter().map(|e| e.message).collect();
    let wanted =
        format!("the agent of endpoint {} of upstream u said: down#disk", world.addresses[1]);
    assert!(told.iter().any(|text| text.starts_with(&wanted)), "{told:?}");
}

#[test]
fn all_endpoints_that_report_to_be_down_stay_out_even_if_none_is_left() {
    let world = World::new("", "");
    world.agents.iter().for_each(|agent| agent.say("stopped\n"));
    eventually("both are down", || world.states() == ["down", "down"]);
    assert!(world.node.get("/").starts_with("HTTP/1.1 503 "));
}

#[test]
fn weights_of_agents_are_those_of_the_balancer() {
    for balance in ["round_robin", "random", "least_conn"] {
        let world = World::new(&format!(r#","balance":"{balance}""#), "");
        world.agents[1].say("25%\n");
        eventually("the weight is told", || {
            world.health()[1].agent.is_some_and(|a| a.percent == 25)
        });
        assert!(world.health()[1].why.ends_with("; its agent asks for 25 % of its weight"));
        eventually("it takes a fifth", || {
            let [first, second] = world.counts(200);
            (25..=55).contains(&second) && first + second == 200
        });
        world.agents[0].say("25%\n");
        eventually("both take the same", || {
            let [_, second] = world.counts(200);
            (70..=130).contains(&second)
        });
    }
}

#[test]
fn an_agent_that_is_gone_changes_nothing_and_is_told() {
    let world = World::new("", "");
    world.agents[1].say("drain\n");
    eventually("it drains", || world.states() == ["up", "drain"]);
    world.agents[1].say("nonsense\n");
    eventually("the agent is told", || world.health()[1].agent.is_some_and(|a| a.failures > 0));
    let report = world.health().remove(1);
    assert_eq!(report.state, "drain");
    let told = "; its agent does not answer (its answer `nonsense` has no word of an agent), and \
                what it said last stays";
    assert!(report.why.ends_with(told), "{}", report.why);
}

#[test]
fn an_operator_and_an_agent_do_not_undo_each_other() {
    let world = World::new("", "");
    world.heard_all();
    world.agents[1].say("drain\n");
    eventually("it drains", || world.states() == ["up", "drain"]);
    let address = world.addresses[1].to_string();
    world.node.engine.order("u", &address, EndpointOrder::Ready);
    assert_eq!(world.states(), ["up", "drain"]);
    world.node.engine.order("u", &address, EndpointOrder::Maintenance);
    world.agents[1].say("ready\n");
    eventually("it is for maintenance", || world.states() == ["up", "maintenance"]);
    world.node.engine.order("u", &address, EndpointOrder::Ready);
    eventually("it is back", || world.states() == ["up", "up"]);
}

#[test]
fn an_agent_gets_what_it_is_to_be_sent_and_is_forgotten_without_its_check() {
    let mut world = World::new("", "status");
    world.agents[1].say("down");
    eventually("it is down", || world.states() == ["up", "down"]);
    assert_eq!(*world.agents[1].heard.lock().unwrap(), b"status");
    // A reload that changes something else keeps what agents said.
    let kept = json(&world.addresses, r#","queue":5"#, world.port, "status");
    world.node.apply(&[put(Kind::Upstream, "u", kept)]);
    assert_eq!(world.states(), ["up", "down"]);
    let plain = crate::common::upstream_json(&world.addresses, "");
    world.node.apply(&[put(Kind::Upstream, "u", plain)]);
    eventually("it is up", || world.states() == ["up", "up"]);
    assert_eq!(world.health()[1].agent, None);
}

#[test]
fn what_cannot_be_asked_is_refused_with_its_place() {
    let world = World::new("", "");
    let errors = world.node.refused(&[put(
        Kind::Upstream,
        "u",
        r#"{"endpoints":[{"address":"unix:/run/a.sock"}],"health":{"agent":{"port":0,"interval_ms":0}}}"#
            .to_owned(),
    )]);
    let places = ["health.agent.port", "health.agent.interval_ms", "endpoints[0].address"];
    assert_eq!(errors.len(), places.len(), "{errors:?}");
    for (error, place) in errors.iter().zip(places) {
        assert!(error.contains(&format!(" u: {place}: ")), "{error}");
    }
}
