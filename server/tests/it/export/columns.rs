//! Catches a Parquet file whose columns other readers do not find, and another writer's file that
//! is not read: columns in another order, optional ones, rows of deletions.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use annals::Write;
use annals_server::records::{Format, GROUP_BYTES};
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use super::{Box, key, playlist};

const COLUMNS: [&str; 8] = [
    "resource_version",
    "group",
    "resource",
    "namespace",
    "name",
    "folder",
    "action",
    "value",
];

#[test]
fn the_schema_is_that_of_the_bulk_export() {
    let from = Box::new();
    let pad = "x".repeat(1_000_000);
    for at in 0..25 {
        let name = format!("n{at:02}");
        let body = playlist("ns", &name, "u", &pad);
        from.write(Write::create(key("ns", &name), body));
    }
    let path = from.export(Format::Parquet, false);
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let metadata = reader.metadata();
    let schema = metadata.file_metadata().schema_descr();
    let names: Vec<_> = schema
        .columns()
        .iter()
        .map(|column| column.name())
        .collect();
    assert_eq!(names, COLUMNS);
    for column in schema.columns() {
        let (physical, logical) = match column.name() {
            "resource_version" => (Physical::INT64, None),
            "action" => (Physical::INT32, Some(LogicalType::integer(8, true))),
            _ => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        };
        assert_eq!(column.physical_type(), physical);
        assert_eq!(column.logical_type_ref().cloned(), logical);
        assert_eq!(column.max_def_level(), 0, "{} is required", column.name());
    }
    let groups: Vec<_> = metadata
        .row_groups()
        .iter()
        .map(|group| group.num_rows())
        .collect();
    // The group ends with the row that takes its values above the limit.
    let rows = GROUP_BYTES as i64 / 1_000_000 + 1;
    assert_eq!(groups, [rows, rows, 25 - 2 * rows]);
    for column in metadata
        .row_groups()
        .iter()
        .flat_map(|group| group.columns())
    {
        assert!(matches!(column.compression(), Compression::BROTLI(_)));
    }
}

/// A row of somebody else's file.
type Row = (i64, &'static str, i32, &'static str);

const ROWS: [Row; 4] = [
    (3, "a", 1, r#"{"a":1}"#),
    (9, "a", 3, r#"{"a":1}"#),
    (12, "a", 2, r#"{"a":2}"#),
    (7, "b", 2, r#"{"b":1}"#),
];

/// A file as another writer might make it: columns backwards, and optional.
fn foreign(path: &Path, rows: &[Row], without: &str, null: &str) {
    let mut names = COLUMNS;
    names.reverse();
    let names: Vec<_> = names.into_iter().filter(|name| *name != without).collect();
    let column = |name: &&str| {
        let physical = match *name {
            "resource_version" => Physical::INT64,
            "action" => Physical::INT32,
            _ => Physical::BYTE_ARRAY,
        };
        let column = Type::primitive_type_builder(name, physical);
        Arc::new(
            column
                .with_repetition(Repetition::OPTIONAL)
                .build()
                .unwrap(),
        )
    };
    let fields = names.iter().map(column).collect();
    let schema = Type::group_type_builder("other")
        .with_fields(fields)
        .build()
        .unwrap();
    let properties = Arc::new(WriterProperties::builder().build());
    let file = File::create(path).unwrap();
    let mut file = SerializedFileWriter::new(file, Arc::new(schema), properties).unwrap();
    let mut group = file.next_row_group().unwrap();
    for name in names {
        let is_null = name == null;
        let levels = vec![i16::from(!is_null); rows.len()];
        let rows = if is_null { &[][..] } else { rows };
        let levels = Some(levels.as_slice());
        let mut column = group.next_column().unwrap().unwrap();
        let text = |row: &Row| {
            let text = match name {
                "group" => "g.test",
                "resource" => "boats",
                "name" => row.1,
                "value" => row.3,
                _ => "",
            };
            ByteArray::from(text)
        };
        match name {
            "resource_version" => {
                let values: Vec<_> = rows.iter().map(|row| row.0).collect();
                column
                    .typed::<Int64Type>()
                    .write_batch(&values, levels, None)
                    .unwrap();
            }
            "action" => {
                let values: Vec<_> = rows.iter().map(|row| row.2).collect();
                column
                    .typed::<Int32Type>()
                    .write_batch(&values, levels, None)
                    .unwrap();
            }
            _ => {
                let values: Vec<_> = rows.iter().map(text).collect();
                column
                    .typed::<ByteArrayType>()
                    .write_batch(&values, levels, None)
                    .unwrap();
            }
        }
        column.close().unwrap();
    }
    group.close().unwrap();
    file.close().unwrap();
}

#[test]
fn another_writer_is_understood() {
    let to = Box::new();
    let path = to.dir.path().join("in");
    foreign(&path, &ROWS, "", "");
    let (tally, done) = to.load(Format::Parquet, &path);
    done.unwrap();
    assert_eq!((tally.created, tally.updated, tally.deleted), (3, 0, 1));
    let all = to
        .all(true)
        .into_iter()
        .map(|(key, action, _, body)| format!("{} {action} {body}", key.name()));
    assert_eq!(
        all.collect::<Vec<_>>(),
        [
            r#"a created {"a":1}"#,
            r#"a deleted {"a":1}"#,
            r#"a created {"a":2}"#,
            r#"b created {"b":1}"#,
        ]
    );
}

#[test]
fn what_is_wrong_with_a_column_is_told() {
    let to = Box::new();
    let path = to.dir.path().join("in");
    for (rows, without, null, expected) in [
        (&ROWS[..], "value", "", "column value: missing"),
        (&ROWS[..], "", "action", "action: a value is missing"),
        (
            &[(1, "a", 4, "{}")][..],
            "",
            "",
            "in, row 1: action: expected 1, 2 or 3, not 4",
        ),
        (
            &[(1, "a", 1, "{}"), (2, "a", 1, "[]")][..],
            "",
            "",
            "in, row 2: value: expected a JSON",
        ),
        (
            &[(-1, "a", 1, "{}")][..],
            "",
            "",
            "in, row 1: resource_version: is negative",
        ),
        (&[(1, "a/b", 1, "{}")][..], "", "", "in, row 1: name"),
        (
            &[(1, "a", 3, "{}")][..],
            "",
            "",
            "is deleted where it is not live",
        ),
    ] {
        foreign(&path, rows, without, null);
        let error = to.load(Format::Parquet, &path).1.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}\nexpected {expected}");
    }
    assert_eq!(to.snapshot().version().get(), 0);
}
