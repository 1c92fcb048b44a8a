//! The registry: all served kinds, found by group, version and resource.
//!
//! Made once at the start from the manifests in the binary, then shared and never changed. The
//! order of the manifests is the order in which clients prefer groups. Invariant: a resource name
//! or kind is there at most once in its group.

use super::{KindVersion, ManifestError, ServedKind};

/// All served kinds.
#[derive(Debug, Clone)]
pub struct Kinds {
    kinds: Vec<ServedKind>,
}

/// A kind and the version it was asked for in.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// The kind.
    pub kind: &'a ServedKind,
    /// The version.
    pub version: &'a KindVersion,
}

impl Found<'_> {
    /// The `apiVersion` of objects as this version shows them.
    pub fn api_version(&self) -> String {
        self.kind.api_version(&self.version.name)
    }
}

/// An API group and its served versions, the preferred one first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group<'a> {
    /// The name; empty for the core group.
    pub name: &'a str,
    /// Served versions in order of preference; never empty.
    pub versions: Vec<&'a str>,
}

const BUILT_IN: [&str; 4] = [
    include_str!("../../kinds/namespace.yaml"),
    include_str!("../../kinds/dashboard.yaml"),
    include_str!("../../kinds/folder.yaml"),
    include_str!("../../kinds/playlist.yaml"),
];

impl Kinds {
    /// The kinds that are part of the binary.
    pub fn built_in() -> Result<Self, ManifestError> {
        let mut kinds = Self { kinds: Vec::new() };
        for manifest in BUILT_IN {
            kinds.add(ServedKind::from_manifest(manifest)?)?;
        }
        Ok(kinds)
    }

    /// Adds a kind; its resource and kind must be new in its group.
    pub fn add(&mut self, kind: ServedKind) -> Result<(), ManifestError> {
        let same_group = || self.kinds.iter().filter(|other| other.group == kind.group);
        if same_group().any(|other| other.names.plural == kind.names.plural) {
            return Err(ManifestError::new(
                "spec.names.plural",
                "a name that is new in its group",
            ));
        }
        if same_group().any(|other| other.names.kind == kind.names.kind) {
            return Err(ManifestError::new(
                "spec.names.kind",
                "a name that is new in its group",
            ));
        }
        self.kinds.push(kind);
        Ok(())
    }

    /// The kind with this resource name, in a version that is served.
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<Found<'_>> {
        let kind = self.kind(group, plural)?;
        let version = kind.version(version).filter(|version| version.served)?;
        Some(Found { kind, version })
    }

    /// The kind with this resource name, whatever its versions.
    pub fn kind(&self, group: &str, plural: &str) -> Option<&ServedKind> {
        self.kinds
            .iter()
            .find(|kind| kind.group == group && kind.names.plural == plural)
    }

    /// All kinds, in the order of their manifests.
    pub fn iter(&self) -> impl Iterator<Item = &ServedKind> {
        self.kinds.iter()
    }

    /// The kinds served in one group and version.
    pub fn in_version<'a>(
        &'a self,
        group: &'a str,
        version: &'a str,
    ) -> impl Iterator<Item = Found<'a>> {
        self.kinds
            .iter()
            .filter(move |kind| kind.group == group)
            .filter_map(move |kind| {
                let version = kind.version(version).filter(|version| version.served)?;
                Some(Found { kind, version })
            })
    }

    /// All groups with a served version, in order of preference.
    pub fn groups(&self) -> Vec<Group<'_>> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        for kind in &self.kinds {
            for version in kind.versions.iter().filter(|version| version.served) {
                let place = groups.iter().position(|group| group.name == kind.group);
                let place = place.unwrap_or_else(|| {
                    groups.push(Group {
                        name: &kind.group,
                        versions: Vec::new(),
                    });
                    groups.len() - 1
                });
                if !groups[place].versions.contains(&version.name.as_str()) {
                    groups[place].versions.push(&version.name);
                }
            }
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    //! Catches a built-in kind that is broken, or that cannot be found by the name clients use.

    use super::*;

    #[test]
    fn the_built_in_kinds_are_found_in_each_served_version() {
        let kinds = Kinds::built_in().unwrap();
        for (group, version, plural, kind) in [
            ("", "v1", "namespaces", "Namespace"),
            (
                "dashboard.grafana.app",
                "v1beta1",
                "dashboards",
                "Dashboard",
            ),
            (
                "dashboard.grafana.app",
                "v0alpha1",
                "dashboards",
                "Dashboard",
            ),
            ("folder.grafana.app", "v1beta1", "folders", "Folder"),
            ("playlist.grafana.app", "v0alpha1", "playlists", "Playlist"),
        ] {
            let found = kinds.find(group, version, plural).unwrap();
            assert_eq!(found.kind.names.kind, kind);
            assert_eq!(found.kind.is_namespaced(), kind != "Namespace");
        }
        assert!(
            kinds
                .find("playlist.grafana.app", "v1", "playlists")
                .is_none()
        );
        assert!(
            kinds
                .find("playlist.grafana.app", "v0alpha1", "playlist")
                .is_none()
        );
        assert!(kinds.find("", "v0alpha1", "playlists").is_none());
        let dashboards = kinds.kind("dashboard.grafana.app", "dashboards").unwrap();
        assert_eq!(dashboards.storage().name, "v1beta1");
        assert_eq!(dashboards.search_fields.len(), 3);
    }

    #[test]
    fn groups_come_in_order_with_the_preferred_version_first() {
        let kinds = Kinds::built_in().unwrap();
        let groups = kinds.groups();
        let names: Vec<_> = groups.iter().map(|group| group.name).collect();
        assert_eq!(
            names,
            [
                "",
                "dashboard.grafana.app",
                "folder.grafana.app",
                "playlist.grafana.app"
            ]
        );
        assert_eq!(groups[1].versions, ["v1beta1", "v0alpha1"]);
    }

    #[test]
    fn a_kind_cannot_be_added_twice() {
        let mut kinds = Kinds::built_in().unwrap();
        let again = kinds.kind("folder.grafana.app", "folders").unwrap().clone();
        assert!(
            kinds
                .add(again)
                .unwrap_err()
                .to_string()
                .contains("spec.names.plural")
        );
    }
}
