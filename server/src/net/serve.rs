//! The accept loop, one task for each connection, and the drain at the end.
//!
//! ```text
//! permit -> accept -> TLS -> h2 or http/1.1 -> requests ... -> close
//!             \ shutdown begins: stop accepting, tell each connection, wait, cut the rest
//! ```

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::activity::{Activity, Answer};
use super::stall::Stall;
use super::tls::H2;
use super::{Identity, Limits, Peer, Shutdown};

/// The pause after the system refused a connection, when it has no file descriptors left.
const REFUSED_PAUSE: Duration = Duration::from_millis(50);

/// How the end went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were still busy when patience ended, and were cut.
    pub cut: usize,
}

/// What every connection needs.
struct Site {
    acceptor: TlsAcceptor,
    app: Router,
    limits: Limits,
    shutdown: Shutdown,
}

/// Serves `app` on `listener` until `shutdown` begins, then drains. `app` comes from
/// [`super::door`].
pub async fn serve(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    app: Router,
    limits: Limits,
    shutdown: Shutdown,
) -> Drained {
    let permits = Arc::new(Semaphore::new(limits.connections_max));
    let site = Arc::new(Site {
        acceptor: tls.into(),
        app,
        limits,
        shutdown,
    });
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let permit = Arc::clone(&permits).acquire_owned().await;
            (listener.accept().await, permit)
        };
        tokio::select! {
            biased;
            () = site.shutdown.begun() => break,
            Some(ended) = connections.join_next() => log_panic(ended),
            (accepted, permit) = accepted => match accepted {
                Ok((stream, address)) => {
                    let site = Arc::clone(&site);
                    connections.spawn(async move {
                        connect(&site, stream, address).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the system refused a connection");
                    sleep(REFUSED_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    drain(connections, &site).await
}

async fn drain(mut connections: JoinSet<()>, site: &Site) -> Drained {
    let rest = async {
        while let Some(ended) = connections.join_next().await {
            log_panic(ended);
        }
    };
    tokio::select! {
        () = rest => {}
        () = sleep(site.limits.drain_time_max) => {}
        () = site.shutdown.hurried() => {}
    }
    let cut = connections.len();
    connections.shutdown().await;
    Drained { cut }
}

fn log_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection panicked");
    }
}

/// One connection, from the handshake to its end.
async fn connect(site: &Site, stream: TcpStream, address: SocketAddr) {
    // Watch events are small and must not wait for more.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%address, %error, "no TCP_NODELAY");
    }
    let handshake = timeout(site.limits.handshake_time_max, site.acceptor.accept(stream));
    let stream = tokio::select! {
        () = site.shutdown.begun() => return,
        done = handshake => match done {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(%address, %error, "handshake failed"),
            Err(_) => return tracing::debug!(%address, "handshake took too long"),
        },
    };
    if let Err(error) = speak(site, stream, address).await {
        tracing::debug!(%address, %error, "connection ended");
    }
}

async fn speak(
    site: &Site,
    stream: TlsStream<TcpStream>,
    address: SocketAddr,
) -> Result<(), hyper::Error> {
    let session = stream.get_ref().1;
    let is_h2 = session.alpn_protocol() == Some(H2);
    let shown = session.peer_certificates().and_then(|chain| chain.first());
    let peer = Peer {
        address,
        identity: shown.and_then(|der| Identity::of_certificate(der)),
    };
    let app = TowerToHyperService::new(site.app.clone());
    let activity = Activity::new();
    let noted = activity.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let open = noted.open();
        request.extensions_mut().insert(peer.clone());
        let answer = app.call(request.map(Body::new));
        async move {
            answer
                .await
                .map(|answer| answer.map(|body| Answer::new(body, open)))
        }
    });
    let io = TokioIo::new(Stall::new(stream, site.limits.write_stall_max));
    if is_h2 {
        let connection = http2_with(&site.limits).serve_connection(io, service);
        until_told(
            connection,
            http2::Connection::graceful_shutdown,
            site,
            &activity,
        )
        .await
    } else {
        let connection = http1_with(&site.limits).serve_connection(io, service);
        until_told(
            connection,
            http1::Connection::graceful_shutdown,
            site,
            &activity,
        )
        .await
    }
}

/// Runs a connection. When it is idle or the server stops, tells it to take no more requests, and
/// lets those it has come to their end.
async fn until_told<C, T>(
    connection: C,
    stop: fn(Pin<&mut C>),
    site: &Site,
    activity: &Activity,
) -> Result<(), T>
where
    C: Future<Output = Result<(), T>>,
{
    let limits = &site.limits;
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = site.shutdown.begun() => {
            stop(connection.as_mut());
            return connection.await;
        }
        () = activity.idle(limits.header_time_max, limits.idle_time_max) => {}
    }
    stop(connection.as_mut());
    // A request may have crossed the farewell, and keeps what it opened. A client that has
    // nothing open and does not answer the farewell loses nothing.
    tokio::select! {
        ended = connection => ended,
        () = activity.idle(limits.ping_time_max, limits.ping_time_max) => Ok(()),
    }
}

fn http1_with(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_time_max)
        .max_header_size(limits.header_bytes_max as usize)
        .max_headers(limits.header_fields_max)
        .max_buf_size(limits.send_buffer_bytes_max);
    builder
}

fn http2_with(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(limits.header_bytes_max)
        .max_concurrent_streams(limits.streams_max)
        .max_pending_accept_reset_streams(limits.early_resets_max)
        .max_local_error_reset_streams(limits.error_resets_max)
        .max_send_buf_size(limits.send_buffer_bytes_max)
        .keep_alive_interval(limits.ping_interval)
        .keep_alive_timeout(limits.ping_time_max);
    builder
}
