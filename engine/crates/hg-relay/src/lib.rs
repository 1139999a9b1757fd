//! What is said before and around relayed connections, and who sends datagrams to whom: the headers
//! of the PROXY protocol, the table of flows. It has no sockets and no clock.

pub mod flows;
pub mod proxy_protocol;
