//! Writing results: tables, JSON, YAML, names.
//!
//! Text from the server may hold anything. In tables and messages, control characters are
//! replaced, so that an object cannot move the reader's cursor or recolour the terminal.

use std::fmt::Write as _;
use std::io::{self, Write};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

use super::{Exit, Failure};

/// The shapes of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// Columns, for people
    Table,
    /// JSON, as the server sent it
    Json,
    /// The same as YAML
    Yaml,
    /// Names alone
    Name,
}

/// Writes to the standard output. A reader that has gone away is no failure.
pub(super) fn out(text: &str) -> Result<(), Failure> {
    follow(text).map(|_| ())
}

/// Writes to the standard output, and says whether somebody still reads it.
pub(super) fn follow(text: &str) -> Result<bool, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => {
            let advice = match error.kind() {
                io::ErrorKind::StorageFull => "; free some space and run it again",
                _ => "",
            };
            let why = format!("cannot write the result: {error}{advice}");
            Err(Failure::new(Exit::Failed, why))
        }
    }
}

/// A value as JSON or YAML text. The other shapes are the caller's.
pub(super) fn whole(value: &Value, output: Output) -> Result<String, Failure> {
    let wrong = |why: String| Failure::new(Exit::Failed, format!("cannot print the result: {why}"));
    match output {
        Output::Yaml => yaml(value).map_err(wrong),
        Output::Json | Output::Table | Output::Name => {
            let text = serde_json::to_string_pretty(value).map_err(|why| wrong(why.to_string()))?;
            Ok(text + "\n")
        }
    }
}

/// A value as YAML that ends with a line end.
pub(super) fn yaml(value: &Value) -> Result<String, String> {
    // Long text stays on one line, so that a diff shows the change and not where lines break.
    let flat = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
    let mut text =
        serde_saphyr::to_string_with_options(value, flat).map_err(|why| why.to_string())?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// Columns under upper-case heads, three spaces apart, as kubectl prints them.
pub(super) fn table(heads: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(heads.iter().map(|head| clean(head).to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|cell| clean(cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    let mut text = String::new();
    for line in table.lines() {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// A cell for a value: text bare, nothing as kubectl shows it, the rest as JSON.
pub(super) fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "<none>".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// `text` on one line, without characters that steer a terminal.
pub(super) fn clean(text: &str) -> String {
    let steers =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars()
        .map(|c| {
            if c == '\n' || c == '\t' {
                ' '
            } else if steers(c) {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    //! Catches columns that do not line up, and an object that takes over the terminal.
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = vec![
            vec!["a".into(), "long title".into()],
            vec!["name".into(), "".into()],
        ];
        assert_eq!(
            table(&["Name", "Title"], rows),
            "NAME   TITLE\na      long title\nname\n"
        );
        assert_eq!(
            table(&["NAME"], vec![vec!["a\u{1b}[2Jb\nc\u{202e}".into()]]),
            "NAME\na\u{fffd}[2Jb c\u{fffd}\n"
        );
    }

    #[test]
    fn yaml_round_trips() {
        let long = "word ".repeat(100);
        let value = json!({"b": {"z": 1, "a": [
            1, "2", null, true, "yes", "", "a: b", "x\ny\n",
            "y", "N", "on", "Off", "1_0", "0o7", "1:2", "2030-01-01", ".5", "null", "Null",
            "-", "0x1", "1e3", "~", long, " a ", "#", "\u{1b}", "é\u{85}"]}, "a": {}, "l": []});
        let text = yaml(&value).unwrap();
        let back: Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(back, value, "{text}");
        assert!(
            text.starts_with("b:\n"),
            "the order of the object is kept: {text}"
        );
    }
}
