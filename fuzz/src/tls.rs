//! The first bytes that a TLS listener reads, before it knows the host that the client wants.

/// The first bytes of a connection: a prefix never gets another verdict than the whole, and a name
/// that is found is in lower case.
pub fn tls_hello(data: &[u8]) {
    hg_tls::fuzz_client_hello(data);
}
