//! Explanations as JSON documents.

use hg_route::{Condition, Explanation, MatchRef, NearMiss};
use serde_json::{Map, Value, json};

/// Makes the document of `Router.explain`; `path` is the normalised path.
pub(super) fn explanation(why: &Explanation, path: &str, outcome: Option<Value>) -> Value {
    let won = why.won.as_ref().map(|won| {
        let held = conditions(&won.held);
        with(reference(&won.which), [("held", held), ("outcome", outcome.unwrap_or_default())])
    });
    json!({
        "path": path,
        "host": why.host.as_deref(),
        "won": won,
        "near": why.near.iter().map(near_miss).collect::<Vec<_>>(),
    })
}

fn near_miss(near: &NearMiss) -> Value {
    let outranked = near
        .outranked
        .map(|criterion| json!({"criterion": criterion.as_str(), "reason": criterion.reason()}));
    let outranked = outranked.unwrap_or_default();
    let failed = conditions(&near.failed);
    with(reference(&near.which), [("failed", failed), ("outranked", outranked)])
}

fn reference(which: &MatchRef) -> Map<String, Value> {
    let fields = [
        ("route", json!(&*which.name)),
        ("match", json!(which.found.match_index)),
        ("host", json!(&*which.host)),
        ("prefix_len", json!(which.found.prefix_len)),
    ];
    fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
}

fn with<const N: usize>(mut map: Map<String, Value>, more: [(&str, Value); N]) -> Value {
    map.extend(more.into_iter().map(|(k, v)| (k.to_owned(), v)));
    Value::Object(map)
}

fn conditions(conditions: &[Condition]) -> Value {
    let one = |c: &Condition| json!({"kind": c.kind.as_str(), "key": c.key, "text": c.text});
    conditions.iter().map(one).collect()
}
