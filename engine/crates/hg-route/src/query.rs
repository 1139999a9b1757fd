//! The router's question and its answer.

use crate::certificate::ClientCertificate;
use std::net::IpAddr;
use std::sync::Arc;

/// A listener, by the index the snapshot builder gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(pub u16);

/// A route, by the stable slot the snapshot builder gave it. Slots are dense: memory grows with
/// the highest one in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteId(pub u32);

/// One route put into its slot, or removed from it.
#[derive(Clone, Copy, Debug)]
pub struct RouteChange<'a> {
    /// The slot.
    pub id: RouteId,
    /// The route's name; shared, not copied.
    pub name: &'a Arc<str>,
    /// The slot's route from now on; `None` empties it.
    pub route: Option<&'a hg_plan::Route>,
    /// The listeners it is attached to.
    pub listeners: &'a [ListenerId],
}

/// The request's header lines.
pub trait Headers {
    /// Calls `line` with the value of each line of that name, in order; `name` is lower case, and
    /// values have no white space around them.
    fn each(&self, name: &str, line: &mut dyn FnMut(&[u8]));

    /// Calls `line` with name, as sent, and value of each line that is not for one hop only, in
    /// order. Lines that can only be asked for by their name have none of these calls.
    fn end_to_end(&self, _line: &mut dyn FnMut(&str, &[u8])) {}

    /// Returns the verified certificate of the client's connection. No line of a head can give one.
    fn certificate(&self) -> Option<ClientCertificate<'_>> {
        None
    }
}

/// The name that stands for the subject of the client's certificate. It is not a token, so no
/// header can have it.
pub const CLIENT_SUBJECT: &str = ":client-subject";

/// A request without header lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHeaders;

impl Headers for NoHeaders {
    fn each(&self, _name: &str, _line: &mut dyn FnMut(&[u8])) {}
}

/// Header lines as (name, value); names in any case. For tests and tools.
impl<N: AsRef<str>, V: AsRef<[u8]>> Headers for [(N, V)] {
    fn each(&self, name: &str, line: &mut dyn FnMut(&[u8])) {
        for (n, v) in self {
            if n.as_ref().eq_ignore_ascii_case(name) {
                line(v.as_ref());
            }
        }
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> Headers for Vec<(N, V)> {
    fn each(&self, name: &str, line: &mut dyn FnMut(&[u8])) {
        self.as_slice().each(name, line);
    }
}

/// The parts of a request that routing uses.
#[derive(Clone, Copy)]
pub struct Query<'a> {
    /// The listener that accepted it.
    pub listener: ListenerId,
    /// The host in lower case, without port and trailing dot; IPv6 in brackets.
    pub host: &'a str,
    /// The path as [`crate::path::normalise`] returned it, or `*` (RFC 9112 §3.2.4).
    pub path: &'a str,
    /// The query after the first `?`, without it.
    pub query: Option<&'a str>,
    /// The method as sent; methods are case-sensitive (RFC 9110 §9.1).
    pub method: &'a str,
    /// The headers, which are read only if a candidate has a condition on one, or on a cookie.
    pub headers: &'a dyn Headers,
    /// The client's address, after reading trusted peers' headers.
    pub client: IpAddr,
}

/// The route that takes a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its slot.
    pub route: RouteId,
    /// Bytes of the path that its match took: for a prefix its length without a trailing slash (0
    /// for `/`), for an exact path the whole, 0 for a regex or no condition on the path.
    pub prefix_len: usize,
    /// Index of the route's match that won, from 0; 0 for a route without matches.
    pub match_index: usize,
}
