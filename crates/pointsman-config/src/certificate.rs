//! Certificates of TLS servers and their keys, as files in PEM: whether they can be read, belong together, and hold.
//!
//! Invariant: what is wrong is said in words of ours, and never with a byte of a key.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, InconsistentKeys, RootCertStore};

/// The longest chain in bytes: hundreds of certificates.
pub(crate) const MAX_CHAIN: u64 = 1 << 20;

/// What is wrong with a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// No certificate of TLS servers stands in the first file.
    Certificate(&'static str),
    /// The first has a key, and no certificate.
    Swapped,
    /// No key that can be used stands in the second.
    Key(&'static str),
    /// The second has one that a password protects.
    Locked,
    /// The key is another certificate's.
    Mismatch,
}

/// A pair that is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    /// The certificates in DER, without whatever else stands in the file.
    pub(crate) chain: Vec<Arc<[u8]>>,
    pub(crate) holds: Holds,
}

/// How it stands in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    Now,
    Expired,
    NotYet,
}

/// Judges a pair at a moment, which counts from 1970; `None`: the time is not known.
pub(crate) fn judge(chain: &[u8], key: &[u8], now: Option<Duration>) -> Result<Pair, Wrong> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
    let certificates = certificates.map_err(|_where| Wrong::Certificate("is no PEM"))?;
    let Some(own) = certificates.first() else {
        let holds_a_key = PrivateKeyDer::from_pem_slice(chain).is_ok();
        return Err(match holds_a_key {
            true => Wrong::Swapped,
            false => Wrong::Certificate("holds no certificate in PEM"),
        });
    };
    let parsed = ParsedCertificate::try_from(own)
        .map_err(|_why| Wrong::Certificate("holds no certificate of X.509 version 3"))?;
    let provider = ring::default_provider();
    let holds = now.map_or(Holds::Now, |now| holds(&parsed, &provider, now));
    let signing = PrivateKeyDer::from_pem_slice(key).map_err(|_where| {
        let is_locked = key.windows(9).any(|at| at == b"ENCRYPTED");
        match is_locked {
            true => Wrong::Locked,
            false => Wrong::Key("holds no private key in PEM"),
        }
    })?;
    let signing = provider
        .key_provider
        .load_private_key(signing)
        .map_err(|_why| Wrong::Key("holds a key that TLS has no use for"))?;
    let chain = certificates.iter().map(|it| Arc::from(it.as_ref()));
    let chain = chain.collect();
    match CertifiedKey::new(certificates, signing).keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
            Ok(Pair { chain, holds })
        }
        Err(_other) => Err(Wrong::Mismatch),
    }
}

/// Times are looked at before anything else is, so that it does not matter that nobody here vouches for it.
fn holds(parsed: &ParsedCertificate<'_>, provider: &CryptoProvider, now: Duration) -> Holds {
    let judged = verify_server_cert_signed_by_trust_anchor(
        parsed,
        &RootCertStore::empty(),
        &[],
        UnixTime::since_unix_epoch(now),
        provider.signature_verification_algorithms.all,
    );
    match judged {
        Err(Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => Holds::Expired,
        Err(Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        )) => Holds::NotYet,
        Ok(()) | Err(_) => Holds::Now,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A certificate for `dns.test` until 2126, its key, and the key of another. Made by
    /// `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 -subj /CN=dns.test`.
    pub(crate) const CHAIN: &str = include_str!("certificate/test.pem");
    pub(crate) const KEY: &str = include_str!("certificate/test.key");
    pub(crate) const OTHER: &str = include_str!("certificate/other.key");

    fn at(year: u64) -> Option<Duration> {
        Some(Duration::from_secs((year - 1970) * 31_557_600))
    }

    #[test]
    fn a_pair_belongs_together_and_holds_in_its_time() {
        let check = |chain: &str, key: &str, now, expected| {
            let judged = judge(chain.as_bytes(), key.as_bytes(), now);
            assert_eq!(judged.map(|it| it.holds), expected);
        };
        check(CHAIN, KEY, at(2050), Ok(Holds::Now));
        check(CHAIN, KEY, None, Ok(Holds::Now));
        check(CHAIN, KEY, at(2010), Ok(Holds::NotYet));
        check(CHAIN, KEY, at(2200), Ok(Holds::Expired));
        check(CHAIN, OTHER, None, Err(Wrong::Mismatch));
        let no_certificate = Err(Wrong::Certificate("holds no certificate in PEM"));
        check("", KEY, None, no_certificate);
        check(KEY, CHAIN, None, Err(Wrong::Swapped));
        check(
            CHAIN,
            CHAIN,
            None,
            Err(Wrong::Key("holds no private key in PEM")),
        );
        let junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let older = Wrong::Certificate("holds no certificate of X.509 version 3");
        check(junk, KEY, None, Err(older));
        let junk = junk.replace("CERTIFICATE", "PRIVATE KEY");
        let useless = Wrong::Key("holds a key that TLS has no use for");
        check(CHAIN, &junk, None, Err(useless));
        let locked = junk.replace("PRIVATE", "ENCRYPTED PRIVATE");
        check(CHAIN, &locked, None, Err(Wrong::Locked));
        check(
            "-----BEGIN CERTIFICATE-----\n!",
            KEY,
            None,
            Err(Wrong::Certificate("is no PEM")),
        );
    }
}
