//! What stands on one line of NDJSON, and is one item of a YAML list.
//!
//! | kind | is |
//! | --- | --- |
//! | any other | an object, whose `apiVersion`, `kind` and `metadata` tell its key |
//! | `Revision` of [`API_VERSION`] | a revision: its key, what is known of it, the object |
//! | `Export` of [`API_VERSION`] | NDJSON, first line: what the file says of itself |
//! | `End` of [`API_VERSION`] | NDJSON, last line: how many records there were |
//!
//! The object inside a `Revision` keeps its bytes, but for line ends between its values, which
//! become spaces. `ndjson` and `yaml` call; `docs/export.md` shows the shapes.

use std::borrow::Cow;

use annals::{Action, Key, Timestamp, Version};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{About, Record};
use crate::kinds::{Kinds, ServedKind};

/// The group and version of what is ours in a file.
pub(super) const API_VERSION: &str = "export.annals.dev/v1";

/// The longest line of NDJSON, and the largest item of a YAML list.
pub const ITEM_BYTES_MAX: usize = 8 * 1024 * 1024;

/// One line or item.
#[derive(Debug, PartialEq)]
pub(super) enum Item {
    About(About),
    End(u64),
    Record(Record),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head<'a> {
    #[serde(borrow)]
    api_version: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct Export<'a> {
    #[serde(flatten, borrow)]
    head: Head<'a>,
    version: String,
    epoch: String,
    history: bool,
}

#[derive(Serialize, Deserialize)]
struct End<'a> {
    #[serde(flatten, borrow)]
    head: Head<'a>,
    records: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Whole<'a> {
    #[serde(borrow)]
    api_version: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    group: Cow<'a, str>,
    #[serde(borrow)]
    resource: Cow<'a, str>,
    #[serde(borrow)]
    namespace: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    version: String,
    #[serde(borrow)]
    action: Cow<'a, str>,
    time: String,
    author: String,
    #[serde(borrow)]
    object: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object<'a> {
    #[serde(borrow)]
    api_version: Option<Cow<'a, str>>,
    #[serde(borrow)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    metadata: Option<Metadata<'a>>,
}

#[derive(Default, Deserialize)]
struct Metadata<'a> {
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    namespace: Option<Cow<'a, str>>,
}

fn head(kind: &'static str) -> Head<'static> {
    Head {
        api_version: API_VERSION.into(),
        kind: kind.into(),
    }
}

/// The first line of NDJSON.
pub(super) fn export(about: &About) -> Vec<u8> {
    let line = Export {
        head: head("Export"),
        version: about.version.to_string(),
        epoch: about.epoch.clone(),
        history: about.history,
    };
    serde_json::to_vec(&line).unwrap_or_default()
}

/// The last line of NDJSON.
pub(super) fn end(records: u64) -> Vec<u8> {
    let line = End {
        head: head("End"),
        records,
    };
    serde_json::to_vec(&line).unwrap_or_default()
}

/// A record as JSON on one line. The object stands alone when that is wanted and it tells its own
/// key; else it is wrapped.
pub(super) fn encode(record: &Record, wrapped: bool, kinds: &Kinds) -> Result<Vec<u8>, String> {
    let mut line = match wrapped || key_of(&record.body, kinds).as_ref() != Ok(&record.key) {
        false => record.body.clone(),
        true => revision(record)?,
    };
    // A line end in JSON is never part of a value.
    for byte in &mut line {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    Ok(line)
}

fn revision(record: &Record) -> Result<Vec<u8>, String> {
    let wrong = |why: serde_json::Error| format!("its body is not JSON: {why}");
    let micros = i64::try_from(record.time.0).unwrap_or(i64::MAX);
    let key = &record.key;
    let line = Whole {
        api_version: API_VERSION.into(),
        kind: "Revision".into(),
        group: key.group().into(),
        resource: key.resource().into(),
        namespace: key.namespace().into(),
        name: key.name().into(),
        version: record.version.to_string(),
        action: record.action.as_str().into(),
        time: jiff::Timestamp::from_microsecond(micros)
            .unwrap_or_default()
            .to_string(),
        author: record.author.clone(),
        object: serde_json::from_slice(&record.body).map_err(wrong)?,
    };
    serde_json::to_vec(&line).map_err(wrong)
}

/// Reads one line or item.
pub(super) fn decode(bytes: &[u8], kinds: &Kinds) -> Result<Item, String> {
    let bytes = bytes.trim_ascii();
    if bytes.first() != Some(&b'{') {
        return Err("expected a JSON object".to_owned());
    }
    let wrong = |why: serde_json::Error| format!("not a JSON object that is known here: {why}");
    // Most lines are objects: only one that holds the words is asked whether it is ours.
    if std::str::from_utf8(bytes).is_ok_and(|text| text.contains(API_VERSION))
        && let Ok(head) = serde_json::from_slice::<Head<'_>>(bytes)
        && head.api_version == API_VERSION
    {
        return match &*head.kind {
            "Export" => about(&serde_json::from_slice(bytes).map_err(wrong)?),
            "End" => {
                let end: End<'_> = serde_json::from_slice(bytes).map_err(wrong)?;
                Ok(Item::End(end.records))
            }
            "Revision" => whole(&serde_json::from_slice(bytes).map_err(wrong)?),
            other => Err(format!(
                "kind: expected Export, Revision or End, not {other:?}"
            )),
        };
    }
    Ok(Item::Record(Record {
        key: key_of(bytes, kinds)?,
        version: Version::ZERO,
        action: Action::Created,
        time: Timestamp::default(),
        author: String::new(),
        body: bytes.to_vec(),
        is_exact: false,
    }))
}

fn about(line: &Export<'_>) -> Result<Item, String> {
    let version = line.version.parse();
    Ok(Item::About(About {
        version: version.map_err(|why| format!("version: {why}"))?,
        epoch: line.epoch.clone(),
        history: line.history,
    }))
}

fn whole(line: &Whole<'_>) -> Result<Item, String> {
    let key = Key::new(&line.group, &line.resource, &line.namespace, &line.name);
    let version = line.version.parse();
    let time: jiff::Timestamp = line.time.parse().map_err(|why| format!("time: {why}"))?;
    let body = line.object.get().as_bytes().to_vec();
    if body.first() != Some(&b'{') {
        return Err("object: expected a JSON object".to_owned());
    }
    Ok(Item::Record(Record {
        key: key.map_err(|why| why.to_string())?,
        version: version.map_err(|why| format!("version: {why}"))?,
        action: action(&line.action)?,
        time: Timestamp(u64::try_from(time.as_microsecond()).unwrap_or(0)),
        author: line.author.clone(),
        body,
        is_exact: true,
    }))
}

fn action(word: &str) -> Result<Action, String> {
    let all = [Action::Created, Action::Updated, Action::Deleted];
    let found = all.into_iter().find(|action| action.as_str() == word);
    found.ok_or_else(|| format!("action: expected created, updated or deleted, not {word:?}"))
}

/// The key of an object, from what it says of itself.
pub(super) fn key_of(body: &[u8], kinds: &Kinds) -> Result<Key, String> {
    let object: Object<'_> =
        serde_json::from_slice(body).map_err(|why| format!("not an object: {why}"))?;
    let field = |name: &str| format!("{name}: missing, and expected in every object");
    let api_version = object.api_version.ok_or_else(|| field("apiVersion"))?;
    let word = object.kind.ok_or_else(|| field("kind"))?;
    let kind = kind_of(kinds, &api_version, &word)?;
    let metadata = object.metadata.unwrap_or_default();
    let name = metadata.name.ok_or_else(|| field("metadata.name"))?;
    let namespace = match (kind.is_namespaced(), metadata.namespace) {
        (true, Some(namespace)) if !namespace.is_empty() => namespace,
        (true, _) => return Err(field("metadata.namespace")),
        (false, _) => Cow::Borrowed(""),
    };
    Key::new(&kind.group, &kind.names.plural, &namespace, &name).map_err(|why| why.to_string())
}

/// The kind that objects name by `apiVersion` and `kind`.
pub(super) fn kind_of<'a>(
    kinds: &'a Kinds,
    api_version: &str,
    word: &str,
) -> Result<&'a ServedKind, String> {
    let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
    let mut known = kinds.iter();
    let found = known.find(|kind| kind.group == group && kind.names.kind == word);
    found.ok_or_else(|| {
        let all: Vec<_> = kinds.iter().map(|kind| kind.names.kind.as_str()).collect();
        let all = all.join(", ");
        format!("kind: {word:?} of {api_version:?} is not served; the kinds are {all}")
    })
}
