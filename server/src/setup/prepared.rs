//! One call that makes or reuses everything the listener needs.

use std::fs::DirBuilder;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::admin;
use super::authority::{Authority, Holder, Pair};
use super::{DataDir, Error, file, names};
use crate::net::{Gate, Identity, tls};

/// What a start asks for.
#[derive(Debug, Clone)]
pub struct Wish<'a> {
    /// The address the listener is bound to, with its real port.
    pub listen: SocketAddr,
    /// Names of the server beside `localhost`, the loopback addresses and the host's name.
    pub tls_sans: &'a [String],
    /// The time, for the life of certificates.
    pub now: Timestamp,
}

/// What the listener needs, and what the first screen tells.
#[derive(Debug)]
pub struct Prepared {
    /// TLS of the listener.
    pub tls: Arc<rustls::ServerConfig>,
    /// Who may enter.
    pub gate: Gate,
    /// The administrator's kubeconfig.
    pub kubeconfig: PathBuf,
    /// The address in it.
    pub url: String,
    /// Whether a new token was made, so that older kubeconfigs no longer work.
    pub new_token: bool,
}

/// Makes or reuses the authority, the server's certificate, the token and the kubeconfig.
///
/// # Errors
/// When a file cannot be read or written, is damaged, or a name is not valid.
pub fn prepare(dir: &DataDir, wish: &Wish<'_>) -> Result<Prepared, Error> {
    let folder = dir.path().join("tls");
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(Error::io("make the folder", &folder))?;
    let authority = Authority::open(&folder, wish.now)?;
    let server = server_pair(&folder, &authority, wish)?;
    let url = format!("https://{}", reachable(wish.listen));
    let admin = admin::open(dir.path(), &authority, &url, wish.now)?;
    let tls = tls::server_config(&server.certificate, &server.key, &authority.certificate)
        .map_err(Error::tls("set up TLS"))?;
    let identity = Identity::of_token(admin::USER, &[admin::GROUP]);
    Ok(Prepared {
        tls,
        gate: Gate::new(vec![(admin.hash, identity)]),
        kubeconfig: admin.kubeconfig,
        url,
        new_token: admin.new_token,
    })
}

fn server_pair(folder: &Path, authority: &Authority, wish: &Wish<'_>) -> Result<Pair, Error> {
    let names = names::collect(wish.listen, wish.tls_sans)?;
    let (crt, key) = (folder.join("server.crt"), folder.join("server.key"));
    if let (Some(certificate), Some(key)) = (file::read(&crt)?, file::read(&key)?)
        && authority.vouches_for(&certificate, &names)
        && tls::is_pair(&certificate, &key)
    {
        return Ok(Pair { certificate, key });
    }
    let pair = authority.issue(&Holder::Server(&names))?;
    file::write(&key, pair.key.as_bytes())?;
    file::write(&crt, pair.certificate.as_bytes())?;
    tracing::info!(names = ?names, "issued a server certificate");
    Ok(pair)
}

/// The address a client on this machine dials: an unspecified one becomes the loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests;
