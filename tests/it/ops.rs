//! Would catch a sequence of operations that nobody thought of, after which an answer or what a
//! power cut leaves is wrong.
//!
//! Any bytes are a sequence of operations and a place to cut it, so that a fuzzer can look for one
//! by itself; the fuzz target `ops` calls [`play`] too. A small model says what each write must
//! answer, and the trace judges the images of the cut.
//!
//! ```text
//! cut u16 LE | seed u16 LE | operation, operation ...
//! operation    kind in the low 4 bits, name in the high 4, then a byte that the kind explains
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use annals::{ErrorKind, Key, Revision, Store, Version, Write};

use crate::cuts::{Cuts, Subsets};
use crate::disk::{Disk, Image};
use crate::random::Random;
use crate::trace::{Flight, Trace, options, shown};

/// No input makes more operations.
const OPS_MAX: usize = 48;
/// How many names there are.
const NAMES: u8 = 5;

/// One write, as the bytes have it.
#[derive(Clone, Copy, Debug)]
struct Draft {
    kind: u8,
    name: u8,
    detail: u8,
}

/// Reads the bytes; behind their end there are zeros.
struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.rest.split_first() else {
            return 0;
        };
        self.rest = rest;
        first
    }

    fn short(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    fn draft(&mut self) -> Draft {
        let first = self.byte();
        Draft {
            kind: first & 15,
            name: (first >> 4) % NAMES,
            detail: self.byte(),
        }
    }
}

/// What is live, and at which version.
#[derive(Clone, Default)]
struct Model {
    live: BTreeMap<u8, u64>,
    head: u64,
}

impl Model {
    /// Makes one write; says what kind of error it must be refused with.
    fn write(&mut self, draft: Draft) -> Result<(), ErrorKind> {
        let actual = self.live.get(&draft.name).copied();
        let creates = draft.creates();
        if actual.is_none() && !creates {
            return Err(ErrorKind::NotFound);
        }
        if draft
            .demand()
            .is_some_and(|demand| demand != actual.unwrap_or(0))
        {
            return Err(ErrorKind::Conflict);
        }
        if actual.is_some() && creates {
            return Err(ErrorKind::AlreadyExists);
        }
        self.head += 1;
        if draft.deletes() {
            self.live.remove(&draft.name);
        } else {
            self.live.insert(draft.name, self.head);
        }
        Ok(())
    }
}

impl Draft {
    fn creates(self) -> bool {
        matches!(self.kind, 0..=4 | 13)
    }

    fn deletes(self) -> bool {
        matches!(self.kind, 9..=11)
    }

    /// The version that it demands.
    fn demand(self) -> Option<u64> {
        matches!(self.kind, 4 | 8 | 11).then_some(u64::from(self.detail % 32))
    }

    fn write(self) -> Write {
        let key = Key::new("g.x", "things", "ns", &format!("n{}", self.name)).unwrap();
        let filler = "x".repeat(usize::from(self.detail) * 20);
        let body = format!(r#"{{"spec":"{filler}"}}"#).into_bytes();
        let write = match (self.creates(), self.deletes()) {
            (true, _) => Write::create(key, body),
            (_, true) => Write::delete(key),
            _ => Write::update(key, body),
        };
        match self.demand() {
            Some(demand) => write.if_version(Version::new(demand)),
            None => write,
        }
    }
}

/// What was done so far.
struct Run {
    disk: Arc<Disk>,
    model: Model,
    flights: Vec<Flight>,
    log: Vec<Revision>,
}

impl Run {
    /// Makes these writes in one batch and compares the answer with the model's.
    fn write(&mut self, store: &Store, drafts: &[Draft]) -> Result<(), String> {
        let mut model = self.model.clone();
        let expected = drafts.iter().try_for_each(|&draft| model.write(draft));
        let started = self.disk.position();
        let writes = drafts.iter().map(|draft| draft.write()).collect();
        match (store.write_batch(writes), expected) {
            (Ok(made), Ok(())) => {
                let last = made.last().map_or(Version::ZERO, Revision::version);
                if last != Version::new(model.head) {
                    return Err(format!("{drafts:?}: at {last}, not {}", model.head));
                }
                self.flights.push(Flight {
                    started,
                    acknowledged: self.disk.position(),
                    last,
                });
                self.log.extend(made);
                self.model = model;
                Ok(())
            }
            (Err(error), Err(kind)) if error.kind() == kind => Ok(()),
            (answer, expected) => Err(format!("{drafts:?}: {answer:?}, not {expected:?}")),
        }
    }

    fn step(&mut self, store: Store, reader: &mut Reader<'_>) -> Result<Store, String> {
        let draft = reader.draft();
        match draft.kind {
            15 => {
                drop(store);
                return Store::open_on(self.disk.clone(), options()).map_err(shown);
            }
            12..=14 => {
                let count = 1 + usize::from(draft.detail % 6);
                let drafts: Vec<Draft> = (0..count).map(|_| reader.draft()).collect();
                self.write(&store, &drafts)?;
            }
            _ => self.write(&store, &[draft])?,
        }
        Ok(store)
    }
}

/// Plays the operations that these bytes mean on an empty disk, cuts the power where they say, and
/// judges what is left.
pub(crate) fn play(data: &[u8], disk: Arc<Disk>) -> Result<(), String> {
    let mut reader = Reader { rest: data };
    let (cut, seed) = (usize::from(reader.short()), u64::from(reader.short()));
    let mut run = Run {
        disk,
        model: Model::default(),
        flights: Vec::new(),
        log: Vec::new(),
    };
    let mut store = Store::open_on(run.disk.clone(), options()).map_err(shown)?;
    let (opened, epoch) = (run.disk.position(), store.epoch());
    for _ in 0..OPS_MAX {
        if reader.rest.is_empty() {
            break;
        }
        store = run.step(store, &mut reader)?;
    }
    drop(store);
    let trace = Trace {
        base: Image::default(),
        steps: run.disk.take_log(),
        opened,
        epoch,
        floor: Version::ZERO,
        flights: run.flights,
        log: run.log,
        kept: None,
    };
    let mut cuts = Cuts::new(Image::default(), &trace.steps);
    let cut = 1 + cut % trace.steps.len();
    while cuts.position() < cut && cuts.advance() {}
    let heads = trace.heads(cut);
    for image in cuts.images(&mut Random::new(seed), Subsets::Random(1)) {
        let sight = trace.look(image, true)?;
        trace.allow(cut, &heads, sight)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    //! The same with random bytes, for those who have no fuzzer.

    use super::*;
    use crate::suite::{Tally, each_seed, scaled};

    /// How many inputs a run plays.
    const INPUTS: u64 = 3_000;

    fn fuzz(disk: impl Fn() -> Arc<Disk> + Sync, inputs: u64) -> Tally {
        let tally = Tally::default();
        each_seed(&tally, |seed| {
            let mut random = Random::new(seed ^ 0x0B5);
            let len = 4 + random.below(60);
            let data: Vec<u8> = (0..len).map(|_| random.next().to_le_bytes()[0]).collect();
            match play(&data, disk()) {
                Ok(()) => tally.add(1),
                Err(problem) => tally.report(format!("seed {seed}: {problem}: {data:?}")),
            }
            tally.count() < inputs
        });
        tally
    }

    #[test]
    fn no_bytes_make_a_wrong_answer() {
        let inputs = scaled(INPUTS);
        fuzz(Disk::recording, inputs).expect("inputs", inputs, cfg!(feature = "canary"));
    }

    #[test]
    fn a_sync_that_the_disk_forgets_is_found() {
        let disk = || Disk::recording().forget_one_sync_in(5);
        fuzz(disk, INPUTS).expect("inputs on a forgetful disk", 1, true);
    }
}
