//! `annals search`: full-text search of one namespace.

use clap::Args as Flags;
use serde_json::Value;

use super::color::{Color, Pen};
use super::object::items;
use super::print::{self, Output};
use super::server::Server;
use super::{Exit, Failure};
use crate::client::{Error, Path};
use crate::limits;

const LIMIT_MAX: i64 = limits::SEARCH_HITS as i64;
/// Everything written so far.
const LATEST: &str = "latest";
const SEARCH: &str = "/apis/search.annals.dev/v1/namespaces";

#[derive(Debug, Flags)]
pub(super) struct Args {
    /// The text to search for; * finds everything
    query: String,
    /// Only this kind, such as dashboard (repeat for more)
    #[arg(long = "type", value_name = "KIND")]
    types: Vec<String>,
    /// Only objects of this folder
    #[arg(long)]
    folder: Option<String>,
    /// Only objects with this tag (repeat: with all of them)
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Only objects with this label, KEY=VALUE (repeat: with all of them)
    #[arg(long = "label", value_name = "LABEL")]
    labels: Vec<String>,
    /// Only objects with one of these names
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
    /// The most hits to print
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=LIMIT_MAX))]
    limit: u32,
    /// Hits to leave out at the beginning
    #[arg(long, default_value_t = 0)]
    offset: u32,
    /// Wait until the index has reached this version [default: what is written by now]
    #[arg(long, value_name = "VERSION")]
    min_version: Option<u64>,
    /// The namespace [default: that of the kubeconfig]
    #[arg(short, long)]
    namespace: Option<String>,
    /// Search as this user sees it; for administrators
    #[arg(long = "as", value_name = "NAME", conflicts_with = "data_dir")]
    speak_for: Option<String>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    color: Color,
    #[command(flatten)]
    server: Server,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let mut client = args.server.client()?;
    if let Some(user) = &args.speak_for {
        client = client.speaking_for(user)?;
    }
    let namespace = args.namespace.as_deref().unwrap_or(client.namespace());
    let wanted = args
        .min_version
        .map_or(LATEST.to_owned(), |version| version.to_string());
    let answer = match client.get(&path(&args, namespace, Some(&wanted))).await {
        // The index lags far behind: what it has is better than nothing, and says its version.
        Err(Error::Status(status)) if status.code == 504 && args.min_version.is_none() => {
            client.get(&path(&args, namespace, None)).await?
        }
        answer => answer?,
    };
    let hits = items(&answer, "hits")?;
    let text = match args.output {
        Output::Table => highlighted(&table(&hits), &args.query, args.color.pen()),
        Output::Name => hits.iter().map(name).collect(),
        Output::Json | Output::Yaml => print::whole(&answer, args.output)?,
    };
    print::out(&text)?;
    if args.output == Output::Table {
        eprintln!("{}", print::clean(&summary(&answer, hits.len())));
    }
    Ok(Exit::Done)
}

fn path(args: &Args, namespace: &str, min_version: Option<&str>) -> Path {
    let path = Path::new(SEARCH)
        .part(namespace)
        .part("search")
        .query("query", &args.query);
    let lists = [
        ("type", &args.types),
        ("tag", &args.tags),
        ("label", &args.labels),
        ("name", &args.names),
    ];
    let pairs = lists
        .iter()
        .flat_map(|(name, values)| values.iter().map(move |v| (*name, v)));
    pairs
        .fold(path, |path, (name, value)| path.query(name, value))
        .query_if("folder", args.folder.as_deref())
        .query_if("minVersion", min_version)
        .query("limit", &args.limit.to_string())
        .query("offset", &args.offset.to_string())
}

fn table(hits: &[Value]) -> String {
    if hits.is_empty() {
        return String::new();
    }
    let row = |hit: &Value| {
        let cell = |field| {
            hit.get(field)
                .map_or(String::new(), |value| print::cell(Some(value)))
        };
        let tags = hit.get("tags").and_then(Value::as_array);
        let tags: Vec<_> = tags
            .into_iter()
            .flatten()
            .map(|tag| print::cell(Some(tag)))
            .collect();
        let score = hit.get("score").and_then(Value::as_f64);
        let score = score.map_or(String::new(), |score| format!("{score:.2}"));
        vec![
            cell("resource"),
            cell("name"),
            cell("title"),
            cell("folder"),
            tags.join(","),
            score,
        ]
    };
    let heads = ["resource", "name", "title", "folder", "tags", "score"];
    print::table(&heads, hits.iter().map(row).collect())
}

/// The table with the words of the query made to stand out below its head.
fn highlighted(table: &str, query: &str, pen: Pen) -> String {
    let words: Vec<String> = query
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let (head, rows) = table.split_once('\n').unwrap_or((table, ""));
    if rows.is_empty() {
        return table.to_owned();
    }
    format!("{head}\n{}", pen.highlight(rows, &words))
}

fn name(hit: &Value) -> String {
    let cell = |field| print::clean(&print::cell(hit.get(field)));
    format!("{}/{}\n", cell("resource"), cell("name"))
}

fn summary(answer: &Value, shown: usize) -> String {
    let total = print::cell(answer.get("totalHits"));
    let at = match answer.get("resourceVersion") {
        Some(version) => format!(" at version {}", print::cell(Some(version))),
        None => String::new(),
    };
    let relaxed = answer
        .get("relaxed")
        .is_some_and(|relaxed| *relaxed == true);
    let relaxed = if relaxed {
        "; nothing has all the words, these have some"
    } else {
        ""
    };
    format!("{shown} of {total} hits{at}{relaxed}")
}

#[cfg(test)]
mod tests {
    //! Catches a filter that does not reach the server, and a hit shown with another's title.
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn every_filter_is_sent() {
        let words = "x --type dashboard --type folder --tag a&b --label k=v --name n \
                     --folder f --limit 3 --offset 6 --min-version 9 a";
        let words = words.trim_end_matches(" a").split_whitespace();
        let line = Line::try_parse_from(words.clone().take(1).chain(["q r"]).chain(words.skip(1)));
        assert_eq!(
            path(&line.unwrap().args, "ns", Some("9")).to_string(),
            "/apis/search.annals.dev/v1/namespaces/ns/search?query=q%20r&type=dashboard\
             &type=folder&tag=a%26b&label=k%3Dv&name=n&folder=f&minVersion=9&limit=3&offset=6"
        );
    }

    #[test]
    fn one_line_for_each_hit() {
        let hits = [
            json!({"resource": "dashboards", "name": "x", "title": "T", "tags": ["a", "b"],
                "score": 1.234}),
            json!({"resource": "folders", "name": "y", "title": "U", "folder": "f"}),
        ];
        assert_eq!(
            table(&hits),
            "RESOURCE     NAME   TITLE   FOLDER   TAGS   SCORE\n\
             dashboards   x      T                a,b    1.23\n\
             folders      y      U       f\n"
        );
        let shown = highlighted("TYPE T\na      to\n", "\"T o\"", Pen::new(true));
        assert_eq!(
            shown.replace("\u{1b}[1;33m", "<").replace("\u{1b}[0m", ">"),
            "TYPE T\na      <t><o>\n"
        );
        assert_eq!(highlighted("", "a", Pen::new(true)), "");
        let answer = json!({"totalHits": 7, "resourceVersion": "12", "relaxed": true});
        assert_eq!(
            summary(&answer, 2),
            "2 of 7 hits at version 12; nothing has all the words, these have some"
        );
    }
}
