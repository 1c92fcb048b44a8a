//! How far back the log reaches, for each collection within a namespace.
//!
//! What retention removes are the oldest revisions of keys. The *compacted version* of a collection
//! is the first version whose state is still whole: reads and watches below it are answered with
//! "gone". It only grows, and moves in the same transaction as what is removed.
//!
//! The map is read when the file is opened and replaced by each removal, so a [`Floors`] belongs to
//! one state of the tables. Absent: what was removed; only its number is kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Error;
use crate::model::{Collection, Version};

/// The compacted versions, and how many revisions were removed in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Floors {
    /// By the prefix of a collection within a namespace.
    within: BTreeMap<Arc<str>, Version>,
    /// The newest of a resource's, by the prefix of the resource.
    of: BTreeMap<Arc<str>, Version>,
    newest: Version,
    pub(super) removed: u64,
}

/// The length of the first two parts of a prefix, which name the resource.
fn resource_of(prefix: &str) -> Option<&str> {
    let end = prefix.match_indices('\0').nth(1)?.0;
    prefix.get(..=end)
}

impl Floors {
    /// No compacted version yet, and so many revisions removed.
    pub(super) fn new(removed: u64) -> Self {
        Floors {
            removed,
            ..Floors::default()
        }
    }

    /// Raises the compacted version of a collection within a namespace; says whether it was lower.
    pub(super) fn raise(&mut self, prefix: &str, version: Version) -> Result<bool, Error> {
        let resource = resource_of(prefix).filter(|_| prefix.matches('\0').count() == 3);
        let resource = resource.ok_or_else(|| Error::corrupt("a bad prefix of a collection"))?;
        let raise = |map: &mut BTreeMap<Arc<str>, Version>, key: &str| match map.get_mut(key) {
            Some(known) if *known >= version => false,
            Some(known) => {
                *known = version;
                true
            }
            None => map.insert(key.into(), version).is_none(),
        };
        raise(&mut self.of, resource);
        self.newest = self.newest.max(version);
        Ok(raise(&mut self.within, prefix))
    }

    /// The compacted version of a collection: zero when nothing of it was ever removed.
    pub(crate) fn get(&self, collection: &Collection) -> Version {
        let prefix = collection.prefix();
        let map = match prefix.matches('\0').count() {
            0 => return self.newest,
            2 => &self.of,
            _ => &self.within,
        };
        map.get(prefix).copied().unwrap_or_default()
    }

    /// The newest compacted version of all collections: above it no revision is missing.
    pub(crate) fn newest(&self) -> Version {
        self.newest
    }

    /// How many revisions were removed in all.
    pub(crate) fn removed(&self) -> u64 {
        self.removed
    }

    /// The collections within a namespace that have one, by their prefixes.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, Version)> {
        self.within
            .iter()
            .map(|(prefix, version)| (&**prefix, *version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wider_collection_has_the_newest_of_its_parts() {
        let mut floors = Floors::default();
        for (prefix, version) in [
            ("g\0r\0a\0", 5),
            ("g\0r\0b\0", 3),
            ("g\0s\0\0", 9),
            ("g\0r\0a\0", 4),
        ] {
            floors.raise(prefix, Version::new(version)).unwrap();
        }
        let within = |resource, namespace| {
            floors
                .get(&Collection::within("g", resource, namespace).unwrap())
                .get()
        };
        assert_eq!(
            (within("r", "a"), within("r", "b"), within("r", "c")),
            (5, 3, 0)
        );
        assert_eq!((within("s", ""), within("s", "a")), (9, 0));
        let of = |resource| floors.get(&Collection::of("g", resource).unwrap()).get();
        assert_eq!((of("r"), of("s"), of("t")), (5, 9, 0));
        assert_eq!(floors.get(&Collection::all()).get(), 9);
        assert!(floors.raise("g\0r\0", Version::new(1)).is_err());
    }
}
