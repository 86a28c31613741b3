//! TLS as a server: what a listener shows to its clients, and the handshake.
//!
//! Invariants: it is made once for a door of a generation, before that comes into force; a handshake has its time, and no
//! more. Absent: the choice among certificates by name, tickets over restarts, certificates of clients.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use pointsman_spec::tls::TlsServer;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, AlertDescription, ServerConfig};
use tokio_rustls::server::TlsStream;

use crate::stream::Stream;

/// What makes of a client's connection one that nobody can read on the way.
#[derive(Clone)]
pub(crate) struct Acceptor(TlsAcceptor);

/// Why there was no handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoHandshake {
    /// The client left.
    Gone,
    /// It took too long.
    Late,
    /// What the client says, in words.
    Refused(String),
}

impl Acceptor {
    /// One that shows the first certificate, and speaks what is named there, the first rather.
    ///
    /// # Errors
    /// What is wrong with the certificate, in words; whoever read it from files has told already.
    pub(crate) fn new(server: &TlsServer, protocols: &[&[u8]]) -> io::Result<Self> {
        let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidInput, why);
        let Some(shown) = server.certificates.first() else {
            return Err(invalid("there is no certificate".to_owned()));
        };
        let chain = shown.chain.iter();
        let chain = chain.map(|it| CertificateDer::from(it.to_vec())).collect();
        // The error would quote the file.
        let key = PrivateKeyDer::from_pem_slice(shown.key.reveal().as_bytes())
            .map_err(|_quoting| invalid("the key is none".to_owned()))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| invalid(error.to_string()))?;
        config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// The handshake with a client. Dropping it ends the connection.
    pub(crate) async fn accept(
        &self,
        client: Stream,
        within: Duration,
    ) -> Result<TlsStream<Stream>, NoHandshake> {
        match timeout(within, self.0.accept(client)).await {
            Ok(done) => done.map_err(|error| why(&error)),
            Err(_elapsed) => Err(NoHandshake::Late),
        }
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Acceptor(...)")
    }
}

impl fmt::Display for NoHandshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gone => "the client left",
            Self::Late => "the client took too long",
            Self::Refused(why) => why,
        })
    }
}

fn why(error: &io::Error) -> NoHandshake {
    let inner = error.get_ref();
    let Some(of_tls) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return NoHandshake::Gone;
    };
    let said = match of_tls {
        rustls::Error::InvalidMessage(_) => "the client speaks no TLS",
        rustls::Error::AlertReceived(
            AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnsupportedCertificate,
        ) => "the client does not trust the certificate",
        rustls::Error::AlertReceived(AlertDescription::CertificateExpired) => {
            "to the client the certificate has expired"
        }
        rustls::Error::NoApplicationProtocol => "the client wants to speak something else (ALPN)",
        rustls::Error::PeerIncompatible(_) => {
            "the client knows neither TLS 1.3 nor 1.2 as it is spoken here"
        }
        other => return NoHandshake::Refused(other.to_string()),
    };
    NoHandshake::Refused(said.to_owned())
}
