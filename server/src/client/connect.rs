//! One connection to the server: HTTP/1.1 over TLS, or over a pipe within the process.

use std::io;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::server::conn::http1 as server;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use rustls::CertificateError;
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
                Ok(Err(error)) => return Err(unreachable(told(&error))),
                Err(_) => {
                    let seconds = CONNECT_TIME_MAX.as_secs();
                    return Err(unreachable(format!(
                        "no connection within {seconds} seconds; {ROAD}"
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

const ROAD: &str = "check the address in the kubeconfig, and the network";

/// Why there is no connection, and what to do about it.
fn told(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    let advice = match inner {
        Some(tls) => of_tls(tls),
        None => match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                "nobody listens there: start the server with `annals serve`, or name another with \
                 --kubeconfig"
            }
            io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => {
                "whoever listens there hung up: it is stopping, or it is no server of annals"
            }
            _ => ROAD,
        },
    };
    format!("{error}; {advice}")
}

fn of_tls(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InvalidCertificate(why) => match why {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "its certificate is not of the authority that the kubeconfig trusts: take the \
                 kubeconfig that this server wrote, admin.kubeconfig in its data directory"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is not for this name: start it with --tls-san NAME, or use a name \
                 that it has"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired: start the server again, which makes a new one"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet: check the clocks of both machines"
            }
            _ => "its certificate cannot be trusted",
        },
        rustls::Error::AlertReceived(_) => {
            "it does not take the client certificate of the kubeconfig: take the one that this \
             server wrote"
        }
        rustls::Error::InvalidMessage(_) => {
            "whoever listens there does not speak TLS: it is no server of annals"
        }
        _ => ROAD,
    }
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

#[cfg(test)]
mod tests {
    //! Catches a failure that leaves the reader without a next step.
    use rustls::{AlertDescription, InvalidMessage};

    use super::*;

    #[test]
    fn every_failure_says_what_to_do() {
        let tls = |error: rustls::Error| io::Error::new(io::ErrorKind::InvalidData, error);
        let bad = |why| tls(rustls::Error::InvalidCertificate(why));
        for (error, advice) in [
            (io::ErrorKind::ConnectionRefused.into(), "`annals serve`"),
            (io::ErrorKind::ConnectionReset.into(), "hung up"),
            (io::ErrorKind::HostUnreachable.into(), "the network"),
            (bad(CertificateError::UnknownIssuer), "admin.kubeconfig"),
            (bad(CertificateError::NotValidForName), "--tls-san"),
            (bad(CertificateError::Expired), "start the server again"),
            (bad(CertificateError::NotValidYet), "clocks"),
            (bad(CertificateError::Revoked), "cannot be trusted"),
            (
                tls(rustls::Error::AlertReceived(AlertDescription::UnknownCA)),
                "client certificate",
            ),
            (
                tls(InvalidMessage::InvalidContentType.into()),
                "does not speak TLS",
            ),
        ] {
            let told = told(&error);
            assert!(told.contains(advice), "{told}");
        }
    }
}
