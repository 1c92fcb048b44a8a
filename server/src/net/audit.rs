//! The audit log: one line of JSON for every denial and every change.
//!
//! ```json
//! {"time":"2030-01-01T00:00:00.000001Z","id":"..","user":"ann","how":"token","from":"10.0.0.7:4711",
//!  "method":"PATCH","path":"/apis/..","code":200,"version":"12"}
//! ```
//!
//! `user` is left out for one who is not known; `by` names who spoke for the user; `version` is
//! there for a change, and nothing else of the change is: the log of the store has it. Headers,
//! queries and bodies are never written, so no secret can be, and JSON escapes whatever would end a
//! line. Of those who are not known, who cost nothing to be, a path is cut at
//! [`STRANGER_PATH_BYTES`], and after [`STRANGER_LINES`] in [`STRANGER_TIME`] one line says how many
//! were left out (`"left_out":N`): they cannot push out what the others did, whose lines are all
//! there. A file that grows over [`BYTES_MAX`] is set aside as `NAME.1`, which it replaces. What
//! cannot be written is told in the log of the server; requests go on.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{How, Identity};
use crate::limits;

const BYTES_MAX: u64 = limits::AUDIT_BYTES as u64;
/// How much of the path of a caller who is not known is written.
const STRANGER_PATH_BYTES: usize = 256;
/// The most lines about callers who are not known, in [`STRANGER_TIME`].
const STRANGER_LINES: u32 = 60;
const STRANGER_TIME: Duration = Duration::from_secs(60);

/// The version that an answer says it has written last, in its extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written(pub u64);

/// Where the lines go. Cheap to clone.
#[derive(Clone)]
pub struct Audit {
    log: Arc<Mutex<Log>>,
}

struct Log {
    sink: Sink,
    strangers: Strangers,
}

/// The lines about callers who are not known, of a while.
#[derive(Default)]
struct Strangers {
    ends: Option<Instant>,
    lines: u32,
    left_out: u64,
}

enum Sink {
    Errors,
    File {
        path: PathBuf,
        file: File,
        bytes: u64,
    },
}

/// A request and what came of it.
pub(super) struct Entry<'a> {
    pub(super) id: Option<Uuid>,
    pub(super) identity: Option<&'a Identity>,
    pub(super) from: Option<SocketAddr>,
    pub(super) method: &'a Method,
    pub(super) path: &'a str,
    pub(super) code: StatusCode,
    pub(super) written: Option<Written>,
}

impl Audit {
    /// Lines to the standard error.
    #[must_use]
    pub fn to_errors() -> Self {
        Self::to(Sink::Errors)
    }

    /// Lines to the end of a file, which is made, private to its owner.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn to_file(path: &Path) -> io::Result<Self> {
        Ok(Self::to(open(path)?))
    }

    fn to(sink: Sink) -> Self {
        let strangers = Strangers::default();
        let log = Arc::new(Mutex::new(Log { sink, strangers }));
        Self { log }
    }

    pub(super) fn note(&self, entry: &Entry<'_>) {
        self.note_at(entry, Instant::now());
    }

    fn note_at(&self, entry: &Entry<'_>, now: Instant) {
        let Some(line) = line(entry) else {
            return;
        };
        let is_stranger = entry.identity.is_none() && entry.written.is_none();
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(left_out) = log.strangers.turn(now) {
            log.tell(left_out);
        }
        if !is_stranger || log.strangers.enter(now) {
            log.put(line);
        }
    }
}

impl Log {
    fn put(&mut self, mut line: String) {
        line.push('\n');
        if let Err(error) = self.sink.write(line.as_bytes()) {
            tracing::error!(%error, "the audit log cannot be written");
        }
    }

    fn tell(&mut self, left_out: u64) {
        let time = jiff::Timestamp::now().to_string();
        self.put(json!({"time": time, "left_out": left_out}).to_string());
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if self.strangers.left_out > 0 {
            self.tell(self.strangers.left_out);
        }
    }
}

impl Strangers {
    /// Ends a while that is over; answers how many it left out, if any.
    fn turn(&mut self, now: Instant) -> Option<u64> {
        if self.ends.is_none_or(|ends| now < ends) {
            return None;
        }
        let left_out = std::mem::take(self).left_out;
        (left_out > 0).then_some(left_out)
    }

    /// Whether one more line is written.
    fn enter(&mut self, now: Instant) -> bool {
        self.ends.get_or_insert(now + STRANGER_TIME);
        let enters = self.lines < STRANGER_LINES;
        if enters {
            self.lines += 1;
        } else {
            self.left_out += 1;
        }
        enters
    }
}

impl Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let Sink::File { path, file, bytes } = self else {
            return io::stderr().lock().write_all(line);
        };
        if *bytes > 0 && *bytes + line.len() as u64 > BYTES_MAX {
            let mut aside = path.clone().into_os_string();
            aside.push(".1");
            std::fs::rename(&*path, aside)?;
            let path = path.clone();
            *self = open(&path)?;
            return self.write(line);
        }
        file.write_all(line)?;
        *bytes += line.len() as u64;
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<Sink> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    let bytes = file.metadata()?.len();
    let path = path.to_owned();
    Ok(Sink::File { path, file, bytes })
}

/// The line of a denial or a change; nothing for what is neither.
fn line(entry: &Entry<'_>) -> Option<String> {
    let is_denial = matches!(
        entry.code,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
    );
    if !is_denial && entry.written.is_none() {
        return None;
    }
    let mut line = Map::new();
    let mut put = |name: &str, value: Value| line.insert(name.to_owned(), value);
    put("time", json!(jiff::Timestamp::now().to_string()));
    if let Some(id) = entry.id {
        put("id", json!(id.to_string()));
    }
    if let Some(identity) = entry.identity {
        put("user", json!(identity.user));
        let how = match &identity.how {
            How::Certificate => "certificate",
            How::Token => "token",
            How::Password => "password",
            How::Impersonated { by } => {
                put("by", json!(by));
                "impersonated"
            }
        };
        put("how", json!(how));
    }
    if let Some(from) = entry.from {
        put("from", json!(from.to_string()));
    }
    put("method", json!(entry.method.as_str()));
    let is_cut = entry.identity.is_none() && entry.path.len() > STRANGER_PATH_BYTES;
    if is_cut {
        let start = start_of(entry.path, STRANGER_PATH_BYTES);
        // No path has this character: it is not ASCII.
        put("path", json!(format!("{start}…")));
    } else {
        put("path", json!(entry.path));
    }
    put("code", json!(entry.code.as_u16()));
    if let Some(Written(version)) = entry.written {
        put("version", json!(version.to_string()));
    }
    Some(Value::Object(line).to_string())
}

/// As much of `text` as fits.
fn start_of(text: &str, bytes_max: usize) -> &str {
    let ends = (0..=bytes_max.min(text.len())).rev();
    let end = ends.into_iter().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    //! Catches a name that makes a second line, a denial that leaves none, strangers who push out
    //! the lines of the others, and a log that fills the disk.
    use super::*;

    fn entry<'a>(identity: Option<&'a Identity>, path: &'a str, code: u16) -> Entry<'a> {
        Entry {
            id: None,
            identity,
            from: Some("10.0.0.7:4711".parse().unwrap()),
            method: &Method::PATCH,
            path,
            code: StatusCode::from_u16(code).unwrap(),
            written: None,
        }
    }

    #[test]
    fn whatever_is_in_a_name_the_entry_is_one_line() {
        for user in [
            "ann",
            "a\nb",
            "a\r\n{\"user\":\"root\"}",
            "a\"b\\",
            "\u{1b}[2J\0",
            "ä\u{85}",
        ] {
            let identity = Identity::of_token(user, &[]);
            let line = line(&entry(Some(&identity), "/apis/x%0Ay", 403)).unwrap();
            assert!(!line.chars().any(|c| c.is_ascii_control()), "{line}");
            let back: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(back["user"], user);
            assert_eq!(back["path"], "/apis/x%0Ay");
        }
    }

    #[test]
    fn denials_and_changes_are_noted_and_nothing_else() {
        for (code, written, noted) in [
            (200, None, false),
            (404, None, false),
            (401, None, true),
            (403, None, true),
            (429, None, true),
            (200, Some(Written(7)), true),
        ] {
            let entry = Entry {
                written,
                ..entry(None, "/x", code)
            };
            let line = line(&entry);
            assert_eq!(line.is_some(), noted, "{code}");
            let version = line.is_some_and(|line| line.contains(r#""version":"7""#));
            assert_eq!(version, written.is_some());
        }
    }

    #[test]
    fn a_file_has_a_largest_size_and_one_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let audit = Audit::to_file(&path).unwrap();
        let long = "x".repeat(4096);
        let ann = Identity::of_token("ann", &[]);
        let mut noted = 0;
        while !dir.path().join("audit.log.1").exists() {
            audit.note(&entry(Some(&ann), &long, 403));
            noted += 1;
            assert!(std::fs::metadata(&path).unwrap().len() <= BYTES_MAX);
        }
        assert!(noted > BYTES_MAX / 5000 && noted < BYTES_MAX / 4000);
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(&path).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn strangers_do_not_push_out_what_the_others_did() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let read = || -> Vec<Value> {
            let text = std::fs::read_to_string(&path).unwrap();
            let lines = text.lines().map(serde_json::from_str);
            lines.collect::<Result<_, _>>().unwrap()
        };
        let audit = Audit::to_file(&path).unwrap();
        let (ann, long) = (Identity::of_token("ann", &[]), "ä".repeat(4096));
        let start = Instant::now();
        let many = 20 * u64::from(STRANGER_LINES);
        for _ in 0..many {
            audit.note_at(&entry(None, &long, 401), start);
            audit.note_at(&entry(Some(&ann), &long, 403), start);
        }
        let lines = read();
        let (known, strangers): (Vec<_>, Vec<_>) =
            lines.iter().partition(|line| line["user"] == "ann");
        assert_eq!(known.len() as u64, many);
        assert!(known.iter().all(|line| line["path"] == long));
        assert_eq!(strangers.len(), STRANGER_LINES as usize);
        let is_short = |line: &&Value| {
            let path = line["path"].as_str().unwrap();
            path.len() <= STRANGER_PATH_BYTES + "…".len() && path.ends_with('…')
        };
        assert!(strangers.iter().all(is_short));

        // Whoever comes next, it is told how many there were; and then there is room again.
        audit.note_at(&entry(Some(&ann), "/x", 403), start + STRANGER_TIME);
        audit.note_at(&entry(None, "/x", 401), start + STRANGER_TIME);
        let after = read().split_off(lines.len());
        assert_eq!(after.len(), 3, "{after:?}");
        assert_eq!(after[0]["left_out"], many - u64::from(STRANGER_LINES));
        assert_eq!(after[2]["path"], "/x");

        // Nor is it forgotten at the end.
        for _ in 0..STRANGER_LINES {
            audit.note_at(&entry(None, "/x", 401), start + STRANGER_TIME);
        }
        drop(audit);
        assert_eq!(read().last().unwrap()["left_out"], 1);
    }
}
