//! What a TLS listener reads before it knows whom the client wants.

/// The first bytes of a connection: a prefix is never judged otherwise than the whole, and a name
/// that is found is in lower case.
pub fn tls_hello(data: &[u8]) {
    hg_tls::fuzz_client_hello(data);
}
