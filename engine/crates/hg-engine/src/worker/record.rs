//! The record of a request that has ended: its line in the log, and its report to taps.

use super::Worker;
use super::client::Client;
use super::exchange::Exchange;
use super::trace::Trace;
use hg_log::{AccessRecord, Noted, Notes, SentRecord, TapWants, TlsRecord};
use hg_middleware::Claims;
use hg_proto::{Known, Method, RequestHead};

/// The parts of a request that the log keeps: when its line is written, the head's bytes are gone.
#[derive(Default)]
pub(crate) struct LogText {
    /// Target, host, user agent and referer, one after the other.
    pub(crate) text: Vec<u8>,
    pub(crate) ends: [u32; 4],
    /// The values of the headers and the claims that the log asks for.
    pub(crate) noted: Notes,
    /// The lines of the head, for taps that want them.
    pub(crate) headers: Vec<u8>,
    /// The data that taps wanted of it when it began.
    pub(crate) taps: TapWants,
    /// Its place in a trace.
    pub(crate) trace: Trace,
}

impl LogText {
    /// Returns the target (0), the host (1), the user agent (2) or the referer (3).
    pub(crate) fn part(&self, at: usize) -> &[u8] {
        let end = |at: usize| self.ends.get(at).map_or(0, |end| *end as usize);
        let start = at.checked_sub(1).map_or(0, end);
        self.text.get(start..end(at)).unwrap_or_default()
    }
}

impl Worker {
    /// Writes the record of an exchange that has ended, where somebody wants it. Taps show what the
    /// log of a route leaves out, too.
    pub(super) fn log_exchange(&mut self, e: &Exchange, total_us: u64) {
        let is_logged = self.records.log.is_on() && self.is_logged(e, total_us);
        let is_tapped = e.log.taps.record;
        if !is_logged && !is_tapped {
            return;
        }
        let Some(c) = self.clients.get(e.client) else {
            return;
        };
        let held = c.pinned.as_ref().unwrap_or(&self.held);
        let listener = held.listeners.get(usize::from(c.listener)).and_then(|l| l.as_deref());
        let record = e.record(c, listener.map_or("", |l| &l.name), total_us);
        if is_tapped {
            self.records.log.show(&record, &e.log.headers);
        }
        if is_logged {
            self.records.log.write(&record);
        }
    }

    fn is_logged(&mut self, e: &Exchange, total_us: u64) -> bool {
        use hg_policy::Random;
        e.route().is_none_or(|r| r.terms.is_logged(e.status, total_us, || self.rng.next_u64()))
    }
}

impl Exchange {
    /// Keeps what the log needs of a head, without credentials.
    pub(super) fn note_text(&mut self, head: &RequestHead<'_, '_>) {
        let Some(held) = &self.snapshot else {
            return;
        };
        let get = |known| head.fields.get(known).unwrap_or_default();
        let text = &mut self.log.text;
        text.extend_from_slice(head.path.as_bytes());
        if let Some(query) = head.query {
            held.kept.veil.push_query(query.as_bytes(), text);
        }
        let target = text.len();
        text.extend_from_slice(head.host.as_bytes());
        let host = text.len();
        held.kept.veil.push_user_agent(get(Known::UserAgent), text);
        let user_agent = text.len();
        held.kept.veil.push_referer(get(Known::Referer), text);
        let ends = [target, host, user_agent, text.len()];
        self.log.noted.note_headers(&held.kept, head.fields);
        self.log.ends = ends.map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        // `Method` itself keeps only the names it knows.
        if let Method::Other(name) = head.method {
            text.extend_from_slice(name.as_bytes());
        }
    }

    /// Keeps what the log needs of the claims of a verified token.
    pub(super) fn note_claims(&mut self, claims: &Claims) {
        if let Some(held) = &self.snapshot {
            self.log.noted.note_claims(&held.kept, |name| claims.get(name));
        }
    }

    /// Returns the record; `total_us` has passed since the request's head.
    fn record<'a>(&'a self, c: &'a Client, listener: &'a str, total_us: u64) -> AccessRecord<'a> {
        let part = |i| self.log.part(i);
        let after = |us: u64| (us > 0).then(|| us.saturating_sub(self.start_us));
        AccessRecord {
            time_us: hg_net::unix_micros().saturating_sub(total_us),
            request_id: self.id(),
            client_ip: self.client_ip,
            listener,
            route: self.route().map_or("", |r| &r.name),
            upstream: self.entry().map_or("", |u| &u.name),
            endpoint: self.endpoint.as_ref().map_or("", |p| &p.address),
            method: self.method_as_sent(),
            scheme: if c.conn.is_tls() { "https" } else { "http" },
            host: part(1),
            target: part(0),
            protocol: self.version.as_str(),
            status: self.status,
            bytes_in: self.request.came(),
            bytes_out: self.response.bytes,
            connect_us: self.connect.took_us,
            first_byte_us: after(self.times.first_byte_us),
            total_us,
            sent: self.sent(),
            reason: if self.reason.is_empty() { "-" } else { self.reason },
            user_agent: part(2),
            referer: part(3),
            noted: self.noted(),
            tls: TlsRecord {
                version: c.conn.tls_version(),
                sni: c.conn.sni(),
                client: c.conn.certificate_record(),
            },
        }
    }

    /// Returns the headers and claims that the log asked for as the request began.
    fn noted(&self) -> Noted<'_> {
        let held = self.snapshot.as_ref();
        held.map_or_else(Noted::default, |held| self.log.noted.read(&held.kept))
    }

    /// Returns how it was sent, for the log.
    fn sent(&self) -> SentRecord {
        let trace = self.log.trace.record();
        SentRecord { reused: self.on_reused, tries: self.tries.sent, trace }
    }
}

#[cfg(test)]
mod tests;
