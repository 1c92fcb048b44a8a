//! The kubeconfig file: how kubectl and we find a server and prove who we are.
//!
//! Only the fields that matter here are typed; a file with more is read without complaint.
//! [`find`] chooses the file, [`Kubeconfig::read`] reads it, [`Kubeconfig::current`] picks the
//! entries of the current context.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::Error;

/// A larger file is not a kubeconfig.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Where `annals serve` writes when no other data directory is named.
const LOCAL: &str = "annals-data/admin.kubeconfig";

/// The file as a whole.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Kubeconfig {
    /// Always `v1`.
    #[serde(default, rename = "apiVersion")]
    pub api_version: String,
    /// Always `Config`.
    #[serde(default)]
    pub kind: String,
    /// Servers by name.
    #[serde(default)]
    pub clusters: Vec<NamedCluster>,
    /// Credentials by name.
    #[serde(default)]
    pub users: Vec<NamedUser>,
    /// Pairs of server and credentials by name.
    #[serde(default)]
    pub contexts: Vec<NamedContext>,
    /// The context to use.
    #[serde(default)]
    pub current_context: String,
}

/// An entry of `clusters`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct NamedCluster {
    /// What contexts call it.
    pub name: String,
    /// The server.
    pub cluster: Cluster,
}

/// A server.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Cluster {
    /// Its URL.
    #[serde(default)]
    pub server: String,
    /// Its certificate authority, PEM in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_authority_data: Option<String>,
    /// Its certificate authority, a PEM file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_authority: Option<PathBuf>,
    /// The name to expect in its certificate, when it is not the host of the URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_server_name: Option<String>,
    /// Read only to be refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure_skip_tls_verify: bool,
}

/// An entry of `users`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct NamedUser {
    /// What contexts call it.
    pub name: String,
    /// The credentials.
    #[serde(default)]
    pub user: User,
}

/// Credentials. Its fields are secrets: they are never logged.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct User {
    /// A bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// A file with a bearer token.
    #[serde(default, rename = "tokenFile", skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// A client certificate, PEM in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate_data: Option<String>,
    /// Its key, PEM in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key_data: Option<String>,
    /// A client certificate, a PEM file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<PathBuf>,
    /// Its key, a PEM file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_key: Option<PathBuf>,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("User { .. }")
    }
}

/// An entry of `contexts`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct NamedContext {
    /// What `current-context` calls it.
    pub name: String,
    /// The pair.
    pub context: Context,
}

/// A server, credentials and a namespace.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Context {
    /// Names an entry of `clusters`.
    pub cluster: String,
    /// Names an entry of `users`.
    pub user: String,
    /// The namespace of commands that name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// The entries that the current context names.
#[derive(Debug, Clone, Copy)]
pub struct Current<'a> {
    /// The server.
    pub cluster: &'a Cluster,
    /// The credentials.
    pub user: &'a User,
    /// The namespace, when the context has one.
    pub namespace: Option<&'a str>,
}

impl Kubeconfig {
    /// Parses the text of a file.
    ///
    /// # Errors
    /// When it is not YAML of the right shape, with the place.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_saphyr::from_str(text).map_err(|error| error.to_string())
    }

    /// The text of a file, each value on the line of its name.
    ///
    /// # Errors
    /// When a value cannot be written as YAML.
    pub fn render(&self) -> Result<String, String> {
        let flat = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
        serde_saphyr::to_string_with_options(self, flat).map_err(|error| error.to_string())
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read or parsed.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let refused = |why: String| Error::Config {
            path: path.to_owned(),
            why,
        };
        let found = fs::metadata(path).map_err(|error| {
            let advice = match error.kind() {
                std::io::ErrorKind::NotFound => {
                    "; a server writes one into its data directory when it starts"
                }
                std::io::ErrorKind::PermissionDenied => "; ask its owner for one of your own",
                _ => "",
            };
            refused(format!("{error}{advice}"))
        })?;
        if found.len() > FILE_BYTES_MAX {
            return Err(refused(format!("larger than {FILE_BYTES_MAX} bytes")));
        }
        let text = fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
        Self::parse(&text).map_err(refused)
    }

    /// The file for another user of the same server, who shows a token. The authority is put into
    /// it, so that it can be taken elsewhere; `path` is where this one was read.
    ///
    /// # Errors
    /// When the current context cannot be followed, or the authority cannot be read.
    pub fn with_token(&self, path: &Path, user: &str, token: &str) -> Result<Self, String> {
        let current = self.current()?;
        let mut cluster = Cluster {
            server: current.cluster.server.clone(),
            certificate_authority_data: current.cluster.certificate_authority_data.clone(),
            tls_server_name: current.cluster.tls_server_name.clone(),
            ..Cluster::default()
        };
        if cluster.certificate_authority_data.is_none()
            && let Some(file) = &current.cluster.certificate_authority
        {
            let file = path.parent().unwrap_or(Path::new(".")).join(file);
            let pem = fs::read(&file).map_err(|why| format!("{}: {why}", file.display()))?;
            cluster.certificate_authority_data = Some(BASE64_STANDARD.encode(pem));
        }
        let name = "annals".to_owned();
        let shown = User {
            token: Some(token.to_owned()),
            ..User::default()
        };
        Ok(Kubeconfig {
            api_version: "v1".to_owned(),
            kind: "Config".to_owned(),
            clusters: vec![NamedCluster {
                name: name.clone(),
                cluster,
            }],
            users: vec![NamedUser {
                name: user.to_owned(),
                user: shown,
            }],
            contexts: vec![NamedContext {
                name: name.clone(),
                context: Context {
                    cluster: name.clone(),
                    user: user.to_owned(),
                    namespace: current.namespace.map(str::to_owned),
                },
            }],
            current_context: name,
        })
    }

    /// The entries of the current context.
    ///
    /// # Errors
    /// When the context, or what it names, is not in the file.
    pub fn current(&self) -> Result<Current<'_>, String> {
        let wanted = &self.current_context;
        let context = self.contexts.iter().find(|entry| entry.name == *wanted);
        let context = &context
            .ok_or_else(|| missing("contexts", "current-context", wanted))?
            .context;
        let cluster = self
            .clusters
            .iter()
            .find(|entry| entry.name == context.cluster);
        let user = self.users.iter().find(|entry| entry.name == context.user);
        Ok(Current {
            cluster: &cluster
                .ok_or_else(|| missing("clusters", "cluster", &context.cluster))?
                .cluster,
            user: &user
                .ok_or_else(|| missing("users", "user", &context.user))?
                .user,
            namespace: context.namespace.as_deref().filter(|name| !name.is_empty()),
        })
    }
}

fn missing(list: &str, field: &str, name: &str) -> String {
    format!("{list} has no entry {name:?}, which {field} names")
}

/// Chooses the file: `given`, else the first of `KUBECONFIG` that exists, else the one `annals
/// serve` writes under the current directory, else `~/.kube/config`.
///
/// # Errors
/// When none of them exists.
pub fn find(given: Option<&Path>) -> Result<PathBuf, Error> {
    if let Some(path) = given {
        return Ok(path.to_owned());
    }
    let mut places = Vec::new();
    if let Some(list) = env::var_os("KUBECONFIG").filter(|list| !list.is_empty()) {
        places.extend(env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()));
    } else {
        places.push(PathBuf::from(LOCAL));
        places.extend(env::var_os("HOME").map(|home| PathBuf::from(home).join(".kube/config")));
    }
    places
        .iter()
        .find(|path| path.is_file())
        .cloned()
        .ok_or(Error::NoConfig { places })
}

#[cfg(test)]
mod tests {
    //! Catches a kubeconfig of kubectl that we cannot read, and an entry found under a wrong name.
    use super::*;

    const TEXT: &str = r#"
apiVersion: v1
kind: Config
preferences: {}
clusters:
- name: one
  cluster: {server: "https://one.test:1", certificate-authority: ca.pem}
- name: two
  cluster: {server: "https://two.test:2", certificate-authority-data: "QQ==", extensions: []}
users:
- name: me
  user: {token: t, exec: {command: x}}
contexts:
- name: here
  context: {cluster: two, user: me, namespace: ns}
- name: lost
  context: {cluster: three, user: me}
current-context: here
"#;

    #[test]
    fn picks_the_current_context() {
        let config = Kubeconfig::parse(TEXT).unwrap();
        let current = config.current().unwrap();
        assert_eq!(current.cluster.server, "https://two.test:2");
        assert_eq!(current.user.token.as_deref(), Some("t"));
        assert_eq!(current.namespace, Some("ns"));
    }

    #[test]
    fn names_what_is_missing() {
        let mut config = Kubeconfig::parse(TEXT).unwrap();
        config.current_context = "lost".into();
        assert_eq!(
            config.current().unwrap_err(),
            "clusters has no entry \"three\", which cluster names"
        );
        config.current_context = String::new();
        assert!(config.current().unwrap_err().contains("current-context"));
        assert!(Kubeconfig::parse("clusters: 7").is_err());
    }

    #[test]
    fn secrets_are_not_printed() {
        let config = Kubeconfig::parse(TEXT).unwrap();
        assert!(!format!("{:?}", config.users).contains("token"));
    }
}
