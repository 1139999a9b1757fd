//! The few fields of an X.509 certificate that we report, and the names in it as text.
//! Nothing here decides about trust, which is the verifier's work.

use x509_parser::asn1_rs::{Enumerated, FromDer, Sequence, ToDer};
use x509_parser::certificate::X509CertificateParser;
use x509_parser::nom::Parser;
use x509_parser::oid_registry::Oid;
use x509_parser::x509::{AttributeTypeAndValue, X509Name, X509Version};

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
    /// Set if its version can have extensions (RFC 5280 §4.1.2.1).
    pub is_v3: bool,
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
        is_v3: certificate.version() == X509Version::V3,
    })
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
            is_v3: true,
        };
        assert_eq!(fields(made.der()), Some(expected));
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
            let _ = (fields(&bytes), ocsp_status(&bytes));
            let _ = fields(&element(SEQUENCE, &element(SEQUENCE, &bytes[..bytes.len().min(100)])));
        }
    }
}
