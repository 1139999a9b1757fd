//! The client's certificate of a question, which comes in lines with names that no header can have.

use hg_plan::Digest;
use hg_route::{CLIENT_SUBJECT, ClientCertificate, Headers};

/// The names that stand for an alternative name, and for the SHA-256 of the certificate in hex.
const CLIENT_SAN: &str = ":client-san";
const CLIENT_FINGERPRINT: &str = ":client-fingerprint";

/// The header lines of a question, and the certificate of its client.
pub(super) struct Asked<'a> {
    lines: &'a Vec<(String, String)>,
    identity: Option<Identity>,
}

impl<'a> Asked<'a> {
    pub(super) fn of(lines: &'a Vec<(String, String)>) -> Self {
        Self { lines, identity: Identity::of(lines) }
    }
}

impl Headers for Asked<'_> {
    fn each(&self, name: &str, line: &mut dyn FnMut(&[u8])) {
        self.lines.each(name, line);
    }

    fn certificate(&self) -> Option<ClientCertificate<'_>> {
        self.identity.as_ref().map(Identity::certificate)
    }
}

/// The known facts of a certificate.
pub(super) struct Identity {
    subject: String,
    names: Vec<Box<str>>,
    fingerprint: Digest,
}

impl Identity {
    /// Reads it from the lines of a question; None if they tell of no certificate.
    fn of(lines: &[(String, String)]) -> Option<Self> {
        let all = |name| lines.iter().filter(move |line| line.0 == name).map(|line| &*line.1);
        let (subject, print) = (all(CLIENT_SUBJECT).next(), all(CLIENT_FINGERPRINT).next());
        let names: Vec<Box<str>> = all(CLIENT_SAN).map(Box::from).collect();
        if subject.is_none() && print.is_none() && names.is_empty() {
            return None;
        }
        Some(Self {
            subject: subject.unwrap_or_default().to_owned(),
            names,
            fingerprint: print.and_then(Digest::parse).unwrap_or(Digest([0; 32])),
        })
    }

    /// Returns it as middlewares see it.
    fn certificate(&self) -> ClientCertificate<'_> {
        ClientCertificate {
            subject: &self.subject,
            fingerprint: &self.fingerprint,
            names: Some(&self.names),
            spiffe: hg_tls::spiffe(&self.names).unwrap_or_default(),
        }
    }
}
