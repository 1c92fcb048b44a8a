//! A store inside your own program: create an object, change it, lose a race, list.
//!
//! `cargo run --example embed`

use annals::{Error, Filter, Object, Options, Resource, Store};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct Playlist {
    spec: Spec,
}

#[derive(Debug, Serialize, Deserialize)]
struct Spec {
    title: String,
    interval: String,
}

impl Resource for Playlist {
    const GROUP: &str = "playlist.grafana.app";
    const VERSION: &str = "v1";
    const KIND: &str = "Playlist";
    const RESOURCE: &str = "playlists";
}

/// Runs the example.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let store = Store::open(directory.path(), Options::new())?;
    let playlists = store.kind::<Playlist>().within("default")?;

    let spec = Spec {
        title: "The morning".to_owned(),
        interval: "5m".to_owned(),
    };
    let mut morning = Object::new("morning", Playlist { spec });
    morning.metadata.labels = [("team".to_owned(), "news".to_owned())].into();
    let mut mine = playlists.create(&morning)?;

    // Somebody else changes it first: an update demands the version that was read.
    let mut theirs = playlists.get("morning")?.ok_or("it was just created")?;
    theirs.value.spec.interval = "10m".to_owned();
    playlists.update(&theirs)?;
    mine.value.spec.title = "The early morning".to_owned();
    match playlists.update(&mine) {
        Err(conflict @ Error::VersionConflict { .. }) => println!("lost the race: {conflict}"),
        other => panic!("expected a conflict, not {other:?}"),
    }

    let news = Filter::with_labels("team=news".parse()?);
    for playlist in playlists.now()?.all(news)? {
        let playlist = playlist?;
        println!("{}: {:?}", playlist.name(), playlist.value.spec);
    }
    Ok(())
}
