//! `annals history`: the revisions of one object.

use clap::Args as Flags;
use serde_json::{Value, json};

use super::object::{Named, items, version};
use super::print::{self, Output};
use super::{Exit, Failure};

/// Revisions asked for at a time: they come with their objects.
const PAGE: u32 = 100;

#[derive(Debug, Flags)]
pub(super) struct Args {
    #[command(flatten)]
    object: Named,
    /// The most revisions to print
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

pub(super) async fn run(args: Args) -> Result<Exit, Failure> {
    let found = args.object.find().await?;
    let mut answer = found.revisions(args.limit.min(PAGE), None).await?;
    let mut revisions = items(&answer, "items")?;
    let limit = args.limit as usize;
    while revisions.len() < limit {
        let Some(oldest) = revisions.last() else {
            break;
        };
        let left = u32::try_from(limit - revisions.len()).unwrap_or(PAGE);
        let page = found
            .revisions(left.min(PAGE), Some(version(oldest)?))
            .await?;
        let page = items(&page, "items")?;
        if page.is_empty() {
            break;
        }
        revisions.extend(page);
    }
    let text = match args.output {
        Output::Table => table(&revisions),
        Output::Name => {
            let line = |revision: &Value| {
                format!(
                    "{}@{}\n",
                    found.qualified(),
                    print::cell(revision.get("version"))
                )
            };
            revisions.iter().map(line).collect()
        }
        Output::Json | Output::Yaml => {
            if let Some(slot) = answer.get_mut("items") {
                *slot = json!(revisions);
            }
            print::whole(&answer, args.output)?
        }
    };
    print::out(&text)?;
    Ok(Exit::Done)
}

fn table(revisions: &[Value]) -> String {
    let row = |revision: &Value| {
        let cell = |field| print::cell(revision.get(field));
        vec![
            cell("version"),
            cell("action"),
            cell("time"),
            cell("author"),
            size(revision),
        ]
    };
    let heads = ["version", "action", "time", "author", "size"];
    print::table(&heads, revisions.iter().map(row).collect())
}

/// The size of the object as JSON. A delete has none.
fn size(revision: &Value) -> String {
    match revision.get("object") {
        None | Some(Value::Null) => "-".to_owned(),
        Some(object) => object.to_string().len().to_string(),
    }
}

#[cfg(test)]
mod tests {
    //! Catches a revision shown with the fields of another.
    use super::*;

    #[test]
    fn one_line_for_each_revision() {
        let revisions = [
            json!({"version": "12", "action": "deleted", "time": "T2", "author": "ann"}),
            json!({"version": "9", "action": "created", "time": "T1", "author": null,
                "object": {"a": 1}}),
        ];
        assert_eq!(
            table(&revisions),
            "VERSION   ACTION    TIME   AUTHOR   SIZE\n\
             12        deleted   T2     ann      -\n\
             9         created   T1     <none>   7\n"
        );
    }
}
