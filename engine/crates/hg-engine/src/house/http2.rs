//! A check over HTTP/2: its request on the only stream of a connection, and the verdict on the
//! answer, that of gRPC's health service included; no sockets here.

use super::answer::{BODY, Failure, INTERIM, contains, without_text};
use super::attempt::Terms;
use hg_h2::{
    After, By, Close, Event, Incoming, Limits, NeverIndexed, RequestLine, Role, Sensitivity,
    Session, grpc,
};
use hg_plan::{GrpcCheck, HttpCheck};
use hg_proto::Scheme;
use hg_resilience::Reason;

/// The path at which gRPC's health service is called (grpc.health.v1).
const HEALTH: &str = "/grpc.health.v1.Health/Check";
/// The bytes before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;
/// The first field of a protobuf message as a number, and as bytes.
const STATUS_FIELD: u8 = 0x08;
const SERVICE_FIELD: u8 = 0x0a;
/// The health service's names for the states of a service, by their number.
const STATES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
const SERVING: u64 = 1;

/// The request that is sent and the answer that passes.
#[derive(Clone, Copy)]
pub(super) enum Asks<'a> {
    Http(&'a HttpCheck),
    Grpc(&'a GrpcCheck),
}

pub(super) struct Http2 {
    session: Session,
    incoming: Incoming,
    /// Bytes that are no whole frame yet.
    input: Vec<u8>,
    stream: u32,
    interim: u32,
    /// The status of the answer; 0 as long as it has none.
    status: u16,
    /// Its `grpc-status`.
    code: Option<u32>,
    body: Vec<u8>,
}

impl Http2 {
    /// Begins a connection with the request.
    pub(super) fn ask(asks: Asks<'_>, authority: &str, terms: &Terms) -> Result<Self, Failure> {
        let limits = Limits { block_bytes: terms.limits.head_bytes, ..Limits::client() };
        let mut session = Session::new(Role::Client, limits);
        let scheme = if terms.tls.is_some() { Scheme::Https } else { Scheme::Http };
        let sent = match asks {
            Asks::Http(http) => send_http(&mut session, http, (scheme, authority)),
            Asks::Grpc(call) => send_grpc(&mut session, call, (scheme, authority)),
        };
        let stream = sent.ok_or_else(|| broken("the request could not be sent"))?;
        let (input, body) = Default::default();
        let incoming = Incoming::new();
        Ok(Self { session, incoming, input, stream, interim: 0, status: 0, code: None, body })
    }

    /// Takes what is to be sent.
    pub(super) fn take_output(&mut self) -> Vec<u8> {
        let out = self.session.output().to_vec();
        self.session.sent(out.len());
        out
    }

    /// Takes the next bytes; returns whether the check has passed already.
    pub(super) fn feed(&mut self, asks: Asks<'_>, bytes: &[u8]) -> Result<bool, Failure> {
        let mut input = std::mem::take(&mut self.input);
        input.extend_from_slice(bytes);
        let mut at = 0;
        loop {
            let event = self.session.next(&input, &mut at, 0, &mut self.incoming);
            let event = event.map_err(|close: Close| broken(close.reason.text()))?;
            let Some(event) = event else { break };
            if self.on(asks, event, &input)? {
                return Ok(true);
            }
        }
        self.input = input.split_off(at);
        Ok(false)
    }

    /// Handles the end of the connection before the check has passed.
    pub(super) fn end(&self) -> Failure {
        let when = if self.status == 0 { "before the answer" } else { "within the answer" };
        Failure::new(Reason::CheckLost, format!("the connection closed {when}"))
    }

    fn on(&mut self, asks: Asks<'_>, event: Event, input: &[u8]) -> Result<bool, Failure> {
        match event {
            Event::Head { stream, end, .. } if stream == self.stream => self.on_head(asks, end),
            Event::Data { stream, range, end } if stream == self.stream => {
                let part = input.get(range).unwrap_or_default();
                self.session.credit(stream, u32::try_from(part.len()).unwrap_or(u32::MAX));
                self.on_body(asks, part, end)
            }
            Event::Trailers { stream } if stream == self.stream => {
                self.note_code();
                self.on_body(asks, &[], true)
            }
            Event::Reset { code, by: By::Peer, .. } => {
                let found = format!("the endpoint reset the stream with code {}", code.0);
                Err(Failure::new(Reason::CheckLost, found))
            }
            Event::Reset { .. } => Err(broken("the answer breaks the rules of HTTP/2")),
            Event::GoAway { last, .. } if last < self.stream => {
                Err(Failure::new(Reason::CheckLost, "the endpoint ends its connections"))
            }
            _ => Ok(false),
        }
    }

    fn on_head(&mut self, asks: Asks<'_>, end: bool) -> Result<bool, Failure> {
        let status = self.incoming.message().status();
        if status < 200 {
            self.interim += 1;
            let ends = self.interim <= INTERIM;
            return ends
                .then_some(false)
                .ok_or_else(|| broken("there is no end of interim answers"));
        }
        self.status = status;
        self.note_code();
        let passes = match asks {
            Asks::Http(http) => http.statuses.iter().any(|(a, z)| (*a..=*z).contains(&status)),
            Asks::Grpc(_) => status == 200,
        };
        if !passes {
            return Err(Failure::new(Reason::CheckStatus, format!("the status is {status}")));
        }
        self.on_body(asks, &[], end)
    }

    fn note_code(&mut self) {
        let message = self.incoming.message();
        let mut codes = message.fields().filter(|f| f.name == b"grpc-status");
        self.code = codes.next().map(|f| grpc::code(f.value)).or(self.code);
    }

    fn on_body(&mut self, asks: Asks<'_>, part: &[u8], end: bool) -> Result<bool, Failure> {
        let room = BODY.saturating_sub(self.body.len());
        self.body.extend_from_slice(part.get(..part.len().min(room)).unwrap_or_default());
        let is_over = end || self.body.len() >= BODY;
        match asks {
            Asks::Http(HttpCheck { body: None, .. }) => Ok(true),
            Asks::Http(HttpCheck { body: Some(text), .. }) => {
                if contains(&self.body, text.as_bytes()) {
                    return Ok(true);
                }
                if is_over { Err(without_text()) } else { Ok(false) }
            }
            Asks::Grpc(call) if is_over => judge(call, self.code, &self.body).map(|()| true),
            Asks::Grpc(_) => Ok(false),
        }
    }
}

fn broken(found: &str) -> Failure {
    Failure::new(Reason::CheckProtocol, found)
}

fn send_http(
    session: &mut Session,
    http: &HttpCheck,
    (scheme, authority): (Scheme, &str),
) -> Option<u32> {
    let (path, query) = match http.path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (&*http.path, None),
    };
    let authority = http.host.as_deref().unwrap_or(authority);
    let method = &*http.method;
    let (websocket, never) = (false, NeverIndexed::NONE);
    let line = RequestLine { method, scheme, authority, path, query, websocket, never };
    let has_agent = http.headers.keys().any(|name| name.eq_ignore_ascii_case("user-agent"));
    let agent = (!has_agent).then_some(("user-agent", "headgate-check"));
    let given = http.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let lines = given.chain(agent);
    let lines = lines.map(|(n, v)| (n.as_bytes(), v.as_bytes(), Sensitivity::Normal));
    session.send_request(&line, lines, true).ok()
}

fn send_grpc(
    session: &mut Session,
    call: &GrpcCheck,
    (scheme, authority): (Scheme, &str),
) -> Option<u32> {
    let authority = call.host.as_deref().unwrap_or(authority);
    let (method, path, query, websocket) = ("POST", HEALTH, None, false);
    let never = NeverIndexed::NONE;
    let line = RequestLine { method, scheme, authority, path, query, websocket, never };
    let lines = [
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("user-agent", "headgate-check"),
    ];
    let lines = lines.map(|(n, v)| (n.as_bytes(), v.as_bytes(), Sensitivity::Normal));
    let stream = session.send_request(&line, lines, false).ok()?;
    let message = message(&call.service);
    let sent = session.data(stream, &message, After::End).ok()?;
    (sent == message.len()).then_some(stream)
}

/// Writes the health service's request, with its prefix.
fn message(service: &str) -> Vec<u8> {
    let mut request = Vec::new();
    if !service.is_empty() {
        request.push(SERVICE_FIELD);
        let mut length = service.len();
        while length >= 0x80 {
            request.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        request.push(length as u8);
        request.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(request.len()).unwrap_or(u32::MAX);
    [&[0][..], &length.to_be_bytes(), &request].concat()
}

/// Judges a whole answer of the health service.
fn judge(call: &GrpcCheck, code: Option<u32>, body: &[u8]) -> Result<(), Failure> {
    let status = |found: String| Err(Failure::new(Reason::CheckStatus, found));
    match code {
        Some(0) => {}
        Some(12) => {
            let found = "the endpoint has no service grpc.health.v1.Health; have it serve one, or write \
                         protocol = \"tcp\"";
            return status(found.into());
        }
        Some(5) => return status(format!("the endpoint knows no service \"{}\"", call.service)),
        Some(code) => return status(format!("the grpc-status is {code}")),
        None => return Err(broken("the answer has no grpc-status")),
    }
    match state(body) {
        Some(SERVING) => Ok(()),
        Some(state) => {
            let name = usize::try_from(state).ok().and_then(|at| STATES.get(at));
            let name = name.map_or_else(|| state.to_string(), |name| (*name).to_owned());
            status(format!("the service is {name}"))
        }
        None => Err(broken("the answer is no message of grpc.health.v1.Health")),
    }
}

/// Reads the state from the health service's answer; a message without fields says the first one.
fn state(body: &[u8]) -> Option<u64> {
    let (prefix, message) = body.split_at_checked(PREFIX)?;
    let [0, length @ ..] = prefix else { return None };
    let length = u32::from_be_bytes(length.try_into().ok()?);
    if message.len() != usize::try_from(length).ok()? {
        return None;
    }
    match message {
        [] => Some(0),
        // Numbers below 128 have one byte.
        [STATUS_FIELD, value @ 0..0x80] => Some(u64::from(*value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "tests")]

    use super::*;

    fn answer(message: &[u8]) -> Vec<u8> {
        let length = u32::try_from(message.len()).unwrap();
        [&[0][..], &length.to_be_bytes(), message].concat()
    }

    #[test]
    fn a_request_names_its_service() {
        assert_eq!(message(""), [0, 0, 0, 0, 0]);
        assert_eq!(message("a.B"), [0, 0, 0, 0, 5, 0x0a, 3, b'a', b'.', b'B']);
        let long = message(&"s".repeat(300));
        assert_eq!(long[..8], [0, 0, 0, 0x01, 0x2f, 0x0a, 0xac, 0x02]);
        assert_eq!(long.len(), 308);
    }

    #[test]
    fn only_an_endpoint_that_serves_passes() {
        let call = GrpcCheck::default();
        let judged = |code, body: &[u8]| judge(&call, code, body).map_err(|f| (f.reason, f.found));
        assert_eq!(judged(Some(0), &answer(&[8, 1])), Ok(()));
        for (code, body, reason, found) in [
            (Some(0), answer(&[8, 2]), Reason::CheckStatus, "the service is NOT_SERVING"),
            (Some(0), answer(&[]), Reason::CheckStatus, "the service is UNKNOWN"),
            (Some(0), answer(&[8, 9]), Reason::CheckStatus, "the service is 9"),
            (Some(14), vec![], Reason::CheckStatus, "the grpc-status is 14"),
            (Some(5), vec![], Reason::CheckStatus, "the endpoint knows no service \"\""),
            (None, answer(&[8, 1]), Reason::CheckProtocol, "the answer has no grpc-status"),
        ] {
            assert_eq!(judged(code, &body), Err((reason, found.to_owned())));
        }
        let no_service = judged(Some(12), &[]).unwrap_err();
        assert!(no_service.1.starts_with("the endpoint has no service grpc.health.v1.Health; "));
        for broken in [&[][..], &[0, 0, 0, 0, 1], &[1, 0, 0, 0, 2, 8, 1], &[0, 0, 0, 0, 2, 8, 0x81]]
        {
            assert_eq!(judged(Some(0), broken).unwrap_err().0, Reason::CheckProtocol, "{broken:?}");
        }
    }
}
