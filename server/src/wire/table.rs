//! Tables and bare metadata: what `kubectl get` and metadata informers ask for.
//!
//! A table is rendered by the server, because only it knows the columns of a kind. Cells are
//! typed: a value that does not fit its column, or is not there, is null. In a watch each event
//! holds a table of one row, and only the first one repeats the columns. `now` comes from the
//! caller, because ages are relative to it.

use serde_json::{Map, Value, json};

use super::accept::MetaVersion;
use super::query::IncludeObject;
use crate::kinds::{Column, ColumnType, KindVersion};
use crate::limits;

/// What a list says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListMeta {
    /// The version the list was true at.
    pub resource_version: String,
    /// The token of the next page, where there is one.
    pub continue_token: Option<String>,
    /// How many objects come after this page, where that is known.
    pub remaining: Option<u64>,
}

impl ListMeta {
    /// The `metadata` of a list.
    pub fn to_value(&self) -> Value {
        let mut map = Map::new();
        if !self.resource_version.is_empty() {
            map.insert("resourceVersion".to_owned(), json!(self.resource_version));
        }
        if let Some(token) = &self.continue_token {
            map.insert("continue".to_owned(), json!(token));
        }
        if let Some(remaining) = self.remaining {
            map.insert("remainingItemCount".to_owned(), json!(remaining));
        }
        Value::Object(map)
    }
}

/// How a table is rendered.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    /// The version of `meta.k8s.io`.
    pub version: MetaVersion,
    /// How much of each object the rows hold.
    pub include: IncludeObject,
    /// Whether the columns are described; not in later events of a watch.
    pub headers: bool,
    /// The moment that ages are counted from.
    pub now: jiff::Timestamp,
}

/// The table of some objects, given as they are served.
pub fn table<'a>(
    kind: &KindVersion,
    style: Style,
    meta: &ListMeta,
    objects: impl IntoIterator<Item = &'a Value>,
) -> Value {
    let columns = if style.headers {
        column_definitions(kind)
    } else {
        Vec::new()
    };
    let rows = objects.into_iter().map(|object| row(kind, style, object));
    json!({
        "kind": "Table",
        "apiVersion": style.version.api_version(),
        "metadata": meta.to_value(),
        "columnDefinitions": columns,
        "rows": rows.collect::<Vec<Value>>(),
    })
}

fn column_definitions(kind: &KindVersion) -> Vec<Value> {
    let name = json!({
        "name": "Name",
        "type": "string",
        "format": "name",
        "description": "The name of the object, unique within its namespace.",
        "priority": 0,
    });
    let define = |column: &Column| {
        json!({
            "name": column.name,
            "type": column.kind.as_str(),
            "format": column.format,
            "description": column.description,
            "priority": column.priority,
        })
    };
    std::iter::once(name)
        .chain(kind.columns.iter().map(define))
        .collect()
}

fn row(kind: &KindVersion, style: Style, object: &Value) -> Value {
    let name = object
        .pointer("/metadata/name")
        .cloned()
        .unwrap_or_else(|| json!(""));
    let cells = kind
        .columns
        .iter()
        .map(|column| cell(column, object, style.now));
    let cells: Vec<Value> = std::iter::once(name).chain(cells).collect();
    match style.include {
        IncludeObject::None => json!({"cells": cells}),
        IncludeObject::Metadata => {
            json!({"cells": cells, "object": partial_object(style.version, object)})
        }
        IncludeObject::Object => json!({"cells": cells, "object": object}),
    }
}

fn cell(column: &Column, object: &Value, now: jiff::Timestamp) -> Value {
    let found = column.path.find(object);
    let Some(first) = found.first() else {
        return Value::Null;
    };
    match column.kind {
        ColumnType::Integer if first.is_i64() || first.is_u64() => (*first).clone(),
        ColumnType::Number if first.is_number() => (*first).clone(),
        ColumnType::Boolean if first.is_boolean() => (*first).clone(),
        ColumnType::Integer | ColumnType::Number | ColumnType::Boolean => Value::Null,
        ColumnType::Date => match first.as_str() {
            Some(text) => Value::from(age(text, now)),
            None => Value::Null,
        },
        ColumnType::String => {
            let texts: Vec<String> = found.into_iter().map(text).collect();
            Value::from(cut(texts.join(" ")))
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn cut(mut text: String) -> String {
    if text.len() > limits::CELL_BYTES {
        let end = (0..=limits::CELL_BYTES)
            .rev()
            .find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
        text.push_str("...");
    }
    text
}

/// The time since a moment, as `kubectl get` prints it.
fn age(moment: &str, now: jiff::Timestamp) -> String {
    match moment.parse::<jiff::Timestamp>() {
        Ok(moment) => duration(now.as_second() - moment.as_second()),
        Err(_) => "<invalid>".to_owned(),
    }
}

/// Two units at most, and the second one only where it still tells something.
fn duration(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    let two = |large: i64, large_unit: char, small: i64, small_unit: char| match small {
        0 => format!("{large}{large_unit}"),
        small => format!("{large}{large_unit}{small}{small_unit}"),
    };
    match seconds {
        // A clock that is a second or two off is no news.
        i64::MIN..=-2 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        s if s < 2 * MINUTE => format!("{s}s"),
        s if s < 10 * MINUTE => two(s / MINUTE, 'm', s % MINUTE, 's'),
        s if s < 3 * HOUR => format!("{}m", s / MINUTE),
        s if s < 8 * HOUR => two(s / HOUR, 'h', s % HOUR / MINUTE, 'm'),
        s if s < 2 * DAY => format!("{}h", s / HOUR),
        s if s < 8 * DAY => two(s / DAY, 'd', s % DAY / HOUR, 'h'),
        s if s < 2 * YEAR => format!("{}d", s / DAY),
        s if s < 8 * YEAR => two(s / YEAR, 'y', s % YEAR / DAY, 'd'),
        s => format!("{}y", s / YEAR),
    }
}

/// The metadata of an object alone.
pub fn partial_object(version: MetaVersion, object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": version.api_version(),
        "metadata": object.get("metadata").unwrap_or(&json!({})),
    })
}

/// The metadata of some objects alone.
pub fn partial_object_list<'a>(
    version: MetaVersion,
    meta: &ListMeta,
    objects: impl IntoIterator<Item = &'a Value>,
) -> Value {
    let items = objects
        .into_iter()
        .map(|object| partial_object(version, object));
    json!({
        "kind": "PartialObjectMetadataList",
        "apiVersion": version.api_version(),
        "metadata": meta.to_value(),
        "items": items.collect::<Vec<Value>>(),
    })
}

#[cfg(test)]
mod tests {
    //! Catches a table that kubectl prints wrongly: missing columns, cells of the wrong type,
    //! ages that are not ages.

    use super::*;
    use crate::kinds::Kinds;

    fn style() -> Style {
        Style {
            version: MetaVersion::V1,
            include: IncludeObject::Metadata,
            headers: true,
            now: "2024-01-02T00:00:00Z".parse().unwrap(),
        }
    }

    fn playlist() -> Value {
        json!({"apiVersion": "playlist.grafana.app/v0alpha1", "kind": "Playlist",
            "metadata": {"name": "p", "creationTimestamp": "2024-01-01T00:00:00Z"},
            "spec": {"title": "T", "interval": "5m"}})
    }

    fn render(group: &str, plural: &str, style: Style, object: &Value) -> Value {
        let kinds = Kinds::built_in().unwrap();
        let version = kinds.kind(group, plural).unwrap().storage();
        let meta = ListMeta {
            resource_version: "7".to_owned(),
            ..ListMeta::default()
        };
        table(version, style, &meta, [object])
    }

    #[test]
    fn a_playlist_shows_title_interval_and_the_moment_of_its_creation() {
        let table = render("playlist.grafana.app", "playlists", style(), &playlist());
        let names: Vec<_> = table["columnDefinitions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| &c["name"])
            .collect();
        assert_eq!(names, ["Name", "Title", "Interval", "Created At"]);
        assert_eq!(table["columnDefinitions"][0]["format"], "name");
        assert_eq!(
            table["rows"][0]["cells"],
            json!(["p", "T", "5m", "2024-01-01T00:00:00Z"])
        );
        assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
        assert_eq!(table["rows"][0]["object"]["metadata"]["name"], "p");
        assert_eq!(table["metadata"], json!({"resourceVersion": "7"}));
        assert_eq!(table["apiVersion"], "meta.k8s.io/v1");
    }

    #[test]
    fn a_namespace_shows_its_status_and_age() {
        let namespace = json!({"metadata": {"name": "d", "creationTimestamp":
            "2024-01-01T23:50:00Z"}, "status": {"phase": "Active"}});
        let table = render("", "namespaces", style(), &namespace);
        assert_eq!(table["rows"][0]["cells"], json!(["d", "Active", "10m"]));
        let bare = json!({"metadata": {"name": "d"}});
        let table = render("", "namespaces", style(), &bare);
        assert_eq!(table["rows"][0]["cells"], json!(["d", null, null]));
    }

    #[test]
    fn rows_hold_as_much_as_was_asked_for() {
        let with = |include, headers| {
            let style = Style {
                include,
                headers,
                ..style()
            };
            render("playlist.grafana.app", "playlists", style, &playlist())
        };
        let none = with(IncludeObject::None, false);
        assert_eq!(none["columnDefinitions"], json!([]));
        assert_eq!(none["rows"][0].get("object"), None);
        assert_eq!(
            with(IncludeObject::Object, true)["rows"][0]["object"],
            playlist()
        );
    }

    #[test]
    fn cells_that_do_not_fit_are_null_and_long_ones_are_cut() {
        let column = |kind| Column {
            name: "C".to_owned(),
            kind,
            format: String::new(),
            description: String::new(),
            priority: 0,
            path: crate::kinds::Path::parse(".v").unwrap(),
        };
        let now = style().now;
        for (kind, value, expected) in [
            (ColumnType::Integer, json!(3), json!(3)),
            (ColumnType::Integer, json!("3"), json!(null)),
            (ColumnType::Number, json!(1.5), json!(1.5)),
            (ColumnType::Boolean, json!(1), json!(null)),
            (ColumnType::Boolean, json!(true), json!(true)),
            (ColumnType::Date, json!("never"), json!("<invalid>")),
            (ColumnType::String, json!({"a": 1}), json!("{\"a\":1}")),
        ] {
            assert_eq!(cell(&column(kind), &json!({"v": value}), now), expected);
        }
        let long = cell(
            &column(ColumnType::String),
            &json!({"v": "é".repeat(5000)}),
            now,
        );
        assert_eq!(long.as_str().unwrap().len(), limits::CELL_BYTES + 3);
    }

    #[test]
    fn ages_have_two_units_at_most() {
        for (seconds, text) in [
            (-5, "<invalid>"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (11_000, "3h3m"),
            (90_000, "25h"),
            (180_000, "2d2h"),
            (700_000, "8d"),
            (70_000_000, "2y80d"),
            (400_000_000, "12y"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }

    #[test]
    fn partial_lists_hold_metadata_alone() {
        let meta = ListMeta {
            resource_version: "7".to_owned(),
            continue_token: Some("t".to_owned()),
            remaining: Some(3),
        };
        let list = partial_object_list(MetaVersion::V1Beta1, &meta, [&playlist()]);
        assert_eq!(list["apiVersion"], "meta.k8s.io/v1beta1");
        assert_eq!(list["items"][0].get("spec"), None);
        let expected = json!({"resourceVersion": "7", "continue": "t", "remainingItemCount": 3});
        assert_eq!(list["metadata"], expected);
    }
}
