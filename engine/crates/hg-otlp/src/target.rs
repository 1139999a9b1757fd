//! The destination of items: the parts of an endpoint's URL, and what each export says.

use crate::signal::Signal;
use hg_dial::Place;
use hg_plan::OtlpExport;
use hg_tls::ClientTls;
use std::sync::Arc;
use std::time::Duration;

/// A collector, ready to be asked.
pub(crate) struct Target {
    /// Its place.
    pub(crate) place: Place,
    /// The request's head up to the length of its body.
    pub(crate) head: Vec<u8>,
    pub(crate) service: String,
    pub(crate) timeout: Duration,
}

/// The parts of an endpoint's URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `host:port`, to connect to.
    pub address: String,
    /// `host`, or `host:port` if the port is not that of the scheme.
    authority: String,
    /// Path and query.
    path: String,
    /// True if there is TLS.
    pub has_tls: bool,
}

/// Returns the parts of an endpoint for a signal.
///
/// # Errors
/// What is wrong with it and what is allowed, for its path in the config.
pub fn check(endpoint: &str, signal: Signal) -> Result<Endpoint, String> {
    let usual_path = signal.path();
    let wrong = |what: &str| {
        let allowed = format!("write `http://host:port{usual_path}`, or with https for TLS");
        Err(format!("the endpoint {what}; {allowed}"))
    };
    let (rest, usual) = match (endpoint.strip_prefix("http://"), endpoint.strip_prefix("https://"))
    {
        (Some(rest), _) => (rest, ":80"),
        (_, Some(rest)) => (rest, ":443"),
        _ => return wrong("is no URL"),
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
        false => format!("{authority}{usual}"),
    };
    let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    if port.is_none_or(|port| port == 0) {
        return wrong("has no port from 1 to 65535");
    }
    let path = if path.is_empty() || path == "/" { usual_path } else { path };
    let authority = address.strip_suffix(usual).unwrap_or(&address).to_owned();
    Ok(Endpoint { address, authority, path: path.to_owned(), has_tls: usual == ":443" })
}

impl Target {
    /// Takes the plan's.
    ///
    /// # Errors
    /// As [`check`]; also if the endpoint has TLS that was not made.
    pub(crate) fn new(
        signal: Signal,
        plan: &OtlpExport,
        tls: Option<Arc<ClientTls>>,
    ) -> Result<Self, String> {
        let Endpoint { address, authority, path, has_tls } = check(&plan.endpoint, signal)?;
        if has_tls != tls.is_some() {
            return Err("the endpoint and its TLS do not agree".into());
        }
        let mut head = format!("POST {path} HTTP/1.1\r\nHost: {authority}\r\n");
        for (name, value) in &plan.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("User-Agent: headgate\r\nContent-Type: application/x-protobuf\r\n");
        Ok(Self {
            place: Place { address, tls, protocol: Some(b"http/1.1") },
            head: head.into_bytes(),
            service: plan.service_name.clone(),
            timeout: Duration::from_millis(plan.timeout_ms.max(1)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(endpoint: &str) -> [String; 3] {
        let Endpoint { address, authority, path, .. } = check(endpoint, Signal::Traces).unwrap();
        [address, authority, path]
    }

    #[test]
    fn endpoints() {
        for (endpoint, address, authority, path) in [
            ("http://c:4318/v1/traces", "c:4318", "c:4318", "/v1/traces"),
            ("http://c:4318", "c:4318", "c:4318", "/v1/traces"),
            ("http://c/a?b=c", "c:80", "c", "/a?b=c"),
            ("http://[::1]:4318/", "[::1]:4318", "[::1]:4318", "/v1/traces"),
            ("http://[::1]/x", "[::1]:80", "[::1]", "/x"),
            ("https://c", "c:443", "c", "/v1/traces"),
            ("https://c:80/x", "c:80", "c:80", "/x"),
        ] {
            assert_eq!(parts(endpoint), [address, authority, path]);
            assert_eq!(
                check(endpoint, Signal::Logs).unwrap().has_tls,
                endpoint.starts_with("https")
            );
        }
    }

    #[test]
    fn each_signal_has_its_path() {
        let path = |signal| check("http://c:4318", signal).unwrap().path;
        assert_eq!([path(Signal::Traces), path(Signal::Logs)], ["/v1/traces", "/v1/logs"]);
        assert_eq!(check("http://c/a", Signal::Logs).unwrap().path, "/a", "what is written counts");
    }

    #[test]
    fn what_is_none() {
        for (endpoint, why) in [
            ("c:4318", "no URL"),
            ("ftp://c", "no URL"),
            ("http://", "no host"),
            ("https://", "no host"),
            ("http://u:p@c", "a user"),
            ("http://c:x", "no port"),
            ("http://c:0", "no port"),
            ("http://c/a b", "a blank"),
            ("http://c/a\r\nx: y", "a blank"),
        ] {
            let error = check(endpoint, Signal::Logs).unwrap_err();
            assert!(error.contains(why), "{endpoint:?}: {error}");
        }
    }

    #[test]
    fn an_endpoint_with_tls_is_never_asked_without() {
        let plan = OtlpExport {
            endpoint: "https://c".into(),
            service_name: String::new(),
            headers: Default::default(),
            timeout_ms: 1,
            tls: None,
        };
        assert!(Target::new(Signal::Logs, &plan, None).is_err());
    }
}
