use super::*;
use crate::{Admission, HeaderSlots, Limits, Parse, parse_request};

fn with_fields<T>(lines: &str, then: impl FnOnce(&Fields<'_, '_>) -> T) -> T {
    let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
    let mut slots = HeaderSlots::new();
    match parse_request(text.as_bytes(), &mut slots, &Limits::default(), Admission::MOST) {
        Ok(Parse::Complete(head)) => then(&head.fields),
        other => panic!("{other:?}"),
    }
}

/// Trusts 10/8 and ::1.
fn trusted(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.octets()[0] == 10,
        IpAddr::V6(v6) => v6.is_loopback(),
    }
}

fn client(peer: &str, source: Source, lines: &str) -> String {
    let peer = peer.parse().unwrap();
    with_fields(lines, |f| address(peer, f, source, trusted)).to_string()
}

#[test]
fn x_forwarded_for_is_walked_from_the_right() {
    let xff = |peer, lines: &str| client(peer, Source::XForwardedFor, lines);
    assert_eq!(xff("9.9.9.9", "X-Forwarded-For: 1.1.1.1\r\n"), "9.9.9.9");
    assert_eq!(xff("10.0.0.1", ""), "10.0.0.1");
    assert_eq!(xff("10.0.0.1", "X-Forwarded-For: 1.1.1.1\r\n"), "1.1.1.1");
    assert_eq!(xff("10.0.0.1", "X-Forwarded-For: 6.6.6.6, 1.1.1.1, 10.0.0.2\r\n"), "1.1.1.1");
    assert_eq!(
        xff("10.0.0.1", "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 1.1.1.1,10.0.0.2\r\n"),
        "1.1.1.1"
    );
    assert_eq!(xff("10.0.0.1", "X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n"), "10.0.0.3");
    assert_eq!(xff("10.0.0.1", "X-Forwarded-For: 1.1.1.1, junk, 10.0.0.2\r\n"), "10.0.0.2");
    assert_eq!(xff("10.0.0.1", "X-Forwarded-For: 1.1.1.1, junk\r\n"), "10.0.0.1");
    assert_eq!(xff("::ffff:10.0.0.1", "X-Forwarded-For: [2001:db8::1]:80\r\n"), "2001:db8::1");
    assert_eq!(xff("::1", "X-Forwarded-For: 1.1.1.1:99\r\n"), "1.1.1.1");
}

#[test]
fn forwarded_is_read_as_rfc_7239_says() {
    let fwd = |lines: &str| client("10.0.0.1", Source::Forwarded, lines);
    assert_eq!(fwd("Forwarded: for=1.1.1.1\r\n"), "1.1.1.1");
    assert_eq!(
        fwd("Forwarded: for=6.6.6.6, For=1.1.1.1;proto=http;by=3.3.3.3, for=10.2.2.2\r\n"),
        "1.1.1.1"
    );
    assert_eq!(fwd("Forwarded: proto=https ; for=\"[2001:db8::1]:80\"\r\n"), "2001:db8::1");
    assert_eq!(fwd("Forwarded: for=6.6.6.6;x=\"a,for=7.7.7.7\"\r\n"), "6.6.6.6");
    assert_eq!(fwd("Forwarded: for=6.6.6.6, for=unknown\r\n"), "10.0.0.1");
    assert_eq!(fwd("Forwarded: for=6.6.6.6, for=_hidden, for=10.0.0.9\r\n"), "10.0.0.9");
    assert_eq!(fwd("Forwarded: for=6.6.6.6, by=10.0.0.9\r\n"), "10.0.0.1");
    assert_eq!(fwd("Forwarded: for=6.6.6.6, broken\r\n"), "10.0.0.1");
    assert_eq!(fwd("Forwarded: for=\"6.6.6.6\r\n"), "10.0.0.1");
}

#[test]
fn x_real_ip_is_one_address() {
    assert_eq!(client("10.0.0.1", Source::XRealIp, "X-Real-IP: 1.1.1.1\r\n"), "1.1.1.1");
    assert_eq!(client("10.0.0.1", Source::XRealIp, "X-Real-IP: x\r\n"), "10.0.0.1");
    assert_eq!(client("1.2.3.4", Source::XRealIp, "X-Real-IP: 1.1.1.1\r\n"), "1.2.3.4");
}

fn forwarded_lines(is_trusted: bool) -> String {
    let told = "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Prefix: /p\r\nX-Real-IP: 6.6.6.6\r\n\
        Forwarded: for=6.6.6.6\r\nClient-Cert: :x:\r\nX-Other: 1\r\n";
    with_fields(told, |fields| {
        let f = Forwarding {
            peer: b"10.0.0.1",
            client: b"1.1.1.1",
            trusted: is_trusted,
            scheme: "http",
            host: "a",
        };
        let mut out = Vec::new();
        write::fields(&mut out, fields, |field| f.drops(field));
        f.write(&mut out, fields);
        String::from_utf8_lossy(&out).to_lowercase()
    })
}

#[test]
fn claims_of_untrusted_peers_are_replaced() {
    assert_eq!(
        forwarded_lines(false),
        "x-other: 1\r\nx-forwarded-for: 10.0.0.1\r\nx-forwarded-proto: http\r\nx-forwarded-host: a\r\nx-real-ip: 1.1.1.1\r\n"
    );
}

#[test]
fn claims_of_trusted_peers_are_kept_and_added_to() {
    assert_eq!(
        forwarded_lines(true),
        "x-forwarded-proto: https\r\nx-forwarded-prefix: /p\r\nforwarded: for=6.6.6.6\r\nclient-cert: :x:\r\nx-other: 1\r\n\
         x-forwarded-for: 1.1.1.1, 10.0.0.1\r\nx-forwarded-host: a\r\nx-real-ip: 1.1.1.1\r\n"
    );
}

#[test]
fn addresses_are_kept_as_text() {
    for ip in ["1.2.3.4", "::1", "2001:db8:1111:2222:3333:4444:5555:6666", "::ffff:9.9.9.9"] {
        let ip: IpAddr = ip.parse().unwrap();
        assert_eq!(IpText::new(ip).as_bytes(), ip.to_canonical().to_string().as_bytes());
    }
    for octet in 0..=255 {
        let ip = IpAddr::from([octet, 255 - octet, octet / 2, octet % 11]);
        assert_eq!(IpText::new(ip).as_bytes(), ip.to_string().as_bytes());
    }
}
