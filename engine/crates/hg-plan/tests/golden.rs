//! The vectors that the Python side tests, too (`tests/unit/plan/test_digests.py`): Rust decodes
//! what Python encodes, and both compute the same digests and roots.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use hg_plan::{Change, Digest, Kind, Object, Plan, object_digest};
use serde_json::Value;

const VECTORS: &str = include_str!("../../../../tests/golden/digests.json");

#[test]
fn the_vectors_hold() {
    let steps: Value = serde_json::from_str(VECTORS).unwrap();
    let mut plan = Plan::default();
    for step in steps.as_array().unwrap() {
        let changes: Vec<Change> = step["changes"].as_array().unwrap().iter().map(change).collect();
        let root = plan.apply(&changes).expect("every object is decoded");
        assert_eq!(root.hex(), step["root"].as_str().unwrap());
        assert_eq!(root, plan.digest());
    }
}

/// Returns the change of a vector, after checking its digest and that its bytes are an object.
fn change(vector: &Value) -> Change {
    let kind = Kind::parse(vector["kind"].as_str().unwrap()).unwrap();
    let name = vector["name"].as_str().unwrap();
    let bytes = vector["canonical"].as_str().map(|text| text.as_bytes().to_vec());
    if let Some(bytes) = &bytes {
        Object::decode(kind, bytes).unwrap_or_else(|e| panic!("{}: {e}", vector["canonical"]));
        let digest = Digest::parse(vector["digest"].as_str().unwrap()).unwrap();
        assert_eq!(object_digest(kind, name, bytes), digest);
    }
    Change { kind, name: name.into(), bytes }
}
