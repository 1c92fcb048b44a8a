//! Comparing dashboards with the server and writing what differs.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::{Path as File, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use super::read::{self, Dashboard};
use crate::cli::kind::{Kind, resolve};
use crate::cli::{Exit, Failure, print};
use crate::client::{Client, Error, Path};

const DASHBOARDS: &str = "dashboards.dashboard.grafana.app";
const FOLDERS: &str = "folders.folder.grafana.app";
const FOLDER: &str = "grafana.app/folder";

/// Where the dashboards go.
pub(super) struct Place<'a> {
    client: &'a Client,
    kind: Kind,
    namespace: &'a str,
    folder: &'a str,
}

/// What happened to one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    Created,
    Updated,
    Unchanged,
}

#[derive(Debug, Default)]
struct Summary {
    created: usize,
    updated: usize,
    unchanged: usize,
    failed: Vec<(PathBuf, String)>,
}

impl<'a> Place<'a> {
    /// Finds the kinds, and makes sure that the folder exists.
    pub(super) async fn find(
        client: &'a Client,
        namespace: &'a str,
        folder: &'a str,
    ) -> Result<Self, Failure> {
        let kind = resolve(client, DASHBOARDS).await?;
        let folders = resolve(client, FOLDERS).await?;
        match client
            .get(&folders.collection(Some(namespace)).part(folder))
            .await
        {
            Ok(_) => Ok(Self {
                client,
                kind,
                namespace,
                folder,
            }),
            Err(error) if error.code() == Some(404) => Err(Failure::new(
                Exit::NotFound,
                no_folder(&folders, namespace, folder),
            )),
            Err(error) => Err(error.into()),
        }
    }

    async fn write(&self, dashboard: Dashboard) -> Result<Done, Error> {
        let mut kind = self.kind.clone();
        if let Some(version) = &dashboard.version {
            kind.version.clone_from(version);
        }
        let collection = kind.collection(Some(self.namespace));
        let path = collection.clone().part(&dashboard.name);
        match self.client.get(&path).await {
            Ok(old) => match changed(old, dashboard.spec, self.folder) {
                Some(new) => self.put(&path, &new).await,
                None => Ok(Done::Unchanged),
            },
            Err(error) if error.code() == Some(404) => {
                let object = json!({
                    "apiVersion": kind.api_version(),
                    "kind": kind.name,
                    "metadata": {
                        "name": dashboard.name,
                        "namespace": self.namespace,
                        "annotations": { FOLDER: self.folder },
                    },
                    "spec": dashboard.spec,
                });
                self.client.post(&collection, Some(&object)).await?;
                Ok(Done::Created)
            }
            Err(error) => Err(error),
        }
    }

    async fn put(&self, path: &Path, object: &Value) -> Result<Done, Error> {
        self.client.put(path, object).await?;
        Ok(Done::Updated)
    }
}

/// Writes every file and prints what came of it. A server that cannot be reached ends it at once;
/// anything wrong with one file is that file's failure.
pub(super) async fn all(place: &Place<'_>, files: &[PathBuf]) -> Result<Exit, Failure> {
    // The bar hides itself when the standard error is not a terminal.
    let bar = ProgressBar::new(files.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    let (mut summary, mut taken) = (Summary::default(), HashMap::new());
    for file in files {
        bar.set_message(print::clean(&file.to_string_lossy()));
        match one(place, file, &mut taken).await {
            Ok(Ok(Done::Created)) => summary.created += 1,
            Ok(Ok(Done::Updated)) => summary.updated += 1,
            Ok(Ok(Done::Unchanged)) => summary.unchanged += 1,
            Ok(Err(why)) => summary.failed.push((file.clone(), why)),
            Err(failure) => {
                bar.finish_and_clear();
                print::out(&summary.text())?;
                return Err(failure);
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    print::out(&summary.text())?;
    Ok(if summary.failed.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

async fn one(
    place: &Place<'_>,
    file: &File,
    taken: &mut HashMap<String, PathBuf>,
) -> Result<Result<Done, String>, Failure> {
    let dashboard = match read::dashboard(file) {
        Ok(dashboard) => dashboard,
        Err(why) => return Ok(Err(why)),
    };
    if let Some(other) = taken.insert(dashboard.name.clone(), file.to_owned()) {
        let why = format!(
            "its name {} is also that of {}",
            dashboard.name,
            other.display()
        );
        taken.insert(dashboard.name, other);
        return Ok(Err(why));
    }
    match place.write(dashboard).await {
        Ok(done) => Ok(Ok(done)),
        Err(error @ (Error::Unreachable { .. } | Error::TooSlow { .. })) => Err(error.into()),
        Err(error) if matches!(error.code(), Some(401 | 403)) => Err(error.into()),
        Err(error) => Ok(Err(error.to_string())),
    }
}

/// The object to write, or nothing when spec and folder are already there.
fn changed(mut old: Value, spec: Value, folder: &str) -> Option<Value> {
    let pointer = format!("/metadata/annotations/{}", FOLDER.replace('/', "~1"));
    let is_there = old.pointer(&pointer).is_some_and(|there| there == folder);
    if is_there && old.get("spec") == Some(&spec) {
        return None;
    }
    let object = old.as_object_mut()?;
    object.insert("spec".to_owned(), spec);
    field(field(object, "metadata"), "annotations").insert(FOLDER.to_owned(), json!(folder));
    Some(old)
}

/// The object under `name`, put there when it is missing or something else.
fn field<'a>(object: &'a mut Map<String, Value>, name: &str) -> &'a mut Map<String, Value> {
    let slot = object.entry(name).or_insert(Value::Null);
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    match slot {
        Value::Object(object) => object,
        _ => unreachable!("it was made an object just now"),
    }
}

fn no_folder(folders: &Kind, namespace: &str, folder: &str) -> String {
    let object = json!({
        "apiVersion": folders.api_version(),
        "kind": folders.name,
        "metadata": {"name": folder, "namespace": namespace},
        "spec": {"title": folder},
    });
    format!(
        "there is no folder {folder} in namespace {namespace}; make it with: echo '{object}' | \
         kubectl create -f -"
    )
}

impl Summary {
    fn text(&self) -> String {
        let mut text = format!(
            "created {}, updated {}, unchanged {}, failed {}\n",
            self.created,
            self.updated,
            self.unchanged,
            self.failed.len()
        );
        for (file, why) in &self.failed {
            let file = file.to_string_lossy();
            // Writing to a string does not fail.
            let _ = writeln!(text, "  {}: {}", print::clean(&file), print::clean(why));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    //! Catches an import that writes when nothing differs, or loses what others keep on the object.
    use super::*;

    #[test]
    fn writes_only_what_differs() {
        let old = json!({
            "metadata": {"resourceVersion": "7", "annotations": {FOLDER: "f", "x": "y"}},
            "spec": {"a": 1, "b": 2},
        });
        assert_eq!(changed(old.clone(), json!({"b": 2, "a": 1}), "f"), None);
        let new = changed(old.clone(), json!({"a": 2}), "f").unwrap();
        assert_eq!(new["spec"], json!({"a": 2}));
        assert_eq!(new["metadata"], old["metadata"]);
        let moved = changed(old, json!({"a": 1, "b": 2}), "g").unwrap();
        assert_eq!(
            moved["metadata"]["annotations"],
            json!({FOLDER: "g", "x": "y"})
        );
        let bare = changed(json!({"metadata": {}, "spec": {}}), json!({}), "f").unwrap();
        assert_eq!(bare["metadata"]["annotations"], json!({FOLDER: "f"}));
    }

    #[test]
    fn the_summary_tells_each_failure() {
        let mut summary = Summary {
            created: 2,
            unchanged: 1,
            ..Summary::default()
        };
        summary
            .failed
            .push((PathBuf::from("a.json"), "not\nJSON".into()));
        assert_eq!(
            summary.text(),
            "created 2, updated 0, unchanged 1, failed 1\n  a.json: not JSON\n"
        );
    }
}
