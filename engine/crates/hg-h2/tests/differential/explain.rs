//! Why the two may differ.

use super::{DROPPED, Outcome, Stream, make};
use std::collections::BTreeSet;

type Difference = (String, Option<&'static str>);

/// Returns every difference and why it may be, if it may.
pub fn differences(ours: &Outcome, theirs: &Outcome, bytes: &[u8]) -> Vec<Difference> {
    let (resets, cut) = (make::with_frame(bytes, 3), make::with_frame(bytes, 9));
    if make::has_circle(bytes) && ours != theirs {
        return vec![(
            "a circle".into(),
            Some("the crate loses the table after a circular stream"),
        )];
    }
    if make::is_unfinished(bytes) && ours != theirs {
        return vec![("a block".into(), Some("the crate judges a block before it is whole"))];
    }
    match (ours.closed, theirs.closed) {
        (None, None) => {}
        (Some(_), Some(_)) => return Vec::new(),
        _ => return vec![("the connection".into(), connection(ours, theirs, bytes))],
    }
    let ids: BTreeSet<_> = ours.streams.keys().chain(theirs.streams.keys()).collect();
    let mut all = Vec::new();
    for id in ids {
        let none = Stream::default();
        let one = ours.streams.get(id).unwrap_or(&none);
        let other = theirs.streams.get(id).unwrap_or(&none);
        // The peer's own reset may take the place of one that was to be sent.
        if !resets.contains(id)
            && let Some(why) = stream(one, other)
        {
            // Its mark of a malformed head is not kept until the last fragment.
            let forgotten = cut.contains(id) && other.refused.is_none();
            let lost = ours.streams.iter().any(|(id, s)| cut.contains(id) && s.refused.is_some());
            let lost =
                lost.then_some("the crate loses the table after a fault before CONTINUATION");
            let empty = other.refused.is_some() && make::has_empty_authority(bytes);
            let why = why.or(empty.then_some("the crate refuses an empty :authority beside Host"));
            let why = why
                .or(lost)
                .or(forgotten.then_some("the crate forgets a fault before CONTINUATION"));
            all.push((format!("stream {id}"), why));
        }
    }
    all
}

/// Faults of frames that the crate overlooks, or sees only once the whole frame is there (we judge by
/// its header): a value of SETTINGS_NO_RFC7540_PRIORITIES, DATA on stream 0 without content,
/// PRIORITY_UPDATE, more than 32 settings, a size update at the start of CONTINUATION, PUSH_PROMISE
/// from a client, HEADERS between those that are malformed and their CONTINUATION.
const UNCHECKED: [&str; 12] = [
    "settings-entries",
    "hpack-size-update",
    "priority-update",
    "settings-value",
    "settings-length",
    "frame-stream",
    "frame-length",
    "no-settings",
    "push-promise",
    "continuation",
    "stream-id",
    "stream-closed",
];

/// Reports whether the peer has sent what a reason says. So few frames can use up two budgets only: five
/// WINDOW_UPDATE and two for each stream, as we send no DATA, and ten empty DATA in a row.
fn is_flood(reason: &str, bytes: &[u8]) -> bool {
    let (mut last, mut opened, mut updates, mut empty) = (0, 0, 0, 0);
    make::frames(bytes).any(|frame| match frame.kind {
        0 => {
            let in_row = frame.content().is_empty() && frame.flags & 1 == 0;
            empty = if in_row { empty + 1 } else { 0 };
            reason == "empty-data-flood" && empty > 10
        }
        1 => {
            opened += u32::from(frame.stream > last);
            last = last.max(frame.stream);
            false
        }
        8 => {
            updates += 1;
            reason == "window-update-flood" && updates > 5 + 2 * opened
        }
        _ => false,
    })
}

/// RFC 9113 §5.4.2 lets an endpoint treat a stream error as one of the connection.
fn connection(ours: &Outcome, theirs: &Outcome, bytes: &[u8]) -> Option<&'static str> {
    if theirs.closed.is_some() && make::acknowledgements(bytes) > 1 {
        return Some("the crate counts acknowledgements of SETTINGS");
    }
    if ours.away && theirs.closed.is_some_and(|(_, how)| how == "remote") {
        return Some("the crate ends with the peer's GOAWAY");
    }
    if ours.closed.is_some_and(|(_, reason)| is_flood(reason, bytes)) {
        return Some("the crate has other bounds of floods");
    }
    if ours.closed.is_some_and(|(_, reason)| UNCHECKED.contains(&reason)) {
        return Some("the crate does not check it");
    }
    let refused = ours.streams.values().any(|stream| stream.refused.is_some());
    (theirs.closed.is_some() && refused).then_some("the crate closes for an error of a stream")
}

/// What we refuse beyond RFC 9113, which the crate leaves to its user.
const STRICTER: [&str; 16] = [
    // The crate makes a path for a request with neither `:authority` nor `:path`.
    "h2-pseudo-missing",
    // The crate takes a quotation mark in a name.
    "h2-field-name",
    "h2-scheme",
    "method",
    "method-refused",
    "h2-te",
    "h2-host-missing",
    "h2-authority",
    "h2-host-repeated",
    "h2-host-differs",
    "h2-path",
    "h2-field-value",
    "h2-lookalike",
    "h2-content-length",
    "h2-connect",
    // RFC 9220, 3: a server should answer an unknown `:protocol` with 501.
    "h2-protocol",
];

/// Returns why two streams differ; `None` if they do not.
fn stream(ours: &Stream, theirs: &Stream) -> Option<Option<&'static str>> {
    match (ours.refused, theirs.refused) {
        (Some(_), Some(_)) => None,
        (None, None) if same(ours, theirs) => None,
        (Some("h2-pseudo-unknown"), None) if ours.head.is_some() => {
            Some(Some("the crate overlooks pseudo fields in trailers"))
        }
        (Some(code), None) => Some(STRICTER.into_iter().find(|known| *known == code)),
        _ if ours.cut => None,
        (None, Some(_)) if lists_length(ours) => Some(Some("the crate refuses a list of lengths")),
        _ => Some(None),
    }
}

fn same(ours: &Stream, theirs: &Stream) -> bool {
    let mut ours = ours.clone();
    let scheme = |s: &mut (String, Vec<u8>)| s.1 = DROPPED.into();
    if theirs.head.as_ref().and_then(|h| h.get(1)).is_some_and(|s| s.1 == DROPPED.as_bytes()) {
        ours.head.as_mut().and_then(|h| h.get_mut(1)).map(scheme);
    }
    ours == *theirs
}

fn lists_length(stream: &Stream) -> bool {
    let mut fields = stream.head.iter().flatten();
    fields.any(|(name, value)| name == "content-length" && value.contains(&b','))
}

/// What libFuzzer found: twelve WINDOW_UPDATE, which are one too many beside three streams.
#[test]
fn a_flood_is_a_reason_only_where_its_frames_have_come() {
    let chosen = b"\x47\x01\x41\xc5\x31\x81\x13\x33\x6b\x5e\x3b\x8a\xce\xc8\x8a\xeb";
    let bytes = make::connection(make::Rng::of_bytes(chosen));
    let (mut ours, theirs) = (super::ours::serve(&bytes), super::theirs::serve(&bytes));
    assert_eq!(ours.closed, Some((11, "window-update-flood")));
    assert!(connection(&ours, &theirs, &bytes).is_some());
    for other in ["work", "ping-flood", "empty-data-flood"] {
        ours.closed = Some((11, other));
        assert_eq!(connection(&ours, &theirs, &bytes), None, "{other}");
    }
}
