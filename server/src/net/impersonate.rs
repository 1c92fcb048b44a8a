//! `kubectl --as`: an administrator who speaks for another.
//!
//! The headers are never ignored: a request that names another user and was answered as its
//! sender would do more than it asked for. Only members of `system:masters` may; user and groups
//! are taken over, and any other `Impersonate-` header is refused by name.

use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::Response;

use super::{How, Identity, refuse};

const PREFIX: &str = "impersonate-";
const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";
const MASTERS: &str = "system:masters";

/// Who the request is for: its sender, or whom the sender names. Removes the headers.
pub(super) fn impersonate(
    sender: Identity,
    headers: &mut HeaderMap,
) -> Result<Identity, Box<Response>> {
    let named: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with(PREFIX))
        .cloned()
        .collect();
    if named.is_empty() {
        return Ok(sender);
    }
    if !sender.is_in(MASTERS) {
        let message = format!(
            "users is forbidden: User {:?} cannot impersonate",
            sender.user
        );
        return Err(Box::new(refuse(
            StatusCode::FORBIDDEN,
            "Forbidden",
            &message,
        )));
    }
    if let Some(other) = named
        .iter()
        .find(|name| !matches!(name.as_str(), USER | GROUP))
    {
        return Err(bad(&format!("header {other} is not supported")));
    }
    let mut users = texts(headers, USER)?;
    let groups = texts(headers, GROUP)?;
    let user = match (users.pop(), users.is_empty()) {
        (Some(user), true) if !user.is_empty() => user,
        _ => return Err(bad("header Impersonate-User: expected one name")),
    };
    for name in named {
        headers.remove(name);
    }
    let how = How::Impersonated { by: sender.user };
    Ok(Identity {
        // It stands as long as that of the sender.
        proof: sender.proof,
        ..Identity::new(user, groups, how)
    })
}

fn texts(headers: &HeaderMap, name: &str) -> Result<Vec<String>, Box<Response>> {
    let text = |value: &axum::http::HeaderValue| {
        let text = value.to_str().map(str::to_owned);
        text.map_err(|_| bad(&format!("header {name}: expected printable ASCII")))
    };
    headers.get_all(name).iter().map(text).collect()
}

fn bad(message: &str) -> Box<Response> {
    Box::new(refuse(StatusCode::BAD_REQUEST, "BadRequest", message))
}

#[cfg(test)]
mod tests {
    //! Catches a request for another user that is answered with the sender's rights.
    use axum::http::HeaderValue;

    use super::*;

    fn check(groups: &[&str], lines: &[(&'static str, &str)]) -> Result<Identity, u16> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let found = impersonate(Identity::of_token("root", groups), &mut headers);
        found.map_err(|refusal| refusal.status().as_u16())
    }

    #[test]
    fn only_masters_speak_for_others() {
        let ann = [("impersonate-user", "ann"), ("impersonate-group", "g")];
        let found = check(&[MASTERS], &ann).unwrap();
        assert_eq!(
            (found.user.as_str(), found.is_in("g"), found.is_in(MASTERS)),
            ("ann", true, false)
        );
        assert!(found.is_in("system:authenticated"));
        assert_eq!(found.how, How::Impersonated { by: "root".into() });

        assert_eq!(check(&["others"], &[]).unwrap().user, "root");
        assert_eq!(check(&["others"], &ann), Err(403));
        for lines in [
            &[("impersonate-group", "g")][..],
            &[("impersonate-user", "")],
            &[("impersonate-user", "a"), ("impersonate-user", "b")],
            &[("impersonate-user", "a"), ("impersonate-uid", "1")],
            &[("impersonate-user", "a"), ("impersonate-extra-x", "1")],
        ] {
            assert_eq!(check(&[MASTERS], lines), Err(400), "{lines:?}");
            assert_eq!(check(&[], lines), Err(403), "{lines:?}");
        }
    }
}
