//! Clients for Python: which of their header lines the data plane takes, and who they are.

use hg_proto::client::{Source, address};
use hg_proto::{Admission, HeaderSlots, Known, Limits, MAX_HEADERS, Parse, parse_request};
use ipnet::IpNet;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::net::IpAddr;

/// Adds `admitted` and `is_client_claim` to the module.
///
/// # Errors
/// Never in practice.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(is_client_claim, module)?)?;
    module.add_function(wrap_pyfunction!(admitted, module)?)
}

/// Whether a header of that name, in any case, tells who the client is.
#[pyfunction]
fn is_client_claim(name: &str) -> bool {
    Known::of(name.as_bytes()).is_client_claim()
}

/// What a listener takes of a request from `peer`: (the client's address, for each of the lines
/// whether it is taken). `trusted` are networks, `header` is the one that names the client, empty
/// for `x-forwarded-for`.
///
/// # Errors
/// `ValueError` for what is no address, no network or no line of a header.
#[pyfunction]
fn admitted(
    peer: &str,
    lines: Vec<(String, String)>,
    trusted: Vec<String>,
    header: &str,
    underscores: bool,
) -> PyResult<(String, Vec<bool>)> {
    let peer: IpAddr = parsed(peer, "an address")?;
    let networks: Vec<IpNet> = trusted
        .iter()
        .map(|text| match text.parse() {
            Ok(network) => Ok(network),
            Err(_) => parsed::<IpAddr>(text, "a network").map(IpNet::from),
        })
        .collect::<PyResult<_>>()?;
    let trusts = |ip: IpAddr| networks.iter().any(|net| net.contains(&ip));
    let admission = Admission { claims: trusts(peer.to_canonical()), underscores };
    let source = Source::parse(header)
        .ok_or_else(|| PyValueError::new_err(format!("{header:?} names no client")))?;
    let client = client(peer, &lines, source, admission, &trusts)?;
    let taken = lines.iter().map(|(name, _)| admission.takes(name.as_bytes())).collect();
    Ok((client.to_string(), taken))
}

fn parsed<T: std::str::FromStr>(text: &str, what: &str) -> PyResult<T> {
    text.parse().map_err(|_| PyValueError::new_err(format!("{text:?} is not {what}")))
}

/// The address that the data plane would find, from a head with the lines that tell of the client.
fn client(
    peer: IpAddr,
    lines: &[(String, String)],
    source: Source,
    admission: Admission,
    trusts: &dyn Fn(IpAddr) -> bool,
) -> PyResult<IpAddr> {
    let mut head = String::from("GET / HTTP/1.1\r\nhost: a\r\n");
    for (name, value) in lines.iter().filter(|(name, _)| is_client_claim(name)) {
        if value.contains(['\r', '\n', '\0']) {
            return Err(PyValueError::new_err(format!("{value:?} is not a header's value")));
        }
        head.extend([name.as_str(), ": ", value.as_str(), "\r\n"]);
    }
    head.push_str("\r\n");
    let mut slots = HeaderSlots::new();
    let limits = Limits { head_bytes: usize::MAX, header_count: MAX_HEADERS };
    match parse_request(head.as_bytes(), &mut slots, &limits, admission) {
        Ok(Parse::Complete(head)) => Ok(address(peer, &head.fields, source, trusts)),
        Ok(Parse::Partial) => Err(PyValueError::new_err("the header lines are no head")),
        Err(reject) => Err(PyValueError::new_err(reject.detail)),
    }
}
