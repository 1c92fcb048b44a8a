//! The rules for the four parts of a key, each broken rule with its own words.
//!
//! The library takes the union of what Kubernetes and Grafana unified storage allow; a door is
//! stricter where its kind is. No rule admits NUL or a slash, which the key encoding and the URL
//! paths of the doors rely on.

use crate::Error;

/// The longest name, group or author, in bytes.
pub const NAME_BYTES_MAX: usize = 253;
/// The longest namespace or resource, in bytes.
pub const NAMESPACE_BYTES_MAX: usize = 63;

fn broken(field: &'static str, text: &str, rule: &str) -> Error {
    // A hostile name may be long or hold control characters: quote and cut it.
    let shown: String = text.chars().take(64).collect();
    Error::invalid(field, format!("{shown:?}: {rule}"))
}

fn check_length(field: &'static str, text: &str, max: usize) -> Result<(), Error> {
    if text.len() > max {
        return Err(broken(
            field,
            text,
            &format!("must be no more than {max} bytes"),
        ));
    }
    Ok(())
}

/// Letters and digits at both ends, `-`, `_` and `.` between.
fn check_qualified(field: &'static str, text: &str) -> Result<(), Error> {
    let ends = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric());
    let inside = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if ends && inside {
        return Ok(());
    }
    let rule = "must consist of letters, digits, '-', '_' or '.', and must start and end with a \
                letter or digit";
    Err(broken(field, text, rule))
}

/// The core group is empty; any other is a qualified name.
pub(super) fn check_group(group: &str) -> Result<(), Error> {
    check_length("group", group, NAME_BYTES_MAX)?;
    if group.is_empty() {
        Ok(())
    } else {
        check_qualified("group", group)
    }
}

/// A resource starts with a letter: `dashboards`.
pub(super) fn check_resource(resource: &str) -> Result<(), Error> {
    check_length("resource", resource, NAMESPACE_BYTES_MAX)?;
    if resource.is_empty() {
        return Err(broken("resource", resource, "may not be empty"));
    }
    let starts = resource.starts_with(|c: char| c.is_ascii_alphabetic());
    if starts
        && resource
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    {
        return Ok(());
    }
    let rule = "must start with a letter and consist of letters, digits or '-'";
    Err(broken("resource", resource, rule))
}

/// An empty namespace is the cluster scope.
pub(super) fn check_namespace(namespace: &str) -> Result<(), Error> {
    check_length("namespace", namespace, NAMESPACE_BYTES_MAX)?;
    if namespace.is_empty() {
        Ok(())
    } else {
        check_qualified("namespace", namespace)
    }
}

/// Letters, digits, `-`, `_`, `.` and `:`, but not the path segments `.` and `..`.
pub(super) fn check_name(name: &str) -> Result<(), Error> {
    check_length("name", name, NAME_BYTES_MAX)?;
    if name.is_empty() {
        return Err(broken("name", name, "may not be empty"));
    }
    if name == "." || name == ".." {
        return Err(broken("name", name, "may not be '.' or '..'"));
    }
    if name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
    {
        return Ok(());
    }
    Err(broken(
        "name",
        name,
        "must consist of letters, digits, '-', '_', '.' or ':'",
    ))
}
