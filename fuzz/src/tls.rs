//! The first bytes that a TLS listener reads, before it knows the host that the client wants, and the
//! first datagrams of QUIC.

/// The first bytes of a connection: a prefix never gets another verdict than the whole, and a name
/// that is found is in lower case.
pub fn tls_hello(data: &[u8]) {
    hg_tls::fuzz_client_hello(data);
}

/// The first datagrams of a QUIC client, each after its length, and the frames in them.
pub fn quic_initials(data: &[u8]) {
    hg_tls::fuzz_initials(data);
}
