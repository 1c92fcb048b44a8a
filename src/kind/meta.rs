//! `metadata`, as a typed object has it.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::{Timestamp, Version};

/// The `metadata` of a typed [`Object`](crate::Object). Empty and zero mean "not there".
///
/// What else stands in `metadata` is not shown, and survives an update.
/// ([`Metadata`](crate::Metadata) is less: what the store itself reads of any object.)
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectMeta {
    /// The name, unique within kind and namespace; at most
    /// [`NAME_BYTES_MAX`](crate::NAME_BYTES_MAX) bytes.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "known")]
    pub name: String,
    /// The namespace; empty in the cluster scope.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "known")]
    pub namespace: String,
    /// The identity of this life of the name: a create makes a new one, an update must bring the
    /// same.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "known")]
    pub uid: String,
    /// The version that was read, and that an update demands. It is never stored in the object: it
    /// is the object's place in the log.
    #[serde(skip_serializing_if = "is_zero", with = "version")]
    pub resource_version: Version,
    /// How often a server saw the object change, its metadata apart. The library does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// When the object was created; a create sets it, in whole seconds, by the store's clock.
    #[serde(skip_serializing_if = "Option::is_none", with = "time")]
    pub creation_timestamp: Option<Timestamp>,
    /// When a server began to delete an object that finalizers hold back. The library deletes at
    /// once, whatever the finalizers.
    #[serde(skip_serializing_if = "Option::is_none", with = "time")]
    pub deletion_timestamp: Option<Timestamp>,
    /// What selectors choose by.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "known")]
    pub labels: BTreeMap<String, String>,
    /// Notes of programs; no selector looks at them. `grafana.app/folder` is the object's folder.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "notes")]
    pub annotations: BTreeMap<String, String>,
    /// What must be done before a server lets the object go.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "known")]
    pub finalizers: Vec<String>,
}

/// A value that may be null, which is as good as none.
fn known<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// Annotations; the store takes those that are null, and so they are none here.
fn notes<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, String>, D::Error> {
    let all: BTreeMap<String, Option<String>> = known(from)?;
    let said = all.into_iter();
    Ok(said
        .filter_map(|(key, value)| Some((key, value?)))
        .collect())
}

fn is_zero(version: &Version) -> bool {
    *version == Version::ZERO
}

/// Versions, as Kubernetes writes them: a text.
mod version {
    use serde::de::Error as _;

    use super::{Deserializer, Serialize, Serializer, Version, known};

    pub(super) fn serialize<S: Serializer>(version: &Version, to: S) -> Result<S::Ok, S::Error> {
        version.to_string().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Version, D::Error> {
        let text: String = known(from)?;
        if text.is_empty() {
            return Ok(Version::ZERO);
        }
        text.parse().map_err(D::Error::custom)
    }
}

/// Times, as RFC 3339 writes them.
mod time {
    use serde::de::Error as _;
    use serde::ser::Error as _;

    use super::{Deserialize, Deserializer, Serialize, Serializer, Timestamp};

    pub(super) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let Some(Timestamp(micros)) = time else {
            return to.serialize_none();
        };
        let micros = i64::try_from(*micros).map_err(S::Error::custom)?;
        let time = jiff::Timestamp::from_microsecond(micros).map_err(S::Error::custom)?;
        time.to_string().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else {
            return Ok(None);
        };
        let wrong = || D::Error::custom(format!("{text:?} is not a time of RFC 3339 since 1970"));
        let time: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
        let micros = u64::try_from(time.as_microsecond()).map_err(|_| wrong())?;
        Ok(Some(Timestamp(micros)))
    }
}
