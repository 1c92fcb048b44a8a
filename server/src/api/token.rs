//! The continue token: a list at one version, and where its next page begins.
//!
//! ```text
//! base64url({"v":"annals.dev/v1","rv":12,"start":"namespace/name","of":"<digest of the query>"})
//! ```
//!
//! It is bound to the kind, the namespace and the selectors of the list that gave it out, and
//! holds nothing secret: it survives restarts.

use annals::{Key, Version};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::wire::status::Status;

const FORMAT: &str = "annals.dev/v1";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    v: String,
    rv: u64,
    start: String,
    of: String,
}

/// What a token is bound to.
#[derive(Clone, Debug)]
pub(super) struct Binding {
    pub(super) group: String,
    pub(super) resource: String,
    pub(super) namespace: Option<String>,
    pub(super) selectors: [String; 2],
}

impl Binding {
    fn digest(&self) -> String {
        let mut hash = Sha256::new();
        let namespace = self.namespace.as_deref().unwrap_or("*");
        let [labels, fields] = &self.selectors;
        for part in [&self.group, &self.resource, namespace, labels, fields] {
            hash.update(part.len().to_string());
            hash.update(":");
            hash.update(part);
        }
        URL_SAFE_NO_PAD.encode(&hash.finalize()[..12])
    }

    /// The token of the page behind this key.
    pub(super) fn token(&self, version: Version, last: &Key) -> String {
        let token = Token {
            v: FORMAT.to_owned(),
            rv: version.get(),
            start: format!("{}/{}", last.namespace(), last.name()),
            of: self.digest(),
        };
        // A struct of texts and a number always serialises.
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&token).unwrap_or_default())
    }

    /// Reads a token of this list.
    pub(super) fn read(&self, text: &str) -> Result<(Version, Key), Status> {
        let bad = |why: &str| Status::bad_request(format!("continue key is not valid: {why}"));
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| bad("it is not base64url"))?;
        let token: Token = serde_json::from_slice(&bytes).map_err(|_| bad("it is not a token"))?;
        if token.v != FORMAT {
            return Err(bad("it is of another format"));
        }
        if token.of != self.digest() {
            return Err(bad(
                "it belongs to a list with another kind, namespace or selector",
            ));
        }
        let (namespace, name) = token
            .start
            .split_once('/')
            .ok_or_else(|| bad("its start is not a name"))?;
        let key = Key::new(&self.group, &self.resource, namespace, name)
            .map_err(|_| bad("its start is not a name"))?;
        if token.rv == 0 {
            return Err(bad("its version is zero"));
        }
        Ok((Version::new(token.rv), key))
    }
}

#[cfg(test)]
mod tests {
    //! Catches a token that continues another list than its own.
    use super::*;

    fn binding(namespace: Option<&str>, labels: &str) -> Binding {
        Binding {
            group: "g".into(),
            resource: "things".into(),
            namespace: namespace.map(str::to_owned),
            selectors: [labels.to_owned(), String::new()],
        }
    }

    #[test]
    fn continues_its_own_list_only() {
        let key = Key::new("g", "things", "n", "x").unwrap();
        let token = binding(None, "a=b").token(Version::new(7), &key);
        assert_eq!(
            binding(None, "a=b").read(&token).unwrap(),
            (Version::new(7), key)
        );
        for other in [
            binding(Some("n"), "a=b"),
            binding(None, "a=c"),
            binding(None, ""),
        ] {
            assert_eq!(other.read(&token).unwrap_err().code(), 400);
        }
        for bad in ["", "x", "%", &token[1..], &format!("{token}AAAA"), "e30"] {
            assert_eq!(
                binding(None, "a=b").read(bad).unwrap_err().code(),
                400,
                "{bad}"
            );
        }
    }
}
