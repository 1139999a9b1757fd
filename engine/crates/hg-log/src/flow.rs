//! The line of one finished UDP flow.

use crate::clock::TimeCache;
use crate::combined::push_seconds;
use crate::escape::{push_address, push_combined, push_number};
use crate::json::{known, number, text};
use crate::record::MAX_VALUE_BYTES;
use std::net::SocketAddr;

/// Datagrams in one direction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Datagrams {
    /// Their number.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The line of one UDP flow: what a client sent to one address, and what came back.
#[derive(Clone, Copy, Debug)]
pub struct FlowRecord<'a> {
    /// The time at which its first datagram came, in microseconds since 1970-01-01 UTC.
    pub time_us: u64,
    /// The client's address.
    pub client: SocketAddr,
    /// Name of the listener.
    pub listener: &'a str,
    /// Name of the route.
    pub route: &'a str,
    /// Name of the upstream; empty when it is gone.
    pub upstream: &'a str,
    /// Address of the endpoint, the last one if there were several.
    pub endpoint: &'a str,
    /// The datagrams that the client sent and that were sent on.
    pub received: Datagrams,
    /// The datagrams that the endpoint sent.
    pub sent: Datagrams,
    /// Time from the first datagram to the end, in microseconds.
    pub total_us: u64,
    /// The reason why it ended: a word from a closed list.
    pub reason: &'a str,
    /// The server name that the client asked for, where one was read.
    pub sni: Option<&'a str>,
    /// The id under which the endpoint was told of the client; empty if it was not.
    pub id: &'a str,
}

/// Appends one JSON object and a line feed, as `format_json` does.
pub fn format_flow_json(record: &FlowRecord<'_>, time: &mut TimeCache, out: &mut Vec<u8>) {
    let r = record;
    out.extend_from_slice(b"{\"time\":\"");
    time.push_rfc3339(r.time_us, out);
    out.extend_from_slice(b"\",\"client_ip\":\"");
    push_address(r.client.ip().to_canonical(), out);
    number(b"\",\"client_port\":", r.client.port().into(), out);
    text(b",\"listener\":\"", r.listener.as_bytes(), out);
    known(b"\",\"route\":\"", r.route.as_bytes(), out);
    known(b"\",\"upstream\":\"", r.upstream.as_bytes(), out);
    known(b"\",\"endpoint\":\"", r.endpoint.as_bytes(), out);
    number(b"\",\"protocol\":\"udp\",\"datagrams_in\":", r.received.count, out);
    number(b",\"datagrams_out\":", r.sent.count, out);
    number(b",\"bytes_in\":", r.received.bytes, out);
    number(b",\"bytes_out\":", r.sent.bytes, out);
    number(b",\"total_us\":", r.total_us, out);
    text(b",\"reason\":\"", r.reason.as_bytes(), out);
    if let Some(sni) = r.sni {
        text(b"\",\"sni\":\"", sni.as_bytes(), out);
    }
    known(b"\",\"connection_id\":\"", r.id.as_bytes(), out);
    out.extend_from_slice(b"\"}\n");
}

/// Appends the line in the common format: the route and its endpoint stand in place of the request,
/// and there is no status.
pub fn format_flow_common(record: &FlowRecord<'_>, time: &mut TimeCache, out: &mut Vec<u8>) {
    push_flow(record, time, out);
    out.push(b'\n');
}

/// Appends the line in the combined format, in the same manner.
pub fn format_flow_combined(record: &FlowRecord<'_>, time: &mut TimeCache, out: &mut Vec<u8>) {
    push_flow(record, time, out);
    out.extend_from_slice(b" \"-\" \"-\" ");
    push_seconds(record.total_us, out);
    out.push(b' ');
    push_combined(record.reason.as_bytes(), MAX_VALUE_BYTES, out);
    out.push(b'\n');
}

fn push_flow(r: &FlowRecord<'_>, time: &mut TimeCache, out: &mut Vec<u8>) {
    push_address(r.client.ip().to_canonical(), out);
    out.extend_from_slice(b" - - [");
    time.push_common(r.time_us, out);
    out.extend_from_slice(b"] \"UDP ");
    push_combined(r.route.as_bytes(), MAX_VALUE_BYTES, out);
    out.push(b' ');
    push_combined(r.endpoint.as_bytes(), MAX_VALUE_BYTES, out);
    out.extend_from_slice(b"\" - ");
    push_number(r.sent.bytes, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow() -> FlowRecord<'static> {
        FlowRecord {
            time_us: 1_795_165_142_123_456,
            client: ([192, 0, 2, 7], 50_000).into(),
            listener: "dns",
            route: "resolvers",
            upstream: "resolvers",
            endpoint: "127.0.0.1:5353",
            received: Datagrams { count: 1, bytes: 40 },
            sent: Datagrams { count: 1, bytes: 120 },
            total_us: 2_345,
            reason: "answered",
            sni: None,
            id: "",
        }
    }

    #[test]
    fn a_name_and_an_id_stand_at_the_end() {
        let mut out = Vec::new();
        let named = FlowRecord { sni: Some("a.example"), id: "4f2c", ..flow() };
        format_flow_json(&named, &mut TimeCache::new(), &mut out);
        assert!(out.ends_with(
            b",\"reason\":\"answered\",\"sni\":\"a.example\",\"connection_id\":\"4f2c\"}\n"
        ));
    }

    #[test]
    fn a_flow_in_json() {
        let mut out = Vec::new();
        format_flow_json(&flow(), &mut TimeCache::new(), &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            concat!(
                r#"{"time":"2026-11-20T08:59:02.123456Z","client_ip":"192.0.2.7","#,
                r#""client_port":50000,"listener":"dns","route":"resolvers","#,
                r#""upstream":"resolvers","endpoint":"127.0.0.1:5353","protocol":"udp","#,
                r#""datagrams_in":1,"datagrams_out":1,"bytes_in":40,"bytes_out":120,"#,
                r#""total_us":2345,"reason":"answered"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn a_flow_in_the_common_format() {
        let mut out = Vec::new();
        format_flow_common(&flow(), &mut TimeCache::new(), &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "192.0.2.7 - - [20/Nov/2026:08:59:02 +0000] \"UDP resolvers 127.0.0.1:5353\" - 120\n"
        );
    }

    #[test]
    fn a_flow_in_the_combined_format() {
        let mut out = Vec::new();
        format_flow_combined(&flow(), &mut TimeCache::new(), &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "192.0.2.7 - - [20/Nov/2026:08:59:02 +0000] \"UDP resolvers 127.0.0.1:5353\" - 120 \
             \"-\" \"-\" 0.002345 answered\n"
        );
    }
}
