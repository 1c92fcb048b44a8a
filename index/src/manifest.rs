//! What is written about an index besides its documents, and what it says after a crash.
//!
//! ```text
//! manifest     the current generation, a version it was complete at, and its shards. Replaced at
//!              the end of a rebuild (this is the swap), after the first commit of a new shard,
//!              and now and then while nothing is indexed
//! clean        written by a clean close, removed by the next open: every file with its length.
//!              Without it, or if a length differs, every checksum is verified
//! gen-N/S/     shard S of generation N, a tantivy index
//! ```
//!
//! Each commit of a shard carries a payload: the version it makes true, the version that was true
//! before, and for every shard of the generation the version it was at and shall be at. So the
//! newest payload alone tells, without another file to sync, whether the commit reached all its
//! shards. With shards A and B at version 7, a commit of version 9 that touches both:
//!
//! ```text
//! A: 9 {previous 7, A 7->9, B 7->9}   B: 7        torn: follow from 7, A skips what it has
//! A: 9 {previous 7, A 7->9, B 7->9}   B: 9        whole: follow from 9
//! A: 9 {previous 7, A 7->9, B 7->9}   B: gone     somebody removed it: rebuild
//! ```

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::document::DocumentKey;
use crate::schema::SCHEMA_ID;
use crate::seal::{seal, sum, unseal};

pub(crate) const MANIFEST_FILE: &str = "manifest";
pub(crate) const CLEAN_FILE: &str = "clean";

/// Identifies a line of history of a store. An index of another epoch is never used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Epoch(pub [u8; 16]);

/// What an index must be to be used at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    schema: String,
    epoch: Epoch,
    shards: u16,
}

/// The current generation and the state it was in when this was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) identity: Identity,
    pub(crate) generation: u64,
    pub(crate) version: u64,
    /// The shards that exist, with their versions.
    pub(crate) shards: Vec<(u16, u64)>,
}

/// What the commit of a shard says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Payload {
    pub(crate) identity: Identity,
    pub(crate) version: u64,
    pub(crate) previous: u64,
    /// Every shard that exists once the commit is whole.
    pub(crate) shards: Vec<Step>,
}

/// One shard within a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) shard: u16,
    /// Its version before; 0 if it did not exist.
    pub(crate) was: u64,
    /// Its version after.
    pub(crate) shall: u64,
}

/// What a clean close leaves behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Clean {
    pub(crate) generation: u64,
    pub(crate) files: Vec<(String, u64)>,
}

impl Identity {
    pub(crate) fn new(epoch: Epoch, shards: u16) -> Identity {
        Identity {
            schema: SCHEMA_ID.to_owned(),
            epoch,
            shards,
        }
    }

    /// Says in what an index that was found differs from this.
    pub(crate) fn differs(&self, found: &Identity) -> Option<String> {
        if found.schema != self.schema {
            return Some(format!("schema {}, not {}", found.schema, self.schema));
        }
        if found.epoch != self.epoch {
            return Some("it belongs to another epoch of the store".into());
        }
        if found.shards != self.shards {
            return Some(format!(
                "it has {} shards, not {}",
                found.shards, self.shards
            ));
        }
        None
    }

    /// The shard a namespace lives in.
    pub(crate) fn shard_of(&self, namespace: &str) -> u16 {
        (sum(namespace.as_bytes()) % u64::from(self.shards)) as u16
    }

    /// The shard a document lives in.
    pub(crate) fn shard_of_key(&self, key: &DocumentKey) -> u16 {
        self.shard_of(&key.namespace)
    }
}

/// The folder of a generation.
pub(crate) fn generation_path(generation: u64) -> String {
    format!("gen-{generation}")
}

/// The number of a generation's folder.
pub(crate) fn generation_number(name: &str) -> Option<u64> {
    name.strip_prefix("gen-")?.parse().ok()
}

/// A value as sealed bytes.
pub(crate) fn write<T: Serialize>(value: &T) -> Vec<u8> {
    seal(&serde_json::to_vec(value).unwrap_or_default())
}

/// The value in sealed bytes; none if they are damaged or of another kind.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(unseal(bytes)?).ok()
}

/// What the shards that were found amount to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Where to follow from.
    pub(crate) resume: u64,
    /// The newest version any shard holds; above `resume` only if a commit was torn.
    pub(crate) newest: u64,
}

/// Weighs the payloads of the shards that exist against each other and against the manifest.
pub(crate) fn weigh(
    manifest: &Manifest,
    found: &[(u16, Option<Payload>)],
) -> Result<Standing, String> {
    let version_of = |shard: u16| {
        let payload = found
            .iter()
            .find(|(id, _)| *id == shard)
            .map(|(_, payload)| payload);
        payload.map(|payload| payload.as_ref().map_or(0, |payload| payload.version))
    };
    for (shard, payload) in found {
        if let Some(differs) = payload
            .as_ref()
            .and_then(|p| manifest.identity.differs(&p.identity))
        {
            return Err(format!("shard {shard}: {differs}"));
        }
    }
    let newest = found
        .iter()
        .filter_map(|(_, payload)| payload.as_ref())
        .max_by_key(|p| p.version);
    let Some(last) = newest.filter(|payload| payload.version > manifest.version) else {
        for &(shard, version) in &manifest.shards {
            if version_of(shard) != Some(version) {
                return Err(format!(
                    "shard {shard} is missing or not at version {version}"
                ));
            }
        }
        return Ok(Standing {
            resume: manifest.version,
            newest: manifest.version,
        });
    };
    let mut torn = false;
    for Step { shard, was, shall } in &last.shards {
        let version = version_of(*shard);
        if version == Some(*shall) {
            continue;
        }
        if version.unwrap_or(0) != *was || (version.is_none() && *was != 0) {
            return Err(format!(
                "shard {shard} is missing or not at version {shall}"
            ));
        }
        torn = true;
    }
    let resume = if torn { last.previous } else { last.version };
    Ok(Standing {
        resume,
        newest: last.version,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity::new(Epoch([1; 16]), 2)
    }

    fn manifest(version: u64, shards: &[(u16, u64)]) -> Manifest {
        Manifest {
            identity: identity(),
            generation: 1,
            version,
            shards: shards.to_vec(),
        }
    }

    fn payload(version: u64, previous: u64, steps: &[(u16, u64, u64)]) -> Payload {
        let step = |&(shard, was, shall)| Step { shard, was, shall };
        let shards = steps.iter().map(step).collect();
        Payload {
            identity: identity(),
            version,
            previous,
            shards,
        }
    }

    #[test]
    fn a_commit_is_whole_torn_or_broken() {
        let base = manifest(5, &[(0, 5), (1, 5)]);
        let seven = payload(7, 5, &[(0, 5, 7), (1, 5, 7)]);
        let nine = payload(9, 7, &[(0, 7, 9), (1, 7, 9)]);
        let check = |found: &[(u16, Option<Payload>)]| weigh(&base, found);
        let whole = check(&[(0, Some(nine.clone())), (1, Some(nine.clone()))]);
        assert_eq!(
            whole,
            Ok(Standing {
                resume: 9,
                newest: 9
            })
        );
        let torn = check(&[(0, Some(nine.clone())), (1, Some(seven))]);
        assert_eq!(
            torn,
            Ok(Standing {
                resume: 7,
                newest: 9
            })
        );
        assert!(check(&[(0, Some(nine.clone()))]).is_err());
        let old = payload(5, 5, &[]);
        assert!(check(&[(0, Some(nine)), (1, Some(old))]).is_err());
    }

    #[test]
    fn a_shard_made_by_a_torn_commit_may_be_missing_or_empty() {
        let base = manifest(5, &[(0, 5)]);
        let seven = payload(7, 5, &[(0, 5, 7), (1, 0, 7)]);
        let torn = Ok(Standing {
            resume: 5,
            newest: 7,
        });
        assert_eq!(weigh(&base, &[(0, Some(seven.clone()))]), torn);
        assert_eq!(weigh(&base, &[(0, Some(seven)), (1, None)]), torn);
    }

    #[test]
    fn a_missing_shard_of_the_manifest_is_noticed() {
        let base = manifest(5, &[(0, 5), (1, 3)]);
        let five = payload(5, 5, &[]);
        assert!(weigh(&base, &[(0, Some(five))]).is_err());
        assert!(weigh(&manifest(0, &[]), &[]).is_ok());
    }
}
