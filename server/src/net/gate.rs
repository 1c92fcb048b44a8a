//! The gate: finds out who is asking, and turns away who does not prove it.
//!
//! A proof in the request, when there is one, decides alone: a wrong token beside a good
//! certificate is refused, as a client that sends both means both. The administrator's tokens are
//! compared by hash, each of them, without stopping at the first match; all other secrets are with
//! [`Logins`].
//!
//! ```text
//! Bearer   a known hash, or the owner that Logins names
//! Basic    remembered as right -> in; too many failures -> 429; else checked, few at a time
//! none     the client certificate, or nobody
//! ```

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::audit::{Audit, Entry, Written};
use super::impersonate::impersonate;
use super::refusal::{too_many, unauthorized};
use super::throttle::Throttle;
use super::{AuditId, Identity, Logins, Peer, TokenHash, refuse};
use crate::limits;

/// What anyone may ask for. None of it tells a name.
pub const PUBLIC_PATHS: [&str; 4] = ["/livez", "/readyz", "/healthz", "/version"];

/// Longer tokens are refused unseen.
const TOKEN_BYTES_MAX: usize = limits::TOKEN_BYTES;
/// How long a password waits for its turn to be checked.
const TURN_TIME_MAX: Duration = Duration::from_secs(5);

/// The tokens that are known, and whose they are; and who knows the others. Cheap to clone.
#[derive(Clone)]
pub struct Gate {
    tokens: Arc<[(TokenHash, Identity)]>,
    logins: Option<Arc<dyn Logins>>,
    throttle: Arc<Throttle>,
    checks: Arc<Semaphore>,
    audit: Option<Audit>,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gate({} tokens)", self.tokens.len())
    }
}

/// Why nobody is let in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rejected {
    /// A proof was shown, and it is not valid.
    Wrong,
    /// Too many were not valid: come again after so many seconds.
    TooMany(u64),
    /// Nobody can tell at the moment.
    Unknown(String),
}

/// A proof in a request.
enum Shown {
    Token(Vec<u8>),
    Password(String, Vec<u8>),
}

impl Gate {
    /// A gate that knows these tokens.
    #[must_use]
    pub fn new(tokens: Vec<(TokenHash, Identity)>) -> Self {
        Self {
            tokens: tokens.into(),
            logins: None,
            throttle: Arc::default(),
            checks: Arc::new(Semaphore::new(limits::PASSWORD_CHECKS)),
            audit: None,
        }
    }

    /// The same, which asks for all other secrets there.
    #[must_use]
    pub fn with_logins(mut self, logins: Arc<dyn Logins>) -> Self {
        self.logins = Some(logins);
        self
    }

    /// The same, which writes down who was denied what, and who changed what.
    #[must_use]
    pub fn with_audit(mut self, audit: Audit) -> Self {
        self.audit = Some(audit);
        self
    }

    /// The owner of a token that the gate itself knows.
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
    pub(super) async fn identify(
        &self,
        headers: &HeaderMap,
        peer: Option<&Peer>,
    ) -> Result<Option<Identity>, Rejected> {
        let Some(shown) = shown(headers)? else {
            return Ok(peer.and_then(|peer| peer.identity.clone()));
        };
        let address = peer.map_or_else(String::new, |peer| format!("at {}", peer.address.ip()));
        let (found, user) = match shown {
            Shown::Token(token) => (self.of_token(token).await?, None),
            Shown::Password(user, password) => {
                let name = format!("as {user}");
                let names = [&address, &name];
                (self.of_password(&user, password, names).await?, Some(name))
            }
        };
        if found.is_some() {
            return Ok(found);
        }
        let now = Instant::now();
        let names = [Some(&address), user.as_ref()];
        let waits = names.into_iter().flatten();
        let wait = waits.map(|name| self.throttle.fail(name, now)).max();
        sleep(wait.unwrap_or_default()).await;
        let seconds = |left: Duration| left.as_secs().max(1);
        Err(match self.throttle.wait(&address, now) {
            Some(left) => Rejected::TooMany(seconds(left)),
            None => Rejected::Wrong,
        })
    }

    async fn of_token(&self, token: Vec<u8>) -> Result<Option<Identity>, Rejected> {
        if let Some(owner) = self.owner(&token) {
            return Ok(Some(owner));
        }
        let Some(logins) = &self.logins else {
            return Ok(None);
        };
        // A change of thread costs as much as a get: it is made for those who must wait.
        if let Some(owner) = logins.at_hand(&token) {
            return Ok(Some(owner));
        }
        let logins = Arc::clone(logins);
        blocking(move || logins.of_token(&token)).await
    }

    /// Checks a password, unless it was found right before, or one of these names has failed too
    /// often.
    async fn of_password(
        &self,
        user: &str,
        password: Vec<u8>,
        names: [&String; 2],
    ) -> Result<Option<Identity>, Rejected> {
        let Some(logins) = &self.logins else {
            return Ok(None);
        };
        let (quick, user) = (Arc::clone(logins), user.to_owned());
        let (known, word) = (user.clone(), password.clone());
        let found = blocking(move || quick.remembered(&known, &word)).await?;
        if found.is_some() {
            return Ok(found);
        }
        let now = Instant::now();
        let waits = names.into_iter();
        if let Some(left) = waits.filter_map(|name| self.throttle.wait(name, now)).max() {
            return Err(Rejected::TooMany(left.as_secs().max(1)));
        }
        let turn = timeout(TURN_TIME_MAX, self.checks.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(Rejected::TooMany(1));
        };
        let slow = Arc::clone(logins);
        blocking(move || slow.of_password(&user, &password)).await
    }
}

/// Rows may have to be read, and passwords take their time.
async fn blocking(
    ask: impl FnOnce() -> Result<Option<Identity>, String> + Send + 'static,
) -> Result<Option<Identity>, Rejected> {
    match tokio::task::spawn_blocking(ask).await {
        Ok(answer) => answer.map_err(Rejected::Unknown),
        Err(panic) => Err(Rejected::Unknown(panic.to_string())),
    }
}

/// The middleware: puts the [`Identity`] into the request, or answers 401; and writes down what came
/// of it.
pub(super) async fn authenticate(
    State(gate): State<Gate>,
    request: Request,
    next: Next,
) -> Response {
    let Some(audit) = gate.audit.clone() else {
        return enter(&gate, request, next, &mut None).await;
    };
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let id = request.extensions().get::<AuditId>().map(|id| id.0);
    let from = request.extensions().get::<Peer>().map(|peer| peer.address);
    let mut identity = None;
    let response = enter(&gate, request, next, &mut identity).await;
    audit.note(&Entry {
        id,
        identity: identity.as_ref(),
        from,
        method: &method,
        path: &path,
        code: response.status(),
        written: response.extensions().get::<Written>().copied(),
    });
    response
}

async fn enter(
    gate: &Gate,
    mut request: Request,
    next: Next,
    who: &mut Option<Identity>,
) -> Response {
    let is_public = PUBLIC_PATHS.contains(&request.uri().path());
    let peer = request.extensions().get::<Peer>();
    match gate.identify(request.headers(), peer).await {
        Ok(Some(identity)) => match impersonate(identity.clone(), request.headers_mut()) {
            Ok(identity) => {
                *who = gate.audit.is_some().then(|| identity.clone());
                request.extensions_mut().insert(identity);
            }
            Err(refusal) => {
                *who = Some(identity);
                return *refusal;
            }
        },
        Ok(None) if is_public => {}
        Ok(None) | Err(Rejected::Wrong) => return unauthorized(),
        Err(Rejected::TooMany(seconds)) => return too_many(seconds),
        Err(Rejected::Unknown(why)) => {
            tracing::error!(%why, "nobody can be let in");
            let (code, message) = (StatusCode::SERVICE_UNAVAILABLE, "logins cannot be checked");
            return refuse(code, "ServiceUnavailable", message);
        }
    }
    // No handler needs the secret any more, and what it does not have it cannot log.
    request.headers_mut().remove(header::AUTHORIZATION);
    next.run(request).await
}

/// The one proof of a request, if it has one.
fn shown(headers: &HeaderMap) -> Result<Option<Shown>, Rejected> {
    let mut proofs = headers.get_all(header::AUTHORIZATION).iter();
    let Some(proof) = proofs.next() else {
        return Ok(None);
    };
    if proofs.next().is_some() {
        return Err(Rejected::Wrong);
    }
    let proof = proof.as_bytes();
    let shown = bearer(proof).or_else(|| basic(proof));
    shown.map(Some).ok_or(Rejected::Wrong)
}

fn bearer(value: &[u8]) -> Option<Shown> {
    let (scheme, token) = value.split_at_checked(7)?;
    let is_bearer = scheme.eq_ignore_ascii_case(b"bearer ");
    let token = token.trim_ascii();
    let fits = is_bearer && !token.is_empty() && token.len() <= TOKEN_BYTES_MAX;
    fits.then(|| Shown::Token(token.to_vec()))
}

fn basic(value: &[u8]) -> Option<Shown> {
    let (scheme, pair) = value.split_at_checked(6)?;
    let fits = scheme.eq_ignore_ascii_case(b"basic ") && pair.len() <= TOKEN_BYTES_MAX;
    let pair = fits.then(|| BASE64_STANDARD.decode(pair.trim_ascii()).ok())??;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    let user = std::str::from_utf8(&pair[..colon]).ok()?;
    let password = &pair[colon + 1..];
    let fits = !user.is_empty()
        && user.len() <= limits::NAME_BYTES
        && password.len() <= limits::PASSWORD_BYTES;
    fits.then(|| Shown::Password(user.to_owned(), password.to_vec()))
}

#[cfg(test)]
mod tests {
    //! Catches a false proof that passes, or one that falls back to the certificate.
    use axum::http::HeaderValue;

    use super::*;

    async fn identify(
        proofs: &[&str],
        certificate: Option<&str>,
    ) -> Result<Option<String>, Rejected> {
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
        let gate = Gate::new(tokens.into()).with_logins(Arc::new(Book));
        let peer = Peer { address, identity };
        let found = gate.identify(&headers, Some(&peer)).await;
        found.map(|found| found.map(|identity| identity.user))
    }

    /// Knows one token, another at hand, and one user by the word of its name.
    struct Book;

    impl Logins for Book {
        fn at_hand(&self, token: &[u8]) -> Option<Identity> {
            (token == b"five").then(|| Identity::of_token("token five", &[]))
        }

        fn of_token(&self, token: &[u8]) -> Result<Option<Identity>, String> {
            Ok((token == b"four").then(|| Identity::of_token("token four", &[])))
        }

        fn remembered(&self, _: &str, _: &[u8]) -> Result<Option<Identity>, String> {
            Ok(None)
        }

        fn of_password(&self, user: &str, password: &[u8]) -> Result<Option<Identity>, String> {
            let is_right = user == "ann" && password == b"ann:";
            Ok(is_right.then(|| Identity::of_token("ann", &[])))
        }
    }

    fn pair(text: &str) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(text))
    }

    #[tokio::test]
    async fn a_proof_decides_alone() {
        let pairs = ["ann:ann:", "ann:ann", "bob:", ":ann:", "ann"].map(pair);
        for (proofs, certificate, expected) in [
            (&[][..], None, Ok(None)),
            (&[][..], Some("cert"), Ok(Some("cert"))),
            (&["Bearer one"][..], None, Ok(Some("token one"))),
            (&["bearer  two "][..], Some("cert"), Ok(Some("token two"))),
            (&["Bearer three"][..], Some("cert"), Err(Rejected::Wrong)),
            (&["Bearer"][..], Some("cert"), Err(Rejected::Wrong)),
            (&["Bearer "][..], Some("cert"), Err(Rejected::Wrong)),
            (&[""][..], Some("cert"), Err(Rejected::Wrong)),
            (&["Basic one"][..], Some("cert"), Err(Rejected::Wrong)),
            (&["Bearer four"][..], None, Ok(Some("token four"))),
            (&["Bearer five"][..], None, Ok(Some("token five"))),
            (&[&*pairs[0]][..], Some("cert"), Ok(Some("ann"))),
            (&[&*pairs[1]][..], Some("cert"), Err(Rejected::Wrong)),
            (&[&*pairs[2]][..], Some("cert"), Err(Rejected::Wrong)),
            (&[&*pairs[3]][..], Some("cert"), Err(Rejected::Wrong)),
            (&[&*pairs[4]][..], Some("cert"), Err(Rejected::Wrong)),
            (&[&*pairs[0], "Bearer one"][..], None, Err(Rejected::Wrong)),
            (
                &["Bearer one", "Bearer one"][..],
                None,
                Err(Rejected::Wrong),
            ),
        ] {
            let expected = expected.map(|user| user.map(str::to_owned));
            assert_eq!(
                identify(proofs, certificate).await,
                expected,
                "{proofs:?} {certificate:?}"
            );
        }
        let long = format!("Bearer {}", "x".repeat(TOKEN_BYTES_MAX + 1));
        assert_eq!(identify(&[&long], None).await, Err(Rejected::Wrong));
    }

    #[tokio::test]
    async fn a_guesser_is_stopped_and_nobody_with_a_good_proof() {
        let mut gate = Gate::new(Vec::new()).with_logins(Arc::new(Book));
        // Nothing is learned by waiting here.
        gate.throttle = Arc::new(Throttle::new(Duration::ZERO));
        let peer = |address: &str| Peer {
            address: address.parse().unwrap(),
            identity: None,
        };
        let ask = async |proof: &str, address: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_str(proof).unwrap());
            gate.identify(&headers, Some(&peer(address))).await
        };
        let (wrong, right) = (pair("ann:no"), pair("ann:ann:"));
        let (here, there) = ("127.0.0.1:1", "127.0.0.2:1");
        for _ in 1..limits::LOGIN_FAILURES {
            assert_eq!(ask(&wrong, here).await, Err(Rejected::Wrong));
        }
        assert!(ask(&right, here).await.is_ok());
        assert!(matches!(
            ask(&wrong, here).await,
            Err(Rejected::TooMany(1..))
        ));
        // Neither from here nor for this user is a password looked at any more.
        for (proof, address) in [(&right, here), (&pair("bob:x"), here), (&right, there)] {
            let found = ask(proof, address).await;
            assert!(matches!(found, Err(Rejected::TooMany(1..))), "{found:?}");
        }
        assert_eq!(ask(&pair("bob:x"), there).await, Err(Rejected::Wrong));
        assert!(ask("Bearer four", here).await.is_ok());
    }

    /// Checks a password for as long as it is told to, and counts.
    #[derive(Default)]
    struct Slow {
        open: std::sync::Mutex<usize>,
        most: std::sync::Mutex<usize>,
    }

    impl Logins for Slow {
        fn at_hand(&self, _: &[u8]) -> Option<Identity> {
            None
        }

        fn of_token(&self, _: &[u8]) -> Result<Option<Identity>, String> {
            Ok(None)
        }

        fn remembered(&self, _: &str, _: &[u8]) -> Result<Option<Identity>, String> {
            Ok(None)
        }

        fn of_password(&self, user: &str, _: &[u8]) -> Result<Option<Identity>, String> {
            *self.open.lock().unwrap() += 1;
            std::thread::sleep(Duration::from_millis(5));
            let mut open = self.open.lock().unwrap();
            let mut most = self.most.lock().unwrap();
            *most = (*most).max(*open);
            *open -= 1;
            Ok(Some(Identity::of_token(user, &[])))
        }
    }

    #[tokio::test]
    async fn few_passwords_are_checked_at_a_time() {
        let slow = Arc::new(Slow::default());
        let gate = Gate::new(Vec::new()).with_logins(Arc::clone(&slow) as Arc<dyn Logins>);
        let asked: Vec<_> = (0..10 * limits::PASSWORD_CHECKS)
            .map(|at| {
                let gate = gate.clone();
                tokio::spawn(async move {
                    let mut headers = HeaderMap::new();
                    let proof = HeaderValue::from_str(&pair(&format!("u{at}:x"))).unwrap();
                    headers.insert(header::AUTHORIZATION, proof);
                    gate.identify(&headers, None).await
                })
            })
            .collect();
        for asked in asked {
            assert!(asked.await.unwrap().is_ok_and(|found| found.is_some()));
        }
        assert!(*slow.most.lock().unwrap() <= limits::PASSWORD_CHECKS);
    }
}
