//! The values that the record of a request has.

use super::{Key, Value, Values};
use crate::record::{AccessRecord, TraceRecord};

impl Values for AccessRecord<'_> {
    const IS_REQUEST: bool = true;

    fn times_us(&self) -> (u64, u64) {
        (self.time_us, self.time_us.saturating_add(self.total_us))
    }

    fn trace(&self) -> Option<TraceRecord> {
        self.sent.trace
    }

    fn header(&self, name: &str) -> Value<'_> {
        Value::known(self.noted.header(name))
    }

    fn claim(&self, name: &str) -> Value<'_> {
        Value::known(self.noted.claim(name))
    }

    fn value(&self, key: Key) -> Value<'_> {
        let was_sent = !self.endpoint.is_empty();
        match key {
            Key::Time => Value::Time(self.time_us),
            Key::RequestId => Value::Text(self.request_id.as_bytes()),
            Key::ClientIp => Value::Address(self.client_ip),
            Key::Listener => Value::Text(self.listener.as_bytes()),
            Key::Route => Value::known(self.route.as_bytes()),
            Key::Upstream => Value::known(self.upstream.as_bytes()),
            Key::Endpoint => Value::known(self.endpoint.as_bytes()),
            Key::Method => Value::Text(self.method.as_bytes()),
            Key::Scheme => Value::Text(self.scheme.as_bytes()),
            Key::Host => Value::Text(self.host),
            Key::Target => Value::Target(self.target),
            Key::Protocol => Value::Text(self.protocol.as_bytes()),
            Key::Status => Value::Number(self.status.into()),
            Key::BytesIn => Value::Number(self.bytes_in),
            Key::BytesOut => Value::Number(self.bytes_out),
            Key::ConnectUs => Value::number(self.connect_us),
            Key::FirstByteUs => Value::number(self.first_byte_us),
            Key::TotalUs => Value::Number(self.total_us),
            Key::Reused if was_sent => Value::Flag(self.sent.reused),
            Key::Tries if self.sent.tries > 1 => Value::Number(self.sent.tries.into()),
            Key::Reason => Value::Text(self.reason.as_bytes()),
            Key::UserAgent => Value::known(self.user_agent),
            Key::Referer => Value::known(self.referer),
            _ => self.of_connection(key),
        }
    }
}

impl AccessRecord<'_> {
    fn of_connection(&self, key: Key) -> Value<'_> {
        match (key, self.sent.trace) {
            (Key::TlsVersion, _) => Value::known(self.tls.version.unwrap_or("").as_bytes()),
            (Key::Sni, _) => Value::known(self.tls.sni.unwrap_or("").as_bytes()),
            (Key::TraceId, Some(trace)) => Value::Hex(trace.trace_id, 32),
            (Key::SpanId, Some(trace)) => Value::Hex(trace.span_id.into(), 16),
            _ => Value::of_certificate(key, self.tls.client.as_ref()),
        }
    }
}
