use super::{IpRules, Networks, Verdict};
use ipnet::IpNet;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn deny_is_asked_before_allow() {
    let rules = IpRules::new(&nets(&["10.0.0.0/8"]), &nets(&["10.1.0.0/16"]));
    assert_eq!(rules.judge(ip("10.2.0.1")), Verdict::Allowed);
    assert_eq!(rules.judge(ip("10.1.0.1")), Verdict::Denied);
    assert_eq!(rules.judge(ip("192.0.2.1")), Verdict::NotAllowed);
    assert_eq!(rules.judge(ip("2001:db8::1")), Verdict::NotAllowed);
}

#[test]
fn without_allow_everyone_else_passes() {
    let rules = IpRules::new(&[], &nets(&["192.0.2.0/24", "2001:db8::/32"]));
    assert_eq!(rules.judge(ip("192.0.2.255")), Verdict::Denied);
    assert_eq!(rules.judge(ip("2001:db8:ffff::1")), Verdict::Denied);
    assert_eq!(rules.judge(ip("192.0.3.0")), Verdict::Allowed);
    assert_eq!(rules.judge(ip("2001:db9::")), Verdict::Allowed);
}

#[test]
fn a_mapped_address_is_the_ipv4_one() {
    let rules = IpRules::new(&[], &nets(&["192.0.2.0/24"]));
    assert_eq!(rules.judge(ip("::ffff:192.0.2.9")), Verdict::Denied);
    let mapped = IpRules::new(&[], &nets(&["::ffff:192.0.2.0/120"]));
    assert_eq!(mapped.judge(ip("192.0.2.9")), Verdict::Denied);
    assert_eq!(mapped.judge(ip("192.0.3.9")), Verdict::Allowed);
}

#[test]
fn a_network_around_the_mapped_ones_has_no_address_of_ipv4() {
    let all = Networks::new(&nets(&["::/0"]));
    assert!(all.contains(ip("::")) && all.contains(ip("2001:db8::1")));
    assert!(!all.contains(ip("192.0.2.1")) && !all.contains(ip("::ffff:192.0.2.1")));
}

#[test]
fn the_ends_of_both_families_count() {
    let ends = nets(&["0.0.0.0/32", "255.255.255.255/32", "ffff::/16"]);
    let set = Networks::new(&ends);
    assert!(set.contains(ip("0.0.0.0")) && set.contains(ip("255.255.255.255")));
    assert!(!set.contains(ip("0.0.0.1")) && !set.contains(ip("255.255.255.254")));
    assert!(set.contains(IpAddr::V6(Ipv6Addr::from_bits(u128::MAX))));
}

fn network() -> impl Strategy<Value = IpNet> {
    let v4 = (0..8u32, 24..=32u8).prop_map(|(low, len)| {
        IpNet::new(Ipv4Addr::from_bits(0xc000_0200 | (low << 5)).into(), len).unwrap().trunc()
    });
    let v6 = (0..8u128, 90..=128u8).prop_map(|(low, len)| {
        IpNet::new(Ipv6Addr::from_bits((0xfffe << 32) | (low << 30)).into(), len).unwrap().trunc()
    });
    prop_oneof![v4, v6]
}

fn address() -> impl Strategy<Value = IpAddr> {
    let v4 = (0..=255u32).prop_map(|low| Ipv4Addr::from_bits(0xc000_0200 | low).into());
    let v6 = (0..64u128, 0..4u128)
        .prop_map(|(high, low)| Ipv6Addr::from_bits((0xfffe << 32) | (high << 27) | low).into());
    prop_oneof![v4, v6]
}

fn naive(networks: &[IpNet], ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    networks.iter().any(|network| match (network, ip) {
        (IpNet::V6(net), IpAddr::V4(ip)) => {
            net.prefix_len() >= 96 && net.contains(&ip.to_ipv6_mapped())
        }
        _ => network.contains(&ip),
    })
}

proptest! {
    #[test]
    fn a_set_has_what_one_of_its_networks_has(
        networks in prop::collection::vec(network(), 0..12), ip in address(),
    ) {
        prop_assert_eq!(Networks::new(&networks).contains(ip), naive(&networks, ip));
    }

    #[test]
    fn nobody_passes_whom_deny_has(
        allow in prop::collection::vec(network(), 0..6),
        deny in prop::collection::vec(network(), 0..6),
        ip in address(),
    ) {
        let verdict = IpRules::new(&allow, &deny).judge(ip);
        let expected = !naive(&deny, ip) && (allow.is_empty() || naive(&allow, ip));
        prop_assert_eq!(verdict == Verdict::Allowed, expected);
    }
}
