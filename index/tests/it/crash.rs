//! Catches a commit that is acknowledged and not durable, or durable in part: an index that after
//! a crash opens at another version than the acknowledged one or the one in flight, with other
//! documents than that version had, or not at all.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use annals_index::{Change, Index, IndexOptions, Opening, Query, Scope};

use crate::recorder::{Image, Model, Platter, Recorder, Step, Survives};
use crate::samples::{Dice, EPOCH, document, key};

/// How many images at most are written to, to see that work can go on: that costs threads, where
/// reading costs none.
const CONTINUED_MAX: usize = 1_000;

/// Names with their versions.
type Documents = BTreeMap<String, u64>;

/// What a workload did, for judging what a crash left of it.
struct Workload {
    steps: Vec<Step>,
    changes: Vec<Change>,
    states: BTreeMap<u64, Documents>,
    options: IndexOptions,
}

fn options(skip_sync: bool) -> IndexOptions {
    IndexOptions::default()
        .shards(2)
        .canary_skip_sync(skip_sync)
}

impl Workload {
    fn run(seed: u64, commits: usize, names: usize, skip_sync: bool) -> Workload {
        let recorder = Recorder::default();
        let options = options(skip_sync);
        let mut run = Workload {
            steps: Vec::new(),
            changes: Vec::new(),
            states: BTreeMap::from([(0, Documents::new())]),
            options: options.clone(),
        };
        let disk = Arc::new(recorder.clone());
        let (mut index, _) = Index::open_on(disk.clone(), EPOCH, 0, options.clone()).unwrap();
        run.rebuild(&recorder, &index, 0);
        let mut dice = Dice::new(seed);
        for round in 0..commits {
            let batch = run.batch(&mut dice, names);
            let version = run.changes.len() as u64;
            index.apply(batch).unwrap();
            recorder.mark(Step::Begin { version });
            index.commit(version).unwrap();
            recorder.mark(Step::Acked { version });
            if round == commits / 2 {
                run.rebuild(&recorder, &index, version);
            }
            if round == commits / 3 {
                index.close().unwrap();
                let opened = Index::open_on(disk.clone(), EPOCH, version, options.clone()).unwrap();
                assert_eq!(opened.1, Opening::Sound { version });
                index = opened.0;
            }
        }
        run.steps = recorder.steps();
        run
    }

    /// Some changes to so many names, each with its version.
    fn batch(&mut self, dice: &mut Dice, names: usize) -> Vec<Change> {
        let mut state = self.states.values().next_back().unwrap().clone();
        let start = self.changes.len();
        for _ in 0..=dice.roll(5) {
            let version = self.changes.len() as u64 + 1;
            let name = format!("n{}", dice.roll(names));
            let namespace = format!("space{}", name.as_bytes()[1] % 4);
            if dice.chance(4) {
                state.remove(&name);
                self.changes.push(Change::Remove {
                    key: key(&namespace, &name),
                    version,
                });
            } else {
                let title = format!("Title {} of {version}", dice.roll(3));
                let put = document(&namespace, &name, &title, version);
                state.insert(name, version);
                self.changes.push(Change::Put(Box::new(put)));
            }
        }
        self.states.insert(self.changes.len() as u64, state);
        self.changes[start..].to_vec()
    }

    fn rebuild(&self, recorder: &Recorder, index: &Index, version: u64) {
        recorder.mark(Step::Begin { version });
        let mut rebuild = index.begin_rebuild().unwrap();
        let mut newest = BTreeMap::new();
        for change in &self.changes {
            newest.insert(change.key().clone(), change.clone());
        }
        for change in newest.into_values() {
            if let Change::Put(document) = change {
                rebuild.add(*document).unwrap();
            }
        }
        rebuild.finish(version).unwrap();
        recorder.mark(Step::Acked { version });
    }
}

/// Counts and complaints over many images.
#[derive(Default)]
struct Verdict {
    images: usize,
    distinct: HashSet<u64>,
    torn: usize,
    continued: usize,
    bad: Vec<String>,
}

impl Verdict {
    fn crash_everywhere(&mut self, work: &Workload, model: Model, seed: u64) {
        let mut dice = Dice::new(seed);
        let mut platter = Platter::new(model);
        let (mut acked, mut in_flight) = (None, None);
        for (cut, step) in work.steps.iter().enumerate() {
            platter.follow(step);
            match step {
                Step::Begin { version } => in_flight = Some(*version),
                Step::Acked { version } => acked = Some(*version),
                _ => {}
            }
            let some = (0..8).map(|n| Survives::Some {
                reordered: n % 2 == 0,
                torn: n % 4 < 1,
            });
            for survives in [Survives::Nothing, Survives::Everything]
                .into_iter()
                .chain(some)
            {
                let image = platter.image(survives, &mut dice);
                self.images += 1;
                let mut hasher = DefaultHasher::new();
                (&image, acked, in_flight).hash(&mut hasher);
                if !self.distinct.insert(hasher.finish()) {
                    continue;
                }
                if let Err(complaint) = self.judge(work, &image, acked, in_flight) {
                    self.bad
                        .push(format!("{model:?} cut {cut} {survives:?}: {complaint}"));
                }
            }
        }
    }

    fn judge(
        &mut self,
        work: &Workload,
        image: &Image,
        acked: Option<u64>,
        in_flight: Option<u64>,
    ) -> Result<(), String> {
        let disk = Arc::new(Recorder::from_image(image));
        let head = work.changes.len() as u64;
        let (index, opening) = Index::open_on(disk, EPOCH, head, work.options.clone())
            .map_err(|error| format!("does not open: {error}"))?;
        let version = match opening {
            Opening::Rebuild { .. } if acked.is_none() => return Ok(()),
            Opening::Rebuild { reason } => return Err(format!("{reason}, after {acked:?}")),
            Opening::Sound { version } => version,
        };
        if Some(version) != acked && Some(version) != in_flight {
            return Err(format!(
                "at {version}, acknowledged {acked:?}, in flight {in_flight:?}"
            ));
        }
        let is_torn = index.version().is_none();
        self.torn += usize::from(is_torn);
        if !is_torn {
            compare(work, &index, version)?;
        }
        let one_in = if is_torn { 31 } else { 67 };
        if self.distinct.len().is_multiple_of(one_in) && self.continued < CONTINUED_MAX {
            self.continued += 1;
            let to = in_flight.unwrap_or(version).max(version);
            self.go_on(work, &index, version, to)?;
        }
        Ok(())
    }

    /// Applies again what may be missing, as the follower does after a restart.
    fn go_on(&self, work: &Workload, index: &Index, from: u64, to: u64) -> Result<(), String> {
        let changes = work.changes[from as usize..to as usize].to_vec();
        index.apply(changes).map_err(|error| error.to_string())?;
        index.commit(to).map_err(|error| error.to_string())?;
        compare(work, index, to).map_err(|complaint| format!("after going on: {complaint}"))
    }
}

fn compare(work: &Workload, index: &Index, version: u64) -> Result<(), String> {
    let query = Query {
        limit: 100,
        ..Query::default()
    };
    let hits = index
        .search(&query, &Scope::All)
        .map_err(|error| error.to_string())?;
    let found: Documents = hits
        .hits
        .into_iter()
        .map(|hit| (hit.key.name, hit.version))
        .collect();
    if hits.version != version || hits.total != found.len() as u64 {
        return Err(format!(
            "answers {} of version {}",
            hits.total, hits.version
        ));
    }
    match &work.states[&version] {
        expected if *expected == found => Ok(()),
        expected => Err(format!("at {version} {found:?}, not {expected:?}")),
    }
}

#[test]
fn every_crash_leaves_the_acknowledged_version_or_the_one_in_flight() {
    let mut verdict = Verdict::default();
    for seed in 1..=2 {
        let work = Workload::run(seed, 10, 12, false);
        for model in [Model::Ordered, Model::Unordered] {
            verdict.crash_everywhere(&work, model, seed);
        }
    }
    let Verdict {
        images,
        distinct,
        torn,
        continued,
        bad,
    } = &verdict;
    println!(
        "{images} images, {} distinct, {torn} torn, {continued} continued",
        distinct.len()
    );
    assert!(
        bad.is_empty(),
        "{} bad images, the first: {}",
        bad.len(),
        bad[0]
    );
    assert!(*images >= 20_000, "only {images} images");
    assert!(
        *torn > 0 && *continued > *torn / 100,
        "no commit was torn between two shards"
    );
}

#[test]
fn without_the_sync_after_a_commit_the_suite_finds_bad_images() {
    // Of many names few are written twice: then no old file is tidied up after the commit, which
    // would sync by chance what was left out.
    let work = Workload::run(1, 6, 100_000, true);
    for model in [Model::Ordered, Model::Unordered] {
        let mut verdict = Verdict::default();
        verdict.crash_everywhere(&work, model, 1);
        assert!(
            !verdict.bad.is_empty(),
            "{model:?}: {} images, none bad",
            verdict.images
        );
        println!("{model:?}: {} bad of {}", verdict.bad.len(), verdict.images);
    }
}
