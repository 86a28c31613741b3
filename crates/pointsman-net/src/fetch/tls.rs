//! TLS as a client, by the system's certificate authorities (`SSL_CERT_FILE` and `SSL_CERT_DIR` name others).

use std::io;
use std::sync::Arc;

use pointsman_policy::Host;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, RootCertStore};

use crate::stream::Stream;

/// Speaks TLS with `host`, which must prove its name. The error is one sentence.
pub(super) async fn connect(stream: Stream, host: &Host) -> Result<TlsStream<Stream>, String> {
    let name = match host {
        Host::Address(address) => ServerName::from(*address),
        Host::Name(name) => ServerName::try_from(name.as_str().to_owned())
            .map_err(|_unspecific| format!("`{name}` is no name that a certificate has"))?,
    };
    // The authorities are some hundred kilobytes: a fetch a day does not keep them in memory.
    let config = tokio::task::spawn_blocking(config)
        .await
        .map_err(|error| error.to_string())??;
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .map_err(|error| why(&error))
}

/// What went wrong, in words of people; the library's own where there are none.
fn why(error: &io::Error) -> String {
    let inner = error.get_ref();
    let said = match inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(bad)) => of_certificate(bad),
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
        CertificateError::UnknownIssuer => {
            "its certificate is of an authority that this host does not trust"
        }
        // What signs others shows itself: mostly a certificate that somebody made and signed with it.
        CertificateError::Other(why) if why.to_string().contains("CaUsedAsEndEntity") => {
            "its certificate is signed by itself"
        }
        _ => return None,
    })
}

fn config() -> Result<ClientConfig, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (taken, _odd) = roots.add_parsable_certificates(found.certs);
    if taken == 0 {
        let why = found.errors.first().map(|error| format!(" ({error})"));
        return Err(format!(
            "this host has no certificate authorities{}; the package ca-certificates brings them",
            why.unwrap_or_default()
        ));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
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
}
