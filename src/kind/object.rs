//! A typed object: how it becomes JSON, and is read from it.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::merge::{Fields, merge};
use super::rest::{OWN_FIELDS, Rest};
use super::{ObjectMeta, Resource};
use crate::Error;
use crate::model::{Key, Revision, Timestamp, Version};

/// An object of one kind: its metadata, and the value of its type.
///
/// One that was read remembers what it was read from. When it is written again, to update it or to
/// create another like it, fields that the type and [`ObjectMeta`] do not know stay as they were,
/// in nested objects too. In a list they stay with an entry that is unchanged, wherever it moved,
/// and with one that was changed in its place; an entry that is both, or stands in a list that is
/// not of the length the type saw, has only what the type knows. One made by [`Object::new`] has
/// no such memory, and an update with it replaces everything.
///
/// Two are equal when their metadata and values are.
#[derive(Clone, Debug)]
pub struct Object<T> {
    /// Name, labels, version and the like.
    pub metadata: ObjectMeta,
    /// The rest of the object.
    pub value: T,
    origin: Option<Revision>,
}

impl<T: PartialEq> PartialEq for Object<T> {
    fn eq(&self, other: &Self) -> bool {
        self.metadata == other.metadata && self.value == other.value
    }
}

impl<T> Object<T> {
    /// An object to create, with this name and nothing else in its metadata.
    #[must_use]
    pub fn new(name: impl Into<String>, value: T) -> Self {
        let name = name.into();
        let metadata = ObjectMeta {
            name,
            ..ObjectMeta::default()
        };
        Object {
            metadata,
            value,
            origin: None,
        }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// The version it was read at, or written; zero for one that is new.
    #[must_use]
    pub fn version(&self) -> Version {
        self.metadata.resource_version
    }

    /// What it was read from: the bytes, and when, by whom, and how it came about. `None` for one
    /// that is new.
    #[must_use]
    pub fn revision(&self) -> Option<&Revision> {
        self.origin.as_ref()
    }
}

impl<T: Resource> Object<T> {
    /// The object of a revision that was read without a type.
    ///
    /// Key, uid, version and, if the body does not say it, the time of creation are those of the
    /// revision's header.
    ///
    /// # Errors
    ///
    /// [`Error::NotOfType`] names the field that is not as the type wants it.
    pub fn read(revision: Revision) -> Result<Self, Error> {
        let decoded = decode::<T>(revision.body());
        let (metadata, value) = decoded.map_err(|wrong| not_of_type::<T>(&revision, wrong))?;
        Ok(Object::with(revision, metadata, value))
    }

    /// The object of a revision whose body holds this.
    pub(super) fn with(revision: Revision, mut metadata: ObjectMeta, value: T) -> Self {
        let header = revision.header();
        header.key.name().clone_into(&mut metadata.name);
        header.key.namespace().clone_into(&mut metadata.namespace);
        metadata.uid.clone_from(&header.uid);
        metadata.resource_version = header.version;
        let created = whole_second(header.created);
        metadata.creation_timestamp.get_or_insert(created);
        Object {
            metadata,
            value,
            origin: Some(revision),
        }
    }

    /// The key that the metadata says.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] names the part that breaks its rule.
    pub fn key(&self) -> Result<Key, Error> {
        let ObjectMeta {
            name, namespace, ..
        } = &self.metadata;
        Key::new(T::GROUP, T::RESOURCE, namespace, name)
    }

    /// The JSON that is stored for it: for a batch of several writes, by
    /// [`Store::write_batch`](crate::Store::write_batch). It is proven to read back as this type.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a value that does not become a JSON object, has a field that annals
    /// writes itself (`apiVersion`, `kind`, `metadata`), or does not read back;
    /// [`Error::NotOfType`] when what it was read from is not of this type.
    pub fn body(&self) -> Result<Vec<u8>, Error> {
        Ok(self.draft(&self.metadata)?.body)
    }

    /// What is to be stored for it under this metadata.
    pub(super) fn draft(&self, metadata: &ObjectMeta) -> Result<Draft<T>, Error> {
        let mut fields = assemble(metadata, &self.value)?;
        if let Some(origin) = &self.origin {
            let damaged = |cause: serde_json::Error| Error::corrupt(format!("a body: {cause}"));
            let read: Fields = serde_json::from_slice(origin.body()).map_err(damaged)?;
            // What the body alone says: the header's part of the metadata is written out.
            let decoded = decode::<T>(origin.body());
            let (metadata, value) = decoded.map_err(|wrong| not_of_type::<T>(origin, wrong))?;
            fields = merge(read, &assemble(&metadata, &value)?, fields);
        }
        if let Some(Value::Object(metadata)) = fields.get_mut("metadata") {
            // It is the place in the log, which nobody knows before the write.
            metadata.shift_remove("resourceVersion");
        }
        let body = serde_json::to_vec(&fields).map_err(|cause| not_json(&cause))?;
        let (metadata, value) = decode(&body).map_err(|Mismatch { field, problem }| {
            Error::invalid("object", format!("does not read back: {field}: {problem}"))
        })?;
        Ok(Draft {
            body,
            metadata,
            value,
        })
    }
}

/// The second in which this was: times in `metadata` have no parts of one.
pub(super) fn whole_second(Timestamp(micros): Timestamp) -> Timestamp {
    Timestamp(micros / SECOND * SECOND)
}

/// How many microseconds a second has.
const SECOND: u64 = 1_000_000;

/// A body to store, and what is read from it.
pub(super) struct Draft<T> {
    pub(super) body: Vec<u8>,
    pub(super) metadata: ObjectMeta,
    pub(super) value: T,
}

/// Where a body is not as its type wants it.
struct Mismatch {
    field: String,
    problem: String,
}

/// What annals reads of an object itself.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    api_version: Option<String>,
    kind: Option<String>,
    metadata: Option<ObjectMeta>,
}

fn api_version<T: Resource>() -> String {
    if T::GROUP.is_empty() {
        T::VERSION.to_owned()
    } else {
        format!("{}/{}", T::GROUP, T::VERSION)
    }
}

/// Reads an object. One that does not say what it is, is taken for what the type wants.
fn decode<T: Resource>(body: &[u8]) -> Result<(ObjectMeta, T), Mismatch> {
    let head: Head = read(&mut serde_json::Deserializer::from_slice(body))?;
    let says = |field: &str, said: Option<String>, wanted: &str| match said {
        Some(said) if said != wanted => Err(Mismatch {
            field: field.to_owned(),
            problem: format!("is {said:?}, not {wanted:?}"),
        }),
        _ => Ok(()),
    };
    says("apiVersion", head.api_version, &api_version::<T>())?;
    says("kind", head.kind, T::KIND)?;
    let value = read(Rest(&mut serde_json::Deserializer::from_slice(body)))?;
    Ok((head.metadata.unwrap_or_default(), value))
}

/// Reads a value, and says where it cannot.
fn read<'de, T, D>(from: D) -> Result<T, Mismatch>
where
    T: Deserialize<'de>,
    D: Deserializer<'de, Error = serde_json::Error>,
{
    serde_path_to_error::deserialize(from).map_err(|error| {
        let text = error.inner().to_string();
        // The path says where; line and column are those of bytes that nobody sees.
        let problem = text
            .rsplit_once(" at line ")
            .map_or(&*text, |(said, _)| said);
        let at = error.path().to_string();
        let at = if at == "." { "" } else { &at };
        let missing = problem.strip_prefix("missing field `");
        match missing.and_then(|rest| rest.strip_suffix('`')) {
            Some(name) => Mismatch {
                field: format!("{at}{}{name}", if at.is_empty() { "" } else { "." }),
                problem: "is missing".to_owned(),
            },
            None => Mismatch {
                field: if at.is_empty() { "the object" } else { at }.to_owned(),
                problem: problem.to_owned(),
            },
        }
    })
}

fn not_of_type<T: Resource>(revision: &Revision, wrong: Mismatch) -> Error {
    Error::NotOfType {
        key: revision.key().clone(),
        version: revision.version(),
        kind: T::KIND,
        field: wrong.field,
        problem: wrong.problem,
    }
}

fn not_json(cause: &serde_json::Error) -> Error {
    Error::invalid("object", format!("does not become JSON: {cause}"))
}

/// The whole object.
fn assemble<T: Resource>(metadata: &ObjectMeta, value: &T) -> Result<Fields, Error> {
    let rest = match serde_json::to_value(value).map_err(|cause| not_json(&cause))? {
        Value::Object(rest) => rest,
        other => {
            let problem = format!("must become a JSON object, not {other}");
            return Err(Error::invalid("object", problem));
        }
    };
    if let Some(own) = OWN_FIELDS.into_iter().find(|own| rest.contains_key(*own)) {
        let problem = format!("has a field {own}, which annals writes itself");
        return Err(Error::invalid("object", problem));
    }
    let metadata = serde_json::to_value(metadata).map_err(|cause| not_json(&cause))?;
    let own = [
        Value::String(api_version::<T>()),
        Value::String(T::KIND.to_owned()),
        metadata,
    ];
    let own = OWN_FIELDS.map(str::to_owned).into_iter().zip(own);
    Ok(own.chain(rest).collect())
}
