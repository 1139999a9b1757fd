//! The names that a policy may use: versions, cipher suites, key exchange groups, protocols. Each
//! function converts names to what rustls takes, and lists the allowed names if one is not.

use crate::certificate::Problem;
use hg_plan::{TlsPolicy, TlsVersion};
use rustls::crypto::{SupportedKxGroup, aws_lc_rs as provider};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion, version};

/// The protocols offered by ALPN unless a policy says otherwise.
const PROTOCOLS: [&str; 2] = ["h2", "http/1.1"];

/// Returns the versions that a policy allows.
pub(crate) fn versions(
    policy: &TlsPolicy,
    problems: &mut Vec<Problem>,
) -> Vec<&'static SupportedProtocolVersion> {
    if policy.min_version > policy.max_version {
        problems.push((
            "min_version".into(),
            "it is above max_version; write a version that is not higher".into(),
        ));
    }
    protocol_versions(policy.min_version, policy.max_version)
}

/// Returns the versions from `min` to `max`.
pub(crate) fn protocol_versions(
    min: TlsVersion,
    max: TlsVersion,
) -> Vec<&'static SupportedProtocolVersion> {
    [(TlsVersion::V13, &version::TLS13), (TlsVersion::V12, &version::TLS12)]
        .into_iter()
        .filter(|(v, _)| (min..=max).contains(v))
        .map(|(_, v)| v)
        .collect()
}

/// Returns rustls' name of a suite, as in the config.
fn suite_name(suite: &SupportedCipherSuite) -> String {
    format!("{:?}", suite.suite())
}

/// Returns every suite that we support, best first: AES-128 before AES-256 (cheaper, no weaker in
/// practice), because every server that this runs on has AES in hardware.
fn all_suites() -> Vec<SupportedCipherSuite> {
    let mut suites = provider::ALL_CIPHER_SUITES.to_vec();
    suites.sort_by_key(|s| {
        let name = suite_name(s);
        let cipher = ["AES_128", "AES_256", "CHACHA20"].iter().position(|c| name.contains(c));
        (s.tls13().is_none(), cipher)
    });
    suites
}

/// Returns the suites of a policy, in its order.
pub(crate) fn suites(
    policy: &TlsPolicy,
    versions: &[&'static SupportedProtocolVersion],
    problems: &mut Vec<Problem>,
) -> Vec<SupportedCipherSuite> {
    let all = all_suites();
    if policy.cipher_suites.is_empty() {
        return all;
    }
    let names = || all.iter().map(suite_name).collect::<Vec<_>>().join(", ");
    let mut chosen: Vec<SupportedCipherSuite> = Vec::new();
    for (i, wanted) in policy.cipher_suites.iter().enumerate() {
        match all.iter().find(|s| suite_name(s) == *wanted) {
            Some(suite) if chosen.contains(suite) => {
                problems.push((
                    format!("cipher_suites[{i}]"),
                    format!("`{wanted}` is listed twice; remove one of the two"),
                ));
            }
            Some(suite) => chosen.push(*suite),
            None => problems.push((
                format!("cipher_suites[{i}]"),
                format!("the cipher suite `{wanted}` is unknown; write one of {}", names()),
            )),
        }
    }
    for version in versions {
        if !chosen.iter().any(|s| s.version().version == version.version) {
            problems.push((
                "cipher_suites".into(),
                format!(
                    "there is no suite for {:?}, which min_version and max_version allow; add one of {}",
                    version.version,
                    all.iter()
                        .filter(|s| s.version().version == version.version)
                        .map(suite_name)
                        .collect::<Vec<_>>()
                        .join(", "),
                ),
            ));
        }
    }
    chosen
}

/// Every group that we support, in the default order.
const GROUPS: [(&str, &'static dyn SupportedKxGroup); 4] = [
    ("x25519mlkem768", provider::kx_group::X25519MLKEM768),
    ("x25519", provider::kx_group::X25519),
    ("secp256r1", provider::kx_group::SECP256R1),
    ("secp384r1", provider::kx_group::SECP384R1),
];

/// Returns the key exchange groups of a policy, in its order.
pub(crate) fn groups(
    wanted: &[String],
    problems: &mut Vec<Problem>,
) -> Vec<&'static dyn SupportedKxGroup> {
    if wanted.is_empty() {
        return default_groups();
    }
    let mut chosen: Vec<&str> = Vec::new();
    let mut groups = Vec::new();
    for (i, name) in wanted.iter().enumerate() {
        let path = || format!("groups[{i}]");
        match GROUPS.iter().find(|(known, _)| known == name) {
            Some(_) if chosen.contains(&name.as_str()) => {
                problems.push((path(), format!("`{name}` is listed twice; remove one of the two")));
            }
            Some((known, group)) => {
                chosen.push(known);
                groups.push(*group);
            }
            None => {
                let allowed = GROUPS.map(|(known, _)| known).join(", ");
                problems.push((
                    path(),
                    format!("the group `{name}` is unknown; write one of {allowed}"),
                ));
            }
        }
    }
    groups
}

/// Returns all groups in the default order.
pub(crate) fn default_groups() -> Vec<&'static dyn SupportedKxGroup> {
    GROUPS.iter().map(|(_, group)| *group).collect()
}

/// The protocol that the clients of a listener speak inside TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Speaks {
    Http,
    /// Anything: its bytes pass as they are.
    Any,
}

/// The protocols of a policy in order of preference.
pub(crate) struct Protocols(Vec<String>);

impl Protocols {
    /// Takes the names of a policy.
    pub(crate) fn new(wanted: &[String], problems: &mut Vec<Problem>) -> Self {
        for (i, name) in wanted.iter().enumerate() {
            let mistake = match name.as_str() {
                "h3" => "the protocol `h3` goes over QUIC alone; write h2 or http/1.1".into(),
                _ if (1..=255).contains(&name.len()) => continue,
                _ => format!("the name has {} bytes; write one of 1 to 255", name.len()),
            };
            problems.push((format!("alpn[{i}]"), mistake));
        }
        Self(wanted.to_vec())
    }

    /// Returns what is offered: to clients of HTTP what they speak, to others exactly what the
    /// policy names, which is nothing if it names nothing.
    pub(crate) fn offered(&self, speaks: Speaks) -> Vec<Vec<u8>> {
        let of_http = |name: &&str| speaks == Speaks::Any || PROTOCOLS.contains(name);
        let named = self.0.iter().map(String::as_str).filter(of_http);
        let otherwise = PROTOCOLS.into_iter();
        match (self.0.is_empty(), speaks) {
            (true, Speaks::Http) => otherwise.map(|name| name.as_bytes().to_vec()).collect(),
            _ => named.map(|name| name.as_bytes().to_vec()).collect(),
        }
    }

    /// Returns the first protocol that clients of HTTP do not speak.
    pub(crate) fn foreign(&self) -> Option<&str> {
        self.0.iter().map(String::as_str).find(|name| !PROTOCOLS.contains(name))
    }
}
