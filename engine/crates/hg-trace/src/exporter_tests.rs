use super::*;
use crate::span::{Kind, Span};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;

const SPAN: Span<'_> = Span {
    trace_id: 1,
    span_id: 2,
    parent: 0,
    is_parent_remote: false,
    flags: 1,
    kind: Kind::Server,
    name: ("GET", "r"),
    unix_us: (1, 2),
    is_error: false,
};

/// A collector that gives these answers, one after the other, to requests on any connections.
struct Collector {
    endpoint: String,
    bodies: mpsc::Receiver<Vec<u8>>,
}

impl Collector {
    fn new(answers: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (sender, bodies) = mpsc::channel();
        std::thread::spawn(move || {
            let mut answers = answers.iter();
            while answers.len() > 0 {
                let (mut stream, _) = listener.accept().unwrap();
                while let Some(body) = read(&mut stream) {
                    sender.send(body).unwrap();
                    let Some(answer) = answers.next() else { return };
                    if stream.write_all(answer.as_bytes()).is_err() {
                        break;
                    }
                }
            }
        });
        Self { endpoint, bodies }
    }

    fn body(&self) -> Vec<u8> {
        self.bodies.recv_timeout(Duration::from_secs(30)).unwrap()
    }
}

/// Reads a request; returns its body.
fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let (mut all, mut room) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&all).into_owned();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let (_, length) = head.split_once("Content-Length: ").unwrap();
            let whole = all.len() - stream_head(&all);
            if whole >= length.lines().next().unwrap().parse::<usize>().unwrap() {
                return Some(all.split_off(stream_head(&all)));
            }
        }
        match stream.read(&mut room) {
            Ok(n) if n > 0 => all.extend_from_slice(&room[..n]),
            _ => return None,
        }
    }
}

fn stream_head(all: &[u8]) -> usize {
    all.windows(4).position(|at| at == b"\r\n\r\n").unwrap() + 4
}

fn plan(endpoint: &str) -> TraceExport {
    TraceExport {
        endpoint: endpoint.into(),
        service_name: "s".into(),
        headers: [("x-key".to_owned(), "k".to_owned())].into(),
        timeout_ms: 30_000,
        tls: None,
    }
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < end, "{what} did not happen");
        std::thread::yield_now();
    }
}

fn started() -> (Exporter, mpsc::Receiver<News>) {
    let (sender, news) = mpsc::channel();
    let tell = Box::new(move |one| drop(sender.send(one)));
    (Exporter::start(1, hg_dial::literals_only(), tell).unwrap(), news)
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[test]
fn spans_are_sent_and_counted() {
    let collector = Collector::new(&[OK, OK]);
    let (exporter, _news) = started();
    exporter.configure(Some(&plan(&collector.endpoint)), None);
    let mut writer = exporter.writer();
    for round in 1..=2 {
        writer.write(&SPAN, |more| {
            more.text("a", b"b").number("n", 3).flag("f", true);
        });
        writer.flush();
        let body = collector.body();
        assert!(body.windows(4).any(|at| at == b"GET "), "{body:?}");
        until("the count", || exporter.stats().exported == round);
    }
    assert_eq!(exporter.stats(), TraceStats { exported: 2, ..TraceStats::default() });
}

#[test]
fn what_is_not_taken_now_is_sent_again() {
    const LATER: &str = "HTTP/1.1 503 x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let collector = Collector::new(&[LATER, OK]);
    let (exporter, news) = started();
    exporter.configure(Some(&plan(&collector.endpoint)), None);
    let mut writer = exporter.writer();
    writer.write(&SPAN, |_| {});
    writer.flush();
    assert_eq!(collector.body(), collector.body());
    until("the count", || exporter.stats().exported == 1);
    assert_eq!(exporter.stats().failures, [0, 0, 0, 0, 0, 1]);
    let wait = Duration::from_secs(30);
    assert_eq!(news.recv_timeout(wait), Ok(News::Failing("it answers 503".into())));
    assert_eq!(news.recv_timeout(wait), Ok(News::Working));
}

#[test]
fn what_is_refused_is_dropped() {
    let collector = Collector::new(&["HTTP/1.1 400 x\r\nContent-Length: 0\r\n\r\n"]);
    let (exporter, _news) = started();
    exporter.configure(Some(&plan(&collector.endpoint)), None);
    let mut writer = exporter.writer();
    writer.write(&SPAN, |_| {});
    writer.flush();
    until("the count", || exporter.stats().refused == 1);
    assert!(exporter.stats().is_failing);
}

#[test]
fn a_collector_that_hangs_takes_no_more_than_there_is_room_for() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (exporter, _news) = started();
    exporter.configure(Some(&plan(&format!("http://{}", silent.local_addr().unwrap()))), None);
    let mut writer = exporter.writer();
    let mut spans = 0;
    // Far more than fits, with no wait anywhere on this side.
    while exporter.stats().queue_full == 0 {
        writer.write(&SPAN, |more| {
            more.text("a", &[b'x'; 2048]);
        });
        spans += 1;
        assert!(spans < 100_000, "nothing was dropped");
    }
    assert_eq!(exporter.stats().exported, 0);
}

#[test]
fn the_last_spans_are_sent_before_the_end() {
    let collector = Collector::new(&[OK]);
    let (exporter, _news) = started();
    exporter.configure(Some(&plan(&collector.endpoint)), None);
    let mut writer = exporter.writer();
    writer.write(&SPAN, |_| {});
    drop(writer);
    assert!(!exporter.is_over());
    exporter.stop();
    collector.body();
    until("the end", || exporter.is_over());
}
