//! The choice of the TCP route that takes a connection: by the server name of its ClientHello where
//! routes ask for one, then by the protocols that it offers, then by the narrowest network around
//! the client.
//!
//! The most specific name decides alone, as hosts do: a connection whose name a route has never goes
//! to a route of a broader name, even if no other condition of the former holds.

mod names;

use ipnet::IpNet;
use names::{Index, Names};
use std::net::IpAddr;
use std::sync::Arc;

/// The conditions on the connections that a route takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// The client's address is in one of these networks; empty = it may be any.
    pub clients: Vec<IpNet>,
    /// The server name is one of these: `a.example`, `*.example`, `*` for any name. Empty = what no
    /// other route of the listener names, with or without a name.
    pub names: Vec<Box<str>>,
    /// The client offers one of these protocols (ALPN); empty = whatever it offers.
    pub protocols: Vec<Box<[u8]>>,
}

/// A TCP route of one listener.
#[derive(Clone, Debug)]
pub struct TcpRule<T> {
    /// Its name.
    pub name: Arc<str>,
    /// The conditions on the connections that it takes.
    pub when: Conditions,
    /// The handling of the connections that it takes.
    pub then: T,
}

/// The properties of a connection that are known before its route.
#[derive(Clone, Copy, Debug)]
pub struct Arriving<'a> {
    /// The client's address.
    pub client: IpAddr,
    /// The server name of its ClientHello, in lower case without a trailing dot.
    pub sni: Option<&'a str>,
    /// The protocols that it offers, those that it prefers first.
    pub alpn: &'a [Box<[u8]>],
}

impl From<IpAddr> for Arriving<'_> {
    /// Makes a connection of which nothing was read.
    fn from(client: IpAddr) -> Self {
        Self { client, sni: None, alpn: &[] }
    }
}

/// The degree to which conditions other than the name fit; the greater one wins.
type Fit = (usize, u16);

impl Conditions {
    /// Reports whether they need a ClientHello.
    pub fn ask_hello(&self) -> bool {
        !self.names.is_empty() || !self.protocols.is_empty()
    }

    fn fit(&self, arriving: &Arriving<'_>) -> Option<Fit> {
        Some((self.preference(arriving.alpn)?, self.narrowness(arriving.client)?))
    }

    /// Returns how much the client prefers the protocol that it meets these by.
    fn preference(&self, offered: &[Box<[u8]>]) -> Option<usize> {
        if self.protocols.is_empty() {
            return Some(0);
        }
        let at = offered.iter().position(|one| self.protocols.contains(one))?;
        Some(usize::MAX - at)
    }

    /// Returns how narrow the network is around the client.
    fn narrowness(&self, client: IpAddr) -> Option<u16> {
        if self.clients.is_empty() {
            return Some(0);
        }
        let around = self.clients.iter().filter(|net| net.contains(&client));
        // A network of all addresses is still narrower than no condition.
        around.map(|net| u16::from(net.prefix_len()) + 1).max()
    }
}

/// The TCP routes of one listener.
#[derive(Clone, Debug)]
pub struct TcpRules<T> {
    rules: Vec<TcpRule<T>>,
    names: Names,
    asks_hello: bool,
}

impl<T> Default for TcpRules<T> {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl<T> TcpRules<T> {
    /// Takes rules in any order, with names that [`server_name`] accepts.
    pub fn new(mut rules: Vec<TcpRule<T>>) -> Self {
        rules.sort_by(|a, b| a.name.cmp(&b.name));
        let names = Names::new(rules.iter().map(|rule| &rule.when.names[..]));
        let asks_hello = rules.iter().any(|rule| rule.when.ask_hello());
        Self { rules, names, asks_hello }
    }

    /// Reports whether a connection has no route before its ClientHello was read.
    pub fn asks_hello(&self) -> bool {
        self.asks_hello
    }

    /// Returns the rule that takes a connection.
    pub fn find(&self, arriving: Arriving<'_>) -> Option<&TcpRule<T>> {
        self.find_among(arriving, |_| true)
    }

    /// Returns the one that does among these. A name belongs to all rules that have it, also to those
    /// that are not among them.
    pub fn find_among(
        &self,
        arriving: Arriving<'_>,
        is_among: impl Fn(&T) -> bool,
    ) -> Option<&TcpRule<T>> {
        let arriving = Arriving { client: arriving.client.to_canonical(), ..arriving };
        let mut best: Option<(Fit, &TcpRule<T>)> = None;
        for rule in self.named(self.names.of(arriving.sni)) {
            if is_among(&rule.then)
                && let Some(fit) = rule.when.fit(&arriving)
                && best.is_none_or(|(most, _)| fit > most)
            {
                best = Some((fit, rule));
            }
        }
        best.map(|(_, rule)| rule)
    }

    fn named(&self, which: &[Index]) -> impl Iterator<Item = &TcpRule<T>> {
        which.iter().filter_map(|at| self.rules.get(*at as usize))
    }

    /// Returns every rule, by name.
    pub fn iter(&self) -> impl Iterator<Item = &TcpRule<T>> {
        self.rules.iter()
    }
}

/// Reads a network, or an address as the network of itself.
///
/// # Errors
/// Returns what is wrong and what is allowed.
pub fn network(text: &str) -> Result<IpNet, String> {
    let single = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse()
        .or_else(|_| single())
        .map_err(|_| format!("`{text}` is not a network; write one such as `10.0.0.0/8`"))
}

/// Reads a server name, a wildcard such as `*.example.com`, or `*`.
///
/// # Errors
/// Returns what is wrong and what is allowed.
pub fn server_name(text: &str) -> Result<Box<str>, String> {
    if let Some(mistake) = crate::compiled::host_mistake(text) {
        return Err(mistake);
    }
    if text.contains([':', '[']) || text.parse::<IpAddr>().is_ok() {
        return Err(format!("`{text}` is an address or has a port; clients send names alone"));
    }
    Ok(text.into())
}

/// Reads the name of a protocol, of 1 to 255 bytes (RFC 7301 §3.1).
///
/// # Errors
/// Returns what is wrong and what is allowed.
pub fn protocol(text: &str) -> Result<Box<[u8]>, String> {
    match text.len() {
        1..=255 => Ok(text.as_bytes().into()),
        n => Err(format!("the name of a protocol has {n} bytes; write one of 1 to 255, as `h2`")),
    }
}

#[cfg(test)]
mod tests;
