//! `annals restore`: an object as it was at a version, or as it was before it was deleted.
//!
//! What was is written anew, as the next revision: history is never turned back. Labels,
//! annotations and owners come back with the rest; who it is (uid, creation) does not, and the
//! finalizers are those of now.

use clap::Args as Flags;
use serde_json::{Map, Value, json};

use super::kind::Kind;
use super::object::{Found, Named, version};
use super::print::{self, Output};
use super::{Exit, Failure};

/// The metadata that an old revision may give.
const WISHES: [&str; 3] = ["labels", "annotations", "ownerReferences"];

#[derive(Debug, Flags)]
pub(super) struct Args {
    #[command(flatten)]
    object: Named,
    /// The revision to go back to [default: the last one of a deleted object]
    #[arg(long, value_name = "VERSION")]
    version: Option<u64>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let found = args.object.find().await?;
    let newest = found.revision(None).await?;
    let is_live = newest
        .get("action")
        .is_some_and(|action| action != "deleted");
    let wanted = match args.version {
        Some(wanted) => found.revision(Some(wanted)).await?,
        None if is_live => {
            let message = format!(
                "{} is live: say with --version what it shall be again (`annals history` lists the \
                 versions)",
                found.qualified()
            );
            return Err(Failure::new(Exit::Usage, message));
        }
        None => last_words(&found, &newest).await?,
    };
    let at = version(&wanted)?;
    let old = wanted.get("object").filter(|object| object.is_object());
    let old = old.ok_or_else(|| {
        let message = format!(
            "{}: version {at} is its deletion: name the version before it",
            found.qualified()
        );
        Failure::new(Exit::NotFound, message)
    })?;
    let kind = kind_of(&found.kind, old);
    let collection = kind.collection(Some(&found.namespace));
    let path = collection.clone().part(&found.name);
    let answer = if is_live {
        let live = found.client.get(&path).await?;
        let mut body = renewed(old, Some(&live));
        // The finalizers of now are somebody's business.
        if let Some(now) = live.pointer("/metadata/finalizers") {
            body["metadata"]["finalizers"] = now.clone();
        }
        let answer = found.client.put(&path, &body).await?;
        let same = |value: &Value| value.pointer("/metadata/resourceVersion").cloned();
        (same(&answer) != same(&live), answer)
    } else {
        let body = renewed(old, None);
        (true, found.client.post(&collection, Some(&body)).await?)
    };
    let (is_changed, object) = answer;
    let name = print::clean(&found.qualified());
    print::out(&match args.output {
        Output::Table if is_changed => format!("{name} restored to version {at}\n"),
        Output::Table => format!("{name} unchanged: it is as it was at version {at}\n"),
        Output::Name => format!("{name}\n"),
        Output::Json | Output::Yaml => print::whole(&object, args.output)?,
    })?;
    Ok(Exit::Done)
}

/// The last revision before a deletion.
async fn last_words(found: &Found, deleted: &Value) -> Result<Value, Failure> {
    let before = version(deleted)?;
    found.newest(Some(before)).await?.ok_or_else(|| {
        let message = format!(
            "{}: nothing is kept of it from before its deletion at version {before}",
            found.qualified()
        );
        Failure::new(Exit::NotFound, message)
    })
}

/// The kind in the version that the revision is written in.
fn kind_of(kind: &Kind, object: &Value) -> Kind {
    let written = object.get("apiVersion").and_then(Value::as_str);
    let version = written.and_then(|text| text.rsplit('/').next());
    Kind {
        version: version.unwrap_or(&kind.version).to_owned(),
        ..kind.clone()
    }
}

/// The old state as a wish: for a new object, or for the one that is there.
fn renewed(old: &Value, live: Option<&Value>) -> Value {
    let mut metadata = Map::new();
    let before = old.get("metadata").and_then(Value::as_object);
    for name in ["name", "namespace"].iter().chain(&WISHES) {
        if let Some(value) = before.and_then(|before| before.get(*name)) {
            metadata.insert((*name).to_owned(), value.clone());
        }
    }
    if let Some(version) = live.and_then(|live| live.pointer("/metadata/resourceVersion")) {
        metadata.insert("resourceVersion".to_owned(), version.clone());
    }
    let mut body = old.clone();
    body["metadata"] = json!(metadata);
    body
}

#[cfg(test)]
mod tests {
    //! Catches a restored object that claims to be another one, or loses its labels.
    use super::*;

    #[test]
    fn identity_stays_and_wishes_come_back() {
        let old = json!({"apiVersion": "g/v1", "metadata": {
            "name": "x", "namespace": "n", "uid": "old", "resourceVersion": "3", "generation": 4,
            "labels": {"a": "b"}, "finalizers": ["f"], "deletionTimestamp": "t"},
            "spec": {"title": "one"}});
        let live = json!({"metadata": {"uid": "new", "resourceVersion": "9"}});
        let expected = json!({"apiVersion": "g/v1", "metadata": {
            "name": "x", "namespace": "n", "labels": {"a": "b"}}, "spec": {"title": "one"}});
        assert_eq!(renewed(&old, None), expected);
        let mut expected = expected;
        expected["metadata"]["resourceVersion"] = json!("9");
        assert_eq!(renewed(&old, Some(&live)), expected);
    }
}
