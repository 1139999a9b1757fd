//! The bounds of a connection over HTTP/2, in the words of its session: made once for each listener
//! of a plan, and read once for each connection.

use hg_h2::{BlockLimits, Budgets, Limits, Times};

/// The bounds of the HTTP/2 connections of one listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Http2Terms {
    pub(crate) limits: Limits,
    pub(crate) times: Times,
    pub(crate) bounds: Bounds,
}

/// Those bounds that the worker keeps itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Streams that may keep upstreams busy at once; others wait.
    pub(crate) dispatched: usize,
    /// Those of them whose body streams.
    pub(crate) bodies: usize,
    /// Bytes of answers that the connection may hold before its streams get less.
    pub(crate) answers: usize,
    /// The time for which a client may take nothing of what waits for it; 0 = for ever.
    pub(crate) write_ms: u64,
}

impl Http2Terms {
    pub(super) fn of(plan: &hg_plan::Listener, head: &hg_proto::Limits) -> Self {
        let http2 = &plan.http2;
        let all = http2.dispatched as usize;
        Self {
            limits: limits(http2, head),
            times: times(plan),
            bounds: Bounds {
                dispatched: all,
                bodies: if http2.bodies == 0 { all } else { http2.bodies as usize },
                answers: http2.output.answers_bytes as usize,
                write_ms: http2.timeouts.write_ms,
            },
        }
    }
}

fn limits(http2: &hg_plan::Http2, head: &hg_proto::Limits) -> Limits {
    let list_bytes = http2.header_list_bytes.map_or(head.head_bytes, |bytes| bytes as usize);
    Limits {
        streams: http2.streams,
        block_bytes: head.head_bytes,
        continuations: http2.continuations,
        head: BlockLimits { fields: head.header_count, bytes: list_bytes },
        stream_window: http2.windows.stream_bytes,
        most_stream_window: http2.windows.most_stream_bytes,
        connection_window: http2.windows.connection_bytes,
        output_bytes: http2.output.frames_bytes as usize,
        output_frames: http2.output.control_frames,
        budgets: budgets(&http2.budgets),
        ..Limits::server()
    }
}

fn budgets(plan: &hg_plan::Http2Budgets) -> Budgets {
    Budgets {
        resets: plan.resets,
        reset_wait_ms: plan.reset_wait_ms,
        settings: plan.settings,
        pings: plan.pings,
        priorities: plan.priorities,
        others: plan.others,
        small_data: plan.small_data,
        small_messages: plan.small_messages,
        empty_data: plan.empty_data,
        window_updates: plan.window_updates,
        work: plan.work,
    }
}

fn times(plan: &hg_plan::Listener) -> Times {
    let own = &plan.http2.timeouts;
    let settings_ms = own.settings_ms.unwrap_or(plan.head_timeout_ms);
    Times {
        greeting_ms: settings_ms,
        head_ms: plan.head_timeout_ms,
        settings_ms,
        // What waits for the client is in the connection's buffer: see `Bounds::write_ms`.
        write_ms: 0,
        drain_ms: own.drain_ms,
        idle_ms: own.idle_ms.unwrap_or(plan.idle_timeout_ms),
        keepalive_ms: own.ping_after_ms,
        pong_ms: own.ping_ms,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::snapshot::Builder;
    use hg_plan::{Change, Kind, Plan};
    use hg_tls::Ticketer;

    /// Returns the terms of a listener whose plan has these members, each after a comma.
    fn terms(more: &str) -> Http2Terms {
        let json = format!(r#"{{"addresses":["127.0.0.1:1"],"protocol":"http"{more}}}"#);
        let (kind, bytes) = (Kind::Listener, Some(json.into_bytes()));
        let changes = [Change { kind, name: "web".into(), bytes }];
        let mut plan = Plan::default();
        plan.apply(&changes).unwrap();
        let ticketer = Ticketer::new(&["11".repeat(32)]).unwrap();
        let mut builder =
            Builder::new(ticketer, hg_net::Clock::default(), std::sync::Arc::default());
        let update = builder.apply(&plan, &changes, &|_| None).unwrap();
        update.snapshot.listeners.iter().flatten().next().expect("the listener").http2
    }

    #[test]
    fn the_defaults_are_those_of_the_session() {
        let (made, ours) = (terms(""), Limits::server());
        let head = BlockLimits { fields: 100, bytes: 32 * 1024 };
        assert_eq!(made.limits, Limits { head, ..ours });
        let times = Times { greeting_ms: 10_000, write_ms: 0, ..Times::default() };
        assert_eq!(made.times, times);
        assert_eq!((made.bounds.dispatched, made.bounds.bodies), (100, 100));
    }

    #[test]
    fn what_is_absent_is_the_listeners() {
        let made = terms(r#","head_bytes":4096,"head_timeout_ms":7,"idle_timeout_ms":8"#);
        assert_eq!((made.limits.block_bytes, made.limits.head.bytes), (4096, 4096));
        let times = made.times;
        assert_eq!((times.greeting_ms, times.settings_ms, times.idle_ms), (7, 7, 8));
        let own = r#","http2":{"header_list_bytes":9,"timeouts":{"settings_ms":1,"idle_ms":2}}"#;
        let made = terms(own);
        assert_eq!((made.limits.block_bytes, made.limits.head.bytes), (32 * 1024, 9));
        let times = made.times;
        assert_eq!((times.greeting_ms, times.head_ms, times.idle_ms), (1, 10_000, 2));
    }
}
