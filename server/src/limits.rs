//! Every limit of the server, in one table.
//!
//! Each limit is a constant that the code uses, and a row of [`LIMITS`] for people: docs/limits.md
//! shows the table. The macro below writes both from one line,
//! so that they cannot differ. Limits that the library keeps are taken from it. Callers are the
//! wire readers, the socket, the HTTP layer and the search door; a test walks the table and has a
//! case for every row.
//!
//! Absent on purpose: settings. A limit is a promise about the worst case, not a knob.

use annals::search;

/// One row of the table of limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The name of the constant.
    pub name: &'static str,
    /// Its number.
    pub value: u64,
    /// What is counted: bytes, levels, seconds.
    pub unit: &'static str,
    /// What is limited.
    pub what: &'static str,
}

macro_rules! limits {
    ($($name:ident = $value:expr, $unit:literal, $what:literal;)*) => {
        $(#[doc = concat!($what, ", in ", $unit, ".")] pub const $name: usize = $value;)*

        /// All limits of the server, in the order of the code.
        pub static LIMITS: &[Limit] = &[
            $(Limit { name: stringify!($name), value: $name as u64, unit: $unit, what: $what },)*
        ];
    };
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

limits! {
    OBJECT_BYTES = MIB, "bytes", "The largest object that is stored";
    BODY_BYTES = 3 * MIB, "bytes", "The largest request body";
    JSON_DEPTH = 64, "levels", "How deep objects and arrays of a body may nest";
    JSON_KEYS = 10_000, "keys", "The most keys in one JSON object of a body";
    NAME_BYTES = 253, "bytes", "The longest name of an object";
    NAMESPACE_BYTES = 63, "bytes", "The longest name of a namespace";
    GENERATE_NAME_BYTES = 58, "bytes", "How much of generateName is kept before the random suffix";
    LABEL_PREFIX_BYTES = 253, "bytes", "The longest prefix of a label or annotation key";
    LABEL_NAME_BYTES = 63, "bytes", "The longest label or annotation key after its prefix";
    LABEL_VALUE_BYTES = 63, "bytes", "The longest label value";
    LABELS = 64, "labels", "The most labels of one object";
    ANNOTATIONS_BYTES = 256 * KIB, "bytes", "All annotation keys and values of one object together";
    FINALIZERS = 64, "finalizers", "The most finalizers of one object";
    OWNERS = 64, "references", "The most owner references of one object";
    CAUSES = 100, "causes", "The most faults that one answer lists";
    PAGE_ITEMS_MAX = 10_000, "objects", "The largest page of a list; a larger one is cut";
    LIST_BYTES = 256 * MIB, "bytes", "The largest list that is answered in one piece";
    SELECTOR_BYTES = 4 * KIB, "bytes", "The longest label or field selector";
    CONTINUE_BYTES = 4 * KIB, "bytes", "The longest continue token";
    FIELD_MANAGER_CHARS = 128, "characters", "The longest field manager";
    REQUEST_SECONDS = 60, "seconds", "How long a request other than a watch may take";
    WATCHES_PER_CLIENT = 1_000, "watches", "The most open watches of one client";
    WATCHES = 10_000, "watches", "The most open watches of the server";
    WATCH_SECONDS = 3_600, "seconds", "How long a watch may stay open";
    BACKUPS = 4, "backups", "The most backups that are taken at the same time";
    BACKUP_SECONDS = 21_600, "seconds", "How long a backup may take";
    SEARCH_QUERY_BYTES = search::TEXT_BYTES_MAX, "bytes", "The longest search query";
    SEARCH_QUERY_WORDS = search::WORDS_MAX, "words", "The most words of a search query";
    SEARCH_HITS = 1_000, "hits", "The largest page of search hits";
    SEARCH_WINDOW = search::WINDOW_MAX, "hits", "The last hit that a page of a search may reach";
    SEARCH_WAIT_MS = annals::INDEX_WAIT_MS_MAX as usize, "milliseconds", "How long a search waits for the version it demands";
    HEADER_BYTES = 16 * KIB, "bytes", "All headers of a request together";
    HEADER_FIELDS = 100, "fields", "The most header fields of an HTTP/1.1 request";
    URI_BYTES = 8 * KIB, "bytes", "The longest path and query";
    TOKEN_BYTES = 4 * KIB, "bytes", "The longest bearer token";
    PLACES = 64, "places", "The most places of a user or token, and the most folders of a place";
    PASSWORD_BYTES = 256, "bytes", "The longest password";
    PASSWORD_CHECKS = 2, "passwords", "The most passwords that are checked at the same time";
    LOGIN_FAILURES = 20, "failures", "The failed logins of an address or a user after which more wait";
    LOGIN_SECONDS = 60, "seconds", "How long failed logins are held against an address or a user";
    LOGINS_REMEMBERED = 10_000, "names", "The most addresses and users whose failed logins are counted";
    AUDIT_BYTES = 64 * MIB, "bytes", "The largest audit log; as much is kept of the one before";
    HANDSHAKE_SECONDS = 10, "seconds", "How long the TLS handshake may take";
    HEADER_READ_SECONDS = 10, "seconds", "How long a client may take to send its headers";
    BODY_READ_SECONDS = 30, "seconds", "How long a client may take to send a body";
    IDLE_SECONDS = 300, "seconds", "How long an HTTP/2 connection may lie idle after a request";
    WRITE_STALL_SECONDS = 60, "seconds", "How long a client may accept no byte of an answer";
    PING_SECONDS = 30, "seconds", "The silence after which an HTTP/2 client is asked for a sign";
    PING_ANSWER_SECONDS = 20, "seconds", "How long it may take to give one";
    DRAIN_SECONDS = 10, "seconds", "How long open requests may take to end when the server stops";
    PATCH_OPERATIONS = 10_000, "operations", "The most operations of one JSON patch";
    PATCH_GROWTH_BYTES = 3 * MIB, "bytes", "How much the copies of one JSON patch may add";
    PATCH_WORK_BYTES = 1024 * MIB, "bytes", "Operations of a JSON patch times bytes of its object";
    STREAMS = 250, "streams", "The most concurrent streams of one HTTP/2 connection";
    EARLY_RESETS = 50, "requests", "The most requests that an HTTP/2 client may cancel unseen";
    ERROR_RESETS = 200, "requests", "The most broken requests of one HTTP/2 connection";
    SEND_BUFFER_BYTES = 128 * KIB, "bytes", "What is kept of one answer for a client that reads slowly";
    CONNECTIONS = 10_000, "connections", "The most open connections";
    WRITE_QUEUE = annals::NAMESPACE_JOBS_MAX, "writes", "The most writes of one namespace that wait for their turn";
    SCHEMA_DEPTH = 64, "levels", "How deep a schema may nest";
    JSONPATH_BYTES = annals::PATH_BYTES_MAX, "bytes", "The longest JSONPath of a column or search field";
    JSONPATH_STEPS = annals::PATH_STEPS_MAX, "steps", "The most steps of a JSONPath";
    JSONPATH_MATCHES = annals::PATH_MATCHES_MAX, "values", "The most values that one JSONPath finds";
    CELL_BYTES = 4 * KIB, "bytes", "The longest cell of a printed table";
    PATTERN_BYTES = MIB, "bytes", "The largest compiled pattern of a schema";
}

#[cfg(test)]
mod tests {
    //! Catches a limit that is zero, listed twice, or told to people without a sentence.

    use super::*;

    #[test]
    fn every_limit_has_a_number_a_unit_and_a_sentence() {
        let mut names: Vec<_> = LIMITS.iter().map(|limit| limit.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), LIMITS.len());
        for limit in LIMITS {
            assert!(limit.value > 0, "{}", limit.name);
            assert!(
                !limit.unit.is_empty() && !limit.what.is_empty(),
                "{}",
                limit.name
            );
        }
    }

    /// The table as docs/limits.md shows it.
    fn page() -> String {
        let mut page = String::from(
            "# Limits of the server\n\nEvery limit is a constant in `server/src/limits.rs`, and a \
             test goes to it, one beyond, and far beyond.\n\n| limit | number | what |\n| --- | \
             --- | --- |\n",
        );
        for limit in LIMITS {
            let Limit {
                name,
                value,
                unit,
                what,
            } = limit;
            page.push_str(&format!("| `{name}` | {value} {unit} | {what} |\n"));
        }
        page
    }

    #[test]
    fn the_documents_quote_the_table() {
        assert_eq!(
            include_str!("../../docs/limits.md"),
            page(),
            "docs/limits.md is out of date"
        );
    }

    #[test]
    fn an_object_of_the_largest_size_fits_into_a_body() {
        let value = |name| {
            LIMITS
                .iter()
                .find(|limit| limit.name == name)
                .expect(name)
                .value
        };
        assert!(value("OBJECT_BYTES") < value("BODY_BYTES"));
    }
}
