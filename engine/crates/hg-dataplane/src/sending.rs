//! The messages that a sender makes of objects.

use crate::proto::apply_message::Part;
use crate::proto::{ApplyChanges, ApplyMessage, ObjectChange};
use hg_plan::Kind;
use prost::Message as _;
use prost::bytes::Bytes;

/// Most bytes of tags and lengths around one object.
const AROUND_BYTES: usize = 64;

/// Returns serialised messages that put these objects, in their order. Each is as long as possible
/// below `most` bytes, or has one object.
pub fn put_messages(puts: &[(Kind, &str, &[u8])], most: usize) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let mut changes = Vec::new();
    let mut size = AROUND_BYTES;
    for (kind, name, canonical) in puts {
        let added = canonical.len() + name.len() + AROUND_BYTES;
        if !changes.is_empty() && size + added > most {
            messages.push(message(std::mem::take(&mut changes)));
            size = AROUND_BYTES;
        }
        changes.push(ObjectChange {
            kind: kind.as_str().into(),
            name: (*name).into(),
            delete: false,
            canonical: Bytes::copy_from_slice(canonical),
        });
        size += added;
    }
    if !changes.is_empty() {
        messages.push(message(changes));
    }
    messages
}

fn message(changes: Vec<ObjectChange>) -> Vec<u8> {
    ApplyMessage { part: Some(Part::Changes(ApplyChanges { changes })) }.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(message: &[u8]) -> Vec<String> {
        match ApplyMessage::decode(message).unwrap().part.unwrap() {
            Part::Changes(changes) => changes.changes.into_iter().map(|c| c.name).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn objects_fill_messages_in_their_order() {
        let puts = [
            (Kind::Host, "a", &b"{}"[..]),
            (Kind::Route, "b", &[b'x'; 300]),
            (Kind::Host, "c", b""),
        ];
        let messages = put_messages(&puts, 300);
        assert_eq!(messages.iter().map(|m| names(m)).collect::<Vec<_>>(), [["a"], ["b"], ["c"]]);
        let messages = put_messages(&puts, 4096);
        assert_eq!(names(&messages[0]), ["a", "b", "c"]);
        assert!(messages.len() == 1 && messages[0].len() < 4096);
        assert!(put_messages(&[], 4096).is_empty());
    }

    #[test]
    fn an_object_arrives_as_it_was() {
        let [message] = &put_messages(&[(Kind::Upstream, "u", b"{}")], 100)[..] else { panic!() };
        let change = ObjectChange {
            kind: "upstream".into(),
            name: "u".into(),
            delete: false,
            canonical: b"{}"[..].into(),
        };
        let changes = ApplyChanges { changes: vec![change] };
        assert_eq!(ApplyMessage::decode(&message[..]).unwrap().part, Some(Part::Changes(changes)));
    }
}
