//! A DNS server within TLS in the test's own process, over TLS (RFC 7858) or HTTPS (RFC 8484), that counts who asked by
//! what, and whose certificates and manners the test can change while it runs.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::server::TlsStream;

/// Whoever signs certificates of tests.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// What proves to be that name or address; `expired`: it did.
    fn config(&self, name: &str, protocols: &[&str], expired: bool) -> Arc<ServerConfig> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if expired {
            params.not_before = rcgen::date_time_ymd(2001, 1, 1);
            params.not_after = rcgen::date_time_ymd(2002, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth();
        let chain = vec![certificate.der().clone()];
        let mut config = config.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

/// How questions are answered.
#[derive(Clone, Debug)]
pub(crate) enum Manner {
    /// That there is 10.1.1.1, whatever the name.
    Usual,
    /// HTTP: with this status, type and so many bytes of body.
    Http(u16, &'static str, usize),
    /// The connection is closed after each answer.
    CloseAfterEach,
    /// The connection is taken, and nothing is said on it.
    Stall,
}

/// A server; it ends with the test's process.
pub(crate) struct TlsServer {
    pub(crate) address: SocketAddr,
    known: Arc<Known>,
    protocols: &'static [&'static str],
}

struct Known {
    config: Mutex<Arc<ServerConfig>>,
    manner: Mutex<Manner>,
    /// Made, and those that ended with a handshake that was done.
    connections: AtomicUsize,
    asked: Mutex<Vec<String>>,
    /// Counts how often all connections were closed.
    closing: watch::Sender<usize>,
}

impl TlsServer {
    /// One over TLS alone that proves to be `name`.
    pub(crate) fn dot(authority: &Authority, name: &str) -> Self {
        Self::start(authority, name, &[])
    }

    /// One that speaks these versions of HTTP: `h2`, `http/1.1`.
    pub(crate) fn doh(
        authority: &Authority,
        name: &str,
        protocols: &'static [&'static str],
    ) -> Self {
        Self::start(authority, name, protocols)
    }

    fn start(authority: &Authority, name: &str, protocols: &'static [&'static str]) -> Self {
        let known = Arc::new(Known {
            config: Mutex::new(authority.config(name, protocols, false)),
            manner: Mutex::new(Manner::Usual),
            connections: AtomicUsize::new(0),
            asked: Mutex::default(),
            closing: watch::Sender::new(0),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let served = Arc::clone(&known);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(accept(listener, served));
        });
        Self {
            address,
            known,
            protocols,
        }
    }

    /// From now on it proves to be that name.
    pub(crate) fn become_another(&self, authority: &Authority, name: &str, expired: bool) {
        *self.known.config.lock().unwrap() = authority.config(name, self.protocols, expired);
    }

    pub(crate) fn behave(&self, manner: Manner) {
        *self.known.manner.lock().unwrap() = manner;
    }

    /// Closes all connections, as one does that rested too long.
    pub(crate) fn close_all(&self) {
        self.known.closing.send_modify(|count| *count += 1);
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.known.connections.load(Ordering::SeqCst)
    }

    /// What it was asked: `h2 a.test`.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.known.asked.lock().unwrap().clone()
    }
}

async fn accept(listener: std::net::TcpListener, known: Arc<Known>) {
    let listener = TcpListener::from_std(listener).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        known.connections.fetch_add(1, Ordering::SeqCst);
        let known = Arc::clone(&known);
        tokio::spawn(async move {
            let mut closing = known.closing.subscribe();
            tokio::select! {
                _ended = serve(stream, &known) => {}
                _closed = closing.changed() => {}
            }
        });
    }
}

async fn serve(stream: TcpStream, known: &Arc<Known>) -> Option<()> {
    if matches!(*known.manner.lock().unwrap(), Manner::Stall) {
        let _held = stream;
        return std::future::pending().await;
    }
    let config = Arc::clone(&known.config.lock().unwrap());
    let stream = TlsAcceptor::from(config).accept(stream).await.ok()?;
    let protocol = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
    match protocol.as_deref() {
        None => frames(stream, known).await,
        Some(b"h2") => {
            let answer = |request| http(request, Arc::clone(known), "h2");
            let server = http2::Builder::new(TokioExecutor::new());
            let served = server.serve_connection(TokioIo::new(stream), service_fn(answer));
            served.await.ok()
        }
        Some(_) => {
            let answer = |request| http(request, Arc::clone(known), "h1");
            let server = http1::Builder::new();
            let served = server.serve_connection(TokioIo::new(stream), service_fn(answer));
            served.await.ok()
        }
    }
}

async fn frames(mut stream: TlsStream<TcpStream>, known: &Known) -> Option<()> {
    loop {
        let length = stream.read_u16().await.ok()?;
        let mut query = vec![0; length.into()];
        stream.read_exact(&mut query).await.ok()?;
        let answer = known.answer(&query, "dot");
        let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
        stream
            .write_all(&[&length[..], &answer].concat())
            .await
            .ok()?;
        if matches!(*known.manner.lock().unwrap(), Manner::CloseAfterEach) {
            return stream.shutdown().await.ok();
        }
    }
}

async fn http(
    request: Request<Incoming>,
    known: Arc<Known>,
    by: &str,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_dns = request
        .headers()
        .get("content-type")
        .is_some_and(|it| it == "application/dns-message");
    let path = request.uri().path().to_owned();
    let query = request.into_body().collect().await.unwrap().to_bytes();
    assert!(
        is_dns && path == "/q" && query.starts_with(&[0, 0]),
        "{path} {query:?}"
    );
    let answer = known.answer(&query, by);
    let manner = known.manner.lock().unwrap().clone();
    let response = match manner {
        Manner::Http(status, kind, length) => Response::builder()
            .status(status)
            .header("content-type", kind)
            .body(Full::from(vec![b'x'; length])),
        _ => Response::builder()
            .header("content-type", "application/dns-message")
            .header("age", "50")
            .body(Full::from(answer)),
    };
    Ok(response.unwrap())
}

impl Known {
    /// 10.1.1.1 for a minute; names that begin with `slow` take a while.
    fn answer(&self, query: &[u8], by: &str) -> Vec<u8> {
        let (mut labels, mut at) = (Vec::new(), 12);
        while query[at] != 0 {
            let end = at + 1 + usize::from(query[at]);
            labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
            at = end;
        }
        assert_eq!(query.len() % 128, 0, "not padded");
        self.asked
            .lock()
            .unwrap()
            .push(format!("{by} {}", labels.join(".")));
        let mut answer = [&query[..2], &[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]].concat();
        answer.extend(&query[12..at + 5]);
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 1, 1, 1]);
        answer
    }
}

/// Long enough for whatever is written to have been read.
pub(crate) const A_MOMENT: Duration = Duration::from_millis(100);
