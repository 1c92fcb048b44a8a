//! Writing Parquet: rows are kept until a row group is full, then written column by column.

use std::io::Write;
use std::sync::Arc;

use annals::Metadata;
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnPath, Type, TypePtr};

use super::{ACTIONS, COLUMNS, EPOCH, GROUP_BYTES, HISTORY, VERSION};
use crate::records::{About, Error, Record, Writer};

/// More rows than this do not wait for a row group to fill.
const GROUP_ROWS_MAX: usize = 100_000;

/// The rows of a row group, as columns.
#[derive(Default)]
struct Columns {
    versions: Vec<i64>,
    texts: [Vec<ByteArray>; 5],
    actions: Vec<i32>,
    values: Vec<ByteArray>,
    bytes: usize,
}

/// A file that is being written.
pub(in crate::records) struct Out<W: Write + Send> {
    file: SerializedFileWriter<W>,
    waiting: Columns,
}

fn wrong(why: ParquetError) -> Error {
    Error::new("the output", why)
}

fn schema() -> Result<TypePtr, ParquetError> {
    let column = |name: &str| {
        let (physical, logical) = match name {
            "resource_version" => (Physical::INT64, None),
            "action" => (Physical::INT32, Some(LogicalType::integer(8, true))),
            _ => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        };
        let column = Type::primitive_type_builder(name, physical)
            .with_repetition(Repetition::REQUIRED)
            .with_logical_type(logical);
        column.build().map(Arc::new)
    };
    let columns: Result<Vec<_>, _> = COLUMNS.into_iter().map(column).collect();
    let group = Type::group_type_builder("schema").with_fields(columns?);
    group.build().map(Arc::new)
}

impl<W: Write + Send> Out<W> {
    pub(in crate::records) fn new(out: W, about: &About) -> Result<Self, Error> {
        let notes = [
            (VERSION, about.version.to_string()),
            (EPOCH, about.epoch.clone()),
            (HISTORY, about.history.to_string()),
        ];
        let notes = notes.map(|(name, text)| KeyValue::new(name.to_owned(), text));
        let values = ColumnPath::from("value");
        let properties = WriterProperties::builder()
            .set_created_by(concat!("annals ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_key_value_metadata(Some(notes.to_vec()))
            .set_compression(Compression::BROTLI(Default::default()))
            // Bodies differ from each other, and their smallest and largest say nothing.
            .set_column_dictionary_enabled(values.clone(), false)
            .set_column_statistics_enabled(values, EnabledStatistics::None)
            .build();
        let file = SerializedFileWriter::new(out, schema().map_err(wrong)?, Arc::new(properties));
        Ok(Self {
            file: file.map_err(wrong)?,
            waiting: Columns::default(),
        })
    }

    /// Writes what waits as one row group.
    fn flush(&mut self) -> Result<(), ParquetError> {
        let rows = std::mem::take(&mut self.waiting);
        if rows.versions.is_empty() {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        column::<Int64Type, _>(&mut group, &rows.versions)?;
        for texts in &rows.texts {
            column::<ByteArrayType, _>(&mut group, texts)?;
        }
        column::<Int32Type, _>(&mut group, &rows.actions)?;
        column::<ByteArrayType, _>(&mut group, &rows.values)?;
        group.close()?;
        Ok(())
    }
}

/// Writes the next column of a row group.
fn column<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
) -> Result<(), ParquetError> {
    let none_left = || ParquetError::General("the schema has too few columns".to_owned());
    let mut column = group.next_column()?.ok_or_else(none_left)?;
    column.typed::<T>().write_batch(values, None, None)?;
    column.close()
}

impl<W: Write + Send> Writer for Out<W> {
    fn write(&mut self, record: &Record) -> Result<(), Error> {
        let fault = |why: String| Error::new(&record.key, why);
        let metadata = Metadata::read(&record.body).map_err(|why| fault(why.to_string()))?;
        let version = i64::try_from(record.version.get()).map_err(|why| fault(why.to_string()))?;
        let key = &record.key;
        let texts = [
            key.group(),
            key.resource(),
            key.namespace(),
            key.name(),
            &metadata.folder,
        ];
        let rows = &mut self.waiting;
        rows.versions.push(version);
        for (column, text) in rows.texts.iter_mut().zip(texts) {
            column.push(ByteArray::from(text));
        }
        let number = ACTIONS.iter().find(|(action, _)| *action == record.action);
        rows.actions.push(number.map_or(0, |(_, number)| *number));
        rows.values.push(ByteArray::from(record.body.clone()));
        rows.bytes += record.body.len();
        if rows.bytes > GROUP_BYTES || rows.versions.len() == GROUP_ROWS_MAX {
            self.flush().map_err(wrong)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        self.flush().map_err(wrong)?;
        self.file.close().map_err(wrong)?;
        Ok(())
    }
}
