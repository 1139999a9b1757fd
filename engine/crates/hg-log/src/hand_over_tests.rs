use super::*;
use crate::buffers::MIN_BUFFERS;
use crate::testing::record;

fn writer(workers: usize, format: Option<LogFormat>) -> LogWriter {
    let shared = Arc::new(Shared::new(workers, Mode::new(1, format)));
    LogWriter::new(shared, std::thread::current())
}

#[test]
fn lines_are_handed_over_when_the_buffer_is_full() {
    let mut writer = writer(1, Some(LogFormat::Json));
    while writer.shared.buffers.len() == 0 {
        writer.write(&record());
    }
    let filled = writer.shared.buffers.pop().unwrap();
    assert!(filled.bytes.len() > BUFFER_BYTES - SPARE_BYTES);
    assert_eq!(filled.bytes.capacity(), BUFFER_BYTES, "no line grew it");
    assert_eq!(filled.bytes.iter().filter(|b| **b == b'\n').count() as u64, filled.lines);
}

#[test]
fn flushing_nothing_hands_nothing_over() {
    let mut writer = writer(1, Some(LogFormat::Json));
    writer.flush();
    writer.write(&record());
    writer.flush();
    writer.flush();
    assert_eq!(writer.shared.buffers.len(), 1);
}

#[test]
fn with_no_buffer_free_lines_are_dropped_and_counted() {
    let mut writer = writer(1, Some(LogFormat::Combined));
    for _ in 0..MIN_BUFFERS + 3 {
        writer.write(&record());
        writer.flush();
    }
    assert_eq!(writer.shared.buffers.len(), MIN_BUFFERS);
    assert_eq!(writer.shared.stats().dropped, 3);
    let filled = writer.shared.buffers.pop().unwrap();
    writer.shared.buffers.give_back(filled.bytes);
    writer.write(&record());
    assert_eq!(writer.shared.stats().dropped, 3, "a buffer that came back is used");
}

#[test]
fn a_buffer_grown_by_a_long_line_shrinks_again() {
    let mut writer = writer(1, Some(LogFormat::Json));
    let target = vec![1; 2 * crate::MAX_TARGET_BYTES];
    for _ in 0..2 {
        writer.write(&AccessRecord { target: &target, ..record() });
    }
    let filled = writer.shared.buffers.pop().unwrap();
    assert!(filled.bytes.capacity() > BUFFER_BYTES);
    writer.shared.buffers.give_back(filled.bytes);
    assert_eq!(writer.shared.buffers.take().unwrap().capacity(), BUFFER_BYTES);
}

#[test]
fn a_new_mode_parts_the_lines() {
    let mut writer = writer(1, Some(LogFormat::Json));
    writer.write(&record());
    writer.shared.set_mode(Mode::new(2, Some(LogFormat::Combined)));
    writer.write(&record());
    writer.shared.set_mode(Mode::new(3, None));
    assert!(!writer.is_on());
    writer.write(&record());
    let modes: Vec<_> =
        std::iter::from_fn(|| writer.shared.buffers.pop()).map(|f| f.mode.epoch()).collect();
    assert_eq!(modes, [1, 2]);
    assert_eq!(writer.shared.stats(), LogStats::default());
}
