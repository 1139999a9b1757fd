use super::*;

/// Returns how often the charge passes, and the reason of the refusal.
fn passes(mut charge: impl FnMut() -> Result<(), Close>) -> (usize, &'static str) {
    for at in 0..10_000 {
        if let Err(close) = charge() {
            return (at, close.reason.as_str());
        }
    }
    (10_000, "")
}

#[test]
fn cheap_frames_are_counted_per_ten_seconds() {
    for (kind, reason) in [
        (Cheap::Settings, "settings-flood"),
        (Cheap::Ping, "ping-flood"),
        (Cheap::Priority, "priority-flood"),
        (Cheap::Other, "frame-flood"),
    ] {
        let mut flood = Flood::new(Budgets::server());
        assert_eq!(passes(|| flood.cheap(kind, 9_999)), (100, reason));
        let mut flood = Flood::new(Budgets::server());
        let mut now = 0;
        assert_eq!(
            passes(|| {
                now += 100;
                flood.refill(now);
                flood.cheap(kind, now)
            })
            .0,
            10_000
        );
    }
}

#[test]
fn streams_allow_priorities() {
    let mut flood = Flood::new(Budgets::server());
    flood.open();
    flood.open();
    assert_eq!(passes(|| flood.cheap(Cheap::Priority, 0)), (132, "priority-flood"));
}

#[test]
fn answers_allow_pings_and_streams_allow_late_resets() {
    let mut flood = Flood::new(Budgets::server());
    flood.sent_data();
    flood.open();
    flood.open();
    assert_eq!(passes(|| flood.cheap(Cheap::Ping, 0)), (101, "ping-flood"));
    assert_eq!(passes(|| flood.cheap(Cheap::Other, 0)), (102, "frame-flood"));
}

#[test]
fn a_ping_for_each_data_and_a_late_frame_for_each_stream_cost_nothing() {
    for budgets in [Budgets::server(), Budgets::client()] {
        let mut flood = Flood::new(budgets);
        let measured = || {
            flood.sent_data();
            flood.cheap(Cheap::Ping, 0)
        };
        assert_eq!(passes(measured), (10_000, ""));
        let crossed = || {
            flood.open();
            flood.cheap(Cheap::Other, 0)
        };
        assert_eq!(passes(crossed), (10_000, ""));
        assert!(!flood.is_warned());
        // What they allow in one window is gone in the next.
        flood.cheap(Cheap::Ping, 10_000).unwrap();
        assert_eq!(passes(|| flood.cheap(Cheap::Ping, 10_000)).1, "ping-flood");
    }
}

#[test]
fn an_endpoint_may_ping_and_be_late_for_many_clients() {
    let budgets = Budgets::client();
    let mut flood = Flood::new(budgets);
    assert_eq!(passes(|| flood.cheap(Cheap::Ping, 0)), (1_000, "ping-flood"));
    assert_eq!(passes(|| flood.cheap(Cheap::Other, 0)), (10_000, ""));
    assert_eq!(passes(|| flood.cheap(Cheap::Other, 0)).1, "frame-flood");
}

#[test]
fn three_quarters_of_a_budget_warn() {
    let mut flood = Flood::new(Budgets::server());
    for _ in 0..74 {
        flood.cheap(Cheap::Ping, 0).unwrap();
    }
    assert!(!flood.is_warned());
    flood.cheap(Cheap::Ping, 0).unwrap();
    assert!(flood.is_warned());
}

#[test]
fn resets_first_slow_down_and_then_close() {
    let mut flood = Flood::new(Budgets::server());
    for _ in 0..99 {
        flood.reset().unwrap();
    }
    assert_eq!(flood.open(), 0);
    flood.reset().unwrap();
    assert_eq!(flood.open(), 100);
    flood.clean_end();
    assert_eq!(flood.open(), 0);
    assert_eq!(passes(|| flood.reset()), (100, "reset-flood"));
    let mut upstream = Flood::new(Budgets::client());
    assert_eq!(passes(|| upstream.reset()).0, 10_000);
}

#[test]
fn small_and_empty_data_are_bounded() {
    let mut flood = Flood::new(Budgets::server());
    assert_eq!(passes(|| flood.data(1, false)), (256, "small-data-flood"));
    let mut flood = Flood::new(Budgets::server());
    assert_eq!(passes(|| flood.data(0, false)), (10, "empty-data-flood"));
    let mut flood = Flood::new(Budgets::server());
    assert_eq!(passes(|| flood.data(0, true)).0, 10_000);
    let fair = || flood.data(255, false).and_then(|()| flood.data(256, false));
    assert_eq!(passes(fair).0, 10_000);
}

#[test]
fn window_updates_are_allowed_by_streams_and_data() {
    let mut flood = Flood::new(Budgets::server());
    assert_eq!(passes(|| flood.window_update()), (5, "window-update-flood"));
    flood.open();
    flood.sent_data();
    assert_eq!(passes(|| flood.window_update()).0, 22);
}

#[test]
fn all_kinds_together_have_a_budget_of_work_that_time_gives_back() {
    let mut flood = Flood::new(Budgets::server());
    let spend = |flood: &mut Flood, rounds: usize| {
        for at in 0..rounds {
            flood.counts.opened = u32::MAX;
            flood.cheap(Cheap::Priority, 0)?;
            flood.cheap(Cheap::Priority, 0)?;
            if at % 9 == 0 {
                flood.cheap(Cheap::Ping, 0)?;
            }
        }
        Ok(())
    };
    let close: Result<(), Close> = spend(&mut flood, 10_000);
    assert_eq!(close, Err(Close::calm(Reason::Work)));
    flood.refill(3000);
    assert_eq!((flood.work, flood.small_data), (300, 256));
    flood.refill(3999);
    assert_eq!(flood.work, 300);
}

#[test]
fn an_endpoint_may_send_small_frames_for_many_clients() {
    let mut flood = Flood::new(Budgets::client());
    assert_eq!(passes(|| flood.data(1, false)), (10_000, ""));
    flood.refill(2000);
    flood.sent_data();
    assert_eq!(passes(|| flood.data(1, false)), (10_000, ""));
    assert!(!flood.is_warned());
}

#[test]
fn streams_of_messages_may_have_many_small_frames() {
    let mut flood = Flood::new(Budgets::server());
    flood.allow_messages();
    flood.allow_messages();
    assert_eq!(passes(|| flood.data(1, false)), (8192, "small-data-flood"));
    flood.refill(1000);
    assert_eq!(passes(|| flood.data(1, false)), (8192, "small-data-flood"));
    // What we send allows as much.
    let mut echo = Flood::new(Budgets::server());
    assert_eq!(passes(|| echo.data(1, false).inspect(|()| echo.sent_data())).0, 10_000);
}

#[test]
fn every_budget_is_the_owners() {
    let with = |change: fn(&mut Budgets)| {
        let mut budgets = Budgets::server();
        change(&mut budgets);
        Flood::new(budgets)
    };
    for (change, kind, reason) in [
        (
            (|b: &mut Budgets| b.settings = 10) as fn(&mut Budgets),
            Cheap::Settings,
            "settings-flood",
        ),
        (|b| b.pings = 10, Cheap::Ping, "ping-flood"),
        (|b| b.priorities = 10, Cheap::Priority, "priority-flood"),
        (|b| b.others = 10, Cheap::Other, "frame-flood"),
        (|b| b.work = 10 * 5, Cheap::Settings, "work"),
    ] {
        let mut flood = with(change);
        assert_eq!(passes(|| flood.cheap(kind, 0)), (10, reason));
    }
    let mut flood = with(|b| b.small_data = 10);
    assert_eq!(passes(|| flood.data(1, false)), (10, "small-data-flood"));
    let mut flood = with(|b| b.small_messages = 300);
    flood.allow_messages();
    flood.allow_messages();
    assert_eq!(passes(|| flood.data(1, false)), (300, "small-data-flood"));
    let mut flood = with(|b| b.empty_data = 3);
    assert_eq!(passes(|| flood.data(0, false)), (3, "empty-data-flood"));
    let mut flood = with(|b| b.window_updates = 10);
    assert_eq!(passes(|| flood.window_update()), (10, "window-update-flood"));
    let mut flood = with(|b| (b.resets, b.reset_wait_ms) = (10, 7));
    assert_eq!(passes(|| flood.reset()), (19, "reset-flood"));
    assert_eq!(flood.open(), 7);
}

#[test]
fn work_comes_back_within_twenty_seconds() {
    let mut flood = Flood::new(Budgets { work: 100, ..Budgets::server() });
    assert_eq!(passes(|| flood.cheap(Cheap::Settings, 0)).1, "work");
    flood.refill(2_000);
    assert_eq!(passes(|| flood.cheap(Cheap::Settings, 20_000)).0, 2);
    flood.refill(60_000);
    assert_eq!(passes(|| flood.cheap(Cheap::Settings, 60_000)).0, 20);
}

#[test]
fn a_budget_of_few_frames_warns_late() {
    let mut flood = Flood::new(Budgets { pings: 2, ..Budgets::server() });
    flood.cheap(Cheap::Ping, 0).unwrap();
    assert!(!flood.is_warned());
    flood.cheap(Cheap::Ping, 0).unwrap();
    assert!(flood.is_warned());
}
