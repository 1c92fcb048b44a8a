//! What happened on a recording disk, and how an image of it is judged: without it the crash
//! suites would not know which writes an image must hold.

use std::collections::BTreeMap;

use annals::{
    Collection, Epoch, Error, Filter, Key, List, Options, Revision, Snapshot, Store, Version, Write,
};

use crate::cuts::{Cuts, Subsets};
use crate::disk::{Disk, Image, Step};
use crate::random::Random;
use crate::suite::Tally;

/// A write that was made: where the log was before it and after its answer, and its last version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flight {
    pub(crate) started: usize,
    pub(crate) acknowledged: usize,
    pub(crate) last: Version,
}

/// A workload that has run.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    /// What the disk held when its log began.
    pub(crate) base: Image,
    pub(crate) steps: Vec<Step>,
    /// Where the log was when the store had been opened for the first time.
    pub(crate) opened: usize,
    pub(crate) epoch: Epoch,
    /// What had been acknowledged before the log began.
    pub(crate) floor: Version,
    pub(crate) flights: Vec<Flight>,
    /// Every revision, in version order.
    pub(crate) log: Vec<Revision>,
    /// How many revisions of a key retention has left at least, and of a deleted one none; without
    /// it all.
    pub(crate) kept: Option<usize>,
}

/// What an image turned out to hold, where all that it holds is as it was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight {
    pub(crate) head: Version,
    epoch: Epoch,
}

/// How a store is opened in the crash suites.
pub(crate) fn options() -> Options {
    // Small layers, so that the log turns and the tables are written while the work goes on.
    Options::new()
        .index(false)
        .cache_bytes(256 << 10)
        .overlay(4, 1 << 20)
}

/// The error as a finding.
pub(crate) fn shown(error: Error) -> String {
    error.to_string()
}

impl Trace {
    /// The newest version acknowledged before this cut.
    pub(crate) fn acknowledged(&self, cut: usize) -> Version {
        let flights = self.flights.iter();
        let done = flights.filter(|flight| flight.acknowledged <= cut);
        done.map(|flight| flight.last)
            .fold(self.floor, Version::max)
    }

    /// The versions that an image of this cut may end at: the newest acknowledged, and those that
    /// were on their way.
    pub(crate) fn heads(&self, cut: usize) -> Vec<Version> {
        let acknowledged = self.acknowledged(cut);
        let flights = self.flights.iter();
        let in_flight = flights.filter(|flight| flight.started < cut && flight.last > acknowledged);
        std::iter::once(acknowledged)
            .chain(in_flight.map(|flight| flight.last))
            .collect()
    }

    /// Whether an image of this cut may hold this.
    pub(crate) fn allow(&self, cut: usize, heads: &[Version], sight: Sight) -> Result<(), String> {
        if cut >= self.opened && sight.epoch != self.epoch {
            return Err("another epoch".to_owned());
        }
        if !heads.contains(&sight.head) {
            let head = sight.head;
            return Err(format!("at version {head}, expected one of {heads:?}"));
        }
        Ok(())
    }

    /// Opens an image and compares everything in it with what was written.
    pub(crate) fn look(&self, image: Image, write: bool) -> Result<Sight, String> {
        let store = Store::open_on(Disk::with(image), options()).map_err(shown)?;
        let sight = self.compare(&store)?;
        if write {
            let key = Key::new("", "fresh", "", "object").map_err(shown)?;
            let write = Write::create(key, b"{}".to_vec());
            let version = store.write(write).map_err(shown)?.version();
            if version != sight.head.next() {
                return Err(format!("the next write got version {version}"));
            }
        }
        Ok(sight)
    }

    /// Compares everything that a store holds with what was written.
    pub(crate) fn compare(&self, store: &Store) -> Result<Sight, String> {
        let snapshot = store.snapshot().map_err(shown)?;
        let head = snapshot.version();
        let len = usize::try_from(head.get()).map_err(|error| error.to_string())?;
        let expected = self.log.get(..len);
        let expected = expected.ok_or_else(|| format!("at version {head}, never written"))?;
        let floor = store.compacted(&Collection::all()).map_err(shown)?;
        let above = expected.iter().filter(|r| r.version() > floor);
        if !read_log(store, floor).map_err(shown)?.iter().eq(above) {
            return Err("another log".to_owned());
        }
        let mut newest: BTreeMap<&Key, &Revision> = expected.iter().map(|r| (r.key(), r)).collect();
        for (key, forgotten) in self.removed(store, &snapshot, expected)? {
            if forgotten {
                newest.remove(key);
            }
        }
        let all = List::new(Collection::all());
        for (page, live) in [(snapshot.list(&all), true), (snapshot.trash(&all), false)] {
            let wanted = newest.values().filter(|r| r.header().is_live() == live);
            if !page.map_err(shown)?.items.iter().eq(wanted.copied()) {
                return Err(format!("other objects, live: {live}"));
            }
        }
        let report = store.check().map_err(shown)?;
        if report.wrong > 0 {
            return Err(format!("{report:?}"));
        }
        let epoch = store.epoch();
        Ok(Sight { head, epoch })
    }

    /// Holds the history of every key against what was written; says of each key whether retention
    /// has removed all of it. It may have removed what the trace let it.
    fn removed<'a>(
        &self,
        store: &Store,
        snapshot: &Snapshot,
        expected: &'a [Revision],
    ) -> Result<Vec<(&'a Key, bool)>, String> {
        let mut chains: BTreeMap<&Key, Vec<&Revision>> = BTreeMap::new();
        for revision in expected.iter().rev() {
            chains.entry(revision.key()).or_default().push(revision);
        }
        let mut keys = Vec::new();
        for (key, chain) in chains {
            let found = match snapshot.history(key, 0, None) {
                Ok(page) => page.items,
                Err(Error::NotFound { .. }) if self.kept.is_some() => Vec::new(),
                Err(error) => return Err(error.to_string()),
            };
            let floor = store.compacted(&key.collection()).map_err(shown)?;
            let (shown, gone) = chain.split_at(found.len().min(chain.len()));
            let least = self.kept.unwrap_or(usize::MAX).min(chain.len());
            // A life that has ended goes as a whole.
            let ended = gone.first().is_some_and(|r| !r.header().is_live());
            let is_right = found.iter().eq(shown.iter().copied())
                && (found.len() >= least || ended)
                && gone.iter().all(|revision| revision.version() <= floor);
            if !is_right {
                return Err(format!("another history of {key}: {found:?} of {chain:?}"));
            }
            keys.push((key, found.is_empty()));
        }
        Ok(keys)
    }

    /// Judges the images of every cut from this one on, with these subsets of what is
    /// not synced.
    pub(crate) fn walk(&self, from: usize, subsets: Subsets, walk: &mut Walk<'_>) {
        let mut cuts = Cuts::new(self.base.clone(), &self.steps);
        let (mut age, mut sights) = (cuts.age(), Vec::new());
        while cuts.advance() && !walk.tally.is_full() {
            let cut = cuts.position();
            if cut < from {
                continue;
            }
            if cuts.age() != age {
                age = cuts.age();
                sights.clear();
            }
            for image in cuts.images(walk.random, subsets) {
                let write = walk.random.one_in(16);
                walk.tally.add(1);
                match self.look(image, write) {
                    Ok(sight) => sights.push(sight),
                    Err(problem) => walk.report(cut, &problem),
                }
            }
            // What was possible before this cut still is, unless something more was synced.
            let heads = self.heads(cut);
            for &sight in &sights {
                if let Err(problem) = self.allow(cut, &heads, sight) {
                    walk.report(cut, &problem);
                }
            }
        }
    }
}

/// What a walk over the cuts of a trace needs and reports to.
pub(crate) struct Walk<'a> {
    /// What to say where it went wrong: enough to play it again.
    pub(crate) name: String,
    pub(crate) random: &'a mut Random,
    pub(crate) tally: &'a Tally,
}

impl Walk<'_> {
    fn report(&self, cut: usize, problem: &str) {
        let name = &self.name;
        self.tally.report(format!("{name}, cut {cut}: {problem}"));
    }
}

/// The log behind this version, as a watcher of everything reads it.
pub(crate) fn read_log(store: &Store, after: Version) -> Result<Vec<Revision>, Error> {
    let mut watch = store.watch(Collection::all(), Filter::default(), after)?;
    let mut log = Vec::new();
    while let Some(event) = watch.try_next()? {
        log.push(event.object);
    }
    Ok(log)
}
