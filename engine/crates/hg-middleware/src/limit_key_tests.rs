use super::*;
use crate::testing::view;
use std::net::IpAddr;

const SEED: Seed = Seed([11, 12]);

fn key(parts: &[&str], view: &RequestView<'_>) -> Key {
    let parts: Vec<_> = parts.iter().map(|part| (*part).to_owned()).collect();
    let mut problems = Vec::new();
    let key = LimitKey::compile(&parts, 64, "rate_limit", &mut problems);
    assert_eq!(problems, []);
    key.of(view, SEED)
}

struct Cookies(&'static [&'static str]);

impl hg_route::Headers for Cookies {
    fn each(&self, name: &str, line: &mut dyn FnMut(&[u8])) {
        self.0.iter().filter(|_| name == "cookie").for_each(|one| line(one.as_bytes()));
    }
}

#[test]
fn each_part_tells_requests_apart_by_what_it_names_alone() {
    let ours = view();
    let mut other = view();
    other.client.ip = IpAddr::from([192, 0, 2, 8]);
    other.host = "other.example";
    other.route = "other";
    other.path = "/v1/orders";
    for part in ["client_ip", "host", "route", "path", "path:2"] {
        assert_ne!(key(&[part], &ours), key(&[part], &other), "{part}");
        assert_eq!(key(&[part], &ours), key(&[part], &view()), "{part}");
    }
    for part in ["path:1", "path:3", "header:X-Tenant", "header:none", "cookie:none"] {
        assert_eq!(key(&[part], &ours), key(&[part], &other), "{part}");
    }
    other.client.claims = None;
    assert_ne!(key(&["jwt:CLAIM"], &ours), key(&["jwt:CLAIM"], &other));
    assert_eq!(key(&["jwt:other"], &ours), key(&["jwt:other"], &other));
    assert_ne!(key(&["header:x-tenant"], &ours), key(&["header:x-evil"], &ours));
    assert_ne!(key(&["client_ip", "path"], &ours), key(&["path", "client_ip"], &ours));
}

#[test]
fn a_client_of_ipv6_counts_by_its_network() {
    let at = |ip: &str| {
        let mut one = view();
        one.client.ip = ip.parse().unwrap();
        key(&["client_ip"], &one)
    };
    assert_eq!(at("2001:db8::1"), at("2001:db8::2"));
    assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
}

#[test]
fn a_cookie_is_found_in_any_line_and_a_missing_one_is_a_key_too() {
    let at = |lines| {
        let headers = Cookies(lines);
        let one = RequestView { headers: &headers, ..view() };
        key(&["cookie:sid"], &one)
    };
    assert_eq!(at(&["a=1; sid=7"]), at(&["a=2", "sid=7; sid=8"]));
    assert_ne!(at(&["sid=7"]), at(&["sid=8"]));
    assert_eq!(at(&[]), at(&["sidx=7"]));
}

#[test]
fn what_is_no_part_is_refused_with_what_is_allowed() {
    let wrong = ["", "ip", "header:", "header:a b", "cookie:a=b", "path:0", "path:65", "query:x"];
    let parts: Vec<_> = wrong.iter().map(|part| (*part).to_owned()).collect();
    let mut problems = Vec::new();
    LimitKey::compile(&parts, 64, "rate_limit", &mut problems);
    assert_eq!(problems.len(), wrong.len());
    for (index, (path, message)) in problems.iter().enumerate() {
        assert_eq!(*path, format!("rate_limit.key[{index}]"));
        assert!(message.contains("write "), "{message}");
    }
}
