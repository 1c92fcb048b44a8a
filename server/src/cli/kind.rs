//! From the word on the command line to a kind of the server, by discovery.
//!
//! A word is a plural, a singular, a short name or a kind, in any case, and may carry its group:
//! `playlists`, `Playlist`, `playlists.playlist.grafana.app`. When several groups know the word,
//! the first in the server's order wins, the core group before all.

use serde::Deserialize;
use serde_json::Value;

use super::{Exit, Failure};
use crate::client::{Client, Path};

/// More groups than this are not looked into.
const GROUPS_MAX: usize = 1_000;

/// A kind, and where its objects are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) plural: String,
    pub(super) name: String,
    pub(super) is_namespaced: bool,
}

impl Kind {
    /// `group/version`, as in `apiVersion`.
    pub(super) fn api_version(&self) -> String {
        match self.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// `plural.group`, as kubectl prints names.
    pub(super) fn qualified(&self) -> String {
        match self.group.as_str() {
            "" => self.plural.clone(),
            group => format!("{}.{group}", self.plural),
        }
    }

    /// The path of all objects, or of those of one namespace.
    pub(super) fn collection(&self, namespace: Option<&str>) -> Path {
        let root = match self.group.as_str() {
            "" => Path::new("/api"),
            group => Path::new("/apis").part(group),
        };
        let root = root.part(&self.version);
        let root = match namespace {
            Some(namespace) if self.is_namespaced => root.part("namespaces").part(namespace),
            _ => root,
        };
        root.part(&self.plural)
    }
}

/// Finds the kind that `word` means.
pub(super) async fn resolve(client: &Client, word: &str) -> Result<Kind, Failure> {
    let wanted = Wanted::parse(word);
    if wanted.group.is_none_or(|group| group.is_empty())
        && let Some(kind) = look(client, "", "v1", &wanted).await?
    {
        return Ok(kind);
    }
    let groups: Groups = read(client.get(&Path::new("/apis")).await?, "the list of groups")?;
    for group in groups.groups.iter().take(GROUPS_MAX) {
        if wanted.group.is_some_and(|wanted| group.name != wanted) {
            continue;
        }
        let version = &group.preferred_version.version;
        if let Some(kind) = look(client, &group.name, version, &wanted).await? {
            return Ok(kind);
        }
    }
    let message = format!("the server has no kind {word:?} (kubectl api-resources lists them)");
    Err(Failure::new(Exit::NotFound, message))
}

/// Finds the kind that an object names, in the version that it is written in.
pub(super) async fn of_object(
    client: &Client,
    api_version: &str,
    name: &str,
) -> Result<Kind, Failure> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let missing = || {
        let message = format!(
            "the server has no kind {name} in {api_version} (kubectl api-resources lists them)"
        );
        Failure::new(Exit::NotFound, message)
    };
    let all = match resources(client, group, version).await {
        Err(failure) if failure.exit == Exit::NotFound => return Err(missing()),
        all => all?,
    };
    let is_it = |entry: &Resource| entry.kind == name && !entry.name.contains('/');
    let found = all.into_iter().find(is_it).ok_or_else(missing)?;
    Ok(found.kind(group, version))
}

/// Every kind with lists, in the version that the server prefers.
pub(super) async fn all(client: &Client) -> Result<Vec<Kind>, Failure> {
    let mut found = listed(client, "", "v1").await?;
    let groups: Groups = read(client.get(&Path::new("/apis")).await?, "the list of groups")?;
    for group in groups.groups.iter().take(GROUPS_MAX) {
        found.extend(listed(client, &group.name, &group.preferred_version.version).await?);
    }
    Ok(found)
}

async fn listed(client: &Client, group: &str, version: &str) -> Result<Vec<Kind>, Failure> {
    let has_lists = |entry: &Resource| {
        !entry.name.contains('/') && entry.verbs.iter().any(|verb| verb == "list")
    };
    let all = resources(client, group, version).await?.into_iter();
    let kinds = all.filter(has_lists);
    Ok(kinds.map(|entry| entry.kind(group, version)).collect())
}

/// Looks for the kind in one group. A group that cannot be read does not hide the others.
async fn look(
    client: &Client,
    group: &str,
    version: &str,
    wanted: &Wanted<'_>,
) -> Result<Option<Kind>, Failure> {
    let all = match resources(client, group, version).await {
        Ok(all) => all,
        Err(failure) if matches!(failure.exit, Exit::NotFound | Exit::NotReady) => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let found = all.into_iter().find(|entry| wanted.is(entry));
    Ok(found.map(|entry| entry.kind(group, version)))
}

/// What a group has.
async fn resources(client: &Client, group: &str, version: &str) -> Result<Vec<Resource>, Failure> {
    let path = match group {
        "" => Path::new("/api"),
        group => Path::new("/apis").part(group),
    };
    let answer = client.get(&path.part(version)).await?;
    let list: Resources = read(answer, "the list of kinds")?;
    Ok(list.resources)
}

impl Resource {
    fn kind(self, group: &str, version: &str) -> Kind {
        Kind {
            group: group.to_owned(),
            version: version.to_owned(),
            plural: self.name,
            name: self.kind,
            is_namespaced: self.namespaced,
        }
    }
}

fn read<T: for<'a> Deserialize<'a>>(answer: Value, what: &str) -> Result<T, Failure> {
    serde_json::from_value(answer)
        .map_err(|why| Failure::new(Exit::Failed, format!("cannot read {what}: {why}")))
}

/// The word, split at its first dot.
struct Wanted<'a> {
    name: String,
    group: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    fn parse(word: &'a str) -> Self {
        let (name, group) = match word.split_once('.') {
            Some((name, group)) => (name, Some(group)),
            None => (word, None),
        };
        Self {
            name: name.to_lowercase(),
            group,
        }
    }

    fn is(&self, entry: &Resource) -> bool {
        let mut names = [&entry.name, &entry.singular_name, &entry.kind].into_iter();
        // A name with a slash is a part of an object.
        !entry.name.contains('/')
            && (names.any(|name| name.to_lowercase() == self.name)
                || entry.short_names.contains(&self.name))
    }
}

#[derive(Deserialize)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    name: String,
    preferred_version: GroupVersion,
}

#[derive(Deserialize)]
struct GroupVersion {
    version: String,
}

#[derive(Deserialize)]
struct Resources {
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    name: String,
    #[serde(default)]
    singular_name: String,
    #[serde(default)]
    namespaced: bool,
    kind: String,
    #[serde(default)]
    short_names: Vec<String>,
    #[serde(default)]
    verbs: Vec<String>,
}

#[cfg(test)]
mod tests {
    //! Catches a word that finds the wrong kind, and objects looked for under a wrong path.
    use super::*;

    #[test]
    fn any_name_of_a_kind_will_do() {
        let entry = |name: &str| Resource {
            name: name.to_owned(),
            singular_name: "configmap".into(),
            namespaced: true,
            kind: "ConfigMap".into(),
            short_names: vec!["cm".into()],
            verbs: Vec::new(),
        };
        for (word, expected) in [
            ("configmaps", true),
            ("configmap", true),
            ("ConfigMap", true),
            ("cm", true),
            ("CM", true),
            ("configmaps.group", true),
            ("config", false),
            ("", false),
        ] {
            assert_eq!(
                Wanted::parse(word).is(&entry("configmaps")),
                expected,
                "{word}"
            );
            assert!(
                !Wanted::parse(word).is(&entry("configmaps/status")),
                "{word}"
            );
        }
    }

    #[test]
    fn paths() {
        let mut kind = Kind {
            group: "g.test".into(),
            version: "v2".into(),
            plural: "things".into(),
            name: "Thing".into(),
            is_namespaced: true,
        };
        let path = |kind: &Kind, namespace| kind.collection(namespace).to_string();
        assert_eq!(
            path(&kind, Some("ns")),
            "/apis/g.test/v2/namespaces/ns/things"
        );
        assert_eq!(path(&kind, None), "/apis/g.test/v2/things");
        kind.is_namespaced = false;
        assert_eq!(path(&kind, Some("ns")), "/apis/g.test/v2/things");
        kind.group = String::new();
        assert_eq!(path(&kind, None), "/api/v2/things");
        assert_eq!(
            (kind.qualified(), kind.api_version()),
            ("things".into(), "v2".into())
        );
    }
}
