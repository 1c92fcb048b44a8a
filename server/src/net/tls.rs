//! TLS of the listener: the `ring` provider, HTTP/2 and HTTP/1.1, client certificates welcome.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};

/// The name of HTTP/2 in TLS.
pub(super) const H2: &[u8] = b"h2";

/// The one provider of this program, named wherever TLS is set up so that no other is picked.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The certificates of a PEM text.
pub(crate) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let read = read.map_err(|error| error.to_string())?;
    if read.is_empty() {
        Err("holds no certificate".to_owned())
    } else {
        Ok(read)
    }
}

/// The private key of a PEM text.
pub(crate) fn private_key(pem: &str) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| error.to_string())
}

/// A store that trusts the authorities of a PEM text and no others.
pub(crate) fn roots(pem: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    Ok(roots)
}

/// Whether the key belongs to the certificate.
pub(crate) fn is_pair(certificate: &str, key: &str) -> bool {
    let (Ok(chain), Ok(key)) = (certificates(certificate), private_key(key)) else {
        return false;
    };
    CertifiedKey::from_der(chain, key, &provider()).is_ok()
}

/// The listener's configuration. A client may show a certificate; one that `authority` did not
/// sign ends the handshake.
pub(crate) fn server_config(
    certificate: &str,
    key: &str,
    authority: &str,
) -> Result<Arc<ServerConfig>, String> {
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots(authority)?), provider())
            .allow_unauthenticated()
            .build()
            .map_err(|error| error.to_string())?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates(certificate)?, private_key(key)?)
        .map_err(|error| error.to_string())?;
    config.alpn_protocols = vec![H2.to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
