//! The answer to a request that is over a limit.

use crate::variables::number;
use crate::view::Answer;

/// Fills in the answer: a text for people, `Proxy-Status` (RFC 9209), and `Retry-After` in whole
/// seconds (RFC 9110 §10.2.3) if it is known when another request makes sense. More lines may
/// follow.
pub(crate) fn refuse(
    answer: &mut Answer,
    (status, refusal): (u16, &'static str),
    detail: &str,
    retry_after_s: Option<u64>,
) {
    (answer.status, answer.refusal) = (status, refusal);
    let headers = &mut answer.headers;
    headers.extend_from_slice(b"content-type: text/plain; charset=utf-8\r\n");
    headers.extend_from_slice(b"proxy-status: headgate; error=http_request_denied; details=\"");
    headers.extend_from_slice(detail.as_bytes());
    headers.extend_from_slice(b"\"\r\n");
    if let Some(seconds) = retry_after_s {
        headers.extend_from_slice(b"retry-after: ");
        headers.extend_from_slice(itoa::Buffer::new().format(seconds).as_bytes());
        headers.extend_from_slice(b"\r\n");
    }
    let body = &mut answer.body;
    number(status, body);
    body.push(b' ');
    body.extend_from_slice(hg_proto::respond::reason_phrase(status).as_bytes());
    body.push(b'\n');
    body.extend_from_slice(detail.as_bytes());
    body.push(b'\n');
}
