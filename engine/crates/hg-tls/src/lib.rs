//! TLS for both sides of the proxy: policies and certificates compiled from a plan, the choice of a
//! configuration by listener and server name, session tickets, and sans-I/O sessions.
//!
//! Nothing here touches a socket. A worker peeks at the first bytes of a connection with
//! [`HelloReader`], asks its listener's [`Selector`] for a [`Selection`], and from then on
//! feeds a [`ServerSession`] with what it reads and writes out what the session produced.
//! [`TlsContext`] is built outside the workers, is immutable, and reuses what did not change.

mod alert;
mod algorithms;
mod build;
mod certificate;
mod change;
mod channel;
mod client;
mod context;
mod drive;
mod error;
mod hello;
mod identity;
mod outlet;
mod policy;
mod quic;
mod reader;
mod record;
mod roots;
mod selector;
mod session;
mod shards;
mod ticket;
mod tunnel;
mod verify;
mod x509;

pub use certificate::CertificateInfo;
pub use client::{ClientSession, ClientTls, Offer};
pub use context::{Blobs, TlsContext};
pub use error::{TlsError, TlsErrorKind};
pub use hello::{
    ClientHelloInfo, HelloError, HelloReader, Parse, fuzz_client_hello, peek_client_hello,
};
pub use identity::{PeerCertificate, spiffe};
pub use quic::{InitialReader, Unread, fuzz_initials};
pub use roots::check_system_roots;
pub use rustls::ProtocolVersion;
pub use selector::{NoProtocol, Refusal, Selection, Selector};
pub use session::ServerSession;
pub use ticket::Ticketer;
pub use tunnel::HandshakeKind;

/// The result of one call of `receive`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Bytes of the input that were used; the caller drops them and passes the rest again together
    /// with what it reads next.
    pub consumed: usize,
    /// True if the handshake is over (now or earlier), after which `send` may be called.
    pub handshake_done: bool,
    /// True if the peer sent close_notify: no more data follows.
    pub peer_closed: bool,
}
