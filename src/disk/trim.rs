//! Removing revisions from the tables: the write path of retention.
//!
//! What is to be removed was worked out by `store/retention` from a view; here it is only taken
//! out, in one durable commit with everything that follows from it:
//!
//! ```text
//! header, body    the rows of the removed revisions, but for a body that a kept one is built from
//! trash           the delete markers of the objects that go as a whole
//! label_past      the postings of labels that they ended
//! floor           the compacted versions of their collections, raised
//! meta            the number of removed revisions
//! sweep           how far each sweep of retention has come
//! ```
//!
//! Views that were given out before keep what they see. The newest revision of the log is never
//! removed.

use std::collections::BTreeMap;
use std::sync::Arc;

use redb::{ReadableTable, TableDefinition, WriteTransaction};

use super::floors::Floors;
use super::labels::{self, LABEL_PAST};
use super::record::shelved_version;
use super::tables::{BODY, FLOOR, HEADER, META, TRASH, failed};
use crate::Error;
use crate::model::{Header, Key, Version};

/// How far a sweep has come, by its name.
pub(super) const SWEEP: TableDefinition<'_, &str, u64> = TableDefinition::new("sweep");

/// Plants a removal that tells nobody: the tests of retention must find it.
const CANARY: bool = cfg!(feature = "canary");

/// What goes in one step.
#[derive(Debug, Default)]
pub(crate) struct Trim {
    /// The revisions, in version order, each with the one of its key that came after it, if any.
    pub(crate) revisions: BTreeMap<Version, (Arc<Header>, Option<Arc<Header>>)>,
    /// The rows of bodies, in version order.
    pub(crate) bodies: Vec<Version>,
    /// The objects that go as a whole, with the version of the delete marker.
    pub(crate) forgotten: BTreeMap<Key, Version>,
    /// The new compacted versions, by the prefix of a collection within a namespace.
    pub(crate) floors: BTreeMap<Arc<str>, Version>,
    /// How far this sweep has come.
    pub(crate) cursor: Option<(String, Version)>,
    /// The sweeps whose place is forgotten.
    pub(crate) stale: Vec<String>,
}

/// Takes it out; answers the compacted versions from now on.
pub(super) fn trim(
    transaction: &WriteTransaction,
    trim: &Trim,
    floors: &Floors,
) -> Result<Floors, Error> {
    let mut floors = floors.clone();
    let mut headers = transaction.open_table(HEADER).map_err(failed)?;
    let mut past = transaction.open_table(LABEL_PAST).map_err(failed)?;
    for (version, (header, next)) in &trim.revisions {
        if let Some(next) = next {
            labels::remove(&mut past, header, next)?;
        }
        let row = headers.remove(version.get()).map_err(failed)?;
        floors.removed += u64::from(row.is_some());
    }
    let mut bodies = transaction.open_table(BODY).map_err(failed)?;
    for version in &trim.bodies {
        bodies.remove(version.get()).map_err(failed)?;
    }
    let mut trash = transaction.open_table(TRASH).map_err(failed)?;
    for (key, marker) in &trim.forgotten {
        let row = trash.get(key.encoded()).map_err(failed)?;
        let found = row.map(|row| shelved_version(row.value())).transpose()?;
        if found == Some(*marker) {
            trash.remove(key.encoded()).map_err(failed)?;
        }
    }
    let mut table = transaction.open_table(FLOOR).map_err(failed)?;
    for (prefix, version) in &trim.floors {
        if CANARY {
            continue;
        }
        if floors.raise(prefix, *version)? {
            table.insert(&**prefix, version.get()).map_err(failed)?;
        }
    }
    let mut sweep = transaction.open_table(SWEEP).map_err(failed)?;
    for name in &trim.stale {
        sweep.remove(&**name).map_err(failed)?;
    }
    if let Some((name, version)) = &trim.cursor {
        sweep.insert(&**name, version.get()).map_err(failed)?;
    }
    let mut meta = transaction.open_table(META).map_err(failed)?;
    let removed = floors.removed().to_le_bytes();
    meta.insert("removed", &removed[..]).map_err(failed)?;
    Ok(floors)
}
