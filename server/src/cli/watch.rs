//! `annals watch`: what changes, line by line, as it happens.
//!
//! A watch that the server ends, as it does with every watch after a while, goes on where it was,
//! without a gap. One whose connection breaks ends with an error.

use clap::Args as Flags;
use serde_json::Value;

use super::kind::{Kind, resolve};
use super::print::{self, Output};
use super::server::Server;
use super::{Exit, Failure};
use crate::client::Path;

#[derive(Debug, Flags)]
pub(super) struct Args {
    /// Plural, singular, short name or kind, with or without its group
    kind: String,
    /// One object; without it, all of them
    #[arg(conflicts_with_all = ["all_namespaces", "selector"])]
    name: Option<String>,
    /// The namespace [default: that of the kubeconfig]
    #[arg(short, long)]
    namespace: Option<String>,
    /// The objects of all namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,
    /// Only objects whose labels fit, such as a=b,c!=d
    #[arg(short = 'l', long)]
    selector: Option<String>,
    /// Only what came after this version [default: the objects of now, then what changes]
    #[arg(long, value_name = "VERSION")]
    since: Option<u64>,
    /// End after so many events
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

/// The widths of the columns: what comes is not known, so nothing can be measured.
const KIND_WIDTH: usize = 8;
const VERSION_WIDTH: usize = 10;

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    if args.server.data_dir().is_some() {
        let why = "--data-dir: nobody else can write to it: watch a server that runs";
        return Err(Failure::new(Exit::Usage, why));
    }
    let client = args.server.client()?;
    let kind = resolve(&client, &args.kind).await?;
    let namespace = args.namespace.as_deref().unwrap_or(client.namespace());
    let collection = kind.collection((!args.all_namespaces).then_some(namespace));
    // Where the next watch begins; nothing until all objects of now have come.
    let mut from = args.since.map(|version| version.to_string());
    let mut left = args.count.unwrap_or(u64::MAX);
    let mut has_head = args.output != Output::Table;
    loop {
        let path = path(&args, collection.clone(), from.as_deref());
        let mut lines = client.lines(&path).await?;
        while let Some(event) = lines.next().await? {
            let object = event.get("object").unwrap_or(&Value::Null);
            let name = event
                .get("type")
                .and_then(Value::as_str)
                .unwrap_or_default();
            if name == "ERROR" {
                return Err(ended(object));
            }
            let version = object.pointer("/metadata/resourceVersion");
            let version = version.and_then(Value::as_str);
            if name == "BOOKMARK" || from.is_some() {
                from = version.map(str::to_owned).or(from);
            }
            if name == "BOOKMARK" {
                continue;
            }
            if !std::mem::replace(&mut has_head, true) {
                print::out(&columns("EVENT", "VERSION", "NAME"))?;
            }
            let is_read = print::follow(&shown(&event, object, &kind, &args)?)?;
            left -= 1;
            if left == 0 || !is_read {
                return Ok(Exit::Done);
            }
        }
    }
}

fn path(args: &Args, collection: Path, from: Option<&str>) -> Path {
    let name = args
        .name
        .as_ref()
        .map(|name| format!("metadata.name={name}"));
    // A bookmark tells when the objects of now have come.
    let initial = from.is_none().then_some("true");
    let at_least = from.is_none().then_some("NotOlderThan");
    collection
        .query("watch", "true")
        .query("allowWatchBookmarks", "true")
        .query_if("sendInitialEvents", initial)
        .query_if("resourceVersionMatch", at_least)
        .query_if("fieldSelector", name.as_deref())
        .query_if("labelSelector", args.selector.as_deref())
        .query_if("resourceVersion", from)
}

/// One event as a line, or as a document.
fn shown(event: &Value, object: &Value, kind: &Kind, args: &Args) -> Result<String, Failure> {
    let text = |pointer: &str| print::cell(object.pointer(pointer));
    let name = text("/metadata/name");
    Ok(match args.output {
        Output::Table => {
            let name = if args.all_namespaces && kind.is_namespaced {
                format!("{}/{name}", text("/metadata/namespace"))
            } else {
                name
            };
            let version = text("/metadata/resourceVersion");
            columns(&print::cell(event.get("type")), &version, &name)
        }
        Output::Name => print::clean(&format!("{}/{name}", kind.qualified())) + "\n",
        Output::Json => format!("{event}\n"),
        Output::Yaml => format!("---\n{}", print::whole(event, Output::Yaml)?),
    })
}

fn columns(kind: &str, version: &str, name: &str) -> String {
    let (kind, version, name) = (
        print::clean(kind),
        print::clean(version),
        print::clean(name),
    );
    format!("{kind:KIND_WIDTH$}   {version:VERSION_WIDTH$}   {name}\n")
}

/// The failure that the last line of a watch tells.
fn ended(status: &Value) -> Failure {
    let text = print::cell(status.get("message"));
    let code = status.get("code").and_then(Value::as_u64);
    let (exit, advice) = match code {
        Some(401 | 403) => (Exit::NotAllowed, ""),
        Some(410) => (
            Exit::Failed,
            ": what changed meanwhile is no longer kept; begin again without --since",
        ),
        Some(503) => (Exit::NotReady, ""),
        _ => (Exit::Failed, ""),
    };
    Failure::new(exit, format!("the server ended the watch: {text}{advice}"))
}

#[cfg(test)]
mod tests {
    //! Catches a column that a name can shift, and an end whose reason is lost.
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_line_up() {
        assert_eq!(
            columns("EVENT", "VERSION", "NAME"),
            "EVENT      VERSION      NAME\n"
        );
        assert_eq!(
            columns("MODIFIED", "12", "a\nb"),
            "MODIFIED   12           a b\n"
        );
    }

    #[test]
    fn the_reason_of_an_end_is_told() {
        let failure = ended(&json!({"code": 410, "message": "too old"}));
        assert!(
            failure.message.contains("too old: what changed"),
            "{}",
            failure.message
        );
        assert_eq!(ended(&json!({"code": 401})).exit, Exit::NotAllowed);
    }
}
