use super::{Place, Sent};
use crate::RequestView;
use crate::testing::view;
use hg_route::Headers;

struct Lines(&'static [(&'static str, &'static [u8])]);

impl Headers for Lines {
    fn each(&self, name: &str, line: &mut dyn FnMut(&[u8])) {
        self.0.iter().filter(|(n, _)| *n == name).for_each(|(_, value)| line(value));
    }
}

fn read(place: &Place, query: Option<&str>, lines: &Lines) -> (Sent, String) {
    let mut out = b"left".to_vec();
    let sent = place.read(&RequestView { query, headers: lines, ..view() }, &mut out);
    (sent, String::from_utf8_lossy(&out).into_owned())
}

#[test]
fn a_header_s_value_is_the_credential() {
    let place = Place::of(Some("X-Key"), None, None).unwrap();
    assert_eq!(read(&place, None, &Lines(&[])).0, Sent::None);
    assert_eq!(read(&place, None, &Lines(&[("x-key", b" k1 ")])), (Sent::One, "k1".into()));
    assert_eq!(read(&place, None, &Lines(&[("x-key", b"a"), ("x-key", b"a")])).0, Sent::Several);
}

#[test]
fn a_parameter_is_decoded() {
    let place = Place::of(None, Some("key"), None).unwrap();
    let lines = Lines(&[]);
    assert_eq!(read(&place, None, &lines).0, Sent::None);
    assert_eq!(read(&place, Some("a=b&keys=1"), &lines).0, Sent::None);
    assert_eq!(read(&place, Some("a=b&k%65y=a%2Bb+c%2"), &lines), (Sent::One, "a+b c%2".into()));
    assert_eq!(read(&place, Some("key"), &lines), (Sent::One, String::new()));
    assert_eq!(read(&place, Some("key=1&key=2"), &lines).0, Sent::Several);
}

#[test]
fn a_cookie_is_found_among_others() {
    let place = Place::of(None, None, Some("key")).unwrap();
    let lines = Lines(&[("cookie", b"a=1; key=x=y;b=2")]);
    assert_eq!(read(&place, None, &lines), (Sent::One, "x=y".into()));
    let two = Lines(&[("cookie", b"key=1"), ("cookie", b"Key=3; key=2")]);
    assert_eq!(read(&place, None, &two).0, Sent::Several);
    assert_eq!(read(&place, None, &Lines(&[("cookie", b"Key=1; keys=2; ;")])).0, Sent::None);
}

#[test]
fn there_is_one_place() {
    assert!(Place::of(None, None, None).is_none());
    assert!(Place::of(Some("a"), Some("b"), None).is_none());
}
