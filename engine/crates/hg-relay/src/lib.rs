//! The bytes before and around relayed connections, and the flows of datagrams: the headers of the
//! PROXY protocol, what first bytes are, the table of flows. It has no sockets and no clock.

pub mod detect;
pub mod flows;
pub mod proxy_protocol;
