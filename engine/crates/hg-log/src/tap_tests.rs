use super::*;
use crate::testing::record;
use serde_json::{Value, json};

fn writer(taps: &Arc<Taps>) -> TapWriter {
    TapWriter::new(taps.clone())
}

fn show(writer: &mut TapWriter, headers: &[u8]) {
    writer.show(&record(), headers, &mut TimeCache::new());
}

fn lines(reader: &TapReader) -> Vec<Value> {
    let mut out = Vec::new();
    reader.take(usize::MAX, &mut out);
    out.split_inclusive(|b| *b == b'\n').map(|l| serde_json::from_slice(l).unwrap()).collect()
}

fn of_route(route: &str) -> TapFilter {
    TapFilter { route: route.into(), ..TapFilter::default() }
}

#[test]
fn a_worker_sees_taps_open_and_close() {
    let taps = Arc::new(Taps::default());
    let mut worker = writer(&taps);
    assert_eq!(worker.wants(), TapWants::default());
    let reader = taps.open(TapFilter::default()).unwrap();
    assert_eq!(worker.wants(), TapWants { record: true, headers: false });
    show(&mut worker, b"");
    assert_eq!(lines(&reader)[0]["target"], "/v1/users?page=2");
    drop(reader);
    assert_eq!(worker.wants(), TapWants::default());
    assert_eq!(taps.stats(), TapStats { open: 0, lines: 1, dropped: 0 });
}

#[test]
fn each_tap_gets_what_it_wants() {
    let taps = Arc::new(Taps::default());
    let mut worker = writer(&taps);
    let (api, web) = (taps.open(of_route("api")).unwrap(), taps.open(of_route("web")).unwrap());
    show(&mut worker, b"");
    assert_eq!((lines(&api).len(), lines(&web).len()), (1, 0));
    drop(api);
    show(&mut worker, b"");
    assert!(worker.wants().record && lines(&web).is_empty());
    assert_eq!(taps.stats(), TapStats { open: 1, lines: 1, dropped: 0 });
}

#[test]
fn headers_come_to_those_who_ask() {
    let taps = Arc::new(Taps::default());
    let mut worker = writer(&taps);
    let bare = taps.open(TapFilter::default()).unwrap();
    let asking = taps.open(TapFilter { headers: true, ..TapFilter::default() }).unwrap();
    assert!(worker.wants().headers);
    let mut headers = Vec::new();
    let sent: [(&str, &[u8]); 2] = [("X-A", b"a\"\xff"), ("Accept", b"*/*")];
    push_headers(sent.into_iter(), &mut headers);
    show(&mut worker, &headers);
    assert_eq!(lines(&bare)[0].get("headers"), None);
    let shown = &lines(&asking)[0];
    assert_eq!(shown["headers"], json!([["x-a", "a\"\u{fffd}"], ["accept", "*/*"]]));
    assert_eq!(shown["route"], "api");
    show(&mut worker, b"");
    assert_eq!(lines(&asking)[0].get("headers"), None, "they are not known");
}

#[test]
fn headers_are_bounded() {
    let mut out = Vec::new();
    let value = vec![b'a'; 4 * MAX_VALUE_BYTES];
    push_headers(std::iter::repeat_n(("a", &value[..]), 1000), &mut out);
    assert!((MAX_HEADER_BYTES..MAX_HEADER_BYTES + 2 * MAX_VALUE_BYTES).contains(&out.len()));
}

#[test]
fn what_a_slow_reader_misses_is_counted() {
    let taps = Arc::new(Taps::default());
    let mut worker = writer(&taps);
    let slow = taps.open(TapFilter::default()).unwrap();
    for _ in 0..MAX_LINES + 5 {
        show(&mut worker, b"");
    }
    let mut out = Vec::new();
    assert_eq!(slow.take(1, &mut out), 5);
    assert_eq!(out.iter().filter(|b| **b == b'\n').count(), 1, "no more than was asked for");
    show(&mut worker, b"");
    assert_eq!(slow.take(usize::MAX, &mut out), 0);
    assert_eq!(out.iter().filter(|b| **b == b'\n').count(), MAX_LINES + 1);
    assert_eq!(taps.stats().dropped, 5);
}

#[test]
fn long_lines_are_bounded_by_their_bytes() {
    let taps = Arc::new(Taps::default());
    let mut worker = writer(&taps);
    let slow = taps.open(TapFilter::default()).unwrap();
    let target = vec![1; crate::MAX_TARGET_BYTES];
    for _ in 0..MAX_LINES {
        let long = AccessRecord { target: &target, ..record() };
        worker.show(&long, b"", &mut TimeCache::new());
    }
    let mut out = Vec::new();
    assert!(slow.take(usize::MAX, &mut out) > 0);
    assert!((MAX_BYTES..2 * MAX_BYTES).contains(&out.len()), "{}", out.len());
}

#[test]
fn a_worker_that_knows_a_closed_tap_fills_nothing() {
    let taps = Arc::new(Taps::default());
    let mut worker = writer(&taps);
    let reader = taps.open(TapFilter::default()).unwrap();
    show(&mut worker, b"");
    let tap = reader.tap.clone();
    drop(reader);
    assert!(!tap.has_room() && tap.lines.is_empty());
}

#[test]
fn taps_are_few() {
    let taps = Arc::new(Taps::default());
    let open: Vec<_> = (0..MAX_TAPS).map(|_| taps.open(TapFilter::default()).unwrap()).collect();
    assert!(taps.open(TapFilter::default()).is_none());
    drop(open);
    assert!(taps.open(TapFilter::default()).is_some());
}
