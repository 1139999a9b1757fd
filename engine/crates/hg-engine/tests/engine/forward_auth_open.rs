//! Why requests pass, or not, about which an authorisation service cannot be asked.

use super::forward_auth::{GET, closed, count, guarded, start};
use crate::common::authorised::{YES, ask, echo, service};
use crate::common::*;
use hg_plan::Kind;
use std::io::Write;
use std::sync::{Mutex, mpsc};

#[test]
fn a_service_that_hangs_up_or_is_away_closes_the_route_or_opens_it_where_that_is_wanted() {
    let hangs_up = Upstream::play(|mut s| drop(read_head(&mut s)));
    let cut = Upstream::play(|mut s| {
        drop(read_head(&mut s));
        s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").unwrap();
    });
    let away = unused_address();
    let up = echo();
    let node = guarded(&up, &hangs_up, "");
    closed(&node, "auth-unavailable");
    assert_eq!(count(&node, "unavailable"), 1);
    let open = guarded(&up, &hangs_up, r#","fail_open":true"#);
    closed(&open, "auth-unavailable");
    closed(&guarded(&up, &cut, ""), "auth-invalid");
    let of_away = upstream_json(&[away], "");
    closed(&start(&up, &of_away, "", ""), "auth-unavailable");
    assert_eq!(up.connections(), 0);
    let node = start(&up, &of_away, r#","fail_open":true"#, "");
    let (head, got) = ask(&mut node.connect(), GET);
    assert!(head.starts_with("HTTP/1.1 200 ") && got.contains("x-headgate-auth: bypassed\r\n"));
    assert_eq!((count(&node, "unavailable"), count(&node, "bypassed")), (1, 1));
}

#[test]
fn what_a_client_makes_of_a_service_opens_it_for_nobody() {
    let open = r#","fail_open":true"#;
    let failing = || service(|_| "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n".into()).0;
    let up = echo();
    for (per, away) in
        [("endpoint", None), ("endpoint", Some(unused_address())), ("upstream", None)]
    {
        let breaker =
            format!(r#","health":{{"breaker":{{"per":"{per}","failures":2,"open_ms":650000}}}}"#);
        let auth = failing();
        let node = start(&up, &upstream_json(&[auth.address], &breaker), open, "");
        for _ in 0..2 {
            let (head, _) = ask(&mut node.connect(), GET);
            assert!(head.starts_with("HTTP/1.1 500 "), "{head}");
        }
        let mut node = node;
        if let Some(away) = away {
            // Of two endpoints one is away: the other is there and is not asked.
            let both = upstream_json(&[away, auth.address], &breaker);
            node.apply(&[put(Kind::Upstream, "auth", both)]);
        }
        (0..3).for_each(|_| closed(&node, "auth-unavailable"));
    }
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let (auth, _) = service(move |_| {
        let _ = wait.lock().unwrap().recv_timeout(DEADLINE);
        YES.into()
    });
    let full = upstream_json(&[auth.address], r#","max_connections":1,"queue":0"#);
    let node = start(&up, &full, open, "");
    let mut first = node.connect();
    first.write_all(GET).unwrap();
    eventually("the service is asked", || auth.connections() == 1);
    closed(&node, "auth-unavailable");
    go.send(()).unwrap();
    assert!(read_answer(&mut first).0.starts_with("HTTP/1.1 200 "));
    assert_eq!(up.connections(), 1);
}
