//! Hellos of a real TLS client (rustls) in every form: post-quantum, with ECH, with and without a
//! name. However they are cut, the parser says what rustls' own server side says of them.

use hg_tls::{ClientHelloInfo, Parse, fuzz_client_hello, peek_client_hello};
use proptest::prelude::*;
use rustls::client::{EchConfig, EchGreaseConfig, EchMode};
use rustls::crypto::aws_lc_rs::{ALL_KX_GROUPS, default_provider, hpke};
use rustls::crypto::hpke::Hpke;
use rustls::pki_types::{EchConfigListBytes, ServerName};
use rustls::server::Acceptor;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::sync::LazyLock;

const ECH_SUITE: &dyn Hpke = hpke::DH_KEM_X25519_HKDF_SHA256_AES_128;

/// An ECHConfigList for the public name `public.example` (RFC 9849 §4): X25519, HKDF-SHA256,
/// AES-128-GCM; nobody holds the key.
fn ech_list() -> EchConfigListBytes<'static> {
    let name = b"public.example";
    let mut contents = vec![7, 0, 0x20, 0, 32];
    contents.extend([9; 32]);
    contents.extend([0, 4, 0, 1, 0, 1, 64, name.len() as u8]);
    contents.extend(name);
    contents.extend([0, 0]);
    let len = contents.len() as u16;
    let mut list = (len + 4).to_be_bytes().to_vec();
    list.extend([0xfe, 0x0d]);
    list.extend(len.to_be_bytes());
    list.extend(contents);
    list.into()
}

fn ech(how: &str) -> Option<EchMode> {
    let (public, _) = ECH_SUITE.generate_key_pair().unwrap();
    match how {
        "grease" => Some(EchMode::Grease(EchGreaseConfig::new(ECH_SUITE, public))),
        "real" => Some(EchMode::Enable(EchConfig::new(ech_list(), &[ECH_SUITE]).unwrap())),
        _ => None,
    }
}

/// What a client sends first: one record.
fn hello(name: &str, alpn: &[&str], pq: bool, ech_mode: &str) -> Vec<u8> {
    let mut provider = default_provider();
    let is_pq = |group: rustls::NamedGroup| group == rustls::NamedGroup::X25519MLKEM768;
    provider.kx_groups = ALL_KX_GROUPS.iter().copied().filter(|g| is_pq(g.name()) == pq).collect();
    let builder = ClientConfig::builder_with_provider(provider.into());
    let builder = match ech(ech_mode) {
        Some(mode) => builder.with_ech(mode).unwrap(),
        None => builder.with_safe_default_protocol_versions().unwrap(),
    };
    let mut config = builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(config.into(), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

static HELLOS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    vec![
        hello("a.example", &["h2", "http/1.1"], true, ""),
        hello("a.example", &[], false, ""),
        hello("192.0.2.1", &["x"], true, ""),
        hello("b.example", &["h2"], true, "grease"),
        hello("hidden.example", &["h2"], true, "real"),
    ]
});

/// Puts a hello into records of these sizes, over and over.
fn records(hello: &[u8], sizes: &[usize]) -> Vec<u8> {
    let mut rest = hello.get(5..).unwrap();
    let mut out = Vec::new();
    for size in sizes.iter().cycle() {
        let (now, later) = rest.split_at((*size).clamp(1, rest.len()));
        out.extend_from_slice(&[22, 3, 1]);
        out.extend((now.len() as u16).to_be_bytes());
        out.extend_from_slice(now);
        rest = later;
        if rest.is_empty() {
            return out;
        }
    }
    out
}

/// What rustls' server side reads.
fn oracle(mut bytes: &[u8]) -> ClientHelloInfo {
    let mut acceptor = Acceptor::default();
    loop {
        acceptor.read_tls(&mut bytes).unwrap();
        if let Some(accepted) = acceptor.accept().map_err(|(e, _)| e).unwrap() {
            let hello = accepted.client_hello();
            let alpn = hello.alpn().map(|all| all.map(Into::into).collect());
            let sni = hello.server_name().map(Into::into);
            return ClientHelloInfo { sni, alpn: alpn.unwrap_or_default() };
        }
    }
}

fn name_of(bytes: &[u8]) -> Option<String> {
    let Ok(Parse::Complete(info)) = peek_client_hello(bytes) else {
        return Some("no hello".into());
    };
    info.sni.map(Into::into)
}

#[test]
fn real_hellos_say_what_rustls_reads() {
    for hello in HELLOS.iter() {
        assert_eq!(peek_client_hello(hello), Ok(Parse::Complete(oracle(hello))));
    }
    assert_eq!(name_of(&HELLOS[0]).as_deref(), Some("a.example"));
    assert!(HELLOS[0].len() > 1_400, "a post-quantum hello does not fit into one segment");
    assert_eq!(name_of(&HELLOS[2]), None);
    // With ECH the outer name is the public one; GREASE leaves the name as it is.
    assert_eq!(name_of(&HELLOS[3]).as_deref(), Some("b.example"));
    assert_eq!(name_of(&HELLOS[4]).as_deref(), Some("public.example"));
}

#[test]
fn a_prefix_of_any_length_is_only_a_part() {
    for hello in HELLOS.iter() {
        for end in 0..hello.len() {
            assert_eq!(peek_client_hello(&hello[..end]), Ok(Parse::Partial), "{end}");
        }
    }
}

#[test]
fn what_follows_the_record_of_the_hello_is_not_its_business() {
    for hello in HELLOS.iter() {
        // ChangeCipherSpec and early data, as with 0-RTT.
        let more = [&hello[..], &[20, 3, 3, 0, 1, 1, 23, 3, 3, 0, 2, 0]].concat();
        assert_eq!(peek_client_hello(&more), peek_client_hello(hello));
    }
}

proptest! {
    #[test]
    fn records_of_any_sizes_say_the_same(
        which in 0usize..5,
        sizes in prop::collection::vec(8usize..900, 1..6),
        cut in 0.0..1.0f64,
    ) {
        let bytes = records(&HELLOS[which], &sizes);
        prop_assert_eq!(peek_client_hello(&bytes), Ok(Parse::Complete(oracle(&HELLOS[which]))));
        let end = (bytes.len() as f64 * cut) as usize;
        prop_assert_eq!(peek_client_hello(&bytes[..end]), Ok(Parse::Partial));
    }

    #[test]
    fn a_damaged_hello_is_judged_as_its_beginning_is(
        which in 0usize..5,
        at in 0.0..1.0f64,
        to in any::<u8>(),
    ) {
        let mut bytes = HELLOS[which].clone();
        let at = (bytes.len() as f64 * at) as usize;
        bytes[at] = to;
        fuzz_client_hello(&bytes);
    }
}
