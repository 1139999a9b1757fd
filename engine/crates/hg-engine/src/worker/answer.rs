//! Answers of our own: refusals, redirects, what a route responds.

use super::Worker;
use super::exchange::{Connection, ExId, Exchange, pair};
use super::pages::{lines_of_page, without_body_lines};
use super::subrequest::failure_of;
use crate::snapshot::RouteEntry;
use hg_h2::grpc;
use hg_middleware::{Answer, Rewritten, Source};
use hg_proto::respond::{self, ErrorAnswer};
use hg_proto::write::{self, Persistence};
use hg_proto::{Method, Reject, Version};
use hg_resilience::Outcome;

/// Our name in `Proxy-Status`.
const NAME: &str = "headgate";

/// The reasons why the node answers instead of an upstream; tokens of RFC 9209 §2.3.
pub(super) mod own {
    use hg_proto::Reject;

    macro_rules! table {
        ($($name:ident = $status:literal $reason:literal $code:literal $detail:literal;)*) => {
            $(pub(crate) const $name: Reject =
                Reject { status: $status, reason: $reason, code: $code, detail: $detail };)*
        };
    }
    table! {
        NO_ROUTE = 404 "destination_not_found" "no-route" "no route matches this request";
        MISDIRECTED = 421 "http_request_denied" "misdirected" "this connection was made for another host";
        NO_TUNNEL = 501 "http_request_denied" "no-websocket" "no WebSocket can be opened here";
        BODY_TOO_LARGE = 413 "http_request_denied" "body-too-large" "request body larger than allowed here";
        BODY_CODING = 400 "http_request_error" "body-coding" "the request's body is not what its Content-Encoding says";
        DECODED_TOO_LARGE = 413 "http_request_denied" "decoded-too-large" "the request's decoded body is larger than allowed here";
        BODY_TOO_DENSE = 413 "http_request_denied" "body-too-dense" "the request's body grows by more than allowed here when it is decoded";
        DECODERS_BUSY = 503 "destination_unavailable" "decompress-busy" "too many bodies of requests are being decoded";
        NO_UPSTREAM = 503 "destination_unavailable" "no-upstream" "the route has no upstream to go to";
        NOT_IMPORTED = 503 "destination_unavailable" "not-imported" "not-imported: this place of the imported config has no counterpart here";
        NO_ENDPOINT = 503 "destination_unavailable" "no-endpoint" "no endpoint can be used now";
        BREAKER_OPEN = 503 "destination_unavailable" "breaker-open" "a circuit breaker keeps requests from the upstream";
        UNRESOLVED = 503 "dns_error" "unresolved" "no endpoint's name resolves";
        QUEUE_FULL = 503 "connection_limit_reached" "queue-full" "the upstream's queue is full";
        QUEUE_TIMEOUT = 503 "connection_limit_reached" "queue-timeout" "no connection to the upstream became free in time";
        CONNECT_REFUSED = 502 "connection_refused" "connect-refused" "the upstream could not be reached";
        CONNECT_TIMEOUT = 504 "connection_timeout" "connect-timeout" "the upstream did not accept a connection in time";
        TLS_FAILED = 502 "tls_protocol_error" "upstream-tls" "the TLS handshake with the upstream failed";
        TLS_CERTIFICATE = 502 "tls_certificate_error" "upstream-certificate" "the upstream's certificate was not accepted";
        NO_HTTP2 = 502 "tls_protocol_error" "upstream-no-http2" "the upstream did not agree on HTTP/2";
        NO_STREAMS = 503 "connection_limit_reached" "upstream-streams" "the upstream allows no streams";
        NO_GRPC = 501 "http_protocol_error" "grpc-needs-http2" "gRPC needs HTTP/2, and the upstream speaks HTTP/1.1";
        NO_WEBSOCKET = 502 "http_protocol_error" "upstream-no-websocket" "the upstream takes no WebSockets over HTTP/2";
        REFUSED = 503 "destination_unavailable" "upstream-refused" "the upstream did not process the request";
        PROTOCOL = 502 "http_protocol_error" "upstream-protocol" "the upstream broke the rules of HTTP/2";
        LOST = 502 "connection_terminated" "upstream-closed" "the upstream closed the connection before it answered";
        REQUEST_TIMEOUT = 504 "http_response_timeout" "request-timeout" "the request took longer than allowed here";
        TRY_TIMEOUT = 504 "http_response_timeout" "try-timeout" "the upstream did not answer in time";
        FIRST_BYTE_TIMEOUT = 504 "http_response_timeout" "first-byte-timeout" "the upstream did not answer in time";
        STREAM_IDLE = 504 "http_response_timeout" "stream-idle" "nothing moved for too long";
        DRAIN_DEADLINE = 503 "destination_unavailable" "drain-deadline" "the node ends and waits no longer";
        OVERLOAD_MEMORY = 503 "destination_unavailable" "overload-memory" "the node has too little memory for more requests now";
        OVERLOAD_QUEUE = 503 "destination_unavailable" "overload-queue" "too many requests wait for an upstream";
        OVERLOAD_LAG = 503 "destination_unavailable" "overload-lag" "the node has too much to do now";
        HELPERS_FULL = 503 "destination_unavailable" "middleware-busy" "too many requests wait for a middleware";
        HELPER_TIMEOUT = 503 "destination_unavailable" "middleware-timeout" "a middleware did not decide in time";
        HELPER_FAILED = 503 "destination_unavailable" "middleware-failed" "a middleware failed";
        BODY_TIMEOUT = 408 "http_request_error" "body-timeout" "the request's body did not arrive in time";
        HEAD_TIMEOUT = 408 "http_request_error" "head-timeout" "the request's head did not arrive in time";
        PATH = 400 "http_request_error" "path" "the path is not acceptable";
        RESPONSE_TRUNCATED = 502 "http_response_incomplete" "response-truncated" "the upstream's answer ended early";
    }

    /// Returns the answer of a route that leads nowhere.
    pub(crate) fn without_upstream(not_imported: bool) -> &'static Reject {
        if not_imported { &NOT_IMPORTED } else { &NO_UPSTREAM }
    }

    /// Returns the answer to a path that was refused.
    pub(crate) fn path(why: hg_route::path::PathError) -> Reject {
        Reject { detail: why.as_str(), ..PATH }
    }
}

/// Writes an error answer with the response headers of the route that the request matched, if any;
/// returns the number of bytes of the body.
fn error_of_route(
    out: &mut Vec<u8>,
    answer: &ErrorAnswer<'_>,
    e: &Exchange,
    connection: Connection<'_>,
) -> usize {
    let edits = e.edits_of(answer.status);
    let edits = edits.filter(|edits| !edits.is_empty());
    if edits.is_none() && !e.chained.has_response_lines() {
        return respond::write_error(out, answer, NAME);
    }
    let mut more = Vec::new();
    if let Some(edits) = edits {
        e.with_view(connection, |view| edits.append(view, hg_net::unix_micros, &mut more));
    }
    e.append_lines(answer.status, &mut more);
    let drops = |name: &[u8]| edits.is_some_and(|edits| edits.drops(name));
    respond::write_error_with(out, answer, NAME, drops, &more)
}

/// Of every answer of gRPC over HTTP, which says how a call ended in a field of its own.
const GRPC_STATUS: u16 = 200;

/// Writes an error answer in the form of gRPC: its status is a field of a head without body.
fn grpc_of_route(
    out: &mut Vec<u8>,
    answer: &ErrorAnswer<'_>,
    e: &Exchange,
    connection: Connection<'_>,
) -> usize {
    let edits = e.edits_of(GRPC_STATUS);
    let edits = edits.filter(|edits| !edits.is_empty());
    let drops = |name: &[u8]| edits.is_some_and(|edits| edits.drops(name));
    write::status_line(out, GRPC_STATUS, b"OK");
    if !drops(b"date") {
        write::line(out, "date", answer.date);
    }
    grpc::write_refusal(out, answer.status, answer.detail);
    if !drops(b"proxy-status") {
        respond::proxy_status(out, NAME, answer.error, answer.detail);
    }
    if let Some(edits) = edits {
        e.with_view(connection, |view| edits.append(view, hg_net::unix_micros, out));
    }
    e.append_lines(GRPC_STATUS, out);
    write::end(out);
    0
}

/// Appends the lines of a middleware's refusal in the form of gRPC. An authentication service that
/// refuses may say how the call ended itself.
fn fail_call(answer: &Answer, head: &mut Vec<u8>) {
    without_body_lines(&answer.headers, head);
    if grpc::line(&answer.headers, "grpc-status").is_some() {
        return write::line(head, "content-type", b"application/grpc");
    }
    grpc::write_refusal(head, answer.status, respond::reason_phrase(answer.status));
}

impl Worker {
    /// Answers with an error, unless the request is tried again. If an answer has begun, cuts the
    /// connection instead, so that the client notices.
    pub(super) fn refuse(&mut self, x: ExId, reject: &Reject) {
        if !self.tries_again(x, reject) {
            self.refuse_for(x, reject, None);
        }
    }

    /// Answers with an error as [`Worker::refuse`] does, and never tries again; says after how many
    /// seconds another request makes sense.
    pub(super) fn refuse_for(&mut self, x: ExId, reject: &Reject, retry_after_s: Option<u64>) {
        // Neither an endpoint that does not speak HTTP/2, nor the end of the node, nor what it has no
        // memory for is a failure of the endpoint.
        let ours = [own::NO_GRPC.code, own::DRAIN_DEADLINE.code, own::DECODERS_BUSY.code];
        let is_ours = ours.contains(&reject.code);
        let is_failure = reject.status >= 500 && !is_ours;
        let failed = is_failure.then(|| outcome_of(reject, self.exchanges.get(x)));
        self.detach(x, failed, reject.detail);
        if self.end_sub(x, Some(failure_of(reject))) {
            return;
        }
        self.counters.reject(reject.code);
        let worker = self.mailbox.index;
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return;
        };
        if e.answered {
            e.reason = reject.code;
            return self.cut(x);
        }
        let keep = e.keep_alive && e.request.done && self.leaving.keeps_alive();
        let date = self.date.text();
        let answer = ErrorAnswer {
            status: reject.status,
            error: reject.reason,
            detail: reject.detail,
            persistence: persistence(keep, e.version),
            head_only: e.method == Method::Head,
            date: &date,
            retry_after_s,
            page: None,
        };
        let page = e.page((reject.status, Source::Node), worker);
        let page = page.as_ref().map(|(page, text)| (&*page.content_type, &text[..]));
        let answer = ErrorAnswer { page, ..answer };
        let mut head = std::mem::take(&mut e.head);
        head.clear();
        let body = if e.stream.is_grpc {
            grpc_of_route(&mut head, &answer, e, c.connection())
        } else {
            error_of_route(&mut head, &answer, e, c.connection())
        };
        e.response.bytes = body as u64;
        e.head = head;
        e.status = reject.status;
        e.reason = reject.code;
        e.close_after = !keep;
        self.send_own(x);
    }

    /// Answers a head that was refused with an error; keeps what can be read of the head for the
    /// log.
    pub(super) fn refuse_head(&mut self, ci: usize, head: &[u8], reject: &Reject) {
        let (name, target) = hg_proto::glance(head);
        let is_logged = self.records.log.is_on();
        let Some(x) = self.open_exchange(ci) else {
            return;
        };
        if let Some(e) = self.exchanges.get_mut(x) {
            // Where the next request would begin is not known.
            e.keep_alive = false;
            e.method = Method::Other("");
            e.method = if name.is_empty() { e.method } else { Method::of(name).to_static() };
            if is_logged || e.log.taps.record {
                self.held.kept.veil.push_target(target, &mut e.log.text);
                e.log.ends = [u32::try_from(e.log.text.len()).unwrap_or(u32::MAX); 4];
                if matches!(e.method, Method::Other(_)) {
                    e.log.text.extend_from_slice(name.as_bytes());
                }
            }
        }
        self.refuse(x, reject);
    }

    /// Sends the answer that a middleware or the route itself made.
    pub(super) fn answer_own(&mut self, x: ExId, route: &RouteEntry, made: &Rewritten) {
        let keeps = self.leaving.keeps_alive();
        let date = self.date.text();
        let worker = self.mailbox.index;
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        let answer = &made.answer;
        let page = Some((answer.status, Source::Node)).filter(|_| !answer.refusal.is_empty());
        let page = page.and_then(|asked| e.page(asked, worker));
        if e.stream.is_tunnel && matches!(answer.status, 200..=299) {
            // To its client this would be an open WebSocket.
            return self.refuse(x, &own::NO_TUNNEL);
        }
        let edits = route.terms.chain.response_headers(made.stage(), answer.status);
        let keep = e.keep_alive && e.request.done && keeps;
        let fails_call = e.stream.is_grpc && !answer.refusal.is_empty();
        let status = if fails_call { GRPC_STATUS } else { answer.status };
        let is_bare = fails_call || matches!(status, 204 | 304);
        let head = &mut e.head;
        head.clear();
        write::status_line(head, status, respond::reason_phrase(status).as_bytes());
        if !edits.drops(b"date") {
            write::line(head, "date", &date);
        }
        let body = page.as_ref().map_or(&answer.body, |(_, text)| text);
        match &page {
            _ if fails_call => fail_call(answer, head),
            Some((page, _)) => lines_of_page(&answer.headers, page, head),
            None => head.extend_from_slice(&answer.headers),
        }
        if !is_bare {
            write::content_length(head, body.len() as u64);
        }
        write::connection(head, persistence(keep, e.version));
        write::end(head);
        if e.method != Method::Head && !is_bare {
            head.extend_from_slice(body);
            e.response.bytes = body.len() as u64;
        }
        e.status = answer.status;
        e.reason = answer.refusal;
        e.close_after = !keep;
        if !answer.refusal.is_empty() {
            self.counters.reject(answer.refusal);
        }
        self.send_own(x);
    }

    /// Sends `head` of the exchange as the whole answer.
    pub(super) fn send_own(&mut self, x: ExId) {
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return;
        };
        e.answered = true;
        e.response.done = true;
        self.counters.bytes_sent.add(e.head.len() as u64);
        if e.stream.is_http2() {
            return self.send_own_stream(x);
        }
        let sent = c.conn.send(&mut self.io, &e.head, &mut Vec::new(), 0..0);
        let all = c.conn.out.is_empty();
        match sent {
            Err(_) => self.client_gone(x),
            Ok(()) if all => self.finish(x),
            Ok(()) => self.progress(x),
        }
    }
}

/// Returns what an answer says of the client's connection after it.
pub(super) fn persistence(keep: bool, version: Version) -> Persistence {
    match (keep, version) {
        (false, _) => Persistence::Close,
        (true, Version::H10) => Persistence::KeepAlive,
        (true, _) => Persistence::Implied,
    }
}

/// Returns what a refusal says of the endpoint. A time that ran out while the client still had to
/// send, or to take what was answered, says nothing: slow clients must not get it ejected.
fn outcome_of(reject: &Reject, exchange: Option<&Exchange>) -> Outcome {
    let waits_for_client = exchange.is_some_and(|e| e.answered || !e.request.done);
    match reject.status {
        _ if reject.code == own::REFUSED.code => Outcome::Refused,
        _ if reject.code == own::PROTOCOL.code => Outcome::Protocol,
        504 if waits_for_client => Outcome::Cancelled,
        504 => Outcome::Timeout,
        _ => Outcome::Reset,
    }
}

#[cfg(test)]
mod tests;
