//! The query parameters of requests as typed, checked values.
//!
//! [`Query`] decodes the query string; each request type then takes the parameters it knows and
//! ignores the rest, as Kubernetes does. A parameter that cannot be read is a 400, one that can be
//! read but is not allowed is a 422 with the words of Kubernetes. Label selectors are only limited
//! in length here: the library parses them.

mod delete;
mod fields;

#[cfg(test)]
mod tests;

use annals::FieldTest;
use serde_json::Value;

pub use delete::{DeleteOptions, Propagation};

use super::status::Status;
use crate::kinds::Cause;
use crate::limits;

/// A decoded query string.
#[derive(Debug, Clone, Default)]
pub struct Query(Vec<(String, String)>);

/// How a list treats its `resourceVersion`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionMatch {
    /// The caller does not say.
    Unset,
    /// The state at exactly this version.
    Exact,
    /// The state at this version or a later one.
    NotOlderThan,
}

/// How much of each object the rows of a table hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IncludeObject {
    /// Nothing.
    None,
    /// The metadata.
    #[default]
    Metadata,
    /// All of it.
    Object,
}

/// What happens to fields that are unknown or repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldValidation {
    /// They are dropped in silence.
    Ignore,
    /// They are dropped, and the answer has a warning for each.
    Warn,
    /// The request fails.
    Strict,
}

/// The parameters of a get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetQuery {
    /// The object must not be older than this; 0 and nothing are both "the newest".
    pub resource_version: Option<u64>,
    /// For tables.
    pub include_object: IncludeObject,
}

/// The parameters of a list, a watch or a deletecollection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListQuery {
    /// The page size, at most [`limits::PAGE_ITEMS_MAX`]; `None` asks for everything.
    pub limit: Option<usize>,
    /// Where the page before ended.
    pub continue_token: Option<String>,
    /// The label selector as it came; may be empty.
    pub label_selector: String,
    /// The field selector.
    pub field_selector: Vec<FieldTest>,
    /// The version, where one is given.
    pub resource_version: Option<u64>,
    /// How the version is meant.
    pub version_match: VersionMatch,
    /// Whether this is a watch.
    pub watch: bool,
    /// Whether the watch may send bookmarks.
    pub allow_watch_bookmarks: bool,
    /// Whether the watch begins with the objects that are there, where the caller says.
    pub send_initial_events: Option<bool>,
    /// How long the watch stays open.
    pub timeout_seconds: Option<u64>,
    /// For tables.
    pub include_object: IncludeObject,
}

/// The parameters of a create, an update or a patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteQuery {
    /// Whether nothing is to be stored.
    pub dry_run: bool,
    /// Who writes, for managed fields.
    pub field_manager: Option<String>,
    /// What happens to unknown fields.
    pub field_validation: FieldValidation,
    /// For tables.
    pub include_object: IncludeObject,
}

impl Query {
    /// Decodes the part of a URL after the question mark.
    pub fn parse(text: &str) -> Result<Self, Status> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let bad = || {
                Status::bad_request(format!(
                    "query parameter {key:?}: expected percent-encoded UTF-8"
                ))
            };
            Ok((decode(key).ok_or_else(bad)?, decode(value).ok_or_else(bad)?))
        });
        Ok(Self(pairs.collect::<Result<_, Status>>()?))
    }

    /// The first value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether a write is a dry run, or asks for one in a way that is refused: an empty value is none,
    /// as in [`Query::write`].
    pub fn is_dry_run(&self) -> bool {
        self.all("dryRun").any(|value| !value.is_empty())
    }

    /// All values of a parameter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The names of the parameters, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// A parameter that has a value; an empty one counts as absent.
    fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// The parameters of a get.
    pub fn get_object(&self) -> Result<GetQuery, Status> {
        Ok(GetQuery {
            resource_version: self.number("resourceVersion")?,
            include_object: self.include_object()?,
        })
    }

    /// The parameters of a list, a watch or a deletecollection.
    pub fn list(&self) -> Result<ListQuery, Status> {
        let watch = self.flag("watch").unwrap_or(false);
        let causes = if watch {
            self.watch_causes()
        } else {
            self.list_causes()
        };
        if !causes.is_empty() {
            return Err(Status::invalid_options("ListOptions", &causes));
        }
        let resource_version = self.number("resourceVersion")?;
        let continue_token = self
            .short("continue", limits::CONTINUE_BYTES)?
            .map(str::to_owned);
        if continue_token.is_some() && resource_version.is_some_and(|version| version > 0) {
            let message = "specifying resource version is not allowed when using continue";
            return Err(Status::bad_request(message));
        }
        let limit = self.number("limit")?.filter(|limit| *limit > 0);
        let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let by_field = self.short("fieldSelector", limits::SELECTOR_BYTES)?;
        let labels = self.short("labelSelector", limits::SELECTOR_BYTES)?;
        Ok(ListQuery {
            limit: limit.map(|limit| limit.min(limits::PAGE_ITEMS_MAX)),
            continue_token,
            label_selector: labels.unwrap_or_default().to_owned(),
            field_selector: fields::parse(by_field.unwrap_or_default())?,
            resource_version,
            version_match: match self.filled("resourceVersionMatch") {
                Some("Exact") => VersionMatch::Exact,
                Some(_) => VersionMatch::NotOlderThan,
                None => VersionMatch::Unset,
            },
            watch,
            allow_watch_bookmarks: self.flag("allowWatchBookmarks").unwrap_or(false),
            send_initial_events: self.flag("sendInitialEvents"),
            timeout_seconds: self
                .number("timeoutSeconds")?
                .filter(|seconds| *seconds > 0),
            include_object: self.include_object()?,
        })
    }

    fn list_causes(&self) -> Vec<Cause> {
        let mut causes = Vec::new();
        let field = "resourceVersionMatch";
        if let Some(found) = self.filled(field) {
            let version = self.filled("resourceVersion");
            if version.is_none() {
                let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
                causes.push(Cause::forbidden(field, why));
            }
            if self.filled("continue").is_some() {
                let why = "resourceVersionMatch is forbidden when continue is provided";
                causes.push(Cause::forbidden(field, why));
            }
            if !matches!(found, "Exact" | "NotOlderThan") {
                let supported = ["Exact", "NotOlderThan", ""].map(Value::from);
                causes.push(Cause::not_supported(field, &Value::from(found), &supported));
            }
            if found == "Exact" && version == Some("0") {
                let why = "resourceVersionMatch \"Exact\" is forbidden for resourceVersion \"0\"";
                causes.push(Cause::forbidden(field, why));
            }
        }
        if self.get("sendInitialEvents").is_some() {
            let why = "sendInitialEvents is forbidden for list";
            causes.push(Cause::forbidden("sendInitialEvents", why));
        }
        causes
    }

    fn watch_causes(&self) -> Vec<Cause> {
        let mut causes = Vec::new();
        let field = "resourceVersionMatch";
        let found = self.filled(field);
        let initial = self.get("sendInitialEvents").is_some();
        if initial && found != Some("NotOlderThan") {
            let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            causes.push(Cause::forbidden(field, why));
        }
        if let Some(found) = found {
            if !initial {
                let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents \
                           is provided";
                causes.push(Cause::forbidden(field, why));
            }
            if found != "NotOlderThan" {
                let supported = [Value::from("NotOlderThan")];
                causes.push(Cause::not_supported(field, &Value::from(found), &supported));
            }
            if self.filled("continue").is_some() {
                let why = "resourceVersionMatch is forbidden when continue is provided";
                causes.push(Cause::forbidden(field, why));
            }
        }
        causes
    }

    /// The parameters of a write; `options` names them in errors, such as `CreateOptions`.
    pub fn write(&self, options: &str) -> Result<WriteQuery, Status> {
        let mut causes = Vec::new();
        let values: Vec<&str> = self.all("dryRun").collect();
        let dry_run = check_dry_run(&values, &mut causes);
        let field_manager = self.filled("fieldManager");
        if let Some(name) = field_manager {
            check_manager(name, &mut causes);
        }
        let words = ["Ignore", "Warn", "Strict"];
        let field_validation = match self.filled("fieldValidation") {
            Some("Ignore") => FieldValidation::Ignore,
            Some("Strict") => FieldValidation::Strict,
            None | Some("Warn") => FieldValidation::Warn,
            Some(other) => {
                let field = "fieldValidation";
                let supported = words.map(Value::from);
                causes.push(Cause::not_supported(field, &Value::from(other), &supported));
                FieldValidation::Warn
            }
        };
        if options == "PatchOptions" && self.flag("force").is_some() {
            causes.push(Cause::forbidden(
                "force",
                "may not be specified for non-apply patch",
            ));
        }
        if !causes.is_empty() {
            return Err(Status::invalid_options(options, &causes));
        }
        Ok(WriteQuery {
            dry_run,
            field_manager: field_manager.map(str::to_owned),
            field_validation,
            include_object: self.include_object()?,
        })
    }

    fn include_object(&self) -> Result<IncludeObject, Status> {
        match self.filled("includeObject") {
            None | Some("Metadata") => Ok(IncludeObject::Metadata),
            Some("None") => Ok(IncludeObject::None),
            Some("Object") => Ok(IncludeObject::Object),
            Some(other) => Err(Status::bad_request(format!(
                "includeObject: Invalid value: {}: must be one of None, Metadata, Object",
                Value::from(other)
            ))),
        }
    }

    /// A parameter that is there is true, unless it is `false` or `0`.
    fn flag(&self, name: &str) -> Option<bool> {
        let value = self.get(name)?;
        Some(value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    fn number(&self, name: &str) -> Result<Option<u64>, Status> {
        let Some(text) = self.filled(name) else {
            return Ok(None);
        };
        // The parser of the standard library takes a plus sign, which is no part of a number here.
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        match text.parse::<u64>().ok().filter(|_| digits) {
            Some(number) => Ok(Some(number)),
            None => Err(Status::bad_request(format!(
                "{name}: Invalid value: {}: must be a decimal number from 0 to {}",
                Value::from(text),
                u64::MAX
            ))),
        }
    }

    fn short(&self, name: &str, max: usize) -> Result<Option<&str>, Status> {
        match self.filled(name) {
            Some(text) if text.len() > max => {
                let length = text.len();
                let message = format!("{name}: expected at most {max} bytes, found {length}");
                Err(Status::bad_request(message))
            }
            text => Ok(text),
        }
    }
}

/// Whether a dry run is asked for; the only value allowed is `All`.
fn check_dry_run(values: &[&str], causes: &mut Vec<Cause>) -> bool {
    let values = values.iter().filter(|value| !value.is_empty());
    for other in values.clone().filter(|value| **value != "All") {
        let supported = [Value::from("All")];
        causes.push(Cause::not_supported(
            "dryRun",
            &Value::from(*other),
            &supported,
        ));
    }
    values.count() > 0
}

fn check_manager(name: &str, causes: &mut Vec<Cause>) {
    let field = "fieldManager";
    if name.chars().count() > limits::FIELD_MANAGER_CHARS {
        causes.push(Cause::too_long(
            field,
            limits::FIELD_MANAGER_CHARS,
            "characters",
        ));
    } else if name.chars().any(char::is_control) {
        let why = "should only contain printable characters";
        causes.push(Cause::invalid(field, &Value::from(name), why));
    }
}

/// Undoes percent-encoding and plus signs.
fn decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(out).ok()
}
