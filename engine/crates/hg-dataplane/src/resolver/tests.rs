//! Tests of what the resolver passes to the engine, with fake answers and time.

use super::schedule::Lack;
use super::*;
use crate::fake::FakeEngine;
use std::collections::VecDeque;

/// Gives prepared answers, one after the other; repeats the last one.
#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Result<Answer, String>>>,
    asked: Mutex<Vec<(String, Duration)>>,
    start: Mutex<Option<Instant>>,
}

impl Lookup for Script {
    fn ask(&self, host: &str, _: &Settings) -> Asking {
        let start = *self.start.lock().unwrap().get_or_insert_with(Instant::now);
        self.asked.lock().unwrap().push((host.into(), start.elapsed()));
        let mut answers = self.answers.lock().unwrap();
        let next = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
        match next {
            Some(answer) => Box::pin(async move { answer }),
            None => Box::pin(std::future::pending()),
        }
    }
}

fn address(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

fn good(last: u8, ttl: u64) -> Result<Answer, String> {
    let ttl = Some(Duration::from_secs(ttl));
    Ok(Answer { addresses: vec![address(last)], ttl, lack: None })
}

fn told(name: &str, last: u8, port: u16) -> (String, Result<Vec<SocketAddr>, String>) {
    (name.into(), Ok(vec![SocketAddr::new(address(last), port)]))
}

struct Bench {
    engine: Arc<FakeEngine>,
    events: Arc<EventHub>,
    script: Arc<Script>,
    resolver: Resolver,
}

impl Bench {
    /// Starts the resolver on the runtime of the test, whose time moves only while the test waits.
    fn start(names: &[&str], answers: Vec<Result<Answer, String>>) -> Self {
        tokio::time::pause();
        let (engine, events) = (Arc::new(FakeEngine::default()), Arc::new(EventHub::default()));
        let script = Arc::new(Script { answers: Mutex::new(answers.into()), ..Script::default() });
        let resolver = Resolver::new(engine.clone(), events.clone(), script.clone());
        let bench = Self { engine, events, script, resolver };
        bench.want(names);
        tokio::spawn(bench.resolver.clone().run());
        bench
    }

    fn want(&self, names: &[&str]) {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let settings = Settings { min_ttl_ms: 1_000, ..Settings::default() };
        self.resolver.want_names(&names, settings);
    }

    /// Lets this much time pass.
    async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
}

fn run(test: impl Future<Output = ()>) {
    crate::server::runtime().unwrap().block_on(test);
}

#[test]
fn the_first_answer_is_told_for_every_port_and_a_later_one_when_it_changes() {
    run(async {
        let names = ["a.test:80", "a.test:443"];
        let bench = Bench::start(&names, vec![good(1, 10), good(1, 10), good(2, 10)]);
        bench.pass(1).await;
        let first = [told("a.test:80", 1, 80), told("a.test:443", 1, 443)];
        assert_eq!(bench.engine.seen().addresses, first);
        bench.pass(11).await;
        assert_eq!(bench.engine.seen().addresses.len(), 2);
        bench.pass(10).await;
        let later = [told("a.test:80", 2, 80), told("a.test:443", 2, 443)];
        assert_eq!(bench.engine.seen().addresses[2..], later);
        let asked = bench.script.asked.lock().unwrap().clone();
        let again = asked[1].1;
        assert!((9_000..=10_000).contains(&again.as_millis()), "{again:?}");
    });
}

#[test]
fn a_failure_is_told_once_as_an_event_and_recovery_reaches_the_engine() {
    run(async {
        let down = || Err("no such name (NXDOMAIN)".to_owned());
        let bench = Bench::start(&["a.test:80"], vec![good(1, 1), down(), down(), good(1, 60)]);
        bench.pass(30).await;
        let seen = bench.engine.seen().addresses;
        let failed = ("a.test:80".to_owned(), Err("no such name (NXDOMAIN)".to_owned()));
        let good = told("a.test:80", 1, 80);
        assert_eq!(seen, [good.clone(), failed.clone(), failed, good]);
        let mut stream = bench.events.watch().unwrap();
        let event = stream.try_recv().unwrap().unwrap();
        assert_eq!((&*event.kind, &*event.level), ("resolver.failed", "warn"));
        assert!(stream.try_recv().is_err());
        let report = &bench.resolver.reports()[0];
        assert_eq!((report.failures, report.lookups), (2, 4));
        assert!(report.age.unwrap() < Duration::from_secs(30));
    });
}

#[test]
fn a_server_that_never_answers_is_a_failure_in_time() {
    run(async {
        let bench = Bench::start(&["a.test:80"], vec![]);
        bench.pass(4).await;
        assert!(bench.engine.seen().addresses.is_empty());
        bench.pass(2).await;
        let expected = ("a.test:80".to_owned(), Err("no answer within 5000 ms".to_owned()));
        assert_eq!(bench.engine.seen().addresses[0], expected);
    });
}

#[test]
fn a_new_plan_is_looked_up_at_once() {
    run(async {
        let bench = Bench::start(&["a.test:80"], vec![good(1, 600)]);
        bench.pass(1).await;
        bench.want(&["a.test:81", "b.test:80"]);
        bench.pass(1).await;
        let seen = bench.engine.seen().addresses;
        assert_eq!(seen[1..], [told("a.test:81", 1, 81), told("b.test:80", 1, 80)]);
        let hosts: Vec<String> =
            bench.script.asked.lock().unwrap().iter().map(|(host, _)| host.clone()).collect();
        assert_eq!(hosts, ["a.test", "b.test"]);
    });
}

#[test]
fn a_name_that_was_away_for_one_plan_is_told_again() {
    run(async {
        let bench = Bench::start(&["a.test:80"], vec![good(1, 600)]);
        bench.pass(1).await;
        bench.want(&[]);
        bench.want(&["a.test:80"]);
        bench.pass(1).await;
        let again = told("a.test:80", 1, 80);
        assert_eq!(bench.engine.seen().addresses, [again.clone(), again]);
    });
}

#[test]
fn an_answer_that_lacks_a_family_replaces_no_good_addresses_of_it() {
    run(async {
        let half = |is_ipv4| {
            let lack = Some(Lack { is_ipv4, why: "SERVFAIL".into() });
            good(9, 10).map(|answer| Answer { lack, ..answer })
        };
        let bench = Bench::start(&["a.test:80"], vec![good(1, 10), half(true), half(false)]);
        bench.pass(13).await;
        let failed = ("a.test:80".to_owned(), Err("SERVFAIL".to_owned()));
        // It had no addresses of the other family: there is nothing to lose.
        let (first, last) = (told("a.test:80", 1, 80), told("a.test:80", 9, 80));
        assert_eq!(bench.engine.seen().addresses, [first, failed, last]);
    });
}
