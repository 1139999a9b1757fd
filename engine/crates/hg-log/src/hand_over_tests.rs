use super::*;
use crate::testing::record;
use hg_otlp::MIN_BUFFERS;
use hg_plan::AccessLog;

fn mode(epoch: u64, format: LogFormat) -> Mode {
    let sink = Some(hg_plan::LogSink::Stdout {});
    let config = AccessLog { format, sink, otlp: None, fields: Vec::new(), template: None };
    Mode::new(epoch, &config, false)
}

fn writer(workers: usize, format: Option<LogFormat>) -> LogWriter {
    let mode = format.map_or(Mode::off(1), |format| mode(1, format));
    let shared = Arc::new(Shared::new(workers, mode));
    LogWriter::new(shared, std::thread::current(), crate::testing::exporter().writer())
}

#[test]
fn lines_are_handed_over_when_the_buffer_is_full() {
    let mut writer = writer(1, Some(LogFormat::Json));
    while writer.shared.buffers.waiting() == 0 {
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
    assert_eq!(writer.shared.buffers.waiting(), 1);
}

#[test]
fn with_no_buffer_free_lines_are_dropped_and_counted() {
    let mut writer = writer(1, Some(LogFormat::Combined));
    for _ in 0..MIN_BUFFERS + 3 {
        writer.write(&record());
        writer.flush();
    }
    assert_eq!(writer.shared.buffers.waiting(), MIN_BUFFERS);
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
    writer.shared.set_mode(mode(2, LogFormat::Combined));
    writer.write(&record());
    writer.shared.set_mode(Mode::off(3));
    assert!(!writer.is_on());
    writer.write(&record());
    let modes: Vec<_> =
        std::iter::from_fn(|| writer.shared.buffers.pop()).map(|f| f.mode.epoch()).collect();
    assert_eq!(modes, [1, 2]);
    assert_eq!(writer.shared.stats(), LogStats::default());
}

#[test]
fn a_collector_gets_records_beside_the_sink_or_without_it() {
    let otlp = hg_plan::OtlpExport {
        endpoint: "http://127.0.0.1:1".into(),
        service_name: "s".into(),
        headers: Default::default(),
        timeout_ms: 1_000,
        tls: None,
    };
    for (sink, handed) in [(None, 0), (Some(hg_plan::LogSink::Stdout {}), 1)] {
        let config = AccessLog {
            format: LogFormat::Json,
            sink,
            otlp: Some(otlp.clone()),
            fields: Vec::new(),
            template: None,
        };
        let exporter = crate::testing::exporter();
        let shared = Arc::new(Shared::new(1, Mode::new(1, &config, false)));
        let mut writer = LogWriter::new(shared, std::thread::current(), exporter.writer());
        assert!(writer.is_on());
        writer.write(&record());
        writer.write_connection(&crate::testing::connection());
        writer.flush();
        assert_eq!(writer.shared.buffers.waiting(), handed);
        // The exporter has no collector, and says so.
        crate::testing::wait_for("two records", || exporter.stats().unreachable == 2);
    }
}

#[test]
fn what_is_off_makes_no_record() {
    let exporter = crate::testing::exporter();
    let shared = Arc::new(Shared::new(1, Mode::off(1)));
    let mut writer = LogWriter::new(shared, std::thread::current(), exporter.writer());
    assert!(!writer.is_on());
    writer.write(&record());
    writer.flush();
    assert_eq!((writer.shared.buffers.waiting(), writer.shared.stats().dropped), (0, 0));
}
