//! Catches watchers that do not agree with the history: each of many, under random writes from
//! several sides, sees exactly what its selection makes of the one order of versions.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Stream, create, delete, patch, send, version};
use crate::server::Server;

const TEAMS: [&str; 2] = ["x", "y"];

/// A small generator of numbers, the same at each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % sides
    }
}

/// Writes at random to the objects of one writer.
async fn write(server: &Server, writer: u64) {
    let mut dice = Dice(writer + 1);
    let mut live = BTreeMap::new();
    for step in 0..40 {
        let name = format!("w{writer}-{}", dice.roll(4));
        let team = TEAMS[usize::from(dice.roll(2) == 1)];
        match (live.contains_key(&name), dice.roll(4)) {
            (false, _) => {
                create(server, &name, &format!("{step}"), team).await;
                live.insert(name, ());
            }
            (true, 0) => {
                delete(server, &name).await;
                live.remove(&name);
            }
            (true, 1) => {
                let label = json!({"metadata": {"labels": {"team": team}}});
                patch(server, &name, label).await;
            }
            (true, _) => {
                patch(server, &name, json!({"spec": {"title": format!("{step}")}})).await;
            }
        }
    }
}

/// What a watch of one team must see of the whole history.
fn select(history: &[Value], team: &str) -> Vec<Value> {
    let mut inside: BTreeMap<String, Value> = BTreeMap::new();
    let mut events = Vec::new();
    for event in history {
        let object = &event["object"];
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let is_in = event["type"] != "DELETED" && object["metadata"]["labels"]["team"] == team;
        let before = inside.remove(&name);
        if is_in {
            inside.insert(name, object.clone());
        }
        let kind = match (&before, is_in) {
            (None, true) => "ADDED",
            (Some(_), true) => "MODIFIED",
            (Some(_), false) => "DELETED",
            (None, false) => continue,
        };
        let mut shown = match is_in {
            true => object.clone(),
            false => before.unwrap_or_default(),
        };
        shown["metadata"]["resourceVersion"] = object["metadata"]["resourceVersion"].clone();
        events.push(json!({"type": kind, "object": shown}));
    }
    events
}

/// Reads until the object `end` is seen.
async fn read(watch: &mut Stream) -> Vec<Value> {
    let mut events = Vec::new();
    loop {
        let event = watch.next().await.expect("the end is seen");
        let is_end = event["object"]["metadata"]["name"] == "end";
        events.push(event);
        if is_end {
            return events;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_watcher_agrees_with_the_history() {
    let server = Server::start().await;
    let mut all = Stream::open(&server, "resourceVersion=1").await;
    let mut teams = Vec::new();
    for team in TEAMS {
        let query = format!("resourceVersion=1&labelSelector=team%3D{team}");
        teams.push(Stream::open(&server, &query).await);
    }
    tokio::join!(write(&server, 0), write(&server, 1), write(&server, 2));
    // One for each team, so that every watch has an end to wait for.
    let both = json!({"metadata": {"labels": {"team": "y"}}});
    create(&server, "end", "end", "x").await;
    let history = read(&mut all).await;
    let versions: Vec<u64> = history
        .iter()
        .map(|event| version(&event["object"]))
        .collect();
    let consecutive: Vec<u64> = (2..2 + versions.len() as u64).collect();
    assert_eq!(versions, consecutive);
    assert_eq!(read(&mut teams[0]).await, select(&history, "x"));
    send(&server, "PATCH", "end", &both).await;
    assert_eq!(
        read(&mut teams[1]).await.len(),
        select(&history, "y").len() + 1
    );

    // Each later start sees the rest of the same history.
    for at in (0..history.len()).step_by(17) {
        let from = format!("resourceVersion={}", versions[at] - 1);
        let late = read(&mut Stream::open(&server, &from).await).await;
        assert_eq!(late, history[at..], "{from}");
    }
    let from = format!("resourceVersion={}&labelSelector=team%3Dx", 1);
    let late = read(&mut Stream::open(&server, &from).await).await;
    assert_eq!(late, select(&history, "x"));
}
