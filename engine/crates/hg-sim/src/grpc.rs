//! Calls of gRPC: what a seed decides of them, and what their clients must see. They play on the stage
//! of HTTP, with clients and endpoints over HTTP/2.

use crate::body::{Way, difference, misplaced, trailers};
use crate::http1::Message;
use crate::http2::{Fields, Ways};
use crate::ledger::{Act, Entry, Frame, Ledger, Outcome, Repeats, Spec, wrong};
use crate::play::{Deed, settings, weather};
use crate::scenario::{Caller, Scenario};
use crate::scenario::{client, deeds, endpoints, listener, route, upstream};
use hg_net::Rng;
use std::io;

/// The end of a call at its endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Call {
    /// Its status, in the first try and in all others.
    pub(crate) first: u32,
    pub(crate) later: u32,
    /// True if a status other than 0 comes alone, in the head.
    pub(crate) alone: bool,
    /// True if either side waits for messages of the other before it sends all of its own.
    pub(crate) talks: bool,
    /// The time that its client waits.
    pub(crate) timeout_ms: Option<u64>,
}

impl Call {
    /// Returns the status of a try.
    fn status(&self, arrivals: u32) -> u32 {
        if arrivals > 1 { self.later } else { self.first }
    }
}

/// The codes that a route may repeat, as its plan calls them.
const CODES: [(u32, &str); 3] =
    [(14, "grpc-unavailable"), (8, "grpc-resource-exhausted"), (1, "grpc-cancelled")];

/// Draws a run of calls.
pub(crate) fn scenario(seed: u64) -> Scenario {
    let rng = &mut Rng::new(seed ^ 0x6c9c);
    let calm = rng.chance(350);
    let ports: Vec<u16> = (0..rng.between(1, 3)).map(|i| 8001 + i as u16).collect();
    let weather = weather(rng, calm);
    let idle_us = if calm || rng.chance(500) { 0 } else { rng.below(2_000_000) + 1 };
    let endpoints = endpoints(rng, (calm, idle_us), &ports, weather.buffer);
    let mut specs = Vec::new();
    let clients =
        (0..rng.between(1, 4)).map(|_| caller(rng, calm, weather.buffer, &mut specs)).collect();
    let (route, _) = route(rng, calm);
    let (route, codes) = repeating(rng, route);
    let mut deeds = deeds(rng, calm, &ports);
    let spoken = |rng: &mut Rng, text: String| {
        // An endpoint of HTTP/1 gets no call.
        let is_old = !calm && rng.chance(50);
        if is_old { text } else { text.replace(r#""http1""#, r#""h2c""#) }
    };
    for (_, deed) in &mut deeds {
        let Deed::Apply(objects) = deed else { continue };
        for (_, _, text) in objects {
            *text = text.take().map(|text| spoken(rng, text));
        }
    }
    let upstream = upstream(rng, calm, &ports);
    let upstream = spoken(rng, upstream);
    let (listener, settings) = (listener(rng, calm), settings(rng));
    let repeats = Repeats { any: false, codes };
    Scenario {
        seed,
        calm,
        weather,
        listener,
        upstream,
        route,
        settings,
        repeats,
        endpoints,
        clients,
        specs,
        deeds,
    }
}

fn caller(rng: &mut Rng, calm: bool, buffer: u64, specs: &mut Vec<Spec>) -> Caller {
    let begin = specs.len();
    let mut caller = client(rng, calm, buffer, specs);
    caller.http2 = Some(Ways::draw(rng, calm, buffer));
    for spec in specs.iter_mut().skip(begin) {
        let fails = matches!(spec.act, Act::Cut(..) | Act::Hang | Act::Garbage | Act::Interim);
        // Only endpoints that answer before the end of the request talk.
        let talks = rng.chance(300) && !fails;
        let code = |rng: &mut Rng| rng.pick(&[0, 0, 0, 1, 5, 8, 14]).unwrap_or(0);
        let call = Call {
            first: code(rng),
            later: code(rng),
            alone: rng.chance(500),
            talks,
            timeout_ms: (!calm && rng.chance(300)).then(|| rng.between(1, 10_000)),
        };
        let up = spec.up.map_or_else(|| rng.size(20_000) as usize, |(len, _)| len);
        let act = match spec.act {
            act if fails => act,
            _ if talks => Act::Early,
            Act::Last => Act::Last,
            _ => Act::Answer,
        };
        *spec = Spec {
            method: "POST",
            up: Some((up, Frame::Chunked)),
            up_trailers: false,
            down_trailers: true,
            waits_for_continue: false,
            down: (spec.down.0, Frame::Chunked),
            act,
            call: Some(call),
            ..spec.clone()
        };
    }
    caller
}

/// Returns a route of calls: it collects nothing, and some repeat what ended with some codes.
fn repeating(rng: &mut Rng, route: String) -> (String, Vec<u32>) {
    let begin = route.split(r#","retry""#).next().unwrap_or_default();
    let begin = begin.strip_suffix("}}").map_or(begin.to_owned(), |b| format!("{b}}}"));
    let (head, rest) = begin.split_once(r#""body_buffer_bytes":"#).unwrap_or((&begin, ""));
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let begin = format!(r#"{head}"body_buffer_bytes":0{rest}"#);
    if rng.chance(400) {
        return (format!("{begin}}}"), Vec::new());
    }
    let chosen: Vec<_> = CODES.iter().filter(|_| rng.chance(600)).collect();
    let on: Vec<String> = chosen.iter().map(|(_, name)| format!(r#""{name}""#)).collect();
    let on = if rng.chance(300) { [on, vec![r#""reset""#.to_owned()]].concat() } else { on };
    let (retries, base) = (rng.between(1, 4), rng.between(1, 2_000));
    let json = format!(
        r#"{begin},"retry":{{"retries":{retries},"on":[{}],
            "backoff":{{"base_ms":{base},"max_ms":{base}}},
            "budget":{{"percent":100,"per_second":100}}}}}}"#,
        on.join(",")
    );
    (json, chosen.iter().map(|(code, _)| *code).collect())
}

/// Adds what is said of a call in its head.
pub(crate) fn announce(call: &Call, fields: &mut Fields) {
    let mut say = |name: &str, value: String| fields.push((name.to_owned(), value));
    say("content-type", "application/grpc+sim".to_owned());
    say("te", "trailers".to_owned());
    if let Some(ms) = call.timeout_ms {
        say("grpc-timeout", format!("{ms}m"));
    }
}

/// Cuts what a side that talks sends later off what it sends at once.
pub(crate) fn split(call: Option<Call>, bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    call.filter(|call| call.talks).map(|_| bytes.split_off(bytes.len() / 2))
}

/// The status with which an endpoint answers a call.
pub(crate) struct Ending {
    status: (String, String),
    /// True if it is all of the answer.
    is_alone: bool,
}

impl Ending {
    /// Puts it where it belongs in an answer.
    pub(crate) fn put(self, head: &mut Fields, body: &mut Vec<u8>, trailers: &mut Option<Fields>) {
        head.push(("content-type".to_owned(), "application/grpc+sim".to_owned()));
        if self.is_alone {
            (*body, *trailers) = (Vec::new(), None);
            head.push(self.status);
        } else if let Some(trailers) = trailers {
            trailers.push(self.status);
        }
    }
}

impl Ledger {
    /// Returns how the try of a call that has arrived ends at its endpoint, and notes that it may be
    /// repeated if the route says so.
    pub(crate) fn ending(&mut self, id: usize, call: &Call) -> io::Result<Ending> {
        let Some(e) = self.entries.get_mut(id) else { return wrong(format!("no call {id}")) };
        let code = call.status(e.arrivals);
        if self.repeats.codes.contains(&code) {
            e.excused += 1;
        }
        let is_alone = call.alone && code != 0;
        Ok(Ending { status: ("grpc-status".to_owned(), code.to_string()), is_alone })
    }

    /// Checks the head of a call at its endpoint.
    pub(crate) fn check_call(&self, id: usize, message: &Message) -> io::Result<()> {
        let Some(call) = self.spec(id)?.call else { return Ok(()) };
        let mut sent = Fields::new();
        announce(&call, &mut sent);
        for (name, value) in sent {
            if message.field(&name) != Some(&value) {
                return wrong(format!("call {id} came without its {name}: {:?}", message.fields));
            }
        }
        Ok(())
    }

    /// Checks what has come of a body that is cut off: a beginning of it.
    pub(crate) fn check_part(&self, id: usize, way: Way, message: &Message) -> io::Result<()> {
        let is_own =
            way == Way::Down && (message.field("x-id").is_none() || message.status() != 200);
        if way == Way::Down && self.spec(id)?.tunnel.is_some() && !is_own {
            return self.check_tunneled(id, &message.body, false).map(|_| ());
        }
        match misplaced(self.origin(id), way, 0, &message.body).filter(|_| !is_own) {
            Some(at) => {
                wrong(format!("byte {at} of request {id}, {way:?}, is wrong; it was cut off"))
            }
            None => Ok(()),
        }
    }

    /// Checks a whole answer to a call, and notes its outcome.
    pub(crate) fn called(&mut self, id: usize, call: &Call, message: &Message) -> io::Result<()> {
        let of = message.field("x-id").map(str::parse::<usize>);
        let in_head = message.field("grpc-status");
        let status = message.trailers.iter().find(|(n, _)| n == "grpc-status");
        let status = in_head.or(status.map(|(_, v)| v.as_str()));
        let Some(code) = status.and_then(|v| v.parse::<u32>().ok()) else {
            return wrong(format!("call {id} ends without a status: {:?}", message.fields));
        };
        if message.status() != 200 {
            return wrong(format!("call {id} got {:?}", message.first));
        }
        if of.is_none() {
            let reason = message.field("proxy-status");
            if code == 0 || in_head.is_none() || reason.is_none() || !message.body.is_empty() {
                return wrong(format!("call {id} ends with {code} for {reason:?}"));
            }
            return self.note(id, Outcome::Refused(code as u16));
        }
        if of != Some(Ok(id)) {
            return wrong(format!("call {id} got the answer of {of:?}"));
        }
        let Some(Entry { spec, arrivals, .. }) = self.entries.get(id) else {
            return wrong(format!("no call {id}"));
        };
        if ![call.first, call.later].contains(&code) || *arrivals == 0 {
            return wrong(format!("call {id} ends with {code}, not as {call:?}"));
        }
        let is_alone = in_head.is_some();
        let len = if is_alone { 0 } else { spec.down.0 };
        if let Some(why) = difference(id, Way::Down, len, &message.body) {
            return wrong(format!("call {id} got wrong messages: {why}"));
        }
        let mut expected = trailers(id, Way::Down);
        expected.push(("grpc-status".to_owned(), code.to_string()));
        if is_alone != (call.alone && code != 0) || (!is_alone && message.trailers != expected) {
            return wrong(format!("call {id} got the trailers {:?}", message.trailers));
        }
        self.note(id, Outcome::Served)
    }
}
