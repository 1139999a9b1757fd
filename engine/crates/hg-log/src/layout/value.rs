//! The values of keys, and how each stands in a line.

use super::Key;
use crate::clock::TimeCache;
use crate::escape::{push_address, push_combined, push_json, push_number};
use crate::json::{push_fingerprint, push_hex, push_names};
use crate::record::{CertificateRecord, MAX_TARGET_BYTES, MAX_VALUE_BYTES, TraceRecord};
use hg_plan::Digest;
use std::net::IpAddr;

/// The values of a record.
pub(crate) trait Values {
    /// True for the record of a request.
    const IS_REQUEST: bool;

    /// Returns the value of a key; [`Value::Unknown`] if there is none.
    fn value(&self, key: Key) -> Value<'_>;

    /// Returns the value of a request's header, by its name in lower case.
    fn header(&self, _name: &str) -> Value<'_> {
        Value::Unknown
    }

    /// Returns the value of a claim of the token that let a request in.
    fn claim(&self, _name: &str) -> Value<'_> {
        Value::Unknown
    }

    /// Returns from when to when it took, microseconds since 1970-01-01 UTC.
    fn times_us(&self) -> (u64, u64);

    /// Returns its place in a trace.
    fn trace(&self) -> Option<TraceRecord> {
        None
    }
}

/// One value of a record.
#[derive(Clone, Copy)]
pub(crate) enum Value<'a> {
    /// There is none.
    Unknown,
    /// Text, of which the first 1 KiB counts.
    Text(&'a [u8]),
    /// The target of a request, of which the first 8 KiB count.
    Target(&'a [u8]),
    Number(u64),
    Flag(bool),
    /// Microseconds since 1970.
    Time(u64),
    Address(IpAddr),
    /// A number and its digits in hex.
    Hex(u128, u32),
    Names(&'a [Box<str>]),
    Fingerprint(&'a Digest),
}

impl<'a> Value<'a> {
    /// Returns a text that is unknown if it is empty.
    pub(crate) fn known(text: &'a [u8]) -> Self {
        if text.is_empty() { Self::Unknown } else { Self::Text(text) }
    }

    /// Returns a number, if there is one.
    pub(crate) fn number(number: Option<u64>) -> Self {
        number.map_or(Self::Unknown, Self::Number)
    }

    /// Returns what is known of a certificate.
    pub(crate) fn of_certificate(key: Key, client: Option<&CertificateRecord<'a>>) -> Self {
        let Some(client) = client else { return Self::Unknown };
        match key {
            Key::ClientSubject => Self::known(client.subject.as_bytes()),
            Key::ClientSan if client.names.is_empty() => Self::Unknown,
            Key::ClientSan => Self::Names(client.names),
            Key::ClientSpiffe => Self::known(client.spiffe.as_bytes()),
            Key::ClientFingerprint => Self::Fingerprint(client.fingerprint),
            _ => Self::Unknown,
        }
    }

    pub(crate) fn is_known(self) -> bool {
        !matches!(self, Self::Unknown)
    }

    /// Appends it as JSON.
    pub(crate) fn push_json(self, time: &mut TimeCache, out: &mut Vec<u8>) {
        match self {
            Self::Unknown => out.extend_from_slice(b"null"),
            Self::Number(_) | Self::Flag(_) => self.push_plain(time, out),
            _ => {
                out.push(b'"');
                match self {
                    Self::Text(text) => push_json(text, MAX_VALUE_BYTES, out),
                    Self::Target(text) => push_json(text, MAX_TARGET_BYTES, out),
                    Self::Names(names) => push_names(names, push_json, out),
                    _ => self.push_plain(time, out),
                }
                out.push(b'"');
            }
        }
    }

    /// Appends it as text that is harmless in a line; `-` if it is unknown or empty.
    pub(crate) fn push_plain(self, time: &mut TimeCache, out: &mut Vec<u8>) {
        match self {
            Self::Unknown => out.push(b'-'),
            Self::Text(text) => push_combined(text, MAX_VALUE_BYTES, out),
            Self::Target(text) => push_combined(text, MAX_TARGET_BYTES, out),
            Self::Number(number) => push_number(number, out),
            Self::Flag(flag) => out.extend_from_slice(if flag { b"true" } else { b"false" }),
            Self::Time(time_us) => time.push_rfc3339(time_us, out),
            Self::Address(ip) => push_address(ip, out),
            Self::Hex(number, digits) => push_hex(number, digits, out),
            Self::Names(names) => push_names(names, push_combined, out),
            Self::Fingerprint(digest) => push_fingerprint(digest, out),
        }
    }
}
