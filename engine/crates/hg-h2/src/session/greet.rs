//! The beginning of a connection (RFC 9113 §3.4).

use super::{Phase, Session};
use crate::close::{Close, Reason};
use crate::limits::{Limits, Role};
use crate::settings::{MOST_WINDOW, Settings};

/// The bytes that a client sends first.
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Returns what we announce.
pub(super) fn local_settings(role: Role, limits: &Limits) -> Settings {
    Settings {
        enable_push: role == Role::Server,
        max_concurrent_streams: if role == Role::Server { limits.streams } else { u32::MAX },
        initial_window_size: limits.stream_window.min(MOST_WINDOW),
        max_header_list_size: u32::try_from(limits.head.bytes).unwrap_or(u32::MAX),
        enable_connect_protocol: role == Role::Server && limits.extended_connect,
        no_rfc7540_priorities: true,
        ..Settings::default()
    }
}

impl Session {
    /// Writes our preface and SETTINGS.
    pub(super) fn greet(&mut self) {
        if self.role == Role::Client {
            self.out.bytes.extend_from_slice(PREFACE);
        }
        let mut payload = Vec::new();
        self.settings.local.write(&mut payload);
        self.out.settings(&payload);
        if let Some(more) = self.window.recv.grow(self.limits.connection_window) {
            self.out.window_update(0, more);
        }
    }

    /// Reads the client's preface; returns whether it is whole.
    pub(super) fn preface(&mut self, input: &[u8], at: &mut usize) -> Result<bool, Close> {
        let rest = input.get(*at..).unwrap_or_default();
        let len = rest.len().min(PREFACE.len());
        if rest.get(..len) != PREFACE.get(..len) {
            return Err(Close::protocol(Reason::Preface));
        }
        if len == PREFACE.len() {
            *at += len;
            self.phase = Phase::Settings;
        }
        Ok(len == PREFACE.len())
    }
}
