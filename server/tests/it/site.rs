//! A server in this process, and a client that can be as rude as a test wants.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use annals_server::client::kubeconfig::Kubeconfig;
use annals_server::client::{Client, Target};
use annals_server::net::{self, Drained, Limits, Shutdown};
use annals_server::setup::{DataDir, Wish, prepare};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use base64::prelude::{BASE64_STANDARD, Engine};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Longer than any test needs; what hangs fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running server.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: Shutdown,
    pub(crate) task: JoinHandle<Drained>,
    pub(crate) keys: Keys,
}

/// What the administrator's kubeconfig holds.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) authority: String,
    pub(crate) token: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// Starts `app` on a free port with what lies in `dir`.
pub(crate) async fn start(dir: &DataDir, sans: &[&str], limits: Limits, app: Router) -> Site {
    start_with(dir, sans, limits, Shutdown::new(), app).await
}

/// As [`start`], for an application that watches the shutdown itself.
pub(crate) async fn start_with(
    dir: &DataDir,
    sans: &[&str],
    limits: Limits,
    shutdown: Shutdown,
    app: Router,
) -> Site {
    let (listener, address) = net::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let tls_sans: Vec<String> = sans.iter().map(|san| (*san).to_owned()).collect();
    let wish = Wish {
        listen: address,
        tls_sans: &tls_sans,
        now: jiff::Timestamp::now(),
    };
    let prepared = prepare(dir, &wish).unwrap();
    let app = net::door(app.fallback(net::not_found), prepared.gate);
    let task = tokio::spawn(net::serve(
        listener,
        prepared.tls,
        app,
        limits,
        shutdown.clone(),
    ));
    Site {
        address,
        shutdown,
        task,
        keys: Keys::of(dir),
    }
}

impl Keys {
    pub(crate) fn of(dir: &DataDir) -> Self {
        Self::read(&dir.path().join("admin.kubeconfig"))
    }

    pub(crate) fn read(kubeconfig: &Path) -> Self {
        let config = Kubeconfig::read(kubeconfig).unwrap();
        let current = config.current().unwrap();
        let pem = |data: &Option<String>| {
            let bytes = BASE64_STANDARD.decode(data.as_ref().unwrap()).unwrap();
            String::from_utf8(bytes).unwrap()
        };
        Self {
            authority: pem(&current.cluster.certificate_authority_data),
            token: current.user.token.clone().unwrap(),
            certificate: pem(&current.user.client_certificate_data),
            key: pem(&current.user.client_key_data),
        }
    }
}

/// The client of the command line, as the administrator.
pub(crate) fn admin(dir: &DataDir) -> Client {
    Client::new(Target::read(&dir.path().join("admin.kubeconfig")).unwrap())
}

/// A TLS connection that trusts `keys`, shows their certificate if asked to, and expects `name`.
pub(crate) async fn dial(
    address: SocketAddr,
    keys: &Keys,
    with_certificate: bool,
    name: &str,
    protocol: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(keys.authority.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = if with_certificate {
        let chain = vec![CertificateDer::from_pem_slice(keys.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(keys.key.as_bytes()).unwrap();
        builder.with_client_auth_cert(chain, key).unwrap()
    } else {
        builder.with_no_client_auth()
    };
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn read(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(bytes.to_vec()).unwrap();
        Self {
            status: head.status,
            headers: head.headers,
            body,
        }
    }
}

/// Sends one HTTP/1.1 request on a fresh connection.
pub(crate) async fn ask(site: &Site, with_certificate: bool, request: Request<Body>) -> Answer {
    let (response, connection) = open(site.address, &site.keys, with_certificate, request).await;
    let answer = Answer::read(response).await;
    connection.abort();
    answer
}

/// Sends one HTTP/1.1 request on a fresh connection; the body of the answer is still to come.
pub(crate) async fn open(
    address: SocketAddr,
    keys: &Keys,
    with_certificate: bool,
    request: Request<Body>,
) -> (Response<Incoming>, JoinHandle<hyper::Result<()>>) {
    let stream = dial(address, keys, with_certificate, "localhost", "http/1.1")
        .await
        .unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let response = tokio::time::timeout(PATIENCE, sender.send_request(request)).await;
    (response.expect("an answer").unwrap(), connection)
}

/// An HTTP/2 connection with the administrator's certificate.
pub(crate) async fn h2(site: &Site) -> hyper::client::conn::http2::SendRequest<Body> {
    h2_to(site.address, &site.keys).await
}

/// As [`h2`], to any server.
pub(crate) async fn h2_to(
    address: SocketAddr,
    keys: &Keys,
) -> hyper::client::conn::http2::SendRequest<Body> {
    let stream = dial(address, keys, true, "localhost", "h2").await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    sender
}

/// A GET without a body.
pub(crate) fn get(path: &str) -> axum::http::request::Builder {
    Request::get(path).header("host", "localhost")
}
