//! What happened to a few keys among all: the versions of their newest changes, as runs.
//!
//! ```text
//! since 3    5    7-8    12-13             the head is 12; 13 is being published
//!
//! behind 2   unknown: a change at 3 would not be here
//! behind 3   5, 7-8, 12
//! behind 7   8, 12
//! behind 12  nothing
//! ```
//!
//! A track is bounded: it forgets its oldest run and then knows less far back. It can say
//! "nothing" only of a span in which it was there all the time.

use std::collections::VecDeque;

use crate::model::Version;

/// How many runs a track remembers. A watcher with more of them before it reads the log, of which
/// they then are a good part.
const RUNS_MAX: usize = 256;
/// How many runs a watcher is told at a time.
const NEWS_RUNS_MAX: usize = 16;

/// Plants a track that forgets in silence: the checks of the watches must find what is missed.
const CANARY: bool = cfg!(feature = "canary");

/// Versions without a gap, both ends included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) first: Version,
    pub(super) last: Version,
}

/// The runs that a watcher is told.
pub(super) type Runs = [Run; NEWS_RUNS_MAX];

/// What a track knows of the span behind a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Nothing happened in it.
    Nothing,
    /// Changes in so many runs, which were written down, and whether these are all.
    Changes { runs: usize, all: bool },
    /// The track does not reach back so far.
    Unknown,
}

/// See the page.
#[derive(Debug)]
pub(super) struct Track {
    runs: VecDeque<Run>,
    /// Every change after this version is in the runs.
    since: Version,
}

impl Track {
    pub(super) fn new(since: Version) -> Self {
        let runs = VecDeque::new();
        Track { runs, since }
    }

    /// Writes a change down; versions only grow.
    pub(super) fn add(&mut self, version: Version) {
        if let Some(run) = self.runs.back_mut()
            && run.last.next() == version
        {
            run.last = version;
            return;
        }
        if self.runs.len() == RUNS_MAX
            && let Some(oldest) = self.runs.pop_front()
            && !CANARY
        {
            self.since = oldest.last;
        }
        let (first, last) = (version, version);
        self.runs.push_back(Run { first, last });
    }

    /// Whether there is something behind this version, up to the head, or may be.
    pub(super) fn has_news(&self, after: Version, head: Version) -> bool {
        if after < self.since {
            return after < head;
        }
        let next = self.runs.partition_point(|run| run.last <= after);
        let next = self.runs.get(next);
        // What is beyond the head is being published: it is not there yet.
        next.is_some_and(|run| run.first.max(after.next()) <= head)
    }

    /// What there is behind this version, up to the head; the runs go to `out`.
    pub(super) fn news(&self, after: Version, head: Version, out: &mut Runs) -> News {
        if after < self.since {
            return News::Unknown;
        }
        let start = self.runs.partition_point(|run| run.last <= after);
        let mut runs = 0;
        for run in self.runs.range(start..) {
            let (first, last) = (run.first.max(after.next()), run.last.min(head));
            if first > last {
                break;
            }
            let Some(place) = out.get_mut(runs) else {
                return News::Changes { runs, all: false };
            };
            *place = Run { first, last };
            runs += 1;
        }
        if runs == 0 {
            News::Nothing
        } else {
            News::Changes { runs, all: true }
        }
    }
}

#[cfg(test)]
mod tests {
    //! Would catch a change that a track forgets without saying so, or tells before its time.
    use proptest::prelude::*;

    use super::*;

    /// The versions behind `after`, read as a watcher does: as long as there is more.
    fn read(track: &Track, mut after: Version, head: Version) -> Option<Vec<u64>> {
        let mut versions = Vec::new();
        loop {
            let mut runs = Runs::default();
            let news = track.news(after, head, &mut runs);
            assert_eq!(
                track.has_news(after, head),
                news != News::Nothing && (news != News::Unknown || after < head)
            );
            let (count, all) = match news {
                News::Unknown => return None,
                News::Nothing => return Some(versions),
                News::Changes { runs, all } => (runs, all),
            };
            for run in &runs[..count] {
                versions.extend(run.first.get()..=run.last.get());
                after = run.last;
            }
            if all {
                return Some(versions);
            }
        }
    }

    proptest! {
        #[test]
        fn a_track_tells_all_or_that_it_does_not_know(
            since in 0_u64..20,
            steps in prop::collection::vec(prop_oneof![4 => Just(1_u64), 3 => 2_u64..5], 0..1_500),
            points in prop::collection::vec((0_u64..3_000, 0_u64..3_000), 20),
        ) {
            let mut track = Track::new(Version::new(since));
            let mut changes = Vec::new();
            let mut last = since;
            for step in steps {
                last += step;
                track.add(Version::new(last));
                changes.push(last);
            }
            // The first of the runs that a track of its size cannot have forgotten.
            let starts = (0..changes.len()).filter(|at| {
                *at == 0 || changes[at - 1] + 1 < changes[*at]
            });
            let starts: Vec<usize> = starts.collect();
            let known = match starts.len().checked_sub(RUNS_MAX) {
                Some(forgotten) if forgotten > 0 => changes[starts[forgotten] - 1],
                _ => since,
            };
            for (after, head) in points {
                let told = read(&track, Version::new(after), Version::new(head));
                let wanted = changes.iter().copied();
                let wanted = wanted.filter(|change| after < *change && *change <= head);
                match told {
                    Some(told) => prop_assert_eq!(told, wanted.collect::<Vec<_>>()),
                    None => prop_assert!(after < known, "{after} is known since {known}"),
                }
            }
        }
    }
}
