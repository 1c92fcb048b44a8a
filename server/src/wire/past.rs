//! The past on a list: how Grafana's clients ask for it, and how a deleted object is shown.
//!
//! ```text
//! labelSelector=grafana.app/get-history=true & fieldSelector=metadata.name=NAME    revisions of NAME
//! labelSelector=grafana.app/get-trash=true  [& fieldSelector=metadata.name=NAME]   what is deleted
//! ```
//!
//! The labels are commands: no object may have one, so a selector with one always means the past.
//! `api::past` reads the revisions; `meta` refuses to store the labels. A deleted object is shown as
//! Grafana's storage stores its delete marker: the last object, marked.

use annals::{FieldTest, LabelSelector, ObjectField, Operator};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::status::Status;

/// Asks for the revisions of one object.
pub const HISTORY_LABEL: &str = "grafana.app/get-history";
/// Asks for the deleted objects.
pub const TRASH_LABEL: &str = "grafana.app/get-trash";

/// The generation of every deleted object.
const DELETED_GENERATION: i64 = -999;
const UPDATED_BY: &str = "grafana.app/updatedBy";
const UPDATED_AT: &str = "grafana.app/updatedTimestamp";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What of the past a list asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Past {
    /// The revisions of the object of this name.
    History(String),
    /// The deleted objects, or the one of this name.
    Trash(Option<String>),
}

/// What of the past these selectors ask for; `None` if they are about labels that objects have.
pub fn asked(labels: &LabelSelector, fields: &[FieldTest]) -> Result<Option<Past>, Status> {
    let Some(label) = command(labels) else {
        return Ok(None);
    };
    let refuse = |why: &str| {
        Err(Status::bad_request(format!(
            "labelSelector: {label}: {why}"
        )))
    };
    let [requirement] = labels.requirements() else {
        return refuse("expected no other label beside it");
    };
    if requirement.operator != Operator::In || requirement.values != ["true"] {
        return refuse(&format!("expected {label}=true"));
    }
    let name = match fields {
        [] => None,
        [test] if test.field == ObjectField::Name && test.equals => Some(test.value.clone()),
        _ => return refuse("expected no fieldSelector but metadata.name=NAME"),
    };
    match name {
        name if label == TRASH_LABEL => Ok(Some(Past::Trash(name))),
        Some(name) => Ok(Some(Past::History(name))),
        None => refuse("expected fieldSelector metadata.name=NAME, to say whose history"),
    }
}

/// The label of a selector that is a command.
pub fn command(labels: &LabelSelector) -> Option<&'static str> {
    let has = |label: &&str| labels.requirements().iter().any(|test| test.key == *label);
    [HISTORY_LABEL, TRASH_LABEL].into_iter().find(has)
}

/// A deleted object, from its last state as it is served. `at` and `by` are of the deletion.
pub fn show_deleted(last: &mut Value, at: Timestamp, by: &str) {
    let Some(metadata) = last["metadata"].as_object_mut() else {
        return;
    };
    let at = format!("{at:.0}");
    metadata.shift_remove("managedFields");
    metadata.shift_remove("finalizers");
    metadata.insert("deletionTimestamp".to_owned(), json!(at));
    metadata.insert("generation".to_owned(), json!(DELETED_GENERATION));
    let annotations = metadata
        .entry("annotations")
        .or_insert_with(|| Map::new().into());
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.shift_remove(LAST_APPLIED);
        annotations.insert(UPDATED_BY.to_owned(), json!(by));
        annotations.insert(UPDATED_AT.to_owned(), json!(at));
    }
}

#[cfg(test)]
mod tests {
    //! Catches a selector that is half a command and taken for another, and a deleted object that
    //! looks alive.

    use super::*;

    fn read(labels: &str, fields: &[FieldTest]) -> Result<Option<Past>, String> {
        asked(&labels.parse().unwrap(), fields).map_err(|status| status.message)
    }

    fn named(equals: bool) -> FieldTest {
        FieldTest {
            field: ObjectField::Name,
            equals,
            value: "x".to_owned(),
        }
    }

    #[test]
    fn a_command_is_whole_or_refused() {
        let (history, trash) = ("grafana.app/get-history=true", "grafana.app/get-trash=true");
        let x = || "x".to_owned();
        assert_eq!(read("", &[named(true)]), Ok(None));
        assert_eq!(read("a=b,grafana.app/get-else=true", &[]), Ok(None));
        assert_eq!(read(history, &[named(true)]), Ok(Some(Past::History(x()))));
        assert_eq!(read(trash, &[]), Ok(Some(Past::Trash(None))));
        assert_eq!(
            read(trash, &[named(true)]),
            Ok(Some(Past::Trash(Some(x()))))
        );
        let space = FieldTest {
            field: ObjectField::Namespace,
            ..named(true)
        };
        for (labels, fields, why) in [
            (history, vec![], "whose history"),
            (history, vec![named(false)], "no fieldSelector but"),
            (
                trash,
                vec![named(true), named(true)],
                "no fieldSelector but",
            ),
            (trash, vec![space], "no fieldSelector but"),
            ("grafana.app/get-trash=true,a=b", vec![], "no other label"),
            (
                "a=b,grafana.app/get-history=true",
                vec![named(true)],
                "no other label",
            ),
            ("grafana.app/get-trash=false", vec![], "get-trash=true"),
            ("grafana.app/get-trash", vec![], "get-trash=true"),
            ("!grafana.app/get-trash", vec![], "get-trash=true"),
            ("grafana.app/get-trash!=true", vec![], "get-trash=true"),
            (
                "grafana.app/get-trash in (true,x)",
                vec![],
                "get-trash=true",
            ),
        ] {
            let refused = read(labels, &fields).unwrap_err();
            assert!(
                refused.starts_with("labelSelector: grafana.app/get-") && refused.contains(why),
                "{labels}: {refused}"
            );
        }
    }

    #[test]
    fn a_deleted_object_is_its_last_state_marked() {
        let mut object = json!({"apiVersion": "g/v1", "metadata": {
            "name": "x", "generation": 4, "finalizers": ["a/b"], "managedFields": [],
            "annotations": {LAST_APPLIED: "{}", "mine": "1", UPDATED_BY: "ann"},
        }, "spec": {"title": "T"}});
        show_deleted(
            &mut object,
            "2026-01-02T03:04:05.67Z".parse().unwrap(),
            "bob",
        );
        let expected = json!({"apiVersion": "g/v1", "metadata": {
            "name": "x", "generation": -999, "deletionTimestamp": "2026-01-02T03:04:05Z",
            "annotations": {
                "mine": "1", UPDATED_BY: "bob", UPDATED_AT: "2026-01-02T03:04:05Z",
            },
        }, "spec": {"title": "T"}});
        assert_eq!(object, expected);
        let mut bare = json!({"metadata": {}});
        show_deleted(&mut bare, Timestamp::UNIX_EPOCH, "bob");
        assert_eq!(bare["metadata"]["annotations"][UPDATED_BY], "bob");
    }
}
