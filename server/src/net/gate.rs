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
//!
//! A client may go away at any moment, and hyper drops the future of its request then. So what must
//! not be lost does not live in that future: a check of a password holds its permit on its own
//! thread, where it is counted, and a request that is written down runs in a task of its own until
//! there is an answer. The body of the answer stays with the connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use super::audit::{Audit, Entry, Written};
use super::impersonate::impersonate;
use super::refusal::{too_many, unauthorized};
use super::throttle::{Throttle, name_of};
use super::{AuditId, Identity, Logins, Peer, TokenHash, refuse};
use crate::limits;

/// What anyone may ask for. None of it tells a name.
pub const PUBLIC_PATHS: [&str; 4] = ["/livez", "/readyz", "/healthz", "/version"];

/// Longer tokens are refused unseen.
const TOKEN_BYTES_MAX: usize = limits::TOKEN_BYTES;
/// How long a password waits for its turn to be checked.
const TURN_TIME_MAX: Duration = Duration::from_secs(5);
/// How many requests wait for that.
const TURNS_MAX: usize = 1_024;

/// The tokens that are known, and whose they are; and who knows the others. Cheap to clone.
#[derive(Clone)]
pub struct Gate {
    tokens: Arc<[(TokenHash, Identity)]>,
    logins: Option<Arc<dyn Logins>>,
    throttle: Arc<Throttle>,
    checks: Arc<Semaphore>,
    turns: Arc<Semaphore>,
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
            turns: Arc::new(Semaphore::new(TURNS_MAX)),
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
        let (user, password) = match shown {
            // Not counted: nobody guesses a token, and clients ask again after 429.
            Shown::Token(token) => {
                let found = self.of_token(token).await?;
                return found.map(Some).ok_or(Rejected::Wrong);
            }
            Shown::Password(user, password) => (user, password),
        };
        let address = peer.map_or_else(String::new, |peer| name_of(peer.address.ip()));
        let names = [address, format!("as {user}")];
        self.of_password(user, password, names).await.map(Some)
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

    /// Checks a password, unless it was found right before, or one of these names, the address
    /// first, has failed too often.
    async fn of_password(
        &self,
        user: String,
        password: Vec<u8>,
        names: [String; 2],
    ) -> Result<Identity, Rejected> {
        let Some(logins) = &self.logins else {
            return Err(Rejected::Wrong);
        };
        let (quick, slow) = (Arc::clone(logins), Arc::clone(logins));
        let (known, word) = (user.clone(), password.clone());
        if let Some(found) = blocking(move || quick.remembered(&known, &word)).await? {
            return Ok(found);
        }
        self.listens_to(&names)?;
        let check = self.turn().await?;
        // Others may have failed while this one waited.
        self.listens_to(&names)?;
        let now = Instant::now();
        let wait = names.iter().map(|name| self.throttle.fail(name, now)).max();
        let (throttle, counted) = (Arc::clone(&self.throttle), names.clone());
        let found = blocking(move || {
            // Held until the work is done, whoever waits for it.
            let _check = check;
            let found = slow.of_password(&user, &password);
            if !matches!(found, Ok(None)) {
                counted.iter().for_each(|name| throttle.forgive(name));
            }
            found
        });
        if let Some(found) = found.await? {
            return Ok(found);
        }
        sleep(wait.unwrap_or_default()).await;
        let [address, _] = names;
        Err(match self.throttle.wait(&address, now) {
            Some(left) => too_often(left),
            None => Rejected::Wrong,
        })
    }

    fn listens_to(&self, names: &[String]) -> Result<(), Rejected> {
        let now = Instant::now();
        let waits = names
            .iter()
            .filter_map(|name| self.throttle.wait(name, now));
        waits.max().map_or(Ok(()), |left| Err(too_often(left)))
    }

    /// Waits for the right to check a password.
    async fn turn(&self) -> Result<OwnedSemaphorePermit, Rejected> {
        let Ok(_place) = self.turns.try_acquire() else {
            return Err(Rejected::TooMany(1));
        };
        let check = Arc::clone(&self.checks).acquire_owned();
        match timeout(TURN_TIME_MAX, check).await {
            Ok(Ok(check)) => Ok(check),
            _ => Err(Rejected::TooMany(1)),
        }
    }
}

fn too_often(left: Duration) -> Rejected {
    Rejected::TooMany(left.as_secs().max(1))
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
    // A write goes on when its client goes away, and so must what is written down about it.
    let noted = tokio::spawn(note(gate, audit, request, next));
    noted.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a request was not answered");
        let message = "the server failed while it handled the request";
        refuse(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
    })
}

async fn note(gate: Gate, audit: Audit, request: Request, next: Next) -> Response {
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
    //! Catches a false proof that passes, or one that falls back to the certificate; and a client
    //! that goes away and so guesses without being counted, or writes without being written down.
    use std::sync::{Condvar, Mutex};

    use axum::Router;
    use axum::body::Body;
    use axum::http::HeaderValue;
    use axum::response::IntoResponse as _;
    use axum::routing::patch;
    use hyper::service::Service as _;
    use hyper_util::service::TowerToHyperService;
    use tokio::sync::Notify;

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
        // 429 would be asked again by clients, for ever.
        assert_eq!(ask("Bearer six", here).await, Err(Rejected::Wrong));
    }

    #[tokio::test]
    async fn wrong_tokens_are_answered_and_not_counted() {
        let gate = Gate::new(Vec::new()).with_logins(Arc::new(Book));
        let address = "127.0.0.1:1".parse().unwrap();
        let peer = Peer {
            address,
            identity: None,
        };
        let mut headers = HeaderMap::new();
        headers.insert(
            header::AUTHORIZATION,
            HeaderValue::from_static("Bearer six"),
        );
        for _ in 0..2 * limits::LOGIN_FAILURES {
            let found = gate.identify(&headers, Some(&peer)).await;
            assert_eq!(found, Err(Rejected::Wrong));
        }
        assert_eq!(gate.throttle.failures("at 127.0.0.1"), 0);
    }

    /// Checks passwords when it is told to; `ann` is right.
    #[derive(Default)]
    struct Held {
        begun: Notify,
        is_let_go: Mutex<bool>,
        go: Condvar,
    }

    impl Logins for Held {
        fn at_hand(&self, _token: &[u8]) -> Option<Identity> {
            None
        }

        fn of_token(&self, _: &[u8]) -> Result<Option<Identity>, String> {
            Ok(None)
        }

        fn remembered(&self, _: &str, _: &[u8]) -> Result<Option<Identity>, String> {
            Ok(None)
        }

        fn of_password(&self, user: &str, _: &[u8]) -> Result<Option<Identity>, String> {
            self.begun.notify_one();
            let mut is_let_go = self.is_let_go.lock().unwrap();
            while !*is_let_go {
                is_let_go = self.go.wait(is_let_go).unwrap();
            }
            Ok((user == "ann").then(|| Identity::of_token(user, &[])))
        }
    }

    #[tokio::test]
    async fn a_check_that_nobody_waits_for_keeps_its_turn_and_counts() {
        for (user, failures) in [("ann", 0), ("bob", 1)] {
            let held = Arc::new(Held::default());
            let gate = Gate::new(Vec::new()).with_logins(Arc::clone(&held) as Arc<dyn Logins>);
            let (asked, proof) = (gate.clone(), pair(&format!("{user}:x")));
            let asked = tokio::spawn(async move {
                let mut headers = HeaderMap::new();
                let proof = HeaderValue::from_str(&proof).unwrap();
                headers.insert(header::AUTHORIZATION, proof);
                asked.identify(&headers, None).await
            });
            held.begun.notified().await;
            asked.abort();
            assert!(asked.await.unwrap_err().is_cancelled());
            let free = gate.checks.available_permits();
            *held.is_let_go.lock().unwrap() = true;
            held.go.notify_all();
            assert_eq!(free, limits::PASSWORD_CHECKS - 1);
            let all = limits::PASSWORD_CHECKS as u32;
            drop(gate.checks.acquire_many(all).await.unwrap());
            let name = format!("as {user}");
            assert_eq!(gate.throttle.failures(&name), failures, "{user}");
        }
    }

    #[tokio::test]
    async fn who_waited_while_others_failed_is_not_listened_to() {
        let slow = Arc::new(Slow::default());
        let gate = Gate::new(Vec::new()).with_logins(slow as Arc<dyn Logins>);
        let all = limits::PASSWORD_CHECKS as u32;
        let busy = gate.checks.acquire_many(all).await.unwrap();
        let waiting = gate.clone();
        let asked = tokio::spawn(async move {
            let names = ["at x".to_owned(), "as ann".to_owned()];
            let password = b"x".to_vec();
            waiting.of_password("ann".to_owned(), password, names).await
        });
        while gate.turns.available_permits() == TURNS_MAX {
            tokio::task::yield_now().await;
        }
        for _ in 0..limits::LOGIN_FAILURES {
            gate.throttle.fail("as ann", Instant::now());
        }
        drop(busy);
        let found = asked.await.unwrap();
        assert!(matches!(found, Err(Rejected::TooMany(1..))), "{found:?}");
    }

    #[tokio::test]
    async fn a_change_is_written_down_when_its_client_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let gate = Gate::new(vec![(
            TokenHash::of(b"one"),
            Identity::of_token("ann", &[]),
        )])
        .with_audit(Audit::to_file(&path).unwrap());
        let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (begins, goes) = (Arc::clone(&begun), Arc::clone(&go));
        let write = async move || {
            begins.notify_one();
            goes.notified().await;
            let mut response = StatusCode::OK.into_response();
            response.extensions_mut().insert(Written(7));
            response
        };
        let app = super::super::door(Router::new().route("/x", patch(write)), gate);
        let request = axum::http::Request::patch("/x").header("authorization", "Bearer one");
        let request = request.body(Body::empty()).unwrap();
        let asked = tokio::spawn(TowerToHyperService::new(app).call(request));
        begun.notified().await;
        asked.abort();
        assert!(asked.await.unwrap_err().is_cancelled());
        go.notify_one();
        let written = timeout(Duration::from_secs(10), async {
            while std::fs::read_to_string(&path).unwrap().is_empty() {
                sleep(Duration::from_millis(1)).await;
            }
        });
        assert!(written.await.is_ok(), "no line");
        let line = std::fs::read_to_string(&path).unwrap();
        assert!(line.contains(r#""version":"7""#), "{line}");
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
