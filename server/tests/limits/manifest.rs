//! Would catch a manifest, a path or a queue that is larger than its limit and is taken.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;

use annals::{Error, FileMedia, Key, Media, Options, Store, Volume, Write};
use annals_server::kinds::{Path, Schema, ServedKind};
use annals_server::limits::{
    JSONPATH_BYTES, JSONPATH_MATCHES, JSONPATH_STEPS, PATTERN_BYTES, SCHEMA_DEPTH, WRITE_QUEUE,
};
use serde_json::{Value, json};

use crate::server::Server;

/// A manifest of one kind, whose spec is this schema and whose only column has this path.
fn manifest(spec: &Value, path: &str) -> Result<ServedKind, String> {
    let schema = json!({"type": "object", "properties": {"spec": spec}});
    let column = json!({"name": "C", "type": "string", "jsonPath": path});
    let version = json!({
        "name": "v1", "served": true, "storage": true,
        "schema": {"openAPIV3Schema": schema}, "additionalPrinterColumns": [column],
    });
    let kind = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.g.x"},
        "spec": {
            "group": "g.x", "scope": "Namespaced", "versions": [version],
            "names": {"plural": "things", "singular": "thing", "kind": "Thing"},
        },
    });
    ServedKind::from_manifest(&kind.to_string()).map_err(|error| error.to_string())
}

/// Whether a fault names this field.
#[track_caller]
fn assert_fault<T>(found: Result<T, String>, field: &str) {
    let fault = found.err().expect("a fault");
    let shown: String = fault.chars().take(300).collect();
    assert!(fault.contains(field), "{field:?} is not named: {shown}");
}

pub(crate) fn schema_depth(_: &Server) {
    let nested = |levels: usize| {
        let mut schema = json!({"type": "string"});
        for _ in 0..levels {
            schema = json!({"type": "object", "properties": {"a": schema}});
        }
        schema
    };
    // The reader of YAML has a limit of its own, so this one is reached only behind it.
    let parse = |levels: usize| Schema::parse(&nested(levels)).map_err(|error| error.to_string());
    assert!(parse(SCHEMA_DEPTH).is_ok());
    assert_fault(parse(SCHEMA_DEPTH + 1), "64 levels");
    assert_fault(parse(1_000), "64 levels");
    assert!(manifest(&nested(20), ".spec").is_ok());
    assert_fault(manifest(&nested(1_000), ".spec"), "Depth");
}

pub(crate) fn pattern_bytes(_: &Server) {
    // About 40 bytes of compiled pattern for each repetition: what counts is that there is an end.
    let pattern = |times: usize| {
        let rule = format!("a{{{times}}}");
        manifest(&json!({"type": "string", "pattern": rule}), ".spec")
    };
    pattern(100).unwrap();
    assert_fault(pattern(PATTERN_BYTES / 16), "pattern");
    assert_fault(pattern(PATTERN_BYTES * 16), "pattern");
}

pub(crate) fn jsonpath_bytes(_: &Server) {
    let path = |bytes: usize| {
        let text = format!(".{}", "a".repeat(bytes - 1));
        manifest(&json!({"type": "object"}), &text)
    };
    path(JSONPATH_BYTES).unwrap();
    assert_fault(path(JSONPATH_BYTES + 1), "jsonPath");
    assert_fault(path(1_000_000), "jsonPath");
}

pub(crate) fn jsonpath_steps(_: &Server) {
    let path = |steps: usize| manifest(&json!({"type": "object"}), &".a".repeat(steps));
    path(JSONPATH_STEPS).unwrap();
    assert_fault(path(JSONPATH_STEPS + 1), "jsonPath");
    assert_fault(path(500), "jsonPath");
}

/// What a path finds beyond the limit is left out.
pub(crate) fn jsonpath_matches(_: &Server) {
    let path = Path::parse(".a[*].b[*]").unwrap();
    let found = |count: usize| {
        let one = json!({"b": vec![0; 100]});
        path.find(&json!({"a": vec![one; count / 100]})).len()
    };
    assert_eq!(found(JSONPATH_MATCHES), JSONPATH_MATCHES);
    assert_eq!(found(JSONPATH_MATCHES + 100), JSONPATH_MATCHES);
    assert_eq!(found(50 * JSONPATH_MATCHES), JSONPATH_MATCHES);
}

/// A medium whose sync waits while a gate is closed.
#[derive(Debug)]
struct Gated {
    medium: FileMedia,
    gate: Arc<Gate>,
}

impl Volume for Gate {
    fn open(self: Arc<Self>, _name: &str) -> io::Result<Arc<dyn Media>> {
        Ok(Arc::new(Gated {
            medium: FileMedia::new(tempfile::tempfile()?),
            gate: self,
        }))
    }
}

#[derive(Debug, Default)]
struct Gate {
    closed: Mutex<bool>,
    opened: Condvar,
    waiting: AtomicBool,
}

impl Gate {
    fn set(&self, closed: bool) {
        *self.closed.lock().unwrap() = closed;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let mut closed = self.closed.lock().unwrap();
        while *closed {
            self.waiting.store(true, Ordering::SeqCst);
            closed = self.opened.wait(closed).unwrap();
        }
    }
}

impl Media for Gated {
    fn len(&self) -> io::Result<u64> {
        self.medium.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.medium.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.medium.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.gate.pass();
        self.medium.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.medium.write(offset, data)
    }
}

fn create(name: usize) -> Write {
    let key = Key::new("g.x", "things", "ns", &format!("n{name}")).unwrap();
    Write::create(key, b"{}".to_vec())
}

/// The library's own queue, with a disk that does not finish: one write is being committed, the
/// queue is filled behind it, and all beyond are told to come again.
pub(crate) fn write_queue(_: &Server) {
    const BEYOND: usize = 100;
    let gate = Arc::new(Gate::default());
    let store = Store::open_on(gate.clone(), Options::new().cache_bytes(8 << 20)).unwrap();
    gate.set(true);
    let (answer, answers) = mpsc::channel();
    let write = |name: usize| {
        let (store, answer) = (store.clone(), answer.clone());
        // Thousands of them wait, and none needs much of a stack.
        let thread = thread::Builder::new().stack_size(128 * 1024);
        let work = move || answer.send(store.write(create(name)).map(|_| ())).unwrap();
        thread.spawn(work).unwrap()
    };
    let mut threads = vec![write(0)];
    while !gate.waiting.load(Ordering::SeqCst) {
        thread::yield_now();
    }
    threads.extend((1..=WRITE_QUEUE + BEYOND).map(write));
    for _ in 0..BEYOND {
        let refused = answers.recv().unwrap();
        assert!(matches!(refused, Err(Error::Busy { .. })), "{refused:?}");
    }
    gate.set(false);
    for thread in threads {
        thread.join().unwrap();
    }
    drop(answer);
    let rest: Vec<Result<(), Error>> = answers.iter().collect();
    assert_eq!(rest, vec![Ok(()); WRITE_QUEUE + 1]);
    assert_eq!(store.check().unwrap().wrong, 0);
}
