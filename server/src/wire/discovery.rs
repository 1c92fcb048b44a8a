//! Discovery: what the server serves, for clients that ask before they act.
//!
//! Plain documents only; clients that prefer the aggregated form take these too. The verbs are
//! the ones that work, because controllers choose kinds by them. There are no subresources.

use serde_json::{Value, json};

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

fn resource(kind: &ServedKind) -> Value {
    let names = &kind.names;
    let mut resource = json!({
        "name": names.plural,
        "singularName": names.singular,
        "namespaced": kind.is_namespaced(),
        "kind": names.kind,
        "verbs": VERBS,
    });
    for (key, words) in [
        ("shortNames", &names.short_names),
        ("categories", &names.categories),
    ] {
        if !words.is_empty() {
            resource[key] = json!(words);
        }
    }
    resource
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
    fn what_is_not_served_is_not_discovered() {
        let kinds = Kinds::built_in().unwrap();
        assert!(group(&kinds, "").is_none());
        assert!(group(&kinds, "apps").is_none());
        assert!(resources(&kinds, "playlist.grafana.app", "v1").is_none());
    }
}
