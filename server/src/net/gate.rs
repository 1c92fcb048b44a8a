//! The gate: finds out who is asking, and turns away who does not prove it.
//!
//! A bearer token, when there is one, decides alone: a wrong token beside a good certificate is
//! refused, as a client that sends both means both. Tokens are compared by hash, each of them,
//! without stopping at the first match.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;

use super::impersonate::impersonate;
use super::refusal::unauthorized;
use super::{Identity, Peer, TokenHash};
use crate::limits;

/// What anyone may ask for. None of it tells a name.
pub const PUBLIC_PATHS: [&str; 4] = ["/livez", "/readyz", "/healthz", "/version"];

/// Longer tokens are refused unseen.
const TOKEN_BYTES_MAX: usize = limits::TOKEN_BYTES;

/// The tokens that are known, and whose they are. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Gate {
    tokens: Arc<[(TokenHash, Identity)]>,
}

/// A proof was shown, and it is not valid.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rejected;

impl Gate {
    /// A gate that knows these tokens.
    #[must_use]
    pub fn new(tokens: Vec<(TokenHash, Identity)>) -> Self {
        Self {
            tokens: tokens.into(),
        }
    }

    /// The owner of a bearer token.
    #[must_use]
    pub fn owner(&self, token: &[u8]) -> Option<Identity> {
        let mut found = None;
        for (hash, identity) in self.tokens.iter() {
            if hash.is_of(token) {
                found = Some(identity);
            }
        }
        found.cloned()
    }

    /// Who is asking: nobody, somebody, or somebody with a false proof.
    pub(super) fn identify(
        &self,
        headers: &HeaderMap,
        peer: Option<&Peer>,
    ) -> Result<Option<Identity>, Rejected> {
        let mut proofs = headers.get_all(header::AUTHORIZATION).iter();
        let Some(proof) = proofs.next() else {
            return Ok(peer.and_then(|peer| peer.identity.clone()));
        };
        if proofs.next().is_some() {
            return Err(Rejected);
        }
        let token = bearer(proof.as_bytes()).ok_or(Rejected)?;
        self.owner(token).map(Some).ok_or(Rejected)
    }
}

/// The middleware: puts the [`Identity`] into the request, or answers 401.
pub(super) async fn authenticate(
    State(gate): State<Gate>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<Peer>();
    match gate.identify(request.headers(), peer) {
        Ok(Some(identity)) => match impersonate(identity, request.headers_mut()) {
            Ok(identity) => {
                request.extensions_mut().insert(identity);
            }
            Err(refusal) => return *refusal,
        },
        Ok(None) if PUBLIC_PATHS.contains(&request.uri().path()) => {}
        Ok(None) | Err(Rejected) => return unauthorized(),
    }
    // No handler needs the secret any more, and what it does not have it cannot log.
    request.headers_mut().remove(header::AUTHORIZATION);
    next.run(request).await
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    let is_bearer = scheme.eq_ignore_ascii_case(b"bearer ");
    let token = token.trim_ascii();
    (is_bearer && !token.is_empty() && token.len() <= TOKEN_BYTES_MAX).then_some(token)
}

#[cfg(test)]
mod tests {
    //! Catches a false proof that passes, or one that falls back to the certificate.
    use axum::http::HeaderValue;

    use super::*;

    fn identify(proofs: &[&str], certificate: Option<&str>) -> Result<Option<String>, Rejected> {
        let tokens = ["one", "two"].map(|name| {
            (
                TokenHash::of(name.as_bytes()),
                Identity::of_token(&format!("token {name}"), &[]),
            )
        });
        let mut headers = HeaderMap::new();
        for proof in proofs {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(proof).unwrap());
        }
        let address = "127.0.0.1:1".parse().unwrap();
        let identity = certificate.map(|user| Identity::of_token(user, &[]));
        let found = Gate::new(tokens.into()).identify(&headers, Some(&Peer { address, identity }));
        found.map(|found| found.map(|identity| identity.user))
    }

    #[test]
    fn a_token_decides_alone() {
        for (proofs, certificate, expected) in [
            (&[][..], None, Ok(None)),
            (&[][..], Some("cert"), Ok(Some("cert"))),
            (&["Bearer one"][..], None, Ok(Some("token one"))),
            (&["bearer  two "][..], Some("cert"), Ok(Some("token two"))),
            (&["Bearer three"][..], Some("cert"), Err(Rejected)),
            (&["Bearer"][..], Some("cert"), Err(Rejected)),
            (&["Bearer "][..], Some("cert"), Err(Rejected)),
            (&[""][..], Some("cert"), Err(Rejected)),
            (&["Basic one"][..], Some("cert"), Err(Rejected)),
            (&["Bearer one", "Bearer one"][..], None, Err(Rejected)),
        ] {
            let expected = expected.map(|user| user.map(str::to_owned));
            assert_eq!(
                identify(proofs, certificate),
                expected,
                "{proofs:?} {certificate:?}"
            );
        }
        let long = format!("Bearer {}", "x".repeat(TOKEN_BYTES_MAX + 1));
        assert_eq!(identify(&[&long], None), Err(Rejected));
    }
}
