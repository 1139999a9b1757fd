//! Compares `docs/reference/access-log.md` with the code.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // clippy spares test functions only

use hg_log::{
    AccessRecord, CertificateRecord, MAX_TARGET_BYTES, MAX_VALUE_BYTES, Noted, SentRecord,
    TimeCache, TlsRecord, TraceRecord, format_combined, format_common, format_json,
};
use hg_plan::Digest;
use std::path::Path;
use std::sync::LazyLock;

static NAMES: LazyLock<[Box<str>; 2]> =
    LazyLock::new(|| ["dns:alice.example.com".into(), "uri:spiffe://example.com/alice".into()]);

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/reference/access-log.md");
    std::fs::read_to_string(path).unwrap()
}

/// The record of the page's examples.
fn record() -> AccessRecord<'static> {
    AccessRecord {
        time_us: 1_795_165_142_123_456,
        request_id: "4f2c9a61d0b3e875",
        client_ip: [192, 0, 2, 7].into(),
        listener: "secure",
        route: "api",
        upstream: "api",
        endpoint: "127.0.0.1:9001",
        method: "GET",
        scheme: "https",
        host: b"api.example.com",
        target: b"/v1/users?page=2",
        protocol: "HTTP/1.1",
        status: 200,
        bytes_in: 0,
        bytes_out: 1234,
        connect_us: Some(150),
        first_byte_us: Some(2_100),
        total_us: 2_345,
        sent: SentRecord {
            reused: false,
            tries: 2,
            trace: Some(TraceRecord {
                trace_id: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736,
                span_id: 0x00f0_67aa_0ba9_02b7,
                flags: 1,
            }),
        },
        reason: "-",
        user_agent: b"curl/8.5.0",
        referer: b"https://example.com/",
        noted: Noted::default(),
        tls: TlsRecord {
            version: Some("TLSv1.3"),
            sni: Some("api.example.com"),
            client: Some(CertificateRecord {
                subject: "CN=alice",
                names: &*NAMES,
                spiffe: "spiffe://example.com/alice",
                fingerprint: &Digest([0xa5; 32]),
            }),
        },
    }
}

type Format = fn(&AccessRecord<'_>, &mut TimeCache, &mut Vec<u8>);

fn line(format: Format, record: &AccessRecord<'_>) -> String {
    let mut out = Vec::new();
    format(record, &mut TimeCache::new(), &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn the_examples_are_what_is_written() {
    let page = page();
    for format in [format_json as Format, format_combined, format_common] {
        let line = line(format, &record());
        assert!(page.contains(&line), "{line}");
    }
}

#[test]
fn every_key_is_explained_in_the_order_of_the_line() {
    let page = page();
    let explained: Vec<_> = page
        .lines()
        .skip_while(|l| !l.starts_with("| key |"))
        .skip(2)
        .take_while(|l| l.starts_with('|'))
        .map(|row| row.split('`').nth(1).unwrap().to_owned())
        .collect();
    let line = line(format_json, &record());
    let mut places: Vec<_> = explained
        .iter()
        .map(|key| line.find(&format!("\"{key}\":")).unwrap_or_else(|| panic!("{key}")))
        .collect();
    assert!(places.is_sorted());
    places.dedup();
    let written: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&line).unwrap();
    assert_eq!(places.len(), written.len());
}

#[test]
fn the_limits_are_the_code_s() {
    let page = page();
    assert!(page.contains(&format!("{} KiB of the target", MAX_TARGET_BYTES / 1024)));
    assert!(page.contains(&format!("{} KiB of every other value", MAX_VALUE_BYTES / 1024)));
}
