//! The settings of `annals serve` from a file, and `annals config show`, which says where each comes
//! from.
//!
//! ```text
//! default  <  file (--config, ANNALS_CONFIG)  <  environment (ANNALS_*)  <  flag
//! ```
//!
//! A key of the file is the long name of a flag. Its values become the defaults of the flags, so
//! one parser judges them all and nothing is read in two ways. No file is looked for unless one
//! is named.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args as Flags, Command, Subcommand};
use serde_json::{Map, Value, json};

use super::print::{self, Output};
use super::{Exit, Failure, serve};

/// A larger file holds something else.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Arguments that are no settings.
const OTHERS: [&str; 4] = ["config", "help", "origin", "output"];

#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Print the settings with which `annals serve` would start here
    Show(Show),
}

#[derive(Debug, Flags)]
pub(super) struct Show {
    /// Say where each comes from
    #[arg(long)]
    origin: bool,
    /// How to print
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Parsed only so that wrong values are refused.
    #[command(flatten)]
    _serve: serve::Args,
}

/// What a file says, by the long names of flags.
#[derive(Debug)]
pub(super) struct Settings {
    path: PathBuf,
    values: Vec<(String, Vec<String>)>,
}

/// The matches of the command that has settings.
fn part(matches: &ArgMatches) -> Option<&ArgMatches> {
    match matches.subcommand()? {
        ("serve", part) => Some(part),
        ("config", part) => part.subcommand_matches("show"),
        _ => None,
    }
}

/// The settings among the arguments of `annals serve`, by their long names.
fn known(annals: &Command) -> impl Iterator<Item = (&str, &Arg)> {
    let serve = annals.find_subcommand("serve").into_iter();
    let named = serve.flat_map(Command::get_arguments);
    let named = named.filter_map(|arg| Some((arg.get_long()?, arg)));
    named.filter(|(name, _)| !OTHERS.contains(name))
}

impl Settings {
    /// The file that the command line or the environment names.
    pub(super) fn find(annals: &Command, matches: &ArgMatches) -> Result<Option<Self>, Failure> {
        let named = part(matches).and_then(|part| part.get_one::<PathBuf>("config"));
        named.map(|path| Self::read(annals, path)).transpose()
    }

    fn read(annals: &Command, path: &Path) -> Result<Self, Failure> {
        let told = |why: String| Failure::new(Exit::Usage, format!("{}: {why}", path.display()));
        let size = std::fs::metadata(path).map_err(|why| told(why.to_string()))?;
        if size.len() > FILE_BYTES_MAX {
            return Err(told(format!("larger than {FILE_BYTES_MAX} bytes")));
        }
        let text = std::fs::read_to_string(path).map_err(|why| told(why.to_string()))?;
        let values = parse(annals, &text).map_err(told)?;
        let path = path.to_owned();
        Ok(Self { path, values })
    }

    /// The command line with these settings as defaults.
    pub(super) fn put(&self, annals: Command) -> Command {
        let ids: Vec<_> = known(&annals)
            .filter_map(|(name, arg)| Some((arg.get_id().clone(), self.get(name)?.to_vec())))
            .collect();
        let fill = |command: Command| {
            ids.iter().fold(command, |command, (id, values)| {
                command.mut_arg(id, |arg| arg.default_values(values.clone()))
            })
        };
        annals
            .mut_subcommand("serve", fill)
            .mut_subcommand("config", |config| config.mut_subcommand("show", fill))
    }

    /// What is wrong with a value of the file, which the parser found.
    pub(super) fn refuse(&self, error: &clap::Error) -> Failure {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        let why = first.trim_start_matches("error: ");
        Failure::new(Exit::Usage, format!("{}: {why}", self.path.display()))
    }

    fn get(&self, name: &str) -> Option<&[String]> {
        let found = self.values.iter().find(|(key, _)| key == name);
        found.map(|(_, values)| values.as_slice())
    }
}

/// The settings of a text.
fn parse(annals: &Command, text: &str) -> Result<Vec<(String, Vec<String>)>, String> {
    let value: Value = serde_saphyr::from_str(text).map_err(|why| format!("not YAML: {why}"))?;
    let map = match value {
        Value::Object(map) => map,
        Value::Null => Map::new(),
        _ => return Err("expected settings, one KEY: VALUE on each line".to_owned()),
    };
    let one = |(key, value): (String, Value)| {
        let found = known(annals).find(|(name, _)| *name == key);
        let (_, arg) = found.ok_or_else(|| {
            let names: Vec<&str> = known(annals).map(|(name, _)| name).collect();
            format!("unknown key {key:?}: expected one of {}", names.join(", "))
        })?;
        let is_list = matches!(arg.get_action(), ArgAction::Append);
        let values = match value {
            Value::Array(items) if is_list => items.iter().map(scalar).collect(),
            other => scalar(&other).map(|text| vec![text]),
        };
        let expected = if is_list {
            "a text or a list of them"
        } else {
            "a text"
        };
        let values: Option<Vec<String>> = values;
        let values = values.ok_or_else(|| format!("{key}: expected {expected}"))?;
        Ok((key, values))
    };
    map.into_iter().map(one).collect()
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Prints the settings.
pub(super) fn show(
    args: &Show,
    annals: &Command,
    matches: &ArgMatches,
    file: Option<&Settings>,
) -> Result<Exit, Failure> {
    let part = part(matches);
    let rows = known(annals).map(|(name, arg)| {
        let id = arg.get_id().as_str();
        let raw = part.and_then(|part| part.get_raw(id));
        let texts = raw.into_iter().flatten().map(|text| text.to_string_lossy());
        let texts: Vec<_> = texts.collect();
        let value = (!texts.is_empty()).then(|| texts.join(","));
        let source = part.and_then(|part| part.value_source(id));
        let from_file = file.filter(|file| file.get(name).is_some());
        let origin = match source {
            Some(ValueSource::CommandLine) => format!("flag --{name}"),
            Some(ValueSource::EnvVariable) => {
                let variable = arg.get_env().map(OsString::from).unwrap_or_default();
                format!("environment {}", variable.to_string_lossy())
            }
            _ => from_file.map_or("default".to_owned(), |file| {
                format!("file {}", file.path.display())
            }),
        };
        (name.to_owned(), value, origin)
    });
    let rows: Vec<_> = rows.collect();
    let text = match args.output {
        Output::Name => rows.iter().map(|(name, ..)| format!("{name}\n")).collect(),
        Output::Json | Output::Yaml => {
            let one = |(name, value, origin): (String, Option<String>, String)| {
                let shown = if args.origin {
                    json!({"value": value, "origin": origin})
                } else {
                    json!(value)
                };
                (name, shown)
            };
            let map: Map<String, Value> = rows.into_iter().map(one).collect();
            print::whole(&Value::Object(map), args.output)?
        }
        Output::Table => {
            let line = |(name, value, origin): (String, Option<String>, String)| {
                let mut cells = vec![name, value.unwrap_or_else(|| "<none>".to_owned())];
                cells.extend(args.origin.then_some(origin));
                cells
            };
            let heads = ["setting", "value", "origin"];
            let heads = if args.origin { &heads[..] } else { &heads[..2] };
            print::table(heads, rows.into_iter().map(line).collect())
        }
    };
    print::out(&text)?;
    Ok(Exit::Done)
}
