use super::*;

const LIMITS: Limits = Limits { head_bytes: 4096, header_count: 100 };

fn check(change: impl FnOnce(&mut HttpCheck)) -> HttpCheck {
    let mut http = HttpCheck::default();
    change(&mut http);
    http
}

/// Feeds an answer in pieces of this size, then the end of the connection.
fn verdict(http: &HttpCheck, text: &str, piece: usize) -> Result<(), Reason> {
    let mut answer = Answer::default();
    for bytes in text.as_bytes().chunks(piece) {
        match answer.feed(http, &LIMITS, &mut bytes.to_vec()) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(failure) => return Err(failure.reason),
        }
    }
    Err(answer.end().reason)
}

#[test]
fn an_answer_has_the_same_verdict_however_it_is_cut() {
    let plain = HttpCheck::default();
    let looks = check(|c| c.body = Some("fine".into()));
    let strict = check(|c| c.statuses = vec![(200, 200), (204, 204)]);
    let head = check(|c| c.method = "HEAD".into());
    let early = "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nfi\x6e\r\n1\r\ne\r\n0\r\n\r\n";
    for (http, text, expected) in [
        (&plain, "HTTP/1.1 200 OK\r\n\r\n", Ok(())),
        (&plain, "HTTP/1.1 399 No\r\n\r\n", Ok(())),
        (&plain, "HTTP/1.1 400 No\r\n\r\n", Err(Reason::CheckStatus)),
        (&plain, early, Ok(())),
        (&head, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Ok(())),
        (&strict, "HTTP/1.1 204 No\r\n\r\n", Ok(())),
        (&strict, "HTTP/1.1 201 No\r\n\r\n", Err(Reason::CheckStatus)),
        (&plain, "SSH-2.0-OpenSSH_9.9\r\n", Err(Reason::CheckProtocol)),
        (&plain, "HTTP/1.1 200 OK\r\n", Err(Reason::CheckLost)),
        (&plain, "", Err(Reason::CheckLost)),
        (&looks, chunked, Ok(())),
        (&looks, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nfinery", Ok(())),
        (&looks, "HTTP/1.1 200 OK\r\n\r\nall is fine", Ok(())),
        (&looks, "HTTP/1.1 200 OK\r\n\r\nall is bad", Err(Reason::CheckBody)),
        (&looks, "HTTP/1.1 204 OK\r\n\r\n", Err(Reason::CheckBody)),
        (&looks, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nfin", Err(Reason::CheckBody)),
        (&looks, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfin", Err(Reason::CheckLost)),
        (
            &looks,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            Err(Reason::CheckProtocol),
        ),
    ] {
        for piece in [1, 2, 7, 4096] {
            assert_eq!(verdict(http, text, piece), expected, "{text:?} in pieces of {piece}");
        }
    }
}

#[test]
fn a_body_or_head_without_end_is_bounded() {
    let looks = check(|c| c.body = Some("never".into()));
    let text = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(BODY));
    assert_eq!(verdict(&looks, &text, 4096), Err(Reason::CheckBody));
    let late = format!("HTTP/1.1 200 OK\r\n\r\n{}never", "x".repeat(BODY));
    assert_eq!(verdict(&looks, &late, 1 << 20), Err(Reason::CheckBody));
    let head = format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(LIMITS.head_bytes));
    assert_eq!(verdict(&HttpCheck::default(), &head, 512), Err(Reason::CheckProtocol));
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(17);
    assert_eq!(verdict(&HttpCheck::default(), &interim, 4096), Err(Reason::CheckProtocol));
}

#[test]
fn a_request_has_the_endpoint_as_host_unless_another_is_given() {
    let http = check(|c| {
        c.path = "/up?x=1".into();
        c.headers = [("X-Check".to_owned(), "a b".to_owned())].into();
    });
    assert_eq!(
        String::from_utf8(request(&http, "10.0.0.1:80")).unwrap(),
        "GET /up?x=1 HTTP/1.1\r\nHost: 10.0.0.1:80\r\nX-Check: a b\r\n\
         User-Agent: headgate-check\r\nConnection: close\r\n\r\n"
    );
    let http = check(|c| {
        c.host = Some("a.example".into());
        c.headers = [("user-agent".to_owned(), "me".to_owned())].into();
    });
    let text = String::from_utf8(request(&http, "10.0.0.1:80")).unwrap();
    assert!(text.contains("Host: a.example\r\nuser-agent: me\r\nConnection"), "{text}");
}

#[test]
fn a_check_that_would_break_its_request_is_refused() {
    let refused = |change: fn(&mut HttpCheck)| {
        let check = HealthCheck { http: Some(check(change)), ..HealthCheck::default() };
        problems(&check, UpstreamProtocol::Http1)
            .into_iter()
            .map(|(path, _)| path)
            .collect::<Vec<_>>()
    };
    assert_eq!(refused(|_| ()), Vec::<String>::new());
    assert_eq!(refused(|c| c.path = "up".into()), ["health.check.http.path"]);
    assert_eq!(refused(|c| c.path = "/a b".into()), ["health.check.http.path"]);
    assert_eq!(refused(|c| c.path = "/\r\nX: y".into()), ["health.check.http.path"]);
    assert_eq!(refused(|c| c.method = "GE T".into()), ["health.check.http.method"]);
    assert_eq!(refused(|c| c.host = Some("a\r\nb".into())), ["health.check.http.host"]);
    assert_eq!(refused(|c| c.statuses = vec![]), ["health.check.http.statuses"]);
    assert_eq!(refused(|c| c.statuses = vec![(300, 200)]), ["health.check.http.statuses"]);
    let header = |c: &mut HttpCheck| c.headers = [("a".into(), "b\r\nc: d".into())].into();
    assert_eq!(refused(header), ["health.check.http.headers"]);
    let never = HealthCheck { interval_ms: 0, ..HealthCheck::default() };
    assert_eq!(problems(&never, UpstreamProtocol::Http1).len(), 1);
}

#[test]
fn methods_and_header_names_are_the_tokens_of_http() {
    let found = |change: fn(&mut HttpCheck)| {
        let check = HealthCheck { http: Some(check(change)), ..HealthCheck::default() };
        let found = problems(&check, UpstreamProtocol::Http1);
        found.into_iter().map(|(path, _)| path).collect::<Vec<_>>()
    };
    let none = Vec::<String>::new();
    assert_eq!(found(|c| c.method = "M-SEARCH".into()), none);
    assert_eq!(found(|c| c.headers = [("x.check~a".to_owned(), "1".to_owned())].into()), none);
    for bad in ["", "GET /", "GE\u{e4}", "A\r\nB"] {
        let check = HealthCheck {
            http: Some(check(|c| {
                c.method = bad.into();
                c.headers = [(bad.to_owned(), "1".to_owned())].into();
            })),
            ..HealthCheck::default()
        };
        let paths: Vec<_> =
            problems(&check, UpstreamProtocol::Http1).into_iter().map(|f| f.0).collect();
        assert_eq!(paths, ["health.check.http.method", "health.check.http.headers"], "{bad:?}");
    }
}
