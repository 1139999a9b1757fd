use super::*;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;

/// An item with this in it.
fn item(text: &[u8]) -> impl FnOnce(&mut Vec<u8>) + '_ {
    |out| crate::wire::bytes(out, 2, text)
}

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
        self.bodies.recv_timeout(Duration::from_secs(45)).unwrap()
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

fn plan(endpoint: &str) -> OtlpExport {
    OtlpExport {
        endpoint: endpoint.into(),
        service_name: "s".into(),
        headers: [("x-key".to_owned(), "k".to_owned())].into(),
        timeout_ms: 30_000,
        tls: None,
    }
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(45);
    while !condition() {
        assert!(Instant::now() < end, "{what} did not happen");
        std::thread::yield_now();
    }
}

fn started() -> (Exporter, mpsc::Receiver<News>) {
    let (sender, news) = mpsc::channel();
    let tell = Box::new(move |one| drop(sender.send(one)));
    (Exporter::start(Signal::Logs, 1, hg_dial::literals_only(), tell).unwrap(), news)
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[test]
fn items_are_sent_and_counted() {
    let collector = Collector::new(&[OK, OK]);
    let (exporter, _news) = started();
    exporter.configure(Some(&plan(&collector.endpoint)), None);
    let mut writer = exporter.writer();
    for round in 1..=2 {
        writer.append(item(b"GET "));
        writer.flush();
        let body = collector.body();
        assert!(body.windows(4).any(|at| at == b"GET "), "{body:?}");
        until("the count", || exporter.stats().exported == round);
    }
    assert_eq!(exporter.stats(), ExportStats { exported: 2, ..ExportStats::default() });
}

#[test]
fn what_is_not_taken_now_is_sent_again() {
    const LATER: &str = "HTTP/1.1 503 x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let collector = Collector::new(&[LATER, OK]);
    let (exporter, news) = started();
    exporter.configure(Some(&plan(&collector.endpoint)), None);
    let mut writer = exporter.writer();
    writer.append(item(b"x"));
    writer.flush();
    assert_eq!(collector.body(), collector.body());
    until("the count", || exporter.stats().exported == 1);
    assert_eq!(exporter.stats().failures, [0, 0, 0, 0, 0, 1]);
    let wait = Duration::from_secs(30);
    assert_eq!(news.recv_timeout(wait), Ok(News::Failing("it answers 503".into())));
    assert_eq!(news.recv_timeout(wait), Ok(News::Working));
}

#[test]
fn a_collector_that_is_removed_while_it_fails_is_not_told_of_any_more() {
    const LATER: &str = "HTTP/1.1 503 x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    // Long enough for it to be removed meanwhile.
    const FIRST: &str = "HTTP/1.1 503 x\r\nRetry-After: 4\r\nContent-Length: 0\r\n\r\n";
    let collector = Collector::new(&[FIRST, LATER, OK]);
    let (exporter, news) = started();
    exporter.configure(Some(&plan(&collector.endpoint)), None);
    let mut writer = exporter.writer();
    writer.append(item(b"x"));
    writer.flush();
    collector.body();
    until("the failure", || exporter.stats().is_failing);
    exporter.configure(None, None);
    until("the end of the failure", || !exporter.stats().is_failing);
    collector.body();
    until("the next failure", || exporter.stats().failures.iter().sum::<u64>() == 2);
    collector.body();
    until("the count", || exporter.stats().exported == 1);
    assert!(!exporter.stats().is_failing);
    let told: Vec<_> = news.try_iter().collect();
    assert_eq!(told, [News::Failing("it answers 503".into())]);
}

#[test]
fn an_address_that_never_answers_does_not_keep_items_from_the_next_one() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    // It may be too late itself, and is asked again.
    let collector = Collector::new(&[OK, OK, OK]);
    let good = collector.endpoint.strip_prefix("http://").unwrap().parse().unwrap();
    let known = vec![silent.local_addr().unwrap(), good];
    let lookup: Lookup = Arc::new(move |_| Some(Ok(known.clone())));
    let exporter = Exporter::start(Signal::Logs, 1, lookup, Box::new(drop)).unwrap();
    let named = OtlpExport { timeout_ms: 2_000, ..plan("http://collector.example:4318") };
    exporter.configure(Some(&named), None);
    let mut writer = exporter.writer();
    writer.append(item(b"x"));
    writer.flush();
    collector.body();
    until("the count", || exporter.stats().exported == 1);
}

#[test]
fn what_is_refused_is_dropped() {
    let collector = Collector::new(&["HTTP/1.1 400 x\r\nContent-Length: 0\r\n\r\n"]);
    let (exporter, _news) = started();
    exporter.configure(Some(&plan(&collector.endpoint)), None);
    let mut writer = exporter.writer();
    writer.append(item(b"x"));
    writer.flush();
    until("the count", || exporter.stats().refused == 1);
    until("the state", || exporter.stats().is_failing);
}

#[test]
fn a_collector_that_hangs_takes_no_more_than_there_is_room_for() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (exporter, _news) = started();
    exporter.configure(Some(&plan(&format!("http://{}", silent.local_addr().unwrap()))), None);
    let mut writer = exporter.writer();
    let mut items = 0;
    // Far more than fits, with no wait anywhere on this side.
    while exporter.stats().queue_full == 0 {
        writer.append(item(&[b'x'; 2048]));
        items += 1;
        assert!(items < 100_000, "nothing was dropped");
    }
    assert_eq!(exporter.stats().exported, 0);
}

#[test]
fn the_last_items_are_sent_before_the_end() {
    let collector = Collector::new(&[OK]);
    let (exporter, _news) = started();
    exporter.configure(Some(&plan(&collector.endpoint)), None);
    let mut writer = exporter.writer();
    writer.append(item(b"x"));
    drop(writer);
    assert!(!exporter.is_over());
    exporter.stop();
    collector.body();
    until("the end", || exporter.is_over());
}

#[test]
fn what_waits_behind_a_batch_that_is_tried_again_is_sent_before_the_end() {
    const LATER: &str = "HTTP/1.1 503 x\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n";
    let collector = Collector::new(&[LATER, OK, OK]);
    let (exporter, _news) = started();
    exporter.configure(Some(&plan(&collector.endpoint)), None);
    let mut writer = exporter.writer();
    writer.append(item(b"first"));
    writer.flush();
    collector.body();
    until("the failure", || exporter.stats().is_failing);
    writer.append(item(b"second"));
    drop(writer);
    exporter.stop();
    let has = |body: Vec<u8>, text: &[u8]| body.windows(text.len()).any(|at| at == text);
    assert!(has(collector.body(), b"first"));
    assert!(has(collector.body(), b"second"));
    // Later than the exporter's own patience, if need be.
    until("the count", || exporter.stats().exported == 2);
    until("the end", || exporter.is_over());
}

#[test]
fn much_that_waited_goes_in_parts_and_all_of_it_before_the_end() {
    const LATER: &str = "HTTP/1.1 503 x\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n";
    let collector = Collector::new(&[LATER, OK, OK, OK, OK, OK, OK]);
    let (exporter, _news) = started();
    exporter.configure(Some(&plan(&collector.endpoint)), None);
    let mut writer = exporter.writer();
    writer.append(item(b"first"));
    writer.flush();
    collector.body();
    until("the failure", || exporter.stats().is_failing);
    for _ in 0..1024 {
        writer.append(item(&[b'x'; 2048]));
    }
    drop(writer);
    exporter.stop();
    until("the count", || exporter.stats().exported == 1025);
    until("the end", || exporter.is_over());
    let sizes: Vec<usize> = collector.bodies.try_iter().map(|body| body.len()).collect();
    assert!(sizes.len() > 4 && sizes.iter().all(|bytes| *bytes <= 520 * 1024), "{sizes:?}");
    assert_eq!(exporter.stats().exported, 1025);
}
