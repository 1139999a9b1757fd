use super::*;
use proptest::prelude::*;
use std::cell::Cell;

thread_local! {
    /// The number of records that were looked at.
    pub(super) static LOOKED: Cell<usize> = const { Cell::new(0) };
}

pub(crate) fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &vec16(data)].concat()
}

fn vec16(data: &[u8]) -> Vec<u8> {
    [&(data.len() as u16).to_be_bytes()[..], data].concat()
}

pub(crate) fn sni(name: &[u8]) -> Vec<u8> {
    extension(EXT_SERVER_NAME, &vec16(&[&[HOST_NAME][..], &vec16(name)].concat()))
}

fn alpn_extension(names: &[&[u8]]) -> Vec<u8> {
    let list: Vec<u8> = names.iter().flat_map(|n| [&[n.len() as u8][..], n].concat()).collect();
    extension(EXT_ALPN, &vec16(&list))
}

/// A ClientHello message with these extensions.
pub(crate) fn message(extensions: &[Vec<u8>]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([9; 32]);
    body.extend([0, 0, 2, 0x13, 1, 1, 0]);
    body.extend(vec16(&extensions.concat()));
    let len = (body.len() as u32).to_be_bytes();
    [&[CLIENT_HELLO][..], &len[1..], &body].concat()
}

fn records(message: &[u8], size: usize) -> Vec<u8> {
    message.chunks(size).flat_map(|c| [&[RECORD_HANDSHAKE, 3, 1][..], &vec16(c)].concat()).collect()
}

fn name_of(extensions: &[Vec<u8>]) -> Result<Option<String>, HelloError> {
    match peek_client_hello(&records(&message(extensions), 16_384))? {
        Parse::Complete(info) => Ok(info.sni.map(Into::into)),
        Parse::Partial => panic!("all of it was there"),
    }
}

#[test]
fn name_and_protocols_are_found_however_the_hello_is_cut() {
    let hello = message(&[
        extension(0x0a0a, b"grease"),
        sni(b"WWW.Example.com"),
        alpn_extension(&[b"h2", b"http/1.1"]),
    ]);
    for size in [1, 2, 7, 50, 16_384] {
        let bytes = records(&hello, size);
        for cut in 0..bytes.len() {
            assert_eq!(peek_client_hello(&bytes[..cut]), Ok(Parse::Partial), "{size} {cut}");
        }
        let Ok(Parse::Complete(info)) = peek_client_hello(&bytes) else { panic!("{size}") };
        assert_eq!(info.sni.as_deref(), Some("www.example.com"));
        assert_eq!(info.alpn, [Box::from(&b"h2"[..]), Box::from(&b"http/1.1"[..])]);
    }
}

#[test]
fn names_are_normalised_or_refused() {
    assert_eq!(name_of(&[]), Ok(None));
    assert_eq!(name_of(&[sni(b"a.example.")]), Ok(Some("a.example".into())));
    assert_eq!(name_of(&[sni(b"_x-1.example")]), Ok(Some("_x-1.example".into())));
    assert_eq!(name_of(&[sni(b"192.0.2.1")]), Ok(None));
    assert_eq!(name_of(&[sni(b"2001:db8::1")]), Ok(None));
    for bad in
        [&b""[..], b".", b"a..b", b"a b", b"a\0", b"\xff", b"a/b", &[b'a'; 64], &b"a.".repeat(128)]
    {
        assert_eq!(name_of(&[sni(bad)]), Err(HelloError::Malformed), "{bad:?}");
    }
    assert_eq!(name_of(&[sni(b"a.example"), sni(b"b.example")]), Err(HelloError::Malformed));
    let two = [&[HOST_NAME][..], &vec16(b"a"), &[HOST_NAME], &vec16(b"b")].concat();
    let two = extension(EXT_SERVER_NAME, &vec16(&two));
    assert_eq!(name_of(&[two]), Err(HelloError::Malformed));
}

#[test]
fn what_is_not_tls_is_told_from_bad_tls() {
    assert_eq!(peek_client_hello(b"GET / HTTP/1.1\r\n"), Err(HelloError::NotTls));
    assert_eq!(peek_client_hello(b"\x16"), Ok(Parse::Partial));
    assert_eq!(peek_client_hello(b"\x16\x02"), Err(HelloError::NotTls));
    assert_eq!(peek_client_hello(b"\x16\x03\x01\0\0"), Err(HelloError::Malformed));
    assert_eq!(peek_client_hello(b"\x16\x03\x01\xff\xff"), Err(HelloError::Malformed));
    assert_eq!(peek_client_hello(b"\x16\x03\x01\0\x04\x02\0\0\0"), Err(HelloError::Malformed));
    let mut trailing = message(&[]);
    trailing.push(0);
    assert_eq!(peek_client_hello(&records(&trailing, 16_384)), Err(HelloError::Malformed));
    let (mut not_tls, mut malformed) = (Vec::new(), Vec::new());
    HelloError::NotTls.write_alert(&mut not_tls);
    HelloError::Malformed.write_alert(&mut malformed);
    assert_eq!((&not_tls[..], &malformed[..]), (&b""[..], &[21, 3, 3, 0, 2, 2, 50][..]));
}

#[test]
fn a_hello_too_long_is_refused_before_it_has_come() {
    assert_eq!(peek_client_hello(b"\x16\x03\x01\0\x04\x01\0\x40\0"), Err(HelloError::TooLong));
    let largest = message(&[extension(21, &vec![0; 16_384 - 51])]);
    assert_eq!(largest.len(), 16_384);
    assert!(matches!(peek_client_hello(&records(&largest, 16_384)), Ok(Parse::Complete(_))));
    assert_eq!(peek_client_hello(&records(&largest, 1)), Err(HelloError::TooLong));
}

#[test]
fn a_hello_that_trickles_in_costs_each_record_once() {
    let hello = message(&[sni(b"www.example.com"), extension(21, &vec![0; 2_000])]);
    let (bytes, count) = (records(&hello, 1), hello.len());
    let mut reader = HelloReader::default();
    LOOKED.set(0);
    let told: Vec<_> = (1..=bytes.len()).map(|n| reader.read(&bytes[..n])).collect();
    let (last, before) = told.split_last().unwrap();
    assert!(before.iter().all(|one| *one == Ok(Parse::Partial)));
    assert_eq!(*last, peek_client_hello(&bytes));
    // Once for each byte that came, once for each record passed, once more to join them; and those of
    // the comparison above, which looks at each record twice.
    assert!(LOOKED.get() <= bytes.len() + 4 * count + 4, "{}", LOOKED.get());
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        fuzz_client_hello(&bytes);
        fuzz_client_hello(&records(&bytes, 100));
        let len = (bytes.len() as u32).to_be_bytes();
        fuzz_client_hello(&records(&[&[CLIENT_HELLO][..], &len[1..], &bytes].concat(), 100));
    }

    #[test]
    fn a_damaged_hello_is_parsed_without_panic(at in 0usize..120, to in any::<u8>()) {
        let hello = message(&[sni(b"www.example.com"), alpn_extension(&[b"h2"])]);
        let mut bytes = records(&hello, 40);
        let at = at % bytes.len();
        bytes[at] = to;
        fuzz_client_hello(&bytes);
    }
}
