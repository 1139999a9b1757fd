//! The plan file's bytes: a header, then records, each a set of changes on top of what came before.
//!
//! A record is `state`, `length`, `sum`, `head_sum`, payload; integers are little-endian. `state`
//! is 0 when the record is written and is set to 1 in place once every worker serves it, so that a
//! plan no worker ever served is never read back. `head_sum` covers length and sum. It
//! distinguishes a record cut off by a crash (the file just ends) from a damaged one (bytes follow
//! that do not fit).

use hg_plan::{Change, Digest, Kind};

/// First bytes of the file; the digit is the version of this format.
pub const MAGIC: &[u8; 16] = b"headgate-plan-1\n";

/// Bytes before a record's payload.
pub const HEAD_BYTES: usize = 17;

/// State of a record that every worker serves.
pub const COMMITTED: u8 = 1;

/// Most payload bytes of one record.
pub const PAYLOAD_LIMIT: usize = 512 * 1024 * 1024;

/// The kind of bytes at one place in the file.
#[derive(Debug, PartialEq, Eq)]
pub enum Head {
    /// A committed record whose payload has this length and checksum.
    Committed {
        /// Bytes of the payload.
        len: usize,
        /// Its checksum.
        sum: [u8; 8],
    },
    /// A record that was written but never served, or cut off by a crash: the file ends here.
    Tail,
    /// Neither of these: the medium or another program changed it.
    Damaged,
}

/// Reads the head of a record; `bytes` may be shorter than [`HEAD_BYTES`] at the file's end.
pub fn read_head(bytes: &[u8]) -> Head {
    let Some(head) = bytes.first_chunk::<HEAD_BYTES>() else {
        return Head::Tail;
    };
    let [state, fields @ ..] = head;
    let (fields, head_sum) = fields.split_at(12);
    if head.iter().all(|byte| *byte == 0) {
        return Head::Tail;
    }
    if !Digest::of(fields).0.starts_with(head_sum) {
        return Head::Damaged;
    }
    let (len, sum) = fields.split_at(4);
    let len = len.iter().rev().fold(0_usize, |len, byte| len << 8 | usize::from(*byte));
    let mut checksum = [0; 8];
    checksum.copy_from_slice(sum);
    match *state {
        0 => Head::Tail,
        COMMITTED if len <= PAYLOAD_LIMIT => Head::Committed { len, sum: checksum },
        _ => Head::Damaged,
    }
}

/// Returns the checksum of a payload.
pub fn checksum(payload: &[u8]) -> [u8; 8] {
    let Digest([a, b, c, d, e, f, g, h, ..]) = Digest::of(payload);
    [a, b, c, d, e, f, g, h]
}

/// Encodes one record; `root` is the plan's digest with the changes applied, all zero if more
/// records belong to the same plan.
///
/// # Errors
/// If the payload would be over [`PAYLOAD_LIMIT`].
pub fn encode(state: u8, root: &Digest, changes: &[Change]) -> Result<Vec<u8>, String> {
    let payload: usize = changes.iter().map(encoded_len).sum::<usize>() + 36;
    if payload > PAYLOAD_LIMIT {
        return Err(format!("{payload} bytes of changes; at most {PAYLOAD_LIMIT}"));
    }
    let mut out = Vec::with_capacity(HEAD_BYTES + payload);
    // Reserve the head, whose sum covers what follows.
    out.resize(HEAD_BYTES, 0);
    out.extend_from_slice(&root.0);
    put_len(&mut out, changes.len());
    for change in changes {
        out.push(code(change.kind));
        out.push(u8::from(change.bytes.is_some()));
        put_len(&mut out, change.name.len());
        out.extend_from_slice(change.name.as_bytes());
        let bytes = change.bytes.as_deref().unwrap_or_default();
        put_len(&mut out, bytes.len());
        out.extend_from_slice(bytes);
    }
    if let Some((head, payload)) = out.split_first_chunk_mut::<HEAD_BYTES>() {
        *head = encode_head(state, payload);
    }
    Ok(out)
}

fn encode_head(state: u8, payload: &[u8]) -> [u8; HEAD_BYTES] {
    let mut fields = Vec::with_capacity(12);
    put_len(&mut fields, payload.len());
    fields.extend_from_slice(&checksum(payload));
    let sum = Digest::of(&fields);
    let mut head = [state; HEAD_BYTES];
    let bytes = fields.iter().chain(&sum.0);
    head.iter_mut().skip(1).zip(bytes).for_each(|(place, byte)| *place = *byte);
    head
}

/// Returns the bytes of a change in a payload.
pub fn encoded_len(change: &Change) -> usize {
    10 + change.name.len() + change.bytes.as_ref().map_or(0, Vec::len)
}

/// Decodes a payload: the root (all zero = more to come) and the changes.
///
/// # Errors
/// `None` if the payload is malformed.
pub fn decode(payload: &[u8]) -> Option<(Digest, Vec<Change>)> {
    let mut reader = Reader { rest: payload };
    let root = Digest(*reader.take(32)?.first_chunk::<32>()?);
    let count = reader.len()?;
    let mut changes = Vec::with_capacity(count.min(payload.len() / 10));
    for _ in 0..count {
        let kind = kind(reader.byte()?)?;
        let put = reader.byte()?;
        let name_len = reader.len()?;
        let name = std::str::from_utf8(reader.take(name_len)?).ok()?;
        let bytes_len = reader.len()?;
        let bytes = reader.take(bytes_len)?;
        let bytes = match put {
            0 if bytes.is_empty() => None,
            1 => Some(bytes.to_vec()),
            _ => return None,
        };
        changes.push(Change { kind, name: name.into(), bytes });
    }
    reader.rest.is_empty().then_some((root, changes))
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn len(&mut self) -> Option<usize> {
        let bytes = *self.take(4)?.first_chunk::<4>()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    }
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
}

/// Returns a kind's number in the file, which never changes.
fn code(kind: Kind) -> u8 {
    match kind {
        Kind::Settings => 0,
        Kind::Listener => 1,
        Kind::Host => 2,
        Kind::Route => 3,
        Kind::Middleware => 4,
        Kind::Upstream => 5,
        Kind::Certificate => 6,
        Kind::TlsPolicy => 7,
        Kind::TcpRoute => 8,
        Kind::UdpRoute => 9,
    }
}

fn kind(number: u8) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| code(*kind) == number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn changes() -> impl Strategy<Value = Vec<Change>> {
        let one = (0..Kind::ALL.len(), "[a-z*.é]{0,12}", prop::option::of(any::<Vec<u8>>()))
            .prop_map(|(kind, name, bytes)| Change {
                kind: Kind::ALL[kind],
                name: name.as_str().into(),
                bytes,
            });
        prop::collection::vec(one, 0..8)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(changes in changes(), root in any::<[u8; 32]>()) {
            let record = encode(COMMITTED, &Digest(root), &changes).unwrap();
            let payload = &record[HEAD_BYTES..];
            let expected = Head::Committed { len: payload.len(), sum: checksum(payload) };
            prop_assert_eq!(read_head(&record), expected);
            prop_assert_eq!(decode(payload), Some((Digest(root), changes)));
        }

        #[test]
        fn a_flipped_bit_is_seen(changes in changes(), at in any::<prop::sample::Index>(), bit in 0..8) {
            let mut record = encode(COMMITTED, &Digest([7; 32]), &changes).unwrap();
            let index = at.index(record.len());
            record[index] ^= 1_u8 << bit;
            let (head, payload) = record.split_at(HEAD_BYTES);
            match read_head(head) {
                Head::Committed { len, sum } => {
                    prop_assert!(len != payload.len() || sum != checksum(payload));
                }
                Head::Tail => prop_assert_eq!(index, 0),
                Head::Damaged => {}
            }
        }

        #[test]
        fn any_payload_is_read_or_refused(payload in any::<Vec<u8>>()) {
            if let Some((root, changes)) = decode(&payload) {
                let again = encode(0, &root, &changes).unwrap();
                prop_assert_eq!(&again[HEAD_BYTES..], payload.as_slice());
            }
        }
    }

    #[test]
    fn what_was_never_served_and_what_is_cut_off_is_the_tail() {
        let record = encode(0, &Digest([7; 32]), &[]).unwrap();
        assert_eq!(read_head(&record), Head::Tail);
        assert_eq!(read_head(&record[..HEAD_BYTES - 1]), Head::Tail);
        assert_eq!(read_head(&[0; 4096]), Head::Tail);
        assert_eq!(read_head(&[]), Head::Tail);
    }
}
