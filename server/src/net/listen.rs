//! Binding the socket, with errors that say what to do.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

/// The socket could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process listens there.
    #[error(
        "{0} is taken by another process: stop it, or listen elsewhere with --listen (port 0 \
         takes a free one)"
    )]
    Taken(SocketAddr),
    /// The address needs rights that this process lacks.
    #[error("may not listen on {0}: take a port above 1023 with --listen")]
    Denied(SocketAddr),
    /// The address is not one of this machine.
    #[error("{0} is not an address of this machine: give another with --listen")]
    Foreign(SocketAddr),
    /// Anything else.
    #[error("cannot listen on {0}: {1}")]
    Other(SocketAddr, io::Error),
}

/// Binds `address` and returns the address with its real port.
///
/// # Errors
/// When the address is taken, foreign, or forbidden.
pub async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), BindError> {
    let told = |error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => BindError::Taken(address),
        io::ErrorKind::PermissionDenied => BindError::Denied(address),
        io::ErrorKind::AddrNotAvailable => BindError::Foreign(address),
        _ => BindError::Other(address, error),
    };
    let listener = TcpListener::bind(address).await.map_err(told)?;
    let real = listener.local_addr().map_err(told)?;
    Ok((listener, real))
}
