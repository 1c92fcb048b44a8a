//! Documents for the other tests: small ones by hand, and dashboards read from JSON.

use std::path::Path;
use std::sync::Arc;

use annals_index::{
    Document, DocumentKey, Epoch, FieldKind, FieldSpec, FieldValue, Index, IndexOptions, Opening,
    Value,
};
use serde_json::Value as Json;

pub(crate) const EPOCH: Epoch = Epoch([7; 16]);

pub(crate) fn key(namespace: &str, name: &str) -> DocumentKey {
    DocumentKey {
        group: "dashboard.grafana.app".into(),
        resource: "dashboards".into(),
        namespace: namespace.into(),
        name: name.into(),
    }
}

pub(crate) fn document(namespace: &str, name: &str, title: &str, version: u64) -> Document {
    Document {
        key: key(namespace, name),
        version,
        title: title.into(),
        description: String::new(),
        tags: Vec::new(),
        labels: Vec::new(),
        folder: String::new(),
        kind: "Dashboard".into(),
        created_ms: 1_000,
        updated_ms: 2_000,
        created_by: "user:ada".into(),
        updated_by: "user:grace".into(),
        fields: Vec::new(),
    }
}

pub(crate) fn own(name: &str, kind: FieldKind, values: Vec<Value>) -> FieldValue {
    let spec = FieldSpec {
        name: name.into(),
        kind,
        weight: 1.0,
        filterable: true,
        sortable: true,
    };
    FieldValue {
        spec: Arc::new(spec),
        values,
    }
}

/// An empty index that is ready.
pub(crate) fn ready(dir: &Path, options: IndexOptions) -> Index {
    let (index, opening) = Index::open(dir, EPOCH, 0, options).unwrap();
    assert!(matches!(opening, Opening::Rebuild { .. }), "{opening:?}");
    index.begin_rebuild().unwrap().finish(0).unwrap();
    index
}

/// An index of these documents.
pub(crate) fn index_of(dir: &Path, documents: Vec<Document>) -> Index {
    let head = documents
        .iter()
        .map(|document| document.version)
        .max()
        .unwrap_or(0);
    let (index, _) = Index::open(dir, EPOCH, head, IndexOptions::default()).unwrap();
    let mut rebuild = index.begin_rebuild().unwrap();
    for document in documents {
        rebuild.add(document).unwrap();
    }
    rebuild.finish(head).unwrap();
    index
}

/// Every dashboard in a folder of JSON files, ordered by file name.
pub(crate) fn dashboards(folder: &Path) -> Vec<Document> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "json"))
        .collect();
    files.sort();
    let named = files.iter().map(|path| {
        let json = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        (
            path.file_stem().unwrap().to_string_lossy().into_owned(),
            json,
        )
    });
    named
        .zip(1..)
        .map(|((name, json), version)| dashboard(&name, &json, version))
        .collect()
}

fn dashboard(name: &str, json: &Json, version: u64) -> Document {
    let mut document = document(
        "default",
        name,
        json["title"].as_str().unwrap_or(""),
        version,
    );
    document.description = json["description"].as_str().unwrap_or("").into();
    document.tags = json["tags"]
        .as_array()
        .into_iter()
        .flatten()
        .map(text)
        .collect();
    let mut panels = Vec::new();
    collect_panels(json, &mut panels);
    let of = |pick: fn(&Json) -> &Json| {
        let found = panels
            .iter()
            .map(|panel| pick(panel))
            .filter(|json| json.is_string());
        found
            .map(|json| Value::Text(text(json)))
            .collect::<Vec<_>>()
    };
    document.fields = vec![
        own("panel_title", FieldKind::Text, of(|panel| &panel["title"])),
        own(
            "panel_types",
            FieldKind::Keyword,
            of(|panel| &panel["type"]),
        ),
        own(
            "ds_types",
            FieldKind::Keyword,
            of(|panel| &panel["datasource"]["type"]),
        ),
    ];
    document
}

fn collect_panels<'a>(json: &'a Json, panels: &mut Vec<&'a Json>) {
    let rows = json["rows"].as_array().into_iter().flatten();
    rows.for_each(|row| collect_panels(row, panels));
    for panel in json["panels"].as_array().into_iter().flatten() {
        panels.push(panel);
        collect_panels(panel, panels);
    }
}

fn text(json: &Json) -> String {
    json.as_str().unwrap_or("").to_owned()
}

/// A small random number generator: the same numbers for the same seed, everywhere.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % sides
    }

    pub(crate) fn chance(&mut self, one_in: usize) -> bool {
        self.roll(one_in) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())]
    }
}
