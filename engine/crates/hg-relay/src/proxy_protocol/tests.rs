use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

const V6: &str = "[2001:db8::1]:1";

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn passed(source: &str, destination: &str) -> Addresses {
    let transport = Transport::Stream;
    Addresses::Passed { transport, source: at(source), destination: at(destination) }
}

fn addresses(bytes: &[u8]) -> Result<Addresses, Fault> {
    match parse(bytes)? {
        Parse::Complete(header) => {
            assert_eq!(header.len, bytes.len());
            Ok(header.addresses)
        }
        Parse::Partial => panic!("only a part of a header"),
    }
}

/// Returns a header of version 2 by its command, its family and what follows.
fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut out = v2::SIGNATURE.to_vec();
    out.extend_from_slice(&[command, family]);
    out.extend_from_slice(&u16::try_from(rest.len()).unwrap().to_be_bytes());
    out.extend_from_slice(rest);
    out
}

#[test]
fn a_line_tells_the_addresses() {
    assert_eq!(
        addresses(b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"),
        Ok(passed("192.0.2.1:56324", "198.51.100.2:443"))
    );
    assert_eq!(addresses(b"PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"), Ok(passed(V6, "[::1]:65535")));
    for unknown in ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN ffff:f ::1 65535 x\r\n"] {
        assert_eq!(addresses(unknown.as_bytes()), Ok(Addresses::Own));
    }
}

#[test]
fn a_line_of_another_form_is_malformed() {
    for line in [
        "PROXY TCP4 192.0.2.1 198.51.100.2 56324\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 \r\n",
        "PROXY TCP4 192.0.2.1  198.51.100.2 56324 443\r\n",
        "PROXY TCP4 192.0.2.01 198.51.100.2 56324 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 056324 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 +5 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 1 \r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
        "PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY  UNKNOWN\r\n",
        "PROXY tcp4 192.0.2.1 198.51.100.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 1\r2\r\n",
        "PROXY \r\n",
    ] {
        assert_eq!(addresses(line.as_bytes()), Err(Fault::Malformed), "{line:?}");
    }
}

#[test]
fn a_line_ends_within_107_bytes() {
    let line = |n: usize| format!("PROXY UNKNOWN {}\r\n", "x".repeat(n - 16)).into_bytes();
    assert_eq!(addresses(&line(107)), Ok(Addresses::Own));
    assert_eq!(parse(&line(108)), Err(Fault::TooLong));
    assert_eq!(parse(&line(107)[..106]), Ok(Parse::Partial));
    assert_eq!(parse(&line(108)[..106]), Err(Fault::TooLong));
}

#[test]
fn what_begins_otherwise_is_missing() {
    for bytes in
        ["GET / HTTP/1.1", "PRI * HTTP/2.0", "PROXX", "proxy ", "\x16\x03\x01", "\r\n\r\nG"]
    {
        assert_eq!(presence(bytes.as_bytes()), Presence::No);
        assert_eq!(parse(bytes.as_bytes()), Err(Fault::Missing));
    }
    for bytes in ["", "P", "PROXY", "\r\n\r\n\0\r\nQUIT"] {
        assert_eq!(presence(bytes.as_bytes()), Presence::Undecided);
        assert_eq!(parse(bytes.as_bytes()), Ok(Parse::Partial));
    }
}

#[test]
fn version_2_tells_the_addresses() {
    let v4 = [192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 4, 1, 0xbb];
    assert_eq!(addresses(&v2(0x21, 0x11, &v4)), Ok(passed("192.0.2.1:56324", "198.51.100.2:443")));
    let Ok(Addresses::Passed { transport, .. }) = addresses(&v2(0x21, 0x12, &v4)) else { panic!() };
    assert_eq!(transport, Transport::Datagram);
    let mut v6 = [0; 36];
    (v6[15], v6[31], v6[33], v6[35]) = (1, 2, 3, 4);
    assert_eq!(addresses(&v2(0x21, 0x21, &v6)), Ok(passed("[::1]:3", "[::2]:4")));
    assert_eq!(addresses(&v2(0x21, 0x31, &[b'/'; 216])), Ok(Addresses::Own));
    assert_eq!(addresses(&v2(0x21, 0x00, &[])), Ok(Addresses::Own));
}

#[test]
fn local_keeps_the_addresses_and_skips_what_follows() {
    for family in [0x00, 0x11, 0xff] {
        assert_eq!(addresses(&v2(0x20, family, &[7; 30])), Ok(Addresses::Own));
    }
}

#[test]
fn version_2_of_another_form_is_malformed() {
    for (command, family, rest) in [
        (0x11, 0x11, &[0; 12][..]),
        (0x22, 0x11, &[0; 12]),
        (0x21, 0x10, &[0; 12]),
        (0x21, 0x41, &[0; 12]),
        (0x21, 0x13, &[0; 12]),
        (0x21, 0x11, &[0; 11]),
        (0x21, 0x21, &[0; 35]),
        (0x21, 0x31, &[0; 215]),
        // A value that is longer than what is left, and the beginning of one.
        (0x21, 0x00, &[0xea, 0, 2, 1]),
        (0x21, 0x00, &[0xea, 0]),
        (0x21, 0x00, &[kind::CRC32C, 0, 3, 0, 0, 0]),
    ] {
        assert_eq!(addresses(&v2(command, family, rest)), Err(Fault::Malformed));
    }
    let mut id = vec![kind::UNIQUE_ID, 0, 129];
    id.extend([0; 129]);
    assert_eq!(addresses(&v2(0x21, 0x00, &id)), Err(Fault::Malformed));
}

#[test]
fn a_header_of_more_than_4_kib_is_too_long_before_it_came() {
    assert_eq!(addresses(&v2(0x20, 0, &[0; MAX_BYTES - 16])), Ok(Addresses::Own));
    let long = v2(0x20, 0, &[0; MAX_BYTES - 15]);
    assert_eq!(parse(&long[..16]), Err(Fault::TooLong));
}

#[test]
fn unknown_values_are_passed_over() {
    let bytes = v2(0x21, 0x00, &[0xea, 0, 2, 1, 2, 4, 0, 0]);
    let Ok(Parse::Complete(header)) = parse(&bytes) else { panic!() };
    assert_eq!(header.tlvs.get(0xea), Some(&[1, 2][..]));
    assert_eq!(header.tlvs.iter().count(), 2);
}

#[test]
fn the_checksum_is_that_of_rfc_3720() {
    assert_eq!(crc32c(&[b"1234", b"56789"]), 0xe306_9283);
    assert_eq!(crc32c(&[&[0; 32]]), 0x8a91_36aa);
}

#[test]
fn a_wrong_checksum_is_a_fault_and_two_are_malformed() {
    let mut out = Vec::new();
    write_v2(Transport::Stream, at("192.0.2.1:1"), at("192.0.2.2:2"), &Extras::default(), &mut out);
    assert_eq!(addresses(&out), Ok(passed("192.0.2.1:1", "192.0.2.2:2")));
    out[16] ^= 1;
    assert_eq!(addresses(&out), Err(Fault::Checksum));
    let twice = [[kind::CRC32C, 0, 4, 0, 0, 0, 0]; 2].concat();
    assert_eq!(addresses(&v2(0x21, 0, &twice)), Err(Fault::Malformed));
}

#[test]
fn what_is_written_of_a_connection_with_tls() {
    let tls = Secured { version: "TLSv1.3", is_verified: true, common_name: Some("ada") };
    let extras = Extras {
        alpn: Some(b"h2"),
        authority: Some("example.test"),
        unique_id: Some(b"id"),
        tls: Some(tls),
    };
    let mut out = Vec::new();
    write_v2(Transport::Stream, at("192.0.2.1:1"), at(V6), &extras, &mut out);
    let Ok(Parse::Complete(header)) = parse(&out) else { panic!() };
    assert_eq!(header.addresses, passed("[::ffff:192.0.2.1]:1", V6));
    assert_eq!(header.tlvs.get(kind::ALPN), Some(&b"h2"[..]));
    assert_eq!(header.tlvs.get(kind::AUTHORITY), Some(&b"example.test"[..]));
    assert_eq!(header.tlvs.get(kind::UNIQUE_ID), Some(&b"id"[..]));
    let ssl = header.tlvs.get(kind::SSL).unwrap();
    assert_eq!(ssl[..5], [7, 0, 0, 0, 0]);
    assert_eq!(Tlvs(&ssl[5..]).get(kind::SSL_VERSION), Some(&b"TLSv1.3"[..]));
    assert_eq!(Tlvs(&ssl[5..]).get(kind::SSL_CN), Some(&b"ada"[..]));
}

#[test]
fn without_a_verified_certificate_verify_is_not_0() {
    let tls = Some(Secured { version: "TLSv1.2", ..Secured::default() });
    let mut out = Vec::new();
    write_v2(
        Transport::Stream,
        at("192.0.2.1:1"),
        at(V6),
        &Extras { tls, ..Extras::default() },
        &mut out,
    );
    let Ok(Parse::Complete(header)) = parse(&out) else { panic!() };
    assert_eq!(header.tlvs.get(kind::SSL).unwrap()[..5], [1, 0, 0, 0, 1]);
}

#[test]
fn connections_without_a_client_are_told_as_such() {
    let (mut v1, mut v2) = (Vec::new(), Vec::new());
    write_unknown(&mut v1);
    write_local(&mut v2);
    assert_eq!((addresses(&v1), addresses(&v2)), (Ok(Addresses::Own), Ok(Addresses::Own)));
}

#[test]
fn a_datagram_has_its_whole_header_of_version_2() {
    let mut out = Vec::new();
    let ends = (at("192.0.2.1:1"), at("192.0.2.2:2"));
    write_v2(Transport::Datagram, ends.0, ends.1, &Extras::default(), &mut out);
    let transport = Transport::Datagram;
    let told = Addresses::Passed { transport, source: ends.0, destination: ends.1 };
    let read = |bytes: &[u8]| parse_datagram(bytes).map(|header| (header.len, header.addresses));
    assert_eq!(read(&out), Ok((out.len(), told)));
    assert_eq!(read(&[&*out, b"payload"].concat()), Ok((out.len(), told)));
    for n in 0..out.len() {
        let begun = n >= v2::SIGNATURE.len();
        let expected = if begun { Fault::Malformed } else { Fault::Missing };
        assert_eq!(read(&out[..n]), Err(expected), "{n}");
    }
    let mut stream = Vec::new();
    write_v2(Transport::Stream, ends.0, ends.1, &Extras::default(), &mut stream);
    assert_eq!(read(&stream), Err(Fault::Malformed));
    assert_eq!(read(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"), Err(Fault::Malformed));
    assert_eq!(read(b"PROXY UNKNOWN\r\n"), Err(Fault::Malformed));
    let mut local = Vec::new();
    write_local(&mut local);
    assert_eq!(read(&local), Ok((16, Addresses::Own)));
    out[16] ^= 1;
    assert_eq!(read(&out), Err(Fault::Checksum));
}

fn any_address() -> impl Strategy<Value = SocketAddr> {
    (any::<std::net::IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

fn both_canonical(a: SocketAddr, b: SocketAddr) -> (SocketAddr, SocketAddr) {
    let canonical = |a: SocketAddr| SocketAddr::new(a.ip().to_canonical(), a.port());
    (canonical(a), canonical(b))
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        source in any_address(), destination in any_address(),
        alpn in vec(any::<u8>(), 0..300), id in vec(any::<u8>(), 0..200),
        authority in ".{0,100}", tail in vec(any::<u8>(), 0..20),
    ) {
        let (mut v1, mut v2) = (Vec::new(), Vec::new());
        write_v1(source, destination, &mut v1);
        let extras = Extras {
            alpn: Some(&alpn), authority: Some(&authority), unique_id: Some(&id), tls: None,
        };
        write_v2(Transport::Stream, source, destination, &extras, &mut v2);
        for mut bytes in [v1, v2] {
            let len = bytes.len();
            bytes.extend_from_slice(&tail);
            let Ok(Parse::Complete(header)) = parse(&bytes) else { panic!("{bytes:?}") };
            prop_assert_eq!(header.len, len);
            let Addresses::Passed { source: s, destination: d, .. } = header.addresses else {
                panic!("no addresses")
            };
            prop_assert_eq!(both_canonical(s, d), both_canonical(source, destination));
            for n in 0..len {
                prop_assert_eq!(parse(&bytes[..n]), Ok(Parse::Partial));
            }
        }
    }

    #[test]
    fn what_is_written_of_a_datagram_is_read(
        source in any_address(), destination in any_address(),
        id in vec(any::<u8>(), 0..200), payload in vec(any::<u8>(), 0..60),
    ) {
        let mut bytes = Vec::new();
        let extras = Extras { unique_id: Some(&id), ..Extras::default() };
        write_v2(Transport::Datagram, source, destination, &extras, &mut bytes);
        let len = bytes.len();
        bytes.extend_from_slice(&payload);
        let header = parse_datagram(&bytes).unwrap();
        prop_assert_eq!(&bytes[header.len..], &payload[..]);
        prop_assert_eq!(header.len, len);
        let Addresses::Passed { transport, source: s, destination: d } = header.addresses else {
            panic!("no addresses")
        };
        prop_assert_eq!(transport, Transport::Datagram);
        prop_assert_eq!(both_canonical(s, d), both_canonical(source, destination));
    }

    #[test]
    fn a_fault_stays_one_and_a_header_does_not_change(
        start in prop_oneof![Just(&b""[..]), Just(&b"PROXY TCP4 "[..]), Just(v2::SIGNATURE)],
        bytes in vec(prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(0x21), Just(0x11), Just(0)], 0..150),
    ) {
        let all = [start, &bytes].concat();
        let mut before = Ok(Parse::Partial);
        for n in 0..=all.len() {
            let now = parse(&all[..n]);
            if before != Ok(Parse::Partial) {
                prop_assert_eq!(now, before);
            }
            if let Ok(Parse::Complete(header)) = now {
                prop_assert!(header.len <= n && header.len <= MAX_BYTES);
            }
            before = now;
        }
    }

    #[test]
    fn a_changed_bit_is_noticed(at_bit in 0usize..8 * 80, id in vec(any::<u8>(), 16)) {
        let mut out = Vec::new();
        let extras = Extras { unique_id: Some(&id), ..Extras::default() };
        write_v2(Transport::Stream, at(V6), at("[::1]:2"), &extras, &mut out);
        let bit = at_bit % (out.len() * 8);
        out[bit / 8] ^= 1 << (bit % 8);
        let found = parse(&out);
        // As `LOCAL`, or as one without a checksum, it tells nothing of addresses or is malformed.
        if let Ok(Parse::Complete(header)) = found {
            prop_assert!(header.addresses == Addresses::Own || header.tlvs.get(kind::CRC32C).is_none());
        }
    }
}
