//! One connection to the server: HTTP/1.1 over TLS, or over a pipe within the process.

use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::server::conn::http1 as server;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::target::Road;
use super::{Error, Target};

/// Time to connect and shake hands.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// What a pipe within the process holds.
const PIPE_BYTES: usize = 64 * 1024;

/// Size of the head of an answer.
const HEADER_BYTES_MAX: usize = 64 * 1024;

/// Connects to `target`.
pub(super) async fn connect(target: &Target) -> Result<SendRequest<Full<Bytes>>, Error> {
    let unreachable = |why: String| Error::Unreachable {
        url: target.url.clone(),
        why,
    };
    match &target.road {
        Road::Tls {
            config,
            server_name,
        } => {
            let connected = timeout(CONNECT_TIME_MAX, async {
                let stream = TcpStream::connect((target.host.as_str(), target.port)).await?;
                stream.set_nodelay(true)?;
                let tls = TlsConnector::from(config.clone());
                tls.connect(server_name.clone(), stream).await
            });
            match connected.await {
                Ok(Ok(stream)) => shake_hands(stream).await,
                Ok(Err(error)) => return Err(unreachable(error.to_string())),
                Err(_) => {
                    let seconds = CONNECT_TIME_MAX.as_secs();
                    return Err(unreachable(format!(
                        "no connection within {seconds} seconds"
                    )));
                }
            }
        }
        Road::Here(router) => {
            let (near, far) = tokio::io::duplex(PIPE_BYTES);
            let service = TowerToHyperService::new(router.clone());
            tokio::spawn(async move {
                let served = server::Builder::new().serve_connection(TokioIo::new(far), service);
                if let Err(error) = served.await {
                    tracing::debug!(%error, "connection within the process ended");
                }
            });
            shake_hands(near).await
        }
    }
    .map_err(|error| unreachable(error.to_string()))
}

/// Begins HTTP/1.1. A task drives the connection until its sender is dropped.
async fn shake_hands(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> hyper::Result<SendRequest<Full<Bytes>>> {
    let (sender, connection) = http1::Builder::new()
        .max_header_size(HEADER_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "connection to the server ended");
        }
    });
    Ok(sender)
}
