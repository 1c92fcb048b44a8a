//! A commit as it takes shape: which writes are accepted, and what becomes of them.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Encoded, Intent, Prepared, Write};
use crate::Error;
use crate::disk::{Staged, View};
use crate::feed::Change;
use crate::model::{Action, Header, Key, Revision, Timestamp, Version};

/// The state a commit starts from, and what it has decided so far.
pub(super) struct Stage {
    view: View,
    time: Timestamp,
    head: Version,
    changes: Vec<Change>,
    /// The stored bodies of the changes.
    stored: Vec<Vec<u8>>,
    /// The newest header of every key this commit has touched.
    touched: HashMap<Key, Arc<Header>>,
}

impl Stage {
    pub(super) fn new(view: View, time: Timestamp) -> Self {
        Stage {
            head: view.head(),
            view,
            time,
            changes: Vec::new(),
            stored: Vec::new(),
            touched: HashMap::new(),
        }
    }

    /// Decides a job. A dry one leaves no trace.
    pub(super) fn decide(
        &mut self,
        writes: Vec<Prepared>,
        dry: bool,
    ) -> Result<Vec<Revision>, Error> {
        let start = self.changes.len();
        let decision = self.accept(writes);
        if dry {
            self.take_back(start);
        }
        decision
    }

    /// What was accepted: for the disk, and for watchers.
    pub(super) fn finish(self) -> (Vec<Staged>, Vec<Change>) {
        let revisions = self.changes.iter().map(|change| change.revision.clone());
        let staged = revisions.zip(self.stored);
        let staged = staged.map(|(revision, stored_body)| Staged {
            revision,
            stored_body,
        });
        (staged.collect(), self.changes)
    }

    fn next_version(&self) -> Version {
        Version::new(self.head.get() + self.changes.len() as u64 + 1)
    }

    /// Takes all of these writes, or none.
    fn accept(&mut self, writes: Vec<Prepared>) -> Result<Vec<Revision>, Error> {
        let start = self.changes.len();
        let batch_end = Version::new(self.next_version().get() + writes.len() as u64 - 1);
        for prepared in writes {
            if let Err(error) = self.accept_one(prepared, batch_end) {
                self.take_back(start);
                return Err(error);
            }
        }
        let accepted = self.changes.iter().skip(start);
        Ok(accepted.map(|change| change.revision.clone()).collect())
    }

    /// Forgets the changes from here on, as if their batch had not been tried.
    fn take_back(&mut self, start: usize) {
        if self.changes.len() == start {
            return;
        }
        self.changes.truncate(start);
        self.touched.clear();
        self.stored.truncate(start);
        for change in &self.changes {
            let header = change.revision.shared_header();
            self.touched.insert(header.key.clone(), header);
        }
    }

    /// The newest header of a key, a delete marker included.
    fn newest(&self, key: &Key) -> Result<Option<Arc<Header>>, Error> {
        if let Some(header) = self.touched.get(key) {
            return Ok(Some(Arc::clone(header)));
        }
        Ok(self.view.newest(key, true)?.map(|slot| slot.header))
    }

    /// A revision, of this commit or an older one.
    fn revision(&self, version: Version) -> Result<Revision, Error> {
        let own = version.get().checked_sub(self.head.get() + 1);
        let own = own.and_then(|index| self.changes.get(usize::try_from(index).ok()?));
        match own {
            Some(change) => Ok(change.revision.clone()),
            None => self
                .view
                .revision(version)?
                .ok_or_else(|| Error::corrupt(format!("revision {version} is missing"))),
        }
    }

    /// The header of a revision, of this commit or an older one; `None` if it was removed.
    fn header(&self, version: Version) -> Result<Option<Arc<Header>>, Error> {
        if version > self.head {
            return Ok(Some(self.revision(version)?.shared_header()));
        }
        self.view.header(version)
    }

    fn accept_one(&mut self, prepared: Prepared, batch_end: Version) -> Result<(), Error> {
        let Prepared {
            write,
            metadata,
            body,
        } = prepared;
        let newest = self.newest(&write.key)?;
        let live = newest.as_ref().filter(|header| header.is_live()).cloned();
        self.check(&write, live.as_deref())?;
        if let (Some(live), Intent::Update(_), Some(uid)) = (&live, &write.change, &metadata.uid)
            && *uid != live.uid
        {
            let (expected, actual) = (uid.clone(), live.uid.clone());
            return Err(Error::UidConflict {
                key: write.key,
                expected,
                actual,
            });
        }
        let action = match write.change {
            Intent::Create(_) if live.is_none() => Action::Created,
            Intent::Create(_) => return Err(Error::AlreadyExists { key: write.key }),
            Intent::Update(_) => Action::Updated,
            Intent::Delete => Action::Deleted,
        };
        let encoded = self.encoded(body, live.as_deref())?;
        let version = self.next_version();
        let (jump, jump_ordinal) = self.jump(newest.as_deref(), version)?;
        let ordinal = newest.as_ref().map_or(0, |header| header.ordinal + 1);
        let deleted = live.as_deref().filter(|_| action == Action::Deleted);
        let header = Header {
            action,
            version,
            previous: newest.as_ref().map(|header| header.version),
            ordinal,
            jump,
            jump_ordinal,
            batch_end,
            base: encoded.base.map_or(version, |(base, _)| base),
            base_ordinal: encoded.base.map_or(ordinal, |(_, ordinal)| ordinal),
            labelled: version,
            time: self.time,
            created: live.as_ref().map_or(self.time, |header| header.created),
            creator: live
                .as_ref()
                .map_or(write.author.name(), |header| &header.creator)
                .to_owned(),
            author: write.author.name().to_owned(),
            uid: match &live {
                Some(header) => header.uid.clone(),
                None => metadata.uid.unwrap_or_default(),
            },
            folder: deleted.map_or(metadata.folder, |header| header.folder.clone()),
            labels: deleted.map_or(metadata.labels, |header| header.labels.clone()),
            key: write.key,
        };
        let labelled = live.as_ref().filter(|live| live.labels == header.labels);
        let header = Arc::new(Header {
            labelled: labelled.map_or(version, |live| live.labelled),
            ..header
        });
        self.touched.insert(header.key.clone(), Arc::clone(&header));
        self.stored.push(encoded.stored);
        self.changes.push(Change {
            revision: Revision::new(header, encoded.body),
            before: live,
        });
        Ok(())
    }

    /// The body of the next revision: as the caller has encoded it, if what he built it from still
    /// is what to build from. A delete marker holds the body of the object that it ends.
    fn encoded(&self, body: Option<Encoded>, live: Option<&Header>) -> Result<Encoded, Error> {
        match (body, live) {
            (Some(body), live) => {
                let due = |base| live.is_some_and(|live| base == live.base || base == live.version);
                Ok(match body.base {
                    Some((base, _)) if !due(base) => Encoded::whole(body.body),
                    _ => body,
                })
            }
            (None, Some(live)) => {
                let last = self.revision(live.version)?.shared_body();
                if live.version > self.head {
                    return Ok(Encoded::whole(last));
                }
                Encoded::following(last, live, &self.view)
            }
            (None, None) => Err(Error::corrupt("a write without a body")),
        }
    }

    /// Whether the state is what the write demands.
    fn check(&self, write: &Write, live: Option<&Header>) -> Result<(), Error> {
        if let Some((key, expected)) = &write.guard {
            let guard = self.newest(key)?.filter(|header| header.is_live());
            let actual = guard.map_or(Version::ZERO, |header| header.version);
            if actual != *expected {
                return Err(Error::VersionConflict {
                    key: key.clone(),
                    expected: *expected,
                    actual,
                });
            }
        }
        let key = || write.key.clone();
        let Some(live) = live else {
            return match write.change {
                Intent::Create(_) => check_absent(write),
                Intent::Update(_) | Intent::Delete => Err(Error::NotFound { key: key() }),
            };
        };
        if let Some(expected) = &write.if_uid
            && *expected != live.uid
        {
            let (expected, actual) = (expected.clone(), live.uid.clone());
            return Err(Error::UidConflict {
                key: key(),
                expected,
                actual,
            });
        }
        match write.if_version {
            Some(expected) if expected != live.version => Err(Error::VersionConflict {
                key: key(),
                expected,
                actual: live.version,
            }),
            _ => Ok(()),
        }
    }

    /// The far link of a new revision, see [`Header`].
    fn jump(&self, before: Option<&Header>, own: Version) -> Result<(Version, u64), Error> {
        let Some(before) = before else {
            return Ok((own, 0));
        };
        if before.ordinal == 0 {
            return Ok((before.version, 0));
        }
        // Behind a revision that was removed the links begin anew.
        let Some(far) = self.header(before.jump)? else {
            return Ok((before.version, before.ordinal));
        };
        let lengths = (
            before.ordinal.checked_sub(far.ordinal),
            far.ordinal.checked_sub(far.jump_ordinal),
        );
        if lengths.0 == lengths.1 {
            Ok((far.jump, far.jump_ordinal))
        } else {
            Ok((before.version, before.ordinal))
        }
    }
}

/// Whether a key that is not live is what a create demands: nothing has version zero, and no uid.
fn check_absent(write: &Write) -> Result<(), Error> {
    let key = || write.key.clone();
    if let Some(expected) = &write.if_uid {
        return Err(Error::UidConflict {
            key: key(),
            expected: expected.clone(),
            actual: String::new(),
        });
    }
    match write.if_version {
        Some(expected) if expected != Version::ZERO => Err(Error::VersionConflict {
            key: key(),
            expected,
            actual: Version::ZERO,
        }),
        _ => Ok(()),
    }
}
