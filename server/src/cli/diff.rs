//! `annals diff`: what changed between two revisions of an object, as a unified diff of YAML.

use clap::Args as Flags;
use serde_json::Value;
use similar::TextDiff;

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
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let found = args.object.find().await?;
    let to = found.revision(args.to).await?;
    let from = match args.from {
        Some(version) => Some(found.revision(Some(version)).await?),
        None => found.newest(Some(version(&to)?)).await?,
    };
    let name = found.qualified();
    let (old_label, old) = match &from {
        Some(from) => (format!("{name}@{}", version(from)?), text(from)?),
        None => ("/dev/null".to_owned(), String::new()),
    };
    let (new_label, new) = (format!("{name}@{}", version(&to)?), text(&to)?);
    print::out(&unified((&old_label, &old), (&new_label, &new)))?;
    Ok(Exit::Done)
}

/// The object of a revision as YAML; nothing for a delete. The record of who manages which field
/// is left out: it changes with every write and says nothing about the object.
fn text(revision: &Value) -> Result<String, Failure> {
    let is_deleted = revision
        .get("action")
        .is_some_and(|action| action == "deleted");
    let Some(object) = revision
        .get("object")
        .filter(|object| !object.is_null() && !is_deleted)
    else {
        return Ok(String::new());
    };
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("managedFields");
    }
    print::yaml(&object).map_err(|why| Failure::new(Exit::Failed, format!("cannot print: {why}")))
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
        let old = text(&revision("old", 1)).unwrap();
        let new = text(&revision("new", 2)).unwrap();
        assert_eq!(
            unified(("p/x@1", &old), ("p/x@2", &new)),
            "--- p/x@1\n+++ p/x@2\n@@ -1,5 +1,5 @@\n metadata:\n   name: x\n spec:\n\
             -  title: old\n+  title: new\n   size: 1\n"
        );
        assert_eq!(unified(("a", &old), ("b", &old)), "");
    }

    #[test]
    fn a_delete_is_empty() {
        let object = json!({"a": 1});
        assert_eq!(
            text(&json!({"action": "deleted", "object": object})).unwrap(),
            ""
        );
        assert_eq!(
            text(&json!({"action": "updated", "object": object})).unwrap(),
            "a: 1\n"
        );
        assert_eq!(text(&json!({"action": "updated"})).unwrap(), "");
    }
}
