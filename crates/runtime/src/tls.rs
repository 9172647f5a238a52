//! Which cryptography TLS uses.

/// Has everything in this process that speaks TLS use `ring`. Clients of HTTP cannot be made before. Doing so again is
/// harmless.
pub fn use_ring() {
    // An error only says that somebody was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
