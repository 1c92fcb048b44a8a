//! Objects as people write them: YAML or JSON, several in a file, lists of them, files or the
//! standard input.
//!
//! Called by `apply` and `edit`. Everything is read and looked at before anything is sent, so that
//! a slip in the last document does not leave half of a file applied.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Exit, Failure};

/// A larger file is refused.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// More objects than this are not applied at once.
const OBJECTS_MAX: usize = 10_000;

/// An object, and where it was read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Manifest {
    /// For messages: the file, and which object of it.
    pub(super) place: String,
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    pub(super) object: Value,
}

/// Reads all objects of all files; `-` is the standard input.
pub(super) fn read_all(files: &[PathBuf]) -> Result<Vec<Manifest>, Failure> {
    let mut all = Vec::new();
    for file in files {
        let is_input = file.as_os_str() == "-";
        let shown = if is_input {
            "the standard input".to_owned()
        } else {
            file.display().to_string()
        };
        let told = |why: String| Failure::new(Exit::Usage, format!("{shown}: {why}"));
        let text = if is_input {
            text(std::io::stdin().lock())
        } else {
            text_of(file)
        };
        let found = parse(&text.map_err(told)?, &shown).map_err(|why| {
            // The place is in the message already.
            Failure::new(Exit::Usage, why)
        })?;
        if found.is_empty() {
            return Err(told("expected an object, and found none".to_owned()));
        }
        all.extend(found);
        if all.len() > OBJECTS_MAX {
            let why = format!(
                "more than {OBJECTS_MAX} objects at once; `annals import file` takes any number"
            );
            return Err(told(why));
        }
    }
    Ok(all)
}

fn text_of(file: &Path) -> Result<String, String> {
    let opened = File::open(file).map_err(|why| why.to_string())?;
    if opened.metadata().is_ok_and(|found| found.is_dir()) {
        return Err("expected a file, and this is a directory".to_owned());
    }
    text(opened)
}

fn text(input: impl Read) -> Result<String, String> {
    let mut text = String::new();
    let mut input = input.take(FILE_BYTES_MAX + 1);
    input
        .read_to_string(&mut text)
        .map_err(|why| why.to_string())?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("larger than {FILE_BYTES_MAX} bytes"));
    }
    Ok(text)
}

/// The objects of a text.
pub(super) fn parse(text: &str, place: &str) -> Result<Vec<Manifest>, String> {
    let documents = documents(text).map_err(|why| format!("{place}: {why}"))?;
    let mut values = Vec::new();
    for document in documents {
        flatten(document, &mut values);
    }
    let is_one = values.len() == 1;
    let named = values.into_iter().enumerate().map(|(at, value)| {
        let place = if is_one {
            place.to_owned()
        } else {
            format!("{place}, object {}", at + 1)
        };
        Manifest::new(value, place)
    });
    named.collect()
}

fn documents(text: &str) -> Result<Vec<Value>, String> {
    // JSON is YAML, but its own reader keeps every number as it is.
    if text.trim_start().starts_with('{') {
        let values = serde_json::Deserializer::from_str(text).into_iter();
        let values: Result<Vec<Value>, _> = values.collect();
        return values.map_err(|why| format!("not JSON: {why}"));
    }
    let values: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|why| format!("not YAML: {why}"))?;
    Ok(values
        .into_iter()
        .filter(|value| !value.is_null())
        .collect())
}

/// What a list holds stands for itself.
fn flatten(value: Value, into: &mut Vec<Value>) {
    let is_list = value
        .get("kind")
        .and_then(Value::as_str)
        .is_some_and(|kind| kind.ends_with("List"));
    match value {
        Value::Object(mut list) if is_list && list.get("items").is_some_and(Value::is_array) => {
            if let Some(Value::Array(items)) = list.remove("items") {
                into.extend(items);
            }
        }
        other => into.push(other),
    }
}

impl Manifest {
    fn new(object: Value, place: String) -> Result<Self, String> {
        let text = |pointer: &str| {
            let found = object.pointer(pointer).and_then(Value::as_str);
            found.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let wanted = |pointer: &str, field: &str, expected: &str| {
            text(pointer).ok_or_else(|| format!("{place}: {field}: expected {expected}"))
        };
        if !object.is_object() {
            return Err(format!(
                "{place}: expected an object with apiVersion and kind"
            ));
        }
        let name = match (text("/metadata/name"), text("/metadata/generateName")) {
            (None, Some(_)) => Err(format!(
                "{place}: metadata.name: expected a name: an object with generateName is a new one \
                 each time, and `kubectl create` makes it"
            )),
            (name, _) => name.ok_or_else(|| format!("{place}: metadata.name: expected a name")),
        };
        Ok(Self {
            api_version: wanted("/apiVersion", "apiVersion", "GROUP/VERSION, or v1")?,
            kind: wanted("/kind", "kind", "the kind of the object, such as Playlist")?,
            name: name?,
            namespace: text("/metadata/namespace"),
            place,
            object,
        })
    }
}

#[cfg(test)]
mod tests {
    //! Catches an object of a file that is passed over, and a mistake that is told about another.
    use super::*;

    fn names(text: &str) -> Result<Vec<String>, String> {
        let all = parse(text, "f")?;
        Ok(all.into_iter().map(|one| one.name).collect())
    }

    #[test]
    fn every_object_is_found() {
        let one = "apiVersion: v1\nkind: A\nmetadata:\n  name: ";
        let many = format!("---\n{one}x\n---\n# nothing\n---\n{one}z\n");
        assert_eq!(names(&many), Ok(vec!["x".into(), "z".into()]));
        let json = r#"{"apiVersion":"v1","kind":"A","metadata":{"name":"x"}}"#;
        assert_eq!(
            names(&format!("{json}\n{json}")).map(|all| all.len()),
            Ok(2)
        );
        let list = format!(r#"{{"kind":"List","apiVersion":"v1","items":[{json},{json}]}}"#);
        assert_eq!(names(&list).map(|all| all.len()), Ok(2));
        assert_eq!(names(""), Ok(vec![]));
    }

    #[test]
    fn says_what_was_expected_and_where() {
        for (text, told) in [
            ("kind: A\nmetadata: {name: x}", "f: apiVersion: expected"),
            ("apiVersion: v1\nmetadata: {name: x}", "f: kind: expected"),
            (
                "apiVersion: v1\nkind: A",
                "f: metadata.name: expected a name",
            ),
            (
                "apiVersion: v1\nkind: A\nmetadata: {generateName: x}",
                "generateName is a new one",
            ),
            ("- a", "f: expected an object"),
            ("a: b: c", "f: not YAML"),
            ("{\"a\"", "f: not JSON"),
            (
                "apiVersion: v1\nkind: A\nmetadata: {name: x}\n---\nkind: B\n",
                "f, object 2: apiVersion: expected",
            ),
        ] {
            let error = names(text).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
