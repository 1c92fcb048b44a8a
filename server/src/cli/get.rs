//! `annals get`: objects as the server's own table, or whole.

use clap::Args as Flags;
use serde_json::{Value, json};

use super::kind::{Kind, resolve};
use super::object::items;
use super::print::{self, Output};
use super::server::Server;
use super::{Exit, Failure};
use crate::client::{Client, Path};

/// Objects asked for at a time.
pub(super) const PAGE: &str = "500";

/// More objects than this are not held in memory.
const OBJECTS_MAX: usize = 1_000_000;

pub(super) const JSON: &str = "application/json";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

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
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let client = args.server.client()?;
    let kind = resolve(&client, &args.kind).await?;
    let namespace = args.namespace.as_deref().unwrap_or(client.namespace());
    let collection = kind.collection((!args.all_namespaces).then_some(namespace));
    let accept = if args.output == Output::Table {
        TABLE
    } else {
        JSON
    };
    let answer = match &args.name {
        Some(name) => client.get_as(&collection.part(name), accept).await?,
        None => {
            let field = if args.output == Output::Table {
                "rows"
            } else {
                "items"
            };
            let path = collection.query_if("labelSelector", args.selector.as_deref());
            list(&client, &path.query("limit", PAGE), accept, field).await?
        }
    };
    let text = match args.output {
        Output::Table => table(&answer, args.all_namespaces && kind.is_namespaced)?,
        Output::Name => names(&answer, &kind)?,
        Output::Json | Output::Yaml => print::whole(&answer, args.output)?,
    };
    if text.is_empty() && args.name.is_none() {
        eprintln!("No resources found");
    }
    print::out(&text)?;
    Ok(Exit::Done)
}

/// All pages of a list as one answer, the list being in `field`.
pub(super) async fn list(
    client: &Client,
    path: &Path,
    accept: &'static str,
    field: &str,
) -> Result<Value, Failure> {
    let mut whole = client.get_as(path, accept).await?;
    let mut all = items(&whole, field)?;
    let mut next = continuation(&whole);
    while let Some(token) = next {
        let page = client
            .get_as(&path.clone().query("continue", &token), accept)
            .await?;
        all.extend(items(&page, field)?);
        if all.len() > OBJECTS_MAX {
            let message = format!("more than {OBJECTS_MAX} objects: narrow the list with -n or -l");
            return Err(Failure::new(Exit::Failed, message));
        }
        next = continuation(&page);
    }
    if let Some(slot) = whole.get_mut(field) {
        *slot = Value::Array(all);
    }
    if let Some(metadata) = whole.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("continue");
        metadata.remove("remainingItemCount");
    }
    Ok(whole)
}

fn continuation(answer: &Value) -> Option<String> {
    let token = answer.pointer("/metadata/continue")?.as_str()?;
    (!token.is_empty()).then(|| token.to_owned())
}

/// The columns that the server wants seen first, after the namespace if it is asked for.
fn table(answer: &Value, with_namespace: bool) -> Result<String, Failure> {
    let columns = items(answer, "columnDefinitions")?;
    let rows = items(answer, "rows")?;
    if rows.is_empty() {
        return Ok(String::new());
    }
    let is_seen = |column: &Value| column.get("priority").and_then(Value::as_i64).unwrap_or(0) == 0;
    let seen: Vec<usize> = (0..columns.len())
        .filter(|at| is_seen(&columns[*at]))
        .collect();
    let names: Vec<String> = seen
        .iter()
        .map(|at| print::cell(columns[*at].get("name")))
        .collect();
    let mut heads: Vec<&str> = names.iter().map(String::as_str).collect();
    if with_namespace {
        heads.insert(0, "namespace");
    }
    let line = |row: &Value| {
        let cell = |at: &usize| print::cell(row.get("cells").and_then(|cells| cells.get(*at)));
        let namespace = row.pointer("/object/metadata/namespace");
        let first = with_namespace.then(|| print::cell(namespace));
        first.into_iter().chain(seen.iter().map(cell)).collect()
    };
    Ok(print::table(&heads, rows.iter().map(line).collect()))
}

fn names(answer: &Value, kind: &Kind) -> Result<String, Failure> {
    let objects = match answer.get("items") {
        Some(_) => items(answer, "items")?,
        None => vec![answer.clone()],
    };
    let line = |object: &Value| {
        let name = object
            .pointer("/metadata/name")
            .unwrap_or(&json!(""))
            .clone();
        format!(
            "{}/{}\n",
            kind.qualified(),
            print::clean(&print::cell(Some(&name)))
        )
    };
    Ok(objects.iter().map(line).collect())
}

#[cfg(test)]
mod tests {
    //! Catches a column under the wrong head.
    use super::*;

    #[test]
    fn prints_the_columns_of_the_server() {
        let answer = json!({
            "columnDefinitions": [
                {"name": "Name", "priority": 0}, {"name": "Hidden", "priority": 1}, {"name": "Age"},
            ],
            "rows": [
                {"cells": ["a", "x", "5d"], "object": {"metadata": {"namespace": "one"}}},
                {"cells": ["bb", "y", null]},
            ],
        });
        assert_eq!(
            table(&answer, false).unwrap(),
            "NAME   AGE\na      5d\nbb     <none>\n"
        );
        assert_eq!(
            table(&answer, true).unwrap(),
            "NAMESPACE   NAME   AGE\none         a      5d\n<none>      bb     <none>\n"
        );
        assert_eq!(
            table(&json!({"columnDefinitions": [], "rows": []}), true).unwrap(),
            ""
        );
        assert!(table(&json!({"kind": "Status"}), false).is_err());
    }
}
