//! One connection to the server: TCP, TLS, HTTP/1.1.

use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{Error, Target};

/// Time to connect and shake hands.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// Size of the head of an answer.
const HEADER_BYTES_MAX: usize = 64 * 1024;

/// Connects to `target`. A task drives the connection until its sender is dropped.
pub(super) async fn connect(target: &Target) -> Result<SendRequest<Full<Bytes>>, Error> {
    let unreachable = |why: String| Error::Unreachable {
        url: target.url.clone(),
        why,
    };
    let connected = timeout(CONNECT_TIME_MAX, async {
        let stream = TcpStream::connect((target.host.as_str(), target.port)).await?;
        stream.set_nodelay(true)?;
        let tls = TlsConnector::from(target.tls.clone());
        tls.connect(target.server_name.clone(), stream).await
    });
    let stream = match connected.await {
        Ok(stream) => stream.map_err(|error| unreachable(error.to_string()))?,
        Err(_) => {
            let seconds = CONNECT_TIME_MAX.as_secs();
            return Err(unreachable(format!(
                "no connection within {seconds} seconds"
            )));
        }
    };
    let (sender, connection) = http1::Builder::new()
        .max_header_size(HEADER_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| unreachable(error.to_string()))?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "connection to the server ended");
        }
    });
    Ok(sender)
}
