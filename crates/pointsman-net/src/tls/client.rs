//! TLS as a client: who the server must prove to be, and by whose word.
//!
//! Invariant: no connection is usable before the server has proved its name or its address; there is no way to ask for one
//! that is not checked. Absent: sockets, which are the callers'.

use std::io;
use std::sync::Arc;

use pointsman_policy::Host;
use pointsman_spec::resolver::Authorities;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, AlertDescription, CertificateError, ClientConfig, RootCertStore};

/// What connections to a server have in common: whose word counts, and what is spoken within. Sessions are resumed.
#[derive(Clone, Debug)]
pub(crate) struct Client(Arc<ClientConfig>);

impl Client {
    /// One that believes these authorities and offers these protocols (RFC 7301).
    ///
    /// Reads the system's authorities from the disk, on a thread of its own.
    ///
    /// # Errors
    /// There are none, in one sentence.
    pub(crate) async fn new(
        authorities: Authorities,
        protocols: &'static [&'static [u8]],
    ) -> Result<Self, String> {
        let made = tokio::task::spawn_blocking(move || config(&authorities, protocols)).await;
        let config = made.map_err(|error| error.to_string())??;
        Ok(Self(Arc::new(config)))
    }

    /// Speaks TLS with a server that must prove to be `host`.
    ///
    /// # Errors
    /// It does not, or speaks no TLS: one sentence.
    pub(crate) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        host: &Host,
    ) -> Result<TlsStream<S>, String> {
        let name = match host {
            Host::Address(address) => ServerName::from(*address),
            Host::Name(name) => ServerName::try_from(name.as_str().to_owned())
                .map_err(|_unspecific| format!("`{name}` is no name that a certificate has"))?,
        };
        let connector = TlsConnector::from(Arc::clone(&self.0));
        let connected = connector.connect(name, stream).await;
        connected.map_err(|error| why(&error))
    }
}

/// What went wrong, in words of people; the library's own where there are none.
fn why(error: &io::Error) -> String {
    let inner = error.get_ref();
    let said = match inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(bad)) => of_certificate(bad),
        Some(rustls::Error::InvalidMessage(_)) => Some("it does not speak TLS"),
        Some(rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)) => {
            Some("it does not speak what was asked for within TLS")
        }
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            Some("it closed the connection instead of speaking TLS")
        }
        _ => None,
    };
    said.map_or_else(|| error.to_string(), str::to_owned)
}

fn of_certificate(bad: &CertificateError) -> Option<&'static str> {
    Some(match bad {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired, or the clock of this host is wrong"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet, or the clock of this host is wrong"
        }
        CertificateError::Revoked => "its certificate was revoked",
        CertificateError::BadSignature | CertificateError::UnknownIssuer => {
            "its certificate is of an authority that this host does not trust"
        }
        // What signs others shows itself: mostly a certificate that somebody made and signed with it.
        CertificateError::Other(why) if why.to_string().contains("CaUsedAsEndEntity") => {
            "its certificate is signed by itself"
        }
        _ => return None,
    })
}

fn config(
    authorities: &Authorities,
    protocols: &'static [&'static [u8]],
) -> Result<ClientConfig, String> {
    let roots = match authorities {
        Authorities::System => of_the_system()?,
        Authorities::Given(pem) => given(pem)?,
    };
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

/// Those of the system; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
fn of_the_system() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (taken, _odd) = roots.add_parsable_certificates(found.certs);
    if taken > 0 {
        return Ok(roots);
    }
    let why = found.errors.first().map(|error| format!(" ({error})"));
    Err(format!(
        "this host has no certificate authorities{}; the package ca-certificates brings them",
        why.unwrap_or_default()
    ))
}

fn given(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let added = certificate
            .map_err(|error| error.to_string())
            .and_then(|it| roots.add(it).map_err(|error| error.to_string()));
        added.map_err(|why| format!("`authorities` are no certificates: {why}"))?;
    }
    match roots.is_empty() {
        true => Err("`authorities` hold no certificate".into()),
        false => Ok(roots),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_certificate_is_said_in_words() {
        let check = |bad: CertificateError, expected: &str| {
            let error = io::Error::other(rustls::Error::InvalidCertificate(bad));
            assert_eq!(why(&error), expected);
        };
        check(
            CertificateError::UnknownIssuer,
            "its certificate is of an authority that this host does not trust",
        );
        check(
            CertificateError::NotValidForName,
            "its certificate is for another name",
        );
        check(
            CertificateError::Expired,
            "its certificate has expired, or the clock of this host is wrong",
        );
        let refused = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(why(&refused), refused.to_string());
    }

    #[test]
    fn authorities_are_certificates() {
        let none = given(b"nothing of that sort").unwrap_err();
        assert_eq!(none, "`authorities` hold no certificate");
        let odd = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(given(odd).unwrap_err().contains("no certificates"));
    }
}
