//! Finding dashboard files and reading what is in them.
//!
//! Three shapes are known: the dashboard itself, a resource with the dashboard as its spec, and
//! an export with the dashboard under `dashboard`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cli::{Exit, Failure};

/// A larger file does not fit into a request.
const FILE_BYTES_MAX: u64 = 3 * 1024 * 1024;

/// More files than this are refused before the first is written.
const FILES_MAX: usize = 100_000;

/// Deeper directories are refused.
const DEPTH_MAX: usize = 32;

const NAME_BYTES_MAX: usize = 253;

/// A dashboard from a file.
#[derive(Debug, PartialEq)]
pub(super) struct Dashboard {
    /// The uid, else the name of the file made legal.
    pub(super) name: String,
    /// The version of the API the file was written for, when it says so.
    pub(super) version: Option<String>,
    pub(super) spec: Value,
}

/// Every `*.json` under `dir`, in order. Links are not followed.
pub(super) fn find(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    walk(dir, 0, &mut found)?;
    found.sort();
    if found.is_empty() {
        let message = format!("{}: there is no *.json file in it", dir.display());
        return Err(Failure::new(Exit::NotFound, message));
    }
    Ok(found)
}

fn walk(dir: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let wrong = |why: String| Failure::new(Exit::Failed, format!("{}: {why}", dir.display()));
    if depth > DEPTH_MAX {
        return Err(wrong(format!("more than {DEPTH_MAX} directories deep")));
    }
    for entry in fs::read_dir(dir).map_err(|why| wrong(why.to_string()))? {
        let entry = entry.map_err(|why| wrong(why.to_string()))?;
        let kind = entry.file_type().map_err(|why| wrong(why.to_string()))?;
        let path = entry.path();
        if kind.is_dir() {
            walk(&path, depth + 1, found)?;
        } else if kind.is_file() && path.extension().is_some_and(|end| end == "json") {
            found.push(path);
            if found.len() > FILES_MAX {
                return Err(wrong(format!("more than {FILES_MAX} files")));
            }
        }
    }
    Ok(())
}

/// Reads one file. The error says what is wrong with it.
pub(super) fn dashboard(path: &Path) -> Result<Dashboard, String> {
    let size = fs::metadata(path).map_err(|why| why.to_string())?.len();
    if size > FILE_BYTES_MAX {
        return Err(format!(
            "{size} bytes, and at most {FILE_BYTES_MAX} can be sent"
        ));
    }
    let bytes = fs::read(path).map_err(|why| why.to_string())?;
    let value = serde_json::from_slice(&bytes).map_err(|why| format!("not JSON: {why}"))?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    unwrap(value, &stem)
}

fn unwrap(mut value: Value, stem: &str) -> Result<Dashboard, String> {
    let text = |value: &Value, pointer: &str| {
        let text = value.pointer(pointer)?.as_str()?;
        (!text.is_empty()).then(|| text.to_owned())
    };
    let mut named = None;
    let mut version = None;
    let spec = if value.get("kind").is_some_and(|kind| kind == "Dashboard") {
        named = text(&value, "/metadata/name");
        let api_version = text(&value, "/apiVersion");
        version = api_version.and_then(|text| Some(text.rsplit_once('/')?.1.to_owned()));
        value
            .get_mut("spec")
            .map(Value::take)
            .ok_or("a Dashboard without spec")?
    } else if value.get("dashboard").is_some_and(Value::is_object) {
        value["dashboard"].take()
    } else {
        value
    };
    if !spec.is_object() {
        return Err("expected a JSON object with a dashboard in it".to_owned());
    }
    let name = named
        .or_else(|| text(&spec, "/uid"))
        .or_else(|| legal(stem));
    let name = name.ok_or("it has no uid, and its file name holds no letter or digit")?;
    Ok(Dashboard {
        name,
        version,
        spec,
    })
}

/// A file name made into the name of an object: letters, digits, `-`, `_` and `.` stay, every
/// run of anything else becomes one hyphen.
fn legal(stem: &str) -> Option<String> {
    let mut name = String::new();
    for c in stem.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '_' | '.') {
            name.push(c.to_ascii_lowercase());
        } else if !name.ends_with('-') {
            name.push('-');
        }
        if name.len() >= NAME_BYTES_MAX {
            break;
        }
    }
    let name = name.trim_matches(['-', '.', '_']);
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    //! Catches a dashboard that gets another's name, and a file that is passed over or followed
    //! out of the directory.
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn knows_three_shapes() {
        let read =
            |value| unwrap(value, "A file!").map(|d| (d.name, d.version, d.spec["title"].clone()));
        let plain = json!({"uid": "u1", "title": "t"});
        assert_eq!(read(plain.clone()), Ok(("u1".into(), None, json!("t"))));
        assert_eq!(
            read(json!({"title": "t", "uid": ""})),
            Ok(("a-file".into(), None, json!("t")))
        );
        assert_eq!(
            read(json!({"dashboard": plain, "meta": {}})),
            Ok(("u1".into(), None, json!("t")))
        );
        let whole = json!({"kind": "Dashboard", "apiVersion": "dashboard.grafana.app/v2",
            "metadata": {"name": "n"}, "spec": plain});
        assert_eq!(read(whole), Ok(("n".into(), Some("v2".into()), json!("t"))));
        for value in [
            json!([]),
            json!("x"),
            json!({"kind": "Dashboard"}),
            json!(null),
        ] {
            assert!(read(value.clone()).is_err(), "{value}");
        }
    }

    #[test]
    fn finds_json_files_and_no_links() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(find(dir.path()).unwrap_err().exit, Exit::NotFound);
        fs::create_dir(dir.path().join("deep")).unwrap();
        for name in ["b.json", "a.json", "c.yaml", "deep/d.json"] {
            fs::write(dir.path().join(name), "{}").unwrap();
        }
        std::os::unix::fs::symlink(dir.path(), dir.path().join("loop")).unwrap();
        let found = find(dir.path()).unwrap();
        let names: Vec<_> = found
            .iter()
            .map(|p| p.strip_prefix(dir.path()).unwrap())
            .collect();
        assert_eq!(names, ["a.json", "b.json", "deep/d.json"].map(Path::new));
        assert!(
            find(&dir.path().join("none"))
                .unwrap_err()
                .message
                .contains("none")
        );
    }

    proptest! {
        #[test]
        fn file_names_become_legal(stem: String) {
            if let Some(name) = legal(&stem) {
                prop_assert!(name.len() <= NAME_BYTES_MAX);
                prop_assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()
                    || b"-_.".contains(&b)));
                prop_assert_eq!(legal(&name), Some(name.clone()));
            } else {
                prop_assert!(!stem.bytes().any(|b| b.is_ascii_alphanumeric()));
            }
        }
    }
}
