//! The events of a watch: one JSON object on each line, for as long as it lasts.

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use serde_json::Value;

use super::Error;

/// The longest line: an object of the largest size, with room for what the server adds.
const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// An open watch. Dropping it ends the connection.
#[derive(Debug)]
pub struct Lines {
    url: String,
    body: Incoming,
    buffer: Buffer,
    /// Keeps the connection open.
    _sender: SendRequest<Full<Bytes>>,
}

impl Lines {
    pub(super) fn new(url: String, sender: SendRequest<Full<Bytes>>, body: Incoming) -> Self {
        Self {
            url,
            body,
            buffer: Buffer::default(),
            _sender: sender,
        }
    }

    /// The next event, or nothing when the server ended the watch.
    ///
    /// # Errors
    /// When the connection breaks, or a line is too long or not JSON.
    pub async fn next(&mut self) -> Result<Option<Value>, Error> {
        let unusable = |url: &str, why: String| Error::Answer {
            url: url.to_owned(),
            why,
        };
        loop {
            if let Some(line) = self.buffer.line() {
                let parsed = serde_json::from_slice(&line);
                return parsed
                    .map(Some)
                    .map_err(|why| unusable(&self.url, why.to_string()));
            }
            if self.buffer.bytes.len() > LINE_BYTES_MAX {
                let why = format!("a line is longer than {LINE_BYTES_MAX} bytes");
                return Err(unusable(&self.url, why));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.buffer.bytes.extend_from_slice(data);
                    }
                }
                Some(Err(error)) => {
                    let why = format!("the watch broke off: {error}");
                    return Err(Error::Unreachable {
                        url: self.url.clone(),
                        why,
                    });
                }
            }
        }
    }
}

/// Bytes that are not yet a whole line. What was searched for a line end is not searched again.
#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    searched: usize,
}

impl Buffer {
    /// Takes the first whole line that is not blank.
    fn line(&mut self) -> Option<Vec<u8>> {
        loop {
            let rest = self.bytes.get(self.searched..)?;
            let Some(at) = rest.iter().position(|byte| *byte == b'\n') else {
                self.searched = self.bytes.len();
                return None;
            };
            let rest = self.bytes.split_off(self.searched + at + 1);
            let line = std::mem::replace(&mut self.bytes, rest);
            self.searched = 0;
            if !line.trim_ascii().is_empty() {
                return Some(line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    //! Catches an event that is lost or doubled when lines and network pieces do not agree.
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lines_do_not_depend_on_the_pieces(text in "[a\n]{0,60}", size in 1_usize..9) {
            let (mut buffer, mut found) = (Buffer::default(), Vec::new());
            for piece in text.as_bytes().chunks(size) {
                buffer.bytes.extend_from_slice(piece);
                while let Some(line) = buffer.line() {
                    found.push(String::from_utf8(line).unwrap());
                }
            }
            let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            let expected: Vec<_> = whole.filter(|line| *line != "\n").collect();
            prop_assert_eq!(found, expected);
        }
    }
}
