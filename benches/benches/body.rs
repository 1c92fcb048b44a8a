//! The stored size of a body, and the time to encode and decode it, beside the other ways to store
//! it: as it is, LZ4 alone, LZ4 with an older body as dictionary, what lies between the common
//! beginning and end, and a chain of deltas.
//!
//! The bodies are dashboards, edited 1,000 times as people do: real ones if `ANNALS_TEST_DATA`
//! names the folder that has them, otherwise generated ones.

use std::hint::black_box;
use std::time::Duration;

use annals::Version;
use annals::body::{self, Stored};
use annals_bench::documents::{Document, dashboards};
use annals_bench::print_ratio;
use criterion::{Criterion, criterion_group, criterion_main};
use lz4_flex::block;

const REVISIONS: u64 = 1_000;

/// The sizes of the objects, in KB.
const SIZES: [usize; 5] = [1, 8, 50, 100, 500];

/// The ways that are not ours are counted with as many bytes for kind, length and check.
const HEAD: usize = 12;

/// Of so many bodies that follow each other one is full, in the ways that are not ours.
const RUN: u64 = 16;

/// What is timed is so far from the full body before it.
const AGE: usize = 8;

/// A way to store a body: against this older one, if there is one.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Raw,
    Lz4,
    Dictionary,
    Trim,
    Chain,
    Delta,
}

const WAYS: [(&str, Way); 6] = [
    ("raw", Way::Raw),
    ("lz4", Way::Lz4),
    ("lz4 with a dictionary", Way::Dictionary),
    ("beginning and end trimmed", Way::Trim),
    ("chain of deltas", Way::Chain),
    ("delta", Way::Delta),
];

/// The windows of the dictionary: a block of 32 KiB sees 16 KiB before and behind its place in the
/// older body, that place scaled by the lengths of the two bodies.
const BLOCK: usize = 32 * 1024;

fn window(at: usize, body: usize, older: &[u8]) -> &[u8] {
    let place = at * older.len() / body.max(1);
    let start = place.saturating_sub(BLOCK / 2).min(older.len());
    &older[start..older.len().min(start + 2 * BLOCK)]
}

fn with_dictionary(body: &[u8], older: &[u8]) -> Vec<Vec<u8>> {
    let blocks = body.chunks(BLOCK).enumerate();
    blocks
        .map(|(number, block)| {
            block::compress_with_dict(block, window(number * BLOCK, body.len(), older))
        })
        .collect()
}

fn trimmed(body: &[u8], older: &[u8]) -> Vec<u8> {
    let most = body.len().min(older.len());
    let front = body.iter().zip(older).take_while(|(a, b)| a == b).count();
    let ends = body.iter().rev().zip(older.iter().rev());
    let back = ends.take(most - front).take_while(|(a, b)| a == b).count();
    let mut stored = (front as u32).to_le_bytes().to_vec();
    stored.extend_from_slice(&(back as u32).to_le_bytes());
    stored.extend_from_slice(&block::compress_prepend_size(
        &body[front..body.len() - back],
    ));
    stored
}

fn untrimmed(stored: &[u8], older: &[u8]) -> Vec<u8> {
    let count = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four")) as usize;
    let mut body = older[..count(&stored[..4])].to_vec();
    body.extend(block::decompress_size_prepended(&stored[8..]).expect("a block"));
    body.extend_from_slice(&older[older.len() - count(&stored[4..8])..]);
    body
}

/// What our own way stores for a key: the newest body, and the full one it hangs on.
#[derive(Default)]
struct Ours {
    newest: Vec<u8>,
    version: u64,
    full: Vec<u8>,
    full_at: u64,
    fulls: u64,
}

impl Ours {
    /// Stores a body against the full one, or against `other` in its place.
    fn push(&mut self, body: &[u8], other: Option<&[u8]>) -> &[u8] {
        let base = self.base();
        let older = other.unwrap_or(&self.full);
        self.newest = body::encode(body, base.map(|base| (base, older)));
        self.version += 1;
        if Stored::parse(&self.newest)
            .expect("a body")
            .base()
            .is_none()
        {
            self.full = body.to_vec();
            self.full_at = self.version;
            self.fulls += 1;
        }
        &self.newest
    }

    /// The base of the next body, as the store chooses it.
    fn base(&self) -> Option<Version> {
        let run = self.version - self.full_at;
        (self.version > 0 && run + 1 < RUN).then(|| Version::new(self.full_at))
    }
}

/// The bytes that each way stores for these revisions, in the order of [`WAYS`], and how many
/// bodies of ours are full.
fn sizes(document: &mut Document) -> ([usize; WAYS.len()], u64) {
    let mut totals = [0; WAYS.len()];
    let (mut ours, mut chain) = (Ours::default(), Ours::default());
    let (mut full, mut previous) = (Vec::new(), Vec::new());
    for number in 0..REVISIONS {
        let body = document.revise();
        let first = number % RUN == 0;
        if first {
            full.clone_from(&body);
        }
        let alone = block::compress(&body).len();
        for (total, (_, way)) in totals.iter_mut().zip(WAYS) {
            *total += match way {
                Way::Raw => body.len(),
                Way::Dictionary if !first => {
                    let blocks = with_dictionary(&body, &full);
                    HEAD + blocks.iter().map(Vec::len).sum::<usize>()
                }
                Way::Trim if !first => HEAD + trimmed(&body, &full).len(),
                Way::Lz4 | Way::Dictionary | Way::Trim => HEAD + alone,
                Way::Chain => chain.push(&body, Some(&previous)).len(),
                Way::Delta => ours.push(&body, None).len(),
            };
        }
        previous = body;
    }
    (totals, ours.fulls)
}

fn print_sizes(title: &str, totals: &[usize], fulls: u64) {
    for ((name, _), total) in WAYS.iter().zip(totals) {
        let share = totals[0] as f64 / *total as f64;
        println!("RATIO size of {title}: {name} takes {total} bytes, 1/{share:.1} of the JSON");
    }
    println!("RATIO size of {title}: of our bodies {fulls} are full");
}

/// The bodies of one run, each as every way stores it.
struct Run {
    bodies: Vec<Vec<u8>>,
    /// Each against the first, the first alone.
    star: Vec<Vec<u8>>,
    /// Each against the one before it.
    chain: Vec<Vec<u8>>,
    base: Version,
}

impl Run {
    fn new(document: &mut Document) -> Self {
        let bodies: Vec<Vec<u8>> = (0..=AGE).map(|_| document.revise()).collect();
        let mut ours = Ours::default();
        let star: Vec<_> = bodies
            .iter()
            .map(|body| ours.push(body, None).to_vec())
            .collect();
        let base = Version::new(1);
        let mut chain = vec![star[0].clone()];
        let links = bodies
            .windows(2)
            .map(|pair| body::encode(&pair[1], Some((base, &pair[0]))));
        chain.extend(links);
        Run {
            bodies,
            star,
            chain,
            base,
        }
    }

    fn encode(&self, way: Way) -> usize {
        let (body, full) = (&self.bodies[AGE], &self.bodies[0]);
        match way {
            Way::Raw => body.to_vec().len(),
            Way::Lz4 => block::compress(body).len(),
            Way::Dictionary => with_dictionary(body, full).len(),
            Way::Trim => trimmed(body, full).len(),
            Way::Chain => body::encode(body, Some((self.base, &self.bodies[AGE - 1]))).len(),
            Way::Delta => body::encode(body, Some((self.base, full))).len(),
        }
    }

    /// What a reader does who has the stored bytes of the body and of those it depends on.
    fn decode(&self, way: Way, stored: &[Vec<u8>]) -> Vec<u8> {
        let ours = |bytes: &[u8], older: Option<&[u8]>| {
            let stored = Stored::parse(bytes).expect("a body");
            stored.decode(older).expect("a body that is whole")
        };
        let unpack = |block: &[u8], length| block::decompress(block, length).expect("a block");
        let length = self.bodies[AGE].len();
        match way {
            Way::Raw => stored[0].clone(),
            Way::Lz4 => unpack(&stored[0], length),
            Way::Dictionary => {
                let full = unpack(&stored[0], self.bodies[0].len());
                let mut body = Vec::with_capacity(length);
                for block in &stored[1..] {
                    let window = window(body.len(), length, &full);
                    let size = BLOCK.min(length - body.len());
                    let block = block::decompress_with_dict(block, size, window);
                    body.extend(block.expect("a block"));
                }
                body
            }
            Way::Trim => untrimmed(&stored[1], &unpack(&stored[0], self.bodies[0].len())),
            Way::Chain => {
                let first = ours(&self.chain[0], None);
                let links = self.chain[1..].iter();
                links.fold(first, |older, link| ours(link, Some(&older)))
            }
            Way::Delta => ours(&self.star[AGE], Some(&ours(&self.star[0], None))),
        }
    }

    /// The stored bytes that [`Run::decode`] asks for, in the ways that are not ours.
    fn stored(&self, way: Way) -> Vec<Vec<u8>> {
        let (body, full) = (&self.bodies[AGE], &self.bodies[0]);
        match way {
            Way::Raw => vec![body.clone()],
            Way::Lz4 => vec![block::compress(body)],
            Way::Trim => vec![block::compress(full), trimmed(body, full)],
            Way::Dictionary => {
                let mut stored = vec![block::compress(full)];
                stored.extend(with_dictionary(body, full));
                stored
            }
            Way::Chain | Way::Delta => Vec::new(),
        }
    }
}

fn bodies(criterion: &mut Criterion) {
    for size in SIZES {
        let title = format!("{size} KB, {REVISIONS} edits");
        let (totals, fulls) = sizes(&mut Document::of(size * 1_000));
        print_sizes(&title, &totals, fulls);
        let run = Run::new(&mut Document::of(size * 1_000));
        let groups = [format!("encode {size} KB"), format!("decode {size} KB")];
        let mut group = criterion.benchmark_group(&groups[0]);
        for (name, way) in WAYS {
            group.bench_function(name, |bencher| bencher.iter(|| black_box(run.encode(way))));
        }
        group.finish();
        let mut group = criterion.benchmark_group(&groups[1]);
        for (name, way) in WAYS {
            let stored = run.stored(way);
            assert_eq!(
                run.decode(way, &stored),
                run.bodies[AGE],
                "{name} reads back"
            );
            group.bench_function(name, |bencher| {
                bencher.iter(|| black_box(run.decode(way, &stored)));
            });
        }
        group.finish();
        for group in &groups {
            for (name, way) in WAYS {
                if way != Way::Delta {
                    print_ratio(group, "delta", name);
                }
            }
        }
    }
    let mut all = ([0; WAYS.len()], 0);
    for spec in dashboards() {
        let (totals, fulls) = sizes(&mut Document::new(spec));
        all.1 += fulls;
        for (sum, total) in all.0.iter_mut().zip(totals) {
            *sum += total;
        }
    }
    if all.1 > 0 {
        print_sizes("all real dashboards", &all.0, all.1);
    }
}

criterion_group! {
    name = body_of_a_revision;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600));
    targets = bodies
}
criterion_main!(body_of_a_revision);
