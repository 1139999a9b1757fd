use super::*;
use Coding::{Brotli, Gzip, Zstd};
use proptest::prelude::*;

const ALL: [Coding; 3] = [Zstd, Brotli, Gzip];

fn accept(lines: &[&str]) -> Accept {
    let mut accept = Accept::new();
    lines.iter().for_each(|line| accept.line(line.as_bytes()));
    accept
}

fn chosen(line: &str) -> Option<Coding> {
    accept(&[line]).choose(&ALL)
}

#[test]
fn a_client_gets_the_first_of_the_highest_weight() {
    for (line, expected) in [
        ("gzip", Some(Gzip)),
        ("gzip, deflate, br, zstd", Some(Zstd)),
        ("gzip, br", Some(Brotli)),
        ("gzip;q=1.0, br;q=0.9", Some(Gzip)),
        ("br;q=0.5, gzip;q=0.5", Some(Brotli)),
        ("gzip ; q=0.2 , zstd ;\tQ=0.1", Some(Gzip)),
        ("X-GZIP", Some(Gzip)),
        ("*", Some(Zstd)),
        ("*;q=0.5, gzip", Some(Gzip)),
        ("*, zstd;q=0", Some(Brotli)),
        ("*;q=0, gzip;q=0.1", Some(Gzip)),
        (",, ,gzip,", Some(Gzip)),
    ] {
        assert_eq!(chosen(line), expected, "{line}");
    }
}

#[test]
fn a_client_that_takes_none_gets_the_answer_as_it_is() {
    for line in ["", "deflate", "identity", "gzip;q=0", "*;q=0", "gzip;q=0.000, br;q=0, zstd;q=0"] {
        assert_eq!(chosen(line), None, "{line}");
    }
    assert_eq!(Accept::new().choose(&ALL), None);
}

#[test]
fn a_client_may_prefer_identity() {
    assert_eq!(chosen("gzip;q=0.5, identity;q=0.6"), None);
    assert_eq!(chosen("gzip;q=0.5, identity;q=0.5"), Some(Gzip));
    assert_eq!(chosen("gzip;q=0.5, identity;q=0"), Some(Gzip));
}

#[test]
fn what_is_not_well_formed_refuses_its_coding() {
    for line in [
        "gzip;q=",
        "gzip;q=1.001",
        "gzip;q=2",
        "gzip;q=0.1234",
        "gzip;q=.5",
        "gzip;q=-1",
        "gzip;q=1;x=y",
        "gzip;x=y",
        "gzip;",
        "gzip q=1",
        "gzip;q=0.5 x",
        "gz\u{fffd}ip",
    ] {
        assert_eq!(chosen(line), None, "{line}");
    }
}

#[test]
fn of_two_weights_the_lower_counts() {
    assert_eq!(accept(&["gzip", "gzip;q=0"]).choose(&ALL), None);
    assert_eq!(accept(&["gzip;q=0.1, br;q=0.2, br;q=0.05"]).choose(&ALL), Some(Gzip));
}

#[test]
fn identity_is_taken_unless_it_is_refused() {
    for (line, expected) in [
        ("", true),
        ("gzip", true),
        ("identity;q=0", false),
        ("*;q=0", false),
        ("*;q=0, identity", true),
        ("*;q=0, identity;q=0.001", true),
        ("*;q=0.5", true),
    ] {
        assert_eq!(accept(&[line]).takes_identity(), expected, "{line}");
    }
}

#[test]
fn only_what_is_offered_is_chosen() {
    assert_eq!(accept(&["zstd, gzip;q=0.1"]).choose(&[Gzip]), Some(Gzip));
    assert_eq!(accept(&["zstd"]).choose(&[]), None);
}

#[test]
fn a_long_list_is_read_to_its_bound() {
    let filler = "x,".repeat(MOST_MEMBERS - 1);
    assert_eq!(chosen(&format!("{filler}gzip")), Some(Gzip));
    assert_eq!(chosen(&format!("{filler}x,gzip")), None);
}

proptest! {
    #[test]
    fn any_bytes_are_read(lines in proptest::collection::vec(any::<Vec<u8>>(), 0..4)) {
        let mut accept = Accept::new();
        lines.iter().for_each(|line| accept.line(line));
        let _ = (accept.choose(&ALL), accept.takes_identity());
    }

    #[test]
    fn weights_are_read_as_they_are_written(thousandths in 0u16..=1000) {
        let text = format!("gzip;q={}.{:03}", thousandths / 1000, thousandths % 1000);
        prop_assert_eq!(accept(&[&text]).weight(Gzip), thousandths);
    }

    #[test]
    fn a_refused_coding_is_never_chosen(
        weights in proptest::array::uniform3(0u16..=3), any in proptest::option::of(0u16..=3),
    ) {
        let mut line: String = ALL.iter().zip(weights)
            .map(|(coding, weight)| format!("{};q=0.{weight}, ", coding.token())).collect();
        line.extend(any.map(|weight| format!("*;q=0.{weight}")));
        let best = weights.into_iter().max().unwrap_or(0);
        let expected = ALL.iter().zip(weights).find(|(_, w)| *w == best && best > 0).map(|(c, _)| *c);
        prop_assert_eq!(chosen(&line), expected, "{}", line);
    }
}
