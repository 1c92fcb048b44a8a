//! `annals diff`: what changed between two revisions of an object.
//!
//! People get it place by place, programs as a unified diff of YAML.

use clap::{Args as Flags, ValueEnum};
use serde_json::Value;
use similar::TextDiff;

use super::change::changes;
use super::color::{Color, Pen, is_terminal};
use super::merge::LAST;
use super::object::{Named, version};
use super::{Exit, Failure, print};

/// Unchanged lines shown around a change.
const CONTEXT_LINES: usize = 3;

#[derive(Debug, Flags)]
pub(super) struct Args {
    #[command(flatten)]
    object: Named,
    /// The older revision [default: the one before the newer]
    #[arg(long, value_name = "VERSION")]
    from: Option<u64>,
    /// The newer revision [default: the newest]
    #[arg(long, value_name = "VERSION")]
    to: Option<u64>,
    /// How to show it [default: paths on a terminal, else unified]
    #[arg(long, value_enum)]
    format: Option<Format>,
    #[command(flatten)]
    color: Color,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Each place that changed, what was there and what is
    Paths,
    /// A unified diff of YAML, which `patch` takes
    Unified,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let found = args.object.find().await?;
    let to = found.revision(args.to).await?;
    let from = match args.from {
        Some(version) => Some(found.revision(Some(version)).await?),
        None => found.newest(Some(version(&to)?)).await?,
    };
    let name = found.qualified();
    let old_label = match &from {
        Some(from) => format!("{name}@{}", version(from)?),
        None => "/dev/null".to_owned(),
    };
    let new_label = format!("{name}@{}", version(&to)?);
    let old = from.as_ref().and_then(object);
    let new = object(&to);
    let format = args.format.unwrap_or(if is_terminal() {
        Format::Paths
    } else {
        Format::Unified
    });
    let pen = args.color.pen();
    let text = match format {
        Format::Paths => paths((&old_label, old.as_ref()), (&new_label, new.as_ref()), pen),
        Format::Unified => {
            let (old, new) = (yaml(old.as_ref())?, yaml(new.as_ref())?);
            coloured(&unified((&old_label, &old), (&new_label, &new)), pen)
        }
    };
    print::out(&text)?;
    Ok(Exit::Done)
}

/// The object of a revision; nothing for a delete. The record of who manages which field is left
/// out: it changes with every write and says nothing about the object.
fn object(revision: &Value) -> Option<Value> {
    let is_deleted = revision
        .get("action")
        .is_some_and(|action| action == "deleted");
    let object = revision.get("object");
    let mut object = object
        .filter(|object| !object.is_null() && !is_deleted)?
        .clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("managedFields");
    }
    Some(object)
}

fn yaml(object: Option<&Value>) -> Result<String, Failure> {
    let text = object.map_or(Ok(String::new()), print::yaml);
    text.map_err(|why| Failure::new(Exit::Failed, format!("cannot print: {why}")))
}

/// The object without what changes with every write: the heads of the diff name the versions.
fn without_books(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("resourceVersion");
        metadata.shift_remove("generation");
        let notes = metadata.get_mut("annotations");
        if let Some(notes) = notes.and_then(Value::as_object_mut) {
            notes.shift_remove(LAST);
            if notes.is_empty() {
                metadata.shift_remove("annotations");
            }
        }
    }
    object
}

/// Each place that changed, with what was there and what is there.
fn paths(old: (&str, Option<&Value>), new: (&str, Option<&Value>), pen: Pen) -> String {
    let nothing = Value::Object(serde_json::Map::new());
    let told = |object: Option<&Value>| without_books(object.unwrap_or(&nothing));
    let (before, after) = (told(old.1), told(new.1));
    let found = changes(&before, &after);
    if found.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "{}\n{}\n",
        pen.strong(&print::clean(&format!("--- {}", old.0))),
        pen.strong(&print::clean(&format!("+++ {}", new.0)))
    );
    for change in found {
        text.push_str(&pen.place(&print::clean(&change.path)));
        text.push('\n');
        let shown = |value: &Value| print::clean(&value.to_string());
        if let Some(old) = change.old {
            text.push_str(&pen.old(&format!("  - {}", shown(old))));
            text.push('\n');
        }
        if let Some(new) = change.new {
            text.push_str(&pen.new_text(&format!("  + {}", shown(new))));
            text.push('\n');
        }
    }
    text
}

/// A unified diff with its lines in colours. Strings of YAML hold no escapes of their own.
fn coloured(diff: &str, pen: Pen) -> String {
    let line = |line: &str| match line.as_bytes() {
        [b'-', b'-', b'-', b' ', ..] | [b'+', b'+', b'+', b' ', ..] => pen.strong(line),
        [b'-', ..] => pen.old(line),
        [b'+', ..] => pen.new_text(line),
        [b'@', b'@', ..] => pen.place(line),
        _ => line.to_owned(),
    };
    diff.lines().map(|text| line(text) + "\n").collect()
}

fn unified(old: (&str, &str), new: (&str, &str)) -> String {
    let diff = TextDiff::from_lines(old.1, new.1);
    diff.unified_diff()
        .context_radius(CONTEXT_LINES)
        .header(old.0, new.0)
        .to_string()
}

#[cfg(test)]
mod tests {
    //! Catches a diff that shows what did not change, or hides what did.
    use serde_json::json;

    use super::*;

    #[test]
    fn shows_the_change_alone() {
        let revision = |title: &str, fields: i32| {
            json!({"action": "updated", "object": {
                "metadata": {"name": "x", "managedFields": [fields]},
                "spec": {"title": title, "size": 1},
            }})
        };
        let (before, after) = (object(&revision("old", 1)), object(&revision("new", 2)));
        let (old, new) = (
            yaml(before.as_ref()).unwrap(),
            yaml(after.as_ref()).unwrap(),
        );
        assert_eq!(
            unified(("p/x@1", &old), ("p/x@2", &new)),
            "--- p/x@1\n+++ p/x@2\n@@ -1,5 +1,5 @@\n metadata:\n   name: x\n spec:\n\
             -  title: old\n+  title: new\n   size: 1\n"
        );
        assert_eq!(unified(("a", &old), ("b", &old)), "");
    }

    #[test]
    fn the_places_and_colours() {
        let (old, new) = (
            json!({"a": {"b": 1}}),
            json!({"a": {"b": "x\n\u{1b}"}, "c": 2}),
        );
        let shown = |on| paths(("p@1", Some(&old)), ("p@2", Some(&new)), Pen::new(on));
        assert_eq!(
            shown(false),
            "--- p@1\n+++ p@2\na.b\n  - 1\n  + \"x\\n\\u001b\"\nc\n  + 2\n"
        );
        assert!(shown(true).contains("\u{1b}[36ma.b\u{1b}[0m\n\u{1b}[31m  - 1\u{1b}[0m\n"));
        let books = |number: i32| {
            json!({"metadata": {"generation": number, "resourceVersion": number.to_string(),
                "annotations": {LAST: number.to_string()}}})
        };
        let same = paths(
            ("p@1", Some(&books(1))),
            ("p@2", Some(&books(2))),
            Pen::new(true),
        );
        assert_eq!(same, "");
        assert_eq!(
            paths(("p@1", Some(&old)), ("p@2", Some(&old)), Pen::new(true)),
            ""
        );
        let unified = unified(("p@1", "a: 1\n"), ("p@2", "a: 2\n"));
        assert_eq!(coloured(&unified, Pen::new(false)), unified);
        assert!(coloured(&unified, Pen::new(true)).contains("\u{1b}[31m-a: 1\u{1b}[0m\n"));
    }

    #[test]
    fn a_delete_is_empty() {
        let body = json!({"a": 1});
        let revision = |action: &str| json!({"action": action, "object": body});
        assert_eq!(object(&revision("deleted")), None);
        assert_eq!(object(&revision("updated")), Some(json!({"a": 1})));
        assert_eq!(object(&json!({"action": "updated"})), None);
        assert_eq!(yaml(None).unwrap(), "");
    }
}
