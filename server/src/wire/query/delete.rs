//! The options of a delete, which come in the body, in the query, or both.
//!
//! kubectl and the libraries send a body, `curl` and old clients the query. What the body says
//! counts; the query fills in what it leaves open.

use serde_json::Value;

use super::{Query, check_dry_run};
use crate::kinds::Cause;
use crate::wire::status::Status;

/// What happens to the objects that a deleted object owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// They stay, without their owner.
    Orphan,
    /// They are deleted after their owner.
    Background,
    /// They are deleted before their owner.
    Foreground,
}

/// The options of a delete.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Whether nothing is to be deleted.
    pub dry_run: bool,
    /// How long the object may take to go; 0 is at once.
    pub grace_period_seconds: Option<u64>,
    /// What happens to what the object owns, where the caller says.
    pub propagation: Option<Propagation>,
    /// The object must have this uid.
    pub uid: Option<String>,
    /// The object must have this version.
    pub resource_version: Option<String>,
}

impl DeleteOptions {
    /// Reads the options from the query and the body, if there is one.
    pub fn read(query: &Query, body: Option<&Value>) -> Result<Self, Status> {
        let empty = Value::Object(serde_json::Map::new());
        let body = Body(body.unwrap_or(&empty));
        body.check_kind()?;
        let mut causes = Vec::new();
        let mut dry_runs = body.texts("dryRun")?;
        dry_runs.extend(query.all("dryRun"));
        let dry_run = check_dry_run(&dry_runs, &mut causes);
        let policy = body
            .text("propagationPolicy")?
            .or(query.filled("propagationPolicy"));
        let orphan = body
            .flag("orphanDependents")?
            .or(query.flag("orphanDependents"));
        let propagation = read_propagation(policy, orphan, &mut causes);
        if !causes.is_empty() {
            return Err(Status::invalid_options("DeleteOptions", &causes));
        }
        let preconditions = body.object("preconditions")?;
        Ok(Self {
            dry_run,
            grace_period_seconds: read_grace(&body, query)?,
            propagation,
            uid: preconditions.text("uid")?.map(str::to_owned),
            resource_version: preconditions.text("resourceVersion")?.map(str::to_owned),
        })
    }
}

fn read_grace(body: &Body<'_>, query: &Query) -> Result<Option<u64>, Status> {
    let field = "gracePeriodSeconds";
    let seconds = match body.get(field) {
        Some(value) => Some(
            value
                .as_i64()
                .ok_or_else(|| wrong(field, "a whole number"))?,
        ),
        None => match query.filled(field) {
            Some(text) => Some(text.parse().map_err(|_| wrong(field, "a whole number"))?),
            None => None,
        },
    };
    // Kubernetes takes a negative period for the shortest one that is not "at once".
    Ok(seconds.map(|seconds: i64| u64::try_from(seconds).unwrap_or(1)))
}

fn read_propagation(
    policy: Option<&str>,
    orphan: Option<bool>,
    causes: &mut Vec<Cause>,
) -> Option<Propagation> {
    if policy.is_some() && orphan.is_some() {
        let field = "propagationPolicy";
        let why = "orphanDependents and deletionPropagation cannot be both set";
        causes.push(Cause::invalid(field, &Value::from(policy), why));
    }
    match (policy, orphan) {
        (None, None) => None,
        (None, Some(true)) | (Some("Orphan"), _) => Some(Propagation::Orphan),
        (None, Some(false)) | (Some("Background"), _) => Some(Propagation::Background),
        (Some("Foreground"), _) => Some(Propagation::Foreground),
        (Some(other), _) => {
            let supported = ["Foreground", "Background", "Orphan"].map(Value::from);
            let field = "propagationPolicy";
            causes.push(Cause::not_supported(field, &Value::from(other), &supported));
            None
        }
    }
}

fn wrong(field: &str, expected: &str) -> Status {
    Status::bad_request(format!("DeleteOptions: {field}: expected {expected}"))
}

/// The body, or the preconditions inside it. Null fields count as absent.
struct Body<'a>(&'a Value);

impl<'a> Body<'a> {
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn check_kind(&self) -> Result<(), Status> {
        if !self.0.is_object() {
            return Err(wrong("(body)", "an object"));
        }
        match self.text("kind")? {
            None | Some("" | "DeleteOptions") => Ok(()),
            Some(_) => Err(wrong("kind", "DeleteOptions")),
        }
    }

    fn text(&self, name: &str) -> Result<Option<&'a str>, Status> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        value
            .as_str()
            .map(Some)
            .ok_or_else(|| wrong(name, "a string"))
    }

    fn flag(&self, name: &str) -> Result<Option<bool>, Status> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        value
            .as_bool()
            .map(Some)
            .ok_or_else(|| wrong(name, "true or false"))
    }

    fn texts(&self, name: &str) -> Result<Vec<&'a str>, Status> {
        let Some(value) = self.get(name) else {
            return Ok(Vec::new());
        };
        let list = value
            .as_array()
            .ok_or_else(|| wrong(name, "a list of strings"))?;
        let texts = list
            .iter()
            .map(|entry| entry.as_str().ok_or_else(|| wrong(name, "strings")));
        texts.collect()
    }

    fn object(&self, name: &str) -> Result<Body<'a>, Status> {
        match self.get(name) {
            None => Ok(Body(&Value::Null)),
            Some(value) if value.is_object() => Ok(Body(value)),
            Some(_) => Err(wrong(name, "an object")),
        }
    }
}
