//! Where spans go: the parts of an endpoint's URL, and what each export says.

use hg_plan::TraceExport;
use std::time::Duration;

/// A collector, ready to be asked.
pub(crate) struct Target {
    /// `host:port`, to connect to.
    pub(crate) address: String,
    /// The request's head up to the length of its body.
    pub(crate) head: Vec<u8>,
    pub(crate) service: String,
    pub(crate) timeout: Duration,
}

/// Returns `host:port` and path of an endpoint.
///
/// # Errors
/// What is wrong with it and what is allowed, for the config's path `tracing.endpoint`.
pub fn check(endpoint: &str) -> Result<(String, String), String> {
    const ALLOWED: &str = "write `http://host:port/v1/traces`";
    let wrong = |what: &str| Err(format!("the endpoint {what}; {ALLOWED}"));
    if endpoint.starts_with("https://") {
        return wrong("has TLS, which exports do not have");
    }
    let Some(rest) = endpoint.strip_prefix("http://") else {
        return wrong("is no URL");
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if authority.is_empty()
        || authority.contains('@')
        || !rest.bytes().all(|b| b.is_ascii_graphic())
    {
        return wrong("has no host, a user, or a blank");
    }
    let name = authority.rsplit_once(']').map_or(authority, |(_, port)| port);
    let address = match name.contains(':') {
        true => authority.to_owned(),
        false => format!("{authority}:80"),
    };
    let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    if port.is_none_or(|port| port == 0) {
        return wrong("has no port from 1 to 65535");
    }
    let path = if path.is_empty() || path == "/" { "/v1/traces" } else { path };
    Ok((address, path.to_owned()))
}

impl Target {
    /// Takes the plan's.
    ///
    /// # Errors
    /// As [`check`].
    pub(crate) fn new(plan: &TraceExport) -> Result<Self, String> {
        let (address, path) = check(&plan.endpoint)?;
        let authority = address.strip_suffix(":80").unwrap_or(&address);
        let mut head = format!("POST {path} HTTP/1.1\r\nHost: {authority}\r\n");
        for (name, value) in &plan.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("User-Agent: headgate\r\nContent-Type: application/x-protobuf\r\n");
        Ok(Self {
            address,
            head: head.into_bytes(),
            service: plan.service_name.clone(),
            timeout: Duration::from_millis(plan.timeout_ms.max(1)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    fn parts(endpoint: &str) -> (String, String) {
        check(endpoint).unwrap()
    }

    #[test]
    fn endpoints() {
        let of = |address: &str, path: &str| (address.to_owned(), path.to_owned());
        assert_eq!(parts("http://c:4318/v1/traces"), of("c:4318", "/v1/traces"));
        assert_eq!(parts("http://c:4318"), of("c:4318", "/v1/traces"));
        assert_eq!(parts("http://c/a?b=c"), of("c:80", "/a?b=c"));
        assert_eq!(parts("http://[::1]:4318/"), of("[::1]:4318", "/v1/traces"));
        assert_eq!(parts("http://[::1]/x"), of("[::1]:80", "/x"));
    }

    #[test]
    fn what_is_none() {
        for (endpoint, why) in [
            ("https://c:4318", "TLS"),
            ("c:4318", "no URL"),
            ("http://", "no host"),
            ("http://u:p@c", "a user"),
            ("http://c:x", "no port"),
            ("http://c:0", "no port"),
            ("http://c/a b", "a blank"),
            ("http://c/a\r\nx: y", "a blank"),
        ] {
            let error = check(endpoint).unwrap_err();
            assert!(error.contains(why), "{endpoint:?}: {error}");
        }
    }
}
