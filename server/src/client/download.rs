//! An answer of any length, taken part by part.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use tokio::time::timeout;

use super::Error;

/// An answer that is being read. Dropping it ends the connection.
#[derive(Debug)]
pub struct Download {
    url: String,
    /// How long no byte may come.
    time_max: Duration,
    body: Incoming,
    /// Keeps the connection open.
    _sender: SendRequest<Full<Bytes>>,
}

impl Download {
    pub(super) fn new(
        url: String,
        time_max: Duration,
        sender: SendRequest<Full<Bytes>>,
        body: Incoming,
    ) -> Self {
        Self {
            url,
            time_max,
            body,
            _sender: sender,
        }
    }

    /// The next part, or nothing at the end.
    ///
    /// # Errors
    /// When the connection breaks or stands still.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let frame = timeout(self.time_max, self.body.frame()).await;
            let frame = frame.map_err(|_| Error::TooSlow {
                url: self.url.clone(),
                seconds: self.time_max.as_secs(),
            })?;
            match frame.transpose() {
                Ok(None) => return Ok(None),
                Ok(Some(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Err(error) => {
                    let why = format!("the answer broke off: {error}");
                    return Err(Error::Unreachable {
                        url: self.url.clone(),
                        why,
                    });
                }
            }
        }
    }
}
