//! Takes DER apart and puts it together again, for certificates and lists of unusual forms.

use base64::Engine as _;
use x509_parser::asn1_rs::{Any, FromDer, Sequence, ToDer};

/// Splits DER into its elements.
pub fn elements(mut der: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while !der.is_empty() {
        let (rest, _) = Any::from_der(der).unwrap();
        found.push(&der[..der.len() - rest.len()]);
        der = rest;
    }
    found
}

/// Returns the content of an element.
pub fn content(der: &[u8]) -> &[u8] {
    Any::from_der(der).unwrap().1.data
}

pub fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    Sequence::new(parts.concat().into()).to_der_vec().unwrap()
}

/// Returns DER as a block of PEM.
pub fn pem_block(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}
