use super::*;
use crate::automaton::{Automaton, Caches};
use proptest::prelude::*;

#[test]
fn what_rust_and_pcre_share_is_taken() {
    for text in [
        "/x/[0-9]+",
        r"/a(?:b|c)*\.html?",
        r"(?i)/images/.*\.(png|jpe?g)",
        "/(?<id>[[:alnum:]_-]{1,64})",
        r"/\w+\b/\d{2,}/[^/]+?",
        r"\A/x\z",
        "/[]a]",
        "/[-a][a-][--][^--][]-]",
        "/(é)?[ ]{2}",
    ] {
        assert!(parse(text).is_ok(), "{text}: {:?}", parse(text));
    }
}

#[test]
fn what_they_read_differently_is_refused_with_the_place() {
    for (text, part) in [
        ("/x(", "at character 3: unclosed group"),
        ("/é(", "at character 3: unclosed group"),
        ("/(?=a)", "look-around"),
        (r"/(a)\1", "backreferences"),
        (r"/\p{L}", r"\p classes"),
        ("/[a&&b]", "class operations"),
        ("/[a[b]]", "class in a class"),
        ("/a++", "a repetition is repeated"),
        ("/a{,3}", "repetition quantifier"),
        ("/a{1, 2}", "at character 3: a counted repetition with a space"),
        ("/a{ 2}", "with a space"),
        ("/a{2 ,}", "with a space"),
        ("/é?x", "a character of several bytes is repeated"),
        ("/é{2}", "a character of several bytes is repeated"),
        ("/[--a]", "at character 2: a class that begins with"),
        ("/[^--a]", "a class that begins with"),
        ("/[]-a]", "a class that begins with"),
        ("/[^]-a]", "a class that begins with"),
        ("(?x)/a b", "this flag is not supported"),
        ("(?u:/a)", "this flag is not supported"),
        (r"/a\>", "word boundary"),
        (r"/\v", r"\x0B"),
        (r"/\u0041", r"\u is not supported"),
        ("(((((a{100}){100}){100}){100}){100})", "KiB compiled"),
    ] {
        let message = parse(text).unwrap_err();
        assert!(message.contains(part), "{text}: {message}");
    }
}

#[test]
fn the_literal_prefix_is_cut_off() {
    for (text, literal, rest) in [
        ("/shop/item[0-9]+", "/shop/item", "[0-9]+"),
        ("/a/(b|cc)/d", "/a/", "(?:b|cc)/d"),
        ("(/a)(/b/.*)", "/a/b/", ".*"),
        ("/abc", "/abc", ""),
        ("/a/xx|/a/y", "/a/", "xx|y"),
        ("/a/(xx|xy|x)z", "/a/x", "(?:x|y|)z"),
        ("/a?b", "/", "a?b"),
        ("[/x]a", "", "[/x]a"),
        (".*", "", ".*"),
        ("", "", ""),
        ("^/x/.*$", "/x/", ".*$"),
        ("/x^y", "/x", "^y"),
        ("/x(^y|z)", "/x", "(?:^y|z)"),
        ("(?i)/a", "/", "[Aa]"),
    ] {
        let (got, left) = split_literal(&read(text).unwrap());
        assert_eq!(got, literal.as_bytes(), "{text}");
        assert_eq!(left, read(rest).unwrap(), "{text}");
    }
}

proptest! {
    #[test]
    fn what_is_cut_off_and_what_is_left_make_the_pattern(
        text in "(/a|\\(/a\\|/ab\\)|\\^|b\\?|\\(\\^b\\|a\\)|\\\\b|\\$|\\(a\\|\\)|a){0,5}",
        path in "(/a|a|b|/){0,6}",
    ) {
        let hir = read(&text).unwrap();
        let (literal, rest) = split_literal(&hir);
        let mut caches = Caches::default();
        let whole = Automaton::new(&[hir]).unwrap().is_match(path.as_bytes(), &mut caches);
        let mut split = false;
        if path.as_bytes().starts_with(&literal) {
            let rest = Automaton::new(&[rest]).unwrap();
            rest.run(path.as_bytes(), literal.len(), &mut caches, |_| split = true);
        }
        prop_assert_eq!(split, whole);
    }
}
