use super::*;
use proptest::prelude::*;

/// Name, networks, server names, protocols.
type Written<'a> = (&'a str, &'a [&'a str], &'a [&'a str], &'a [&'a str]);

fn rules(all: &[Written<'_>]) -> TcpRules<()> {
    let rule = |(name, nets, names, protocols): &Written<'_>| TcpRule {
        name: (*name).into(),
        when: Conditions {
            clients: nets.iter().map(|n| network(n).unwrap()).collect(),
            names: names.iter().map(|n| server_name(n).unwrap()).collect(),
            protocols: protocols.iter().map(|n| protocol(n).unwrap()).collect(),
        },
        then: (),
    };
    TcpRules::new(all.iter().map(rule).collect())
}

fn taken(rules: &TcpRules<()>, client: &str) -> Option<String> {
    let arriving = Arriving::from(client.parse::<IpAddr>().unwrap());
    rules.find(arriving).map(|r| r.name.to_string())
}

fn asked(rules: &TcpRules<()>, client: &str, sni: &str, alpn: &[&str]) -> Option<String> {
    let alpn: Vec<Box<[u8]>> = alpn.iter().map(|p| p.as_bytes().into()).collect();
    let sni = Some(sni).filter(|name| !name.is_empty());
    let arriving = Arriving { client: client.parse().unwrap(), sni, alpn: &alpn };
    rules.find(arriving).map(|r| r.name.to_string())
}

#[test]
fn the_narrowest_network_wins_and_no_condition_comes_last() {
    let all = rules(&[
        ("any", &[], &[], &[]),
        ("site", &["10.0.0.0/8", "fd00::/8"], &[], &[]),
        ("rack", &["10.1.0.0/16"], &[], &[]),
        ("one", &["10.1.2.3"], &[], &[]),
        ("world", &["0.0.0.0/0"], &[], &[]),
    ]);
    assert!(!all.asks_hello());
    for (client, name) in [
        ("10.1.2.3", "one"),
        ("10.1.2.4", "rack"),
        ("10.2.0.1", "site"),
        ("fd00::1", "site"),
        ("192.0.2.1", "world"),
        ("2001:db8::1", "any"),
        ("::ffff:10.1.2.3", "one"),
    ] {
        assert_eq!(taken(&all, client).as_deref(), Some(name), "{client}");
    }
}

#[test]
fn of_equal_conditions_the_first_name_wins_and_nothing_may_match() {
    let all = rules(&[("b", &["10.0.0.0/8"], &[], &[]), ("a", &["10.0.0.0/8"], &[], &[])]);
    assert_eq!(taken(&all, "10.0.0.1").as_deref(), Some("a"));
    assert_eq!(taken(&all, "192.0.2.1"), None);
    assert_eq!(taken(&TcpRules::default(), "192.0.2.1"), None);
}

#[test]
fn the_most_specific_name_wins() {
    let all = rules(&[
        ("none", &[], &[], &[]),
        ("any", &[], &["*"], &[]),
        ("wide", &[], &["*.example"], &[]),
        ("long", &[], &["*.a.example"], &[]),
        ("exact", &[], &["b.a.example", "other.example"], &[]),
    ]);
    assert!(all.asks_hello());
    for (sni, name) in [
        ("", "none"),
        ("b.a.example", "exact"),
        ("other.example", "exact"),
        ("c.a.example", "long"),
        ("c.b.a.example", "long"),
        ("a.example", "wide"),
        ("x.y.example", "wide"),
        ("example", "any"),
        ("localhost", "any"),
    ] {
        assert_eq!(asked(&all, "192.0.2.1", sni, &[]).as_deref(), Some(name), "{sni}");
    }
    let named = rules(&[("a", &[], &["a.example"], &[]), ("w", &[], &["*.a.example"], &[])]);
    assert_eq!(asked(&named, "192.0.2.1", "", &[]), None);
    assert_eq!(asked(&named, "192.0.2.1", "b.example", &[]), None);
    assert_eq!(asked(&named, "192.0.2.1", "xa.example", &[]), None);
}

#[test]
fn a_name_belongs_to_the_routes_that_have_it() {
    let all = rules(&[
        ("inside", &["10.0.0.0/8"], &["a.example"], &[]),
        ("wide", &[], &["*.example"], &[]),
        ("rest", &[], &[], &[]),
    ]);
    assert_eq!(asked(&all, "10.0.0.1", "a.example", &[]).as_deref(), Some("inside"));
    assert_eq!(asked(&all, "192.0.2.1", "a.example", &[]), None);
    assert_eq!(asked(&all, "192.0.2.1", "b.example", &[]).as_deref(), Some("wide"));
    assert_eq!(asked(&all, "192.0.2.1", "b.test", &[]).as_deref(), Some("rest"));
}

#[test]
fn a_protocol_that_is_offered_wins_in_the_order_of_the_client() {
    let all = rules(&[
        ("mail", &[], &["a.example"], &["imap", "smtp"]),
        ("near", &["10.0.0.0/8"], &["a.example"], &[]),
        ("plain", &[], &["a.example"], &[]),
        ("web", &[], &["a.example"], &["h2"]),
    ]);
    assert!(rules(&[("x", &[], &[], &["h2"])]).asks_hello());
    for (client, offered, name) in [
        ("192.0.2.1", &[][..], "plain"),
        ("10.0.0.1", &[][..], "near"),
        ("192.0.2.1", &["http/1.1"], "plain"),
        ("10.0.0.1", &["http/1.1", "h2"], "web"),
        ("192.0.2.1", &["h2", "smtp"], "web"),
        ("192.0.2.1", &["smtp", "h2"], "mail"),
    ] {
        assert_eq!(asked(&all, client, "a.example", offered).as_deref(), Some(name), "{offered:?}");
    }
}

#[test]
fn what_is_not_a_condition_is_told() {
    assert!(network("10.0.0.0/33").unwrap_err().starts_with("`10.0.0.0/33` is not a network"));
    for bad in
        ["", "A.example", "a.example.", "a.*.example", "*a.example", "a:1", "[::1]", "192.0.2.1"]
    {
        assert!(server_name(bad).is_err(), "{bad}");
    }
    for good in ["*", "*.example", "a.example", "_x.example", "xn--bcher-kva.example"] {
        assert_eq!(server_name(good).as_deref(), Ok(good));
    }
    assert!(protocol("").is_err() && protocol(&"x".repeat(256)).is_err());
    assert_eq!(protocol("h2").as_deref(), Ok(&b"h2"[..]));
}

/// Returns how specific a name of a route is for a server name; `None` if it does not cover it.
fn specificity(name: &str, sni: &str) -> Option<usize> {
    match name.strip_prefix('*') {
        None => (name == sni).then_some(usize::MAX),
        Some("") => Some(0),
        Some(suffix) => (sni.len() > suffix.len() && sni.ends_with(suffix)).then_some(suffix.len()),
    }
}

proptest! {
    #[test]
    fn the_index_finds_what_a_look_at_every_name_finds(
        names in prop::collection::vec("(\\*\\.|)([ab]\\.){0,2}[ab]|\\*", 1..8),
        sni in "([ab]\\.){0,3}[ab]",
    ) {
        let written: Vec<[&str; 1]> = names.iter().map(|n| [n.as_str()]).collect();
        let labels: Vec<String> = (0..names.len()).map(|i| i.to_string()).collect();
        let all: Vec<Written<'_>> =
            labels.iter().zip(&written).map(|(l, n)| (l.as_str(), &[][..], &n[..], &[][..])).collect();
        let best = names.iter().enumerate().filter_map(|(i, n)| Some((specificity(n, &sni)?, i)));
        let best = best.max_by_key(|(fit, i)| (*fit, std::cmp::Reverse(*i)));
        let found = asked(&rules(&all), "192.0.2.1", &sni, &[]);
        prop_assert_eq!(found, best.map(|(_, i)| i.to_string()));
    }
}
