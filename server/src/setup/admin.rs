//! The administrator's way in: a bearer token, a client certificate, and the kubeconfig that
//! holds both.

use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use jiff::Timestamp;

use super::authority::{Authority, Holder};
use super::{Error, file};
use crate::client::kubeconfig::{
    Cluster, Context, Kubeconfig, NamedCluster, NamedContext, NamedUser, User,
};
use crate::net::{ADMINISTRATORS, TokenHash};

/// The user and the group of the administrator, as Kubernetes names them.
pub(super) const USER: &str = "admin";
pub(super) const GROUP: &str = ADMINISTRATORS;

const TOKEN_BYTES: usize = 32;
const HASH_FILE: &str = "admin.sha256";
const CONFIG_FILE: &str = "admin.kubeconfig";

/// What the administrator needs, and whether it was made just now.
pub(super) struct Admin {
    pub(super) hash: TokenHash,
    pub(super) kubeconfig: PathBuf,
    pub(super) new_token: bool,
}

/// Reuses the credentials in the kubeconfig where they are still good, makes the others, and
/// writes the kubeconfig when anything in it changes, the server's address too.
pub(super) fn open(
    dir: &Path,
    authority: &Authority,
    url: &str,
    now: Timestamp,
) -> Result<Admin, Error> {
    let (hash_path, kubeconfig) = (dir.join(HASH_FILE), dir.join(CONFIG_FILE));
    let old_text = file::read(&kubeconfig)?;
    let old = old_text
        .as_deref()
        .and_then(|text| Kubeconfig::parse(text).ok());
    let old = old.as_ref().and_then(|config| config.current().ok());
    let stored = file::read(&hash_path)?.and_then(|text| TokenHash::parse(text.trim()));

    let kept_token = old
        .and_then(|old| old.user.token.clone())
        .filter(|token| stored.is_some_and(|hash| hash.is_of(token.as_bytes())));
    let new_token = kept_token.is_none();
    let token = match kept_token {
        Some(token) => token,
        None => random_token()?,
    };
    let hash = TokenHash::of(token.as_bytes());

    let kept_pair = old.and_then(|old| kept_certificate(old.user, authority));
    let (certificate, key) = match kept_pair {
        Some(pair) => pair,
        None => {
            let pair = authority.issue(&Holder::User {
                name: USER,
                group: GROUP,
            })?;
            (
                BASE64_STANDARD.encode(pair.certificate),
                BASE64_STANDARD.encode(pair.key),
            )
        }
    };
    let user = User {
        token: Some(token),
        client_certificate_data: Some(certificate),
        client_key_data: Some(key),
        ..User::default()
    };
    let text = render(url, authority, user)?;
    if new_token {
        // The hash first: a crash between the two leaves a token that fits no hash, which the
        // next start replaces.
        let line = format!("{hash}\n");
        file::write(&hash_path, line.as_bytes())?;
        tracing::info!(at = %now, "made a new administrator token");
    }
    if old_text.as_deref() != Some(text.as_str()) {
        file::write(&kubeconfig, text.as_bytes())?;
    }
    Ok(Admin {
        hash,
        kubeconfig,
        new_token,
    })
}

fn kept_certificate(user: &User, authority: &Authority) -> Option<(String, String)> {
    let (certificate, key) = (
        user.client_certificate_data.as_ref()?,
        user.client_key_data.as_ref()?,
    );
    let pem = String::from_utf8(BASE64_STANDARD.decode(certificate).ok()?).ok()?;
    let is_good = authority.vouches_for(&pem, &std::collections::BTreeSet::new());
    is_good.then(|| (certificate.clone(), key.clone()))
}

fn random_token() -> Result<String, Error> {
    let mut bytes = [0; TOKEN_BYTES];
    getrandom::fill(&mut bytes).map_err(Error::tls("make a token"))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

fn render(url: &str, authority: &Authority, user: User) -> Result<String, Error> {
    let name = || "annals".to_owned();
    let config = Kubeconfig {
        api_version: "v1".to_owned(),
        kind: "Config".to_owned(),
        clusters: vec![NamedCluster {
            name: name(),
            cluster: Cluster {
                server: url.to_owned(),
                certificate_authority_data: Some(BASE64_STANDARD.encode(&authority.certificate)),
                ..Cluster::default()
            },
        }],
        users: vec![NamedUser {
            name: USER.to_owned(),
            user,
        }],
        contexts: vec![NamedContext {
            name: name(),
            context: Context {
                cluster: name(),
                user: USER.to_owned(),
                namespace: Some("default".to_owned()),
            },
        }],
        current_context: name(),
    };
    config.render().map_err(Error::tls("write the kubeconfig"))
}
