//! Catches a command that writes what nobody asked for, loses what somebody wrote, or says that it
//! did what it did not: apply, edit, delete, trash, restore and watch against the real server.

use serde_json::Value;

use super::server::{Server, Shell};

const NAME: &str = "playlists.playlist.grafana.app/one";

fn playlist(name: &str, title: &str) -> String {
    format!(
        "apiVersion: playlist.grafana.app/v0alpha1\n\
         kind: Playlist\n\
         metadata:\n  name: {name}\n  labels:\n    team: a\n\
         spec:\n  title: {title}\n  interval: 5m\n"
    )
}

async fn get(shell: &Shell, name: &str) -> Value {
    let text = shell
        .ok(&format!("annals get playlist {name} -o json"))
        .await;
    serde_json::from_str(&text).unwrap()
}

async fn version(shell: &Shell, name: &str) -> String {
    let object = get(shell, name).await;
    object["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// A shell with the playlist `one`, applied.
async fn stage(server: &Server) -> Shell {
    let shell = server.shell();
    shell.file("one.yaml", &playlist("one", "One"));
    let said = shell.ok("annals apply -f one.yaml").await;
    assert_eq!(said, format!("{NAME} created\n"));
    shell
}

#[tokio::test]
async fn apply_creates_keeps_and_configures() {
    let server = Server::start().await;
    let shell = stage(&server).await;
    let first = version(&shell, "one").await;
    let said = shell.ok("annals apply -f - < one.yaml").await;
    assert_eq!(said, format!("{NAME} unchanged\n"));
    assert_eq!(version(&shell, "one").await, first);

    // What others wrote stays, what the file no longer says goes, and a dry run writes nothing.
    let other = get(&shell, "one").await;
    let mut other = other.clone();
    other["metadata"]["labels"]["theirs"] = "x".into();
    shell.file("other.yaml", &other.to_string());
    shell
        .ok("EDITOR='cp other.yaml' annals edit playlist one")
        .await;
    let changed = playlist("one", "Two").replace("team: a", "squad: a");
    shell.file("one.yaml", &changed);
    let dry = shell.ok("annals apply -f one.yaml --dry-run").await;
    assert_eq!(dry, format!("{NAME} configured (dry run)\n"));
    assert_eq!(get(&shell, "one").await["spec"]["title"], "One");
    let said = shell.ok("annals apply -f one.yaml").await;
    assert_eq!(said, format!("{NAME} configured\n"));
    let now = get(&shell, "one").await;
    assert_eq!(now["spec"]["title"], "Two");
    let labels = now["metadata"]["labels"].to_string();
    assert!(!labels.contains("team"), "{labels}");
    assert!(
        labels.contains("theirs") && labels.contains("squad"),
        "{labels}"
    );

    // kubectl finds its own record, and has nothing to do.
    if let Some(shell) = server.kubectl() {
        shell.file("one.yaml", &changed);
        let said = shell.ok("kubectl apply -f one.yaml").await;
        assert!(said.ends_with("unchanged\n"), "{said}");
    }
}

#[tokio::test]
async fn apply_reads_all_before_it_writes_any() {
    let server = Server::start().await;
    let shell = server.shell();
    let (one, two) = (playlist("one", "One"), playlist("two", "Two"));
    shell.file(
        "both.yaml",
        &format!("{one}---\n{two}---\nkind: Playlist\n"),
    );
    let told = shell.fails("annals apply -f both.yaml").await;
    assert!(
        told.contains("both.yaml, object 3: apiVersion: expected"),
        "{told}"
    );
    assert_eq!(shell.ok("annals get playlists -o name").await, "");

    // A bad object does not keep the good ones out, and is told by its place.
    let bad = one.replace("interval", "intervall");
    shell.file("both.yaml", &format!("{bad}---\n{two}"));
    let run = shell.run("annals apply -f both.yaml -o name").await;
    assert_eq!(
        (run.code, run.out.as_str()),
        (1, "playlists.playlist.grafana.app/two\n")
    );
    assert!(run.err.contains("both.yaml, object 1: "), "{}", run.err);
    assert!(run.err.contains("intervall"), "{}", run.err);

    let told = shell.fails("annals apply -f nowhere.yaml").await;
    assert!(told.contains("nowhere.yaml: No such file"), "{told}");
    shell.file(
        "far.yaml",
        &two.replace("metadata:\n", "metadata:\n  namespace: b\n"),
    );
    let run = shell.run("annals apply -f far.yaml -n a").await;
    assert_eq!(run.code, 2, "{run:?}");
    assert!(
        run.err
            .contains("metadata.namespace: \"b\": expected \"a\""),
        "{}",
        run.err
    );
    shell.file(
        "kind.yaml",
        &two.replace("kind: Playlist", "kind: Playlists"),
    );
    let run = shell.run("annals apply -f kind.yaml").await;
    assert_eq!(run.code, 3, "{run:?}");
    assert!(
        run.err
            .contains("no kind Playlists in playlist.grafana.app"),
        "{}",
        run.err
    );
}

#[tokio::test]
async fn edit_writes_what_was_changed_and_nothing_else() {
    let server = Server::start().await;
    let shell = stage(&server).await;
    let first = version(&shell, "one").await;
    let run = shell.run("EDITOR=true annals edit playlist one").await;
    assert_eq!((run.code, run.out.as_str()), (0, ""), "{run:?}");
    assert!(
        run.err.contains("unchanged: nothing is written"),
        "{}",
        run.err
    );
    assert_eq!(version(&shell, "one").await, first);

    let line = "EDITOR='sed -i s/One/Two/' annals edit playlist one";
    assert_eq!(shell.ok(line).await, format!("{NAME} edited\n"));
    assert_eq!(get(&shell, "one").await["spec"]["title"], "Two");
    // No draft is left where temporary files are.
    assert_eq!(shell.ok("ls | grep annals-edit || true").await, "");
    let run = shell.run("EDITOR=false annals edit playlist one").await;
    assert_eq!(run.code, 1, "{run:?}");
    assert!(
        run.err.contains("the editor \"false\" failed"),
        "{}",
        run.err
    );
    assert!(run.err.contains("your text is in"), "{}", run.err);
}

#[tokio::test]
async fn edit_hands_a_bad_text_back_with_the_error_on_top() {
    let server = Server::start().await;
    let shell = stage(&server).await;
    // The first time it breaks the YAML, then the schema, then it mends both; each time it keeps
    // what it was shown.
    let editor = "#!/bin/sh\n\
        n=$(ls seen.* 2>/dev/null | wc -l)\n\
        cp \"$1\" seen.$n\n\
        case $n in\n\
        0) sed -i 's/^spec:/spec: : :/' \"$1\" ;;\n\
        1) sed -i 's/^spec: : :/spec:/; s/interval: 5m/intervall: 5m/' \"$1\" ;;\n\
        *) sed -i 's/intervall: 5m/interval: 9m/' \"$1\" ;;\n\
        esac\n";
    shell.file("editor", editor);
    let said = shell
        .ok("EDITOR='sh ./editor' annals edit playlist one")
        .await;
    assert_eq!(said, format!("{NAME} edited\n"));
    assert_eq!(get(&shell, "one").await["spec"]["interval"], "9m");
    let seen = shell.ok("cat seen.1").await;
    assert!(seen.starts_with("# error:\n# not YAML: "), "{seen}");
    assert!(
        seen.contains("spec: : :"),
        "the text is the caller's: {seen}"
    );
    let seen = shell.ok("cat seen.2").await;
    assert!(
        seen.starts_with("# error:\n") && seen.contains("intervall"),
        "{seen}"
    );

    // Who gives up gets no write, and his text back.
    let editor = "grep -q 'spec: : :' \"$1\" || sed -i 's/^spec:/spec: : :/' \"$1\"\n";
    shell.file("editor", editor);
    let first = version(&shell, "one").await;
    let run = shell
        .run("EDITOR='sh ./editor' annals edit playlist one")
        .await;
    assert_eq!(run.code, 1, "{run:?}");
    assert!(
        run.err.contains("nothing is written; your text is in"),
        "{}",
        run.err
    );
    assert_eq!(version(&shell, "one").await, first);
}

#[tokio::test]
async fn edit_does_not_overwrite_what_came_meanwhile() {
    let server = Server::start().await;
    let shell = stage(&server).await;
    shell.file("two.yaml", &playlist("one", "Two"));
    let editor = "annals apply -f two.yaml >/dev/null; sed -i 's/5m/9m/' \"$1\"\n";
    shell.file("editor", editor);
    let run = shell
        .run("EDITOR='sh ./editor' annals edit playlist one")
        .await;
    assert_eq!(run.code, 4, "{run:?}");
    let now = get(&shell, "one").await;
    assert_eq!(
        (&now["spec"]["title"], &now["spec"]["interval"]),
        (&"Two".into(), &"5m".into())
    );
}

#[tokio::test]
async fn what_is_deleted_comes_back() {
    let server = Server::start().await;
    let shell = stage(&server).await;
    let first = version(&shell, "one").await;
    shell.file("one.yaml", &playlist("one", "Two"));
    shell.ok("annals apply -f one.yaml").await;

    let run = shell.run("annals restore playlist one").await;
    assert_eq!(run.code, 2, "{run:?}");
    assert!(
        run.err.contains("is live: say with --version"),
        "{}",
        run.err
    );
    let said = shell
        .ok(&format!("annals restore playlist one --version {first}"))
        .await;
    assert_eq!(said, format!("{NAME} restored to version {first}\n"));
    assert_eq!(get(&shell, "one").await["spec"]["title"], "One");
    let said = shell
        .ok(&format!("annals restore playlist one --version {first}"))
        .await;
    assert!(said.contains("unchanged"), "{said}");

    let uid = get(&shell, "one").await["metadata"]["uid"].clone();
    let dry = shell.ok("annals delete playlist one --dry-run").await;
    assert_eq!(dry, format!("{NAME} deleted (dry run)\n"));
    assert_eq!(
        shell.ok("annals delete playlist one").await,
        format!("{NAME} deleted\n")
    );
    let run = shell.run("annals delete playlist one none").await;
    assert_eq!((run.code, run.out.as_str()), (3, ""), "{run:?}");
    assert_eq!(run.err.lines().count(), 2, "{}", run.err);

    let said = shell.ok("annals restore playlist one -o json").await;
    let back: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&back["spec"]["title"], &back["metadata"]["labels"]["team"]),
        (&"One".into(), &"a".into())
    );
    assert_ne!(back["metadata"]["uid"], uid, "a new life");
    let run = shell.run("annals restore playlist nothing").await;
    assert_eq!(run.code, 3, "{run:?}");
    let run = shell.run("annals restore playlist one --version 1").await;
    assert_eq!(run.code, 3, "{run:?}");
}

#[tokio::test]
async fn the_trash_of_a_directory_shows_the_latest_deletion_first() {
    let mut server = Server::start().await;
    let shell = stage(&server).await;
    for name in ["two", "three"] {
        shell.file("more.yaml", &playlist(name, name));
        shell.ok("annals apply -f more.yaml").await;
    }
    shell.ok("annals delete playlist one").await;
    shell.ok("annals delete playlist three").await;
    assert!(server.stop().await.success());
    let data = server.data().display().to_string();
    let names = shell
        .ok(&format!("annals trash playlists -o name --data-dir {data}"))
        .await;
    assert_eq!(
        names,
        format!("playlists.playlist.grafana.app/three\n{NAME}\n")
    );
    let table = shell
        .ok(&format!("annals trash pl -A --data-dir {data}"))
        .await;
    let lines: Vec<&str> = table.lines().collect();
    assert!(
        lines[0].starts_with("NAMESPACE   NAME    DELETED AT"),
        "{table}"
    );
    assert!(lines[1].starts_with("default     three   2"), "{table}");
    let cut = shell
        .run(&format!("annals trash pl --limit 1 --data-dir {data}"))
        .await;
    assert_eq!(cut.out.lines().count(), 2, "{cut:?}");
    assert!(cut.err.contains("there is more"), "{cut:?}");

    // The whole road works without a server.
    shell
        .ok(&format!("annals restore playlist three --data-dir {data}"))
        .await;
    let names = shell
        .ok(&format!("annals trash playlists -o name --data-dir {data}"))
        .await;
    assert_eq!(names, format!("{NAME}\n"));
    let empty = shell
        .run(&format!("annals trash dashboards --data-dir {data}"))
        .await;
    assert_eq!((empty.code, empty.out.as_str()), (0, ""));
    assert!(empty.err.contains("Nothing in the trash"), "{empty:?}");
}

#[tokio::test]
async fn watch_tells_the_objects_of_now_and_what_changes() {
    let server = Server::start().await;
    let shell = stage(&server).await;
    let first = version(&shell, "one").await;
    let mut watch = shell.follow("annals watch playlists");
    assert_eq!(watch.line().await, "EVENT      VERSION      NAME");
    assert_eq!(watch.line().await, format!("ADDED      {first:10}   one"));
    let mut names = shell.follow("annals watch playlist two -o name");
    shell.file("two.yaml", &playlist("two", "Two"));
    shell.ok("annals apply -f two.yaml").await;
    let second = version(&shell, "two").await;
    assert_eq!(watch.line().await, format!("ADDED      {second:10}   two"));
    assert_eq!(names.line().await, "playlists.playlist.grafana.app/two");
    shell.ok("annals delete playlist one").await;
    let line = watch.line().await;
    assert!(
        line.starts_with("DELETED    ") && line.ends_with("   one"),
        "{line}"
    );

    let since = format!("annals watch playlists --since {first} --count 2 -o json");
    let events = shell.ok(&since).await;
    let types: Vec<Value> = events
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].clone())
        .collect();
    assert_eq!(types, ["ADDED", "DELETED"]);
    let told = shell.fails("annals watch playlists --since 1000000").await;
    assert!(told.contains("1000000"), "{told}");
    let run = shell.run("annals watch playlists --data-dir x").await;
    assert_eq!(run.code, 2, "{run:?}");
}

#[tokio::test]
async fn a_watch_ends_when_nobody_reads_it() {
    let server = Server::start().await;
    let shell = stage(&server).await;
    let watching = shell.run("annals watch playlists | head -n 1");
    let writing = async {
        for number in 0.. {
            let text = playlist("two", &format!("T {number}"));
            shell.file("two.yaml", &text);
            shell.ok("annals apply -f two.yaml").await;
        }
    };
    tokio::select! {
        run = watching => assert_eq!(run.out, "EVENT      VERSION      NAME\n"),
        () = writing => {}
    }
}

#[tokio::test]
async fn the_tour_of_the_readme_goes_as_written() {
    let server = Server::start().await;
    let shell = server.shell();
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    for file in ["playlist.yaml", "folder-boats.yaml"] {
        shell
            .ok(&format!("annals apply -f {examples}/{file}"))
            .await;
    }
    shell.ok("annals delete playlist harbour").await;
    let said = shell.ok("annals restore playlist harbour").await;
    assert!(said.contains("harbour restored to version"), "{said}");
    let said = shell
        .ok("EDITOR='sed -i s/5m/6m/' annals edit playlist harbour")
        .await;
    assert!(said.ends_with("harbour edited\n"), "{said}");
    shell.ok("annals history playlist harbour").await;
}
