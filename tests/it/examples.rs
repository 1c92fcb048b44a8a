//! Would catch an example that compiles and fails, or says what the library does not do.

#![allow(unreachable_pub, reason = "an example is a program of its own")]

#[path = "../../examples/embed.rs"]
mod embed;
#[path = "../../examples/search.rs"]
mod search;
#[path = "../../examples/time_travel.rs"]
mod time_travel;
#[path = "../../examples/watch.rs"]
mod watch;

#[test]
fn embed_runs() {
    embed::main().unwrap();
}

#[test]
fn search_runs() {
    search::main().unwrap();
}

#[test]
fn time_travel_runs() {
    time_travel::main().unwrap();
}

#[test]
fn watch_runs() {
    watch::main().unwrap();
}

/// They are read in one go: each stays short, and there is a test for each.
#[test]
fn they_are_short_and_all_here() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "rs") {
            let lines = std::fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines < 60, "{} has {lines} lines", path.display());
            names.push(path.file_stem().unwrap().to_string_lossy().into_owned());
        }
    }
    names.sort();
    assert_eq!(names, ["embed", "search", "time_travel", "watch"]);
}
