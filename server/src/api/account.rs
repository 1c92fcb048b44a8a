//! Users and tokens: made, shown, changed and taken away by administrators alone; `call` lets nobody
//! else come here.
//!
//! | | users | tokens |
//! | --- | --- | --- |
//! | POST | a password is made if none is given; `""` is none | the token is made |
//! | GET | without secrets | the same |
//! | PUT of one | its places; 409 if it names a `resourceVersion` that is not the newest | the same |
//! | PUT of `NAME/password` | a new password | |
//! | DELETE of one | with the tokens that speak for it | |
//!
//! A secret that was made here is in that one answer, and nowhere else. Every change has the turn
//! alone: it takes effect at its version, and nothing that it forbids is committed behind it.

use annals::{Error, ErrorKind, List, Revision, Write};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::answer::Answer;
use super::call::Call;
use super::failure::general;
use super::object::now;
use crate::access::{Account, GROUP, Row, Sealed, check_name, random_secret, shown, spec_of};
use crate::kinds::Cause;
use crate::limits;
use crate::net::TokenHash;
use crate::wire::json::read_object;
use crate::wire::status::{Reason, Status};

const PASSWORD_BYTES_MIN: usize = 8;
/// How many rows one answer lists.
const LISTED_MAX: usize = limits::PAGE_ITEMS_MAX;
/// What every token begins with, so that leaked ones are found by scanners.
const TOKEN_PREFIX: &str = "annals_";

/// Answers for the rows, or for one of them.
pub(super) fn answer(call: &Call, row: Row, name: Option<&str>) -> Result<Answer, Status> {
    match (&call.method, name) {
        (&Method::GET, None) => list(call, row),
        (&Method::GET, Some(name)) => Ok(Answer::value(&shown(&find(call, row, name)?))),
        (&Method::POST, None) => create(call, row),
        (&Method::PUT, Some(name)) => update(call, row, name),
        (&Method::DELETE, Some(name)) => remove(call, row, name),
        _ => Err(Status::method_not_allowed()),
    }
}

fn list(call: &Call, row: Row) -> Result<Answer, Status> {
    let snapshot = call.snapshot()?;
    let collection = row.collection().map_err(|error| general(&error))?;
    let (mut items, mut after) = (Vec::new(), None);
    while items.len() < LISTED_MAX {
        let list = List::new(collection.clone()).after(after);
        let page = snapshot.list(&list).map_err(|error| general(&error))?;
        items.extend(page.items.iter().map(shown));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let kind = match row {
        Row::User => "UserList",
        Row::Token => "TokenList",
    };
    Ok(Answer::value(&json!({
        "kind": kind,
        "apiVersion": format!("{GROUP}/v1"),
        "metadata": {"resourceVersion": snapshot.version().to_string()},
        "items": items,
    })))
}

fn find(call: &Call, row: Row, name: &str) -> Result<Revision, Status> {
    let missing = || Status::named(Reason::NotFound, GROUP, row.resource(), name);
    let key = row.key(name).map_err(|_| missing())?;
    let found = call
        .snapshot()?
        .get(&key)
        .map_err(|error| general(&error))?;
    found.ok_or_else(missing)
}

fn invalid(row: Row, name: &str, cause: Cause) -> Status {
    Status::invalid_kind(row.kind(), GROUP, name, &[cause])
}

fn create(call: &Call, row: Row) -> Result<Answer, Status> {
    let body = read_object(&call.body)?.value;
    let name = body.pointer("/metadata/name").and_then(Value::as_str);
    let name = name.unwrap_or_default().to_owned();
    check_name(&name).map_err(|cause| invalid(row, &name, cause))?;
    let (user, places) = spec_of(row, &body).map_err(|cause| invalid(row, &name, cause))?;
    let (secret, made) = match row {
        Row::User => password(&body).map_err(|cause| invalid(row, &name, cause))?,
        Row::Token => {
            let token = random_secret(TOKEN_PREFIX).map_err(|why| Status::internal(&why))?;
            let hash = TokenHash::of(token.as_bytes()).to_string();
            (hash, Some(("token", token)))
        }
    };
    let account = Account {
        row,
        name: name.clone(),
        user,
        places,
        secret,
    };
    let _turn = call.turn_alone()?;
    if let Some(user) = &account.user
        && find(call, Row::User, user).is_err()
    {
        let why = "expected the name of a user that there is";
        let cause = Cause::invalid("spec.user", &json!(user), why);
        return Err(invalid(row, &name, cause));
    }
    let write = account.create(&call.principal, &now());
    let written = write.and_then(|write| call.api.store().write(write));
    let revision = written.map_err(|error| refuse(row, &name, &error))?;
    let mut answer = shown(&revision);
    if let Some((field, secret)) = made {
        answer[field] = json!(secret);
    }
    Ok(Answer::value(&answer)
        .with_code(StatusCode::CREATED)
        .written(revision.version()))
}

/// A secret that was made here, and the field that it is answered in.
type Made = Option<(&'static str, String)>;

/// The seal of the password that a body gives, or of one that is made and answered.
fn password(body: &Value) -> Result<(String, Made), Cause> {
    let wrong = |why: &str| Cause::invalid("password", &json!("..."), why);
    let (given, made) = match body.get("password") {
        None | Some(Value::Null) => {
            let made = random_secret("").map_err(|why| wrong(&why))?;
            (made.clone(), Some(("password", made)))
        }
        Some(Value::String(text)) if text.is_empty() => return Ok((String::new(), None)),
        Some(Value::String(text)) => (text.clone(), None),
        Some(_) => return Err(wrong("expected a text")),
    };
    if !(PASSWORD_BYTES_MIN..=limits::PASSWORD_BYTES).contains(&given.len()) {
        let most = limits::PASSWORD_BYTES;
        return Err(wrong(&format!(
            "expected {PASSWORD_BYTES_MIN} to {most} bytes"
        )));
    }
    let sealed = Sealed::new(given.as_bytes()).map_err(|why| wrong(&why))?;
    Ok((sealed.to_string(), made))
}

fn update(call: &Call, row: Row, name: &str) -> Result<Answer, Status> {
    let body = read_object(&call.body)?.value;
    let (user, places) = spec_of(row, &body).map_err(|cause| invalid(row, name, cause))?;
    let known = body.pointer("/metadata/resourceVersion");
    let known = known.filter(|version| !version.is_null());
    change(call, row, name, known, |account| {
        if account.user != user {
            let why = "a token cannot be given to another user";
            return Err(Cause::invalid("spec.user", &json!(user), why));
        }
        account.places = places;
        Ok(())
    })
}

/// PUT of a password.
pub(super) fn passwd(call: &Call, user: &str) -> Result<Answer, Status> {
    // Whether the user is there is asked first: sealing a password is dear.
    find(call, Row::User, user)?;
    let body = read_object(&call.body)?.value;
    let (secret, made) = password(&body).map_err(|cause| invalid(Row::User, user, cause))?;
    let answer = change(call, Row::User, user, None, |account| {
        account.secret = secret;
        Ok(())
    })?;
    Ok(match made {
        Some((field, secret)) => answer.with_field(field, &json!(secret)),
        None => answer,
    })
}

/// Changes a row; only if it is at the version that the caller knows, if it names one.
fn change(
    call: &Call,
    row: Row,
    name: &str,
    known: Option<&Value>,
    change: impl FnOnce(&mut Account) -> Result<(), Cause>,
) -> Result<Answer, Status> {
    let _turn = call.turn_alone()?;
    let found = find(call, row, name)?;
    if known.is_some_and(|known| *known != json!(found.version().to_string())) {
        return Err(Status::named(Reason::Conflict, GROUP, row.resource(), name));
    }
    let account = Account::read(row, &found);
    let mut account = account.ok_or_else(|| Status::internal("the row cannot be read"))?;
    change(&mut account).map_err(|cause| invalid(row, name, cause))?;
    let write = account.update(&call.principal, &found);
    let written = write.and_then(|write| call.api.store().write(write));
    let revision = written.map_err(|error| refuse(row, name, &error))?;
    Ok(Answer::value(&shown(&revision)).written(revision.version()))
}

fn remove(call: &Call, row: Row, name: &str) -> Result<Answer, Status> {
    let _turn = call.turn_alone()?;
    let found = find(call, row, name)?;
    let state = call.state(found.version())?;
    let mut writes = vec![Write::delete(found.key().clone()).if_version(found.version())];
    if row == Row::User {
        for token in state.tokens_of(name) {
            let key = Row::Token.key(&token).map_err(|error| general(&error))?;
            writes.push(Write::delete(key));
        }
    }
    let author = |write: Write| write.author(call.principal.clone());
    let writes = writes.into_iter().map(author).collect();
    let written = call.api.store().write_batch(writes);
    let written = written.map_err(|error| refuse(row, name, &error))?;
    let last = written.last().map_or(found.version(), Revision::version);
    let answer = Answer::value(&json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {"name": name, "group": GROUP, "kind": row.resource()},
    }));
    Ok(answer.written(last))
}

/// The answer to an error of the store.
fn refuse(row: Row, name: &str, error: &Error) -> Status {
    match error.kind() {
        ErrorKind::NotFound => Status::named(Reason::NotFound, GROUP, row.resource(), name),
        ErrorKind::AlreadyExists => {
            Status::named(Reason::AlreadyExists, GROUP, row.resource(), name)
        }
        _ => general(error),
    }
}

#[cfg(test)]
mod tests {
    //! Catches a password that is too easy to guess, one that is too long to check, and one that is
    //! answered although the caller gave it.
    use super::*;

    #[test]
    fn a_password_has_a_shortest_and_a_longest_length() {
        let most = limits::PASSWORD_BYTES;
        for (bytes, fits) in [
            (1, false),
            (PASSWORD_BYTES_MIN - 1, false),
            (PASSWORD_BYTES_MIN, true),
            (most, true),
            (most + 1, false),
            (100 * most, false),
        ] {
            let read = password(&json!({"password": "x".repeat(bytes)}));
            assert_eq!(read.is_ok(), fits, "{bytes}");
            if let Ok((seal, made)) = read {
                assert!(made.is_none() && seal.starts_with("19456:2:1:"));
            }
        }
        assert_eq!(
            password(&json!({"password": ""})),
            Ok((String::new(), None))
        );
        assert!(password(&json!({"password": 7})).is_err());
        let (seal, made) = password(&json!({})).unwrap();
        let (field, secret) = made.unwrap();
        assert_eq!((field, secret.len()), ("password", 43));
        assert!(Sealed::parse(&seal).unwrap().is_of(secret.as_bytes()));
    }
}
