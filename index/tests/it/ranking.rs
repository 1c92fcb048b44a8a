//! Catches a change of words, weights or relaxing after which people no longer find first what
//! they named.

use std::path::Path;

use annals_index::{Document, Hits, Index, Query, Scope};

use crate::samples::{dashboards, document, index_of};

fn search(index: &Index, text: &str) -> Hits {
    let query = Query {
        text: text.into(),
        ..Query::default()
    };
    index.search(&query, &Scope::All).unwrap()
}

fn titles(hits: &Hits) -> Vec<&str> {
    hits.hits.iter().map(|hit| hit.title.as_str()).collect()
}

#[test]
fn the_forty_one_dashboards_are_found_by_what_people_type() {
    let Some(folder) = std::env::var_os("ANNALS_TEST_DATA") else {
        println!("skipped: ANNALS_TEST_DATA names no folder");
        return;
    };
    let documents = dashboards(&Path::new(&folder).join("dashboards"));
    assert_eq!(documents.len(), 41);
    let dir = tempfile::tempdir().unwrap();
    let index = index_of(dir.path(), documents);
    assert_eq!(search(&index, "").total, 41);

    let coredns = search(&index, "coredns");
    assert!(
        titles(&coredns)[0].contains("CoreDNS"),
        "{:?}",
        titles(&coredns)
    );

    let server = search(&index, "api server");
    let mut two = titles(&server)[..2].to_vec();
    two.sort_unstable();
    assert_eq!(
        two,
        [
            "Kubernetes / API server",
            "Kubernetes / System / API Server"
        ]
    );

    let node = search(&index, "node exporter");
    let exporters = node
        .hits
        .iter()
        .take_while(|hit| hit.title.starts_with("Node Exporter"));
    assert_eq!(exporters.count(), 5, "{:?}", titles(&node));

    let pods = search(&index, "kubernetes pods");
    let top = &titles(&pods)[..3];
    assert!(
        top.iter()
            .any(|title| title.to_lowercase().contains("pods")),
        "{top:?}"
    );

    let latency = search(&index, "coredns latency");
    assert!(
        titles(&latency)[0].contains("CoreDNS"),
        "{:?}",
        titles(&latency)
    );
    assert!(latency.relaxed, "no dashboard has both words");
}

fn samples() -> (tempfile::TempDir, Index) {
    let dir = tempfile::tempdir().unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/dashboards");
    let documents = dashboards(&folder);
    assert_eq!(documents.len(), 6);
    let index = index_of(dir.path(), documents);
    (dir, index)
}

fn check(text: &str, expected: &[&str]) {
    let (_dir, index) = samples();
    let hits = search(&index, text);
    assert_eq!(titles(&hits), expected, "for {text:?}");
    assert!(!hits.relaxed, "{text:?} was relaxed");
}

#[test]
fn a_word_in_the_title_beats_a_tag_and_a_tag_beats_a_panel() {
    check(
        "harbour",
        &["Harbour Cranes", "Ferry Traffic", "Boiler Room"],
    );
}

#[test]
fn the_exact_title_comes_first() {
    check(
        "ferry traffic",
        &["Ferry Traffic", "Ferry Traffic / Night Shift"],
    );
}

#[test]
fn all_words_must_be_found_though_in_different_fields() {
    check("boiler pressure", &["Boiler Room"]);
    check("lighthouse kerosene", &["LighthouseKeeper"]);
}

#[test]
fn the_last_word_may_be_a_beginning_and_any_word_the_inside_of_one() {
    check(
        "ferry tra",
        &["Ferry Traffic", "Ferry Traffic / Night Shift"],
    );
    check("thouse", &["LighthouseKeeper"]);
}

#[test]
fn camel_case_hyphens_accents_and_case_do_not_matter() {
    check("keeper", &["LighthouseKeeper"]);
    check("light-house", &["LighthouseKeeper"]);
    check("lighthouseKeeper", &["LighthouseKeeper"]);
    check("OBSERVATORIO estacao", &["Observatório da Estação"]);
    check("северный ВЕТЕР", &["Observatório da Estação"]);
}

#[test]
fn a_word_nobody_has_relaxes_the_query_and_says_so() {
    let (_dir, index) = samples();
    let hits = search(&index, "kerosene zeppelin");
    assert!(hits.relaxed);
    assert_eq!(titles(&hits), ["LighthouseKeeper"]);
    let none = search(&index, "zeppelin airship");
    assert!(!none.relaxed && none.total == 0);
}

#[test]
fn no_text_is_everything_by_title() {
    let (_dir, index) = samples();
    let expected = [
        "Boiler Room",
        "Ferry Traffic",
        "Ferry Traffic / Night Shift",
        "Harbour Cranes",
        "LighthouseKeeper",
        "Observatório da Estação",
    ];
    assert_eq!(titles(&search(&index, "")), expected);
    assert_eq!(titles(&search(&index, " * ")), expected);
    assert_eq!(search(&index, "///").total, 0);
}

#[test]
fn parts_of_hyphenated_titles_answer_two_words() {
    let dir = tempfile::tempdir().unwrap();
    let titles_of = ["kube-apiserver", "API server", "web server"];
    let names = titles_of.iter().zip(1..);
    let documents: Vec<Document> = names
        .map(|(title, at)| document("default", &format!("n{at}"), title, at))
        .collect();
    let index = index_of(dir.path(), documents);
    assert_eq!(
        titles(&search(&index, "api server")),
        ["API server", "kube-apiserver"]
    );
}
