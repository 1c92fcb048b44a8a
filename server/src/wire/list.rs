//! Lists and watch events: frames around objects that are bytes already.
//!
//! Objects go from the store to the client without being parsed, so a list is a head, the objects
//! between commas, and a tail. A watch event is one line, because some clients split the stream at
//! line ends; objects that were stored with line ends in them are therefore put on one line.

use std::borrow::Cow;

use super::status::Status;
use super::table::ListMeta;
use crate::kinds::Found;

/// What happened to an object, in the words of a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventType {
    /// It is there, or matches, for the first time.
    Added,
    /// It changed.
    Modified,
    /// It is gone, or matches no more.
    Deleted,
    /// Nothing: the watch has reached a version.
    Bookmark,
}

impl EventType {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
            Self::Bookmark => "BOOKMARK",
        }
    }
}

/// A list of objects, each as it is served.
pub fn list<'a>(
    found: Found<'_>,
    meta: &ListMeta,
    objects: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<u8> {
    let head = format!(
        "{{\"apiVersion\":\"{}\",\"kind\":\"{}\",\"metadata\":{},\"items\":[",
        found.api_version(),
        found.kind.names.list_kind,
        meta.to_value()
    );
    let mut out = head.into_bytes();
    for (index, object) in objects.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(object);
    }
    out.extend_from_slice(b"]}");
    out
}

/// One event of a watch, with the line end.
pub fn event(kind: EventType, object: &[u8]) -> Vec<u8> {
    frame(kind.as_str(), &one_line(object))
}

/// The event that ends a watch which cannot go on.
pub fn error_event(status: &Status) -> Vec<u8> {
    frame("ERROR", &status.to_json())
}

/// A bookmark: the watch has reached this version, and `initial_end` says that what was there at
/// the start has all been sent.
pub fn bookmark(found: Found<'_>, version: u64, initial_end: bool) -> Vec<u8> {
    let annotations = match initial_end {
        true => ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}",
        false => "",
    };
    let object = format!(
        "{{\"apiVersion\":\"{}\",\"kind\":\"{}\",\"metadata\":{{\"resourceVersion\":\"{version}\"\
         {annotations}}}}}",
        found.api_version(),
        found.kind.names.kind
    );
    object.into_bytes()
}

fn frame(kind: &str, object: &[u8]) -> Vec<u8> {
    let head = format!("{{\"type\":\"{kind}\",\"object\":");
    [head.as_bytes(), object, b"}\n"].concat()
}

/// JSON without line ends. They can only stand between tokens, where a space means the same.
fn one_line(json: &[u8]) -> Cow<'_, [u8]> {
    if !json.iter().any(|b| matches!(b, b'\n' | b'\r')) {
        return Cow::Borrowed(json);
    }
    let plain = |b: &u8| if matches!(b, b'\n' | b'\r') { b' ' } else { *b };
    Cow::Owned(json.iter().map(plain).collect())
}

#[cfg(test)]
mod tests {
    //! Catches a list or an event that is not JSON, or an event of more than one line.

    use serde_json::{Value, json};

    use super::*;
    use crate::kinds::Kinds;

    #[test]
    fn lists_hold_their_objects_as_they_are() {
        let kinds = Kinds::built_in().unwrap();
        let found = kinds
            .find("folder.grafana.app", "v1beta1", "folders")
            .unwrap();
        let meta = ListMeta {
            resource_version: "7".to_owned(),
            ..ListMeta::default()
        };
        let bytes = list(found, &meta, [b"{\"a\":1.0}".as_slice(), b"{}"]);
        assert!(
            String::from_utf8(bytes.clone())
                .unwrap()
                .contains("[{\"a\":1.0},{}]")
        );
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value["kind"], "FolderList");
        assert_eq!(value["apiVersion"], "folder.grafana.app/v1beta1");
        assert_eq!(value["metadata"], json!({"resourceVersion": "7"}));
        let empty: Value = serde_json::from_slice(&list(found, &meta, [])).unwrap();
        assert_eq!(empty["items"], json!([]));
    }

    #[test]
    fn events_are_one_line_each() {
        let kinds = Kinds::built_in().unwrap();
        let found = kinds.find("", "v1", "namespaces").unwrap();
        let bookmark = bookmark(found, 9, true);
        let events = [
            event(EventType::Added, b"{\n\"a\":\r\n\"b\\n\"}"),
            event(EventType::Bookmark, &bookmark),
            error_event(&Status::expired("too old resource version: 1 (5)")),
        ];
        let values = events.map(|event| {
            assert_eq!(event.iter().filter(|b| **b == b'\n').count(), 1);
            assert!(event.ends_with(b"}\n") && !event.contains(&b'\r'));
            serde_json::from_slice::<Value>(&event).unwrap()
        });
        assert_eq!(values[0], json!({"type": "ADDED", "object": {"a": "b\n"}}));
        let metadata = json!({"resourceVersion": "9",
            "annotations": {"k8s.io/initial-events-end": "true"}});
        assert_eq!(values[1]["object"]["metadata"], metadata);
        assert_eq!(values[1]["object"]["kind"], "Namespace");
        assert_eq!(values[2]["type"], "ERROR");
        assert_eq!(values[2]["object"]["code"], 410);
    }
}
