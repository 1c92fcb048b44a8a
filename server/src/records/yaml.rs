//! A YAML list, as `kubectl get -o yaml` prints one, or documents of one object each.
//!
//! The text is cut into items before any of it is parsed, so that one item is in memory at a
//! time. An item begins with a dash at the indentation of the first one; all of it stands further
//! in, and no scalar of a block can stand further out. So lists in flow style (`items: [..]`, and
//! JSON) are not read here.
//!
//! ```text
//! apiVersion: v1
//! kind: List
//! metadata: {resourceVersion: "42", history: false}     a list that names its version is ours,
//! items:
//! - apiVersion: ..
//!   kind: ..
//! ...                                                    and must end with this line
//! ```
//!
//! Values go through YAML and so keep what they mean, not how their numbers are spelled.

use std::io::{BufRead, BufWriter, Write};

use annals::Version;
use serde_json::Value;

use super::item::{self, Item};
use super::lines::Lines;
use super::{About, Error, ITEM_BYTES_MAX, Reader, Record, Writer};
use crate::kinds::Kinds;

const OUTPUT: &str = "the output";
const END: &str = "...";

/// A list that is being written.
pub(super) struct Out<'a, W: Write> {
    out: BufWriter<W>,
    kinds: &'a Kinds,
    history: bool,
}

impl<'a, W: Write> Out<'a, W> {
    pub(super) fn new(out: W, about: &About, kinds: &'a Kinds) -> Result<Self, Error> {
        let mut out = Self {
            out: BufWriter::new(out),
            kinds,
            history: about.history,
        };
        out.text(&format!(
            "apiVersion: v1\nkind: List\nmetadata:\n  resourceVersion: \"{}\"\n  epoch: \"{}\"\n  \
             history: {}\nitems:\n",
            about.version, about.epoch, about.history
        ))?;
        Ok(out)
    }

    fn text(&mut self, text: &str) -> Result<(), Error> {
        let written = self.out.write_all(text.as_bytes());
        written.map_err(|why| Error::new(OUTPUT, why))
    }
}

impl<W: Write> Writer for Out<'_, W> {
    fn write(&mut self, record: &Record) -> Result<(), Error> {
        let wrong = |why: String| Error::new(&record.key, why);
        let json = item::encode(record, self.history, self.kinds).map_err(wrong)?;
        let value: Value = serde_json::from_slice(&json).map_err(|why| wrong(why.to_string()))?;
        let flat = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
        let yaml = serde_saphyr::to_string_with_options(&value, flat);
        let yaml = yaml.map_err(|why| wrong(why.to_string()))?;
        for (at, line) in yaml.lines().enumerate() {
            let before = match (at, line) {
                (0, _) => "- ",
                (_, "") => "",
                _ => "  ",
            };
            self.text(&format!("{before}{line}\n"))?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        self.text(END)?;
        self.text("\n")?;
        self.out.flush().map_err(|why| Error::new(OUTPUT, why))
    }
}

/// Where the reader is in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// In what stands around the list, or in a document of one object.
    Around,
    /// Behind `items:`, before the first item.
    Before,
    /// In the list; its dashes stand this far in.
    Items(usize),
}

/// A file that is being read.
pub(super) struct In<'a, R> {
    lines: Lines<R>,
    kinds: &'a Kinds,
    about: About,
    part: Part,
    /// The lines around the list of this document.
    around: String,
    /// The item that is being collected, and the line it began at.
    item: Option<(u64, String)>,
    /// Whether the list of this document names its version, and so must have an end.
    is_ours: bool,
    /// The first record, read to learn whether there is history.
    first: Option<Record>,
    /// Where the last record began.
    at: u64,
    is_done: bool,
}

impl<'a, R: BufRead> In<'a, R> {
    pub(super) fn new(input: R, file: &str, kinds: &'a Kinds) -> Result<Self, Error> {
        let mut read = Self {
            lines: Lines::new(input, file),
            kinds,
            about: About::default(),
            part: Part::Around,
            around: String::new(),
            item: None,
            is_ours: false,
            first: None,
            at: 0,
            is_done: false,
        };
        read.first = read.record()?;
        read.is_done = read.first.is_none();
        if read.about.version == Version::ZERO {
            read.about.history = read.first.as_ref().is_some_and(|first| first.is_exact);
        }
        Ok(read)
    }

    /// Reads on to the end of the next item or document of one object.
    fn record(&mut self) -> Result<Option<Record>, Error> {
        loop {
            let Some(bytes) = self.lines.next()? else {
                if self.is_ours {
                    let why = "the file is cut off: its last line must be \"...\"";
                    return Err(self.lines.wrong(why));
                }
                return match self.item.take() {
                    Some(item) => self.parse(item),
                    None => self.close(),
                };
            };
            let line = String::from_utf8(bytes).map_err(|_| self.lines.wrong("not UTF-8"))?;
            if let Some(record) = self.take(&line)? {
                return Ok(Some(record));
            }
        }
    }

    /// Takes one line in, and gives the record that it completes.
    fn take(&mut self, line: &str) -> Result<Option<Record>, Error> {
        let is_break = line == END || line == "---" || line.starts_with("--- ");
        if is_break {
            if line == END {
                self.is_ours = false;
            }
            if self.is_ours {
                return Err(self
                    .lines
                    .wrong("expected the line \"...\" before this one"));
            }
            return match self.item.take() {
                Some(item) => {
                    let record = self.parse(item)?;
                    self.close()?;
                    Ok(record)
                }
                None => self.close(),
            };
        }
        let inner = line.trim_start_matches(' ');
        let indent = line.len() - inner.len();
        let is_dash = inner == "-" || inner.starts_with("- ");
        let says_nothing = inner.is_empty() || (inner.starts_with('#') && self.is_outside(indent));
        match self.part {
            _ if says_nothing => self.collect(inner),
            Part::Around if line.trim_end() == "items:" => {
                self.begin_list()?;
                Ok(None)
            }
            Part::Before if is_dash => {
                self.part = Part::Items(indent);
                self.begin_item(indent, inner);
                Ok(None)
            }
            Part::Items(at) if indent == at && is_dash => {
                let before = self.item.take();
                self.begin_item(indent, inner);
                before.map_or(Ok(None), |item| self.parse(item))
            }
            Part::Items(at) if indent > at => self.collect(line),
            Part::Items(_) | Part::Before => {
                self.part = Part::Around;
                let before = self.item.take();
                self.collect(line)?;
                before.map_or(Ok(None), |item| self.parse(item))
            }
            Part::Around => self.collect(line),
        }
    }

    /// Whether a line this far in cannot be a part of an item.
    fn is_outside(&self, indent: usize) -> bool {
        match self.part {
            Part::Items(at) => indent <= at,
            Part::Around | Part::Before => indent == 0,
        }
    }

    /// Adds a line to the item, or to what stands around the list.
    fn collect(&mut self, line: &str) -> Result<Option<Record>, Error> {
        let text = match &mut self.item {
            Some((_, text)) => text,
            None => &mut self.around,
        };
        text.push_str(line);
        text.push('\n');
        if text.len() > ITEM_BYTES_MAX {
            let why = format!("an item that is larger than {ITEM_BYTES_MAX} bytes");
            return Err(self.lines.wrong(why));
        }
        Ok(None)
    }

    /// Begins the item of this line, whose dash becomes a space.
    fn begin_item(&mut self, indent: usize, inner: &str) {
        let text = format!("{}{}\n", " ".repeat(indent + 1), &inner[1..]);
        self.item = Some((self.lines.number(), text));
    }

    fn begin_list(&mut self) -> Result<(), Error> {
        self.part = Part::Before;
        let head = self.value(&self.around)?;
        let metadata = head.get("metadata");
        let field = |name: &str| metadata.and_then(|metadata| metadata.get(name));
        if let Some(version) = field("resourceVersion").and_then(Value::as_str)
            && !version.is_empty()
        {
            let version = version.parse();
            let wrong = |why: String| self.lines.wrong(format!("metadata.resourceVersion: {why}"));
            self.about.version = version.map_err(wrong)?;
            self.about.history = field("history").and_then(Value::as_bool).unwrap_or(false);
            let epoch = field("epoch").and_then(Value::as_str).unwrap_or_default();
            epoch.clone_into(&mut self.about.epoch);
            self.is_ours = true;
        }
        Ok(())
    }

    /// Ends a document: what is left of it is the frame of a list, or one object.
    fn close(&mut self) -> Result<Option<Record>, Error> {
        let text = std::mem::take(&mut self.around);
        self.part = Part::Around;
        let value = self.value(&text)?;
        if value.is_null() {
            return Ok(None);
        }
        let kind = value.get("kind").and_then(Value::as_str);
        if kind.is_some_and(|kind| kind.ends_with("List")) {
            return match value.get("items").and_then(Value::as_array) {
                Some(items) if !items.is_empty() => {
                    let why = "items: expected one item to a line, each after a dash; for JSON, \
                               write one object to a line and use ndjson";
                    Err(self.lines.wrong(why))
                }
                _ => Ok(None),
            };
        }
        self.decode(self.lines.number(), &value)
    }

    fn value(&self, text: &str) -> Result<Value, Error> {
        if text.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_saphyr::from_str(text).map_err(|why| self.lines.wrong(format!("not YAML: {why}")))
    }

    fn parse(&mut self, (line, text): (u64, String)) -> Result<Option<Record>, Error> {
        let value = serde_saphyr::from_str(&text);
        let wrong = |why| {
            let why = format!("the item that begins here is not YAML: {why}");
            self.lines.wrong_at(line, why)
        };
        let value: Value = value.map_err(wrong)?;
        self.decode(line, &value)
    }

    fn decode(&mut self, line: u64, value: &Value) -> Result<Option<Record>, Error> {
        self.at = line;
        match item::decode(value.to_string().as_bytes(), self.kinds) {
            Ok(Item::Record(record)) => Ok(Some(record)),
            Ok(Item::About(_) | Item::End(_)) => Err(self
                .lines
                .wrong_at(line, "this belongs into an NDJSON file")),
            Err(why) => Err(self.lines.wrong_at(line, why)),
        }
    }
}

impl<R: BufRead> Iterator for In<'_, R> {
    type Item = Result<Record, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        if let Some(first) = self.first.take() {
            return Some(Ok(first));
        }
        let next = self.record();
        self.is_done = !matches!(next, Ok(Some(_)));
        next.transpose()
    }
}

impl<R: BufRead> Reader for In<'_, R> {
    fn about(&self) -> &About {
        &self.about
    }

    fn place(&self) -> String {
        self.lines.place(self.at)
    }
}
