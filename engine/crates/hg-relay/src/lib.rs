//! What is said before and around relayed connections, and who sends datagrams to whom: the headers
//! of the PROXY protocol, what first bytes are, the table of flows. It has no sockets and no clock.

pub mod detect;
pub mod flows;
pub mod proxy_protocol;
