use super::*;
use crate::testing::view;
use proptest::prelude::*;

fn settled(raw: &str) -> Option<String> {
    let mut into = "left over".to_owned();
    settle(raw.as_bytes(), &mut into).ok().map(|()| into)
}

#[test]
fn a_path_is_normalised() {
    for (raw, normal) in [
        ("", "/"),
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("//a//b/", "/a/b/"),
        ("/%61/%2f", "/a/%2F"),
        ("/...", "/..."),
    ] {
        assert_eq!(settled(raw).as_deref(), Some(normal), "{raw}");
    }
}

#[test]
fn dot_segments_and_what_is_no_path_are_refused() {
    for raw in [
        "/.", "/a/..", "/../a", "/a/./b", "/%2e", "/.%2E/a", "a", "/a b", "/%", "/%00", "/\\", "/?",
    ] {
        assert_eq!(settled(raw), None, "{raw}");
    }
}

#[test]
fn values_are_encoded_where_they_may_not_stand_as_they_are() {
    let template = compile_path("/x/${header:x-bytes}").unwrap();
    let mut out = Vec::new();
    render_path(&template, &view(), &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), "/x/../%FF%20%3F%23%25%41%5C");
}

#[test]
fn a_prefix_is_replaced_at_a_segment() {
    for (path, matched, prefix, result) in [
        ("/v1/x", 3, "/new", "/new/x"),
        ("/v1", 3, "/new", "/new"),
        ("/v1/", 3, "/new", "/new/"),
        ("/v1/x", 3, "", "/x"),
        ("/v1", 3, "", "/"),
        ("/x", 0, "/new", "/new/x"),
        ("/x", 1, "/new", "/new/x"),
        ("/", 0, "/new", "/new/"),
        ("/x", 9, "/new", "/new"),
    ] {
        let mut out = Vec::new();
        replace_prefix(path, matched, prefix, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), result, "{path} {matched} {prefix}");
    }
}

#[test]
fn configured_paths_are_checked() {
    assert_eq!(compile_prefix("/a/%62/"), Ok("/a/b".into()));
    assert_eq!(compile_prefix("/"), Ok("".into()));
    assert_eq!(compile_path("//a$$").unwrap().as_literal(), Some("/a$"));
    for bad in ["", "a", "/a?b", "/a#", "/a b", "/a/../b", "/ä", "/%zz", "/a\n"] {
        assert!(compile_prefix(bad).is_err() && compile_path(bad).is_err(), "{bad}");
    }
    for bad in ["a${host}", "/a?${query}", "/${host} b"] {
        assert!(compile_path(bad).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn what_is_settled_is_normal_and_stays(raw in "[/.%2eEfa5c-]{0,20}") {
        if let Some(path) = settled(&raw) {
            let mut buf = String::new();
            prop_assert_eq!(normalise(&path, &mut buf).unwrap(), &path);
            prop_assert!(!has_dot_segment(&path) && path.starts_with('/'));
        }
    }

    #[test]
    fn a_query_never_ends_a_line(query in ".*") {
        let mut out = Vec::new();
        push_query(&query, &mut out);
        prop_assert!(out.iter().all(|b| (0x21..0x7f).contains(b)));
    }
}
