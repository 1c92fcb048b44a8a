//! Catches a parameter that is misread, or a wrong one that is taken or refused with other words
//! than clients know.

use proptest::prelude::*;
use serde_json::json;

use annals::{FieldTest, ObjectField};

use super::*;

fn list(query: &str) -> Result<ListQuery, Status> {
    Query::parse(query)?.list()
}

fn write(query: &str) -> Result<WriteQuery, Status> {
    Query::parse(query)?.write("CreateOptions")
}

#[track_caller]
fn refused<T: std::fmt::Debug>(found: Result<T, Status>, code: u16, text: &str) {
    let status = found.unwrap_err();
    assert_eq!(status.code(), code, "{status}");
    assert!(status.message.contains(text), "{status}");
}

#[test]
fn queries_are_decoded() {
    let query = Query::parse("a=1&labelSelector=app+in+%28a%2Cb%29%2C%21z&a=2&e&f=%C3%A9").unwrap();
    assert_eq!(query.get("labelSelector"), Some("app in (a,b),!z"));
    assert_eq!(query.all("a").collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(
        (query.get("e"), query.get("f"), query.get("g")),
        (Some(""), Some("é"), None)
    );
    for bad in ["a=%", "a=%2", "a=%zz", "a=%ff", "%=1"] {
        refused(Query::parse(bad), 400, "percent-encoded");
    }
}

#[test]
fn lists_are_read() {
    let found =
        list("limit=500&resourceVersion=0&fieldSelector=metadata.name%3Dx&pretty=1").unwrap();
    assert_eq!((found.limit, found.resource_version), (Some(500), Some(0)));
    let selected = |test: &FieldTest| test.equals && test.value == "x";
    assert!(found.field_selector.iter().all(selected));
    assert!(!found.watch);
    assert_eq!(
        list("limit=99999999").unwrap().limit,
        Some(limits::PAGE_ITEMS_MAX)
    );
    assert_eq!(list("limit=0").unwrap().limit, None);
    for (query, watch) in [("watch=true", true), ("watch=1", true), ("watch", true)] {
        assert_eq!(list(query).unwrap().watch, watch);
    }
    for query in ["watch=false", "watch=0", "watch=False", ""] {
        assert!(!list(query).unwrap().watch, "{query}");
    }
    let watch = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&\
                 resourceVersion=&allowWatchBookmarks=true&timeoutSeconds=9";
    let found = list(watch).unwrap();
    assert_eq!(found.version_match, VersionMatch::NotOlderThan);
    assert_eq!(
        (found.send_initial_events, found.timeout_seconds),
        (Some(true), Some(9))
    );
    assert!(found.allow_watch_bookmarks);
    assert_eq!(found.resource_version, None);
}

#[test]
fn wrong_lists_are_refused() {
    for bad in ["abc", "-1", "%2B1", "1.5", "18446744073709551616"] {
        refused(
            list(&format!("resourceVersion={bad}")),
            400,
            "resourceVersion: Invalid value",
        );
    }
    refused(list("limit=x"), 400, "limit: Invalid value");
    refused(
        list("continue=t&resourceVersion=5"),
        400,
        "when using continue",
    );
    refused(
        list(&format!("labelSelector={}", "a".repeat(4097))),
        400,
        "at most 4096 bytes",
    );
    refused(
        list("includeObject=All"),
        400,
        "must be one of None, Metadata, Object",
    );
    for (query, text) in [
        (
            "resourceVersionMatch=Exact",
            "is forbidden unless resourceVersion is provided",
        ),
        (
            "resourceVersionMatch=Exact&resourceVersion=0",
            "is forbidden for resourceVersion \"0\"",
        ),
        (
            "resourceVersionMatch=No&resourceVersion=1",
            "Unsupported value: \"No\"",
        ),
        (
            "resourceVersionMatch=Exact&resourceVersion=1&continue=t",
            "when continue is provided",
        ),
        (
            "sendInitialEvents=false",
            "sendInitialEvents is forbidden for list",
        ),
        (
            "watch=1&sendInitialEvents=true",
            "requires setting resourceVersionMatch",
        ),
        (
            "watch=1&resourceVersionMatch=NotOlderThan",
            "unless sendInitialEvents is provided",
        ),
    ] {
        refused(list(query), 422, text);
        refused(
            list(query),
            422,
            "ListOptions.meta.k8s.io \"\" is invalid: ",
        );
    }
}

#[test]
fn field_selectors_select() {
    let parse = fields::parse;
    let test = |field, equals, value: &str| FieldTest {
        field,
        equals,
        value: value.to_owned(),
    };
    let selector = parse("metadata.name==a,metadata.namespace!=b").unwrap();
    let (name, namespace) = (ObjectField::Name, ObjectField::Namespace);
    assert_eq!(
        selector,
        [test(name, true, "a"), test(namespace, false, "b")]
    );
    assert!(parse("").unwrap().is_empty());
    assert_eq!(
        parse(r"metadata.name=a\,b\=c\\").unwrap(),
        [test(name, true, r"a,b=c\")]
    );
    refused(parse("spec.x=1"), 400, "field label not supported: spec.x");
    refused(parse("metadata.name"), 400, "expected '=', '==' or '!='");
    refused(parse("metadata.name!x"), 400, "expected '=', '==' or '!='");
    refused(parse(r"metadata.name=\x"), 400, "invalid selector");
    refused(parse(r"metadata.name=x\"), 400, "invalid selector");
    refused(parse("metadata.name=a=b"), 400, "invalid selector");
}

#[test]
fn writes_are_read_and_refused() {
    let found = write("fieldManager=kubectl-create&fieldValidation=Strict&dryRun=All").unwrap();
    assert!(found.dry_run);
    assert_eq!(found.field_manager.as_deref(), Some("kubectl-create"));
    assert_eq!(found.field_validation, FieldValidation::Strict);
    assert_eq!(write("").unwrap().field_validation, FieldValidation::Warn);
    refused(
        write("dryRun=foo"),
        422,
        "dryRun: Unsupported value: \"foo\"",
    );
    refused(
        write("dryRun=All&dryRun=x"),
        422,
        "dryRun: Unsupported value: \"x\"",
    );
    refused(
        write("fieldValidation=strict"),
        422,
        "fieldValidation: Unsupported value",
    );
    refused(
        write(&format!("fieldManager={}", "m".repeat(129))),
        422,
        "fieldManager: Too long",
    );
    assert!(write(&format!("fieldManager={}", "é".repeat(128))).is_ok());
    refused(write("fieldManager=a%00"), 422, "printable");
    let patch = Query::parse("force=true").unwrap().write("PatchOptions");
    refused(
        patch,
        422,
        "force: Forbidden: may not be specified for non-apply patch",
    );
}

#[test]
fn delete_options_come_from_body_and_query() {
    let read = |query: &str, body: Value| {
        let query = Query::parse(query).unwrap();
        DeleteOptions::read(&query, Some(&body))
    };
    let body = json!({"propagationPolicy": "Background", "dryRun": ["All"],
        "gracePeriodSeconds": -5, "preconditions": {"uid": "u", "resourceVersion": "7"}});
    let found = read("propagationPolicy=Orphan&gracePeriodSeconds=9", body).unwrap();
    let expected = DeleteOptions {
        dry_run: true,
        grace_period_seconds: Some(1),
        propagation: Some(Propagation::Background),
        uid: Some("u".to_owned()),
        resource_version: Some("7".to_owned()),
    };
    assert_eq!(found, expected);
    let found = read(
        "gracePeriodSeconds=0&orphanDependents=true&dryRun=All",
        json!({}),
    )
    .unwrap();
    assert_eq!(found.grace_period_seconds, Some(0));
    assert_eq!(found.propagation, Some(Propagation::Orphan));
    assert!(found.dry_run);
    assert_eq!(
        DeleteOptions::read(&Query::default(), None).unwrap(),
        DeleteOptions::default()
    );
    refused(read("", json!([])), 400, "(body): expected an object");
    refused(
        read("", json!({"kind": "Pod"})),
        400,
        "kind: expected DeleteOptions",
    );
    refused(
        read("", json!({"preconditions": 1})),
        400,
        "preconditions: expected an object",
    );
    refused(
        read("", json!({"dryRun": ["x"]})),
        422,
        "dryRun: Unsupported value",
    );
    refused(
        read("", json!({"propagationPolicy": "x"})),
        422,
        "propagationPolicy: Unsupported",
    );
    refused(
        read("orphanDependents=1", json!({"propagationPolicy": "Orphan"})),
        422,
        "both set",
    );
}

proptest! {
    #[test]
    fn no_query_panics(text in "[a-z%=&+,!\\\\é0-9.]{0,40}") {
        if let Ok(query) = Query::parse(&text) {
            let _ = (query.list(), query.write("UpdateOptions"), DeleteOptions::read(&query, None));
        }
        let _ = fields::parse(&text);
    }

    #[test]
    fn any_name_can_be_selected_once_escaped(name in ".{0,12}") {
        let escaped = name.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=");
        let selector = fields::parse(&format!("metadata.name={escaped}")).unwrap();
        prop_assert_eq!(&selector[0].value, &name);
    }
}

/// Would catch a write that is taken for a dry run where it is judged, and written.
#[test]
fn what_is_no_dry_run_in_one_place_is_none_in_the_other() {
    for text in [
        "",
        "dryRun=",
        "dryRun=&dryRun=",
        "dryRun=All",
        "dryRun=&dryRun=All",
        "dryRun=some",
    ] {
        let query = Query::parse(text).unwrap();
        let written = query
            .write("CreateOptions")
            .is_ok_and(|query| !query.dry_run);
        assert_eq!(written, !query.is_dry_run(), "{text}");
    }
}
