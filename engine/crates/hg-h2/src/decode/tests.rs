use super::*;
use proptest::prelude::*;

const LIMITS: BlockLimits = BlockLimits { fields: 128, bytes: 64 * 1024 };

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let pair = |p: &[u8]| u8::from_str_radix(std::str::from_utf8(p).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

fn fields(text: &Text) -> Vec<String> {
    let s = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    text.iter().map(|f| format!("{}: {}", s(f.name), s(f.value))).collect()
}

/// Decodes the blocks of one connection and compares fields and table size after each.
fn check(most: usize, blocks: &[(&str, &[&str], usize)]) {
    let (mut decoder, mut text) = (Decoder::new(most), Text::new());
    for (block, expected, size) in blocks {
        assert_eq!(decoder.block(&hex(block), &mut text, LIMITS), Ok(Size::Within));
        assert_eq!(fields(&text), *expected);
        assert_eq!(decoder.table.size(), *size);
    }
}

fn refused(block: &str) -> &'static str {
    Decoder::new(4096).block(&hex(block), &mut Text::new(), LIMITS).unwrap_err().reason.as_str()
}

#[test]
fn single_fields_of_appendix_c_2() {
    let custom = "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572";
    check(4096, &[(custom, &["custom-key: custom-header"], 55)]);
    check(4096, &[("040c 2f73 616d 706c 652f 7061 7468", &[":path: /sample/path"], 0)]);
    check(4096, &[("1008 7061 7373 776f 7264 0673 6563 7265 74", &["password: secret"], 0)]);
    check(4096, &[("82", &[":method: GET"], 0)]);
}

const FIRST: &[&str] =
    &[":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"];
const SECOND: &[&str] = &[
    ":method: GET",
    ":scheme: http",
    ":path: /",
    ":authority: www.example.com",
    "cache-control: no-cache",
];
const THIRD: &[&str] = &[
    ":method: GET",
    ":scheme: https",
    ":path: /index.html",
    ":authority: www.example.com",
    "custom-key: custom-value",
];

#[test]
fn requests_of_appendix_c_3_and_c_4() {
    check(
        4096,
        &[
            ("8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", FIRST, 57),
            ("8286 84be 5808 6e6f 2d63 6163 6865", SECOND, 110),
            (
                "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
                THIRD,
                164,
            ),
        ],
    );
    check(
        4096,
        &[
            ("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", FIRST, 57),
            ("8286 84be 5886 a8eb 1064 9cbf", SECOND, 110),
            ("8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf", THIRD, 164),
        ],
    );
}

const OK: &[&str] = &[
    ":status: 302",
    "cache-control: private",
    "date: Mon, 21 Oct 2013 20:13:21 GMT",
    "location: https://www.example.com",
];
const TEMPORARY: &[&str] = &[
    ":status: 307",
    "cache-control: private",
    "date: Mon, 21 Oct 2013 20:13:21 GMT",
    "location: https://www.example.com",
];
const COOKIE: &[&str] = &[
    ":status: 200",
    "cache-control: private",
    "date: Mon, 21 Oct 2013 20:13:22 GMT",
    "location: https://www.example.com",
    "content-encoding: gzip",
    "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
];

#[test]
fn responses_of_appendix_c_5_with_eviction() {
    check(
        256,
        &[
            (
                "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
                 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70
                 6c65 2e63 6f6d",
                OK,
                222,
            ),
            ("4803 3330 37c1 c0bf", TEMPORARY, 222),
            (
                "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
                 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049
                 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e
                 3d31",
                COOKIE,
                215,
            ),
        ],
    );
}

#[test]
fn responses_of_appendix_c_6_with_eviction_and_huffman() {
    check(
        256,
        &[
            (
                "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
                 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
                OK,
                222,
            ),
            ("4883 640e ffc1 c0bf", TEMPORARY, 222),
            (
                "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
                 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f
                 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
                COOKIE,
                215,
            ),
        ],
    );
}

#[test]
fn malformed_blocks_are_refused() {
    for (block, reason) in [
        ("80", "hpack-index"),
        ("be", "hpack-index"),
        ("7e0161", "hpack-index"),
        ("ff ffff ffff 0f", "hpack-integer"),
        ("ff", "hpack-integer"),
        ("40", "hpack-string"),
        ("4003 6162", "hpack-string"),
        ("4001 61", "hpack-string"),
        ("4001 6181 00", "hpack-string"),
        ("82 20", "hpack-size-update"),
        ("20 20 20", "hpack-size-update"),
        ("3f e2 1f", "hpack-size-update"),
    ] {
        assert_eq!(refused(block), reason, "{block}");
    }
    assert_eq!(
        Decoder::new(4096).block(&hex("20 3fe11f 82"), &mut Text::new(), LIMITS).err(),
        None
    );
}

#[test]
fn crumbs_count_and_the_table_stays_in_step_above_the_limit() {
    let limits = BlockLimits { fields: 4, bytes: 1000 };
    let (mut decoder, mut text) = (Decoder::new(4096), Text::new());
    let crumb = hex("60 03 613d62");
    let block = |n: usize| crumb.repeat(n);
    assert_eq!(decoder.block(&block(4), &mut text, limits), Ok(Size::Within));
    assert_eq!(decoder.block(&block(5), &mut text, limits), Ok(Size::Above));
    assert_eq!((text.len(), decoder.table.len()), (4, 9));
    assert_eq!(decoder.block(&block(8), &mut text, limits), Ok(Size::Above));
    let close = decoder.block(&block(9), &mut text, limits).unwrap_err();
    assert_eq!(close, Close::calm(Reason::HeadSize));
}

#[test]
fn a_bomb_of_references_is_bounded_by_its_decoded_bytes() {
    let (mut decoder, mut text) = (Decoder::new(4096), Text::new());
    let mut block = hex("4001 61 7fa11e");
    block.extend(std::iter::repeat_n(b'x', 4000));
    block.extend([0xbe; 15]);
    let limits = BlockLimits { fields: 128, bytes: 64 * 1024 };
    assert_eq!(decoder.block(&block, &mut text, limits), Ok(Size::Within));
    assert_eq!(decoder.block(&[0xbe; 17], &mut text, limits), Ok(Size::Above));
    assert_eq!(text.len(), 16);
    assert_eq!(
        decoder.block(&[0xbe; 33], &mut text, limits).unwrap_err().reason.as_str(),
        "head-size"
    );
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_within_the_limits(blocks: Vec<Vec<u8>>) {
        let limits = BlockLimits { fields: 10, bytes: 300 };
        let (mut decoder, mut text) = (Decoder::new(200), Text::new());
        for block in blocks {
            if decoder.block(&block, &mut text, limits).is_err() {
                break;
            }
            prop_assert!(text.len() <= 10 && decoder.table.size() <= 200);
            let bytes: usize = text.iter().map(|f| f.name.len() + f.value.len() + 32).sum();
            prop_assert!(bytes <= 300);
        }
    }
}
