use super::*;
use crate::ListenerId;
use crate::compiled::Compiled;
use crate::query::{RouteChange, RouteId};
use hg_plan::{Kind, Object};

fn rules(patterns: &[&str]) -> Vec<Rule> {
    let rule = |(pattern, id): (&&str, u32)| {
        let text = format!(
            r#"{{"action":{{"upstream":"u"}},"hosts":["*"],"listeners":["web"],
                "match":[{{"path":{{"regex":"{pattern}"}}}}]}}"#
        );
        let Ok(Object::Route(route)) = Object::decode(Kind::Route, text.as_bytes()) else {
            panic!("{text}");
        };
        let (name, listeners) = (Arc::from(*pattern), [ListenerId(0)]);
        let id = RouteId(id);
        let change = RouteChange { id, name: &name, route: Some(&route), listeners: &listeners };
        Rule::of(&Arc::new(Compiled::new(&change, &route).unwrap())).collect::<Vec<_>>()
    };
    patterns.iter().zip(0..).flat_map(rule).collect()
}

fn group<'i>(index: &'i Index, literal: &str) -> &'i Group {
    index.groups.iter().find(|g| *g.patterns.literal == *literal.as_bytes()).unwrap()
}

#[test]
fn groups_whose_patterns_stay_keep_their_automaton() {
    let old = Index::new(&rules(&["/a/[0-9]+", "/b/x.*", "/b/x[a-z]"]), None).unwrap();
    let new = Index::new(&rules(&["/c/[0-9]", "/b/x.*", "/a/[0-9]+"]), Some(&old)).unwrap();
    assert!(Arc::ptr_eq(&group(&old, "/a/").patterns, &group(&new, "/a/").patterns));
    assert!(!Arc::ptr_eq(&group(&old, "/b/x").patterns, &group(&new, "/b/x").patterns));
}

#[test]
fn patterns_that_differ_in_their_literal_prefix_only_share_one_automaton() {
    let index = Index::new(&rules(&["/a/[0-9]+", "/b/[0-9]+", "/c/[a-z]+"]), None).unwrap();
    assert!(Arc::ptr_eq(&group(&index, "/a/").patterns.rest, &group(&index, "/b/").patterns.rest));
    assert!(!Arc::ptr_eq(&group(&index, "/a/").patterns.rest, &group(&index, "/c/").patterns.rest));
}
