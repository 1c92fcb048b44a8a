//! Colours for people, and none for programs.
//!
//! `auto` colours what goes to a terminal, unless the environment says otherwise: `NO_COLOR` that
//! is not empty, or a terminal called `dumb`. What is coloured has been cleaned before, so the
//! only escapes that reach a terminal are those of this file.

use std::env;
use std::io::{self, IsTerminal};

use clap::{Args, ValueEnum};

/// Whether to colour.
#[derive(Debug, Args)]
pub(super) struct Color {
    /// When to colour
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = When::Auto)]
    color: When,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum When {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Color {
    /// The pen for the standard output.
    pub(super) fn pen(&self) -> Pen {
        let is_on = match self.color {
            When::Always => true,
            When::Never => false,
            When::Auto => is_terminal() && allows(|name| env::var_os(name)),
        };
        Pen { is_on }
    }
}

/// Whether the standard output is a terminal.
pub(super) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether the environment lets us colour a terminal.
fn allows(variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> bool {
    let refuses = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
    !refuses && variable("TERM").is_none_or(|term| term != "dumb")
}

/// Writes in colours, or plainly.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pen {
    is_on: bool,
}

impl Pen {
    #[cfg(test)]
    pub(super) fn new(is_on: bool) -> Self {
        Self { is_on }
    }

    /// What is no longer so.
    pub(super) fn old(self, text: &str) -> String {
        self.write("31", text)
    }

    /// What is so now.
    pub(super) fn new_text(self, text: &str) -> String {
        self.write("32", text)
    }

    /// Where.
    pub(super) fn place(self, text: &str) -> String {
        self.write("36", text)
    }

    /// What stands out.
    pub(super) fn strong(self, text: &str) -> String {
        self.write("1", text)
    }

    fn write(self, code: &str, text: &str) -> String {
        if self.is_on && !text.is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// `text` with every place that holds one of these words made to stand out. Upper and lower
    /// case are the same.
    pub(super) fn highlight(self, text: &str, words: &[String]) -> String {
        if !self.is_on || words.is_empty() {
            return text.to_owned();
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let longest = words.iter().filter_map(|word| begins(rest, word)).max();
            let length = longest.unwrap_or(c.len_utf8());
            let (part, behind) = rest.split_at(length);
            if longest.is_some() {
                out.push_str(&self.write("1;33", part));
            } else {
                out.push_str(part);
            }
            rest = behind;
        }
        out
    }
}

/// How many bytes of `text` say `word`, which is in lower case, if it begins so.
fn begins(text: &str, word: &str) -> Option<usize> {
    let mut wanted = word.chars().peekable();
    wanted.peek()?;
    for (at, c) in text.char_indices() {
        for lower in c.to_lowercase() {
            if wanted.next() != Some(lower) {
                return None;
            }
        }
        if wanted.peek().is_none() {
            return Some(at + c.len_utf8());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    //! Catches escapes where nobody wants them, and a highlight that eats text.
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_environment_decides() {
        let allows = |no_color: Option<&str>, term: Option<&str>| {
            allows(|name| match name {
                "NO_COLOR" => no_color.map(Into::into),
                "TERM" => term.map(Into::into),
                _ => None,
            })
        };
        assert!(allows(None, Some("xterm")));
        assert!(allows(Some(""), None));
        assert!(!allows(Some("1"), Some("xterm")));
        assert!(!allows(None, Some("dumb")));
    }

    #[test]
    fn words_stand_out_in_any_case() {
        let pen = Pen::new(true);
        let words = ["night".to_owned(), "nights".to_owned(), "ä".to_owned()];
        assert_eq!(
            pen.highlight("NIGHTS, Ä", &words),
            "\u{1b}[1;33mNIGHTS\u{1b}[0m, \u{1b}[1;33mÄ\u{1b}[0m"
        );
        assert_eq!(Pen::new(false).highlight("night", &words), "night");
    }

    proptest! {
        #[test]
        fn no_text_is_lost(text: String, words in prop::collection::vec("[a-cß ]{0,2}", 0..3)) {
            let text = crate::cli::print::clean(&text);
            let shown = Pen::new(true).highlight(&text, &words);
            let plain = shown.replace("\u{1b}[1;33m", "").replace("\u{1b}[0m", "");
            prop_assert_eq!(plain, text);
        }
    }
}
