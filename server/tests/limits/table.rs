//! Would catch a limit that has no test, and a test of a limit that is gone.
//!
//! The walk goes over the one table of limits. Each row has a case: a function that goes to the
//! limit, one beyond, and far beyond it; or, where that takes too long or needs a seam inside the
//! code, the test beside the code that does.

use std::panic::{AssertUnwindSafe, catch_unwind};

use annals_server::limits::LIMITS;
use annals_server::net::{BODY_BYTES_MAX, BODY_TIME_MAX, Limits, URI_BYTES_MAX};
use annals_server::setup::DataDir;

use crate::server::Server;
use crate::{body, manifest, query, socket};

/// How a limit is tested.
enum Case {
    /// Here, with a whole server.
    Here(fn(&Server)),
    /// By this test in this source.
    There(&'static str, &'static str),
}

use Case::{Here, There};

const SLOW: &str = include_str!("../it/net/slow.rs");
const DRAIN: &str = include_str!("../it/net/drain.rs");
const API: &str = include_str!("../../src/api/mod.rs");
const READ: &str = include_str!("../../src/api/read.rs");
const BACKUP: &str = include_str!("../../src/api/backup.rs");
const WATCH: &str = include_str!("../../src/api/watch.rs");
const GATE: &str = include_str!("../../src/net/gate.rs");
const THROTTLE: &str = include_str!("../../src/net/throttle.rs");
const AUDIT: &str = include_str!("../../src/net/audit.rs");
const ACCOUNT: &str = include_str!("../../src/access/account.rs");
const SECRET: &str = include_str!("../../src/api/account.rs");
const BODY: &str = include_str!("../../src/net/body.rs");
const STALL: &str = include_str!("../../src/net/stall.rs");
const CELLS: &str = include_str!("../../src/wire/table.rs");

const CASES: &[(&str, Case)] = &[
    ("OBJECT_BYTES", Here(body::object_bytes)),
    ("BODY_BYTES", Here(body::body_bytes)),
    ("JSON_DEPTH", Here(body::json_depth)),
    ("JSON_KEYS", Here(body::json_keys)),
    ("NAME_BYTES", Here(body::name_bytes)),
    ("NAMESPACE_BYTES", Here(body::namespace_bytes)),
    ("GENERATE_NAME_BYTES", Here(body::generate_name_bytes)),
    ("LABEL_PREFIX_BYTES", Here(body::label_prefix_bytes)),
    ("LABEL_NAME_BYTES", Here(body::label_name_bytes)),
    ("LABEL_VALUE_BYTES", Here(body::label_value_bytes)),
    ("LABELS", Here(body::labels)),
    ("ANNOTATIONS_BYTES", Here(body::annotations_bytes)),
    ("FINALIZERS", Here(body::finalizers)),
    ("OWNERS", Here(body::owners)),
    ("CAUSES", Here(body::causes)),
    ("PATCH_OPERATIONS", Here(body::patch_operations)),
    ("PATCH_GROWTH_BYTES", Here(body::patch_growth_bytes)),
    ("PATCH_WORK_BYTES", Here(body::patch_work_bytes)),
    ("PAGE_ITEMS_MAX", Here(query::page_items_max)),
    ("SELECTOR_BYTES", Here(query::selector_bytes)),
    ("CONTINUE_BYTES", Here(query::continue_bytes)),
    ("FIELD_MANAGER_CHARS", Here(query::field_manager_chars)),
    ("SEARCH_QUERY_BYTES", Here(query::search_query_bytes)),
    ("SEARCH_QUERY_WORDS", Here(query::search_query_words)),
    ("SEARCH_HITS", Here(query::search_hits)),
    ("SEARCH_WINDOW", Here(query::search_window)),
    ("SEARCH_WAIT_MS", Here(query::search_wait)),
    ("URI_BYTES", Here(query::uri_bytes)),
    ("TOKEN_BYTES", Here(query::token_bytes)),
    ("HEADER_BYTES", Here(socket::header_bytes)),
    ("HEADER_FIELDS", Here(socket::header_fields)),
    ("STREAMS", Here(socket::streams)),
    ("WATCHES_PER_CLIENT", Here(socket::watches_per_client)),
    ("EARLY_RESETS", Here(socket::early_resets)),
    ("ERROR_RESETS", Here(socket::error_resets)),
    ("SEND_BUFFER_BYTES", Here(socket::send_buffer_bytes)),
    ("SCHEMA_DEPTH", Here(manifest::schema_depth)),
    ("PATTERN_BYTES", Here(manifest::pattern_bytes)),
    ("JSONPATH_BYTES", Here(manifest::jsonpath_bytes)),
    ("JSONPATH_STEPS", Here(manifest::jsonpath_steps)),
    ("JSONPATH_MATCHES", Here(manifest::jsonpath_matches)),
    ("WRITE_QUEUE", Here(manifest::write_queue)),
    (
        "CELL_BYTES",
        There(
            CELLS,
            "cells_that_do_not_fit_are_null_and_long_ones_are_cut",
        ),
    ),
    // Ten thousand connections are more than a process may open here: the same code with fewer.
    ("CONNECTIONS", There(SLOW, "connections_have_a_limit")),
    // Ten thousand watches: the count itself, without their sockets.
    (
        "WATCHES",
        There(WATCH, "the_watches_of_all_clients_are_counted"),
    ),
    // Times: the same code with shorter ones; that the table is obeyed is asserted below.
    (
        "WATCH_SECONDS",
        There(WATCH, "a_watch_ends_within_the_longest_time"),
    ),
    (
        "BACKUPS",
        There(BACKUP, "one_backup_too_many_is_turned_away"),
    ),
    (
        "BACKUP_SECONDS",
        There(BACKUP, "a_backup_that_takes_too_long_is_broken_off"),
    ),
    (
        "REQUEST_SECONDS",
        There(API, "a_request_that_does_not_end_is_answered"),
    ),
    (
        "LIST_BYTES",
        There(READ, "a_list_in_one_piece_has_a_largest_size"),
    ),
    ("HANDSHAKE_SECONDS", There(SLOW, "slow_clients_are_cut")),
    ("HEADER_READ_SECONDS", There(SLOW, "slow_clients_are_cut")),
    ("IDLE_SECONDS", There(SLOW, "slow_clients_are_cut")),
    ("PING_SECONDS", There(SLOW, "slow_clients_are_cut")),
    ("PING_ANSWER_SECONDS", There(SLOW, "slow_clients_are_cut")),
    (
        "WRITE_STALL_SECONDS",
        There(STALL, "only_a_stalled_write_ends"),
    ),
    (
        "DRAIN_SECONDS",
        There(DRAIN, "a_stop_does_not_wait_for_ever"),
    ),
    ("BODY_READ_SECONDS", There(BODY, "an_endless_body_is_cut")),
    (
        "PLACES",
        There(ACCOUNT, "a_place_is_read_as_it_is_written_or_refused"),
    ),
    (
        "PASSWORD_BYTES",
        There(SECRET, "a_password_has_a_shortest_and_a_longest_length"),
    ),
    (
        "PASSWORD_CHECKS",
        There(GATE, "few_passwords_are_checked_at_a_time"),
    ),
    (
        "LOGIN_FAILURES",
        There(GATE, "a_guesser_is_stopped_and_nobody_with_a_good_proof"),
    ),
    (
        "LOGIN_SECONDS",
        There(THROTTLE, "who_fails_often_waits_and_is_forgotten"),
    ),
    (
        "LOGINS_REMEMBERED",
        There(THROTTLE, "the_names_are_bounded"),
    ),
    (
        "AUDIT_BYTES",
        There(AUDIT, "a_file_has_a_largest_size_and_one_before_it"),
    ),
];

#[test]
fn every_limit_is_kept_and_tested() {
    let mut rows: Vec<&str> = LIMITS.iter().map(|limit| limit.name).collect();
    let mut cases: Vec<&str> = CASES.iter().map(|(name, _)| *name).collect();
    rows.sort_unstable();
    cases.sort_unstable();
    assert_eq!(cases, rows, "left the cases, right the table of limits");
    let dir = DataDir::ephemeral().unwrap();
    let server = Server::start(&dir, true);
    let mut failed = Vec::new();
    for (name, case) in CASES {
        let kept = catch_unwind(AssertUnwindSafe(|| match case {
            Here(case) => case(&server),
            There(source, test) => {
                let line = format!("fn {test}() {{");
                assert!(source.contains(&line), "there is no test {test}");
            }
        }));
        if kept.is_err() {
            failed.push(*name);
        }
    }
    assert!(failed.is_empty(), "not kept: {failed:?}");
    server.assert_healthy();
}

/// The listener takes its numbers from the table.
#[test]
fn the_socket_obeys_the_table() {
    let row = |name: &str| {
        LIMITS
            .iter()
            .find(|limit| limit.name == name)
            .unwrap()
            .value
    };
    let Limits {
        connections_max,
        handshake_time_max,
        header_time_max,
        idle_time_max,
        header_bytes_max,
        header_fields_max,
        streams_max,
        early_resets_max,
        error_resets_max,
        send_buffer_bytes_max,
        write_stall_max,
        ping_interval,
        ping_time_max,
        drain_time_max,
    } = Limits::default();
    let rows = [
        ("CONNECTIONS", connections_max as u64),
        ("HANDSHAKE_SECONDS", handshake_time_max.as_secs()),
        ("HEADER_READ_SECONDS", header_time_max.as_secs()),
        ("IDLE_SECONDS", idle_time_max.as_secs()),
        ("HEADER_BYTES", header_bytes_max.into()),
        ("HEADER_FIELDS", header_fields_max as u64),
        ("STREAMS", streams_max.into()),
        ("EARLY_RESETS", early_resets_max as u64),
        ("ERROR_RESETS", error_resets_max as u64),
        ("SEND_BUFFER_BYTES", send_buffer_bytes_max as u64),
        ("WRITE_STALL_SECONDS", write_stall_max.as_secs()),
        ("PING_SECONDS", ping_interval.as_secs()),
        ("PING_ANSWER_SECONDS", ping_time_max.as_secs()),
        ("DRAIN_SECONDS", drain_time_max.as_secs()),
        ("BODY_BYTES", BODY_BYTES_MAX as u64),
        ("BODY_READ_SECONDS", BODY_TIME_MAX.as_secs()),
        ("URI_BYTES", URI_BYTES_MAX as u64),
    ];
    for (name, value) in rows {
        assert_eq!(value, row(name), "{name}");
    }
}
