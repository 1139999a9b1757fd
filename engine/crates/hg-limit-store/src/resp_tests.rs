use super::*;
use proptest::prelude::*;

fn read(input: &[u8]) -> Option<Reply> {
    let (reply, length) = reply(input).unwrap()?;
    assert_eq!(length, input.len());
    Some(reply)
}

#[test]
fn a_command_is_an_array_of_bulk_strings() {
    let mut out = Vec::new();
    command(&[b"EVAL", b"", b"a\r\nb"], &mut out);
    assert_eq!(out, b"*3\r\n$4\r\nEVAL\r\n$0\r\n\r\n$4\r\na\r\nb\r\n");
}

#[test]
fn answers() {
    assert_eq!(read(b"+OK\r\n"), Some(Reply::Status("OK".into())));
    assert_eq!(read(b"-OOM no room\r\n"), Some(Reply::Error("OOM no room".into())));
    assert_eq!(read(b":-7\r\n"), Some(Reply::Integer(-7)));
    assert_eq!(read(b"$2\r\n\r\n\r\n"), Some(Reply::Text(b"\r\n".to_vec())));
    assert_eq!(read(b"$0\r\n\r\n"), Some(Reply::Text(Vec::new())));
}

#[test]
fn an_answer_in_parts_is_none_until_its_end() {
    for whole in [&b"+OK\r\n"[..], b"-ERR x\r\n", b":123\r\n", b"$3\r\nabc\r\n"] {
        for end in 0..whole.len() {
            assert_eq!(reply(&whole[..end]), Ok(None), "{end}");
        }
    }
}

#[test]
fn what_is_no_answer() {
    let long = [&b"+"[..], &[b'x'; 2000]].concat();
    let wrong: [&[u8]; 16] = [
        b"*1\r\n:1\r\n",
        b"_\r\n",
        b"%1\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\0",
        b":\r\n",
        b":-\r\n",
        b":+1\r\n",
        b":1x\r\n",
        b":99999999999999999999\r\n",
        b"$-1\r\n",
        b"$65\r\n",
        b"$999999999999\r\n",
        b"$2\r\nabcd",
        b"+a\nb\r\n",
        b"+a\rb",
    ];
    for one in wrong.into_iter().chain([&long[..]]) {
        assert!(reply(one).is_err(), "{}", String::from_utf8_lossy(one));
    }
}

proptest! {
    #[test]
    fn bytes_of_any_kind_are_read_within_bounds(
        kind in prop_oneof![Just(b'+'), Just(b'-'), Just(b':'), Just(b'$'), any::<u8>()],
        rest in proptest::collection::vec(
            prop_oneof![Just(b'\r'), Just(b'\n'), b'0'..=b'9', any::<u8>()], 0..2048),
    ) {
        let input = [&[kind][..], &rest].concat();
        match reply(&input) {
            Ok(Some((_, length))) => {
                prop_assert!(length <= input.len());
                prop_assert_eq!(reply(&input[..length]), reply(&input));
                prop_assert_eq!(reply(&input[..length - 1]), Ok(None));
            }
            Ok(None) => prop_assert!(input.len() <= LINE + TEXT + 8, "it would wait forever"),
            Err(_) => {
                let more = [&input[..], b"\r\n+OK\r\n"].concat();
                prop_assert!(reply(&more).is_err(), "more bytes mend nothing");
            }
        }
    }

    #[test]
    fn what_was_written_is_read(text in "[ -~]{0,60}", number in any::<i64>()) {
        let reply = |input: String| read(input.as_bytes());
        prop_assert_eq!(reply(format!("+{text}\r\n")), Some(Reply::Status(text.clone())));
        prop_assert_eq!(reply(format!("-{text}\r\n")), Some(Reply::Error(text.clone())));
        prop_assert_eq!(reply(format!(":{number}\r\n")), Some(Reply::Integer(number)));
        let bulk = format!("${}\r\n{text}\r\n", text.len());
        prop_assert_eq!(reply(bulk), Some(Reply::Text(text.into_bytes())));
    }
}
