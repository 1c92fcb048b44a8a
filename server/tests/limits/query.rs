//! Would catch a parameter, an address or a page beyond its limit that is taken, and one within it
//! that is not.

use std::time::{Duration, Instant};

use annals::search::{Query, Scope};
use annals::{Error, INDEX_WAIT_MS_MAX, Key, Write};
use annals_server::limits::{
    CONTINUE_BYTES, FIELD_MANAGER_CHARS, PAGE_ITEMS_MAX, SEARCH_HITS, SEARCH_QUERY_BYTES,
    SEARCH_QUERY_WORDS, SEARCH_WINDOW, SELECTOR_BYTES, TOKEN_BYTES, URI_BYTES,
};
use axum::body::Body;
use serde_json::{Value, json};

use crate::server::{DASHBOARDS, Server, assert_accepted, assert_refused, request};
use crate::site::{Answer, PATIENCE, ask, get};

const SEARCH: &str = "/apis/search.annals.dev/v1/namespaces/default/search";

/// A page is cut, not refused.
pub(crate) fn page_items_max(server: &Server) {
    let namespace = json!({"metadata": {"name": "pages"}});
    assert_accepted(&server.post("/api/v1/namespaces", namespace.to_string()));
    let write = |at: usize| {
        let name = format!("n{at:05}");
        let key = Key::new("dashboard.grafana.app", "dashboards", "pages", &name).unwrap();
        let body = json!({
            "apiVersion": "dashboard.grafana.app/v1beta1", "kind": "Dashboard",
            "metadata": {"name": name, "namespace": "pages"}, "spec": {},
        });
        Write::create(key, body.to_string().into_bytes())
    };
    let all: Vec<usize> = (0..=PAGE_ITEMS_MAX).collect();
    for some in all.chunks(annals::BATCH_WRITES_MAX) {
        let writes = some.iter().map(|at| write(*at)).collect();
        server.store.write_batch(writes).unwrap();
    }
    let path = DASHBOARDS.replace("default", "pages");
    for limit in [PAGE_ITEMS_MAX, PAGE_ITEMS_MAX + 1, usize::MAX] {
        let answer = server.get(&format!("{path}?limit={limit}"));
        assert_accepted(&answer);
        let list: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(list["items"].as_array().unwrap().len(), PAGE_ITEMS_MAX);
        assert!(list["metadata"]["continue"].is_string(), "limit {limit}");
    }
}

pub(crate) fn selector_bytes(server: &Server) {
    for watch in ["", "&watch=1&timeoutSeconds=1"] {
        let labels = |length: usize| {
            let keys = ["k", "kk"][length % 2];
            let mut text = format!("{keys}+in+(v");
            while text.len() + 1 < length {
                text.push_str(",v");
            }
            // A plus sign in an address is a space: one byte, before and after.
            text.push(')');
            text
        };
        let fields = |length: usize| format!("metadata.name!={}", "x".repeat(length - 15));
        let ask =
            |name: &str, text: String| server.get(&format!("{DASHBOARDS}?{name}={text}{watch}"));
        assert_eq!(labels(SELECTOR_BYTES).len(), SELECTOR_BYTES);
        assert_eq!(fields(SELECTOR_BYTES).len(), SELECTOR_BYTES);
        assert_accepted(&ask("labelSelector", labels(SELECTOR_BYTES)));
        assert_accepted(&ask("fieldSelector", fields(SELECTOR_BYTES)));
        for length in [SELECTOR_BYTES + 1, URI_BYTES - 200] {
            let refused = ask("labelSelector", labels(length));
            assert_refused(&refused, 400, "labelSelector");
            let refused = ask("fieldSelector", fields(length));
            assert_refused(&refused, 400, "fieldSelector");
        }
    }
}

/// No token is as long, so at the limit it is refused for another reason.
pub(crate) fn continue_bytes(server: &Server) {
    let ask = |length: usize| server.get(&format!("{DASHBOARDS}?continue={}", "A".repeat(length)));
    assert_refused(&ask(CONTINUE_BYTES), 400, "continue key is not valid");
    for length in [CONTINUE_BYTES + 1, URI_BYTES - 200] {
        assert_refused(&ask(length), 400, "continue: expected at most 4096 bytes");
    }
}

pub(crate) fn field_manager_chars(server: &Server) {
    let ask = |manager: String| {
        let path = format!("{DASHBOARDS}?dryRun=All&fieldManager={manager}");
        let body = json!({"metadata": {"name": "x"}, "spec": {}});
        server.post(&path, body.to_string())
    };
    assert_accepted(&ask("m".repeat(FIELD_MANAGER_CHARS)));
    // Characters, not bytes.
    assert_accepted(&ask("%C3%A9".repeat(FIELD_MANAGER_CHARS)));
    for length in [FIELD_MANAGER_CHARS + 1, URI_BYTES - 200] {
        assert_refused(&ask("m".repeat(length)), 422, "fieldManager");
    }
}

/// Searches, once the index is there.
fn search(server: &Server, query: &str) -> Answer {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = server.get(&format!("{SEARCH}?{query}"));
        if answer.status != 503 {
            return answer;
        }
        assert!(Instant::now() < deadline, "no index: {}", answer.body);
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The address is limited before the query is: a query of that length comes by another door.
pub(crate) fn search_query_bytes(server: &Server) {
    assert_accepted(&search(server, "query=ready"));
    let ask = |length: usize| {
        let text = "x".repeat(length);
        let query = Query {
            text,
            ..Query::default()
        };
        server.store.search(&query, &Scope::All, None)
    };
    assert!(ask(SEARCH_QUERY_BYTES).is_ok());
    for length in [SEARCH_QUERY_BYTES + 1, 10_000_000] {
        assert!(
            matches!(ask(length), Err(Error::Invalid { .. })),
            "{length}"
        );
    }
    let long = format!("query={}", "x".repeat(SEARCH_QUERY_BYTES));
    assert_refused(&search(server, &long), 414, "path and query");
}

pub(crate) fn search_query_words(server: &Server) {
    let ask = |words: usize| search(server, &format!("query={}", vec!["w"; words].join("+")));
    assert_accepted(&ask(SEARCH_QUERY_WORDS));
    for words in [SEARCH_QUERY_WORDS + 1, 4_000] {
        assert_refused(&ask(words), 400, "words");
    }
}

pub(crate) fn search_hits(server: &Server) {
    let ask = |limit: u64| search(server, &format!("query=x&limit={limit}"));
    assert_accepted(&ask(SEARCH_HITS as u64));
    for limit in [SEARCH_HITS as u64 + 1, u64::MAX] {
        assert_refused(&ask(limit), 400, "limit");
    }
}

pub(crate) fn search_window(server: &Server) {
    let ask = |offset: u64| search(server, &format!("query=x&limit=50&offset={offset}"));
    let last = SEARCH_WINDOW as u64 - 50;
    assert_accepted(&ask(last));
    for offset in [last + 1, i64::MAX as u64, u64::MAX] {
        assert_refused(
            &ask(offset),
            400,
            if offset == u64::MAX { "offset" } else { "hits" },
        );
    }
}

/// A version that is still to come is waited for, and then told not to be there.
pub(crate) fn search_wait(server: &Server) {
    let now = server.store.snapshot().unwrap().version().get();
    assert_accepted(&search(server, &format!("query=x&minVersion={now}")));
    for version in [now + 1, i64::MAX as u64] {
        let answer = search(server, &format!("query=x&minVersion={version}"));
        assert_refused(&answer, 504, &version.to_string());
    }
    assert_eq!(
        annals_server::limits::SEARCH_WAIT_MS as u64,
        INDEX_WAIT_MS_MAX
    );
}

pub(crate) fn uri_bytes(server: &Server) {
    let ask = |length: usize| {
        let start = format!("{DASHBOARDS}?x=");
        let rest = "y".repeat(length - start.len());
        server.get(&format!("{start}{rest}"))
    };
    assert_accepted(&ask(URI_BYTES));
    for length in [URI_BYTES + 1, 2 * URI_BYTES - 300] {
        assert_refused(&ask(length), 414, "path and query");
    }
}

/// No token is as long as the limit: what is tested is that all of them are refused alike.
pub(crate) fn token_bytes(server: &Server) {
    let good = &server.site().keys.token;
    let ask_with = |token: &str| {
        let proof = format!("Bearer {token}");
        let request = get(DASHBOARDS).header("authorization", proof);
        let answer = ask(server.site(), false, request.body(Body::empty()).unwrap());
        server.runtime.block_on(answer)
    };
    assert_accepted(&ask_with(good));
    for length in [TOKEN_BYTES, TOKEN_BYTES + 1, 3 * TOKEN_BYTES] {
        assert_refused(&ask_with(&"t".repeat(length)), 401, "Unauthorized");
    }
    let answer = server.send(
        request("GET", DASHBOARDS)
            .header(
                "authorization",
                format!("Bearer {}", "t".repeat(TOKEN_BYTES)),
            )
            .body(Body::empty())
            .unwrap(),
    );
    assert_refused(&answer, 401, "Unauthorized");
}
