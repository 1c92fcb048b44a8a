//! The continue token: where the next page of a list begins, and at which version.
//!
//! ```text
//! base64url, without padding, of
//!   0      1         9       17      25                 n-8     n
//!   +------+---------+-------+-------+------------------+-------+
//!   | form | version | epoch | query | namespace / name | check |
//!   +------+---------+-------+-------+------------------+-------+
//! ```
//!
//! | part | holds |
//! | --- | --- |
//! | form | 1 |
//! | version | the version of the first page, big-endian; 0 for "the newest, whichever it is" |
//! | epoch | the line of history that the version counts in: the first bytes of its identity |
//! | query | a digest of the kind, the namespace and the selectors of the list |
//! | place | the last object of the page before, which that page showed |
//! | check | a digest of all before it |
//!
//! A token gives no right and holds no secret. It is a place and a version, which a caller could
//! as well name with `resourceVersion` and a list of his own; the request that brings it is judged
//! like one without, and the place is bound to its collection. So `check` is a checksum and not a
//! signature: there is no key to keep, to lose with a restart or to share between servers. It
//! makes sure that what was cut, bent or made by hand is refused with a sentence, rather than read
//! as another place.
//!
//! Digests are the first 8 bytes of SHA-256. Base64 is read strictly, so a token has one spelling.

use annals::{FieldTest, Filter, Key, ObjectField, Version};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::wire::status::Status;

const FORM: u8 = 1;
/// The size of a digest, of an epoch's beginning and of a version.
const WORD: usize = 8;
/// The parts before the place.
const HEAD: usize = 1 + 3 * WORD;

/// What a token is bound to: the list that gave it out.
#[derive(Clone, Debug)]
pub(super) struct Binding {
    pub(super) epoch: [u8; 16],
    pub(super) group: String,
    pub(super) resource: String,
    pub(super) namespace: Option<String>,
    pub(super) filter: Filter,
}

/// The version a token continues at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// That of the first page.
    Version(Version),
    /// The newest, because the version of the first page is no longer kept.
    Newest,
    /// One of another line of history, from before the store was restored: it says nothing here.
    Lost,
}

impl Binding {
    /// The token of the page behind this key. A token is never [`At::Lost`] where it is made.
    pub(super) fn token(&self, at: At, last: &Key) -> String {
        let version = match at {
            At::Version(version) => version.get(),
            At::Newest | At::Lost => 0,
        };
        let mut bytes = vec![FORM];
        bytes.extend(version.to_be_bytes());
        bytes.extend(self.line());
        bytes.extend(self.query());
        bytes.extend(last.namespace().bytes());
        bytes.push(b'/');
        bytes.extend(last.name().bytes());
        let check = digest(&[&bytes]);
        bytes.extend(check);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a token of this list: the version, and the last key of the page before.
    pub(super) fn read(&self, text: &str) -> Result<(At, Key), Status> {
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| refused("it is not base64url without padding"))?;
        let (&form, _) = bytes
            .split_first()
            .ok_or_else(|| refused("it is too short"))?;
        if form != FORM {
            return Err(refused("it is of another form than this server gives out"));
        }
        let (said, check) = bytes
            .split_last_chunk::<WORD>()
            .filter(|(said, _)| said.len() > HEAD)
            .ok_or_else(|| refused("it is too short"))?;
        if digest(&[said]) != *check {
            return Err(refused("its checksum does not fit: it was cut or changed"));
        }
        let (head, place) = said.split_at(HEAD);
        let word = |nth: usize| {
            let from = 1 + nth * WORD;
            let mut word = [0; WORD];
            word.copy_from_slice(&head[from..from + WORD]);
            word
        };
        if word(2) != self.query() {
            let why = "it belongs to a list with another kind, namespace or selector";
            return Err(refused(why));
        }
        let at = match u64::from_be_bytes(word(0)) {
            _ if word(1) != self.line() => At::Lost,
            0 => At::Newest,
            version => At::Version(Version::new(version)),
        };
        Ok((at, self.key(place)?))
    }

    /// The key of a place. It must be in the collection, whoever made the token.
    fn key(&self, place: &[u8]) -> Result<Key, Status> {
        let bad = || refused("its place is not an object of the list");
        let place = std::str::from_utf8(place).map_err(|_| bad())?;
        let (namespace, name) = place.split_once('/').ok_or_else(bad)?;
        if self
            .namespace
            .as_deref()
            .is_some_and(|own| own != namespace)
        {
            return Err(bad());
        }
        Key::new(&self.group, &self.resource, namespace, name).map_err(|_| bad())
    }

    /// The beginning of the epoch.
    fn line(&self) -> [u8; WORD] {
        let mut line = [0; WORD];
        line.copy_from_slice(&self.epoch[..WORD]);
        line
    }

    /// A digest of the collection and the selectors.
    fn query(&self) -> [u8; WORD] {
        let namespace = match &self.namespace {
            Some(namespace) => format!("in {namespace}"),
            None => "anywhere".to_owned(),
        };
        let labels = self.filter.labels.to_string();
        let fields: Vec<String> = self.filter.fields.iter().map(text_of).collect();
        let mut parts = vec![self.group.as_bytes(), self.resource.as_bytes()];
        parts.extend([namespace.as_bytes(), labels.as_bytes()]);
        parts.extend(fields.iter().map(String::as_bytes));
        digest(&parts)
    }
}

/// A field test as it goes into the digest of the query.
fn text_of(test: &FieldTest) -> String {
    let field = match test.field {
        ObjectField::Name => "metadata.name",
        ObjectField::Namespace => "metadata.namespace",
    };
    let sign = if test.equals { "=" } else { "!=" };
    format!("{field}{sign}{}", test.value)
}

/// A digest of parts that cannot run into each other.
fn digest(parts: &[&[u8]]) -> [u8; WORD] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut short = [0; WORD];
    short.copy_from_slice(&hash.finalize()[..WORD]);
    short
}

/// 400: the caller should start the list anew.
fn refused(why: &str) -> Status {
    Status::bad_request(format!("continue key is not valid: {why}"))
}

#[cfg(test)]
mod tests;
