//! Discovery: what the server serves, for clients that ask before they act.
//!
//! Plain documents, one for each group version; and the aggregated form, in which `/api` and
//! `/apis` each say everything below them, so that a client asks twice and not once for each group
//! version. Both name the same things. The verbs are the ones that work, because controllers choose
//! kinds by them. There are no subresources.

use serde_json::{Value, json};

use super::accept::DiscoveryVersion;
use crate::kinds::{Found, Group, Kinds, ServedKind};

/// What can be done with every kind.
pub const VERBS: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// `/api`: the versions of the core group.
pub fn core_versions(kinds: &Kinds) -> Value {
    let core = kinds
        .groups()
        .into_iter()
        .find(|group| group.name.is_empty());
    let versions = core.map(|group| group.versions).unwrap_or_default();
    json!({"kind": "APIVersions", "versions": versions, "serverAddressByClientCIDRs": []})
}

/// `/apis`: all groups but the core group.
pub fn groups(kinds: &Kinds) -> Value {
    let groups = kinds.groups();
    let named = groups.iter().filter(|group| !group.name.is_empty());
    let groups: Vec<Value> = named.map(group_fields).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/G`: one group.
pub fn group(kinds: &Kinds, name: &str) -> Option<Value> {
    let groups = kinds.groups();
    let group = groups
        .iter()
        .find(|group| group.name == name && !name.is_empty())?;
    let mut document = json!({"kind": "APIGroup", "apiVersion": "v1"});
    if let (Value::Object(document), Value::Object(fields)) = (&mut document, group_fields(group)) {
        document.extend(fields);
    }
    Some(document)
}

fn group_fields(group: &Group<'_>) -> Value {
    let version = |version: &&str| {
        let group_version = format!("{}/{version}", group.name);
        json!({"groupVersion": group_version, "version": version})
    };
    let versions: Vec<Value> = group.versions.iter().map(version).collect();
    json!({"name": group.name, "preferredVersion": versions[0], "versions": versions})
}

/// `/apis/G/V` and `/api/v1`: the resources of one version of a group.
pub fn resources(kinds: &Kinds, group: &str, version: &str) -> Option<Value> {
    let found: Vec<Found<'_>> = kinds.in_version(group, version).collect();
    let group_version = found.first()?.api_version();
    let resources: Vec<Value> = found.iter().map(|found| resource(found.kind)).collect();
    Some(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": resources,
    }))
}

/// `/api` in the aggregated form: the core group alone.
pub fn core_aggregated(kinds: &Kinds, version: DiscoveryVersion) -> Value {
    aggregated(kinds, version, |group| group.name.is_empty())
}

/// `/apis` in the aggregated form: all groups but the core group.
pub fn groups_aggregated(kinds: &Kinds, version: DiscoveryVersion) -> Value {
    aggregated(kinds, version, |group| !group.name.is_empty())
}

fn aggregated(
    kinds: &Kinds,
    version: DiscoveryVersion,
    is_wanted: impl Fn(&Group<'_>) -> bool,
) -> Value {
    let groups = kinds.groups();
    let wanted = groups.iter().filter(|group| is_wanted(group));
    let items: Vec<Value> = wanted.map(|group| group_aggregated(kinds, group)).collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": version.api_version(),
        "metadata": {},
        "items": items,
    })
}

/// A group with its versions, the preferred one first.
fn group_aggregated(kinds: &Kinds, group: &Group<'_>) -> Value {
    let version = |version: &&str| {
        let found = kinds.in_version(group.name, version);
        let resources: Vec<Value> = found.map(resource_aggregated).collect();
        json!({"version": version, "resources": resources, "freshness": "Current"})
    };
    let versions: Vec<Value> = group.versions.iter().map(version).collect();
    // The core group has no name at all.
    let metadata = match group.name {
        "" => json!({"creationTimestamp": null}),
        name => json!({"name": name, "creationTimestamp": null}),
    };
    json!({"metadata": metadata, "versions": versions})
}

fn resource_aggregated(found: Found<'_>) -> Value {
    let names = &found.kind.names;
    let scope = if found.kind.is_namespaced() {
        "Namespaced"
    } else {
        "Cluster"
    };
    let mut resource = json!({
        "resource": names.plural,
        "responseKind": {
            "group": found.kind.group,
            "version": found.version.name,
            "kind": names.kind,
        },
        "scope": scope,
        "singularResource": names.singular,
        "verbs": VERBS,
    });
    add_words(&mut resource, found.kind);
    resource
}

fn resource(kind: &ServedKind) -> Value {
    let names = &kind.names;
    let mut resource = json!({
        "name": names.plural,
        "singularName": names.singular,
        "namespaced": kind.is_namespaced(),
        "kind": names.kind,
        "verbs": VERBS,
    });
    add_words(&mut resource, kind);
    resource
}

/// The words by which people name a kind, where there are any.
fn add_words(resource: &mut Value, kind: &ServedKind) {
    for (key, words) in [
        ("shortNames", &kind.names.short_names),
        ("categories", &kind.names.categories),
    ] {
        if !words.is_empty() {
            resource[key] = json!(words);
        }
    }
}

#[cfg(test)]
mod tests {
    //! Catches a kind that clients cannot discover, or find with wrong facts.

    use super::*;

    #[test]
    fn every_kind_is_discovered() {
        let kinds = Kinds::built_in().unwrap();
        assert_eq!(core_versions(&kinds)["versions"], json!(["v1"]));
        let list = groups(&kinds);
        let names: Vec<_> = list["groups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|group| &group["name"])
            .collect();
        assert_eq!(
            names,
            [
                "dashboard.grafana.app",
                "folder.grafana.app",
                "playlist.grafana.app"
            ]
        );
        let dashboards = group(&kinds, "dashboard.grafana.app").unwrap();
        assert_eq!(dashboards["kind"], "APIGroup");
        assert_eq!(
            dashboards["preferredVersion"]["groupVersion"],
            "dashboard.grafana.app/v1beta1"
        );
        assert_eq!(dashboards["versions"][1]["version"], "v0alpha1");
        let core = resources(&kinds, "", "v1").unwrap();
        assert_eq!(core["groupVersion"], "v1");
        let namespaces = json!({"name": "namespaces", "singularName": "namespace",
            "namespaced": false, "kind": "Namespace", "verbs": VERBS, "shortNames": ["ns"]});
        assert_eq!(core["resources"], json!([namespaces]));
        let playlists = resources(&kinds, "playlist.grafana.app", "v0alpha1").unwrap();
        assert_eq!(playlists["resources"][0]["namespaced"], true);
        assert_eq!(
            playlists["resources"][0]["categories"],
            json!(["all", "grafana"])
        );
    }

    #[test]
    fn the_aggregated_form_says_what_the_plain_documents_say() {
        let kinds = Kinds::built_in().unwrap();
        for version in [DiscoveryVersion::V2, DiscoveryVersion::V2Beta1] {
            let core = core_aggregated(&kinds, version);
            let named = groups_aggregated(&kinds, version);
            let of = |list: &Value| list["items"].as_array().unwrap().clone();
            let mut told = Vec::new();
            for item in of(&core).iter().chain(&of(&named)) {
                assert_eq!(core["apiVersion"], version.api_version());
                let group = item["metadata"]["name"].as_str().unwrap_or_default();
                for in_version in item["versions"].as_array().unwrap() {
                    let version = in_version["version"].as_str().unwrap();
                    assert_eq!(in_version["freshness"], "Current");
                    let plain = resources(&kinds, group, version).unwrap();
                    let plain = plain["resources"].as_array().unwrap();
                    let resources = in_version["resources"].as_array().unwrap();
                    assert_eq!(plain.len(), resources.len(), "{group}/{version}");
                    for (plain, told) in plain.iter().zip(resources) {
                        assert_eq!(told["resource"], plain["name"]);
                        assert_eq!(told["singularResource"], plain["singularName"]);
                        assert_eq!(told["scope"] == "Namespaced", plain["namespaced"] == true);
                        let kind = json!({"group": group, "version": version,
                            "kind": plain["kind"]});
                        assert_eq!(told["responseKind"], kind);
                        for same in ["verbs", "shortNames", "categories"] {
                            assert_eq!(told[same], plain[same], "{same}");
                        }
                    }
                    told.push(format!("{group}/{version}"));
                }
            }
            let mut all = vec!["/v1".to_owned()];
            for group in groups(&kinds)["groups"].as_array().unwrap() {
                let versions = group["versions"].as_array().unwrap().iter();
                all.extend(versions.map(|v| v["groupVersion"].as_str().unwrap().to_owned()));
            }
            assert_eq!(told, all);
            assert_eq!(of(&core)[0]["metadata"].get("name"), None);
        }
    }

    #[test]
    fn what_is_not_served_is_not_discovered() {
        let kinds = Kinds::built_in().unwrap();
        assert!(group(&kinds, "").is_none());
        assert!(group(&kinds, "apps").is_none());
        assert!(resources(&kinds, "playlist.grafana.app", "v1").is_none());
    }
}
