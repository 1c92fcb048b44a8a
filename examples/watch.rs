//! A watch that misses nothing: read the state of now, then every change after it, in order.
//!
//! `cargo run --example watch`

use std::thread;

use annals::{EventKind, Filter, Object, Options, Resource, Store};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Lamp {
    on: bool,
}

impl Resource for Lamp {
    const GROUP: &str = "home.example.com";
    const VERSION: &str = "v1";
    const KIND: &str = "Lamp";
    const RESOURCE: &str = "lamps";
}

/// Runs the example.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let store = Store::open(directory.path(), Options::new())?;
    let kitchen = store.kind::<Lamp>().within("kitchen")?;
    kitchen.create(&Object::new("table", Lamp { on: false }))?;

    // A handle over all namespaces watches all of them.
    let lamps = store.kind::<Lamp>();
    let now = lamps.now()?;
    for lamp in now.all(Filter::default())? {
        let lamp = lamp?;
        println!("at first  {} is on: {}", lamp.name(), lamp.value.on);
    }
    let watch = lamps.watch(Filter::default(), now.version())?;

    let writer = thread::spawn(move || {
        let mut stove = kitchen.create(&Object::new("stove", Lamp { on: false }))?;
        stove.value.on = true;
        kitchen.update(&stove)?;
        kitchen.delete("table")
    });
    let mut seen = Vec::new();
    // The watch is an iterator that waits; it ends when the store is closed.
    for event in watch.take(3) {
        let event = event?;
        let lamp = event.object;
        println!("{:?} {}: {}", event.kind, lamp.name(), lamp.value.on);
        seen.push(event.kind);
    }
    writer.join().map_err(|_| "the writer failed")??;
    let expected = [EventKind::Added, EventKind::Modified, EventKind::Deleted];
    assert_eq!(seen, expected);
    Ok(())
}
