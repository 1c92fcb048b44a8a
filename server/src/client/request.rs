//! Requests in turn on one kept connection.

use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::connect::connect;
use super::{ANSWER_BYTES_MAX, Download, Error, Lines, Path, Status, Target};

/// Time for a request and the whole of its answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);

/// How often a request is sent when the server asks for patience.
const TRIES_MAX: u32 = 5;

/// The longest pause that a server may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(10);

const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";

/// A client of one server.
#[derive(Debug)]
pub struct Client {
    target: Target,
    kept: Mutex<Option<SendRequest<Full<Bytes>>>>,
    speaks_for: Option<HeaderValue>,
}

/// What came of one try.
enum Outcome {
    Answer(Value),
    /// The server refused, and may have said when to come again.
    Refused {
        error: Error,
        wait: Option<Duration>,
    },
}

/// How long to wait before the same request may succeed: only 429 promises that nothing was done.
fn patience(response: &Response<Incoming>) -> Option<Duration> {
    if response.status() != StatusCode::TOO_MANY_REQUESTS {
        return None;
    }
    let seconds = response
        .headers()
        .get(header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds).min(PAUSE_MAX))
}

impl Client {
    /// A client of `target`. Nothing is dialled before the first request.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Self {
            target,
            kept: Mutex::new(None),
            speaks_for: None,
        }
    }

    /// The namespace of commands that name none.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.target.namespace
    }

    /// The address of the server.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.target.url
    }

    /// Reads JSON.
    ///
    /// # Errors
    /// When the server is not reached, refuses, or does not answer with JSON.
    pub async fn get(&self, path: &Path) -> Result<Value, Error> {
        self.get_as(path, JSON).await
    }

    /// Reads JSON in the shape that the `Accept` header asks for.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn get_as(&self, path: &Path, accept: &'static str) -> Result<Value, Error> {
        self.json(self.request(&Method::GET, path, accept, None)?)
            .await
    }

    /// Posts JSON, or nothing, and reads JSON.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post(&self, path: &Path, body: Option<&Value>) -> Result<Value, Error> {
        self.json(self.request(&Method::POST, path, JSON, body)?)
            .await
    }

    /// Replaces an object.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn put(&self, path: &Path, body: &Value) -> Result<Value, Error> {
        self.json(self.request(&Method::PUT, path, JSON, Some(body))?)
            .await
    }

    /// Changes what a merge patch (RFC 7386) names.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn patch(&self, path: &Path, patch: &Value) -> Result<Value, Error> {
        let mut request = self.request(&Method::PATCH, path, JSON, Some(patch))?;
        let kind = HeaderValue::from_static(MERGE_PATCH);
        request.headers_mut().insert(header::CONTENT_TYPE, kind);
        self.json(request).await
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn delete(&self, path: &Path) -> Result<Value, Error> {
        self.json(self.request(&Method::DELETE, path, JSON, None)?)
            .await
    }

    /// The same client, which asks for another user; only administrators may.
    ///
    /// # Errors
    /// When the name cannot be sent.
    pub fn speaking_for(mut self, user: &str) -> Result<Self, Error> {
        let name = HeaderValue::from_str(user)
            .ok()
            .filter(|_| !user.is_empty());
        let name = name.ok_or_else(|| Error::Answer {
            url: self.target.url.clone(),
            why: format!("{user:?}: expected a name of printable ASCII"),
        })?;
        self.speaks_for = Some(name);
        Ok(self)
    }

    /// Opens a watch, on a connection of its own.
    ///
    /// # Errors
    /// As [`Client::get`]. The watch itself may last for ever.
    pub async fn lines(&self, path: &Path) -> Result<Lines, Error> {
        let (sender, body) = self.open(path).await?;
        Ok(Lines::new(self.target.url.clone(), sender, body))
    }

    /// Opens an answer of any length, on a connection of its own.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn download(&self, path: &Path) -> Result<Download, Error> {
        let (sender, body) = self.open(path).await?;
        let url = self.target.url.clone();
        Ok(Download::new(url, ANSWER_TIME_MAX, sender, body))
    }

    /// Asks on a new connection; the body of the answer is still to come.
    async fn open(&self, path: &Path) -> Result<(SendRequest<Full<Bytes>>, Incoming), Error> {
        let request = self.request(&Method::GET, path, JSON, None)?;
        let mut sender = connect(&self.target).await?;
        let sent = timeout(ANSWER_TIME_MAX, sender.send_request(request)).await;
        let sent = sent.map_err(|_| self.too_slow())?;
        let response = sent.map_err(|error| self.unreachable(&error))?;
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        Ok((sender, response.into_body()))
    }

    fn request(
        &self,
        method: &Method,
        path: &Path,
        accept: &'static str,
        body: Option<&Value>,
    ) -> Result<Request<Full<Bytes>>, Error> {
        let wrong = |why: String| Error::Unreachable {
            url: self.target.url.clone(),
            why,
        };
        let host = match (self.target.host.as_str(), self.target.port) {
            (host, port) if host.contains(':') => format!("[{host}]:{port}"),
            (host, port) => format!("{host}:{port}"),
        };
        let bytes = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.target.prefix))
            .header(header::HOST, host)
            .header(header::ACCEPT, accept)
            .header(
                header::USER_AGENT,
                concat!("annals/", env!("CARGO_PKG_VERSION")),
            )
            .body(Full::new(bytes))
            .map_err(|error| wrong(error.to_string()))?;
        let headers = request.headers_mut();
        if body.is_some() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(JSON));
        }
        if let Some(proof) = &self.target.authorization {
            headers.insert(header::AUTHORIZATION, proof.clone());
        }
        if let Some(user) = &self.speaks_for {
            headers.insert("impersonate-user", user.clone());
        }
        Ok(request)
    }

    /// Sends, and sends again when the server asks for patience.
    async fn json(&self, request: Request<Full<Bytes>>) -> Result<Value, Error> {
        for _ in 1..TRIES_MAX {
            match self.once(request.clone()).await? {
                Outcome::Answer(value) => return Ok(value),
                Outcome::Refused {
                    wait: Some(wait), ..
                } => tokio::time::sleep(wait).await,
                Outcome::Refused { error, wait: None } => return Err(error),
            }
        }
        match self.once(request).await? {
            Outcome::Answer(value) => Ok(value),
            Outcome::Refused { error, .. } => Err(error),
        }
    }

    async fn once(&self, request: Request<Full<Bytes>>) -> Result<Outcome, Error> {
        let done = timeout(ANSWER_TIME_MAX, async {
            // Held until the answer is read: the connection carries one request at a time.
            let mut kept = self.kept.lock().await;
            let response = self.send(&mut kept, request).await?;
            if response.status().is_success() {
                return self.bytes(response).await.map(Ok);
            }
            let wait = patience(&response);
            Ok(Err(Outcome::Refused {
                error: self.refusal(response).await,
                wait,
            }))
        });
        match done.await.map_err(|_| self.too_slow())?? {
            Ok(bytes) => {
                let value = serde_json::from_slice(&bytes);
                value
                    .map(Outcome::Answer)
                    .map_err(|error| self.unusable(error.to_string()))
            }
            Err(refused) => Ok(refused),
        }
    }

    /// Sends on the kept connection. When that one turns out to be closed before the request
    /// went out, sends once more on a new one.
    async fn send(
        &self,
        kept: &mut Option<SendRequest<Full<Bytes>>>,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Error> {
        if let Some(mut sender) = kept.take()
            && sender.ready().await.is_ok()
        {
            match sender.try_send_request(request).await {
                Ok(response) => {
                    *kept = Some(sender);
                    return Ok(response);
                }
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(self.unreachable(error.error())),
                },
            }
        }
        let mut sender = connect(&self.target).await?;
        let sent = sender.send_request(request).await;
        *kept = Some(sender);
        sent.map_err(|error| self.unreachable(&error))
    }

    async fn bytes(&self, response: Response<Incoming>) -> Result<Bytes, Error> {
        let limited = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
        match limited.collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => {
                Err(self.unusable(format!("it is larger than {ANSWER_BYTES_MAX} bytes")))
            }
            Err(error) => {
                let why = format!("the answer broke off: {error}");
                Err(Error::Unreachable {
                    url: self.target.url.clone(),
                    why,
                })
            }
        }
    }

    async fn refusal(&self, response: Response<Incoming>) -> Error {
        let code = response.status();
        match self.bytes(response).await {
            Ok(body) => Error::Status(Box::new(Status::read(code, &body))),
            Err(error) => error,
        }
    }

    fn unreachable(&self, error: &hyper::Error) -> Error {
        let why = match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        Error::Unreachable {
            url: self.target.url.clone(),
            why,
        }
    }

    fn too_slow(&self) -> Error {
        Error::TooSlow {
            url: self.target.url.clone(),
            seconds: ANSWER_TIME_MAX.as_secs(),
        }
    }

    fn unusable(&self, why: String) -> Error {
        Error::Answer {
            url: self.target.url.clone(),
            why,
        }
    }
}
