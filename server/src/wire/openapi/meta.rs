//! The schemas that every document repeats: metadata, lists, `Status`, `DeleteOptions`.
//!
//! Their descriptions are what `kubectl explain` prints for the fields that every object has.

use serde_json::{Map, Value, json};

use super::{DRY_RUN, GRACE, PROPAGATION, reference};

/// What the names of these schemas begin with.
pub(super) const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";

/// The fields that say what an object is.
pub(super) fn type_fields() -> Map<String, Value> {
    let api_version = "The group and version of the schema that the object follows.";
    let kind = "The kind of the object.";
    Map::from_iter([
        (
            "apiVersion".to_owned(),
            json!({"type": "string", "description": api_version}),
        ),
        (
            "kind".to_owned(),
            json!({"type": "string", "description": kind}),
        ),
    ])
}

/// The schemas that all kinds share.
pub(super) fn schemas() -> Map<String, Value> {
    let schemas = [
        ("ObjectMeta", object_meta()),
        ("OwnerReference", owner_reference()),
        ("ManagedFieldsEntry", managed_fields_entry()),
        ("ListMeta", list_meta()),
        ("Status", status()),
        ("DeleteOptions", delete_options()),
        (
            "Patch",
            json!({"type": "object", "description": "A patch, as its media type says."}),
        ),
    ];
    schemas
        .into_iter()
        .map(|(name, schema)| (format!("{META}.{name}"), schema))
        .collect()
}

fn object(description: &str, properties: Value) -> Value {
    json!({"type": "object", "description": description, "properties": properties})
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn time(description: &str) -> Value {
    json!({"type": "string", "format": "date-time", "description": description})
}

fn whole(description: &str) -> Value {
    json!({"type": "integer", "format": "int64", "description": description})
}

fn flag(description: &str) -> Value {
    json!({"type": "boolean", "description": description})
}

fn list_of(items: Value, description: &str) -> Value {
    json!({"type": "array", "items": items, "description": description})
}

fn text_map(description: &str) -> Value {
    json!({"type": "object", "additionalProperties": {"type": "string"},
        "description": description})
}

fn object_meta() -> Value {
    let owner = reference(&format!("{META}.OwnerReference"));
    let entry = reference(&format!("{META}.ManagedFieldsEntry"));
    let properties = json!({
        "name": text("The name of the object, unique within its namespace and kind."),
        "generateName": text("The start of a name that the server completes, if name is empty."),
        "namespace": text("The namespace of the object."),
        "uid": text("The identity of the object, never used again. Set by the server."),
        "resourceVersion": text("The version of the store that wrote the object. Send it back to \
                                 change the object only if nobody else has."),
        "generation": whole("Counts the changes of all but the metadata. Set by the server."),
        "creationTimestamp": time("When the object was created. Set by the server."),
        "deletionTimestamp": time("When deletion was asked for. Set by the server."),
        "deletionGracePeriodSeconds": whole("How long the object may take to go. Set by the \
                                             server."),
        "selfLink": text("Not used."),
        "labels": text_map("Short facts that objects are selected by."),
        "annotations": text_map("Facts that objects are not selected by."),
        "finalizers": list_of(json!({"type": "string"}), "Who must agree before the object is \
                                                          gone."),
        "ownerReferences": list_of(owner, "The objects that this one belongs to."),
        "managedFields": list_of(entry, "Which writer set which fields."),
    });
    object("What every object has.", properties)
}

fn owner_reference() -> Value {
    let properties = json!({
        "apiVersion": text("The group and version of the owner."),
        "kind": text("The kind of the owner."),
        "name": text("The name of the owner."),
        "uid": text("The uid of the owner."),
        "controller": flag("Whether the owner manages the object."),
        "blockOwnerDeletion": flag("Whether the owner waits for the object to go."),
    });
    let mut schema = object("An object that another one belongs to.", properties);
    schema["required"] = json!(["apiVersion", "kind", "name", "uid"]);
    schema["x-kubernetes-map-type"] = json!("atomic");
    schema
}

fn managed_fields_entry() -> Value {
    let properties = json!({
        "manager": text("The name of the writer."),
        "operation": text("How it wrote: Apply or Update."),
        "apiVersion": text("The group and version that the fields are of."),
        "time": time("When it wrote last."),
        "fieldsType": text("The form of fieldsV1."),
        "fieldsV1": {"type": "object", "description": "The fields."},
        "subresource": text("The subresource it wrote through."),
    });
    object("The fields that one writer set.", properties)
}

fn list_meta() -> Value {
    let properties = json!({
        "resourceVersion": text("The version of the store that the list shows."),
        "continue": text("The token of the next page."),
        "remainingItemCount": whole("How many objects come after this page."),
        "selfLink": text("Not used."),
    });
    object("What every list has.", properties)
}

fn status() -> Value {
    let mut properties = type_fields();
    let own = [
        ("metadata", reference(&format!("{META}.ListMeta"))),
        ("status", text("Success or Failure.")),
        ("message", text("What happened, for people.")),
        ("reason", text("What happened, for programs.")),
        (
            "details",
            json!({"type": "object", "description": "What it happened to."}),
        ),
        (
            "code",
            json!({"type": "integer", "format": "int32", "description": "The HTTP code."}),
        ),
    ];
    properties.extend(own.map(|(key, value)| (key.to_owned(), value)));
    object(
        "The outcome of a request that shows no object.",
        Value::Object(properties),
    )
}

fn delete_options() -> Value {
    let preconditions = json!({
        "uid": text("The object must have this uid."),
        "resourceVersion": text("The object must have this version."),
    });
    let mut properties = type_fields();
    let own = [
        ("dryRun", list_of(json!({"type": "string"}), DRY_RUN.2)),
        ("gracePeriodSeconds", whole(GRACE.2)),
        ("propagationPolicy", text(PROPAGATION.2)),
        ("orphanDependents", flag("Old form of propagationPolicy.")),
        ("preconditions", object("What must hold.", preconditions)),
    ];
    properties.extend(own.map(|(key, value)| (key.to_owned(), value)));
    object("How an object is deleted.", Value::Object(properties))
}
