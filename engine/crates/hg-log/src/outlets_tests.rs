use super::*;
use crate::AccessRecord;
use crate::testing::{Scratch, record, wait_for};
use hg_otlp::BUFFER_BYTES;
use hg_plan::{LogFormat, LogSink};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;

fn to_file(path: &str, format: LogFormat) -> Config {
    to(LogSink::File { path: path.into() }, format)
}

fn to(sink: LogSink, format: LogFormat) -> Config {
    Config { format, sink: Some(sink), otlp: None, fields: Vec::new(), template: None }
}

fn start(config: Option<&Config>, workers: usize) -> io::Result<AccessLog> {
    AccessLog::start(config, workers, crate::testing::exporter(), Box::new(|_| {}))
}

fn lines(path: &str) -> Vec<String> {
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

const LONG: Duration = Duration::from_secs(45);

/// Ends the log, which must have written everything.
fn end(log: &AccessLog) {
    log.stop();
    wait_for("the end", || log.sink.is_finished());
}

#[test]
fn what_is_written_arrives_whole_and_in_order() {
    let scratch = Scratch::new("order");
    let path = scratch.path("log");
    let log = start(Some(&to_file(&path, LogFormat::Json)), 1).unwrap();
    let mut writer = log.writer();
    for i in 0..5_000 {
        // The sink may lag behind; this test is about order.
        wait_for("room", || log.shared.buffers.waiting() < 32);
        writer.write(&AccessRecord { total_us: i, ..record() });
    }
    drop(writer);
    let stats = log.stats();
    end(&log);
    assert!(stats.dropped == 0 && stats.write_errors == 0);
    for (i, line) in lines(&path).iter().enumerate() {
        let parsed: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(parsed["total_us"], i);
    }
    assert_eq!(lines(&path).len(), 5_000);
}

#[test]
fn flushed_lines_arrive_without_a_full_buffer_and_are_counted() {
    let scratch = Scratch::new("flush");
    let path = scratch.path("log");
    let log = start(Some(&to_file(&path, LogFormat::Combined)), 1).unwrap();
    let mut writer = log.writer();
    for _ in 0..3 {
        writer.write(&record());
        writer.flush();
    }
    wait_for("three lines", || log.stats().lines == 3);
    assert_eq!(log.stats().bytes, std::fs::metadata(path).unwrap().len());
}

#[test]
fn a_change_of_sink_and_format_loses_and_mixes_nothing() {
    let scratch = Scratch::new("change");
    let (first, second) = (scratch.path("first"), scratch.path("second"));
    let log = start(Some(&to_file(&first, LogFormat::Json)), 2).unwrap();
    let mut busy = log.writer();
    let mut idle = log.writer();
    idle.write(&record());
    for i in 0..200 {
        if i == 100 {
            log.configure(Some(&to_file(&second, LogFormat::Combined)));
        }
        busy.write(&record());
    }
    // The idle worker's line was made before the change and comes late.
    idle.flush();
    drop((busy, idle));
    end(&log);
    assert_eq!((lines(&first).len(), lines(&second).len()), (101, 100));
    assert!(lines(&first).iter().all(|l| l.starts_with("{\"time\"")));
    assert!(lines(&second).iter().all(|l| l.starts_with("192.0.2.7 - - [")));
}

#[test]
fn switched_off_and_on_again() {
    let scratch = Scratch::new("off");
    let path = scratch.path("log");
    let config = to_file(&path, LogFormat::Json);
    let log = start(None, 1).unwrap();
    let mut writer = log.writer();
    assert!(!writer.is_on());
    writer.write(&record());
    log.configure(Some(&config));
    assert!(writer.is_on());
    writer.write(&record());
    log.configure(None);
    writer.write(&record());
    log.configure(Some(&config));
    writer.write(&record());
    drop(writer);
    end(&log);
    assert_eq!(lines(&path).len(), 2);
}

#[test]
fn the_same_configuration_again_changes_nothing() {
    let scratch = Scratch::new("same");
    let config = to_file(&scratch.path("log"), LogFormat::Json);
    let log = start(Some(&config), 1).unwrap();
    let before = log.current.lock().unwrap().epoch;
    log.configure(Some(&config));
    assert_eq!(log.current.lock().unwrap().epoch, before);
}

#[test]
fn a_file_is_opened_anew_on_request() {
    let scratch = Scratch::new("rotate");
    let (path, old) = (scratch.path("log"), scratch.path("log.1"));
    let log = start(Some(&to_file(&path, LogFormat::Json)), 1).unwrap();
    let mut writer = log.writer();
    writer.write(&record());
    writer.flush();
    wait_for("the first line", || log.stats().lines == 1);
    std::fs::rename(&path, &old).unwrap();
    log.reopen();
    wait_for("a new file", || std::fs::exists(&path).unwrap());
    writer.write(&record());
    drop(writer);
    end(&log);
    assert_eq!((lines(&old).len(), lines(&path).len()), (1, 1));
}

#[test]
fn a_full_disk_drops_and_counts_and_recovers() {
    let scratch = Scratch::new("recovers");
    let path = scratch.path("log");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let log = start(Some(&to_file(&path, LogFormat::Json)), 1).unwrap();
    let mut writer = log.writer();
    writer.write(&record());
    writer.flush();
    wait_for("an error", || log.stats().write_errors == 1);
    assert_eq!((log.stats().lines, log.stats().dropped), (0, 1));
    std::fs::remove_file(&path).unwrap();
    log.reopen();
    wait_for("a new file", || std::fs::exists(&path).unwrap());
    writer.write(&record());
    writer.flush();
    wait_for("a line", || log.stats().lines == 1);
}

#[test]
fn people_are_told_when_the_sink_fails_and_when_it_works_again() {
    let scratch = Scratch::new("told");
    let (path, good) = (scratch.path("dir/log"), scratch.path("good"));
    std::fs::create_dir(scratch.path("dir")).unwrap();
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let (tell, news) = channel();
    let config = to_file(&path, LogFormat::Json);
    let tell = Box::new(move |one| tell.send(one).unwrap());
    let log = AccessLog::start(Some(&config), 1, crate::testing::exporter(), tell).unwrap();
    let mut writer = log.writer();
    let mut line = || {
        writer.write(&record());
        writer.flush();
    };
    line();
    let full = format!("{path}: No space left on device (os error 28)");
    assert_eq!(news.recv_timeout(LONG), Ok(News::Failing(full.clone())));
    assert_eq!((log.failure(), log.stats().is_failing), (full, true));
    std::fs::remove_file(&path).unwrap();
    log.reopen();
    wait_for("a new file", || std::fs::exists(&path).unwrap());
    line();
    assert_eq!(news.recv_timeout(LONG), Ok(News::Working));
    assert_eq!((log.failure(), log.stats().is_failing), (String::new(), false));

    // Its directory is gone: lines still go to the open file, which nobody can find.
    std::fs::rename(scratch.path("dir"), scratch.path("moved")).unwrap();
    log.reopen();
    let News::Failing(why) = news.recv_timeout(LONG).unwrap() else { panic!("it works") };
    assert_eq!(why, format!("cannot open {path} again: No such file or directory (os error 2)"));
    line();
    wait_for("another line", || log.stats().lines == 2);
    assert_eq!(log.failure(), why);
    log.configure(Some(&to_file(&good, LogFormat::Json)));
    wait_for("the new sink", || log.failure().is_empty());
}

#[test]
fn a_sink_that_stands_still_costs_lines_not_time_or_memory() {
    // A pipe that nobody reads: its writer blocks once 64 KiB are in it.
    let scratch = Scratch::new("stuck");
    let path = scratch.pipe("pipe");
    let reader = std::fs::File::options().read(true).write(true).open(&path).unwrap();
    let log = start(Some(&to_file(&path, LogFormat::Json)), 1).unwrap();
    let mut writer = log.writer();
    let mut written = 0u64;
    while log.stats().dropped < 1_000 {
        writer.write(&record());
        written += 1;
        assert!(written < 1_000_000, "nothing was dropped");
    }
    assert!(written * 400 < 100 * BUFFER_BYTES as u64, "more was kept than the pool holds");
    // A sink whose thread began only now takes a line more before it stands.
    let mut why = String::new();
    wait_for("the failure", || {
        writer.write(&record());
        why = log.failure();
        !why.is_empty() && log.stats().is_failing
    });
    let slow = why == "lines are lost, because the sink takes them too slowly";
    assert!(slow || why == format!("{path}: its reader stands still"), "{why}");
    drop(writer);
    log.stop();
    assert!(!log.is_over(), "it still stands");
    drop(reader);
}

#[test]
fn a_sink_that_goes_on_is_not_behind_any_more() {
    let scratch = Scratch::new("behind");
    let path = scratch.pipe("pipe");
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let mut options = std::fs::File::options();
    let mut reader = options.read(true).write(true).custom_flags(nonblocking).open(&path).unwrap();
    let log = start(Some(&to_file(&path, LogFormat::Json)), 1).unwrap();
    let mut writer = log.writer();
    while log.stats().dropped == 0 {
        writer.write(&record());
    }
    wait_for("the failure", || !log.failure().is_empty());
    let mut taken = vec![0; 1 << 20];
    wait_for("the end of the failure", || {
        let _ = reader.read(&mut taken);
        writer.write(&record());
        writer.flush();
        log.failure().is_empty()
    });
}

#[test]
fn a_sink_that_cannot_be_opened_is_refused_by_check_with_its_name() {
    let scratch = Scratch::new("check");
    assert_eq!(AccessLog::check_sink(&to_file(&scratch.path("log"), LogFormat::Json)), Ok(()));
    let message =
        AccessLog::check_sink(&to_file(&scratch.path("no/log"), LogFormat::Json)).unwrap_err();
    assert!(message.contains("no/log: No such file"), "{message}");
    let syslog = LogSink::Syslog { address: format!("unix:{}", scratch.path("none")) };
    assert!(AccessLog::check_sink(&to(syslog, LogFormat::Json)).is_err());
    assert_eq!(AccessLog::check_sink(&to(LogSink::Stdout {}, LogFormat::Json)), Ok(()));
}

#[test]
fn a_layout_with_an_unknown_field_is_refused_whatever_the_sink() {
    let sink = LogSink::File { path: "/nowhere/log".into() };
    let plain = to(sink, LogFormat::Json);
    assert_eq!(AccessLog::check(&plain), Ok(()));
    let unknown = Config { template: Some("${no}".into()), ..plain };
    assert_eq!(AccessLog::check(&unknown).unwrap_err(), "the access log has no field no");
}

#[test]
fn a_layout_takes_turns_with_formats() {
    let scratch = Scratch::new("layout");
    let path = scratch.path("log");
    let plain = to_file(&path, LogFormat::Common);
    let laid_out = |text: &str| Config { template: Some(text.into()), ..plain.clone() };
    let log = start(Some(&laid_out("1 ${status}")), 1).unwrap();
    let mut writer = log.writer();
    for next in [laid_out("2 ${status}"), plain.clone(), laid_out("3 ${reused}")] {
        assert!(writer.is_on());
        writer.write(&record());
        log.configure(Some(&next));
    }
    let fields = vec!["status".into()];
    writer.write(&record());
    log.configure(Some(&Config { fields, ..to_file(&path, LogFormat::Json) }));
    writer.write(&record());
    drop(writer);
    end(&log);
    let found = lines(&path);
    assert!(found[2].starts_with("192.0.2.7 - - ["), "{found:?}");
    assert_eq!(
        [&found[..2], &found[3..]].concat(),
        ["1 200", "2 200", "3 false", "{\"status\":200}"]
    );
}

#[test]
fn a_log_may_be_shared_and_a_writer_sent() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send>() {}
    shared::<AccessLog>();
    sent::<crate::LogWriter>();
}
