use super::*;
use proptest::prelude::*;

const KNOWN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn parsed(text: &str) -> Option<Context> {
    Context::parse(text.as_bytes())
}

#[test]
fn the_example_of_the_standard() {
    let context = parsed(KNOWN).unwrap();
    assert_eq!(context.trace_id, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
    assert_eq!(context.span_id, 0x00f0_67aa_0ba9_02b7);
    assert!(context.is_sampled());
    assert_eq!(context.text(), KNOWN.as_bytes());
}

#[test]
fn what_is_no_context() {
    let all = [
        ("", "nothing"),
        ("00", "a version alone"),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", "no flags"),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1", "half a flag"),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x", "more than version 00 has"),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 ", "a blank"),
        ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", "upper case"),
        ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", "trace 0"),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", "span 0"),
        ("00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01", "a shifted dash"),
        ("00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "no dash"),
        ("00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01", "no digit"),
        ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "the version that is none"),
        ("0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "no version"),
        ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x", "a later one run together"),
    ];
    for (text, what) in all {
        assert_eq!(parsed(text), None, "{what}");
    }
}

#[test]
fn of_a_later_version_counts_what_is_known() {
    let more = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff-what-will-be";
    let context = parsed(more).unwrap();
    assert_eq!(context.flags, SAMPLED | RANDOM);
    let text = context.text();
    assert!(text.starts_with(b"00-4bf9"), "it goes on as the version that we speak");
    assert!(text.ends_with(b"-03"), "flags that nobody knows are not passed on");
    let long = format!("{more}{}", "x".repeat(MOST_BYTES));
    assert_eq!(parsed(&long), None, "an endless one");
}

#[test]
fn a_trace_that_begins_has_no_zero() {
    let context = Context::begin([0, 0], 0);
    assert_eq!(parsed(std::str::from_utf8(&context.text()).unwrap()), Some(context));
}

#[test]
fn the_span_of_a_try_takes_the_place_of_ours() {
    let context = parsed(KNOWN).unwrap();
    let mut head =
        format!("GET / HTTP/1.1\r\nhost: a\r\nx: {KNOWN}\r\ntraceparent: {KNOWN}\r\n\r\n")
            .into_bytes();
    context.replace_span(&mut head, 0xabc);
    let head = String::from_utf8(head).unwrap();
    let ours = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000abc-01\r\n";
    assert!(head.contains(ours), "{head}");
    assert!(head.contains(&format!("x: {KNOWN}\r\n")), "nothing else changes");
    let mut other = b"GET / HTTP/1.1\r\ntraceparent: 00-1".to_vec();
    let before = other.clone();
    context.replace_span(&mut other, 1);
    assert_eq!(other, before);
}

proptest! {
    #[test]
    fn what_is_written_is_read(trace_id in 1u128.., span_id in 1u64.., flags in 0u8..4) {
        let context = Context { trace_id, span_id, flags };
        prop_assert_eq!(Context::parse(&context.text()), Some(context));
    }

    #[test]
    fn what_is_read_is_written_the_same(value in "[0-9a-f-]{50,60}|00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]") {
        if let Some(context) = Context::parse(value.as_bytes())
            && value.starts_with("00")
        {
            let ids = context.text();
            prop_assert_eq!(ids.get(..53), value.as_bytes().get(..53));
        }
    }

    #[test]
    fn no_bytes_break_it(value in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Context::parse(&value);
        crate::is_state([&*value]);
    }
}
