//! Leaf certificates of unusual forms: which are served, and which are refused.

use crate::common::*;
use crate::der::*;
use hg_plan::Kind;
use rcgen::{CertificateParams, CustomExtension, KeyPair};

/// Returns a certificate as version 1 has it (RFC 5280 §4.1): without its version and extensions.
/// Its signature is no longer right, which servers do not check.
fn version_1(certificate: &[u8]) -> Vec<u8> {
    const VERSION: u8 = 0xa0;
    const EXTENSIONS: u8 = 0xa3;
    let whole = elements(content(certificate));
    let signed = elements(content(whole[0]));
    let kept = signed.into_iter().filter(|one| ![VERSION, EXTENSIONS].contains(&one[0]));
    let signed = sequence(&kept.collect::<Vec<_>>());
    sequence(&[&signed, whole[1], whole[2]])
}

#[test]
fn a_certificate_of_version_1_is_served_and_covers_no_name() {
    let (own, other) = (ecdsa(), ecdsa());
    let made = CertificateParams::new(vec!["a.example".into()]).unwrap();
    let old = version_1(made.self_signed(&own).unwrap().der());
    let old = pem_block("CERTIFICATE", &old);
    let mut world = World::default();
    world.certificate("c", &old, &own.serialize_pem());
    world.put(Kind::Host, "a.example", r#"{"certificates":["c"]}"#).listener("{}");
    let context = world.context();
    let selection = select(&context, "a.example");
    let info = selection.certificates().next().unwrap();
    assert_eq!((&*info.name, info.names.len(), info.key), ("c", 0, "ecdsa"));
    world.certificate("c", &old, &other.serialize_pem());
    assert!(world.errors()[0].contains("the private key does not belong to the certificate"));
}

/// Serves a leaf in PEM with its key, and returns the names that it covers, or what is said of it.
fn served(leaf: &str, key: &str) -> Result<Vec<String>, String> {
    let mut world = World::default();
    world.certificate("c", leaf, key);
    world.put(Kind::Host, "a.example", r#"{"certificates":["c"]}"#).listener("{}");
    let context = world.build(&ticketer(), None).map_err(|_| world.errors().remove(0))?;
    let selection = select(&context, "a.example");
    Ok(selection.certificates().next().unwrap().names.iter().map(ToString::to_string).collect())
}

fn with_extensions(found: Vec<CustomExtension>, key: &KeyPair) -> String {
    let mut wanted = CertificateParams::default();
    wanted.custom_extensions = found;
    wanted.self_signed(key).unwrap().pem()
}

#[test]
fn whether_a_client_understands_an_extension_is_for_the_client_to_say() {
    let own = ecdsa();
    let mut wanted = CertificateParams::new(vec!["A.example".into()]).unwrap();
    let mut unknown = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999], vec![5, 0]);
    unknown.set_criticality(true);
    wanted.custom_extensions.push(unknown);
    let made = wanted.self_signed(&own).unwrap();
    assert_eq!(served(&made.pem(), &own.serialize_pem()), Ok(vec!["a.example".to_owned()]));
}

#[test]
fn names_that_do_not_parse_or_are_there_twice_are_refused() {
    const ALTERNATIVES: &[u64] = &[2, 5, 29, 17];
    let own = ecdsa();
    let names = |content: &[u8]| CustomExtension::from_oid_content(ALTERNATIVES, content.to_vec());
    let good = [0x30, 3, 0x82, 1, b'a'];
    let one = with_extensions(vec![names(&good)], &own);
    assert_eq!(served(&one, &own.serialize_pem()), Ok(vec!["a".to_owned()]));
    for bad in [
        vec![names(&[0x30, 3, 0x82, 2, b'a'])],
        vec![names(&[0x30, 3, 0x82, 1, b'a', 0])],
        vec![names(&good), names(&good)],
    ] {
        let said = served(&with_extensions(bad, &own), &own.serialize_pem()).unwrap_err();
        assert!(
            said.contains("cert: the names of the leaf certificate (subjectAltName)"),
            "{said}"
        );
    }
}

#[test]
fn files_may_begin_with_the_mark_of_utf_8() {
    let own = ecdsa();
    let made = CertificateParams::new(vec!["a.example".into()]).unwrap().self_signed(&own).unwrap();
    let marked = |pem: &str| format!("\u{feff}{pem}");
    let found = served(&marked(&made.pem()), &marked(&own.serialize_pem()));
    assert_eq!(found, Ok(vec!["a.example".to_owned()]));
}
