#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::hello::tests::{extension, message, sni};
use proptest::prelude::*;
use rustls::Side;
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::quic::Version;

/// The connection id of the examples of both RFCs.
const ID: [u8; 8] = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];

fn hex(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|p| u8::from_str_radix(std::str::from_utf8(p).unwrap(), 16).unwrap()).collect()
}

/// A client that seals what tests tell it to.
struct Client {
    version: Version,
    id: Vec<u8>,
    /// The connection id that its keys are made of.
    sealed_for: Vec<u8>,
    number: u64,
}

impl Client {
    fn new() -> Self {
        Self::of(&ID)
    }

    /// A client that chose this connection id.
    fn of(id: &[u8]) -> Self {
        Self { version: Version::V1, id: id.to_vec(), sealed_for: id.to_vec(), number: 0 }
    }

    /// An Initial packet with these frames.
    fn initial(&mut self, frames: &[u8]) -> Vec<u8> {
        let (first, version) = match self.version {
            Version::V2 => (0xd3, 0x6b33_43cfu32),
            _ => (0xc3, 1),
        };
        let mut header = vec![first];
        header.extend(version.to_be_bytes());
        header.push(self.id.len() as u8);
        header.extend(&self.id);
        header.extend([0, 0]);
        header.extend((0x4000 | (4 + frames.len() + 16) as u16).to_be_bytes());
        let number_at = header.len();
        header.extend((self.number as u32).to_be_bytes());
        let suite = TLS13_AES_128_GCM_SHA256.tls13().unwrap().quic_suite().unwrap();
        let keys = suite.keys(&self.sealed_for, Side::Client, self.version).local;
        let mut payload = frames.to_vec();
        let tag = keys.packet.encrypt_in_place(self.number, &header, &mut payload).unwrap();
        payload.extend(tag.as_ref());
        let (head, number) = header.split_at_mut(number_at);
        keys.header.encrypt_in_place(&payload[..16], &mut head[0], number).unwrap();
        self.number += 1;
        header.extend(payload);
        header
    }

    /// A datagram with one Initial packet, as long as it has to be.
    fn datagram(&mut self, frames: &[u8]) -> Vec<u8> {
        let mut frames = frames.to_vec();
        frames.resize(frames.len().max(1200), 0);
        self.initial(&frames)
    }
}

fn varint(n: usize) -> [u8; 4] {
    (0x8000_0000 | n as u32).to_be_bytes()
}

fn crypto(offset: usize, bytes: &[u8]) -> Vec<u8> {
    [&[6][..], &varint(offset), &varint(bytes.len()), bytes].concat()
}

fn hello(name: &str) -> Vec<u8> {
    message(&[extension(51, &[7; 1_216]), sni(name.as_bytes())])
}

/// Returns what a reader says of each datagram.
fn said<D: AsRef<[u8]>>(datagrams: &[D]) -> Vec<Result<Option<String>, Unread>> {
    let (mut reader, mut room) = (InitialReader::default(), Vec::new());
    let mut read = |d: &D| match reader.read(d.as_ref(), &mut room)? {
        Parse::Complete(hello) => Ok(Some(hello.sni.map_or(String::new(), Into::into))),
        Parse::Partial => Ok(None),
    };
    datagrams.iter().map(&mut read).collect()
}

fn named(name: &str) -> Result<Option<String>, Unread> {
    Ok(Some(name.into()))
}

#[test]
fn the_initials_of_the_rfcs_are_read() {
    // RFC 9001 A.2: the one CRYPTO frame, and what the packet of both RFCs begins and ends with.
    let frame = hex(concat!(
        "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e868",
        "04fe3a47f06a2b69484c00000413011302010000c000000010000e00000b6578",
        "616d706c652e636f6dff01000100000a00080006001d00170018001000070005",
        "04616c706e000500050100000000003300260024001d00209370b2c9caa47fba",
        "baf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b000302030400",
        "0d0010000e0403050306030203080408050806002d00020101001c0002400100",
        "3900320408ffffffffffffffff05048000ffff07048000ffff08011001048000",
        "75300901100f088394c8f03e51570806048000ffff",
    ));
    for (version, begin, end) in [
        (
            Version::V1,
            "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11",
            "e221af44860018ab0856972e194cd934",
        ),
        (
            Version::V2,
            "d76b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6abcdb4298b485",
            "a18b2faa745b6fe189cf772a9f84cbfc",
        ),
    ] {
        let mut client = Client { version, number: 2, ..Client::new() };
        let mut frames = frame.clone();
        frames.resize(1162, 0);
        let datagram = client.initial(&frames);
        // The last 16 bytes are the tag over all others.
        assert_eq!((datagram.len(), &datagram[..32]), (1200, &*hex(begin)));
        assert_eq!(&datagram[1184..], &*hex(end));
        assert_eq!(said(&[datagram]), [named("example.com")]);
    }
}

#[test]
fn a_hello_of_several_datagrams_is_read_in_any_order() {
    let hello = hello("a.example");
    let (head, tail) = hello.split_at(1_000);
    let mut client = Client::new();
    let datagrams = [client.datagram(&crypto(0, head)), client.datagram(&crypto(1_000, tail))];
    assert_eq!(said(&datagrams), [Ok(None), named("a.example")]);
    let [first, second] = datagrams;
    assert_eq!(said(&[&second, &second, &first]), [Ok(None), Ok(None), named("a.example")]);
    // What anybody may have sent between them is passed over.
    let mut other = Client::of(&[1; 8]);
    let noise: [&[u8]; 3] = [b"", b"\x40short", &[0xc0; 1200]];
    for noise in noise.into_iter().chain([&*other.datagram(&crypto(0, b"\x01\0\0\0"))]) {
        assert_eq!(said(&[&first, noise, &second]), [Ok(None), Ok(None), named("a.example")]);
    }
    // The keys are no secret: whoever saw the first packet can seal, but not for another connection.
    let mut stranger = Client { id: vec![1; 8], ..Client::new() };
    let conflict = stranger.datagram(&crypto(0, b"\x02"));
    assert_eq!(said(&[&first, &conflict, &second]), [Ok(None), Ok(None), named("a.example")]);
}

#[test]
fn what_stands_beside_an_initial_is_passed_over() {
    let hello = hello("a.example");
    let mut client = Client::new();
    // No frame of an Initial packet is of kind 9, so what is left of one here would be refused.
    let acknowledged = &[2, 9, 9, 1, 9, 9, 9, 1, 3, 9, 9, 0, 9, 9, 9, 9, 28, 9, 9, 1, 9];
    let frames = [&acknowledged[..], &crypto(0, &hello[..900])].concat();
    let early = [&[0xd0, 0, 0, 0, 1, 8][..], &ID, &[0, 3, 1, 2, 3]].concat();
    let first = [client.initial(&frames), early.clone(), vec![0; 300]].concat();
    let second = [early.clone(), client.datagram(&crypto(900, &hello[900..]))].concat();
    // Early data may overtake the Initial.
    assert_eq!(said(&[&early, &first, &second]), [Ok(None), Ok(None), named("a.example")]);
    // An endpoint takes no Initial out of a datagram that is too short, so it says nothing here.
    let short = client.initial(&crypto(900, &hello[900..]));
    assert!(short.len() < LEAST_DATAGRAM);
    assert_eq!(said(&[&first, &short, &second]), [Ok(None), Ok(None), named("a.example")]);
}

#[test]
fn a_hello_without_a_name_is_one() {
    let mut client = Client::new();
    let whole = message(&[extension(51, &[7; 32])]);
    assert_eq!(said(&[client.datagram(&crypto(0, &whole))]), [named("")]);
}

#[test]
fn what_is_no_initial_is_told_by_reason() {
    let good = Client::new().datagram(&crypto(0, &hello("a.example")));
    let changed = |at: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[at] = to;
        bytes
    };
    let retry = changed(0, 0xf0);
    for (bytes, why) in [
        (b"hello".to_vec(), Unread::NotQuic),
        (vec![0x80, 0], Unread::NotQuic),
        (changed(0, 0x43), Unread::NotQuic),
        (changed(4, 0), Unread::NotQuic),
        (retry, Unread::NotQuic),
        (changed(4, 2), Unread::Version),
        (changed(1, 0xff), Unread::Version),
        (changed(5, 21), Unread::Malformed),
        (changed(600, good[600] ^ 1), Unread::Malformed),
        (good[..1100].to_vec(), Unread::Malformed),
        (Client::new().initial(&crypto(0, b"short")), Unread::Malformed),
        (Client::of(&[1; 7]).datagram(&[0]), Unread::Malformed),
    ] {
        assert_eq!(said(&[&bytes]), [Err(why)], "{:x?}", &bytes[..bytes.len().min(20)]);
    }
}

#[test]
fn frames_and_hellos_that_an_endpoint_would_refuse_are_refused() {
    let conflict = [crypto(0, b"\x01\0"), crypto(1, b"\x01")].concat();
    for (frames, why) in [
        (vec![8, 0], Unread::Malformed),
        (vec![6, 0, 0x7f, 0xff], Unread::Malformed),
        // More acknowledged ranges than there are bytes.
        (vec![2, 0, 0, 0x7f, 0xff], Unread::Malformed),
        (crypto(0, b"\x02\0\0\x01\0"), Unread::Malformed),
        (conflict, Unread::Malformed),
        (crypto(0, b"\x01\0\x40\0"), Unread::TooLong),
        (crypto(16_384, b"x"), Unread::TooLong),
        ([&[6][..], &[0xff; 8], &[0x41, 0]].concat(), Unread::TooLong),
    ] {
        assert_eq!(said(&[Client::new().datagram(&frames)]), [Err(why)], "{frames:x?}");
    }
}

proptest! {
    #[test]
    fn however_a_hello_is_cut_its_name_is_found(
        v2 in any::<bool>(),
        cuts in proptest::collection::vec(0usize..1_300, 0..40),
        seeds in proptest::collection::vec(any::<u32>(), 60),
        per in 1usize..20,
    ) {
        let hello = hello("www.a.example");
        let mut cuts: Vec<usize> =
            cuts.into_iter().map(|c| c % hello.len()).chain([0, hello.len()]).collect();
        cuts.sort_unstable();
        let mut pieces: Vec<Vec<u8>> = cuts
            .windows(2)
            .zip(&seeds)
            // Some reach back over those before them.
            .map(|(w, seed)| (w[0].saturating_sub(*seed as usize % 50), w[1]))
            .map(|(from, to)| crypto(from, &hello[from..to]))
            .collect();
        let mut order = seeds.iter().cycle();
        pieces.sort_by_cached_key(|_| *order.next().unwrap());
        let version = if v2 { Version::V2 } else { Version::V1 };
        let mut client = Client { version, ..Client::new() };
        let datagrams: Vec<Vec<u8>> =
            pieces.chunks(per).map(|frames| client.datagram(&frames.concat())).collect();
        let said = said(&datagrams);
        let at = said.iter().position(|one| *one == named("www.a.example"));
        prop_assert!(at.is_some_and(|at| said[..at].iter().all(|one| *one == Ok(None))), "{said:?}");
    }

    #[test]
    fn any_bytes_are_read_without_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        frames in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        fuzz_initials(&bytes);
        let known = [&[0xc3, 0, 0, 0, 1, 8][..], &ID, &bytes].concat();
        said(&[known]);
        said(&[Client::new().datagram(&frames)]);
    }
}
