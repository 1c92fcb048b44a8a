//! Every state of the past can be read: at a version, as a history, out of the trash.
//!
//! `cargo run --example time_travel`

use annals::{Filter, Object, Options, Resource, Store};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Note {
    text: String,
}

impl Resource for Note {
    const GROUP: &str = "notes.example.com";
    const VERSION: &str = "v1";
    const KIND: &str = "Note";
    const RESOURCE: &str = "notes";
}

/// Runs the example.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let store = Store::open(directory.path(), Options::new())?;
    let notes = store.kind::<Note>().within("mine")?;

    let text = "buy bread".to_owned();
    let first = notes.create(&Object::new("list", Note { text }))?;
    let mut second = first.clone();
    second.value.text = "buy bread and salt".to_owned();
    let second = notes.update(&second)?;
    let deleted = notes.delete("list")?;
    assert!(notes.get("list")?.is_none());

    // As it was: the state at a version, of one object or of all.
    let then = notes.at(first.version())?.get("list")?;
    println!("at {}: {:?}", first.version(), then.map(|note| note.value));

    // What became of it: every revision, newest first.
    for note in notes.history("list", 10)?.items {
        let header = note.revision().ok_or("it was read")?.header();
        println!("{} {}: {:?}", header.version, header.action, note.value);
    }

    // What lies in the trash, with its last text, and back out of it as a new life.
    let trash = notes.now()?.trash(Filter::default(), 0, None)?;
    assert_eq!(trash.items[0].version(), deleted);
    let back = notes.create(&trash.items[0])?;
    assert_eq!(back.value.text, second.value.text);
    assert_ne!(back.metadata.uid, second.metadata.uid);
    Ok(())
}
