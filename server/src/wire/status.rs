//! The answer to a request that failed: the `Status` object of Kubernetes.
//!
//! Every handler and reader fails with a [`Status`]. There is one constructor per way to fail, so
//! that code, reason and the message that clients match on are written once. Invariant: the JSON
//! is one line, because watch clients split their stream at line ends.

use serde_json::{Map, Value, json};

use crate::kinds::{Cause, ServedKind};

/// Why a request failed, in the words of Kubernetes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The object or path is not there.
    NotFound,
    /// The name is taken.
    AlreadyExists,
    /// A precondition does not hold.
    Conflict,
    /// The object or an option is not valid.
    Invalid,
    /// The request cannot be understood.
    BadRequest,
    /// The caller may not do this.
    Forbidden,
    /// The caller is not known.
    Unauthorized,
    /// The path has no such method.
    MethodNotAllowed,
    /// The answer cannot be given in any form the caller takes.
    NotAcceptable,
    /// The body has a form the server does not read.
    UnsupportedMediaType,
    /// The body is too large.
    RequestEntityTooLarge,
    /// The version or token is too old.
    Expired,
    /// The answer did not come in time.
    Timeout,
    /// The server cannot answer now.
    ServiceUnavailable,
    /// The server is at fault.
    InternalError,
    /// The caller asks too much.
    TooManyRequests,
}

impl Reason {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "NotFound",
            Self::AlreadyExists => "AlreadyExists",
            Self::Conflict => "Conflict",
            Self::Invalid => "Invalid",
            Self::BadRequest => "BadRequest",
            Self::Forbidden => "Forbidden",
            Self::Unauthorized => "Unauthorized",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::NotAcceptable => "NotAcceptable",
            Self::UnsupportedMediaType => "UnsupportedMediaType",
            Self::RequestEntityTooLarge => "RequestEntityTooLarge",
            Self::Expired => "Expired",
            Self::Timeout => "Timeout",
            Self::ServiceUnavailable => "ServiceUnavailable",
            Self::InternalError => "InternalError",
            Self::TooManyRequests => "TooManyRequests",
        }
    }

    /// The HTTP status code.
    pub fn code(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::NotAcceptable => 406,
            Self::AlreadyExists | Self::Conflict => 409,
            Self::Expired => 410,
            Self::RequestEntityTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Invalid => 422,
            Self::TooManyRequests => 429,
            Self::InternalError => 500,
            Self::ServiceUnavailable => 503,
            Self::Timeout => 504,
        }
    }
}

/// What a failure is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    /// The name of the object.
    pub name: String,
    /// The API group.
    pub group: String,
    /// The resource, or for `Invalid` the kind.
    pub kind: String,
    /// The uid of the object.
    pub uid: String,
    /// Single faults: reason, message, field.
    pub causes: Vec<(String, String, String)>,
    /// When to try again; a handler also sends it as the `Retry-After` header.
    pub retry_after_seconds: Option<u32>,
}

/// A failed request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Status {
    /// Why.
    pub reason: Reason,
    /// The sentence for people.
    pub message: String,
    /// What it is about.
    pub details: Option<Box<Details>>,
    /// A token with which an expired list can go on.
    pub continue_token: Option<String>,
}

/// Who wanted to do what, for [`Status::forbidden`].
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// The caller.
    pub user: &'a str,
    /// What the caller wanted to do, such as `list`.
    pub verb: &'a str,
    /// In which namespace; empty for none.
    pub namespace: &'a str,
    /// With which object; empty for the collection.
    pub name: &'a str,
}

const MODIFIED: &str = "the object has been modified; please apply your changes to the latest \
                        version and try again";

impl Status {
    /// A failure without details.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            details: None,
            continue_token: None,
        }
    }

    fn about(reason: Reason, kind: &ServedKind, name: &str, message: String) -> Self {
        let details = Details {
            name: name.to_owned(),
            group: kind.group.clone(),
            kind: kind.names.plural.clone(),
            ..Details::default()
        };
        Self {
            details: Some(Box::new(details)),
            ..Self::new(reason, message)
        }
    }

    fn retry_after(mut self, seconds: u32) -> Self {
        self.details.get_or_insert_default().retry_after_seconds = Some(seconds);
        self
    }

    /// The HTTP status code.
    pub fn code(&self) -> u16 {
        self.reason.code()
    }

    /// The seconds of the `Retry-After` header, without which clients do not try again.
    pub fn retry_after_seconds(&self) -> Option<u32> {
        self.details
            .as_ref()
            .and_then(|details| details.retry_after_seconds)
    }

    /// 404: the object is not there, or the caller may not know that it is.
    pub fn not_found(kind: &ServedKind, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", kind.resource());
        Self::about(Reason::NotFound, kind, name, message)
    }

    /// 404: no such path.
    pub fn no_such_path() -> Self {
        Self::new(
            Reason::NotFound,
            "the server could not find the requested resource",
        )
    }

    /// 409: the name is taken.
    pub fn already_exists(kind: &ServedKind, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", kind.resource());
        Self::about(Reason::AlreadyExists, kind, name, message)
    }

    /// 404 and 409 for what is of no served kind.
    pub fn named(reason: Reason, group: &str, resource: &str, name: &str) -> Self {
        let why = match reason {
            Reason::AlreadyExists => "already exists",
            Reason::Conflict => MODIFIED,
            _ => "not found",
        };
        let details = Details {
            name: name.to_owned(),
            group: group.to_owned(),
            kind: resource.to_owned(),
            ..Details::default()
        };
        Self {
            details: Some(Box::new(details)),
            ..Self::new(reason, format!("{resource}.{group} \"{name}\" {why}"))
        }
    }

    /// 409: all names tried for a `generateName` were taken.
    pub fn no_name_left(kind: &ServedKind, name: &str) -> Self {
        let message = format!(
            "{} \"{name}\" already exists, the server was not able to generate a unique name for \
             the object",
            kind.resource()
        );
        Self::about(Reason::AlreadyExists, kind, name, message).retry_after(1)
    }

    /// 409: a precondition does not hold, and `why` says which.
    pub fn conflict(kind: &ServedKind, name: &str, why: &str) -> Self {
        let resource = kind.resource();
        let message = format!("Operation cannot be fulfilled on {resource} \"{name}\": {why}");
        Self::about(Reason::Conflict, kind, name, message)
    }

    /// 409: the object has a newer version than the caller knows.
    pub fn modified(kind: &ServedKind, name: &str) -> Self {
        Self::conflict(kind, name, MODIFIED)
    }

    /// 422: the object is not valid.
    pub fn invalid(kind: &ServedKind, name: &str, causes: &[Cause]) -> Self {
        Self::invalid_kind(&kind.names.kind, &kind.group, name, causes)
    }

    /// 422: an option of the request is not valid; `options` is such as `ListOptions`.
    pub fn invalid_options(options: &str, causes: &[Cause]) -> Self {
        Self::invalid_kind(options, "meta.k8s.io", "", causes)
    }

    /// 422: an object of this kind and group is not valid.
    pub fn invalid_kind(kind: &str, group: &str, name: &str, causes: &[Cause]) -> Self {
        let texts: Vec<String> = causes.iter().map(ToString::to_string).collect();
        let texts = match texts.as_slice() {
            [one] => one.clone(),
            several => format!("[{}]", several.join(", ")),
        };
        let dot = if group.is_empty() { "" } else { "." };
        let cause = |cause: &Cause| {
            (
                cause.reason.as_str().to_owned(),
                cause.message.clone(),
                cause.field.clone(),
            )
        };
        let details = Details {
            name: name.to_owned(),
            group: group.to_owned(),
            kind: kind.to_owned(),
            causes: causes.iter().map(cause).collect(),
            ..Details::default()
        };
        let message = format!("{kind}{dot}{group} \"{name}\" is invalid: {texts}");
        Self {
            details: Some(Box::new(details)),
            ..Self::new(Reason::Invalid, message)
        }
    }

    /// 422: a patch cannot be applied to the object.
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(Reason::Invalid, message)
    }

    /// 400: the request cannot be understood.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Reason::BadRequest, message)
    }

    /// 400: the body has unknown or repeated fields and the caller asked for a strict check.
    pub fn strict(kind: &ServedKind, version: &str, faults: &[String]) -> Self {
        let name = &kind.names.kind;
        let faults = faults.join(", ");
        Self::bad_request(format!(
            "{name} in version \"{version}\" cannot be handled as a {name}: strict decoding \
             error: {faults}"
        ))
    }

    /// 403: the caller may not do this.
    pub fn forbidden(kind: &ServedKind, attempt: Attempt<'_>) -> Self {
        let Attempt {
            user,
            verb,
            namespace,
            name,
        } = attempt;
        let (resource, plural, group) = (kind.resource(), &kind.names.plural, &kind.group);
        let name_part = if name.is_empty() {
            String::new()
        } else {
            format!(" \"{name}\"")
        };
        let place = match namespace {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace \"{namespace}\""),
        };
        let message = format!(
            "{resource}{name_part} is forbidden: User \"{user}\" cannot {verb} resource \
             \"{plural}\" in API group \"{group}\" {place}"
        );
        Self::about(Reason::Forbidden, kind, name, message)
    }

    /// 403: the path is not for this caller.
    pub fn forbidden_path(user: &str, verb: &str, path: &str) -> Self {
        let message = format!("forbidden: User \"{user}\" cannot {verb} path \"{path}\"");
        Self::new(Reason::Forbidden, message)
    }

    /// 403: nothing can be created in a namespace that is being deleted.
    pub fn namespace_terminating(kind: &ServedKind, name: &str, namespace: &str) -> Self {
        let resource = kind.resource();
        let why = format!("namespace {namespace} is being terminated");
        let message = format!(
            "{resource} \"{name}\" is forbidden: unable to create new content in namespace \
             {namespace} because it is being terminated"
        );
        let mut status = Self::about(Reason::Forbidden, kind, name, message);
        let cause = (
            "NamespaceTerminating".to_owned(),
            why,
            "metadata.namespace".to_owned(),
        );
        status.details.get_or_insert_default().causes.push(cause);
        status
    }

    /// 401: the caller is not known.
    pub fn unauthorized() -> Self {
        Self::new(Reason::Unauthorized, "Unauthorized")
    }

    /// 405: the path has no such method.
    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(Reason::MethodNotAllowed, message)
    }

    /// 406: none of the forms the caller takes can be given.
    pub fn not_acceptable(offered: &[&str]) -> Self {
        let offered = offered.join(", ");
        let message = format!("only the following media types are accepted: {offered}");
        Self::new(Reason::NotAcceptable, message)
    }

    /// 415: the body has a form the server does not read.
    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Self::new(Reason::UnsupportedMediaType, message)
    }

    /// 415: the body is compressed.
    pub fn unsupported_encoding(found: &str) -> Self {
        let message = format!(
            "Content-Encoding: expected none, or identity, found {}",
            Value::from(found)
        );
        Self::new(Reason::UnsupportedMediaType, message)
    }

    /// 413: the body, object or patch is larger than `limit`, whose unit is part of `what`.
    pub fn too_large(what: &str, limit: usize) -> Self {
        let message = format!("Request entity too large: {what}: limit is {limit}");
        Self::new(Reason::RequestEntityTooLarge, message)
    }

    /// 410: the version or token is older than the history that is kept.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(Reason::Expired, message)
    }

    /// 410 on a list, with a token with which the list can go on at the newest version.
    pub fn expired_list(continue_token: String) -> Self {
        let message = "The provided continue parameter is too old to display a consistent list \
                       result. You can start a new list without the continue parameter, or use \
                       the continue token in this response to retrieve the remainder of the \
                       results at the newest version.";
        Self {
            continue_token: Some(continue_token),
            ..Self::expired(message)
        }
    }

    /// 504: the version asked for is still to come.
    pub fn too_large_version(version: u64, current: u64) -> Self {
        let message = format!("Too large resource version: {version}, current: {current}");
        let mut status = Self::new(Reason::Timeout, message).retry_after(1);
        let text = "Too large resource version".to_owned();
        let cause = ("ResourceVersionTooLarge".to_owned(), text, String::new());
        status.details.get_or_insert_default().causes.push(cause);
        status
    }

    /// 504: the answer did not come in time.
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(Reason::Timeout, message)
    }

    /// 503: the server cannot answer now.
    pub fn service_unavailable(message: impl Into<String>) -> Self {
        Self::new(Reason::ServiceUnavailable, message).retry_after(1)
    }

    /// 500: the server is at fault.
    pub fn internal(message: &str) -> Self {
        Self::new(
            Reason::InternalError,
            format!("Internal error occurred: {message}"),
        )
    }

    /// 429: the caller asks too much.
    pub fn too_many_requests(message: impl Into<String>, seconds: u32) -> Self {
        Self::new(Reason::TooManyRequests, message).retry_after(seconds)
    }

    /// The `Status` object.
    pub fn to_value(&self) -> Value {
        let mut metadata = Map::new();
        if let Some(token) = &self.continue_token {
            metadata.insert("continue".to_owned(), Value::from(token.as_str()));
        }
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": metadata,
            "status": "Failure",
            "message": self.message,
            "reason": self.reason.as_str(),
        });
        if let Some(details) = &self.details {
            status["details"] = details.to_value();
        }
        status["code"] = Value::from(self.code());
        status
    }

    /// The `Status` object as one line of JSON.
    pub fn to_json(&self) -> Vec<u8> {
        self.to_value().to_string().into_bytes()
    }
}

impl Details {
    fn to_value(&self) -> Value {
        let mut map = Map::new();
        let fields = [
            ("name", &self.name),
            ("group", &self.group),
            ("kind", &self.kind),
            ("uid", &self.uid),
        ];
        for (key, value) in fields {
            if !value.is_empty() {
                map.insert(key.to_owned(), Value::from(value.as_str()));
            }
        }
        if !self.causes.is_empty() {
            let cause = |(reason, message, field): &(String, String, String)| {
                let mut cause = json!({"reason": reason, "message": message});
                if !field.is_empty() {
                    cause["field"] = Value::from(field.as_str());
                }
                cause
            };
            map.insert("causes".to_owned(), self.causes.iter().map(cause).collect());
        }
        if let Some(seconds) = self.retry_after_seconds {
            map.insert("retryAfterSeconds".to_owned(), Value::from(seconds));
        }
        Value::Object(map)
    }
}

/// The answer to a delete that removed the object at once.
pub fn deleted(kind: &ServedKind, name: &str, uid: &str) -> Value {
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {
            "name": name,
            "group": kind.group,
            "kind": kind.names.plural,
            "uid": uid,
        },
    })
}

#[cfg(test)]
mod tests {
    //! Catches a failure whose code, reason or message is not the one clients match on.

    use super::*;
    use crate::kinds::Kinds;

    fn check(status: &Status, code: u16, message: &str) {
        assert_eq!(status.code(), code);
        assert_eq!(status.message, message);
        let json = status.to_json();
        assert!(!json.contains(&b'\n'));
        let value: Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(value["code"], code);
        assert_eq!(value["reason"], status.reason.as_str());
        assert_eq!(value["status"], "Failure");
    }

    #[test]
    fn messages_are_those_of_kubernetes() {
        let kinds = Kinds::built_in().unwrap();
        let kind = kinds.kind("playlist.grafana.app", "playlists").unwrap();
        let core = kinds.kind("", "namespaces").unwrap();
        let resource = "playlists.playlist.grafana.app";
        check(
            &Status::not_found(kind, "x"),
            404,
            &format!("{resource} \"x\" not found"),
        );
        check(
            &Status::not_found(core, "x"),
            404,
            "namespaces \"x\" not found",
        );
        check(
            &Status::already_exists(kind, "x"),
            409,
            &format!("{resource} \"x\" already exists"),
        );
        let conflict = format!("Operation cannot be fulfilled on {resource} \"x\": {MODIFIED}");
        check(&Status::modified(kind, "x"), 409, &conflict);
        let attempt = Attempt {
            user: "u",
            verb: "list",
            namespace: "ns",
            name: "",
        };
        let forbidden = format!(
            "{resource} is forbidden: User \"u\" cannot list resource \"playlists\" in API group \
             \"playlist.grafana.app\" in the namespace \"ns\""
        );
        check(&Status::forbidden(kind, attempt), 403, &forbidden);
        check(&Status::unauthorized(), 401, "Unauthorized");
        let offered = "only the following media types are accepted: application/json";
        check(&Status::not_acceptable(&["application/json"]), 406, offered);
        let too_large = "Too large resource version: 9, current: 5";
        check(&Status::too_large_version(9, 5), 504, too_large);
        check(
            &Status::internal("no disk"),
            500,
            "Internal error occurred: no disk",
        );
    }

    #[test]
    fn an_invalid_object_lists_its_causes_under_its_kind() {
        let kinds = Kinds::built_in().unwrap();
        let kind = kinds.kind("playlist.grafana.app", "playlists").unwrap();
        let causes = [
            Cause::required("spec.title", ""),
            Cause::required("spec.interval", ""),
        ];
        let status = Status::invalid(kind, "x", &causes);
        let message = "Playlist.playlist.grafana.app \"x\" is invalid: [spec.title: Required \
                       value, spec.interval: Required value]";
        check(&status, 422, message);
        let details = &status.to_value()["details"];
        assert_eq!(details["kind"], "Playlist");
        let cause = json!({"reason": "FieldValueRequired", "message": "Required value",
            "field": "spec.title"});
        assert_eq!(details["causes"][0], cause);
    }

    #[test]
    fn what_may_be_tried_again_says_when() {
        assert_eq!(
            Status::too_many_requests("slow down", 3).retry_after_seconds(),
            Some(3)
        );
        assert_eq!(
            Status::too_large_version(9, 5).retry_after_seconds(),
            Some(1)
        );
        assert_eq!(Status::unauthorized().retry_after_seconds(), None);
        let expired = Status::expired_list("token".to_owned()).to_value();
        assert_eq!(expired["metadata"]["continue"], "token");
        assert_eq!(expired["reason"], "Expired");
    }
}
