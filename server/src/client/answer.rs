//! Reading answers: JSON of a bounded size, or the reason of a refusal.

use std::fmt;

use hyper::StatusCode;
use serde::Deserialize;

/// The largest answer that is kept in memory. Lists are asked for in pages, far below this.
pub const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// What is shown of an answer that is not a `Status`.
const EXCERPT_CHARS_MAX: usize = 200;

/// A refusal of the server.
#[derive(Debug, Default, Deserialize)]
pub struct Status {
    /// The HTTP status.
    #[serde(default)]
    pub code: u16,
    /// One word for programs.
    #[serde(default)]
    pub reason: String,
    /// One sentence for people.
    #[serde(default)]
    pub message: String,
    /// More about the cause.
    #[serde(default)]
    pub details: Option<Details>,
}

/// The part of a refusal that is about its object.
#[derive(Debug, Default, Deserialize)]
pub struct Details {
    /// What is wrong, field by field.
    #[serde(default)]
    pub causes: Vec<Cause>,
}

/// One thing that is wrong.
#[derive(Debug, Default, Deserialize)]
pub struct Cause {
    /// Where.
    #[serde(default)]
    pub field: String,
    /// What.
    #[serde(default)]
    pub message: String,
}

impl Status {
    /// Reads a refusal. A body that is no `Status` becomes the message.
    pub(super) fn read(code: StatusCode, body: &[u8]) -> Self {
        let read = serde_json::from_slice::<Self>(body).ok();
        let mut status = read
            .filter(|status| !status.message.is_empty())
            .unwrap_or_else(|| {
                let text = String::from_utf8_lossy(body);
                let excerpt: String = text.trim().chars().take(EXCERPT_CHARS_MAX).collect();
                Self {
                    message: excerpt,
                    ..Self::default()
                }
            });
        status.code = code.as_u16();
        if status.reason.is_empty() {
            code.canonical_reason()
                .unwrap_or("Unknown")
                .clone_into(&mut status.reason);
        }
        status
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            401 => {
                return f.write_str(
                    "the server does not accept the credentials: take the kubeconfig of its data \
                     directory, or ask its administrator for a token (Unauthorized)",
                );
            }
            _ if self.message.is_empty() => write!(f, "the server answered {}", self.code)?,
            _ => f.write_str(&self.message)?,
        }
        // The message of most refusals repeats the causes.
        let causes = self.details.iter().flat_map(|details| &details.causes);
        for cause in causes.filter(|cause| !self.message.contains(&cause.message)) {
            write!(f, "; {}: {}", cause.field, cause.message)?;
        }
        write!(f, " ({})", self.reason)
    }
}

#[cfg(test)]
mod tests {
    //! Catches a refusal that the reader of the command line cannot understand.
    use super::*;

    fn check(code: u16, body: &str, expected: &str) {
        let code = StatusCode::from_u16(code).unwrap();
        assert_eq!(Status::read(code, body.as_bytes()).to_string(), expected);
    }

    #[test]
    fn is_one_line() {
        let body = r#"{"message":"playlists \"x\" not found","reason":"NotFound","code":404}"#;
        check(404, body, r#"playlists "x" not found (NotFound)"#);
        let body = r#"{"message":"bad","reason":"Invalid",
            "details":{"causes":[{"field":"spec.a","message":"too long"}]}}"#;
        check(422, body, "bad; spec.a: too long (Invalid)");
        check(502, "<html>no</html>", "<html>no</html> (Bad Gateway)");
        check(503, "", "the server answered 503 (Service Unavailable)");
        check(500, "[1]", "[1] (Internal Server Error)");
        check(
            401,
            "{}",
            "the server does not accept the credentials: take the kubeconfig of its data \
             directory, or ask its administrator for a token (Unauthorized)",
        );
    }
}
