//! What a path means.
//!
//! ```text
//! /api /apis /apis/G                                     which groups and versions there are
//! /api/v1 /apis/G/V                                      which resources a version has
//! /api/v1/R[/NAME]  /apis/G/V/R[/NAME]                   cluster scope, or all namespaces
//! .../namespaces/NS/R[/NAME]                             one namespace
//! /openapi/v3[/api/v1 | /openapi/v3/apis/G/V]            schemas
//! /apis/search.annals.dev/v1/namespaces/NS/search        search in one namespace
//! /apis/search.annals.dev/v1/index[/rebuild]             the state of the index
//! /apis/store.annals.dev/v1/check                        whether the store is whole
//! /apis/store.annals.dev/v1/compact                      how far back a kind can be read
//! /apis/history.annals.dev/v1/namespaces/NS/G/R/NAME     the revisions of an object; G may be core
//! /apis/store.annals.dev/v1/backup                       a piece of a backup, as a stream
//! /apis/access.annals.dev/v1/users[/NAME[/password]]     users; tokens are as users
//! /apis/authorization.k8s.io/v1/selfsubjectaccessreviews   what the caller may do
//! /apis/authentication.k8s.io/v1/selfsubjectreviews        who the caller is
//! /metrics
//! ```
//!
//! Parts are percent-decoded one by one, so an encoded slash never becomes a separator.

use crate::access::{GROUP as ACCESS_GROUP, Row};

const SEARCH_GROUP: &str = "search.annals.dev";
const STORE_GROUP: &str = "store.annals.dev";
const HISTORY_GROUP: &str = "history.annals.dev";
/// How the core group is named where a path must name it.
pub(super) const CORE: &str = "core";

/// What a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// `/api`
    CoreVersions,
    /// `/apis`
    Groups,
    /// `/apis/G`
    Group(String),
    /// `/api/v1`, `/apis/G/V`
    Resources { group: String, version: String },
    /// `/openapi/v3`
    OpenApi,
    /// `/openapi/v3/...`: a group version
    OpenApiOf { group: String, version: String },
    /// A collection or an object.
    Resource(Target),
    /// `.../search`
    Search { namespace: String },
    /// `.../index`
    Index,
    /// `.../index/rebuild`
    IndexRebuild,
    /// `/apis/store.annals.dev/v1/check`
    Check,
    /// `/apis/store.annals.dev/v1/compact`
    Compact,
    /// The revisions of an object.
    History {
        namespace: String,
        group: String,
        resource: String,
        name: String,
    },
    /// `.../backup`
    Backup,
    /// Users or tokens, or one of them.
    Accounts { row: Row, name: Option<String> },
    /// The password of a user.
    Password { user: String },
    /// What a caller asks about itself.
    Review(Review),
    /// `/metrics`
    Metrics,
}

/// What a caller asks about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Review {
    /// What it may do.
    Access,
    /// Who it is.
    Subject,
}

/// Users and tokens.
fn rows(resource: &str) -> Option<Row> {
    [Row::User, Row::Token]
        .into_iter()
        .find(|row| row.resource() == resource)
}

/// A collection, or an object in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The group; empty for the core group.
    pub(super) group: String,
    /// The version.
    pub(super) version: String,
    /// The namespace, if the path names one.
    pub(super) namespace: Option<String>,
    /// The plural name of the kind.
    pub(super) resource: String,
    /// The object, if the path names one.
    pub(super) name: Option<String>,
}

impl Route {
    /// Reads a path; `None` if it means nothing.
    pub(super) fn parse(path: &str) -> Option<Route> {
        let parts: Vec<String> = path
            .strip_prefix('/')?
            .split('/')
            .map(decode)
            .collect::<Option<_>>()?;
        let mut parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        // A slash at the end is forgiven, as kube-apiserver does for its roots.
        if parts.last() == Some(&"") {
            parts.pop();
        }
        let own = |text: &str| text.to_owned();
        match parts.as_slice() {
            ["api"] => Some(Route::CoreVersions),
            ["apis"] => Some(Route::Groups),
            ["metrics"] => Some(Route::Metrics),
            ["openapi", "v3"] => Some(Route::OpenApi),
            ["openapi", "v3", "api", version] => Some(Route::OpenApiOf {
                group: String::new(),
                version: own(version),
            }),
            ["openapi", "v3", "apis", group, version] => Some(Route::OpenApiOf {
                group: own(group),
                version: own(version),
            }),
            [
                "apis",
                SEARCH_GROUP,
                "v1",
                "namespaces",
                namespace,
                "search",
            ] => Some(Route::Search {
                namespace: own(namespace),
            }),
            ["apis", STORE_GROUP, "v1", "backup"] => Some(Route::Backup),
            ["apis", SEARCH_GROUP, "v1", "index"] => Some(Route::Index),
            ["apis", SEARCH_GROUP, "v1", "index", "rebuild"] => Some(Route::IndexRebuild),
            ["apis", STORE_GROUP, "v1", "check"] => Some(Route::Check),
            ["apis", STORE_GROUP, "v1", "compact"] => Some(Route::Compact),
            [
                "apis",
                HISTORY_GROUP,
                "v1",
                "namespaces",
                namespace,
                group,
                resource,
                name,
            ] => {
                let group = if *group == CORE { "" } else { group };
                let (namespace, resource, name) = (own(namespace), own(resource), own(name));
                Some(Route::History {
                    namespace,
                    group: own(group),
                    resource,
                    name,
                })
            }
            ["apis", HISTORY_GROUP, "v1", group, resource, name] => {
                let group = if *group == CORE { "" } else { group };
                let (namespace, resource, name) = (String::new(), own(resource), own(name));
                Some(Route::History {
                    namespace,
                    group: own(group),
                    resource,
                    name,
                })
            }
            ["apis", ACCESS_GROUP, "v1", resource] => {
                let (row, name) = (rows(resource)?, None);
                Some(Route::Accounts { row, name })
            }
            ["apis", ACCESS_GROUP, "v1", resource, name] => {
                let (row, name) = (rows(resource)?, Some(own(name)));
                Some(Route::Accounts { row, name })
            }
            ["apis", ACCESS_GROUP, "v1", "users", user, "password"] => {
                Some(Route::Password { user: own(user) })
            }
            [
                "apis",
                "authorization.k8s.io",
                "v1",
                "selfsubjectaccessreviews",
            ] => Some(Route::Review(Review::Access)),
            ["apis", "authentication.k8s.io", "v1", "selfsubjectreviews"] => {
                Some(Route::Review(Review::Subject))
            }
            ["apis", group] => Some(Route::Group(own(group))),
            ["api", version] => Some(Route::Resources {
                group: String::new(),
                version: own(version),
            }),
            ["apis", group, version] => Some(Route::Resources {
                group: own(group),
                version: own(version),
            }),
            ["api", version, rest @ ..] => Target::parse("", version, rest),
            ["apis", group, version, rest @ ..] => Target::parse(group, version, rest),
            _ => None,
        }
    }
}

impl Target {
    fn parse(group: &str, version: &str, rest: &[&str]) -> Option<Route> {
        // `namespaces/x` is the namespace itself; with more behind it, what is in the namespace.
        let (namespace, resource, name) = match rest {
            ["namespaces"] => (None, "namespaces", None),
            ["namespaces", name] => (None, "namespaces", Some(name)),
            ["namespaces", namespace, resource] => (Some(namespace), *resource, None),
            ["namespaces", namespace, resource, name] => (Some(namespace), *resource, Some(name)),
            [resource] => (None, *resource, None),
            [resource, name] => (None, *resource, Some(name)),
            _ => return None,
        };
        let own = |text: &&str| (*text).to_owned();
        Some(Route::Resource(Target {
            group: group.to_owned(),
            version: version.to_owned(),
            namespace: namespace.map(own),
            resource: resource.to_owned(),
            name: name.map(own),
        }))
    }
}

/// Undoes the percent-encoding of one part of a path.
fn decode(part: &str) -> Option<String> {
    let mut bytes = part.bytes();
    let mut out = Vec::with_capacity(part.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    //! Catches a path that is read as another object than the one it names.
    use super::*;

    fn target(path: &str) -> Option<(String, Option<String>, String, Option<String>)> {
        match Route::parse(path)? {
            Route::Resource(target) => {
                let group = format!("{}/{}", target.group, target.version);
                Some((group, target.namespace, target.resource, target.name))
            }
            _ => None,
        }
    }

    #[test]
    fn each_path_names_one_thing() {
        let some = |text: &str| Some(text.to_owned());
        let cases = [
            ("/api/v1/namespaces", ("/v1", None, "namespaces", None)),
            (
                "/api/v1/namespaces/a",
                ("/v1", None, "namespaces", some("a")),
            ),
            ("/apis/g/v1/things", ("g/v1", None, "things", None)),
            ("/apis/g/v1/things/", ("g/v1", None, "things", None)),
            ("/apis/g/v1/things/x", ("g/v1", None, "things", some("x"))),
            (
                "/apis/g/v1/namespaces/n/things",
                ("g/v1", some("n"), "things", None),
            ),
            (
                "/apis/g/v1/namespaces/n/things/x%2Fy",
                ("g/v1", some("n"), "things", some("x/y")),
            ),
        ];
        for (path, (group, namespace, resource, name)) in cases {
            let expected = (group.to_owned(), namespace, resource.to_owned(), name);
            assert_eq!(target(path), Some(expected), "{path}");
        }
        let nothing = [
            "",
            "/",
            "//",
            "/nothing",
            "/api/v1/things/x/status",
            "/apis/g/v1/namespaces/n/t/x/y",
            "/apis/g/v1/things/%",
            "/apis/g/v1/things/%zz",
            "/apis/g/v1/things/%ff",
        ];
        for path in nothing {
            assert_eq!(Route::parse(path), None, "{path}");
        }
        assert_eq!(
            Route::parse("/apis/history.annals.dev/v1/namespaces/n/core/things/x"),
            Some(Route::History {
                namespace: "n".into(),
                group: String::new(),
                resource: "things".into(),
                name: "x".into(),
            })
        );
    }
}
