//! Requests by method, status and upstream, their durations and bytes.

use super::Lately;
use super::text::{Labels, Text, Type};
use hg_engine::{EngineMetrics, Histogram, RequestCount};
use std::time::Duration;

/// Writes what requests there were, how long they took, and their bytes.
pub(super) fn write(text: &mut Text, engine: &EngineMetrics, lately: Lately) {
    use Type::{Counter, Gauge};
    text.family("http_requests", Counter, "", "Requests answered; no upstream: answered here.");
    let mut requests: Vec<_> = engine.requests.iter().collect();
    requests.sort_by_key(|r| (r.upstream.clone(), r.method, r.status));
    for r in &requests {
        let status = if is_class(r) { format!("{}xx", r.status) } else { r.status.to_string() };
        text.int(&[("method", r.method), ("status", &status), ("upstream", &r.upstream)], r.count);
    }
    let help = "What counts under a class or `(other)` in a family, because its labels are at their \
                bound.";
    text.family("headgate_metrics_folded", Counter, "", help);
    let folded = requests.iter().filter(|r| is_class(r)).map(|r| r.count).sum();
    text.int(&[("family", "http_requests")], folded);
    let help = "From a request's head to its answer's last byte.";
    text.family("http_request_duration_seconds", Type::Histogram, "seconds", help);
    histogram(text, &[], &engine.duration);
    let help = "Mean duration of requests in the last minute or two, milliseconds.";
    text.family("proxy_latency_avg_ms", Gauge, "", help).float(&[], lately.mean_ms);
    let help = "99th percentile of the same, milliseconds.";
    text.family("proxy_latency_p99_ms", Gauge, "", help).float(&[], lately.p99_ms);
    text.family("proxy_bytes_sent", Counter, "", "Bytes written to clients, inside TLS.");
    text.int(&[], engine.bytes_sent);
    text.family("proxy_bytes_received", Counter, "", "Bytes read from clients, inside TLS.");
    text.int(&[], engine.bytes_received);
}

/// Writes the samples of a histogram of latencies.
pub(super) fn histogram(text: &mut Text, labels: Labels<'_>, one: &Histogram) {
    let bounds: Vec<String> = one.bounds_us.iter().map(|us| seconds_text(*us)).collect();
    let (overflow, counts) = one.counts.split_last().unwrap_or((&0, &[]));
    let buckets = bounds.iter().map(String::as_str).zip(counts.iter().copied());
    text.buckets(labels, buckets, *overflow, Duration::from_micros(one.sum_us).as_secs_f64());
}

/// Reports whether requests are counted by the class of their status.
fn is_class(count: &RequestCount) -> bool {
    count.status < 10
}

/// Formats microseconds as OpenMetrics writes bounds: as seconds, always with a point. Exact, so
/// that a bound of the config has one text.
fn seconds_text(us: u64) -> String {
    let text = format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
    let short = text.trim_end_matches('0');
    if short.ends_with('.') { format!("{short}0") } else { short.to_owned() }
}
