//! Writing: callers queue, one thread decides, one durable commit for all that waited.
//!
//! ```text
//! caller    check rules, read metadata, encode the body  ->  `queue`  ->  wait for the answer
//! writer    take a wave  ->  `stage`: preconditions, versions, links  ->  commit  ->  publish  ->  answer
//! ```
//!
//! A write that fails its precondition changes nothing and fails nobody else in the same commit
//! (D5). After a failed commit nobody knows what is on disk: the writer refuses writes until the
//! disk has made sure that it is not there (P1).

#[cfg(all(test, feature = "shuttle"))]
mod models;
mod queue;
mod stage;
mod writer;

use std::sync::Arc;

use crate::Error;
use crate::disk::{Disk, View, encode_body};
use crate::model::{Header, Key, Metadata, Principal, Version};
use crate::options::{BATCH_BYTES_MAX, BATCH_WRITES_MAX, LOAD_BYTES_MAX, LOAD_WRITES_MAX};

pub(super) use queue::Queue;
pub(super) use writer::start;

/// One intended change of one object, for [`Store::write`](crate::Store::write) and
/// [`Store::write_batch`](crate::Store::write_batch). All of its conditions must hold, or nothing
/// changes.
///
/// A body is a JSON object of at most
/// [`Options::object_bytes_max`](crate::Options::object_bytes_max) bytes. It is stored byte for
/// byte; of `metadata` only what [`Metadata`](crate::Metadata) shows is read, and a name or
/// namespace that stands there must be the key's. Cheap to clone.
#[derive(Clone, Debug)]
#[must_use]
pub struct Write {
    key: Key,
    change: Intent,
    if_version: Option<Version>,
    if_uid: Option<String>,
    guard: Option<(Key, Version)>,
    author: Principal,
}

#[derive(Clone, Debug)]
enum Intent {
    Create(Arc<[u8]>),
    Update(Arc<[u8]>),
    Delete,
}

impl Write {
    fn new(key: Key, change: Intent) -> Self {
        let author = Principal::default();
        Write {
            key,
            change,
            if_version: None,
            if_uid: None,
            guard: None,
            author,
        }
    }

    /// Creates the object; [`Error::AlreadyExists`] if the key is live. The uid is the body's
    /// `metadata.uid`, or a new one.
    pub fn create(key: Key, body: Vec<u8>) -> Self {
        Write::new(key, Intent::Create(body.into()))
    }

    /// Replaces the object; [`Error::NotFound`] if the key is not live, [`Error::UidConflict`] if
    /// the body names another uid.
    pub fn update(key: Key, body: Vec<u8>) -> Self {
        Write::new(key, Intent::Update(body.into()))
    }

    /// Deletes the object; [`Error::NotFound`] if the key is not live. Its history stays, and so
    /// does its last body, in the trash.
    pub fn delete(key: Key) -> Self {
        Write::new(key, Intent::Delete)
    }

    fn bytes(&self) -> usize {
        match &self.change {
            Intent::Create(body) | Intent::Update(body) => body.len(),
            Intent::Delete => 0,
        }
    }

    /// Only if the object is at this version, else [`Error::VersionConflict`].
    pub fn if_version(mut self, version: Version) -> Self {
        self.if_version = Some(version);
        self
    }

    /// Only if the object has this uid, else [`Error::UidConflict`].
    pub fn if_uid(mut self, uid: impl Into<String>) -> Self {
        self.if_uid = Some(uid.into());
        self
    }

    /// Only if another object is still at this version, else [`Error::VersionConflict`] names it:
    /// what a decision to write was based on. One write has one guard; the last that is set holds.
    pub fn guard(mut self, key: Key, version: Version) -> Self {
        self.guard = Some((key, version));
        self
    }

    /// Who writes. It is kept with the revision and not judged. Default: nobody, an empty name.
    pub fn author(mut self, author: Principal) -> Self {
        self.author = author;
        self
    }
}

/// A write whose own rules were checked, with what the header keeps and the body as it is stored.
pub(super) struct Prepared {
    write: Write,
    metadata: Metadata,
    body: Option<Encoded>,
}

/// A body in its two forms.
struct Encoded {
    body: Arc<[u8]>,
    stored: Vec<u8>,
    /// The revision the stored form is built from, and its ordinal.
    base: Option<(Version, u64)>,
}

impl Encoded {
    /// The body by itself.
    fn whole(body: Arc<[u8]>) -> Self {
        let (stored, _) = encode_body(&body, None);
        Encoded {
            body,
            stored,
            base: None,
        }
    }

    /// The body of the revision that follows `newest`, built from an older one if that is due;
    /// `base_body` reads that one.
    fn following(
        body: Arc<[u8]>,
        newest: &Header,
        base_body: impl FnOnce(Version) -> Result<Arc<[u8]>, Error>,
    ) -> Result<Self, Error> {
        let (base, ordinal) = if newest.base == newest.version {
            (newest.version, newest.ordinal)
        } else {
            (newest.base, newest.base_ordinal)
        };
        if newest.ordinal + 1 - ordinal >= WHOLE_EVERY {
            return Ok(Encoded::whole(body));
        }
        let older = match base_body(base) {
            Ok(older) => older,
            // Damage to an old body is no reason to refuse a new one.
            Err(Error::Corrupt { .. }) => return Ok(Encoded::whole(body)),
            Err(error) => return Err(error),
        };
        let (stored, built) = encode_body(&body, Some((base, &older)));
        Ok(Encoded {
            body,
            stored,
            base: built.then_some((base, ordinal)),
        })
    }
}

/// Of this many revisions of a key in a row at least one is stored whole.
const WHOLE_EVERY: u64 = 16;

/// How much may be written together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    writes: usize,
    bytes: usize,
}

/// Those of a batch.
pub(super) const BATCH: Limits = Limits {
    writes: BATCH_WRITES_MAX,
    bytes: BATCH_BYTES_MAX,
};

/// Those of a load.
pub(super) const LOAD: Limits = Limits {
    writes: LOAD_WRITES_MAX,
    bytes: LOAD_BYTES_MAX,
};

/// What can be done on the caller's thread: every rule that needs no look at the state, and the
/// encoding of bodies, which the writer may find to be out of date.
pub(super) fn prepare(
    writes: Vec<Write>,
    limits: Limits,
    object_max: usize,
    disk: &Disk,
) -> Result<Vec<Prepared>, Error> {
    let bytes: usize = writes.iter().map(Write::bytes).sum();
    let too_large = |actual: usize, limit: usize| Error::TooLarge {
        field: "batch",
        actual: actual as u64,
        limit: limit as u64,
    };
    if writes.len() > limits.writes {
        return Err(too_large(writes.len(), limits.writes));
    }
    if bytes > limits.bytes && writes.len() > 1 {
        return Err(too_large(bytes, limits.bytes));
    }
    let view = disk.view()?;
    writes
        .into_iter()
        .map(|write| prepare_one(write, object_max, &view))
        .collect()
}

fn prepare_one(write: Write, object_max: usize, view: &View) -> Result<Prepared, Error> {
    let (body, is_new) = match &write.change {
        Intent::Create(body) => (Arc::clone(body), true),
        Intent::Update(body) => (Arc::clone(body), false),
        Intent::Delete => {
            return Ok(Prepared {
                write,
                metadata: Metadata::default(),
                body: None,
            });
        }
    };
    if body.len() > object_max {
        let (actual, limit) = (body.len() as u64, object_max as u64);
        return Err(Error::TooLarge {
            field: "body",
            actual,
            limit,
        });
    }
    let mut metadata = Metadata::read(&body)?;
    let same = |field, given: &Option<String>, wanted: &str| match given {
        Some(given) if given != wanted => Err(Error::invalid(
            field,
            format!("is {given:?}, the key says {wanted:?}"),
        )),
        _ => Ok(()),
    };
    same("metadata.name", &metadata.name, write.key.name())?;
    same(
        "metadata.namespace",
        &metadata.namespace,
        write.key.namespace(),
    )?;
    let encoded = if is_new {
        metadata
            .uid
            .get_or_insert_with(|| uuid::Uuid::new_v4().to_string());
        Encoded::whole(body)
    } else {
        match view.newest(&write.key, false)? {
            Some(newest) if newest.header.is_live() => {
                Encoded::following(body, &newest.header, |base| view.base_body(base))?
            }
            _ => Encoded::whole(body),
        }
    };
    Ok(Prepared {
        write,
        metadata,
        body: Some(encoded),
    })
}
