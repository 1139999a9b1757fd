#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn seal(keys: &[&str], about: &[&str]) -> Seal {
    Seal::new(&keys.iter().map(|&key| key.to_owned()).collect::<Vec<_>>(), about)
}

#[test]
fn what_is_closed_opens_again() {
    let own = seal(&["one"], &["split", "shop", "at"]);
    for (token, until_s) in [(0, 0), (u64::MAX, 1), (0x0123_4567_89ab_cdef, LAST_S)] {
        let text = own.close(token, until_s);
        assert_eq!(text.len(), SEALED);
        assert_eq!(own.open(&text), Some((token, until_s)));
    }
}

#[test]
fn a_text_that_differs_in_one_bit_is_refused() {
    let own = seal(&["one"], &["shop"]);
    let text = own.close(7, 9);
    for at in 0..text.len() {
        for bit in 0..8 {
            let mut forged = text.clone();
            *forged.get_mut(at).unwrap() ^= 1 << bit;
            assert_eq!(own.open(&forged), None, "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn texts_of_other_lengths_are_refused() {
    let own = seal(&["one"], &["shop"]);
    let text = own.close(7, 9);
    for len in 0..text.len() {
        assert_eq!(own.open(text.get(..len).unwrap()), None, "{len} bytes");
    }
    assert_eq!(own.open(&[text.as_slice(), b"0"].concat()), None);
    assert_eq!(own.open(&[b'0'; 1 << 20]), None);
}

#[test]
fn a_signature_is_bound_to_its_words() {
    let text = seal(&["one"], &["ab", "c"]).close(7, 9);
    for other in [&["a", "bc"][..], &["abc"], &["ab", "c", ""], &["ab"]] {
        assert_eq!(seal(&["one"], other).open(&text), None, "{other:?}");
    }
}

#[test]
fn older_keys_verify_and_the_first_one_signs() {
    let (old, new) = (seal(&["old"], &["shop"]), seal(&["new"], &["shop"]));
    let both = seal(&["new", "old"], &["shop"]);
    assert_eq!(both.open(&old.close(1, 0)), Some((1, 0)));
    assert_eq!(new.open(&both.close(1, 0)), Some((1, 0)));
    assert_eq!(old.open(&both.close(1, 0)), None);
    assert_eq!(new.open(&old.close(1, 0)), None);
}

#[test]
fn keys_are_not_shown() {
    assert!(!format!("{:?}", seal(&["secret"], &["shop"])).contains("secret"));
}
