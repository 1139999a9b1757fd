//! The choice of the TCP route that takes a connection.

use hg_route::tcp::{Arriving, Conditions, TcpRule, TcpRules, network, protocol, server_name};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use std::net::IpAddr;

/// Adds `tcp_route` to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(tcp_route, module)?)
}

/// Name, networks, server names and protocols of a route, and whether TLS ends for it.
type Written = (String, Vec<String>, Vec<String>, Vec<String>, bool);

/// Returns the name of the TCP route of a listener that takes a connection, if one does; among those
/// for which TLS ends, or those for which it does not, if asked for one of these.
///
/// Raises `ValueError` for a client that is not an address, and for text that is no condition.
#[pyfunction]
#[pyo3(signature = (routes, client, sni=None, alpn=Vec::new(), ends_tls=None))]
fn tcp_route(
    routes: Vec<Written>,
    client: &str,
    sni: Option<&str>,
    alpn: Vec<String>,
    ends_tls: Option<bool>,
) -> PyResult<Option<String>> {
    let Ok(client) = client.parse::<IpAddr>() else {
        return Err(PyValueError::new_err(format!("\"{client}\" is not an IP address")));
    };
    let mut rules = Vec::with_capacity(routes.len());
    for (name, clients, names, protocols, then) in routes {
        let when = Conditions {
            clients: read(&clients, network)?,
            names: read(&names, server_name)?,
            protocols: read(&protocols, protocol)?,
        };
        rules.push(TcpRule { name: name.into(), when, then });
    }
    let alpn = read(&alpn, protocol)?;
    let arriving = Arriving { client, sni, alpn: &alpn };
    let is_among = |one: &bool| ends_tls.is_none_or(|asked| *one == asked);
    Ok(TcpRules::new(rules).find_among(arriving, is_among).map(|rule| rule.name.to_string()))
}

fn read<T>(texts: &[String], one: impl Fn(&str) -> Result<T, String>) -> PyResult<Vec<T>> {
    let all: Result<Vec<T>, String> = texts.iter().map(|text| one(text)).collect();
    all.map_err(PyValueError::new_err)
}
