//! Catches a schema that lets a bad object in, keeps a good one out, words a fault differently
//! from Kubernetes, or reports other unknown fields than it removes.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::Schema;

/// A schema whose `spec` has these properties.
fn schema(properties: Value, required: &[&str]) -> Schema {
    let spec = json!({"type": "object", "properties": properties, "required": required});
    Schema::parse(&json!({"type": "object", "properties": {"spec": spec}})).unwrap()
}

fn object(spec: Value) -> Value {
    json!({"apiVersion": "g/v1", "kind": "K", "metadata": {"name": "n", "x": 1}, "spec": spec})
}

/// Checks `spec.f`, whose schema is `rule`, against the faults expected.
fn check(rule: Value, value: Value, expected: &[&str]) {
    let schema = schema(json!({"f": rule}), &[]);
    let causes = schema.validate(&object(json!({"f": value})));
    let found: Vec<String> = causes.iter().map(ToString::to_string).collect();
    assert_eq!(found, expected, "{value}");
}

#[test]
fn types_are_checked() {
    let wrong =
        "spec.f: Invalid value: \"integer\": spec.f in body must be of type string: \"integer\"";
    check(json!({"type": "string"}), json!(7), &[wrong]);
    check(
        json!({"type": "string", "nullable": true}),
        json!(null),
        &[],
    );
    let null = "spec.f: Invalid value: \"null\": spec.f in body must be of type string: \"null\"";
    check(json!({"type": "string"}), json!(null), &[null]);
    check(json!({"type": "integer"}), json!(3.0), &[]);
    let half =
        "spec.f: Invalid value: \"number\": spec.f in body must be of type integer: \"number\"";
    check(json!({"type": "integer"}), json!(3.5), &[half]);
    check(json!({"type": "number"}), json!(3), &[]);
    check(json!({"type": "boolean"}), json!(true), &[]);
    check(
        json!({"x-kubernetes-int-or-string": true}),
        json!("80%"),
        &[],
    );
    check(json!({"x-kubernetes-int-or-string": true}), json!(80), &[]);
    let neither = "spec.f: Invalid value: \"boolean\": spec.f in body must be of type \
                   integer,string: \"boolean\"";
    check(
        json!({"x-kubernetes-int-or-string": true}),
        json!(true),
        &[neither],
    );
    check(
        json!({"x-kubernetes-preserve-unknown-fields": true}),
        json!([1, "a"]),
        &[],
    );
}

#[test]
fn required_fields_are_required() {
    let schema = schema(json!({"title": {"type": "string"}}), &["title", "interval"]);
    let causes = schema.validate(&object(json!({"title": "t"})));
    assert_eq!(causes.len(), 1);
    assert_eq!(causes[0].to_string(), "spec.interval: Required value");
    assert_eq!(causes[0].reason.as_str(), "FieldValueRequired");
}

#[test]
fn values_are_checked() {
    check(
        json!({"type": "string", "enum": ["a", "b"]}),
        json!("c"),
        &["spec.f: Unsupported value: \"c\": supported values: \"a\", \"b\""],
    );
    check(
        json!({"type": "integer", "maximum": 10}),
        json!(11),
        &["spec.f: Invalid value: 11: spec.f in body should be less than or equal to 10"],
    );
    check(
        json!({"type": "integer", "minimum": 1, "exclusiveMinimum": true}),
        json!(1),
        &["spec.f: Invalid value: 1: spec.f in body should be greater than 1"],
    );
    check(
        json!({"type": "number", "multipleOf": 0.5}),
        json!(1.3),
        &["spec.f: Invalid value: 1.3: spec.f in body should be a multiple of 0.5"],
    );
    check(
        json!({"type": "number", "multipleOf": 0.5, "minimum": 1.5}),
        json!(1.5),
        &[],
    );
    check(
        json!({"type": "string", "minLength": 2}),
        json!("é"),
        &["spec.f: Invalid value: \"é\": spec.f in body should be at least 2 chars long"],
    );
    check(
        json!({"type": "string", "maxLength": 1}),
        json!("éé"),
        &["spec.f: Too long: may not be more than 1 characters"],
    );
    check(
        json!({"type": "string", "pattern": "^a+$"}),
        json!("b"),
        &["spec.f: Invalid value: \"b\": spec.f in body should match '^a+$'"],
    );
    check(
        json!({"type": "integer", "format": "int32"}),
        json!(2_147_483_647_i64),
        &[],
    );
    check(
        json!({"type": "integer", "format": "int32"}),
        json!(2_147_483_648_i64),
        &[
            "spec.f: Invalid value: 2147483648: spec.f in body must be of type int32: \
             \"2147483648\"",
        ],
    );
}

#[test]
fn lists_are_checked() {
    let numbers = json!({"type": "array", "minItems": 1, "maxItems": 2,
        "items": {"type": "integer"}, "x-kubernetes-list-type": "set"});
    check(numbers.clone(), json!([1, 2]), &[]);
    check(
        numbers.clone(),
        json!([1, 1]),
        &["spec.f[1]: Duplicate value: 1"],
    );
    check(
        numbers.clone(),
        json!([1, 2, 3]),
        &["spec.f: Too many: 3: must have at most 2 items"],
    );
    check(
        numbers,
        json!([]),
        &["spec.f: Invalid value: \"array\": spec.f in body should have at least 1 items"],
    );
    let ports = json!({"type": "array", "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["port", "protocol"],
        "items": {"type": "object", "required": ["port"], "properties": {
            "port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"}}}});
    check(
        ports.clone(),
        json!([{"port": 1}, {"port": 1, "protocol": "UDP"}]),
        &[],
    );
    check(
        ports,
        json!([{"port": 1}, {"port": 1, "protocol": "TCP"}]),
        &["spec.f[1]: Duplicate value: \"object\""],
    );
}

#[test]
fn maps_and_embedded_resources_are_checked() {
    let limits = json!({"type": "object", "additionalProperties": {"type": "string"}});
    check(limits.clone(), json!({"a": "b"}), &[]);
    let wrong = "spec.f.a: Invalid value: \"integer\": spec.f.a in body must be of type string: \
                 \"integer\"";
    check(limits, json!({"a": 1}), &[wrong]);
    let embedded = json!({"type": "object", "x-kubernetes-embedded-resource": true,
        "x-kubernetes-preserve-unknown-fields": true});
    check(
        embedded.clone(),
        json!({"apiVersion": "v1", "kind": "K", "metadata": {}}),
        &[],
    );
    check(
        embedded,
        json!({"apiVersion": "v1"}),
        &["spec.f.kind: Required value"],
    );
}

#[test]
fn formats_are_checked() {
    for (format, good, bad) in [
        ("date-time", "2024-02-29T23:59:60Z", "2024-02-30T00:00:00Z"),
        (
            "date-time",
            "2024-01-01T00:00:00.5+02:00",
            "2024-01-01 00:00:00Z",
        ),
        ("date", "2024-02-29", "2023-02-29"),
        ("duration", "1h30m", "5 minutes"),
        ("duration", "-1.5s", "h"),
        ("byte", "aGk=", "a"),
        ("ipv4", "10.0.0.1", "10.0.0"),
        ("ipv6", "::1", "1"),
        ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
        ("mac", "00:00:5e:00:53:01", "00:00:5e"),
        ("uuid", "6f1f0e8e-3f0f-4b0a-9d38-2f0a4f2b7d11", "6f1f"),
        ("uri", "https://a.example/b", "no uri"),
        ("email", "a@b.example", "a.example"),
        ("hostname", "a.example", "-a"),
    ] {
        let rule = json!({"type": "string", "format": format});
        check(rule.clone(), json!(good), &[]);
        let fault = format!(
            "spec.f: Invalid value: \"{bad}\": spec.f in body must be of type {format}: \"{bad}\""
        );
        check(rule, json!(bad), &[&fault]);
    }
    check(
        json!({"type": "string", "format": "password"}),
        json!("anything"),
        &[],
    );
}

#[test]
fn faults_are_counted_but_not_without_end() {
    let list = json!({"type": "array", "items": {"type": "string"}});
    let schema = schema(json!({"f": list}), &[]);
    let causes = schema.validate(&object(json!({"f": vec![1; 500]})));
    assert_eq!(causes.len(), crate::limits::CAUSES);
}

#[test]
fn defaults_are_filled_in_and_nulls_removed() {
    let schema = schema(
        json!({
            "size": {"type": "integer", "default": 1},
            "note": {"type": "string"},
            "open": {"type": "string", "nullable": true, "default": "x"},
            "deep": {"type": "object", "default": {}, "properties": {
                "on": {"type": "boolean", "default": true}}},
            "list": {"type": "array", "items": {"type": "object", "properties": {
                "n": {"type": "integer", "default": 7}}}},
        }),
        &[],
    );
    let mut value = object(json!({"size": null, "note": null, "open": null, "list": [{}]}));
    assert!(schema.default(&mut value));
    let spec = json!({"open": null, "size": 1, "deep": {"on": true}, "list": [{"n": 7}]});
    assert_eq!(value, object(spec));
    assert!(
        !schema.default(&mut value),
        "the second time nothing is left to do"
    );
}

#[test]
fn unknown_fields_are_named_and_removed() {
    let schema = schema(
        json!({
            "known": {"type": "array", "items": {"type": "object", "properties": {}}},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                "properties": {"strict": {"type": "object", "properties": {}}}},
        }),
        &[],
    );
    let mut value = object(json!({"sizee": 1, "known": [{}, {"x": 1}],
        "free": {"any": {"thing": 1}, "strict": {"y": 1}}}));
    value["top"] = json!(1);
    let unknown = ["spec.sizee", "spec.known[1].x", "spec.free.strict.y", "top"];
    assert_eq!(schema.unknown_fields(&value), unknown);
    assert!(schema.prune(&mut value));
    let spec = json!({"known": [{}, {}], "free": {"any": {"thing": 1}, "strict": {}}});
    assert_eq!(value, object(spec));
}

#[test]
fn schemas_that_would_be_half_understood_are_refused() {
    let deep = (0..70).fold(
        json!({"type": "string"}),
        |inner, _| json!({"type": "object", "properties": {"a": inner}}),
    );
    for (rule, path) in [
        (json!({}), ".type"),
        (json!({"type": "object", "anyOf": []}), ".anyOf"),
        (
            json!({"type": "object", "x-kubernetes-validations": []}),
            ".x-kubernetes-validations",
        ),
        (json!({"$ref": "#/a"}), ".$ref"),
        (json!({"type": "array"}), ".items"),
        (json!({"type": "string", "pattern": "("}), ".pattern"),
        (json!({"type": "string", "default": 1}), ".default"),
        (json!({"type": "string", "maxLength": -1}), ".maxLength"),
        (
            json!({"type": "object", "properties": {"a": {"type": "string"}},
                "additionalProperties": true}),
            ".additionalProperties",
        ),
        (
            json!({"type": "array", "items": {"type": "object"}, "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["a"]}),
            ".x-kubernetes-list-map-keys",
        ),
    ] {
        let root = json!({"type": "object", "properties": {"f": rule}});
        let error = Schema::parse(&root).unwrap_err();
        assert_eq!(error.path, format!(".properties.f{path}"));
    }
    assert!(Schema::parse(&deep).unwrap_err().expected.contains("64"));
    assert!(Schema::parse(&json!({"type": "string"})).is_err());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-c]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-d]", inner, 0..4)
                .prop_map(|map| Value::from(serde_json::Map::from_iter(map))),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_reported_unknown_is_what_is_pruned(spec in any_json()) {
        let inner = json!({"type": "object", "properties": {"a": {"type": "string"}}});
        let schema = schema(
            json!({
                "a": inner,
                "b": {"type": "array", "items": inner},
                "c": {"x-kubernetes-preserve-unknown-fields": true, "type": "object"},
            }),
            &[],
        );
        let before = object(spec);
        let mut after = before.clone();
        let pruned = schema.prune(&mut after);
        prop_assert_eq!(pruned, !schema.unknown_fields(&before).is_empty());
        prop_assert_eq!(pruned, before != after);
        prop_assert!(schema.unknown_fields(&after).is_empty());
        // Neither walk may trip over a value of the wrong type.
        schema.default(&mut after);
        schema.validate(&after);
    }
}
