//! Each budget, through the frames that use it up.

use super::*;

/// Feeds what `make` returns until the session closes; returns how often it passed and the reason.
fn until_closed(mut make: impl FnMut(usize) -> Result<Vec<Event>, Close>) -> (usize, &'static str) {
    for at in 0..5000 {
        if let Err(close) = make(at) {
            assert_eq!(close.code, Code::ENHANCE_YOUR_CALM);
            return (at, close.reason.as_str());
        }
    }
    (5000, "")
}

fn flood(frame: Vec<u8>) -> (usize, &'static str) {
    let mut server = Hand::server();
    server.head(1, POST, false).unwrap();
    until_closed(|_| server.feed(&frame))
}

#[test]
fn floods_of_one_frame_close_the_connection() {
    // Two SETTINGS belong to the greeting.
    assert_eq!(flood(frame(4, 0, 0, &[])), (98, "settings-flood"));
    assert_eq!(flood(frame(4, 1, 0, &[])), (98, "settings-flood"));
    assert_eq!(flood(frame(6, 0, 0, &[0; 8])), (100, "ping-flood"));
    assert_eq!(flood(frame(2, 0, 1, &[0; 5])), (116, "priority-flood"));
    assert_eq!(flood(frame(16, 0, 0, &[0, 0, 0, 1])), (116, "priority-flood"));
    assert_eq!(flood(frame(0x77, 0, 1, &[])), (101, "frame-flood"));
    assert_eq!(flood(frame(0, 0, 1, b"")), (10, "empty-data-flood"));
    assert_eq!(
        flood(frame(0, PADDED, 1, &[9, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        (10, "empty-data-flood")
    );
    assert_eq!(flood(frame(0, 0, 1, b"x")), (256, "small-data-flood"));
    assert_eq!(flood(frame(8, 0, 1, &[0, 0, 0, 1])), (7, "window-update-flood"));
    assert_eq!(flood(frame(8, 0, 0, &[0, 0, 0, 1])), (7, "window-update-flood"));
}

#[test]
fn three_quarters_of_a_budget_end_the_connection_gracefully() {
    let mut server = Hand::server();
    for _ in 0..74 {
        server.feed(&frame(6, 0, 0, &[0; 8])).unwrap();
    }
    assert!(!server.session.is_ending());
    server.feed(&frame(6, 0, 0, &[0; 8])).unwrap();
    assert!(server.session.is_ending() && !server.session.is_done());
}

#[test]
fn rapid_resets_slow_down_and_then_close() {
    let mut server = Hand::server();
    let mut waited = None;
    let (passed, reason) = until_closed(|at| {
        let id = 2 * at as u32 + 1;
        let events = server.head(id, GET, true)?;
        if let Some(Event::Head { wait_ms: 1.., .. }) = events.first() {
            waited.get_or_insert(at);
        }
        server.feed(&frame(3, 0, id, &[0, 0, 0, 8]))?;
        server.session.release(id);
        Ok(vec![])
    });
    assert_eq!((waited, passed, reason), (Some(100), 199, "reset-flood"));
}

#[test]
fn resets_that_the_peer_makes_us_send_count_the_same() {
    let mut server = Hand::server();
    let (passed, reason) = until_closed(|at| {
        let id = 2 * at as u32 + 1;
        server.head(id, GET, true)?;
        server.feed(&frame(0, 0, id, &[0; 300]))?;
        server.session.release(id);
        Ok(vec![])
    });
    assert_eq!((passed, reason), (199, "reset-flood"));
}

#[test]
fn late_heads_are_bounded_by_the_streams_that_we_cut_off() {
    let mut server = Hand::server();
    server.head(1, POST, false).unwrap();
    server.session.head(1, lines(OK), true).unwrap();
    server.session.dismiss(1);
    // Two for the stream that was cut off, one for each that was opened, and the budget.
    assert_eq!(until_closed(|_| server.head(1, &[("a", "b")], true)), (103, "frame-flood"));
}

#[test]
fn streams_that_end_well_are_not_charged() {
    let mut server = Hand::server();
    for at in 0..1000_u32 {
        let id = 2 * at + 1;
        assert_eq!(server.head(id, GET, true), Ok(vec![head(id, true)]));
        server.session.head(id, lines(OK), true).unwrap();
        assert_eq!(server.session.streams(), 0);
        server.written();
    }
    assert!(!server.session.is_ending());
}

#[test]
fn the_limit_of_streams_holds_for_cut_ones_until_their_work_is_gone() {
    let mut server = Hand::server();
    for id in (1..257).step_by(2) {
        assert_eq!(server.head(id, GET, true).unwrap().len(), 1);
    }
    server.feed(&frame(3, 0, 1, &[0, 0, 0, 8])).unwrap();
    assert_eq!(server.head(257, GET, true), Ok(vec![Event::Refused { stream: 257 }]));
    assert_eq!(server.resets(), [(257, Code::REFUSED_STREAM)]);
    server.session.release(1);
    assert_eq!(server.head(259, GET, true), Ok(vec![head(259, true)]));
}

#[test]
fn blocks_are_bounded_in_frames_and_bytes() {
    let mut server = Hand::server();
    server.feed(&frame(1, 0, 1, &[])).unwrap();
    assert_eq!(until_closed(|_| server.feed(&frame(9, 0, 1, &[]))), (8, "continuation-flood"));
    let mut server = Hand::server();
    server.feed(&frame(1, 0, 1, &[0; 16_384])).unwrap();
    server.feed(&frame(9, 0, 1, &[0; 16_384])).unwrap();
    assert_eq!(reason(server.feed(&frame(9, 0, 1, &[0]))), "block-size");
}

#[test]
fn too_many_fields_are_answered_and_the_table_stays_in_step() {
    let mut server = Hand::server();
    let mut fields = GET.to_vec();
    fields.resize(129, ("cookie", "a=b"));
    let fault = crate::faults::HEAD_SIZE;
    assert_eq!(server.head(1, &fields, true), Ok(vec![Event::Malformed { stream: 1, fault }]));
    assert_eq!(server.head(3, &fields[..128], true), Ok(vec![head(3, true)]));
    fields.resize(257, ("cookie", "a=b"));
    assert_eq!(reason(server.head(5, &fields, true)), "head-size");
}

#[test]
fn a_peer_that_does_not_read_is_not_read() {
    let mut server = Hand::server();
    for at in 0..1001_u64 {
        assert!(server.session.may_read());
        server.now_ms += 200 + at % 2;
        server.feed(&frame(6, 0, 0, &[0; 8])).unwrap();
    }
    assert!(!server.session.may_read());
    server.written();
    assert!(server.session.may_read());
}
