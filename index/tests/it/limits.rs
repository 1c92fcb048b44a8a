//! Catches a limit that is not kept: a query that is accepted though it costs too much or whose
//! error does not name the field, and a document beyond a limit that is indexed, stops others, or
//! leaves an outdated self behind.

use annals_index::{
    Change, DESCRIPTION_BYTES_MAX, Document, Error, FACET_TERMS_MAX, FACETS_MAX, FIELDS_MAX,
    FILTERS_MAX, Facet, FacetBy, FieldKind, GRANTS_MAX, Grant, Index, IndexOptions, KEY_BYTES_MAX,
    KEYWORD_BYTES_MAX, LABELS_MAX, LIMIT_MAX, NAMES_MAX, Query, Reach, SORTS_MAX, Scope, Sort,
    SortBy, TAGS_MAX, TEXT_BYTES_MAX, TITLE_BYTES_MAX, VALUES_MAX, Value, WINDOW_MAX, WORDS_MAX,
};

use crate::samples::{document, key, own, ready};

fn refuse(index: &Index, field: &str, query: Query) {
    match index.search(&query, &Scope::All) {
        Err(Error::BadQuery {
            field: named,
            message,
        }) => {
            assert_eq!(named, field);
            assert!(message.contains("at most"), "{message}");
        }
        other => panic!("{field}: {other:?}"),
    }
}

#[test]
fn a_query_beyond_a_limit_is_refused_by_the_name_of_the_field() {
    let dir = tempfile::tempdir().unwrap();
    let index = ready(dir.path(), IndexOptions::default());
    let q = Query::default;
    let pair = || (String::from("a"), String::from("b"));
    let facet = |limit| Facet {
        by: FacetBy::Tag,
        limit,
    };
    let sort = Sort {
        by: SortBy::Title,
        descending: false,
    };
    refuse(
        &index,
        "text",
        Query {
            text: "a".repeat(TEXT_BYTES_MAX + 1),
            ..q()
        },
    );
    refuse(
        &index,
        "text",
        Query {
            text: "a ".repeat(WORDS_MAX + 1),
            ..q()
        },
    );
    refuse(
        &index,
        "limit",
        Query {
            limit: LIMIT_MAX + 1,
            ..q()
        },
    );
    refuse(
        &index,
        "offset",
        Query {
            offset: WINDOW_MAX,
            ..q()
        },
    );
    refuse(
        &index,
        "offset",
        Query {
            offset: usize::MAX,
            ..q()
        },
    );
    refuse(
        &index,
        "types",
        Query {
            types: vec![pair(); FILTERS_MAX + 1],
            ..q()
        },
    );
    refuse(
        &index,
        "tags",
        Query {
            tags: vec!["a".into(); FILTERS_MAX + 1],
            ..q()
        },
    );
    refuse(
        &index,
        "tags",
        Query {
            tags: vec!["a".repeat(70_000)],
            ..q()
        },
    );
    refuse(
        &index,
        "folder",
        Query {
            folder: Some("a".repeat(70_000)),
            ..q()
        },
    );
    refuse(
        &index,
        "labels",
        Query {
            labels: vec![pair(); FILTERS_MAX + 1],
            ..q()
        },
    );
    refuse(
        &index,
        "fields",
        Query {
            fields: vec![("a".into(), "b".repeat(70_000))],
            ..q()
        },
    );
    refuse(
        &index,
        "names",
        Query {
            names: vec!["a".into(); NAMES_MAX + 1],
            ..q()
        },
    );
    refuse(
        &index,
        "sort",
        Query {
            sort: vec![sort; SORTS_MAX + 1],
            ..q()
        },
    );
    refuse(
        &index,
        "facets",
        Query {
            facets: vec![facet(1); FACETS_MAX + 1],
            ..q()
        },
    );
    refuse(
        &index,
        "facets",
        Query {
            facets: vec![facet(FACET_TERMS_MAX + 1)],
            ..q()
        },
    );
    let grant = Grant {
        kind: None,
        namespace: None,
        reach: Reach::All,
    };
    let scope = Scope::Only(vec![grant; GRANTS_MAX + 1]);
    let refused = index.search(&q(), &scope);
    assert!(matches!(refused, Err(Error::BadQuery { field, .. }) if field == "scope"));
}

#[test]
fn a_query_at_its_limits_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let index = ready(dir.path(), IndexOptions::default());
    index
        .apply(vec![Change::Put(Box::new(document("a", "n", "w1 W2", 1)))])
        .unwrap();
    index.commit(1).unwrap();
    let words: Vec<String> = (0..WORDS_MAX).map(|at| format!("w{at}")).collect();
    let query = Query {
        text: words.join(" "),
        ..Query::default()
    };
    let hits = index.search(&query, &Scope::All).unwrap();
    assert!(hits.relaxed && hits.total == 1);
    let query = Query {
        text: "x".repeat(TEXT_BYTES_MAX),
        ..Query::default()
    };
    assert_eq!(index.search(&query, &Scope::All).unwrap().total, 0);
}

/// Every way to break a limit, by the word its reason must hold.
fn poisons() -> Vec<(&'static str, Document)> {
    let plain = || document("a", "bad", "Poison", 2);
    let long = |count| "x".repeat(count);
    let fields = |count| vec![own("f", FieldKind::Bool, vec![Value::Bool(true)]); count];
    let texts = |count: usize, each: usize| vec![Value::Text(long(each)); count];
    let field = |kind, values| vec![own("f", kind, values)];
    let labels = vec![(String::from("k"), String::from("v")); LABELS_MAX + 1];
    vec![
        (
            "title",
            Document {
                title: long(TITLE_BYTES_MAX + 1),
                ..plain()
            },
        ),
        (
            "description",
            Document {
                description: long(DESCRIPTION_BYTES_MAX + 1),
                ..plain()
            },
        ),
        (
            "tags",
            Document {
                tags: vec!["t".into(); TAGS_MAX + 1],
                ..plain()
            },
        ),
        (
            "tags",
            Document {
                tags: vec![long(70_000)],
                ..plain()
            },
        ),
        ("labels", Document { labels, ..plain() }),
        (
            "folder",
            Document {
                folder: long(70_000),
                ..plain()
            },
        ),
        (
            "fields",
            Document {
                fields: fields(FIELDS_MAX + 1),
                ..plain()
            },
        ),
        (
            "fields",
            Document {
                fields: field(FieldKind::Text, texts(VALUES_MAX + 1, 1)),
                ..plain()
            },
        ),
        (
            "fields.f",
            Document {
                fields: field(FieldKind::Number, texts(1, 1)),
                ..plain()
            },
        ),
        (
            "fields.f",
            Document {
                fields: field(FieldKind::Keyword, texts(1, KEYWORD_BYTES_MAX + 1)),
                ..plain()
            },
        ),
        (
            "Number",
            Document {
                fields: field(FieldKind::Number, vec![Value::Number(f64::NAN)]),
                ..plain()
            },
        ),
        (
            "document",
            Document {
                fields: field(FieldKind::Text, texts(400, 4_000)),
                ..plain()
            },
        ),
        (
            "key",
            Document {
                key: key("a", &long(KEY_BYTES_MAX)),
                ..plain()
            },
        ),
        (
            "key",
            Document {
                key: key("a", "n\0l"),
                ..plain()
            },
        ),
    ]
}

#[test]
fn a_document_beyond_a_limit_is_set_aside_and_the_rest_goes_on() {
    for (word, poison) in poisons() {
        let dir = tempfile::tempdir().unwrap();
        let index = ready(dir.path(), IndexOptions::default().shards(1));
        let sound = document("a", "good", "Bread", 3);
        let older = Document {
            key: poison.key.clone(),
            ..document("a", "bad", "Poison", 1)
        };
        index.apply(vec![Change::Put(Box::new(older))]).unwrap();
        index.commit(1).unwrap();
        index
            .apply(vec![
                Change::Put(Box::new(poison.clone())),
                Change::Put(Box::new(sound)),
            ])
            .unwrap();
        index.commit(3).unwrap();

        let hits = index.search(&Query::default(), &Scope::All).unwrap();
        let names: Vec<&str> = hits.hits.iter().map(|hit| hit.key.name.as_str()).collect();
        assert_eq!((names, hits.total), (vec!["good"], 1), "{word}");
        let status = index.status().unwrap();
        assert_eq!((status.documents, status.set_aside), (1, 1), "{word}");
        let mark = &status.set_aside_newest[0];
        assert!(
            mark.reason.contains(word),
            "{word} is not in {:?}",
            mark.reason
        );
        assert_eq!(mark.version, 2);

        let mended = Document {
            key: poison.key.clone(),
            ..document("a", "bad", "Cake", 4)
        };
        let still = u64::from(word == "key");
        index.apply(vec![Change::Put(Box::new(mended))]).unwrap();
        index.commit(4).unwrap();
        let status = index.status().unwrap();
        assert_eq!(
            (status.documents, status.set_aside),
            (2 - still, still),
            "{word}"
        );
        index
            .apply(vec![Change::Remove {
                key: poison.key,
                version: 5,
            }])
            .unwrap();
        index.commit(5).unwrap();
        assert_eq!(index.status().unwrap().set_aside, 0, "{word}");
    }
}
