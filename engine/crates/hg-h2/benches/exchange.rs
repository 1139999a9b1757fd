//! The cost of one exchange on the server's side of a connection: HEADERS in, the head of the rest
//! of the proxy made, an HTTP/1 head written for an upstream, HEADERS and DATA out. The same on the
//! client's side: a request out, the answer in.
//!
//! Recorded bytes are played to a new session in many short rounds; the CPU time of the thread in the
//! best round counts, because other programs share the machine. `BENCH_CPU=1` pins the thread.
//! Allocations are those of one round's requests, once the tables are warm.
//! `benchmarks/codec.c` does the server's side with nghttp2.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing)]

use hg_h2::{
    After, Arrival, Event, Incoming, Limits, Line, NeverIndexed, RequestLine, Role, Sensitivity,
    Session,
};
use hg_proto::{Admission, Known, Lines, Scheme, write};
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;

/// Reads that are recorded; the first quarter of them warms the tables.
const READS: usize = 400;
const WARM: usize = 100;
const ROUNDS: usize = 200;
const BODY: &[u8] = b"Hello, world!";

const FIVE: &[(&str, &str)] = &[("user-agent", "h2load nghttp2/1.52.0")];
const NINETEEN: &[(&str, &str)] = &[
    ("cache-control", "max-age=0"),
    ("sec-ch-ua", "\"Chromium\";v=\"130\", \"Google Chrome\";v=\"130\", \"Not?A_Brand\";v=\"99\""),
    ("sec-ch-ua-mobile", "?0"),
    ("sec-ch-ua-platform", "\"Linux\""),
    ("upgrade-insecure-requests", "1"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
    ),
    (
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
    ),
    ("sec-fetch-site", "same-origin"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-user", "?1"),
    ("sec-fetch-dest", "document"),
    ("referer", "https://shop.example.com/catalogue/page/2"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "en-GB,en;q=0.9,de;q=0.8"),
    ("cookie", "session=0123456789abcdef0123456789abcdef; theme=dark; consent=all"),
];
const ANSWER: &[(&str, &str)] =
    &[("server", "origin/1.0"), ("content-type", "text/plain"), ("content-length", "13")];

fn lines<'a>(fields: &'a [(&'a str, &'a str)]) -> impl Iterator<Item = Line<'a>> {
    fields.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes(), Sensitivity::Normal))
}

fn open(client: &mut Session, fields: &'static [(&str, &str)]) {
    let line = RequestLine {
        method: "GET",
        scheme: Scheme::Https,
        authority: "shop.example.com",
        path: "/catalogue/page/3",
        query: Some("sort=price"),
        websocket: false,
        never: NeverIndexed::NONE,
    };
    client.send_request(&line, lines(fields), true).unwrap();
}

/// Reads what came and answers each request; the head for an upstream goes to `upstream`.
fn serve(
    server: &mut Session,
    input: &[u8],
    incoming: &mut Incoming,
    upstream: &mut Vec<u8>,
) -> usize {
    let (mut at, mut served) = (0, 0);
    while let Some(event) = server.next(input, &mut at, 1, incoming).unwrap() {
        let Event::Head { stream, end, .. } = event else { continue };
        let arrival = Arrival { admission: Admission::default(), tls: true, end };
        let mut slots = Lines::new();
        let head = incoming.message().request(&mut slots, &arrival).unwrap();
        upstream.clear();
        write::request_line(upstream, head.method.as_str(), head.path, head.query);
        write::line(upstream, "host", head.host.as_bytes());
        write::fields(upstream, &head.fields, |f| f.known == Known::Expect);
        write::request_framing(upstream, head.framing);
        write::end(upstream);
        black_box(&upstream);
        server.send_response(stream, 200, lines(ANSWER), false).unwrap();
        server.data(stream, BODY, After::End).unwrap();
        served += 1;
    }
    served
}

fn take(session: &mut Session, into: &mut Vec<u8>) {
    into.clear();
    into.extend_from_slice(session.output());
    session.sent(into.len());
}

/// Takes in answers; returns how many ended.
fn collect(client: &mut Session, input: &[u8], incoming: &mut Incoming) -> usize {
    let (mut at, mut ended) = (0, 0);
    while let Some(event) = client.next(input, &mut at, 1, incoming).unwrap() {
        match event {
            Event::Data { stream, range, end } => {
                client.credit(stream, range.len() as u32);
                ended += usize::from(end);
            }
            Event::Head { end, .. } => {
                let asked = hg_h2::Asked { is_head: false, websocket: false, end };
                let mut slots = Lines::new();
                black_box(incoming.message().response(&mut slots, &asked).status);
            }
            _ => {}
        }
    }
    ended
}

/// What each side reads, one entry per read.
struct Recorded {
    requests: Vec<Vec<u8>>,
    answers: Vec<Vec<u8>>,
}

fn record(fields: &'static [(&str, &str)], per_read: usize) -> Recorded {
    let mut client = Session::new(Role::Client, Limits::client());
    let mut server = Session::new(Role::Server, Limits::server());
    let (mut incoming, mut upstream, mut bytes) = (Incoming::new(), Vec::new(), Vec::new());
    let mut recorded = Recorded { requests: Vec::new(), answers: Vec::new() };
    for _ in 0..READS {
        (0..per_read).for_each(|_| open(&mut client, fields));
        take(&mut client, &mut bytes);
        recorded.requests.push(bytes.clone());
        assert_eq!(serve(&mut server, &bytes, &mut incoming, &mut upstream), per_read);
        take(&mut server, &mut bytes);
        recorded.answers.push(bytes.clone());
        assert_eq!(collect(&mut client, &bytes, &mut incoming), per_read);
    }
    recorded
}

fn cpu_ns() -> u64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// What the requests after the warm reads of a round took.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    ns: u64,
    allocations: u64,
}

/// Plays one round; returns the cost of what follows the warm reads.
fn round(count: usize, mut play: impl FnMut(usize)) -> Cost {
    (0..WARM).for_each(&mut play);
    let mut ns = 0;
    let allocated = allocation_counter::measure(|| {
        let before = cpu_ns();
        (WARM..count).for_each(&mut play);
        ns = cpu_ns() - before;
    });
    Cost { ns, allocations: allocated.count_total }
}

/// Measures unless the command line names other cases.
fn report(name: &str, per_read: usize, mut rounds: impl FnMut() -> Cost) {
    if std::env::args().skip(1).any(|arg| !arg.starts_with('-') && !name.contains(&arg)) {
        return;
    }
    let mut costs: Vec<Cost> = (0..ROUNDS).map(|_| rounds()).collect();
    costs.sort_unstable();
    let each = |figure: u64| figure as f64 / ((READS - WARM) * per_read) as f64;
    let allocations = costs.iter().map(|one| one.allocations).max().unwrap();
    println!(
        "{name}: {:.0} ns (median {:.0}), {:.3} allocations",
        each(costs[0].ns),
        each(costs[ROUNDS / 2].ns),
        each(allocations)
    );
}

fn main() {
    if let Some(cpu) = std::env::var("BENCH_CPU").ok().and_then(|cpu| cpu.parse().ok()) {
        let mut set = CpuSet::new();
        set.set(cpu);
        sched_setaffinity(None, &set).unwrap();
    }
    let (mut incoming, mut upstream, mut out) = (Incoming::new(), Vec::new(), Vec::new());
    for (count, fields) in [(5, FIVE), (19, NINETEEN)] {
        for per_read in [8, 1] {
            let recorded = record(fields, per_read);
            report(&format!("server, {count} fields, {per_read} per read"), per_read, || {
                let mut server = Session::new(Role::Server, Limits::server());
                round(READS, |at| {
                    serve(&mut server, &recorded.requests[at], &mut incoming, &mut upstream);
                    take(&mut server, &mut out);
                })
            });
        }
        let recorded = record(fields, 8);
        report(&format!("client, {count} fields, 8 per read"), 8, || {
            let mut client = Session::new(Role::Client, Limits::client());
            round(READS, |at| {
                (0..8).for_each(|_| open(&mut client, fields));
                take(&mut client, &mut out);
                collect(&mut client, &recorded.answers[at], &mut incoming);
            })
        });
    }
}
