//! `annals trash`: the objects that were deleted and can be restored.
//!
//! A server tells their names by the label selector that Grafana has for it; when and by whom each
//! went is in its history. A directory is read as it is. The latest deletion comes first.

use annals::{Collection, List, Timestamp};
use clap::Args as Flags;
use serde_json::{Value, json};

use super::get::{JSON, PAGE, list};
use super::kind::{Kind, resolve};
use super::local::{client_over, failure, open_unindexed};
use super::object::{Found, items, version};
use super::print::{self, Output};
use super::server::Server;
use super::{Exit, Failure};

const SELECTOR: &str = "grafana.app/get-trash=true";

#[derive(Debug, Flags)]
pub(super) struct Args {
    /// Plural, singular, short name or kind, with or without its group
    kind: String,
    /// The namespace [default: that of the kubeconfig]
    #[arg(short, long)]
    namespace: Option<String>,
    /// The objects of all namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,
    /// The most objects to print
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    server: Server,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let (kind, mut rows) = match args.server.data_dir() {
        Some(directory) => {
            let store = open_unindexed(directory)?;
            let client = client_over(&store, directory)?;
            let kind = resolve(&client, &args.kind).await?;
            let namespace = args.namespace(client.namespace());
            let rows = of_store(&store, &kind, namespace, args.limit as usize + 1)?;
            (kind, rows)
        }
        None => of_server(&args).await?,
    };
    let is_cut = rows.len() > args.limit as usize;
    rows.truncate(args.limit as usize);
    let time = |row: &Value| version(row).unwrap_or(0);
    rows.sort_by_key(|row| std::cmp::Reverse(time(row)));
    let text = match args.output {
        Output::Table => table(&rows, args.all_namespaces && kind.is_namespaced),
        Output::Name => {
            let name = |row| print::clean(&print::cell(Value::get(row, "name")));
            let line = |row| format!("{}/{}\n", kind.qualified(), name(row));
            rows.iter().map(line).collect()
        }
        Output::Json | Output::Yaml => {
            print::whole(&json!({"kind": "Trash", "items": rows}), args.output)?
        }
    };
    print::out(&text)?;
    if rows.is_empty() && args.output == Output::Table {
        eprintln!("Nothing in the trash");
    }
    if is_cut {
        eprintln!("there is more: these are {} (--limit)", rows.len());
    }
    Ok(Exit::Done)
}

impl Args {
    fn namespace<'a>(&'a self, default: &'a str) -> Option<&'a str> {
        (!self.all_namespaces).then(|| self.namespace.as_deref().unwrap_or(default))
    }
}

fn of_store(
    store: &annals::Store,
    kind: &Kind,
    namespace: Option<&str>,
    most: usize,
) -> Result<Vec<Value>, Failure> {
    let told = |error| failure(&error);
    let namespace = namespace.filter(|_| kind.is_namespaced);
    let collection = match namespace {
        Some(namespace) => Collection::within(&kind.group, &kind.plural, namespace),
        None => Collection::of(&kind.group, &kind.plural),
    };
    let collection = collection.map_err(told)?;
    let snapshot = store.snapshot().map_err(told)?;
    let (mut rows, mut after) = (Vec::new(), None);
    while rows.len() < most {
        let list = List::new(collection.clone())
            .after(after)
            .limit(most - rows.len());
        let page = snapshot.trash(&list).map_err(told)?;
        rows.extend(page.items.iter().map(|revision| {
            let (key, header) = (revision.key(), revision.header());
            json!({
                "name": key.name(), "namespace": key.namespace(), "author": header.author,
                "version": header.version.to_string(), "time": rfc3339(header.time),
            })
        }));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(rows)
}

fn rfc3339(time: Timestamp) -> String {
    let micros = i64::try_from(time.0).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_microsecond(micros);
    time.unwrap_or_default().to_string()
}

async fn of_server(args: &Args) -> Result<(Kind, Vec<Value>), Failure> {
    let client = args.server.client()?;
    let kind = resolve(&client, &args.kind).await?;
    let default = client.namespace().to_owned();
    let collection = kind.collection(args.namespace(&default));
    let path = collection
        .query("labelSelector", SELECTOR)
        .query("limit", PAGE);
    let answer = list(&client, &path, JSON, "items").await?;
    let mut found = Found {
        client,
        kind,
        name: String::new(),
        namespace: default,
    };
    let mut rows = Vec::new();
    for object in items(&answer, "items")? {
        if rows.len() > args.limit as usize {
            break;
        }
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        found.name = text("/metadata/name").unwrap_or_default().to_owned();
        found.namespace = text("/metadata/namespace").unwrap_or_default().to_owned();
        let mut row = found.revision(None).await?;
        if row.get("action").is_none_or(|action| action != "deleted") {
            // It was restored between the list and the look.
            continue;
        }
        row["name"] = json!(found.name);
        row["namespace"] = json!(found.namespace);
        rows.push(row);
    }
    Ok((found.kind, rows))
}

fn table(rows: &[Value], with_namespace: bool) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let heads = ["name", "deleted at", "by", "version"];
    let fields = ["name", "time", "author", "version"];
    let space = with_namespace.then_some("namespace");
    let heads: Vec<&str> = space.into_iter().chain(heads).collect();
    let fields: Vec<&str> = space.into_iter().chain(fields).collect();
    let line = |row: &Value| {
        let cells = fields.iter().map(|field| print::cell(row.get(*field)));
        cells.collect()
    };
    print::table(&heads, rows.iter().map(line).collect())
}

#[cfg(test)]
mod tests {
    //! Catches a deletion shown with the time or the hand of another.
    use super::*;

    #[test]
    fn one_line_for_each_object() {
        let row = json!({"name": "x", "namespace": "n", "time": "T", "author": "ann",
            "version": "7"});
        assert_eq!(
            table(std::slice::from_ref(&row), false),
            "NAME   DELETED AT   BY    VERSION\nx      T            ann   7\n"
        );
        assert!(table(&[row], true).starts_with("NAMESPACE   NAME"));
        assert_eq!(table(&[], true), "");
    }
}
