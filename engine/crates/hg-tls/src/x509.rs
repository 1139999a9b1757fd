//! The few fields of an X.509 certificate that we report, and the names in it as text.
//! Nothing here decides about trust, which is the verifier's work.

use x509_parser::asn1_rs::{Enumerated, FromDer, Sequence, ToDer};
use x509_parser::certificate::{X509Certificate, X509CertificateParser};
use x509_parser::extensions::{GeneralName, SubjectAlternativeName};
use x509_parser::nom::Parser;
use x509_parser::oid_registry::{OID_PKCS1_RSAENCRYPTION, OID_X509_EXT_SUBJECT_ALT_NAME, Oid};
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::x509::{AttributeTypeAndValue, SubjectPublicKeyInfo, X509Name};

/// Fields of a certificate; the names as RFC 4514 writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fields<'a> {
    pub issuer: String,
    /// Seconds since 1970.
    pub not_before: i64,
    /// Seconds since 1970.
    pub not_after: i64,
    pub subject: String,
    /// SubjectPublicKeyInfo in DER.
    pub public_key: &'a [u8],
    /// DNS names, lower case; `None` if its subjectAltName does not parse, or is there twice.
    pub names: Option<Box<[Box<str>]>>,
}

/// The relation of a certificate to the public half of a private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The certificate has that key.
    Same,
    /// The key is the same, but its algorithm or its parameters are not.
    SameOtherwiseDescribed,
    /// The certificate has another key.
    Other,
}

/// Returns the fields of a certificate (RFC 5280 §4.1); `None` if it does not parse, or has
/// more behind it.
pub(crate) fn fields(der: &[u8]) -> Option<Fields<'_>> {
    let mut parser = X509CertificateParser::new().with_deep_parse_extensions(false);
    let (rest, certificate) = parser.parse(der).ok()?;
    if !rest.is_empty() {
        return None;
    }
    let validity = certificate.validity();
    Some(Fields {
        issuer: name(certificate.issuer()),
        not_before: validity.not_before.timestamp(),
        not_after: validity.not_after.timestamp(),
        subject: name(certificate.subject()),
        public_key: certificate.tbs_certificate.subject_pki.raw,
        names: names(&certificate),
    })
}

/// Returns the DNS names of a certificate. Which other extensions it has, and whether a client must
/// understand them, is for clients to judge: a server presents it all the same.
fn names(certificate: &X509Certificate<'_>) -> Option<Box<[Box<str>]>> {
    let found = certificate.get_extension_unique(&OID_X509_EXT_SUBJECT_ALT_NAME).ok()?;
    let Some(extension) = found else {
        return Some(Box::default());
    };
    let (rest, alternatives) = SubjectAlternativeName::from_der(extension.value).ok()?;
    let names = alternatives.general_names.iter().filter_map(|one| match one {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase().into()),
        _ => None,
    });
    rest.is_empty().then(|| names.collect())
}

/// Compares two keys, each a SubjectPublicKeyInfo in DER (RFC 5280 §4.1.2.7). The parameters of RSA
/// are always the same, and some certificates leave them out.
pub(crate) fn owner(certified: &[u8], own: &[u8]) -> Owner {
    let parsed =
        [certified, own].map(|der| SubjectPublicKeyInfo::from_der(der).map(|(_, key)| key));
    let [Ok(certified), Ok(own)] = parsed else {
        return Owner::Other;
    };
    if certified.subject_public_key != own.subject_public_key {
        return Owner::Other;
    }
    let (theirs, ours) = (certified.algorithm, own.algorithm);
    let is_rsa = ours.algorithm == OID_PKCS1_RSAENCRYPTION;
    if theirs.algorithm == ours.algorithm && (is_rsa || theirs.parameters == ours.parameters) {
        Owner::Same
    } else {
        Owner::SameOtherwiseDescribed
    }
}

/// Reports whether DER is a revocation list without a version, which is version 1 (RFC 5280 §5.1.2.1).
pub(crate) fn is_list_of_version_1(der: &[u8]) -> bool {
    CertificateRevocationList::from_der(der).is_ok_and(|(_, list)| list.version().is_none())
}

/// Returns the status of an OCSPResponse (RFC 6960 §4.2.1).
pub(crate) fn ocsp_status(der: &[u8]) -> Option<u8> {
    let (rest, response) = Sequence::from_der(der).ok()?;
    let (_, status) = Enumerated::from_der(&response.content).ok()?;
    rest.is_empty().then_some(status.0.try_into().ok()?)
}

/// Formats a distinguished name as RFC 4514 writes it: last component first.
fn name(name: &X509Name<'_>) -> String {
    let mut rdns: Vec<String> = name
        .iter_rdn()
        .map(|rdn| rdn.iter().map(attribute).collect::<Vec<_>>().join("+"))
        .collect();
    rdns.reverse();
    rdns.join(",")
}

/// Formats an attribute; one that has no short name, or no text, by RFC 4514 §2.4 as its DER.
fn attribute(one: &AttributeTypeAndValue<'_>) -> String {
    match (short_name(one.attr_type()), one.as_str()) {
        (Some(short), Ok(text)) => format!("{short}={}", escaped(text)),
        (Some(short), Err(_)) => format!("{short}={}", hex(one)),
        (None, _) => format!("{}={}", one.attr_type().to_id_string(), hex(one)),
    }
}

fn hex(one: &AttributeTypeAndValue<'_>) -> String {
    let der = one.attr_value().to_der_vec().unwrap_or_default();
    der.iter().fold("#".to_owned(), |text, b| text + &format!("{b:02x}"))
}

/// Returns the short name of an attribute: those of RFC 4514 §3, and emailAddress, which OpenSSL
/// writes the same way.
fn short_name(oid: &Oid<'_>) -> Option<&'static str> {
    Some(match oid.as_bytes() {
        [0x55, 4, 3] => "CN",
        [0x55, 4, 6] => "C",
        [0x55, 4, 7] => "L",
        [0x55, 4, 8] => "ST",
        [0x55, 4, 9] => "STREET",
        [0x55, 4, 10] => "O",
        [0x55, 4, 11] => "OU",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25] => "DC",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1] => "UID",
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1] => "emailAddress",
        _ => return None,
    })
}

/// Escapes as RFC 4514 §2.4, and control characters, too, so that a header or a log line can hold
/// the result.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let last = text.chars().count().saturating_sub(1);
    for (i, c) in text.chars().enumerate() {
        let at_edge = (i == 0 && (c == ' ' || c == '#')) || (i == last && c == ' ');
        if c.is_control() {
            let mut utf8 = [0; 4];
            for b in c.encode_utf8(&mut utf8).bytes() {
                out.push_str(&format!("\\{b:02x}"));
            }
            continue;
        }
        if at_edge || matches!(c, '"' | '+' | ',' | ';' | '<' | '>' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SEQUENCE: u8 = 0x30;
    const SET: u8 = 0x31;
    const OID: u8 = 0x06;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, content.len() as u8][..], content].concat()
    }

    fn attribute(oid: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
        element(SEQUENCE, &[element(OID, oid), element(tag, value)].concat())
    }

    fn written(rdns: &[u8]) -> String {
        let der = element(SEQUENCE, rdns);
        name(&X509Name::from_der(&der).unwrap().1)
    }

    #[test]
    fn names_are_written_last_component_first_and_escaped() {
        let rdns = [
            element(SET, &attribute(&[0x55, 4, 6], 0x13, b"DE")),
            element(
                SET,
                &[
                    attribute(&[0x55, 4, 10], 0x0c, " a,b+c\r\n ".as_bytes()),
                    attribute(&[0x55, 4, 11], 0x0c, "#\u{e4}".as_bytes()),
                ]
                .concat(),
            ),
            element(SET, &attribute(&[42, 3], 0x0c, b"x")),
            element(SET, &attribute(&[0x55, 4, 3], 0x1e, &[0, 65])),
        ]
        .concat();
        assert_eq!(
            written(&rdns),
            "CN=#1e020041,1.2.3=#0c0178,O=\\ a\\,b\\+c\\0d\\0a\\ +OU=\\#\u{e4},C=DE"
        );
        assert_eq!(written(&[]), "");
    }

    #[test]
    fn a_certificate_says_whose_it_is_and_when_it_holds() {
        let mut wanted = rcgen::CertificateParams::new(vec!["a.example".into()]).unwrap();
        wanted.distinguished_name = rcgen::DistinguishedName::new();
        wanted.distinguished_name.push(rcgen::DnType::OrganizationName, "A, B");
        wanted.distinguished_name.push(rcgen::DnType::CommonName, "a.example");
        wanted.not_before = rcgen::date_time_ymd(1970, 1, 2);
        wanted.not_after = rcgen::date_time_ymd(2100, 3, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let made = wanted.self_signed(&key).unwrap();
        let name = "CN=a.example,O=A\\, B".to_owned();
        let expected = Fields {
            issuer: name.clone(),
            not_before: 86_400,
            not_after: 4_107_542_400,
            subject: name,
            public_key: &rcgen::PublicKeyData::subject_public_key_info(&key),
            names: Some(["a.example".into()].into()),
        };
        assert_eq!(fields(made.der()), Some(expected));
    }

    #[test]
    fn a_key_is_the_same_with_its_algorithm_and_parameters() {
        const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
        const RSASSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];
        const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
        const NULL: &[u8] = &[5, 0];
        const NAMED: &[u8] = &[OID, 3, 0x2b, 0x81, 4];
        const EXPLICIT: &[u8] = &[SEQUENCE, 3, 2, 1, 1];
        let key = |algorithm: &[u8], parameters: &[u8], point: u8| {
            let described = [&element(OID, algorithm), parameters].concat();
            let bits = element(3, &[0, point]);
            element(SEQUENCE, &[element(SEQUENCE, &described), bits].concat())
        };
        for (certified, own, expected) in [
            (key(RSA, NULL, 1), key(RSA, NULL, 1), Owner::Same),
            (key(RSA, b"", 1), key(RSA, NULL, 1), Owner::Same),
            (key(RSA, NULL, 2), key(RSA, NULL, 1), Owner::Other),
            (key(RSASSA_PSS, NULL, 1), key(RSA, NULL, 1), Owner::SameOtherwiseDescribed),
            (key(EC, NAMED, 1), key(EC, NAMED, 1), Owner::Same),
            (key(EC, EXPLICIT, 1), key(EC, NAMED, 1), Owner::SameOtherwiseDescribed),
            (key(EC, EXPLICIT, 2), key(EC, NAMED, 1), Owner::Other),
            (b"".to_vec(), key(EC, NAMED, 1), Owner::Other),
        ] {
            assert_eq!(owner(&certified, &own), expected, "{certified:?} {own:?}");
        }
    }

    #[test]
    fn only_a_response_status_alone_counts() {
        assert_eq!(ocsp_status(&[0x30, 3, 0x0a, 1, 0]), Some(0));
        assert_eq!(ocsp_status(&[0x30, 3, 0x0a, 1, 0, 0]), None);
        assert_eq!(ocsp_status(&[0x30, 4, 0x0a, 2, 4, 0]), None);
        assert_eq!(ocsp_status(b""), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = (fields(&bytes), ocsp_status(&bytes), owner(&bytes, &bytes));
            let _ = fields(&element(SEQUENCE, &element(SEQUENCE, &bytes[..bytes.len().min(100)])));
        }
    }
}
