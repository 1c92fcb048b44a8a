//! Reading Parquet: columns are found by name, and read in step, a few rows at a time.

use std::collections::VecDeque;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};

use annals::{Key, Timestamp, Version};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;

use super::{ACTIONS, COLUMNS, EPOCH, HISTORY, VERSION};
use crate::records::{About, Error, ITEM_BYTES_MAX, Reader, Record};

/// How many rows are read at a time.
const STEP: usize = 64;

/// The largest column of a row group, before compression, that is read.
const COLUMN_BYTES_MAX: i64 = 1024 * 1024 * 1024;

/// A file that is being read.
pub(in crate::records) struct In {
    name: String,
    file: SerializedFileReader<File>,
    about: About,
    /// Where each of [`COLUMNS`] stands in the file.
    columns: [usize; 8],
    /// The row group that is read next.
    group: usize,
    /// The columns of the row group that is being read.
    open: Option<Vec<ColumnReader>>,
    rows: VecDeque<Record>,
    row: u64,
    is_done: bool,
}

impl In {
    pub(in crate::records) fn new(file: File, name: &str) -> Result<Self, Error> {
        let wrong = |why: String| Error::new(name, why);
        let file = contained(|| SerializedFileReader::new(file).map_err(|why| why.to_string()));
        let file = file.map_err(|why| wrong(format!("not a Parquet file: {why}")))?;
        let columns = columns(file.metadata()).map_err(wrong)?;
        let about = about(file.metadata()).map_err(wrong)?;
        Ok(Self {
            name: name.to_owned(),
            file,
            about,
            columns,
            group: 0,
            open: None,
            rows: VecDeque::new(),
            row: 0,
            is_done: false,
        })
    }

    fn wrong(&self, why: impl ToString) -> Error {
        Error::new(self.place(), why)
    }

    fn record(&mut self) -> Result<Option<Record>, Error> {
        while self.rows.is_empty() {
            if self.open.is_none() && !self.open_group()? {
                return Ok(None);
            }
            let mut readers = self.open.take().unwrap_or_default();
            let rows = contained(|| step(&mut readers)).map_err(|why| self.wrong(why))?;
            if !rows.is_empty() {
                self.open = Some(readers);
            }
            for (at, row) in rows.into_iter().enumerate() {
                let record = row.record();
                let place = format!("{}, row {}", self.name, self.row + at as u64 + 1);
                self.rows
                    .push_back(record.map_err(|why| Error::new(place, why))?);
            }
        }
        self.row += 1;
        Ok(self.rows.pop_front())
    }

    /// Opens the next row group; `false` after the last.
    fn open_group(&mut self) -> Result<bool, Error> {
        if self.group == self.file.num_row_groups() {
            return Ok(false);
        }
        let group = self.file.get_row_group(self.group);
        let group = group.map_err(|why| self.wrong(why))?;
        let mut open = Vec::with_capacity(COLUMNS.len());
        for (column, name) in self.columns.iter().zip(COLUMNS) {
            let size = group.metadata().column(*column).uncompressed_size();
            if !(0..=COLUMN_BYTES_MAX).contains(&size) {
                let why =
                    format!("column {name}: {size} bytes, at most {COLUMN_BYTES_MAX} are read");
                return Err(self.wrong(why));
            }
            let reader = contained(|| {
                let reader = group.get_column_reader(*column);
                reader.map_err(|why| why.to_string())
            });
            open.push(reader.map_err(|why| self.wrong(format!("column {name}: {why}")))?);
        }
        self.open = Some(open);
        self.group += 1;
        Ok(true)
    }
}

/// Runs a piece of the reading. The format is wide, and what decodes it asserts where a damaged
/// file should be an error.
fn contained<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err("it is damaged".to_owned()))
}

/// Finds the columns by their names, and checks that each is of its type and has no nulls.
fn columns(metadata: &ParquetMetaData) -> Result<[usize; 8], String> {
    let schema = metadata.file_metadata().schema_descr();
    let mut places = [0; 8];
    for (place, name) in places.iter_mut().zip(COLUMNS) {
        let mut all = schema.columns().iter();
        let found = all.position(|column| column.path().string() == name);
        *place = found.ok_or_else(|| format!("column {name}: missing"))?;
        let column = schema.column(*place);
        if column.max_def_level() > 1 || column.max_rep_level() > 0 {
            return Err(format!("column {name}: expected one value in each row"));
        }
    }
    Ok(places)
}

fn about(metadata: &ParquetMetaData) -> Result<About, String> {
    let notes = metadata.file_metadata().key_value_metadata();
    let find = |name: &str| {
        let note = notes?.iter().find(|note| note.key == name)?;
        note.value.as_deref()
    };
    let Some(version) = find(VERSION) else {
        return Ok(About {
            history: true,
            ..About::default()
        });
    };
    Ok(About {
        version: version.parse().map_err(|why| format!("{VERSION}: {why}"))?,
        epoch: find(EPOCH).unwrap_or_default().to_owned(),
        history: find(HISTORY) == Some("true"),
    })
}

/// One row.
struct Row {
    version: i64,
    texts: [String; 4],
    action: i32,
    value: Vec<u8>,
}

impl Row {
    fn record(self) -> Result<Record, String> {
        let [group, resource, namespace, name] = &self.texts;
        let key = Key::new(group, resource, namespace, name).map_err(|why| why.to_string())?;
        let action = ACTIONS.iter().find(|(_, number)| *number == self.action);
        let (action, _) =
            action.ok_or_else(|| format!("action: expected 1, 2 or 3, not {}", self.action))?;
        let version = u64::try_from(self.version);
        if self.value.len() > ITEM_BYTES_MAX {
            return Err(format!("value: longer than {ITEM_BYTES_MAX} bytes"));
        }
        if self.value.trim_ascii().first() != Some(&b'{') {
            return Err("value: expected a JSON object".to_owned());
        }
        Ok(Record {
            key,
            version: Version::new(version.map_err(|_| "resource_version: is negative")?),
            action: *action,
            time: Timestamp::default(),
            author: String::new(),
            body: self.value,
            is_exact: true,
        })
    }
}

/// Reads the next rows of a row group; none at its end.
fn step(readers: &mut [ColumnReader]) -> Result<Vec<Row>, String> {
    let [
        versions,
        group,
        resource,
        namespace,
        name,
        folder,
        actions,
        values,
    ] = readers
    else {
        return Err("expected eight columns".to_owned());
    };
    let versions = match versions {
        ColumnReader::Int64ColumnReader(reader) => take(reader, "resource_version")?,
        _ => return Err("resource_version: expected 64-bit integers".to_owned()),
    };
    let actions = match actions {
        ColumnReader::Int32ColumnReader(reader) => take(reader, "action")?,
        _ => return Err("action: expected integers".to_owned()),
    };
    let mut texts = [
        texts(group, "group")?,
        texts(resource, "resource")?,
        texts(namespace, "namespace")?,
        texts(name, "name")?,
    ];
    bytes(folder, "folder")?;
    let values = bytes(values, "value")?;
    let count = versions.len();
    let even = texts.iter().all(|column| column.len() == count);
    if !even || actions.len() != count || values.len() != count {
        return Err("the columns of a row group differ in length".to_owned());
    }
    let rows = versions.into_iter().zip(actions).zip(values).enumerate();
    let rows = rows.map(|(at, ((version, action), value))| Row {
        version,
        texts: texts
            .each_mut()
            .map(|column| std::mem::take(&mut column[at])),
        action,
        value: value.data().to_vec(),
    });
    Ok(rows.collect())
}

fn texts(reader: &mut ColumnReader, name: &str) -> Result<Vec<String>, String> {
    let values = bytes(reader, name)?.into_iter();
    let text = |value: ByteArray| String::from_utf8(value.data().to_vec());
    let values: Result<_, _> = values.map(text).collect();
    values.map_err(|_| format!("{name}: not UTF-8"))
}

fn bytes(reader: &mut ColumnReader, name: &str) -> Result<Vec<ByteArray>, String> {
    match reader {
        ColumnReader::ByteArrayColumnReader(reader) => take(reader, name),
        _ => Err(format!("{name}: expected texts")),
    }
}

/// The next values of a column, none of them missing.
fn take<T: DataType>(reader: &mut ColumnReaderImpl<T>, name: &str) -> Result<Vec<T::T>, String> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    let read = reader.read_records(STEP, Some(&mut levels), None, &mut values);
    let (rows, found, _) = read.map_err(|why: ParquetError| format!("{name}: {why}"))?;
    if rows != found || values.len() != found {
        return Err(format!("{name}: a value is missing"));
    }
    Ok(values)
}

impl Iterator for In {
    type Item = Result<Record, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let next = self.record();
        self.is_done = !matches!(next, Ok(Some(_)));
        next.transpose()
    }
}

impl Reader for In {
    fn about(&self) -> &About {
        &self.about
    }

    fn place(&self) -> String {
        format!("{}, row {}", self.name, self.row)
    }
}
