//! Bodies whose content follows from the request to which they belong.

/// The direction of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Up,
    Down,
}

/// Returns the byte at a place of a body.
fn byte(id: usize, way: Way, at: usize) -> u8 {
    let salt = id.wrapping_mul(0x9e37_79b1) ^ if way == Way::Up { 0x55 } else { 0 };
    let mixed = (at / 7).wrapping_mul(31).wrapping_add(at).wrapping_add(salt);
    (mixed ^ (salt >> 9)) as u8
}

/// Returns the whole body.
pub(crate) fn content(id: usize, way: Way, len: usize) -> Vec<u8> {
    (0..len).map(|at| byte(id, way, at)).collect()
}

/// Says where a body differs from what it should be.
pub(crate) fn difference(id: usize, way: Way, len: usize, got: &[u8]) -> Option<String> {
    let wrong = got.iter().enumerate().position(|(at, b)| *b != byte(id, way, at));
    if let Some(at) = wrong {
        return Some(format!("byte {at} of {} is wrong", got.len()));
    }
    (got.len() != len).then(|| format!("{} bytes instead of {len}", got.len()))
}

/// Says where the first bytes of a body differ from what they should be, or that there are too many.
pub(crate) fn stray(id: usize, way: Way, most: usize, got: &[u8]) -> Option<String> {
    let is_too_much = || (got.len() > most).then(|| format!("{} bytes of {most}", got.len()));
    difference(id, way, got.len(), got).or_else(is_too_much)
}

/// The close frame (1001) of a worker that leaves.
const GOING_AWAY: [u8; 4] = [0x88, 2, 0x03, 0xe9];

/// The bytes that an endpoint, and behind it a worker that leaves, sent over a WebSocket.
pub(crate) struct Tunneled {
    /// Bytes of the endpoint.
    pub(crate) len: usize,
    /// True if the close frame has come in part.
    pub(crate) is_cut: bool,
}

/// Splits what has come over a WebSocket to its client, or says what is wrong with it.
pub(crate) fn tunneled(id: usize, most: usize, got: &[u8]) -> Result<Tunneled, String> {
    for n in 0..=GOING_AWAY.len() {
        let (bytes, frame) = got.split_at(got.len().saturating_sub(n));
        if GOING_AWAY.starts_with(frame) && stray(id, Way::Down, most, bytes).is_none() {
            return Ok(Tunneled { len: bytes.len(), is_cut: (1..4).contains(&frame.len()) });
        }
    }
    Err(stray(id, Way::Down, most, got).unwrap_or_default())
}

/// Returns the place in a body of the first byte that is wrong, if these are its bytes from `from` on.
pub(crate) fn misplaced(id: usize, way: Way, from: usize, got: &[u8]) -> Option<usize> {
    let is_wrong = |(at, b): (usize, &u8)| *b != byte(id, way, from + at);
    got.iter().enumerate().position(is_wrong).map(|at| from + at)
}

/// Returns the trailers that follow a body.
pub(crate) fn trailers(id: usize, way: Way) -> Vec<(String, String)> {
    let direction = if way == Way::Up { "up" } else { "down" };
    vec![("x-sum".to_owned(), format!("{id}-{direction}"))]
}
