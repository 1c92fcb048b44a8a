//! Who is asking, and how we know.

use std::net::SocketAddr;
use std::sync::Arc;

use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

/// The group of everyone who proved who they are.
pub(super) const AUTHENTICATED: &str = "system:authenticated";

/// The group of administrators, as Kubernetes names it.
pub const ADMINISTRATORS: &str = "system:masters";

/// Groups read from one certificate; the rest is left out.
const GROUPS_MAX: usize = 100;

/// An authenticated user. Handlers find it in the request extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The name, never empty.
    pub user: String,
    /// The groups, `system:authenticated` among them.
    pub groups: Vec<String>,
    /// The way the proof came.
    pub how: How,
    /// The proof, where it can be taken back.
    pub proof: Option<Proof>,
}

/// What a caller has shown that can be taken back: it stands while the row holds this seal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Which row it was held against.
    pub row: Row,
    /// What the row kept of the secret then.
    pub seal: Arc<str>,
}

/// The name of a row that keeps a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// A user, with a password.
    User(String),
    /// A token.
    Token(String),
}

/// How a user proved who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// By a client certificate of our authority.
    Certificate,
    /// By a bearer token.
    Token,
    /// By a name and a password.
    Password,
    /// By the word of the named user, who may speak for others.
    Impersonated {
        /// Who spoke.
        by: String,
    },
}

/// The other end of a connection. [`super::serve`] puts it into the request extensions.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Who its client certificate names, when it showed one.
    pub identity: Option<Identity>,
}

impl Identity {
    /// The owner of a token.
    #[must_use]
    pub fn of_token(user: &str, groups: &[&str]) -> Self {
        let groups = groups.iter().map(|group| (*group).to_owned()).collect();
        Self::new(user.to_owned(), groups, How::Token)
    }

    /// A caller whose proof can be taken back.
    #[must_use]
    pub fn proven(user: String, groups: Vec<String>, how: How, proof: Proof) -> Self {
        let proof = Some(proof);
        Self {
            proof,
            ..Self::new(user, groups, how)
        }
    }

    /// The holder of a client certificate that TLS has verified: its common name is the user,
    /// its organizations are the groups. Nobody, when it has no common name.
    #[must_use]
    pub fn of_certificate(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let subject = certificate.subject();
        let user = common_name(subject)?;
        let groups = subject
            .iter_organization()
            .filter_map(|group| group.as_str().ok())
            .filter(|group| !group.is_empty())
            .take(GROUPS_MAX)
            .map(str::to_owned)
            .collect();
        Some(Self::new(user, groups, How::Certificate))
    }

    /// Whether the user is in `group`.
    #[must_use]
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }

    pub(super) fn new(user: String, mut groups: Vec<String>, how: How) -> Self {
        if !groups.iter().any(|group| group == AUTHENTICATED) {
            groups.push(AUTHENTICATED.to_owned());
        }
        Self {
            user,
            groups,
            how,
            proof: None,
        }
    }
}

fn common_name(subject: &X509Name<'_>) -> Option<String> {
    let name = subject.iter_common_name().next()?.as_str().ok()?;
    (!name.is_empty()).then(|| name.to_owned())
}
