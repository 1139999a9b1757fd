//! Figures of upstreams: waiting, breakers, outliers, affinity, retries, durations.

use super::requests::histogram;
use super::text::{Text, Type};
use hg_engine::UpstreamReport;
use std::time::Duration;

/// Writes what upstreams do with their requests, apart from their endpoints.
pub(super) fn write(text: &mut Text, upstreams: &[UpstreamReport]) {
    use Type::{Counter, Gauge};
    let mut each = |name, kind, help: &str, value: fn(&UpstreamReport) -> u64| {
        text.family(name, kind, "", help);
        for upstream in upstreams {
            text.int(&[("upstream", &upstream.name)], value(upstream));
        }
    };
    let help = "Requests waiting for a connection.";
    each("headgate_upstream_waiting", Gauge, help, |u| u.waiting);
    let help = "1 while so few endpoints are usable that those that look bad get requests, too.";
    each("headgate_upstream_panic", Gauge, help, |u| u64::from(u.panic));
    let help = "How often a circuit breaker opened, of the upstream or of its endpoints.";
    each("headgate_upstream_breaker_opened", Counter, help, |u| u.breaker.opened);
    let help = "Attempts after the first, of requests and of connections of TCP.";
    each("headgate_upstream_retries", Counter, help, |u| u.served.retries);
    let help = "Requests that had to wait for a connection.";
    each("headgate_upstream_queued", Counter, help, |u| u.queued);
    let help = "Requests refused because the queue was full.";
    each("headgate_upstream_queue_full", Counter, help, |u| u.queue_full);
    let help = "Requests at a time that adaptive concurrency allows; 0: any number.";
    each("headgate_upstream_concurrency_limit", Gauge, help, |u| u.concurrency_limit);
    let help = "How often an endpoint looked like an outlier, by what became of it.";
    text.family("headgate_upstream_outliers", Counter, "", help);
    for upstream in upstreams {
        for one in &upstream.outliers {
            text.int(&[("upstream", &upstream.name), ("outcome", one.reason)], one.count);
        }
    }
    let help = "Answered requests at upstreams with affinity, by what became of their cookie.";
    text.family("headgate_upstream_affinity", Counter, "", help);
    for upstream in upstreams {
        for one in &upstream.affinity {
            text.int(&[("upstream", &upstream.name), ("outcome", one.reason)], one.count);
        }
    }
    let help = "Time requests waited for a connection, together.";
    text.family("headgate_upstream_queue_wait_seconds", Counter, "seconds", help);
    for upstream in upstreams {
        let waited = Duration::from_micros(upstream.queue_wait_us).as_secs_f64();
        text.float(&[("upstream", &upstream.name)], waited);
    }
    breakers(text, upstreams);
    durations(text, upstreams);
}

fn breakers(text: &mut Text, upstreams: &[UpstreamReport]) {
    let help = "Circuit breakers by their state, of the upstream or of its endpoints.";
    text.family("headgate_upstream_breaker_state", Type::Gauge, "", help);
    for upstream in upstreams {
        for one in &upstream.breaker.states {
            text.int(&[("upstream", &upstream.name), ("state", one.reason)], one.count);
        }
    }
}

/// Writes the durations of upstreams that had requests: a histogram is many lines.
fn durations(text: &mut Text, upstreams: &[UpstreamReport]) {
    let help = "The duration of http_request_duration_seconds by upstream, where it had requests.";
    let name = "headgate_upstream_request_duration_seconds";
    text.family(name, Type::Histogram, "seconds", help);
    for upstream in upstreams.iter().filter(|one| one.served.duration.count() > 0) {
        histogram(text, &[("upstream", &upstream.name)], &upstream.served.duration);
    }
}
