//! Exporting from a server: the current objects, page by page, all at one version.
//!
//! The first page of the first kind says the version; every other list is asked for at exactly
//! that one. Numbers come as this client reads them: `1e2` arrives as `100.0`.

use std::io::Write;

use annals::{Action, Key, Timestamp, Version};
use serde_json::Value;

use super::{Args, Done};
use crate::cli::kind::{Kind, all, resolve};
use crate::cli::local::kinds;
use crate::cli::object::items;
use crate::cli::{Exit, Failure};
use crate::client::Path;
use crate::records::{About, Record, writer};

/// Objects asked for at a time.
const PAGE: &str = "500";

pub(super) async fn export(args: &Args, out: impl Write + Send) -> Result<Done, Failure> {
    let client = args.server.client()?;
    let mut wanted = Vec::new();
    for word in &args.kinds {
        wanted.push(resolve(&client, word).await?);
    }
    if wanted.is_empty() {
        wanted = all(&client).await?;
    }
    if args.namespace.is_some() {
        wanted.retain(|kind| kind.is_namespaced);
    }
    wanted.sort_by(|a, b| (&a.group, &a.plural).cmp(&(&b.group, &b.plural)));
    wanted.dedup();
    let Some(first) = wanted.first() else {
        let message = "none of these kinds has objects in a namespace";
        return Err(Failure::new(Exit::NotFound, message));
    };
    let page = client.get(&path(args, first, None)).await?;
    let about = About {
        version: version(&page)?,
        ..About::default()
    };
    let kinds = kinds()?;
    let mut writer = writer(args.format(), out, &about, &kinds)?;
    let (mut page, mut records) = (Some(page), 0);
    for kind in &wanted {
        let list = path(args, kind, Some(about.version));
        let mut next = match page.take() {
            Some(first) => first,
            None => client.get(&list).await?,
        };
        loop {
            for object in items(&next, "items")? {
                writer.write(&record(kind, object)?)?;
                records += 1;
            }
            let Some(token) = continuation(&next) else {
                break;
            };
            // A token says the version itself.
            let list = path(args, kind, None).query("continue", &token);
            next = client.get(&list).await?;
        }
    }
    writer.finish()?;
    Ok(Done { about, records })
}

fn path(args: &Args, kind: &Kind, at: Option<Version>) -> Path {
    let at = at.map(|version| version.to_string());
    let exact = at.as_ref().map(|_| "Exact");
    kind.collection(args.namespace.as_deref())
        .query("limit", PAGE)
        .query_if("labelSelector", args.selector.as_deref())
        .query_if("resourceVersion", at.as_deref())
        .query_if("resourceVersionMatch", exact)
}

fn continuation(page: &Value) -> Option<String> {
    let token = page.pointer("/metadata/continue")?.as_str()?;
    (!token.is_empty()).then(|| token.to_owned())
}

fn version(value: &Value) -> Result<Version, Failure> {
    let text = value
        .pointer("/metadata/resourceVersion")
        .and_then(Value::as_str);
    let version = text.and_then(|text| text.parse().ok());
    version.ok_or_else(|| Failure::new(Exit::Failed, "the server sent a list without a version"))
}

fn record(kind: &Kind, mut object: Value) -> Result<Record, Failure> {
    let version = version(&object)?;
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("resourceVersion");
    }
    let text = |field: &str| {
        let text = object.pointer(&format!("/metadata/{field}"));
        text.and_then(Value::as_str).unwrap_or_default()
    };
    let key = Key::new(&kind.group, &kind.plural, text("namespace"), text("name"));
    let key = key.map_err(|why| Failure::new(Exit::Failed, format!("the server's list: {why}")))?;
    let generation = object
        .pointer("/metadata/generation")
        .and_then(Value::as_i64);
    Ok(Record {
        key,
        version,
        action: match generation {
            None | Some(..=1) => Action::Created,
            Some(_) => Action::Updated,
        },
        time: Timestamp::default(),
        author: String::new(),
        body: object.to_string().into_bytes(),
        is_exact: true,
    })
}
