//! Opening after a kill: a child writes under full load until this process kills it; then the
//! time until the first read and the first write is taken.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::Asked;
use crate::engine::{Engine, Name, Put};
use crate::objects::{self, Text};
use crate::own;
use crate::report::{Cell, Report};
use crate::slices::median;

const BYTES: usize = 1024;
const CALLERS: u64 = 64;
/// Tells the child its directory, engine and number of objects.
const CHILD: &str = "ANNALS_RIVALS_CHILD";
/// How long the child changes objects before it is killed.
const LOAD: Duration = Duration::from_secs(3);

/// If this process is the child: fills the store and changes it until it is killed.
pub(crate) fn die_if_asked_to() {
    let Ok(text) = std::env::var(CHILD) else {
        return;
    };
    let mut parts = text.splitn(3, ' ');
    let mut part = || parts.next().expect("three parts");
    let name = Name::parse(part()).expect("an engine");
    let objects: u64 = part().parse().expect("a number");
    let folder = PathBuf::from(part());
    // A parent that is gone will not kill: then this process must end by itself.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(1);
    });
    let is_new = !folder.exists();
    let engine = name.open(&folder).expect("the engine");
    if is_new {
        write(&*engine, objects, objects, |number| (number, true));
    }
    println!("filled");
    std::io::stdout().flush().expect("the parent");
    let pick = |number| (objects::scatter(number) % objects, false);
    write(&*engine, objects, u64::MAX, pick);
}

/// Writes with many callers, until the numbers end.
fn write(engine: &dyn Engine, objects: u64, end: u64, pick: impl Fn(u64) -> (u64, bool) + Sync) {
    let next = AtomicU64::new(0);
    // More callers, larger commits: the filling is not what is measured.
    let callers = if end == objects { 8 * CALLERS } else { CALLERS };
    std::thread::scope(|scope| {
        for _ in 0..callers {
            scope.spawn(|| {
                let mut caller = engine.caller();
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= end {
                        break;
                    }
                    let (number, is_new) = pick(at);
                    caller(Put {
                        number,
                        body: objects::body(number, at, BYTES, Text::Words),
                        is_new,
                    });
                }
            });
        }
    });
}

pub(crate) fn run(asked: &Asked, report: &mut Report) {
    let objects = asked.number("objects", 1_000_000);
    let rounds = asked.number("rounds", 5);
    let mut cells = Vec::new();
    for name in asked.engines() {
        if name == Name::Etcd {
            continue;
        }
        let folder = tempfile::tempdir_in(&asked.folder).expect("a directory");
        let folder = folder.path().join("store");
        let mut times: [Vec<f64>; 2] = Default::default();
        for _ in 0..rounds {
            kill_under_load(name, objects, &folder);
            let (read, write) = reopen(name, &folder);
            println!(
                "  {:<8} read {read:.1} ms, write {write:.1} ms",
                name.text()
            );
            times[0].push(read);
            times[1].push(write);
        }
        let [read, write] = times.map(median);
        cells.push((name, read, write, bytes(&folder) >> 20));
    }
    for (at, title) in ["first read", "first write"].into_iter().enumerate() {
        let title = format!("open {objects} objects after a kill, to the {title}");
        let cell = |(name, read, write, mebibytes): &(Name, f64, f64, u64)| {
            let engine = format!("{} {mebibytes} MiB", name.text());
            Cell::cost(&engine, if at == 0 { *read } else { *write }, "ms")
        };
        report.row(&title, cells.iter().map(cell).collect());
    }
}

fn kill_under_load(name: Name, objects: u64, folder: &Path) {
    let own = std::env::current_exe().expect("this program");
    let mut child = Command::new(own)
        .env(
            CHILD,
            format!("{} {objects} {}", name.text(), folder.display()),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let mut line = String::new();
    let out = child.stdout.take().expect("its output");
    BufReader::new(out).read_line(&mut line).expect("a line");
    assert_eq!(line, "filled\n", "the child is to live until it is killed");
    std::thread::sleep(LOAD);
    child.kill().expect("a kill");
    child.wait().expect("its end");
}

/// Milliseconds to the first read and to the first write.
fn reopen(name: Name, folder: &Path) -> (f64, f64) {
    let started = Instant::now();
    let millis = || started.elapsed().as_secs_f64() * 1000.0;
    let put = Put {
        number: 1,
        body: objects::body(1, 0, BYTES, Text::Words),
        is_new: false,
    };
    if name == Name::Annals {
        let store = own::open(folder, own::CACHE_BYTES);
        let snapshot = store.snapshot().expect("a state");
        let found = snapshot.get(&own::key(3)).expect("a read");
        assert!(found.is_some(), "an object that was acknowledged");
        let read = millis();
        let body = put.body;
        let write = annals::Write::update(own::key(1), body);
        store.write(write).expect("a write");
        return (read, millis());
    }
    // These find out whether the key is there before they write: opening is what takes the time.
    let engine = name.open(folder).expect("the engine");
    let read = millis();
    engine.caller()(put);
    (read, millis())
}

fn bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => bytes(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}
