//! The metrics of the export of spans and log records.

use super::text::{Text, Type};
use super::{reasons, unreached};
use Type::{Counter, Gauge};
use hg_engine::{ExportStats, ReasonCount};

/// The names and texts of the metrics of an export.
pub(super) struct ExportWords {
    exported: (&'static str, &'static str),
    dropped: (&'static str, &'static str),
    failures: (&'static str, &'static str),
    failing: (&'static str, &'static str),
}

pub(super) const TRACES: ExportWords = ExportWords {
    exported: ("headgate_traces_exported", "Spans that the collector of traces took."),
    dropped: ("headgate_traces_dropped", "Spans that did not reach the collector, by why."),
    failures: (
        "headgate_traces_export_failures",
        "Exports of spans that failed, those that were tried again included, by why.",
    ),
    failing: ("headgate_traces_failing", "1 while exports of spans fail."),
};

pub(super) const LOG_RECORDS: ExportWords = ExportWords {
    exported: ("headgate_access_log_exported", "Log records that the collector took."),
    dropped: (
        "headgate_access_log_export_dropped",
        "Log records that did not reach the collector, by why.",
    ),
    failures: (
        "headgate_access_log_export_failures",
        "Exports of log records that failed, those that were tried again included, by why.",
    ),
    failing: ("headgate_access_log_export_failing", "1 while exports of log records fail."),
};

/// Writes what became of the items of an export.
pub(super) fn exports(text: &mut Text, words: &ExportWords, stats: &ExportStats) {
    let (name, help) = words.exported;
    text.family(name, Counter, "", help).int(&[], stats.exported);
    let dropped = [
        ("queue_full", stats.queue_full),
        ("refused", stats.refused),
        ("unreachable", stats.unreachable),
    ];
    let dropped = dropped.map(|(reason, count)| ReasonCount { reason, count });
    let (name, help) = words.dropped;
    reasons(text, name, "reason", help, &dropped);
    let (name, help) = words.failures;
    unreached(text, name, help, &stats.failures);
    let (name, help) = words.failing;
    text.family(name, Gauge, "", help).int(&[], u64::from(stats.is_failing));
}
