//! Clients for Python: which of their header lines the data plane accepts, and who they are.

use hg_proto::client::{Source, address};
use hg_proto::{
    Admission, HeaderSlots, Known, Limits, MAX_HEADERS, Parse, Reject, parse_request, rejects,
};
use ipnet::IpNet;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::net::IpAddr;

/// Adds `request_head` and `is_client_claim` to the module.
///
/// # Errors
/// Never in practice.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(is_client_claim, module)?)?;
    module.add_function(wrap_pyfunction!(request_head, module)?)
}

/// Reports whether a header of that name, in any case, says who the client is.
#[pyfunction]
fn is_client_claim(name: &str) -> bool {
    Known::of(name.as_bytes()).is_client_claim()
}

/// A listener's rules for request heads: any Python object with these attributes.
#[derive(FromPyObject)]
struct Rules {
    /// Trusted networks.
    trusted: Vec<String>,
    /// The header that names the client; empty for `x-forwarded-for`.
    header: String,
    underscores: bool,
    head_bytes: usize,
    header_count: usize,
}

/// A head as a listener understands it: (the client's address, the target's path and query, the
/// host, the port, for each of the lines whether it is accepted).
type Taken = (String, String, Option<String>, String, Option<u16>, Vec<bool>);

/// Returns how a listener understands a request by `peer`, given as it is on the wire; or (status,
/// reason) if it is refused before routing. `lines` are the header lines, including Host.
///
/// # Errors
/// `ValueError` for a peer that is not an address, and for invalid rules.
#[pyfunction]
fn request_head(
    peer: &str,
    method: &str,
    target: &str,
    lines: Vec<(String, String)>,
    rules: Rules,
) -> PyResult<Head<Taken>> {
    let peer: IpAddr = parsed(peer, "an address")?;
    let networks: Vec<IpNet> = rules
        .trusted
        .iter()
        .map(|text| match text.parse() {
            Ok(network) => Ok(network),
            Err(_) => parsed::<IpAddr>(text, "a network").map(IpNet::from),
        })
        .collect::<PyResult<_>>()?;
    let trusts = |ip: IpAddr| networks.iter().any(|net| net.contains(&ip));
    let admission =
        Admission { claims: trusts(peer.to_canonical()), underscores: rules.underscores };
    let source = Source::parse(&rules.header)
        .ok_or_else(|| PyValueError::new_err(format!("{:?} names no client", rules.header)))?;
    if let Some(reject) = broken(method, target, &lines) {
        return Ok(Head::Refused((reject.status, reject.detail)));
    }
    let mut head = format!("{method} {target} HTTP/1.1\r\n");
    for (name, value) in &lines {
        head.extend([name.as_str(), ": ", value.as_str(), "\r\n"]);
    }
    head.push_str("\r\n");
    let mut slots = HeaderSlots::new();
    let limits =
        Limits { head_bytes: rules.head_bytes, header_count: rules.header_count.min(MAX_HEADERS) };
    Ok(match parse_request(head.as_bytes(), &mut slots, &limits, admission) {
        Ok(Parse::Complete(head)) => {
            let client = address(peer, &head.fields, source, trusts).to_string();
            let taken = lines.iter().map(|(name, _)| admission.takes(name.as_bytes())).collect();
            let mut key = [0; hg_proto::host::MAX_NAME_BYTES];
            let host = head.host_port.key(&mut key).to_owned();
            let query = head.query.map(str::to_owned);
            let port = head.host_port.port;
            Head::Taken((client, head.path.to_owned(), query, host, port, taken))
        }
        Ok(Parse::Partial) => refused(&rejects::REQUEST_LINE),
        Err(reject) => refused(&reject),
    })
}

/// A head that was accepted, or the status and the sentence of its refusal.
#[derive(IntoPyObject)]
enum Head<T> {
    #[pyo3(transparent)]
    Taken(T),
    #[pyo3(transparent)]
    Refused((u16, &'static str)),
}

fn refused(reject: &Reject) -> Head<Taken> {
    Head::Refused((reject.status, reject.detail))
}

/// Finds line ends that do not belong in a head, which would begin another request.
fn broken(method: &str, target: &str, lines: &[(String, String)]) -> Option<Reject> {
    let ends = |text: &str| text.contains(['\r', '\n', '\0']);
    if ends(method) || ends(target) || method.contains(' ') || target.contains(' ') {
        return Some(rejects::REQUEST_LINE);
    }
    let (names, values): (Vec<_>, Vec<_>) = lines.iter().map(|(n, v)| (n, v)).unzip();
    if names.iter().any(|n| ends(n) || n.contains(':')) {
        return Some(rejects::FIELD_NAME);
    }
    values.iter().any(|v| ends(v)).then_some(rejects::FIELD_VALUE)
}

fn parsed<T: std::str::FromStr>(text: &str, what: &str) -> PyResult<T> {
    text.parse().map_err(|_| PyValueError::new_err(format!("{text:?} is not {what}")))
}
