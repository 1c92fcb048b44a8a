//! `annals edit`: an object in the editor of the caller, and back.
//!
//! ```text
//! get -> file -> editor -> unchanged?          nothing is written
//!          ^                  not YAML, refused? the error goes on top, and again
//!          |__________________/
//! ```
//!
//! The version that was read goes back with the object, so that what somebody else wrote meanwhile
//! is never overwritten. Whatever ends the command without a write leaves the text of the caller
//! in its file, and says where.

use std::path::Path;
use std::process::Command;

use clap::Args as Flags;
use serde_json::Value;

use super::object::Named;
use super::print::{self, Output};
use super::{Exit, Failure};
use crate::client::{Client, Error, Path as Place};

/// Lines that begin with this are ours, and not the object's.
const NOTE: &str = "#";

const HEAD: &str = "\
# Edit the object below. Lines that begin with # at the top are left out; an unchanged or empty
# file ends without writing.
";

/// How often a text is handed back before the caller gets a rest.
const TRIES_MAX: u32 = 100;

#[derive(Debug, Flags)]
pub(super) struct Args {
    #[command(flatten)]
    object: Named,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let found = args.object.find().await?;
    let collection = found.kind.collection(Some(&found.namespace));
    let path = collection.part(&found.name);
    let object = found.client.get(&path).await?;
    let text = shown(&object)?;
    let draft = Draft::new(&format!("{HEAD}{text}"))?;
    let edited = edit(&draft, &text, &found.client, &path).await;
    let name = print::clean(&found.qualified());
    match edited {
        Ok(None) => {
            draft.remove();
            eprintln!("{name} unchanged: nothing is written");
        }
        Ok(Some(object)) => {
            draft.remove();
            print::out(&match args.output {
                Output::Table => format!("{name} edited\n"),
                Output::Name => format!("{name}\n"),
                Output::Json | Output::Yaml => print::whole(&object, args.output)?,
            })?;
        }
        Err(failure) => {
            let message = format!(
                "{}; your text is in {}",
                failure.message,
                draft.path.display()
            );
            return Err(Failure::new(failure.exit, message));
        }
    }
    Ok(Exit::Done)
}

/// The object as it is edited: without the record of who manages which field.
fn shown(object: &Value) -> Result<String, Failure> {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("managedFields");
    }
    print::yaml(&object).map_err(|why| Failure::new(Exit::Failed, format!("cannot print: {why}")))
}

/// Lets the caller edit until the server takes it; nothing when nothing changed.
async fn edit(
    draft: &Draft,
    first: &str,
    client: &Client,
    path: &Place,
) -> Result<Option<Value>, Failure> {
    let mut last = first.to_owned();
    for tried in 0..TRIES_MAX {
        draft.open()?;
        let text = draft.read()?;
        let body = without_notes(&text);
        if body.trim().is_empty() || body == first {
            return Ok(None);
        }
        if tried > 0 && body == last {
            return Err(Failure::new(
                Exit::Failed,
                "the text is as it was when it was refused: nothing is written",
            ));
        }
        body.clone_into(&mut last);
        let why = match serde_saphyr::from_str::<Value>(body) {
            Err(why) => format!("not YAML: {why}"),
            Ok(object) if !object.is_object() => "expected an object".to_owned(),
            Ok(object) => match client.put(&strict(path), &object).await {
                Ok(object) => return Ok(Some(object)),
                Err(Error::Status(status)) if matches!(status.code, 400 | 422) => {
                    status.to_string()
                }
                Err(error) => return Err(error.into()),
            },
        };
        draft.write(&format!("{}{HEAD}{body}", note(&why)))?;
    }
    Err(Failure::new(
        Exit::Failed,
        format!("the text was refused {TRIES_MAX} times: nothing is written"),
    ))
}

fn strict(path: &Place) -> Place {
    path.clone().query("fieldValidation", "Strict")
}

/// The text behind the notes at its top.
fn without_notes(text: &str) -> &str {
    let mut rest = text;
    while rest.starts_with(NOTE) {
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
    rest
}

/// An error as lines of a note.
fn note(why: &str) -> String {
    let lines = why.lines().map(|line| {
        let line = print::clean(line);
        format!("# {}\n", line.trim_end())
    });
    format!("# error:\n{}#\n", lines.collect::<String>())
}

/// The file that is edited, in a folder that only its owner can enter.
struct Draft {
    path: std::path::PathBuf,
}

impl Draft {
    fn new(text: &str) -> Result<Self, Failure> {
        use std::os::unix::fs::DirBuilderExt;
        let folder = std::env::temp_dir().join(format!("annals-edit-{}", uuid::Uuid::new_v4()));
        let made = std::fs::DirBuilder::new().mode(0o700).create(&folder);
        made.map_err(|why| failed(&folder, "make the folder", &why))?;
        let draft = Self {
            path: folder.join("object.yaml"),
        };
        draft.write(text)?;
        Ok(draft)
    }

    fn write(&self, text: &str) -> Result<(), Failure> {
        std::fs::write(&self.path, text).map_err(|why| failed(&self.path, "write", &why))
    }

    fn read(&self) -> Result<String, Failure> {
        std::fs::read_to_string(&self.path).map_err(|why| failed(&self.path, "read", &why))
    }

    /// Runs the editor and waits for its end.
    fn open(&self) -> Result<(), Failure> {
        let editor = ["KUBE_EDITOR", "VISUAL", "EDITOR"]
            .iter()
            .filter_map(std::env::var_os)
            .find(|value| !value.is_empty())
            .unwrap_or_else(|| "vi".into());
        // By the shell, since the variable may hold options.
        let mut line = editor.clone();
        line.push(" \"$1\"");
        let ended = Command::new("sh")
            .arg("-c")
            .arg(line)
            .arg("sh")
            .arg(&self.path)
            .status();
        let editor = editor.to_string_lossy();
        let told = |why: String| {
            let why = format!("the editor {editor:?} {why}: name another in $EDITOR");
            Failure::new(Exit::Failed, why)
        };
        match ended {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(told(format!("failed ({status})"))),
            Err(why) => Err(told(format!("cannot be run ({why})"))),
        }
    }

    fn remove(&self) {
        let removed = self.path.parent().map(std::fs::remove_dir_all);
        if let Some(Err(error)) = removed {
            tracing::warn!(path = %self.path.display(), %error, "a draft is left behind");
        }
    }
}

fn failed(path: &Path, action: &str, why: &std::io::Error) -> Failure {
    Failure::new(
        Exit::Failed,
        format!("cannot {action} {}: {why}", path.display()),
    )
}

#[cfg(test)]
mod tests {
    //! Catches a note that becomes part of an object, and a line of an object taken for a note.
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn notes_go_and_the_text_stays(why: String, text in "[a-z][a-z#\n :]{0,40}") {
            let noted = format!("{}{HEAD}{text}", note(&why));
            prop_assert_eq!(without_notes(&noted), text);
        }
    }

    #[test]
    fn a_file_of_notes_is_empty() {
        assert_eq!(without_notes("# a\n# b"), "");
        assert_eq!(without_notes("a: 1\n# b\n"), "a: 1\n# b\n");
    }
}
