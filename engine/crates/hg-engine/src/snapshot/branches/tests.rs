use super::Branches;
use hg_plan::{Kind, Object};
use hg_policy::WyRand;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

fn compiled(route: &str) -> Result<Branches, (String, String)> {
    let text = format!(r#"{{"listeners":["l"],{route}}}"#);
    let Ok(Object::TcpRoute(route)) = Object::decode(Kind::TcpRoute, text.as_bytes()) else {
        panic!("{text}");
    };
    Branches::compile("r", &route, |name| ["a", "b", "c"].iter().position(|one| *one == name))
}

fn client(n: u32) -> IpAddr {
    Ipv4Addr::from(0x0a00_0000 + n).into()
}

/// Returns how many of so many clients each upstream gets.
fn counts(branches: &Branches, clients: u32) -> HashMap<String, u32> {
    let mut rng = WyRand::new(7);
    let mut counts = HashMap::new();
    for n in 0..clients {
        let branch = branches.choose(client(n), &mut rng).unwrap();
        *counts.entry(branch.name.to_string()).or_default() += 1;
    }
    counts
}

const SPLIT: &str = r#""split":[{"upstream":"a","weight":90},{"upstream":"b","weight":0},
    {"upstream":"c","weight":10}]"#;

#[test]
fn connections_are_shared_by_weight() {
    for sticky in ["", r#","sticky":{"by":["client_ip"]}"#] {
        let branches = compiled(&format!("{SPLIT}{sticky}")).unwrap();
        let counts = counts(&branches, 10_000);
        let (a, c) = (counts["a"], counts["c"]);
        assert!((8_800..9_200).contains(&a) && a + c == 10_000, "{sticky} {counts:?}");
    }
    assert_eq!(counts(&compiled(r#""upstream":"b""#).unwrap(), 3), [("b".into(), 3)].into());
}

#[test]
fn a_client_stays_and_moves_only_to_a_branch_that_gains() {
    let sticky = r#","sticky":{"by":["client_ip"]}"#;
    let before = compiled(&format!("{SPLIT}{sticky}")).unwrap();
    let more = SPLIT.replace("10", "30");
    let after = compiled(&format!("{more}{sticky}")).unwrap();
    let mut moved = 0;
    for n in 0..5_000 {
        let mut rng = WyRand::new(u64::from(n));
        let of = |branches: &Branches, rng: &mut WyRand| {
            branches.choose(client(n), rng).unwrap().name.to_string()
        };
        let (first, then) = (of(&before, &mut rng), of(&after, &mut rng));
        assert_eq!(of(&before, &mut rng), first, "a client stays");
        assert!(first == then || then == "c", "{first} {then}");
        moved += u32::from(first != then);
    }
    assert!(moved > 0);
}

#[test]
fn what_cannot_be_is_refused_by_its_place() {
    for (route, path) in [
        (r#""upstream":"x""#, "upstream"),
        (r#""split":[{"upstream":"a"},{"upstream":"x"}]"#, "split[1].upstream"),
        (r#""split":[{"upstream":"a","weight":0}]"#, "split"),
        (r#""upstream":"a","split":[{"upstream":"a"}]"#, "upstream"),
        (r#""split":[{"upstream":"a"}],"sticky":{"by":["path"]}"#, "sticky"),
        (r#""split":[{"upstream":"a"}],"sticky":{"cookie":{"cookie":"c"}}"#, "sticky"),
    ] {
        assert_eq!(compiled(route).err().map(|(at, _)| at).as_deref(), Some(path), "{route}");
    }
}
