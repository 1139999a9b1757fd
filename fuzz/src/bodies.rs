//! Chunked bodies.

use hg_proto::{ChunkedDecoder, Reject, write};

/// The result of a whole input.
#[derive(Debug, PartialEq)]
struct Decoded {
    body: Vec<u8>,
    trailers: Vec<u8>,
    consumed: usize,
    done: bool,
}

/// A chunked body: the pieces in which it comes never matter, and the decoded body encodes to one
/// that decodes to the same.
pub fn chunked(data: &[u8]) {
    let whole = decode(data, data.len().max(1));
    for piece in [1, 2, 3, 7, 64] {
        assert_eq!(decode(data, piece), whole, "by {piece}");
    }
    if let Ok(decoded) = whole
        && decoded.done
    {
        let mut wire = Vec::new();
        for part in decoded.body.chunks(5) {
            write::chunk_header(&mut wire, part.len() as u64);
            wire.extend_from_slice(part);
            wire.extend_from_slice(b"\r\n");
        }
        write::last_chunk(&mut wire, &decoded.trailers);
        let again = decode(&wire, 11);
        assert_eq!(again, Ok(Decoded { consumed: wire.len(), ..decoded }));
    }
}

fn decode(data: &[u8], piece: usize) -> Result<Decoded, Reject> {
    let mut decoder = ChunkedDecoder::new();
    let (mut body, mut consumed) = (Vec::new(), 0);
    for part in data.chunks(piece) {
        let mut part = part.to_vec();
        let fed = decoder.feed(&mut part)?;
        assert!(fed.data_len <= fed.consumed);
        body.extend_from_slice(&part[..fed.data_len]);
        consumed += fed.consumed;
        if fed.done {
            break;
        }
        assert_eq!(fed.consumed, part.len(), "everything is used up before the end");
    }
    Ok(Decoded { body, trailers: decoder.trailers().to_vec(), consumed, done: decoder.is_done() })
}
