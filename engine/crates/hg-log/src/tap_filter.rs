//! The filter for the requests that a tap shows.

use crate::record::AccessRecord;
use ipnet::IpNet;

/// The requests that a tap shows: those for which every part holds. An empty part always does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TapFilter {
    /// The host, without its port; `*.example.com` is every name below `example.com`.
    pub host: String,
    /// The beginning of the target.
    pub path: String,
    /// The method, in upper case unless clients send it otherwise.
    pub method: String,
    /// The name of the listener.
    pub listener: String,
    /// The name of the route.
    pub route: String,
    /// The name of the upstream.
    pub upstream: String,
    /// The least and the greatest status.
    pub status: Option<(u16, u16)>,
    /// The client's address is in this network.
    pub client: Option<IpNet>,
    /// The least time in all, in microseconds.
    pub slower_us: u64,
    /// True if the tap shows the headers of requests, too.
    pub headers: bool,
}

impl TapFilter {
    /// Reports whether the tap shows this request.
    pub(crate) fn wants(&self, record: &AccessRecord<'_>) -> bool {
        let is = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
        is(&self.route, record.route)
            && is(&self.upstream, record.upstream)
            && is(&self.listener, record.listener)
            && is(&self.method, record.method)
            && self.status.is_none_or(|(from, to)| (from..=to).contains(&record.status))
            && record.total_us >= self.slower_us
            && self.client.is_none_or(|net| net.contains(&record.client_ip))
            && record.target.starts_with(self.path.as_bytes())
            && (self.host.is_empty() || is_host(self.host.as_bytes(), record.host))
    }
}

/// Reports whether a host as sent is the wanted one.
fn is_host(wanted: &[u8], sent: &[u8]) -> bool {
    let name = without_port(sent);
    match wanted.strip_prefix(b"*") {
        // The rest begins with its dot, so the apex is not below itself.
        Some(rest) => {
            let split = name.len().saturating_sub(rest.len());
            split > 0 && name.get(split..).is_some_and(|end| end.eq_ignore_ascii_case(rest))
        }
        None => name.eq_ignore_ascii_case(wanted),
    }
}

/// Returns a host without its port and without the dot at its end.
fn without_port(sent: &[u8]) -> &[u8] {
    let at = sent.iter().rposition(|byte| *byte == b':');
    let split = at.and_then(|at| Some((sent.get(..at)?, sent.get(at + 1..)?)));
    let name = match split {
        Some((name, port)) if port.iter().all(u8::is_ascii_digit) => name,
        _ => sent,
    };
    name.strip_suffix(b".").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{bare, record};

    fn of(change: impl FnOnce(&mut TapFilter)) -> bool {
        let mut filter = TapFilter::default();
        change(&mut filter);
        filter.wants(&record())
    }

    #[test]
    fn an_empty_filter_wants_everything() {
        assert!(of(|_| {}));
        assert!(TapFilter::default().wants(&bare()));
    }

    #[test]
    fn each_part_must_hold() {
        assert!(of(|f| f.route = "api".into()) && !of(|f| f.route = "ap".into()));
        assert!(of(|f| f.upstream = "api".into()) && !of(|f| f.upstream = "web".into()));
        assert!(of(|f| f.listener = "secure".into()) && !of(|f| f.listener = "web".into()));
        assert!(of(|f| f.method = "GET".into()) && !of(|f| f.method = "POST".into()));
        assert!(of(|f| f.status = Some((200, 299))) && !of(|f| f.status = Some((201, 599))));
        assert!(of(|f| f.slower_us = 2_345) && !of(|f| f.slower_us = 2_346));
        assert!(of(|f| f.path = "/v1/".into()) && !of(|f| f.path = "/v2".into()));
        let net = |text: &str| text.parse().ok();
        assert!(of(|f| f.client = net("192.0.2.0/24")) && !of(|f| f.client = net("::/0")));
        assert!(!of(|f| (f.route, f.method) = ("api".into(), "POST".into())));
    }

    #[test]
    fn hosts_are_compared_without_case_and_port() {
        for (wanted, sent, expected) in [
            ("a.example", "A.Example:8443", true),
            ("a.example", "a.example.", true),
            ("a.example", "b.a.example", false),
            ("*.example", "b.a.example:80", true),
            ("*.example", "example", false),
            ("*.example", ".example", false),
            ("[::1]", "[::1]:80", true),
            ("[::1]", "[::1]", true),
            ("a.example", "", false),
        ] {
            assert_eq!(is_host(wanted.as_bytes(), sent.as_bytes()), expected, "{wanted} {sent}");
        }
    }
}
