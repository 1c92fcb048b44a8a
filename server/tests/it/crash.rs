//! Catches a write that was acknowledged and is gone after the server was killed, a half of one,
//! a gap in the history, and a search that does not find what is there.

use std::collections::BTreeMap;

use annals_server::client::Path;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, PostParams};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::kube_rs::{playlist, playlists, title, version};
use super::server::{Server, until};
use super::site::PATIENCE;

const ROUNDS: u64 = 50;
const WRITERS: u64 = 4;
/// How many writes of a round are acknowledged before the server is killed.
const WRITES: u64 = 40;

/// An object as it was last seen: version and title; nothing if it is deleted.
type State = Option<(u64, String)>;

/// What one writer knows of its objects.
#[derive(Default)]
struct Diary {
    writer: u64,
    known: BTreeMap<String, State>,
    /// The write that got no answer: it may or may not have happened. The title it gives.
    open: Option<(String, Option<String>)>,
}

/// Creates, updates and deletes a few objects in turn until the server does not answer.
async fn write(
    api: Api<DynamicObject>,
    mut diary: Diary,
    round: u64,
    told: mpsc::UnboundedSender<()>,
) -> Diary {
    let writer = diary.writer;
    for step in 0.. {
        let name = format!("w{writer}-{}", (step * 7 + round) % 11);
        let text = format!("round {round} step {step} of {writer}");
        let object = playlist(&name, &text);
        let before = diary.known.get(&name).cloned().flatten();
        let (wanted, done) = match before {
            None => {
                let made = api.create(&PostParams::default(), &object).await;
                (Some(text), made.map(|object| Some(version(&object))))
            }
            Some(_) if step % 5 == 4 => {
                let gone = api.delete(&name, &DeleteParams::default()).await;
                (None, gone.map(|_| None))
            }
            Some((version_before, _)) => {
                let mut object = object;
                object.metadata.resource_version = Some(version_before.to_string());
                let put = api.replace(&name, &PostParams::default(), &object).await;
                (Some(text), put.map(|object| Some(version(&object))))
            }
        };
        match done {
            Ok(version) => {
                diary.known.insert(name, version.zip(wanted));
                let _ = told.send(());
            }
            Err(kube::Error::Api(status)) => panic!("{name}: {status:?}"),
            Err(_) => {
                diary.open = Some((name, wanted));
                return diary;
            }
        }
    }
    diary
}

/// The history of the playlists, as a watch tells it.
#[derive(Default)]
struct Log {
    version: u64,
    live: BTreeMap<String, State>,
}

impl Log {
    /// Reads on to `head`: every version is there, once.
    async fn read(&mut self, server: &Server, head: u64) {
        let path = Path::new("/apis/playlist.grafana.app/v0alpha1/namespaces/default/playlists")
            .query("watch", "true")
            .query("resourceVersion", &self.version.to_string());
        let mut lines = server.client().lines(&path).await.unwrap();
        while self.version < head {
            let event = timeout(PATIENCE, lines.next())
                .await
                .expect("the next event");
            let event: Value = event.unwrap().expect("an event before the end");
            let object: DynamicObject = serde_json::from_value(event["object"].clone()).unwrap();
            assert_eq!(version(&object), self.version + 1, "{event}");
            self.version += 1;
            let state = (self.version, title(&object).to_owned());
            let before = self.live.get(&object.name_any()).cloned().flatten();
            let (is_new, state) = match event["type"].as_str().unwrap() {
                "ADDED" => (true, Some(state)),
                "MODIFIED" => (false, Some(state)),
                "DELETED" => (false, None),
                other => panic!("{other}"),
            };
            assert_eq!(is_new, before.is_none(), "{event}");
            self.live.insert(object.name_any(), state);
        }
    }
}

/// Compares what a writer knows with what is there, and settles the write without an answer.
fn settle(diary: &mut Diary, log: &Log) {
    if let Some((name, wanted)) = diary.open.take() {
        let known = diary.known.get(&name).cloned().flatten();
        let there = log.live.get(&name).cloned().flatten();
        if there != known {
            let text = there.as_ref().map(|(_, title)| title);
            assert_eq!(text, wanted.as_ref(), "{name} was {known:?}");
            let is_later = |(version, _): &(u64, String)| {
                known.as_ref().is_none_or(|(before, _)| version > before)
            };
            assert!(there.as_ref().is_none_or(is_later), "{name}");
            diary.known.insert(name, there);
        }
    }
    for (name, state) in &diary.known {
        let there = log.live.get(name).cloned().flatten();
        assert_eq!(there, *state, "{name}");
    }
}

/// Every live object is found by search, at the version of the list.
async fn check_search(server: &Server, expected: &BTreeMap<String, (u64, String)>, head: u64) {
    let path = Path::new("/apis/search.annals.dev/v1/namespaces/default/search")
        .query("type", "playlist")
        .query("limit", "1000")
        .query("minVersion", &head.to_string());
    let client = server.client();
    let answer = until("the index is ready", async || client.get(&path).await.ok()).await;
    let hits = answer["hits"].as_array().unwrap().iter().map(|hit| {
        let text = |field: &str| hit[field].as_str().unwrap().to_owned();
        let version: u64 = text("resourceVersion").parse().unwrap();
        (text("name"), (version, text("title")))
    });
    assert_eq!(hits.collect::<BTreeMap<_, _>>(), *expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_fifty_kills() {
    let mut server = Server::start().await;
    let mut diaries: Vec<Diary> = (0..WRITERS)
        .map(|writer| Diary {
            writer,
            ..Diary::default()
        })
        .collect();
    // Version 1 is the namespace.
    let mut log = Log {
        version: 1,
        ..Log::default()
    };
    for round in 0..ROUNDS {
        let (sender, mut acknowledged) = mpsc::unbounded_channel();
        let mut writers = JoinSet::new();
        for diary in std::mem::take(&mut diaries) {
            let api = playlists(server.kube().await);
            writers.spawn(write(api, diary, round, sender.clone()));
        }
        for _ in 0..WRITES + round {
            let told = timeout(PATIENCE, acknowledged.recv()).await;
            told.expect("a write").expect("a writer");
        }
        server.kill().await;
        diaries = writers.join_all().await;
        server.start_again().await;

        let api = playlists(server.kube().await);
        let list = api.list(&ListParams::default()).await.unwrap();
        let head = list
            .metadata
            .resource_version
            .clone()
            .unwrap()
            .parse()
            .unwrap();
        assert!(
            head >= log.version + WRITES + round,
            "round {round}: {head}"
        );
        log.read(&server, head).await;
        for diary in &mut diaries {
            settle(diary, &log);
        }
        let listed = list.iter().map(|object| {
            (
                object.name_any(),
                (version(object), title(object).to_owned()),
            )
        });
        let listed: BTreeMap<_, _> = listed.collect();
        let live = log.live.iter();
        let live = live.filter_map(|(name, state)| Some((name.clone(), state.clone()?)));
        assert_eq!(listed, live.collect(), "round {round}");
        check_search(&server, &listed, head).await;
    }
    assert!(log.version > ROUNDS * WRITES);
}
