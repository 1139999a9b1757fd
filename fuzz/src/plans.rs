//! Objects of a plan and the digest tree.

use hg_plan::{Change, Digest, DigestTree, Kind, Object, Plan};
use hg_route::{ListenerId, RouteChange, RouteId, Router};
use std::sync::Arc;

/// The first byte chooses a kind, the rest are the object's bytes: an object that decodes can be
/// put and deleted without a trace, and a route that decodes compiles or is refused. The same bytes
/// as names in a digest tree give one root in any order.
pub fn plan(data: &[u8]) {
    let Some((first, bytes)) = data.split_first() else {
        return;
    };
    let kind = Kind::ALL[usize::from(*first) % Kind::ALL.len()];
    let decoded = Object::decode(kind, bytes);
    let name: Arc<str> = "x".into();
    let mut plan = Plan::default();
    let empty = plan.digest();
    let put = [Change { kind, name: name.clone(), bytes: Some(bytes.to_vec()) }];
    assert_eq!(plan.apply(&put).is_ok(), decoded.is_ok());
    assert_eq!(plan.len(), usize::from(decoded.is_ok()));
    let delete = [Change { kind, name: name.clone(), bytes: None }];
    assert_eq!(plan.apply(&delete).ok(), Some(empty));
    if let Ok(Object::Route(route)) = &decoded {
        let listeners = [ListenerId(0)];
        let route = Some(&**route);
        let _ = Router::new().apply(&[RouteChange {
            id: RouteId(0),
            name: &name,
            route,
            listeners: &listeners,
        }]);
    }
    digests(bytes);
}

fn digests(bytes: &[u8]) {
    let names: Vec<Arc<str>> = bytes.chunks(3).take(8).map(|c| format!("{c:?}").into()).collect();
    let of = |name: &str| Some(Digest::of(name.as_bytes()));
    let (mut one, mut other) = (DigestTree::default(), DigestTree::default());
    let empty = one.root();
    for name in &names {
        one.apply([(Kind::Route, name, of(name))]);
    }
    other.apply(names.iter().rev().map(|n| (Kind::Route, n, of(n))));
    assert_eq!(one.root(), other.root());
    let full = one.root();
    let replaced = one.apply(names.iter().map(|n| (Kind::Route, n, None)));
    assert_eq!(one.root(), empty);
    // Each name once: the first of several finds it, those after it find nothing.
    one.apply(names.iter().zip(replaced).rev().map(|(n, digest)| (Kind::Route, n, digest)));
    assert_eq!(one.root(), full);
}
