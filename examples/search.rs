//! Full-text search over objects, at no older a state than what was just written.
//!
//! `cargo run --example search`

use annals::search::{Query, Scope};
use annals::{Error, FieldKind, Kind, Object, Options, Path, Resource, SearchField, Store};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Recipe {
    title: String,
    steps: Vec<String>,
}

impl Resource for Recipe {
    const GROUP: &str = "kitchen.example.com";
    const VERSION: &str = "v1";
    const KIND: &str = "Recipe";
    const RESOURCE: &str = "recipes";
}

/// Runs the example.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    // Titles and labels are indexed anyway; the steps are a field of the kind's own.
    let mut kind = Kind::of::<Recipe>();
    let steps = SearchField::new("steps", Path::parse(".steps[*]")?, FieldKind::Text);
    kind.search_fields.push(steps);
    let store = Store::open(directory.path(), Options::new().kinds(vec![kind]))?;
    let recipes = store.kind::<Recipe>().within("default")?;

    let (title, steps) = ("Bread".to_owned(), vec!["Knead the dough".to_owned()]);
    let bread = Recipe { title, steps };
    let newest = recipes.create(&Object::new("bread", bread))?.version();

    let text = "dough".to_owned();
    let query = Query {
        text,
        ..Query::default()
    };
    // The index follows the log: this waits until it has reached the newest write.
    let found = loop {
        match store.search(&query, &Scope::All, Some(newest)) {
            // A new one is not open yet.
            Err(Error::IndexNotReady { retry_after, .. }) => std::thread::sleep(retry_after),
            answer => break answer?,
        }
    };
    for hit in &found.hits {
        let recipe = recipes.get(&hit.key.name)?.ok_or("deleted since")?;
        println!("{}: {}", recipe.value.title, recipe.value.steps.join("; "));
    }
    assert_eq!(found.total, 1);
    Ok(())
}
