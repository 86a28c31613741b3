//! TLS as a server: who it is to its clients.
//!
//! Invariant: a key is never printed. Absent: cryptography; whoever reads a configuration has checked that a key belongs
//! to its certificate.

use std::sync::Arc;

use crate::login::Secret;

/// A server of TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsServer {
    /// At least one. The first is shown to clients that ask for no name, or for one that none has.
    pub certificates: Vec<Certificate>,
}

/// A certificate, and the key that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// In DER: the server's own, then those by which others trust it.
    pub chain: Vec<Arc<[u8]>>,
    /// In PEM.
    pub key: Secret,
}
