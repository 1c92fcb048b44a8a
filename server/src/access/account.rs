//! A user or a token, as a row of the store.
//!
//! ```json
//! {"apiVersion": "access.annals.dev/v1", "kind": "User", "metadata": {"name": "ann", "uid": ".."},
//!  "spec": {"places": [{"role": "viewer", "namespace": "a", "folders": ["f"]}]},
//!  "secret": {"argon2id": ".."}}
//! ```
//!
//! A token has `{"sha256": ".."}`, and `spec.user` if it speaks for a user instead of having
//! places of its own. What is shown to people is the row without its `secret`.

use annals::access::{Place, Role};
use annals::{Collection, Error, Key, Principal, Revision, Write};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::kinds::Cause;
use crate::limits;
use crate::net::{Proof, Row as Named};

/// The group of the rows.
pub(crate) const GROUP: &str = "access.annals.dev";
/// How many places an account has at the most, and how many folders a place.
const SPEC_PLACES_MAX: usize = limits::PLACES;

const SECRET_BYTES: usize = 32;
/// Names that are given to nobody: they stand for others already.
const RESERVED: [&str; 3] = ["admin", "local", "annals"];

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    User,
    Token,
}

/// A user or a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) row: Row,
    pub(crate) name: String,
    /// Whom a token speaks for.
    pub(crate) user: Option<String>,
    pub(crate) places: Vec<Place>,
    /// The hash of the secret as text; empty for none.
    pub(crate) secret: String,
}

impl Row {
    pub(crate) fn resource(self) -> &'static str {
        match self {
            Row::User => "users",
            Row::Token => "tokens",
        }
    }

    pub(crate) fn kind(self) -> &'static str {
        match self {
            Row::User => "User",
            Row::Token => "Token",
        }
    }

    fn secret(self) -> &'static str {
        match self {
            Row::User => "argon2id",
            Row::Token => "sha256",
        }
    }

    /// The rows of this sort.
    pub(crate) fn collection(self) -> Result<Collection, Error> {
        Collection::within(GROUP, self.resource(), "")
    }

    pub(crate) fn key(self, name: &str) -> Result<Key, Error> {
        Key::new(GROUP, self.resource(), "", name)
    }
}

impl Account {
    /// Reads a row; `None` if it is not one.
    pub(crate) fn read(row: Row, revision: &Revision) -> Option<Self> {
        let value: Value = serde_json::from_slice(revision.body()).ok()?;
        let places = value.pointer("/spec/places").unwrap_or(&Value::Null);
        let secret = value.pointer(&format!("/secret/{}", row.secret()));
        Some(Account {
            row,
            name: revision.key().name().to_owned(),
            user: value
                .pointer("/spec/user")
                .and_then(Value::as_str)
                .map(str::to_owned),
            places: places_of(places).ok()?,
            secret: secret
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
        })
    }

    /// By which name the caller is known.
    pub(crate) fn caller(&self) -> String {
        match (&self.row, &self.user) {
            (Row::User, _) => self.name.clone(),
            (Row::Token, Some(user)) => user.clone(),
            (Row::Token, None) => format!("token:{}", self.name),
        }
    }

    /// What a caller who came by this account shows from now on.
    pub(crate) fn proof(&self) -> Proof {
        let row = match self.row {
            Row::User => Named::User(self.name.clone()),
            Row::Token => Named::Token(self.name.clone()),
        };
        Proof {
            row,
            seal: self.secret.as_str().into(),
        }
    }

    fn spec(&self) -> Value {
        let places = self.places.iter().map(|place| {
            let mut shown = json!({"role": place.role.as_str()});
            if let Some(namespace) = &place.namespace {
                shown["namespace"] = json!(namespace);
            }
            if !place.folders.is_empty() {
                shown["folders"] = json!(place.folders);
            }
            shown
        });
        let mut spec = Map::new();
        if let Some(user) = &self.user {
            spec.insert("user".to_owned(), json!(user));
        }
        spec.insert("places".to_owned(), places.collect());
        Value::Object(spec)
    }

    fn body(&self, uid: &str, created: &str) -> Vec<u8> {
        let mut row = json!({
            "apiVersion": format!("{GROUP}/v1"),
            "kind": self.row.kind(),
            "metadata": {"name": self.name, "uid": uid, "creationTimestamp": created},
            "spec": self.spec(),
        });
        if !self.secret.is_empty() {
            row["secret"] = json!({self.row.secret(): self.secret});
        }
        row.to_string().into_bytes()
    }

    /// The write that makes the row.
    pub(crate) fn create(&self, author: &Principal, created: &str) -> Result<Write, Error> {
        let uid = uuid::Uuid::new_v4().to_string();
        let key = self.row.key(&self.name)?;
        Ok(Write::create(key, self.body(&uid, created)).author(author.clone()))
    }

    /// The write that changes the row from this state on.
    pub(crate) fn update(&self, author: &Principal, from: &Revision) -> Result<Write, Error> {
        let old: Value = serde_json::from_slice(from.body()).unwrap_or_default();
        let created = old.pointer("/metadata/creationTimestamp");
        let created = created.and_then(Value::as_str).unwrap_or_default();
        let body = self.body(&from.header().uid, created);
        let write = Write::update(self.row.key(&self.name)?, body);
        Ok(write.if_version(from.version()).author(author.clone()))
    }
}

/// A row as it is shown: without its secret.
pub(crate) fn shown(revision: &Revision) -> Value {
    let mut value: Value = serde_json::from_slice(revision.body()).unwrap_or_default();
    if let Some(row) = value.as_object_mut() {
        let has_secret = row.shift_remove("secret").is_some();
        row.insert("status".to_owned(), json!({"hasSecret": has_secret}));
    }
    value["metadata"]["resourceVersion"] = json!(revision.version().to_string());
    value
}

/// What a request wants of an account: `spec.user` and `spec.places`.
pub(crate) fn spec_of(row: Row, body: &Value) -> Result<(Option<String>, Vec<Place>), Cause> {
    let none = Value::Null;
    let spec = body.get("spec").unwrap_or(&none);
    let places = places_of(spec.get("places").unwrap_or(&none))?;
    let user = match spec.get("user") {
        None | Some(Value::Null) => None,
        Some(Value::String(user)) if row == Row::Token => Some(user.clone()),
        Some(other) => {
            let why = "expected the name of a user, and only for a token";
            return Err(Cause::invalid("spec.user", other, why));
        }
    };
    if user.is_some() && !places.is_empty() {
        let why = "a token speaks for a user or has places of its own, not both";
        return Err(Cause::invalid("spec.places", &json!(places.len()), why));
    }
    Ok((user, places))
}

fn places_of(value: &Value) -> Result<Vec<Place>, Cause> {
    let list = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Array(list) if list.len() <= SPEC_PLACES_MAX => list,
        _ => {
            let why = format!("expected a list of at most {SPEC_PLACES_MAX} places");
            return Err(Cause::invalid("spec.places", &Value::from("..."), &why));
        }
    };
    let read = |(at, place)| place_of(&format!("spec.places[{at}]"), place);
    list.iter().enumerate().map(read).collect()
}

fn place_of(field: &str, value: &Value) -> Result<Place, Cause> {
    let wrong = |part: &str, value: &Value, why: &str| {
        Err(Cause::invalid(&format!("{field}.{part}"), value, why))
    };
    let Some(fields) = value.as_object() else {
        return Err(Cause::invalid(field, value, "expected an object"));
    };
    if let Some(name) = fields
        .keys()
        .find(|name| !["role", "namespace", "folders"].contains(&name.as_str()))
    {
        return wrong(name, &json!(name), "unknown field");
    }
    let none = Value::Null;
    let role = fields.get("role").unwrap_or(&none);
    let Some(Ok(role)) = role.as_str().map(str::parse::<Role>) else {
        return wrong("role", role, "expected viewer, editor or admin");
    };
    let namespace = match fields.get("namespace") {
        None | Some(Value::Null) => None,
        Some(Value::String(name))
            if !name.is_empty() && Key::new("", "namespaces", "", name).is_ok() =>
        {
            Some(name.clone())
        }
        Some(other) => return wrong("namespace", other, "expected the name of a namespace"),
    };
    let folders = match fields.get("folders") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(list)) if list.len() <= SPEC_PLACES_MAX => {
            fn name(value: &Value) -> Option<&str> {
                value.as_str().filter(|name| !name.is_empty())
            }
            let names: Option<Vec<String>> =
                list.iter().map(|it| name(it).map(str::to_owned)).collect();
            match names {
                Some(names) if namespace.is_some() || names.is_empty() => names,
                _ => {
                    let why = "expected names of folders, beside a namespace";
                    return wrong("folders", &json!(list), why);
                }
            }
        }
        Some(_) => {
            let why = format!("expected a list of at most {SPEC_PLACES_MAX} names");
            return wrong("folders", &json!("..."), &why);
        }
    };
    // An empty list would widen the place to the whole namespace.
    if fields.get("folders").is_some_and(Value::is_array) && folders.is_empty() {
        return wrong(
            "folders",
            &json!([]),
            "expected at least one name, or no list",
        );
    }
    Ok(Place {
        role,
        namespace,
        folders,
    })
}

/// Whether an account may have this name.
pub(crate) fn check_name(name: &str) -> Result<(), Cause> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._@-".contains(c);
    let fits = !name.is_empty()
        && name.len() <= limits::NAMESPACE_BYTES
        && name.chars().all(is_plain)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !fits {
        let why = "expected 1 to 63 letters, digits, '.', '_', '@' or '-', the first a letter or a \
                   digit";
        return Err(Cause::invalid("metadata.name", &json!(name), why));
    }
    if RESERVED.contains(&name) || name.starts_with("system") {
        let why = "the name is reserved";
        return Err(Cause::invalid("metadata.name", &json!(name), why));
    }
    Ok(())
}

/// A secret that nobody guesses.
pub(crate) fn random_secret(prefix: &str) -> Result<String, String> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    Ok(format!("{prefix}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes)))
}

#[cfg(test)]
mod tests {
    //! Catches a place that is read as a wider one than its writer meant, and a name that stands
    //! for somebody else.
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written_or_refused() {
        let read = |places: Value| places_of(&places).map_err(|cause| cause.field);
        let place = |namespace: Option<&str>, folders: &[&str]| Place {
            role: Role::Viewer,
            namespace: namespace.map(str::to_owned),
            folders: folders.iter().map(|name| (*name).to_owned()).collect(),
        };
        assert_eq!(
            read(json!([{"role": "viewer", "namespace": "a", "folders": ["f", "g"]}])),
            Ok(vec![place(Some("a"), &["f", "g"])])
        );
        assert_eq!(
            read(json!([{"role": "viewer"}])),
            Ok(vec![place(None, &[])])
        );
        assert_eq!(read(Value::Null), Ok(vec![]));
        for (bad, field) in [
            (json!({}), "spec.places"),
            (json!([1]), "spec.places[0]"),
            (json!([{}]), "spec.places[0].role"),
            (json!([{"role": "owner"}]), "spec.places[0].role"),
            (
                json!([{"role": "viewer", "namespace": ""}]),
                "spec.places[0].namespace",
            ),
            (
                json!([{"role": "viewer", "namespace": "a/b"}]),
                "spec.places[0].namespace",
            ),
            (
                json!([{"role": "viewer", "namespace": "a", "folders": []}]),
                "spec.places[0].folders",
            ),
            (
                json!([{"role": "viewer", "namespace": "a", "folders": [""]}]),
                "spec.places[0].folders",
            ),
            (
                json!([{"role": "viewer", "folders": ["f"]}]),
                "spec.places[0].folders",
            ),
            (
                json!([{"role": "viewer", "folder": "f"}]),
                "spec.places[0].folder",
            ),
        ] {
            assert_eq!(read(bad), Err(field.to_owned()));
        }
        for (count, fits) in [(limits::PLACES, true), (limits::PLACES + 1, false)] {
            let places = vec![json!({"role": "viewer"}); count];
            assert_eq!(read(json!(places)).is_ok(), fits, "{count} places");
            let folders: Vec<String> = (0..count).map(|at| at.to_string()).collect();
            let place = json!({"role": "viewer", "namespace": "a", "folders": folders});
            assert_eq!(read(json!([place])).is_ok(), fits, "{count} folders");
        }
    }

    #[test]
    fn names_are_plain_and_nobody_elses() {
        for name in ["ann", "a.b@c-d_9", "9"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        let long = "x".repeat(64);
        for name in [
            "", "admin", "local", "system:x", "systems", "token:x", "-a", "a b", "a\n", "ä", &long,
        ] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
