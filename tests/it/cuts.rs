//! What a power cut leaves of a disk: without it the crash suites would only see what a killed
//! process leaves, where nothing that was written is ever missing.
//!
//! ```text
//! log     write write sync write set_len write | write sync      the cut
//!         `---- durable ---' `-- unsynced ---'   not made yet
//! ```
//!
//! The model of the medium: what was synced stays, a sync holds for one file; of the rest any
//! subset may be there, in any order, and a write may be there in part, cut at any byte.
//!
//! No image is given twice while the durable part stays the same: it would be the same bytes.
//! Whoever judges images keeps what it found in each, and holds it against every later cut of the
//! same durable part too, because there the image is possible as well.

use std::collections::HashSet;
use std::sync::Arc;

use crate::disk::{Change, Image, Step};
use crate::random::Random;

/// A part of a step: the step's place in the log, and which bytes of its data are there.
type Piece = (usize, usize, usize);

/// Which subsets of the unsynced changes become images, besides none of them and all.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subsets {
    /// At most so many random ones, in any order, with writes torn anywhere.
    Random(usize),
    /// Each change alone, all but each, and all with the newest torn in the middle.
    Each,
}

/// A walk over every cut of a log.
#[derive(Debug)]
pub(crate) struct Cuts<'a> {
    log: &'a [Step],
    position: usize,
    durable: Image,
    /// How often the durable part has changed.
    age: usize,
    /// The places in the log of what is not durable.
    unsynced: Vec<usize>,
    given: HashSet<Vec<Piece>>,
}

impl<'a> Cuts<'a> {
    /// The cuts of this log, which began on a disk with these files.
    pub(crate) fn new(base: Image, log: &'a [Step]) -> Self {
        Cuts {
            log,
            position: 0,
            durable: base,
            age: 0,
            unsynced: Vec::new(),
            given: HashSet::new(),
        }
    }

    /// How many changes were made before the power went.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// Changes whenever the durable part does.
    pub(crate) fn age(&self) -> usize {
        self.age
    }

    /// Goes to the next cut; `false` at the end.
    pub(crate) fn advance(&mut self) -> bool {
        let Some(step) = self.log.get(self.position) else {
            return false;
        };
        if matches!(step.change, Change::Sync) {
            let log = self.log;
            let before = self.unsynced.len();
            for made in self
                .unsynced
                .extract_if(.., |at| log[*at].file == step.file)
            {
                log[made].apply(&mut self.durable);
            }
            if self.unsynced.len() < before {
                self.age += 1;
                self.given.clear();
            }
        } else {
            self.unsynced.push(self.position);
        }
        self.position += 1;
        true
    }

    /// What the disk may hold after this cut, and was not given since the durable part changed:
    /// without the unsynced changes, with all of them, and with these subsets.
    pub(crate) fn images(&mut self, random: &mut Random, subsets: Subsets) -> Vec<Image> {
        let whole = |&at: &usize| (at, 0, self.size(at));
        let all: Vec<Piece> = self.unsynced.iter().map(whole).collect();
        let mut choices = vec![Vec::new(), all.clone()];
        match subsets {
            Subsets::Random(count) if !all.is_empty() => {
                choices.extend((0..count).map(|_| self.choose(random)));
            }
            Subsets::Random(_) => {}
            Subsets::Each => choices.extend(each(&all)),
        }
        let mut images = Vec::new();
        for choice in choices {
            if self.given.insert(choice.clone()) {
                images.push(self.image(&choice));
            }
        }
        images
    }

    fn image(&self, choice: &[Piece]) -> Image {
        let mut files = self.durable.clone();
        for &(at, from, to) in choice {
            let mut step = self.log[at].clone();
            if let Change::Write { at, data } = &mut step.change
                && to - from < data.len()
            {
                *at += from;
                *data = Arc::from(&data[from..to]);
            }
            step.apply(&mut files);
        }
        files
    }

    /// How many bytes a step writes.
    fn size(&self, at: usize) -> usize {
        match &self.log[at].change {
            Change::Write { data, .. } => data.len(),
            Change::SetLen(_) | Change::Sync => 0,
        }
    }

    /// A random subset of the unsynced changes: half of the subsets out of order, a quarter of
    /// the writes torn. The newest change is in it: a subset without it was possible before.
    fn choose(&self, random: &mut Random) -> Vec<Piece> {
        let newest = self.position - 1;
        let kept = self.unsynced.iter().copied();
        let kept = kept.filter(|&at| random.one_in(2) || at == newest);
        let mut choice: Vec<Piece> = kept.map(|at| (at, 0, self.size(at))).collect();
        if random.one_in(2) {
            random.shuffle(&mut choice);
        }
        for (_, from, to) in &mut choice {
            if *to > 0 && random.one_in(4) {
                let cut = random.below(*to);
                if random.one_in(2) {
                    *to = cut;
                } else {
                    *from = cut;
                }
            }
        }
        choice
    }
}

/// Each of these alone, all but each, and all with the last torn in the middle.
fn each(all: &[Piece]) -> Vec<Vec<Piece>> {
    let mut choices: Vec<Vec<Piece>> = all.iter().map(|&piece| vec![piece]).collect();
    choices.extend((0..all.len()).map(|without| {
        let mut rest = all.to_vec();
        rest.remove(without);
        rest
    }));
    if let [before @ .., (at, from, to)] = all {
        let middle = to / 2;
        for torn in [(*at, *from, middle), (*at, middle, *to)] {
            choices.push([before, &[torn]].concat());
        }
    }
    choices
}
