use super::ApiKeys;
use aws_lc_rs::digest::{SHA256, digest};
use proptest::prelude::*;

fn sum(key: &[u8]) -> [u8; 32] {
    digest(&SHA256, key).as_ref().try_into().unwrap()
}

fn keys(list: &[(&str, &str)]) -> ApiKeys {
    ApiKeys::new(list.iter().map(|(key, name)| (sum(key.as_bytes()), (*name).into()))).unwrap()
}

fn named<'a>(keys: &'a ApiKeys, key: &[u8]) -> Option<&'a str> {
    keys.client(key).map(|name| &**name)
}

#[test]
fn a_key_names_its_client() {
    let keys = keys(&[("k1", "shop"), ("k2", "shop"), ("k3", "crawler")]);
    assert_eq!(named(&keys, b"k1"), Some("shop"));
    assert_eq!(named(&keys, b"k2"), Some("shop"));
    assert_eq!(named(&keys, b"k3"), Some("crawler"));
    assert_eq!(named(&keys, b"k4"), None);
    assert_eq!(named(&keys, b""), None);
}

#[test]
fn one_key_of_two_clients_is_refused() {
    let wrong = ApiKeys::new([(sum(b"k"), "a".into()), (sum(b"k"), "b".into())]);
    assert_eq!(wrong.unwrap_err(), ("a".into(), "b".into()));
}

#[test]
fn a_long_key_is_refused_before_it_is_summed() {
    let long = "k".repeat(513);
    assert_eq!(named(&keys(&[(&long, "shop")]), long.as_bytes()), None);
    let shorter = long.get(1..).unwrap();
    assert_eq!(named(&keys(&[(shorter, "shop")]), shorter.as_bytes()), Some("shop"));
}

proptest! {
    #[test]
    fn no_other_key_passes(key in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert_eq!(keys(&[("k1", "shop")]).client(&key).is_some(), key == b"k1");
    }
}
