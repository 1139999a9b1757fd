use super::*;
use proptest::prelude::*;

fn normal(path: &str) -> Result<String, PathError> {
    normalise(path, &mut String::new()).map(str::to_owned)
}

#[test]
fn paths_get_their_normal_form() {
    for (path, expected) in [
        ("", "/"),
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/", "/a/"),
        ("//", "/"),
        ("/a//b///c", "/a/b/c"),
        ("/a//", "/a/"),
        ("/./a", "/a"),
        ("/a/.", "/a/"),
        ("/a/./", "/a/"),
        ("/a/./b", "/a/b"),
        ("/a/..", "/"),
        ("/a/../", "/"),
        ("/a/../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a/b/../../c", "/c"),
        ("/a//../b", "/b"),
        ("/a/%2e%2E/b", "/b"),
        ("/a/.%2e/b", "/b"),
        ("/%2e", "/"),
        ("/%7Ea", "/~a"),
        ("/%41%62%2d", "/Ab-"),
        ("/%c3%a9", "/%C3%A9"),
        ("/a%3ab", "/a%3Ab"),
        ("/a%2fb", "/a%2Fb"),
        ("/a%2f%2fb", "/a%2F%2Fb"),
        ("/...", "/..."),
        ("/.a", "/.a"),
        ("/..a/", "/..a/"),
        ("/a..", "/a.."),
        ("/..;/a", "/..;/a"),
        ("/%252e%252e/a", "/%252e%252e/a"),
        ("/{x}|^\"<>`[1]", "/%7Bx%7D%7C%5E%22%3C%3E%60%5B1%5D"),
        ("/a:b@c!$&'()*+,;=", "/a:b@c!$&'()*+,;="),
    ] {
        assert_eq!(normal(path).as_deref(), Ok(expected), "{path}");
    }
}

#[test]
fn paths_that_two_servers_could_read_differently_are_refused() {
    for (path, expected) in [
        ("a", PathError::NotAbsolute),
        ("*", PathError::NotAbsolute),
        ("/..", PathError::AboveRoot),
        ("/../", PathError::AboveRoot),
        ("//..", PathError::AboveRoot),
        ("/a/../../b", PathError::AboveRoot),
        ("/%2e%2e/a", PathError::AboveRoot),
        ("/a%00", PathError::EncodedNul),
        ("/a\\b", PathError::Backslash),
        ("/a%5Cb", PathError::Backslash),
        ("/a%5cb", PathError::Backslash),
        ("/a/..%2Fb", PathError::EncodedDotSegment),
        ("/a/%2e%2e%2fb", PathError::EncodedDotSegment),
        ("/a%2F..", PathError::EncodedDotSegment),
        ("/a%2f.%2fb", PathError::EncodedDotSegment),
        ("/.%2F", PathError::EncodedDotSegment),
        ("/a%", PathError::BadEscape),
        ("/a%4", PathError::BadEscape),
        ("/a%4g", PathError::BadEscape),
        ("/a b", PathError::Forbidden(b' ')),
        ("/a\tb", PathError::Forbidden(b'\t')),
        ("/a\u{7f}", PathError::Forbidden(0x7F)),
        ("/a#b", PathError::Forbidden(b'#')),
        ("/a?b", PathError::Forbidden(b'?')),
        ("/é", PathError::Forbidden(0xC3)),
    ] {
        assert_eq!(normal(path), Err(expected), "{path}");
    }
}

#[test]
fn a_normal_path_is_returned_itself() {
    let mut buf = String::new();
    let path = "/a/.b/c..d/%C3%A9/~x;y=1/";
    assert_eq!(normalise(path, &mut buf).map(str::as_ptr), Ok(path.as_ptr()));
    assert_eq!(buf.capacity(), 0);
}

#[test]
fn a_query_is_encoded_where_clients_do_not() {
    let mut buf = String::new();
    assert_eq!(encode_query("a=1&b=/?%zz", &mut buf), Ok("a=1&b=/?%zz"));
    assert_eq!(encode_query("a[]={\"\\\"}", &mut buf), Ok("a%5B%5D=%7B%22%5C%22%7D"));
    assert_eq!(encode_query("a b", &mut buf), Err(PathError::Forbidden(b' ')));
    assert_eq!(encode_query("a#b", &mut buf), Err(PathError::Forbidden(b'#')));
}

/// Paths made of the pieces that matter to normalisation.
fn paths() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/", "/", "/", ".", "..", "a", "b%", "%2e", "%2E", "%2f", "%2F", "%5c", "%00", "%7e",
        "%41", "%c3", "%zz", "{", "\\", " ", "é", ";", "%25", "2e",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|p| format!("/{}", p.concat()))
}

proptest! {
    #[test]
    fn normalising_twice_changes_nothing(path in paths()) {
        if let Ok(once) = normal(&path) {
            prop_assert_eq!(normal(&once), Ok(once));
        }
    }

    #[test]
    fn a_normal_path_has_no_dot_segment_and_no_empty_one(path in paths()) {
        if let Ok(path) = normal(&path) {
            prop_assert!(path.starts_with('/') && path.is_ascii() && !path.contains("//"), "{}", path);
            prop_assert!(!path.split('/').any(|s| s == "." || s == ".."), "{}", path);
            let decoded = path.replace("%2F", "/");
            prop_assert!(!decoded.split('/').any(|s| s == "." || s == ".."), "{}", path);
        }
    }

    #[test]
    fn the_fast_scan_agrees_with_the_rebuilding(path in paths()) {
        if is_normal(&path) {
            let mut buf = String::new();
            prop_assert_eq!(rebuild(path.get(1..).unwrap_or_default(), &mut buf), Ok(()));
            prop_assert_eq!(buf, path);
        }
    }

    #[test]
    fn any_text_is_refused_or_made_normal(path in "\\PC*") {
        if let Ok(once) = normal(&path) {
            prop_assert_eq!(normal(&once), Ok(once));
        }
    }
}
