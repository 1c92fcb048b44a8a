//! What a caller asks about itself: who it is, and what it may do. `kubectl auth whoami` and
//! `kubectl auth can-i`.
//!
//! A question that names an object is answered by where the object stands if the caller sees it,
//! and otherwise as for one that is not there: the answer tells nothing that a get would not.

use annals::Key;
use annals::access::Verb;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::answer::Answer;
use super::call::Call;
use super::failure::general;
use super::object::now;
use super::route::Review;
use crate::net::PUBLIC_PATHS;
use crate::wire::accept::{BodyType, body_type};
use crate::wire::json::read_object;
use crate::wire::protobuf;
use crate::wire::status::Status;

/// What every caller that is known may read, and what is below.
const OPEN_PATHS: [&str; 3] = ["/api", "/apis", "/openapi"];

/// POST of a review.
pub(super) fn answer(call: &Call, review: Review) -> Result<Answer, Status> {
    let body = match body_type(call.content_type.as_deref(), true)? {
        BodyType::Json => read_object(&call.body)?.value,
        BodyType::Protobuf => match review {
            Review::Access => protobuf::access_review(&call.body)?,
            Review::Subject => json!({}),
        },
    };
    let (group, kind) = match review {
        Review::Access => ("authorization.k8s.io", "SelfSubjectAccessReview"),
        Review::Subject => ("authentication.k8s.io", "SelfSubjectReview"),
    };
    let mut answer = json!({
        "kind": kind,
        "apiVersion": format!("{group}/v1"),
        "metadata": {"creationTimestamp": now()},
    });
    match review {
        Review::Access => {
            let spec = body.get("spec").cloned().unwrap_or_default();
            answer["status"] = json!({"allowed": may(call, &spec)?});
            answer["spec"] = spec;
        }
        Review::Subject => {
            let user = json!({"username": call.identity.user, "groups": call.identity.groups});
            answer["status"] = json!({"userInfo": user});
        }
    }
    Ok(Answer::value(&answer).with_code(StatusCode::CREATED))
}

fn may(call: &Call, spec: &Value) -> Result<bool, Status> {
    let text = |part: &Value, field: &str| {
        let text = part.get(field).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    if let Some(asked) = spec
        .get("nonResourceAttributes")
        .filter(|it| it.is_object())
    {
        return Ok(call.is_admin || is_open(&text(asked, "path"), &text(asked, "verb")));
    }
    let Some(asked) = spec.get("resourceAttributes").filter(|it| it.is_object()) else {
        let why = "spec: expected resourceAttributes or nonResourceAttributes";
        return Err(Status::bad_request(why));
    };
    if call.is_admin {
        return Ok(true);
    }
    let (group, resource) = (text(asked, "group"), text(asked, "resource"));
    let (namespace, name) = (text(asked, "namespace"), text(asked, "name"));
    let wanted = text(asked, "verb");
    let verbs = Verb::ALL
        .into_iter()
        .filter(|verb| wanted == "*" || wanted == verb.as_str());
    let verbs: Vec<Verb> = verbs.collect();
    if verbs.is_empty() || !text(asked, "subresource").is_empty() {
        return Ok(false);
    }
    // A kind that is not served belongs to nobody; its objects are in no namespace.
    let Some(kind) = call.api.kinds().kind(&group, &resource) else {
        return Ok(false);
    };
    let place = match (kind.is_namespaced(), namespace.as_str()) {
        (true, "") => None,
        (true, namespace) => Some(namespace),
        (false, _) => Some(""),
    };
    let snapshot = call.snapshot()?;
    let state = call.state(snapshot.version())?;
    let scope = |verb| state.scope(&call.principal, verb);
    let key = Key::new(&group, &resource, place.unwrap_or_default(), &name);
    let Some(key) = key.ok().filter(|_| !name.is_empty()) else {
        let may = |verb: &Verb| scope(*verb).reaches(&group, &resource, place);
        return Ok(verbs.iter().all(may));
    };
    let found = snapshot.get(&key).map_err(|error| general(&error))?;
    let found = found.filter(|found| scope(Verb::Get).covers(found.header()));
    let folder = found.map_or_else(String::new, |found| found.header().folder.clone());
    Ok(verbs
        .iter()
        .all(|verb| scope(*verb).covers_place(&key, &folder)))
}

fn is_open(path: &str, verb: &str) -> bool {
    let below = |open: &str| {
        let rest = path.strip_prefix(open);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let is_known = PUBLIC_PATHS.contains(&path) || OPEN_PATHS.into_iter().any(below);
    verb == "get" && is_known
}
