//! Catches counts that speak of documents outside the scope, of deleted ones, or of the page only,
//! and orders that change between pages, types and segments.

use std::collections::BTreeSet;

use annals_index::{
    Change, Document, Facet, FacetBy, FieldKind, Hits, Index, IndexOptions, Query, Scope, Sort,
    SortBy, Value,
};

use crate::samples::{document, key, own, ready};

/// Five documents in three folders, committed one by one so that each is a segment of its own.
fn index() -> (tempfile::TempDir, Index) {
    let dir = tempfile::tempdir().unwrap();
    let index = ready(dir.path(), IndexOptions::default());
    let rows = [
        ("a", "one", "", vec!["red", "blue"], Value::Number(2.5), "3"),
        ("a", "two", "f1", vec!["red"], Value::Number(10.0), "x"),
        ("b", "three", "f1", vec![], Value::Number(-1.0), "y"),
        ("b", "four", "f2", vec!["blue"], Value::Number(7.0), "x"),
        ("b", "gone", "f1", vec!["red"], Value::Number(0.0), "x"),
    ];
    for ((namespace, name, folder, tags, size, shape), version) in rows.into_iter().zip(1..) {
        let mut document = Document {
            folder: folder.into(),
            tags: tags.into_iter().map(String::from).collect(),
            labels: vec![
                ("team".into(), format!("t{}", version % 2)),
                ("tea".into(), "m".into()),
            ],
            ..document(namespace, name, name, version)
        };
        document.fields = vec![
            own("size.cm", FieldKind::Number, vec![size]),
            own("shape", FieldKind::Keyword, vec![Value::Text(shape.into())]),
        ];
        if name == "three" {
            document.fields.remove(0);
        }
        index.apply(vec![Change::Put(Box::new(document))]).unwrap();
        index.commit(version).unwrap();
    }
    index
        .apply(vec![Change::Remove {
            key: key("b", "gone"),
            version: 6,
        }])
        .unwrap();
    index.commit(6).unwrap();
    (dir, index)
}

fn facet(by: FacetBy) -> Facet {
    Facet { by, limit: 10 }
}

fn check(hits: &Hits, at: usize, total: u64, missing: u64, terms: &[(&str, u64)]) {
    let count = &hits.facets[at];
    let found: Vec<_> = count
        .terms
        .iter()
        .map(|(term, n)| (term.as_str(), *n))
        .collect();
    assert_eq!(
        (count.total, count.missing, &found[..]),
        (total, missing, terms),
        "{:?}",
        count.by
    );
}

fn names(hits: &Hits) -> Vec<&str> {
    hits.hits.iter().map(|hit| hit.key.name.as_str()).collect()
}

#[test]
fn facets_count_what_matches_and_nothing_else() {
    let (_dir, index) = index();
    let facets = vec![
        facet(FacetBy::Tag),
        facet(FacetBy::Folder),
        facet(FacetBy::Namespace),
        facet(FacetBy::Label("team".into())),
        facet(FacetBy::Own("shape".into())),
        facet(FacetBy::Type),
        facet(FacetBy::Own("nobody".into())),
        Facet {
            by: FacetBy::Tag,
            limit: 1,
        },
    ];
    let query = Query {
        facets,
        limit: 0,
        ..Query::default()
    };
    let hits = index.search(&query, &Scope::All).unwrap();
    assert_eq!((hits.total, hits.hits.len()), (4, 0));
    check(&hits, 0, 4, 1, &[("blue", 2), ("red", 2)]);
    check(&hits, 1, 4, 0, &[("f1", 2), ("", 1), ("f2", 1)]);
    check(&hits, 2, 4, 0, &[("a", 2), ("b", 2)]);
    check(&hits, 3, 4, 0, &[("t0", 2), ("t1", 2)]);
    check(&hits, 4, 4, 0, &[("x", 2), ("3", 1), ("y", 1)]);
    check(&hits, 5, 4, 0, &[("dashboard.grafana.app/dashboards", 4)]);
    check(&hits, 6, 0, 4, &[]);
    check(&hits, 7, 4, 1, &[("blue", 2)]);

    let scope = Scope::only(
        BTreeSet::from([String::new()]),
        BTreeSet::from(["four".into()]),
    );
    let hits = index.search(&query, &scope).unwrap();
    assert_eq!(hits.total, 2);
    check(&hits, 0, 3, 0, &[("blue", 2), ("red", 1)]);
    check(&hits, 1, 2, 0, &[("", 1), ("f2", 1)]);
    let hits = index.search(&query, &Scope::None).unwrap();
    assert_eq!(hits.total, 0);
    check(&hits, 0, 0, 0, &[]);
}

#[test]
fn a_hidden_document_does_not_keep_a_query_from_relaxing() {
    let (_dir, index) = index();
    let query = Query {
        text: "four blue".into(),
        ..Query::default()
    };
    assert!(!index.search(&query, &Scope::All).unwrap().relaxed);
    let scope = Scope::only(BTreeSet::from([String::new()]), BTreeSet::new());
    let hits = index.search(&query, &scope).unwrap();
    assert!(hits.relaxed);
    assert_eq!(names(&hits), ["one"]);
}

#[test]
fn results_are_sorted_across_segments_and_missing_values_come_last() {
    let (_dir, index) = index();
    let sorted = |by: SortBy, descending| {
        let query = Query {
            sort: vec![Sort { by, descending }],
            ..Query::default()
        };
        let hits = index.search(&query, &Scope::All).unwrap();
        names(&hits)
            .into_iter()
            .map(String::from)
            .collect::<Vec<_>>()
    };
    let size = || SortBy::Own("size.cm".into());
    assert_eq!(sorted(size(), false), ["one", "four", "two", "three"]);
    assert_eq!(sorted(size(), true), ["two", "four", "one", "three"]);
    assert_eq!(
        sorted(SortBy::Version, true),
        ["four", "three", "two", "one"]
    );
    assert_eq!(sorted(SortBy::Name, false), ["four", "one", "three", "two"]);
    assert_eq!(
        sorted(SortBy::Folder, false),
        ["one", "two", "three", "four"]
    );
    assert_eq!(
        sorted(SortBy::Folder, true),
        ["four", "two", "three", "one"]
    );
    assert_eq!(
        sorted(SortBy::Own("shape".into()), true),
        ["three", "two", "four", "one"]
    );
    assert_eq!(
        sorted(SortBy::Own("nobody".into()), true),
        ["one", "two", "four", "three"]
    );
}

#[test]
fn own_fields_filter_and_come_back_with_the_hit() {
    let (_dir, index) = index();
    let filtered = |name: &str, value: &str| {
        let fields = vec![(name.to_owned(), value.to_owned())];
        index
            .search(
                &Query {
                    fields,
                    ..Query::default()
                },
                &Scope::All,
            )
            .unwrap()
    };
    assert_eq!(names(&filtered("shape", "x")), ["four", "two"]);
    assert_eq!(names(&filtered("size.cm", "10")), ["two"]);
    assert_eq!(names(&filtered("size.cm", "10.0")), ["two"]);
    assert_eq!(names(&filtered("shape", "3")), ["one"]);
    assert_eq!(filtered("shap", "ex").total, 0);
    let hit = &filtered("shape", "y").hits[0];
    assert_eq!(
        hit.fields,
        [("shape".to_owned(), vec![Value::Text("y".into())])]
    );
    assert_eq!((hit.version, hit.created_by.as_str()), (3, "user:ada"));
}
