//! A server and our proof, read from a kubeconfig and ready to dial.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use base64::prelude::{BASE64_STANDARD, Engine};
use hyper::Uri;
use hyper::header::HeaderValue;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::Error;
use super::kubeconfig::{Cluster, Current, Kubeconfig, User};
use crate::net::tls;

const DEFAULT_NAMESPACE: &str = "default";

/// Where to connect, whom to trust, and what to show.
#[derive(Debug, Clone)]
pub struct Target {
    pub(super) url: String,
    pub(super) host: String,
    pub(super) port: u16,
    /// What the URL has before the paths of the API, without a slash at its end.
    pub(super) prefix: String,
    pub(super) road: Road,
    pub(super) authorization: Option<HeaderValue>,
    pub(super) namespace: String,
}

/// The way to the server.
#[derive(Debug, Clone)]
pub(super) enum Road {
    /// Over the network.
    Tls {
        config: Arc<ClientConfig>,
        server_name: ServerName<'static>,
    },
    /// The server is in this process.
    Here(Router),
}

impl Target {
    /// A server in this process, which `name` stands for in messages. No proof is shown: the
    /// router takes whoever comes.
    #[must_use]
    pub fn here(name: &str, router: Router) -> Self {
        Self {
            url: name.to_owned(),
            host: "localhost".to_owned(),
            port: 443,
            prefix: String::new(),
            road: Road::Here(router),
            authorization: None,
            namespace: DEFAULT_NAMESPACE.to_owned(),
        }
    }

    /// Reads the current context of the kubeconfig at `path`.
    ///
    /// # Errors
    /// When the file cannot be read, or lacks what a safe connection needs.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let config = Kubeconfig::read(path)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let made = config
            .current()
            .and_then(|current| Self::new(current, folder));
        made.map_err(|why| Error::Config {
            path: path.to_owned(),
            why,
        })
    }

    fn new(current: Current<'_>, folder: &Path) -> Result<Self, String> {
        let Current {
            cluster,
            user,
            namespace,
        } = current;
        let (host, port, prefix) = parse(&cluster.server)?;
        let name = cluster
            .tls_server_name
            .clone()
            .unwrap_or_else(|| host.clone());
        let server_name = ServerName::try_from(name)
            .map_err(|why| format!("server: {}: {why}", cluster.server))?;
        Ok(Self {
            url: cluster.server.clone(),
            host,
            port,
            prefix,
            road: Road::Tls {
                config: tls_config(cluster, user, folder)?,
                server_name,
            },
            authorization: authorization(user, folder)?,
            namespace: namespace.unwrap_or(DEFAULT_NAMESPACE).to_owned(),
        })
    }
}

fn parse(server: &str) -> Result<(String, u16, String), String> {
    let expected = || format!("server: {server:?}: expected https://HOST[:PORT]");
    let uri: Uri = server.parse().map_err(|_| expected())?;
    if uri.scheme_str() != Some("https") {
        return Err(format!(
            "{}; credentials are not sent without TLS",
            expected()
        ));
    }
    let host = uri
        .host()
        .filter(|host| !host.is_empty())
        .ok_or_else(expected)?;
    let host = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    let prefix = uri.path().trim_end_matches('/').to_owned();
    Ok((host, uri.port_u16().unwrap_or(443), prefix))
}

fn tls_config(cluster: &Cluster, user: &User, folder: &Path) -> Result<Arc<ClientConfig>, String> {
    if cluster.insecure_skip_tls_verify {
        return Err(
            "insecure-skip-tls-verify is not supported: name the authority of the server \
                    in certificate-authority-data"
                .to_owned(),
        );
    }
    let data = (
        &cluster.certificate_authority_data,
        &cluster.certificate_authority,
    );
    let authority = pem("certificate-authority", data, folder)?
        .ok_or("certificate-authority-data is missing: it names whom to trust")?;
    let roots = tls::roots(&authority).map_err(|why| format!("certificate-authority: {why}"))?;
    let builder = ClientConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .map_err(|why| why.to_string())?
        .with_root_certificates(roots);

    let data = (&user.client_certificate_data, &user.client_certificate);
    let certificate = pem("client-certificate", data, folder)?;
    let key = pem(
        "client-key",
        (&user.client_key_data, &user.client_key),
        folder,
    )?;
    let mut config = match (certificate, key) {
        (Some(certificate), Some(key)) => {
            let chain = tls::certificates(&certificate)
                .map_err(|why| format!("client-certificate: {why}"))?;
            let key = tls::private_key(&key).map_err(|why| format!("client-key: {why}"))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|why| format!("client-certificate: {why}"))?
        }
        (None, None) => builder.with_no_client_auth(),
        (Some(_), None) => return Err("client-certificate is given without client-key".to_owned()),
        (None, Some(_)) => return Err("client-key is given without client-certificate".to_owned()),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The text of a PEM field that may be inline in base64 or in a file.
fn pem(
    field: &str,
    (data, file): (&Option<String>, &Option<PathBuf>),
    folder: &Path,
) -> Result<Option<String>, String> {
    if let Some(data) = data {
        let bytes = BASE64_STANDARD
            .decode(data.trim())
            .map_err(|why| format!("{field}-data: expected base64: {why}"))?;
        let text = String::from_utf8(bytes);
        return text
            .map(Some)
            .map_err(|_| format!("{field}-data: expected PEM"));
    }
    file.as_ref()
        .map(|file| text(field, &folder.join(file)))
        .transpose()
}

fn authorization(user: &User, folder: &Path) -> Result<Option<HeaderValue>, String> {
    let token = match (&user.token, &user.token_file) {
        (Some(token), _) => token.clone(),
        (None, Some(file)) => text("tokenFile", &folder.join(file))?,
        (None, None) => return Ok(None),
    };
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
        .map_err(|_| "token: expected printable ASCII".to_owned())?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn text(field: &str, path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|why| format!("{field}: {}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    //! Catches credentials sent in the clear or to a server nobody vouches for.
    use super::*;

    #[test]
    fn takes_https_alone() {
        let split =
            |text| parse(text).map(|(host, port, prefix)| format!("{host} {port} {prefix}"));
        assert_eq!(split("https://a.test").as_deref(), Ok("a.test 443 "));
        assert_eq!(split("https://[::1]:6443/").as_deref(), Ok("::1 6443 "));
        assert_eq!(
            split("https://a.test:1/k8s/x/").as_deref(),
            Ok("a.test 1 /k8s/x")
        );
        for text in [
            "http://a.test",
            "a.test",
            "",
            "https://",
            "ftp://a.test",
            "https://a b",
        ] {
            assert!(
                split(text).unwrap_err().contains("expected https://"),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_what_is_not_safe() {
        let refused = |cluster: Cluster, user: User| {
            let current = Current {
                cluster: &cluster,
                user: &user,
                namespace: None,
            };
            Target::new(current, Path::new(".")).unwrap_err()
        };
        let server = "https://a.test".to_owned();
        let cluster = || Cluster {
            server: server.clone(),
            ..Cluster::default()
        };
        let error = refused(cluster(), User::default());
        assert!(
            error.contains("certificate-authority-data is missing"),
            "{error}"
        );
        let error = refused(
            Cluster {
                insecure_skip_tls_verify: true,
                ..cluster()
            },
            User::default(),
        );
        assert!(error.contains("not supported"), "{error}");
        let data = Some("!".to_owned());
        let error = refused(
            Cluster {
                certificate_authority_data: data,
                ..cluster()
            },
            User::default(),
        );
        assert!(error.contains("expected base64"), "{error}");
    }
}
