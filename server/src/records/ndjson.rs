//! NDJSON: one JSON object on each line.
//!
//! A file of ours begins with an `Export` and ends with an `End`; one that begins otherwise is
//! somebody else's, is taken as it is, and has history when its first line is a `Revision`.

use std::io::{BufRead, BufWriter, Write};

use super::item::{self, Item};
use super::lines::Lines;
use super::{About, Error, Reader, Record, Writer};
use crate::kinds::Kinds;

const OUTPUT: &str = "the output";

/// A file that is being written.
pub(super) struct Out<'a, W: Write> {
    out: BufWriter<W>,
    kinds: &'a Kinds,
    history: bool,
    records: u64,
}

impl<'a, W: Write> Out<'a, W> {
    pub(super) fn new(out: W, about: &About, kinds: &'a Kinds) -> Result<Self, Error> {
        let mut out = Self {
            out: BufWriter::new(out),
            kinds,
            history: about.history,
            records: 0,
        };
        out.line(&item::export(about))?;
        Ok(out)
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Error> {
        let written = self.out.write_all(line);
        let written = written.and_then(|()| self.out.write_all(b"\n"));
        written.map_err(|why| Error::new(OUTPUT, why))
    }
}

impl<W: Write> Writer for Out<'_, W> {
    fn write(&mut self, record: &Record) -> Result<(), Error> {
        let line = item::encode(record, self.history, self.kinds);
        self.line(&line.map_err(|why| Error::new(&record.key, why))?)?;
        self.records += 1;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        self.line(&item::end(self.records))?;
        self.out.flush().map_err(|why| Error::new(OUTPUT, why))
    }
}

/// A file that is being read.
pub(super) struct In<'a, R> {
    lines: Lines<R>,
    kinds: &'a Kinds,
    about: About,
    /// Whether the file is ours, and so must have an end.
    is_ours: bool,
    /// The first record of a file that is not ours.
    first: Option<Record>,
    records: u64,
    is_done: bool,
}

impl<'a, R: BufRead> In<'a, R> {
    pub(super) fn new(input: R, file: &str, kinds: &'a Kinds) -> Result<Self, Error> {
        let mut read = Self {
            lines: Lines::new(input, file),
            kinds,
            about: About::default(),
            is_ours: false,
            first: None,
            records: 0,
            is_done: false,
        };
        match read.item()? {
            Some(Item::About(about)) => {
                read.about = about;
                read.is_ours = true;
            }
            Some(Item::Record(record)) => {
                read.about.history = record.is_exact;
                read.first = Some(record);
            }
            Some(Item::End(_)) => return Err(read.lines.wrong("an End without an Export")),
            None => read.is_done = true,
        }
        Ok(read)
    }

    fn item(&mut self) -> Result<Option<Item>, Error> {
        while let Some(line) = self.lines.next()? {
            if !line.trim_ascii().is_empty() {
                let item = item::decode(&line, self.kinds);
                return item.map(Some).map_err(|why| self.lines.wrong(why));
            }
        }
        Ok(None)
    }

    fn record(&mut self) -> Result<Option<Record>, Error> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        match self.item()? {
            Some(Item::Record(record)) => Ok(Some(record)),
            Some(Item::About(_)) => Err(self.lines.wrong("an Export that is not the first line")),
            Some(Item::End(records)) if !self.is_ours || records != self.records => {
                let why = format!("an End of {records} records after {}", self.records);
                Err(self.lines.wrong(why))
            }
            Some(Item::End(_)) => match self.item()? {
                None => Ok(None),
                Some(_) => Err(self.lines.wrong("something after the End")),
            },
            None if self.is_ours => Err(self
                .lines
                .wrong("the file is cut off: its last line must be an End")),
            None => Ok(None),
        }
    }
}

impl<R: BufRead> Iterator for In<'_, R> {
    type Item = Result<Record, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let next = self.record();
        self.is_done = !matches!(next, Ok(Some(_)));
        self.records += 1;
        next.transpose()
    }
}

impl<R: BufRead> Reader for In<'_, R> {
    fn about(&self) -> &About {
        &self.about
    }

    fn place(&self) -> String {
        self.lines.place(self.lines.number())
    }
}
