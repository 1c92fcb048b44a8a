//! Would catch a house out of order: a file too long to read, a layer that reaches upwards, a heavy
//! dependency named outside its one place, a switched-off test, a file that does not say what it
//! is for.
//!
//! The rules are about code: what a comment names is not looked at.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

/// No file is longer.
const LINES_MAX: usize = 1_000;

/// A source file: its path from the root of the workspace, and its text.
struct Source {
    path: String,
    text: String,
}

/// Crates, and the folders or files in which alone they may be named.
const HOMES: [(&[&str], &[&str]); 3] = [
    (&["redb"], &["src/disk/", "benches/"]),
    (&["tantivy"], &["index/", "benches/"]),
    (
        &[
            "axum",
            "hyper",
            "hyper_util",
            "rustls",
            "tokio",
            "tokio_rustls",
            "tonic",
        ],
        // One bench asks the server in its own process.
        &["server/", "benches/rivals/", "benches/benches/access.rs"],
    ),
];

/// What the root of the library lends from `store` and what stands above it, and from `feed`.
const OF_STORE: [&str; 10] = [
    "store", "Store", "Snapshot", "List", "Page", "Stats", "Write", "backup", "kind", "Objects",
];
const OF_FEED: [&str; 2] = ["feed", "Watch"];

impl Source {
    fn is_in(&self, folder: &str) -> bool {
        self.path.starts_with(folder)
    }

    /// The lines without comments that fill a line of their own.
    fn code(&self) -> impl Iterator<Item = &str> {
        let lines = self.text.lines();
        lines.filter(|line| !line.trim_start().starts_with("//"))
    }

    /// Whether the code has a path that begins with this crate, or takes the crate as a whole.
    fn names(&self, name: &str) -> bool {
        self.code().any(|line| {
            let brings = line.trim().strip_prefix("use ").unwrap_or_default();
            brings == format!("{name};")
                || brings.starts_with(&format!("{name} as "))
                || begins_path(line, name)
        })
    }

    /// The first names behind `crate::` in the code, those of a bracketed list included.
    fn uses_of_root(&self) -> Vec<String> {
        let code = self.code().collect::<Vec<_>>().join("\n");
        let mut names = Vec::new();
        for (at, found) in code.match_indices("crate::") {
            let rest = &code[at + found.len()..];
            match rest.strip_prefix('{') {
                Some(list) => names.extend(heads_of_list(list)),
                None => names.push(word(rest).to_owned()),
            }
        }
        names
    }

    /// The lines of the page at the top.
    fn page(&self) -> String {
        let lines = self.text.lines().map_while(|line| line.strip_prefix("//!"));
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// The identifier that this text begins with.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| c != '_' && !c.is_alphanumeric());
    &text[..end.unwrap_or(text.len())]
}

/// The first name of each entry of a list, up to its closing bracket.
fn heads_of_list(list: &str) -> Vec<String> {
    let (mut depth, mut names, mut fresh) = (0, Vec::new(), true);
    for (at, char) in list.char_indices() {
        match char {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            _ if fresh && depth == 0 && !char.is_whitespace() => {
                names.push(word(&list[at..]).to_owned());
                fresh = false;
            }
            _ => {}
        }
    }
    names
}

/// Whether a path in this line begins with this name.
fn begins_path(line: &str, name: &str) -> bool {
    line.match_indices(&format!("{name}::")).any(|(at, _)| {
        let before = &line[..at];
        !before.ends_with(|c: char| c == '_' || c == '"' || c.is_alphanumeric())
            && (!before.ends_with("::") || before.ends_with(" ::"))
    })
}

fn check_length(source: &Source) -> Option<String> {
    let lines = source.text.lines().count();
    (lines > LINES_MAX).then(|| format!("has {lines} lines, more than {LINES_MAX}"))
}

fn check_homes(source: &Source) -> Option<String> {
    HOMES.iter().find_map(|(crates, homes)| {
        if homes.iter().any(|home| source.is_in(home)) {
            return None;
        }
        let named = crates.iter().find(|name| source.names(name))?;
        Some(format!("names {named}, which belongs to {homes:?}"))
    })
}

fn check_locks(source: &Source) -> Option<String> {
    if !source.is_in("src/") || source.path == "src/sync.rs" {
        return None;
    }
    let named = ["crossbeam", "parking_lot"]
        .into_iter()
        .find(|name| source.names(name))?;
    Some(format!("names {named}, which belongs to src/sync.rs"))
}

/// `kind` above `store` above `feed` above `disk` above `model`; and the index knows nobody.
fn check_direction(source: &Source) -> Option<String> {
    if source.is_in("index/") {
        let upwards = source.names("annals");
        return upwards.then(|| "names annals: the index knows nothing of the store".to_owned());
    }
    let uses = source.uses_of_root();
    let wrong = |name: &&String| {
        let name = name.as_str();
        if source.is_in("src/model/") {
            !["Error", "model"].contains(&name)
        } else if source.is_in("src/disk/") {
            OF_STORE.contains(&name) || OF_FEED.contains(&name)
        } else if source.is_in("src/feed/") {
            OF_STORE.contains(&name)
        } else {
            false
        }
    };
    let name = uses.iter().find(wrong)?;
    Some(format!("reaches upwards, to crate::{name}"))
}

fn check_page(source: &Source) -> Option<String> {
    let missing = !source.text.starts_with("//!");
    missing.then(|| "does not begin with a page: //!".to_owned())
}

/// A test says which bug it would catch, a part of the tests what would be missed without it.
fn check_sentence(source: &Source) -> Option<String> {
    let page = source.page();
    let first = page.split("\n\n").next().unwrap_or_default();
    let says = ["would catch", "without"]
        .iter()
        .any(|said| first.replace('\n', "").to_lowercase().contains(said));
    (source.is_in("tests/") && !says).then(|| "does not say which bug it would catch".to_owned())
}

fn check_words(source: &Source) -> Option<String> {
    // In two parts, so that this file does not break the rule.
    let banned = [
        ["#[ign", "ore"],
        ["to", "do!("],
        ["unimple", "mented!("],
        ["db", "g!("],
    ];
    let banned = banned.map(|parts| parts.concat());
    let found = source
        .code()
        .find_map(|line| banned.iter().find(|word| line.contains(*word)))?;
    Some(format!("holds {found}"))
}

/// What is wrong with this file.
fn judge(source: &Source) -> Vec<String> {
    let rules = [
        check_length,
        check_homes,
        check_locks,
        check_direction,
        check_page,
        check_sentence,
        check_words,
    ];
    rules
        .iter()
        .filter_map(|rule| rule(source))
        .map(|problem| format!("{}: {problem}", source.path))
        .collect()
}

/// Collects the sources below a folder.
fn walk(root: &Path, folder: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                walk(root, &path, sources);
            }
        } else if name.ends_with(".rs") {
            sources.push(Source {
                path: path.strip_prefix(root).unwrap().display().to_string(),
                text: fs::read_to_string(&path).unwrap(),
            });
        }
    }
}

#[test]
fn the_house_is_in_order() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    walk(root, root, &mut sources);
    assert!(
        sources.len() > 30,
        "only {} files were found",
        sources.len()
    );
    let wrong: Vec<String> = sources.iter().flat_map(judge).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Each rule finds the violation planted here, and nothing in its sound neighbour. The texts say
/// `@` for `::`, so that this file does not break the rules itself.
#[test]
fn every_rule_bites() {
    let planted = [
        ("src/store/a.rs", "use redb@Database;"),
        ("src/store/a.rs", "let x: @redb@Database;"),
        ("benches/a.rs", "use axum;"),
        ("src/a.rs", "fn a() { tantivy@run() }"),
        ("src/a.rs", "use tokio as t;"),
        ("src/a.rs", "use parking_lot@Mutex;"),
        ("index/src/a.rs", "use annals@Key;"),
        ("src/model/a.rs", "use crate@disk@Disk;"),
        ("src/model/a.rs", "use crate@{Error, Options};"),
        (
            "src/disk/a.rs",
            "use crate@{\n    Error,\n    store@{Write, Page},\n};",
        ),
        ("src/disk/a.rs", "crate@feed@Hub@new()"),
        ("src/feed/a.rs", "use crate@Store;"),
        ("server/src/a.rs", concat!("to", "do!()")),
        ("tests/a.rs", concat!("#[ign", "ore]")),
    ];
    let sound = [
        (
            "src/disk/a.rs",
            "use redb@Database; use crate@{Error, model@Key};",
        ),
        (
            "src/store/a.rs",
            "// redb@Database\nlet x = \"redb@\"; use my_redb@x;",
        ),
        ("src/feed/a.rs", "use crate@disk@Disk; use crate@Watch;"),
        (
            "index/src/a.rs",
            "use parking_lot@Mutex; use annals_index@Query; use tantivy@x;",
        ),
        ("src/sync.rs", "pub(crate) use crossbeam@channel;"),
        ("server/src/a.rs", "use axum@Router; use annals@Store;"),
        ("src/model/a.rs", "use super@Key; use crate@Error;"),
    ];
    let page = "//! Would catch nothing.\n";
    let count = |(path, text): (&str, &str), page: &str| {
        let (path, text) = (
            path.to_owned(),
            format!("{page}{}\n", text.replace('@', "::")),
        );
        judge(&Source { path, text }).len()
    };
    for case in planted {
        assert_eq!(count(case, page), 1, "{case:?}");
    }
    for case in sound {
        assert_eq!(count(case, page), 0, "{case:?}");
    }
    let long = "\n".repeat(LINES_MAX);
    assert_eq!(count(("src/a.rs", &long), page), 1);
    assert_eq!(count(("src/a.rs", "use std::fs;"), ""), 1);
    assert_eq!(
        count(
            ("tests/a.rs", ""),
            "//! A test.\n//!\n//! Would catch much.\n"
        ),
        1
    );
}
