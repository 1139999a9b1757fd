//! The values that the records of TCP connections and UDP flows have.

use super::{Key, Value, Values};
use crate::flow::FlowRecord;
use crate::record::ConnectionRecord;

impl Values for ConnectionRecord<'_> {
    const IS_REQUEST: bool = false;

    fn times_us(&self) -> (u64, u64) {
        (self.time_us, self.time_us.saturating_add(self.total_us))
    }

    fn value(&self, key: Key) -> Value<'_> {
        match key {
            Key::Time => Value::Time(self.time_us),
            Key::ClientIp => Value::Address(self.client.ip().to_canonical()),
            Key::ClientPort => Value::Number(self.client.port().into()),
            Key::Listener => Value::Text(self.listener.as_bytes()),
            Key::Route => Value::known(self.route.as_bytes()),
            Key::Upstream => Value::known(self.to.upstream.as_bytes()),
            Key::Endpoint => Value::known(self.to.endpoint.as_bytes()),
            Key::Protocol => Value::Text(b"tcp"),
            Key::BytesIn => Value::Number(self.bytes_in),
            Key::BytesOut => Value::Number(self.bytes_out),
            Key::ConnectUs => Value::number(self.to.connect_us),
            Key::TotalUs => Value::Number(self.total_us),
            Key::Reason => Value::Text(self.reason.as_bytes()),
            Key::Sni => Value::known(self.tls.sni.unwrap_or("").as_bytes()),
            Key::TlsVersion => Value::known(self.tls.version.unwrap_or("").as_bytes()),
            Key::Alpn => Value::known(self.tls.alpn.unwrap_or(b"")),
            Key::ConnectionId => Value::known(self.to.id.as_bytes()),
            _ => Value::of_certificate(key, self.tls.client.as_ref()),
        }
    }
}

impl Values for FlowRecord<'_> {
    const IS_REQUEST: bool = false;

    fn times_us(&self) -> (u64, u64) {
        (self.time_us, self.time_us.saturating_add(self.total_us))
    }

    fn value(&self, key: Key) -> Value<'_> {
        match key {
            Key::Time => Value::Time(self.time_us),
            Key::ClientIp => Value::Address(self.client.ip().to_canonical()),
            Key::ClientPort => Value::Number(self.client.port().into()),
            Key::Listener => Value::Text(self.listener.as_bytes()),
            Key::Route => Value::known(self.route.as_bytes()),
            Key::Upstream => Value::known(self.upstream.as_bytes()),
            Key::Endpoint => Value::known(self.endpoint.as_bytes()),
            Key::Protocol => Value::Text(b"udp"),
            Key::DatagramsIn => Value::Number(self.received.count),
            Key::DatagramsOut => Value::Number(self.sent.count),
            Key::BytesIn => Value::Number(self.received.bytes),
            Key::BytesOut => Value::Number(self.sent.bytes),
            Key::TotalUs => Value::Number(self.total_us),
            Key::Reason => Value::Text(self.reason.as_bytes()),
            Key::Sni => Value::known(self.sni.unwrap_or("").as_bytes()),
            Key::ConnectionId => Value::known(self.id.as_bytes()),
            _ => Value::Unknown,
        }
    }
}
