//! One request to a collector at a time, over a connection that is kept. Runs on the exporter's
//! thread and may wait there, in slices, between which it lets the thread do its other work.

use crate::target::Target;
use hg_dial::{Connection, Failure, Lookup, Reason, Steps, Tried};
use hg_proto::{BodyReader, HeaderSlots, Known, Limits, Method, Parse, parse_response};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Most bytes of an answer's head, and of its body.
const HEAD_BYTES: usize = 16 * 1024;
const BODY_BYTES: usize = 64 * 1024;

/// An answer of a collector.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after_s: Option<u64>,
    pub(crate) body: Vec<u8>,
}

/// The way to a collector.
pub(crate) struct Client {
    lookup: Lookup,
    kept: Option<Connection>,
    tried: Tried,
}

impl Client {
    pub(crate) fn new(lookup: Lookup) -> Self {
        Self { lookup, kept: None, tried: Tried::default() }
    }

    /// Sends an export; an old connection that turns out to be closed is replaced once.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(crate) fn post(
        &mut self,
        target: &Target,
        body: [&[u8]; 2],
        between: &mut dyn FnMut(),
    ) -> Result<Answer, Failure> {
        let mut steps = Steps { until: Instant::now() + target.timeout, between };
        let length: usize = body.iter().map(|part| part.len()).sum();
        let mut head = target.head.clone();
        head.extend_from_slice(format!("Content-Length: {length}\r\n\r\n").as_bytes());
        let [first, second] = body;
        let parts = [&head, first, second];
        if let Some(kept) = self.kept.take()
            && let Ok(answer) = self.ask(kept, true, parts, &mut steps)
        {
            return Ok(answer);
        }
        let fresh = Connection::open(&target.place, &self.lookup, &mut self.tried, &mut steps)?;
        self.ask(fresh, false, parts, &mut steps)
    }

    /// Forgets the connection.
    pub(crate) fn close(&mut self) {
        self.kept = None;
    }

    /// Asks, and notes whether the next try is to begin with this address: not after a failure that
    /// another one of the place may not have.
    fn ask(
        &mut self,
        connection: Connection,
        is_old: bool,
        parts: [&[u8]; 3],
        steps: &mut Steps<'_>,
    ) -> Result<Answer, Failure> {
        let peer = connection.peer;
        let asked = self.exchange(connection, parts, steps);
        match &asked {
            Ok(answer) if answer.status < 500 => self.tried.works(peer),
            // It may have been closed long ago, which tells nothing of the address.
            Err(why) if is_old && why.reason == Reason::Closed => {}
            _ => {
                self.kept = None;
                self.tried.fails(peer);
            }
        }
        asked
    }

    fn exchange(
        &mut self,
        mut connection: Connection,
        parts: [&[u8]; 3],
        steps: &mut Steps<'_>,
    ) -> Result<Answer, Failure> {
        for part in parts {
            connection.send(part, steps)?;
        }
        let mut input = Vec::new();
        let none = |why| Failure::new(Reason::Answer, why);
        loop {
            if let Some((answer, keeps)) = answer(&input, unix_s()).map_err(none)? {
                self.kept = keeps.then_some(connection);
                return Ok(answer);
            }
            if connection.receive(&mut input, steps)? == 0 {
                let why = "it closed the connection without an answer";
                return Err(Failure::new(Reason::Closed, why));
            }
        }
    }
}

/// Returns the seconds since 1970-01-01 UTC.
fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Reads an answer from what has come; returns it with whether the connection may be kept, or
/// nothing before it is whole.
fn answer(input: &[u8], now_unix_s: u64) -> Result<Option<(Answer, bool)>, String> {
    let limits = Limits { head_bytes: HEAD_BYTES, header_count: hg_proto::MAX_HEADERS };
    let mut rest = input;
    loop {
        let mut slots = HeaderSlots::new();
        let head = match parse_response(rest, &mut slots, &limits, Method::Post) {
            Ok(Parse::Complete(head)) => head,
            Ok(Parse::Partial) if rest.len() < HEAD_BYTES => return Ok(None),
            Ok(Parse::Partial) => return Err("its answer has no end".into()),
            Err(reject) => return Err(format!("its answer is no HTTP: {}", reject.detail)),
        };
        let after = rest.get(head.head_len..).unwrap_or_default();
        if head.is_interim {
            rest = after;
            continue;
        }
        let asked = head.fields.get(Known::RetryAfter);
        let retry_after_s = asked.and_then(|value| hg_proto::retry_after(value, now_unix_s));
        let Some(body) = body(head.framing.into(), after)? else {
            return Ok(None);
        };
        let answer = Answer { status: head.status, retry_after_s, body };
        return Ok(Some((answer, head.keep_alive)));
    }
}

/// Returns a body once it is whole. One that ends with the connection counts as it is: nothing of
/// it is needed.
fn body(mut reader: BodyReader, bytes: &[u8]) -> Result<Option<Vec<u8>>, String> {
    if matches!(reader, BodyReader::UntilClose) || reader.is_done() {
        return Ok(Some(bytes.to_vec()));
    }
    if bytes.len() > BODY_BYTES {
        return Err("its answer is too long".into());
    }
    let (mut bytes, mut at, mut body) = (bytes.to_vec(), 0, Vec::new());
    while let Some(left) = bytes.get_mut(at..).filter(|left| !left.is_empty()) {
        let fed = reader.feed(left).map_err(|_| "its answer has a broken body".to_owned())?;
        body.extend_from_slice(left.get(..fed.data_len).unwrap_or_default());
        if fed.done {
            return Ok(Some(body));
        }
        if fed.consumed == 0 {
            break;
        }
        at += fed.consumed;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::answer;
    use proptest::prelude::*;

    fn read(text: &str) -> Option<(u16, Vec<u8>, bool)> {
        answer(text.as_bytes(), 0).unwrap().map(|(a, keeps)| (a.status, a.body, keeps))
    }

    #[test]
    fn answers_whole_and_in_parts() {
        let whole = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab";
        assert_eq!(read(whole), Some((200, b"ab".to_vec(), true)));
        for end in 0..whole.len() {
            assert_eq!(whole.get(..end).and_then(read), None, "{end}");
        }
        let chunked =
            "HTTP/1.1 503 x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n";
        assert_eq!(read(chunked), Some((503, b"ab".to_vec(), true)));
        let closing = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(read(closing), Some((200, Vec::new(), false)));
    }

    #[test]
    fn the_time_to_come_back_is_a_number_or_a_date() {
        let asked = |after: &str| {
            let text =
                format!("HTTP/1.1 503 x\r\nRetry-After: {after}\r\nContent-Length: 0\r\n\r\n");
            answer(text.as_bytes(), 784_111_770).unwrap().unwrap().0.retry_after_s
        };
        assert_eq!(asked("30"), Some(30));
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:37 GMT"), Some(7));
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:00 GMT"), Some(0), "it has passed");
        assert_eq!(asked("soon"), None);
    }

    #[test]
    fn what_is_none() {
        assert!(answer(b"hello", 0).is_err());
        let endless = [&b"HTTP/1.1 200 OK\r\nx: "[..], &[b'y'; 20_000][..]].concat();
        assert!(answer(&endless, 0).is_err());
        let long =
            [&b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"[..], &[0; 70_000]].concat();
        assert!(answer(&long, 0).is_err());
    }

    proptest! {
        #[test]
        fn no_answer_breaks_it(
            head in prop::sample::select(vec![
                "",
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
                "HTTP/1.1 503 x\r\nTransfer-Encoding: chunked\r\n\r\n",
                "HTTP/1.1 100 Continue\r\n\r\n",
            ]),
            rest: Vec<u8>,
        ) {
            let _ = answer(&[head.as_bytes(), &rest].concat(), 0);
        }
    }
}
