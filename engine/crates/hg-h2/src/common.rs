//! Names that clients and servers often send, so that their text is at hand without a copy.

use crate::static_table::{STATIC, find_name, hash, is_equal};

/// Names that the static table does not have.
const MORE: [&str; 44] = [
    ":protocol",
    "te",
    "dnt",
    "origin",
    "priority",
    "sec-gpc",
    "sec-ch-ua",
    "sec-ch-ua-mobile",
    "sec-ch-ua-platform",
    "sec-fetch-site",
    "sec-fetch-mode",
    "sec-fetch-user",
    "sec-fetch-dest",
    "upgrade-insecure-requests",
    "x-requested-with",
    "x-request-id",
    "x-real-ip",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "forwarded",
    "traceparent",
    "tracestate",
    "baggage",
    "pragma",
    "trailer",
    "alt-svc",
    "proxy-status",
    "server-timing",
    "content-security-policy",
    "x-content-type-options",
    "x-frame-options",
    "x-powered-by",
    "referrer-policy",
    "access-control-request-method",
    "access-control-request-headers",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-allow-credentials",
    "grpc-timeout",
    "grpc-encoding",
    "grpc-accept-encoding",
    "grpc-status",
];
/// The number of a common name: 1 to 61 as in the static table, then those of [`MORE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Common(u8);

impl Common {
    pub(crate) const NONE: Common = Common(0);

    /// Returns the number of an entry of the static table, from 0.
    pub(crate) const fn of_static(at: usize) -> Common {
        Common(at as u8 + 1)
    }

    pub(crate) fn is_none(self) -> bool {
        self == Common::NONE
    }

    /// Returns the name.
    #[inline]
    pub(crate) fn name(self) -> Option<&'static str> {
        NAMES.get(usize::from(self.0)).copied().flatten()
    }
}

static NAMES: [Option<&str>; 1 + STATIC.len() + MORE.len()] = {
    let mut names = [None; 1 + STATIC.len() + MORE.len()];
    let mut i = 0;
    while i < STATIC.len() + MORE.len() {
        let name = if i < STATIC.len() { STATIC[i].0 } else { MORE[i - STATIC.len()] };
        names[i + 1] = Some(name);
        i += 1;
    }
    names
};

/// Slots of the look-up by hash; a power of two.
const SLOTS: usize = 128;

static BY_HASH: [u8; SLOTS] = {
    let mut slots = [0; SLOTS];
    let mut i = 0;
    while i < MORE.len() {
        let mut at = hash(MORE[i].as_bytes()) as usize % SLOTS;
        while slots[at] != 0 {
            assert!(!is_equal(MORE[slots[at] as usize - 1].as_bytes(), MORE[i].as_bytes()));
            at = (at + 1) % SLOTS;
        }
        slots[at] = i as u8 + 1;
        i += 1;
    }
    slots
};

/// Returns the number of a name.
pub(crate) fn find(name: &[u8]) -> Common {
    search(name).unwrap_or(Common::NONE)
}

fn search(name: &[u8]) -> Option<Common> {
    if let Some(index) = find_name(name) {
        return Some(Common(index as u8));
    }
    let mut at = hash(name) as usize % SLOTS;
    loop {
        let number = BY_HASH.get(at)?.checked_sub(1)?;
        let found = *MORE.get(usize::from(number))?;
        if found.as_bytes() == name {
            return Some(Common(number + 1 + STATIC.len() as u8));
        }
        at = (at + 1) % SLOTS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_names_are_found_and_no_others() {
        for name in MORE.iter().copied().chain(STATIC.iter().map(|(name, _)| *name)) {
            assert_eq!(find(name.as_bytes()).name(), Some(name));
        }
        for name in [&b""[..], b"x", b"Te", b"sec-ch-ua-", b"\xff"] {
            assert!(find(name).is_none() && find(name).name().is_none());
        }
    }
}
