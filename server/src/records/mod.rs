//! Records: objects and revisions outside a store, in files.
//!
//! `annals export` takes them out of a [`Snapshot`](annals::Snapshot) with [`Selection`] and
//! hands them to a [`Writer`]; `annals import` gets them from a [`Reader`] and hands them to
//! [`load`]. Three formats, one file each: NDJSON, a YAML list, Parquet.
//!
//! ```text
//! snapshot -> select -> writer(format)  ..file..  reader(format) -> load -> store
//! ```
//!
//! Invariants: a file holds one version of the store, and names it; both ways keep at most one
//! page of the store, one row group of [`GROUP_BYTES`] or one item of [`ITEM_BYTES_MAX`] in
//! memory; a file of ours that was cut off is told from a whole one; what is loaded twice is
//! there once.
//!
//! Absent on purpose: the command line (`cli` brings the words), the network, and notes of how
//! far a load came: what is there already is compared and passed over.

mod error;
mod intake;
mod item;
mod lines;
mod load;
mod ndjson;
mod parquet;
mod record;
mod select;
mod yaml;

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::Path;
use std::str::FromStr;

use crate::kinds::Kinds;

pub use error::Error;
pub use intake::merge;
pub use item::ITEM_BYTES_MAX;
pub use load::{Tally, load};
pub use parquet::GROUP_BYTES;
pub use record::{About, Record};
pub use select::Selection;

/// The shape of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object on each line.
    Ndjson,
    /// A YAML list as kubectl knows it.
    Yaml,
    /// Columns, for programs that analyse.
    Parquet,
}

impl Format {
    /// The format that the end of a file's name tells.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        path.extension()?.to_str()?.parse().ok()
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "ndjson" | "jsonl" => Ok(Self::Ndjson),
            "yaml" | "yml" => Ok(Self::Yaml),
            "parquet" => Ok(Self::Parquet),
            _ => Err(format!("{text:?}: expected ndjson, yaml or parquet")),
        }
    }
}

/// Where records go.
pub trait Writer {
    /// Writes one record.
    ///
    /// # Errors
    /// When the output fails, or the record does not fit the format.
    fn write(&mut self, record: &Record) -> Result<(), Error>;

    /// Writes the end, without which a reader takes the file for cut off.
    ///
    /// # Errors
    /// When the output fails.
    fn finish(self: Box<Self>) -> Result<(), Error>;
}

/// Begins a file.
///
/// # Errors
/// When the output fails.
pub fn writer<'a>(
    format: Format,
    out: impl Write + Send + 'a,
    about: &About,
    kinds: &'a Kinds,
) -> Result<Box<dyn Writer + 'a>, Error> {
    Ok(match format {
        Format::Ndjson => Box::new(ndjson::Out::new(out, about, kinds)?),
        Format::Yaml => Box::new(yaml::Out::new(out, about, kinds)?),
        Format::Parquet => Box::new(parquet::Out::new(out, about)?),
    })
}

/// Where records come from: an iterator that ends with the first error.
pub trait Reader: Iterator<Item = Result<Record, Error>> {
    /// What the file says of itself.
    fn about(&self) -> &About;

    /// Where the last record stood.
    fn place(&self) -> String;
}

/// Opens a file.
///
/// # Errors
/// When it cannot be read, or does not begin as the format does.
pub fn reader<'a>(
    format: Format,
    path: &Path,
    kinds: &'a Kinds,
) -> Result<Box<dyn Reader + 'a>, Error> {
    let name = path.display().to_string();
    let file = File::open(path).map_err(|why| Error::new(&name, why))?;
    Ok(match format {
        Format::Ndjson => Box::new(ndjson::In::new(BufReader::new(file), &name, kinds)?),
        Format::Yaml => Box::new(yaml::In::new(BufReader::new(file), &name, kinds)?),
        Format::Parquet => Box::new(parquet::In::new(file, &name)?),
    })
}

/// The standard input as a file, which cannot be Parquet: that is read from its end.
///
/// # Errors
/// As [`reader`].
pub fn standard_input(format: Format, kinds: &Kinds) -> Result<Box<dyn Reader + '_>, Error> {
    let (name, input) = ("standard input", io::stdin().lock());
    Ok(match format {
        Format::Ndjson => Box::new(ndjson::In::new(input, name, kinds)?),
        Format::Yaml => Box::new(yaml::In::new(input, name, kinds)?),
        Format::Parquet => {
            let why = "a Parquet file is read from its end: name a file";
            return Err(Error::new(name, why));
        }
    })
}
