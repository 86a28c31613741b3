//! TLS as a client, by the system's certificate authorities (`SSL_CERT_FILE` and `SSL_CERT_DIR` name others).

use std::sync::Arc;

use pointsman_policy::Host;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

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
        .map_err(|error| error.to_string())
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
