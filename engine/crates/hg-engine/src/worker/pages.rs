//! Pages of a route's own instead of the bodies of errors (`error_pages`).

use super::Worker;
use super::answer::persistence;
use super::encode::Coded;
use super::exchange::{ExId, Exchange, pair};
use super::response::answer_fields;
use hg_middleware::{Page, Source};
use hg_proto::{Known, Method, ResponseHead, respond, write};

/// Lines of an answer that describe its body, beside those of [`hg_middleware::is_outdated`].
const OF_BODY: [&[u8]; 9] = [
    b"content-type",
    b"content-encoding",
    b"content-language",
    b"content-location",
    b"content-disposition",
    b"content-range",
    b"etag",
    b"last-modified",
    b"trailer",
];

/// Reports whether a line of an answer describes the body that it came with.
pub(super) fn is_of_body(name: &[u8]) -> bool {
    hg_middleware::is_outdated(name) || OF_BODY.iter().any(|one| name.eq_ignore_ascii_case(one))
}

impl Exchange {
    /// Returns the text of the page for an answer, and its type, if its route has one. Counts it.
    pub(super) fn page(
        &self,
        (status, source): (u16, Source),
        worker: usize,
    ) -> Option<(std::sync::Arc<Page>, Vec<u8>)> {
        if self.stream.is_grpc {
            return None; // its clients read no body
        }
        let page = self.route()?.terms.chain.pages().take(status, source, worker)?;
        let mut body = Vec::new();
        page.render(status, self.id(), &mut body);
        Some((page, body))
    }
}

impl Worker {
    /// Answers with a page instead of an endpoint's error, if the route has one for its status:
    /// lines that describe the endpoint's body are left out, and the rest of that is not read.
    /// Reports whether it did.
    pub(super) fn replaces(&mut self, x: ExId, head: &ResponseHead<'_, '_>, bytes: &[u8]) -> bool {
        let source = (head.status, Source::Endpoint);
        let Some(e) = self.exchanges.get(x).filter(|e| !e.is_sub()) else {
            return false;
        };
        let Some((page, body)) = e.page(source, self.mailbox.index) else {
            return false;
        };
        self.trial_answered(x, head.status);
        let token = self.note_affinity(x);
        let keeps = self.leaving.keeps_alive();
        let date = head.fields.get(Known::Date).is_none().then(|| self.date.text());
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return false;
        };
        let connection = c.connection();
        let keep = e.keep_alive && e.request.done && keeps;
        let mut out = std::mem::take(&mut e.head);
        out.clear();
        write::status_line(&mut out, head.status, respond::reason_phrase(head.status).as_bytes());
        answer_fields(&mut out, head, e, connection, (date.as_ref(), Coded::Page));
        if !drops_type(e, head.status) {
            write::line(&mut out, "content-type", page.content_type.as_bytes());
        }
        e.write_affinity(token, connection.scheme, &mut out);
        write::content_length(&mut out, body.len() as u64);
        write::connection(&mut out, persistence(keep, e.version));
        write::end(&mut out);
        if e.method != Method::Head {
            out.extend_from_slice(&body);
            e.response.bytes = body.len() as u64;
        }
        (e.head, e.status, e.close_after) = (out, head.status, !keep);
        let outcome = e.outcome();
        self.let_go(x, head, bytes);
        self.leave_endpoint(x, self.now_us, outcome);
        self.send_own(x);
        true
    }
}

/// Appends the head's lines of an answer that a page takes the place of.
pub(super) fn lines_of_page(lines: &[u8], page: &Page, out: &mut Vec<u8>) {
    without_body_lines(lines, out);
    write::line(out, "content-type", page.content_type.as_bytes());
}

/// Appends the head's lines of an answer whose body something else takes the place of.
pub(super) fn without_body_lines(lines: &[u8], out: &mut Vec<u8>) {
    let name = |line: &[u8]| line.split(|b| *b == b':').next().is_some_and(is_of_body);
    for line in lines.split_inclusive(|b| *b == b'\n').filter(|line| !name(line)) {
        out.extend_from_slice(line);
    }
}

/// Reports whether the route sets or removes the type of its answers.
fn drops_type(e: &Exchange, status: u16) -> bool {
    e.edits_of(status).is_some_and(|edits| edits.drops(b"content-type"))
}

#[cfg(test)]
mod tests;
