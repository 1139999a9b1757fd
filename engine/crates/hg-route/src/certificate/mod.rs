//! A client's identity by its verified certificate, and the requirements on it.

mod patterns;

use hg_plan::{CertificateMatch, Digest};
use patterns::{NamePattern, SubjectPattern};

/// A client's identity by its verified certificate.
#[derive(Clone, Copy, Debug)]
pub struct ClientCertificate<'a> {
    /// Distinguished name, as RFC 4514 writes it.
    pub subject: &'a str,
    /// sha256 of the DER form.
    pub fingerprint: &'a Digest,
    /// The alternative names, each with its type: `dns:a.example`; `None` if they cannot be read.
    pub names: Option<&'a [Box<str>]>,
    /// The SPIFFE ID; empty without one.
    pub spiffe: &'a str,
}

/// The reason why a certificate does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// Its SHA-256 is none of those.
    Fingerprint,
    /// Its subject is none of those.
    Subject,
    /// Its alternative names cannot be read.
    Unreadable,
    /// It has none of the alternative names.
    San,
    /// Its SPIFFE ID is none of those.
    Spiffe,
}

/// The requirements on a certificate, compiled.
#[derive(Clone, Debug)]
pub struct CertificateRules {
    subjects: Box<[SubjectPattern]>,
    sans: Box<[NamePattern]>,
    spiffe: Box<[NamePattern]>,
    /// Sorted.
    fingerprints: Box<[[u8; 32]]>,
}

impl CertificateRules {
    /// Compiles lists of texts; tells `wrong` the place of each that is wrong (`sans[0]`), and what
    /// is wrong with it.
    pub fn new(lists: &CertificateMatch, wrong: &mut dyn FnMut(String, String)) -> Self {
        let mut fingerprints = parsed("fingerprints", &lists.fingerprints, fingerprint, wrong);
        fingerprints.sort_unstable();
        Self {
            subjects: parsed("subjects", &lists.subjects, SubjectPattern::parse, wrong).into(),
            sans: parsed("sans", &lists.sans, NamePattern::parse, wrong).into(),
            spiffe: parsed("spiffe", &lists.spiffe, spiffe, wrong).into(),
            fingerprints: fingerprints.into(),
        }
    }

    /// Lets a certificate pass that every list with something in it knows. Costs a pass over its
    /// names for each pattern, and no allocation.
    ///
    /// # Errors
    /// Returns what does not fit first.
    pub fn judge(&self, one: &ClientCertificate<'_>) -> Result<(), Misfit> {
        let print = &one.fingerprint.0;
        if !self.fingerprints.is_empty() && self.fingerprints.binary_search(print).is_err() {
            return Err(Misfit::Fingerprint);
        }
        if !self.subjects.is_empty() && !self.subjects.iter().any(|p| p.fits(one.subject)) {
            return Err(Misfit::Subject);
        }
        if self.sans.is_empty() && self.spiffe.is_empty() {
            return Ok(());
        }
        let names = one.names.ok_or(Misfit::Unreadable)?;
        let fits = |pattern: &NamePattern| match pattern.is_spiffe() {
            // Beside another URI it is nobody's identity.
            true => !one.spiffe.is_empty() && names.iter().any(|name| pattern.fits(name)),
            false => names.iter().any(|name| pattern.fits(name)),
        };
        if !self.sans.is_empty() && !self.sans.iter().any(fits) {
            return Err(Misfit::San);
        }
        if !self.spiffe.is_empty() && !self.spiffe.iter().any(fits) {
            return Err(Misfit::Spiffe);
        }
        Ok(())
    }
}

fn fingerprint(text: &str) -> Result<[u8; 32], String> {
    Digest::parse(text).map(|digest| digest.0).ok_or_else(|| {
        format!("`{text}` is not a fingerprint; write the SHA-256 of a certificate, 64 hex digits")
    })
}

fn spiffe(text: &str) -> Result<NamePattern, String> {
    let pattern = NamePattern::parse(&format!("uri:{text}")).ok();
    pattern.filter(NamePattern::is_spiffe).ok_or_else(|| {
        format!("`{text}` is not a SPIFFE ID; write one such as `spiffe://a.example/ns/*/sa/web`")
    })
}

fn parsed<T>(
    key: &str,
    texts: &[String],
    parse: impl Fn(&str) -> Result<T, String>,
    wrong: &mut dyn FnMut(String, String),
) -> Vec<T> {
    let mut found = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        match parse(text) {
            Ok(one) => found.push(one),
            Err(message) => wrong(format!("{key}[{index}]"), message),
        }
    }
    found
}
