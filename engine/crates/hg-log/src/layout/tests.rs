//! Lines that the config lays out.

use super::*;
use crate::flow::{Datagrams, FlowRecord, format_flow_json};
use crate::json::{format_connection_json, format_json};
use crate::record::{AccessRecord, CertificateRecord, ConnectionRecord, MAX_VALUE_BYTES};
use crate::testing::{bare, certificate, connection, noted, record};
use hg_plan::{LogFormat, LogSink};
use proptest::prelude::*;
use serde_json::{Map, Value as Json};

fn plan(fields: &[&str], template: Option<&str>) -> AccessLog {
    AccessLog {
        format: LogFormat::Json,
        sink: Some(LogSink::Stdout {}),
        otlp: None,
        fields: fields.iter().map(|one| (*one).to_owned()).collect(),
        template: template.map(str::to_owned),
    }
}

fn laid_out(plan: &AccessLog, record: &impl Values) -> String {
    let mut out = Vec::new();
    Layout::of(plan).unwrap().unwrap().push(record, &mut TimeCache::new(), &mut out);
    String::from_utf8(out).unwrap()
}

fn flow() -> FlowRecord<'static> {
    FlowRecord {
        time_us: 1_795_165_142_123_456,
        client: ([192, 0, 2, 7], 50_000).into(),
        listener: "dns",
        route: "resolvers",
        upstream: "resolvers",
        endpoint: "127.0.0.1:5353",
        received: Datagrams { count: 1, bytes: 40 },
        sent: Datagrams { count: 2, bytes: 120 },
        total_us: 2_345,
        reason: "answered",
        sni: Some("a.example"),
        id: "4f2c",
    }
}

/// Holds a line of every key of the fixed format, in its order, against that line.
fn same(whole: &[u8], record: &impl Values) {
    let text = std::str::from_utf8(whole).unwrap();
    let line: Map<String, Json> = serde_json::from_str(text).unwrap();
    let mut keys: Vec<&str> = line.keys().map(String::as_str).collect();
    keys.sort_by_key(|key| text.find(&format!("\"{key}\":")));
    assert_eq!(laid_out(&plan(&keys, None), record), text);
}

#[test]
fn every_field_is_as_in_the_fixed_format() {
    let mut tls = connection();
    (tls.tls.version, tls.tls.client) = (Some("TLSv1.3"), Some(certificate()));
    tls.tls.alpn = Some(b"h2");
    (tls.tls.sni, tls.to.id) = (Some("a.example"), "4f2c");
    let sent = crate::SentRecord { tries: 2, ..record().sent };
    let time = &mut TimeCache::new();
    for one in [record(), bare(), AccessRecord { sent, ..record() }] {
        let mut out = Vec::new();
        format_json(&one, time, &mut out);
        same(&out, &one);
    }
    for one in [connection(), tls] {
        let mut out = Vec::new();
        format_connection_json(&one, time, &mut out);
        same(&out, &one);
    }
    let mut out = Vec::new();
    format_flow_json(&flow(), time, &mut out);
    same(&out, &flow());
}

#[test]
fn fields_have_the_order_of_the_config_and_unknown_ones_are_left_out() {
    let chosen = plan(&["status", "connect_us", "route", "tries", "alpn", "time"], None);
    let expected = "{\"status\":200,\"connect_us\":150,\"route\":\"api\",\
                    \"time\":\"2026-11-20T08:59:02.123456Z\"}\n";
    assert_eq!(laid_out(&chosen, &record()), expected);
    assert_eq!(laid_out(&plan(&["route"], None), &bare()), "{}\n");
}

#[test]
fn a_template_has_text_and_variables() {
    let text = "$$${status} \"${target}\" ${connect_us}${tries}[${time}] ${client_san}$$";
    let expected = "$200 \"/v1/users?page=2\" 150-[2026-11-20T08:59:02.123456Z] \
                    dns:alice.example,uri:spiffe://example/alice$\n";
    assert_eq!(laid_out(&plan(&[], Some(text)), &record()), expected);
    let of = "${protocol} ${client_ip}:${client_port} ${status} ${datagrams_out}";
    assert_eq!(laid_out(&plan(&[], Some(of)), &connection()), "tcp 192.0.2.7:50000 - -\n");
    assert_eq!(laid_out(&plan(&[], Some(of)), &flow()), "udp 192.0.2.7:50000 - 2\n");
    assert_eq!(laid_out(&plan(&[], Some("${route} ${user_agent}")), &bare()), "- -\n");
}

#[test]
fn more_names_of_a_certificate_than_fit_are_cut() {
    let names: Vec<Box<str>> = (0..200).map(|n| format!("dns:{n:03}.example").into()).collect();
    let mut tls = connection();
    tls.tls.client = Some(CertificateRecord { names: &names, ..certificate() });
    let line = laid_out(&plan(&[], Some("${client_san}|")), &tls);
    let whole = names.join(",");
    assert_eq!(line.strip_suffix("|\n"), whole.get(..MAX_VALUE_BYTES));
}

#[test]
fn headers_are_fields_and_variables() {
    let (kept, notes) = noted(&[("header:x-a", b"a\"\xff\nb"), ("header:x-b", b"")]);
    let sent = AccessRecord { noted: notes.read(&kept), ..record() };
    let fields = plan(&["header:x-b", "status", "header:x-a", "header:x-new"], None);
    let expected = "{\"status\":200,\"header:x-a\":\"a\\\"\\ufffd\\nb\"}\n";
    assert_eq!(laid_out(&fields, &sent), expected);
    assert_eq!(laid_out(&fields, &connection()), "{}\n");
    let text = plan(&[], Some("\"${header:x-a}\" ${header:x-b} ${header:x-new}"));
    assert_eq!(laid_out(&text, &sent), "\"a\\x22\\xFF\\x0Ab\" - -\n");
    assert_eq!(laid_out(&text, &flow()), "\"-\" - -\n");
}

#[test]
fn claims_are_fields_and_variables() {
    let value = "a\"\u{e9}\nb".as_bytes();
    let (kept, notes) = noted(&[("jwt:sub", value), ("jwt:/a/b", b""), ("header:sub", b"x")]);
    let sent = AccessRecord { noted: notes.read(&kept), ..record() };
    let fields = plan(&["jwt:/a/b", "status", "jwt:sub", "header:sub", "jwt:new"], None);
    let expected = "{\"status\":200,\"jwt:sub\":\"a\\\"\u{e9}\\nb\",\"header:sub\":\"x\"}\n";
    assert_eq!(laid_out(&fields, &sent), expected);
    assert_eq!(laid_out(&fields, &connection()), "{}\n");
    let text = plan(&[], Some("\"${jwt:sub}\" ${jwt:/a/b} ${jwt:new}"));
    assert_eq!(laid_out(&text, &sent), "\"a\\x22\\xC3\\xA9\\x0Ab\" - -\n");
    assert_eq!(laid_out(&text, &flow()), "\"-\" - -\n");
}

#[test]
fn what_is_no_header_or_claim_and_too_many_are_refused() {
    let long = [format!("header:{:a<65}", ""), format!("jwt:{:a<257}", "")];
    let headers = ["header:", "header:X-A", "header:x a", "header:x\""];
    let claims = ["jwt:", "jwt:a b", "jwt:a\"", "jwt:a\\", "jwt:{", "jwt:\u{e9}", "jwt:\n"];
    for wrong in headers.into_iter().chain(claims).chain(long.iter().map(String::as_str)) {
        let expected = format!("the access log has no field {wrong}");
        assert_eq!(Layout::of(&plan(&[wrong], None)), Err(expected));
    }
    for lead in ["header:x-", "jwt:"] {
        let named =
            |count: usize| (0..count).map(|n| format!("${{{lead}{n}}}")).collect::<String>();
        assert!(Layout::of(&plan(&[], Some(&named(MAX_NAMED)))).is_ok());
        let twice = named(MAX_NAMED) + &named(MAX_NAMED);
        assert!(Layout::of(&plan(&[], Some(&twice))).is_ok(), "each counts once");
        assert!(Layout::of(&plan(&[], Some(&named(MAX_NAMED + 1)))).is_err());
    }
}

#[test]
fn what_there_is_not_is_refused() {
    assert_eq!(Layout::of(&plan(&[], None)), Ok(None));
    for wrong in [plan(&["stat"], None), plan(&[], Some("${stat}"))] {
        assert_eq!(Layout::of(&wrong).unwrap_err(), "the access log has no field stat");
    }
    for wrong in ["$", "${", "${status", "$1"] {
        assert!(Layout::of(&plan(&[], Some(wrong))).is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn no_client_makes_a_second_line(value: Vec<u8>, host: Vec<u8>, claim: String) {
        let (kept, notes) = noted(&[("jwt:sub", claim.as_bytes()), ("header:x-a", &value)]);
        let (user_agent, target, noted) = (&*value, &*value, notes.read(&kept));
        let sent = AccessRecord { user_agent, target, host: &host, noted, ..record() };
        let names = ["user_agent", "target", "host", "jwt:sub", "header:x-a"];
        let text: String = names.iter().map(|name| format!("\"${{{name}}}\"")).collect();
        let line = laid_out(&plan(&[], Some(&text)), &sent);
        let whole = line.strip_suffix('\n').unwrap();
        prop_assert!(whole.bytes().all(|b| (0x20..0x7f).contains(&b)));
        prop_assert_eq!(whole.matches('"').count(), 2 * names.len());
        let fields = laid_out(&plan(&names, None), &sent);
        prop_assert!(serde_json::from_str::<Json>(&fields).is_ok());
        prop_assert_eq!(fields.matches('\n').count(), 1);
    }

    #[test]
    fn templates_never_panic(template: String) {
        let _ = Layout::of(&plan(&[], Some(&template)));
    }
}

#[test]
fn a_connection_has_its_certificate() {
    let mut with = connection();
    with.tls.client = Some(certificate());
    let of = |record: &ConnectionRecord<'_>| {
        laid_out(&plan(&[], Some("${client_subject} ${client_spiffe}")), record)
    };
    assert_eq!(of(&with), "CN=alice spiffe://example/alice\n");
    assert_eq!(of(&connection()), "- -\n");
}
