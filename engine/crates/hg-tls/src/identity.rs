//! The identity of a peer by its verified certificate. Nothing here decides about trust, which is
//! the verifier's work.

use crate::x509;
use hg_plan::Digest;
use rustls::CommonState;
use std::net::IpAddr;
use x509_parser::certificate::X509CertificateParser;
use x509_parser::extensions::GeneralName;
use x509_parser::nom::Parser;

/// Most alternative names of a certificate, and most bytes of them together: they go into headers.
const MOST_NAMES: usize = 64;
const MOST_NAME_BYTES: usize = 4096;

/// Longest SPIFFE ID, in bytes (SPIFFE-ID §2.3).
const MOST_SPIFFE_BYTES: usize = 2048;

/// The verified certificate of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// Distinguished name, as RFC 4514 writes it; empty if it cannot be read.
    pub subject: Box<str>,
    /// sha256 of the DER form.
    pub fingerprint: Digest,
    /// The alternative names in their order: `dns:a.example`, `uri:…`, `email:…`, `ip:192.0.2.7`.
    /// Letters of DNS names and of domains in addresses are lower case; what is neither visible
    /// ASCII nor can stand in a list with commas is percent-encoded. `None` if they cannot be read,
    /// or are more than 64 or 4 KiB.
    pub names: Option<Box<[Box<str>]>>,
    /// The SPIFFE ID; empty without a valid one, and beside another URI (X.509-SVID §2).
    pub spiffe: Box<str>,
}

impl PeerCertificate {
    pub(crate) fn of(common: &CommonState) -> Option<Self> {
        Some(Self::of_der(common.peer_certificates()?.first()?))
    }

    fn of_der(der: &[u8]) -> Self {
        let fields = x509::fields(der);
        let names = fields.is_some().then(|| names(der)).flatten();
        let spiffe = names.as_deref().and_then(spiffe).unwrap_or_default().into();
        let subject = fields.map(|leaf| leaf.subject).unwrap_or_default().into();
        Self { subject, fingerprint: Digest::of(der), names, spiffe }
    }
}

/// Returns the alternative names of a certificate (RFC 5280 §4.2.1.6), those without a text of ours
/// left out.
fn names(der: &[u8]) -> Option<Box<[Box<str>]>> {
    let (_, certificate) = X509CertificateParser::new().parse(der).ok()?;
    let Some(found) = certificate.subject_alternative_name().ok()? else {
        return Some(Box::default());
    };
    let mut names: Vec<Box<str>> = Vec::new();
    for name in &found.value.general_names {
        if let GeneralName::Invalid(..) = name {
            return None;
        }
        names.extend(written(name).map(Box::from));
    }
    let bytes: usize = names.iter().map(|name| name.len()).sum();
    (names.len() <= MOST_NAMES && bytes <= MOST_NAME_BYTES).then(|| names.into())
}

fn written(name: &GeneralName<'_>) -> Option<String> {
    Some(match name {
        GeneralName::DNSName(name) => format!("dns:{}", visible(&name.to_ascii_lowercase())),
        GeneralName::URI(uri) => format!("uri:{}", visible(uri)),
        GeneralName::RFC822Name(address) => match address.rsplit_once('@') {
            Some((local, domain)) => {
                format!("email:{}@{}", visible(local), visible(&domain.to_ascii_lowercase()))
            }
            None => format!("email:{}", visible(address)),
        },
        GeneralName::IPAddress(bytes) => {
            let ip = <[u8; 4]>::try_from(*bytes)
                .map(IpAddr::from)
                .or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            format!("ip:{}", ip.ok()?)
        }
        _ => return None,
    })
}

/// Percent-encodes what could end a line or an element of a list.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'"' | b',' | b';' | b'\\' | ..=b' ' | 0x7f.. => out.push_str(&format!("%{byte:02X}")),
            byte => out.push(char::from(byte)),
        }
    }
    out
}

/// Returns the SPIFFE ID among alternative names as [`PeerCertificate::names`] has them; `None`
/// without a valid one, and beside another URI.
pub fn spiffe(names: &[Box<str>]) -> Option<&str> {
    let mut uris = names.iter().filter_map(|name| name.strip_prefix("uri:"));
    let only = uris.next().filter(|_| uris.next().is_none())?;
    is_spiffe_id(only).then_some(only)
}

/// Reports whether a URI is a SPIFFE ID (SPIFFE-ID §2): a trust domain, and a path of non-empty
/// segments without `.` and `..`.
fn is_spiffe_id(uri: &str) -> bool {
    let Some(rest) = uri.strip_prefix("spiffe://").filter(|_| uri.len() <= MOST_SPIFFE_BYTES)
    else {
        return false;
    };
    let (domain, path) = rest.split_once('/').map_or((rest, None), |(d, p)| (d, Some(p)));
    let in_domain =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
    let is_segment = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment.bytes().all(|b| in_domain(b) || b.is_ascii_uppercase())
    };
    (1..=255).contains(&domain.len())
        && domain.bytes().all(in_domain)
        && path.is_none_or(|path| path.split('/').all(is_segment))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, SanType};

    fn certificate(names: Vec<SanType>) -> Vec<u8> {
        let mut wanted = CertificateParams::new(Vec::new()).unwrap();
        wanted.subject_alt_names = names;
        wanted.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn uri(text: &str) -> SanType {
        SanType::URI(text.try_into().unwrap())
    }

    fn dns(text: &str) -> SanType {
        SanType::DnsName(text.try_into().unwrap())
    }

    fn read(names: Vec<SanType>) -> PeerCertificate {
        PeerCertificate::of_der(&certificate(names))
    }

    fn texts(peer: &PeerCertificate) -> Vec<&str> {
        peer.names.as_ref().unwrap().iter().map(|name| &**name).collect()
    }

    #[test]
    fn names_are_written_by_their_type() {
        let peer = read(vec![
            dns("API.Example"),
            uri("spiffe://prod.example/ns/a/sa/web"),
            SanType::Rfc822Name("Alice@EXAMPLE.com".try_into().unwrap()),
            SanType::IpAddress("2001:db8::7".parse().unwrap()),
        ]);
        assert_eq!(
            texts(&peer),
            [
                "dns:api.example",
                "uri:spiffe://prod.example/ns/a/sa/web",
                "email:Alice@example.com",
                "ip:2001:db8::7"
            ]
        );
        assert_eq!(&*peer.spiffe, "spiffe://prod.example/ns/a/sa/web");
        assert_eq!(texts(&read(vec![])), [""; 0]);
    }

    #[test]
    fn no_name_ends_a_line_or_an_element_of_a_list() {
        let peer = read(vec![uri("x:a,dns:root\r\nx: y"), dns("a\0b c")]);
        assert_eq!(texts(&peer), ["uri:x:a%2Cdns:root%0D%0Ax:%20y", "dns:a%00b%20c"]);
    }

    #[test]
    fn a_spiffe_id_is_the_only_uri_and_well_formed() {
        for (uris, expected) in [
            (vec!["spiffe://prod.example"], "spiffe://prod.example"),
            (vec!["spiffe://prod.example/a", "https://a.example/"], ""),
            (vec!["spiffe://prod.example/a", "spiffe://prod.example/b"], ""),
            (vec!["spiffe:///a"], ""),
            (vec!["spiffe://Prod.example/a"], ""),
            (vec!["spiffe://prod.example/"], ""),
            (vec!["spiffe://prod.example/a//b"], ""),
            (vec!["spiffe://prod.example/a/../b"], ""),
            (vec!["spiffe://prod.example/a?b"], ""),
            (vec!["spiffe://user@prod.example/a"], ""),
            (vec!["https://prod.example/a"], ""),
        ] {
            let names = uris.iter().copied().map(uri).collect();
            assert_eq!(&*read(names).spiffe, expected, "{uris:?}");
        }
    }

    #[test]
    fn names_that_are_too_many_or_too_long_are_unreadable() {
        let many = |count: usize| (0..count).map(|n| dns(&format!("{n}.example"))).collect();
        assert_eq!(texts(&read(many(64))).len(), 64);
        assert_eq!(read(many(65)).names, None);
        assert_eq!(read(vec![uri(&"a".repeat(4096))]).names, None);
        let broken = PeerCertificate::of_der(b"no certificate");
        assert_eq!((&*broken.subject, broken.names), ("", None));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = PeerCertificate::of_der(&bytes);
        }

        #[test]
        fn a_damaged_certificate_is_read_without_panic(at in 0usize..300, to in any::<u8>()) {
            let mut der = certificate(vec![dns("a.example"), uri("spiffe://a/b")]);
            if let Some(byte) = der.get_mut(at) {
                *byte = to;
            }
            let _ = PeerCertificate::of_der(&der);
        }
    }
}
