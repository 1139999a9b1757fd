//! Answers to clients that must say who they are first.

use crate::step::{Flow, Run};

/// Answers 401 or 403 with a challenge (RFC 9110 §11.6.1); `refusal` is the word of the log.
pub(crate) fn challenged(
    run: &mut Run<'_, '_, '_>,
    (status, refusal): (u16, &'static str),
    challenge: &str,
    detail: &str,
) -> Flow {
    let answer = &mut run.out.answer;
    (answer.status, answer.refusal) = (status, refusal);
    let title = if status == 403 { "403 Forbidden\n" } else { "401 Unauthorized\n" };
    for part in ["content-type: text/plain; charset=utf-8\r\nwww-authenticate: ", challenge, "\r\n"]
    {
        answer.headers.extend_from_slice(part.as_bytes());
    }
    for part in [title, detail, "\n"] {
        answer.body.extend_from_slice(part.as_bytes());
    }
    Flow::Answer
}

/// Returns a text as a quoted string (RFC 9110 §5.6.4); None if it has control characters.
pub(crate) fn quoted(text: &str) -> Option<String> {
    if text.chars().any(char::is_control) {
        return None;
    }
    Some(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}
