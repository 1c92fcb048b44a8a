//! A part of the store as people write it: `RESOURCE[.GROUP][/NAMESPACE]`.
//!
//! Called by rules of retention and by `compact`. The kind is one that this program serves: a slip
//! of the pen would mean nothing, and be noticed when the disk is full.

use std::fmt;
use std::str::FromStr;

use annals::Collection;

use crate::kinds::{Kinds, ServedKind};

/// A kind, in one namespace or in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) group: String,
    pub(super) resource: String,
    pub(super) namespace: Option<String>,
    pub(super) collection: Collection,
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, namespace) = match text.split_once('/') {
            Some((name, namespace)) => (name, Some(namespace)),
            None => (text, None),
        };
        let kinds = Kinds::built_in().map_err(|error| error.to_string())?;
        let found = kinds.iter().find(|kind| ServedKind::resource(kind) == name);
        let kind = found.ok_or_else(|| {
            let names: Vec<String> = kinds.iter().map(ServedKind::resource).collect();
            format!("{name:?}: no such kind; there are {}", names.join(", "))
        })?;
        let (group, resource) = (kind.group.clone(), kind.names.plural.clone());
        let collection = match namespace {
            Some("") => Err(format!("{text:?}: expected a namespace behind the slash"))?,
            Some(_) if !kind.is_namespaced() => Err(format!(
                "{text:?}: expected {name} alone, which has no namespaces"
            ))?,
            Some(namespace) => Collection::within(&group, &resource, namespace),
            None if kind.is_namespaced() => Collection::of(&group, &resource),
            None => Collection::within(&group, &resource, ""),
        };
        Ok(Scope {
            group,
            resource,
            namespace: namespace.map(str::to_owned),
            collection: collection.map_err(|error| error.to_string())?,
        })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.resource)?;
        for (mark, part) in [(".", Some(&self.group)), ("/", self.namespace.as_ref())] {
            if let Some(part) = part.filter(|part| !part.is_empty()) {
                write!(f, "{mark}{part}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    //! Catches a scope that is read as another one, or that holds for nothing.
    use super::*;

    #[test]
    fn a_scope_is_one_collection() {
        let (group, resource) = ("dashboard.grafana.app", "dashboards");
        for (text, expected) in [
            (
                "dashboards.dashboard.grafana.app",
                Collection::of(group, resource),
            ),
            (
                "dashboards.dashboard.grafana.app/team-a",
                Collection::within(group, resource, "team-a"),
            ),
            ("namespaces", Collection::within("", "namespaces", "")),
        ] {
            let scope: Scope = text.parse().unwrap();
            assert_eq!(scope.collection, expected.unwrap(), "{text}");
            assert_eq!(scope.to_string(), text);
        }
    }

    #[test]
    fn says_what_was_expected() {
        for (text, part) in [
            (
                "",
                "no such kind; there are namespaces, dashboards.dashboard.grafana.app",
            ),
            ("dashboards", "dashboards.dashboard.grafana.app"),
            ("dashboards.dashboard.grafana.app/", "behind the slash"),
            ("dashboards.dashboard.grafana.app/A_b c", "namespace"),
            ("namespaces/a", "no namespaces"),
        ] {
            let told = text.parse::<Scope>().unwrap_err();
            assert!(told.contains(part), "{text}: {told}");
        }
    }
}
