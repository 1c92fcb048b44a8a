//! `annals import file`: what `annals export` wrote, or lists of objects that others wrote.
//!
//! Into a data directory, which is made when there is none, whole collections are loaded; through
//! a server, one object after the other, as its user.

use std::path::{Path as File, PathBuf};

use annals::{Principal, Version};
use clap::Args as Flags;
use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::cli::kind::Kind;
use crate::cli::local::{failure, kinds, open_to_load};
use crate::cli::server::Server;
use crate::cli::{Exit, Failure, print};
use crate::client::{Client, Error};
use crate::kinds::Kinds;
use crate::records::{Format, Reader, Record, Tally, load, merge, reader, standard_input};

/// Who writes what the file has no author for.
const AUTHOR: &str = "annals import";

#[derive(Debug, Flags)]
pub(in crate::cli) struct Args {
    /// The files; - is the standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The format: ndjson, yaml or parquet [default: what the end of the name says, else ndjson]
    #[arg(short, long)]
    format: Option<Format>,
    #[command(flatten)]
    server: Server,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let kinds = kinds()?;
    let mut tally = Tally::default();
    let done = match args.server.data_dir() {
        Some(directory) => into_directory(&args, &kinds, directory, &mut tally),
        None => into_server(&args, &kinds, &mut tally).await,
    };
    print::out(&format!(
        "{} created, {} updated, {} deleted, {} unchanged\n",
        tally.created, tally.updated, tally.deleted, tally.unchanged
    ))?;
    done.map(|()| Exit::Done)
}

fn open<'a>(args: &Args, file: &File, kinds: &'a Kinds) -> Result<Box<dyn Reader + 'a>, Failure> {
    let format = args.format.or_else(|| Format::of(file));
    let format = format.unwrap_or(Format::Ndjson);
    Ok(if file.as_os_str() == "-" {
        standard_input(format, kinds)?
    } else {
        reader(format, file, kinds)?
    })
}

fn into_directory(
    args: &Args,
    kinds: &Kinds,
    directory: &File,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let store = open_to_load(directory)?;
    // The bar hides itself when the standard error is not a terminal.
    let bar = ProgressBar::new_spinner();
    let mut told = |tally: &Tally| {
        bar.set_message(format!("{} records", tally.records()));
        bar.tick();
    };
    for file in &args.files {
        let reader = open(args, file, kinds)?;
        say_version(file, reader.about().version);
        let author = Principal::new(AUTHOR);
        let loaded = load(&store, kinds, &author, reader, tally, &mut told);
        if let Err(error) = loaded {
            bar.finish_and_clear();
            let message = format!(
                "{error}; {} collections are in: mend what is wrong and run this again, which \
                 passes over them",
                tally.collections
            );
            return Err(Failure::new(Exit::Failed, message));
        }
    }
    bar.finish_and_clear();
    let stats = store.stats().map_err(|error| failure(&error))?;
    eprintln!("the directory is at version {}", stats.version);
    Ok(())
}

fn say_version(file: &File, version: Version) {
    if version != Version::ZERO {
        let line = format!("{} holds version {version}", file.display());
        eprintln!("{}", print::clean(&line));
    }
}

async fn into_server(args: &Args, kinds: &Kinds, tally: &mut Tally) -> Result<(), Failure> {
    let client = args.server.client()?;
    for file in &args.files {
        let mut reader = open(args, file, kinds)?;
        if reader.about().history {
            let message = format!(
                "{}: a file with history can only be imported with --data-dir",
                file.display()
            );
            return Err(Failure::new(Exit::Usage, message));
        }
        while let Some(record) = reader.next().transpose()? {
            let sent = send(&client, &record, tally).await;
            sent.map_err(|failure| {
                let message = format!("{}: {}", reader.place(), failure.message);
                Failure::new(failure.exit, message)
            })?;
        }
    }
    Ok(())
}

/// Creates an object, or replaces it when it says something else.
async fn send(client: &Client, record: &Record, tally: &mut Tally) -> Result<(), Failure> {
    let wrong = |why: String| Failure::new(Exit::Failed, why);
    let mut new: Value =
        serde_json::from_slice(&record.body).map_err(|why| wrong(format!("not JSON: {why}")))?;
    if let Some(metadata) = new.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("resourceVersion");
    }
    let text = |field: &str| new.get(field).and_then(Value::as_str).unwrap_or_default();
    let key = &record.key;
    let kind = Kind {
        group: key.group().to_owned(),
        version: text("apiVersion")
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned(),
        plural: key.resource().to_owned(),
        name: text("kind").to_owned(),
        is_namespaced: !key.namespace().is_empty(),
    };
    let collection = kind.collection(Some(key.namespace()));
    let path = collection.clone().part(key.name());
    let mut old = match client.get(&path).await {
        Ok(old) => old,
        Err(error) if error.code() == Some(404) => {
            client.post(&collection, Some(&new)).await?;
            tally.created += 1;
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let metadata = old.get_mut("metadata").and_then(Value::as_object_mut);
    let version = metadata.and_then(|metadata| metadata.shift_remove("resourceVersion"));
    let merged = merge(old.to_string().as_bytes(), new.to_string().as_bytes());
    let Some(body) = merged.map_err(wrong)? else {
        tally.unchanged += 1;
        return Ok(());
    };
    let mut body: Value = serde_json::from_slice(&body).map_err(|why| wrong(why.to_string()))?;
    body["metadata"]["resourceVersion"] = version.unwrap_or(json!(""));
    let put: Result<Value, Error> = client.put(&path, &body).await;
    put?;
    tally.updated += 1;
    Ok(())
}
