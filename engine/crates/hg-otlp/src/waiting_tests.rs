use super::*;

fn filled(bytes: usize, items: u64) -> Filled {
    Filled { bytes: vec![b'x'; bytes], items }
}

#[test]
fn a_part_has_as_many_buffers_as_are_sent_at_once() {
    let now = Instant::now();
    let mut waiting = Waiting::new(now);
    assert!(waiting.is_empty() && waiting.pop().is_none());
    for (bytes, items) in [(PART_BYTES - 1, 3), (1, 4), (1, 5), (2 * PART_BYTES, 6), (1, 7)] {
        waiting.add(&filled(bytes, items), now);
    }
    let parts = std::iter::from_fn(|| waiting.pop());
    let parts: Vec<_> = parts.map(|part| (part.bytes.len(), part.items)).collect();
    assert_eq!(parts, [(PART_BYTES, 7), (1, 5), (2 * PART_BYTES, 6), (1, 7)]);
    assert!(waiting.is_empty());
}

#[test]
fn items_are_gathered_for_a_while_unless_there_are_many() {
    let start = Instant::now();
    let mut waiting = Waiting::new(start);
    assert_eq!(waiting.rest(start), None);
    let first = start + GATHER;
    waiting.add(&filled(PART_BYTES, 1), first);
    waiting.add(&filled(0, 1), first + GATHER / 2);
    assert_eq!(waiting.rest(first), Some(GATHER));
    assert_eq!(waiting.rest(first + 2 * GATHER), Some(Duration::ZERO));
    waiting.add(&filled(1, 1), first);
    assert_eq!(waiting.rest(first), Some(Duration::ZERO));
}

#[test]
fn there_is_room_again_once_a_part_was_taken() {
    let now = Instant::now();
    let mut waiting = Waiting::new(now);
    let mut parts = 0;
    while waiting.has_room() {
        waiting.add(&filled(PART_BYTES, 1), now);
        parts += 1;
    }
    assert_eq!(parts, MOST_BYTES / PART_BYTES);
    waiting.pop();
    assert!(waiting.has_room());
}
